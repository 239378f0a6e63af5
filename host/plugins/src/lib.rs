//! Runs plugins: WebAssembly components that make the host's judgements, in a sandbox.
//!
//! [`PluginHost::load`] turns bytes into a [`Plugin`]; [`Plugin::propose`], [`Plugin::evaluate`] and
//! [`Plugin::detect`] ask it. The contract stands in `wit/v1`. This is the only crate that names
//! wasmtime, and no type of wasmtime leaves it.
//!
//! Invariants: a guest reaches nothing but its inputs, the log and its settings; every call is bounded
//! in time, memory, stack, log and result by [`Limits`]; every answer is checked before anybody sees
//! it; equal inputs give bit-equal answers. What is absent: files, network, clock and entropy for
//! guests, state between calls, precompiled code from outside.

mod answer;
mod bindings;
mod component;
mod engine;
mod error;
mod gate;
mod guest;
mod host;
mod limiter;
mod limits;
mod plugin;
mod question;
mod stats;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use engine::Allocation;
pub use error::{Cause, Declined, LogTail, PluginError};
pub use host::PluginHost;
pub use limits::{KindLimits, Limits, PluginHostConfig};
pub use plugin::{Plugin, PluginDescription};
pub use stats::PluginStats;
