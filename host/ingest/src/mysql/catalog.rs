//! What the server's catalogue says about tables and their columns.
//!
//! A result tells for each column from which column of which table it comes, if it does. Only that way round
//! are the catalogue's words used: what a computation gives is told by the wire alone.

use std::collections::HashMap;

use mysql_async::Column as WireColumn;

use super::{
    session::Session,
    statement::{TableName, quote_text},
};
use crate::IngestError;

/// Columns that are looked at for the one that somebody may have meant.
const MOST_COLUMNS: usize = 5_000;

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// In the server's words, for example `decimal(10,2)`.
    pub(super) column_type: String,
    /// Whether it holds JSON only.
    pub(super) is_json: bool,
}

impl Origin {
    /// A column of this type.
    pub(super) fn of_type(column_type: &str) -> Self {
        Self {
            column_type: column_type.to_owned(),
            is_json: column_type == "json",
        }
    }

    /// Whether its values are truth values: so `BOOLEAN` is spelled out by the server.
    pub(super) fn is_flag(&self) -> bool {
        self.column_type == "tinyint(1)"
    }

    /// Whether its values are UUIDs.
    pub(super) fn is_uuid(&self) -> bool {
        self.column_type == "uuid"
    }

    /// What an enum or a set can hold, in order.
    pub(super) fn labels(&self) -> Vec<String> {
        let list = ["enum(", "set("]
            .iter()
            .find_map(|kind| self.column_type.strip_prefix(kind))
            .and_then(|list| list.strip_suffix(')'));
        let mut labels = Vec::new();
        let mut rest = list.unwrap_or_default();
        while let Some((label, after)) = next_label(rest) {
            labels.push(label);
            rest = after.strip_prefix(',').unwrap_or_default();
        }
        labels
    }
}

fn next_label(text: &str) -> Option<(String, &str)> {
    let mut label = String::new();
    let mut chars = text.strip_prefix('\'')?.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\'' {
            match chars.next_if(|(_, next)| *next == '\'') {
                Some(_) => label.push('\''),
                None => return Some((label, &text[at + 2..])),
            }
        } else {
            label.push(c);
        }
    }
    None
}

/// What is known of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TableFacts {
    /// `InnoDB` and others; none for views.
    pub(super) engine: Option<String>,
    /// About how many.
    pub(super) rows: Option<u64>,
    /// Columns of the primary key, in order, with their types.
    pub(super) key: Vec<(String, String)>,
    /// Whether the server keeps earlier states of its rows beside the current ones.
    pub(super) is_versioned: bool,
}

impl TableFacts {
    /// Whether a transaction sees a snapshot of the table.
    pub(super) fn has_snapshots(&self) -> bool {
        let engine = self.engine.as_deref().unwrap_or("InnoDB");
        ["InnoDB", "RocksDB", "TokuDB"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(engine))
    }
}

/// What the catalogue says about a table or view.
pub(super) async fn table_facts(
    session: &mut Session,
    name: &TableName,
) -> Result<TableFacts, IngestError> {
    let place = place("TABLE_SCHEMA", name);
    let rows = session
        .ask(&format!(
            "SELECT ENGINE, TABLE_ROWS, TABLE_TYPE FROM information_schema.TABLES WHERE {place}"
        ))
        .await?;
    let Some(row) = rows.into_iter().next() else {
        return Ok(TableFacts::default());
    };
    let [engine, count, table_type] = cells(row);
    let key = session
        .ask(&format!(
            "SELECT s.COLUMN_NAME, c.COLUMN_TYPE \
             FROM (SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, SEQ_IN_INDEX \
                   FROM information_schema.STATISTICS WHERE {place} AND INDEX_NAME = 'PRIMARY') s \
             JOIN information_schema.COLUMNS c USING (TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME) \
             ORDER BY s.SEQ_IN_INDEX"
        ))
        .await?;
    let key = key
        .into_iter()
        .map(cells)
        .filter_map(|[name, kind]| name.zip(kind));
    Ok(TableFacts {
        engine,
        rows: count.and_then(|count| count.parse().ok()),
        key: key.collect(),
        is_versioned: table_type.as_deref() == Some("SYSTEM VERSIONED"),
    })
}

/// All columns of a table in its order, those too that `SELECT *` does not show.
pub(super) async fn column_names(
    session: &mut Session,
    table: &TableName,
) -> Result<Vec<String>, IngestError> {
    let rows = session
        .ask(&format!(
            "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE {} ORDER BY ORDINAL_POSITION",
            place("TABLE_SCHEMA", table)
        ))
        .await?;
    let found = rows.into_iter().map(cells);
    let found: Vec<(String, String)> = found
        .filter_map(|[table, column]| table.zip(column))
        .collect();
    // A catalogue may tell great letters from small ones less well than the server tells tables.
    let is_there = found.iter().any(|(name, _)| *name == table.table);
    let of_table =
        |(name, column): (String, String)| (!is_there || name == table.table).then_some(column);
    Ok(found.into_iter().filter_map(of_table).collect())
}

