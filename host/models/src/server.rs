//! The client of a model server: a thin, typed layer over Ollama's protocol.
//!
//! Every call has a deadline and ends in a value or in a [`ServerError`] that says what to do. Statuses decide what an
//! error means, texts never do: they differ between versions of the server. What the protocol does not say itself:
//!
//! - [`load`](ModelServer::load) answers when the model is in memory. A model that only makes embeddings refuses an
//!   empty generation with 400 and is loaded by an empty list of texts.
//! - [`unload`](ModelServer::unload) answers at once; the model goes later, when its last request has ended, and its
//!   memory later still. `slot/unload.rs` waits for both.
//! - [`resident`](ModelServer::resident) may hang while a model loads, so its deadline is short and a caller must know
//!   by itself what it has asked for.
//! - The queue of the server may be full; loads and embeddings are tried again for a while then, answers are not.
//!
//! Not here: which model may be loaded (the slot), and how texts are put into batches (the embedder).

mod address;
mod lines;
#[cfg(test)]
mod tests;
mod transport;
mod wire;

use std::{fmt, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream::BoxStream};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{self, Instant};

pub use address::{AddressError, ServerAddress};
pub use transport::{Network, Reply, Transport, TransportError};
pub use wire::{KeepAlive, KnownModel, Resident, RunOptions};

use crate::{ModelName, ServerError};
use wire::{
    EmbedAnswer, EmbedBody, ErrorBody, GenerateBody, GenerateLine, PsAnswer, TagsAnswer,
    VersionAnswer,
};

/// Longest answer that is taken as a whole, in bytes: some thousand vectors as text.
const MAX_ANSWER: usize = 64 << 20;
/// Longest text of the server that an error repeats, in characters.
const MAX_MESSAGE: usize = 300;
/// The first pause before another try at a full queue; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// How long the server may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// For an answer about itself: version, models.
    pub short: Duration,
    /// For the list of resident models, which hangs while a model loads.
    pub resident: Duration,
    /// For a load, queue included. The server itself gives up when a load makes no progress for five minutes.
    pub load: Duration,
    /// For the vectors of one batch, load and queue included.
    pub embed: Duration,
    /// Between two pieces of an answer.
    pub piece: Duration,
    /// For as long a load or a batch is tried again when the queue is full.
    pub queue: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            short: Duration::from_secs(10),
            resident: Duration::from_secs(2),
            load: Duration::from_secs(360),
            embed: Duration::from_secs(360),
            piece: Duration::from_secs(120),
            queue: Duration::from_secs(30),
        }
    }
}

/// A question to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// Who answers.
    pub model: ModelName,
    /// The question with what belongs to it.
    pub text: String,
    /// How to answer, in place of what the model comes with.
    pub system: Option<String>,
    /// The same as at the load, or the model is loaded anew.
    pub options: RunOptions,
    /// How long the model stays afterwards; none leaves that as it is.
    pub keep_alive: Option<KeepAlive>,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Some more words.
    Text(String),
    /// The end; nothing follows.
    Done(AnswerEnd),
}

/// What is known of an answer at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerEnd {
    /// Why it ended: `stop`, or `length` when it was cut off.
    pub reason: Option<String>,
    /// Tokens of the question.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer.
    pub answer_tokens: Option<u64>,
    /// Milliseconds that loading the model took.
    pub load_ms: Option<u64>,
    /// Milliseconds of all of it.
    pub total_ms: Option<u64>,
}

/// An answer as it comes; ends after [`Piece::Done`] or an error. Dropping it ends the answer at the server.
pub type Answer = BoxStream<'static, Result<Piece, ServerError>>;

/// A model server. Clones talk to the same.
#[derive(Clone)]
pub struct ModelServer {
    transport: Arc<dyn Transport>,
    limits: ServerLimits,
}

impl fmt::Debug for ModelServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelServer({})", self.transport.address())
    }
}

