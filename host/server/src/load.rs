//! How busy the host is with searches.
//!
//! Every search route holds a [`Searching`] while it answers. From these come the searches in flight at this
//! moment, how many began in the last second and, over the last ten, the 95th percentile of how long answers took,
//! columns included: what a client waits for. The agent makes way by these figures, and `/metrics` shows them.
//!
//! Invariants: what is in flight never drifts, also when a handler panics or its client goes away, because a guard
//! counts down. Figures of the past follow the [`Clock`] and durations a monotonic one. The one lock is held for
//! some additions and never across an await; slots of the ring carry their time, so a clock that jumps leaves stale
//! slots unread instead of wrong figures.
//!
//! Absent: work that nobody waits for (exact answers for live recall, shadows, trials) is no load.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use boathouse_types::Clock;

/// Length of a slot in milliseconds.
const SLOT: i64 = 250;
/// Slots of the second over which a rate is taken.
const RATE_SLOTS: i64 = 4;
/// Slots of the ten seconds over which a percentile is taken.
const WINDOW_SLOTS: i64 = 40;
/// Slots of the ring.
const SLOTS: usize = WINDOW_SLOTS as usize;
/// Bounds of durations; a last class without a bound comes behind them.
const CLASSES: usize = 32;
/// Answers below which ten seconds have no percentile.
const LEAST_ANSWERS: u64 = 20;

/// Upper bounds of the classes of durations in microseconds: 50 us and, times 1.5 each, up to 14 s.
static BOUNDS_US: [u64; CLASSES] = bounds();

const fn bounds() -> [u64; CLASSES] {
    let mut bounds = [50; CLASSES];
    let mut at = 1;
    while at < CLASSES {
        bounds[at] = bounds[at - 1] * 3 / 2;
        at += 1;
    }
    bounds
}

/// Answers by how long they took: one count a class.
type Answers = [u64; CLASSES + 1];

/// The searches of a host.
pub struct Load {
    clock: Arc<dyn Clock>,
    in_flight: AtomicU32,
    past: Mutex<Past>,
}

/// Searches that have begun and ended.
struct Past {
    slots: [Slot; SLOTS],
    /// Since the start of the host.
    begun: u64,
    answers: Answers,
    answers_us: u64,
}

/// A quarter of a second.
#[derive(Clone, Copy)]
struct Slot {
    /// Which one since 1970; others are forgotten when it is wanted.
    number: i64,
    begun: u64,
    answers: Answers,
}

/// A search under way; it has ended when this is dropped.
pub struct Searching<'a> {
    load: &'a Load,
    began: Instant,
}

/// How busy a host is at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct LoadNow {
    /// Searches that are being answered.
    pub in_flight: u32,
    /// Searches that began in the last second.
    pub qps: f64,
    /// 95th percentile of how long the answers of the last ten seconds took, in microseconds, to within a half;
    /// none of fewer than 20 answers.
    pub p95_us: Option<f64>,
}

/// What searches were since the start of the host, for `/metrics`.
#[derive(Debug, Clone, Default)]
pub(crate) struct SearchFigures {
    pub(crate) in_flight: u32,
    pub(crate) begun: u64,
    /// Upper bounds in seconds, the last one infinite, each with the answers of its class.
    pub(crate) answers: Vec<(f64, u64)>,
    pub(crate) answers_secs: f64,
}

impl Load {
    /// No searches yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let slot = Slot {
            number: i64::MIN,
            begun: 0,
            answers: [0; CLASSES + 1],
        };
        Self {
            clock,
            in_flight: AtomicU32::new(0),
            past: Mutex::new(Past {
                slots: [slot; SLOTS],
                begun: 0,
                answers: [0; CLASSES + 1],
                answers_us: 0,
            }),
        }
    }

    /// A search begins.
    pub fn enter(&self) -> Searching<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let number = self.slot();
        let mut past = self.past();
        past.begun += 1;
        past.at(number).begun += 1;
        drop(past);
        Searching {
            load: self,
            began: Instant::now(),
        }
    }

    /// How busy the host is.
    #[must_use]
    pub fn now(&self) -> LoadNow {
        let newest = self.slot();
        let past = self.past();
        let begun: u64 = past
            .newer(newest - RATE_SLOTS, newest)
            .map(|slot| slot.begun)
            .sum();
        let mut answers = [0; CLASSES + 1];
        for slot in past.newer(newest - WINDOW_SLOTS, newest) {
            for (sum, count) in answers.iter_mut().zip(slot.answers) {
                *sum += count;
            }
        }
        drop(past);
        LoadNow {
            in_flight: self.in_flight.load(Ordering::Relaxed),
            qps: begun as f64,
            p95_us: p95(&answers),
        }
    }

    /// Figures since the start of the host.
    pub(crate) fn figures(&self) -> SearchFigures {
        let past = self.past();
        let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6);
        let bounds = bounds.chain(std::iter::once(f64::INFINITY));
        SearchFigures {
            in_flight: self.in_flight.load(Ordering::Relaxed),
            begun: past.begun,
            answers: bounds.zip(past.answers).collect(),
            answers_secs: past.answers_us as f64 / 1e6,
        }
    }

    fn leave(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS_US.partition_point(|bound| *bound < us);
        let number = self.slot();
        let mut past = self.past();
        past.answers[class] += 1;
        past.answers_us = past.answers_us.saturating_add(us);
        past.at(number).answers[class] += 1;
        drop(past);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// The present slot.
    fn slot(&self) -> i64 {
        self.clock.now().millis().div_euclid(SLOT)
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    /// A slot, emptied if it was about another time.
    fn at(&mut self, number: i64) -> &mut Slot {
        let place = number.rem_euclid(WINDOW_SLOTS) as usize;
        let slot = &mut self.slots[place];
        if slot.number != number {
            *slot = Slot {
                number,
                begun: 0,
                answers: [0; CLASSES + 1],
            };
        }
        slot
    }

    /// The slots after one number, up to another.
    fn newer(&self, after: i64, newest: i64) -> impl Iterator<Item = &Slot> {
        let slots = self.slots.iter();
        slots.filter(move |slot| slot.number > after && slot.number <= newest)
    }
}

impl Drop for Searching<'_> {
    fn drop(&mut self) {
        self.load.leave(self.began.elapsed());
    }
}

