//! The worker of one folder: look, take what is ready, wait, and again.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io,
    sync::Arc,
    time::Duration,
};

use boathouse_ingest::{
    FileInput, FileOptions, IngestError, IngestMode, IngestRequest, ingest_file, redact_dsn,
};
use tokio::{sync::oneshot, time::Instant};

use super::{
    AfterIngest, Folder,
    file::{self, Copy},
    listing::{self, Entry, Listing, Stamp},
    steady::Steady,
    view::{FileOutcome, WatchState},
};
use crate::{app::App, http, problem::chain};

/// The longest wait after something went wrong that is no fault of a file.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The worker of one folder.
pub(super) struct Turns {
    app: Arc<App>,
    folder: Arc<Folder>,
    steady: Steady,
    /// Files whose rows are in the dataset and that are there still: they stay, or could not be moved.
    taken: BTreeMap<OsString, Stamp>,
    /// What is left alone, once it has been said.
    told: BTreeSet<OsString>,
    is_missing: bool,
    /// Turns in a row that something went wrong in.
    failures: u32,
}

/// Something that is no fault of the file: it stays and is tried again.
struct Trouble(String);

/// What an ingest made of a file.
enum Verdict {
    Ingested,
    /// The file cannot be taken, and why.
    Bad(String),
}

impl Turns {
    pub(super) fn new(app: Arc<App>, folder: Arc<Folder>) -> Self {
        Self {
            app,
            folder,
            steady: Steady::default(),
            taken: BTreeMap::new(),
            told: BTreeSet::new(),
            is_missing: false,
            failures: 0,
        }
    }

    /// Goes on until it is dropped.
    pub(super) async fn run(&mut self) {
        loop {
            match self.turn().await {
                true => self.failures = 0,
                false => self.failures = self.failures.saturating_add(1),
            }
            let every = Duration::from_secs(self.folder.config.every_secs);
            let wait = every.saturating_mul(2_u32.saturating_pow(self.failures));
            tokio::time::sleep(wait.min(LONGEST_WAIT.max(every))).await;
        }
    }

    /// One look at the folder with all that is ready then; tells whether nothing went wrong.
    async fn turn(&mut self) -> bool {
        let Some(listing) = self.look().await else {
            return true;
        };
        let stable = Duration::from_secs(self.folder.config.stable_secs);
        let (ready, changing) = self.steady.sort_out(listing.files, Instant::now(), stable);
        let ready = self.chosen(ready);
        let waiting = ready.iter().chain(&changing).map(Entry::shown);
        let waiting: Vec<_> = waiting.chain(listing.unfinished).collect();
        self.folder.status.waits(waiting.into_iter());
        for entry in ready {
            if let Err(Trouble(why)) = self.take(&entry).await {
                let (name, folder) = (entry.shown(), self.folder.config.folder.display());
                tracing::warn!(%folder, file = name, why, "a file waits in a watched folder");
                self.fails(WatchState::Retrying, Some(&name), &why);
                return false;
            }
        }
        self.folder.status.rests();
        true
    }

