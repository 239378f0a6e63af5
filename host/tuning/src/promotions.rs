//! The registry of what was chosen to serve: an append-only log under `_promotions/{index}` of the
//! index's bucket.
//!
//! Promotions form a stack: promoting puts a configuration on top, rolling back takes the top away, and
//! the top serves. The first promotion also records what served before it, so that even that can be
//! taken back. This registry records decisions; swapping the serving graph is up to its caller.

use std::sync::Arc;

use boathouse_storage::{AppendLog, Bucket};
use boathouse_types::{Clock, IndexConfig, IndexName, PluginRef, Timestamp, Trial};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{Evidence, Journal, TuningError, build_id};

/// A configuration that serves or has served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Served {
    /// The trial that measured it; none for a configuration that was never promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<String>,
    /// The configuration.
    pub config: IndexConfig,
    /// The graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// The version of the vectors that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_version: Option<String>,
}

impl Served {
    /// A configuration that no trial stands for.
    #[must_use]
    pub fn of_config(config: IndexConfig) -> Self {
        Self {
            trial: None,
            config,
            build_id: None,
            data_version: None,
        }
    }

    /// The configuration of a trial. A trial on a graph that was cut down from another one stands for the graph that
    /// is built for real.
    #[must_use]
    pub fn of_trial(trial: &Trial) -> Self {
        let real = || Some(build_id(trial.data_version.as_deref()?, &trial.config));
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
    pub serving: IndexConfig,
    /// Who asks.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The duel that it won; without one it is on record as forced.
    pub evidence: Option<Box<Evidence>>,
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
    /// Held from reading the present state to appending the next.
    turn: Arc<Mutex<()>>,
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
        Ok(contents.records)
    }

    /// What serves by this registry; none before the first promotion.
    ///
    /// # Errors
    /// When the bucket fails.
    pub async fn current(&self) -> Result<Option<Served>, TuningError> {
        Ok(stack(&self.history().await?).pop())
    }

