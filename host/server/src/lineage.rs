//! Lineage on its way out: run events of every ingest are posted to an OpenLineage endpoint.
//!
//! The log of each dataset is the outbox. An ingest writes its event there and tells this part of the host,
//! which never keeps it waiting; a worker reads what is new, posts it in order, and notes in the bucket how far
//! it came. So an event that an endpoint did not take with 2xx is posted again, also by the next start after a
//! kill: at least once, never less. While an endpoint is away the worker tries less and less often. An event
//! that it refuses (4xx, apart from 408 and 429) is given up after a number of tries, so that it does not hold
//! up those behind it for ever; it stays in the log.
//!
//! The worker also ends runs that a killed process left open, whether or not there is an endpoint. Another one writes
//! the ends of runs whose bucket did not take them, once it does (`ends.rs`).
//!
//! Not here: what events say (`boathouse_ingest`), and deliveries to more than one endpoint.

mod config;
mod cursor;
mod deliver;
mod endpoint;
mod ends;
mod lag;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use boathouse_ingest::{LineageWriter, Origin, Recorded, Unended};
use boathouse_storage::time_ordered_id;
use boathouse_types::Clock;
use tokio::sync::mpsc::{self, UnboundedReceiver};

pub use config::LineageConfig;
pub(crate) use lag::OutboxView;

use self::{endpoint::Endpoint, lag::Lag};
use crate::{
    app::App,
    config::{Config, Environment},
};

/// Name of the file in the data folder that names the host in its events.
const HOST_FILE: &str = "host.id";

/// Lineage cannot be written or posted.
#[derive(Debug, thiserror::Error)]
pub enum LineageError {
    /// Make the data folder writable.
    #[error("cannot keep the name of this host in {path}: make its folder writable")]
    Host {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Correct `[lineage]`.
    #[error("lineage cannot be posted: {0}")]
    Endpoint(String),
}

/// What posts lineage, and how far it is.
pub(crate) struct Outbox {
    origin: Origin,
    writer: LineageWriter,
    endpoint: Option<Endpoint>,
    lag: Lag,
    /// Taken by the worker; none without an endpoint.
    hears: Mutex<Option<UnboundedReceiver<Recorded>>>,
    /// Taken by who writes ends later.
    owed: Mutex<Option<UnboundedReceiver<Unended>>>,
    /// Runs whose end waits for their bucket.
    unended: AtomicUsize,
}

/// Starts what posts lineage and what completes it; both end with the host.
pub(crate) fn start(app: &Arc<App>) {
    deliver::start(app);
    ends::start(app);
}

impl Outbox {
    /// Prepares everything; posts nothing.
    ///
    /// # Errors
    /// [`LineageError`].
    pub(crate) fn open(
        config: &Config,
        environment: &Environment,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, LineageError> {
        let origin = Origin {
            host: host_name(&config.server.data, clock.as_ref())?,
            process: time_ordered_id(clock.as_ref()),
        };
        let endpoint = Endpoint::open(&config.lineage, environment)?;
        let (told, hears) = mpsc::unbounded_channel();
        let is_posting = endpoint.is_some();
        let writer = LineageWriter::new(origin.clone(), is_posting.then_some(told));
        let (owing, owed) = mpsc::unbounded_channel();
        Ok(Self {
            writer: writer.owing(owing),
            origin,
            endpoint,
            lag: Lag::default(),
            hears: Mutex::new(is_posting.then_some(hears)),
            owed: Mutex::new(Some(owed)),
            unended: AtomicUsize::new(0),
        })
    }

    /// For the runs of this host.
    pub(crate) fn writer(&self) -> LineageWriter {
        self.writer.clone()
    }

    /// The name of this host, which its data folder keeps.
    pub(crate) fn host(&self) -> &str {
        &self.origin.host
    }

    /// How far posting is; none without an endpoint.
    pub(crate) fn view(&self, clock: &dyn Clock) -> Option<OutboxView> {
        let endpoint = self.endpoint.as_ref()?;
        Some(self.lag.view(endpoint.shown(), clock.now()))
    }

    /// Runs whose end is not in the lineage yet, because their bucket does not take it.
    pub(crate) fn unended(&self) -> usize {
        self.unended.load(Ordering::Relaxed)
    }

    fn take_hears(&self) -> Option<UnboundedReceiver<Recorded>> {
        let mut hears = self.hears.lock().unwrap_or_else(PoisonError::into_inner);
        hears.take()
    }

    fn take_owed(&self) -> Option<UnboundedReceiver<Unended>> {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        owed.take()
    }
}

/// The name of the host that the data folder is of, made at its first start.
fn host_name(folder: &Path, clock: &dyn Clock) -> Result<String, LineageError> {
    let path = folder.join(HOST_FILE);
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    if !known.trim().is_empty() {
        return Ok(known.trim().to_owned());
    }
    let name = time_ordered_id(clock);
    match std::fs::write(&path, &name) {
        Ok(()) => Ok(name),
        Err(source) => Err(LineageError::Host { path, source }),
    }
}
