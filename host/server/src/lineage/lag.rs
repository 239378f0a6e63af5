//! How far posting is behind, for health and figures.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use boathouse_types::{BucketName, DatasetName, Timestamp};

/// The log of one dataset.
pub(super) type Place = (BucketName, DatasetName);

/// How far posting is, as others see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutboxView {
    /// Where events go, credentials hidden.
    pub(crate) endpoint: String,
    /// Events that wait.
    pub(crate) waiting: u64,
    /// For how long the oldest of them waits; 0 when none does.
    pub(crate) lag_secs: f64,
    /// Events that were taken since the host started.
    pub(crate) posted: u64,
    /// Events that were given up since the host started.
    pub(crate) refused: u64,
    /// Why the last attempt failed, while it is the last.
    pub(crate) failing: Option<String>,
}

/// What waits, and what became of what does not.
#[derive(Debug, Default)]
pub(super) struct Lag(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<Place, Waiting>,
    posted: u64,
    refused: u64,
    failing: Option<String>,
}

/// Events of one dataset that wait.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    events: u64,
    oldest: Timestamp,
}

impl Lag {
    /// An event was recorded.
    pub(super) fn heard(&self, place: Place, at: Timestamp) {
        let mut state = self.lock();
        let waiting = state.waiting.entry(place).or_insert(Waiting {
            events: 0,
            oldest: at,
        });
        waiting.events += 1;
    }

    /// What is new of a dataset was read.
    pub(super) fn counted(&self, place: &Place, events: u64, oldest: Option<Timestamp>) {
        let mut state = self.lock();
        match oldest {
            Some(oldest) => {
                let waiting = Waiting { events, oldest };
                state.waiting.insert(place.clone(), waiting);
            }
            None => {
                state.waiting.remove(place);
            }
        }
    }

    /// The endpoint took an event; `next` is the one behind it.
    pub(super) fn taken(&self, place: &Place, left: u64, next: Option<Timestamp>) {
        let mut state = self.lock();
        state.posted += 1;
        state.failing = None;
        drop(state);
        self.counted(place, left, next);
    }

    /// An event was given up; `next` is the one behind it.
    pub(super) fn gave_up(&self, place: &Place, left: u64, next: Option<Timestamp>) {
        self.lock().refused += 1;
        self.counted(place, left, next);
    }

    /// An attempt failed.
    pub(super) fn failed(&self, why: String) {
        self.lock().failing = Some(why);
    }

    pub(super) fn view(&self, endpoint: String, now: Timestamp) -> OutboxView {
        let state = self.lock();
        let waiting = state.waiting.values();
        let oldest = waiting.clone().map(|waiting| waiting.oldest).min();
        let millis = oldest.map_or(0, |oldest| (now.millis() - oldest.millis()).max(0));
        OutboxView {
            endpoint,
            waiting: waiting.map(|waiting| waiting.events).sum(),
            lag_secs: millis as f64 / 1e3,
            posted: state.posted,
            refused: state.refused,
            failing: state.failing.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
