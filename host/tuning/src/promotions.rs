//! The registry of what was chosen to serve: an append-only log under `_promotions/{index}` of the
//! index's bucket.
//!
//! Promotions form a stack: promoting puts a configuration on top, rolling back takes the top away, and
//! the top serves. The first promotion also records what served before it, so that even that can be
//! taken back. This registry records decisions; swapping what serves is up to its caller. Graph and table of an index are a
//! stack each, in one history.
//!
//! Their order is that of a number in each line, and not that of the files: those sort by the clock, which may have
//! gone back while no host ran. Lines of older hosts have no number; they come first, in the order of their files.
//!
//! Lines that read neither in the bucket nor in its copy can be set aside ([`Promotions::set_damage_aside`]): the files
//! are kept, what reads of them goes on to count, and [`Promotions::kept_aside`] tells of them until somebody has decided
//! anew what serves.

use std::sync::Arc;

use boathouse_storage::{AppendLog, Bucket, KeptFile};
use boathouse_types::{
    Clock, Configuration, IndexName, PluginRef, Timestamp, Trial, VectorBackend,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{Evidence, Journal, TuningError, build_id_of};

/// A configuration that serves or has served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Served {
    /// The trial that measured it; none for a configuration that was never promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<String>,
    /// The configuration.
    pub config: Configuration,
    /// The graph, or the index of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// The version of the vectors that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_version: Option<String>,
}

impl Served {
    /// A configuration that no trial stands for.
    #[must_use]
    pub fn of_config(config: impl Into<Configuration>) -> Self {
        Self {
            trial: None,
            config: config.into(),
            build_id: None,
            data_version: None,
        }
    }

    /// The configuration of a trial. A trial on a graph that was cut down from another one stands for the graph that
    /// is built for real.
    #[must_use]
    pub fn of_trial(trial: &Trial) -> Self {
        let real = || Some(build_id_of(trial.data_version.as_deref()?, &trial.config));
        Self {
            trial: Some(trial.id.clone()),
            config: trial.config,
            build_id: match trial.derived_from {
                Some(_) => real(),
                None => trial.build_id.clone(),
            },
            data_version: trial.data_version.clone(),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PromotionKind {
    /// A trial's configuration was put in service.
    Promote,
    /// The configuration before was put back.
    Rollback,
}

/// One line of the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Promotion {
    /// Its place in the history, from 0; none in lines of older hosts, which come before the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// What happened.
    pub event: PromotionKind,
    /// What serves since then.
    pub served: Served,
    /// What served before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Served>,
    /// When.
    pub at: Timestamp,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The scorer by whose word it was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scored_by: Option<PluginRef>,
    /// The duel that it won; none for what was forced, for rollbacks, and for lines of older hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Evidence>>,
    /// Somebody had it put in service without a duel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
}

/// A request to promote.
#[derive(Debug, Clone, PartialEq)]
pub struct Promote {
    /// Id of a trial of the journal.
    pub trial: String,
    /// What serves at present; recorded when this is the index's first promotion.
    pub serving: Configuration,
    /// Who asks.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The duel that it won; without one it is on record as forced.
    pub evidence: Option<Box<Evidence>>,
    /// What is to serve, which may lead to newer vectors than those of the trial; none for what the trial names.
    pub graph: Option<ServedGraph>,
}

/// A graph and what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedGraph {
    /// The graph.
    pub build_id: String,
    /// The version of the vectors.
    pub data_version: String,
}

/// The registry of one index. Clones share it.
#[derive(Debug, Clone)]
pub struct Promotions {
    index: IndexName,
    journal: Journal,
    log: AppendLog<Promotion>,
    /// The same log by the word of the bucket alone, for decisions: a copy in the rescue may be older.
    own: AppendLog<Promotion>,
    clock: Arc<dyn Clock>,
    /// Held from reading the present state to appending the next; the least number that the next line may have, for a
    /// listing may lag behind what was written just now.
    turn: Arc<Mutex<u64>>,
}

impl Promotions {
    /// The registry of `index` in `bucket`; nothing is read or written yet.
    #[must_use]
    pub fn new(bucket: &Bucket, index: &IndexName, clock: Arc<dyn Clock>) -> Self {
        let log = |bucket| {
            let prefix = format!("_promotions/{index}");
            AppendLog::new(bucket, prefix, Arc::clone(&clock))
        };
        Self {
            index: index.clone(),
            journal: Journal::new(bucket, index, Arc::clone(&clock)),
            log: log(bucket.clone()),
            own: log(bucket.without_rescue()),
            clock,
            turn: Arc::default(),
        }
    }

