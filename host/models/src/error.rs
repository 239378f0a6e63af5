//! What can go wrong with an embedding, named by what the caller can do about it.

/// Why texts have no vectors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// The text at this zero-based position of the batch is empty or holds no known word: leave its
    /// row out, or give it a text. The first such position is reported.
    #[error("the text at position {position} is empty or holds no word that the model knows")]
    EmptyText {
        /// Zero-based position in the batch.
        position: usize,
    },
    /// The model compiled into this binary does not load: the build is damaged, no retry helps.
    #[error("the built-in embedding model does not load ({reason}); rebuild from a clean checkout")]
    DamagedModel {
        /// What the loader found.
        reason: String,
    },
}
