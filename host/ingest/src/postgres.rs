//! Tables and queries of PostgreSQL.
//!
//! One transaction fixes the snapshot and exports it; the others take it over, so that all connections see the
//! same rows whatever is written meanwhile. The table is locked against being emptied or rewritten, which a
//! snapshot does not cover; writing to it goes on. Rows come by binary `COPY` and are decoded straight into Arrow
//! (`copy.rs`, `column.rs`); what is read, and in which parts, is `plan.rs`.
//!
//! Everything the server sends is checked: a message of it has a greatest length, a cell the length of its type.
//! Where the snapshot cannot be shared, or the server has no room for more connections, fewer read, and the
//! report says so. A query runs in a transaction that can only read, so the server refuses one that writes.

mod address;
mod batch;
mod column;
mod copy;
mod failure;
mod geometry;
mod guard;
mod kind;
mod numeric;
mod parts;
mod plan;
mod session;
mod socket;
mod source;
mod text;
mod tls;
mod types;
mod window;

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::{StreamExt as _, future::join_all};
use tokio::sync::Semaphore;
use tokio_postgres::{Client, Error, error::SqlState};

use crate::{
    Dsn, IngestError, NulledValues, Position, TableRead, TableReport, TlsMode, ValuePolicy,
    table::{Connector, PartSink},
    watch::Watch,
};

use address::{Address, Endpoint};
use batch::Batch;
use column::Tally;
use copy::CopyReader;
use failure::Failure;
use kind::Kind;
use plan::Plan;
use session::{Session, get};
use source::Source;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// Bytes of rows after which the count of what was received is brought up to date.
const RECEIVED_STEP: u64 = 64 << 10;

/// One snapshot of a table or query.
pub(crate) struct PostgresSource {
    address: Address,
    plan: Plan,
    policy: ValuePolicy,
    watch: Watch,
    connections: usize,
    notes: Vec<String>,
    /// As many permits as there are sessions.
    free: Semaphore,
    idle: Mutex<Vec<Session>>,
    tally: Mutex<Tally>,
}

/// Whether a connection text names a Unix socket or a file of certificates.
pub(crate) fn uses_this_machine(dsn: &Dsn) -> bool {
    Address::parse(dsn, TlsMode::Prefer).is_ok_and(|address| {
        let is_socket = |one: &Endpoint| matches!(one, Endpoint::Unix(_));
        let is_file = |path: &std::path::PathBuf| path.as_os_str() != "system";
        address.endpoints.iter().any(is_socket) || address.root_cert.as_ref().is_some_and(is_file)
    })
}

/// Opens a snapshot of what a request names.
pub(crate) async fn connect(
    dsn: &Dsn,
    read: &TableRead,
    watch: &Watch,
) -> Result<PostgresSource, IngestError> {
    let address = Address::parse(dsn, read.tls)?;
    tokio::select! {
        biased;
        () = watch.cancel.cancelled() => Err(IngestError::Cancelled),
        opened = open(address, read, watch.clone()) => opened,
    }
}

async fn open(
    address: Address,
    read: &TableRead,
    watch: Watch,
) -> Result<PostgresSource, IngestError> {
    let mut leader = Session::open(&address).await?;
    let source = Source::resolve(&mut leader, &read.source).await?;
    begin(&mut leader, &source).await?;
    let mut plan = Plan::make(&mut leader, &source, read).await?;
    let mut notes = Vec::new();
    let wanted = read.parallel.get().min(plan.parts.len());
    let mut sessions = Vec::new();
    if wanted > 1 {
        match export(&mut leader).await {
            Ok(snapshot) => {
                let followers =
                    (1..wanted).map(|_| follow(&address, &leader.endpoint, &source, &snapshot));
                let followers = join_all(followers).await;
                notes.extend(
                    followers
                        .iter()
                        .find_map(|one| one.as_ref().err())
                        .map(fewer),
                );
                sessions.extend(followers.into_iter().flatten());
            }
            Err(failure) => {
                // The transaction is lost with its snapshot, so the plan is made again in another.
                notes.push(fewer(&failure.at_work()));
                leader.execute("ROLLBACK").await.map_err(Failure::at_work)?;
                begin(&mut leader, &source).await?;
                plan = Plan::make(&mut leader, &source, read).await?;
            }
        }
    }
    sessions.push(leader);
    notes.append(&mut plan.notes);
    Ok(PostgresSource {
        address,
        plan,
        policy: read.out_of_range,
        watch,
        connections: sessions.len(),
        notes,
        free: Semaphore::new(sessions.len()),
        idle: Mutex::new(sessions),
        tally: Mutex::default(),
    })
}

/// Begins a transaction and locks the table, in this order: a snapshot that is older than the lock could miss
/// what happened in between, and the lock takes none.
async fn begin(session: &mut Session, source: &Source) -> Result<(), IngestError> {
    let begun = match source.lock() {
        Some(lock) => session.execute(&format!("{BEGIN}; {lock}")).await,
        None => session.execute(BEGIN).await,
    };
    begun.map_err(Failure::at_work)
}

async fn export(leader: &mut Session) -> Result<String, Failure> {
    let row = leader
        .query_one("SELECT pg_catalog.pg_export_snapshot()", &[])
        .await?;
    get(&row, 0)
}