    /// All events, oldest first.
    ///
    /// # Errors
    /// When the bucket fails.
    pub async fn history(&self) -> Result<Vec<Promotion>, TuningError> {
        self.events(&self.log).await
    }

    async fn events(&self, log: &AppendLog<Promotion>) -> Result<Vec<Promotion>, TuningError> {
        let contents = log.read_all().await?;
        if contents.malformed > 0 {
            let (index, lines) = (&self.index, contents.malformed);
            tracing::warn!(%index, lines, "the promotion log has lines that are no promotion");
        }
        Ok(in_order(contents.records))
    }

    /// Takes lines that do not read out of the registry, after their files were kept aside; gives how many files that
    /// were.
    ///
    /// # Errors
    /// The bucket fails, or the rescue does not answer: whether it has a sound copy is not known then.
    pub async fn set_damage_aside(&self) -> Result<usize, TuningError> {
        let _turn = self.turn.lock().await;
        let Some(salvage) = self.own.salvage().await? else {
            return Ok(0);
        };
        let left = in_order(salvage.contents.records.clone());
        // What is decided from now on has this number at least.
        let label = next_number(&left, &mut 0).to_string();
        let kept = self.own.set_aside(&salvage, &label).await?;
        let (index, left) = (&self.index, left.len());
        tracing::error!(%index, ?kept, left, "damaged files of the promotions are kept aside; what reads of them decides what serves");
        Ok(kept.len())
    }

    /// Where damaged files of the registry are kept, as long as nothing was promoted or taken back since.
    ///
    /// # Errors
    /// When the bucket fails.
    pub async fn kept_aside(&self) -> Result<Vec<String>, TuningError> {
        let mut kept = self.log.kept_aside().await?;
        if !kept.is_empty() {
            let history = self.history().await?;
            let newest = history.last().and_then(|event| event.number);
            let next = |file: &KeptFile| file.label.parse::<u64>().ok();
            kept.retain(|file| {
                newest.is_none_or(|newest| next(file).is_none_or(|next| newest < next))
            });
        }
        Ok(kept.into_iter().map(|file| file.path).collect())
    }

    /// What serves of a backend by this registry; none before its first promotion. Graph and table have a history each: a
    /// promotion of one changes nothing of the other.
    ///
    /// # Errors
    /// When the bucket fails.
    pub async fn current(&self, backend: VectorBackend) -> Result<Option<Served>, TuningError> {
        Ok(stack(&self.history().await?, backend).pop())
    }

    /// What a rollback would put back of a backend, by the word of the bucket alone.
    ///
    /// # Errors
    /// [`TuningError::NoPrevious`] when nothing is left to take back, or the bucket fails.
    pub async fn previous(&self, backend: VectorBackend) -> Result<Served, TuningError> {
        let mut stack = stack(&self.events(&self.own).await?, backend);
        stack.pop();
        stack
            .pop()
            .ok_or_else(|| TuningError::NoPrevious(self.index.clone()))
    }

