//! Models: what turns text into vectors.
//!
//! Today one embedder, [`StaticEmbedder`], built into the binary so that everything works on a bare
//! machine. Calls are synchronous and CPU-bound: an async caller moves them to a blocking thread. There
//! is no I/O here, no clock and no network; the model is data compiled in (`data/README.md` tells how
//! it was made and under which licence).

mod error;
mod static_embedder;

pub use error::EmbedError;
pub use static_embedder::{MAX_TOKENS, StaticEmbedder};