/// Another session on the leader's snapshot.
async fn follow(
    address: &Address,
    endpoint: &Endpoint,
    source: &Source,
    snapshot: &str,
) -> Result<Session, IngestError> {
    let mut session = Session::open_at(address, endpoint).await?;
    let snapshot = source::literal(snapshot);
    let begun = format!("{BEGIN}; SET TRANSACTION SNAPSHOT {snapshot}");
    session.execute(&begun).await.map_err(Failure::at_work)?;
    // Whoever waits to rewrite the table stands before us in the queue: better to go without this session.
    session
        .execute("SET LOCAL lock_timeout = '1s'")
        .await
        .map_err(Failure::at_work)?;
    if let Some(lock) = source.lock() {
        session.execute(&lock).await.map_err(Failure::at_work)?;
    }
    Ok(session)
}

fn fewer(error: &IngestError) -> String {
    format!("fewer connections read than were asked for: {error}")
}

/// Why a part was not read to its end.
enum Stop {
    Server(Error),
    Ingest(IngestError),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

impl PostgresSource {
    /// Takes a session that nobody uses, for as long as the permit is held.
    fn take(&self) -> Result<Session, IngestError> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop().ok_or_else(|| IngestError::Source {
            reason: "a connection was lost".to_owned(),
        })
    }

    async fn copy(
        &self,
        client: &Client,
        statement: &str,
        sink: &mut dyn PartSink,
    ) -> Result<Tally, Stop> {
        let stream = client.copy_out(statement).await?;
        let mut stream = std::pin::pin!(stream);
        let mut reader = CopyReader::new(self.plan.columns.len());
        let mut batch = Batch::new(&self.plan.columns, self.schema(), self.policy);
        let mut received = 0;
        while let Some(bytes) = stream.next().await {
            let bytes = bytes?;
            received += bytes.len() as u64;
            if received >= RECEIVED_STEP {
                sink.received(std::mem::take(&mut received));
            }
            let fed = reader.feed(&bytes, |cells| batch.push(cells));
            fed.map_err(|refused| Stop::Ingest(batch.error(&refused)))?;
            // They may be a long row, and the wait for the sink long too.
            drop(bytes);
            if batch.is_full() {
                let full = batch.take().map_err(Stop::Ingest)?;
                sink.write(full).await.map_err(Stop::Ingest)?;
            }
        }
        reader
            .end()
            .map_err(|early| Stop::Ingest(batch.error(&early.into())))?;
        sink.received(received);
        if !batch.is_empty() {
            let last = batch.take().map_err(Stop::Ingest)?;
            sink.write(last).await.map_err(Stop::Ingest)?;
        }
        Ok(batch.into_tally())
    }

    async fn read_on(
        &self,
        session: &mut Session,
        statement: &str,
        sink: &mut dyn PartSink,
    ) -> Result<Tally, IngestError> {
        let work = self.copy(&session.client, statement, sink);
        match session.line.drive(work).await {
            Ok(tally) => Ok(tally),
            Err(Stop::Ingest(error)) => Err(error),
            Err(Stop::Server(error)) => Err(self.error(session.line.why(error))),
        }
    }

    /// A failure of reading, with the columns that it can be about.
    fn error(&self, failure: Failure) -> IngestError {
        let is_text = |kind: &Kind| kind.is_long() && *kind != Kind::Bytes;
        match failure {
            Failure::RowTooLong => failure::too_long(&self.plan.names(Kind::is_long)),
            failure
                if failure.is(&[
                    SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                    SqlState::UNTRANSLATABLE_CHARACTER,
                ]) =>
            {
                IngestError::Value {
                    column: self.plan.names(is_text),
                    problem: "a text holds bytes that are not UTF-8 and cannot become it"
                        .to_owned(),
                    cure: "correct it at the source, or read its bytes by a query".to_owned(),
                }
            }
            failure => failure.at_work(),
        }
    }

    fn report(&self, tally: &Tally) -> TableReport {
        let name = |at: usize| self.plan.columns[at].name.clone();
        let nulled = tally
            .nulled
            .iter()
            .map(|((at, what), values)| NulledValues {
                column: name(*at),
                values: *values,
                what: (*what).to_owned(),
            });
        let noted = tally
            .noted
            .iter()
            .map(|((at, remark), values)| remark.told(*values, &name(*at)));
        TableReport {
            connections: self.connections,
            notes: self.notes.iter().cloned().chain(noted).collect(),
            nulled: nulled.collect(),
            ..TableReport::default()
        }
    }
}

#[async_trait]
impl Connector for PostgresSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.schema)
    }

    fn parts(&self) -> usize {
        self.plan.parts.len()
    }

    fn estimated_rows(&self) -> Option<u64> {
        self.plan.estimated_rows
    }

    async fn read(&self, part: usize, rows: &mut dyn PartSink) -> Result<(), IngestError> {
        let worker = |what: &str| IngestError::Worker(what.to_owned());
        let statement = self
            .plan
            .parts
            .get(part)
            .ok_or_else(|| worker("there is no such part"))?;
        let _permit = self
            .free
            .acquire()
            .await
            .map_err(|_| worker("the source is closed"))?;
        let mut session = self.take()?;
        let outcome = tokio::select! {
            biased;
            () = self.watch.cancel.cancelled() => Err(IngestError::Cancelled),
            outcome = self.read_on(&mut session, statement, rows) => outcome,
        };
        match outcome {
            Ok(tally) => {
                self.tally
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .add(tally);
                self.idle
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(session);
                Ok(())
            }
            Err(error) => {
                if matches!(error, IngestError::Cancelled) {
                    session.abandon(&self.address).await;
                }
                Err(error)
            }
        }
    }

    async fn finish(&self) -> Result<(TableReport, Option<Position>), IngestError> {
        let sessions =
            std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        Session::close_all(sessions).await;
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((self.report(&tally), self.plan.position.clone()))
    }
}
