//! The nearest documents, where a document may have several vectors: one for each piece of its text.
//!
//! A search finds vectors; an answer is about documents, each by its nearest vector. So a search asks for more vectors
//! than documents are wanted, and for twice as many again until there are enough documents or no vectors are left. As
//! the nearest vectors of each request are those of the one before and more, the documents are the nearest ones as soon
//! as there are enough of them.
//!
//! What is one document is told by the row of the dataset: of the vectors that are searched those with the same row are
//! pieces of one text, as earlier rows of its id are hidden.

use std::collections::HashSet;

use boathouse_vector::Span;

use super::{LiveIndex, tail::Match};

impl LiveIndex {
    /// Documents that are searched.
    #[must_use]
    pub fn documents(&self) -> usize {
        self.base_documents - self.tail.hidden_documents() + self.tail.documents()
    }

    /// Document id and row of the dataset of something that was found.
    pub(super) fn document(&self, found: &Match) -> (&str, u64) {
        let row = found.row as usize;
        match found.part.and_then(|part| self.tail.parts().get(part)) {
            Some(part) => (part.doc_ids.get(row), part.rows[row]),
            None => (self.doc_ids.get(row), self.rows[row]),
        }
    }

    /// The piece of a text that something stands for that was found; none when texts are not cut.
    pub(super) fn span(&self, found: &Match) -> Option<Span> {
        let spans = match found.part.and_then(|part| self.tail.parts().get(part)) {
            Some(part) => part.spans.as_ref(),
            None => self.spans.as_ref(),
        };
        spans.map(|spans| spans.get(found.row as usize))
    }

    /// The nearest `k` documents, each by its nearest vector. `nearest` gives so many vectors, nearest first, of `all`
    /// that there are; where each is a document of its own it is asked once.
    pub(super) fn by_document(
        &self,
        k: usize,
        all: usize,
        mut nearest: impl FnMut(usize) -> Vec<Match>,
    ) -> Vec<Match> {
        match self.meta.chunk {
            None => nearest(k),
            Some(_) => self::nearest(k, all.max(1), |found| self.document(found).1, nearest),
        }
    }
}

/// The nearest `k` documents, each by its nearest vector, nearest first; fewer when there are fewer. `nearest` gives so
/// many vectors, nearest first, of `all` that there are; `row_of` tells the row of the dataset that a vector is of.
fn nearest(
    k: usize,
    all: usize,
    row_of: impl Fn(&Match) -> u64,
    mut nearest: impl FnMut(usize) -> Vec<Match>,
) -> Vec<Match> {
    let mut wanted = k.saturating_mul(2).min(all);
    loop {
        let documents = first_of_each(nearest(wanted), k, &row_of);
        if documents.len() == k || wanted == all {
            return documents;
        }
        wanted = wanted.saturating_mul(2).min(all);
    }
}

/// The first vectors of `k` documents, in their order.
fn first_of_each(found: Vec<Match>, k: usize, row_of: &impl Fn(&Match) -> u64) -> Vec<Match> {
    let mut seen = HashSet::with_capacity(found.len());
    let first = found.into_iter().filter(|found| seen.insert(row_of(found)));
    first.take(k).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for documents among vectors that are of these rows, nearest first: their rows, and how many vectors were
    /// asked for each time.
    fn ask(k: usize, rows: &[u64]) -> (Vec<u32>, Vec<usize>) {
        let mut asked = Vec::new();
        let found = nearest(
            k,
            rows.len().max(1),
            |found| rows[found.row as usize],
            |wanted| {
                asked.push(wanted);
                let all = (0..rows.len() as u32).map(|row| Match {
                    part: None,
                    row,
                    distance: row as f32,
                });
                all.take(wanted).collect()
            },
        );
        (found.iter().map(|found| found.row).collect(), asked)
    }

    #[test]
    fn each_document_is_there_once_by_its_nearest_vector() {
        let rows = [7, 7, 3, 7, 9, 3, 1];
        assert_eq!(ask(2, &rows), (vec![0, 2], vec![4]));
        assert_eq!(ask(3, &rows), (vec![0, 2, 4], vec![6]));
        assert_eq!(ask(4, &rows), (vec![0, 2, 4, 6], vec![7]));
    }

    #[test]
    fn more_vectors_are_asked_for_until_there_are_enough_documents_or_none_are_left() {
        let rows: Vec<u64> = (0..40).map(|at| at / 20).collect();
        assert_eq!(ask(2, &rows), (vec![0, 20], vec![4, 8, 16, 32]));
        assert_eq!(ask(3, &rows), (vec![0, 20], vec![6, 12, 24, 40]));
        assert_eq!(ask(100, &rows), (vec![0, 20], vec![40]));
        assert_eq!(ask(1, &[]), (vec![], vec![1]));
    }
}
