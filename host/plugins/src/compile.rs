//! From bytes to machine code: once per component, bounded, and away from the host's own process.
//!
//! Compiling hostile code is outside what the engine's makers promise to survive, so it happens in a
//! process with a bound on memory and a deadline, and its result is kept on disk. Loads of the same bytes
//! at the same time share one compilation and its outcome. What is not here: checks of what a component
//! is (those come before and after), and machine code from anywhere else.

mod cache;
mod child;
mod process;
mod sealed;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use bytes::Bytes;
use tokio::sync::{OnceCell, Semaphore};
use wasmtime::{Engine, component::Component};

pub use child::compile_child;

use crate::{Allocation, PluginError, PluginHostConfig, digest::Digest, engine, error::Complaint};
use cache::Cache;
use process::{Program, does_not_compile};
use sealed::{Purpose, Sealed};

/// Command of the program that compiles.
const COMMAND: &str = "compile-plugin";

/// Where components are compiled.
#[derive(Debug, Clone)]
pub enum Compiling {
    /// In this process, without a bound and without keeping the result: for tests and benchmarks.
    InProcess,
    /// In a process of its own, `program compile-plugin`, whose body is [`compile_child`].
    Child {
        /// The program; it has to be built from the same sources as this one.
        program: PathBuf,
        /// Folder for machine code, which is made private to this user.
        cache: PathBuf,
    },
}

/// Why there is no machine code.
#[derive(Debug, Clone)]
pub(crate) enum CompileError {
    /// The component is to blame.
    Refused(Complaint),
    /// The host is.
    Host(String),
}

/// Compiles for one engine.
pub(crate) struct Compiler {
    engine: Engine,
    way: Way,
    turns: Semaphore,
    flights: Mutex<HashMap<Digest, Weak<Flight>>>,
}

/// One compilation, for all who want it while it runs.
type Flight = OnceCell<Result<Component, CompileError>>;

enum Way {
    InProcess,
    Child(Box<Child>),
}

/// Compiles in a process of its own.
struct Child {
    program: Program,
    config: PluginHostConfig,
    allocation: Allocation,
    compatibility: u64,
    /// None where the folder is not usable.
    cache: Option<Arc<Cache>>,
}

impl CompileError {
    /// The same, about a component by name.
    pub(crate) fn of(self, plugin: &str) -> PluginError {
        match self {
            Self::Refused(complaint) => complaint.of(plugin),
            Self::Host(what) => PluginError::Host { what },
        }
    }
}

impl Compiler {
    pub(crate) fn new(
        compiling: Compiling,
        engine: &Engine,
        allocation: Allocation,
        config: &PluginHostConfig,
    ) -> Self {
        let at_once = usize::try_from(config.compile.at_once).unwrap_or(1);
        let way = match compiling {
            Compiling::InProcess => Way::InProcess,
            Compiling::Child { program, cache } => {
                if !cfg!(target_os = "linux") {
                    tracing::warn!("compiling plugins is bounded in time only on this platform");
                }
                let compatibility = engine::compatibility(engine);
                let folder = cache.display();
                let cache = Cache::open(&cache, compatibility)
                    .inspect_err(|error| {
                        tracing::warn!(%folder, %error, "compiled plugins cannot be kept there");
                    })
                    .ok();
                Way::Child(Box::new(Child {
                    program: Program {
                        path: program,
                        arguments: vec![COMMAND.into()],
                    },
                    config: config.clone(),
                    allocation,
                    compatibility,
                    cache: cache.map(Arc::new),
                }))
            }
        };
        Self {
            engine: engine.clone(),
            way,
            turns: Semaphore::new(at_once),
            flights: Mutex::default(),
        }
    }

    /// What an earlier compilation of bytes with this digest left, when it is usable. Reads a file, so not
    /// for an async thread.
    pub(crate) fn kept(&self, component: Digest) -> Option<Component> {
        match &self.way {
            Way::InProcess => None,
            Way::Child(child) => child
                .cache
                .as_ref()?
                .thaw(&self.engine, child.purpose(component)),
        }
    }

