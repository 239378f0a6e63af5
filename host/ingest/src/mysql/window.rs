//! A stretch of the rows, for incremental runs: after the position where the last one ended, up to the newest
//! row that is old enough.
//!
//! Both ends are settled once, inside the snapshot; what a lag keeps back counts from the moment before it
//! began. Rows whose cursor or key is NULL have no place in the order and are never read. Rows that are equal in the column are told apart by the key, where there is one; without
//! a key a row that appears later with the same value as the last position is passed over.

use super::{
    columns::{Column, Kind},
    session::Session,
    statement::{quote_name, quote_text},
};
use crate::{IngestError, Position, Window};

/// A window with its ends settled.
pub(super) struct Stretch {
    /// The condition that its rows meet.
    pub(super) condition: String,
    /// Of its last row; none when it has no row.
    pub(super) position: Option<Position>,
    /// Which rows it leaves out.
    pub(super) notes: Vec<String>,
}

/// Settles the ends of a window over `from`, a table or a query in brackets. `moment` is the server's time right
/// before the snapshot began.
pub(super) async fn settle(
    session: &mut Session,
    from: &str,
    columns: &[Column],
    window: &Window,
    moment: &str,
) -> Result<Stretch, IngestError> {
    let find = |name: &String| Cursor::find(columns, name, from);
    let column = find(&window.column)?;
    let key = window.key.as_ref().map(find).transpose()?;
    let mut stretch = Stretch {
        condition: "1 = 0".to_owned(),
        position: None,
        notes: notes(&column, key.as_ref()),
    };
    let mut conditions = after(&column, key.as_ref(), window.after.as_ref())?;
    if window.lag > 0 {
        match newest_allowed(session, from, &column, window.lag, moment).await? {
            Some(bound) => {
                conditions.push(format!("{} <= {}", column.name, column.literal(&bound)?))
            }
            None => return Ok(stretch),
        }
    }
    let Some(position) = last_row(session, from, &column, key.as_ref(), &conditions).await? else {
        return Ok(stretch);
    };
    conditions.push(format!(
        "{} <= {}",
        column.name,
        column.literal(&position.column)?
    ));
    stretch.condition = conditions.join(" AND ");
    stretch.position = Some(position);
    Ok(stretch)
}

/// A column that rows are put in order by.
struct Cursor {
    /// In SQL.
    name: String,
    label: String,
    order: Order,
    may_be_null: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Number,
    Time,
    Text,
}

impl Cursor {
    /// The column of this name in what is read, `from`.
    fn find(columns: &[Column], name: &str, from: &str) -> Result<Self, IngestError> {
        let column = columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                let known = columns.iter().map(|column| column.name.as_str());
                let place = match from.starts_with('(') {
                    true => "the query".to_owned(),
                    false => format!("table {}", from.replace('`', "")),
                };
                IngestError::no_such_column(name, &place, known)
            })?;
        let order = match column.kind {
            Kind::Integer { .. } | Kind::Decimal { .. } | Kind::Flag => Order::Number,
            Kind::Date | Kind::DateTime { .. } | Kind::Timestamp { .. } => Order::Time,
            Kind::Text | Kind::Uuid => Order::Text,
            _ => {
                return Err(IngestError::BadJob {
                    problem: format!(
                        "rows have no exact order by column `{name}`, which is `{}`; take one of integers, decimals, \
                         `date`, `datetime`, `timestamp` or texts as cursor and key",
                        column.type_name()
                    ),
                });
            }
        };
        Ok(Self {
            name: quote_name(&column.name),
            label: column.name.clone(),
            order,
            may_be_null: column.nullable,
        })
    }

    /// A value of the column, in SQL, from the server's text of it.
    fn literal(&self, text: &str) -> Result<String, IngestError> {
        let allowed = |more: &str| text.chars().all(|c| c.is_ascii_digit() || more.contains(c));
        match self.order {
            Order::Number if !text.is_empty() && allowed("-.") => Ok(text.to_owned()),
            Order::Time if !text.is_empty() && allowed("-:. ") => Ok(format!("'{text}'")),
            Order::Text => Ok(quote_text(text)),
            _ => Err(IngestError::BadJob {
                problem: format!(
                    "the position it got to is not one of column `{}`; begin the job anew",
                    self.label
                ),
            }),
        }
    }
}

fn notes(column: &Cursor, key: Option<&Cursor>) -> Vec<String> {
    let mut labels: Vec<&str> = [Some(column), key]
        .into_iter()
        .flatten()
        .filter(|cursor| cursor.may_be_null)
        .map(|cursor| cursor.label.as_str())
        .collect();
    labels.dedup();
    let note = |label| format!("rows whose `{label}` is null are not read");
    labels.into_iter().map(note).collect()
}

fn after(
    column: &Cursor,
    key: Option<&Cursor>,
    position: Option<&Position>,
) -> Result<Vec<String>, IngestError> {
    let name = &column.name;
    let mut conditions = Vec::new();
    if let Some(Cursor { name: key, .. }) = key {
        conditions.push(format!("{key} IS NOT NULL"));
    }
    let Some(position) = position else {
        conditions.push(format!("{name} IS NOT NULL"));
        return Ok(conditions);
    };
    let value = column.literal(&position.column)?;
    conditions.push(match (key, &position.key) {
        (Some(key), Some(last)) => {
            let last = key.literal(last)?;
            let key = &key.name;
            // The first half is what an index serves.
            format!("{name} >= {value} AND ({name} > {value} OR {key} > {last})")
        }
        _ => format!("{name} > {value}"),
    });
    Ok(conditions)
}

