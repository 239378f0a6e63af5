//! The built-in embedder: a table of token vectors, looked up and averaged.
//!
//! A text becomes lower-cased word pieces, each piece has a row of 256 eight-bit numbers and a scale,
//! and the text's vector is the mean of its rows, scaled to length one. The table was distilled from
//! all-MiniLM-L6-v2 (`tools/distill`); `model2vec-rs` tokenizes and sums.
//!
//! Invariants: the same text gives the same bits whatever stands beside it in the batch and however
//! many threads there are; every vector that is handed out has length one; a text without any known
//! word gives no vector, never a zero one. Word order does not matter, and neither does anything after
//! the first [`MAX_TOKENS`] tokens. The model reads English; other languages pass through letter by
//! letter and should not be trusted.

use std::sync::{Arc, OnceLock};

use boathouse_types::Dimension;
use model2vec_rs::model::StaticModel;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{EmbedError, Embedder, NoVector, embedder::Vectored};

/// How much of a text counts, in tokens. The text is first cut to this many times the vocabulary's
/// median token length in characters (about 3,000), so that a huge text costs no more than a long one.
pub const MAX_TOKENS: usize = 512;

/// The fewest texts worth handing to another thread: about 100 microseconds of work.
const TEXTS_PER_JOB: usize = 16;

static TOKENIZER: &[u8] = include_bytes!("../data/tokenizer.json");
static TABLE: &[u8] = include_bytes!("../data/model.safetensors");
static CONFIG: &[u8] = include_bytes!("../data/config.json");

/// The `static` embedder. Clones share one loaded model.
#[derive(Debug, Clone)]
pub struct StaticEmbedder {
    model: StaticModel,
    dimension: Dimension,
    digest: Arc<str>,
}

impl StaticEmbedder {
    /// The model compiled into this binary, loaded on the first call and shared by all later ones.
    ///
    /// # Errors
    /// [`EmbedError::DamagedModel`] when the compiled-in data does not load.
    pub fn bundled() -> Result<Self, EmbedError> {
        static LOADED: OnceLock<Result<StaticEmbedder, EmbedError>> = OnceLock::new();
        LOADED
            .get_or_init(|| Self::from_data(TOKENIZER, TABLE, CONFIG))
            .clone()
    }

    /// The name by which an index asks for this embedder.
    #[must_use]
    pub fn name(&self) -> &'static str {
        "static"
    }

    /// Length of every vector.
    #[must_use]
    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// SHA-256, in lower-case hex, over the bytes of `tokenizer.json`, `model.safetensors` and
    /// `config.json` in that order. Vectors are comparable exactly when this is equal.
    #[must_use]
    pub fn model_digest(&self) -> &str {
        &self.digest
    }

    /// One unit vector a text, in order. CPU-bound; spreads over the current rayon pool.
    ///
    /// # Errors
    /// [`EmbedError::EmptyText`] names the first text that is empty or holds no known word.
    pub fn embed<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.embed_each(texts)
            .into_iter()
            .enumerate()
            .map(|(position, vector)| vector.ok_or(EmbedError::EmptyText { position }))
            .collect()
    }

    /// Like [`embed`](Self::embed), but a text that is empty or holds no known word gives `None` in
    /// its place, for a caller that leaves such rows out and counts them.
    pub fn embed_each<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Vec<Option<Vec<f32>>> {
        texts
            .par_iter()
            .with_min_len(TEXTS_PER_JOB)
            .map(|text| self.embed_text(text.as_ref()))
            .collect()
    }

    fn embed_text(&self, text: &str) -> Option<Vec<f32>> {
        let vector = self.model.encode_single(text);
        // Without a single known token the mean is over nothing and the model answers with zeros.
        vector.iter().any(|&value| value != 0.0).then_some(vector)
    }

    /// Loads the three files of a model in model2vec's layout.
    fn from_data(tokenizer: &[u8], table: &[u8], config: &[u8]) -> Result<Self, EmbedError> {
        let damaged = |reason: String| EmbedError::DamagedModel { reason };
        let model = StaticModel::from_bytes(tokenizer, table, config, Some(true))
            .map_err(|error| damaged(format!("{error:#}")))?;
        let dimension = u32::try_from(model.dim())
            .map_err(|error| damaged(error.to_string()))
            .and_then(|n| Dimension::new(n).map_err(|error| damaged(error.to_string())))?;
        let digest = Sha256::new()
            .chain_update(tokenizer)
            .chain_update(table)
            .chain_update(config)
            .finalize();
        Ok(Self {
            model,
            dimension,
            digest: format!("{digest:x}").into(),
        })
    }
}

impl Embedder for StaticEmbedder {
    fn name(&self) -> &str {
        self.name()
    }

    fn dimension(&self) -> Dimension {
        self.dimension()
    }

    fn model_digest(&self) -> &str {
        self.model_digest()
    }

    fn embed_each(&self, texts: &[&str]) -> Result<Vec<Vectored>, EmbedError> {
        let each = self.embed_each(texts).into_iter();
        Ok(each.map(|vector| vector.ok_or(NoVector::Empty)).collect())
    }
}

#[cfg(test)]
mod tests;
