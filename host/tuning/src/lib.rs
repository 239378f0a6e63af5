//! How an index finds its configuration: measure, remember, compare, choose.
//!
//! An [`EvalSet`] holds queries with their exact neighbours. A [`Tuner`] runs *trials* on it: build a
//! graph (or reuse one, since one build serves every `ef_search`), time searches, count what they
//! found, and append the result to the index's [`Journal`]. What is measured is a [`Contender`]: a graph, or an index of a
//! table of another engine, which comes in by [`TableBuilds`]; each has a space of knobs of its own ([`Bounds`]).
//! A [`Strategy`] says what to try next, a
//! [`Scorer`] which trial is best, and [`Promotions`] remembers what was chosen to serve.
//!
//! Invariants:
//! - A cancelled or failed trial leaves no line in the journal; a trial that returned is durable.
//! - Equal journals give equal proposals: the only source of chance is derived from the journal's length.
//! - A configuration outside the bounds is never built.
//! - What a plugin answers is checked before it is believed: right length, no NaN, within bounds. A
//!   recommendation also meets the objective by the host's own reading of the measurements.
//!
//! Absent here: the serving graph (the server swaps it when a promotion is recorded), plugin machinery
//! (judgements enter by the traits [`Proposer`] and [`Scorer`]), wall clocks and task spawning other
//! than the blocking pool.

mod autotune;
mod basis;
mod best;
mod blocking;
mod bounds;
mod builds;
mod contender;
#[cfg(test)]
mod crash;
mod data;
mod disturbance;
mod duel;
mod early;
mod error;
mod evalset;
mod evaluation;
mod fingerprint;
mod grid;
mod halving;
mod house;
mod journal;
mod judge;
mod measure;
mod promotions;
mod rank;
mod reach;
mod replay;
#[cfg(test)]
mod testing;
mod tuner;

pub use autotune::{
    AutotuneEvent, AutotuneReport, AutotuneRequest, Ended, Recommendation, StepRequest, Stepped,
    Strategy, proposal_seed,
};
pub use basis::keep_newest_queries;
pub use best::{Best, BestBy, best};
pub use bounds::{Bounds, TableBounds, TuneBounds, WrittenBounds, check_config, check_table};
pub use builds::{BuildOrigin, Builds, Built, build_id};
pub use contender::{BuiltTable, Contender, TableBuilds, TableSearch, table_build_id};
pub use data::IndexData;
pub use duel::{ComparedBy, Duel, Evidence, Fighter, Pause, Ruling, ScoreGain, Side};
pub use early::Bar;
pub use error::TuningError;
pub use evalset::{EvalQuery, EvalSet, EvalSetName, EvalSets, EvalSource, EvalSpec};
pub use evaluation::Evaluation;
pub use fingerprint::host_fingerprint;
pub use journal::{Journal, JournalContents};
pub use judge::{Proposer, Scorer, champion_position, shortfall, verdicts};
pub use measure::{Comparison, MeasurePlan};
pub use promotions::{Promote, Promotion, PromotionKind, Promotions, Served, ServedGraph};
pub use rank::{cheaper_alike, times_differ};
pub use replay::{HouseReplay, Question, Replay, settings_of};
pub use tuner::{TrialReport, TrialRequest, Tuner, TunerOptions, build_id_of};
