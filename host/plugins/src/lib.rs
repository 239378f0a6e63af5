//! Runs plugins: WebAssembly components that make the host's judgements, in a sandbox.
//!
//! [`PluginHost::check`] says whether a component may serve, [`PluginHost::load`] turns it into a
//! [`Plugin`], [`Plugin::propose`], [`Plugin::evaluate`] and [`Plugin::detect`] ask it, and a [`Slot`] lets
//! one plugin take over from another while calls run. The contract stands in `wit/v1`. This is the only
//! crate that names wasmtime, and no type of wasmtime leaves it.
//!
//! Invariants: a guest reaches nothing but its inputs, the log and its settings; every call is bounded
//! in time, memory, stack, log and result by [`Limits`]; every answer is checked before anybody sees
//! it; equal inputs give bit-equal answers. Components are compiled in a process of its own, bounded in
//! time and memory. What is absent: files, network, clock and entropy for guests, state between calls,
//! precompiled code from outside.

mod answer;
mod bindings;
mod call;
mod check;
mod compare;
mod compile;
mod component;
mod digest;
mod engine;
mod error;
mod gate;
pub mod golden;
mod guest;
mod host;
mod inquiry;
mod limiter;
mod limits;
mod plugin;
mod question;
mod shape;
mod slot;
mod stats;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use check::{Check, CheckName, CheckOutcome, CheckReport, Checked, Expected};
pub use compare::{
    ChangedFinding, FindingsDifference, Found, Latency, ProposalDifference, Proposed, Says,
    ScoringDifference, compare_findings, compare_proposals, compare_verdicts, kendall_tau,
};
pub use compile::{Compiling, compile_child};
pub use engine::Allocation;
pub use error::{Cause, Declined, LogTail, PluginError};
pub use host::PluginHost;
pub use limits::{CompileLimits, KindLimits, Limits, PluginHostConfig};
pub use plugin::{Observer, Plugin, PluginDescription};
pub use shape::kind_of;
pub use slot::{Drain, Lease, Slot};
pub use stats::{Histogram, PluginStats};
