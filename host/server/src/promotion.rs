//! What may serve: the only way by which another configuration takes over, and the way back.
//!
//! A challenger is built and tried in shadow before a single client is answered by it: both it and what serves
//! answer recent queries of clients (`promotion/queries.rs`), in turns and off the request path, and the ruling on
//! that [`boathouse_tuning::Evidence`] decides. What was refused leaves no trace but the answer, which has all
//! figures. Whoever knows better may force a promotion: it is on record as forced. Even that does not put a trial in
//! service whose recall is surely below the floor, or of which no recall on the present vectors is known, unless it is
//! said in so many words.
//!
//! Invariants: what serves is swapped as one pointer, so every search is answered by one configuration from
//! beginning to end; the registry has the line before the swap, and nothing stops the work between the two; the graph
//! that served before stays in memory, so that going back neither builds nor reads a graph.
//!
//! Both ways are run as tasks: who waits for one may go away, and it comes to its end.

mod queries;

use std::{sync::Arc, time::Duration};

use boathouse_tuning::{
    Contender, Duel, Evidence, Fighter, Promote, Promotion, Ruling, Served, ServedGraph,
};
use boathouse_types::{Objective, PluginKind, Trial, VectorBackend};
use futures::FutureExt as _;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    indexes::{IndexView, LiveIndex, Serving},
    live,
    problem::Problem,
    tune,
};

/// How long a block of queries waits for a moment without searches.
const PATIENCE: Duration = Duration::from_millis(250);

/// Which trial to promote.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteSpec {
    /// Id of a trial of the journal.
    pub trial: String,
    /// Why, for the registry.
    pub reason: Option<String>,
    /// Promote it without a comparison with what serves.
    #[serde(default)]
    pub force: bool,
    /// With `force`: even if its recall is surely below the floor, or was not measured on all of the present vectors.
    #[serde(default)]
    pub below_floor: bool,
}

/// A wish to put a trial's configuration in service.
#[derive(Debug, Clone)]
pub(crate) struct Challenge {
    /// Id of a trial of the journal.
    pub(crate) trial: String,
    /// Who wishes it.
    pub(crate) by: String,
    /// Why; the ruling's own words when left out.
    pub(crate) reason: Option<String>,
    /// What it has to meet; none for what the owner of the index wants.
    pub(crate) objective: Option<Objective>,
    /// Whether anything stands in its way.
    pub(crate) force: Force,
}

/// What stands in the way of a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Force {
    /// It has to win a duel with what serves.
    No,
    /// Nothing but a recall that is surely below the floor or not known.
    Yes,
    /// Nothing.
    BelowFloor,
}

/// What was decided, and the index as it serves now.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Promoted {
    /// The registry's line.
    pub promotion: Promotion,
    /// The index.
    #[serde(flatten)]
    pub index: IndexView,
}

impl PromoteSpec {
    /// The wish of a client.
    ///
    /// # Errors
    /// 422 for `below_floor` without `force`.
    pub(crate) fn by(self, caller: String) -> Result<Challenge, Problem> {
        let force = match (self.force, self.below_floor) {
            (false, false) => Force::No,
            (true, false) => Force::Yes,
            (true, true) => Force::BelowFloor,
            (false, true) => {
                let detail = "goes with `force`: give both, or neither";
                return Err(Problem::field("below_floor", "without_force", detail));
            }
        };
        Ok(Challenge {
            trial: self.trial,
            by: caller,
            reason: self.reason,
            objective: None,
            force,
        })
    }
}

impl Challenge {
    /// A wish for a fair comparison.
    pub(crate) fn fair(trial: impl Into<String>, by: impl Into<String>) -> Self {
        Self {
            trial: trial.into(),
            by: by.into(),
            reason: None,
            objective: None,
            force: Force::No,
        }
    }
}

/// Puts a trial's configuration in service if it deserves it.
///
/// # Errors
/// 404 for an unknown trial; 409 when it serves already (`already_serves`), is refused (`not_better`, with the
/// evidence), is forced and surely or perhaps far below the floor (`below_floor`), when the index is busy (if it is
/// forced: moved, or what serves is being changed), or the work was cancelled; a bucket's or the scoring plugin's failure. What serves is then as it was.
pub(crate) async fn challenge(
    app: &App,
    index: &LiveIndex,
    wish: Challenge,
    cancel: &CancellationToken,
) -> Result<Promoted, Problem> {
    // Who is not to be measured does not wait for what is.
    let _turn = match wish.force {
        Force::No => Some(index.take_turn()?),
        Force::Yes | Force::BelowFloor => None,
    };
    let trial = index.tuner.journal().find(&wish.trial).await?;
    let champion = index.serving();
    if champion.served.trial.as_ref() == Some(&trial.id) {
        let (trial, name) = (&trial.id, &index.meta.name);
        let why = format!("trial `{trial}` already serves index `{name}`");
        return Err(Problem::conflict("already_serves", why));
    }
    check_floor(index, &trial, &wish)?;
    if trial.config.backend() != VectorBackend::Parquet {
        let why = format!(
            "trial `{}` is of a Lance table, whose configuration is not promoted; `POST /vectors/lance/index/{}` builds an index",
            trial.id, index.meta.name
        );
        return Err(Problem::unprocessable("not_of_backend", why));
    }
    let challenger = index.ready(Served::of_trial(&trial), cancel).await?;
    let (evidence, ruled) = match wish.force {
        Force::No => {
            let won = win(app, index, &wish, [&champion, &challenger], cancel).await?;
            (Some(Box::new(won.0)), Some(won.1))
        }
        Force::Yes | Force::BelowFloor => (None, None),
    };
    let _switch = match wish.force {
        Force::No => index.wait_for_switch().await,
        Force::Yes | Force::BelowFloor => index.take_switch()?,
    };
    check_unchanged(index, &champion)?;
    let promotion = Promote {
        trial: trial.id,
        serving: champion.served.config,
        by: Some(wish.by),
        reason: wish.reason.or(ruled),
        evidence,
        graph: Some(ServedGraph {
            build_id: challenger.build_id.clone(),
            data_version: index.data.data_version.clone(),
        }),
    };
    if cancel.is_cancelled() {
        return Err(Problem::cancelled());
    }
    let promotion = index.tuner.promotions().promote(promotion).await?;
    index.serve(challenger, &promotion);
    Ok(Promoted {
        promotion,
        index: index.view(),
    })
}

