//! Ends for runs that were killed.
//!
//! A run of this host has no end when the process was killed, or when the bucket failed at the last moment.
//! Whether it took place is not guessed: a version names the run that made it, so a run whose version is there
//! gets COMPLETE, with what that version holds, and every other one FAIL. Runs of other hosts and of programs
//! that did not name themselves are left alone: they may be running.

use std::collections::BTreeSet;

use super::{Lineage, Origin, RunEvent, RunState};
use crate::{DatasetManifest, Datasets, IngestError};

/// Why a run failed that nobody saw fail.
const KILLED: &str = "the host stopped before the ingest had ended; nothing of it is visible";

impl Lineage {
    /// Writes an end for each run of an earlier start of the host that has none. Gives how many those were.
    ///
    /// # Errors
    /// [`IngestError::Storage`]; what is written by then stays, and the rest can be written later.
    pub async fn end_killed_runs(
        &self,
        origin: &Origin,
        datasets: &Datasets,
    ) -> Result<usize, IngestError> {
        let events = self.read().await?;
        let killed = killed_runs(&events, origin);
        if killed.is_empty() {
            return Ok(0);
        }
        let manifest = match datasets.get(&self.dataset).await {
            Ok(manifest) => Some(manifest),
            Err(IngestError::DatasetNotFound(_)) => None,
            Err(error) => return Err(error),
        };
        let ended = killed.len();
        for start in killed {
            self.append(self.end_of(start.clone(), manifest.as_ref()))
                .await?;
        }
        Ok(ended)
    }

    fn end_of(&self, start: RunEvent, manifest: Option<&DatasetManifest>) -> RunEvent {
        let now = self.clock.now();
        let made = manifest.and_then(|manifest| {
            let mut versions = manifest.versions.iter();
            versions.find(|version| version.source.run.as_ref() == Some(&start.run.run_id))
        });
        match made {
            Some(version) => start.completed(now, version),
            None => start.failed(now, KILLED),
        }
    }
}

/// The START of each run without an end that an earlier start of the host began.
fn killed_runs<'a>(events: &'a [RunEvent], origin: &Origin) -> Vec<&'a RunEvent> {
    let ended: BTreeSet<&str> = events
        .iter()
        .filter(|event| event.event_type.is_end())
        .map(|event| event.run.run_id.as_str())
        .collect();
    let is_ours = |event: &RunEvent| {
        let ingest = event.run.facets.ingest.as_ref();
        let known = ingest.and_then(|ingest| ingest.content.origin.as_ref());
        known.is_some_and(|known| known.host == origin.host && known.process != origin.process)
    };
    events
        .iter()
        .filter(|event| event.event_type == RunState::Start)
        .filter(|event| !ended.contains(event.run.run_id.as_str()) && is_ours(event))
        .collect()
}
