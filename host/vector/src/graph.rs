//! The HNSW graph: built once, audited, repaired, frozen, then only searched.
//!
//! Source: Y. Malkov and D. Yashunin, "Efficient and robust approximate nearest neighbor search using
//! Hierarchical Navigable Small World graphs", 2016. [`builder`] makes the links, [`repair`] proves that every row can be found, [`layers`] is the flat form that is
//! searched by [`traverse`] and stored by [`bytes`]. Where clusters lie far apart, which [`strays`] finds out, rows that
//! [`guides`] chooses lead builds and searches into the right one.
//!
//! Invariants of a built graph: on the ground layer every row can be reached from every other, so a
//! search that may visit everything finds everything; no row has more than `2 m` links there and `m`
//! above. A graph knows rows by number only: it is searched together with the [`VectorSet`] it was
//! built over. Rows are neither added nor removed; callers keep fresh rows in a second set and hide
//! deleted ones by a predicate.

mod builder;
mod bytes;
mod derive;
mod diversify;
mod guides;
mod layers;
mod repair;
mod strays;
mod traverse;

#[cfg(test)]
mod apart;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod fine;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use boathouse_types::{IndexConfig, Metric};

use crate::{
    error::VectorError,
    exact::{Neighbor, exact_counted},
    set::{Query, VectorSet},
};
pub use builder::Builder;
use layers::Layers;
pub use repair::Audit;
pub use traverse::Scratch;

/// What decides a graph besides its vectors, and how many threads make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildOptions {
    /// Links of a row on each layer above the ground, half of those on it; 2 to 255.
    pub m: u32,
    /// Candidates looked at while a row is linked; 1 to 65,535.
    pub ef_construction: u32,
    /// Decides levels and the order of insertion.
    pub seed: u64,
    /// Threads that work; 0 counts as 1. The same seed gives the same graph on any number of them, with
    /// [`Builder::Reference`] on one.
    pub threads: usize,
    /// Who links the rows.
    pub builder: Builder,
}

impl BuildOptions {
    /// The options of a configuration, which leaves the threads open.
    #[must_use]
    pub fn new(config: &IndexConfig, threads: usize) -> Self {
        Self {
            m: config.m,
            ef_construction: config.ef_construction,
            seed: config.seed,
            threads,
            builder: Builder::default(),
        }
    }

    fn check(&self) -> Result<(), VectorError> {
        let within = |option, value: u32, low: u64, high: u64| {
            let value = u64::from(value);
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(VectorError::OptionOutOfBounds {
                option,
                value,
                low,
                high,
            })
        };
        within("m", self.m, 2, 255)?;
        within("ef_construction", self.ef_construction, 1, 65_535)
    }
}

/// An answer and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchOutcome {
    /// Nearest first, ties by row, each row once.
    pub neighbors: Vec<Neighbor>,
    /// Distances that were computed: one each time that a row was compared, by its code or by its vector.
    pub distances: u64,
}

/// A frozen graph over the rows of a [`VectorSet`].
#[derive(Debug)]
pub struct HnswGraph {
    dimension: usize,
    metric: Metric,
    m: u32,
    ef_construction: u32,
    seed: u64,
    audit: Audit,
    layers: Layers,
}

impl HnswGraph {
    /// Builds, audits, repairs and freezes a graph over all rows of `set`, which it encodes
    /// ([`VectorSet::encode`]).
    ///
    /// `progress` is told the number of rows linked so far, every few hundred rows, and may stop the
    /// build; so it may while the graph is audited and repaired, when it is told that all rows are linked.
    ///
    /// When the audit finds that searches end in the wrong cluster, guides are chosen and all rows are linked a second
    /// time, led by them; `progress` is told so from the beginning. [`Builder::Reference`] cannot be led.
    ///
    /// # Errors
    /// When an option is out of its bounds, `progress` broke, or threads could not be started.
    pub fn build(
        set: &VectorSet,
        options: &BuildOptions,
        progress: &dyn Fn(usize) -> ControlFlow<()>,
    ) -> Result<Self, VectorError> {
        options.check()?;
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(options.threads.max(1))
            .thread_name(|index| format!("hnsw-build-{index}"))
            .build()?;
        set.encode();
        let linked = |guides: &[u32]| -> Result<(Layers, Audit), VectorError> {
            let mut layers = builder::build(set, options, guides, &threads, progress)?;
            let audit = repair::audit_and_repair(&mut layers, set, options, progress)?;
            Ok((layers, audit))
        };
        let (mut layers, mut audit) = linked(&[])?;
        if options.builder == Builder::Batched
            && strays::are_many(&layers, set, &audit, options.seed)
        {
            let guides = guides::choose(set, options.seed, progress)?;
            if !guides.is_empty() {
                drop(layers);
                (layers, audit) = linked(&guides)?;
            }
        }
        Ok(Self {
            dimension: set.dimension().get(),
            metric: set.metric(),
            m: options.m,
            ef_construction: options.ef_construction,
            seed: options.seed,
            audit,
            layers,
        })
    }

