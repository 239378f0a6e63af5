//! The GPU slot: one model that answers at a time, in the hands of one profile.
//!
//! A small GPU holds one model that answers, with an embedder beside it. The model server would keep as many as fit, and
//! swap them behind everybody's back; the slot says which one is there. [`SlotActor`] is the only writer: it does one
//! change after the other and compares what it believes with what is in memory in between. [`Slot`] is how others ask
//! for changes.
//!
//! - **A change of hands** drains answers that are under way, unloads what the next holder does not need, waits until
//!   the memory is really back, loads, and looks whether the model is there. Same model, same options: nothing is
//!   drained and nothing unloaded. An embedder that both need, or that is protected, stays.
//! - **Joined.** Requests for the same change wait together, for one that is under way too. So A B A B becomes A A B B.
//! - **Bounded and fair.** Different changes take turns in the order of their first request; only so many may wait, and
//!   each turn has a deadline ([`SlotLimits::longest_wait`]). Who waited for a profile gets a [`Lease`] with its turn, so the
//!   next change waits for the answer that this one was for.
//! - **Cancelled by leaving.** When all who wait have dropped their futures, a change that waits is forgotten, and one under
//!   way is taken back.
//! - **No lies.** A change that fails before anything was unloaded changes nothing. After that the former holder's models
//!   are loaded again; where that fails too, nobody holds the slot. What the server lost on its own (keep-alive,
//!   restart) is noticed at the next look. Models of others are shown, never unloaded.
//!
//! Never two models that answer in memory by the slot's doing: a model is loaded only after every other one that
//! [`SlotRecord`] names has left. Not here: profiles and their indexes, routes, and the answers themselves.

mod actor;
mod job;
mod lease;
mod limits;
mod look;
mod record;
mod swap;
#[cfg(test)]
mod tests;
mod unload;
mod view;

use std::{collections::BTreeSet, sync::Arc};

use boathouse_types::Clock;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

pub use actor::SlotActor;
pub use lease::{Lease, Protection};
pub use limits::SlotLimits;
pub use record::{MemoryRecords, RecordStore, SlotRecord};
pub use view::{ModelUse, SlotState, SlotView, SwapReport, Vram, VramModel};

use crate::{
    GpuReader, GpuSample, ModelName, ModelServer, ProfileId, Resident, RunOptions, SlotError, gpu,
};
use actor::{Command, Wish};
use job::Work;
use lease::Protections;
use view::Board;

/// Requests that the actor has not taken yet.
const MAILBOX: usize = 256;

/// What a profile asks of the slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Occupant {
    /// The profile.
    pub profile: ProfileId,
    /// The model that answers.
    pub model: ModelName,
    /// The model that embeds, when the model server has to.
    pub embedder: Option<ModelName>,
    /// How the model that answers is loaded; the same go with every question to it.
    #[serde(default)]
    pub options: RunOptions,
}

impl Occupant {
    /// Both models.
    fn models(&self) -> BTreeSet<ModelName> {
        let both = [Some(&self.model), self.embedder.as_ref()];
        both.into_iter().flatten().cloned().collect()
    }

    /// Whether the model that is loaded for one serves the other as it is.
    fn same_model(&self, other: &Self) -> bool {
        self.model == other.model && self.options == other.options
    }
}

/// What a slot is made of.
pub struct SlotParts {
    /// Where models are loaded.
    pub server: ModelServer,
    /// Who tells about the memory of GPUs; one that knows none when the model server is on another machine.
    pub gpus: Arc<dyn GpuReader>,
    /// What is still known after a restart.
    pub records: Arc<dyn RecordStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// All bounds.
    pub limits: SlotLimits,
}

/// A profile that has become active.
#[derive(Debug)]
pub struct Activation {
    /// What it took.
    pub report: SwapReport,
    /// For the answer that the profile was activated for; dropped when there is none. No change happens while it lives.
    pub lease: Lease,
}

/// The way to the slot. Clones lead to the same.
#[derive(Clone)]
pub struct Slot {
    commands: mpsc::Sender<Command>,
    work: Work,
}

impl Slot {
    /// A slot, and the actor that someone has to run for anything to happen.
    #[must_use]
    pub fn new(parts: SlotParts) -> (Self, SlotActor) {
        let (commands, mailbox) = mpsc::channel(MAILBOX);
        let work = Work {
            server: parts.server,
            gpus: parts.gpus,
            records: parts.records,
            limits: parts.limits,
            protections: Protections::default(),
            board: Arc::new(Board::new(parts.clock)),
        };
        let slot = Self {
            commands,
            work: work.clone(),
        };
        (slot, SlotActor::new(mailbox, work))
    }

