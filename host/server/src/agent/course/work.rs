//! What is computed for a course: one step of tuning, and the judgement at its end.

use std::sync::Arc;

use boathouse_tuning::{
    AutotuneEvent, Evaluation, Recommendation, StepRequest, Stepped, Strategy, TuneBounds,
};
use boathouse_types::{IndexConfig, IndexName, Trial};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::super::{events::Happened, memory::Outcome, tuning::Surroundings};
use crate::{
    app::App,
    indexes::LiveIndex,
    problem::Problem,
    promotion::{Challenge, challenge},
    tasks::TaskContext,
    tune,
};

/// Who promotes, for the registry.
const BY: &str = "agent";

/// A step that is to be run.
pub(super) struct Step {
    pub(super) app: Arc<App>,
    pub(super) index: Arc<LiveIndex>,
    /// The evaluation of an earlier step.
    pub(super) evaluation: Option<Arc<Evaluation>>,
    pub(super) request: StepRequest,
}

impl Step {
    pub(super) async fn run(
        self,
        task: &TaskContext,
    ) -> Result<((Arc<Evaluation>, Stepped), Value), Problem> {
        let (app, index) = (&self.app, &self.index);
        let evaluation = match self.evaluation {
            Some(evaluation) => evaluation,
            None => tune::evaluation(app, index, task).await?,
        };
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
            Stepped::Refused { message } => json!({"refused": message}),
            Stepped::Exhausted { reason } => json!({"exhausted": reason}),
        };
        Ok(((evaluation, stepped), shown))
    }
}

/// What a step of the agent is told.
pub(super) fn request(app: &App, around: &Surroundings, index: &LiveIndex) -> StepRequest {
    let judges = (around.judges)(app, index);
    StepRequest {
        strategy: Strategy::Proposer(judges.proposer),
        scorer: judges.scorer,
        objective: app.config.agent.tightened(&index.meta.objective),
        bounds: TuneBounds::default(),
        serving: index.serving().served.config,
        note: Some("agent".to_owned()),
    }
}

/// Whether something that was tried should serve; it does when this returns so.
pub(super) async fn judge(
    app: &App,
    index: &LiveIndex,
    request: StepRequest,
    cancel: &CancellationToken,
) -> Result<(Outcome, String), Problem> {
    let (version, scorer) = (&index.data.data_version, request.scorer.as_ref());
    let recommended = index
        .tuner
        .recommend(version, scorer, &request.objective, &request.serving);
    let kept = config_in_words(&request.serving);
    let (trial, reason) = match recommended.await? {
        Recommendation::Keep { reason } => {
            return Ok((Outcome::Kept, format!("kept {kept} because {reason}")));
        }
        Recommendation::Promote { trial, reason, .. } => (trial, reason),
    };
    let wish = Challenge {
        objective: Some(request.objective),
        ..Challenge::fair(trial.id, BY)
    };
    match challenge(app, index, wish, cancel).await {
        Ok(promoted) => {
            let serves = config_in_words(&trial.config);
            let reason = promoted.promotion.reason.unwrap_or(reason);
            Ok((
                Outcome::Promoted,
                format!("promoted {serves} because {reason}"),
            ))
        }
        Err(refused) if refused.code == "not_better" => {
            let why = refused.detail;
            Ok((Outcome::Kept, format!("kept {kept} because {why}")))
        }
        Err(problem) => Err(problem),
    }
}

/// Tells followers how a step goes; its end is told by the course.
fn tell(app: &App, name: &IndexName, event: &AutotuneEvent) {
    let (happened, detail) = match event {
        AutotuneEvent::Proposed { config, reason, .. } => {
            app.agent.tuning.counts.started.one_more();
            let detail = format!("{}: {reason}", config_in_words(config));
            (Happened::Proposed, detail)
        }
        AutotuneEvent::Building { config, .. } => (Happened::Building, config_in_words(config)),
        AutotuneEvent::Refused { message } => (Happened::Refused, message.clone()),
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
        trial.id,
        config_in_words(&trial.config),
        metrics.recall_at_k,
        metrics.search_latency_p95_us
    )
}

/// A configuration as people write it.
fn config_in_words(config: &IndexConfig) -> String {
    format!(
        "m={}, ef_construction={}, ef_search={}",
        config.m, config.ef_construction, config.ef_search
    )
}
