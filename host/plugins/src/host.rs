//! The plugin host: one engine, one linker, and the way from bytes to a [`Plugin`].
//!
//! Loading is separate from calling: it may compile, which takes seconds, while calls of plugins that are
//! loaded go on. Guests that are being loaded run one at a time, beside those calls and never in their
//! queue. The host keeps no list of plugins; whoever loads one owns it.

use std::{sync::Arc, time::Duration};

use boathouse_types::PluginKind;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{
    Engine,
    component::{Component, Linker},
};

use crate::{
    Allocation, Checked, Compiling, Expected, Plugin, PluginError, PluginHostConfig,
    answer::{Described, Flaw, Untrusted},
    call, check,
    compile::Compiler,
    component::{Guest, Misfit},
    digest::Digest,
    engine::{self, Ticker},
    error::Complaint,
    gate::{Admission, Gate, TurnedAway},
    guest::{self, GuestState},
    shape::{self, Shape},
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
    pub(crate) linker: Linker<GuestState>,
    pub(crate) compiler: Compiler,
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
    /// Builds the engine and starts its clock. Where components are compiled is the caller's to say.
    ///
    /// # Errors
    /// [`PluginError::Config`] for values that cannot work, [`PluginError::Host`] when this machine
    /// cannot run the engine.
    pub fn new(config: PluginHostConfig, compiling: Compiling) -> Result<Self, PluginError> {
        config.check()?;
        let (engine, allocation) = engine::build(&config)?;
        let linker = guest::linker(&engine).map_err(|error| {
            PluginError::host(format!("the imports of guests do not link: {error:#}"))
        })?;
        let patience = Duration::from_millis(u64::from(config.queue_ms));
        Ok(Self {
            runtime: Arc::new(Runtime {
                _ticker: engine::start_ticker(&engine)?,
                gate: Gate::new(config.max_concurrent_calls, config.queued_calls, patience),
                compiler: Compiler::new(compiling, &engine, allocation, &config),
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

    /// Compiles a component where it is not kept compiled, checks that it fits the world of the kind, and
    /// asks it what it is. For what passed [`PluginHost::check`] before.
    ///
    /// # Errors
    /// [`PluginError::Refused`] with the cure for a component that cannot be loaded;
    /// [`PluginError::Deadline`], [`PluginError::Limit`] or [`PluginError::Trap`] when it does not
    /// survive being asked; [`PluginError::Host`] when it is not the component's fault.
    pub async fn load(&self, kind: PluginKind, bytes: &[u8]) -> Result<Plugin, PluginError> {
        let runtime = Arc::clone(&self.runtime);
        let limits = runtime.config.limits.of(kind);
        // An oversized component is refused before its bytes are hashed or copied.
        let acceptable =
            shape::check_size(bytes, limits).and_then(|()| shape::check_preamble(bytes));
        acceptable.map_err(|complaint| complaint.of("the component"))?;
        let bytes = Bytes::copy_from_slice(bytes);
        let begun = {
            let (runtime, bytes) = (Arc::clone(&runtime), bytes.clone());
            blocking(move || begin(runtime, kind, &bytes)).await?
        };
        let (digest, kept) = match begun {
            Begun::Loaded(plugin) => return Ok(plugin),
            Begun::Waits { digest, kept } => (digest, kept),
        };
        let component = match kept {
            Some(component) => component,
            None => {
                let compiled = runtime.compiler.component(digest, &bytes).await;
                compiled.map_err(|error| error.of(&digest.nameless()))?
            }
        };
        let turn = runtime.turn_to_load().await?;
        blocking(move || {
            let _turn = turn;
            load(runtime, kind, &component, digest)
        })
        .await
    }

    /// Runs every check that a component has to pass before it may serve: those of its bytes, its
    /// surface, its compilation, what it says of itself, and how it answers the [golden](crate::golden)
    /// questions without any settings. What is wrong with it is in the report.
    ///
    /// # Errors
    /// [`PluginError::Host`] when the host could not check it, which says nothing of the component.
    pub async fn check(
        &self,
        kind: PluginKind,
        bytes: Bytes,
        expected: &Expected,
    ) -> Result<Checked, PluginError> {
        check::run(Arc::clone(&self.runtime), kind, bytes, expected.clone()).await
    }
}

impl Runtime {
    /// Waits for the turn of a call, or turns it away.
    pub(crate) async fn enter(&self, plugin: &str) -> Result<Admission, PluginError> {
        let turned_away = |why| PluginError::Overloaded {
            plugin: plugin.to_owned(),
            what: match why {
                TurnedAway::Full => format!(
                    "{} calls run and {} more wait",
                    self.config.max_concurrent_calls, self.config.queued_calls
                ),
                TurnedAway::Waited => {
                    format!("its turn did not come within {} ms", self.config.queue_ms)
                }
            },
        };
        self.gate.enter().await.map_err(turned_away)
    }

    /// Waits for the one place where guests run that do not serve yet.
    pub(crate) async fn turn_to_load(&self) -> Result<OwnedSemaphorePermit, PluginError> {
        let turn = Arc::clone(&self.loads).acquire_owned().await;
        turn.map_err(|error| PluginError::host(format!("a load did not end: {error}")))
    }
}

/// How far a load comes without waiting for anybody.
enum Begun {
    Loaded(Plugin),
    /// For its compilation, or for its turn when it was kept compiled.
    Waits {
        digest: Digest,
        kept: Option<Component>,
    },
}

/// Loads what is kept compiled when no other load runs: then one trip to a blocking thread is all that it
/// takes, and trips cost as much as the work.
fn begin(runtime: Arc<Runtime>, kind: PluginKind, bytes: &[u8]) -> Result<Begun, PluginError> {
    let digest = Digest::of(bytes);
    let Some(component) = runtime.compiler.kept(digest) else {
        return Ok(Begun::Waits { digest, kept: None });
    };
    let Ok(_turn) = Arc::clone(&runtime.loads).try_acquire_owned() else {
        let kept = Some(component);
        return Ok(Begun::Waits { digest, kept });
    };
    load(runtime, kind, &component, digest).map(Begun::Loaded)
}

fn load(
    runtime: Arc<Runtime>,
    kind: PluginKind,
    component: &Component,
    digest: Digest,
) -> Result<Plugin, PluginError> {
    let nameless = digest.nameless();
    let shape = Shape::of(component);
    let fit = shape.check_imports().and_then(|()| {
        let limits = runtime.config.limits.of(kind);
        Guest::fit(kind, component, &runtime.linker, limits).map_err(|misfit| match misfit {
            // Which function is missing says more than that one is.
            Misfit::Exports(complaint) => shape.check_exports(kind).err().unwrap_or(complaint),
            misfit => misfit.complaint(),
        })
    });
    let guest = fit.map_err(|complaint| complaint.of(&nameless))?;
    let described = describe(&runtime, kind, &guest, &nameless)?;
    tracing::debug!(plugin = %described.identity, %digest, "plugin is loaded");
    Ok(Plugin::new(runtime, guest, described, digest))
}

/// Asks a fresh instance what it is, and holds it to the kind that it is loaded as.
pub(crate) fn describe(
    runtime: &Runtime,
    kind: PluginKind,
    guest: &Guest,
    nameless: &str,
) -> Result<Described, PluginError> {
    let limits = runtime.config.limits.of(kind);
    let mut store = guest::store(&runtime.engine, limits, nameless, &Arc::from([]), 0);
    let said = guest
        .describe(&mut store)
        .map_err(|error| call::fault(&error, store.data(), nameless, limits))?;
    let refused =
        |what: String| Complaint::new(what, "correct what its `describe` returns").of(nameless);
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

/// Runs work that takes a while where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PluginError> + Send + 'static,
) -> Result<T, PluginError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(PluginError::host(format!("work did not end: {error}"))))
}
