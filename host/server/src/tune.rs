//! Trials and runs of an index, as the routes offer them. Evaluation sets are in `tune/sets.rs`; what may serve is
//! decided in `promotion.rs`.

mod follow;
mod sets;
mod space;

use std::sync::Arc;

use boathouse_tuning::{
    AutotuneEvent, AutotuneReport, AutotuneRequest, Best, BestBy, Ended, EvalSetName, Evaluation,
    IndexData, StepRequest, Strategy, TrialReport, TrialRequest, WrittenBounds, best,
    keep_newest_queries,
};
use boathouse_types::{Configuration, PluginKind, Trial, VectorBackend};
use serde::Deserialize;

use crate::{
    adapters::Judge, app::App, indexes::LiveIndex, plugins::Place, problem::Problem,
    tasks::TaskContext,
};

pub(crate) use follow::{carried, follow};
pub(crate) use sets::{DEFAULT_SET, LIVE_SET, default_set, delete_evalset, wanted_set};
pub use sets::{EvalSetList, EvalSetSpec, EvalSetView, UnreadableSet, evalsets};
pub(crate) use sets::{make_evalset, plan_evalset};
use sets::{named_set, present_queries};
pub(crate) use space::Space;

/// Trials of a run that says nothing.
const DEFAULT_TRIALS: u32 = 12;
/// Most trials of one run.
const MAX_TRIALS: u32 = 10_000;

/// A configuration to try; what is left out is as it serves. Which knobs there are depends on what is tuned.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrialSpec {
    /// What is tried: the graph (`parquet`) or a Lance table; what serves when left out.
    pub backend: Option<VectorBackend>,
    /// Of a graph: neighbours kept per node and layer.
    pub m: Option<u32>,
    /// Of a graph: candidates looked at while building.
    pub ef_construction: Option<u32>,
    /// Of a graph: candidates kept while searching.
    pub ef_search: Option<u32>,
    /// Of a graph: seed of the build.
    pub seed: Option<u64>,
    /// Of a table: parts that the vectors are divided into, 1 to 4,096.
    pub partitions: Option<u32>,
    /// Of a table: codes of a vector, a divisor of its components.
    pub sub_vectors: Option<u32>,
    /// Of a table: partitions that a search looks into, 1 to 4,096.
    pub nprobes: Option<u32>,
    /// Of a table: so many times k candidates are compared by their exact vectors, 1 to 1,000.
    pub refine_factor: Option<u32>,
    /// A note for the journal.
    pub note: Option<String>,
    /// Name of the evaluation set to measure with, `default` when left out.
    pub evalset: Option<String>,
}

/// A run of trials.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AutotuneSpec {
    /// What is tuned: the graph (`parquet`) or a Lance table; what serves when left out.
    pub backend: Option<VectorBackend>,
    /// Who says what to try next.
    #[serde(default)]
    pub strategy: StrategyName,
    /// Most trials, 12 when left out.
    pub max_trials: Option<u32>,
    /// Seconds after which no further trial starts.
    pub max_seconds: Option<u64>,
    /// What may be tried and recommended, knob by knob of what is tuned; wide bounds around the default for what is left
    /// out.
    #[schema(value_type = Option<WrittenBounds>)]
    pub bounds: Option<WrittenBounds>,
    /// A note for the journal.
    pub note: Option<String>,
    /// Name of the evaluation set to measure with, `default` when left out.
    pub evalset: Option<String>,
}

/// Who says what to try next.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StrategyName {
    /// The active proposer plugin.
    #[default]
    Proposer,
    /// A fixed grid.
    Grid,
    /// Many builds on samples of the vectors, the better ones on larger ones, the best on all. For graphs.
    Halving,
}

/// A set with its queries ready to be asked.
///
/// # Errors
/// 409 `no_documents` for an index that nothing can be found in, `unfit_evaluation_set` for a set that is of other
/// vectors; when the set cannot be made or read.
async fn evaluation(
    app: &App,
    (index, data): (&LiveIndex, &IndexData),
    set: &EvalSetName,
    task: &TaskContext,
) -> Result<Arc<Evaluation>, Problem> {
    has_documents(index)?;
    let cancel = task.cancellation();
    let telling = || task.progress("finding exact neighbours", 0, None, "queries");
    let set = named_set(app, index, set, &cancel, telling).await?;
    Ok(Evaluation::prepare(data, set, &cancel).await?)
}

