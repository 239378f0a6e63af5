//! Live recall: what searches really got, found out beside the way.
//!
//! Every search passes [`Live::observe`], which costs a counter and a multiplication. A share of them, drawn at
//! random, is answered again by comparing all vectors of the very base and tail that answered ([`worker`]), and the
//! recall of what the client got is kept by configuration (`judged.rs`) with an interval and a history. When the
//! recall of what serves is surely below the floor, or live queries are no more like those of the evaluation set
//! (`drift.rs`), the agent hears of it. Query vectors of the recent past are kept too (`reservoir.rs`): challengers
//! are tried on them.
//!
//! Invariants: a search never waits for any of this; what does not fit the queue is dropped and counted. No text and
//! no vector of a query is stored or logged. Searches with a filter are not judged, as their recall tells of the
//! filter and not of the configuration; their queries are kept.
//!
//! Absent here: deciding what to do about low recall, which is the agent's.

mod drift;
mod judged;
mod reservoir;
mod traffic;
mod view;
mod window;
mod worker;

use std::sync::{Arc, Mutex};

use boathouse_types::{Clock, IndexName};
use tokio::sync::mpsc;

use crate::indexes::{Indexes, LiveIndex, Serving};

pub use drift::Drift;
use judged::Subject;
pub(crate) use reservoir::CAPACITY;
pub(crate) use traffic::Traffic;
pub use view::{Alarm, Counts, LiveRecall, RecallView, SubjectView};
pub use window::{Estimate, Point};
use worker::Sample;
pub(crate) use worker::{quiet, start};

/// Searches that wait to be judged.
const QUEUE: usize = 64;

/// Live recall of all indexes of a host.
pub struct Live {
    indexes: Arc<Indexes>,
    clock: Arc<dyn Clock>,
    share: f64,
    queue: mpsc::Sender<Sample>,
    waiting: Mutex<Option<mpsc::Receiver<Sample>>>,
}

/// A search that was just answered.
pub(crate) struct Seen<'a> {
    /// What was searched, tail and all.
    pub(crate) index: &'a Arc<LiveIndex>,
    /// What searched it.
    pub(crate) serving: &'a Serving,
    /// The query.
    pub(crate) vector: &'a [f32],
    /// How many hits were asked for.
    pub(crate) k: usize,
    /// The `ef_search` that was used.
    pub(crate) ef: u32,
    /// Not all rows were to be found.
    pub(crate) filtered: bool,
}

impl Live {
    /// Judges this share of the searches of these indexes.
    #[must_use]
    pub fn new(indexes: &Arc<Indexes>, clock: &Arc<dyn Clock>, share: f64) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Self {
            indexes: Arc::clone(indexes),
            clock: Arc::clone(clock),
            share,
            queue,
            waiting: Mutex::new(Some(waiting)),
        }
    }

    /// Hears of a search. `found` gives the distances of its hits, nearest first, if they are wanted.
    pub(crate) fn observe(&self, seen: &Seen<'_>, found: impl FnOnce() -> Vec<f32>) {
        let traffic = seen.index.traffic();
        let chance = traffic.count();
        let model = &seen.index.meta.embedder_digest;
        traffic.reservoir().offer(model, seen.vector, chance);
        // Another draw than the reservoir's, so that neither prefers the other's.
        if seen.filtered || !is_below(draw(chance), self.share) {
            return;
        }
        match self.queue.try_reserve() {
            Ok(place) => place.send(Sample {
                index: Arc::clone(seen.index),
                subject: subject(seen.index, seen.serving, seen.ef),
                vector: seen.vector.into(),
                k: seen.k,
                found: found(),
            }),
            Err(_) => traffic.drop_one(),
        }
    }

    /// What searches of an index really got from what serves; none when nobody knows.
    #[must_use]
    pub fn recall(&self, name: &IndexName) -> Option<LiveRecall> {
        let index = self.indexes.get(name.as_str()).ok()?;
        recall_of(&index)
    }

    /// Everything that is known of the live recall of an index.
    pub(crate) fn view(&self, index: &LiveIndex) -> RecallView {
        let (serving, now) = (serving_subject(index), self.clock.now());
        let counts = counts(index);
        let judged = index.traffic().judged();
        RecallView {
            index: index.meta.name.clone(),
            floor: index.meta.objective.recall_floor,
            share: self.share,
            serving: judged.estimate(&serving, now),
            alarm: judged.alarm(&serving),
            configurations: judged.subjects(&serving, now),
            history: judged.history.points(now),
            drift: judged.distances.found(),
            counts,
        }
    }
}

/// What searches of an index really got from what serves; none when nobody knows.
pub(crate) fn recall_of(index: &LiveIndex) -> Option<LiveRecall> {
    let (serving, now) = (serving_subject(index), index.tuner.options().clock.now());
    let judged = index.traffic().judged();
    Some(LiveRecall {
        estimate: judged.estimate(&serving, now)?,
        floor: index.meta.objective.recall_floor,
        alarm: judged.alarm(&serving),
    })
}

/// What was counted of the searches of an index.
pub(crate) fn counts(index: &LiveIndex) -> Counts {
    let traffic = index.traffic();
    let model = &index.meta.embedder_digest;
    let kept_queries = traffic.reservoir().count(model) as u64;
    let judged = traffic.judged();
    Counts {
        searches: traffic.searches(),
        judged: judged.count,
        dropped: traffic.dropped(),
        breaches: judged.breaches,
        kept_queries,
    }
}

/// Whether what clients ask was not what the evaluation set asks when that was looked at last.
pub(crate) fn has_drifted(index: &LiveIndex) -> bool {
    let found = index.traffic().judged().distances.found();
    found.is_some_and(|found| found.drifted)
}

/// Queries of the recent past, as vectors of the model of the index.
pub(crate) fn recent_queries(index: &LiveIndex) -> Vec<Vec<f32>> {
    let model = &index.meta.embedder_digest;
    index.traffic().reservoir().queries(model)
}

/// What serves an index at present.
fn serving_subject(index: &LiveIndex) -> Subject {
    let serving = index.serving();
    subject(index, &serving, serving.config().ef_search)
}

fn subject(index: &LiveIndex, serving: &Serving, ef_search: u32) -> Subject {
    Subject {
        data_version: index.data.data_version.clone(),
        config: boathouse_types::IndexConfig {
            ef_search,
            ..serving.config()
        },
    }
}

/// A number without pattern from one that has some: the finaliser of SplitMix64 (G. Steele et al., "Fast splittable
/// pseudorandom number generators", OOPSLA 2014). It makes the draws of sampling: no lock, the same at every run.
fn draw(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Whether a draw falls into a share of all draws.
fn is_below(draw: u64, share: f64) -> bool {
    // The upper 53 bits make a number in 0..1 exactly.
    ((draw >> 11) as f64) < share * (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_fall_into_their_share() {
        let hits = |share| {
            (0..200_000)
                .filter(|n| is_below(draw(draw(*n)), share))
                .count()
        };
        assert_eq!(hits(0.0), 0);
        assert_eq!(hits(1.0), 200_000);
        let sampled = hits(0.005);
        // 1,000 expected, standard deviation 32.
        assert!((870..1_130).contains(&sampled), "{sampled}");
    }
}
