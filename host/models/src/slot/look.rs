//! Looking at what is in memory, and what follows from it.
//!
//! What follows is decided by plain functions over facts, so that each case can be written down in a test.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::{self, Instant};

use super::{
    job::{Standing, Work},
    lease::Holding,
};
use crate::{Gpu, ModelName, Resident, ServerError, gpu};

/// The first pause between two looks.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// What was in memory at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    pub(super) resident: Vec<Resident>,
    pub(super) gpus: Vec<Gpu>,
}

impl Look {
    pub(super) fn has(&self, model: &ModelName) -> bool {
        self.find(model).is_some()
    }

    pub(super) fn find(&self, model: &ModelName) -> Option<&Resident> {
        self.resident.iter().find(|one| one.is(model))
    }

    pub(super) fn used_bytes(&self) -> Option<u64> {
        gpu::used_bytes(&self.gpus)
    }

    /// What some models take, of all their bytes and of those on GPUs.
    pub(super) fn bytes_of<'a>(
        &self,
        models: impl IntoIterator<Item = &'a ModelName>,
    ) -> (u64, u64) {
        let found = models.into_iter().filter_map(|model| self.find(model));
        found.fold((0, 0), |(all, vram), one| {
            (all + one.size_bytes, vram + one.vram_bytes)
        })
    }
}

impl Work {
    /// Looks once.
    pub(super) async fn look(&self) -> Result<Look, ServerError> {
        let (resident, gpus) = tokio::join!(self.server.resident(), gpu::read(&self.gpus));
        self.board.sample(&gpus);
        let resident = resident?;
        self.board.seen(&resident);
        Ok(Look { resident, gpus })
    }

    /// Looks again and again while the server is slow to tell, which it is while it loads something.
    pub(super) async fn look_patiently(&self) -> Result<Look, ServerError> {
        let until = Instant::now() + self.limits.unload;
        let mut pauses = self.pauses();
        loop {
            match self.look().await {
                Err(ServerError::Slow { .. }) if Instant::now() < until => pauses.pause().await,
                look => return look,
            }
        }
    }

    /// Pauses between looks at something that is waited for.
    pub(super) fn pauses(&self) -> Pauses {
        Pauses {
            next: FIRST_PAUSE.min(self.limits.look),
            longest: self.limits.look,
        }
    }
}

/// Pauses that grow by half. So what is over is noticed late by a third of what it took, and by the longest pause at
/// most.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    pub(super) async fn pause(&mut self) {
        time::sleep(self.next).await;
        self.next = (self.next * 3 / 2).min(self.longest);
    }
}

/// What a look says about a slot that nobody is changing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Finding {
    /// The holder's model has left memory although the slot did not unload it.
    pub(super) lost: bool,
    /// Models of ours that nobody needs.
    pub(super) strays: BTreeSet<ModelName>,
    /// Models of ours that are not in memory any more.
    pub(super) gone: BTreeSet<ModelName>,
}

/// Compares what the slot believes with what was seen.
pub(super) fn compare(
    standing: &Standing,
    protected: &BTreeSet<ModelName>,
    resident: &[Resident],
) -> Finding {
    let is_there = |model: &ModelName| resident.iter().any(|one| one.is(model));
    // While an answer is under way, the server is loading the model again if it is not there.
    let lost =
        |holding: &Holding| !is_there(&holding.occupant.model) && holding.gauge.answers() == 0;
    let lost = standing.holding.as_deref().is_some_and(lost);
    let needed = match &standing.holding {
        Some(holding) if !lost => holding.occupant.models(),
        _ => BTreeSet::new(),
    };
    let (there, gone): (BTreeSet<_>, BTreeSet<_>) =
        standing.ours.iter().cloned().partition(is_there);
    let wanted = |model: &ModelName| {
        needed.contains(model) || protected.contains(model) || standing.preloaded.contains(model)
    };
    Finding {
        lost,
        strays: there.into_iter().filter(|model| !wanted(model)).collect(),
        gone: gone
            .into_iter()
            .filter(|model| !needed.contains(model))
            .collect(),
    }
}

/// Milliseconds since a moment.
pub(super) fn millis_since(moment: Instant) -> u64 {
    millis(moment.elapsed())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProfileId, RunOptions, slot::Occupant, testing::name};

    fn names(models: &[&str]) -> BTreeSet<ModelName> {
        models.iter().map(|model| name(model)).collect()
    }

    /// Profile with model `a` and embedder `e`.
    fn holding() -> std::sync::Arc<Holding> {
        Holding::new(Occupant {
            profile: ProfileId::new("p").unwrap(),
            model: name("a"),
            embedder: Some(name("e")),
            options: RunOptions::default(),
        })
    }

    fn seen(models: &[&str]) -> Vec<Resident> {
        let resident = |model: &&str| Resident {
            name: name(model).as_str().to_owned(),
            size_bytes: 1,
            vram_bytes: 1,
            digest: String::new(),
            expires_at: None,
            context_length: None,
        };
        models.iter().map(resident).collect()
    }

    fn check(standing: &Standing, there: &[&str], (lost, strays, gone): (bool, &[&str], &[&str])) {
        let expected = Finding {
            lost,
            strays: names(strays),
            gone: names(gone),
        };
        let found = compare(standing, &names(&["x"]), &seen(there));
        assert_eq!(found, expected, "{there:?}");
    }

    #[test]
    fn what_a_look_says_of_a_slot_that_is_held() {
        let held = Standing {
            holding: Some(holding()),
            ours: names(&["a", "e", "x", "old"]),
            preloaded: names(&[]),
        };
        check(&held, &["a", "e", "x", "foreign"], (false, &[], &["old"]));
        check(&held, &["a"], (false, &[], &["old", "x"]));
        check(&held, &["a", "e", "x", "old"], (false, &["old"], &[]));
        // Its model has left: its embedder is needed no more, the protected one is.
        check(&held, &["e", "x"], (true, &["e"], &["a", "old"]));
        let lease = held.holding.as_ref().unwrap().lease();
        check(&held, &["e"], (false, &[], &["old", "x"]));
        drop(lease);
        check(&held, &[], (true, &[], &["a", "e", "old", "x"]));
    }

    #[test]
    fn what_a_look_says_of_a_slot_that_nobody_holds() {
        let empty = Standing {
            holding: None,
            ours: names(&["a", "b"]),
            preloaded: names(&["b"]),
        };
        check(&empty, &["a", "b", "c"], (false, &["a"], &[]));
        check(&empty, &["c"], (false, &[], &["a", "b"]));
    }
}
