//! Who uses what the slot holds: answers that are under way, and embedders that others need.
//!
//! A [`Lease`] is an answer that is under way; a change of hands waits for its end. Leases of profiles that share a model
//! are counted together, since it is the model that must not go. A [`Protection`] keeps an embedder in memory for as long
//! as an index needs it, whoever holds the slot.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;

use super::{Occupant, SlotLimits};
use crate::ModelName;

/// The slot in somebody's hands.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) occupant: Occupant,
    pub(super) gauge: Arc<Gauge>,
}

/// Counts the answers that use a loaded model.
#[derive(Debug)]
pub(super) struct Gauge {
    answers: watch::Sender<usize>,
    /// Fires when they must stop.
    stop: CancellationToken,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Drained {
    /// Answers that were under way at its start.
    pub(super) waited_for: usize,
    /// Answers that were told to stop.
    pub(super) stopped: usize,
}

impl Holding {
    pub(super) fn new(occupant: Occupant) -> Arc<Self> {
        let gauge = Gauge {
            answers: watch::Sender::new(0),
            stop: CancellationToken::new(),
        };
        Arc::new(Self {
            occupant,
            gauge: Arc::new(gauge),
        })
    }

    /// The same loaded model in other hands.
    pub(super) fn passed_to(&self, occupant: Occupant) -> Arc<Self> {
        Arc::new(Self {
            occupant,
            gauge: Arc::clone(&self.gauge),
        })
    }

    /// One more answer.
    pub(super) fn lease(self: &Arc<Self>) -> Lease {
        self.gauge.answers.send_modify(|count| *count += 1);
        Lease {
            holding: Arc::clone(self),
        }
    }
}

impl Gauge {
    pub(super) fn answers(&self) -> usize {
        *self.answers.borrow()
    }

    /// Whether answers were told to stop: then no new one may begin on this gauge.
    pub(super) fn has_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits for the end of all answers, tells them to stop when it takes too long, and gives up on those that do not.
    /// The model server lets those finish before it unloads their model.
    pub(super) async fn drain(&self, limits: &SlotLimits) -> Drained {
        let waited_for = self.answers();
        if self.ended_within(limits.drain).await {
            return Drained {
                waited_for,
                stopped: 0,
            };
        }
        let stopped = self.answers();
        self.stop.cancel();
        self.ended_within(limits.stop).await;
        Drained {
            waited_for,
            stopped,
        }
    }

    async fn ended_within(&self, limit: time::Duration) -> bool {
        let mut answers = self.answers.subscribe();
        let ended = time::timeout(limit, answers.wait_for(|count| *count == 0)).await;
        ended.is_ok()
    }
}

/// An answer that is under way. The model stays until this is dropped, or until [`stopped`](Self::stopped) fires and
/// some seconds have gone by.
pub struct Lease {
    holding: Arc<Holding>,
}

impl Lease {
    /// Whose model answers, and with which options it is loaded.
    #[must_use]
    pub fn occupant(&self) -> &Occupant {
        &self.holding.occupant
    }

    /// Fires when the answer has to end, since the slot is given to somebody else and it took too long.
    #[must_use]
    pub fn stopped(&self) -> CancellationToken {
        self.holding.gauge.stop.clone()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.holding.occupant.profile)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.holding.gauge.answers.send_modify(|count| *count -= 1);
    }
}

/// Embedders that somebody needs, with how often.
#[derive(Debug, Clone, Default)]
pub(super) struct Protections(Arc<Mutex<BTreeMap<ModelName, usize>>>);

impl Protections {
    pub(super) fn protect(&self, model: ModelName) -> Protection {
        *self.all().entry(model.clone()).or_default() += 1;
        Protection {
            model,
            all: self.clone(),
        }
    }

    pub(super) fn models(&self) -> BTreeSet<ModelName> {
        self.all().keys().cloned().collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<ModelName, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the slot from unloading an embedder until it is dropped.
#[derive(Debug)]
pub struct Protection {
    model: ModelName,
    all: Protections,
}

impl Drop for Protection {
    fn drop(&mut self) {
        let mut all = self.all.all();
        if let Some(count) = all.get_mut(&self.model) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.model);
            }
        }
    }
}
