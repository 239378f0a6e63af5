//! What follows from rows that have landed: one place, whatever brought them.

use boathouse_ingest::IngestReport;

use crate::{agent, app::App};

impl App {
    /// Called once after each ingest that made a version, by HTTP and watcher alike.
    pub(crate) async fn ingested(&self, report: &IngestReport) {
        tracing::info!(
            dataset = %report.dataset,
            version = report.version.version,
            rows = report.added_rows,
            "rows have landed"
        );
        agent::heard(self, &report.dataset, report.version.mode).await;
    }
}
