//! Evaluation sets, trials and runs of an index, as the routes offer them. What may serve is decided in
//! `promotion.rs`.

mod follow;

use std::sync::Arc;

use boathouse_tuning::{
    AutotuneEvent, AutotuneReport, AutotuneRequest, Best, BestBy, Ended, EvalSet, EvalSetName,
    EvalSource, EvalSpec, Evaluation, StepRequest, Strategy, TrialReport, TrialRequest, TuneBounds,
    TuningError, best, check_config,
};
use boathouse_types::{IndexConfig, IndexName, PluginKind};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    adapters::Judge,
    app::App,
    indexes::{LiveIndex, check_embedder},
    live,
    plugins::Place,
    problem::Problem,
    tasks::TaskContext,
};

pub(crate) use follow::follow;

/// Name of the evaluation set that trials use.
pub(crate) const DEFAULT_SET: &str = "default";
/// Trials of a run that says nothing.
const DEFAULT_TRIALS: u32 = 12;
/// Most trials of one run.
const MAX_TRIALS: u32 = 10_000;

/// A wish for an evaluation set.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvalSetSpec {
    /// The index.
    pub index: IndexName,
    /// Name of the set; `default`, which trials use, when left out.
    pub name: Option<String>,
    /// Neighbours per query, 1 to 1,000.
    #[serde(default = "ten")]
    pub k: u32,
    /// How many rows to draw as queries, every second one perturbed.
    pub queries: Option<usize>,
    /// Seed of the draw.
    #[serde(default)]
    pub seed: u64,
    /// Queries in words, instead of drawn ones.
    pub texts: Option<Vec<String>>,
    /// Queries as vectors, instead of drawn ones.
    pub vectors: Option<Vec<Vec<f32>>>,
    /// Queries of recent searches, instead of drawn ones; the set keeps them in the bucket.
    #[serde(default)]
    pub live: bool,
}

fn ten() -> u32 {
    10
}

/// An evaluation set as clients see it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct EvalSetView {
    /// The index.
    pub index: IndexName,
    /// Name of the set.
    pub name: String,
    /// Neighbours per query.
    pub k: u32,
    /// Number of queries.
    pub queries: usize,
    /// Seed of the draw.
    pub seed: u64,
    /// Version of the vectors that the answers are for.
    pub data_version: String,
}

impl EvalSetView {
    fn of(set: &EvalSet) -> Self {
        Self {
            index: set.index.clone(),
            name: set.name.as_str().to_owned(),
            k: set.k,
            queries: set.queries.len(),
            seed: set.seed,
            data_version: set.data_version.clone(),
        }
    }
}

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
    /// What may be tried; wide bounds around the default when left out.
    pub bounds: Option<TuneBounds>,
    /// A note for the journal.
    pub note: Option<String>,
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

/// Makes and stores an evaluation set.
///
/// # Errors
/// 422 for what cannot be made; the bucket's failure.
pub async fn make_evalset(
    app: &App,
    index: &LiveIndex,
    spec: EvalSetSpec,
    task: &TaskContext,
) -> Result<EvalSetView, Problem> {
    let source = source(app, index, &spec).await?;
    let name = EvalSetName::new(spec.name.as_deref().unwrap_or(DEFAULT_SET))?;
    let wanted = EvalSpec {
        k: spec.k,
        seed: spec.seed,
        source,
    };
    task.progress("finding exact neighbours", 0, None, "queries");
    let set = EvalSet::make(name, &index.data, wanted, &task.cancellation()).await?;
    index.tuner.eval_sets().save(&set).await?;
    Ok(EvalSetView::of(&set))
}

async fn source(app: &App, index: &LiveIndex, spec: &EvalSetSpec) -> Result<EvalSource, Problem> {
    match (&spec.queries, &spec.texts, &spec.vectors) {
        (None, None, None) if spec.live => live_source(index),
        _ if spec.live => Err(one_source()),
        (queries, None, None) => Ok(EvalSource::Drawn {
            queries: queries.unwrap_or(app.config.vectors.eval_queries),
        }),
        (None, None, Some(vectors)) => Ok(EvalSource::Given(vectors.clone())),
        (None, Some(texts), None) => {
            check_embedder(&app.embedder, &index.meta)?;
            let (embedder, texts) = (Arc::clone(&app.embedder), texts.clone());
            let embedded = tokio::task::spawn_blocking(move || embedder.embed(&texts));
            Ok(EvalSource::Given(
                embedded
                    .await
                    .map_err(|error| Problem::internal(&error))??,
            ))
        }
        _ => Err(one_source()),
    }
}

