//! Ends for runs that were killed, and for those whose bucket did not take them.
//!
//! How a run ended that its bucket did not take is known to the process until it stops ([`Lineage::end_run`]).
//!
//! Of a run of this host nothing more is known when the process was killed.
//! Whether it took place is not guessed: a version names the run that made it, so a run whose version is there
//! gets COMPLETE, with what that version holds, and every other one FAIL. Runs of other hosts and of programs
//! that did not name themselves are left alone: they may be running.

use std::collections::BTreeSet;

use super::{Lineage, Origin, RunEvent, RunState, Unended};
use crate::{DatasetManifest, DatasetVersion, Datasets, IngestError};

/// Why a run failed that nobody saw fail.
const KILLED: &str = "the host stopped before the ingest had ended; nothing of it is visible";

impl Lineage {
    /// Writes of a run what its bucket did not take. A write that failed may have happened nevertheless, so the log
    /// is read first: no event of a run is there twice. So may a commit, and its version says that the run took place.
    ///
    /// # Errors
    /// [`IngestError::Storage`], while the bucket does not take it.
    pub async fn end_run(&self, run: &Unended, datasets: &Datasets) -> Result<(), IngestError> {
        let events = self.read().await?;
        let id = &run.start.run.run_id;
        let of_run = || events.iter().filter(|event| event.run.run_id == *id);
        if of_run().any(|event| event.event_type.is_end()) {
            return Ok(());
        }
        let manifest = self.manifest(datasets).await?;
        if of_run().next().is_none() {
            self.append(run.start.clone()).await?;
        }
        let end = match made_by(&run.start, manifest.as_ref()) {
            Some(version) => run.start.clone().completed(run.end.event_time, version),
            None => run.end.clone(),
        };
        Ok(self.append(end).await?)
    }

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
        let manifest = self.manifest(datasets).await?;
        let ended = killed.len();
        for start in killed {
            self.append(self.end_of(start.clone(), manifest.as_ref()))
                .await?;
        }
        Ok(ended)
    }

    /// The dataset as it stands; none when there is none.
    async fn manifest(&self, datasets: &Datasets) -> Result<Option<DatasetManifest>, IngestError> {
        match datasets.get(&self.dataset).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(IngestError::DatasetNotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn end_of(&self, start: RunEvent, manifest: Option<&DatasetManifest>) -> RunEvent {
        let now = self.clock.now();
        match made_by(&start, manifest) {
            Some(version) => start.completed(now, version),
            None => start.failed(now, KILLED),
        }
    }
}

/// The version that a run made.
fn made_by<'a>(
    start: &RunEvent,
    manifest: Option<&'a DatasetManifest>,
) -> Option<&'a DatasetVersion> {
    let mut versions = manifest?.versions.iter();
    versions.find(|version| version.source.run.as_ref() == Some(&start.run.run_id))
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
