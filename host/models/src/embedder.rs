//! The seam between texts and vectors: what every embedder promises, whatever makes its vectors.
//!
//! Calls block, on the processor or on a model server: an async caller moves them to a blocking thread. Vectors of two
//! embedders can be compared exactly when their digests are equal; names alone do not tell.

use std::fmt;

use boathouse_types::Dimension;

use crate::EmbedError;

/// Why one text of a batch has no vector although the others have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoVector {
    /// It is empty, or holds no word that the model knows.
    Empty,
    /// The model cannot do with it; the words are the model server's.
    Rejected(String),
}

impl NoVector {
    /// As the error of a batch in which this text is not to be left out.
    #[must_use]
    pub fn at(self, position: usize) -> EmbedError {
        match self {
            Self::Empty => EmbedError::EmptyText { position },
            Self::Rejected(reason) => EmbedError::Rejected { position, reason },
        }
    }
}

/// What becomes of one text.
pub type Vectored = Result<Vec<f32>, NoVector>;

/// Turns texts into vectors.
pub trait Embedder: fmt::Debug + Send + Sync {
    /// The name by which an index asks for this embedder.
    fn name(&self) -> &str;

    /// Length of every vector.
    fn dimension(&self) -> Dimension;

    /// What tells models apart. Vectors are comparable exactly when this is equal.
    fn model_digest(&self) -> &str;

    /// A vector of length one for each text, in order, or why there is none. Blocks.
    ///
    /// # Errors
    /// When no text could be embedded for a reason that is not the text's.
    fn embed_each(&self, texts: &[&str]) -> Result<Vec<Vectored>, EmbedError>;

    /// As [`embed_each`](Self::embed_each), for a caller that needs all of them. Blocks.
    ///
    /// # Errors
    /// As there; and the first text that has no vector.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let each = self.embed_each(texts)?.into_iter().enumerate();
        each.map(|(position, vector)| vector.map_err(|missing| missing.at(position)))
            .collect()
    }
}
