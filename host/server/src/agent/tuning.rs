//! Tuning: the loop that looks, decides and goes on with one index at a time.
//!
//! A *pass* reads what there is to know (wishes, queue, memory, load), asks `gates.rs` what to do, and either goes
//! one step on with an index (`course.rs`) or says when to look again. Every step is a pass of its own, so every
//! trial meets all gates anew. The loop only waits; a test drives passes by a clock of its own.
//!
//! Invariants: one step runs at a time, so never two trials of the agent. Nothing is decided by what is in memory
//! only: courses may be lost at any time, and their indexes are still in the queue. What waits keeps no vectors but queries
//! that were drawn for it: only the course that has its turn holds on to those that it measures.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use boathouse_tuning::{Proposer, Scorer};
use boathouse_types::{IndexName, PluginKind, Timestamp};
use serde_json::Value;
use tokio::sync::Notify;

use super::{
    course::{self, Course},
    events::Happened,
    gates::{Gate, LoadGate, Next, Signals, decide, of_host},
    queue::{Reason, Wish},
    waiting::{candidates, note_due, settle_measured},
};
use crate::{app::App, indexes::LiveIndex, plugins::Place, problem::Problem};

/// Longest time between two passes, after which the bucket is asked for what other hosts changed.
const LOOK: i64 = 60_000;
/// Time until an index that somebody else was at is tried again.
const BUSY: i64 = 1_000;
/// Shortest time until what failed is tried again.
const AFTER_FAILURE: i64 = 60_000;

/// What the tuning half of the agent knows.
#[derive(Default)]
pub(super) struct Tuning {
    wake: Notify,
    /// Reasons that are not in the queue yet.
    wishes: Mutex<Vec<(IndexName, Reason)>>,
    load: Mutex<LoadGate>,
    /// The gates of the host as they were told last.
    told: Mutex<Vec<Gate>>,
    courses: Mutex<BTreeMap<IndexName, Course>>,
    /// Indexes that somebody else was at, why, and when to try again.
    busy: Mutex<BTreeMap<IndexName, (Timestamp, String)>>,
    working: Mutex<Option<Working>>,
    /// When the bucket was asked last with success.
    read_at: Mutex<Option<Timestamp>>,
    pub(super) counts: Counts,
}

/// What is being done.
#[derive(Debug, Clone, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Working {
    /// The index.
    pub index: IndexName,
    /// Since when.
    pub since: Timestamp,
    /// What, in words.
    pub detail: String,
}

/// What the agent did since the start of its host.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) started: Count,
    pub(super) finished: Count,
    pub(super) refused: Count,
    pub(super) yielded: Count,
    pub(super) promoted: Count,
    pub(super) kept: Count,
    pub(super) failed: Count,
}

/// A number that only grows.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Who judges an index.
pub(super) struct Judges {
    pub(super) proposer: Arc<dyn Proposer>,
    pub(super) scorer: Arc<dyn Scorer>,
}

/// Chooses who judges an index.
type Choose = dyn Fn(&App, &LiveIndex) -> Judges + Send + Sync;

/// What the agent meets outside itself, where tests meet something else.
pub(super) struct Surroundings {
    /// Who is asked about an index.
    pub(super) judges: Box<Choose>,
    /// What is under way on the accelerator that all heavy work shares.
    pub(super) slot: Box<dyn Fn(&App) -> Option<String> + Send + Sync>,
}

