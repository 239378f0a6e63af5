//! The embedder `ollama:{model}`: vectors from a model server.
//!
//! Texts go in batches, few of them at once. One bad text fails its whole batch at the server, so a batch that fails is
//! halved until the bad one stands alone; the others get their vectors. It is the text that is bad only if the server can
//! do with others: before a batch is halved the server is asked whether the model works at all, and a batch of which
//! no text goes is the server's fault.
//!
//! Invariants: every vector has the dimension that was found when the embedder was opened, length one and finite numbers.
//! What tells models apart is the digest of the model's content, as the server tells it: a model that was pulled anew
//! under its name is noticed within [`RECHECK`], and then nothing is embedded any more. What was embedded in between is
//! found by [`check_model`](OllamaEmbedder::check_model) at the end of a long work.
//!
//! Not here: which texts need a vector, and the GPU slot. The server loads the model by itself when it is asked.

#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use boathouse_types::Dimension;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{runtime::Handle, sync::Semaphore, time::Instant};

use crate::{
    EmbedError, Embedder, ModelName, ModelServer, NoVector, ServerError, embedder::Vectored,
};

/// Texts of a request. Larger batches gain little, and lose more when one text is bad.
const BATCH: usize = 32;
/// Requests at once, over all callers of an embedder.
const AT_ONCE: usize = 2;
/// Bytes of a text that are sent; more than any embedding model's context holds, and a bound on what the server cuts up.
const MAX_TEXT: usize = 128 << 10;
/// How old the look at the model's digest may be.
const RECHECK: Duration = Duration::from_secs(30);
/// What is embedded to learn the dimension.
const PROBE: &str = "dimension";
/// How the name of such an embedder begins.
const PREFIX: &str = "ollama:";

/// The `ollama:{model}` embedder. Clones share their bound on requests.
#[derive(Debug, Clone)]
pub struct OllamaEmbedder {
    server: ModelServer,
    model: ModelName,
    name: Arc<str>,
    dimension: Dimension,
    digest: Arc<str>,
    permits: Arc<Semaphore>,
    /// When the digest was last seen to be the same.
    seen: Arc<Mutex<Instant>>,
    runtime: Handle,
}

impl OllamaEmbedder {
    /// The model that a name of an embedder means, if it begins with `ollama:` and goes on with the name of a model.
    #[must_use]
    pub fn model_of(embedder: &str) -> Option<ModelName> {
        ModelName::new(embedder.strip_prefix(PREFIX)?).ok()
    }

    /// Opens a model of a server: asks for its digest, and for one vector to learn the dimension, for which the server
    /// loads the model. To be called on the runtime whose threads will wait for vectors.
    ///
    /// # Errors
    /// When the server does not answer, has no such model, or the model makes no embeddings.
    pub async fn open(server: ModelServer, model: ModelName) -> Result<Self, EmbedError> {
        let known = server.find(&model).await?;
        let no_embeddings = || EmbedError::NoEmbeddings {
            model: model.clone(),
        };
        if known.embeds() == Some(false) {
            return Err(no_embeddings());
        }
        if known.digest.is_empty() {
            return Err(EmbedError::Server(ServerError::Garbled {
                reason: "it does not tell the digests of its models".to_owned(),
            }));
        }
        let vectors = match server.embed(&model, &[PROBE]).await {
            Err(ServerError::Refused { status: 400, .. }) => return Err(no_embeddings()),
            answer => answer?,
        };
        let components = vectors.first().map_or(0, Vec::len);
        let dimension = u32::try_from(components).ok();
        let dimension = dimension.and_then(|components| Dimension::new(components).ok());
        Ok(Self {
            name: format!("{PREFIX}{model}").into(),
            dimension: dimension.ok_or_else(no_embeddings)?,
            digest: known.digest.into(),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            seen: Arc::new(Mutex::new(Instant::now())),
            runtime: Handle::current(),
            server,
            model,
        })
    }

    /// The model that makes the vectors.
    #[must_use]
    pub fn model(&self) -> &ModelName {
        &self.model
    }

