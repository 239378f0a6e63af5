//! Evaluation sets: queries with their exact neighbours.
//!
//! A set belongs to one version of the vectors of one index. Queries are given, or made from the index
//! itself: rows are drawn without repetition, half are taken as they are and half are moved a little, and
//! each leaves out the row it came from, so that no query is answered by its own source: where a document has several
//! vectors, one for each piece of its text, all of these are left out. Rows with equal
//! vectors are interchangeable: which of them counts as true is settled when recall is computed, by
//! distance.
//!
//! Truth is found by exact search over all vectors, in parallel, once; when vectors follow from those before,
//! [`EvalSet::updated`] looks at the new ones only. Sets are stored by [`EvalSets`], checksummed and checked when
//! read.

mod name;
mod store;
mod update;

use std::ops::Range;

use boathouse_types::{Dimension, IndexName, Metric};
use boathouse_vector::{DocRows, Query, VectorError, VectorSet, exact_top_k_batch};
use rand::{Rng, SeedableRng, seq::index::sample};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::{
    IndexData, TuningError,
    blocking::{alive, blocking},
    journal::hex,
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

impl EvalSpec {
    /// Whether a set can be made like this for the vectors at hand; nothing is made.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] as [`EvalSet::make`] gives it.
    pub fn check(&self, data: &IndexData) -> Result<(), TuningError> {
        check_spec(self, data)?;
        if let EvalSource::Given(vectors) = &self.source {
            for (at, vector) in vectors.iter().enumerate() {
                let prepared = data.vectors.prepare_query(vector);
                prepared.map_err(|why| refused(at, &why))?;
            }
        }
        Ok(())
    }
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
    /// The row it came from, which is no answer to it, nor is any other vector of its document.
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
    /// Digest of the model that its queries are of; none when nobody said so.
    pub embedder_digest: Option<String>,
    /// The queries, at least one.
    pub queries: Vec<EvalQuery>,
}

impl EvalSet {
    /// Makes a set for the vectors at hand. Of which model they are is for the caller to say.
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
        let vectors = data.clone();
        let (k, seed) = (spec.k, spec.seed);
        let queries = blocking(cancel, move |stop| {
            let mut queries = match spec.source {
                EvalSource::Given(vectors) => vectors.into_iter().map(given).collect(),
                EvalSource::Drawn { queries } => drawn(&vectors, queries, seed),
            };
            find_truth(&vectors, &mut queries, k as usize, stop)?;
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
            embedder_digest: None,
            queries,
        })
    }

    /// How to make a set like this one for other vectors of the same model: with the same queries when they were given,
    /// else with as many drawn ones, as the rows that these were drawn from may be gone.
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

    /// Its name and the beginning of the digest of its queries, as `default@1f0c23a94b7e`. It stays when only the true
    /// neighbours change, as after an append, and is another one when a set is made anew with other queries.
    #[must_use]
    pub fn identity(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.k.to_le_bytes());
        for query in &self.queries {
            digest.update(query.held_out.map_or(-1, i64::from).to_le_bytes());
            for component in &query.vector {
                digest.update(component.to_le_bytes());
            }
        }
        format!("{}@{}", self.name, hex(&digest.finalize()[..6]))
    }

    /// Checks that vectors are of the index and shape that this set is for.
    pub(crate) fn check_shape(&self, data: &IndexData) -> Result<(), TuningError> {
        let vectors = &data.vectors;
        let here = (vectors.dimension(), vectors.metric());
        if self.index != data.index {
            return Err(self.unfit(format!(
                "it is for index `{}`, not `{}`",
                self.index, data.index
            )));
        }
        if (self.dimension, self.metric) != here {
            return Err(self.unfit(format!(
                "it is for vectors of {} components by {:?}, and those of the index have {} by {:?}",
                self.dimension.get(),
                self.metric,
                here.0.get(),
                here.1
            )));
        }
        Ok(())
    }

    /// Checks that this set tells the truth about vectors.
    ///
    /// # Errors
    /// [`TuningError::Stale`] when it is for another version of them; [`TuningError::Unfit`] when it is of another index
    /// or shape.
    pub fn check_fits(&self, data: &IndexData) -> Result<(), TuningError> {
        self.check_shape(data)?;
        if self.data_version != data.data_version {
            return Err(TuningError::Stale {
                set: self.name.to_string(),
                expected: self.data_version.clone(),
                found: data.data_version.clone(),
            });
        }
        if self.vectors != data.len() as u64 {
            let (own, here) = (self.vectors, data.len());
            return Err(self.unfit(format!("it is for {own} vectors, and the index has {here}")));
        }
        Ok(())
    }

    fn unfit(&self, why: String) -> TuningError {
        let set = self.name.to_string();
        TuningError::Unfit { set, why }
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
    let (has, what) = match &data.rows {
        Some(_) => (data.documents(), "documents"),
        None => (data.len(), "vectors"),
    };
    let fault = if !(1..=MAX_K).contains(&spec.k) {
        format!("k must be 1 to {MAX_K}, not {}", spec.k)
    } else if !(1..=MAX_QUERIES).contains(&queries) {
        format!("an evaluation set has 1 to {MAX_QUERIES} queries, not {queries}")
    } else if has < needed {
        format!("an evaluation set needs an index of at least {needed} {what}, this one has {has}")
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

/// Rows of distinct documents in drawn order; every second one is perturbed.
fn drawn(data: &IndexData, queries: usize, seed: u64) -> Vec<EvalQuery> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rows = match &data.rows {
        None => sample(&mut rng, data.len(), queries.min(data.len())).into_vec(),
        Some(rows) => pieces(rows, queries, &mut rng),
    };
    let mut made = Vec::with_capacity(rows.len());
    for (position, row) in rows.into_iter().enumerate() {
        let Ok(row) = u32::try_from(row) else {
            continue;
        };
        let mut vector = data.vectors.row(row).to_vec();
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

/// A piece of each of so many documents, or of all when there are fewer: every document is as likely as another.
fn pieces(rows: &DocRows, documents: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let firsts: Vec<usize> = (0..rows.len()).filter(|at| rows.begins(*at)).collect();
    let drawn = sample(rng, firsts.len(), documents.min(firsts.len()));
    let piece = |document: usize| {
        let end = firsts.get(document + 1).copied().unwrap_or(rows.len());
        rng.random_range(firsts[document]..end)
    };
    drawn.into_iter().map(piece).collect()
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
    data: &IndexData,
    queries: &mut [EvalQuery],
    k: usize,
    stop: &CancellationToken,
) -> Result<(), TuningError> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let set = &*data.vectors;
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
        let own: Vec<Range<u32>> = batch
            .iter()
            .map(|query| own(data, query.held_out))
            .collect();
        // More than k, because vectors of the query's own document may be among them.
        let most = own.iter().map(ExactSizeIterator::len).max();
        let nearest = exact_top_k_batch(set, &prepared, k + most.unwrap_or(0), threads);
        for ((query, own), neighbors) in batch.iter_mut().zip(own).zip(nearest) {
            query.truth = neighbors
                .into_iter()
                .map(|neighbor| neighbor.row)
                .filter(|row| !own.contains(row))
                .take(k)
                .collect();
        }
    }
    Ok(())
}

/// The vectors of the document that a query came from; none for one that came from outside.
pub(crate) fn own(data: &IndexData, held_out: Option<u32>) -> Range<u32> {
    held_out.map_or(0..0, |row| data.document_of(row))
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
