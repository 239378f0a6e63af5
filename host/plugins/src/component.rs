//! From a compiled component to something that can be instantiated: what it needs, and whether its types
//! are those of its world.
//!
//! Nothing of the guest runs here. Each refusal tells the author the cure.

use boathouse_types::PluginKind;
use wasmtime::{
    Store,
    component::{Component, InstancePre, Linker},
};

use crate::{
    Limits,
    bindings::{pii::PiiPre, proposer::ProposerPre, scoring::ScoringPre, types},
    error::Complaint,
    guest::GuestState,
    shape::one_line,
};

/// Bytes of a page of linear memory.
const WASM_PAGE: u64 = 65_536;

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

/// Where a component does not fit.
#[derive(Debug)]
pub(crate) enum Misfit {
    /// It needs more than it may have.
    Needs(Complaint),
    /// An import has another type than what is offered.
    Imports(Complaint),
    /// An export is missing or has another type than the world's.
    Exports(Complaint),
}

impl Misfit {
    /// What is wrong, wherever it is.
    pub(crate) fn complaint(self) -> Complaint {
        match self {
            Self::Needs(complaint) | Self::Imports(complaint) | Self::Exports(complaint) => {
                complaint
            }
        }
    }
}

impl Guest {
    /// Links a component whose names are checked, and compares its types with those of its world.
    pub(crate) fn fit(
        kind: PluginKind,
        component: &Component,
        linker: &Linker<GuestState>,
        limits: &Limits,
    ) -> Result<Self, Misfit> {
        check_needs(component, limits).map_err(Misfit::Needs)?;
        let instance = linker.instantiate_pre(component).map_err(|error| {
            Misfit::Imports(Complaint::new(
                format!(
                    "an import has another type than the host's: {}",
                    one_line(&error)
                ),
                "build against the host's contract, package boathouse:plugin, or an older one of the same major version",
            ))
        })?;
        Self::of_world(kind, instance).map_err(|error| {
            Misfit::Exports(Complaint::new(
                format!("it does not fit the world `{kind}`: {}", one_line(&error)),
                "export every function of that world with its exact type",
            ))
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

/// Refuses a component that takes more than it may have before its first instruction.
///
/// What it needs is known, since it imports no modules; growth is the limiter's to bound.
fn check_needs(component: &Component, limits: &Limits) -> Result<(), Complaint> {
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
            return Err(Complaint::new(
                format!("it starts with {needed} {what}, {most} are the most"),
                "make it smaller, or raise the limits of its kind",
            ));
        }
    }
    Ok(())
}
