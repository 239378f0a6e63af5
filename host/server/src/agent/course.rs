//! A turn on an index: trials, one a call, until they are over; then what came of them is judged and, perhaps,
//! promoted.
//!
//! Trials are over when the proposer has nothing left or failed three times in a row, when some in a row brought
//! nothing better, or when there were enough. Then the host's own reading of all trials says whether one should
//! serve (`Tuner::recommend`), and the gate of promotions has the last word.
//!
//! A trial that had to make way leaves no line in the journal, and the course goes on later. A person who cancels
//! its task ends the course. What came of a course is written down, and its reasons leave the queue; those that came
//! meanwhile stay. A course that failed is written down too, its reasons stay, and it begins anew after a while.

use std::sync::Arc;

use boathouse_tuning::{Evaluation, Stepped};
use boathouse_types::{IndexName, Timestamp, Verdict};
use serde_json::json;

use super::{
    events::Happened,
    memory::{Look, Outcome},
    queue::{Noted, Reason},
    tuning::{NOTHING, Surroundings, Working},
    waiting,
    words::{counted, span},
    yielding::{self, Unfinished},
};
use crate::{app::App, indexes::LiveIndex, problem::Problem};
use work::{Step, judge, request, trial_in_words};

mod work;

/// Most trials of a course, if an hour has room for so many.
const TRIALS: u32 = 12;
/// Trials in a row without a better one that end a course.
const PATIENCE: u32 = 6;
/// Failed proposals in a row that end a course.
const FAILURES: u32 = 3;

/// What has become of an index since its turn began. Losing it costs nothing but trials that stand in the journal.
pub(super) struct Course {
    /// The reasons that it began with.
    seen: Vec<Noted>,
    /// The vectors that it measures.
    data_version: String,
    evaluation: Option<Arc<Evaluation>>,
    /// Trials so far.
    pub(super) trials: u32,
    /// Failed proposals since the last good one.
    failures: u32,
    /// Trials since the best one.
    stale: u32,
    best: Option<f64>,
    /// Why its trials are over.
    pub(super) ended: Option<String>,
}

/// Goes one step on with an index.
pub(super) async fn attend(app: &Arc<App>, around: &Surroundings, name: &IndexName) {
    let outcome = go_on(app, around, name).await;
    app.agent.tuning.set_working(None);
    let Err(problem) = outcome else { return };
    if !app.indexes.knows(name) {
        return app.agent.forget(name).await;
    }
    tracing::warn!(index = %name, %problem, "the agent could not go on with an index");
    if let Err(unwritten) = give_up(app, name, &problem).await {
        tracing::warn!(index = %name, problem = %unwritten, "nor can it write that down");
        app.agent.tuning.note_failed(app, name, &problem);
    }
}

async fn go_on(app: &Arc<App>, around: &Surroundings, name: &IndexName) -> Result<(), Problem> {
    let index = app.indexes.get(name.as_str())?;
    let kept = app.agent.tuning.take_course(name);
    let kept = kept.filter(|course| course.data_version == index.data.data_version);
    let mut course = match kept {
        Some(course) => course,
        None => match Course::begin(app, &index).await? {
            Some(course) => course,
            None => return Ok(()),
        },
    };
    app.agent.tuning.set_working(Some(Working {
        index: name.clone(),
        since: app.clock.now(),
        detail: match course.ended {
            Some(_) => "judging what was tried".to_owned(),
            None => format!("trial {}", course.trials + 1),
        },
    }));
    let is_settled = match course.ended {
        Some(_) => course.conclude(app, around, &index).await?,
        None => course.step(app, around, &index).await?,
    };
    if !is_settled {
        app.agent.tuning.keep_course(name, course);
    }
    Ok(())
}

