//! Where rows came from: OpenLineage run events in an append log under `_lineage/{dataset}`.
//!
//! Every run has one START and one of COMPLETE, FAIL or ABORT. What a bucket does not take is handed to who writes
//! it once the bucket is back ([`Unended`]). A run that was killed has no end; the next start of the same host writes
//! it (`lineage/unfinished.rs`), and tells a run that was killed after its commit from one that was killed before by
//! the version that names the run. Labels and messages pass [`redact_dsn`] before
//! they are kept. The log outlives its dataset.
//!
//! The log is the outbox too: whoever posts events elsewhere is told of each once it is durable
//! ([`LineageWriter`]), and reads the log to find out what it has missed. Nothing here waits for that.

mod event;
mod naming;
mod origin;
mod unfinished;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use boathouse_storage::{AppendLog, Bucket, StorageError, time_ordered_id};
use boathouse_types::{Clock, DatasetName, Timestamp};

use self::event::{PRODUCER, SCHEMA, facet, facet_url, located, schema_facet};
pub use self::{
    event::{
        DataSource, DatasetFacets, ErrorMessage, Facet, IngestFacet, Job, JobFacets, JobType,
        LineageDataset, OutputFacets, OutputStatistics, Run, RunEvent, RunFacets, RunState,
        SchemaField, SchemaFields,
    },
    origin::{LineageWriter, Origin, Recorded, Unended},
};
use crate::{DatasetVersion, IngestError, SourceInfo, redact_dsn};

/// Where the logs of all datasets are.
const FOLDER: &str = "_lineage";
/// The namespace of our jobs.
const NAMESPACE: &str = "boathouse";
/// The definition of our own facet.
const INGEST_FACET: &str = "https://boathouse.invalid/spec/ingest-run-facet-1.json";

/// The lineage of one dataset.
pub struct Lineage {
    log: AppendLog<RunEvent>,
    bucket: Bucket,
    dataset: DatasetName,
    clock: Arc<dyn Clock>,
    writer: LineageWriter,
}

/// A run whose START is recorded.
pub(crate) struct RecordedRun<'a> {
    lineage: &'a Lineage,
    start: RunEvent,
}

impl Lineage {
    /// The lineage of a dataset, in its home bucket.
    #[must_use]
    pub fn new(bucket: Bucket, dataset: DatasetName, clock: Arc<dyn Clock>) -> Self {
        let prefix = format!("{FOLDER}/{dataset}");
        Self {
            log: AppendLog::new(bucket.clone(), prefix, Arc::clone(&clock)),
            bucket,
            dataset,
            clock,
            writer: LineageWriter::default(),
        }
    }

    /// The same, written to by a host that wants to be named and told.
    #[must_use]
    pub fn written_by(self, writer: &LineageWriter) -> Self {
        Self {
            writer: writer.clone(),
            ..self
        }
    }

    /// The datasets that have a lineage in a bucket.
    ///
    /// # Errors
    /// [`IngestError::Storage`].
    pub async fn datasets(bucket: &Bucket) -> Result<Vec<DatasetName>, IngestError> {
        let names = bucket.children(FOLDER).await?;
        // A folder that is no dataset's is none of ours.
        let names = names
            .into_iter()
            .filter_map(|name| DatasetName::new(name).ok());
        Ok(names.collect())
    }

    /// All events, oldest first.
    ///
    /// # Errors
    /// [`IngestError::Storage`].
    pub async fn read(&self) -> Result<Vec<RunEvent>, IngestError> {
        Ok(self.log.read_all().await?.records)
    }