/// The newest value that is old enough: by the server's clock before the snapshot for times, else by the newest value there is.
async fn newest_allowed(
    session: &mut Session,
    from: &str,
    column: &Cursor,
    lag: u64,
    moment: &str,
) -> Result<Option<String>, IngestError> {
    let name = &column.name;
    let question = match column.order {
        Order::Time => {
            let moment = quote_text(moment);
            format!("SELECT CAST(CAST({moment} AS DATETIME(6)) - INTERVAL {lag} SECOND AS CHAR)")
        }
        // As a decimal, so that an unsigned number may fall below zero.
        Order::Number => {
            format!("SELECT CAST(CAST(MAX({name}) AS DECIMAL(65,15)) - {lag} AS CHAR) FROM {from}")
        }
        Order::Text => {
            return Err(IngestError::BadJob {
                problem: format!(
                    "column `{}` is text, and a lag needs numbers or times; leave the lag out",
                    column.label
                ),
            });
        }
    };
    let rows = session.ask(&question).await?;
    Ok(rows.into_iter().flatten().flatten().next())
}

async fn last_row(
    session: &mut Session,
    from: &str,
    column: &Cursor,
    key: Option<&Cursor>,
    conditions: &[String],
) -> Result<Option<Position>, IngestError> {
    let name = &column.name;
    let (shown, order) = match key {
        Some(Cursor { name: key, .. }) => {
            (format!(", CAST({key} AS CHAR)"), format!(", {key} DESC"))
        }
        None => (String::new(), String::new()),
    };
    let rows = session
        .ask(&format!(
            "SELECT CAST({name} AS CHAR){shown} FROM {from} WHERE {} ORDER BY {name} DESC{order} LIMIT 1",
            conditions.join(" AND ")
        ))
        .await?;
    let mut cells = rows.into_iter().flatten();
    Ok(cells.next().flatten().map(|column| Position {
        column,
        key: cells.next().flatten(),
    }))
}

#[cfg(test)]
mod tests {
    use mysql_async::{Column as WireColumn, consts::ColumnType};

    use super::*;
    use crate::TypeMode;

    #[test]
    fn a_cursor_is_a_column_with_an_exact_order() {
        let column = |column_type, name: &str| {
            let wire = WireColumn::new(column_type).with_name(name.as_bytes());
            Column::new(&wire, None, TypeMode::Exact)
        };
        let columns = [
            column(ColumnType::MYSQL_TYPE_TIME, "lasts"),
            column(ColumnType::MYSQL_TYPE_DATETIME, "at"),
            column(ColumnType::MYSQL_TYPE_DATE, "day"),
        ];
        let find = |name: &str| {
            let found = Cursor::find(&columns, name, "`shop`.`calls`");
            found
                .map(|cursor| cursor.order)
                .map_err(|error| error.to_string())
        };
        assert_eq!(find("at"), Ok(Order::Time));
        assert_eq!(find("DAY"), Ok(Order::Time));
        let told = find("lasts").unwrap_err();
        assert!(told.contains("which is `time`"), "{told}");
        assert!(told.contains("`date`, `datetime`, `timestamp`"), "{told}");
        assert_eq!(
            find("last").unwrap_err(),
            "the database has no column `last` in table shop.calls; did you mean `lasts`?"
        );
    }

    fn cursor(name: &str, order: Order) -> Cursor {
        Cursor {
            name: quote_name(name),
            label: name.to_owned(),
            order,
            may_be_null: false,
        }
    }

    fn check(key: Option<&str>, position: Option<(&str, Option<&str>)>, expected: &str) {
        let key = key.map(|key| cursor(key, Order::Number));
        let position = position.map(|(column, key)| Position {
            column: column.to_owned(),
            key: key.map(str::to_owned),
        });
        let conditions = after(&cursor("at", Order::Time), key.as_ref(), position.as_ref());
        assert_eq!(conditions.unwrap().join(" AND "), expected);
    }

    #[test]
    fn a_run_goes_on_right_after_the_last_row() {
        check(None, None, "`at` IS NOT NULL");
        check(None, Some(("2021-01-02", None)), "`at` > '2021-01-02'");
        check(
            Some("id"),
            Some(("2021-01-02", Some("7"))),
            "`id` IS NOT NULL AND `at` >= '2021-01-02' AND (`at` > '2021-01-02' OR `id` > 7)",
        );
    }

    #[test]
    fn a_row_without_a_key_is_never_read_and_that_is_said() {
        let first = "`id` IS NOT NULL AND `at` IS NOT NULL";
        check(Some("id"), None, first);
        let keyless = "`id` IS NOT NULL AND `at` > '2021-01-02'";
        check(Some("id"), Some(("2021-01-02", None)), keyless);
        let nullable = |name: &str, may_be_null| Cursor {
            may_be_null,
            ..cursor(name, Order::Number)
        };
        let said = |at, id| notes(&nullable("at", at), Some(&nullable("id", id)));
        let note = |name: &str| format!("rows whose `{name}` is null are not read");
        assert!(said(false, false).is_empty());
        assert_eq!(said(false, true), [note("id")]);
        assert_eq!(said(true, true), [note("at"), note("id")]);
        assert_eq!(notes(&nullable("at", true), None), [note("at")]);
    }

    #[test]
    fn a_position_of_another_kind_is_refused_and_never_run() {
        let wrong = [
            (Order::Number, "1; DROP TABLE a"),
            (Order::Number, ""),
            (Order::Time, "2021' OR '1'='1"),
        ];
        for (order, text) in wrong {
            let said = cursor("at", order).literal(text);
            assert!(matches!(said, Err(IngestError::BadJob { .. })), "{text}");
        }
        let text = cursor("name", Order::Text).literal("o'brien").unwrap();
        assert_eq!(text, "_utf8mb4 X'6F27627269656E'");
    }
}
