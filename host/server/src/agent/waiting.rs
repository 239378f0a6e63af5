//! Which indexes wait for the agent, why, and until when.
//!
//! What the queue says is held against the indexes as they are: reasons about rows count once the rows are in, those
//! about rows that change nothing that can be measured go, and an index with a base that nobody has measured has a
//! reason though nobody gave one.

use boathouse_types::{IndexName, Timestamp};

use super::{
    events::Happened,
    gates::Candidate,
    memory::{Look, Outcome},
    queue::{Entry, Noted, Reason, Wish},
    tuning::{NOTHING, later},
};
use crate::{app::App, indexes::LiveIndex, problem::Problem};

/// Shortest time until a look that failed is tried again.
const AFTER_FAILURE: i64 = 60_000;
/// Why nothing can be done to an index of which all documents were deleted.
const NO_DOCUMENTS: &str = "all its documents were deleted, so there is nothing to measure; it has its turn when rows come";

/// Puts indexes in the queue that nobody has looked at for long, and those with a base that nobody has measured.
pub(super) async fn note_due(app: &App, now: Timestamp) -> Result<(), Problem> {
    let (queued, memory) = (app.agent.queue.known(), app.agent.memory.known());
    let mut wishes = Vec::new();
    for index in app.indexes.list() {
        let (name, last) = (&index.meta.name, memory.last_look(&index.meta.name));
        let entry = queued.get(name);
        let wish = |reason, version| Wish::new(name, &index.meta.dataset, reason, version);
        let has_rows = |entry: &Entry| entry.reasons.iter().any(|one| one.reason.is_about_rows());
        if has_new_base(&index, last) && !entry.is_some_and(has_rows) {
            let covered = Some(index.meta.covered_version());
            wishes.push(wish(Reason::Appended, covered));
        } else if entry.is_none() && period_ends(app, &index, last).is_some_and(|end| end <= now) {
            wishes.push(wish(Reason::Period, None));
        }
    }
    if !wishes.is_empty() {
        app.agent.queue.add(&wishes).await?;
    }
    Ok(())
}

/// Takes reasons out of the queue that rows gave which are in an index beside its graph, if the graph is measured: that
/// needs no gate, as there is nothing to try.
pub(super) async fn settle_measured(app: &App) -> Result<(), Problem> {
    let agent = &app.agent;
    for (name, entry) in agent.queue.known() {
        let Ok(index) = app.indexes.get(name.as_str()) else {
            continue;
        };
        let seen = standing(&entry, &index);
        let is_under_way = agent.tuning.is_concluding(&name).is_some();
        if is_under_way || seen.is_empty() || !is_beside(app, &index, &seen) {
            continue;
        }
        agent.queue.settle(&name, &seen).await?;
        let detail =
            "its new rows are compared one by one beside the graph, which is as it was measured";
        agent
            .events
            .tell(Happened::Settled, Some(&name), detail, NOTHING);
    }
    Ok(())
}

/// Whether the reasons are rows beside a graph that is measured, and nothing else.
pub(super) fn is_beside(app: &App, index: &LiveIndex, seen: &[Noted]) -> bool {
    let memory = app.agent.memory.known();
    let last = memory.last_look(&index.meta.name);
    let is_measured = last.is_some_and(|last| {
        last.data_version == index.data.data_version && last.outcome != Outcome::Failed
    });
    is_measured && seen.iter().all(|noted| noted.reason == Reason::Appended)
}

/// Whether the vectors that its graph leads to are others than at the last look.
fn has_new_base(index: &LiveIndex, last: Option<&Look>) -> bool {
    match last {
        Some(last) => last.data_version != index.data.data_version,
        None => index.meta.first_vectors_path.is_some(),
    }
}

/// When an index is looked at though nothing has happened; none for never, as where nothing can be found in it.
pub(super) fn period_ends(app: &App, index: &LiveIndex, last: Option<&Look>) -> Option<Timestamp> {
    let period = i64::from(app.config.agent.wake_interval_secs) * 1_000;
    let since = last.map_or(index.meta.created_at, |look| look.at);
    let is_looked_at = period > 0 && index.vectors() > 0;
    is_looked_at.then(|| later(since.max(index.meta.created_at), period))
}

/// Until when an index is left alone after the last look at it.
pub(super) fn cools_until(app: &App, last: &Look) -> Timestamp {
    let cooldown = i64::from(app.config.agent.cooldown_secs) * 1_000;
    let least = match last.outcome {
        Outcome::Failed => AFTER_FAILURE,
        _ => 0,
    };
    later(last.at, cooldown.max(least))
}

/// What waits for its turn.
pub(super) fn candidates(app: &App, now: Timestamp) -> Vec<Candidate> {
    let entries = app.agent.queue.known();
    let all = entries.iter();
    all.filter_map(|(name, entry)| candidate(app, name, entry, now))
        .collect()
}

/// An index that waits; none when it is not one any more, and when only what stands beside it would be a reason.
pub(super) fn candidate(
    app: &App,
    name: &IndexName,
    entry: &Entry,
    now: Timestamp,
) -> Option<Candidate> {
    let tuning = &app.agent.tuning;
    let strongest = entry.reasons.iter().min_by_key(|one| one.reason.rank())?;
    let course = tuning.is_concluding(name);
    let memory = app.agent.memory.known();
    let last = memory.last_look(name);
    let obstacle = match app.indexes.get(name.as_str()) {
        Err(problem) if app.indexes.knows(name) => Some(problem.detail),
        Err(_) => return None,
        Ok(index) if index.vectors() == 0 => Some(NO_DOCUMENTS.to_owned()),
        Ok(index) if course.is_none() && standing(entry, &index).is_empty() => {
            Some("its rows are not all in yet".to_owned())
        }
        Ok(_) => tuning.busy_with(name, now),
    };
    Some(Candidate {
        index: name.clone(),
        reason: strongest.reason,
        since: strongest.first_at,
        // A course under way is no new look.
        cools_until: last
            .filter(|_| course.is_none())
            .map(|last| cools_until(app, last)),
        obstacle,
        is_concluding: course.unwrap_or(false),
    })
}

/// The reasons of an entry that can be acted upon: those about rows as soon as the rows are in.
pub(super) fn standing(entry: &Entry, index: &LiveIndex) -> Vec<Noted> {
    let is_behind = index.behind().is_some();
    let reasons = entry.reasons.iter();
    let standing = reasons.filter(|noted| !(is_behind && noted.reason.is_about_rows()));
    standing.cloned().collect()
}
