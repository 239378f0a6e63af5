//! Write a Boathouse plugin in Rust.
//!
//! A plugin is a WebAssembly component that makes one kind of judgement for the host. Its author
//! implements one trait on a type without fields and names it in the export macro of its kind:
//!
//! | kind | trait | macro | decides |
//! |---|---|---|---|
//! | proposer | [`Proposer`] | [`export_proposer!`] | which configuration to try next |
//! | scoring | [`Scoring`] | [`export_scoring!`] | which trial is best |
//! | pii | [`Pii`] | [`export_pii!`] | which columns hold personal data |
//!
//! A whole scoring plugin; the crate that holds it sets `crate-type = ["cdylib"]` and is built by
//! `cargo build --release --target wasm32-wasip2`:
//!
//! ```
//! use boathouse_sdk::scoring::fronts;
//! use boathouse_sdk::{Description, Error, Objective, Scoring, Trial, Trials, Verdict};
//!
//! struct Frugal;
//!
//! impl Scoring for Frugal {
//!     fn describe() -> Description {
//!         Description::new("my-team/frugal", "1.0.0", "The less memory the better.")
//!             .reads(["recall", "recall_low", "memory_bytes"])
//!     }
//!
//!     fn evaluate(trials: &Trials, objective: &Objective) -> Result<Vec<Verdict>, Error> {
//!         // Less is better on each axis.
//!         let aims = trials.iter().map(|trial| [-trial.recall, trial.memory_bytes as f64]);
//!         let judge = |(trial, front): (Trial, u32)| Verdict {
//!             feasible: objective.is_met_by(&trial),
//!             front,
//!             score: -(trial.memory_bytes as f64),
//!             reason: None,
//!         };
//!         let fronts = fronts(&aims.collect::<Vec<_>>());
//!         Ok(trials.iter().zip(fronts).map(judge).collect())
//!     }
//! }
//!
//! boathouse_sdk::export_scoring!(Frugal);
//!
//! // The same type runs natively, so plain `cargo test` tests its logic.
//! let trials = boathouse_sdk::testing::journal(&[(0.97, 310.0, 5_000), (0.99, 450.0, 9_000)]);
//! let verdicts = Frugal::evaluate(&trials, &Objective::default())?;
//! assert!(verdicts[0].score > verdicts[1].score);
//! # Ok::<(), Error>(())
//! ```
//!
//! [`testing`] makes a journal, a context or a table in a line each, plays the host's settings and keeps
//! the log.
//!
//! What a plugin may rely on:
//!
//! - Each call gets a fresh instance. Nothing survives a call, hence no trait takes `self`.
//! - Input has been checked against the contract before the plugin sees it: every column of
//!   [`Trials`] has one entry per row, every sampled value of a [`pii::Column`] is a string.
//! - There are no files, network, environment or entropy, and the clock stands still. The host
//!   offers [`host::log`], [`host::settings`] and [`host::deadline`]; chance comes from
//!   [`Context::chance`].
//! - An [`Error`] is recorded as data. A panic traps: the host counts it as a failure.
//!
//! A component names the types of every kind that is compiled in, which costs some hundred bytes. A
//! plugin that wants to name only its own depends on this crate with `default-features = false` and
//! the feature of its kind: `proposer`, `scoring` or `pii`.
//!
//! What is not here: bindings on native targets. They exist for `target_family = "wasm"` only, so
//! natively this crate links nothing and the macros merely check that the trait is implemented.

mod chance;
mod describe;
mod error;
mod export;
pub mod host;
pub mod pii;
pub mod proposer;
pub mod scoring;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod trials;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod wasm;

pub use crate::chance::Chance;
pub use crate::describe::{Description, Extra};
pub use crate::error::Error;
pub use crate::host::{Level, Settings};
pub use crate::pii::Pii;
pub use crate::proposer::{Context, Proposal, Proposer};
pub use crate::scoring::{Scoring, Verdict};
pub use crate::trials::{Objective, Trial, Trials};

/// The examples of the crate's page compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
