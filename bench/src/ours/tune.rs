//! An index that is being tuned: trials of the tuning room, one at a time, chosen here or by the caller.
//!
//! The evaluation (queries with their exact neighbours) is made once. A run begins with an empty journal
//! and no graph, in a bucket of its own in memory, and pays for every graph that it builds. A *step* is
//! [`Tuner::step`] with a bundled proposer and the bundled scorer behind the plugin host, as a host takes
//! it. A *trial* is one configuration that the caller chose, measured in the same way without a champion
//! beside it, which is the cheaper one. Seconds of both are taken by the caller.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use boathouse_bundle::{Bundled, EPSILON_GREEDY, PARETO, SURROGATE};
use boathouse_plugins::{Compiling, Plugin, PluginError, PluginHost, PluginHostConfig};
use boathouse_storage::Bucket;
use boathouse_tuning::{
    EvalSet, EvalSetName, EvalSource, EvalSpec, Evaluation, IndexData, Proposer, Scorer,
    StepRequest, Stepped, Strategy, TrialRequest, TuneBounds, Tuner, TunerOptions,
};
use boathouse_types::{
    BucketName, Clock, IndexConfig, IndexName, Judged, JudgementCause, JudgementError, ManualClock,
    Objective, PluginKind, Proposal, ProposalContext, Trial, VectorBackend, Verdict,
};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{data, process};

/// What this side can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Read vectors and queries, and find the truth. Answered by an empty object.
    Prepare {
        base: PathBuf,
        rows: usize,
        dimension: u32,
        queries: PathBuf,
        objective: Box<Objective>,
        bounds: Box<TuneBounds>,
    },
    /// Forget all trials and graphs. Answered by an empty object.
    Begin { serving: IndexConfig },
    /// Measure this configuration. Answered by [`Found`].
    Trial { config: IndexConfig },
    /// Let a bundled proposer choose, and measure that. Answered by [`Found`].
    Step { proposer: Chooser },
}

/// A bundled proposer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Chooser {
    /// `boathouse/surrogate`.
    Surrogate,
    /// `boathouse/epsilon-greedy`.
    Epsilon,
}

/// What was found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Found {
    /// A trial.
    Tried(Figures),
    /// The proposer knows nothing more that would be worth a trial.
    Exhausted { reason: String },
}

/// What a trial gave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) config: IndexConfig,
    pub(crate) recall_low: f64,
    pub(crate) recall: f64,
    pub(crate) distances: f64,
    pub(crate) p95_us: f64,
    pub(crate) memory_bytes: u64,
    pub(crate) build_seconds: f64,
}

/// One index in one process.
struct Index {
    evaluation: Arc<Evaluation>,
    objective: Objective,
    bounds: TuneBounds,
    tuner: Tuner,
    serving: IndexConfig,
}

pub(super) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let judges = Judges::load(&runtime)?;
    let mut index: Option<Index> = None;
    process::serve(&super::name(), |ask| {
        let known = index.as_mut().context("nothing was prepared yet");
        let answer = match ask {
            Ask::Prepare {
                base,
                rows,
                dimension,
                queries,
                objective,
                bounds,
            } => {
                let vectors = Arc::new(data::read_set(&base, rows, dimension)?);
                let queries = data::read_vectors(&queries, vectors.dimension().get())?;
                let data = IndexData {
                    index: IndexName::new("glove")?,
                    backend: VectorBackend::Parquet,
                    data_version: "1".to_owned(),
                    vectors,
                    rows: None,
                };
                let evaluation = runtime.block_on(evaluation(&data, queries))?;
                index = Some(Index {
                    evaluation,
                    objective: *objective,
                    bounds: *bounds,
                    tuner: tuner()?,
                    serving: IndexConfig::default(),
                });
                serde_json::json!({})
            }
            Ask::Begin { serving } => {
                let index = known?;
                (index.tuner, index.serving) = (tuner()?, serving);
                serde_json::json!({})
            }
            Ask::Trial { config } => serde_json::to_value(runtime.block_on(known?.trial(config))?)?,
            Ask::Step { proposer } => {
                serde_json::to_value(runtime.block_on(known?.step(&judges, proposer))?)?
            }
        };
        Ok(answer)
    })
}

/// A thousand and more held-out words with their ten nearest.
async fn evaluation(data: &IndexData, queries: Vec<Vec<f32>>) -> Result<Arc<Evaluation>> {
    let never = CancellationToken::new();
    let spec = EvalSpec {
        source: EvalSource::Given(queries),
        ..EvalSpec::default()
    };
    let set = EvalSet::make(EvalSetName::new("words")?, data, spec, &never).await?;
    Ok(Evaluation::prepare(data, set, &never).await?)
}

