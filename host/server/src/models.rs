//! Models: profiles, the GPU slot that they share, and the embedders of indexes.
//!
//! A profile binds a model that answers to what it may search (`models/profile.rs`); profiles are a small document in
//! `primary` (`models/profiles.rs`). One of them at a time holds the GPU slot (`models/activate.rs`), which the models
//! room runs and this module keeps running (`models/running.rs`). A profile searches its own indexes only
//! (`models/search.rs`), and its model answers from what is found (`models/ask.rs`). `models/embedders.rs` is who turns texts
//! into vectors.
//!
//! Everything works without a GPU and without a model server: indexes with the built-in embedder never ask it, and what
//! does is refused with 503 until it answers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use boathouse_models::{
    Gpu, GpuReader, ModelName, ModelServer, NvmlGpus, OllamaEmbedder, ProfileId, Protection,
    RecordStore, ServerAddress, ServerError, Slot, SlotActor, SlotLimits, SlotParts, SlotState,
    StaticEmbedder,
};
use boathouse_storage::Bucket;
use boathouse_types::Clock;

use crate::{indexes::Indexes, problem::Problem};

mod activate;
mod ask;
mod config;
mod documents;
mod embedders;
mod profile;
mod profiles;
mod prompt;
mod records;
mod running;
mod search;
mod view;

pub(crate) use activate::{ACTIVATE, activate, deactivate, preload, unload};
pub use activate::{Activated, Warmed};
pub use ask::{AskRequest, Citation};
pub(crate) use ask::{Told, ask};
pub use config::ModelsConfig;
pub use documents::ProfileDocument;
pub(crate) use documents::document;
pub(crate) use embedders::Embedders;
pub use profile::{Profile, ProfileChange, ProfileSpec};
use profiles::Profiles;
pub use prompt::Source;
pub(crate) use running::start;
pub use search::{MergedBy, ProfileHit, ProfileSearch, ProfileSearchAnswer, SearchedIndex};
pub(crate) use search::{for_profile, search};
pub use view::{ActiveView, ProfileView};
pub(crate) use view::{ModelFigures, active, figures};

/// Models, profiles and the slot of a host.
pub struct Models {
    /// Who turns texts into vectors.
    pub(crate) embedders: Embedders,
    /// Model profiles.
    pub(crate) profiles: Profiles,
    server: ModelServer,
    gpus: Arc<dyn GpuReader>,
    records: Arc<dyn RecordStore>,
    clock: Arc<dyn Clock>,
    limits: SlotLimits,
    /// Another one after its actor has panicked.
    slot: ArcSwap<Slot>,
    /// Taken by who runs it.
    actor: Mutex<Option<SlotActor>>,
    /// Models that indexes embed with.
    protected: Mutex<BTreeMap<ModelName, Protection>>,
    /// Profiles that somebody is activating, with how often.
    activating: Mutex<BTreeMap<ProfileId, usize>>,
    counts: Counts,
}

/// What was done since the start of the host.
#[derive(Default)]
pub(super) struct Counts {
    swaps: AtomicU64,
    failed_swaps: AtomicU64,
    asked: AtomicU64,
    answered: AtomicU64,
}

/// What models are opened with.
pub(crate) struct ModelsParts<'a> {
    pub(crate) config: &'a ModelsConfig,
    pub(crate) address: ServerAddress,
    pub(crate) primary: &'a Bucket,
    /// The name of this host.
    pub(crate) host: &'a str,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) built_in: StaticEmbedder,
    pub(crate) gpus: Arc<dyn GpuReader>,
}

/// The GPUs that a model server at an address uses: those of this machine, or none that can be seen. Blocks.
pub(crate) fn gpus_of(address: &ServerAddress) -> Arc<dyn GpuReader> {
    match address.is_local() {
        true => Arc::new(NvmlGpus::open()),
        false => Arc::new(FarAway),
    }
}

/// GPUs of another machine.
#[derive(Debug)]
struct FarAway;

impl GpuReader for FarAway {
    fn read(&self) -> Vec<Gpu> {
        Vec::new()
    }
}

/// A profile that somebody is activating, until this is dropped.
struct Activating<'a> {
    models: &'a Models,
    profile: ProfileId,
}

impl Models {
    /// Opens everything; asks no server and reads no bucket.
    ///
    /// # Errors
    /// When no client of the model server can be made.
    pub(crate) fn open(parts: ModelsParts<'_>) -> Result<Self, ServerError> {
        let server = ModelServer::at(parts.address, parts.config.server_limits())?;
        let records: Arc<dyn RecordStore> =
            Arc::new(records::Records::new(parts.primary, parts.host));
        let limits = parts.config.slot_limits();
        let (slot, actor) = Slot::new(SlotParts {
            server: server.clone(),
            gpus: Arc::clone(&parts.gpus),
            records: Arc::clone(&records),
            clock: Arc::clone(parts.clock),
            limits,
        });
        Ok(Self {
            embedders: Embedders::new(parts.built_in, server.clone()),
            profiles: Profiles::new(parts.primary),
            server,
            gpus: parts.gpus,
            records,
            clock: Arc::clone(parts.clock),
            limits,
            slot: ArcSwap::from_pointee(slot),
            actor: Mutex::new(Some(actor)),
            protected: Mutex::default(),
            activating: Mutex::default(),
            counts: Counts::default(),
        })
    }

