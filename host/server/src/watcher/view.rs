//! How a watched folder is, for `GET /ingest/watch`, health and figures.

use std::sync::{Mutex, MutexGuard, PoisonError};

use boathouse_ingest::IngestMode;
use boathouse_types::{DatasetName, Timestamp};
use serde::Serialize;

use super::config::{AfterIngest, WatchConfig};

/// Names of waiting files that are shown.
const SHOWN: usize = 100;

/// How a watched folder is.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct WatchView {
    /// The folder as it is configured.
    pub(crate) folder: String,
    dataset: DatasetName,
    mode: IngestMode,
    after: AfterIngest,
    pub(crate) state: WatchState,
    /// Files that are there and not taken yet.
    pub(crate) waiting_files: u64,
    /// The first of them, in the order in which they are taken; those being written come last.
    waiting: Vec<String>,
    /// The file that is being taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    working_on: Option<String>,
    /// The last file that was dealt with.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_file: Option<LastFile>,
    /// The last thing that went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<LastError>,
    /// Files that became rows since the host started.
    pub(crate) ingested: u64,
    /// Files whose content the dataset had already.
    pub(crate) duplicates: u64,
    /// Files that could not be taken.
    pub(crate) failed: u64,
}

/// What a watched folder is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WatchState {
    /// It was not looked at yet.
    #[default]
    Starting,
    /// It waits for files, or for files to stop changing.
    Watching,
    /// A file is being taken.
    Working,
    /// Something that is no fault of a file keeps files from being taken; it is tried again.
    Retrying,
    /// The folder cannot be listed.
    Missing,
}

/// A file that was dealt with.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct LastFile {
    name: String,
    outcome: FileOutcome,
    at: Timestamp,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FileOutcome {
    /// It became rows.
    Ingested,
    /// The dataset had its content already.
    Duplicate,
    /// It could not be taken and is in `failed/`.
    Failed,
}

/// Something that went wrong.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct LastError {
    /// The file that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// What, and what to do.
    pub(crate) message: String,
    at: Timestamp,
}

/// What is known of a folder, shared by its worker and those who ask.
#[derive(Debug, Default)]
pub(super) struct Status(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    state: WatchState,
    waiting: Vec<String>,
    waiting_files: u64,
    working_on: Option<String>,
    last_file: Option<LastFile>,
    last_error: Option<LastError>,
    ingested: u64,
    duplicates: u64,
    failed: u64,
}

impl Status {
    /// The folder was looked at.
    pub(super) fn waits(&self, names: impl ExactSizeIterator<Item = String>) {
        let mut state = self.lock();
        state.waiting_files = names.len() as u64;
        state.waiting = names.take(SHOWN).collect();
        if state.state != WatchState::Retrying {
            state.state = WatchState::Watching;
        }
    }

    pub(super) fn works_on(&self, name: &str) {
        let mut state = self.lock();
        state.state = WatchState::Working;
        state.working_on = Some(name.to_owned());
    }

    /// A file was dealt with.
    pub(super) fn dealt_with(&self, name: &str, outcome: FileOutcome, at: Timestamp) {
        let mut state = self.lock();
        match outcome {
            FileOutcome::Ingested => state.ingested += 1,
            FileOutcome::Duplicate => state.duplicates += 1,
            FileOutcome::Failed => state.failed += 1,
        }
        state.last_file = Some(LastFile {
            name: name.to_owned(),
            outcome,
            at,
        });
        state.rests(WatchState::Watching);
        state.waiting.retain(|waiting| waiting != name);
        state.waiting_files = state.waiting_files.saturating_sub(1);
    }

    /// Nothing more is being done for now.
    pub(super) fn rests(&self) {
        self.lock().rests(WatchState::Watching);
    }

    /// Something went wrong, and the folder is `state` until it goes right.
    pub(super) fn failed(
        &self,
        state: WatchState,
        file: Option<&str>,
        message: &str,
        at: Timestamp,
    ) {
        let mut known = self.lock();
        known.rests(state);
        known.last_error = Some(LastError {
            file: file.map(str::to_owned),
            message: message.to_owned(),
            at,
        });
    }

    pub(super) fn view(&self, config: &WatchConfig) -> WatchView {
        let state = self.lock();
        WatchView {
            folder: config.folder.to_string_lossy().into_owned(),
            dataset: config.dataset.clone(),
            mode: config.mode,
            after: config.after,
            state: state.state,
            waiting_files: state.waiting_files,
            waiting: state.waiting.clone(),
            working_on: state.working_on.clone(),
            last_file: state.last_file.clone(),
            last_error: state.last_error.clone(),
            ingested: state.ingested,
            duplicates: state.duplicates,
            failed: state.failed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn rests(&mut self, state: WatchState) {
        self.state = state;
        self.working_on = None;
    }
}

impl WatchView {
    /// The dataset that the files go into.
    pub(crate) fn dataset(&self) -> &DatasetName {
        &self.dataset
    }
}
