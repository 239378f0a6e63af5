//! What a change works with, what it works on, and how it ends. The changes by a model's name are here; those by profiles
//! are in `swap.rs`.
//!
//! A job gets a copy of the [`Standing`] and ends with the one that is true afterwards, whether it succeeded or not.
//! A job that was dropped half-way (the host stops) leaves the former one, which names every model that the record
//! names.

use std::{collections::BTreeSet, sync::Arc};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Occupant, RecordStore, SlotLimits, SlotRecord, SlotState, SwapReport,
    actor::Wish,
    lease::{Holding, Protections},
    look::{Look, compare, millis_since},
    view::Board,
};
use crate::{GpuReader, ModelName, ModelServer, ServerError, SlotError};

/// What jobs work with. Clones are the same.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) server: ModelServer,
    pub(super) gpus: Arc<dyn GpuReader>,
    pub(super) records: Arc<dyn RecordStore>,
    pub(super) limits: SlotLimits,
    pub(super) protections: Protections,
    pub(super) board: Arc<Board>,
}

/// What the slot believes.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) holding: Option<Arc<Holding>>,
    /// Models that may be in memory by the slot's doing.
    pub(super) ours: BTreeSet<ModelName>,
    /// Those of them that were preloaded by name and stay although nobody holds them.
    pub(super) preloaded: BTreeSet<ModelName>,
}

impl Standing {
    pub(super) fn state(&self, protected: &BTreeSet<ModelName>) -> SlotState {
        let wanted =
            |model: &ModelName| self.preloaded.contains(model) || protected.contains(model);
        match &self.holding {
            Some(_) => SlotState::Ready,
            None if self.ours.iter().all(wanted) => SlotState::Empty,
            None => SlotState::Failed,
        }
    }

    pub(super) fn occupant(&self) -> Option<&Occupant> {
        self.holding.as_ref().map(|holding| &holding.occupant)
    }

    /// All of `ours` but some.
    pub(super) fn others(
        &self,
        stay: impl IntoIterator<Item = BTreeSet<ModelName>>,
    ) -> BTreeSet<ModelName> {
        let stay: BTreeSet<ModelName> = stay.into_iter().flatten().collect();
        self.ours.difference(&stay).cloned().collect()
    }

    pub(super) fn forget(&mut self, models: &BTreeSet<ModelName>) {
        self.ours.retain(|model| !models.contains(model));
        self.preloaded.retain(|model| !models.contains(model));
    }
}

/// How a job ended.
#[derive(Debug)]
pub(super) struct JobEnd {
    /// What is true now.
    pub(super) standing: Standing,
    pub(super) result: Result<SwapReport, SlotError>,
    /// Whether there are models of ours in memory that nobody needs.
    pub(super) strays: bool,
}

impl JobEnd {
    pub(super) fn new(standing: Standing, result: Result<SwapReport, SlotError>) -> Self {
        Self {
            standing,
            result,
            strays: false,
        }
    }
}

/// Work that is given up when the change is cancelled.
pub(super) async fn or_cancelled<T, E: Into<SlotError>>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, SlotError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(SlotError::Cancelled),
        done = work => done.map_err(Into::into),
    }
}

impl Work {
    pub(super) async fn run(
        self,
        wish: Wish,
        standing: Standing,
        cancel: CancellationToken,
    ) -> JobEnd {
        match wish {
            Wish::Give(to) => self.give(standing, to, &cancel).await,
            Wish::Clear(profile) => self.clear(standing, &profile, &cancel).await,
            Wish::Unload(model) => self.unload_by_name(standing, model, &cancel).await,
            Wish::Preload(model) => self.preload_by_name(standing, model, &cancel).await,
            Wish::Adopt => self.adopt().await,
            Wish::Look => self.reconcile(standing).await,
            Wish::Tidy => self.tidy(standing).await,
        }
    }

    /// Writes down what may be in memory.
    pub(super) async fn write(
        &self,
        standing: &Standing,
        holder: Option<&Occupant>,
    ) -> Result<(), SlotError> {
        let record = SlotRecord {
            holder: holder.cloned(),
            ours: standing.ours.clone(),
            preloaded: standing.preloaded.clone(),
        };
        let written = self.records.write(&record).await;
        written.map_err(|reason| SlotError::Record { reason })
    }

