//! Giving the slot to a profile, and taking it from one.
//!
//! A change has three stretches. Up to the end of the drain nothing is touched, and whatever goes wrong leaves all as it
//! was. Then models leave and come; whatever goes wrong there is taken back: what was loaded is unloaded, and the former
//! holder's models are loaded again. Taking back cannot be cancelled. If it fails too, nobody holds the slot, and what
//! is left in memory is told by the record and unloaded by the next tidying.

use std::{collections::BTreeSet, sync::Arc};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Occupant, SlotState, SwapReport,
    job::{JobEnd, Standing, Work, or_cancelled},
    lease::Holding,
    look::{Look, millis_since},
    unload::Freed,
};
use crate::{ModelName, ProfileId, ServerError, SlotError};

impl SwapReport {
    /// What leaving models freed.
    pub(super) fn of(before: &Look, freed: &Freed, unloaded: &BTreeSet<ModelName>) -> Self {
        Self {
            unloaded: unloaded.iter().cloned().collect(),
            freed_bytes: freed.bytes,
            gpu_freed_bytes: freed.gpu_bytes,
            memory_returned: freed.returned,
            gpu_used_before_bytes: before.used_bytes(),
            unload_ms: freed.millis,
            ..Self::default()
        }
    }
}

impl Work {
    /// Gives the slot to somebody.
    pub(super) async fn give(
        &self,
        mut standing: Standing,
        to: Occupant,
        cancel: &CancellationToken,
    ) -> JobEnd {
        let began = Instant::now();
        let model_before = standing.occupant().map(|holder| holder.model.clone());
        let mut drained = SwapReport::default();
        let before = async {
            let before = or_cancelled(cancel, self.check(&to)).await?;
            self.drain(&standing, Some(&to), cancel, &mut drained)
                .await?;
            let mut intended = standing.clone();
            intended.ours.extend(to.models());
            self.write(&intended, Some(&to)).await?;
            Ok::<_, SlotError>(before)
        };
        let before = match before.await {
            Ok(before) => before,
            Err(error) => return JobEnd::new(standing, Err(error)),
        };
        let former = standing.holding.clone();
        let exchanged = or_cancelled(cancel, self.exchange(&mut standing, &to, &before)).await;
        let result = match exchanged {
            Ok(mut report) => {
                report.model_before = model_before;
                report.drained = drained.drained;
                report.stopped = drained.stopped;
                report.drain_ms = drained.drain_ms;
                self.close_report(&mut report, &standing, began).await;
                Ok(report)
            }
            Err(error) => {
                self.take_back(&mut standing, former).await;
                Err(error)
            }
        };
        self.write_less(&standing).await;
        JobEnd::new(standing, result)
    }

    /// Takes the slot from a profile.
    pub(super) async fn clear(
        &self,
        standing: Standing,
        profile: &ProfileId,
        cancel: &CancellationToken,
    ) -> JobEnd {
        match standing.occupant() {
            None => JobEnd::new(standing, Ok(SwapReport::default())),
            Some(holder) if holder.profile == *profile => self.vacate(standing, cancel).await,
            Some(holder) => {
                let holder = holder.profile.clone();
                JobEnd::new(standing, Err(SlotError::HeldByOther { holder }))
            }
        }
    }

    /// Takes the slot from who holds it. Once models begin to leave that is not cancelled any more.
    pub(super) async fn vacate(
        &self,
        mut standing: Standing,
        cancel: &CancellationToken,
    ) -> JobEnd {
        let began = Instant::now();
        let model_before = standing.occupant().map(|holder| holder.model.clone());
        let mut drained = SwapReport::default();
        let before = async {
            let before = or_cancelled(cancel, self.look_patiently()).await?;
            self.drain(&standing, None, cancel, &mut drained).await?;
            self.write(&standing, None).await?;
            Ok::<_, SlotError>(before)
        };
        let before = match before.await {
            Ok(before) => before,
            Err(error) => return JobEnd::new(standing, Err(error)),
        };
        standing.holding = None;
        let leaving = standing.others([self.protections.models(), standing.preloaded.clone()]);
        self.board.state(SlotState::Unloading);
        let result = match self.unload(&leaving, &before).await {
            Ok(freed) => {
                standing.forget(&leaving);
                let mut report = SwapReport::of(&before, &freed, &leaving);
                report.model_before = model_before;
                report.drained = drained.drained;
                report.stopped = drained.stopped;
                report.drain_ms = drained.drain_ms;
                self.close_report(&mut report, &standing, began).await;
                Ok(report)
            }
            Err(error) => Err(error),
        };
        self.write_less(&standing).await;
        JobEnd::new(standing, result)
    }

