//! Queries of the recent past, as vectors: what a challenger is tried on, and what an evaluation set may be made of.
//!
//! A reservoir that prefers the recent (C. Aggarwal, "On biased reservoir sampling in the presence of stream
//! evolution", VLDB 2006): until it is full every query is kept; then one of [`STRIDE`] takes the place of one that
//! is drawn at random, so the chance that a query is still there falls exponentially with what came after it.
//!
//! It is in memory only, and only vectors are in it. A search never waits for it: whoever finds it in use keeps
//! nothing.

use std::sync::{
    Mutex, PoisonError, TryLockError,
    atomic::{AtomicBool, Ordering},
};

/// Queries that are kept: as many as an evaluation set has.
pub(crate) const CAPACITY: usize = 1_000;
/// Queries of which one is kept once there are enough.
const STRIDE: u64 = 8;

/// Vectors of queries.
#[derive(Debug, Default)]
pub(super) struct Reservoir {
    kept: Mutex<Kept>,
    full: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    /// Digest of the model that the vectors are of: those of another one mean something else.
    model: String,
    queries: Vec<Box<[f32]>>,
}

impl Reservoir {
    /// Keeps a query, perhaps; `draw` is its chance.
    pub(super) fn offer(&self, model: &str, vector: &[f32], draw: u64) {
        if self.full.load(Ordering::Relaxed) && !draw.is_multiple_of(STRIDE) {
            return;
        }
        let mut kept = match self.kept.try_lock() {
            Ok(kept) => kept,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if kept.model != model {
            kept.model = model.to_owned();
            kept.queries.clear();
        }
        if kept.queries.len() < CAPACITY {
            kept.queries.push(vector.into());
        } else {
            let place = (draw >> 32) as usize % CAPACITY;
            kept.queries[place] = vector.into();
        }
        let full = kept.queries.len() == CAPACITY;
        self.full.store(full, Ordering::Relaxed);
    }

    /// The queries that are kept of a model.
    pub(super) fn queries(&self, model: &str) -> Vec<Vec<f32>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let queries = kept.of(model).iter();
        queries.map(|query| query.to_vec()).collect()
    }

    /// How many queries are kept of a model.
    pub(super) fn count(&self, model: &str) -> usize {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.of(model).len()
    }
}

impl Kept {
    fn of(&self, model: &str) -> &[Box<[f32]>] {
        match self.model == model {
            true => &self.queries,
            false => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::draw;

    fn filled(offers: u32) -> Reservoir {
        let reservoir = Reservoir::default();
        for number in 0..offers {
            reservoir.offer("m", &[number as f32], draw(number.into()));
        }
        reservoir
    }

    fn numbers(reservoir: &Reservoir) -> Vec<f32> {
        let queries = reservoir.queries("m");
        queries.into_iter().map(|query| query[0]).collect()
    }

    #[test]
    fn the_first_queries_are_all_kept() {
        assert_eq!(numbers(&filled(3)), [0.0, 1.0, 2.0]);
        assert_eq!(filled(CAPACITY as u32).queries("m").len(), CAPACITY);
    }

    #[test]
    fn later_queries_take_the_place_of_earlier_ones() {
        let offers = 100 * CAPACITY as u32;
        let kept = numbers(&filled(offers));
        assert_eq!(kept.len(), CAPACITY);
        // One of eight of 99,000 is twelve times the capacity: of the first thousand e^-12 is left.
        assert!(kept.iter().all(|number| *number >= 1_000.0));
        // The mean age of what is kept is eight times the capacity.
        let ages: f64 = kept
            .iter()
            .map(|number| f64::from(offers) - f64::from(*number))
            .sum();
        let mean = ages / CAPACITY as f64;
        assert!((7_000.0..9_000.0).contains(&mean), "{mean}");
    }

    #[test]
    fn vectors_of_another_model_are_forgotten() {
        let reservoir = filled(CAPACITY as u32 + 5);
        for number in 0..64 {
            reservoir.offer("other", &[0.0, 1.0], draw(number));
        }
        assert!(reservoir.queries("m").is_empty());
        let kept = reservoir.queries("other");
        assert!(!kept.is_empty() && kept.iter().all(|query| query.len() == 2));
    }
}
