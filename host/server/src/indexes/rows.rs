//! The vectors of an index one by one: which are searched, of which documents and of which rows of the dataset.

use std::collections::{BTreeMap, BTreeSet};

use super::LiveIndex;

impl LiveIndex {
    /// Whether a vector is searched, by the number of its object (the base has 0) and its place there.
    pub(crate) fn shows(&self, object: usize, row: usize) -> bool {
        match object.checked_sub(1) {
            None => !self.tail.hides(row),
            Some(part) => !self.tail.hides_in(part, row),
        }
    }

    /// The vectors that are searched, by part (none: the base) and place there, with the ids of their documents.
    pub(super) fn shown(&self) -> impl Iterator<Item = (Option<usize>, usize, &str)> {
        let base = self.doc_ids.iter().enumerate();
        let base = base.map(|(row, id)| (None, row, id));
        let parts = self.tail.parts().iter().enumerate();
        let parts = parts.flat_map(|(at, part)| {
            let rows = part.doc_ids.iter().enumerate();
            rows.map(move |(row, id)| (Some(at), row, id))
        });
        let shown = |(part, row, _): &(Option<usize>, usize, &str)| {
            self.shows(part.map_or(0, |part| part + 1), *row)
        };
        base.chain(parts).filter(shown)
    }

    /// The row of the dataset of a vector.
    pub(super) fn row_at(&self, part: Option<usize>, row: usize) -> u64 {
        match part.and_then(|part| self.tail.parts().get(part)) {
            Some(part) => part.rows[row],
            None => self.rows[row],
        }
    }

    /// Ids of the documents that are searched; several times where a document has several vectors.
    pub(crate) fn shown_ids(&self) -> impl Iterator<Item = &str> {
        self.shown().map(|(_, _, id)| id)
    }

    /// Those of these ids that have a document, with its row of the dataset.
    pub(crate) fn rows_by_id<'a>(&self, wanted: &'a BTreeSet<String>) -> BTreeMap<&'a str, u64> {
        let found = self.shown().filter_map(|(part, row, id)| {
            let id = wanted.get(id)?;
            Some((id.as_str(), self.row_at(part, row)))
        });
        found.collect()
    }

    /// Whether a document with this id and row of the dataset would be hidden, as it was deleted.
    pub(crate) fn hides(&self, id: &str, row: u64) -> bool {
        self.tombstones.hide(id, row)
    }
}
