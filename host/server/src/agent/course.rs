//! A turn on an index: trials, one a call, until they are over; then what came of them is judged and, perhaps,
//! promoted.
//!
//! Trials are over when the proposer has nothing left or failed three times in a row, when some in a row brought
//! nothing better, or when there were enough. Then the host's own reading of all trials says whether one should
//! serve (`Tuner::recommend`), and the gate of promotions has the last word. Who loses there is remembered and passed
//! over from then on, and the next best one is put forward, a few times. A proposer that failed keeps nothing of this
//! from happening, by earlier trials; what came of the course says that it failed.
//!
//! A trial that had to make way leaves no line in the journal, and the course goes on later. A person who cancels
//! its task ends the course. How a course ends is told in `course/ending.rs`.

use std::sync::Arc;

use boathouse_tuning::{Evaluation, Stepped};
use boathouse_types::{IndexName, PluginRef, Timestamp, Verdict};
use serde_json::json;

use super::{
    events::Happened,
    memory::{Outcome, Terms},
    queue::Noted,
    tuning::{Surroundings, Working},
    waiting,
    yielding::{self, Unfinished},
};
use crate::{app::App, indexes::LiveIndex, problem::Problem};
use ending::{failed, made_way};
use queries::Queries;
use work::{Judged, Step, judge, request, trial_in_words};

mod ending;
mod queries;
mod work;

/// Most trials of a course, if an hour has room for so many.
const TRIALS: u32 = 12;
/// Trials in a row without a better one that end a course.
const PATIENCE: u32 = 6;
/// Failed proposals in a row that end a course.
const FAILURES: u32 = 3;
/// Trials of a course that are put forward at most: each of them may win by chance.
const DUELS: usize = 3;

/// What has become of an index since its turn began. Losing it costs nothing but trials that stand in the journal.
pub(super) struct Course {
    /// The reasons that it began with.
    seen: Vec<Noted>,
    /// The vectors that it measures.
    data_version: String,
    /// What its trials are asked.
    queries: Queries,
    /// The vectors and queries of the last step, as long as the next one follows at once.
    evaluation: Option<Arc<Evaluation>>,
    /// The queries that `best` was measured with.
    evalset: Option<String>,
    /// Trials so far.
    pub(super) trials: u32,
    /// Failed proposals since the last good one.
    failures: u32,
    /// Trials since the best one.
    stale: u32,
    best: Option<f64>,
    /// Why its trials are over.
    pub(super) ended: Option<String>,
    /// Why nobody proposed any more, where that was a failure.
    trouble: Option<String>,
    /// Why those were refused that were put forward.
    refusals: Vec<String>,
}

/// Goes one step on with an index.
pub(super) async fn attend(app: &Arc<App>, around: &Surroundings, name: &IndexName) {
    let tuning = &app.agent.tuning;
    let mut course = tuning.take_course(name);
    let outcome = go_on(app, around, name, &mut course).await;
    tuning.set_working(None);
    match (outcome, course) {
        (Ok(()), Some(course)) => tuning.keep_course(name, course),
        (Ok(()), None) => {}
        (Err(problem), course) => failed(app, name, course.as_ref(), &problem).await,
    }
}

/// Goes one step on with a course, or begins one; leaves none that is settled.
async fn go_on(
    app: &Arc<App>,
    around: &Surroundings,
    name: &IndexName,
    place: &mut Option<Course>,
) -> Result<(), Problem> {
    let index = app.indexes.get(name.as_str())?;
    if !place.as_ref().is_some_and(|course| course.is_on(&index)) {
        *place = Course::begin(app, &index).await?;
    }
    let Some(course) = place else { return Ok(()) };
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
    if is_settled {
        *place = None;
    }
    Ok(())
}

impl Course {
    /// Whether it measures the vectors of an index.
    pub(super) fn is_on(&self, index: &LiveIndex) -> bool {
        self.data_version == index.data.data_version
    }

    /// Lets go of the vectors that it measures, as its next step may be long in coming.
    pub(super) fn rest(&mut self) {
        self.evaluation = None;
    }

    /// Whether it holds on to the vectors that it measures.
    #[cfg(test)]
    pub(super) fn holds_vectors(&self) -> bool {
        self.evaluation.is_some()
    }