/// The upper bound of the class that the 95th percentile lies in; for the last class its lower one.
fn p95(answers: &Answers) -> Option<f64> {
    let all: u64 = answers.iter().sum();
    if all < LEAST_ANSWERS {
        return None;
    }
    let wanted = (all * 95).div_ceil(100);
    let mut seen = 0;
    let class = answers.iter().position(|count| {
        seen += count;
        seen >= wanted
    });
    class.map(|class| BOUNDS_US[class.min(CLASSES - 1)] as f64)
}

#[cfg(test)]
mod tests {
    use boathouse_types::ManualClock;

    use super::*;

    fn load() -> (Load, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        (Load::new(clock.clone()), clock)
    }

    #[test]
    fn what_is_in_flight_is_what_has_not_ended_also_after_a_panic() {
        let (load, _) = load();
        let first = load.enter();
        let second = load.enter();
        assert_eq!(load.now().in_flight, 2);
        drop(first);
        assert_eq!(load.now().in_flight, 1);
        drop(second);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _searching = load.enter();
            panic!("a handler");
        }));
        assert!(panicked.is_err());
        assert_eq!(load.now().in_flight, 0);
        assert_eq!(load.figures().begun, 3);
    }

    #[test]
    fn a_rate_is_of_the_last_second_and_is_forgotten() {
        let (load, clock) = load();
        for _ in 0..4 {
            for _ in 0..5 {
                drop(load.enter());
            }
            clock.advance(SLOT);
        }
        assert_eq!(load.now().qps, 15.0, "the oldest quarter is over");
        clock.advance(1_000);
        assert_eq!(load.now().qps, 0.0);
        assert_eq!(load.figures().begun, 20, "totals stay");
    }

    #[test]
    fn a_percentile_needs_answers_and_is_of_ten_seconds() {
        let (load, clock) = load();
        for _ in 0..19 {
            load.leave_after(1_000);
        }
        assert_eq!(load.now().p95_us, None, "too few");
        for _ in 0..81 {
            load.leave_after(1_000);
        }
        let usual = load.now().p95_us.expect("enough answers");
        assert!((1_000.0..1_500.0).contains(&usual), "{usual}");
        for _ in 0..10 {
            load.leave_after(1_000_000);
        }
        let slow = load.now().p95_us.expect("enough answers");
        assert!((1_000_000.0..1_500_000.0).contains(&slow), "{slow}");
        clock.advance(10_000);
        assert_eq!(
            load.now().p95_us,
            None,
            "ten seconds later nobody remembers"
        );
    }

    #[test]
    fn the_longest_answers_have_a_class_too() {
        let (load, _) = load();
        for _ in 0..LEAST_ANSWERS {
            load.leave_after(u64::MAX / 2);
        }
        assert_eq!(load.now().p95_us, Some(BOUNDS_US[CLASSES - 1] as f64));
        let figures = load.figures();
        assert_eq!(
            figures.answers.last(),
            Some(&(f64::INFINITY, LEAST_ANSWERS))
        );
    }

    #[test]
    fn a_clock_that_jumps_back_finds_no_figures_of_the_future() {
        let (load, clock) = load();
        drop(load.enter());
        clock.advance(-60_000);
        assert_eq!(load.now().qps, 0.0);
        drop(load.enter());
        assert_eq!(load.now().qps, 1.0);
    }

    impl Load {
        /// A search that took so many microseconds ends.
        fn leave_after(&self, us: u64) {
            let searching = self.enter();
            std::mem::forget(searching);
            self.leave(Duration::from_micros(us));
        }
    }
}
