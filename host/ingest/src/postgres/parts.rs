//! The parts in which a source is read.
//!
//! A table that lies in pages is read in ranges of them: every row version of the snapshot has one place, and
//! places do not change while the table is locked against being rewritten. The last range has no end, since the
//! table may grow. The same ranges hold for all partitions at once, so that the rights and row policies of the
//! table that was named are those that count. Everything else is one part. Nothing is read by OFFSET.

use super::{
    failure::Failure,
    session::{Session, get},
    source::Source,
    window::Stretch,
};

/// Pages a part: about 32 MiB.
const PART_BYTES: u64 = 32 << 20;

/// The version from which ranges of places are scanned as such.
const RANGE_SCANS: u32 = 140_000;

/// Most pages of a table.
const MAX_PAGES: u64 = u32::MAX as u64;

/// A table and all that inherit from it.
const TREE: &str = "
    WITH RECURSIVE tree(oid) AS (
        SELECT $1::text::regclass::oid
        UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree t ON i.inhparent = t.oid)";

/// Whether rows were ever counted wherever there are any. Before version 14 none counted and none there are the same.
const IS_COUNTED: &str = "
    SELECT coalesce(bool_and(c.relkind = 'p' OR c.reltuples > 0 OR pg_catalog.pg_relation_size(c.oid) = 0), false)
    FROM tree JOIN pg_catalog.pg_class c USING (oid)";

/// What lies where.
const PAGES: &str = "
    SELECT c.relkind = 'p', coalesce(a.amname = 'heap', false),
        coalesce(pg_catalog.pg_relation_size(c.oid), 0) / current_setting('block_size')::int8,
        current_setting('block_size')::int8
    FROM tree JOIN pg_catalog.pg_class c USING (oid) LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam";

/// How a source is divided.
pub(super) struct Layout {
    /// First page of each part, and the first page after it; the last has no end.
    pub(super) ranges: Vec<(u64, Option<u64>)>,
    /// About how many rows there are.
    pub(super) estimated_rows: Option<u64>,
    /// Something to know.
    pub(super) note: Option<String>,
}

/// Divides what is read of a source.
pub(super) async fn layout(
    session: &mut Session,
    source: &Source,
    stretch: &Stretch,
) -> Result<Layout, Failure> {
    let mut layout = Layout {
        ranges: vec![(0, None)],
        estimated_rows: None,
        note: None,
    };
    let Source::Table { name, kind } = source else {
        return Ok(layout);
    };
    if row_security(session, name).await? {
        layout.note = Some("row security limits which rows this user sees".to_owned());
    }
    if matches!(kind.as_str(), "r" | "p" | "m") {
        layout.estimated_rows = estimate(session, source, name, &stretch.conditions).await?;
        // Ranges of pages would keep an index from being used.
        if session.version >= RANGE_SCANS && !stretch.by_index {
            layout.ranges = page_ranges(session, name).await?;
        }
    }
    Ok(layout)
}

async fn row_security(session: &mut Session, name: &str) -> Result<bool, Failure> {
    let sql = "SELECT pg_catalog.row_security_active($1::text::regclass)";
    let row = session.query_one(sql, &[&name]).await?;
    get(&row, 0)
}

/// What the server's planner expects; none where it would have to guess by the width of the columns.
async fn estimate(
    session: &mut Session,
    source: &Source,
    name: &str,
    conditions: &str,
) -> Result<Option<u64>, Failure> {
    let counted = format!("{TREE}{IS_COUNTED}");
    let counted = session.query_one(&counted, &[&name]).await?;
    if !get::<bool>(&counted, 0)? {
        return Ok(None);
    }
    let sql = format!(
        "EXPLAIN (FORMAT JSON) SELECT FROM {}{}",
        source.in_from(0),
        filter(&[conditions])
    );
    let said = session.text(&sql).await?.unwrap_or_default();
    let plan: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
    Ok(plan[0]["Plan"]["Plan Rows"].as_u64())
}

