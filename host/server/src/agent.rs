//! The agent: who keeps indexes up to date with their datasets, and what waits for that.
//!
//! Whatever brings rows in tells [`heard`] once they have landed. It notes every index of the dataset in the queue
//! (`agent/queue.rs`), which lasts, and a worker carries the rows into the indexes whose policy is `auto`, one
//! index after the other, each as a task. What could not be done is tried again, less and less often. What was
//! never heard of, because the host was killed between the commit of a version and the note of it or because
//! another host made it, is found by comparing: at the start and every [`LOOK`].
//!
//! Entries stay in the queue when their rows are in: they are what the tuning of indexes begins with, and that
//! does not happen by itself yet. [`view`] says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use boathouse_ingest::{DatasetManifest, IngestMode};
use boathouse_storage::Bucket;
use boathouse_types::{Clock, DatasetName, IndexName};
use tokio::{sync::Notify, time::Instant};

use crate::{
    app::App,
    indexes::{AppendPolicy, Behind, LiveIndex, append},
    problem::Problem,
};

mod queue;
mod view;

pub use queue::{Noted, Reason};
use queue::{Queue, Wish};
pub use view::{AgentView, Carrying, CarryingState, QueueEntry, entry, view};

/// Time between two comparisons of all indexes with their datasets.
const LOOK: Duration = Duration::from_secs(600);
/// First and longest pause before something that failed is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(600));

/// What the agent of a host knows.
pub struct Agent {
    queue: Queue,
    errands: Mutex<Errands>,
    wake: Notify,
}

