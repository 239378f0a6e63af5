//! Plugins in the shape in which the rooms want their judgements.
//!
//! A [`Judge`] stands for a place and not for a plugin: at each question it finds out anew who serves
//! there. So a swap in the middle of a run takes effect at the next question, and every answer names the
//! version that gave it. Where that version is suspended, the plugin of the house answers; a detector has
//! no stand-in of another name, because a finding that is missing must not look like one that was sought:
//! it fails, and the dataset says so. The failure that suspends a proposer is told to whoever asked, who counts
//! it and asks again; a scorer's is not, because a trial that was run is judged once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use boathouse_ingest::PiiDetector;
use boathouse_plugins::{Cause, Observer, Plugin, PluginError};
use boathouse_tuning::{Proposer, Scorer};
use boathouse_types::{
    Finding, Judged, JudgementCause, JudgementError, Objective, PluginKind, PluginRef, Proposal,
    ProposalContext, TableSample, Trial, Verdict,
};
use futures::{FutureExt as _, future::BoxFuture};

use crate::plugins::{Registry, Says, Spot, Turn, shadow::Exchange};

/// What serves at a place, as a room asks it.
#[derive(Clone)]
pub struct Judge {
    registry: Arc<Registry>,
    spot: Spot,
}

impl Judge {
    pub(crate) fn new(registry: Arc<Registry>, spot: Spot) -> Self {
        Self { registry, spot }
    }

    /// Puts a question to what serves, or to the plugin of the house in its place.
    async fn answered<'a, T>(
        &self,
        ask: impl Fn(Plugin) -> BoxFuture<'a, Result<T, PluginError>> + Send + Sync,
    ) -> Result<(Judged<T>, Duration), JudgementError> {
        let Some(turn) = self.registry.turn(&self.spot) else {
            return self.house(ask, || self.gone()).await;
        };
        if turn.health.is_suspended() {
            return self.house(ask, || suspended(turn.plugin)).await;
        }
        let turn = Arc::new(turn);
        let began = Instant::now();
        let outcome = ask(Plugin::clone(&turn.lease).observed(self.notes(&turn))).await;
        let took = began.elapsed();
        let by = turn.lease.identity().clone();
        match outcome {
            Ok(answer) => Ok((Judged { by, answer }, took)),
            Err(error) if turn.health.is_suspended() => match self.spot.kind() {
                PluginKind::Proposer => Err(JudgementError {
                    cause: JudgementCause::Suspended,
                    ..failed(&by, &error)
                }),
                _ => self.house(ask, || failed(&by, &error)).await,
            },
            Err(error) => Err(failed(&by, &error)),
        }
    }

    /// Counts how the call goes, whoever still waits for it; the third failure in a row is the last one.
    /// The turn, lease and all, is held until the call has ended.
    fn notes(&self, turn: &Arc<Turn>) -> Observer {
        let kind = self.spot.kind();
        let of_the_house = turn.lease.digest() == self.registry.house(kind).digest();
        let (registry, turn) = (Arc::clone(&self.registry), Arc::clone(turn));
        Arc::new(move |failure| {
            if !of_the_house && turn.health.note(Says::of(failure)) {
                let reason = failure.map(PluginError::to_string).unwrap_or_default();
                registry.suspend(kind, turn.plugin.clone(), reason);
            }
        })
    }

    /// Asks the plugin of the house, which stands in for everybody but a detector of another name; that one
    /// has failed, and `why` tells how.
    async fn house<'a, T>(
        &self,
        ask: impl Fn(Plugin) -> BoxFuture<'a, Result<T, PluginError>> + Send + Sync,
        why: impl FnOnce() -> JudgementError + Send,
    ) -> Result<(Judged<T>, Duration), JudgementError> {
        let house = self.registry.house(self.spot.kind()).clone();
        let by = house.identity().clone();
        if self.spot.detector().is_some_and(|name| name != by.name) {
            return Err(why());
        }
        let began = Instant::now();
        match ask(house).await {
            Ok(answer) => Ok((Judged { by, answer }, began.elapsed())),
            Err(error) => Err(failed(&by, &error)),
        }
    }

    /// Whether the scoring plugin takes an objective, by an empty question under it. Its shadow is not asked.
    ///
    /// # Errors
    /// Its own words when it declines; why there is no answer otherwise.
    pub(crate) async fn takes(&self, objective: &Objective) -> Result<(), JudgementError> {
        let ask = |plugin: Plugin| async move { plugin.evaluate(&[], objective).await }.boxed();
        self.answered(ask).await.map(drop)
    }

    /// A detector left between the look at who is asked and the question.
    fn gone(&self) -> JudgementError {
        JudgementError {
            plugin: PluginRef {
                name: self.spot.detector().unwrap_or_default().to_owned(),
                version: "none".to_owned(),
            },
            cause: JudgementCause::Failed,
            message: "it was deactivated before it was asked; ask again".to_owned(),
        }
    }
}

fn suspended(plugin: PluginRef) -> JudgementError {
    JudgementError {
        plugin,
        cause: JudgementCause::Failed,
        message: "it was not asked: it is suspended after failures; activate a version that works, or deactivate it".to_owned(),
    }
}

fn failed(plugin: &PluginRef, error: &PluginError) -> JudgementError {
    JudgementError {
        plugin: plugin.clone(),
        cause: match error.cause() {
            Cause::Overloaded => JudgementCause::Overloaded,
            Cause::Declined => JudgementCause::Declined,
            _ => JudgementCause::Failed,
        },
        message: error.reason(),
    }
}

#[async_trait]
impl Proposer for Judge {
    async fn propose(&self, context: ProposalContext) -> Result<Judged<Proposal>, JudgementError> {
        let context = &context;
        let ask = |plugin: Plugin| async move { plugin.propose(context).await }.boxed();
        let (judged, took) = self.answered(ask).await?;
        let exchange = Exchange::Proposal(context, &judged.answer);
        self.registry.shadows.observe(&judged.by, exchange, took);
        Ok(judged)
    }

    fn settings_digest(&self, by: &PluginRef) -> Option<String> {
        Some(self.registry.settings_digest(&by.name))
    }
}

#[async_trait]
impl Scorer for Judge {
    async fn evaluate(
        &self,
        trials: &[Trial],
        objective: &Objective,
    ) -> Result<Judged<Vec<Verdict>>, JudgementError> {
        let ask = |plugin: Plugin| async move { plugin.evaluate(trials, objective).await }.boxed();
        let (judged, took) = self.answered(ask).await?;
        let exchange = Exchange::Scoring(trials, objective, &judged.answer);
        self.registry.shadows.observe(&judged.by, exchange, took);
        Ok(judged)
    }
}

#[async_trait]
impl PiiDetector for Judge {
    async fn detect(&self, table: &TableSample) -> Result<Judged<Vec<Finding>>, JudgementError> {
        let ask = |plugin: Plugin| async move { plugin.detect(table).await }.boxed();
        let (judged, took) = self.answered(ask).await?;
        let exchange = Exchange::Detection(table, &judged.answer);
        self.registry.shadows.observe(&judged.by, exchange, took);
        Ok(judged)
    }
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge")
            .field("spot", &self.spot)
            .finish_non_exhaustive()
    }
}
