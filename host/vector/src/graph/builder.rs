//! Who links the rows: vectors and options in, linked [`Layers`] out, which [`super::repair`] then brings to the
//! invariants of a graph whoever linked them.
//!
//! [`Builder::Batched`] is what this program builds with. `hnsw_rs` stays beside it as the reference that it is
//! compared with.

mod batched;
mod growing;
mod reference;

use std::ops::ControlFlow;

use rayon::ThreadPool;

use super::{BuildOptions, diversify::diversify, layers::Layers};
use crate::{error::VectorError, set::VectorSet};

/// An algorithm that links rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Builder {
    /// Our own, in batches against a frozen prefix.
    #[default]
    Batched,
    /// `hnsw_rs`, with its links chosen anew afterwards.
    Reference,
}

/// Links all rows of the set, led by guides where there are some. The reference builder cannot be led and must be
/// given none.
pub(super) fn build(
    set: &VectorSet,
    options: &BuildOptions,
    guides: &[u32],
    threads: &ThreadPool,
    progress: &dyn Fn(usize) -> ControlFlow<()>,
) -> Result<Layers, VectorError> {
    match options.builder {
        Builder::Batched => batched::build(set, options, guides, threads, progress),
        Builder::Reference => {
            let mut layers = reference::build(set, options, threads, progress)?;
            threads.install(|| diversify(&mut layers, set));
            Ok(layers)
        }
    }
}