    /// Writes down that less is in memory. An old record names too much, which does no harm.
    pub(super) async fn write_less(&self, standing: &Standing) {
        if let Err(error) = self.write(standing, standing.occupant()).await {
            tracing::warn!(%error, "the record of the GPU slot names more than there is");
        }
    }

    /// Loads both models of an occupant, the smaller one first so that the server need not push it out again.
    pub(super) async fn load_all(&self, occupant: &Occupant) -> Result<(), ServerError> {
        let keep_alive = crate::KeepAlive(self.limits.keep_alive);
        if let Some(embedder) = &occupant.embedder {
            self.server.load_embedder(embedder, keep_alive).await?;
        }
        let (model, options) = (&occupant.model, &occupant.options);
        self.server.load(model, options, keep_alive).await
    }

    /// What is true at the start: what the record says, as far as it is in memory.
    async fn adopt(&self) -> JobEnd {
        let record = match self.records.read().await {
            Ok(record) => record.unwrap_or_default(),
            Err(reason) => {
                let error = SlotError::Record { reason };
                return JobEnd::new(Standing::default(), Err(error));
            }
        };
        let mut standing = Standing {
            holding: None,
            ours: record.ours,
            preloaded: record.preloaded,
        };
        let look = match self.look_patiently().await {
            Ok(look) => look,
            Err(error) => return JobEnd::new(standing, Err(error.into())),
        };
        let holder = record.holder.filter(|holder| look.has(&holder.model));
        standing.holding = holder.map(Holding::new);
        let found = compare(&standing, &self.protections.models(), &look.resident);
        standing.forget(&found.gone);
        JobEnd {
            standing,
            result: Ok(SwapReport::default()),
            strays: !found.strays.is_empty(),
        }
    }

    /// Compares what the slot believes with what is in memory.
    async fn reconcile(&self, mut standing: Standing) -> JobEnd {
        let look = match self.look().await {
            Ok(look) => look,
            Err(error) => return JobEnd::new(standing, Err(error.into())),
        };
        let found = compare(&standing, &self.protections.models(), &look.resident);
        standing.forget(&found.gone);
        let lost = standing.holding.take_if(|_| found.lost);
        if lost.is_some() || !found.gone.is_empty() {
            self.write_less(&standing).await;
        }
        let result = match lost {
            None => Ok(SwapReport::default()),
            Some(lost) => Err(SlotError::Lost {
                model: lost.occupant.model.clone(),
            }),
        };
        JobEnd {
            standing,
            result,
            strays: !found.strays.is_empty(),
        }
    }

    /// Unloads what is in memory by the slot's doing and nobody needs.
    async fn tidy(&self, mut standing: Standing) -> JobEnd {
        let protected = self.protections.models();
        let result = async {
            let look = self.look().await?;
            let strays = compare(&standing, &protected, &look.resident).strays;
            // Whoever holds the slot goes on answering meanwhile.
            if standing.holding.is_none() && !strays.is_empty() {
                self.board.state(SlotState::Unloading);
            }
            self.unload(&strays, &look).await?;
            Ok::<_, SlotError>(strays)
        };
        let result = match result.await {
            Ok(strays) => {
                standing.forget(&strays);
                self.write_less(&standing).await;
                Ok(SwapReport::default())
            }
            Err(error) => Err(error),
        };
        JobEnd::new(standing, result)
    }

    async fn unload_by_name(
        &self,
        mut standing: Standing,
        model: ModelName,
        cancel: &CancellationToken,
    ) -> JobEnd {
        let began = Instant::now();
        if standing
            .occupant()
            .is_some_and(|holder| holder.model == model)
        {
            return self.vacate(standing, cancel).await;
        }
        if let Err(error) = self.check_unneeded(&standing, &model) {
            return JobEnd::new(standing, Err(error));
        }
        let models = BTreeSet::from([model.clone()]);
        let done = async {
            let before = or_cancelled(cancel, self.look_patiently()).await?;
            if !before.has(&model) {
                // Nothing leaves; whether there is such a model at all is worth telling.
                or_cancelled(cancel, self.server.find(&model)).await?;
            }
            let there = models.iter().filter(|model| before.has(model));
            let leaving: BTreeSet<ModelName> = there.cloned().collect();
            let freed = self.unload(&models, &before).await?;
            let mut report = SwapReport::of(&before, &freed, &leaving);
            self.close_report(&mut report, &standing, began).await;
            Ok::<_, SlotError>(report)
        };
        let result = done.await;
        if result.is_ok() {
            standing.forget(&models);
            self.write_less(&standing).await;
        }
        JobEnd::new(standing, result)
    }

