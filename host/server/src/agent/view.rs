//! What the agent shows of itself: what it does, what waits and for what, and what it did last.

use boathouse_types::{DatasetName, IndexName, Timestamp};
use serde::Serialize;

use super::{
    Breaks, Gate, Look, Noted, Switched, Working,
    gates::{Next, decide},
    memory::Outcome,
    queue::Entry,
    tuning::Surroundings,
    waiting::{candidate, candidates, cools_until, period_ends},
    words::{counted, until},
};
use crate::{
    app::App,
    auth::Caller,
    indexes::{AppendPolicy, LiveIndex},
    load::LoadNow,
    problem::Problem,
};

/// The agent.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AgentView {
    /// Whether indexes are tuned by themselves.
    pub tuning: bool,
    /// Who said so, where it was not the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switched: Option<Switched>,
    /// What the agent does at present, and what it waits for, in words.
    pub detail: String,
    /// What has to be open before a trial starts.
    pub gates: Vec<Gate>,
    /// What clients ask of the host.
    pub load: LoadNow,
    /// The index that it is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working: Option<Working>,
    /// Trials, by what became of them.
    pub trials: TrialCounts,
    /// What waits for it, by index.
    pub queue: Vec<QueueEntry>,
    /// Every index, with what the agent did last about it.
    pub indexes: Vec<IndexLooks>,
    /// How often the agent itself broke off; it begins anew by itself.
    pub breaks: Breaks,
}

/// Trials of the agent; all but the first two since the start of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TrialCounts {
    /// Those that began in the last hour, also before a restart.
    pub in_last_hour: u32,
    /// Most that may begin in an hour.
    pub most_per_hour: u32,
    /// Those that began.
    pub started: u64,
    /// Those that ended with a line in the journal.
    pub finished: u64,
    /// Proposals that failed or lay outside the bounds, and were not run.
    pub refused: u64,
    /// What was given up for load, or because the agent was stopped.
    pub yielded: u64,
    /// Looks that ended with another configuration.
    pub promoted: u64,
    /// Looks that left what served.
    pub kept: u64,
    /// Looks that failed.
    pub failed: u64,
}

/// What the agent did about an index.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct IndexLooks {
    /// The index.
    pub index: IndexName,
    /// What it did last and when it looks next, in words.
    pub detail: String,
    /// When it looks next if nothing happens; none while it is off or already waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// What came of its last looks, newest last.
    pub looks: Vec<Look>,
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
    /// What its tuning waits for, in words.
    pub tuning: String,
    /// The gates that keep it from its turn.
    pub closed: Vec<Gate>,
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

