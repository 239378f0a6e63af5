//! One connection to the server and the work on it.
//!
//! The connection is not a task of its own: whoever works on a session drives it, so that dropping the work
//! drops the socket. A server of version 14 or later then ends what it was doing within half a second; an
//! older one when it next has something to send. [`Session::abandon`] asks it to stop at once, whatever its age.
//!
//! Values are sent in one way whatever the server's configuration: dates in ISO, times in UTC, floats with all
//! their digits, bytes in hexadecimal. Notices are switched off: they may hold values.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use futures::future::join_all;
use tokio::time::timeout;
use tokio_postgres::{
    Client, Connection, Error, NoTls, Row, SimpleQueryMessage, Statement,
    config::TargetSessionAttrs,
    tls::NoTlsStream,
    types::{FromSql, ToSql},
};

use crate::IngestError;

use super::{
    address::{Address, Endpoint},
    failure::{self, Failure},
    guard::Guarded,
    socket::{self, Shut, Stream},
};

/// Settings of a session, where the server has them. `lock_timeout` bounds the wait for a table that is being
/// altered; the rest of the time limits would end a long export.
const SETTINGS: &str = "
    SELECT set_config(s.name, v.value, false)
    FROM (VALUES ('statement_timeout', '0'), ('transaction_timeout', '0'), ('lock_timeout', '10s'),
        ('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0'),
        ('client_min_messages', 'error'),
        ('DateStyle', 'ISO, YMD'), ('IntervalStyle', 'postgres'), ('TimeZone', 'UTC'),
        ('extra_float_digits', '3'), ('bytea_output', 'hex'), ('standard_conforming_strings', 'on'),
        ('xmloption', 'content'), ('quote_all_identifiers', 'off')) AS v(name, value)
    JOIN pg_catalog.pg_settings s ON s.name = v.name";

/// Has the server look now and then whether we are still there. Some systems cannot do that.
const LOOK_FOR_US: &str = "
    SELECT set_config(name, '500ms', false) FROM pg_catalog.pg_settings
    WHERE name = 'client_connection_check_interval'";

/// How long a goodbye or a cry to stop may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection that is logged in.
pub(super) struct Session {
    /// What requests are made of.
    pub(super) client: Client,
    /// What carries them.
    pub(super) line: Line,
    /// The server's version, such as 150004.
    pub(super) version: u32,
    /// Where it is.
    pub(super) endpoint: Endpoint,
}

/// The carrier of a session's requests.
pub(super) struct Line {
    connection: Option<Connection<Guarded<Stream>, NoTlsStream>>,
    /// Why the connection ended, where the library tells that only here.
    lost: Option<Error>,
}

impl Line {
    /// Does some work on the session, carrying its requests meanwhile.
    pub(super) async fn drive<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(output) = work.as_mut().poll(cx) {
                    return Poll::Ready(output);
                }
                // Without a connection the work ends by itself, unless it waits for something else.
                let Some(connection) = &mut self.connection else {
                    return Poll::Pending;
                };
                match connection.poll_message(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(error))) => {
                        self.lost = Some(error);
                        self.connection = None;
                    }
                    Poll::Ready(None) => self.connection = None,
                }
            }
        })
        .await
    }

    /// What an error of the work was caused by.
    pub(super) fn why(&mut self, error: Error) -> Failure {
        let lost = self.lost.take();
        let cause = match error.as_db_error() {
            Some(_) => error,
            None => lost.unwrap_or(error),
        };
        Failure::of(&cause)
    }
}

/// A cell of a row that has one of this type there.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, Failure> {
    row.try_get(at)
        .map_err(|_| Failure::Lost("the server's catalogue is not as expected".to_owned()))
}

impl Session {
    /// Logs in at the first endpoint that lets us.
    pub(super) async fn open(address: &Address) -> Result<Self, IngestError> {
        let mut last = None;
        for endpoint in &address.endpoints {
            match Self::open_at(address, endpoint).await {
                Ok(session) => return Ok(session),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| IngestError::Worker("no host to connect to".to_owned())))
    }

    /// Logs in at an endpoint.
    pub(super) async fn open_at(
        address: &Address,
        endpoint: &Endpoint,
    ) -> Result<Self, IngestError> {
        let unreachable = |reason| failure::unreachable(endpoint, reason);
        let attempt = Self::log_in(address, endpoint);
        match timeout(address.timeout, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(unreachable(format!(
                "no answer within {} seconds",
                address.timeout.as_secs()
            ))),
        }
    }

