//! What was measured lately: a window that slides, and a coarse history for a plot.
//!
//! A window holds the newest [`MOST`] samples, none older than [`LIFE`]. Its interval is that of trials
//! ([`mean_with_interval`]): samples are independent of each other, the neighbours of one sample are not. The history is a ring of
//! five minutes a point over a day, and knows means only.

use std::collections::VecDeque;

use boathouse_types::{Interval, Timestamp};
use boathouse_vector::mean_with_interval;
use serde::Serialize;

/// Samples of a window.
pub(super) const MOST: usize = 500;
/// Milliseconds after which a sample is forgotten: a day.
const LIFE: i64 = 24 * 3_600_000;
/// Milliseconds of a point of the history: five minutes.
const STEP: i64 = 300_000;

/// Recall of searches that were answered exactly afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Estimate {
    /// Mean share of the true nearest neighbours that the answers had.
    pub recall: f64,
    /// Its 95 % interval.
    pub interval: Interval,
    /// Searches behind it.
    pub samples: u64,
    /// When the first of them was judged.
    pub since: Timestamp,
}

impl Estimate {
    /// Whether recall is below a floor with 99.9 % confidence, for who looks at it again and again: the upper half of
    /// the interval, widened from 1.96 standard errors to 3.29, lies below it.
    pub(super) fn is_surely_below(&self, floor: f64) -> bool {
        const WIDER: f64 = 3.290_527 / 1.959_964;
        // The upper bound is taken around the mean with one imagined perfect sample.
        let samples = self.samples as f64;
        let centre = (self.recall * samples + 1.0) / (samples + 1.0);
        centre + (self.interval.high - centre) * WIDER < floor
    }
}

/// The newest samples.
#[derive(Debug, Default)]
pub(super) struct Window {
    samples: VecDeque<(Timestamp, f64)>,
    added: u64,
}

impl Window {
    pub(super) fn add(&mut self, now: Timestamp, recall: f64) {
        if self.samples.len() == MOST {
            self.samples.pop_front();
        }
        self.samples.push_back((now, recall));
        self.added += 1;
    }

    /// Samples that were ever added.
    pub(super) fn added(&self) -> u64 {
        self.added
    }

    /// What the samples tell that are not too old; none when there are none.
    pub(super) fn estimate(&self, now: Timestamp) -> Option<Estimate> {
        let alive = |(at, _): &&(Timestamp, f64)| now.millis() - at.millis() < LIFE;
        let alive = || self.samples.iter().filter(alive);
        let values: Vec<f64> = alive().map(|(_, recall)| *recall).collect();
        let (since, _) = alive().next()?;
        let (recall, interval) = mean_with_interval(&values);
        Some(Estimate {
            recall,
            interval,
            samples: values.len() as u64,
            since: *since,
        })
    }

    /// When the newest sample was judged.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.samples.back().map(|(at, _)| *at)
    }
}

/// Five minutes of live recall.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Point {
    /// When they began.
    pub at: Timestamp,
    /// Mean recall of the searches that were judged.
    pub recall: f64,
    /// How many these were.
    pub samples: u64,
}

/// A day in steps of five minutes; steps without samples are left out.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Sum>);

#[derive(Debug)]
struct Sum {
    at: i64,
    recall: f64,
    samples: u64,
}

impl History {
    pub(super) fn add(&mut self, now: Timestamp, recall: f64) {
        let at = now.millis().div_euclid(STEP) * STEP;
        match self.0.back_mut() {
            Some(last) if last.at == at => {
                last.recall += recall;
                last.samples += 1;
            }
            _ => self.0.push_back(Sum {
                at,
                recall,
                samples: 1,
            }),
        }
        while self.0.len() > (LIFE / STEP) as usize {
            self.0.pop_front();
        }
    }

    /// Oldest first.
    pub(super) fn points(&self, now: Timestamp) -> Vec<Point> {
        let alive = self.0.iter().filter(|sum| now.millis() - sum.at < LIFE);
        let point = |sum: &Sum| Point {
            at: Timestamp::from_millis(sum.at),
            recall: sum.recall / sum.samples as f64,
            samples: sum.samples,
        };
        alive.map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + minutes * 60_000)
    }

    #[test]
    fn a_window_forgets_by_number_and_by_age() {
        let mut window = Window::default();
        assert_eq!(window.estimate(at(0)), None);
        window.add(at(0), 0.0);
        for minute in 1..=10 {
            window.add(at(minute), 1.0);
        }
        let all = window.estimate(at(10)).unwrap();
        assert_eq!((all.samples, all.since), (11, at(0)));
        assert!((all.recall - 10.0 / 11.0).abs() < 1e-12);
        assert!(all.interval.low < all.recall && all.recall < all.interval.high);
        let later = window.estimate(at(24 * 60 + 5)).unwrap();
        assert_eq!((later.samples, later.since, later.recall), (5, at(6), 1.0));
        assert_eq!(window.estimate(at(48 * 60)), None);
        for _ in 0..MOST {
            window.add(at(11), 0.5);
        }
        let newest = window.estimate(at(11)).unwrap();
        assert_eq!((newest.samples, newest.recall), (MOST as u64, 0.5));
        assert_eq!(window.newest(), Some(at(11)));
    }

    #[test]
    fn to_be_sure_takes_more_than_the_interval_that_is_shown() {
        let mut window = Window::default();
        for sample in 0..200 {
            window.add(at(0), [0.8, 1.0][sample % 2]);
        }
        // 0.9 ± 0.014 as it is shown, ± 0.023 to be sure.
        let found = window.estimate(at(0)).unwrap();
        assert!(found.interval.high < 0.92 && !found.is_surely_below(0.92));
        assert!(found.is_surely_below(0.93));
        let mut perfect = Window::default();
        perfect.add(at(0), 1.0);
        assert!(!perfect.estimate(at(0)).unwrap().is_surely_below(1.0));
        assert_eq!(window.added(), 200);
    }

    #[test]
    fn a_history_sums_five_minutes_and_keeps_a_day() {
        let mut history = History::default();
        for (minute, recall) in [(0, 1.0), (1, 0.5), (7, 0.25)] {
            history.add(at(minute), recall);
        }
        let points = history.points(at(7));
        let figures: Vec<_> = points
            .iter()
            .map(|point| (point.recall, point.samples))
            .collect();
        assert_eq!(figures, [(0.75, 2), (0.25, 1)]);
        assert_eq!(points[1].at.millis() - points[0].at.millis(), STEP);
        for step in 0..1_000 {
            history.add(at(10 + step * 5), 1.0);
        }
        let now = at(10 + 999 * 5);
        assert_eq!(history.points(now).len(), 288);
        assert!(history.points(at(100_000)).is_empty());
    }
}