    /// Fills in what is true at the end of a change.
    pub(super) async fn close_report(
        &self,
        report: &mut SwapReport,
        standing: &Standing,
        began: Instant,
    ) {
        // A report lacks figures when the server or the driver does not tell; the change is done all the same.
        let after = self.look().await.unwrap_or_default();
        report.model_after = standing.occupant().map(|holder| holder.model.clone());
        report.loaded_bytes = after.bytes_of(&report.loaded).0;
        report.gpu_used_after_bytes = after.used_bytes();
        let answering = report
            .model_after
            .as_ref()
            .and_then(|model| after.find(model));
        report.wholly_on_gpu = answering.and_then(crate::Resident::wholly_on_gpu);
        report.total_ms = millis_since(began);
    }

    /// That the server has the models, and what is in its memory.
    async fn check(&self, to: &Occupant) -> Result<Look, ServerError> {
        let known = self.server.models().await?;
        let missing = to
            .models()
            .into_iter()
            .find(|model| !known.iter().any(|one| one.is(model)));
        match missing {
            Some(model) => Err(ServerError::MissingModel { model }),
            None => self.look_patiently().await,
        }
    }

    /// Waits for answers of a model that does not stay.
    async fn drain(
        &self,
        standing: &Standing,
        to: Option<&Occupant>,
        cancel: &CancellationToken,
        report: &mut SwapReport,
    ) -> Result<(), SlotError> {
        let Some(holding) = &standing.holding else {
            return Ok(());
        };
        if to.is_some_and(|to| holding.occupant.same_model(to)) {
            return Ok(());
        }
        let began = Instant::now();
        self.board.state(SlotState::Draining);
        let drained = or_cancelled(cancel, async {
            Ok::<_, SlotError>(holding.gauge.drain(&self.limits).await)
        });
        let drained = drained.await?;
        report.drained = drained.waited_for;
        report.stopped = drained.stopped;
        report.drain_ms = millis_since(began);
        Ok(())
    }

    /// Lets models leave and others come. What may be in memory is in the standing at every moment.
    async fn exchange(
        &self,
        standing: &mut Standing,
        to: &Occupant,
        before: &Look,
    ) -> Result<SwapReport, SlotError> {
        let leaving = standing.others([to.models(), self.protections.models()]);
        let former = standing.holding.take();
        let kept = former.filter(|former| former.occupant.same_model(to));
        let stays = kept.is_some() && before.has(&to.model);
        // An embedder that is there by somebody else's doing remains theirs; a model that answers is taken over.
        let foreign = |model: &ModelName| *model != to.model && before.has(model);
        let taken = to.models().into_iter().filter(|model| !foreign(model));
        standing.ours.extend(taken);
        if !leaving.is_empty() {
            self.board.state(SlotState::Unloading);
        }
        let freed = self.unload(&leaving, before).await?;
        standing.forget(&leaving);
        let mut report = SwapReport::of(before, &freed, &leaving);
        if !stays || !leaving.is_empty() {
            self.board.state(SlotState::Loading);
        }
        let loading = Instant::now();
        self.load_all(to).await?;
        let after = self.look_patiently().await?;
        if !after.has(&to.model) {
            return Err(SlotError::PushedOut {
                model: to.model.clone(),
            });
        }
        report.load_ms = millis_since(loading);
        report.loaded = to.models().into_iter().collect();
        standing
            .preloaded
            .retain(|model| !report.loaded.contains(model));
        standing.holding = Some(match kept {
            Some(former) => former.passed_to(to.clone()),
            None => Holding::new(to.clone()),
        });
        Ok(report)
    }

    /// Brings the former holder back after a change that failed, or nobody.
    async fn take_back(&self, standing: &mut Standing, former: Option<Arc<Holding>>) {
        standing.holding = None;
        let stay = match &former {
            Some(former) => former.occupant.models(),
            None => standing.preloaded.clone(),
        };
        let leaving = standing.others([stay, self.protections.models()]);
        let look = self.look().await.unwrap_or_default();
        if !leaving.is_empty() {
            self.board.state(SlotState::Unloading);
        }
        if let Err(error) = self.unload(&leaving, &look).await {
            // No other model may be loaded beside what does not leave.
            tracing::warn!(%error, "a model that was loaded in vain does not leave");
            return;
        }
        standing.forget(&leaving);
        let Some(former) = former else { return };
        self.board.state(SlotState::Loading);
        let occupant = &former.occupant;
        let foreign = |model: &ModelName| *model != occupant.model && look.has(model);
        let again = occupant
            .models()
            .into_iter()
            .filter(|model| !foreign(model));
        standing.ours.extend(again);
        let loaded = self.load_all(occupant).await;
        let there = match loaded {
            Ok(()) => self
                .look_patiently()
                .await
                .map(|look| look.has(&occupant.model)),
            Err(error) => Err(error),
        };
        match there {
            Ok(true) => standing.holding = Some(former),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the former model does not come back"),
        }
    }
}
