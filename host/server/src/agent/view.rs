//! What the agent shows of itself: what waits, why, and what becomes of it.

use boathouse_types::{DatasetName, IndexName};
use serde::Serialize;

use super::{Noted, queue::Entry};
use crate::{
    app::App,
    auth::Caller,
    indexes::{AppendPolicy, LiveIndex},
    problem::Problem,
};

/// The agent.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AgentView {
    /// Whether indexes are tuned by themselves.
    pub tuning: bool,
    /// What the agent does at present, in words.
    pub detail: String,
    /// What waits for it, by index.
    pub queue: Vec<QueueEntry>,
}

/// An index in the queue.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct QueueEntry {
    /// The index.
    pub index: IndexName,
    /// Its dataset.
    pub dataset: DatasetName,
    /// Why it is in the queue.
    pub reasons: Vec<Noted>,
    /// What has become of the rows that were appended.
    pub appends: Carrying,
}

/// What has become of the rows that were appended to the dataset of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Carrying {
    /// In one word.
    pub state: CarryingState,
    /// In a sentence.
    pub detail: String,
}

/// What has become of appended rows, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CarryingState {
    /// They are searched.
    Done,
    /// They are being embedded.
    Working,
    /// Their turn comes.
    Waiting,
    /// They could not be brought in; it is tried again.
    Failed,
    /// The index does not follow by itself.
    Manual,
    /// All rows were replaced, which takes a rebuild.
    Replaced,
    /// The index is not served at present.
    NotServed,
}

/// The agent as a caller may see it.
///
/// # Errors
/// When the queue cannot be read.
pub async fn view(app: &App, caller: &Caller) -> Result<AgentView, Problem> {
    let entries = app.agent.queue.entries().await?.into_iter();
    let reached =
        entries.filter(|(name, entry)| caller.reaches_index(name.as_str(), Some(&entry.dataset)));
    Ok(AgentView {
        tuning: false,
        detail: "rows that are appended to datasets are carried into the indexes whose policy is `auto`; indexes are not tuned by themselves, entries wait for that".to_owned(),
        queue: reached.map(|(name, entry)| shown(app, name, entry)).collect(),
    })
}

/// The entry of an index.
///
/// # Errors
/// 404 when it has none, or the queue cannot be read.
pub async fn entry(app: &App, name: &IndexName) -> Result<QueueEntry, Problem> {
    let mut entries = app.agent.queue.entries().await?;
    let entry = entries.remove(name);
    let entry = entry.map(|entry| shown(app, name.clone(), entry));
    entry.ok_or_else(|| {
        Problem::not_found(
            "not_queued",
            format!("index `{name}` is not in the agent's queue"),
        )
    })
}

fn shown(app: &App, index: IndexName, entry: Entry) -> QueueEntry {
    QueueEntry {
        appends: carrying(app, &index),
        dataset: entry.dataset,
        reasons: entry.reasons,
        index,
    }
}

fn carrying(app: &App, name: &IndexName) -> Carrying {
    let index = match app.indexes.get(name.as_str()) {
        Ok(index) => index,
        Err(problem) => return Carrying::new(CarryingState::NotServed, problem.detail),
    };
    let Some(behind) = index.behind() else {
        let version = index.meta.covered_version();
        let detail = format!("all rows up to version {version} of the dataset are searched");
        return Carrying::new(CarryingState::Done, detail);
    };
    if behind.replaced {
        let detail = format!(
            "the rows were replaced; `POST /vectors/indexes/{name}/refresh` rebuilds the index"
        );
        return Carrying::new(CarryingState::Replaced, detail);
    }
    let rows = behind.rows;
    let (working, problem) = app.agent.state_of(name);
    match (working, problem, index.meta.appends) {
        (true, ..) => Carrying::new(CarryingState::Working, format!("{rows} rows are embedded")),
        (_, _, AppendPolicy::Manual) => Carrying::new(
            CarryingState::Manual,
            format!("{rows} rows wait for `POST /vectors/indexes/{name}/refresh`"),
        ),
        (_, Some(problem), _) => Carrying::new(
            CarryingState::Failed,
            format!("{rows} rows wait, it is tried again: {problem}"),
        ),
        _ => Carrying::new(CarryingState::Waiting, waiting(&index, rows)),
    }
}

fn waiting(index: &LiveIndex, rows: u64) -> String {
    match index.moving_to() {
        Some(to) => format!("{rows} rows wait until the index has moved to bucket `{to}`"),
        None => format!("{rows} rows are next"),
    }
}

impl Carrying {
    fn new(state: CarryingState, detail: impl Into<String>) -> Self {
        Self {
            state,
            detail: detail.into(),
        }
    }
}
