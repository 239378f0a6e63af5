//! A store that misbehaves on purpose, at one chosen operation.
//!
//! Tests put it between a bucket and its store (`bucket.with_store(Arc::new(faulty))`), run a scenario
//! for every `n` until [`FaultyStore::stopped`] says that the scenario has no n-th operation, and look at
//! the inner store afterwards: what lies there is what a restart would find.
//!
//! Operations are counted from 0, in the order in which they begin: a put, a get, a listing, each deletion
//! of a stream of deletions, each part, completion and abortion of an upload, a copy. A rename is a copy and
//! a deletion, as on S3. Reading the body of a get is not counted; a read whose answer is lost
//! ([`Last::Done`]) loses it half-way: the first objects of the listing, or the first half of the body, are
//! given, and then the failure.
//!
//! Not here: anything of Boathouse, so that every room can use it; randomness (a test that wants chance
//! draws `at` itself and prints it).

mod stale;
mod store;
#[cfg(test)]
mod tests;

use std::{
    future::pending,
    sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError},
};

use futures::lock::Mutex;
use object_store::{Error, ObjectStore, Result};
use tokio::sync::watch;

use self::stale::History;

/// What the store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing; it counts.
    Never,
    /// From operation `at` on every one fails, as if the process had been killed there.
    Stop {
        /// The operation at which it stops.
        at: usize,
        /// What becomes of that operation.
        last: Last,
    },
    /// Operation `at` fails, and only that one.
    FailOnce {
        /// The operation that fails.
        at: usize,
        /// What becomes of it.
        last: Last,
    },
    /// Operation `at` never ends and does not happen; the others work. See [`FaultyStore::reached`].
    Stall {
        /// The operation that never ends.
        at: usize,
    },
    /// Listings show what was there before the last so many changes; everything else is up to date.
    StaleListings {
        /// How many changes a listing does not show.
        behind: usize,
    },
}

/// What becomes of the operation that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// It does not happen.
    Lost,
    /// It happens, but its answer is lost; a read gives half an answer.
    Done,
}

impl Plan {
    /// Every operation fails.
    pub const DOWN: Self = Self::Stop {
        at: 0,
        last: Last::Lost,
    };
}

impl Last {
    /// Both, for loops.
    pub const BOTH: [Self; 2] = [Self::Lost, Self::Done];
}

/// A store that follows a [`Plan`]; clones share the count.
#[derive(Debug, Clone)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    plan: StdMutex<Plan>,
    begun: watch::Sender<usize>,
    /// Taken for the length of a change while listings are stale, so that the changes have an order.
    history: Mutex<History>,
}

/// What to do with one operation.
enum Verdict {
    Runs,
    Fails(Last),
    Stalls,
}

impl FaultyStore {
    /// A view of `inner` that follows the plan.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, plan: Plan) -> Self {
        let state = State {
            plan: StdMutex::new(plan),
            begun: watch::Sender::new(0),
            history: Mutex::default(),
        };
        Self {
            inner,
            state: Arc::new(state),
        }
    }

    /// Follows another plan from now on, and counts from 0 again. `Plan::DOWN` and `Plan::Never` switch a
    /// store off and on.
    pub fn follow(&self, plan: Plan) {
        *self.state.lock_plan() = plan;
        self.state.begun.send_replace(0);
    }

    /// The plan that it follows.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.state.plan()
    }

    /// Operations begun so far.
    #[must_use]
    pub fn begun(&self) -> usize {
        *self.state.begun.borrow()
    }

    /// Whether the operation of the plan was reached; never with a plan that names none.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.state.at().is_some_and(|at| self.begun() > at)
    }

    /// Waits until the operation of the plan has begun; with a plan that names none, for ever. To drop a
    /// caller that hangs in it: `select(caller, store.reached())`.
    pub async fn reached(&self) {
        let Some(at) = self.state.at() else {
            return pending().await;
        };
        // The sender lives as long as `self`.
        let _ = self
            .state
            .begun
            .subscribe()
            .wait_for(|begun| *begun > at)
            .await;
    }

    async fn run<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        self.obey(self.state.next(), operation).await
    }

    async fn obey<T>(
        &self,
        verdict: Verdict,
        operation: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match verdict {
            Verdict::Runs => operation.await,
            Verdict::Fails(Last::Lost) => Err(failed()),
            Verdict::Fails(Last::Done) => {
                let _ = operation.await;
                Err(failed())
            }
            Verdict::Stalls => pending().await,
        }
    }
}

impl State {
    fn plan(&self) -> Plan {
        *self.lock_plan()
    }

    fn lock_plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self) -> Option<usize> {
        match self.plan() {
            Plan::Never | Plan::StaleListings { .. } => None,
            Plan::Stop { at, .. } | Plan::FailOnce { at, .. } | Plan::Stall { at } => Some(at),
        }
    }

    fn next(&self) -> Verdict {
        let mut number = 0;
        self.begun.send_modify(|begun| {
            number = *begun;
            *begun += 1;
        });
        match self.plan() {
            Plan::Stop { at, last } | Plan::FailOnce { at, last } if number == at => {
                Verdict::Fails(last)
            }
            Plan::Stop { at, .. } if number > at => Verdict::Fails(Last::Lost),
            Plan::Stall { at } if number == at => Verdict::Stalls,
            _ => Verdict::Runs,
        }
    }
}

fn failed() -> Error {
    Error::Generic {
        store: "FaultyStore",
        source: "stopped on purpose".into(),
    }
}
