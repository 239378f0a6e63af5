//! The rows that were appended since the graph of an index was built.
//!
//! A graph knows the rows that it was built over and no others. What came later is kept beside it in a few
//! parts, in the order in which they came, and compared with a query one by one: exact, and bounded, as a
//! tail that has grown long is merged into a new base (`append/merge.rs`). Where rows have ids of their own, a
//! later row replaces the earlier ones of its id, which are hidden wherever they are. So are rows that were deleted
//! (`tombstones.rs`).
//!
//! A document may have several vectors, for pieces of its text: these are hidden together (`documents.rs` tells what is
//! made of them in answers). What is called a row here is a vector, but for rows of the dataset.
//!
//! Invariants: a tail is never changed, a search sees one from beginning to end; of the rows of the dataset with one id
//! at most the last is not hidden; without an id column deleted rows alone are, as numbers of rows are unique.

use std::{collections::HashMap, ops::Range, sync::Arc};

use boathouse_vector::{
    DocIds, DocRows, Frozen, HnswGraph, Neighbor, Query, Scratch, Spans, VectorSet, exact_top_k,
    table::VectorTable,
};

use super::{filter::FilterPlan, tombstones::Tombstones};
use crate::problem::Problem;

/// Vectors of one append, or of several that were put together.
#[derive(Debug)]
pub(super) struct Part {
    /// The object that they came from.
    pub(super) path: String,
    pub(super) vectors: Arc<VectorSet>,
    pub(super) doc_ids: DocIds,
    pub(super) rows: DocRows,
    pub(super) spans: Option<Spans>,
}

/// A set of row numbers.
#[derive(Debug, Default)]
pub(super) struct RowMask {
    words: Vec<u64>,
    count: usize,
}

/// Everything behind a base, and which rows of both are hidden.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail {
    parts: Vec<Arc<Part>>,
    hidden: Arc<Hidden>,
    /// Documents of the base that are hidden.
    hidden_documents: usize,
    /// Documents of the parts that are not.
    documents: usize,
    /// Documents that were deleted and are not back.
    deleted: usize,
}

#[derive(Debug, Default)]
struct Hidden {
    base: RowMask,
    parts: Vec<RowMask>,
}

/// The rows of a base and of what is behind it that a filter lets through; hidden ones are not among them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    base: RowMask,
    parts: Vec<RowMask>,
    documents: usize,
}

/// A row that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Match {
    /// The part of the tail that it is in; none: the base.
    pub(super) part: Option<usize>,
    /// Its number there.
    pub(super) row: u32,
    pub(super) distance: f32,
}

/// What to look for.
pub(super) struct Wanted<'a> {
    pub(super) query: &'a Query,
    pub(super) k: usize,
    pub(super) ef: usize,
}

impl Part {
    /// The vectors of an object.
    pub(super) fn new(path: &str, frozen: Frozen) -> Self {
        let Frozen {
            vectors,
            doc_ids,
            rows,
            spans,
        } = frozen;
        Self {
            path: path.to_owned(),
            vectors,
            doc_ids,
            rows,
            spans,
        }
    }

    /// Its vectors with their documents.
    pub(super) fn as_frozen(&self) -> Frozen {
        Frozen {
            vectors: Arc::clone(&self.vectors),
            doc_ids: self.doc_ids.clone(),
            rows: self.rows.clone(),
            spans: self.spans.clone(),
        }
    }
}

