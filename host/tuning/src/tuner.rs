//! Trials of one index: build or reuse, measure, remember.
//!
//! A trial is measured on the blocking pool, one at a time across all tuners that share a lane, because
//! two trials at once would spoil each other's times. It becomes a line of the journal only at its very
//! end: whatever stops it before leaves nothing.
//!
//! A trial that cannot clear its bar any more ends early and is written down with what was measured; one over a
//! share of the vectors ([`sample`]) compares with others over the same share only.

mod made;
mod sample;

use std::sync::Arc;

use boathouse_storage::{Bucket, FileCache};
use boathouse_types::{
    Asked, Clock, Configuration, IndexName, Interval, PluginRef, Trial, TrialMetrics,
};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use made::Made;
pub use made::build_id_of;
pub(crate) use sample::SampleRequest;

use crate::{
    Builds, EvalSets, Evaluation, Journal, Promotions, TableBuilds, TuningError,
    blocking::{alive, blocking, unless_cancelled},
    builds::BuildOrigin,
    early::Bar,
    fingerprint::host_fingerprint,
    measure::{Comparison, MeasurePlan, Measured, measure},
};

/// Longest note and reason that a journal line takes, in characters; the rest is dropped.
const MAX_TEXT: usize = 1_000;

/// What a tuner runs with.
#[derive(Debug, Clone)]
pub struct TunerOptions {
    /// Where the time of journal lines comes from.
    pub clock: Arc<dyn Clock>,
    /// Threads of a build; one makes builds repeatable.
    pub build_threads: usize,
    /// Name of the machine in journal lines.
    pub host: String,
    /// How thoroughly trials are measured.
    pub plan: MeasurePlan,
    /// Permits to measure; tuners of one process share one permit.
    pub lane: Arc<Semaphore>,
    /// Local copies of what serves, from which it is mapped; none to read it from its bucket each time.
    pub files: Option<FileCache>,
    /// Who builds indexes of tables for trials; none where there are only graphs.
    pub tables: Option<Arc<dyn TableBuilds>>,
}

impl TunerOptions {
    /// All cores for builds, this machine's fingerprint, the default plan, and a lane of its own.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            build_threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            host: host_fingerprint(),
            plan: MeasurePlan::default(),
            lane: Arc::new(Semaphore::new(1)),
            files: None,
            tables: None,
        }
    }
}

/// Everything about the tuning of one index. Clones share it.
#[derive(Debug, Clone)]
pub struct Tuner {
    index: IndexName,
    journal: Journal,
    builds: Builds,
    promotions: Promotions,
    eval_sets: EvalSets,
    options: TunerOptions,
}

/// One trial to run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrialRequest {
    /// What to try.
    pub config: Configuration,
    /// What serves; when it is another configuration it is timed alongside, in turns.
    pub champion: Option<Configuration>,
    /// Free note.
    pub note: Option<String>,
    /// Who proposed it; none for a person or a grid.
    pub proposed_by: Option<PluginRef>,
    /// Why it was proposed.
    pub reason: Option<String>,
    /// What its proposer was asked.
    pub asked: Option<Asked>,
    /// What it has to beat; it ends early once it cannot. None to ask every query whatever comes.
    pub bar: Option<Bar>,
    /// Whether a graph that is cut down from a larger build will do.
    pub derive: bool,
}

/// A trial with what the journal has no field for.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TrialReport {
    /// The journal's line.
    pub trial: Trial,
    /// How it compares with the champion, when that was timed alongside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Range of the passes' median latencies over their median; 0.1 is 10 %, 0 of a single pass.
    pub spread: f64,
    /// The machine was too restless for times to tell configurations apart; the trial's note says why.
    pub noisy: bool,
    /// Where the graph, or the index of the table, came from.
    pub build: BuildOrigin,
}

