//! The stretch of rows that an incremental run reads.
//!
//! The end is found first, as the last row in the order of (column, key) that is old enough, in the snapshot that
//! is read; the rows are those after the start up to that one. Both ends are conditions that an index on the
//! column, or on column and key, serves. Values stand in them in the server's own text, cast to the column's
//! type. A row whose column or key is null has no place in the order and is not read; nor is one whose column is
//! infinite or not a number, as nothing would come after it.

use tokio_postgres::types::Type;

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
            let known = columns.iter().map(|column| column.name.as_str());
            found.ok_or_else(|| IngestError::no_such_column(name, &shown(source), known))
        };
        let column = named(&window.column)?;
        let key = window.key.as_deref().map(named).transpose()?;
        let base = Base::of(session, column).await?;
        let order = Order::new(column, key, base.limits(session.version));
        order.check(window.after.as_ref())?;
        let start = window.after.as_ref().map(|after| order.after(after));
        let start = start.unwrap_or_default();
        let age = order.age(from, base.is_time, window.lag);
        let last = order.last(session, from, &[&start, &age]).await?;
        let conditions = match &last {
            Some(last) => {
                let end = order.up_to(last);
                let stated: Vec<&str> = [order.placed.as_str(), &start, &end]
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
    /// What keeps the column from having a last value.
    unplaced: Option<&'static str>,
    /// The condition that a row has a place in the order.
    placed: String,
}

/// Values of a type between which a place in the order is: infinities, or NaN, which the server sorts last.
struct Limits {
    source_type: &'static str,
    lower: Option<&'static str>,
    upper: &'static str,
    /// What lies on or outside the limits.
    unplaced: &'static str,
}

/// The type of a column, or below its domain.
struct Base {
    oid: u32,
    /// Whether it is a date or a time.
    is_time: bool,
}

const BASE: &str = "
    WITH RECURSIVE base(oid, below, category) AS (
        SELECT t.oid, t.typbasetype, t.typcategory FROM pg_catalog.pg_type t WHERE t.oid = $1
        UNION ALL SELECT t.oid, t.typbasetype, t.typcategory
        FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.below)
    SELECT oid, category = 'D' FROM base WHERE below = 0";

/// The versions from which numbers and intervals may be infinite.
const INFINITE_NUMERIC: u32 = 140_000;
const INFINITE_INTERVAL: u32 = 170_000;

impl Base {
    async fn of(session: &mut Session, column: &Column) -> Result<Self, IngestError> {
        let row = session.query_one(BASE, &[&column.typed.oid]).await;
        let row = row.map_err(Failure::at_work)?;
        let base = || {
            Ok(Self {
                oid: get(&row, 0)?,
                is_time: get(&row, 1)?,
            })
        };
        base().map_err(Failure::at_work)
    }

    /// None where every value may be followed by a greater one.
    fn limits(&self, version: u32) -> Option<Limits> {
        let infinite = |source_type, unplaced| Limits {
            source_type,
            lower: Some("-infinity"),
            upper: "infinity",
            unplaced,
        };
        let either = "infinite or not a number";
        Some(match Type::from_oid(self.oid)? {
            Type::DATE => infinite("date", "infinite"),
            Type::TIMESTAMP => infinite("timestamp", "infinite"),
            Type::TIMESTAMPTZ => infinite("timestamptz", "infinite"),
            Type::INTERVAL if version >= INFINITE_INTERVAL => infinite("interval", "infinite"),
            Type::FLOAT4 => infinite("float4", either),
            Type::FLOAT8 => infinite("float8", either),
            Type::NUMERIC if version >= INFINITE_NUMERIC => infinite("numeric", either),
            Type::NUMERIC => Limits {
                source_type: "numeric",
                lower: None,
                upper: "NaN",
                unplaced: "not a number",
            },
            _ => return None,
        })
    }
}

fn value(column: &Column, text: &str) -> String {
    format!("{}::{}", literal(text), column.source_type)
}

impl<'a> Order<'a> {
    fn new(column: &'a Column, key: Option<&'a Column>, limits: Option<Limits>) -> Self {
        let mut placed = vec![format!("{} IS NOT NULL", column.sql)];
        placed.extend(key.map(|key| format!("{} IS NOT NULL", key.sql)));
        if let Some(limits) = &limits {
            // Comparisons, not `isfinite`, so that an index passes over what may be most of the rows.
            let limit = |sign: &str, limit: &str| {
                format!("{} {sign} '{limit}'::{}", column.sql, limits.source_type)
            };
            placed.extend(limits.lower.map(|lower| limit(">", lower)));
            placed.push(limit("<", limits.upper));
        }
        Self {
            column,
            key,
            unplaced: limits.map(|limits| limits.unplaced),
            placed: placed.join(" AND "),
        }
    }

    /// Refuses a start behind which no row can come: earlier releases took infinities and NaN for places.
    fn check(&self, after: Option<&Position>) -> Result<(), IngestError> {
        let ends = ["infinity", "nan"];
        let is_end = |after: &Position| {
            ends.iter()
                .any(|end| after.column.eq_ignore_ascii_case(end))
        };
        let Some(unplaced) = self.unplaced.filter(|_| after.is_some_and(is_end)) else {
            return Ok(());
        };
        Err(IngestError::BadJob {
            problem: format!(
                "it stands at a row whose `{}` is {unplaced}, behind which none can come; begin anew with mode `replace`, or give the job another name",
                self.column.name
            ),
        })
    }

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
        let (key, by_key) = match self.key {
            Some(key) => (
                format!("({})::text", key.sql),
                format!(", {} DESC", key.sql),
            ),
            None => ("NULL::text".to_owned(), String::new()),
        };
        let all: Vec<&str> = [&*self.placed]
            .into_iter()
            .chain(conditions.iter().copied())
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
        let nulls =
            may_be_null.map(|column| format!("rows whose `{}` is null are not read", column.name));
        let unplaced = self.unplaced.map(|unplaced| {
            let name = &self.column.name;
            format!("rows whose `{name}` is {unplaced} are not read")
        });
        nulls.chain(unplaced).collect()
    }

    /// The condition that a row is old enough; empty if any is.
    fn age(&self, from: &str, is_time: bool, lag: u64) -> String {
        let (column, placed) = (&self.column.sql, &self.placed);
        match (lag, is_time) {
            (0, _) => String::new(),
            (_, true) => format!("{column} <= now() - make_interval(secs => {lag})"),
            (_, false) => {
                format!("{column} <= (SELECT max({column}) - {lag} FROM {from} WHERE {placed})")
            }
        }
    }
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
        let both = Order::new(&at, Some(&id), None);
        assert_eq!(
            both.after(&position),
            "(q.at, q.id) > ('2024-01-01 00:00:00+00'::timestamp with time zone, 'o''neil'::text)"
        );
        let alone = Order::new(&at, None, None);
        let expected = "q.at <= '2024-01-01 00:00:00+00'::timestamp with time zone";
        assert_eq!(alone.up_to(&position), expected);
    }

    #[track_caller]
    fn check_placed(oid: u32, version: u32, condition: &str, note: Option<&str>) {
        let (at, id) = (column("at", "some_domain"), column("id", "text"));
        let base = Base {
            oid,
            is_time: false,
        };
        let order = Order::new(&at, Some(&id), base.limits(version));
        let expected = format!("q.at IS NOT NULL AND q.id IS NOT NULL{condition}");
        assert_eq!(order.placed, expected);
        assert_eq!(order.notes(), Vec::from_iter(note));
    }

    #[test]
    fn rows_without_a_place_are_left_out() {
        check_placed(Type::INT8.oid(), 150_000, "", None);
        check_placed(Type::INTERVAL.oid(), 150_000, "", None);
        check_placed(
            Type::TIMESTAMPTZ.oid(),
            150_000,
            " AND q.at > '-infinity'::timestamptz AND q.at < 'infinity'::timestamptz",
            Some("rows whose `at` is infinite are not read"),
        );
        check_placed(
            Type::FLOAT4.oid(),
            150_000,
            " AND q.at > '-infinity'::float4 AND q.at < 'infinity'::float4",
            Some("rows whose `at` is infinite or not a number are not read"),
        );
        check_placed(
            Type::NUMERIC.oid(),
            130_000,
            " AND q.at < 'NaN'::numeric",
            Some("rows whose `at` is not a number are not read"),
        );
    }

    #[test]
    fn a_start_behind_which_nothing_comes_is_refused_with_a_way_out() {
        let at = column("at", "double precision");
        let check = |oid: Type, text: &str| {
            let base = Base {
                oid: oid.oid(),
                is_time: false,
            };
            let position = Position {
                column: text.to_owned(),
                key: None,
            };
            let order = Order::new(&at, None, base.limits(150_000));
            order
                .check(Some(&position))
                .map_err(|error| error.to_string())
        };
        for text in ["Infinity", "infinity", "NaN"] {
            let told = check(Type::FLOAT8, text).unwrap_err();
            assert!(
                told.contains("`at`") && told.contains("mode `replace`"),
                "{told}"
            );
        }
        assert_eq!(check(Type::FLOAT8, "-Infinity"), Ok(()));
        assert_eq!(check(Type::TEXT, "NaN"), Ok(()));
    }

    #[test]
    fn the_age_of_numbers_is_that_of_rows_with_a_place() {
        let n = column("n", "bigint");
        let order = Order::new(&n, None, None);
        assert_eq!(order.age("t AS q", false, 0), "");
        let expected = "q.n <= (SELECT max(q.n) - 5 FROM t AS q WHERE q.n IS NOT NULL)";
        assert_eq!(order.age("t AS q", false, 5), expected);
        let expected = "q.n <= now() - make_interval(secs => 5)";
        assert_eq!(order.age("t AS q", true, 5), expected);
    }
}