    /// Records that a trial's configuration serves from now on.
    ///
    /// # Errors
    /// [`TuningError::NotFound`] for an unknown trial, [`TuningError::AlreadyServes`], or the bucket
    /// fails; when it then cannot even be read, it is open whether the promotion is on record.
    pub async fn promote(&self, request: Promote) -> Result<Promotion, TuningError> {
        let trial = self.journal.find(&request.trial).await?;
        let mut least = self.turn.lock().await;
        let history = self.events(&self.own).await?;
        let current = stack(&history, trial.config.backend()).pop();
        if current
            .as_ref()
            .is_some_and(|now| now.trial.as_deref() == Some(&trial.id))
        {
            return Err(TuningError::AlreadyServes {
                trial: trial.id,
                index: self.index.clone(),
            });
        }
        let mut served = Served::of_trial(&trial);
        if let Some(graph) = request.graph {
            served.build_id = Some(graph.build_id);
            served.data_version = Some(graph.data_version);
        }
        self.record(Promotion {
            number: Some(next_number(&history, &mut least)),
            event: PromotionKind::Promote,
            served,
            replaced: Some(current.unwrap_or_else(|| Served::of_config(request.serving))),
            at: self.clock.now(),
            by: request.by,
            reason: request.reason,
            scored_by: match request.evidence.as_ref() {
                Some(evidence) => evidence.score.as_ref().map(|score| score.by.clone()),
                None => trial.scored_by,
            },
            forced: request.evidence.is_none(),
            evidence: request.evidence,
        })
        .await
    }

    /// Records that what served before the current configuration serves again. `expected` is what the caller is about
    /// to serve, as [`Self::previous`] gave it.
    ///
    /// # Errors
    /// [`TuningError::NoPrevious`] when nothing is left to take back; [`TuningError::NotPrevious`] when something else
    /// than `expected` served before; or the bucket fails, as with [`Self::promote`].
    pub async fn rollback(
        &self,
        expected: &Served,
        by: Option<String>,
        reason: Option<String>,
    ) -> Result<Promotion, TuningError> {
        let mut least = self.turn.lock().await;
        let history = self.events(&self.own).await?;
        let mut stack = stack(&history, expected.config.backend());
        let (Some(current), Some(previous)) = (stack.pop(), stack.pop()) else {
            return Err(TuningError::NoPrevious(self.index.clone()));
        };
        if previous != *expected {
            return Err(TuningError::NotPrevious(self.index.clone()));
        }
        self.record(Promotion {
            number: Some(next_number(&history, &mut least)),
            event: PromotionKind::Rollback,
            served: previous,
            replaced: Some(current),
            at: self.clock.now(),
            by,
            reason,
            scored_by: None,
            evidence: None,
            forced: false,
        })
        .await
    }

    /// Appends an event. Where the bucket leaves open whether it was written, the log is read again to find
    /// out: who was told of a failure would go on serving what a restart no longer serves.
    async fn record(&self, promotion: Promotion) -> Result<Promotion, TuningError> {
        let Err(error) = self.log.append(promotion.clone()).await else {
            return Ok(promotion);
        };
        match self.events(&self.own).await {
            Ok(history) if history.last() == Some(&promotion) => Ok(promotion),
            _ => Err(error.into()),
        }
    }
}

/// Events in their order, each once: a line may stand in two files after one of them was damaged. Those that share a
/// number, as of hosts that promoted at the same time, differ at least in their moment.
fn in_order(mut events: Vec<Promotion>) -> Vec<Promotion> {
    // Stable: lines of older hosts stay in the order of their files.
    events.sort_by_key(|event| event.number);
    events.dedup_by(|next, event| event.number.is_some() && next == event);
    events
}

/// The number of the line after these, which is `least` or more; the one after that may have more only.
fn next_number(history: &[Promotion], least: &mut u64) -> u64 {
    let last = history.last().and_then(|event| event.number);
    let next = last.map_or(history.len() as u64, |last| last + 1);
    let number = next.max(*least);
    *least = number + 1;
    number
}

/// What of a backend could be rolled back to, oldest first; the last one serves.
fn stack(history: &[Promotion], backend: VectorBackend) -> Vec<Served> {
    let mut stack = Vec::new();
    let is_of = |event: &&Promotion| event.served.config.backend() == backend;
    for event in history.iter().filter(is_of) {
        match event.event {
            PromotionKind::Promote => {
                if stack.is_empty() {
                    stack.extend(event.replaced.clone());
                }
                stack.push(event.served.clone());
            }
            PromotionKind::Rollback => {
                stack.pop();
                // The log says what serves; it wins over the arithmetic when lines are missing.
                if stack.last() != Some(&event.served) {
                    stack.push(event.served.clone());
                }
            }
        }
    }
    stack
}

#[cfg(test)]
mod tests;
