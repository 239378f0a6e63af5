//! Versions that run beside those that serve, to be compared before they are trusted.
//!
//! A shadow is held against what serves in two ways. *History* ([`history`]) asks both sides the same
//! questions about everything the host remembers, when somebody looks. *Live* ([`live`]) asks the shadow
//! again what a serving plugin was just asked, in the background, as long as the shadow is there.
//!
//! Invariants: nothing that a shadow answers, and no way in which it fails, reaches anybody but the reader
//! of its report; a serving call never waits for a shadow (a question that finds the queue full is dropped
//! and counted); shadows are asked one at a time, so of two calls that the sandbox runs at once one is
//! always left for those who serve. A shadow that fails three times in a row is no longer asked live.
//!
//! Absent here: the decision which versions are shadows, which is the registry's and survives a restart.
//! Live figures are in memory and begin anew with the host.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use boathouse_plugins::Plugin;
use boathouse_types::{
    Finding, Objective, PluginKind, PluginRef, Proposal, ProposalContext, TableSample, Trial,
    Verdict,
};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{app::App, problem::Problem};

pub(crate) mod history;
mod live;
pub mod report;

pub use live::LiveView;
use live::{Job, Mirror};
use report::History;

/// Questions that wait to be put to shadows.
const QUEUE: usize = 64;
/// KiB of questions that wait, about: a wide table is not copied 64 times.
const QUEUE_KIB: usize = 64 << 10;

/// What a serving plugin was asked, and its answer.
#[derive(Debug, Clone, Copy)]
pub enum Exchange<'a> {
    /// A proposer's.
    Proposal(&'a ProposalContext, &'a Proposal),
    /// A scoring plugin's.
    Scoring(&'a [Trial], &'a Objective, &'a [Verdict]),
    /// A detector's.
    Detection(&'a TableSample, &'a [Finding]),
}

impl Exchange<'_> {
    fn kind(&self) -> PluginKind {
        match self {
            Self::Proposal(..) => PluginKind::Proposer,
            Self::Scoring(..) => PluginKind::Scoring,
            Self::Detection(..) => PluginKind::Pii,
        }
    }
}

/// Which serving plugins a shadow is held against while they serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Every plugin of its kind.
    All,
    /// The version of its own name: a new version of a detector that serves is compared with the old one,
    /// not with the other detectors of the set.
    Namesake,
}

/// A comparison that everybody who asks for it meanwhile shares.
type Comparison = Shared<BoxFuture<'static, Result<Arc<History>, Problem>>>;

/// All shadows of this host. Clones share them.
#[derive(Clone)]
pub struct Shadows {
    mirrors: Arc<ArcSwap<Vec<Arc<Mirror>>>>,
    queue: mpsc::Sender<Job>,
    waiting: Arc<Mutex<Option<mpsc::Receiver<Job>>>>,
    room: Arc<Semaphore>,
    /// Comparisons under way, by shadow.
    running: Arc<Mutex<BTreeMap<String, Comparison>>>,
}

impl Default for Shadows {
    fn default() -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Self {
            mirrors: Arc::default(),
            queue,
            waiting: Arc::new(Mutex::new(Some(waiting))),
            room: Arc::new(Semaphore::new(QUEUE_KIB)),
            running: Arc::default(),
        }
    }
}

impl Shadows {
    /// Asks this version live from now on; its counts begin at zero.
    pub fn begin(&self, plugin: Plugin, beside: Beside) {
        let mirror = Arc::new(Mirror::new(plugin, beside));
        self.mirrors.rcu(|known| {
            let others = known.iter().filter(|other| !other.is_same(&mirror));
            let mut next: Vec<_> = others.cloned().collect();
            next.push(Arc::clone(&mirror));
            next
        });
    }

    /// Asks this version no more.
    pub fn end(&self, kind: PluginKind, version: &PluginRef) {
        self.mirrors.rcu(|known| {
            let others = known.iter().filter(|mirror| !mirror.is_of(kind, version));
            others.cloned().collect::<Vec<_>>()
        });
    }

    /// How a shadow does live; none when this version is no shadow.
    #[must_use]
    pub fn live(&self, kind: PluginKind, version: &PluginRef) -> Option<LiveView> {
        let mirrors = self.mirrors.load();
        let found = mirrors.iter().find(|mirror| mirror.is_of(kind, version));
        found.map(|mirror| mirror.view())
    }

    /// Hears what a serving plugin answered, and has its shadows asked the same. Returns at once; costs
    /// nothing where there is no shadow.
    pub fn observe(&self, by: &PluginRef, exchange: Exchange<'_>, took: Duration) {
        let mirrors = self.mirrors.load();
        for mirror in mirrors.iter() {
            if !mirror.wants(exchange.kind(), by) {
                continue;
            }
            if self.enqueue(mirror, exchange, took).is_none() {
                mirror.dropped();
            }
        }
    }

    /// None when the queue is full. The question is copied only when there is room for it.
    fn enqueue(&self, mirror: &Arc<Mirror>, exchange: Exchange<'_>, took: Duration) -> Option<()> {
        let place = self.queue.try_reserve().ok()?;
        let room = Arc::clone(&self.room);
        let room = room.try_acquire_many_owned(live::kib(&exchange)).ok()?;
        place.send(Job::new(mirror, room, exchange, took));
        Some(())
    }

    /// Compares a shadow with what serves over everything the host remembers. One comparison runs at a
    /// time for a shadow; it goes on when those who asked for it go away.
    ///
    /// # Errors
    /// As [`history::compare`].
    pub(crate) async fn history(
        &self,
        app: &Arc<App>,
        shadow: Plugin,
    ) -> Result<Arc<History>, Problem> {
        let key = format!("{} {}", shadow.kind(), shadow.identity());
        let comparison = locked(&self.running)
            .entry(key.clone())
            .or_insert_with(|| self.comparison(app, shadow, key))
            .clone();
        comparison.await
    }

    fn comparison(&self, app: &Arc<App>, shadow: Plugin, key: String) -> Comparison {
        let (app, background) = (Arc::clone(app), app.tasks.background());
        let underway = Underway {
            running: Arc::clone(&self.running),
            key,
        };
        let stop = background.stopping();
        let work = async move {
            let _underway = underway;
            history::compare(&app, &shadow, &stop).await.map(Arc::new)
        };
        async move { background.settle(work).await }
            .boxed()
            .shared()
    }

    /// Puts waiting questions to shadows until told to stop. There is one such worker; a second call
    /// returns at once.
    pub async fn work(self, stop: CancellationToken) {
        let Some(mut waiting) = locked(&self.waiting).take() else {
            return;
        };
        loop {
            let job = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                job = waiting.recv() => job,
            };
            let Some(job) = job else { return };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = job.run() => {}
            }
        }
    }
}

/// Takes a comparison off the list when it ends, however it ends.
struct Underway {
    running: Arc<Mutex<BTreeMap<String, Comparison>>>,
    key: String,
}

impl Drop for Underway {
    fn drop(&mut self) {
        locked(&self.running).remove(&self.key);
    }
}

/// A lock that a panic elsewhere does not spoil: what it guards is whole between two statements.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
