//! The exact answer to a query, which live recall holds answers against.

use super::{LiveIndex, tail::Wanted};
use crate::problem::Problem;

/// The documents nearest to a query, found by comparing all vectors.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Truth {
    /// Their distances, nearest first.
    pub(crate) distances: Vec<f32>,
    /// Distance of the nearest vector of the base, without what was appended since.
    pub(crate) nearest_in_base: Option<f32>,
}

impl LiveIndex {
    /// Compares a query with every vector that is searched, of the base and behind it.
    ///
    /// # Errors
    /// 422 for a vector that does not fit.
    pub(crate) fn truth(&self, vector: &[f32], k: usize) -> Result<Truth, Problem> {
        let query = self.data.vectors.prepare_query(vector)?;
        let mut nearest_in_base = None;
        let nearest = |k| {
            let wanted = Wanted {
                query: &query,
                k,
                ef: k,
            };
            let (found, nearest) = self.tail.nearest_exactly(&self.data.vectors, &wanted);
            nearest_in_base = nearest;
            found
        };
        let found = self.by_document(k, self.vectors(), nearest);
        let distances = found.iter().map(|found| found.distance).collect();
        Ok(Truth {
            distances,
            nearest_in_base,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::indexes::testing::{ROWS, TAIL, build, memory, opened, vectors};

    #[tokio::test]
    async fn the_truth_is_about_every_row_that_is_searched() {
        let bucket = memory("primary");
        build(&bucket, "first").await;
        let index = opened(&[&bucket]).await.get("papers").unwrap();
        let appended = vectors(ROWS..ROWS + TAIL);
        let query = appended.vectors().next().unwrap().to_vec();
        let all = usize::from(ROWS + TAIL);
        let truth = index.truth(&query, all + 5).unwrap();
        assert_eq!(truth.distances.len(), all);
        assert!(truth.distances.is_sorted());
        assert!(
            truth.distances[0] < 1e-6,
            "an appended row is nearest: {truth:?}"
        );
        let set = &index.data.vectors;
        let prepared = set.prepare_query(&query).unwrap();
        let rows = 0..u32::from(ROWS);
        let nearest = rows.map(|row| set.distance(&prepared, row));
        assert_eq!(truth.nearest_in_base, nearest.min_by(f32::total_cmp));
        assert_eq!(
            index.truth(&query, 3).unwrap().distances,
            truth.distances[..3]
        );
        assert!(index.truth(&query[1..], 3).is_err());
    }
}
