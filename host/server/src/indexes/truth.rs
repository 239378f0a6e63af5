//! The exact answer to a query, which live recall holds answers against.

use boathouse_vector::exact_top_k;

use super::LiveIndex;
use crate::problem::Problem;

/// The rows nearest to a query, found by comparing all.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Truth {
    /// Their distances, nearest first.
    pub(crate) distances: Vec<f32>,
    /// Distance of the nearest row of the base, without what was appended since.
    pub(crate) nearest_in_base: Option<f32>,
}

impl LiveIndex {
    /// Compares a query with every row that is searched, of the base and behind it.
    ///
    /// # Errors
    /// 422 for a vector that does not fit.
    pub(crate) fn truth(&self, vector: &[f32], k: usize) -> Result<Truth, Problem> {
        let query = self.data.vectors.prepare_query(vector)?;
        let shown = |row| !self.tail.hides(row as usize);
        let base = exact_top_k(&self.data.vectors, &query, k, shown);
        let mut distances: Vec<f32> = base.iter().map(|found| found.distance).collect();
        let nearest_in_base = distances.first().copied();
        for (at, part) in self.tail.parts().iter().enumerate() {
            let shown = |row| !self.tail.hides_in(at, row as usize);
            let nearest = exact_top_k(&part.vectors, &query, k, shown);
            distances.extend(nearest.iter().map(|found| found.distance));
        }
        distances.sort_by(f32::total_cmp);
        distances.truncate(k);
        Ok(Truth {
            distances,
            nearest_in_base,
        })
    }
}
