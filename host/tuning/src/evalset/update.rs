//! An evaluation set carried over to vectors that followed from those it knows.
//!
//! When appended rows are merged into a new base, most of what a set knows stays true: a query whose true
//! neighbours are all still there can only lose them to new rows, so only those are compared. Exact search over
//! everything is run again only for queries that lost a true neighbour, because what came behind it is not known.
//!
//! The outcome is what a new computation would give, bit for bit, ties included. That rests on the rows that
//! stayed keeping their order; where they do not, everything is computed anew.

use std::{cmp::Ordering, collections::HashSet};

use boathouse_vector::VectorSet;
use tokio_util::sync::CancellationToken;

use super::{EvalQuery, EvalSet, find_truth, prepare};
use crate::{
    IndexData, TuningError,
    blocking::{alive, blocking},
};

impl EvalSet {
    /// The same queries with their exact neighbours among `data`. `rows` tells for each row that this set knows
    /// where its vector is now; none for one that is gone. Rows of `data` that nothing leads to are new.
    ///
    /// A drawn query whose own row is gone is kept and leaves nothing out any more.
    ///
    /// # Errors
    /// [`TuningError::Unfit`] when `data` is of another index or shape; [`TuningError::InvalidInput`] when `rows` is no such
    /// map;
    /// [`TuningError::Cancelled`].
    pub async fn updated(
        &self,
        data: &IndexData,
        rows: &[Option<u32>],
        cancel: &CancellationToken,
    ) -> Result<Self, TuningError> {
        self.check_shape(data)?;
        let (mut updated, moves) = (self.clone(), Moves::new(self, rows, data.len())?);
        updated.data_version.clone_from(&data.data_version);
        updated.vectors = data.len() as u64;
        let data = data.clone();
        blocking(cancel, move |stop| {
            let k = updated.k as usize;
            let mut lost = Vec::new();
            for (at, query) in updated.queries.iter_mut().enumerate() {
                alive(stop)?;
                if !moves.carry(&data.vectors, query, k)? {
                    lost.push(at);
                }
            }
            recompute(&data, &mut updated.queries, &lost, k, stop)?;
            Ok(updated)
        })
        .await
    }
}

/// Where rows went.
struct Moves {
    /// New place of each known row.
    rows: Vec<Option<u32>>,
    /// Rows that nothing leads to.
    new: Vec<u32>,
    /// The rows that stayed keep their order, so ties are broken as before.
    in_order: bool,
}

impl Moves {
    fn new(set: &EvalSet, rows: &[Option<u32>], len: usize) -> Result<Self, TuningError> {
        let wrong = |why: String| {
            let name = &set.name;
            TuningError::InvalidInput(format!(
                "evaluation set `{name}` cannot follow: {why}; make a new set"
            ))
        };
        if rows.len() as u64 != set.vectors {
            let (knows, told) = (set.vectors, rows.len());
            return Err(wrong(format!(
                "it knows {knows} vectors and is told of {told}"
            )));
        }
        let kept: Vec<u32> = rows.iter().flatten().copied().collect();
        let taken: HashSet<u32> = kept.iter().copied().collect();
        if taken.len() < kept.len() || kept.iter().any(|&row| row as usize >= len) {
            return Err(wrong(
                "two vectors became one, or one is out of range".to_owned(),
            ));
        }
        // A set of vectors has fewer than 2^31 rows.
        let all = 0..len as u32;
        Ok(Self {
            new: all.filter(|row| !taken.contains(row)).collect(),
            in_order: kept.is_sorted(),
            rows: rows.to_vec(),
        })
    }

    /// Brings a query over; false when its neighbours have to be looked for anew.
    fn carry(&self, set: &VectorSet, query: &mut EvalQuery, k: usize) -> Result<bool, TuningError> {
        let moved = |row: u32| self.rows.get(row as usize).copied().flatten();
        query.held_out = query.held_out.and_then(moved);
        let old: Option<Vec<u32>> = query.truth.iter().map(|&row| moved(row)).collect();
        let Some(old) = old.filter(|_| self.in_order) else {
            return Ok(false);
        };
        let prepared = prepare(set, &query.vector)?;
        let mut near: Vec<(f32, u32)> = old
            .into_iter()
            .chain(self.new.iter().copied())
            .map(|row| (set.distance(&prepared, row), row))
            .collect();
        near.sort_unstable_by(nearer);
        query.truth = near.into_iter().take(k).map(|(_, row)| row).collect();
        Ok(true)
    }
}

