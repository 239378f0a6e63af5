//! The stretch of rows that an incremental run reads.
//!
//! The end is found first, as the last row in the order of (column, key) that is old enough, in the snapshot that
//! is read; the rows are those after the start up to that one. Both ends are conditions that an index on the
//! column, or on column and key, serves. Values stand in them in the server's own text, cast to the column's
//! type. A row whose column or key is null has no place in the order and is not read.

use crate::{IngestError, Position, Window};

use super::{
    failure::Failure,
    parts::filter,
    plan::Column,
    session::{Session, get},
    source::{Source, literal},
};

/// A stretch of a source.
pub(super) struct Stretch {
    /// Joined by `AND`; empty for all rows.
    pub(super) conditions: String,
    /// Whether an index leads to the rows, as it does once there is a start.
    pub(super) by_index: bool,
    /// The last row; none if there is none, or no window.
    pub(super) position: Option<Position>,
    /// What a reader of the rows should know.
    pub(super) notes: Vec<String>,
}

impl Stretch {
    /// All rows.
    pub(super) fn all() -> Self {
        Self {
            conditions: String::new(),
            by_index: false,
            position: None,
            notes: Vec::new(),
        }
    }

    /// The rows of a window.
    pub(super) async fn find(
        session: &mut Session,
        source: &Source,
        from: &str,
        columns: &[Column],
        window: &Window,
    ) -> Result<Self, IngestError> {
        let named = |name: &str| {
            let found = columns.iter().find(|column| column.name == name);
            found.ok_or_else(|| IngestError::NoSuchTable {
                what: format!("column `{name}` in {}", shown(source)),
            })
        };
        let column = named(&window.column)?;
        let key = window.key.as_deref().map(named).transpose()?;
        let order = Order { column, key };
        let start = window.after.as_ref().map(|after| order.after(after));
        let start = start.unwrap_or_default();
        let age = age(session, from, column, window.lag).await?;
        let last = order.last(session, from, &[&start, &age]).await?;
        let conditions = match &last {
            Some(last) => {
                let end = order.up_to(last);
                let stated: Vec<&str> = [start.as_str(), &end]
                    .into_iter()
                    .filter(|one| !one.is_empty())
                    .collect();
                stated.join(" AND ")
            }
            None => "false".to_owned(),
        };
        Ok(Self {
            conditions,
            by_index: window.after.is_some() || last.is_none(),
            position: last,
            notes: order.notes(),
        })
    }
}

fn shown(source: &Source) -> String {
    match source {
        Source::Table { name, .. } => format!("table {name}").replace('"', ""),
        Source::Query(_) => "the query".to_owned(),
    }
}

/// The order in which a job goes through the rows.
struct Order<'a> {
    column: &'a Column,
    key: Option<&'a Column>,
}

fn value(column: &Column, text: &str) -> String {
    format!("{}::{}", literal(text), column.source_type)
}

impl Order<'_> {
    /// Both sides of a comparison with a position: with its key where both have one.
    fn compared(&self, sign: &str, position: &Position) -> String {
        let column = value(self.column, &position.column);
        match (self.key, &position.key) {
            (Some(key), Some(text)) => {
                let key_value = value(key, text);
                format!(
                    "({}, {}) {sign} ({column}, {key_value})",
                    self.column.sql, key.sql
                )
            }
            _ => format!("{} {sign} {column}", self.column.sql),
        }
    }

    fn after(&self, position: &Position) -> String {
        self.compared(">", position)
    }

    fn up_to(&self, position: &Position) -> String {
        self.compared("<=", position)
    }

    /// The last row under some conditions.
    async fn last(
        &self,
        session: &mut Session,
        from: &str,
        conditions: &[&str],
    ) -> Result<Option<Position>, IngestError> {
        let column = &self.column.sql;
        let present = format!("{column} IS NOT NULL");
        let (key, key_present, by_key) = match self.key {
            Some(key) => (
                format!("({})::text", key.sql),
                format!("{} IS NOT NULL", key.sql),
                format!(", {} DESC", key.sql),
            ),
            None => ("NULL::text".to_owned(), String::new(), String::new()),
        };
        let all: Vec<&str> = conditions
            .iter()
            .copied()
            .chain([&*present, &*key_present])
            .collect();
        let sql = format!(
            "SELECT ({column})::text, {key} FROM {from}{} ORDER BY {column} DESC{by_key} LIMIT 1",
            filter(&all)
        );
        let rows = session.query(&sql, &[]).await.map_err(Failure::at_work)?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let position = || {
            Ok(Position {
                column: get(row, 0)?,
                key: get(row, 1)?,
            })
        };
        position().map(Some).map_err(Failure::at_work)
    }

    fn notes(&self) -> Vec<String> {
        let may_be_null = [Some(self.column), self.key].into_iter().flatten();
        let may_be_null = may_be_null.filter(|column| !column.not_null);
        may_be_null
            .map(|column| format!("rows whose `{}` is null are not read", column.name))
            .collect()
    }
}

/// The condition that a row is old enough; empty if any is.
async fn age(
    session: &mut Session,
    from: &str,
    column: &Column,
    lag: u64,
) -> Result<String, IngestError> {
    if lag == 0 {
        return Ok(String::new());
    }
    let sql = "SELECT typcategory = 'D' FROM pg_catalog.pg_type WHERE oid = $1";
    let row = session.query_one(sql, &[&column.typed.oid]).await;
    let is_time = row
        .and_then(|row| get::<bool>(&row, 0))
        .map_err(Failure::at_work)?;
    let column = &column.sql;
    Ok(match is_time {
        true => format!("{column} <= now() - make_interval(secs => {lag})"),
        false => format!("{column} <= (SELECT max({column}) - {lag} FROM {from})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::types::Typed;

    fn column(name: &str, source_type: &str) -> Column {
        Column {
            name: name.to_owned(),
            sql: format!("q.{name}"),
            typed: Typed {
                oid: 23,
                modifier: -1,
                depth: 0,
            },
            not_null: true,
            source_type: source_type.to_owned(),
        }
    }

    #[test]
    fn positions_are_compared_as_rows_and_quoted() {
        let (at, id) = (
            column("at", "timestamp with time zone"),
            column("id", "text"),
        );
        let position = Position {
            column: "2024-01-01 00:00:00+00".to_owned(),
            key: Some("o'neil".to_owned()),
        };
        let both = Order {
            column: &at,
            key: Some(&id),
        };
        assert_eq!(
            both.after(&position),
            "(q.at, q.id) > ('2024-01-01 00:00:00+00'::timestamp with time zone, 'o''neil'::text)"
        );
        let alone = Order {
            column: &at,
            key: None,
        };
        let expected = "q.at <= '2024-01-01 00:00:00+00'::timestamp with time zone";
        assert_eq!(alone.up_to(&position), expected);
    }
}