#[derive(Default)]
struct Errands {
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

impl Agent {
    /// The agent whose queue is in this bucket; nothing is read yet.
    #[must_use]
    pub fn new(primary: &Bucket, clock: &Arc<dyn Clock>) -> Self {
        Self {
            queue: Queue::new(primary, clock),
            errands: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Looks at an index as soon as possible.
    pub(crate) fn nudge(&self, name: &IndexName) {
        self.errands().waiting.insert(name.clone(), Errand::now());
        self.wake.notify_one();
    }

    /// As [`Self::nudge`], if the index waits for something: that it is built, for example.
    pub(crate) fn hurry(&self, name: &IndexName) {
        if self.errands().waiting.contains_key(name) {
            self.nudge(name);
        }
    }

    /// Notes that somebody asks for an index to be looked at.
    ///
    /// # Errors
    /// When the queue cannot be written.
    pub(crate) async fn ask(&self, index: &LiveIndex) -> Result<(), Problem> {
        let meta = &index.meta;
        let wish = Wish::new(&meta.name, &meta.dataset, Reason::Asked, None);
        self.queue.add(&[wish]).await?;
        self.nudge(&meta.name);
        Ok(())
    }

    /// Forgets an index that is gone.
    pub(crate) async fn forget(&self, name: &IndexName) {
        self.errands().waiting.remove(name);
        if let Err(error) = self.queue.remove(name).await {
            tracing::warn!(index = %name, %error, "a deleted index stays in the agent's queue for now");
        }
    }

    fn errands(&self) -> MutexGuard<'_, Errands> {
        self.errands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next index that is due, which is worked on from now on.
    fn next(&self) -> Option<(IndexName, Errand)> {
        let (mut errands, now) = (self.errands(), Instant::now());
        let due = errands.waiting.iter();
        let due = due.filter(|(_, errand)| errand.due <= now);
        let (name, _) = due.min_by_key(|(_, errand)| errand.due)?;
        let name = name.clone();
        let errand = errands.waiting.remove(&name)?;
        errands.working = Some(name.clone());
        Some((name, errand))
    }

    /// Work on an index has ended. What failed waits, unless there was another nudge meanwhile.
    fn settle(&self, name: &IndexName, errand: Errand, outcome: Result<(), Problem>) {
        let mut errands = self.errands();
        errands.working = None;
        let Err(problem) = outcome else { return };
        let pause = match problem.code.as_str() {
            // Whoever stopped it does not want it again at once.
            "cancelled" => PAUSES.1,
            _ => errand.pause,
        };
        match problem.code.as_str() {
            // It is being built or moved, which ends by itself.
            "unknown_index" | "index_busy" => {
                tracing::info!(index = %name, %problem, "appended rows wait");
            }
            _ => tracing::warn!(index = %name, %problem, "appended rows wait"),
        }
        errands.waiting.entry(name.clone()).or_insert(Errand {
            due: Instant::now() + pause,
            pause: (pause * 2).min(PAUSES.1),
            problem: Some(problem.detail),
        });
    }

    /// Whether an index is at its turn, and why it was not done before.
    fn state_of(&self, name: &IndexName) -> (bool, Option<String>) {
        let errands = self.errands();
        let problem = errands.waiting.get(name);
        (
            errands.working.as_ref() == Some(name),
            problem.and_then(|errand| errand.problem.clone()),
        )
    }

    /// When something is due.
    fn due(&self) -> Option<Instant> {
        let errands = self.errands();
        errands.waiting.values().map(|errand| errand.due).min()
    }
}

/// Rows of a dataset have landed: every index on it is noted, also one that was quicker, and looked at soon.
pub(crate) async fn heard(app: &App, dataset: &DatasetName, mode: IngestMode) {
    let landed = match mode {
        IngestMode::Append => Reason::Appended,
        IngestMode::Replace => Reason::Replaced,
    };
    let names = app.indexes.on(dataset);
    if names.is_empty() {
        return;
    }
    match app.datasets.get(dataset).await {
        Ok(manifest) => note(app, &manifest, &names, Some(landed)).await,
        // The next comparison finds it.
        Err(error) => tracing::warn!(%dataset, %error, "the agent cannot look at a dataset"),
    }
    for name in &names {
        app.agent.nudge(name);
    }
}

/// Notes the indexes among these that are behind a dataset and those that are being built on it; the others too,
/// when rows have `landed` just now.
async fn note(app: &App, dataset: &DatasetManifest, names: &[IndexName], landed: Option<Reason>) {
    let mut wishes = Vec::new();
    for name in names {
        let live = app.indexes.get(name.as_str()).ok();
        let behind = live.as_deref().map(|index| {
            let behind = Behind::of(dataset, &index.meta);
            index.note_behind(behind);
            behind
        });
        let newest = dataset.latest().map(|newest| newest.version);
        let reason = match (behind, landed) {
            (Some(Some(behind)), _) if behind.replaced => Reason::Replaced,
            (Some(None), None) => continue,
            (Some(None), Some(landed)) => landed,
            _ => Reason::Appended,
        };
        wishes.push(Wish::new(name, &dataset.name, reason, newest));
    }
    if let Err(error) = app.agent.queue.add(&wishes).await {
        tracing::warn!(dataset = %dataset.name, %error, "the agent's queue cannot be written; what waits is found again by comparing");
    }
}

/// Lets the agent work until the host stops.
pub(crate) fn start(app: &Arc<App>) {
    let background = app.tasks.background();
    let (worker, stop) = (Arc::clone(app), background.stopping());
    background.spawn(async move {
        stop.run_until_cancelled(work(&worker)).await;
    });
}

async fn work(app: &Arc<App>) {
    let mut look_at = Instant::now();
    loop {
        if Instant::now() >= look_at {
            compare(app).await;
            look_at = Instant::now() + LOOK;
        }
        while let Some((name, errand)) = app.agent.next() {
            let outcome = attend(app, &name).await;
            app.agent.settle(&name, errand, outcome);
        }
        let until = app.agent.due().map_or(look_at, |due| due.min(look_at));
        tokio::select! {
            () = app.agent.wake.notified() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

/// Finds every index that is behind its dataset, also one that nobody told of, and every tail that is long.
async fn compare(app: &Arc<App>) {
    let indexes = app.indexes.list();
    let datasets: BTreeSet<_> = indexes.iter().map(|index| &index.meta.dataset).collect();
    let queued = match app.agent.queue.entries().await {
        Ok(queued) => queued,
        Err(error) => {
            tracing::warn!(%error, "the agent's queue cannot be read");
            return nudge_all(app, &indexes);
        }
    };
    for dataset in datasets {
        let Ok(manifest) = app.datasets.get(dataset).await else {
            continue;
        };
        let newest = manifest.latest().map(|newest| newest.version);
        let is_news = |name: &IndexName| {
            let entry = queued.get(name);
            entry.is_none_or(|entry| entry.newest() < newest)
        };
        let on = indexes
            .iter()
            .filter(|index| index.meta.dataset == *dataset);
        let names: Vec<IndexName> = on.map(|index| index.meta.name.clone()).collect();
        let (news, known): (Vec<_>, Vec<_>) = names.into_iter().partition(is_news);
        note(app, &manifest, &news, None).await;
        for name in known {
            if let Ok(index) = app.indexes.get(name.as_str()) {
                index.note_behind(Behind::of(&manifest, &index.meta));
            }
        }
    }
    nudge_all(app, &indexes);
}

fn nudge_all(app: &App, indexes: &[Arc<LiveIndex>]) {
    for index in indexes {
        app.agent.nudge(&index.meta.name);
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
    if index.meta.appends == AppendPolicy::Manual {
        append::look(app, &index).await?;
        return Ok(());
    }
    if append::look(app, &index)
        .await?
        .is_some_and(|behind| !behind.replaced)
    {
        let (worker, wanted) = (Arc::clone(app), name.clone());
        let carried = app
            .tasks
            .run(append::KIND, name.as_str(), |task| async move {
                append::carry(&worker, &wanted, &task).await
            });
        carried.await?;
    }
    append::merge::when_due(app, &app.indexes.get(name.as_str())?);
    Ok(())
}

#[cfg(test)]
mod tests;