impl Course {
    /// Begins with the reasons that an index is in the queue for; none when there is nothing to measure.
    async fn begin(app: &App, index: &LiveIndex) -> Result<Option<Self>, Problem> {
        let (agent, name) = (&app.agent, &index.meta.name);
        let version = &index.data.data_version;
        let queued = agent.queue.entries().await?;
        let Some(entry) = queued.get(name) else {
            return Ok(None);
        };
        let seen = waiting::standing(entry, index);
        let memory = agent.memory.known();
        let is_measured = memory
            .last_look(name)
            .is_some_and(|last| last.data_version == *version && last.outcome != Outcome::Failed);
        if is_measured && seen.iter().all(|noted| noted.reason == Reason::Appended) {
            agent.queue.settle(name, &seen).await?;
            let detail = "its new rows are compared one by one beside the graph, which is as it was measured";
            agent
                .events
                .tell(Happened::Settled, Some(name), detail, NOTHING);
            return Ok(None);
        }
        let why: Vec<String> = seen.iter().map(said).collect();
        let data = json!({"reasons": seen});
        agent
            .events
            .tell(Happened::Woke, Some(name), why.join(", "), data);
        Ok(Some(Self {
            seen,
            data_version: version.clone(),
            evaluation: None,
            trials: 0,
            failures: 0,
            stale: 0,
            best: None,
            ended: None,
        }))
    }

    /// Asks for a proposal and tries it, if the hour has room and nobody else is at the index. Returns whether the
    /// course is settled.
    async fn step(
        &mut self,
        app: &Arc<App>,
        around: &Surroundings,
        index: &Arc<LiveIndex>,
    ) -> Result<bool, Problem> {
        let (agent, name) = (&app.agent, &index.meta.name);
        let turn = match index.take_turn() {
            Ok(turn) => turn,
            Err(busy) => {
                agent.tuning.note_busy(app, name, &busy);
                return Ok(false);
            }
        };
        let most = app.config.agent.max_trials_per_hour;
        let Some(begun) = agent.memory.begin_trial(most).await? else {
            // Another host took the last place; the gate is closed at the next look.
            return Ok(false);
        };
        let step = Step {
            app: Arc::clone(app),
            index: Arc::clone(index),
            evaluation: self.evaluation.clone(),
            request: request(app, around, index),
        };
        let outcome = yielding::run(app, name, |task| async move {
            let _turn = turn;
            step.run(&task).await
        });
        match outcome.await {
            Ok((evaluation, stepped)) => {
                self.evaluation = Some(evaluation);
                self.stepped(app, name, begun, stepped).await?;
            }
            Err(Unfinished::Yielded(why)) => made_way(app, name, why),
            Err(Unfinished::Stopping) => {}
            Err(Unfinished::Cancelled) => return self.cancelled(app, index).await,
            Err(Unfinished::Failed(problem)) => return Err(problem),
        }
        Ok(false)
    }

    /// A step has come to its end.
    async fn stepped(
        &mut self,
        app: &App,
        name: &IndexName,
        begun: Timestamp,
        stepped: Stepped,
    ) -> Result<(), Problem> {
        let agent = &app.agent;
        match stepped {
            Stepped::Tried { report, verdict } => {
                agent.tuning.counts.finished.one_more();
                let most = TRIALS.min(app.config.agent.max_trials_per_hour);
                let is_better = self.tried(verdict.as_ref(), most);
                let detail = trial_in_words(&report.trial);
                let data =
                    json!({"trial": report.trial, "verdict": verdict, "is_better": is_better});
                agent.events.tell(Happened::Trial, Some(name), detail, data);
            }
            Stepped::Refused { message } => {
                agent.tuning.counts.refused.one_more();
                self.refused(message);
                agent.memory.not_begun(begun).await?;
            }
            Stepped::Exhausted { reason } => {
                self.ended = Some(format!("nothing is left to try: {reason}"));
                agent.memory.not_begun(begun).await?;
            }
        }
        Ok(())
    }