fn nearer(a: &(f32, u32), b: &(f32, u32)) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// Looks anew for the neighbours of some queries.
fn recompute(
    data: &IndexData,
    queries: &mut [EvalQuery],
    which: &[usize],
    k: usize,
    stop: &CancellationToken,
) -> Result<(), TuningError> {
    let mut again: Vec<EvalQuery> = which.iter().map(|&at| queries[at].clone()).collect();
    find_truth(data, &mut again, k, stop)?;
    for (&at, query) in which.iter().zip(again) {
        queries[at] = query;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use boathouse_types::Metric;
    use rand::{Rng, SeedableRng, seq::SliceRandom};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::{
        EvalSetName, EvalSource, EvalSpec,
        testing::{clustered, data_of, in_pieces},
    };

    async fn drawn(data: &IndexData, queries: usize, k: u32) -> EvalSet {
        let spec = EvalSpec {
            k,
            seed: 5,
            source: EvalSource::Drawn { queries },
        };
        let name = EvalSetName::new("drawn").unwrap();
        EvalSet::make(name, data, spec, &CancellationToken::new())
            .await
            .unwrap()
    }

    /// What a new computation gives for the same queries.
    fn anew(set: &EvalSet, data: &IndexData) -> Vec<EvalQuery> {
        let mut queries = set.queries.clone();
        let k = set.k as usize;
        find_truth(data, &mut queries, k, &CancellationToken::new()).unwrap();
        queries
    }

    async fn check(set: &EvalSet, data: &IndexData, rows: &[Option<u32>]) {
        let updated = set
            .updated(data, rows, &CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(updated.data_version, data.data_version);
        assert_eq!(updated.vectors, data.len() as u64);
        assert_eq!(updated.queries, anew(&updated, data));
        for (before, after) in set.queries.iter().zip(&updated.queries) {
            let own = before.held_out.and_then(|row| rows[row as usize]);
            assert_eq!((&after.vector, after.held_out), (&before.vector, own));
        }
    }

    /// Rows of `from` that stay, in order, with new ones between and behind, many of them equal to others.
    fn grown(
        rng: &mut ChaCha8Rng,
        from: &[Vec<f32>],
        lost: f64,
    ) -> (Vec<Vec<f32>>, Vec<Option<u32>>) {
        let (mut rows, mut map) = (Vec::new(), Vec::new());
        let fresh = |rng: &mut ChaCha8Rng| match rng.random_bool(0.3) {
            true => from[rng.random_range(0..from.len())].clone(),
            false => (0..4)
                .map(|_| f32::from(rng.random_range(-3_i8..4)) + 0.5)
                .collect(),
        };
        for row in from {
            if rng.random_bool(0.1) {
                rows.push(fresh(rng));
            }
            map.push((!rng.random_bool(lost)).then_some(rows.len() as u32));
            if map.last().is_some_and(Option::is_some) {
                rows.push(row.clone());
            }
        }
        for _ in 0..rng.random_range(0..40) {
            rows.push(fresh(rng));
        }
        (rows, map)
    }

    #[tokio::test]
    async fn whatever_a_merge_does_the_outcome_is_that_of_a_new_computation() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for round in 0..60 {
            let metric = [Metric::Cosine, Metric::L2, Metric::Dot][round % 3];
            // Few different values, so that many distances are equal.
            let first: Vec<Vec<f32>> = (0..rng.random_range(12..80))
                .map(|_| {
                    (0..4)
                        .map(|_| f32::from(rng.random_range(-2_i8..3)) + 0.5)
                        .collect()
                })
                .collect();
            let lost = [0.0, 0.05, 0.6][round / 3 % 3];
            let (second, map) = grown(&mut rng, &first, lost);
            let after = IndexData {
                data_version: "v2".to_owned(),
                ..data_of(&second, metric)
            };
            let set = drawn(&data_of(&first, metric), 15, 1 + round as u32 % 12).await;
            check(&set, &after, &map).await;
        }
    }

    #[tokio::test]
    async fn an_order_that_changed_costs_a_computation_and_no_truth() {
        let before: Vec<Vec<f32>> = (0..40)
            .map(|at| vec![f32::from(at as u8 / 4), 1.0])
            .collect();
        let mut order: Vec<u32> = (0..40).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(2));
        let mut after = before.clone();
        for (row, &to) in order.iter().enumerate() {
            after[to as usize] = before[row].clone();
        }
        let set = drawn(&data_of(&before, Metric::L2), 20, 5).await;
        let map: Vec<Option<u32>> = order.into_iter().map(Some).collect();
        check(&set, &data_of(&after, Metric::L2), &map).await;
    }

    #[tokio::test]
    async fn an_append_is_followed() {
        let (before, mut after) = (clustered(200), clustered(320));
        after.data_version = "v2".to_owned();
        let map: Vec<Option<u32>> = (0..200).map(Some).collect();
        check(&drawn(&before, 30, 8).await, &after, &map).await;
    }

    #[tokio::test]
    async fn an_append_to_documents_of_several_vectors_is_followed() {
        let (before, after) = (in_pieces(clustered(200), 4), in_pieces(clustered(320), 4));
        let after = IndexData {
            data_version: "v2".to_owned(),
            ..after
        };
        let all: Vec<Option<u32>> = (0..200).map(Some).collect();
        let set = drawn(&before, 30, 8).await;
        check(&set, &after, &all).await;
        // All vectors of a document go together.
        let (mut next, mut without) = (0.., Vec::new());
        for row in 0..200_u32 {
            without.push((row / 4 % 7 > 0).then(|| next.next()).flatten());
        }
        let left: Vec<Vec<f32>> = (0..200_u32)
            .filter(|row| without[*row as usize].is_some())
            .map(|row| before.vectors.row(row)[..16].to_vec())
            .collect();
        let left = IndexData {
            data_version: "v3".to_owned(),
            ..in_pieces(data_of(&left, Metric::Cosine), 4)
        };
        check(&set, &left, &without).await;
    }

    #[tokio::test]
    async fn what_is_no_map_is_refused() {
        let data = clustered(20);
        let set = drawn(&data, 5, 3).await;
        let identity: Vec<Option<u32>> = (0..20).map(Some).collect();
        let changed = |at: usize, row| {
            let mut map = identity.clone();
            map[at] = Some(row);
            map
        };
        for (map, said) in [
            (identity[..19].to_vec(), "told of 19"),
            (changed(3, 4), "became one"),
            (changed(3, 20), "out of range"),
        ] {
            let refused = set.updated(&data, &map, &CancellationToken::new()).await;
            let error = refused.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let cancel = CancellationToken::new();
        cancel.cancel();
        let stopped = set.updated(&data, &identity, &cancel).await;
        assert!(matches!(stopped, Err(TuningError::Cancelled)));
    }
}
