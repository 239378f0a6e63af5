//! What the slot shows: its state, what a change did, and what is in memory.
//!
//! A view is a picture of a moment. It informs people and never decides about a change: whoever wants something asks the
//! slot, which looks again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use boathouse_types::{Clock, Timestamp};
use serde::Serialize;
use tokio::sync::watch;

use super::{Occupant, lease::Gauge};
use crate::{Gpu, GpuSample, ModelName, ProfileId, Resident, gpu::history::History};

/// What the slot is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SlotState {
    /// Nobody holds it, and no model is in memory by its doing but those that were preloaded by name.
    #[default]
    Empty,
    /// A model is being loaded.
    Loading,
    /// A profile holds it and its model is in memory.
    Ready,
    /// Answers that are under way are waited for.
    Draining,
    /// Models are leaving memory.
    Unloading,
    /// Nobody holds it, and models may still be in memory by its doing; they go as soon as the server lets them.
    Failed,
}

/// The slot at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SlotView {
    /// What it is doing.
    pub state: SlotState,
    /// Since when it does that.
    pub since: Option<Timestamp>,
    /// Who holds it; while it changes hands, who held it.
    pub holder: Option<Occupant>,
    /// To whom it is being given.
    pub next: Option<ProfileId>,
    /// Answers that are under way; counted when [`Slot::view`](crate::Slot::view) is asked, 0 in what a subscription
    /// tells.
    pub answers: usize,
    /// Changes that wait for their turn.
    pub waiting: usize,
    /// What was in the server's memory when it was last seen.
    pub resident: Vec<Resident>,
    /// When that was.
    pub seen_at: Option<Timestamp>,
    /// Why the server was not seen since.
    pub server_error: Option<String>,
    /// Why the last change failed, or why the last holder lost the slot.
    pub last_error: Option<String>,
}

/// What a change did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SwapReport {
    /// The model that answered before.
    pub model_before: Option<ModelName>,
    /// The model that answers now.
    pub model_after: Option<ModelName>,
    /// Models that left memory.
    pub unloaded: Vec<ModelName>,
    /// Bytes that these took on the GPU, as the model server said.
    pub freed_bytes: u64,
    /// Bytes by which less is taken on the GPUs since, as the driver says; none without a driver.
    pub gpu_freed_bytes: Option<u64>,
    /// Whether the memory was seen to be free again before anything was loaded; none where no driver tells or nothing
    /// was on a GPU.
    pub memory_returned: Option<bool>,
    /// Models that were brought into memory, or kept there for as long again.
    pub loaded: Vec<ModelName>,
    /// Bytes that these take, wherever they are.
    pub loaded_bytes: u64,
    /// Whether the model that answers is wholly on the GPU; none where the server does not tell.
    pub wholly_on_gpu: Option<bool>,
    /// Memory that was taken on all GPUs before, in bytes.
    pub gpu_used_before_bytes: Option<u64>,
    /// Memory that is taken on all GPUs now, in bytes.
    pub gpu_used_after_bytes: Option<u64>,
    /// Answers that were waited for.
    pub drained: usize,
    /// Answers that were told to stop.
    pub stopped: usize,
    /// Milliseconds until these had ended.
    pub drain_ms: u64,
    /// Milliseconds until models had left and their memory was back.
    pub unload_ms: u64,
    /// Milliseconds until the others were loaded.
    pub load_ms: u64,
    /// Milliseconds of all of it, without the wait for a turn.
    pub total_ms: u64,
}

/// What a model is in memory for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelUse {
    /// It answers for who holds the slot.
    Slot,
    /// It embeds for who holds the slot, or for an index.
    Embedder,
    /// Nobody of this host needs it.
    Other,
}

/// A model in memory and what for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct VramModel {
    /// The model.
    #[serde(flatten)]
    pub model: Resident,
    /// What it is there for.
    pub used_as: ModelUse,
}

/// The memory of the GPUs, and the models in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Vram {
    /// The GPUs of this machine; empty without a driver.
    pub gpus: Vec<Gpu>,
    /// The models in the model server's memory.
    pub models: Vec<VramModel>,
    /// Bytes that these have on GPUs, as the model server says.
    pub models_bytes: u64,
    /// Why the model server does not tell now; the models are those that were seen last then.
    pub server_error: Option<String>,
    /// The last hour, oldest first.
    pub history: Vec<GpuSample>,
}

/// Where the slot writes what it shows. Only the slot's actor and its one job, which it polls itself, write.
#[derive(Debug)]
pub(super) struct Board {
    view: watch::Sender<SlotView>,
    clock: Arc<dyn Clock>,
    history: Mutex<History>,
    /// Counts the answers of who holds the slot.
    gauge: Mutex<Option<Arc<Gauge>>>,
}

impl Board {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let view = SlotView {
            since: Some(clock.now()),
            ..SlotView::default()
        };
        Self {
            view: watch::Sender::new(view),
            clock,
            history: Mutex::default(),
            gauge: Mutex::default(),
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<SlotView> {
        self.view.subscribe()
    }

    pub(super) fn view(&self) -> SlotView {
        let mut view = self.view.borrow().clone();
        let gauge = self.gauge.lock().unwrap_or_else(PoisonError::into_inner);
        view.answers = gauge.as_ref().map_or(0, |gauge| gauge.answers());
        view
    }

    pub(super) fn current_state(&self) -> SlotState {
        self.view.borrow().state
    }

    /// Whose answers are counted from now on.
    pub(super) fn counts(&self, gauge: Option<Arc<Gauge>>) {
        *self.gauge.lock().unwrap_or_else(PoisonError::into_inner) = gauge;
    }

    /// Changes what is shown; a new state begins now.
    pub(super) fn show(&self, change: impl FnOnce(&mut SlotView)) {
        let now = self.clock.now();
        self.view.send_modify(|view| {
            let before = view.state;
            change(view);
            if view.state != before {
                view.since = Some(now);
            }
        });
    }

    pub(super) fn state(&self, state: SlotState) {
        self.show(|view| view.state = state);
    }

    /// What is in memory, seen now.
    pub(super) fn seen(&self, resident: &[Resident]) {
        let now = self.clock.now();
        self.show(|view| {
            view.resident = resident.to_vec();
            view.seen_at = Some(now);
            view.server_error = None;
        });
    }

    pub(super) fn sample(&self, gpus: &[Gpu]) {
        self.history().add(self.clock.now(), gpus);
    }

    pub(super) fn samples(&self) -> Vec<GpuSample> {
        self.history().samples()
    }

    pub(super) fn newest_sample(&self) -> Option<GpuSample> {
        self.history().newest().cloned()
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