    /// That nobody embeds with a model.
    fn check_unneeded(&self, standing: &Standing, model: &ModelName) -> Result<(), SlotError> {
        let holder = standing.occupant();
        let by = match holder {
            Some(holder) if holder.embedder.as_ref() == Some(model) => {
                format!("profile `{}`", holder.profile)
            }
            _ if self.protections.models().contains(model) => "an index".to_owned(),
            _ => return Ok(()),
        };
        Err(SlotError::InUse {
            model: model.clone(),
            by,
        })
    }

    async fn preload_by_name(
        &self,
        mut standing: Standing,
        model: ModelName,
        cancel: &CancellationToken,
    ) -> JobEnd {
        let was = standing.clone();
        let asked = self.begin_preload(&mut standing, &model, cancel).await;
        let (before, leaving, embeds) = match asked {
            Ok(asked) => asked,
            Err(error) => return JobEnd::new(was, Err(error)),
        };
        let began = Instant::now();
        let loaded = or_cancelled(cancel, async {
            let freed = self.unload(&leaving, &before).await?;
            let mut report = SwapReport::of(&before, &freed, &leaving);
            let loading = Instant::now();
            self.load_by_name(&standing, &model, embeds).await?;
            report.load_ms = millis_since(loading);
            report.loaded = vec![model.clone()];
            let after = self.look_patiently().await?;
            if !after.has(&model) {
                return Err(SlotError::PushedOut {
                    model: model.clone(),
                });
            }
            self.close_report(&mut report, &standing, began).await;
            Ok(report)
        });
        let result = loaded.await;
        match &result {
            Ok(_) => {
                standing.forget(&leaving);
                self.write_less(&standing).await;
            }
            // What was there before is needed no less; what is there now and was not is a stray.
            Err(_) => standing.preloaded = was.preloaded,
        }
        JobEnd {
            strays: result.is_err(),
            standing,
            result,
        }
    }

    /// Looks whether a model may be loaded, and writes down that it will be. What has to leave for it, and whether it
    /// only embeds, is told.
    async fn begin_preload(
        &self,
        standing: &mut Standing,
        model: &ModelName,
        cancel: &CancellationToken,
    ) -> Result<(Look, BTreeSet<ModelName>, bool), SlotError> {
        let known = or_cancelled(cancel, self.server.find(model)).await?;
        let embeds = known.embeds() == Some(true) && known.answers() != Some(true);
        let holder = standing.occupant().cloned();
        let is_held = holder
            .as_ref()
            .is_some_and(|holder| holder.models().contains(model));
        match &holder {
            Some(holder) if !is_held && !embeds => {
                return Err(SlotError::Occupied {
                    holds: holder.model.clone(),
                    model: model.clone(),
                });
            }
            _ => {}
        }
        let before = or_cancelled(cancel, self.look_patiently()).await?;
        let makes_room = holder.is_none() && !embeds;
        let leaving = if makes_room {
            let stay = [BTreeSet::from([model.clone()]), self.protections.models()];
            standing.others(stay)
        } else {
            BTreeSet::new()
        };
        if !is_held {
            standing.ours.insert(model.clone());
            standing.preloaded.insert(model.clone());
            self.write(standing, holder.as_ref()).await?;
        }
        Ok((before, leaving, embeds))
    }

    async fn load_by_name(
        &self,
        standing: &Standing,
        model: &ModelName,
        embeds: bool,
    ) -> Result<(), ServerError> {
        let keep_alive = crate::KeepAlive(self.limits.keep_alive);
        if embeds {
            return self.server.load_embedder(model, keep_alive).await;
        }
        let holder = standing.occupant().filter(|holder| holder.model == *model);
        let options = holder
            .map(|holder| holder.options.clone())
            .unwrap_or_default();
        self.server.load(model, &options, keep_alive).await
    }
}
