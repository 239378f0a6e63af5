//! How a table is cut into parts that are read side by side: ranges of the first column of its primary key.
//!
//! InnoDB keeps rows in the order of the primary key, so a range is read in one go, and a bound is found in
//! one step. Bounds of integers lie evenly between least and greatest; those of texts and bytes are keys that
//! follow even steps over all first letters. Where the bounds lie decides how even the parts are, never which
//! rows are read: each row lies between exactly two bounds by the server's own comparison, and the outermost
//! parts are open. No OFFSET anywhere.

use super::{
    catalog::TableFacts,
    session::Session,
    statement::{TableName, quote_bytes, quote_name, quote_text},
};
use crate::IngestError;

/// Rows that a part is meant to have.
const PART_ROWS: u64 = 250_000;

/// Fewer rows than this a connection are not worth one.
const LANE_ROWS: u64 = 10_000;

const MAX_PARTS: u64 = 1_024;

/// First letters of keys, in steps; where a server does not tell great letters from small ones, the second
/// half finds nothing new.
const LETTERS: &str = "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A table in parts, each a condition; one part without a condition is the whole.
pub(super) struct Parts {
    pub(super) conditions: Vec<String>,
    /// Why there are fewer than were wanted.
    pub(super) note: Option<String>,
}

impl Parts {
    /// One part, with the reason.
    pub(super) fn whole(note: Option<&str>) -> Self {
        Self {
            conditions: vec![String::new()],
            note: note.map(str::to_owned),
        }
    }
}

/// Cuts a table for so many connections.
pub(super) async fn cut(
    session: &mut Session,
    table: &TableName,
    facts: &TableFacts,
    lanes: usize,
) -> Result<Parts, IngestError> {
    let Some((key, key_type)) = facts.key.first() else {
        let note = "the table has no primary key, so it is read through one connection";
        return Ok(Parts::whole((lanes > 1).then_some(note)));
    };
    let key_name = quote_name(key);
    let rows = facts.rows.unwrap_or_default();
    let mut note = None;
    let bounds = match KeyKind::of(key_type) {
        Some(KeyKind::Integer) => between(session, table, &key_name, rows, lanes as u64).await?,
        Some(kind) if wanted(rows, lanes as u64) > 1 => {
            let bounds = stepped(session, table, &key_name, kind).await?;
            note = too_alike(key, kind, bounds.len() + 1, lanes);
            bounds
        }
        Some(_) => Vec::new(),
        None => {
            let note = format!(
                "the primary key begins with a `{key_type}`, which is not cut into ranges, so the table is \
                 read through one connection"
            );
            return Ok(Parts::whole((lanes > 1).then_some(&note)));
        }
    };
    Ok(Parts {
        conditions: conditions(&key_name, &bounds),
        note,
    })
}