    /// Gives the slot to a profile, or keeps it there for as long again. Answers when its model is in memory. Dropping
    /// the future takes the request back.
    ///
    /// # Errors
    /// When as many changes wait as may, a model is missing, or the change fails: then the slot is where it was, or
    /// empty.
    pub async fn activate(&self, occupant: Occupant) -> Result<Activation, SlotError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Change {
            wish: Wish::Give(occupant),
            reply,
        })
        .await?;
        let done = answer.await.map_err(|_| SlotError::Closed)??;
        let lease = done.lease.ok_or(SlotError::Closed)?;
        Ok(Activation {
            report: done.report,
            lease,
        })
    }

    /// Takes the slot from a profile: its models leave memory. Nothing to do when nobody holds it.
    ///
    /// # Errors
    /// When another profile holds it, or a model does not leave in time.
    pub async fn deactivate(&self, profile: ProfileId) -> Result<SwapReport, SlotError> {
        self.change(Wish::Clear(profile)).await
    }

    /// Brings a model into memory by its name: one that only makes embeddings at any time, one that answers while
    /// nobody holds the slot, or the holder's own.
    ///
    /// # Errors
    /// When the model is missing, the slot holds another, or the load fails.
    pub async fn preload(&self, model: ModelName) -> Result<SwapReport, SlotError> {
        self.change(Wish::Preload(model)).await
    }

    /// Takes a model out of memory by its name, whoever brought it there; the holder's own empties the slot.
    ///
    /// # Errors
    /// When it is an embedder that is needed, or does not leave in time.
    pub async fn unload(&self, model: ModelName) -> Result<SwapReport, SlotError> {
        self.change(Wish::Unload(model)).await
    }

    /// An answer begins that needs the model of a profile.
    ///
    /// # Errors
    /// When the profile does not hold the slot, or is losing it.
    pub async fn lease(&self, profile: ProfileId) -> Result<Lease, SlotError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Lease { profile, reply }).await?;
        answer.await.map_err(|_| SlotError::Closed)?
    }

    /// Keeps an embedder in memory, once it is there, until the value is dropped.
    #[must_use]
    pub fn protect(&self, embedder: ModelName) -> Protection {
        self.work.protections.protect(embedder)
    }

    /// The slot now.
    #[must_use]
    pub fn view(&self) -> SlotView {
        self.work.board.view()
    }

    /// Tells of every change of the view.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<SlotView> {
        self.work.board.subscribe()
    }

    /// The GPUs at the last look; none without any.
    #[must_use]
    pub fn newest_sample(&self) -> Option<GpuSample> {
        self.work.board.newest_sample()
    }

    /// What is in the memory of the GPUs, looked at now. The list of models is the last one when the server does not
    /// tell in time.
    pub async fn vram(&self) -> Vram {
        let (gpus, resident) =
            tokio::join!(gpu::read(&self.work.gpus), self.work.server.resident());
        let view = self.view();
        let (resident, server_error) = match resident {
            Ok(resident) => (resident, None),
            Err(error) => (view.resident, Some(error.to_string())),
        };
        let protected = self.work.protections.models();
        let used_as = |model: &Resident| {
            let embeds = view
                .holder
                .as_ref()
                .and_then(|holder| holder.embedder.as_ref());
            match &view.holder {
                Some(holder) if model.is(&holder.model) => ModelUse::Slot,
                _ if embeds
                    .into_iter()
                    .chain(&protected)
                    .any(|one| model.is(one)) =>
                {
                    ModelUse::Embedder
                }
                _ => ModelUse::Other,
            }
        };
        Vram {
            models_bytes: resident.iter().map(|model| model.vram_bytes).sum(),
            models: resident
                .into_iter()
                .map(|model| VramModel {
                    used_as: used_as(&model),
                    model,
                })
                .collect(),
            gpus,
            server_error,
            history: self.work.board.samples(),
        }
    }

    async fn change(&self, wish: Wish) -> Result<SwapReport, SlotError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Change { wish, reply }).await?;
        let done = answer.await.map_err(|_| SlotError::Closed)??;
        Ok(done.report)
    }

    async fn send(&self, command: Command) -> Result<(), SlotError> {
        let sent = self.commands.send(command).await;
        sent.map_err(|_| SlotError::Closed)
    }
}
