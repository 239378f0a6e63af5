//! Long work: tasks with progress, events, cancellation and a result.
//!
//! The only module that spawns. Tasks live in memory: after a restart their list is empty, and what
//! they had committed is in the buckets. A finished task is kept until [`KEPT`] newer ones exist.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use boathouse_types::{Clock, Timestamp};
use futures::FutureExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{auth, problem::Problem, request_id};

/// Finished tasks that are remembered.
const KEPT: usize = 500;
/// Events that a task remembers for late listeners; older ones are dropped.
const EVENTS: usize = 2_000;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Under way.
    Running,
    /// Done; `result` holds what came of it.
    Succeeded,
    /// Given up; `error` says why.
    Failed,
    /// Stopped on request; nothing of it is visible.
    Cancelled,
}

/// The stage of a task that has succeeded.
const DONE: &str = "done";

/// How far a task is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Progress {
    /// What is being done; `done` once the task has succeeded.
    pub stage: String,
    /// Units done in this stage.
    pub done: u64,
    /// Units in all, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The unit: `rows`, `bytes`, `texts`, `vectors`, `trials`.
    pub unit: String,
    /// Of an ingest: rows, bytes and pace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest: Option<IngestPace>,
}

/// How far and how fast an ingest is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IngestPace {
    /// Rows that were converted.
    pub rows: u64,
    /// Bytes that were read of a file, over all looks at it, or that came from a database.
    pub bytes: u64,
    /// Parts of a table that were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts_done: Option<u64>,
    /// Parts in which the table is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u64>,
    /// Rows a second, once enough is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_per_second: Option<f64>,
    /// Seconds until the source has been read if nothing changes, once enough is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
}

/// A task as clients see it.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// What kind of work: `ingest`, `index`, `evalset`, `trial`, `autotune`.
    pub kind: String,
    /// What it works on.
    pub subject: String,
    /// Who asked for it: `anonymous`, `owner`, the name and id of a key, or `agent`.
    #[serde(default)]
    pub by: String,
    /// Where it stands.
    pub state: TaskState,
    /// How far it is.
    pub progress: Progress,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    pub result: Value,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

/// One event of a task; `id` counts from 1.
#[derive(Debug, Clone)]
pub struct TaskEvent {
    /// Position in the task's history.
    pub id: u64,
    /// What it is about, for example `trial`.
    pub name: &'static str,
    /// Its content.
    pub data: Value,
}

struct Entry {
    view: Mutex<(TaskView, Vec<TaskEvent>)>,
    /// Number of events so far; listeners wait on it.
    count: watch::Sender<u64>,
    cancel: CancellationToken,
    /// The work stopped before its end on request, and has a result nevertheless.
    stopped_early: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Entry {
    fn emit(&self, name: &'static str, data: Value) {
        let mut guard = locked(&self.view);
        let id = *self.count.borrow() + 1;
        if guard.1.len() == EVENTS {
            guard.1.remove(0);
        }
        guard.1.push(TaskEvent { id, name, data });
        drop(guard);
        self.count.send_replace(id);
    }

    /// Ends the task and tells so in one step: whoever sees the end also finds its event.
    fn end(&self, change: impl FnOnce(&mut TaskView)) {
        let mut guard = locked(&self.view);
        change(&mut guard.0);
        let data = serde_json::to_value(&guard.0).unwrap_or_default();
        let id = *self.count.borrow() + 1;
        guard.1.push(TaskEvent {
            id,
            name: "end",
            data,
        });
        drop(guard);
        self.count.send_replace(id);
    }

    fn view(&self) -> TaskView {
        locked(&self.view).0.clone()
    }

    fn update(&self, change: impl FnOnce(&mut TaskView)) {
        change(&mut locked(&self.view).0);
    }
}

/// What running work sees of its own task.
#[derive(Clone)]
pub struct TaskContext {
    entry: Arc<Entry>,
}

impl TaskContext {
    /// Fires when somebody cancels the task or the host stops.
    #[must_use]
    pub fn cancellation(&self) -> CancellationToken {
        self.entry.cancel.clone()
    }

    /// Says how far the work is.
    pub fn progress(&self, stage: &str, done: u64, total: Option<u64>, unit: &str) {
        self.show(Progress {
            stage: stage.to_owned(),
            done,
            total,
            unit: unit.to_owned(),
            ingest: None,
        });
    }

    /// Says how far the work is, with all there is to say.
    pub fn show(&self, progress: Progress) {
        self.entry.update(|view| view.progress = progress);
    }

    /// Says that the work stopped on request with part of its result: the task ends as cancelled.
    pub fn stopped_early(&self) {
        self.entry.stopped_early.store(true, Ordering::Relaxed);
    }

