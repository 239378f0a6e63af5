//! A database as the source of a run: a snapshot is opened, read in parts, and closed before anything goes to
//! a bucket.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use boathouse_types::DatasetName;

use super::{
    Connector, TableRead, TableReport, TableSource,
    fit::Fit,
    job::{JobMark, Step},
    pipeline::{self, Plan},
};
use crate::{
    IngestContext, IngestError, Phase, SourceInfo, run::Feed, spool::SpooledTable, watch::Watch,
};

/// What a snapshot can be opened of.
#[async_trait]
pub(super) trait Source: Send + Sync {
    /// What it is called in lineage.
    fn info(&self, source: &TableSource) -> SourceInfo;

    /// The table or query, by which a job tells that it is still the same.
    fn subject(&self, source: &TableSource) -> String;

    /// Opens a snapshot.
    async fn open(
        &self,
        read: &TableRead,
        watch: &Watch,
    ) -> Result<Arc<dyn Connector>, IngestError>;
}

/// A table or query as the source of a run.
pub(super) struct TableFeed<'a> {
    source: &'a dyn Source,
    dataset: DatasetName,
    read: TableRead,
    step: Option<Step>,
    report: Option<TableReport>,
    mark: Option<JobMark>,
}

impl<'a> TableFeed<'a> {
    /// Reads from `source` for a dataset, as a step of a job if there is one.
    pub(super) fn new(
        source: &'a dyn Source,
        dataset: DatasetName,
        read: TableRead,
        step: Option<Step>,
    ) -> Self {
        Self {
            source,
            dataset,
            read,
            step,
            report: None,
            mark: None,
        }
    }

    /// What was found out about the table, after a run that made a version or found nothing new.
    pub(super) fn report(self, is_new: bool) -> Result<TableReport, IngestError> {
        let report = self
            .report
            .ok_or_else(|| IngestError::Worker("a table was not read".to_owned()))?;
        Ok(TableReport {
            up_to_date: !is_new,
            ..report
        })
    }
}

#[async_trait]
impl Feed for TableFeed<'_> {
    async fn spool(
        &mut self,
        context: &IngestContext,
        existing: Option<SchemaRef>,
        watch: &Watch,
    ) -> Result<Vec<SpooledTable>, IngestError> {
        watch.check()?;
        watch.progress.enter(Phase::Connect);
        let connector = unless_cancelled(watch, self.source.open(&self.read, watch)).await?;
        let fit = Fit::of(&connector.schema(), existing.as_deref(), &self.dataset)?;
        let parts = connector.parts() as u64;
        watch
            .progress
            .expect_table(parts, connector.estimated_rows());
        watch.progress.enter(Phase::Convert);
        let plan = Plan {
            connector: Arc::clone(&connector),
            fit,
            parallel: self.read.parallel.get(),
            folder: context.spool_folder.clone(),
            name: self.dataset.to_string(),
        };
        let tables = pipeline::spool(plan, watch).await?;
        let (report, position) = unless_cancelled(watch, connector.finish()).await?;
        self.report = Some(report);
        self.mark = self.step.as_ref().map(|step| step.mark(position));
        Ok(tables)
    }

    fn mark(&self) -> Option<JobMark> {
        self.mark.clone()
    }
}

/// Drops what waits for a server as soon as the run is cancelled.
async fn unless_cancelled<T>(
    watch: &Watch,
    work: impl Future<Output = Result<T, IngestError>>,
) -> Result<T, IngestError> {
    tokio::select! {
        biased;
        () = watch.cancel.cancelled() => Err(IngestError::Cancelled),
        outcome = work => outcome,
    }
}