fn one_source() -> Problem {
    Problem::unprocessable(
        "one_source",
        "give one of `queries`, `texts`, `vectors` and `live`",
    )
}

/// The queries of recent searches.
fn live_source(index: &LiveIndex) -> Result<EvalSource, Problem> {
    let queries = live::recent_queries(index);
    if queries.is_empty() {
        return Err(Problem::conflict(
            "no_live_queries",
            "nobody has searched this index since the host started; leave `live` out",
        ));
    }
    Ok(EvalSource::Given(queries))
}

/// The evaluation sets of an index.
///
/// # Errors
/// The bucket's failure, or a damaged set.
pub async fn evalsets(index: &LiveIndex) -> Result<Vec<EvalSetView>, Problem> {
    let sets = index.tuner.eval_sets();
    let mut views = Vec::new();
    for name in sets.list().await? {
        views.push(EvalSetView::of(&sets.load(&name).await?));
    }
    Ok(views)
}

/// The default set with its queries ready to be asked.
pub(crate) async fn evaluation(
    app: &App,
    index: &LiveIndex,
    task: &TaskContext,
) -> Result<Arc<Evaluation>, Problem> {
    let cancel = task.cancellation();
    let telling = || task.progress("finding exact neighbours", 0, None, "queries");
    let set = default_set(app, index, &cancel, telling).await?;
    Ok(Evaluation::prepare(&index.data, set, &cancel).await?)
}

/// The default set, made when there is none, and made again with its own queries when there is a new base: trials
/// measure the graph, so rows that are appended beside it change nothing. `telling` is called before it is made.
///
/// # Errors
/// The bucket's failure, a damaged set, or the index is too small for one.
pub(crate) async fn default_set(
    app: &App,
    index: &LiveIndex,
    cancel: &CancellationToken,
    telling: impl FnOnce(),
) -> Result<EvalSet, Problem> {
    let name = EvalSetName::new(DEFAULT_SET)?;
    let sets = index.tuner.eval_sets();
    let stored = match sets.load(&name).await {
        Ok(set) if set.data_version == index.data.data_version => return Ok(set),
        Ok(set) => Some(set),
        Err(TuningError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    telling();
    let drawn = || EvalSpec {
        source: EvalSource::Drawn {
            queries: app.config.vectors.eval_queries,
        },
        ..EvalSpec::default()
    };
    let spec = stored.map_or_else(drawn, |set| set.spec());
    let set = EvalSet::make(name, &index.data, spec, cancel).await?;
    sets.save(&set).await?;
    Ok(set)
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

/// Runs one trial.
///
/// # Errors
/// What went wrong; the journal is as it was.
pub async fn run_trial(
    app: &App,
    index: &LiveIndex,
    config: IndexConfig,
    note: Option<String>,
    task: &TaskContext,
) -> Result<TrialReport, Problem> {
    let evaluation = evaluation(app, index, task).await?;
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
    };
    Ok(AutotuneRequest {
        step,
        max_trials,
        max_seconds: spec.max_seconds,
    })
}

pub(crate) fn judge(app: &App, kind: PluginKind, index: &LiveIndex) -> Judge {
    let place = Place::Index(index.meta.name.clone());
    app.plugins.judge(kind, place)
}

/// Runs trials until a budget ends.
///
/// # Errors
/// What went wrong; trials that ended before stay in the journal.
pub async fn autotune(
    app: &App,
    index: &LiveIndex,
    request: AutotuneRequest,
    task: &TaskContext,
) -> Result<AutotuneReport, Problem> {
    let evaluation = evaluation(app, index, task).await?;
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

/// The best trial of the journal, among those that measured the vectors that serve, all of them and to the end:
/// figures on others do not compare.
///
/// # Errors
/// 404 for an empty journal and for one without such trials; the scoring plugin's failure.
pub async fn best_trial(app: &App, index: &LiveIndex, by: BestBy) -> Result<Best, Problem> {
    let journal = index.tuner.journal().read().await?;
    let (all, mut trials) = (journal.trials.len(), journal.trials);
    trials.retain(|trial| trial.is_whole() && index.is_measured_by(trial));
    if trials.is_empty() && all > 0 {
        let name = &index.meta.name;
        return Err(Problem::not_found(
            "no_comparable_trials",
            format!(
                "all {all} trials of index `{name}` measured vectors that serve no more; run a trial or autotune"
            ),
        ));
    }
    let scorer = judge(app, PluginKind::Scoring, index);
    Ok(best(
        &index.meta.name,
        &trials,
        by,
        &index.meta.objective,
        &scorer,
    )
    .await?)
}