/// Figures of the agent for `/metrics`.
#[derive(Debug, Default)]
pub(crate) struct AgentFigures {
    pub(crate) queue: u64,
    /// Name and whether it is open.
    pub(crate) gates: Vec<(&'static str, bool)>,
    /// What became of trials and looks, and how often.
    pub(crate) outcomes: Vec<(&'static str, u64)>,
    pub(crate) breaks: u64,
}

/// The agent as a caller may see it.
///
/// # Errors
/// When queue or memory cannot be read.
pub async fn view(app: &App, caller: &Caller) -> Result<AgentView, Problem> {
    let (agent, config) = (&app.agent, &app.config.agent);
    let entries = agent.queue.entries().await?.into_iter();
    let memory = agent.memory.load().await?;
    let reached =
        entries.filter(|(name, entry)| caller.reaches_index(name.as_str(), Some(&entry.dataset)));
    let gates = agent.tuning.gates(app, &Surroundings::of_host());
    let queue: Vec<QueueEntry> = reached
        .filter_map(|(name, entry)| shown(app, &gates, name, entry))
        .collect();
    let is_reached = |index: &LiveIndex| {
        caller.reaches_index(index.meta.name.as_str(), Some(&index.meta.dataset))
    };
    let mut indexes = app.indexes.list();
    indexes.retain(|index| is_reached(index));
    let working = agent.tuning.working();
    let working =
        working.filter(|working| indexes.iter().any(|one| one.meta.name == working.index));
    let now = app.clock.now();
    Ok(AgentView {
        tuning: memory.is_enabled(config.enabled),
        switched: memory.switch(config.enabled).cloned(),
        detail: in_words(app, &gates, &queue, working.as_ref()),
        trials: trial_counts(app),
        load: app.load.now(),
        indexes: indexes
            .iter()
            .map(|index| looks(app, index, &queue, now))
            .collect(),
        breaks: agent.supervision.breaks(),
        gates,
        working,
        queue,
    })
}

/// The entry of an index.
///
/// # Errors
/// 404 when it has none, or the queue cannot be read.
pub async fn entry(app: &App, name: &IndexName) -> Result<QueueEntry, Problem> {
    let entry = app.agent.queue.entries().await?.remove(name);
    let gates = app.agent.tuning.gates(app, &Surroundings::of_host());
    let entry = entry.and_then(|entry| shown(app, &gates, name.clone(), entry));
    entry.ok_or_else(|| {
        Problem::not_found(
            "not_queued",
            format!("index `{name}` is not in the agent's queue"),
        )
    })
}

/// Figures without asking a bucket.
pub(crate) fn figures(app: &App) -> AgentFigures {
    let gates = app.agent.tuning.gates(app, &Surroundings::of_host());
    AgentFigures {
        queue: app.agent.queue.known().len() as u64,
        gates: gates
            .iter()
            .map(|gate| (gate.gate.as_str(), gate.open))
            .collect(),
        outcomes: app.agent.tuning.counts.all().to_vec(),
        breaks: app.agent.supervision.breaks().count,
    }
}

fn trial_counts(app: &App) -> TrialCounts {
    let (memory, counts) = (app.agent.memory.known(), &app.agent.tuning.counts);
    TrialCounts {
        in_last_hour: memory.trials_in_hour(app.clock.now()),
        most_per_hour: app.config.agent.max_trials_per_hour,
        started: counts.started.get(),
        finished: counts.finished.get(),
        refused: counts.refused.get(),
        yielded: counts.yielded.get(),
        promoted: counts.promoted.get(),
        kept: counts.kept.get(),
        failed: counts.failed.get(),
    }
}

/// What the agent does, in a sentence.
fn in_words(app: &App, gates: &[Gate], queue: &[QueueEntry], working: Option<&Working>) -> String {
    let now = app.clock.now();
    if let Some(working) = working {
        let (index, what) = (&working.index, &working.detail);
        let since = until(working.since, now);
        return format!("at index `{index}`: {what}, for {since}");
    }
    let closed: Vec<String> = gates
        .iter()
        .filter(|gate| !gate.open)
        .map(|gate| waits_for(gate, now))
        .collect();
    let waiting = match queue.len() {
        0 => "nothing waits".to_owned(),
        number => counted(number as u64, "index waits", "indexes wait"),
    };
    let gates = match closed.is_empty() {
        true => "all gates of the host are open".to_owned(),
        false => closed.join("; "),
    };
    format!("{waiting}; {gates}")
}

/// A closed gate as what is waited for.
fn waits_for(gate: &Gate, now: Timestamp) -> String {
    let (name, detail) = (gate.gate.as_str(), &gate.detail);
    match gate.opens_at {
        Some(opens_at) => format!("{name}: {detail}; opens in {}", until(now, opens_at)),
        None => format!("{name}: {detail}"),
    }
}

/// None for an entry of which nothing is left.
fn shown(app: &App, gates: &[Gate], index: IndexName, entry: Entry) -> Option<QueueEntry> {
    let entry = match app.indexes.get(index.as_str()) {
        Ok(live) => entry.without_covered(live.meta.covered_version()),
        Err(_) => entry,
    };
    if entry.reasons.is_empty() {
        return None;
    }
    let now = app.clock.now();
    let closed = candidate(app, &index, &entry, now).map(|one| one.closed(gates, now));
    let tuning = match (closed.as_deref(), app.agent.tuning.trials_of(&index)) {
        (None, _) => "no index of that name serves here".to_owned(),
        (Some([]), None) => turn(app, gates, &index, now),
        (Some([]), Some(trials)) => format!("{} so far", counted(trials.into(), "trial", "trials")),
        (Some(closed), _) => {
            let words: Vec<String> = closed.iter().map(|gate| waits_for(gate, now)).collect();
            words.join("; ")
        }
    };
    Some(QueueEntry {
        appends: carrying(app, &index),
        dataset: entry.dataset,
        reasons: entry.reasons,
        tuning,
        closed: closed.unwrap_or_default(),
        index,
    })
}

/// Whether an index that nothing keeps from its turn has it next, or another one.
fn turn(app: &App, gates: &[Gate], index: &IndexName, now: Timestamp) -> String {
    match decide(gates, &candidates(app, now), now, now) {
        Next::Attend(next) if next != *index => format!("ready; index `{next}` comes first"),
        _ => "it is next".to_owned(),
    }
}

/// What was done about an index, and what comes next.
fn looks(app: &App, index: &LiveIndex, queue: &[QueueEntry], now: Timestamp) -> IndexLooks {
    let (name, memory) = (&index.meta.name, app.agent.memory.known());
    let last = memory.last_look(name);
    let is_on = memory.is_enabled(app.config.agent.enabled);
    let waiting = queue.iter().find(|entry| entry.index == *name);
    let period = period_ends(app, index, last);
    let next_at = match (is_on, waiting, last) {
        (true, None, last) => {
            period.map(|end| last.map_or(end, |last| end.max(cools_until(app, last))))
        }
        _ => None,
    };
    let did = last.map_or("not tuned yet".to_owned(), |last| did(last, now));
    let next = match (waiting, next_at) {
        (Some(entry), _) => format!("waits: {}", entry.tuning),
        (None, Some(next)) => {
            format!("next look in {} unless something happens", until(now, next))
        }
        (None, None) if is_on => "looked at when something happens".to_owned(),
        (None, None) => "not tuned while the agent is off".to_owned(),
    };
    IndexLooks {
        detail: format!("index `{name}`: {did}; {next}"),
        index: name.clone(),
        next_at,
        looks: memory.looks(name).to_vec(),
    }
}

fn did(last: &Look, now: Timestamp) -> String {
    let ago = until(last.at, now);
    let trials = counted(last.trials.into(), "trial", "trials");
    let detail = &last.detail;
    match last.outcome {
        Outcome::Failed => format!("failed {ago} ago: {detail}"),
        Outcome::Stopped => format!("stopped {ago} ago: {detail}"),
        Outcome::Promoted | Outcome::Kept => format!("tuned {ago} ago, {trials}, {detail}"),
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
    let rows = counted(behind.rows, "row", "rows");
    let (working, problem) = app.agent.errands.state_of(name);
    match (index.meta.appends, working, problem) {
        // When it is at its turn it is only looked at.
        (AppendPolicy::Manual, ..) => Carrying::new(
            CarryingState::Manual,
            format!("waiting for `POST /vectors/indexes/{name}/refresh`: {rows}"),
        ),
        (_, true, _) => Carrying::new(CarryingState::Working, format!("being embedded: {rows}")),
        (_, _, Some(problem)) => Carrying::new(
            CarryingState::Failed,
            format!("{rows} to be tried again: {problem}"),
        ),
        _ => Carrying::new(CarryingState::Waiting, waiting(&index, &rows)),
    }
}

fn waiting(index: &LiveIndex, rows: &str) -> String {
    match index.moving_to() {
        Some(to) => format!("waiting until the index has moved to bucket `{to}`: {rows}"),
        None => format!("next: {rows}"),
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