    /// A trial has ended; returns whether it is the best one so far.
    fn tried(&mut self, verdict: Option<&Verdict>, most: u32) -> bool {
        self.trials += 1;
        self.failures = 0;
        let score = verdict.filter(|verdict| verdict.feasible);
        let score = score.map(|verdict| verdict.score);
        let is_better = score.is_some_and(|score| self.best.is_none_or(|best| score > best));
        if is_better {
            (self.best, self.stale) = (score, 0);
        } else {
            self.stale += 1;
        }
        if self.trials >= most {
            self.ended = Some(format!("{most} trials are enough"));
        } else if self.stale >= PATIENCE {
            self.ended = Some(format!("the last {PATIENCE} trials brought nothing better"));
        }
        is_better
    }

    /// A proposal could not be had or lies outside the bounds.
    fn refused(&mut self, message: String) {
        self.failures += 1;
        if self.failures == FAILURES {
            self.ended = Some(format!("the last {FAILURES} proposals failed: {message}"));
        }
    }

    /// A person cancelled a task of the course, and does not want it again at once.
    async fn cancelled(&mut self, app: &App, index: &LiveIndex) -> Result<bool, Problem> {
        self.ended = Some("somebody cancelled its task".to_owned());
        self.settle(
            app,
            index,
            Outcome::Stopped,
            "somebody cancelled its task".to_owned(),
        )
        .await?;
        Ok(true)
    }

    /// Judges what was tried, and has what is better promoted. Returns whether the course is settled.
    async fn conclude(
        &mut self,
        app: &Arc<App>,
        around: &Surroundings,
        index: &Arc<LiveIndex>,
    ) -> Result<bool, Problem> {
        let name = &index.meta.name;
        let (host, judged) = (Arc::clone(app), Arc::clone(index));
        let request = request(app, around, index);
        let outcome = yielding::run(app, name, |task| async move {
            let (outcome, detail) = judge(&host, &judged, request, &task.cancellation()).await?;
            let shown = json!({"outcome": outcome, "detail": detail});
            Ok(((outcome, detail), shown))
        });
        match outcome.await {
            Ok((outcome, detail)) => {
                self.settle(app, index, outcome, detail).await?;
                return Ok(true);
            }
            Err(Unfinished::Yielded(why)) => made_way(app, name, why),
            Err(Unfinished::Stopping) => {}
            Err(Unfinished::Cancelled) => return self.cancelled(app, index).await,
            Err(Unfinished::Failed(busy)) if busy.code == "index_busy" => {
                app.agent.tuning.note_busy(app, name, &busy);
            }
            Err(Unfinished::Failed(problem)) => return Err(problem),
        }
        Ok(false)
    }

    /// Writes down what came of it; its reasons leave the queue.
    async fn settle(
        &self,
        app: &App,
        index: &LiveIndex,
        outcome: Outcome,
        detail: String,
    ) -> Result<(), Problem> {
        let (agent, name) = (&app.agent, &index.meta.name);
        let look = Look {
            at: app.clock.now(),
            reasons: self.seen.iter().map(|noted| noted.reason).collect(),
            trials: self.trials,
            data_version: self.data_version.clone(),
            outcome,
            detail,
        };
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

/// Tells that something was given up for now.
fn made_way(app: &App, name: &IndexName, why: String) {
    let agent = &app.agent;
    agent.tuning.counts.yielded.one_more();
    agent
        .events
        .tell(Happened::Yielded, Some(name), why, NOTHING);
}

/// Writes down that a course failed.
async fn give_up(app: &App, name: &IndexName, problem: &Problem) -> Result<(), Problem> {
    let data = app
        .indexes
        .get(name.as_str())
        .map(|index| index.data.data_version.clone());
    let look = Look {
        at: app.clock.now(),
        reasons: Vec::new(),
        trials: 0,
        data_version: data.unwrap_or_default(),
        outcome: Outcome::Failed,
        detail: problem.detail.clone(),
    };
    let agent = &app.agent;
    agent.tuning.counts.failed.one_more();
    let detail = problem.detail.clone();
    agent
        .events
        .tell(Happened::Failed, Some(name), detail, NOTHING);
    Ok(agent.memory.looked(name, &look).await?)
}

/// A reason with how often it was given: `appended (3)`.
fn said(noted: &Noted) -> String {
    format!("{} ({})", noted.reason.as_str(), noted.count)
}
