//! What the workers of an ingest share with the one who started it: counters and the wish to stop.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{IngestError, IngestProgress};

/// What an ingest's workers share with the one who started it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    /// Counters to keep.
    pub(crate) progress: Arc<IngestProgress>,
    /// Set when the work is no longer wanted.
    pub(crate) cancel: CancellationToken,
}

impl Watch {
    /// An error when the work is no longer wanted.
    pub(crate) fn check(&self) -> Result<(), IngestError> {
        match self.cancel.is_cancelled() {
            true => Err(IngestError::Cancelled),
            false => Ok(()),
        }
    }
}
