//! Which files have stopped changing. Only what was seen here counts, by a clock that does not jump; the time that
//! a file carries may be another machine's.

use std::{collections::BTreeMap, ffi::OsString, time::Duration};

use tokio::time::Instant;

use super::listing::{Entry, Stamp};

/// Files and since when they are as they are.
#[derive(Debug, Default)]
pub(super) struct Steady(BTreeMap<OsString, (Stamp, Instant)>);

impl Steady {
    /// Those of `files` that have been the same for `wait`, and the others, each in order. Files that are gone are
    /// forgotten.
    pub(super) fn sort_out(
        &mut self,
        files: Vec<Entry>,
        now: Instant,
        wait: Duration,
    ) -> (Vec<Entry>, Vec<Entry>) {
        let mut known = std::mem::take(&mut self.0);
        for file in &files {
            let since = match known.remove(&file.name) {
                Some((stamp, since)) if stamp == file.stamp => since,
                _ => now,
            };
            self.0.insert(file.name.clone(), (file.stamp, since));
        }
        files.into_iter().partition(|file| {
            let known = self.0.get(&file.name);
            known.is_some_and(|(_, since)| now.duration_since(*since) >= wait)
        })
    }
}
