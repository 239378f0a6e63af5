//! Trials and promotions that persons asked for: while one is under way, the agent begins nothing.
//!
//! What is measured is measured alone in any case, by the lane that all tuners share. But a trial also builds, asks its
//! proposer and finds exact neighbours; as long as that goes on, the machine is not idle, and the agent would spoil what a
//! person waits for.
//!
//! The count never drifts, also when the work panics or is dropped, because a guard counts down.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many persons are at work.
#[derive(Debug, Default)]
pub(super) struct Persons(AtomicU32);

/// Work of a person; it has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct AtWork<'a>(&'a Persons);

impl Persons {
    /// A person's work begins.
    pub(super) fn begin(&self) -> AtWork<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        AtWork(self)
    }

    /// Whether anybody is at work.
    pub(super) fn are_at_work(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_to_have_ended_however_they_end() {
        let persons = Persons::default();
        let first = persons.begin();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _second = persons.begin();
            panic!("a trial");
        }));
        assert!(panicked.is_err() && persons.are_at_work());
        drop(first);
        assert!(!persons.are_at_work());
    }
}