/// Refuses an index that nothing can be found in.
///
/// # Errors
/// 409 `no_documents`.
fn has_documents(index: &LiveIndex) -> Result<(), Problem> {
    if index.vectors() > 0 {
        return Ok(());
    }
    let name = &index.meta.name;
    Err(Problem::conflict(
        "no_documents",
        format!(
            "all documents of index `{name}` were deleted, so there is nothing to measure; append rows, or delete the index"
        ),
    ))
}

/// The configuration that a trial is about.
///
/// # Errors
/// 422 for a knob of what is not tuned, and when it is beyond the hard limits; 501 for a table in a host without Lance.
pub fn trial_config(index: &LiveIndex, spec: &TrialSpec) -> Result<Configuration, Problem> {
    has_documents(index)?;
    Space::of(index, spec.backend)?.configuration(spec)
}

/// Runs one trial, measured with a set.
///
/// # Errors
/// What went wrong; the journal is as it was.
pub async fn run_trial(
    app: &App,
    index: &LiveIndex,
    (config, note): (Configuration, Option<String>),
    set: &EvalSetName,
    task: &TaskContext,
) -> Result<TrialReport, Problem> {
    let _person = app.agent.make_way();
    let space = Space::of(index, Some(config.backend()))?;
    let evaluation = evaluation(app, (index, &space.data), set, task).await?;
    task.progress("building and measuring", 0, Some(1), "trials");
    let request = TrialRequest {
        config,
        champion: Some(space.serving),
        note,
        ..TrialRequest::default()
    };
    let report = index
        .tuner
        .trial(&evaluation, request, &task.cancellation())
        .await?;
    task.progress("done", 1, Some(1), "trials");
    Ok(report)
}

/// What a run needs, checked.
///
/// # Errors
/// 422 for impossible bounds or budgets, and for knobs or a strategy that are not for what is tuned; 501 for a table in a
/// host without Lance.
pub fn autotune_request(
    app: &App,
    index: &LiveIndex,
    spec: AutotuneSpec,
) -> Result<AutotuneRequest, Problem> {
    let max_trials = spec.max_trials.unwrap_or(DEFAULT_TRIALS);
    if max_trials == 0 || max_trials > MAX_TRIALS {
        return Err(Problem::field(
            "max_trials",
            "out_of_bounds",
            format!("must be 1 to {MAX_TRIALS}"),
        ));
    }
    let space = Space::of(index, spec.backend)?;
    let (bounds, within) = space.bounds(&spec)?;
    let step = StepRequest {
        strategy: match spec.strategy {
            StrategyName::Grid => Strategy::Grid,
            StrategyName::Halving => Strategy::Halving,
            StrategyName::Proposer => {
                Strategy::Proposer(Arc::new(judge(app, PluginKind::Proposer, index)))
            }
        },
        scorer: Arc::new(judge(app, PluginKind::Scoring, index)),
        objective: index.meta.objective.clone(),
        bounds,
        serving: space.serving,
        note: spec.note,
        only_useful: false,
    };
    Ok(AutotuneRequest {
        step,
        max_trials,
        max_seconds: spec.max_seconds,
        within,
    })
}

pub(crate) fn judge(app: &App, kind: PluginKind, index: &LiveIndex) -> Judge {
    let place = Place::Index(index.meta.name.clone());
    app.plugins.judge(kind, place)
}

