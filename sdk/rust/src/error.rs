//! Why a plugin declines to answer.
//!
//! A declared error is data: the host records it and goes on. A panic, by contrast, traps and counts
//! as an incident of the plugin.

/// A plugin's refusal; the text is for the person who reads the host's log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The input, or a setting, contradicts itself or the contract.
    #[error("invalid input: {0}")]
    InvalidInput(String),
    /// The input is valid and the plugin does not handle it.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// [`Error::InvalidInput`] with this text.
    pub fn invalid_input(text: impl Into<String>) -> Self {
        Self::InvalidInput(text.into())
    }

    /// [`Error::Unsupported`] with this text.
    pub fn unsupported(text: impl Into<String>) -> Self {
        Self::Unsupported(text.into())
    }

    /// [`Error::Other`] with this text.
    pub fn other(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }
}