/// Columns of the tables of the default database whose names a query holds.
pub(super) async fn columns_for(
    session: &mut Session,
    query: &str,
) -> Result<Vec<String>, IngestError> {
    let rows = session
        .ask(&format!(
            "SELECT DISTINCT COLUMN_NAME FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = DATABASE() AND LOCATE(TABLE_NAME, {}) > 0 LIMIT {MOST_COLUMNS}",
            quote_text(query)
        ))
        .await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// The columns of tables that the columns of a result show, by the place in the result.
pub(super) async fn origins(
    session: &mut Session,
    result: &[WireColumn],
) -> Result<Vec<Option<Origin>>, IngestError> {
    let mut tables: HashMap<TableName, HashMap<String, Origin>> = HashMap::new();
    let mut origins = Vec::with_capacity(result.len());
    for column in result {
        if column.org_table_ref().is_empty() || column.org_name_ref().is_empty() {
            origins.push(None);
            continue;
        }
        let table = shown_table(column);
        if !tables.contains_key(&table) {
            let columns = table_columns(session, &table).await?;
            tables.insert(table.clone(), columns);
        }
        let columns = tables.get(&table);
        origins.push(columns.and_then(|columns| columns.get(&*column.org_name_str()).cloned()));
    }
    Ok(origins)
}

/// The tables that a result shows, each once.
pub(super) fn shown_tables(result: &[WireColumn]) -> Vec<TableName> {
    let mut tables = Vec::new();
    for column in result
        .iter()
        .filter(|column| !column.org_table_ref().is_empty())
    {
        let table = shown_table(column);
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    tables
}

fn shown_table(column: &WireColumn) -> TableName {
    TableName {
        schema: Some(column.schema_str().into_owned()).filter(|schema| !schema.is_empty()),
        table: column.org_table_str().into_owned(),
    }
}

async fn table_columns(
    session: &mut Session,
    table: &TableName,
) -> Result<HashMap<String, Origin>, IngestError> {
    let rows = session
        .ask(&format!(
            "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS WHERE {}",
            place("TABLE_SCHEMA", table)
        ))
        .await?;
    let mut columns: HashMap<_, _> = rows
        .into_iter()
        .map(cells)
        .filter_map(|[name, kind]| Some((name?, Origin::of_type(&kind?))))
        .collect();
    for name in json_columns(session, table).await? {
        if let Some(column) = columns.get_mut(&name) {
            column.is_json = true;
        }
    }
    Ok(columns)
}

/// MariaDB's JSON is text with a check of the name of its column. Servers that have a type for it have no such
/// catalogue.
async fn json_columns(
    session: &mut Session,
    table: &TableName,
) -> Result<Vec<String>, IngestError> {
    let checks = session
        .ask(&format!(
            "SELECT CONSTRAINT_NAME FROM information_schema.CHECK_CONSTRAINTS \
             WHERE {} AND CHECK_CLAUSE = CONCAT('json_valid(`', CONSTRAINT_NAME, '`)')",
            place("CONSTRAINT_SCHEMA", table)
        ))
        .await;
    match checks {
        Ok(rows) => Ok(rows.into_iter().flatten().flatten().collect()),
        Err(IngestError::NoSuchTable { .. } | IngestError::NoSuchColumn { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A condition that finds a table, by the name of the column of schemas.
fn place(schema_column: &str, table: &TableName) -> String {
    let schema = match &table.schema {
        Some(schema) => quote_text(schema),
        None => "DATABASE()".to_owned(),
    };
    format!(
        "{schema_column} = {schema} AND TABLE_NAME = {}",
        quote_text(&table.table)
    )
}

/// The cells of a row of so many.
fn cells<const N: usize>(row: Vec<Option<String>>) -> [Option<String>; N] {
    let mut cells = row.into_iter();
    std::array::from_fn(|_| cells.next().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(column_type: &str, expected: &[&str]) {
        assert_eq!(
            Origin::of_type(column_type).labels(),
            expected,
            "{column_type}"
        );
    }

    #[test]
    fn labels_are_read_with_all_that_may_be_in_them() {
        check("enum('a','b,c','it''s','')", &["a", "b,c", "it's", ""]);
        check("set('x')", &["x"]);
        check("enum('''')", &["'"]);
        check("varchar(20)", &[]);
        check("enum('open", &[]);
    }

    #[test]
    fn only_engines_with_snapshots_have_them() {
        for (engine, expected) in [
            (Some("InnoDB"), true),
            (Some("MyISAM"), false),
            (None, true),
        ] {
            let facts = TableFacts {
                engine: engine.map(str::to_owned),
                ..TableFacts::default()
            };
            assert_eq!(facts.has_snapshots(), expected, "{engine:?}");
        }
    }
}