/// Runs trials until a budget ends, measured with a set.
///
/// # Errors
/// What went wrong; trials that ended before stay in the journal.
pub async fn autotune(
    app: &App,
    index: &LiveIndex,
    request: AutotuneRequest,
    set: &EvalSetName,
    task: &TaskContext,
) -> Result<AutotuneReport, Problem> {
    let _person = app.agent.make_way();
    let space = Space::of(index, Some(request.step.serving.backend()))?;
    let evaluation = evaluation(app, (index, &space.data), set, task).await?;
    let (total, done) = (
        u64::from(request.max_trials),
        std::sync::atomic::AtomicU64::new(0),
    );
    task.progress("trials", 0, Some(total), "trials");
    let tell = |event: AutotuneEvent| {
        let name = match &event {
            AutotuneEvent::Proposed { .. } => "proposed",
            AutotuneEvent::Building { .. } => "building",
            AutotuneEvent::Trial { .. } => "trial",
            AutotuneEvent::Refused { .. } => "refused",
            AutotuneEvent::Exhausted { .. } => "exhausted",
            AutotuneEvent::Done { .. } => return,
        };
        if name == "trial" {
            let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            task.progress("trials", done, Some(total), "trials");
        }
        task.emit(name, serde_json::to_value(&event).unwrap_or_default());
    };
    let report = index
        .tuner
        .autotune(&evaluation, request, &task.cancellation(), &tell)
        .await?;
    if report.ended == Ended::Cancelled {
        task.stopped_early();
    }
    Ok(report)
}

/// The best trial of the journal, among those of what serves, or of the backend that is asked for, that measured the vectors that serve, all of them and to the end, with
/// the queries that the next trial with this set is asked too: figures on others do not compare. Where the set is gone,
/// with the queries of its newest trial; the answer says so then.
///
/// # Errors
/// 404 for an empty journal, for one without such trials, and for a set that is not there and has none; the scoring
/// plugin's failure.
pub async fn best_trial(
    app: &App,
    index: &LiveIndex,
    (by, backend): (BestBy, Option<VectorBackend>),
    set: Option<&str>,
) -> Result<Best, Problem> {
    let set = EvalSetName::new(set.unwrap_or(DEFAULT_SET))?;
    let journal = index.tuner.journal().read().await?;
    let backend = backend.unwrap_or(index.meta.vector_backend);
    let (all, mut trials) = (journal.trials.len(), journal.trials);
    trials.retain(|trial| {
        trial.config.backend() == backend
            && trial.is_whole()
            && index.is_measured_by(trial)
            && is_measured_with(trial, &set)
    });
    let queries = present_queries(index, &set).await?;
    match &queries {
        // Lines of older hosts do not tell theirs.
        Some(queries) => {
            trials.retain(|trial| trial.evalset.as_ref().is_none_or(|own| own == queries))
        }
        None => keep_newest_queries(&mut trials),
    }
    if trials.is_empty() && all > 0 {
        wanted_set(index, Some(set.as_str())).await?;
        let name = &index.meta.name;
        let what = match backend {
            VectorBackend::Parquet => "the graph",
            VectorBackend::Lance => "the Lance table",
        };
        return Err(Problem::not_found(
            "no_comparable_trials",
            format!(
                "all {all} trials of index `{name}` measured vectors that serve no more, another engine than {what}, or with queries that are asked no more or are of another evaluation set than `{set}`; run a trial or autotune with it"
            ),
        ));
    }
    let scorer = judge(app, PluginKind::Scoring, index);
    let (name, objective) = (&index.meta.name, &index.meta.objective);
    let mut best = best(name, &trials, by, objective, &scorer).await?;
    if queries.is_none() {
        let own = best.trial.evalset.as_deref().unwrap_or(DEFAULT_SET);
        best.reason += &format!(
            "; the evaluation set that it was measured with, `{own}`, is there no more: trials with the next one may not compare with it"
        );
    }
    Ok(best)
}

/// Whether a trial was measured with the set of a name, whatever its queries were then. What the agent measured with
/// recent queries of clients, and lines of older hosts, count for the default one.
fn is_measured_with(trial: &Trial, set: &EvalSetName) -> bool {
    let own = trial.evalset.as_deref().map_or(DEFAULT_SET, |identity| {
        identity.rsplit_once('@').map_or(identity, |(name, _)| name)
    });
    let is_default = set.as_str() == DEFAULT_SET;
    own == set.as_str() || (is_default && own == LIVE_SET)
}

#[cfg(test)]
mod tests;