/// That what was won against serves still: somebody may have gone back meanwhile.
pub(crate) fn check_unchanged(index: &LiveIndex, champion: &Serving) -> Result<(), Problem> {
    if index.serving().served == champion.served {
        return Ok(());
    }
    let name = &index.meta.name;
    Err(Problem::conflict(
        "index_busy",
        format!("what serves of index `{name}` changed meanwhile; look at it and try again"),
    ))
}

/// Refuses what would be forced although its own measurement says that it is below the floor, or does not say what it
/// reaches on the vectors that serve. What is not forced is measured anew.
fn check_floor(index: &LiveIndex, trial: &Trial, wish: &Challenge) -> Result<(), Problem> {
    if wish.force != Force::Yes {
        return Ok(());
    }
    let floor = objective(index, wish).recall_floor;
    let Some(why) = floor_risk(trial, index.is_measured_by(trial), floor) else {
        return Ok(());
    };
    let id = &trial.id;
    Err(Problem::conflict(
        "below_floor",
        format!("trial `{id}` {why}; `below_floor` with `force` promotes it nevertheless"),
    ))
}

/// What speaks against serving a trial's configuration unseen, by the floor of recall.
fn floor_risk(trial: &Trial, is_of_present_vectors: bool, floor: f64) -> Option<String> {
    let interval = trial.metrics.recall_interval;
    let most = interval.map_or(trial.metrics.recall_at_k, |interval| interval.high);
    if trial.sample.is_some() {
        Some("measured a sample of the vectors, which says nothing of its recall on all".to_owned())
    } else if trial.stopped_early.is_some() {
        Some("ended early, so its recall is not known".to_owned())
    } else if !is_of_present_vectors {
        Some("measured vectors that serve no more, so its recall is not known".to_owned())
    } else {
        (most < floor).then(|| {
            format!("has a recall of at most {most:.4} and the floor of the index is {floor}")
        })
    }
}

/// What a promotion has to meet.
fn objective<'a>(index: &'a LiveIndex, wish: &'a Challenge) -> &'a Objective {
    wish.objective.as_ref().unwrap_or(&index.meta.objective)
}

/// Has the challenger meet what serves. Gives the evidence and why it won.
async fn win(
    app: &App,
    index: &LiveIndex,
    wish: &Challenge,
    [champion, challenger]: [&Serving; 2],
    cancel: &CancellationToken,
) -> Result<(Evidence, String), Problem> {
    if champion.served.config == challenger.served.config {
        let reasons = ["its configuration is the one that serves".to_owned()];
        return Err(refused(&wish.trial, &reasons, None));
    }
    let pause = || live::quiet(app, PATIENCE).boxed();
    let asked = queries::gather(app, index, &pause, cancel).await?;
    let scorer = tune::judge(app, PluginKind::Scoring, index);
    let duel = Duel {
        evaluation: &asked.evaluation,
        live_queries: asked.live,
        champion: fighter(champion),
        challenger: fighter(challenger),
        objective: objective(index, wish),
        scorer: &scorer,
    };
    let (evidence, ruling) = index.tuner.duel(duel, &pause, cancel).await?;
    match ruling {
        Ruling::Promote { reason } => Ok((evidence, reason)),
        Ruling::Refuse { reasons } => Err(refused(&wish.trial, &reasons, Some(&evidence))),
    }
}

fn fighter(serving: &Serving) -> Fighter {
    Fighter {
        contender: Contender::Graph {
            graph: Arc::clone(&serving.graph),
            ef_search: serving.config().ef_search,
        },
        build_id: serving.build_id.clone(),
        config: serving.served.config,
        trial: serving.served.trial.clone(),
    }
}

/// 409 with everything that speaks against a promotion.
fn refused(trial: &str, reasons: &[String], evidence: Option<&Evidence>) -> Problem {
    let why = reasons.join("; ");
    let problem = Problem::conflict(
        "not_better",
        format!("trial `{trial}` is not promoted: {why}; `force` promotes it without a comparison"),
    );
    match evidence {
        Some(evidence) => problem.with_evidence(evidence),
        None => problem,
    }
}

/// Serves what served before, whatever is being measured on the index. Once the registry has it, nothing stops it any
/// more.
///
/// # Errors
/// 409 when there is nothing to go back to, when the index is moved or what serves is being changed, or when the work was
/// cancelled. What serves is then as it was.
pub(crate) async fn rollback(
    index: &LiveIndex,
    by: String,
    cancel: &CancellationToken,
) -> Result<Promoted, Problem> {
    let _switch = index.take_switch()?;
    let promotions = index.tuner.promotions();
    let previous = promotions.previous(VectorBackend::Parquet).await?;
    let serving = index.ready(previous.clone(), cancel).await?;
    if cancel.is_cancelled() {
        return Err(Problem::cancelled());
    }
    let promotion = promotions.rollback(&previous, Some(by), None).await?;
    index.serve(serving, &promotion);
    Ok(Promoted {
        promotion,
        index: index.view(),
    })
}

#[cfg(test)]
mod tests;
