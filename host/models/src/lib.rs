//! Models: what turns text into vectors, and the model server with the GPU that its models share.
//!
//! Three parts. **Embedders** behind the trait [`Embedder`]: [`StaticEmbedder`], built into the binary so that everything
//! works on a bare machine, and [`OllamaEmbedder`], which asks a model server. **The client** [`ModelServer`], a thin typed
//! layer over Ollama's protocol. **The slot** [`Slot`], the only one who loads and unloads models for profiles, with the
//! memory of the GPUs as NVIDIA's driver tells it ([`GpuReader`]).
//!
//! No clock and no file here: the time comes from a `Clock` or from tokio's timers, what the slot must remember goes to
//! a [`RecordStore`], and nothing is spawned: the server runs the slot's [`SlotActor`]. Everything works without a GPU and
//! without a model server.

mod embedder;
mod error;
mod gpu;
mod name;
mod ollama_embedder;
mod server;
mod slot;
mod static_embedder;
#[cfg(test)]
mod testing;

pub use embedder::{Embedder, NoVector, Vectored};
pub use error::{EmbedError, ServerError, SlotError};
pub use gpu::{
    Gpu, GpuProcess, GpuReader, NvmlGpus,
    history::{GpuFigures, GpuSample},
};
pub use name::{ModelName, NameError, ProfileId};
pub use ollama_embedder::OllamaEmbedder;
pub use server::{
    AddressError, Answer, AnswerEnd, KeepAlive, KnownModel, ModelServer, Network, Piece, Prompt,
    Reply, Resident, RunOptions, ServerAddress, ServerLimits, Transport, TransportError,
};
pub use slot::{
    Activation, Lease, MemoryRecords, ModelUse, Occupant, Protection, RecordStore, Slot, SlotActor,
    SlotLimits, SlotParts, SlotRecord, SlotState, SlotView, SwapReport, Vram, VramModel,
};
pub use static_embedder::{MAX_TOKENS, StaticEmbedder};
