//! One connection to a server, prepared for reading, that ends when it is no longer wanted.
//!
//! Every session speaks UTC and utf8mb4, sees zero dates as they are, and has no limit of time or rows. Whoever
//! no longer wants what a session does drops it, wherever that stands. A server that computes does not notice
//! that its client is gone, so all sessions of a source share a connection that is there to say `KILL`, open
//! from the start: a drop can neither wait nor fail. The driver, left to itself, would read all that the server
//! still sends, in a task of its own.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use mysql_async::{Conn, Error, Row, Statement, Value, prelude::Queryable};

use super::{
    address::Address,
    fault::{fault, is_unknown_variable, lost},
};
use crate::IngestError;

/// What every server of both kinds has to be told.
const SETTINGS: [&str; 3] = [
    "SET NAMES utf8mb4",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION time_zone = '+00:00', sql_mode = '', sql_select_limit = 18446744073709551615, \
     net_write_timeout = 3600, net_read_timeout = 3600, wait_timeout = 28800, lock_wait_timeout = 60",
];

/// What only some servers know.
const MORE_SETTINGS: [&str; 5] = [
    "SET SESSION max_execution_time = 0",
    "SET SESSION information_schema_stats_expiry = 0",
    "SET SESSION max_statement_time = 0",
    "SET SESSION idle_transaction_timeout = 0",
    "SET SESSION idle_readonly_transaction_timeout = 0",
];

/// Opens the sessions of a source, and kills what they leave behind.
pub(super) struct Door {
    address: Address,
    /// None where the server has no connection left for it: then a dropped statement runs until it sends.
    killer: Mutex<Option<Conn>>,
}

impl Door {
    /// The first session of a source, and the way to more.
    pub(super) async fn open(address: Address) -> Result<(Arc<Self>, Session), IngestError> {
        let door = Arc::new(Self {
            address,
            killer: Mutex::new(None),
        });
        let first = Session::open(&door).await?;
        match door.address.open().await {
            Ok(conn) => *door.killer.lock().unwrap_or_else(PoisonError::into_inner) = Some(conn),
            Err(error) => tracing::debug!(%error, "no connection is left to end statements with"),
        }
        Ok((door, first))
    }

    /// Ends a connection at the server, without waiting for what that says.
    fn kill(&self, connection: u32) {
        let mut killer = self.killer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(killer) = killer.as_mut() {
            // The first step of a statement is to send it, even where this task has done enough for now.
            let killed =
                tokio::task::unconstrained(killer.query_drop(format!("KILL {connection}")));
            drop(killed.now_or_never());
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let killer = self
            .killer
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(conn) = killer.take() {
            hang_up(conn);
        }
    }
}

/// A connection.
pub(super) struct Session {
    /// None once it was closed.
    conn: Option<Conn>,
    /// Whether the server may be at work for it.
    is_busy: bool,
    door: Arc<Door>,
}

impl Session {
    /// Opens and prepares a connection.
    pub(super) async fn open(door: &Arc<Door>) -> Result<Self, IngestError> {
        let mut session = Self {
            conn: Some(door.address.open().await?),
            is_busy: false,
            door: Arc::clone(door),
        };
        for setting in SETTINGS {
            session.run(setting).await?;
        }
        for setting in MORE_SETTINGS {
            match session.attempt(setting).await? {
                Err(error) if !is_unknown_variable(&error) => return Err(fault(error)),
                _ => {}
            }
        }
        Ok(session)
    }

    /// Runs a statement that gives nothing.
    pub(super) async fn run(&mut self, sql: &str) -> Result<(), IngestError> {
        self.attempt(sql).await?.map_err(fault)
    }

    /// Runs a statement that gives nothing and that may fail: what the server said is inside.
    pub(super) async fn attempt(&mut self, sql: &str) -> Result<Result<(), Error>, IngestError> {
        let done = self.begin()?.query_drop(sql).await;
        self.is_busy = false;
        Ok(done)
    }

    /// The few rows of a small question, all values as text.
    pub(super) async fn ask(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, IngestError> {
        let rows = self.begin()?.query::<Row, _>(sql).await.map_err(fault)?;
        self.is_busy = false;
        Ok(rows.into_iter().map(texts).collect())
    }

    /// Has a statement parsed by the server, which tells its columns.
    pub(super) async fn prepare(&mut self, sql: &str) -> Result<Statement, IngestError> {
        let statement = self.begin()?.prep(sql).await.map_err(fault)?;
        self.is_busy = false;
        Ok(statement)
    }

    /// The connection, to be used for something that counts as under way until [`Session::end`].
    pub(super) fn begin(&mut self) -> Result<&mut Conn, IngestError> {
        match &mut self.conn {
            Some(conn) => {
                self.is_busy = true;
                Ok(conn)
            }
            None => Err(lost("the connection was closed")),
        }
    }

    /// What was begun has come to its end.
    pub(super) fn end(&mut self) {
        self.is_busy = false;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else {
            return;
        };
        if self.is_busy {
            self.door.kill(conn.id());
        }
        hang_up(conn);
    }
}

/// Says good-bye where that is possible at once, and closes the socket: the driver takes a connection whose
/// good-bye was begun as closed.
fn hang_up(conn: Conn) {
    drop(conn.disconnect().now_or_never());
}

fn texts(row: Row) -> Vec<Option<String>> {
    let text = |value| match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    };
    row.unwrap().into_iter().map(text).collect()
}