    async fn log_in(address: &Address, endpoint: &Endpoint) -> Result<Self, IngestError> {
        let stream = socket::open(address, endpoint).await;
        let stream = stream.map_err(|shut| match shut {
            Shut::Unreachable(reason) => failure::unreachable(endpoint, reason),
            Shut::Unprotected => IngestError::no_tls(),
        })?;
        let (client, connection) = address
            .login
            .connect_raw(Guarded::new(stream), NoTls)
            .await
            .map_err(|error| Failure::of(&error).at_login(endpoint))?;
        let mut session = Self {
            client,
            line: Line {
                connection: Some(connection),
                lost: None,
            },
            version: 0,
            endpoint: endpoint.clone(),
        };
        let settled = session
            .settle(address.login.get_target_session_attrs())
            .await;
        settled.map_err(|failure| failure.at_login(endpoint))?;
        Ok(session)
    }

    /// Makes the session's settings ours, and asks what kind of server this is.
    async fn settle(&mut self, wanted: TargetSessionAttrs) -> Result<(), Failure> {
        self.query(SETTINGS, &[]).await?;
        match self.query(LOOK_FOR_US, &[]).await {
            Ok(_) | Err(Failure::Server { .. }) => {}
            Err(lost) => return Err(lost),
        }
        let about = "SELECT current_setting('server_version_num')::int4, \
                     current_setting('transaction_read_only')::bool";
        let row = self.query_one(about, &[]).await?;
        let read_only: bool = get(&row, 1)?;
        self.version = get::<i32>(&row, 0)?.unsigned_abs();
        let refused = match wanted {
            TargetSessionAttrs::ReadWrite => read_only,
            TargetSessionAttrs::ReadOnly => !read_only,
            _ => false,
        };
        match refused {
            true => Err(Failure::Lost(
                "the server is not of the kind that `target_session_attrs` asks for".to_owned(),
            )),
            false => Ok(()),
        }
    }

    /// Rows of a query.
    pub(super) async fn query(
        &mut self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let rows = self.line.drive(self.client.query(sql, values)).await;
        rows.map_err(|error| self.line.why(error))
    }

    /// The row of a query that gives one.
    pub(super) async fn query_one(
        &mut self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Failure> {
        let row = self.line.drive(self.client.query_one(sql, values)).await;
        row.map_err(|error| self.line.why(error))
    }

    /// Statements that give nothing.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<(), Failure> {
        let done = self.line.drive(self.client.batch_execute(sql)).await;
        done.map_err(|error| self.line.why(error))
    }

    /// A statement that is parsed and not run.
    pub(super) async fn prepare(&mut self, sql: &str) -> Result<Statement, Failure> {
        let statement = self.line.drive(self.client.prepare(sql)).await;
        statement.map_err(|error| self.line.why(error))
    }

    /// The first cell of a statement's rows, in the server's text.
    pub(super) async fn text(&mut self, sql: &str) -> Result<Option<String>, Failure> {
        let answer = self.line.drive(self.client.simple_query(sql)).await;
        let answer = answer.map_err(|error| self.line.why(error))?;
        Ok(answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    /// Asks the server to stop what it does for this session, and leaves.
    pub(super) async fn abandon(self, address: &Address) {
        let token = self.client.cancel_token();
        let stop = async {
            let stream = socket::open(address, &self.endpoint).await.ok()?;
            token.cancel_query_raw(stream, NoTls).await.ok()
        };
        // Best effort: dropping the connection does the same, if later.
        let _ = timeout(GOODBYE, stop).await;
    }

    /// Says goodbye, so that the server does not log a lost client.
    async fn close(self) {
        let Self {
            client, mut line, ..
        } = self;
        drop(client);
        let ended = poll_fn(|cx| match &mut line.connection {
            None => Poll::Ready(()),
            Some(connection) => loop {
                match connection.poll_message(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                }
            },
        });
        let _ = timeout(GOODBYE, ended).await;
    }

    /// Says goodbye on all sessions.
    pub(super) async fn close_all(sessions: Vec<Self>) {
        join_all(sessions.into_iter().map(Self::close)).await;
    }
}