    /// What a rollback would put back.
    ///
    /// # Errors
    /// [`TuningError::NoPrevious`] when nothing is left to take back, or the bucket fails.
    pub async fn previous(&self) -> Result<Served, TuningError> {
        let mut stack = stack(&self.history().await?);
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
        let _turn = self.turn.lock().await;
        let current = stack(&self.events(&self.own).await?).pop();
        if current
            .as_ref()
            .is_some_and(|now| now.trial.as_deref() == Some(&trial.id))
        {
            return Err(TuningError::AlreadyServes {
                trial: trial.id,
                index: self.index.clone(),
            });
        }
        self.record(Promotion {
            event: PromotionKind::Promote,
            served: Served::of_trial(&trial),
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

    /// Records that what served before the current configuration serves again.
    ///
    /// # Errors
    /// [`TuningError::NoPrevious`] when nothing is left to take back, or the bucket fails; as with
    /// [`Self::promote`].
    pub async fn rollback(
        &self,
        by: Option<String>,
        reason: Option<String>,
    ) -> Result<Promotion, TuningError> {
        let _turn = self.turn.lock().await;
        let mut stack = stack(&self.events(&self.own).await?);
        let (Some(current), Some(previous)) = (stack.pop(), stack.pop()) else {
            return Err(TuningError::NoPrevious(self.index.clone()));
        };
        self.record(Promotion {
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

/// What could be rolled back to, oldest first; the last one serves.
fn stack(history: &[Promotion]) -> Vec<Served> {
    let mut stack = Vec::new();
    for event in history {
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
mod tests {
    use boathouse_faults::{FaultyStore, Last, Plan};
    use boathouse_storage::{Mirror, MirrorScope};
    use boathouse_types::BucketName;

    use super::*;
    use crate::testing::{clock, index_name, memory_bucket, trial};

    async fn registry(bucket: &Bucket) -> Promotions {
        let journal = Journal::new(bucket, &index_name(), clock());
        for (id, ef_search) in [("t1", 40), ("t2", 50)] {
            let mut trial = trial(id, 0.97, 100.0);
            trial.config.ef_search = ef_search;
            journal.append(&trial).await.unwrap();
        }
        Promotions::new(bucket, &index_name(), clock())
    }

    fn request(trial: &str) -> Promote {
        Promote {
            trial: trial.to_owned(),
            serving: IndexConfig::default(),
            by: Some("ada".to_owned()),
            reason: None,
            evidence: None,
        }
    }

    #[tokio::test]
    async fn promotions_stack_and_rollbacks_unstack() {
        let bucket = memory_bucket();
        let registry = registry(&bucket).await;
        assert_eq!(registry.current().await.unwrap(), None);
        registry.promote(request("t1")).await.unwrap();
        registry.promote(request("t2")).await.unwrap();
        let reopened = Promotions::new(&bucket, &index_name(), clock());
        let current = reopened.current().await.unwrap().unwrap();
        assert_eq!(
            (current.trial.as_deref(), current.config.ef_search),
            (Some("t2"), 50)
        );
        let back = reopened
            .rollback(None, Some("slow".to_owned()))
            .await
            .unwrap();
        assert_eq!(back.served.trial.as_deref(), Some("t1"));
        let first = reopened.rollback(None, None).await.unwrap();
        assert_eq!(first.served, Served::of_config(IndexConfig::default()));
        let error = reopened.rollback(None, None).await.unwrap_err();
        assert!(matches!(error, TuningError::NoPrevious(_)), "{error}");
        assert_eq!(reopened.history().await.unwrap().len(), 4);
        reopened.promote(request("t2")).await.unwrap();
        let again = reopened.rollback(None, None).await.unwrap();
        assert_eq!(again.served.trial, None);
    }

    #[tokio::test]
    async fn what_cannot_be_promoted_is_told() {
        let registry = registry(&memory_bucket()).await;
        let error = registry.promote(request("t9")).await.unwrap_err();
        assert!(error.to_string().contains("no trial `t9`"), "{error}");
        let error = registry.rollback(None, None).await.unwrap_err();
        assert!(error.to_string().contains("no earlier"), "{error}");
        registry.promote(request("t1")).await.unwrap();
        let error = registry.promote(request("t1")).await.unwrap_err();
        assert!(
            matches!(error, TuningError::AlreadyServes { .. }),
            "{error}"
        );
    }

    #[tokio::test]
    async fn an_older_copy_does_not_decide_what_is_put_back() {
        let home = memory_bucket();
        let plain = registry(&home).await;
        plain.promote(request("t1")).await.unwrap();
        let rescue = Bucket::memory(BucketName::rescue());
        let copies = rescue.within("primary").unwrap();
        for object in home.list("").await.unwrap() {
            let bytes = home.get(&object.path).await.unwrap();
            copies.put(&object.path, bytes).await.unwrap();
        }
        plain.promote(request("t2")).await.unwrap();

        let store = FaultyStore::new(Arc::clone(home.store()), Plan::Never);
        let mirror = Mirror::new(rescue, clock(), MirrorScope::Recovery);
        let mirrored = mirror.over(&home.with_store(Arc::new(store.clone())));
        let registry = Promotions::new(&mirrored, &index_name(), clock());
        let (at, last) = (0, Last::Lost);
        store.follow(Plan::FailOnce { at, last });
        let shown = registry.current().await.unwrap().unwrap();
        assert_eq!(shown.trial.as_deref(), Some("t1"));
        store.follow(Plan::FailOnce { at, last });
        let error = registry.rollback(None, None).await.unwrap_err();
        assert!(matches!(error, TuningError::Storage(_)), "{error}");
        let back = registry.rollback(None, None).await.unwrap();
        assert_eq!(back.served.trial.as_deref(), Some("t1"));
    }
}