    /// The `min(k, len)` rows nearest to the query as far as the graph leads, looking at `ef`
    /// candidates (at least `k`).
    ///
    /// Where `ef` is so large that the walk would compute about as many distances as there are rows,
    /// all rows are compared instead and the answer is exact; so it always is from `ef >= len` on.
    /// Over a set that [`Self::fits`] refuses the answer is exact too, as the graph says nothing then.
    /// The query must have been prepared by a set of the same dimension and metric.
    #[must_use]
    pub fn search(
        &self,
        set: &VectorSet,
        query: &Query,
        k: usize,
        ef: usize,
        scratch: &mut Scratch,
    ) -> SearchOutcome {
        let ef = ef.max(k);
        if self.fits(set).is_err() || self.walk_cost(ef) >= set.len() {
            return exact(set, query, k, |_| true, 0);
        }
        let distances = traverse::nearest(&self.layers, set, &query.values, k, ef, scratch);
        if scratch.found() < k.min(set.len()) {
            return exact(set, query, k, |_| true, distances);
        }
        SearchOutcome {
            neighbors: scratch.neighbors(k),
            distances,
        }
    }

    /// As [`Self::search`], over the rows that `keep` accepts: `k` of them whenever `k` match.
    ///
    /// The share that matches is estimated from a few hundred rows; where comparing all matching rows
    /// is cheaper than walking to `ef` of them, that is done. It also steps in when the walk ends with
    /// fewer than `k`. `keep` may be called several times for a row.
    #[must_use]
    pub fn search_filtered(
        &self,
        set: &VectorSet,
        query: &Query,
        k: usize,
        ef: usize,
        scratch: &mut Scratch,
        keep: impl Fn(u32) -> bool,
    ) -> SearchOutcome {
        let ef = ef.max(k);
        let matching = matching_share(set.len(), &keep);
        let exact_cost = matching * set.len() as f64;
        if self.fits(set).is_err() || self.walk_cost(ef) as f64 >= exact_cost * matching {
            return exact(set, query, k, keep, 0);
        }
        let distances =
            traverse::nearest_kept(&self.layers, set, &query.values, k, ef, scratch, &keep);
        if scratch.found() < k {
            return exact(set, query, k, keep, distances);
        }
        SearchOutcome {
            neighbors: scratch.neighbors(k),
            distances,
        }
    }

    /// Whether the graph was built over a set of this size, dimension and metric.
    ///
    /// # Errors
    /// Names the first of the three that differs.
    pub fn fits(&self, set: &VectorSet) -> Result<(), VectorError> {
        let differs = |what| Err(VectorError::ForeignGraph { what });
        match self {
            _ if self.len() != set.len() => differs("number of rows"),
            _ if self.dimension != set.dimension().get() => differs("dimension"),
            _ if self.metric != set.metric() => differs("metric"),
            _ => Ok(()),
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether the graph has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Links of a row on each layer above the ground.
    #[must_use]
    pub fn m(&self) -> u32 {
        self.m
    }

    /// Candidates that were looked at while a row was linked.
    #[must_use]
    pub fn ef_construction(&self) -> u32 {
        self.ef_construction
    }

    /// Seed of the build.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Rows that every search looks at before it begins, which lead it to the right cluster where clusters lie far
    /// apart; 0 in an ordinary set.
    #[must_use]
    pub fn guides(&self) -> usize {
        self.layers.guides.len()
    }

    /// What the audit of the build found and repaired.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Bytes of the links in memory; the vectors are the set's.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.layers.memory_bytes()
    }

    /// Whether the links are used where they lie in the bytes that they were read from, and take no memory of
    /// their own.
    #[must_use]
    pub fn is_lent(&self) -> bool {
        self.layers.are_lent()
    }

    /// Distances that a walk with `ef` candidates computes, roughly: each of the `ef` rows that it
    /// passes shows about `m` that were not seen before, and all guides come first.
    fn walk_cost(&self, ef: usize) -> usize {
        ef.saturating_mul(self.m as usize)
            .saturating_add(self.guides())
    }
}

fn exact(
    set: &VectorSet,
    query: &Query,
    k: usize,
    keep: impl Fn(u32) -> bool,
    distances_before: u64,
) -> SearchOutcome {
    let (neighbors, distances) = exact_counted(set, query, k, keep);
    SearchOutcome {
        neighbors,
        distances: distances + distances_before,
    }
}

/// Share of evenly spread rows that match, in 0..=1.
fn matching_share(rows: usize, keep: &impl Fn(u32) -> bool) -> f64 {
    const SAMPLE: usize = 256;
    let step = rows.div_ceil(SAMPLE).max(1);
    let sampled = (0..rows).step_by(step);
    let total = sampled.len().max(1) as f64;
    // Rows fit in 31 bits by construction of the set.
    let matching = sampled.filter(|&row| keep(row as u32)).count();
    matching as f64 / total
}