/// Why a key makes no more parts, where those are fewer than connections.
fn too_alike(key: &str, kind: KeyKind, parts: usize, lanes: usize) -> Option<String> {
    let alike = match kind {
        KeyKind::Uuid => format!(
            "the UUIDs in `{key}` end too much alike, as those of version 1 from one machine do"
        ),
        _ => format!("the keys in `{key}` begin too much alike"),
    };
    match parts {
        _ if parts >= lanes => None,
        1 => Some(format!(
            "{alike}, to be cut into ranges, so the table is read through one connection"
        )),
        _ => Some(format!(
            "{alike}, to be cut into more than {parts} ranges, so the table is read through {parts} connections"
        )),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Integer,
    Text,
    Bytes,
    /// MariaDB puts the last digits first when it compares two.
    Uuid,
}

impl KeyKind {
    fn of(column_type: &str) -> Option<Self> {
        let name = column_type
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()?;
        match name {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Some(Self::Integer),
            "char" | "varchar" => Some(Self::Text),
            "uuid" => Some(Self::Uuid),
            "binary" | "varbinary" => Some(Self::Bytes),
            _ => None,
        }
    }
}

/// How many parts so many rows are worth.
fn wanted(rows: u64, lanes: u64) -> u64 {
    match rows >= lanes * LANE_ROWS {
        true => (rows / PART_ROWS).max(lanes).min(MAX_PARTS),
        false => 1,
    }
}

/// Bounds at even distances. The catalogue's count of rows may be old: where the keys have room for many more,
/// there is a part for each connection.
async fn between(
    session: &mut Session,
    table: &TableName,
    key: &str,
    rows: u64,
    lanes: u64,
) -> Result<Vec<String>, IngestError> {
    let ends = session
        .ask(&format!(
            "SELECT MIN({key}), MAX({key}) FROM {}",
            table.quoted()
        ))
        .await?;
    let ends: Vec<i128> = ends
        .iter()
        .flatten()
        .filter_map(|end| end.as_ref()?.parse().ok())
        .collect();
    let [least, greatest] = ends[..] else {
        return Ok(Vec::new());
    };
    let room = u64::try_from(greatest - least).unwrap_or(u64::MAX);
    let parts = match (wanted(rows, lanes), room >= lanes * LANE_ROWS) {
        (1, true) => lanes,
        (parts, _) => parts,
    };
    Ok(even_bounds(least, greatest, parts))
}

fn even_bounds(least: i128, greatest: i128, parts: u64) -> Vec<String> {
    let (room, parts) = (greatest - least, i128::from(parts));
    let mut bounds: Vec<i128> = (1..parts).map(|at| least + room * at / parts).collect();
    bounds.retain(|bound| *bound > least);
    bounds.dedup();
    bounds.iter().map(i128::to_string).collect()
}

/// Keys at or after even steps over first letters or bytes. The server says which of them lie after the least key and
/// after all the ones before, since only it knows the order.
async fn stepped(
    session: &mut Session,
    table: &TableName,
    key: &str,
    kind: KeyKind,
) -> Result<Vec<String>, IngestError> {
    let steps: Vec<String> = match kind {
        KeyKind::Bytes => (1..32).map(|step| quote_bytes(&[step * 8])).collect(),
        KeyKind::Uuid => (1..16)
            .map(|digit| format!("'{digit:x}0000000-0000-4000-8000-{digit:x}00000000000'"))
            .collect(),
        KeyKind::Text | KeyKind::Integer => LETTERS
            .chars()
            .map(|letter| quote_text(&letter.to_string()))
            .collect(),
    };
    let (shown, literal) = match kind {
        KeyKind::Bytes => (format!("HEX({key})"), "X"),
        _ => (format!("HEX(CONVERT({key} USING utf8mb4))"), "_utf8mb4 X"),
    };
    let from = table.quoted();
    let mut bounds: Vec<String> = Vec::new();
    for step in steps {
        let before = match bounds.last() {
            Some(bound) => bound.clone(),
            None => format!("(SELECT {key} FROM {from} ORDER BY {key} LIMIT 1)"),
        };
        let found = session
            .ask(&format!(
                "SELECT {shown}, {key} > {before} FROM {from} WHERE {key} >= {step} ORDER BY {key} LIMIT 1"
            ))
            .await?;
        if let Some([Some(hex), Some(later)]) = found.first().map(Vec::as_slice)
            && later == "1"
        {
            bounds.push(format!("{literal}'{hex}'"));
        }
    }
    Ok(bounds)
}

fn conditions(key: &str, bounds: &[String]) -> Vec<String> {
    let (Some(first), Some(last)) = (bounds.first(), bounds.last()) else {
        return vec![String::new()];
    };
    let mut conditions = vec![format!("{key} < {first}")];
    for pair in bounds.windows(2) {
        conditions.push(format!("{key} >= {} AND {key} < {}", pair[0], pair[1]));
    }
    conditions.push(format!("{key} >= {last}"));
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_integers_are_even_and_each_is_there_once() {
        assert_eq!(even_bounds(1, 101, 4), ["26", "51", "76"]);
        assert_eq!(even_bounds(1, 2, 4), Vec::<String>::new());
        assert_eq!(even_bounds(1, 3, 4), ["2"]);
        assert_eq!(even_bounds(-100, 100, 2), ["0"]);
        let wide = even_bounds(i128::from(i64::MIN), i128::from(u64::MAX), 2);
        assert_eq!(wide, ["4611686018427387903"]);
    }

    #[test]
    fn every_key_lies_in_exactly_one_part() {
        let check = |bounds: &[&str], expected: &[&str]| {
            let bounds: Vec<_> = bounds.iter().map(|bound| (*bound).to_owned()).collect();
            assert_eq!(conditions("k", &bounds), expected);
        };
        check(&[], &[""]);
        check(&["5"], &["k < 5", "k >= 5"]);
        check(&["5", "9"], &["k < 5", "k >= 5 AND k < 9", "k >= 9"]);
    }

    #[test]
    fn few_rows_are_one_part_and_many_are_more_than_connections() {
        assert_eq!(wanted(39_999, 4), 1);
        assert_eq!(wanted(40_000, 4), 4);
        assert_eq!(wanted(10_000_000, 4), 40);
        assert_eq!(wanted(u64::MAX, 4), MAX_PARTS);
    }

    #[test]
    fn keys_that_make_fewer_ranges_than_connections_are_told() {
        let told = |kind, parts| too_alike("id", kind, parts, 4);
        assert_eq!(told(KeyKind::Text, 4), None);
        assert_eq!(told(KeyKind::Bytes, 60), None);
        let one = told(KeyKind::Uuid, 1).unwrap();
        assert!(
            one.contains("version 1") && one.ends_with("through one connection"),
            "{one}"
        );
        let two = told(KeyKind::Text, 2).unwrap();
        assert!(
            two.contains("`id` begin") && two.ends_with("through 2 connections"),
            "{two}"
        );
    }

    #[test]
    fn only_keys_with_cheap_bounds_are_cut() {
        for (column_type, expected) in [
            ("bigint(20) unsigned", Some(KeyKind::Integer)),
            ("int", Some(KeyKind::Integer)),
            ("char(36)", Some(KeyKind::Text)),
            ("binary(16)", Some(KeyKind::Bytes)),
            ("uuid", Some(KeyKind::Uuid)),
            ("datetime(6)", None),
            ("decimal(10,2)", None),
        ] {
            assert_eq!(KeyKind::of(column_type), expected, "{column_type}");
        }
    }
}
