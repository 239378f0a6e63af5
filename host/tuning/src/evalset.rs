//! Evaluation sets: queries with their exact neighbours.
//!
//! A set belongs to one version of the vectors of one index. Queries are given, or made from the index
//! itself: rows are drawn without repetition, half are taken as they are and half are moved a little, and
//! each leaves out the row it came from, so that no query is answered by its own source. Rows with equal
//! vectors are interchangeable: which of them counts as true is settled when recall is computed, by
//! distance.
//!
//! Truth is found by exact search over all vectors, in parallel, once; when vectors follow from those before,
//! [`EvalSet::updated`] looks at the new ones only. Sets are stored by [`EvalSets`], checksummed and checked when
//! read.

mod name;
mod store;
mod update;

use std::sync::Arc;

use boathouse_types::{Dimension, IndexName, Metric};
use boathouse_vector::{Query, VectorError, VectorSet, exact_top_k_batch};
use rand::{Rng, SeedableRng, seq::index::sample};
use rand_chacha::ChaCha8Rng;
use tokio_util::sync::CancellationToken;

use crate::{
    IndexData, TuningError,
    blocking::{alive, blocking},
};

pub use name::EvalSetName;
pub use store::EvalSets;

/// Most queries of a set.
const MAX_QUERIES: usize = 100_000;
/// Most neighbours per query.
const MAX_K: u32 = 1_000;
/// Length of the noise in a perturbed query, as a share of the vector's own length. At 0.1 the cosine
/// between a vector and its perturbed copy is about 0.995.
const NOISE: f32 = 0.1;
/// Components that are compared between two looks at the cancellation token: about a tenth of a second's work for
/// one core. A batch passes over all vectors once, so a small one is dear by the byte; this one is large enough
/// that computing outweighs reading.
const BETWEEN_LOOKS: usize = 1_000_000_000;
/// Most queries of a batch.
const MAX_BATCH: usize = 256;

/// What kind of set to make.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalSpec {
    /// Neighbours that count as true, 1 to 1,000; recall is recall@k.
    pub k: u32,
    /// Seed of the draw and of the noise.
    pub seed: u64,
    /// Where queries come from.
    pub source: EvalSource,
}

/// Where queries come from.
#[derive(Debug, Clone, PartialEq)]
pub enum EvalSource {
    /// Rows of the index, every second one perturbed.
    Drawn {
        /// How many; an index with fewer rows gives one query per row.
        queries: usize,
    },
    /// Query vectors from outside.
    Given(Vec<Vec<f32>>),
}

impl Default for EvalSpec {
    /// recall@10 over 1,000 drawn queries: the standard error of recall is then about 0.2 points.
    fn default() -> Self {
        Self {
            k: 10,
            seed: 0,
            source: EvalSource::Drawn { queries: 1_000 },
        }
    }
}

/// One query with its exact answer.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalQuery {
    /// The query vector.
    pub vector: Vec<f32>,
    /// The row it came from, which is no answer to it.
    pub held_out: Option<u32>,
    /// Rows of the k nearest vectors, nearest first; fewer than k in a smaller index.
    pub truth: Vec<u32>,
}

/// Queries with their exact neighbours in one version of an index's vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalSet {
    /// Its name, unique within the index.
    pub name: EvalSetName,
    /// The index.
    pub index: IndexName,
    /// The version of the vectors that truth is about.
    pub data_version: String,
    /// How many vectors that version has.
    pub vectors: u64,
    /// Components of each vector.
    pub dimension: Dimension,
    /// The distance that orders neighbours.
    pub metric: Metric,
    /// Neighbours per query.
    pub k: u32,
    /// Seed it was made with.
    pub seed: u64,
    /// The queries, at least one.
    pub queries: Vec<EvalQuery>,
}

impl EvalSet {
    /// Makes a set for the vectors at hand.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] when the specification is out of range, a given query does not fit,
    /// or the index is too small (one with a single vector has no neighbour but the query's source);
    /// [`TuningError::Cancelled`].
    pub async fn make(
        name: EvalSetName,
        data: &IndexData,
        spec: EvalSpec,
        cancel: &CancellationToken,
    ) -> Result<Self, TuningError> {
        check_spec(&spec, data)?;
        let set = Arc::clone(&data.vectors);
        let (k, seed) = (spec.k, spec.seed);
        let queries = blocking(cancel, move |stop| {
            let mut queries = match spec.source {
                EvalSource::Given(vectors) => vectors.into_iter().map(given).collect(),
                EvalSource::Drawn { queries } => drawn(&set, queries, seed),
            };
            find_truth(&set, &mut queries, k as usize, stop)?;
            Ok(queries)
        })
        .await?;
        Ok(Self {
            name,
            index: data.index.clone(),
            data_version: data.data_version.clone(),
            vectors: data.len() as u64,
            dimension: data.vectors.dimension(),
            metric: data.vectors.metric(),
            k,
            seed,
            queries,
        })
    }

