//! One consistent snapshot for several connections.
//!
//! A snapshot begins with `START TRANSACTION WITH CONSISTENT SNAPSHOT`. For several connections to begin theirs
//! at the same state, nobody may write in between: the table is locked against writing for these moments
//! (`LOCK TABLES`, or all tables by `FLUSH TABLES WITH READ LOCK` where only that is allowed). Where neither is
//! allowed, or the lock is not had within seconds, one connection reads alone, and the report says so. Tables of engines
//! without snapshots stay locked until all is read.

use std::sync::Arc;

use futures::future::join_all;
use mysql_async::Error;

use super::{
    fault::{fault, is_denied, is_lock_timeout, lost},
    session::{Door, Session},
    statement::TableName,
};
use crate::IngestError;

/// The server's clock, in UTC as every session is.
const CLOCK: &str = "SELECT CAST(NOW(6) AS CHAR)";

const START: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// Seconds that others may have to wait for us to get a lock.
const LOCK_SECONDS: u32 = 5;

/// Connections that see the same state.
pub(super) struct Snapshot {
    /// At least one.
    pub(super) sessions: Vec<Session>,
    /// By the server's clock, no later than the state that the connections see.
    pub(super) moment: String,
    /// Holds a lock until all is read.
    pub(super) lock: Option<Session>,
    /// What a reader of the rows should know.
    pub(super) notes: Vec<String>,
}

/// What a snapshot is of.
pub(super) struct Subject<'a> {
    /// None: a query or a view.
    pub(super) table: Option<&'a TableName>,
    /// A table whose engine has no snapshots, if there is one.
    pub(super) bare_engine: Option<String>,
}

/// Begins a snapshot with `main` and so many more connections.
pub(super) async fn begin(
    door: &Arc<Door>,
    main: Session,
    more: usize,
    subject: &Subject<'_>,
) -> Result<Snapshot, IngestError> {
    let mut snapshot = Snapshot {
        sessions: vec![main],
        moment: String::new(),
        lock: None,
        notes: Vec::new(),
    };
    let lockable = subject
        .table
        .filter(|_| more > 0 || subject.bare_engine.is_some());
    if let Some(table) = lockable {
        match lock(door, table).await? {
            Ok(session) => snapshot.lock = Some(session),
            Err(reason) if more > 0 => snapshot.notes.push(format!(
                "{reason}, so the table was read through one connection"
            )),
            Err(_) => {}
        }
    }
    if snapshot.lock.is_some() {
        snapshot.add(door, more).await;
    }
    snapshot.read_clock().await?;
    for started in join_all(
        snapshot
            .sessions
            .iter_mut()
            .map(|session| session.run(START)),
    )
    .await
    {
        started?;
    }
    snapshot.settle_lock(subject);
    Ok(snapshot)
}

impl Snapshot {
    /// Before the snapshot begins: what is committed after it is then never older than this moment.
    async fn read_clock(&mut self) -> Result<(), IngestError> {
        if let Some(main) = self.sessions.first_mut() {
            let rows = main.ask(CLOCK).await?;
            let moment = rows.into_iter().flatten().flatten().next();
            self.moment = moment.ok_or_else(|| lost("it does not tell its time"))?;
        }
        Ok(())
    }

    /// Opens more connections; those that cannot be had are done without.
    async fn add(&mut self, door: &Arc<Door>, more: usize) {
        for opened in join_all((0..more).map(|_| Session::open(door))).await {
            match opened {
                Ok(session) => self.sessions.push(session),
                Err(error) if self.notes.is_empty() => {
                    self.notes
                        .push(format!("not every connection could be opened: {error}"));
                }
                Err(_) => {}
            }
        }
    }

    /// Gives the lock back where the snapshot does without.
    fn settle_lock(&mut self, subject: &Subject<'_>) {
        match (&subject.bare_engine, self.lock.take()) {
            // Its connection ends here, and the lock with it.
            (None, _) => {}
            (Some(engine), Some(lock)) => {
                self.notes.push(format!(
                    "tables of engine `{engine}` have no snapshots, so the table was locked against \
                     writing while it was read"
                ));
                self.lock = Some(lock);
            }
            (Some(engine), None) => self.notes.push(format!(
                "tables of engine `{engine}` have no snapshots: changes made meanwhile may show"
            )),
        }
    }
}

/// Locks a table against writing; or why that cannot be.
async fn lock(
    door: &Arc<Door>,
    table: &TableName,
) -> Result<Result<Session, &'static str>, IngestError> {
    let mut session = Session::open(door).await?;
    session
        .run(&format!("SET SESSION lock_wait_timeout = {LOCK_SECONDS}"))
        .await?;
    let ways = [
        format!("LOCK TABLES {} READ", table.quoted()),
        "FLUSH TABLES WITH READ LOCK".to_owned(),
    ];
    for way in ways {
        match session.attempt(&way).await? {
            Ok(()) => return Ok(Ok(session)),
            Err(error) if is_denied(&error) => {}
            Err(error) if is_lock_timeout(&error) => {
                return Ok(Err(
                    "the table was being changed and could not be locked in time",
                ));
            }
            // Logs of the server cannot be locked, nor can they be changed.
            Err(Error::Server(_)) => return Ok(Err("the server does not have the table locked")),
            Err(error) => return Err(fault(error)),
        }
    }
    Ok(Err(
        "the user may neither lock the table (LOCK TABLES) nor all tables (RELOAD), which a snapshot of \
         several connections needs",
    ))
}