impl RowMask {
    /// Adds a row; false when it was there.
    pub(super) fn add(&mut self, row: usize) -> bool {
        let (word, bit) = (row / 64, 1_u64 << (row % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let fresh = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += usize::from(fresh);
        fresh
    }

    #[inline]
    pub(super) fn has(&self, row: usize) -> bool {
        let word = self.words.get(row / 64);
        word.is_some_and(|word| word & (1 << (row % 64)) != 0)
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }
}

impl Kept {
    pub(super) fn len(&self) -> usize {
        self.base.len() + self.in_parts()
    }

    /// The documents that they are of.
    pub(super) fn documents(&self) -> usize {
        self.documents
    }

    fn in_parts(&self) -> usize {
        self.parts.iter().map(RowMask::len).sum()
    }

    /// Whether a row of a part (none: the base) is among them.
    pub(super) fn has(&self, part: Option<usize>, row: usize) -> bool {
        match part {
            Some(part) => self.parts.get(part).is_some_and(|mask| mask.has(row)),
            None => self.base.has(row),
        }
    }
}

impl Tail {
    /// The tail behind a base, whose rows have these ids and are these rows of the dataset. `unique` says that no two
    /// rows can have the same id.
    pub(super) fn behind(
        base: (&DocIds, &DocRows),
        parts: Vec<Arc<Part>>,
        unique: bool,
        tombstones: &Tombstones,
    ) -> Self {
        let mut hidden = match unique || parts.is_empty() {
            true => Hidden {
                base: RowMask::default(),
                parts: parts.iter().map(|_| RowMask::default()).collect(),
            },
            false => Hidden::of(base.0, &parts),
        };
        let back = match tombstones.is_empty() {
            true => 0,
            false => hidden.delete(base, &parts, tombstones),
        };
        let shown = parts.iter().zip(&hidden.parts);
        let shown = shown.map(|(part, mask)| documents_if(&part.rows, |row| !mask.has(row)));
        Self {
            documents: shown.sum(),
            hidden_documents: match hidden.base.len() {
                0 => 0,
                _ => documents_if(base.1, |row| hidden.base.has(row)),
            },
            parts,
            hidden: Arc::new(hidden),
            deleted: tombstones.len() - back,
        }
    }

    /// Documents that were deleted and did not come back.
    pub(super) fn deleted(&self) -> usize {
        self.deleted
    }

    /// The rows that are searched and of which the row of the dataset is among these.
    pub(super) fn kept(&self, base: &DocRows, rows: &RowMask) -> Kept {
        let mut kept = Kept::default();
        for (at, row) in base.iter().enumerate() {
            if rows.has(*row as usize) && !self.hides(at) {
                kept.base.add(at);
                kept.documents += usize::from(base.begins(at));
            }
        }
        for (number, part) in self.parts.iter().enumerate() {
            let mut mask = RowMask::default();
            for (at, row) in part.rows.iter().enumerate() {
                if rows.has(*row as usize) && !self.hides_in(number, at) {
                    mask.add(at);
                    kept.documents += usize::from(part.rows.begins(at));
                }
            }
            kept.parts.push(mask);
        }
        kept
    }

    pub(super) fn parts(&self) -> &[Arc<Part>] {
        &self.parts
    }

    /// Whether a row of the base is hidden.
    pub(super) fn hides(&self, row: usize) -> bool {
        self.hidden.base.has(row)
    }

    /// Documents of the base that are hidden.
    pub(super) fn hidden_documents(&self) -> usize {
        self.hidden_documents
    }

    /// Documents behind the base that are searched.
    pub(super) fn documents(&self) -> usize {
        self.documents
    }

    /// Rows of the base that are hidden.
    pub(super) fn hidden_in_base(&self) -> usize {
        self.hidden.base.len()
    }

    /// Whether a row of a part is hidden.
    pub(super) fn hides_in(&self, part: usize, row: usize) -> bool {
        self.hidden
            .parts
            .get(part)
            .is_some_and(|mask| mask.has(row))
    }

    /// All rows, hidden ones among them: each costs a distance or a look.
    pub(super) fn rows(&self) -> usize {
        self.parts.iter().map(|part| part.rows.len()).sum()
    }

    /// Rows that are searched.
    pub(super) fn vectors(&self) -> usize {
        let hidden = self.hidden.parts.iter().map(RowMask::len);
        self.rows() - hidden.sum::<usize>()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let parts = self.parts.iter();
        parts.map(|part| part.vectors.memory_bytes()).sum()
    }

    /// The rows nearest to a query, in the base by its graph and behind it by comparing all; nearest first,
    /// of equal distances the base first. With the number of distances computed.
    pub(super) fn nearest(
        &self,
        base: &VectorSet,
        graph: &HnswGraph,
        wanted: &Wanted<'_>,
        scratch: &mut Scratch,
    ) -> (Vec<Match>, u64) {
        let &Wanted { query, k, ef } = wanted;
        let found = match self.hidden_in_base() {
            0 => graph.search(base, query, k, ef, scratch),
            _ => {
                graph.search_filtered(base, query, k, ef, scratch, |row| !self.hides(row as usize))
            }
        };
        let shown = |part, row| !self.hides_in(part, row);
        let matches = self.joined(&found.neighbors, wanted, shown);
        (matches, found.distances + self.vectors() as u64)
    }

    /// The rows nearest to a query, found by comparing all; of equal distances the base first. With the distance of the
    /// nearest one of the base.
    pub(super) fn nearest_exactly(
        &self,
        base: &VectorSet,
        wanted: &Wanted<'_>,
    ) -> (Vec<Match>, Option<f32>) {
        let in_base = |row| !self.hides(row as usize);
        let found = exact_top_k(base, wanted.query, wanted.k, in_base);
        let nearest = found.first().map(|found| found.distance);
        let shown = |part, row| !self.hides_in(part, row);
        (self.joined(&found, wanted, shown), nearest)
    }

    /// As [`Self::nearest`], among rows that a filter lets through: `k` of them whenever there are so many. With the
    /// way in which those of the base were found.
    pub(super) fn nearest_kept(
        &self,
        base: &VectorSet,
        graph: &HnswGraph,
        wanted: &Wanted<'_>,
        kept: &Kept,
        scratch: &mut Scratch,
    ) -> (Vec<Match>, u64, FilterPlan) {
        let &Wanted { query, k, ef } = wanted;
        let keep = |row| kept.base.has(row as usize);
        let found = graph.search_filtered(base, query, k, ef, scratch, keep);
        // Who compares all that are kept computes a distance for each, and a walk for some that are not.
        let plan = match found.distances == kept.base.len() as u64 {
            true => FilterPlan::Exact,
            false => FilterPlan::Traversal,
        };
        let matches = self.joined(&found.neighbors, wanted, |part, row| {
            kept.has(Some(part), row)
        });
        (matches, found.distances + kept.in_parts() as u64, plan)
    }

    /// What was found in the base together with the nearest rows behind it that are shown.
    fn joined(
        &self,
        base: &[Neighbor],
        wanted: &Wanted<'_>,
        shown: impl Fn(usize, usize) -> bool,
    ) -> Vec<Match> {
        let of = |part| {
            move |found: &Neighbor| Match {
                part,
                row: found.row,
                distance: found.distance,
            }
        };
        let mut matches: Vec<Match> = base.iter().map(of(None)).collect();
        for (at, part) in self.parts.iter().enumerate() {
            let keep = |row| shown(at, row as usize);
            let nearest = exact_top_k(&part.vectors, wanted.query, wanted.k, keep);
            matches.extend(nearest.iter().map(of(Some(at))));
        }
        if !self.parts.is_empty() {
            // Stable: the base comes first, then parts in their order.
            matches.sort_by(|a, b| a.distance.total_cmp(&b.distance));
            matches.truncate(wanted.k);
        }
        matches
    }
}

impl Hidden {
    fn of(base_ids: &DocIds, parts: &[Arc<Part>]) -> Self {
        let mut masks: Vec<RowMask> = parts.iter().map(|_| RowMask::default()).collect();
        let mut last: HashMap<&str, (usize, Range<usize>)> = HashMap::new();
        for (at, part) in parts.iter().enumerate() {
            for first in (0..part.rows.len()).filter(|row| part.rows.begins(*row)) {
                let now = (at, part.rows.document_of(first));
                if let Some((part, rows)) = last.insert(part.doc_ids.get(first), now) {
                    for row in rows {
                        masks[part].add(row);
                    }
                }
            }
        }
        let mut base = RowMask::default();
        for (row, id) in base_ids.iter().enumerate() {
            if last.contains_key(id) {
                base.add(row);
            }
        }
        Self { base, parts: masks }
    }

    /// Hides what was deleted; returns how many of the deleted documents are back.
    fn delete(
        &mut self,
        (ids, rows): (&DocIds, &DocRows),
        parts: &[Arc<Part>],
        tombstones: &Tombstones,
    ) -> usize {
        let base = mask_deleted(&mut self.base, ids, rows, tombstones);
        let masks = self.parts.iter_mut().zip(parts);
        let parts =
            masks.map(|(mask, part)| mask_deleted(mask, &part.doc_ids, &part.rows, tombstones));
        base + parts.sum::<usize>()
    }
}

/// Adds rows that were deleted to those that are hidden; returns how many are not hidden though their id was once
/// deleted.
fn mask_deleted(
    mask: &mut RowMask,
    ids: &DocIds,
    rows: &DocRows,
    tombstones: &Tombstones,
) -> usize {
    let mut back = 0;
    for (at, (id, row)) in ids.iter().zip(rows.iter()).enumerate() {
        match tombstones.below(id) {
            Some(below) if *row < below => drop(mask.add(at)),
            Some(_) if !mask.has(at) => back += usize::from(rows.begins(at)),
            _ => {}
        }
    }
    back
}

/// How many documents there are whose first row `is` accepts, by its number.
fn documents_if(rows: &DocRows, is: impl Fn(usize) -> bool) -> usize {
    let first = (0..rows.len()).filter(|at| rows.begins(*at));
    first.filter(|at| is(*at)).count()
}

/// A table without some of its rows.
///
/// # Errors
/// None that can happen: the vectors are of the table's own dimension.
pub(super) fn without(table: VectorTable, gone: &RowMask) -> Result<VectorTable, Problem> {
    if gone.len() == 0 {
        return Ok(table);
    }
    let mut left = VectorTable::new(table.dimension());
    append(&mut left, &table, |row| !gone.has(row))?;
    Ok(left)
}

/// Adds the rows of a table to another.
///
/// # Errors
/// When they are of another dimension, or of pieces of texts where the others are of whole ones.
pub(super) fn append(
    to: &mut VectorTable,
    from: &VectorTable,
    keep: impl Fn(usize) -> bool,
) -> Result<(), Problem> {
    let vectors = from.origins().zip(from.vectors());
    for (at, (origin, vector)) in vectors.enumerate() {
        if keep(at) {
            to.push_from(&origin, vector)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