    /// Tells listeners of something that happened.
    pub fn emit(&self, name: &'static str, data: Value) {
        self.entry.emit(name, data);
    }
}

/// Starts work that belongs to the host and not to a client: no list shows it, nobody cancels it, and the
/// host waits for its end when it stops. Clones are the same.
#[derive(Clone)]
pub struct Background {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Background {
    /// Starts work; it has to end soon after [`Self::stopping`] fires.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(request_id::carried(work));
    }

    /// Fires when the host stops.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs work to its end, also when the caller goes away half-way: for changes that must not stop
    /// between two of their steps.
    ///
    /// # Errors
    /// The work's own problem; 500 when it panics.
    pub async fn settle<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let work = request_id::carried(auth::carried(work));
        let settled = self.tracker.spawn(work).await;
        settled.unwrap_or_else(|_| Err(panicked()))
    }
}

/// All tasks of this host.
pub struct Tasks {
    clock: Arc<dyn Clock>,
    entries: Mutex<BTreeMap<String, Arc<Entry>>>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            entries: Mutex::default(),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// The way to start work that is no task of a client.
    #[must_use]
    pub fn background(&self) -> Background {
        Background {
            tracker: self.tracker.clone(),
            stop: self.stop.clone(),
        }
    }

    /// Starts work and returns its task at once.
    pub fn start<F, W>(&self, kind: &str, subject: &str, work: W) -> TaskView
    where
        W: FnOnce(TaskContext) -> F,
        F: Future<Output = Result<Value, Problem>> + Send + 'static,
    {
        let id = uuid::Uuid::now_v7().simple().to_string();
        let entry = Arc::new(Entry {
            view: Mutex::new((
                TaskView {
                    id: id.clone(),
                    kind: kind.to_owned(),
                    subject: subject.to_owned(),
                    by: auth::current_caller(),
                    state: TaskState::Running,
                    progress: Progress::default(),
                    started_at: self.clock.now(),
                    finished_at: None,
                    result: Value::Null,
                    error: None,
                },
                Vec::new(),
            )),
            count: watch::Sender::new(0),
            cancel: self.stop.child_token(),
            stopped_early: AtomicBool::new(false),
        });
        self.remember(id, &entry);
        let future = work(TaskContext {
            entry: Arc::clone(&entry),
        });
        let clock = Arc::clone(&self.clock);
        let view = entry.view();
        // Problems inside carry the id of the request that asked for the work.
        self.tracker.spawn(request_id::carried(async move {
            let outcome = std::panic::AssertUnwindSafe(future).catch_unwind().await;
            finish(
                &entry,
                outcome.unwrap_or_else(|_| Err(panicked())),
                clock.now(),
            );
        }));
        view
    }

    /// Starts work and waits for its end. The work goes on when the caller goes away.
    ///
    /// # Errors
    /// The work's own problem.
    pub async fn run<F, W>(&self, kind: &str, subject: &str, work: W) -> Result<Value, Problem>
    where
        W: FnOnce(TaskContext) -> F,
        F: Future<Output = Result<Value, Problem>> + Send + 'static,
    {
        let id = self.start(kind, subject, work).id;
        let view = self.wait(&id).await?;
        match view.error {
            Some(problem) => Err(problem),
            None => Ok(view.result),
        }
    }

    /// A task by its id.
    ///
    /// # Errors
    /// 404 when there is none.
    pub fn get(&self, id: &str) -> Result<TaskView, Problem> {
        Ok(self.entry(id)?.view())
    }

    /// All tasks, newest first.
    #[must_use]
    pub fn list(&self) -> Vec<TaskView> {
        locked(&self.entries)
            .values()
            .rev()
            .map(|entry| entry.view())
            .collect()
    }

    /// Asks a task to stop; it ends as cancelled unless it was done first.
    ///
    /// # Errors
    /// 404 when there is none.
    pub fn cancel(&self, id: &str) -> Result<TaskView, Problem> {
        let entry = self.entry(id)?;
        entry.cancel.cancel();
        Ok(entry.view())
    }

    /// Waits until a task has ended.
    ///
    /// # Errors
    /// 404 when there is none.
    pub async fn wait(&self, id: &str) -> Result<TaskView, Problem> {
        let entry = self.entry(id)?;
        let mut count = entry.count.subscribe();
        loop {
            count.mark_unchanged();
            let view = entry.view();
            if view.state != TaskState::Running || count.changed().await.is_err() {
                return Ok(view);
            }
        }
    }

    /// Events after `last`, waiting for the first one; none once the task has ended and all are told.
    ///
    /// # Errors
    /// 404 when there is no such task.
    pub async fn events_after(&self, id: &str, last: u64) -> Result<Vec<TaskEvent>, Problem> {
        let entry = self.entry(id)?;
        let mut count = entry.count.subscribe();
        loop {
            count.mark_unchanged();
            let (state, fresh) = {
                let guard = locked(&entry.view);
                let fresh: Vec<_> = guard
                    .1
                    .iter()
                    .filter(|event| event.id > last)
                    .cloned()
                    .collect();
                (guard.0.state, fresh)
            };
            if !fresh.is_empty() || state != TaskState::Running || count.changed().await.is_err() {
                return Ok(fresh);
            }
        }
    }