    /// What lies in the folder; none when it cannot be listed.
    async fn look(&mut self) -> Option<Listing> {
        let path = self.folder.config.folder.clone();
        let listed = tokio::task::spawn_blocking(move || listing::list(&path)).await;
        let shown = self.folder.config.folder.display();
        let listing = match listed.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(listing) => listing,
            Err(error) => {
                if !self.is_missing {
                    tracing::error!(folder = %shown, %error, "a watched folder cannot be listed");
                }
                self.is_missing = true;
                let why = format!("the folder cannot be listed: {error}; make it, or mount it");
                self.fails(WatchState::Missing, None, &why);
                return None;
            }
        };
        if std::mem::take(&mut self.is_missing) {
            tracing::warn!(folder = %shown, "a watched folder is there now");
        }
        let names = listing.strange.iter().map(|(name, _)| name);
        self.told
            .retain(|told| names.clone().any(|name| name == told));
        for (name, why) in &listing.strange {
            if self.told.insert(name.clone()) {
                let name = name.to_string_lossy();
                tracing::warn!(folder = %shown, %name, why, "left alone in a watched folder");
            }
        }
        self.taken.retain(|name, stamp| {
            let mut files = listing.files.iter();
            files.any(|file| file.name == *name && file.stamp == *stamp)
        });
        Some(listing)
    }

    /// Which of the files that stand still are to be taken.
    fn chosen(&self, mut ready: Vec<Entry>) -> Vec<Entry> {
        let config = &self.folder.config;
        if config.after != AfterIngest::Keep {
            return ready;
        }
        if config.mode == IngestMode::Replace {
            // The others would be replaced at once, and again at each start of the host.
            ready = ready.pop().into_iter().collect();
        }
        ready.retain(|entry| !self.taken.contains_key(&entry.name));
        ready
    }

    /// Deals with one file.
    async fn take(&mut self, entry: &Entry) -> Result<(), Trouble> {
        let folder = Arc::clone(&self.folder);
        let _turn = folder.dataset.lock().await;
        let name = entry.shown();
        folder.status.works_on(&name);
        if !self.taken.contains_key(&entry.name) {
            let Some(copy) = self.copy(entry).await? else {
                // It has changed or is gone; the next look tells which.
                return Ok(());
            };
            let outcome = match self.is_known(&copy.digest).await? {
                true => FileOutcome::Duplicate,
                false => match self.ingest(entry, copy).await? {
                    Verdict::Ingested => FileOutcome::Ingested,
                    Verdict::Bad(why) => return self.set_aside(entry, why).await,
                },
            };
            self.taken.insert(entry.name.clone(), entry.stamp);
            let now = self.app.clock.now();
            folder.status.dealt_with(&name, outcome, now);
        }
        let (moved, after) = (entry.clone(), folder.config.after);
        if blocking(move || file::finish(&moved, after)).await? {
            self.taken.remove(&entry.name);
        }
        Ok(())
    }

    async fn copy(&self, entry: &Entry) -> Result<Option<Copy>, Trouble> {
        let (entry, spool) = (entry.clone(), self.app.spool.clone());
        let stop = self.app.tasks.background().stopping();
        blocking(move || file::copy(&entry, &spool, &stop)).await
    }

    /// Whether the dataset shows the rows of a file with this content.
    async fn is_known(&self, digest: &str) -> Result<bool, Trouble> {
        match self.app.datasets.get(&self.folder.config.dataset).await {
            Ok(manifest) => Ok(manifest.shows_file(digest)),
            Err(IngestError::DatasetNotFound(_)) => Ok(false),
            Err(error) => Err(Trouble(chain(&error))),
        }
    }

    /// Ingests a file as a task, as HTTP does, and waits for what follows from it.
    async fn ingest(&self, entry: &Entry, copy: Copy) -> Result<Verdict, Trouble> {
        let config = &self.folder.config;
        let options = FileOptions::parse(&config.options);
        let options = options.map_err(|error| Trouble(chain(&error)))?;
        let context = self.app.ingest_context(&config.dataset);
        let request = IngestRequest {
            dataset: config.dataset.clone(),
            bucket: config.bucket.clone(),
            input: FileInput::File(Arc::new(copy.file)),
            label: entry.path.to_string_lossy().into_owned(),
            format: config.format,
            mode: config.mode,
            system: "watcher",
            digest: Some(copy.digest),
            options,
        };
        let (tell, told) = oneshot::channel();
        let task = http::start_ingest(
            &self.app,
            &config.dataset,
            move |progress, cancel| async move {
                let outcome = ingest_file(&context, request, progress, cancel).await;
                // Who asked is gone when the host stops.
                let _ = tell.send(verdict(outcome.as_ref().err()));
                outcome
            },
        );
        let verdict = told.await;
        // What follows from rows that have landed belongs to the turn of this file.
        let _ended = self.app.tasks.wait(&task.id).await;
        verdict.unwrap_or_else(|_| {
            Err(Trouble(
                "the ingest ended in a panic; the log has it".to_owned(),
            ))
        })
    }

    async fn set_aside(&self, entry: &Entry, why: String) -> Result<(), Trouble> {
        let (name, now) = (entry.shown(), self.app.clock.now());
        let folder = self.folder.config.folder.display();
        tracing::warn!(%folder, file = name, why, "a file of a watched folder cannot be taken");
        let (moved, reason) = (entry.clone(), why.clone());
        blocking(move || file::set_aside(&moved, &reason, now)).await?;
        let status = &self.folder.status;
        status.failed(WatchState::Watching, Some(&name), &why, now);
        status.dealt_with(&name, FileOutcome::Failed, now);
        Ok(())
    }

    fn fails(&self, state: WatchState, file: Option<&str>, why: &str) {
        let now = self.app.clock.now();
        self.folder.status.failed(state, file, why, now);
    }
}

/// Whose fault it is that an ingest failed: of the file, or of something that may pass.
fn verdict(error: Option<&IngestError>) -> Result<Verdict, Trouble> {
    let Some(error) = error else {
        return Ok(Verdict::Ingested);
    };
    let why = redact_dsn(&chain(error));
    match error {
        IngestError::BadFile(_)
        | IngestError::BadOption { .. }
        | IngestError::SchemaDiffers { .. }
        | IngestError::DetectorFailed(_)
        | IngestError::PersonalData { .. }
        | IngestError::Value { .. }
        | IngestError::Columns { .. } => Ok(Verdict::Bad(why)),
        _ => Err(Trouble(why)),
    }
}

/// Runs work that blocks; its errors are no fault of a file.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Trouble> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|error| Trouble(error.to_string()))
}
