//! From bytes to something that can be instantiated: the checks that need no guest code to run.
//!
//! In order, cheapest first, and before anything parses the bytes: size, preamble, then compilation,
//! imports by name, and the exports of the world. Each refusal tells the author the cure. Precompiled
//! code is never accepted: deserialising it runs it.

use boathouse_types::PluginKind;
use sha2::{Digest as _, Sha256};
use wasmtime::{
    Engine, Store,
    component::{Component, InstancePre, Linker},
};

use crate::{
    Limits, PluginError,
    bindings::{pii::PiiPre, proposer::ProposerPre, scoring::ScoringPre, types},
    guest::{self, GuestState},
};

/// Bytes of a page of linear memory.
const WASM_PAGE: u64 = 65_536;
/// How an author gets a component from Rust.
const BUILD: &str = "build with `cargo build --release --target wasm32-wasip2`";

/// A component that fits its world, ready for fresh instances.
#[derive(Clone)]
pub(crate) enum Guest {
    /// World `proposer`.
    Proposer(ProposerPre<GuestState>),
    /// World `scoring`.
    Scoring(ScoringPre<GuestState>),
    /// World `pii`.
    Pii(PiiPre<GuestState>),
}

/// SHA-256 of a component, in lower-case hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What a component is called before it has told its name.
pub(crate) fn nameless(digest: &str) -> String {
    format!("component {}", digest.get(..12).unwrap_or(digest))
}

/// Checks size and preamble, which costs nothing.
pub(crate) fn check_bytes(bytes: &[u8], plugin: &str, limits: &Limits) -> Result<(), PluginError> {
    let refuse = |what: String, cure: &str| Err(refused(plugin, what, cure));
    let most = limits.component_bytes;
    if bytes.len() as u64 > most {
        return refuse(
            format!("it has {} bytes, {most} are the most", bytes.len()),
            "strip it and build it for size (`strip = true`, `opt-level = \"s\"`), or raise component_bytes",
        );
    }
    match (bytes.get(..4), bytes.get(4..8)) {
        (Some(b"\0asm"), Some([0x0d, 0, 1, 0])) => Ok(()),
        (Some(b"\0asm"), Some([1, 0, 0, 0])) => {
            refuse("it is a core module and not a component".to_owned(), BUILD)
        }
        (Some(b"\0asm"), Some(_)) => refuse(
            "it is a component of another version of the format".to_owned(),
            "build with a current toolchain",
        ),
        _ => refuse("it is not WebAssembly".to_owned(), BUILD),
    }
}

/// Compiles checked bytes. CPU-bound: seconds for a large component.
///
/// The one place that compiles, so that it can move to a process of its own.
pub(crate) fn compile(
    engine: &Engine,
    bytes: &[u8],
    plugin: &str,
) -> Result<Component, PluginError> {
    Component::from_binary(engine, bytes).map_err(|error| {
        refused(
            plugin,
            format!("it does not compile: {}", one_line(&error)),
            "check that the file is complete (`wasm-tools validate FILE`) and within the limits on memories, tables and instances",
        )
    })
}

impl Guest {
    /// Checks imports and exports against the world of the kind.
    pub(crate) fn fit(
        kind: PluginKind,
        component: &Component,
        linker: &Linker<GuestState>,
        plugin: &str,
        limits: &Limits,
    ) -> Result<Self, PluginError> {
        check_imports(component, plugin)?;
        check_needs(component, plugin, limits)?;
        let instance = linker.instantiate_pre(component).map_err(|error| {
            refused(
                plugin,
                format!(
                    "an import has another type than the host's: {}",
                    one_line(&error)
                ),
                "build against the host's contract, package boathouse:plugin@1.0.0",
            )
        })?;
        Self::of_world(kind, instance).map_err(|error| {
            refused(
                plugin,
                format!("it does not fit the world `{kind}`: {}", one_line(&error)),
                "export every function of that world with its exact type, or load it as the kind that it is",
            )
        })
    }

    fn of_world(kind: PluginKind, instance: InstancePre<GuestState>) -> wasmtime::Result<Self> {
        Ok(match kind {
            PluginKind::Proposer => Self::Proposer(ProposerPre::new(instance)?),
            PluginKind::Scoring => Self::Scoring(ScoringPre::new(instance)?),
            PluginKind::Pii => Self::Pii(PiiPre::new(instance)?),
        })
    }

    /// Asks a fresh instance what it is.
    pub(crate) fn describe(
        &self,
        store: &mut Store<GuestState>,
    ) -> wasmtime::Result<types::Description> {
        match self {
            Self::Proposer(pre) => pre.instantiate(&mut *store)?.call_describe(store),
            Self::Scoring(pre) => pre.instantiate(&mut *store)?.call_describe(store),
            Self::Pii(pre) => pre.instantiate(&mut *store)?.call_describe(store),
        }
    }
}

/// Refuses imports that no guest gets, by name.
fn check_imports(component: &Component, plugin: &str) -> Result<(), PluginError> {
    let ty = component.component_type();
    let foreign: Vec<&str> = ty
        .imports(component.engine())
        .map(|(name, _)| name)
        .filter(|name| {
            let interface = name
                .split_once('@')
                .map_or(*name, |(interface, _)| interface);
            !guest::IMPORTS.contains(&interface)
        })
        .collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let cure = if foreign.iter().any(|name| name.starts_with("wasi:http")) {
        "a plugin gets no network: build without HTTP (`--disable http` for componentize-js)"
    } else {
        "a plugin may import boathouse:plugin/host and what its standard library needs of WASI 0.2"
    };
    let shown: String = foreign.join("`, `").chars().take(400).collect();
    Err(refused(plugin, format!("it imports `{shown}`"), cure))
}

/// Refuses a component that takes more than it may have before its first instruction.
///
/// What it needs is known, since it imports no modules; growth is the limiter's to bound.
fn check_needs(component: &Component, plugin: &str, limits: &Limits) -> Result<(), PluginError> {
    let Some(needs) = component.resources_required() else {
        return Ok(());
    };
    let bytes = needs.max_initial_memory_size.unwrap_or(0) * WASM_PAGE;
    let elements = needs.max_initial_table_size.unwrap_or(0);
    let needs = [
        (bytes, limits.memory_bytes, "bytes of memory"),
        (elements, limits.table_elements.into(), "table elements"),
        (
            needs.num_memories.into(),
            limits.memories.into(),
            "memories",
        ),
        (needs.num_tables.into(), limits.tables.into(), "tables"),
    ];
    for (needed, most, what) in needs {
        if needed > most {
            return Err(refused(
                plugin,
                format!("it starts with {needed} {what}, {most} are the most"),
                "make it smaller, or raise the limits of its kind",
            ));
        }
    }
    Ok(())
}

fn refused(plugin: &str, what: String, cure: &str) -> PluginError {
    PluginError::Refused {
        plugin: plugin.to_owned(),
        what,
        cure: cure.to_owned(),
    }
}

/// An error of the engine on one bounded line; it may quote names from the component.
pub(crate) fn one_line(error: &dyn std::fmt::Display) -> String {
    format!("{error:#}")
        .chars()
        .take(400)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
