//! MySQL 8 and MariaDB as a source: one consistent snapshot of a table or a query, in parts.
//!
//! What is read is settled first, in this order: the statement (`statement`), its columns as the server tells
//! them (`columns`, `catalog`), the ranges of the primary key that make the parts (`parts`). Then the snapshot
//! begins on as many connections as can share it (`snapshot`), and inside it the window of an incremental run is
//! settled (`window`). Each part is one statement, streamed row by row (`read`) into Arrow (`decode`).
//!
//! Invariants: nothing is written at the source, and nothing read but the one statement and the catalogue; all
//! parts together give each row of the snapshot once; no statement uses OFFSET; whoever no longer wants what is read
//! drops it, at any point, which ends it at the server, too. Not here: where the batches go, jobs and their
//! cursors (`table.rs`).

mod address;
mod catalog;
mod columns;
mod decode;
mod fault;
mod parts;
mod read;
mod session;
mod snapshot;
mod statement;
mod window;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use mysql_async::{Column as WireColumn, Statement};
use tokio::sync::Semaphore;

use self::{
    address::Address,
    catalog::TableFacts,
    columns::Column,
    decode::Plan,
    fault::{lost, placeholders},
    parts::Parts,
    session::{Door, Session},
    snapshot::{Snapshot, Subject},
    statement::{TableName, quote_name, reading_query},
    window::Stretch,
};
use crate::{
    Dsn, IngestError, Position, TableRead, TableReport, TableSource, Window,
    nearest::nearest,
    table::{Connector, PartSink},
    watch::Watch,
};

const CURRENT_ROWS: &str =
    "the table is system-versioned: its current rows are read, and not what they were before";

/// A snapshot of a table or query of a MySQL or MariaDB server.
pub(crate) struct MysqlSource {
    plan: Plan,
    /// One a part.
    statements: Vec<String>,
    estimated_rows: Option<u64>,
    lanes: Lanes,
    /// Keeps a table as it is that has no snapshots.
    lock: tokio::sync::Mutex<Option<Session>>,
    notes: Vec<String>,
    position: Option<Position>,
}

/// Whether a connection text names a Unix socket or a file of certificates.
pub(crate) fn uses_this_machine(dsn: &Dsn) -> bool {
    Address::uses_this_machine(dsn)
}

/// Opens a snapshot.
///
/// # Errors
/// `BadDsn`, `Connect` and `Denied` before anything was asked; `NoSuchTable`, `NoSuchColumn`, `BadQuery` and
/// `Columns` about what was asked; `Source` when the server fails; `Cancelled`.
pub(crate) async fn connect(
    dsn: &Dsn,
    read: &TableRead,
    watch: &Watch,
) -> Result<MysqlSource, IngestError> {
    let address = Address::parse(dsn, read.tls)?;
    let target = Target::of(&read.source, read.window.is_some())?;
    let (door, mut main) = Door::open(address).await?;
    let described = target.describe(&mut main, read).await?;
    let more = described.parts.conditions.len().min(read.parallel.get()) - 1;
    let subject = Subject {
        table: target.table.as_ref(),
        bare_engine: described.bare_engine,
    };
    let Snapshot {
        mut sessions,
        moment,
        lock,
        mut notes,
    } = snapshot::begin(&door, main, more, &subject).await?;
    watch.check()?;
    notes.extend(described.note);
    notes.extend(described.parts.note.clone());
    let stretch = match (&read.window, sessions.first_mut()) {
        (Some(window), Some(main)) => {
            let columns = &described.plan.columns;
            Some(window::settle(main, &target.from, columns, window, &moment).await?)
        }
        _ => None,
    };
    notes.extend(stretch.iter().flat_map(|stretch| stretch.notes.clone()));
    let statements = target.statements(&described.plan, &described.parts, stretch.as_ref());
    Ok(MysqlSource {
        plan: described.plan,
        statements,
        estimated_rows: described.rows.filter(|_| read.window.is_none()),
        lanes: Lanes::new(sessions),
        lock: tokio::sync::Mutex::new(lock),
        notes,
        position: stretch.and_then(|stretch| stretch.position),
    })
}

