//! A model server for tests: it speaks Ollama's protocol, and its time, its memory and its faults belong to the test.
//!
//! [`Double`] is the server. It is driven in two ways: [`Double::call`] takes a request in this process, so that under
//! tokio's paused clock loads, drains and keep-alives take no time and always the same turns; [`Server`] puts it behind a
//! port, for what has to go over HTTP, and `cargo run -p boathouse-model-server --example ollama` for whoever wants to try
//! what a host does with a model server and has none.
//!
//! What it copies from Ollama (its sources of August 2026), because clients stumble over it: an unload is answered at once
//! and the model goes later, its memory later still; a busy model goes when its last request has ended; a load goes on when
//! who asked for it has gone; the list of resident models hangs while a model loads; a model that only makes embeddings
//! refuses to generate with 400; one bad text fails a whole batch; other options load a model anew; a model that needs room
//! pushes idle ones out; a full queue is 503; an answer may fail in its middle, with a line or without.
//!
//! What it does not: think. Answers are counted words, vectors are made of digests.

mod memory;
mod routes;
mod serve;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    Router,
    body::Body,
    http::{Method, Request},
};
use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use tokio::time::Instant;
use tower::ServiceExt as _;

use memory::Memory;
pub use memory::{Call, Holding};
pub use serve::Server;
pub use settings::{Fault, Kind, Model, Route, Settings};

/// A body bit by bit; an error is a connection that broke.
pub type Bits = BoxStream<'static, Result<Bytes, String>>;

/// The server. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Double {
    memory: Arc<Mutex<Memory>>,
}

impl Double {
    /// A server with nothing in memory.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            memory: Arc::new(Mutex::new(Memory::new(settings))),
        }
    }

    /// Takes a request: GET without a body, else POST. The answer is a status and a body.
    ///
    /// # Errors
    /// When the server is away.
    pub async fn call(&self, path: &str, body: Option<Bytes>) -> Result<(u16, Bits), String> {
        if self.memory().down {
            return Err("connection refused".to_owned());
        }
        let method = if body.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("/{path}"))
            .header("content-type", "application/json")
            .body(body.map_or_else(Body::empty, Body::from))
            .map_err(|error| error.to_string())?;
        let Ok(answer) = self.router().oneshot(request).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().into_data_stream();
        let body = body.map(|bits| bits.map_err(|error| error.to_string()));
        Ok((status, body.boxed()))
    }

    /// Its routes, to be served.
    ///
    /// While it is away, an answer there is one that breaks off.
    pub fn router(&self) -> Router {
        routes::router(self.clone())
    }

    /// Changes what it is like.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.memory().settings);
    }

    /// The next request of a route meets a fault.
    pub fn fail_next(&self, route: Route, fault: Fault) {
        self.memory().faults.push((route, fault));
    }

    /// Takes back faults that nobody has met.
    pub fn forget_faults(&self) {
        self.memory().faults.clear();
    }

    /// Nobody answers from now on, and answers that are under way break off. What is in memory stays.
    pub fn go_away(&self) {
        let mut memory = self.memory();
        memory.down = true;
        memory.life += 1;
    }

    /// Answers again.
    pub fn come_back(&self) {
        self.memory().down = false;
    }

    /// Dies and starts again with nothing in memory; answers that are under way break off.
    pub fn restart(&self) {
        self.memory().restart(Instant::now());
    }

    /// Somebody else loads a model, at once.
    pub fn load_foreign(&self, model: &str) {
        self.memory().load_foreign(model, Instant::now());
    }

    /// What is in memory now, loads that are under way included.
    #[must_use]
    pub fn holds(&self) -> Vec<Holding> {
        self.memory().holds(Instant::now())
    }

    /// Memory of the GPU that is taken now, in bytes; what was unloaded is given back late.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.memory().used_bytes(Instant::now())
    }

    /// The most models for answering that its clients ever had in memory at once, those that others loaded left out.
    #[must_use]
    pub fn most_answering(&self) -> usize {
        self.memory().most_answering
    }

    /// How often its clients have made it load a model.
    #[must_use]
    pub fn loads(&self) -> usize {
        self.memory().loads
    }

    /// All requests so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.memory().calls.clone()
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