impl Surroundings {
    /// Those of a host: the plugins that serve, and its GPU slot.
    pub(super) fn of_host() -> Self {
        let judges = |app: &App, index: &LiveIndex| {
            let judge = |kind| {
                let place = Place::Index(index.meta.name.clone());
                Arc::new(app.plugins.judge(kind, place))
            };
            Judges {
                proposer: judge(PluginKind::Proposer),
                scorer: judge(PluginKind::Scoring),
            }
        };
        Self {
            judges: Box::new(judges),
            slot: Box::new(|app| app.models.under_way()),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tuning {
    /// Takes a reason down, which the next pass notes in the queue.
    pub(super) fn wish(&self, index: &IndexName, reason: Reason) {
        let mut wishes = locked(&self.wishes);
        // Who alarms again and again before it is heard says nothing new.
        if !wishes.iter().any(|known| known == &(index.clone(), reason)) {
            wishes.push((index.clone(), reason));
        }
        drop(wishes);
        self.look_soon();
    }

    /// Has the next pass begin now.
    pub(super) fn look_soon(&self) {
        self.wake.notify_one();
    }

    /// Forgets an index.
    pub(super) fn forget(&self, index: &IndexName) {
        locked(&self.courses).remove(index);
        locked(&self.busy).remove(index);
        locked(&self.wishes).retain(|(wished, _)| wished != index);
    }

    pub(super) fn take_course(&self, index: &IndexName) -> Option<Course> {
        locked(&self.courses).remove(index)
    }

    pub(super) fn keep_course(&self, index: &IndexName, course: Course) {
        locked(&self.courses).insert(index.clone(), course);
    }

    /// Forgets courses on vectors that serve no more.
    fn forget_outdated(&self, app: &App) {
        locked(&self.courses).retain(|name, course| {
            let index = app.indexes.get(name.as_str());
            index.is_ok_and(|index| course.is_on(&index))
        });
    }

    /// Lets courses go of their vectors, but for the one that goes on.
    fn rest(&self, next: &Next) {
        for (name, course) in locked(&self.courses).iter_mut() {
            if !matches!(next, Next::Attend(attended) if attended == name) {
                course.rest();
            }
        }
    }

    /// Trials of the course of an index so far; none when it has no course.
    pub(super) fn trials_of(&self, index: &IndexName) -> Option<u32> {
        locked(&self.courses).get(index).map(|course| course.trials)
    }

    /// Whether the course of an index holds on to vectors; none when it has no course.
    #[cfg(test)]
    pub(super) fn holds_vectors(&self, index: &IndexName) -> Option<bool> {
        locked(&self.courses).get(index).map(Course::holds_vectors)
    }

    /// Somebody else is at an index: it is tried again in a moment.
    pub(super) fn note_busy(&self, app: &App, index: &IndexName, problem: &Problem) {
        let until = later(app.clock.now(), BUSY);
        locked(&self.busy).insert(index.clone(), (until, problem.detail.clone()));
    }

    /// Something about an index failed and could not be written down: it is tried again after a while.
    pub(super) fn note_failed(&self, app: &App, index: &IndexName, problem: &Problem) {
        let until = later(app.clock.now(), AFTER_FAILURE);
        locked(&self.busy).insert(index.clone(), (until, problem.detail.clone()));
    }

    /// Whether the trials of an index are over; none when it has no course.
    pub(super) fn is_concluding(&self, index: &IndexName) -> Option<bool> {
        let courses = locked(&self.courses);
        courses.get(index).map(|course| course.ended.is_some())
    }

    /// Why an index cannot be gone on with for a moment. A time that lies too far ahead was noted while the clock
    /// was wrong.
    pub(super) fn busy_with(&self, index: &IndexName, now: Timestamp) -> Option<String> {
        let busy = locked(&self.busy);
        let holds = |until: Timestamp| now < until && until <= later(now, AFTER_FAILURE);
        let (_, why) = busy.get(index).filter(|(until, _)| holds(*until))?;
        Some(why.clone())
    }

    /// What is being done.
    pub(super) fn working(&self) -> Option<Working> {
        locked(&self.working).clone()
    }

    pub(super) fn set_working(&self, working: Option<Working>) {
        *locked(&self.working) = working;
    }

    /// The gates of the host now.
    pub(super) fn gates(&self, app: &App, around: &Surroundings) -> Vec<Gate> {
        let memory = app.agent.memory.known();
        let signals = Signals {
            now: app.clock.now(),
            config: &app.config.agent,
            memory: &memory,
            load: app.load.now(),
            slot_held_by: (around.slot)(app),
            lane_is_free: !app.agent.persons.are_at_work()
                && (app.lane_is_free() || self.working().is_some()),
        };
        of_host(&mut locked(&self.load), &signals)
    }

    /// Why a trial under way has to be given up.
    pub(super) fn interruption(&self, app: &App) -> Option<String> {
        let config = &app.config.agent;
        if !app.agent.memory.known().is_enabled(config.enabled) {
            return Some("the agent was stopped".to_owned());
        }
        let load = locked(&self.load).look(&app.load.now(), config, app.clock.now());
        (!load.open).then_some(load.detail)
    }

    /// Reads what other hosts may have changed, unless that was done a short while ago.
    async fn read(&self, app: &App, now: Timestamp) -> Result<(), Problem> {
        let (agent, read_at) = (&app.agent, *locked(&self.read_at));
        match read_at {
            None => agent.memory.wake_up(app.config.agent.enabled).await?,
            Some(at) if (now.millis() - at.millis()).abs() < LOOK => return Ok(()),
            Some(_) => drop(agent.memory.load().await?),
        }
        agent.queue.entries().await?;
        *locked(&self.read_at) = Some(now);
        Ok(())
    }

    /// Tells which gates opened and closed since they were told last.
    fn tell(&self, app: &App, gates: &[Gate]) {
        let before = std::mem::replace(&mut *locked(&self.told), gates.to_vec());
        for gate in gates {
            let known = before.iter().find(|known| known.gate == gate.gate);
            // What is open from the start is no news.
            if known.is_none_or(|known| known.open) != gate.open {
                let event = match gate.open {
                    true => Happened::GateOpened,
                    false => Happened::GateClosed,
                };
                let detail = format!("{}: {}", gate.gate.as_str(), gate.detail);
                let data = serde_json::to_value(gate).unwrap_or_default();
                app.agent.events.tell(event, None, detail, data);
            }
        }
    }
}

/// Looks and goes on, for ever.
pub(super) async fn work(app: Arc<App>) {
    let around = Surroundings::of_host();
    app.agent.tuning.set_working(None);
    loop {
        let until = match pass(&app, &around).await {
            Ok(until) => until,
            Err(problem) => {
                tracing::warn!(%problem, "the agent cannot look at its indexes; it tries again");
                later(app.clock.now(), AFTER_FAILURE)
            }
        };
        let wait = until.millis().saturating_sub(app.clock.now().millis());
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
        let _ = tokio::time::timeout(wait, app.agent.tuning.wake.notified()).await;
    }
}

/// One look, and one step with an index if all gates are open; returns when to look again.
///
/// # Errors
/// When the bucket of queue and memory fails.
pub(super) async fn pass(app: &Arc<App>, around: &Surroundings) -> Result<Timestamp, Problem> {
    let (agent, now) = (&app.agent, app.clock.now());
    agent.tuning.forget_outdated(app);
    agent.tuning.read(app, now).await?;
    agent.memory.mend().await?;
    note_wishes(app).await?;
    settle_measured(app).await?;
    let gates = agent.tuning.gates(app, around);
    agent.tuning.tell(app, &gates);
    if agent.memory.known().is_enabled(app.config.agent.enabled) {
        note_due(app, now).await?;
    }
    let candidates = candidates(app, now);
    let next = decide(&gates, &candidates, now, later(now, LOOK));
    agent.tuning.rest(&next);
    match next {
        Next::Wait(until) => Ok(until),
        Next::Attend(index) => {
            course::attend(app, around, &index).await;
            Ok(app.clock.now())
        }
    }
}

/// Puts what was wished for in the queue.
async fn note_wishes(app: &App) -> Result<(), Problem> {
    let wished = std::mem::take(&mut *locked(&app.agent.tuning.wishes));
    let wishes: Vec<Wish> = wished
        .iter()
        .filter_map(|(name, reason)| {
            let index = app.indexes.get(name.as_str()).ok()?;
            Some(Wish::new(name, &index.meta.dataset, *reason, None))
        })
        .collect();
    if wishes.is_empty() {
        return Ok(());
    }
    let noted = app.agent.queue.add(&wishes).await;
    if noted.is_err() {
        locked(&app.agent.tuning.wishes).extend(wished);
    }
    Ok(noted?)
}

/// A time so many milliseconds later.
pub(super) fn later(time: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(time.millis().saturating_add(millis))
}

impl Counts {
    /// Names and numbers, for answers and metrics.
    pub(super) fn all(&self) -> [(&'static str, u64); 7] {
        [
            ("started", self.started.get()),
            ("finished", self.finished.get()),
            ("refused", self.refused.get()),
            ("yielded", self.yielded.get()),
            ("promoted", self.promoted.get()),
            ("kept", self.kept.get()),
            ("failed", self.failed.get()),
        ]
    }
}

/// Nothing besides, in an event.
pub(super) const NOTHING: Value = Value::Null;
