//! What is shown of profiles and of the slot, and figures of both.

use std::sync::atomic::Ordering;

use boathouse_models::{GpuFigures, SlotState, SlotView};
use boathouse_types::IndexName;
use serde::Serialize;

use super::{profile::Profile, search::own};
use crate::app::App;

/// A profile, with what it searches now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProfileView {
    /// As it is kept.
    #[serde(flatten)]
    pub profile: Profile,
    /// Its indexes that there are: those that it names, else those on its datasets.
    pub searches: Vec<IndexName>,
    /// Indexes that it names and that are not there any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<IndexName>,
}

impl ProfileView {
    /// A profile as it is shown now.
    pub(crate) fn of(app: &App, profile: Profile) -> Self {
        let own = own(app, &profile);
        let searches = own.indexes.iter().map(|index| index.meta.name.clone());
        Self {
            searches: searches.collect(),
            missing: own.missing,
            profile,
        }
    }
}

/// The GPU slot, and where its models are.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ActiveView {
    /// The slot.
    #[serde(flatten)]
    pub slot: SlotView,
    /// Where the model server is, without credentials.
    pub model_server: String,
}

/// The slot as it is now.
pub(crate) fn active(app: &App) -> ActiveView {
    ActiveView {
        slot: app.models.slot().view(),
        model_server: app.models.server.address(),
    }
}

/// Figures of models for `/metrics`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelFigures {
    pub(crate) profiles: u64,
    pub(crate) state: SlotState,
    /// Answers under way.
    pub(crate) answers: u64,
    /// Changes of the slot that wait.
    pub(crate) waiting: u64,
    /// Whether the model server told what it has at the last look; none before the first.
    pub(crate) server_up: Option<bool>,
    /// Bytes of models in its memory, and those of them on GPUs.
    pub(crate) resident_bytes: (u64, u64),
    pub(crate) swaps: u64,
    pub(crate) failed_swaps: u64,
    pub(crate) asked: u64,
    pub(crate) answered: u64,
    /// The GPUs at the last look.
    pub(crate) gpus: Vec<GpuFigures>,
}

/// Figures without asking the model server or a bucket.
pub(crate) fn figures(app: &App) -> ModelFigures {
    let (models, slot) = (&app.models, app.models.slot());
    let (view, counts) = (slot.view(), &models.counts);
    let sum = |bytes: fn(&boathouse_models::Resident) -> u64| view.resident.iter().map(bytes).sum();
    ModelFigures {
        profiles: models.profiles.count() as u64,
        state: view.state,
        answers: view.answers as u64,
        waiting: view.waiting as u64,
        server_up: match (&view.seen_at, &view.server_error) {
            (_, Some(_)) => Some(false),
            (Some(_), None) => Some(true),
            (None, None) => None,
        },
        resident_bytes: (sum(|one| one.size_bytes), sum(|one| one.vram_bytes)),
        swaps: counts.swaps.load(Ordering::Relaxed),
        failed_swaps: counts.failed_swaps.load(Ordering::Relaxed),
        asked: counts.asked.load(Ordering::Relaxed),
        answered: counts.answered.load(Ordering::Relaxed),
        gpus: slot
            .newest_sample()
            .map_or_else(Vec::new, |sample| sample.gpus),
    }
}