    /// The compiled form of bytes with this digest.
    pub(crate) async fn component(
        &self,
        digest: Digest,
        bytes: &Bytes,
    ) -> Result<Component, CompileError> {
        let flight = self.flight(digest);
        let compile = || async {
            match &self.way {
                Way::InProcess => self.in_process(bytes).await,
                Way::Child(child) => self.in_child(child, digest, bytes).await,
            }
        };
        flight.get_or_init(compile).await.clone()
    }

    /// The compilation of these bytes that is under way, or a new one.
    fn flight(&self, digest: Digest) -> Arc<Flight> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&digest).and_then(Weak::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::new(Flight::new());
        flights.insert(digest, Arc::downgrade(&flight));
        flight
    }

    async fn in_process(&self, bytes: &Bytes) -> Result<Component, CompileError> {
        let _turn = self.turns.acquire().await;
        let (engine, bytes) = (self.engine.clone(), bytes.clone());
        blocking(move || {
            Component::from_binary(&engine, &bytes)
                .map_err(|error| CompileError::Refused(does_not_compile(&error)))
        })
        .await
    }

    async fn in_child(
        &self,
        child: &Child,
        component: Digest,
        bytes: &Bytes,
    ) -> Result<Component, CompileError> {
        let purpose = child.purpose(component);
        // Another flight may have landed since somebody looked.
        if let Some(cache) = child.cache.clone() {
            let engine = self.engine.clone();
            if let Some(component) = blocking(move || Ok(cache.thaw(&engine, purpose))).await? {
                return Ok(component);
            }
        }
        let answer = {
            let _turn = self.turns.acquire().await;
            process::compile(&child.program, &child.config, child.allocation, bytes).await?
        };
        let (engine, cache) = (self.engine.clone(), child.cache.clone());
        blocking(move || {
            let sealed = Sealed::open(answer, purpose)
                .map_err(|error| CompileError::Host(format!("the compiler's answer: {error}")))?;
            let component = thaw(&engine, &sealed)
                .map_err(|error| CompileError::Refused(does_not_compile(&error)))?;
            if let Some(cache) = cache {
                cache.put(purpose, &sealed);
            }
            Ok(component)
        })
        .await
    }
}

impl Child {
    fn purpose(&self, component: Digest) -> Purpose {
        Purpose {
            compatibility: self.compatibility,
            component,
        }
    }
}

impl Cache {
    /// The component of a purpose, when its code is there and loads.
    fn thaw(&self, engine: &Engine, purpose: Purpose) -> Option<Component> {
        let thawed = thaw(engine, &self.get(purpose)?);
        if let Err(error) = &thawed {
            let component = purpose.component;
            tracing::warn!(%component, "compiled code does not load: {error:#}");
            self.remove(purpose);
        }
        thawed.ok()
    }
}

/// Makes a component of its machine code.
#[expect(
    unsafe_code,
    reason = "compiling elsewhere and at most once means to load machine code, which no check can prove"
)]
fn thaw(engine: &Engine, sealed: &Sealed) -> wasmtime::Result<Component> {
    // SAFETY: the bytes have to come from a compiler of the same engine, unchanged. A `Sealed` comes from
    // the answer of this host's own compiler process or from a folder that only this user can enter, which
    // holds such answers; its purpose says that it was made for this engine's compatibility hash, and its
    // digest that nothing of it changed since. Nothing from outside is ever opened as `Sealed`. The code is
    // copied, so the bytes may go.
    unsafe { Component::deserialize(engine, sealed.code()) }
}

/// Runs work that takes a while where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CompileError> + Send + 'static,
) -> Result<T, CompileError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(CompileError::Host(format!(
                "a compilation did not end: {error}"
            )))
        })
}

#[cfg(test)]
mod tests;