/// A tuner without a past.
fn tuner() -> Result<Tuner> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(1_800_000_000_000));
    let bucket = Bucket::memory(BucketName::primary());
    let options = TunerOptions::new(clock);
    Ok(Tuner::open(&bucket, &IndexName::new("glove")?, options))
}

impl Index {
    async fn trial(&self, config: IndexConfig) -> Result<Found> {
        let request = TrialRequest {
            config: config.into(),
            ..TrialRequest::default()
        };
        let never = CancellationToken::new();
        let report = self.tuner.trial(&self.evaluation, request, &never).await?;
        Ok(Found::Tried(Figures::of(&report.trial)))
    }

    async fn step(&self, judges: &Judges, chooser: Chooser) -> Result<Found> {
        let request = StepRequest {
            strategy: Strategy::Proposer(judges.proposer(chooser)),
            scorer: Arc::clone(&judges.scorer) as Arc<dyn Scorer>,
            objective: self.objective.clone(),
            bounds: self.bounds.clone().into(),
            serving: self.serving.into(),
            note: None,
            only_useful: false,
        };
        let never = CancellationToken::new();
        let stepped = self.tuner.step(&self.evaluation, &request, &never, &|_| {});
        match stepped.await? {
            Stepped::Tried { report, .. } => Ok(Found::Tried(Figures::of(&report.trial))),
            Stepped::Exhausted { reason } => Ok(Found::Exhausted { reason }),
            Stepped::Refused { message, .. } => bail!("a proposal was refused: {message}"),
        }
    }
}

impl Figures {
    fn of(trial: &Trial) -> Self {
        let metrics = &trial.metrics;
        let interval = metrics.recall_interval;
        Self {
            config: trial.config.graph().copied().unwrap_or_default(),
            recall: metrics.recall_at_k,
            recall_low: interval.map_or(metrics.recall_at_k, |interval| interval.low),
            distances: metrics.distances_per_query.unwrap_or(f64::INFINITY),
            p95_us: metrics.search_latency_p95_us,
            memory_bytes: metrics.memory_bytes,
            build_seconds: metrics.build_time_secs,
        }
    }
}

/// The bundled components, loaded.
struct Judges {
    surrogate: Arc<Judge>,
    epsilon: Arc<Judge>,
    scorer: Arc<Judge>,
}

impl Judges {
    fn load(runtime: &Runtime) -> Result<Self> {
        let host = PluginHost::new(PluginHostConfig::default(), Compiling::InProcess)?;
        let load = |kind, bundled: Bundled| -> Result<Arc<Judge>> {
            Ok(Arc::new(Judge(
                runtime.block_on(host.load(kind, bundled.bytes))?,
            )))
        };
        Ok(Self {
            surrogate: load(PluginKind::Proposer, SURROGATE)?,
            epsilon: load(PluginKind::Proposer, EPSILON_GREEDY)?,
            scorer: load(PluginKind::Scoring, PARETO)?,
        })
    }

    fn proposer(&self, chooser: Chooser) -> Arc<dyn Proposer> {
        match chooser {
            Chooser::Surrogate => Arc::clone(&self.surrogate) as Arc<dyn Proposer>,
            Chooser::Epsilon => Arc::clone(&self.epsilon) as Arc<dyn Proposer>,
        }
    }
}

/// A plugin as the tuning room wants it.
struct Judge(Plugin);

impl Judge {
    fn judged<T>(&self, answer: Result<T, PluginError>) -> Result<Judged<T>, JudgementError> {
        let by = self.0.identity().clone();
        match answer {
            Ok(answer) => Ok(Judged { by, answer }),
            Err(error) => Err(JudgementError {
                plugin: by,
                cause: JudgementCause::Failed,
                message: error.reason(),
            }),
        }
    }
}

#[async_trait]
impl Proposer for Judge {
    async fn propose(&self, context: ProposalContext) -> Result<Judged<Proposal>, JudgementError> {
        self.judged(self.0.propose(&context).await)
    }
}

#[async_trait]
impl Scorer for Judge {
    async fn evaluate(
        &self,
        trials: &[Trial],
        objective: &Objective,
    ) -> Result<Judged<Vec<Verdict>>, JudgementError> {
        self.judged(self.0.evaluate(trials, objective).await)
    }
}
