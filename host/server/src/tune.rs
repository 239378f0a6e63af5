//! Trials and runs of an index, as the routes offer them. Evaluation sets are in `tune/sets.rs`; what may serve is
//! decided in `promotion.rs`.

mod follow;
mod sets;

use std::sync::Arc;

use boathouse_tuning::{
    AutotuneEvent, AutotuneReport, AutotuneRequest, Best, BestBy, Ended, EvalSetName, Evaluation,
    StepRequest, Strategy, TrialReport, TrialRequest, TuneBounds, best, check_config,
    keep_newest_queries,
};
use boathouse_types::{IndexConfig, PluginKind, Trial};
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

/// Trials of a run that says nothing.
const DEFAULT_TRIALS: u32 = 12;
/// Most trials of one run.
const MAX_TRIALS: u32 = 10_000;

/// A configuration to try; what is left out is as it serves.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrialSpec {
    /// Neighbours kept per node and layer.
    pub m: Option<u32>,
    /// Candidates looked at while building.
    pub ef_construction: Option<u32>,
    /// Candidates kept while searching.
    pub ef_search: Option<u32>,
    /// Seed of the build.
    pub seed: Option<u64>,
    /// A note for the journal.
    pub note: Option<String>,
    /// Name of the evaluation set to measure with, `default` when left out.
    pub evalset: Option<String>,
}

/// A run of trials.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AutotuneSpec {
    /// Who says what to try next.
    #[serde(default)]
    pub strategy: StrategyName,
    /// Most trials, 12 when left out.
    pub max_trials: Option<u32>,
    /// Seconds after which no further trial starts.
    pub max_seconds: Option<u64>,
    /// What may be tried and recommended, knob by knob; wide bounds around the default for what is left out.
    pub bounds: Option<TuneBounds>,
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
    /// Many builds on samples of the vectors, the better ones on larger ones, the best on all.
    Halving,
}

/// A set with its queries ready to be asked.
///
/// # Errors
/// 409 `no_documents` for an index that nothing can be found in, `unfit_evaluation_set` for a set that is of other
/// vectors; when the set cannot be made or read.
async fn evaluation(
    app: &App,
    index: &LiveIndex,
    set: &EvalSetName,
    task: &TaskContext,
) -> Result<Arc<Evaluation>, Problem> {
    has_documents(index)?;
    let cancel = task.cancellation();
    let telling = || task.progress("finding exact neighbours", 0, None, "queries");
    let set = named_set(app, index, set, &cancel, telling).await?;
    Ok(Evaluation::prepare(&index.data, set, &cancel).await?)
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
/// 422 when it is beyond the hard limits.
pub fn trial_config(index: &LiveIndex, spec: &TrialSpec) -> Result<IndexConfig, Problem> {
    let serving = index.serving().served.config;
    let config = IndexConfig {
        m: spec.m.unwrap_or(serving.m),
        ef_construction: spec.ef_construction.unwrap_or(serving.ef_construction),
        ef_search: spec.ef_search.unwrap_or(serving.ef_search),
        seed: spec.seed.unwrap_or(serving.seed),
    };
    check_config(&config)?;
    Ok(config)
}

/// Runs one trial, measured with a set.
///
/// # Errors
/// What went wrong; the journal is as it was.
pub async fn run_trial(
    app: &App,
    index: &LiveIndex,
    (config, note): (IndexConfig, Option<String>),
    set: &EvalSetName,
    task: &TaskContext,
) -> Result<TrialReport, Problem> {
    let _person = app.agent.make_way();
    let evaluation = evaluation(app, index, set, task).await?;
    task.progress("building and measuring", 0, Some(1), "trials");
    let request = TrialRequest {
        config,
        champion: Some(index.serving().served.config),
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
/// 422 for impossible bounds or budgets.
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
    let within = spec.bounds.clone();
    let bounds = spec.bounds.unwrap_or_default();
    bounds.validate()?;
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
        serving: index.serving().served.config,
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
    let evaluation = evaluation(app, index, set, task).await?;
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

/// The best trial of the journal, among those that measured the vectors that serve, all of them and to the end, with
/// the queries that the next trial with this set is asked too: figures on others do not compare. Where the set is gone,
/// with the queries of its newest trial; the answer says so then.
///
/// # Errors
/// 404 for an empty journal, for one without such trials, and for a set that is not there and has none; the scoring
/// plugin's failure.
pub async fn best_trial(
    app: &App,
    index: &LiveIndex,
    by: BestBy,
    set: Option<&str>,
) -> Result<Best, Problem> {
    let set = EvalSetName::new(set.unwrap_or(DEFAULT_SET))?;
    let journal = index.tuner.journal().read().await?;
    let (all, mut trials) = (journal.trials.len(), journal.trials);
    trials.retain(|trial| {
        trial.is_whole() && index.is_measured_by(trial) && is_measured_with(trial, &set)
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
        return Err(Problem::not_found(
            "no_comparable_trials",
            format!(
                "all {all} trials of index `{name}` measured vectors that serve no more, or with queries that are asked no more or are of another evaluation set than `{set}`; run a trial or autotune with it"
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
