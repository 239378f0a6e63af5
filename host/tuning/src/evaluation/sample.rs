//! The same queries over a share of the vectors.
//!
//! Which of two builds is better shows on a tenth of the vectors already, at a tenth of the cost and less. What
//! is found there says nothing about figures on all vectors: neighbours lie farther apart, and fewer candidates
//! reach the same recall. So a sample has a data version of its own, and nothing measured on it compares with
//! anything else.
//!
//! Rows are drawn by a seed and keep their order: equal seeds give equal samples. The latest sample is kept, for
//! the trials of one round ask for the same one.

use std::{ops::Range, sync::Arc};

use boathouse_vector::{Query, VectorSet, exact_top_k_batch};
use rand::{SeedableRng, seq::index::sample};
use rand_chacha::ChaCha8Rng;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{Evaluation, PreparedQuery, time_exact_search};
use crate::{
    IndexData, TuningError,
    blocking::{alive, blocking},
    evalset::batch_size,
};

/// The latest sample.
pub(super) type Kept = Mutex<Option<Arc<Evaluation>>>;

/// Version of the vectors of a sample. None of an index has a slash.
pub(crate) fn sample_version(data_version: &str, share: f64, seed: u64) -> String {
    format!("{data_version}/{share}-{seed}")
}

impl Evaluation {
    /// This evaluation over a share of its vectors, with the exact neighbours among those.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] when too few vectors would be left for an answer;
    /// [`TuningError::Cancelled`].
    pub(crate) async fn sampled(
        self: &Arc<Self>,
        share: f64,
        seed: u64,
        cancel: &CancellationToken,
    ) -> Result<Arc<Self>, TuningError> {
        let version = sample_version(&self.data.data_version, share, seed);
        let mut kept = self.sample.lock().await;
        if let Some(sample) = kept
            .as_ref()
            .filter(|sample| sample.data.data_version == version)
        {
            return Ok(Arc::clone(sample));
        }
        // What is not wanted any more goes before the next one comes.
        *kept = None;
        let whole = Arc::clone(self);
        let sample = blocking(cancel, move |stop| {
            let rows = draw(whole.data.len(), share, seed);
            let data = IndexData {
                data_version: version,
                vectors: Arc::new(subset(&whole.data.vectors, &rows, stop)?),
                // Queries know which vectors are their own.
                rows: None,
                ..whole.data.clone()
            };
            over(&whole, data, &rows, stop)
        })
        .await?;
        *kept = Some(Arc::clone(&sample));
        Ok(sample)
    }
}

/// Rows in their order.
fn draw(rows: usize, share: f64, seed: u64) -> Vec<u32> {
    let count = ((rows as f64 * share).round() as usize).min(rows);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let drawn = sample(&mut rng, rows, count).into_iter();
    // A set has fewer than 2^31 rows.
    let mut drawn: Vec<u32> = drawn.map(|row| row as u32).collect();
    drawn.sort_unstable();
    drawn
}

fn subset(
    vectors: &VectorSet,
    rows: &[u32],
    stop: &CancellationToken,
) -> Result<VectorSet, TuningError> {
    /// Rows between two looks at the cancellation token.
    const BATCH: usize = 4_096;
    let builder = VectorSet::builder(vectors.dimension(), vectors.metric());
    let mut builder = builder.with_capacity(rows.len());
    for batch in rows.chunks(BATCH) {
        alive(stop)?;
        for &row in batch {
            builder.push(vectors.row(row))?;
        }
    }
    Ok(builder.finish())
}

/// The queries of `whole` over the vectors of a sample, which are its rows `rows`.
fn over(
    whole: &Evaluation,
    data: IndexData,
    rows: &[u32],
    stop: &CancellationToken,
) -> Result<Arc<Evaluation>, TuningError> {
    if data.len() < 2 {
        return Err(TuningError::InvalidInput(format!(
            "a sample of {} vectors has no neighbours to look for: take a larger share",
            data.len()
        )));
    }
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut queries = Vec::with_capacity(whole.queries.len());
    for batch in whole.queries.chunks(batch_size(&data.vectors)) {
        alive(stop)?;
        let asked: Vec<Query> = batch.iter().map(|query| query.query.clone()).collect();
        let own: Vec<Range<u32>> = batch.iter().map(|query| within(rows, &query.own)).collect();
        let most = own.iter().map(ExactSizeIterator::len).max();
        let wanted = whole.k + most.unwrap_or(0);
        let nearest = exact_top_k_batch(&data.vectors, &asked, wanted, threads);
        for ((query, own), neighbors) in batch.iter().zip(own).zip(nearest) {
            let truth = neighbors.iter().filter(|found| !own.contains(&found.row));
            let truth: Vec<_> = truth.take(whole.k).collect();
            queries.push(PreparedQuery {
                query: query.query.clone(),
                radius: truth.last().map_or(f32::NEG_INFINITY, |last| last.distance),
                truth: truth.iter().map(|found| found.row).collect(),
                own,
            });
        }
    }
    let brute_force_latency_us = time_exact_search(&data, &queries, whole.k, stop)?;
    Ok(Arc::new(Evaluation {
        data,
        evalset: whole.evalset.clone(),
        k: whole.k,
        queries,
        brute_force_latency_us,
        sample: Kept::default(),
    }))
}

