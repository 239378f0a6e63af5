//! What reading the logs of a bucket has met: lines that are no records, and copies that are no help with them.
//!
//! It is kept with the bucket, as logs are opened anew by whoever reads them, and all views share it. A log that reads
//! without a fault is forgotten, so that there is as much here as there is damage. A copy that was no better than its
//! file is not asked for again, or each reading would ask the rescue: one that becomes better later is found when the
//! bucket is opened the next time, or when the file gets worse.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Bucket;

/// The logs of a bucket that were met with faults, by prefix from the bucket's own root.
#[derive(Debug, Default)]
pub(super) struct KnownLogs(Mutex<BTreeMap<String, Faults>>);

/// What was met in one log.
#[derive(Debug, Default)]
struct Faults {
    /// Lines that are no records.
    malformed: u64,
    /// Files whose copies are no better, each with the lines of it that are no records.
    hopeless: BTreeMap<String, u64>,
}

impl KnownLogs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Faults>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    /// The logs whose last reading met lines that are no records, by prefix, each with how many.
    #[must_use]
    pub fn malformed(&self) -> Vec<(String, u64)> {
        let logs = self.0.logs.lock();
        let counts = logs
            .iter()
            .map(|(log, faults)| (log.clone(), faults.malformed));
        counts.filter(|(_, lines)| *lines > 0).collect()
    }

    /// Keeps what a reading of the log under `prefix` has found.
    pub(crate) fn note_malformed(&self, prefix: &str, lines: u64) {
        let prefix = self.whole_path(prefix);
        let mut logs = self.0.logs.lock();
        match lines {
            0 => drop(logs.remove(&prefix)),
            _ => logs.entry(prefix).or_default().malformed = lines,
        }
    }

    /// Whether the copy of a file of the log under `prefix` was no better when so many lines of the file were no
    /// records.
    pub(crate) fn is_hopeless(&self, prefix: &str, path: &str, lines: u64) -> bool {
        let logs = self.0.logs.lock();
        let faults = logs.get(&self.whole_path(prefix));
        faults.is_some_and(|faults| faults.hopeless.get(&self.whole_path(path)) == Some(&lines))
    }

    /// Keeps of which files of the log under `prefix` the copies are no better, each with the lines of it that are no
    /// records. What was known of others is forgotten: they are sound, or gone.
    pub(crate) fn note_hopeless(&self, prefix: &str, files: BTreeMap<String, u64>) {
        let whole = |(path, lines): (String, u64)| (self.whole_path(&path), lines);
        let hopeless = files.into_iter().map(whole).collect();
        let mut logs = self.0.logs.lock();
        logs.entry(self.whole_path(prefix)).or_default().hopeless = hopeless;
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::BucketName;

    use super::*;

    #[test]
    fn what_was_read_of_logs_is_known_to_every_view() {
        let bucket = Bucket::memory(BucketName::primary());
        let view = bucket.within("a").unwrap();
        view.note_malformed("log", 2);
        bucket.without_rescue().note_malformed("b", 1);
        assert_eq!(
            bucket.malformed(),
            [("a/log".to_owned(), 2), ("b".to_owned(), 1)]
        );
        bucket.note_malformed("a/log", 0);
        assert_eq!(view.malformed(), [("b".to_owned(), 1)]);
    }

    #[test]
    fn a_copy_that_was_no_help_is_known_until_its_file_changes_or_its_log_is_sound() {
        let bucket = Bucket::memory(BucketName::primary());
        let view = bucket.within("a").unwrap();
        view.note_hopeless("log", BTreeMap::from([("log/1".to_owned(), 2)]));
        assert!(bucket.is_hopeless("a/log", "a/log/1", 2));
        assert!(!bucket.is_hopeless("a/log", "a/log/1", 3), "it got worse");
        assert!(!bucket.is_hopeless("a/log", "a/log/2", 2));
        assert!(!bucket.is_hopeless("log", "log/1", 2));
        assert_eq!(bucket.malformed(), [], "no reading has come to its end");
        view.note_malformed("log", 2);
        assert!(view.is_hopeless("log", "log/1", 2));
        view.note_hopeless("log", BTreeMap::new());
        assert!(!view.is_hopeless("log", "log/1", 2));
        assert_eq!(bucket.malformed(), [("a/log".to_owned(), 2)]);
    }
}