    /// A vector for each text, in order, or why there is none. As [`Embedder::embed_each`], without blocking.
    ///
    /// # Errors
    /// When the server does not do its part, or has another model under the name than before.
    pub async fn vectors(&self, texts: &[&str]) -> Result<Vec<Vectored>, EmbedError> {
        let is_old = self.last_seen().elapsed() >= RECHECK;
        if is_old {
            self.check_model().await?;
        }
        let sent = texts.iter().filter(|text| !text.trim().is_empty());
        let sent: Vec<&str> = sent.map(|text| start_of(text)).collect();
        let batches: Vec<_> = sent.chunks(BATCH).map(|batch| self.batch(batch)).collect();
        let made = stream::iter(batches).buffered(AT_ONCE);
        let made: Vec<Vec<Vectored>> = made.try_collect().await?;
        let mut made = made.into_iter().flatten();
        let each = texts.iter().map(|text| {
            if text.trim().is_empty() {
                return Err(NoVector::Empty);
            }
            // There is one for each text that was sent.
            made.next().unwrap_or(Err(NoVector::Empty))
        });
        Ok(each.collect())
    }

    /// That the server still has the model that this embedder was opened with.
    ///
    /// # Errors
    /// [`EmbedError::ModelChanged`] when it has another under the name; when it does not answer.
    pub async fn check_model(&self) -> Result<(), EmbedError> {
        let known = self.server.find(&self.model).await?;
        if known.digest != *self.digest {
            return Err(EmbedError::ModelChanged {
                model: self.model.clone(),
            });
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(())
    }

    fn last_seen(&self) -> Instant {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The vectors of a batch, which is halved while it fails for a text.
    async fn batch(&self, texts: &[&str]) -> Result<Vec<Vectored>, EmbedError> {
        let mut done: Vec<Vectored> = Vec::with_capacity(texts.len());
        // The next part is the last one here.
        let mut left = vec![texts];
        let mut first_error = None;
        while let Some(part) = left.pop() {
            let error = match self.request(part).await {
                Ok(vectors) => {
                    for vector in vectors {
                        done.push(self.checked(vector)?);
                    }
                    continue;
                }
                Err(error) => error,
            };
            let reason = fault_of_text(&error).ok_or_else(|| error.clone())?;
            if first_error.is_none() {
                self.request(&[]).await?;
                first_error = Some(error);
            }
            if part.len() == 1 {
                done.push(Err(NoVector::Rejected(reason)));
            } else {
                let (first, second) = part.split_at(part.len() / 2);
                left.push(second);
                left.push(first);
            }
        }
        match first_error {
            Some(error) if texts.len() > 1 && done.iter().all(Result::is_err) => Err(error.into()),
            _ => Ok(done),
        }
    }

    /// A request, when it is its turn.
    async fn request(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ServerError> {
        // Nobody closes the semaphore; if somebody did, the bound would go and not the work.
        let _permit = self.permits.acquire().await.ok();
        self.server.embed(&self.model, texts).await
    }

    /// A vector as it is promised: of the right length in both senses.
    fn checked(&self, mut vector: Vec<f32>) -> Result<Vectored, EmbedError> {
        if vector.len() != self.dimension.get() {
            return Err(EmbedError::WrongDimension {
                model: self.model.clone(),
                expected: self.dimension.get(),
                found: vector.len(),
            });
        }
        let length = vector
            .iter()
            .map(|one| f64::from(*one).powi(2))
            .sum::<f64>()
            .sqrt();
        if !length.is_finite() || length == 0.0 {
            let reason = "the vector has no direction".to_owned();
            return Ok(Err(NoVector::Rejected(reason)));
        }
        for one in &mut vector {
            *one = (f64::from(*one) / length) as f32;
        }
        Ok(Ok(vector))
    }
}

impl Embedder for OllamaEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    fn dimension(&self) -> Dimension {
        self.dimension
    }

    fn model_digest(&self) -> &str {
        &self.digest
    }

    fn embed_each(&self, texts: &[&str]) -> Result<Vec<Vectored>, EmbedError> {
        self.runtime.block_on(self.vectors(texts))
    }
}

/// What is sent of a text: all of it, or its start.
fn start_of(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// What the server says if the failure may be a text's: it refuses a text that it cannot do with, and fails at one
/// whose vector is none.
fn fault_of_text(error: &ServerError) -> Option<String> {
    match error {
        ServerError::Refused { message, .. } | ServerError::Failed { message, .. } => {
            Some(message.clone())
        }
        _ => None,
    }
}