    /// Cancels everything and waits until it has stopped.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    fn entry(&self, id: &str) -> Result<Arc<Entry>, Problem> {
        locked(&self.entries).get(id).cloned().ok_or_else(|| {
            Problem::not_found(
                "unknown_task",
                format!(
                    "there is no task `{}`; tasks are forgotten when the host restarts",
                    id.escape_debug()
                ),
            )
        })
    }

    fn remember(&self, id: String, entry: &Arc<Entry>) {
        let mut entries = locked(&self.entries);
        entries.insert(id, Arc::clone(entry));
        let ended: Vec<String> = entries
            .iter()
            .filter(|(_, entry)| entry.view().state != TaskState::Running)
            .map(|(id, _)| id.clone())
            .collect();
        for id in ended.iter().take(ended.len().saturating_sub(KEPT)) {
            entries.remove(id);
        }
    }
}

fn finish(entry: &Entry, outcome: Result<Value, Problem>, now: Timestamp) {
    let cancelled = entry.cancel.is_cancelled();
    entry.end(|view| {
        view.finished_at = Some(now);
        match outcome {
            Ok(result) => {
                let early = entry.stopped_early.load(Ordering::Relaxed);
                if early {
                    view.state = TaskState::Cancelled;
                } else {
                    view.state = TaskState::Succeeded;
                    DONE.clone_into(&mut view.progress.stage);
                }
                view.result = result;
            }
            Err(problem) => {
                view.state = if cancelled {
                    TaskState::Cancelled
                } else {
                    TaskState::Failed
                };
                view.error = Some(problem);
            }
        }
    });
}

fn panicked() -> Problem {
    tracing::error!("a task panicked");
    Problem::new(
        axum::http::StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "the task ended in a panic; the log has it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use boathouse_types::ManualClock;

    fn tasks() -> Tasks {
        Tasks::new(Arc::new(ManualClock::at(0)))
    }

    #[tokio::test]
    async fn a_task_tells_its_events_and_its_result() {
        let tasks = tasks();
        let id = tasks
            .start("test", "x", |task| async move {
                task.emit("step", 1.into());
                Ok(Value::from(7))
            })
            .id;
        let view = tasks.wait(&id).await.expect("known");
        assert_eq!((view.state, view.result), (TaskState::Succeeded, 7.into()));
        let names: Vec<_> = tasks
            .events_after(&id, 0)
            .await
            .expect("known")
            .iter()
            .map(|e| e.name)
            .collect();
        assert_eq!(names, ["step", "end"]);
        assert!(tasks.events_after(&id, 2).await.expect("known").is_empty());
    }

    #[tokio::test]
    async fn a_task_that_succeeded_is_done_and_one_that_failed_shows_where() {
        let tasks = tasks();
        for (outcome, stage) in [
            (Ok(Value::Null), "done"),
            (
                Err(Problem::conflict("changed_meanwhile", "full")),
                "storing",
            ),
        ] {
            let id = tasks
                .start("test", "x", |task| async move {
                    task.progress("storing", 3, Some(3), "rows");
                    outcome
                })
                .id;
            let progress = tasks.wait(&id).await.expect("known").progress;
            assert_eq!((&*progress.stage, progress.done), (stage, 3));
        }
    }

    #[tokio::test]
    async fn background_work_ends_though_its_caller_went_away_and_before_the_host_stops() {
        let tasks = tasks();
        let background = tasks.background();
        let (go, gate) = tokio::sync::oneshot::channel::<()>();
        let (done, seen) = tokio::sync::oneshot::channel();
        let mut work = Box::pin(background.settle(async move {
            let _ = gate.await;
            let _ = done.send(());
            Ok(())
        }));
        assert!(futures::poll!(&mut work).is_pending());
        drop(work);
        let _ = go.send(());
        tasks.stop().await;
        assert!(seen.await.is_ok(), "the work ended before `stop` returned");
        let panicked = background.settle::<()>(async { panic!("boom") }).await;
        assert_eq!(panicked.expect_err("panic").status, 500);
    }

    #[tokio::test]
    async fn a_cancelled_task_and_a_panic_are_told_apart() {
        let tasks = tasks();
        let id = tasks
            .start("test", "x", |task| async move {
                task.cancellation().cancelled().await;
                Err(Problem::conflict("cancelled", "cancelled"))
            })
            .id;
        tasks.cancel(&id).expect("known");
        assert_eq!(
            tasks.wait(&id).await.expect("known").state,
            TaskState::Cancelled
        );
        let id = tasks.start("test", "x", |_| async { panic!("boom") }).id;
        assert_eq!(
            tasks.wait(&id).await.expect("known").state,
            TaskState::Failed
        );
        assert!(tasks.get("nobody").is_err());
    }
}