impl Tuner {
    /// The tuning state of `index` in `bucket`; nothing is read or written yet.
    #[must_use]
    pub fn open(bucket: &Bucket, index: &IndexName, options: TunerOptions) -> Self {
        Self {
            index: index.clone(),
            journal: Journal::new(bucket, index, Arc::clone(&options.clock)),
            builds: Builds::new(bucket, index, options.build_threads)
                .with_files(options.files.as_ref().map(|files| files.of_index(index))),
            promotions: Promotions::new(bucket, index, Arc::clone(&options.clock)),
            eval_sets: EvalSets::new(bucket, index),
            options,
        }
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> &IndexName {
        &self.index
    }

    /// Its journal.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Its graphs.
    #[must_use]
    pub fn builds(&self) -> &Builds {
        &self.builds
    }

    /// Its promotions.
    #[must_use]
    pub fn promotions(&self) -> &Promotions {
        &self.promotions
    }

    /// Its evaluation sets.
    #[must_use]
    pub fn eval_sets(&self) -> &EvalSets {
        &self.eval_sets
    }

    /// What it runs with.
    #[must_use]
    pub fn options(&self) -> &TunerOptions {
        &self.options
    }

    /// Runs one trial and adds it to the journal; the line is durable when this returns.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] for a configuration beyond the hard limits or an evaluation of
    /// another index; [`TuningError::Cancelled`]; a failed build; or the bucket fails. The journal is then
    /// as it was.
    pub async fn trial(
        &self,
        evaluation: &Arc<Evaluation>,
        request: TrialRequest,
        cancel: &CancellationToken,
    ) -> Result<TrialReport, TuningError> {
        let number = self.journal.read().await?.trials.len() + 1;
        let report = self.measure(evaluation, request, number, cancel).await?;
        self.record(&report.trial, cancel).await?;
        Ok(report)
    }

    /// Runs a trial without writing it down. `number` is the line that it would have in the journal.
    pub(crate) async fn measure(
        &self,
        evaluation: &Arc<Evaluation>,
        request: TrialRequest,
        number: usize,
        cancel: &CancellationToken,
    ) -> Result<TrialReport, TuningError> {
        let data = evaluation.data();
        let made = self.made(data, &request.config, request.derive, cancel);
        let made = made.await?;
        let challenger = made.contender.clone();
        let champion = match request
            .champion
            .filter(|champion| *champion != request.config)
        {
            Some(config) => Some(self.made(data, &config, false, cancel).await?.contender),
            None => None,
        };
        let (shared, plan) = (Arc::clone(evaluation), self.options.plan);
        let bar = request.bar.clone();
        let measured = self
            .in_lane(cancel, move |stop| {
                let contenders = (&challenger, champion.as_ref());
                measure(&shared, contenders, bar.as_ref(), &plan, stop)
            })
            .await?;
        Ok(self.report(evaluation, request, number, made, measured))
    }

    /// Runs a measurement while no other one runs.
    async fn in_lane<T: Send + 'static>(
        &self,
        cancel: &CancellationToken,
        work: impl FnOnce(&CancellationToken) -> Result<T, TuningError> + Send + 'static,
    ) -> Result<T, TuningError> {
        let lane = unless_cancelled(cancel, self.options.lane.acquire()).await?;
        let _lane = lane.map_err(|closed| TuningError::Worker(closed.to_string()))?;
        blocking(cancel, work).await
    }

    /// Adds a measured trial to the journal unless somebody asked to stop.
    pub(crate) async fn record(
        &self,
        trial: &Trial,
        cancel: &CancellationToken,
    ) -> Result<(), TuningError> {
        alive(cancel)?;
        self.journal.append(trial).await
    }

    fn report(
        &self,
        evaluation: &Evaluation,
        request: TrialRequest,
        number: usize,
        made: Made,
        measured: Measured,
    ) -> TrialReport {
        let metrics = metrics(evaluation, &made, &measured);
        let noisy = measured.noise.is_some();
        let trial = Trial {
            finished_at: Some(self.options.clock.now()),
            note: note(request.note, measured.noise),
            build_id: Some(made.build_id),
            data_version: Some(evaluation.data().data_version.clone()),
            evalset: Some(evaluation.evalset().to_owned()),
            host: Some(self.options.host.clone()),
            proposed_by: request.proposed_by,
            reason: request.reason.map(bounded),
            asked: request.asked,
            latency_spread: measured.spread.map(|spread| rounded(spread, 1e6)),
            noisy,
            stopped_early: measured.stopped_early,
            derived_from: made.derived_from,
            ..Trial::of(trial_id(number), request.config, metrics)
        };
        TrialReport {
            trial,
            comparison: measured.comparison,
            spread: measured.spread.unwrap_or(0.0),
            noisy,
            build: made.origin,
        }
    }
}

/// Measurements as a journal keeps them, rounded to what means something: times to the nanosecond,
/// builds to the microsecond, recall to nine digits. Decimals that short read back bit for bit (JSON
/// readers may miss the last bit of longer ones), so a plugin sees the same numbers before and after.
fn metrics(evaluation: &Evaluation, made: &Made, measured: &Measured) -> TrialMetrics {
    let vectors = &evaluation.data().vectors;
    let interval = measured.recall_interval;
    TrialMetrics {
        build_time_secs: rounded(made.build_secs(), 1e6),
        search_latency_p50_us: rounded(measured.p50_us, 1e3),
        search_latency_p95_us: rounded(measured.p95_us, 1e3),
        search_latency_p99_us: rounded(measured.p99_us, 1e3),
        recall_at_k: rounded(measured.recall, 1e9),
        recall_interval: Some(Interval {
            low: rounded(interval.low, 1e9),
            high: rounded(interval.high, 1e9),
        }),
        k: u32::try_from(evaluation.k()).ok(),
        memory_bytes: made.contender.memory_bytes(vectors.memory_bytes()),
        vectors: vectors.len() as u64,
        eval_queries: measured.asked as u64,
        brute_force_latency_us: rounded(evaluation.brute_force_latency_us(), 1e3),
        distances_per_query: measured
            .distances_per_query
            .map(|distances| rounded(distances, 1e3)),
    }
}

/// The nearest multiple of one part in `scale`.
pub(crate) fn rounded(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale
}

/// The line's number in the journal, for people, and random digits that keep two trials apart which
/// ended at once: `t0012-5f3a9c`.
fn trial_id(number: usize) -> String {
    let random = Uuid::now_v7().simple().to_string();
    format!("t{number:04}-{}", &random[random.len() - 6..])
}

fn note(given: Option<String>, noise: Option<String>) -> Option<String> {
    let noise =
        noise.map(|why| format!("noisy machine: {why}; compare distance counts instead of times"));
    match (given.map(bounded), noise) {
        (Some(given), Some(noise)) => Some(format!("{given}; {noise}")),
        (given, noise) => given.or(noise),
    }
}

fn bounded(text: String) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests;
