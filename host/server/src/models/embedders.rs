//! Embedders by the names that indexes give: `static`, which is built in, and `ollama:{model}`, which asks the model
//! server.
//!
//! A model of the server is opened when somebody needs it for the first time, and kept open: its digest is compared again
//! every half minute, and one that was pulled anew under its name is opened anew, so that whoever has vectors of the former
//! notices by the digest. Nobody blocks a thread for the server but whoever embeds rows of a dataset, and that ends when
//! its task is cancelled.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use boathouse_models::{
    EmbedError, Embedder, ModelName, ModelServer, OllamaEmbedder, ServerError, StaticEmbedder,
    Vectored,
};
use boathouse_types::Dimension;
use tokio::{runtime::Handle, time};
use tokio_util::sync::CancellationToken;

use crate::{
    indexes::{IndexMeta, check_embedder},
    problem::Problem,
};

/// Pauses before rows of a dataset are sent again to a server that went away in the middle: it may be starting anew.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// The embedders of a host.
pub(crate) struct Embedders {
    built_in: Arc<StaticEmbedder>,
    server: ModelServer,
    opened: Mutex<BTreeMap<ModelName, Arc<OllamaEmbedder>>>,
}

impl Embedders {
    pub(super) fn new(built_in: StaticEmbedder, server: ModelServer) -> Self {
        Self {
            built_in: Arc::new(built_in),
            server,
            opened: Mutex::default(),
        }
    }

    /// The one that needs no server.
    pub(crate) fn built_in(&self) -> Arc<StaticEmbedder> {
        Arc::clone(&self.built_in)
    }

    /// Whether a name is that of the one that needs no server.
    pub(crate) fn is_built_in(&self, name: &str) -> bool {
        name == self.built_in.name()
    }

    /// The embedder of a name.
    ///
    /// # Errors
    /// 422 `unknown_embedder`; 404 for a model that the server does not have; 503 when it does not answer.
    pub(crate) async fn of(&self, name: &str) -> Result<Arc<dyn Embedder>, Problem> {
        if self.is_built_in(name) {
            return Ok(self.built_in());
        }
        let opened = self.served(name).await?;
        Ok(opened)
    }

    /// A vector for each text, in order, or why there is none.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(crate) async fn embed_each(
        &self,
        name: &str,
        texts: Vec<String>,
    ) -> Result<Vec<Vectored>, Problem> {
        if self.is_built_in(name) {
            let embedder: Arc<dyn Embedder> = self.built_in();
            let made = tokio::task::spawn_blocking(move || embedder.embed_each(&borrowed(&texts)));
            return Ok(made.await.map_err(|error| Problem::internal(&error))??);
        }
        let embedder = self.served(name).await?;
        Ok(embedder.vectors(&borrowed(&texts)).await?)
    }

    /// That an embedder is still of the model that it was opened with, asked of the server itself.
    ///
    /// # Errors
    /// 409 `model_changed`; 503 when the server does not answer.
    pub(crate) async fn confirm(&self, name: &str) -> Result<(), Problem> {
        let known = OllamaEmbedder::model_of(name).and_then(|model| self.known(&model));
        let Some(embedder) = known else { return Ok(()) };
        let checked = embedder.check_model().await;
        self.forget_if_changed(&embedder, checked.as_ref().err());
        Ok(checked?)
    }

    /// The same embedder for long work: it asks again when its server goes away for a moment, and gives up as soon as the
    /// work is cancelled. To be used on threads that may block.
    pub(crate) fn patient(
        &self,
        embedder: Arc<dyn Embedder>,
        cancel: CancellationToken,
    ) -> Arc<dyn Embedder> {
        let known = OllamaEmbedder::model_of(embedder.name()).and_then(|model| self.known(&model));
        match known.filter(|known| known.model_digest() == embedder.model_digest()) {
            Some(asked) => Arc::new(Patient { asked, cancel }),
            None => embedder,
        }
    }

    /// Whether this host has another model of the name than an index was made with, as far as that is known without
    /// asking anybody.
    pub(crate) fn has_another(&self, meta: &IndexMeta) -> bool {
        if self.is_built_in(&meta.embedder) {
            return check_embedder(&*self.built_in, meta).is_err();
        }
        match OllamaEmbedder::model_of(&meta.embedder) {
            Some(model) => {
                let known = self.known(&model);
                known.is_some_and(|known| check_embedder(&*known, meta).is_err())
            }
            None => true,
        }
    }

    /// The embedder of a model of the server, as it is now.
    async fn served(&self, name: &str) -> Result<Arc<OllamaEmbedder>, Problem> {
        let model = OllamaEmbedder::model_of(name).ok_or_else(|| unknown(name))?;
        if let Some(known) = self.known(&model) {
            // Nothing is embedded, but a model that was not looked at for a while is.
            match known.vectors(&[]).await {
                Err(error @ EmbedError::ModelChanged { .. }) => {
                    self.forget_if_changed(&known, Some(&error));
                }
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(known),
            }
        }
        let opened = OllamaEmbedder::open(self.server.clone(), model.clone()).await?;
        // Of several that opened it at once the first one is kept, as all callers of one share a bound.
        let mut all = self.all();
        Ok(Arc::clone(
            all.entry(model).or_insert_with(|| Arc::new(opened)),
        ))
    }

    fn known(&self, model: &ModelName) -> Option<Arc<OllamaEmbedder>> {
        self.all().get(model).cloned()
    }

    fn forget_if_changed(&self, embedder: &Arc<OllamaEmbedder>, error: Option<&EmbedError>) {
        if matches!(error, Some(EmbedError::ModelChanged { .. })) {
            let mut all = self.all();
            if all
                .get(embedder.model())
                .is_some_and(|known| Arc::ptr_eq(known, embedder))
            {
                all.remove(embedder.model());
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<ModelName, Arc<OllamaEmbedder>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn unknown(name: &str) -> Problem {
    Problem::field(
        "embedder",
        "unknown_embedder",
        format!(
            "`{}` is not known; use `static`, or `ollama:MODEL` for a model of the model server",
            name.chars().take(80).collect::<String>().escape_debug()
        ),
    )
}

/// A model of the server for long work.
#[derive(Debug)]
struct Patient {
    asked: Arc<OllamaEmbedder>,
    cancel: CancellationToken,
}

impl Patient {
    async fn vectors(&self, texts: &[&str]) -> Result<Vec<Vectored>, EmbedError> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match self.asked.vectors(texts).await {
                Err(EmbedError::Server(error)) if error.retry_after().is_some() => error,
                answer => return answer,
            };
            let Some(pause) = pauses.next() else {
                return Err(error.into());
            };
            tracing::info!(%error, "rows are embedded again in a moment");
            time::sleep(pause).await;
        }
    }
}

impl Embedder for Patient {
    fn name(&self) -> &str {
        self.asked.name()
    }

    fn dimension(&self) -> Dimension {
        self.asked.dimension()
    }

    fn model_digest(&self) -> &str {
        self.asked.model_digest()
    }

    fn embed_each(&self, texts: &[&str]) -> Result<Vec<Vectored>, EmbedError> {
        let work = self.cancel.run_until_cancelled(self.vectors(texts));
        // Whoever cancelled does not hear what it was cut off with.
        Handle::current()
            .block_on(work)
            .unwrap_or(Err(ServerError::Cut.into()))
    }
}
