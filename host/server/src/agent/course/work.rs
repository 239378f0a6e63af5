//! What is computed for a course: one step of tuning, and the judgement at its end.
//!
//! Both are done as tasks that make way, so whatever takes long here ends soon after it is cancelled.

use std::sync::Arc;

use boathouse_tuning::{
    AutotuneEvent, Evaluation, Recommendation, StepRequest, Stepped, Strategy, TuneBounds,
};
use boathouse_types::{IndexName, Trial};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    super::{events::Happened, tuning::Surroundings, words::counted},
    queries::Queries,
};
use crate::{
    app::App,
    indexes::LiveIndex,
    problem::Problem,
    promotion::{Challenge, challenge},
    tasks::TaskContext,
};

/// Who promotes, for the registry.
const BY: &str = "agent";

/// A step that is to be run.
pub(super) struct Step {
    pub(super) app: Arc<App>,
    pub(super) index: Arc<LiveIndex>,
    /// The evaluation of the step before, if this one follows at once.
    pub(super) evaluation: Option<Arc<Evaluation>>,
    /// What is asked.
    pub(super) queries: Queries,
    pub(super) request: StepRequest,
}

impl Step {
    pub(super) async fn run(
        self,
        task: &TaskContext,
    ) -> Result<((Arc<Evaluation>, Stepped), Value), Problem> {
        let evaluation = self.evaluation(task).await?;
        let (app, index) = (&self.app, &self.index);
        task.progress("trying", 0, Some(1), "trials");
        let tell = |event: AutotuneEvent| tell(app, &index.meta.name, &event);
        let cancel = task.cancellation();
        let stepped = index
            .tuner
            .step(&evaluation, &self.request, &cancel, &tell)
            .await?;
        task.progress("done", 1, Some(1), "trials");
        let shown = match &stepped {
            Stepped::Tried { report, verdict } => json!({"tried": report, "verdict": verdict}),
            Stepped::Refused { message, .. } => json!({"refused": message}),
            Stepped::Exhausted { reason } => json!({"exhausted": reason}),
        };
        Ok(((evaluation, stepped), shown))
    }

    /// What is measured with: the evaluation of the step before, as long as its queries are those that are asked.
    async fn evaluation(&self, task: &TaskContext) -> Result<Arc<Evaluation>, Problem> {
        let (data, cancel) = (&self.index.data, task.cancellation());
        let set = self.queries.set(&self.app, &self.index, task).await?;
        let named = tokio::task::spawn_blocking(move || (set.identity(), set));
        let (identity, set) = named.await.map_err(|error| Problem::internal(&error))?;
        let is_of = |kept: &&Arc<Evaluation>| {
            kept.evalset() == identity && kept.data().data_version == data.data_version
        };
        match self.evaluation.as_ref().filter(is_of) {
            Some(kept) => Ok(Arc::clone(kept)),
            None => Ok(Evaluation::prepare(data, set, &cancel).await?),
        }
    }
}

/// What a step of the agent is told.
pub(super) fn request(app: &App, around: &Surroundings, index: &LiveIndex) -> StepRequest {
    let judges = (around.judges)(app, index);
    StepRequest {
        strategy: Strategy::Proposer(judges.proposer),
        scorer: judges.scorer,
        objective: app.config.agent.tightened(&index.meta.objective),
        bounds: TuneBounds::default().into(),
        serving: index.serving().served.config,
        note: Some("agent".to_owned()),
        only_useful: true,
    }
}

/// What came of judging.
pub(super) enum Judged {
    /// Nothing is put forward, for this reason.
    Kept(String),
    /// Another configuration serves; this says which and why.
    Promoted(String),
    /// A trial was put forward, and is not promoted for this reason.
    Lost {
        /// Its id.
        trial: String,
        /// Why.
        why: String,
    },
}

impl Judged {
    /// What the task of judging shows.
    pub(super) fn shown(&self) -> Value {
        match self {
            Self::Kept(why) => json!({"outcome": "kept", "detail": why}),
            Self::Promoted(what) => json!({"outcome": "promoted", "detail": what}),
            Self::Lost { trial, why } => json!({"outcome": "lost", "trial": trial, "detail": why}),
        }
    }
}

/// Whether something that was tried should serve; it does when this returns so. Trials that `lost` to what serves are
/// passed over.
pub(super) async fn judge(
    app: &App,
    index: &LiveIndex,
    request: StepRequest,
    lost: &[String],
    cancel: &CancellationToken,
) -> Result<Judged, Problem> {
    let (version, scorer) = (&index.data.data_version, request.scorer.as_ref());
    let (objective, serving) = (&request.objective, &request.serving);
    let recommended = index
        .tuner
        .recommend(version, scorer, objective, serving, lost, None);
    let recommended = cancel.run_until_cancelled(recommended).await;
    let (trial, reason) = match recommended.ok_or_else(Problem::cancelled)?? {
        Recommendation::Keep { reason } => return Ok(Judged::Kept(with_lost(reason, lost))),
        Recommendation::Promote { trial, reason, .. } => (trial, reason),
    };
    let wish = Challenge {
        objective: Some(request.objective),
        ..Challenge::fair(trial.id.clone(), BY)
    };
    match challenge(app, index, wish, cancel).await {
        Ok(promoted) => {
            let serves = trial.config;
            let reason = promoted.promotion.reason.unwrap_or(reason);
            let what = format!("promoted {serves} because {reason}");
            Ok(Judged::Promoted(what))
        }
        Err(refused) if refused.code == "not_better" => Ok(Judged::Lost {
            trial: trial.id,
            why: refused.detail,
        }),
        Err(problem) => Err(problem),
    }
}

/// A reason, with how many trials were passed over.
fn with_lost(reason: String, lost: &[String]) -> String {
    match lost.len() {
        0 => reason,
        number => {
            let trials = counted(number as u64, "trial", "trials");
            format!("{reason} ({trials} lost to it before)")
        }
    }
}

/// Tells followers how a step goes; its end is told by the course.
fn tell(app: &App, name: &IndexName, event: &AutotuneEvent) {
    let (happened, detail) = match event {
        AutotuneEvent::Proposed { config, reason, .. } => {
            app.agent.tuning.counts.started.one_more();
            let detail = format!("{config}: {reason}");
            (Happened::Proposed, detail)
        }
        AutotuneEvent::Building { config, .. } => (Happened::Building, config.to_string()),
        AutotuneEvent::Refused { message, suspended } => {
            let detail = match suspended {
                Some(_) => format!("{message}; it is suspended, and the bundled proposer goes on"),
                None => message.clone(),
            };
            (Happened::Refused, detail)
        }
        _ => return,
    };
    let data = serde_json::to_value(event).unwrap_or_default();
    app.agent.events.tell(happened, Some(name), detail, data);
}

/// A trial with what it gave.
pub(super) fn trial_in_words(trial: &Trial) -> String {
    let metrics = &trial.metrics;
    format!(
        "{}: {}, recall {:.4}, p95 {:.0} us",
        trial.id, trial.config, metrics.recall_at_k, metrics.search_latency_p95_us
    )
}