#[async_trait]
impl Connector for MysqlSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.schema)
    }

    fn parts(&self) -> usize {
        self.statements.len()
    }

    fn estimated_rows(&self) -> Option<u64> {
        self.estimated_rows
    }

    async fn read(&self, part: usize, rows: &mut dyn PartSink) -> Result<(), IngestError> {
        let Some(statement) = self.statements.get(part) else {
            return Err(IngestError::Worker(format!("there is no part {part}")));
        };
        let _lane = self.lanes.free.acquire().await;
        let mut session = self.lanes.take()?;
        read::read(&mut session, statement, &self.plan, rows).await?;
        self.lanes.give_back(session);
        Ok(())
    }

    async fn finish(&self) -> Result<(TableReport, Option<Position>), IngestError> {
        if let Some(mut lock) = self.lock.lock().await.take() {
            // A lock that was lost meanwhile protected nothing.
            lock.run("DO 1").await?;
        }
        self.lanes.drain();
        let report = TableReport {
            connections: self.lanes.count,
            notes: self.notes.clone(),
            nulled: self.plan.nulled(),
            ..TableReport::default()
        };
        Ok((report, self.position.clone()))
    }
}

/// Connections that wait for a part to read.
struct Lanes {
    idle: Mutex<Vec<Session>>,
    free: Semaphore,
    count: usize,
}

impl Lanes {
    fn new(sessions: Vec<Session>) -> Self {
        Self {
            free: Semaphore::new(sessions.len()),
            count: sessions.len(),
            idle: Mutex::new(sessions),
        }
    }

    fn take(&self) -> Result<Session, IngestError> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
            .ok_or_else(|| lost("a connection of the snapshot was lost"))
    }

    fn give_back(&self, session: Session) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(session);
    }

    /// Ends all connections.
    fn drain(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.clear();
    }
}

/// What is read, in SQL.
struct Target {
    /// None: a query.
    table: Option<TableName>,
    /// What stands after `FROM`.
    from: String,
    /// The whole statement, where it may not be changed.
    query: Option<String>,
}

/// What is known of it.
struct Described {
    plan: Plan,
    parts: Parts,
    rows: Option<u64>,
    /// See [`Subject`].
    bare_engine: Option<String>,
    /// What a reader of the rows should know.
    note: Option<String>,
}

impl Target {
    fn of(source: &TableSource, has_window: bool) -> Result<Self, IngestError> {
        match source {
            TableSource::Table(name) => {
                let table = TableName::parse(name)?;
                Ok(Self {
                    from: table.quoted(),
                    table: Some(table),
                    query: None,
                })
            }
            TableSource::Query(query) => {
                let query = reading_query(query)?;
                Ok(Self {
                    table: None,
                    // The query may end in a comment.
                    from: format!("({query}\n) AS boathouse_rows"),
                    query: (!has_window).then(|| query.to_owned()),
                })
            }
        }
    }

    async fn describe(
        &self,
        session: &mut Session,
        read: &TableRead,
    ) -> Result<Described, IngestError> {
        let statement = self.prepare(session).await?;
        if statement.num_params() > 0 {
            return Err(placeholders());
        }
        let wire = statement.columns();
        check_names(&wire)?;
        let origins = catalog::origins(session, &wire).await?;
        let columns: Vec<Column> = wire
            .iter()
            .zip(&origins)
            .map(|(column, origin)| Column::new(column, origin.as_ref(), read.types))
            .collect();
        let fields: Vec<_> = columns
            .iter()
            .map(|column| column.field(read.out_of_range))
            .collect();
        let facts = self.facts(session, &wire).await?;
        Ok(Described {
            parts: self.cut(session, &facts, read).await?,
            rows: self.table.as_ref().and(facts.rows),
            bare_engine: facts.engine.clone().filter(|_| !facts.has_snapshots()),
            note: facts.is_versioned.then(|| CURRENT_ROWS.to_owned()),
            plan: Plan::new(columns, Arc::new(Schema::new(fields)), read.out_of_range),
        })
    }

    /// The statement that gives all columns, for the server to describe. `SELECT *` passes over columns of a table that
    /// are invisible: where there are any, all are named.
    async fn prepare(&self, session: &mut Session) -> Result<Statement, IngestError> {
        let all = format!("SELECT * FROM {}", self.from);
        let Some(table) = &self.table else {
            let query = self.query.as_ref().unwrap_or(&all);
            let prepared = session.prepare(query).await;
            return match prepared {
                Err(IngestError::NoSuchColumn { what, .. }) => {
                    Err(proposing(session, what, query).await)
                }
                prepared => prepared,
            };
        };
        let statement = session.prepare(&all).await?;
        let wire = statement.columns();
        let shown: Vec<_> = wire
            .iter()
            .map(|column| column.name_str().into_owned())
            .collect();
        let all = catalog::column_names(session, table).await?;
        match with_hidden(shown, all) {
            Some(names) => session.prepare(&self.select(&names)).await,
            None => Ok(statement),
        }
    }

