//! The rows that were appended since the graph of an index was built.
//!
//! A graph knows the rows that it was built over and no others. What came later is kept beside it in a few
//! parts, in the order in which they came, and compared with a query one by one: exact, and bounded, as a
//! tail that has grown long is merged into a new base (`append/merge.rs`). Where rows have ids of their own, a
//! later row replaces the earlier ones of its id, which are hidden wherever they are.
//!
//! Invariants: a tail is never changed, a search sees one from beginning to end; of the rows with one id
//! exactly the last is not hidden; without an id column nothing is hidden, as numbers of rows are unique.

use std::{collections::HashMap, sync::Arc};

use boathouse_types::Metric;
use boathouse_vector::{
    HnswGraph, Query, Scratch, VectorSet, exact_top_k,
    table::{self, VectorTable},
};
use bytes::Bytes;

use crate::problem::Problem;

/// Vectors of one append, or of several that were put together.
#[derive(Debug)]
pub(super) struct Part {
    /// The object that they came from.
    pub(super) path: String,
    pub(super) vectors: VectorSet,
    pub(super) doc_ids: Vec<String>,
    pub(super) rows: Vec<u64>,
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
}

#[derive(Debug, Default)]
struct Hidden {
    base: RowMask,
    parts: Vec<RowMask>,
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
    /// The vectors in the bytes of an object.
    ///
    /// # Errors
    /// As [`table::read`], and for vectors that cannot be searched.
    pub(super) fn read(path: &str, bytes: Bytes, metric: Metric) -> Result<Self, Problem> {
        let table = table::read(bytes)?;
        Ok(Self {
            path: path.to_owned(),
            vectors: table.to_set(metric)?,
            doc_ids: table.doc_ids().to_vec(),
            rows: table.rows().to_vec(),
        })
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

impl Tail {
    /// The tail behind a base whose rows have these ids. `unique` says that no two rows can have the same.
    pub(super) fn behind(base_ids: &[String], parts: Vec<Arc<Part>>, unique: bool) -> Self {
        let hidden = match unique || parts.is_empty() {
            true => Hidden {
                base: RowMask::default(),
                parts: parts.iter().map(|_| RowMask::default()).collect(),
            },
            false => Hidden::of(base_ids, &parts),
        };
        Self {
            parts,
            hidden: Arc::new(hidden),
        }
    }

    pub(super) fn parts(&self) -> &[Arc<Part>] {
        &self.parts
    }

    /// Whether a row of the base is hidden.
    pub(super) fn hides(&self, row: usize) -> bool {
        self.hidden.base.has(row)
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
        let of = |part| {
            move |found: &boathouse_vector::Neighbor| Match {
                part,
                row: found.row,
                distance: found.distance,
            }
        };
        let mut matches: Vec<Match> = found.neighbors.iter().map(of(None)).collect();
        for (at, part) in self.parts.iter().enumerate() {
            let keep = |row| !self.hides_in(at, row as usize);
            let nearest = exact_top_k(&part.vectors, query, k, keep);
            matches.extend(nearest.iter().map(of(Some(at))));
        }
        if !self.parts.is_empty() {
            // Stable: the base comes first, then parts in their order.
            matches.sort_by(|a, b| a.distance.total_cmp(&b.distance));
            matches.truncate(k);
        }
        (matches, found.distances + self.vectors() as u64)
    }
}

impl Hidden {
    fn of(base_ids: &[String], parts: &[Arc<Part>]) -> Self {
        let mut masks: Vec<RowMask> = parts.iter().map(|_| RowMask::default()).collect();
        let mut last: HashMap<&str, (usize, usize)> = HashMap::new();
        for (at, part) in parts.iter().enumerate() {
            for (row, id) in part.doc_ids.iter().enumerate() {
                if let Some((part, row)) = last.insert(id, (at, row)) {
                    masks[part].add(row);
                }
            }
        }
        let mut base = RowMask::default();
        for (row, id) in base_ids.iter().enumerate() {
            if last.contains_key(id.as_str()) {
                base.add(row);
            }
        }
        Self { base, parts: masks }
    }
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
/// When they are of another dimension.
pub(super) fn append(
    to: &mut VectorTable,
    from: &VectorTable,
    keep: impl Fn(usize) -> bool,
) -> Result<(), Problem> {
    let columns = from.doc_ids().iter().zip(from.rows()).zip(from.vectors());
    for (at, ((id, row), vector)) in columns.enumerate() {
        if keep(at) {
            to.push(id.clone(), *row, vector)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