    /// How to make a set like this one for other vectors: with the same queries when they were given, else
    /// with as many drawn ones, as the rows that these were drawn from may be gone.
    #[must_use]
    pub fn spec(&self) -> EvalSpec {
        let queries = &self.queries;
        let source = match queries.iter().all(|query| query.held_out.is_none()) {
            true => EvalSource::Given(queries.iter().map(|query| query.vector.clone()).collect()),
            false => EvalSource::Drawn {
                queries: queries.len(),
            },
        };
        EvalSpec {
            k: self.k,
            seed: self.seed,
            source,
        }
    }

    /// Checks that vectors are of the index and shape that this set is for.
    pub(crate) fn check_shape(&self, data: &IndexData) -> Result<(), TuningError> {
        let vectors = &data.vectors;
        let (set, here) = (&self.name, (vectors.dimension(), vectors.metric()));
        if self.index != data.index {
            return Err(TuningError::InvalidInput(format!(
                "evaluation set `{set}` is for index `{}`, not `{}`",
                self.index, data.index
            )));
        }
        if (self.dimension, self.metric) != here {
            return Err(TuningError::InvalidInput(format!(
                "evaluation set `{set}` is for {} components by {:?}, the index has {} by {:?}",
                self.dimension.get(),
                self.metric,
                here.0.get(),
                here.1
            )));
        }
        Ok(())
    }
}

/// A query vector ready for search.
pub(crate) fn prepare(set: &VectorSet, vector: &[f32]) -> Result<Query, TuningError> {
    Ok(set.prepare_query(vector)?)
}

fn check_spec(spec: &EvalSpec, data: &IndexData) -> Result<(), TuningError> {
    let (queries, needed) = match &spec.source {
        EvalSource::Drawn { queries } => (*queries, 2),
        EvalSource::Given(vectors) => (vectors.len(), 1),
    };
    let fault = if !(1..=MAX_K).contains(&spec.k) {
        format!("k must be 1 to {MAX_K}, not {}", spec.k)
    } else if !(1..=MAX_QUERIES).contains(&queries) {
        format!("an evaluation set has 1 to {MAX_QUERIES} queries, not {queries}")
    } else if data.len() < needed {
        let has = data.len();
        format!("an evaluation set needs an index of at least {needed} vectors, this one has {has}")
    } else {
        return Ok(());
    };
    Err(TuningError::InvalidInput(fault))
}

fn given(vector: Vec<f32>) -> EvalQuery {
    EvalQuery {
        vector,
        held_out: None,
        truth: Vec::new(),
    }
}

/// Distinct rows in drawn order; every second one is perturbed.
fn drawn(set: &VectorSet, queries: usize, seed: u64) -> Vec<EvalQuery> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rows = sample(&mut rng, set.len(), queries.min(set.len()));
    let mut made = Vec::with_capacity(rows.len());
    for (position, row) in rows.into_iter().enumerate() {
        let Ok(row) = u32::try_from(row) else {
            continue;
        };
        let mut vector = set.row(row).to_vec();
        if position % 2 == 1 {
            perturb(&mut vector, &mut rng);
        }
        made.push(EvalQuery {
            vector,
            held_out: Some(row),
            truth: Vec::new(),
        });
    }
    made
}

/// Adds uniform noise whose expected length is [`NOISE`] times the vector's (a uniform variable on -h..h
/// has variance h²/3).
fn perturb(vector: &mut [f32], rng: &mut ChaCha8Rng) {
    let square: f32 = vector.iter().map(|component| component * component).sum();
    let half_width = NOISE * (3.0 * square / vector.len() as f32).sqrt();
    if half_width > 0.0 && half_width.is_finite() {
        for component in vector {
            *component += rng.random_range(-half_width..half_width);
        }
    }
}

fn find_truth(
    set: &VectorSet,
    queries: &mut [EvalQuery],
    k: usize,
    stop: &CancellationToken,
) -> Result<(), TuningError> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let size = batch_size(set);
    for (number, batch) in queries.chunks_mut(size).enumerate() {
        alive(stop)?;
        let first = number * size;
        let prepared: Vec<Query> = (first..)
            .zip(batch.iter())
            .map(|(at, query)| {
                set.prepare_query(&query.vector)
                    .map_err(|why| refused(at, &why))
            })
            .collect::<Result<_, _>>()?;
        // One more than k, because the query's own row may be among them.
        let nearest = exact_top_k_batch(set, &prepared, k + 1, threads);
        for (query, neighbors) in batch.iter_mut().zip(nearest) {
            query.truth = neighbors
                .into_iter()
                .map(|neighbor| neighbor.row)
                .filter(|row| Some(*row) != query.held_out)
                .take(k)
                .collect();
        }
    }
    Ok(())
}

/// How many queries are compared with all vectors at once.
pub(crate) fn batch_size(set: &VectorSet) -> usize {
    let components = set.len().saturating_mul(set.dimension().get());
    (BETWEEN_LOOKS / components.max(1)).clamp(1, MAX_BATCH)
}

fn refused(query: usize, why: &VectorError) -> TuningError {
    TuningError::InvalidInput(format!("query {query}: {why}"))
}

#[cfg(test)]
mod tests;