    /// Of the table; for a query, of the first table that it shows and that has no snapshots.
    async fn facts(
        &self,
        session: &mut Session,
        wire: &[WireColumn],
    ) -> Result<TableFacts, IngestError> {
        if let Some(table) = &self.table {
            return catalog::table_facts(session, table).await;
        }
        for table in catalog::shown_tables(wire) {
            let facts = catalog::table_facts(session, &table).await?;
            if !facts.has_snapshots() {
                return Ok(facts);
            }
        }
        Ok(TableFacts::default())
    }

    async fn cut(
        &self,
        session: &mut Session,
        facts: &TableFacts,
        read: &TableRead,
    ) -> Result<Parts, IngestError> {
        let lanes = read.parallel.get();
        let reason = match &self.table {
            Some(table) if facts.engine.is_some() && !goes_on(read.window.as_ref()) => {
                return parts::cut(session, table, facts, lanes).await;
            }
            Some(_) if facts.engine.is_some() => {
                "an incremental run that goes on is read through one connection"
            }
            _ => "queries and views are read through one connection",
        };
        Ok(Parts::whole((lanes > 1).then_some(reason)))
    }

    /// The statement that reads these columns of all rows.
    fn select(&self, names: &[impl AsRef<str>]) -> String {
        let names = names.iter().map(|name| quote_name(name.as_ref()));
        let names: Vec<_> = names.collect();
        format!("SELECT {} FROM {}", names.join(", "), self.from)
    }

    /// One statement a part.
    fn statements(&self, plan: &Plan, parts: &Parts, stretch: Option<&Stretch>) -> Vec<String> {
        if let Some(query) = &self.query {
            return vec![query.clone()];
        }
        let names: Vec<_> = plan.columns.iter().map(|column| &column.name).collect();
        let select = self.select(&names);
        let stretch = stretch.map(|stretch| stretch.condition.as_str());
        let statement = |condition: &String| {
            let conditions: Vec<_> = [condition.as_str(), stretch.unwrap_or_default()]
                .into_iter()
                .filter(|condition| !condition.is_empty())
                .map(|condition| format!("({condition})"))
                .collect();
            match conditions.is_empty() {
                true => select.clone(),
                false => format!("{select} WHERE {}", conditions.join(" AND ")),
            }
        };
        parts.conditions.iter().map(statement).collect()
    }
}

/// The columns that are shown with those that are hidden among all of a table, in its order; none where none is hidden.
fn with_hidden(shown: Vec<String>, all: Vec<String>) -> Option<Vec<String>> {
    if all.iter().all(|name| shown.contains(name)) {
        return None;
    }
    let strangers = shown.into_iter().filter(|name| !all.contains(name));
    let strangers: Vec<_> = strangers.collect();
    Some(all.into_iter().chain(strangers).collect())
}

/// The error that a query names a column that is not there, with one that may be meant. The server tells no more than
/// the name, so the columns of all tables are looked at that the query may be about.
async fn proposing(session: &mut Session, what: String, query: &str) -> IngestError {
    let known = catalog::columns_for(session, query)
        .await
        .unwrap_or_default();
    let name = what.split('`').nth(1).unwrap_or_default();
    let name = name.rsplit('.').next().unwrap_or_default();
    let nearest = nearest(name, known.iter().map(String::as_str));
    IngestError::NoSuchColumn { what, nearest }
}

fn goes_on(window: Option<&Window>) -> bool {
    window.is_some_and(|window| window.after.is_some())
}

fn check_names(columns: &[WireColumn]) -> Result<(), IngestError> {
    let problem = |problem: String| Err(IngestError::Columns { problem });
    if columns.is_empty() {
        return problem("there is none: select at least one".to_owned());
    }
    let mut seen = HashSet::new();
    for column in columns {
        let name = column.name_str();
        if name.trim().is_empty() {
            return problem("one has no name: give it one with AS".to_owned());
        }
        if !seen.insert(name.clone()) {
            return problem(format!("two are named `{name}`: rename one with AS"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_columns_stand_where_the_table_has_them() {
        let names = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let check = |shown: &str, all: &str, expected: Option<&str>| {
            assert_eq!(
                with_hidden(names(shown), names(all)),
                expected.map(names),
                "{shown} of {all}"
            );
        };
        check("a b", "a b", None);
        check("a b", "", None);
        check("b a", "a b", None);
        check("a c", "a b c", Some("a b c"));
        check("a z", "a b", Some("a b z"));
    }
}