impl ModelServer {
    /// The server behind a transport.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, limits: ServerLimits) -> Self {
        Self { transport, limits }
    }

    /// The server at an address.
    ///
    /// # Errors
    /// When no client can be made; nobody is asked yet.
    pub fn at(address: ServerAddress, limits: ServerLimits) -> Result<Self, ServerError> {
        Ok(Self::new(Arc::new(Network::new(address)?), limits))
    }

    /// Where it is, without credentials.
    #[must_use]
    pub fn address(&self) -> String {
        self.transport.address()
    }

    /// Its deadlines.
    #[must_use]
    pub fn limits(&self) -> &ServerLimits {
        &self.limits
    }

    /// Which version it says that it is.
    ///
    /// # Errors
    /// When it does not answer in time, or is no model server.
    pub async fn version(&self) -> Result<String, ServerError> {
        let answer: VersionAnswer = self.look("tell its version", "api/version").await?;
        Ok(answer.version)
    }

    /// The models in its memory. Hangs at the server while a model loads, hence the short deadline.
    ///
    /// # Errors
    /// When it does not answer in time, or is no model server.
    pub async fn resident(&self) -> Result<Vec<Resident>, ServerError> {
        let what = "list what it has loaded";
        let answer: PsAnswer = within(what, self.limits.resident, async {
            self.whole("api/ps", None, None).await
        })
        .await?;
        Ok(answer.models.into_iter().map(Resident::from).collect())
    }

    /// The models on its disk.
    ///
    /// # Errors
    /// When it does not answer in time, or is no model server.
    pub async fn models(&self) -> Result<Vec<KnownModel>, ServerError> {
        let answer: TagsAnswer = self.look("list its models", "api/tags").await?;
        Ok(answer.models.into_iter().map(KnownModel::from).collect())
    }

    /// A model on its disk.
    ///
    /// # Errors
    /// [`ServerError::MissingModel`] when it has none of that name; as [`models`](Self::models).
    pub async fn find(&self, model: &ModelName) -> Result<KnownModel, ServerError> {
        let found = self.models().await?.into_iter().find(|one| one.is(model));
        found.ok_or_else(|| ServerError::MissingModel {
            model: model.clone(),
        })
    }

    /// Brings a model into memory, or keeps it there for as long again; answers when it is there. Dropping the future
    /// does not reliably stop the load: who gives up must unload.
    ///
    /// # Errors
    /// When there is no such model, or it does not load in time.
    pub async fn load(
        &self,
        model: &ModelName,
        options: &RunOptions,
        keep_alive: KeepAlive,
    ) -> Result<(), ServerError> {
        let limit = self.limits.load;
        within("load a model", limit, async {
            let empty = GenerateBody {
                model,
                prompt: "",
                system: None,
                options,
                keep_alive: Some(keep_alive),
                stream: false,
            };
            let body = encode(&empty)?;
            let loaded: Result<GenerateLine, _> = self.patiently(model, "api/generate", body).await;
            match loaded {
                Ok(line) => line.failure().map_or(Ok(()), Err),
                // It only makes embeddings, or something else is wrong, which the other way tells as well.
                Err(refused @ ServerError::Refused { status: 400, .. }) => self
                    .embed_once(model, &[], options, Some(keep_alive))
                    .await
                    .map(drop)
                    .map_err(|error| match error {
                        ServerError::Refused { .. } => refused,
                        error => error,
                    }),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Brings a model that makes embeddings into memory, or keeps it there for as long again.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub async fn load_embedder(
        &self,
        model: &ModelName,
        keep_alive: KeepAlive,
    ) -> Result<(), ServerError> {
        let options = RunOptions::default();
        within("load a model", self.limits.load, async {
            let loaded = self.embed_once(model, &[], &options, Some(keep_alive));
            loaded.await.map(drop)
        })
        .await
    }

    /// Asks that a model leaves memory. The answer comes at once and says nothing of whether it has left; it is the
    /// same when the model was not there.
    ///
    /// # Errors
    /// When there is no such model, or the server does not answer in time.
    pub async fn unload(&self, model: &ModelName) -> Result<(), ServerError> {
        let empty = GenerateBody {
            model,
            prompt: "",
            system: None,
            options: &RunOptions::default(),
            keep_alive: Some(KeepAlive::UNLOAD),
            stream: false,
        };
        let body = encode(&empty)?;
        within("unload a model", self.limits.short, async {
            let line: GenerateLine = self.whole("api/generate", Some(body), Some(model)).await?;
            line.failure().map_or(Ok(()), Err)
        })
        .await
    }

    /// One vector for each text, in order. One bad text fails all of them.
    ///
    /// # Errors
    /// When there is no such model, a text is refused, or the server does not answer in time.
    pub async fn embed(
        &self,
        model: &ModelName,
        texts: &[&str],
    ) -> Result<Vec<Vec<f32>>, ServerError> {
        let options = RunOptions::default();
        let vectors = within("embed texts", self.limits.embed, async {
            self.embed_once(model, texts, &options, None).await
        })
        .await?;
        if vectors.len() == texts.len() {
            return Ok(vectors);
        }
        Err(ServerError::Garbled {
            reason: format!("{} vectors for {} texts", vectors.len(), texts.len()),
        })
    }

    /// Asks a model; the answer comes piece by piece.
    ///
    /// # Errors
    /// When there is no such model, the queue is full, or nothing comes in time. Pieces fail as well: when the model
    /// fails, the connection breaks, or the next piece takes too long.
    pub async fn ask(&self, prompt: &Prompt) -> Result<Answer, ServerError> {
        let body = encode(&GenerateBody {
            model: &prompt.model,
            prompt: &prompt.text,
            system: prompt.system.as_deref(),
            options: &prompt.options,
            keep_alive: prompt.keep_alive,
            stream: true,
        })?;
        let reply = within("begin an answer", self.limits.load, async {
            self.exchange("api/generate", Some(body), Some(&prompt.model))
                .await
        })
        .await?;
        let reading = Reading {
            lines: lines::lines(reply.body).boxed(),
            limit: self.limits.piece,
            end: None,
            over: false,
        };
        Ok(futures::stream::unfold(reading, |mut reading| async move {
            let piece = reading.next().await?;
            Some((piece, reading))
        })
        .boxed())
    }

    /// Embeds, again and again while the queue is full.
    async fn embed_once(
        &self,
        model: &ModelName,
        texts: &[&str],
        options: &RunOptions,
        keep_alive: Option<KeepAlive>,
    ) -> Result<Vec<Vec<f32>>, ServerError> {
        let body = encode(&EmbedBody {
            model,
            input: texts,
            truncate: true,
            options,
            keep_alive,
        })?;
        let answer: EmbedAnswer = self.patiently(model, "api/embed", body).await?;
        Ok(answer.embeddings)
    }

    /// A short answer about the server.
    async fn look<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &'static str,
    ) -> Result<T, ServerError> {
        within(what, self.limits.short, async {
            self.whole(path, None, None).await
        })
        .await
    }

    /// A whole answer, tried again for a while when the queue is full.
    async fn patiently<T: DeserializeOwned>(
        &self,
        model: &ModelName,
        path: &'static str,
        body: Bytes,
    ) -> Result<T, ServerError> {
        let until = Instant::now() + self.limits.queue;
        let mut pause = FIRST_PAUSE;
        loop {
            let answer = self.whole(path, Some(body.clone()), Some(model)).await;
            match answer {
                Err(ServerError::Busy { .. }) if Instant::now() + pause < until => {
                    time::sleep(pause).await;
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
                answer => return answer,
            }
        }
    }

    /// A whole answer.
    async fn whole<T: DeserializeOwned>(
        &self,
        path: &'static str,
        body: Option<Bytes>,
        model: Option<&ModelName>,
    ) -> Result<T, ServerError> {
        let reply = self.exchange(path, body, model).await?;
        let answer = gather(reply).await?;
        serde_json::from_slice(&answer).map_err(|error| ServerError::Garbled {
            reason: format!("`{path}` answers no such JSON ({:?})", error.classify()),
        })
    }

    /// An answer that the server gives willingly.
    async fn exchange(
        &self,
        path: &'static str,
        body: Option<Bytes>,
        model: Option<&ModelName>,
    ) -> Result<Reply, ServerError> {
        let reply = self.transport.exchange(path, body).await;
        let reply = reply.map_err(|error| ServerError::Away {
            address: self.transport.address(),
            reason: error.0,
        })?;
        if reply.status == 200 {
            return Ok(reply);
        }
        let status = reply.status;
        let said = gather(reply).await.unwrap_or_default();
        Err(refusal(status, model, &said))
    }
}

/// An answer that is being read.
struct Reading {
    lines: BoxStream<'static, Result<Bytes, ServerError>>,
    limit: Duration,
    /// The end, when the last line had words as well.
    end: Option<AnswerEnd>,
    over: bool,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Piece, ServerError>> {
        if let Some(end) = self.end.take() {
            return Some(Ok(Piece::Done(end)));
        }
        if self.over {
            return None;
        }
        let (limit, lines) = (self.limit, &mut self.lines);
        let line = within("go on with an answer", limit, async {
            lines.next().await.unwrap_or(Err(ServerError::Cut))
        });
        let read = line.await.and_then(|line| read_line(&line));
        self.over = !matches!(&read, Ok((_, None)));
        Some(read.map(|(text, end)| match end {
            Some(end) if text.is_empty() => Piece::Done(end),
            end => {
                self.end = end;
                Piece::Text(text)
            }
        }))
    }
}

impl GenerateLine {
    /// The error that stands in the place of an answer.
    fn failure(self) -> Option<ServerError> {
        self.error.map(|message| failed_inside(&message))
    }
}

/// A failure that comes in an answer which began well.
fn failed_inside(message: &str) -> ServerError {
    ServerError::Failed {
        status: 200,
        message: shortened(message),
    }
}

async fn within<T>(
    what: &'static str,
    limit: Duration,
    work: impl Future<Output = Result<T, ServerError>>,
) -> Result<T, ServerError> {
    let done = time::timeout(limit, work).await;
    done.unwrap_or(Err(ServerError::Slow { what, limit }))
}

fn encode(body: &impl Serialize) -> Result<Bytes, ServerError> {
    let encoded = serde_json::to_vec(body).map(Bytes::from);
    encoded.map_err(|error| ServerError::Garbled {
        reason: format!("the request is no JSON ({error})"),
    })
}

async fn gather(mut reply: Reply) -> Result<Bytes, ServerError> {
    let mut all = BytesMut::new();
    while let Some(bytes) = reply.body.next().await {
        all.extend_from_slice(&bytes.map_err(|_| ServerError::Cut)?);
        if all.len() > MAX_ANSWER {
            return Err(ServerError::Garbled {
                reason: "an answer that is far too long".to_owned(),
            });
        }
    }
    Ok(all.freeze())
}

fn refusal(status: u16, model: Option<&ModelName>, said: &[u8]) -> ServerError {
    let message = serde_json::from_slice::<ErrorBody>(said).map_or_else(
        |_| shortened(&String::from_utf8_lossy(said)),
        |body| shortened(&body.error),
    );
    match (status, model) {
        (404, Some(model)) => ServerError::MissingModel {
            model: model.clone(),
        },
        (429 | 503, _) => ServerError::Busy { message },
        (400..=499, _) => ServerError::Refused { status, message },
        (500..=599, _) => ServerError::Failed { status, message },
        _ => ServerError::Garbled {
            reason: format!("status {status}"),
        },
    }
}

/// The start of what the server says, on one line.
fn shortened(message: &str) -> String {
    let words = message.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(MAX_MESSAGE).collect()
}

/// The words of a line, and the end if it is the last.
fn read_line(line: &Bytes) -> Result<(String, Option<AnswerEnd>), ServerError> {
    let mut line: GenerateLine =
        serde_json::from_slice(line).map_err(|error| ServerError::Garbled {
            reason: format!(
                "a line of an answer is no such JSON ({:?})",
                error.classify()
            ),
        })?;
    if let Some(message) = line.error {
        return Err(failed_inside(&message));
    }
    let text = std::mem::take(&mut line.response);
    let millis = |nanos: Option<u64>| nanos.map(|nanos| nanos / 1_000_000);
    let end = line.done.then(|| AnswerEnd {
        reason: line.done_reason,
        prompt_tokens: line.prompt_eval_count,
        answer_tokens: line.eval_count,
        load_ms: millis(line.load_duration),
        total_ms: millis(line.total_duration),
    });
    Ok((text, end))
}