    /// Records the start of a run.
    pub(crate) async fn start(&self, source: &SourceInfo) -> Result<RecordedRun<'_>, StorageError> {
        let start = self.started(source);
        let recorded = self.append(start.clone()).await;
        let run = RecordedRun {
            lineage: self,
            start,
        };
        match recorded {
            Ok(()) => Ok(run),
            Err(error) => {
                let failed = IngestError::Storage(error.clone());
                run.owe(run.ended_as(Err(&failed)));
                Err(error)
            }
        }
    }

    /// Makes an event durable and tells of it.
    async fn append(&self, event: RunEvent) -> Result<(), StorageError> {
        let at = event.event_time;
        self.log.append(event).await?;
        self.writer.tell(self.bucket.name(), &self.dataset, at);
        Ok(())
    }

    fn started(&self, source: &SourceInfo) -> RunEvent {
        let dataset = &self.dataset;
        let home = naming::of_dataset(self.bucket.name().as_str(), dataset.as_str());
        let ingest = IngestFacet {
            source_system: source.system.clone(),
            version: None,
            origin: self.writer.origin().cloned(),
        };
        let job_type = JobType {
            processing_type: "BATCH".to_owned(),
            integration: "BOATHOUSE".to_owned(),
            job_type: "INGEST".to_owned(),
        };
        let named = naming::of(source);
        RunEvent {
            event_type: RunState::Start,
            event_time: self.clock.now(),
            producer: PRODUCER.to_owned(),
            schema_url: SCHEMA.to_owned(),
            run: Run {
                run_id: time_ordered_id(self.clock.as_ref()),
                facets: RunFacets {
                    error_message: None,
                    ingest: Some(facet(INGEST_FACET, ingest)),
                },
            },
            job: Job {
                namespace: NAMESPACE.to_owned(),
                name: format!("ingest.{dataset}"),
                facets: JobFacets {
                    job_type: facet(facet_url!("2-0-3", "JobTypeJobFacet"), job_type),
                },
            },
            inputs: vec![located(&named.namespace, &named.name, &named.uri)],
            outputs: vec![located(&home.namespace, &home.name, &home.uri)],
        }
    }
}

impl RecordedRun<'_> {
    /// The run's id, the same in all its events.
    pub(crate) fn id(&self) -> &str {
        &self.start.run.run_id
    }

    /// Records how the run ended. That this fails does not undo the run, so the end is left to who writes it
    /// later; failing that too, the next start of the host finds the run without an end and writes it.
    pub(crate) async fn end(self, outcome: Result<&DatasetVersion, &IngestError>) {
        let event = self.ended_as(outcome);
        if let Err(error) = self.lineage.append(event.clone()).await {
            tracing::warn!(
                dataset = %self.lineage.dataset, bucket = %self.lineage.bucket.name(), %error,
                "the end of a run is missing in the lineage until the bucket takes it"
            );
            self.owe(event);
        }
    }

    fn ended_as(&self, outcome: Result<&DatasetVersion, &IngestError>) -> RunEvent {
        let (start, now) = (self.start.clone(), self.lineage.clock.now());
        match outcome {
            Ok(version) => start.completed(now, version),
            Err(IngestError::Cancelled) => start.ended(RunState::Abort, now),
            Err(error) => start.failed(now, &error.to_string()),
        }
    }

    fn owe(&self, end: RunEvent) {
        let lineage = self.lineage;
        let is_taken = lineage.writer.owe(Unended {
            bucket: lineage.bucket.name().clone(),
            dataset: lineage.dataset.clone(),
            start: self.start.clone(),
            end,
        });
        if !is_taken {
            tracing::debug!(dataset = %lineage.dataset, "the end of a run is left to the next start");
        }
    }
}

impl RunEvent {
    /// The event with which a run ends that began with this one.
    fn ended(self, state: RunState, now: Timestamp) -> Self {
        Self {
            event_type: state,
            event_time: now,
            ..self
        }
    }

    fn completed(self, now: Timestamp, version: &DatasetVersion) -> Self {
        let mut event = self.ended(RunState::Complete, now);
        if let Some(ingest) = &mut event.run.facets.ingest {
            ingest.content.version = Some(version.version);
        }
        let fields = schema_facet(&version.columns);
        for dataset in event.inputs.iter_mut().chain(&mut event.outputs) {
            dataset.facets.schema = Some(fields.clone());
        }
        let statistics = OutputStatistics {
            row_count: version.files.iter().map(|file| file.rows).sum(),
            size: version.files.iter().map(|file| file.bytes).sum(),
            file_count: version.files.len() as u64,
        };
        let url = facet_url!("1-0-2", "OutputStatisticsOutputDatasetFacet");
        for output in &mut event.outputs {
            output.output_facets = Some(OutputFacets {
                output_statistics: facet(url, statistics.clone()),
            });
        }
        event
    }

    fn failed(self, now: Timestamp, message: &str) -> Self {
        let mut event = self.ended(RunState::Fail, now);
        let message = ErrorMessage {
            message: redact_dsn(message),
            programming_language: "RUST".to_owned(),
        };
        let url = facet_url!("1-0-1", "ErrorMessageRunFacet");
        event.run.facets.error_message = Some(facet(url, message));
        event
    }
}
