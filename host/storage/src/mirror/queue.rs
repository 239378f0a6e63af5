//! The paths that wait for their copy: each once, in the order in which they came, and not too many.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use boathouse_types::Timestamp;
use object_store::path::Path;

/// Most paths that are kept; further ones are left to the next comparison of the listings.
pub(super) const CAPACITY: usize = 10_000;
/// First pause after a failure, doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is left to do for one bucket.
#[derive(Debug)]
pub(super) struct Queue {
    entries: HashMap<Path, Entry>,
    /// Those of the entries that are not being copied at the moment.
    order: VecDeque<Path>,
    /// Of objects that may change: the state that was copied last, by the tag of the original.
    copied: HashMap<Path, String>,
    /// The listings are to be compared.
    pub(super) owes_comparison: bool,
    /// What the last attempt has failed at.
    pub(super) failing: Option<String>,
    failures: u32,
}

#[derive(Debug)]
struct Entry {
    since: Timestamp,
    /// Written again while it was copied, so that the copy may be the older state.
    is_stale: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            copied: HashMap::new(),
            owes_comparison: true,
            failing: None,
            failures: 0,
        }
    }

    /// Adds a path that was written; one that is waiting already stays where it is.
    pub(super) fn push(&mut self, path: Path, since: Timestamp) {
        if let Some(entry) = self.entries.get_mut(&path) {
            entry.is_stale = true;
        } else if self.entries.len() >= CAPACITY {
            self.owes_comparison = true;
        } else {
            let is_stale = false;
            self.entries.insert(path.clone(), Entry { since, is_stale });
            self.order.push_back(path);
        }
    }

    /// Takes up to `most` paths to copy; each must be handed to [`Self::end`].
    pub(super) fn begin(&mut self, most: usize) -> Vec<Path> {
        let most = most.min(self.order.len());
        let taken: Vec<_> = self.order.drain(..most).collect();
        for path in &taken {
            if let Some(entry) = self.entries.get_mut(path) {
                entry.is_stale = false;
            }
        }
        taken
    }

    /// Says what became of a path that was taken. One that failed or was written again goes to the end, so
    /// that it does not hold up the others.
    pub(super) fn end(&mut self, path: Path, copied: bool) {
        let again = !copied || self.entries.get(&path).is_some_and(|entry| entry.is_stale);
        if again {
            self.order.push_back(path);
        } else {
            self.entries.remove(&path);
        }
    }

    /// Keeps which state of an object that may change was copied.
    pub(super) fn note_copied(&mut self, path: Path, e_tag: String) {
        if self.copied.len() >= CAPACITY {
            // They are few; forgetting them costs a second copy each.
            self.copied.clear();
        }
        self.copied.insert(path, e_tag);
    }

    /// Whether that state of the object was copied.
    pub(super) fn has_copied(&self, path: &Path, e_tag: Option<&String>) -> bool {
        e_tag.is_some() && self.copied.get(path) == e_tag
    }

    /// Puts back what was taken by a worker that is no more.
    pub(super) fn recover(&mut self) {
        let waiting: HashSet<_> = self.order.iter().collect();
        let lost = self.entries.keys().filter(|path| !waiting.contains(path));
        let lost: Vec<_> = lost.cloned().collect();
        self.order.extend(lost);
    }

    /// Notes a success.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.failing = None;
    }

    /// Notes a failure and gives how long to wait.
    pub(super) fn failed(&mut self, what: String) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        self.failing = Some(what);
        pause.min(LONGEST_PAUSE)
    }

    /// Objects that wait or are being copied.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is something to copy or to compare now.
    pub(super) fn has_work(&self) -> bool {
        self.owes_comparison || !self.order.is_empty()
    }

    /// Nothing waits and nothing is to be compared.
    pub(super) fn is_settled(&self) -> bool {
        self.entries.is_empty() && !self.owes_comparison
    }

    /// When the oldest of them was written.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.entries.values().map(|entry| entry.since).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn path(name: usize) -> Path {
        Path::from(format!("p/{name}"))
    }

    #[test]
    fn each_path_waits_once_and_again_when_it_was_written_meanwhile() {
        let mut queue = Queue::new();
        for (name, since) in [(1, 5), (2, 3), (1, 9)] {
            queue.push(path(name), at(since));
        }
        assert_eq!((queue.len(), queue.oldest()), (2, Some(at(3))));
        assert_eq!(queue.begin(9), [path(1), path(2)]);
        assert!(queue.begin(9).is_empty() && queue.len() == 2);
        queue.push(path(1), at(10));
        queue.end(path(1), true);
        queue.end(path(2), true);
        assert_eq!(queue.begin(9), [path(1)]);
        queue.end(path(1), true);
        assert_eq!((queue.len(), queue.oldest()), (0, None));
    }

    #[test]
    fn what_fails_goes_to_the_end() {
        let mut queue = Queue::new();
        for name in 1..4 {
            queue.push(path(name), at(0));
        }
        let first = queue.begin(1);
        queue.end(first[0].clone(), false);
        assert_eq!(queue.begin(9), [path(2), path(3), path(1)]);
        queue.recover();
        assert_eq!(queue.begin(9).len(), 3);
    }

    #[test]
    fn what_does_not_fit_is_left_to_a_comparison() {
        let mut queue = Queue::new();
        queue.owes_comparison = false;
        for name in 0..=CAPACITY {
            assert!(!queue.owes_comparison);
            queue.push(path(name), at(0));
        }
        assert!(queue.owes_comparison && queue.len() == CAPACITY);
    }

    #[test]
    fn pauses_grow_to_a_limit_and_a_success_ends_them() {
        let mut queue = Queue::new();
        let pauses: Vec<_> = (0..40).map(|_| queue.failed("x".into())).collect();
        assert_eq!(pauses[..2], [FIRST_PAUSE, 2 * FIRST_PAUSE]);
        assert!(pauses.is_sorted() && pauses[39] == LONGEST_PAUSE);
        queue.succeeded();
        assert_eq!(queue.failing, None);
        assert_eq!(queue.failed("x".into()), FIRST_PAUSE);
    }
}