    /// The GPU slot.
    pub(crate) fn slot(&self) -> Slot {
        self.slot.load().as_ref().clone()
    }

    /// What is under way on the accelerator, in words: an answer, or a change of the slot.
    pub(crate) fn under_way(&self) -> Option<String> {
        let view = self.slot().view();
        let changes = view.next.is_some()
            || view.waiting > 0
            || matches!(
                view.state,
                SlotState::Loading | SlotState::Draining | SlotState::Unloading
            );
        if changes {
            return Some("a change of the GPU slot".to_owned());
        }
        let holder = view.holder.filter(|_| view.answers > 0)?;
        Some(format!("an answer of profile `{}`", holder.profile))
    }

    /// Makes a profile.
    ///
    /// # Errors
    /// 422 for one that cannot be; 409 when there is one of that id; when the bucket fails.
    pub(crate) async fn create(
        &self,
        app: &crate::app::App,
        spec: ProfileSpec,
    ) -> Result<Profile, Problem> {
        let profile = spec.into_profile(self.clock.now());
        profile.check(app).await?;
        self.profiles.add(&profile).await?;
        Ok(profile)
    }

    /// Changes a profile.
    ///
    /// # Errors
    /// As [`Self::create`]; 404; 409 `profile_active` when what is loaded would not be what it says any more.
    pub(crate) async fn change(
        &self,
        app: &crate::app::App,
        id: &ProfileId,
        change: &ProfileChange,
    ) -> Result<Profile, Problem> {
        let before = self.profiles.read(id).await?;
        let after = change.applied_to(&before, self.clock.now());
        after.check(app).await?;
        if after.occupant() != before.occupant() {
            self.check_inactive(id, "its models and options stay as they are loaded")?;
        }
        self.profiles.replace(&before, &after).await?;
        Ok(after)
    }

    /// Deletes a profile. Its indexes and its bucket stay.
    ///
    /// # Errors
    /// 404; 409 `profile_active`; when the bucket fails.
    pub(crate) async fn delete(&self, id: &ProfileId) -> Result<(), Problem> {
        self.profiles.read(id).await?;
        self.check_inactive(id, "it cannot be deleted")?;
        self.profiles.remove(id).await
    }

    /// That a profile neither holds the slot nor is on the way to it.
    fn check_inactive(&self, id: &ProfileId, so: &str) -> Result<(), Problem> {
        let view = self.slot().view();
        let holds = view.holder.is_some_and(|holder| holder.profile == *id);
        if !holds && !self.is_coming(id) {
            return Ok(());
        }
        Err(Problem::conflict(
            "profile_active",
            format!(
                "profile `{id}` is active, so {so}; `POST /vectors/profile/{id}/deactivate` (`boathouse profile deactivate {id}`) first"
            ),
        ))
    }

    /// Whether a profile is on its way to the slot, or waits for its turn.
    fn is_coming(&self, id: &ProfileId) -> bool {
        self.slot().view().next.as_ref() == Some(id) || self.activating().contains_key(id)
    }

    /// Notes that a profile is on its way to the slot.
    fn begin(&self, profile: &ProfileId) -> Activating<'_> {
        *self.activating().entry(profile.clone()).or_default() += 1;
        Activating {
            models: self,
            profile: profile.clone(),
        }
    }

    /// Keeps the models in memory that indexes embed with, and lets go of the others.
    fn protect(&self, indexes: &Indexes) {
        let indexes = indexes.list();
        let wanted: Vec<ModelName> = indexes
            .iter()
            .filter_map(|index| OllamaEmbedder::model_of(&index.meta.embedder))
            .collect();
        let (slot, mut protected) = (self.slot(), self.protected());
        protected.retain(|model, _| wanted.contains(model));
        for model in wanted {
            protected
                .entry(model)
                .or_insert_with_key(|model| slot.protect(model.clone()));
        }
    }

    /// The actor of the slot; none while somebody has it.
    fn take_actor(&self) -> Option<SlotActor> {
        let mut actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner);
        actor.take()
    }

    /// A slot in the place of one whose actor broke off. It takes over what the record tells.
    fn renew_slot(&self) -> SlotActor {
        let (slot, actor) = Slot::new(SlotParts {
            server: self.server.clone(),
            gpus: Arc::clone(&self.gpus),
            records: Arc::clone(&self.records),
            clock: Arc::clone(&self.clock),
            limits: self.limits,
        });
        self.slot.store(Arc::new(slot));
        // These were promises of the former.
        self.protected().clear();
        actor
    }

    fn protected(&self) -> MutexGuard<'_, BTreeMap<ModelName, Protection>> {
        self.protected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn activating(&self) -> MutexGuard<'_, BTreeMap<ProfileId, usize>> {
        self.activating
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Activating<'_> {
    fn drop(&mut self) {
        let mut all = self.models.activating();
        if let Some(count) = all.get_mut(&self.profile) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.profile);
            }
        }
    }
}

fn one_more(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}
