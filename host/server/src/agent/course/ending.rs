//! How a course ends: what came of it is written down, and its reasons leave the queue.
//!
//! Reasons that came meanwhile stay. A course that failed is written down too; its reasons stay, and it begins anew
//! after a while. One that had to make way has not ended.

use boathouse_types::{IndexName, Timestamp};

use super::{
    super::{
        events::Happened,
        memory::{Look, Outcome},
        queue::{Noted, Reason},
        tuning::NOTHING,
        words::{counted, span},
    },
    Course,
};
use crate::{app::App, indexes::LiveIndex, problem::Problem};

impl Course {
    /// Writes down what came of it; its reasons leave the queue.
    pub(super) async fn settle(
        &self,
        app: &App,
        index: &LiveIndex,
        outcome: Outcome,
        detail: String,
    ) -> Result<(), Problem> {
        let (agent, name) = (&app.agent, &index.meta.name);
        let detail = match &self.trouble {
            Some(trouble) => format!("{detail}; {trouble}"),
            None => detail,
        };
        let look = self.look(app.clock.now(), outcome, detail);
        agent.memory.looked(name, &look).await?;
        let mut seen = self.seen.clone();
        if outcome == Outcome::Promoted {
            // Alarms that came meanwhile were about what served then.
            let queued = agent.queue.entries().await?.remove(name);
            let alarms = queued.into_iter().flat_map(|entry| entry.reasons);
            seen.retain(|noted| !noted.reason.is_alarm());
            seen.extend(alarms.filter(|noted| noted.reason.is_alarm()));
        }
        agent.queue.settle(name, &seen).await?;
        self.tell_settled(app, name, look);
        Ok(())
    }

    fn look(&self, at: Timestamp, outcome: Outcome, detail: String) -> Look {
        Look {
            at,
            reasons: reasons(&self.seen),
            trials: self.trials,
            data_version: self.data_version.clone(),
            outcome,
            detail,
        }
    }

    fn tell_settled(&self, app: &App, name: &IndexName, look: Look) {
        let agent = &app.agent;
        let (happened, count) = match look.outcome {
            Outcome::Promoted => (Happened::Promoted, &agent.tuning.counts.promoted),
            _ => (Happened::Kept, &agent.tuning.counts.kept),
        };
        count.one_more();
        tracing::info!(index = %name, outcome = ?look.outcome, trials = self.trials, "the agent has looked at an index");
        let data = serde_json::to_value(&look).unwrap_or_default();
        agent.events.tell(happened, Some(name), look.detail, data);
        let why = self.ended.as_deref().unwrap_or("it has ended");
        let trials = counted(self.trials.into(), "trial", "trials");
        let cooldown = span(i64::from(app.config.agent.cooldown_secs) * 1_000);
        let detail = format!("{trials}, {why}; left alone for {cooldown}");
        agent
            .events
            .tell(Happened::Settled, Some(name), detail, NOTHING);
    }
}

fn reasons(noted: &[Noted]) -> Vec<Reason> {
    noted.iter().map(|noted| noted.reason).collect()
}

/// Tells that something was given up for now.
pub(super) fn made_way(app: &App, name: &IndexName, why: String) {
    let agent = &app.agent;
    agent.tuning.counts.yielded.one_more();
    agent
        .events
        .tell(Happened::Yielded, Some(name), why, NOTHING);
}

/// A course has failed, or none could begin. An index that is gone is forgotten.
pub(super) async fn failed(app: &App, name: &IndexName, course: Option<&Course>, why: &Problem) {
    let agent = &app.agent;
    if !app.indexes.knows(name) {
        return agent.forget(name).await;
    }
    tracing::warn!(index = %name, problem = %why, "the agent could not go on with an index");
    agent.tuning.counts.failed.one_more();
    let detail = why.detail.clone();
    agent
        .events
        .tell(Happened::Failed, Some(name), detail.clone(), NOTHING);
    let now = app.clock.now();
    let look = match course {
        Some(course) => course.look(now, Outcome::Failed, detail),
        None => not_begun(app, name, now, detail),
    };
    if let Err(unwritten) = agent.memory.looked(name, &look).await {
        tracing::warn!(index = %name, error = %unwritten, "nor can it write that down");
        agent.tuning.note_failed(app, name, why);
    }
}

/// A look that failed before there was a course.
fn not_begun(app: &App, name: &IndexName, at: Timestamp, detail: String) -> Look {
    let queued = app.agent.queue.known().remove(name);
    let index = app.indexes.get(name.as_str());
    let version = index.map(|index| index.data.data_version.clone());
    Look {
        at,
        reasons: queued.map_or_else(Vec::new, |entry| reasons(&entry.reasons)),
        trials: 0,
        data_version: version.unwrap_or_default(),
        outcome: Outcome::Failed,
        detail,
    }
}
