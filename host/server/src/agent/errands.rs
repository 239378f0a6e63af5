//! Carrying: rows that were appended to datasets are brought into the indexes that follow by themselves.
//!
//! One index after the other, each as a task. What could not be done is tried again, less and less often; so is an
//! index that somebody refreshes at the moment, so that it keeps no other one waiting. What was
//! never heard of, because the host was killed between the commit of a version and the note of it or because another
//! host made it, is found by comparing: at the start and every [`LOOK`].
//!
//! Errands are in memory only: what they are about stands in the datasets. They know nothing of tuning; an index
//! that has got its rows is told to the other half of the agent by a nudge.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use boathouse_types::IndexName;
use tokio::{sync::Notify, time::Instant};

use super::{news, queue::Entry};
use crate::{
    app::App,
    indexes::{AppendPolicy, append},
    problem::Problem,
};

/// Time between two comparisons of all indexes with their datasets.
const LOOK: Duration = Duration::from_secs(600);
/// First and longest pause before something that failed is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(600));

/// What is to be carried.
#[derive(Default)]
pub(super) struct Errands {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<IndexName, Errand>,
    /// The index that is at its turn.
    working: Option<IndexName>,
}

/// An index that may have rows to get.
#[derive(Debug, Clone)]
struct Errand {
    due: Instant,
    /// How long the next pause is.
    pause: Duration,
    /// Why it could not be done.
    problem: Option<String>,
}

impl Errand {
    fn now() -> Self {
        Self {
            due: Instant::now(),
            pause: PAUSES.0,
            problem: None,
        }
    }
}

impl Errands {
    /// Looks at an index as soon as possible.
    pub(super) fn nudge(&self, name: &IndexName) {
        self.state().waiting.insert(name.clone(), Errand::now());
        self.wake.notify_one();
    }

    /// Whether an index waits for something: that it is built, for example.
    pub(super) fn has(&self, name: &IndexName) -> bool {
        self.state().waiting.contains_key(name)
    }

    /// Forgets an index.
    pub(super) fn forget(&self, name: &IndexName) {
        self.state().waiting.remove(name);
    }

    /// Whether an index is at its turn, and why it was not done before.
    pub(super) fn state_of(&self, name: &IndexName) -> (bool, Option<String>) {
        let state = self.state();
        let problem = state.waiting.get(name);
        (
            state.working.as_ref() == Some(name),
            problem.and_then(|errand| errand.problem.clone()),
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next index that is due, which is worked on from now on.
    fn next(&self) -> Option<(IndexName, Errand)> {
        let (mut state, now) = (self.state(), Instant::now());
        let due = state.waiting.iter();
        let due = due.filter(|(_, errand)| errand.due <= now);
        let (name, _) = due.min_by_key(|(_, errand)| errand.due)?;
        let name = name.clone();
        let errand = state.waiting.remove(&name)?;
        state.working = Some(name.clone());
        Some((name, errand))
    }

    /// Work on an index has ended. What failed waits, unless there was another nudge meanwhile.
    fn settle(&self, name: &IndexName, errand: Errand, outcome: Result<(), Problem>) {
        let mut state = self.state();
        state.working = None;
        let Err(problem) = outcome else { return };
        let pause = match problem.code.as_str() {
            // Whoever stopped it does not want it again at once.
            "cancelled" => PAUSES.1,
            _ => errand.pause,
        };
        match problem.code.as_str() {
            // It is being built, refreshed or moved, which ends by itself.
            "unknown_index" | "index_busy" => {
                tracing::info!(index = %name, %problem, "appended rows wait");
            }
            _ => tracing::warn!(index = %name, %problem, "appended rows wait"),
        }
        state.waiting.entry(name.clone()).or_insert(Errand {
            due: Instant::now() + pause,
            pause: (pause * 2).min(PAUSES.1),
            problem: Some(problem.detail),
        });
    }

    /// When something is due.
    fn due(&self) -> Option<Instant> {
        let state = self.state();
        state.waiting.values().map(|errand| errand.due).min()
    }
}

/// Carries what is to be carried, for ever.
pub(super) async fn work(app: Arc<App>) {
    // After a panic nobody is at its turn, and comparing finds what was dropped.
    app.agent.errands.state().working = None;
    let mut look_at = Instant::now();
    loop {
        if Instant::now() >= look_at {
            news::compare(&app).await;
            look_at = Instant::now() + LOOK;
        }
        carry_due(&app).await;
        let until = app
            .agent
            .errands
            .due()
            .map_or(look_at, |due| due.min(look_at));
        tokio::select! {
            () = app.agent.errands.wake.notified() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

/// Carries everything that is due.
pub(super) async fn carry_due(app: &Arc<App>) {
    let errands = &app.agent.errands;
    while let Some((name, errand)) = errands.next() {
        let outcome = attend(app, &name).await;
        errands.settle(&name, errand, outcome);
        app.agent.look_soon();
    }
}

/// Brings into an index what was appended to its dataset, if it is to follow by itself.
async fn attend(app: &Arc<App>, name: &IndexName) -> Result<(), Problem> {
    let index = match app.indexes.get(name.as_str()) {
        Ok(index) => index,
        // Not served for now: being built, or in a bucket that does not answer.
        Err(problem) if app.indexes.knows(name) => return Err(problem),
        Err(_) => {
            app.agent.forget(name).await;
            return Ok(());
        }
    };
    let behind = append::look(app, &index).await?;
    let covered = index.meta.covered_version();
    let queue = &app.agent.queue;
    let is_over = |entry: &Entry| entry.has_covered(covered);
    if !behind.is_some_and(|behind| behind.replaced) && queue.known().get(name).is_some_and(is_over)
    {
        queue.covered(name, covered).await?;
    }
    if index.meta.appends == AppendPolicy::Manual {
        return Ok(());
    }
    if behind.is_some_and(|behind| !behind.replaced) {
        let growing = index.try_growing().ok_or_else(|| refreshed(name))?;
        let (worker, wanted) = (Arc::clone(app), name.clone());
        let carried = app
            .tasks
            .run(append::KIND, name.as_str(), |task| async move {
                append::carry(&worker, &wanted, growing, &task).await
            });
        carried.await?;
    }
    append::merge::when_due(app, &app.indexes.get(name.as_str())?);
    Ok(())
}

fn refreshed(name: &IndexName) -> Problem {
    Problem::conflict(
        "index_busy",
        format!("index `{name}` is being refreshed, which brings its rows in as well"),
    )
}

#[cfg(test)]
mod tests;