/// Where rows that follow one another are in a sample, as far as they are in it.
fn within(sample: &[u32], rows: &Range<u32>) -> Range<u32> {
    let place = |bound: u32| sample.partition_point(|row| *row < bound) as u32;
    place(rows.start)..place(rows.end)
}

#[cfg(test)]
mod tests {
    use boathouse_vector::exact_top_k;

    use super::*;
    use crate::{
        EvalSet, EvalSetName, EvalSource, EvalSpec,
        testing::{clustered, in_pieces},
    };

    async fn whole() -> Arc<Evaluation> {
        evaluation(clustered(400)).await
    }

    async fn evaluation(data: IndexData) -> Arc<Evaluation> {
        let cancel = CancellationToken::new();
        let spec = EvalSpec {
            k: 5,
            source: EvalSource::Drawn { queries: 60 },
            ..EvalSpec::default()
        };
        let name = EvalSetName::new("drawn").unwrap();
        let set = EvalSet::make(name, &data, spec, &cancel).await.unwrap();
        Evaluation::prepare(&data, set, &cancel).await.unwrap()
    }

    #[tokio::test]
    async fn a_sample_has_its_own_truth_and_version() {
        let (whole, cancel) = (whole().await, CancellationToken::new());
        let sample = whole.sampled(0.3, 7, &cancel).await.unwrap();
        assert_eq!((sample.data.len(), sample.queries()), (120, 60));
        assert_eq!(sample.data.data_version, "v1/0.3-7");
        let rows = draw(400, 0.3, 7);
        let mut own_rows = 0;
        for (query, of_all) in sample.queries.iter().zip(&whole.queries) {
            let own: Vec<u32> = of_all
                .own
                .clone()
                .filter(|row| rows.contains(row))
                .collect();
            let found: Vec<u32> = query.own.clone().map(|row| rows[row as usize]).collect();
            assert_eq!(found, own);
            own_rows += own.len();
            let exact = exact_top_k(&sample.data.vectors, &query.query, 5, |row| {
                !query.own.contains(&row)
            });
            let exact: Vec<u32> = exact.iter().map(|found| found.row).collect();
            assert_eq!(query.truth, exact);
        }
        assert!((1..60).contains(&own_rows), "{own_rows}");
    }

    #[tokio::test]
    async fn a_sample_of_documents_with_several_vectors_leaves_out_what_it_has_of_the_own_one() {
        let cancel = CancellationToken::new();
        let whole = evaluation(in_pieces(clustered(400), 5)).await;
        let sample = whole.sampled(0.5, 7, &cancel).await.unwrap();
        let rows = draw(400, 0.5, 7);
        for (query, of_all) in sample.queries.iter().zip(&whole.queries) {
            assert_eq!((of_all.own.len(), of_all.own.start % 5), (5, 0));
            let found: Vec<u32> = query.own.clone().map(|row| rows[row as usize]).collect();
            let own: Vec<u32> = of_all
                .own
                .clone()
                .filter(|row| rows.contains(row))
                .collect();
            assert_eq!(found, own);
            assert!(query.truth.iter().all(|row| !query.own.contains(row)));
            assert_eq!(query.truth.len(), 5);
        }
    }

    #[tokio::test]
    async fn equal_seeds_give_equal_samples_and_the_latest_is_kept() {
        let (whole, cancel) = (whole().await, CancellationToken::new());
        let first = whole.sampled(0.3, 7, &cancel).await.unwrap();
        let again = whole.sampled(0.3, 7, &cancel).await.unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let other = whole.sampled(0.3, 8, &cancel).await.unwrap();
        assert_ne!(draw(400, 0.3, 7), draw(400, 0.3, 8));
        assert_ne!(first.data.data_version, other.data.data_version);
        let once_more = whole.sampled(0.3, 7, &cancel).await.unwrap();
        assert!(!Arc::ptr_eq(&first, &once_more));
        for row in 0..120 {
            assert_eq!(first.data.vectors.row(row), once_more.data.vectors.row(row));
        }
    }

    #[tokio::test]
    async fn too_small_a_share_and_a_stop_leave_nothing() {
        let (whole, cancel) = (whole().await, CancellationToken::new());
        let error = whole.sampled(0.001, 7, &cancel).await.unwrap_err();
        assert!(error.to_string().contains("larger share"), "{error}");
        cancel.cancel();
        let stopped = whole.sampled(0.3, 7, &cancel).await;
        assert!(matches!(stopped, Err(TuningError::Cancelled)));
        assert!(whole.sample.lock().await.is_none());
    }
}
