//! Ends of runs that their bucket did not take, written once it does, for as long as the host runs.
//!
//! A run that fails because its bucket is away cannot say so there. It is kept in memory and offered again, less and
//! less often; a process that is killed meanwhile leaves the rest to the next start (`deliver.rs`), which then only
//! knows that there is no end.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use boathouse_ingest::{IngestError, Lineage, Unended};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::app::App;

/// The first wait; it doubles with each round that leaves something, and begins anew with each run that is added.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait between two rounds.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Most runs that are kept; of further ones the oldest are left to the next start.
const MOST_RUNS: usize = 10_000;

/// Starts to listen; it ends with the host.
pub(super) fn start(app: &Arc<App>) {
    let Some(owed) = app.lineage.take_owed() else {
        return;
    };
    let (this, background) = (Arc::clone(app), app.tasks.background());
    let stopping = background.stopping();
    background.spawn(async move {
        let waiting = Vec::new();
        let mut ends = Ends { owed, waiting };
        stopping.run_until_cancelled(ends.run(&this)).await;
    });
}

struct Ends {
    owed: UnboundedReceiver<Unended>,
    /// Oldest first.
    waiting: Vec<Unended>,
}

impl Ends {
    async fn run(&mut self, app: &App) {
        let mut rounds = 0;
        loop {
            let wait = LONGEST_WAIT.min(FIRST_WAIT * 2_u32.saturating_pow(rounds));
            let is_idle = self.waiting.is_empty();
            tokio::select! {
                heard = self.owed.recv() => match heard {
                    Some(run) => {
                        self.keep(run);
                        rounds = 0;
                    }
                    None => return,
                },
                () = tokio::time::sleep(wait), if !is_idle => {
                    self.write(app).await;
                    rounds = rounds.saturating_add(1);
                }
            }
            app.lineage
                .unended
                .store(self.waiting.len(), Ordering::Relaxed);
        }
    }

    fn keep(&mut self, run: Unended) {
        if self.waiting.len() == MOST_RUNS {
            self.waiting.remove(0);
        }
        self.waiting.push(run);
    }

    /// Offers every run once.
    async fn write(&mut self, app: &App) {
        let mut left = Vec::new();
        for run in std::mem::take(&mut self.waiting) {
            match end(app, &run).await {
                Ok(()) => {
                    tracing::info!(dataset = %run.dataset, bucket = %run.bucket, "a run has its end in the lineage");
                }
                Err(error) => {
                    tracing::debug!(dataset = %run.dataset, bucket = %run.bucket, %error, "the end of a run waits");
                    left.push(run);
                }
            }
        }
        self.waiting = left;
    }
}

async fn end(app: &App, run: &Unended) -> Result<(), IngestError> {
    let bucket = app.buckets.get(&run.bucket)?;
    let lineage = Lineage::new(bucket, run.dataset.clone(), Arc::clone(&app.clock))
        .written_by(&app.lineage.writer);
    lineage.end_run(run, &app.datasets).await
}
