//! What can go wrong with models, named by what the caller can do about it: one enum for vectors, one for the
//! model server, one for the slot.
//!
//! All of them are values that can be copied, since one failure is told to everybody who waits for the same swap.
//! Texts of the model server are cut short; a text that was to be embedded is in none of them.

use std::time::Duration;

use crate::{ModelName, ProfileId};

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
    /// The model cannot make a vector of the text at this position, and could of the others.
    #[error("the model makes no vector of the text at position {position}: {reason}")]
    Rejected {
        /// Zero-based position in the batch.
        position: usize,
        /// What the model server says.
        reason: String,
    },
    /// The model compiled into this binary does not load: the build is damaged, no retry helps.
    #[error("the built-in embedding model does not load ({reason}); rebuild from a clean checkout")]
    DamagedModel {
        /// What the loader found.
        reason: String,
    },
    /// Another model has come under the name since this embedder was opened: open it again, and rebuild what was
    /// made with the former.
    #[error(
        "the model server has another model under the name `{model}` than before; its vectors cannot be compared with earlier ones"
    )]
    ModelChanged {
        /// Whose content has changed.
        model: ModelName,
    },
    /// The model answers with vectors of another length than before, or of none.
    #[error("model `{model}` makes vectors of {found} components where {expected} are wanted")]
    WrongDimension {
        /// Which model.
        model: ModelName,
        /// Length that this embedder promises.
        expected: usize,
        /// Length that came.
        found: usize,
    },
    /// The model server says of the model that it makes no embeddings: name another.
    #[error("model `{model}` makes no embeddings; name an embedding model")]
    NoEmbeddings {
        /// Which model.
        model: ModelName,
    },
    /// The model server did not do its part.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Why the model server did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Nobody answers: start the server or name another, and try again.
    #[error("the model server at {address} does not answer ({reason})")]
    Away {
        /// Where it was looked for, without credentials.
        address: String,
        /// What the connection says.
        reason: String,
    },
    /// The server does not have the model: pull it.
    #[error("the model server has no model `{model}`; run `ollama pull {model}`")]
    MissingModel {
        /// Which.
        model: ModelName,
    },
    /// Too many requests wait there already: try again later.
    #[error("the queue of the model server is full")]
    Busy {
        /// What the server says.
        message: String,
    },
    /// It took too long.
    #[error("the model server took more than {} s to {what}", .limit.as_secs_f32())]
    Slow {
        /// What it was asked for.
        what: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// The request does not suit the server or the model: change it.
    #[error("the model server refuses the request ({status}): {message}")]
    Refused {
        /// HTTP status, 400 to 499.
        status: u16,
        /// What the server says.
        message: String,
    },
    /// The server failed, at loading a model for instance.
    #[error("the model server failed {}: {message}", when(*.status))]
    Failed {
        /// HTTP status, 500 to 599; 200 when an answer failed half-way.
        status: u16,
        /// What the server says.
        message: String,
    },
    /// The connection ended in the middle of an answer.
    #[error("the answer of the model server broke off")]
    Cut,
    /// The answer is none of this protocol: is it a model server?
    #[error("the model server answers what is not understood: {reason}")]
    Garbled {
        /// What was found.
        reason: String,
    },
}

/// A status of success is that of an answer which began well.
fn when(status: u16) -> String {
    match status {
        200 => "in the middle of its answer".to_owned(),
        status => format!("({status})"),
    }
}

impl ServerError {
    /// After how long another try makes sense; none when the request or the model has to change first.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Away { .. } => Some(Duration::from_secs(10)),
            Self::Busy { .. } | Self::Cut => Some(Duration::from_secs(2)),
            Self::Slow { .. } => Some(Duration::from_secs(5)),
            Self::MissingModel { .. }
            | Self::Refused { .. }
            | Self::Failed { .. }
            | Self::Garbled { .. } => None,
        }
    }
}

/// Why the slot did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// As many different requests wait as may: try again later.
    #[error("{limit} requests for the GPU slot wait already")]
    QueueFull {
        /// How many may wait.
        limit: usize,
    },
    /// Another profile holds the slot, so there is nothing for this one to give back.
    #[error("profile `{holder}` holds the GPU slot")]
    HeldByOther {
        /// Who holds it.
        holder: ProfileId,
    },
    /// The profile is not the one whose model is loaded: activate it first.
    #[error("profile `{profile}` is not active")]
    NotActive {
        /// Who asked.
        profile: ProfileId,
    },
    /// The slot is being given to somebody: try again when that is done.
    #[error("the GPU slot is changing hands")]
    Changing,
    /// The model is needed by a profile that holds the slot, or for an index: deactivate or wait first.
    #[error("model `{model}` is in use by {by}")]
    InUse {
        /// Which model.
        model: ModelName,
        /// By whom, in words.
        by: String,
    },
    /// The slot holds a model that answers already, and no second one is loaded beside it.
    #[error("the GPU slot holds `{holds}`; `{model}` is not loaded beside it")]
    Occupied {
        /// What the slot holds.
        holds: ModelName,
        /// What was to be loaded.
        model: ModelName,
    },
    /// All who waited for the change have gone, or its task was cancelled.
    #[error("the change of the GPU slot was cancelled")]
    Cancelled,
    /// The model server still has the model after the deadline: somebody uses it.
    #[error("the model server still holds `{model}` {} s after it was told to unload it", .limit.as_secs_f32())]
    NotUnloaded {
        /// Which model.
        model: ModelName,
        /// How long it had.
        limit: Duration,
    },
    /// The model was loaded and is not resident: there is too little memory, or somebody else pushed it out.
    #[error(
        "`{model}` was loaded and is gone again; there is too little memory for all that is asked of the model server"
    )]
    PushedOut {
        /// Which model.
        model: ModelName,
    },
    /// The holder's model is not in memory any more, and the slot has not unloaded it. Nobody holds the slot now.
    #[error(
        "`{model}` has left the model server's memory: nobody used it for a while, somebody unloaded it, or the server was started again"
    )]
    Lost {
        /// Which model.
        model: ModelName,
    },
    /// What the slot is about to do could not be written down, so it was not done.
    #[error("the GPU slot's record cannot be kept: {reason}")]
    Record {
        /// What the store says.
        reason: String,
    },
    /// The host stops.
    #[error("the GPU slot is closed: the host stops")]
    Closed,
    /// The model server did not do its part.
    #[error(transparent)]
    Server(#[from] ServerError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_in_an_answer_is_not_told_by_a_status_of_success() {
        let failed = |status| ServerError::Failed {
            status,
            message: "out of memory".to_owned(),
        };
        let told = failed(500).to_string();
        assert_eq!(told, "the model server failed (500): out of memory");
        let told = failed(200).to_string();
        assert!(
            !told.contains("200") && told.contains("in the middle"),
            "{told}"
        );
    }
}
