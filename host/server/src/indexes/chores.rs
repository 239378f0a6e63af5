//! What is left to do about indexes while nobody waits for it: moves that a restart interrupted, and what
//! moves and deletions left behind in a bucket that did not answer.
//!
//! One worker a host does them, one after the other; moves become tasks of their own. A chore that cannot
//! be done now, because a bucket fails or the index is busy, is tried again after [`PAUSE`], and so are
//! indexes that could not be opened: a bucket may answer before all of its objects are back.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use boathouse_types::IndexName;
use tokio::sync::Notify;

use super::{Indexes, Turn, locked, moves::Journey, standing};
use crate::app::App;

/// Time after which a chore that could not be done, or an index that could not be opened, is tried again.
const PAUSE: Duration = Duration::from_secs(60);

/// One thing that is left to do.
pub(super) enum Chore {
    /// A move goes on.
    Resume(Journey),
    /// What is left of the past of this name is taken away.
    Settle(IndexName),
}

/// What is left to do.
#[derive(Default)]
pub(super) struct Chores {
    waiting: Mutex<Vec<Chore>>,
    added: Notify,
    /// Names without an index that are being settled at this moment.
    settling: Mutex<BTreeSet<IndexName>>,
    settled: Notify,
}

impl Chores {
    pub(super) fn add(&self, chore: Chore) {
        locked(&self.waiting).push(chore);
        self.added.notify_one();
    }

    fn take(&self) -> Vec<Chore> {
        std::mem::take(&mut *locked(&self.waiting))
    }
}

/// Keeps an index, or a name without one, for one worker.
enum Hold<'a> {
    Turn(#[expect(dead_code, reason = "held, not read")] Turn),
    Name(&'a Chores, IndexName),
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if let Self::Name(chores, name) = self {
            locked(&chores.settling).remove(name);
            chores.settled.notify_waiters();
        }
    }
}

/// Does chores until the host stops.
pub(crate) fn start(app: &Arc<App>) {
    let background = app.tasks.background();
    let (worker, stop) = (Arc::clone(app), background.stopping());
    background.spawn(async move {
        stop.run_until_cancelled(work(&worker)).await;
    });
}

async fn work(app: &Arc<App>) {
    let chores = &app.indexes.chores;
    loop {
        let mut again = Vec::new();
        for chore in chores.take() {
            match chore {
                Chore::Resume(journey) => journey.resume(app),
                Chore::Settle(name) => {
                    if !app.indexes.settle(&name).await {
                        again.push(Chore::Settle(name));
                    }
                }
            }
        }
        // Ends early when something new comes in, which is done along with the rest.
        let pause = tokio::time::timeout(PAUSE, chores.added.notified()).await;
        locked(&chores.waiting).extend(again);
        if pause.is_err() {
            app.indexes.try_again(&app.tuner_options()).await;
        }
    }
}

impl Indexes {
    /// Has the worker finish what is left of the past of a name.
    pub(super) fn settle_later(&self, name: &IndexName) {
        self.chores.add(Chore::Settle(name.clone()));
    }

    /// Finishes what is left of the past of a name; false when it has to be tried again.
    pub(crate) async fn settle(&self, name: &IndexName) -> bool {
        let buckets = self.buckets.list();
        let settled = async {
            if standing::is_settled(&buckets, name).await? {
                return Ok(true);
            }
            let Some(_hold) = self.hold(name) else {
                return Ok(false);
            };
            standing::settle(&buckets, name).await.map(|()| true)
        };
        settled
            .await
            .unwrap_or_else(|error: boathouse_storage::StorageError| {
                tracing::warn!(index = %name, %error, "objects of an index are left over for now");
                false
            })
    }

    /// Whether every bucket answers and none has an index of that name, not even one that another host made.
    pub(crate) async fn is_gone(&self, name: &IndexName) -> bool {
        if self.knows(name) {
            return false;
        }
        let (found, unread) = standing::look(&self.buckets.list(), name).await;
        unread.is_empty() && !found.iter().any(|one| one.is_alive(&found))
    }

    /// Waits until nobody takes away what is left of a name that was set aside.
    pub(super) async fn quiet(&self, name: &IndexName) {
        loop {
            let mut settled = std::pin::pin!(self.chores.settled.notified());
            settled.as_mut().enable();
            if !locked(&self.chores.settling).contains(name) {
                return;
            }
            settled.await;
        }
    }

    /// None while somebody else is at the index, or at building one of that name.
    fn hold(&self, name: &IndexName) -> Option<Hold<'_>> {
        if let Some(index) = self.current(name) {
            return index.take_turn().ok().map(Hold::Turn);
        }
        let reserved = locked(&self.reserved);
        let mut settling = locked(&self.chores.settling);
        let free = !reserved.contains_key(name) && settling.insert(name.clone());
        free.then(|| Hold::Name(&self.chores, name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use boathouse_faults::Plan;

    use super::super::testing::{build, faulty, memory, name, opened};

    #[tokio::test]
    async fn an_index_is_gone_when_every_bucket_says_so() {
        let (primary, second) = (memory("primary"), memory("second"));
        let (view, store) = faulty(&second, Plan::Never);
        let indexes = opened(&[&primary, &view]).await;
        assert!(indexes.is_gone(&name()).await);
        store.follow(Plan::DOWN);
        assert!(!indexes.is_gone(&name()).await, "nobody knows");
        store.follow(Plan::Never);
        build(&second, "vectors.parquet").await;
        assert!(!indexes.knows(&name()), "it is not looked for here");
        assert!(!indexes.is_gone(&name()).await, "another host made it");
        let here = opened(&[&primary, &view]).await;
        assert!(here.knows(&name()) && !here.is_gone(&name()).await);
    }
}
