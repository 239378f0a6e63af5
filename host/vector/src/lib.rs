//! Vectors: exact search, an HNSW graph that is built, audited, repaired and frozen, and the figures
//! that tell how good its answers are.
//!
//! A [`VectorSet`] holds checked vectors. [`exact_top_k`] compares a query with all of them.
//! [`HnswGraph::build`] makes a graph over them that answers the same question by comparing a few;
//! [`recall_at_k`] says how often it finds what exact search finds. [`table`] is the form in which
//! vectors rest in an object store, [`HnswGraph::to_bytes`] that of a graph, and [`Frozen`] is vectors as they
//! serve: what a mapped file holds is searched where it lies.
//!
//! Everything here is a synchronous computation: there is no I/O, nothing asynchronous, no clock, and
//! no randomness but from a seed. Callers in asynchronous code run it on blocking threads.

mod aligned;
mod codes;
mod documents;
mod error;
mod exact;
mod frozen;
mod gauge;
mod graph;
mod held;
mod kernels;
mod recall;
mod set;
pub mod table;

#[cfg(test)]
mod samples;

pub use documents::{DocIds, DocRows, Span, Spans};
pub use error::{Place, VectorError};
pub use exact::{Neighbor, exact_top_k, exact_top_k_batch};
pub use frozen::{Frozen, Provenance};
pub use graph::{Audit, BuildOptions, Builder, HnswGraph, Scratch, SearchOutcome};
pub use recall::{mean_with_interval, recall_at_k, surest_low, values_for_low};
pub use set::{Query, VectorSet, VectorSetBuilder};