    /// Begins with the reasons that an index is in the queue for; none when there is nothing to measure.
    async fn begin(app: &App, index: &LiveIndex) -> Result<Option<Self>, Problem> {
        let (agent, name) = (&app.agent, &index.meta.name);
        let queued = agent.queue.entries().await?;
        let Some(entry) = queued.get(name) else {
            return Ok(None);
        };
        let seen = waiting::standing(entry, index);
        if waiting::is_beside(app, index, &seen) {
            // Somebody took the other reasons away just now; the next pass does so with these.
            return Ok(None);
        }
        let why: Vec<String> = seen.iter().map(said).collect();
        let data = json!({"reasons": seen});
        agent
            .events
            .tell(Happened::Woke, Some(name), why.join(", "), data);
        Ok(Some(Self {
            queries: Queries::of(index, &seen),
            seen,
            data_version: index.data.data_version.clone(),
            evaluation: None,
            evalset: None,
            trials: 0,
            failures: 0,
            stale: 0,
            best: None,
            ended: None,
            trouble: None,
            refusals: Vec::new(),
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
        let config = &app.config.agent;
        let most = config.max_trials_per_hour;
        let Some(begun) = agent.memory.begin_trial(most, config.enabled).await? else {
            // Another host took the last place, or somebody stopped the agent there; a gate is closed at the next look.
            return Ok(false);
        };
        let step = Step {
            app: Arc::clone(app),
            index: Arc::clone(index),
            evaluation: self.evaluation.take(),
            queries: self.queries.clone(),
            request: request(app, around, index),
        };
        let outcome = yielding::run(app, name, |task| async move {
            let _turn = turn;
            step.run(&task).await
        });
        match outcome.await {
            Ok((evaluation, stepped)) => {
                self.keep(evaluation);
                self.stepped(app, name, begun, stepped).await?;
            }
            Err(Unfinished::Yielded(why)) => made_way(app, name, why),
            Err(Unfinished::Stopping) => {}
            Err(Unfinished::Cancelled) => return self.cancelled(app, index).await,
            Err(Unfinished::Failed(problem)) => return Err(problem),
        }
        Ok(false)
    }

    /// Keeps an evaluation for the next step. What was measured with other queries does not compare.
    fn keep(&mut self, evaluation: Arc<Evaluation>) {
        if self.evalset.as_deref() != Some(evaluation.evalset()) {
            self.evalset = Some(evaluation.evalset().to_owned());
            (self.best, self.stale) = (None, 0);
        }
        self.evaluation = Some(evaluation);
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
            Stepped::Refused { message, suspended } => {
                agent.tuning.counts.refused.one_more();
                match suspended {
                    Some(plugin) => self.suspended(&plugin, &message),
                    None => self.refused(message),
                }
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
            let why = format!("the last {FAILURES} proposals failed: {message}");
            self.ended = Some(why.clone());
            self.trouble = Some(why);
        }
    }

    /// A proposal failed, and its proposer was suspended for that. Whoever proposes next has not failed yet.
    fn suspended(&mut self, plugin: &PluginRef, message: &str) {
        self.failures = 0;
        self.trouble = Some(format!("{plugin} was suspended: {message}"));
    }

    /// A person cancelled a task of the course, and does not want it again at once.
    async fn cancelled(&mut self, app: &App, index: &LiveIndex) -> Result<bool, Problem> {
        let why = "somebody cancelled its task".to_owned();
        self.ended = Some(why.clone());
        self.settle(app, index, Outcome::Stopped, why).await?;
        Ok(true)
    }

    /// Judges what was tried, and has what is best promoted if it is better than what serves. Returns whether the
    /// course is settled.
    async fn conclude(
        &mut self,
        app: &Arc<App>,
        around: &Surroundings,
        index: &Arc<LiveIndex>,
    ) -> Result<bool, Problem> {
        self.rest();
        let name = &index.meta.name;
        let (host, judged) = (Arc::clone(app), Arc::clone(index));
        let request = request(app, around, index);
        let terms = Terms {
            champion: request.serving,
            data_version: index.data.data_version.clone(),
            objective: request.objective.clone(),
        };
        let lost = app.agent.memory.known().lost(name, &terms, self.alarm());
        let outcome = yielding::run(app, name, |task| async move {
            let judged = judge(&host, &judged, request, &lost, &task.cancellation()).await?;
            let shown = judged.shown();
            Ok((judged, shown))
        });
        match outcome.await {
            Ok(judged) => return self.judged(app, index, terms, judged).await,
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

    /// When an alarm was given last that it began with. Who lost before that did so on other queries of clients.
    fn alarm(&self) -> Option<Timestamp> {
        let alarms = self.seen.iter().filter(|noted| noted.reason.is_alarm());
        alarms.map(|noted| noted.last_at).max()
    }

    /// What was tried is judged. Returns whether the course is settled: one that was put forward and lost makes way
    /// for the next best.
    async fn judged(
        &mut self,
        app: &App,
        index: &LiveIndex,
        terms: Terms,
        judged: Judged,
    ) -> Result<bool, Problem> {
        match judged {
            Judged::Promoted(detail) => {
                self.settle(app, index, Outcome::Promoted, detail).await?;
                return Ok(true);
            }
            Judged::Kept(why) => self.refusals.push(why),
            Judged::Lost { trial, why } => {
                let memory = &app.agent.memory;
                memory.lost(&index.meta.name, &terms, &trial).await?;
                self.refusals.push(why);
                if self.refusals.len() < DUELS {
                    return Ok(false);
                }
            }
        }
        let kept = terms.champion;
        let detail = format!("kept {kept} because {}", self.refusals.join("; "));
        self.settle(app, index, Outcome::Kept, detail).await?;
        Ok(true)
    }
}

/// A reason with how often it was given: `appended (3)`.
fn said(noted: &Noted) -> String {
    format!("{} ({})", noted.reason.as_str(), noted.count)
}