async fn page_ranges(
    session: &mut Session,
    name: &str,
) -> Result<Vec<(u64, Option<u64>)>, Failure> {
    let mut pages = Vec::new();
    let mut page_bytes = 8_192;
    for row in session.query(&format!("{TREE}{PAGES}"), &[&name]).await? {
        let (is_parent, is_heap): (bool, bool) = (get(&row, 0)?, get(&row, 1)?);
        if !is_parent && !is_heap {
            return Ok(vec![(0, None)]);
        }
        pages.push(get::<i64>(&row, 2)?.unsigned_abs());
        page_bytes = get::<i64>(&row, 3)?.unsigned_abs().max(1);
    }
    Ok(ranges(&pages, PART_BYTES / page_bytes))
}

/// Ranges that hold about so many pages each of all tables together.
fn ranges(pages: &[u64], part_pages: u64) -> Vec<(u64, Option<u64>)> {
    let below = |end: u64| pages.iter().map(|pages| (*pages).min(end)).sum::<u64>();
    let total = below(u64::MAX);
    let count = total.div_ceil(part_pages.max(1)).max(1);
    let longest = pages.iter().copied().max().unwrap_or(0).min(MAX_PAGES);
    let mut starts = vec![0];
    for part in 1..count {
        // The first end below which there are enough pages; `below` grows.
        let wanted = total / count * part;
        let (mut low, mut high) = (0, longest);
        while low < high {
            let middle = low + (high - low) / 2;
            match below(middle) < wanted {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        if starts.last().is_some_and(|last| *last < low) {
            starts.push(low);
        }
    }
    let ends = starts.iter().skip(1).copied().map(Some).chain([None]);
    starts.iter().copied().zip(ends).collect()
}

/// A `WHERE` of all conditions that are not empty.
pub(super) fn filter(conditions: &[&str]) -> String {
    let stated: Vec<&str> = conditions
        .iter()
        .copied()
        .filter(|one| !one.is_empty())
        .collect();
    match stated.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", stated.join(" AND ")),
    }
}

/// The statement of each part.
pub(super) fn statements(
    select: &str,
    conditions: &str,
    ranges: &[(u64, Option<u64>)],
) -> Vec<String> {
    let place = |page: u64| format!("'({page},0)'::tid");
    let statement = |(start, end): &(u64, Option<u64>)| {
        let from = match start {
            0 => String::new(),
            start => format!("q.ctid >= {}", place(*start)),
        };
        let to = end.map_or_else(String::new, |end| format!("q.ctid < {}", place(end)));
        let filter = filter(&[conditions, &from, &to]);
        format!("COPY ({select}{filter}) TO STDOUT (FORMAT binary)")
    };
    ranges.iter().map(statement).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_in_one_range() {
        for (pages, part, expected) in [
            (&[0][..], 4, vec![(0, None)]),
            (&[4], 4, vec![(0, None)]),
            (&[8], 4, vec![(0, Some(4)), (4, None)]),
            (&[0, 10, 2], 4, vec![(0, Some(2)), (2, Some(6)), (6, None)]),
            (&[1, 1, 1, 1, 1, 1], 2, vec![(0, Some(1)), (1, None)]),
            (&[], 4, vec![(0, None)]),
        ] {
            assert_eq!(ranges(pages, part), expected, "{pages:?}");
        }
        let many = ranges(&[1_000_000, 7, 3_000], 4_096);
        assert_eq!(many[0].0, 0);
        assert!(
            many.windows(2)
                .all(|pair| pair[0].1 == Some(pair[1].0) && pair[0].0 < pair[1].0)
        );
        assert_eq!(many.last().map(|last| last.1), Some(None));
        assert_eq!(many.len(), 245);
    }

    #[test]
    fn statements_say_the_conditions_and_the_places() {
        let parts = statements(
            "SELECT q.a FROM t AS q",
            "q.a > 1",
            &[(0, Some(4)), (4, None)],
        );
        assert_eq!(
            parts,
            [
                "COPY (SELECT q.a FROM t AS q WHERE q.a > 1 AND q.ctid < '(4,0)'::tid) TO STDOUT (FORMAT binary)",
                "COPY (SELECT q.a FROM t AS q WHERE q.a > 1 AND q.ctid >= '(4,0)'::tid) TO STDOUT (FORMAT binary)",
            ]
        );
    }
}
