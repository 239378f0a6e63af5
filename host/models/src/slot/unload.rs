//! Taking models out of memory, and waiting until they are.
//!
//! The server answers an unload at once and means that it was asked. The model leaves its list when its last request has
//! ended, and the memory of the GPU is free another moment later; whoever loads before that finds too little. So two
//! waits follow, each with a deadline: until the list does not name the model, then until the driver says that the
//! memory is free. Ollama itself takes three quarters of a model's size for proof, and so does this.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::{self, Instant};

use super::{
    job::Work,
    look::{Look, millis_since},
};
use crate::{ModelName, ServerError, SlotError, gpu};

/// Between two requests to unload the same model: a request of somebody else in between would keep it.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// What left memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Freed {
    /// Bytes on GPUs, as the server said before.
    pub(super) bytes: u64,
    /// Bytes by which less is taken on the GPUs, as the driver says.
    pub(super) gpu_bytes: Option<u64>,
    /// Whether the driver says that they are free.
    pub(super) returned: Option<bool>,
    /// Milliseconds until then.
    pub(super) millis: u64,
}

impl Work {
    /// Unloads models and waits until they and their memory are gone. Memory that is not back in time is told and is no
    /// error: somebody else may have taken it.
    pub(super) async fn unload(
        &self,
        models: &BTreeSet<ModelName>,
        before: &Look,
    ) -> Result<Freed, SlotError> {
        if models.is_empty() {
            return Ok(Freed::default());
        }
        let began = Instant::now();
        self.ask_to_leave(models).await?;
        self.wait_until_unlisted(models).await?;
        let (_, bytes) = before.bytes_of(models);
        let used = before.used_bytes();
        let returned = match used {
            Some(used) if bytes > 0 => Some(self.wait_for_memory(used, bytes).await),
            _ => None,
        };
        let used_now = gpu::used_bytes(&gpu::read(&self.gpus).await);
        let less = used
            .zip(used_now)
            .map(|(then, now)| then.saturating_sub(now));
        Ok(Freed {
            bytes,
            gpu_bytes: less,
            returned,
            millis: millis_since(began),
        })
    }

    async fn ask_to_leave(&self, models: &BTreeSet<ModelName>) -> Result<(), SlotError> {
        for model in models {
            match self.server.unload(model).await {
                // Deleted from disk while in memory: it leaves by its own clock, if in time.
                Ok(()) | Err(ServerError::MissingModel { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn wait_until_unlisted(&self, models: &BTreeSet<ModelName>) -> Result<(), SlotError> {
        let limit = self.limits.unload;
        let (mut asked, mut pauses) = (Instant::now(), self.pauses());
        let until = asked + limit;
        loop {
            let look = self.look().await;
            let left = match &look {
                Ok(look) => models.iter().find(|model| look.has(model)),
                Err(_) => models.first(),
            };
            let Some(left) = left else { return Ok(()) };
            if Instant::now() >= until {
                return Err(match look {
                    Err(error) => error.into(),
                    Ok(_) => SlotError::NotUnloaded {
                        model: left.clone(),
                        limit,
                    },
                });
            }
            if asked.elapsed() >= ASK_AGAIN {
                // If nobody answers, the next look tells.
                let _ = self.ask_to_leave(models).await;
                asked = Instant::now();
            }
            pauses.pause().await;
        }
    }

    /// Whether the memory that models took is free in time.
    async fn wait_for_memory(&self, used_before: u64, bytes: u64) -> bool {
        let enough = used_before.saturating_sub(bytes / 4 * 3);
        let mut pauses = self.pauses();
        let freed = async {
            loop {
                let gpus = gpu::read(&self.gpus).await;
                if gpu::used_bytes(&gpus).is_some_and(|used| used <= enough) {
                    return;
                }
                pauses.pause().await;
            }
        };
        time::timeout(self.limits.memory, freed).await.is_ok()
    }
}
