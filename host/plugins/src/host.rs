//! The plugin host: one engine, one linker, and the way from bytes to a [`Plugin`].
//!
//! Loading is separate from calling: it compiles, which takes seconds, one component at a time, while
//! calls of plugins that are loaded go on. The host keeps no list of plugins; whoever loads one owns it.

use std::sync::Arc;

use boathouse_types::PluginKind;
use tokio::sync::Semaphore;
use wasmtime::{Engine, component::Linker};

use crate::{
    Allocation, Plugin, PluginError, PluginHostConfig,
    answer::{Described, Flaw, Untrusted},
    component::{self, Guest},
    engine::{self, Ticker},
    gate::{Admission, Full, Gate},
    guest::{self, GuestState},
    plugin,
};

/// Runs plugins. Clones share everything.
#[derive(Clone)]
pub struct PluginHost {
    runtime: Arc<Runtime>,
}

/// What calls need of the host, kept alive by every plugin.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) config: PluginHostConfig,
    linker: Linker<GuestState>,
    allocation: Allocation,
    gate: Gate,
    loads: Arc<Semaphore>,
    _ticker: Ticker,
}

impl std::fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginHost")
            .field("allocation", &self.runtime.allocation)
            .field("config", &self.runtime.config)
            .finish_non_exhaustive()
    }
}

impl PluginHost {
    /// Builds the engine and starts its clock.
    ///
    /// # Errors
    /// [`PluginError::Config`] for values that cannot work, [`PluginError::Host`] when this machine
    /// cannot run the engine.
    pub fn new(config: PluginHostConfig) -> Result<Self, PluginError> {
        config.check()?;
        let (engine, allocation) = engine::build(&config)?;
        let linker = guest::linker(&engine).map_err(|error| PluginError::Host {
            what: format!("the imports of guests do not link: {error:#}"),
        })?;
        Ok(Self {
            runtime: Arc::new(Runtime {
                _ticker: engine::start_ticker(&engine)?,
                gate: Gate::new(config.max_concurrent_calls, config.queued_calls),
                loads: Arc::new(Semaphore::new(1)),
                engine,
                config,
                linker,
                allocation,
            }),
        })
    }

    /// The configuration that it was built with.
    #[must_use]
    pub fn config(&self) -> &PluginHostConfig {
        &self.runtime.config
    }

    /// How guest memory is laid out on this machine.
    #[must_use]
    pub fn allocation(&self) -> Allocation {
        self.runtime.allocation
    }

    /// Compiles a component, checks that it fits the world of the kind, and asks it what it is.
    ///
    /// # Errors
    /// [`PluginError::Refused`] with the cure for a component that cannot be loaded;
    /// [`PluginError::Deadline`], [`PluginError::Limit`] or [`PluginError::Trap`] when it does not
    /// survive being asked.
    pub async fn load(&self, kind: PluginKind, bytes: &[u8]) -> Result<Plugin, PluginError> {
        let limits = self.runtime.config.limits.of(kind);
        // An oversized component is refused before its bytes are hashed or copied.
        component::check_bytes(bytes, "the component", limits)?;
        let stopped = |error: &dyn std::fmt::Display| PluginError::Host {
            what: format!("a load did not end: {error}"),
        };
        let turn = Arc::clone(&self.runtime.loads)
            .acquire_owned()
            .await
            .map_err(|error| stopped(&error))?;
        let runtime = Arc::clone(&self.runtime);
        let bytes = bytes.to_vec();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            load(runtime, kind, &bytes)
        })
        .await
        .unwrap_or_else(|error| Err(stopped(&error)))
    }
}

impl Runtime {
    /// Waits for the turn of a call, or turns it away at once.
    pub(crate) async fn enter(&self, plugin: &str) -> Result<Admission, PluginError> {
        self.gate
            .enter()
            .await
            .map_err(|Full| PluginError::Overloaded {
                plugin: plugin.to_owned(),
                running: self.config.max_concurrent_calls,
                waiting: self.config.queued_calls,
            })
    }
}

fn load(runtime: Arc<Runtime>, kind: PluginKind, bytes: &[u8]) -> Result<Plugin, PluginError> {
    let digest = component::digest(bytes);
    let nameless = component::nameless(&digest);
    let component = component::compile(&runtime.engine, bytes, &nameless)?;
    let limits = runtime.config.limits.of(kind);
    let guest = Guest::fit(kind, &component, &runtime.linker, &nameless, limits)?;
    let described = describe(&runtime, kind, &guest, &nameless)?;
    tracing::debug!(plugin = %described.identity, digest, "plugin is loaded");
    Ok(Plugin::new(runtime, guest, described, digest))
}

/// Asks a fresh instance what it is, and holds it to the kind that it is loaded as.
fn describe(
    runtime: &Runtime,
    kind: PluginKind,
    guest: &Guest,
    nameless: &str,
) -> Result<Described, PluginError> {
    let limits = runtime.config.limits.of(kind);
    let mut store = guest::store(&runtime.engine, limits, nameless, &Arc::from([]), 0);
    let said = guest
        .describe(&mut store)
        .map_err(|error| plugin::fault(&error, store.data(), nameless, limits))?;
    let refused = |what: String| PluginError::Refused {
        plugin: nameless.to_owned(),
        what,
        cure: "correct what its `describe` returns".to_owned(),
    };
    let described = Untrusted::new(said)
        .describes(limits)
        .map_err(|Flaw(what)| refused(format!("its description is wrong: {what}")))?;
    if described.kind != kind {
        return Err(refused(format!(
            "it calls itself a {} plugin and has the exports of a {kind} plugin",
            described.kind
        )));
    }
    Ok(described)
}
