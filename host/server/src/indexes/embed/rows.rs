//! The rows of a dataset as they become vectors, batch by batch: pieces, ids, what replaces what.
//!
//! Invariants: a row is counted once, as one with vectors, as one that is left out or as one that a later row of its id
//! replaced; the vectors of a row follow one another.
//!
//! Absent here: reading the dataset and looking whether somebody wants it to end, which `embed.rs` does.

use std::{collections::HashMap, ops::Range};

use arrow::{
    array::{Array as _, AsArray as _, RecordBatch, StringArray},
    compute::cast,
    datatypes::DataType,
};
use boathouse_models::{Embedder, NoVector, Vectored};
use boathouse_vector::{
    Span,
    table::{Origin, TextDigest, VectorTable},
};

use super::{
    super::{
        Chunking,
        chunks::{Piece, pieces},
        tail::{RowMask, without},
    },
    Embedded, Embeddings, Ids, Known,
    parts::Parts,
    reuse::digest_of,
};
use crate::problem::Problem;

/// The state of embedding.
pub(super) struct Embedding {
    table: VectorTable,
    ids: Ids,
    /// The last row of each id, when ids come from a column.
    last: HashMap<String, Last>,
    /// Places in the table that a later row of the id replaced.
    superseded: RowMask,
    /// Rows that they are of.
    superseded_rows: u64,
    /// Number of the next row.
    pub(super) row: u64,
    skipped: u64,
    pub(super) chunk: Option<Chunking>,
    known: Known,
    /// Where what is done is kept; none when it is not.
    pub(super) parts: Option<Parts>,
    embeddings: Embeddings,
}

/// The last row of an id so far.
struct Last {
    row: u64,
    /// Where its vectors stand in the table; nowhere when it has no text.
    places: Range<usize>,
}

/// A piece of a text, with its vector.
struct Done {
    digest: TextDigest,
    span: Option<Span>,
    vector: Vec<f32>,
}

impl Embedding {
    /// Nothing yet of rows from one on, of texts that are not cut; nothing is kept.
    pub(super) fn new(known: Known, ids: Ids, from: u64) -> Self {
        Self {
            table: VectorTable::new(known.dimension()),
            ids,
            last: HashMap::new(),
            superseded: RowMask::default(),
            superseded_rows: 0,
            row: from,
            skipped: 0,
            chunk: None,
            known,
            parts: None,
            embeddings: Embeddings::default(),
        }
    }

    /// Embeds the rows of a batch that have text: its first column. Blocks.
    ///
    /// # Errors
    /// 422 for ids that do not keep their promise; the embedder's own failure.
    pub(super) fn add(
        &mut self,
        embedder: &dyn Embedder,
        batch: &RecordBatch,
        id_column: usize,
    ) -> Result<(), Problem> {
        let texts = as_text(batch, 0)?;
        let ids = as_text(batch, id_column)?;
        let (mut given, mut counts) = (Vec::new(), Vec::with_capacity(texts.len()));
        for text in &texts {
            let before = given.len();
            pieces(self.chunk, text.unwrap_or_default(), &mut given);
            counts.push(given.len() - before);
        }
        let mut done = self.vectors(embedder, &given)?.into_iter();
        for (at, count) in counts.into_iter().enumerate() {
            let of_row: Vec<Done> = done.by_ref().take(count).flatten().collect();
            self.add_row(&ids, at, &of_row)?;
        }
        self.row += batch.num_rows() as u64;
        Ok(())
    }

    /// The vectors of some pieces, in their order; none for one that the embedder can make nothing of.
    fn vectors(
        &mut self,
        embedder: &dyn Embedder,
        given: &[Piece<'_>],
    ) -> Result<Vec<Option<Done>>, Problem> {
        let digests: Vec<TextDigest> = given.iter().map(|piece| digest_of(piece.text)).collect();
        let unknown = given.iter().zip(&digests);
        let unknown = unknown.filter(|(_, digest)| self.known.get(digest).is_none());
        let unknown: Vec<&str> = unknown.map(|(piece, _)| piece.text).collect();
        let made = match unknown.as_slice() {
            [] => Vec::new(),
            unknown => embedder.embed_each(unknown)?,
        };
        let mut made = made.into_iter();
        let mut all = Vec::with_capacity(given.len());
        for (piece, digest) in given.iter().zip(digests) {
            let vector = match self.known.get(&digest) {
                Some(known) => {
                    self.embeddings.reused += 1;
                    Some(known.to_vec())
                }
                None => self.made(digest, made.next()),
            };
            all.push(vector.map(|vector| Done {
                digest,
                span: piece.span,
                vector,
            }));
        }
        Ok(all)
    }

    /// Counts and keeps a vector that the embedder made, if it made one.
    fn made(&mut self, digest: TextDigest, vector: Option<Vectored>) -> Option<Vec<f32>> {
        let vector = match vector? {
            Ok(vector) => vector,
            Err(NoVector::Empty) => return None,
            Err(NoVector::Rejected(reason)) => {
                tracing::warn!(%reason, "a text is left out: the embedder makes no vector of it");
                return None;
            }
        };
        self.embeddings.embedded += 1;
        if let Some(parts) = &mut self.parts {
            parts.add(digest, &vector);
        }
        Some(vector)
    }

    /// Adds the vectors of a row of a batch.
    fn add_row(&mut self, ids: &StringArray, at: usize, of_row: &[Done]) -> Result<(), Problem> {
        let (row, first) = (self.row + at as u64, self.table.len());
        let places = first..first + of_row.len();
        let id = self.id(ids, at, Last { row, places })?;
        let Some(id) = id.filter(|_| !of_row.is_empty()) else {
            self.skipped += 1;
            return Ok(());
        };
        for done in of_row {
            let origin = Origin {
                doc_id: &id,
                row,
                span: done.span,
                text_digest: Some(done.digest),
            };
            self.table.push_from(&origin, &done.vector)?;
        }
        Ok(())
    }

    /// The id of a row, which is the last one of its id now; none for a row that is left out without one.
    fn id(&mut self, ids: &StringArray, at: usize, now: Last) -> Result<Option<String>, Problem> {
        let (row, has_text) = (now.row, !now.places.is_empty());
        if matches!(self.ids, Ids::Numbers) {
            return Ok(Some(row.to_string()));
        }
        if ids.is_null(at) {
            return match (&self.ids, has_text) {
                (Ids::Unique(_), true) => Err(null_id(row)),
                _ => Ok(None),
            };
        }
        let id = ids.value(at).to_owned();
        if let Some(before) = self.last.insert(id.clone(), now) {
            // Of two rows without text none is to be found, whichever counts.
            let had_text = !before.places.is_empty();
            if (had_text || has_text) && !self.ids.allow(row, before.row) {
                return Err(duplicate_id(row));
            }
            self.superseded_rows += u64::from(had_text);
            for place in before.places {
                self.superseded.add(place);
            }
        }
        Ok(Some(id))
    }

    /// What became of all rows.
    pub(super) fn finish(self) -> Result<Embedded, Problem> {
        Ok(Embedded {
            skipped: self.skipped,
            superseded: self.superseded_rows,
            embeddings: self.embeddings,
            emptied: self
                .last
                .into_iter()
                .filter(|(_, last)| last.places.is_empty())
                .map(|(id, _)| id)
                .collect(),
            table: without(self.table, &self.superseded)?,
        })
    }
}

fn null_id(row: u64) -> Problem {
    Problem::field(
        "id_column",
        "null_id",
        format!("row {row} has no id; choose a column without nulls"),
    )
}

fn duplicate_id(row: u64) -> Problem {
    Problem::field(
        "id_column",
        "duplicate_id",
        format!(
            "two rows have the same id, the second is row {row}; choose a column that identifies a row"
        ),
    )
}

/// A column as text, whatever its type.
///
/// # Errors
/// 422 `no_id`.
pub(super) fn as_text(batch: &RecordBatch, column: usize) -> Result<StringArray, Problem> {
    let text = cast(batch.column(column), &DataType::Utf8).map_err(|error| {
        Problem::field(
            "id_column",
            "no_id",
            format!("cannot identify rows ({error}); choose a number or text"),
        )
    })?;
    Ok(text.as_string::<i32>().clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;
    use boathouse_models::StaticEmbedder;

    use super::*;

    /// What becomes of rows, each an id and a text, of which none stands for null.
    fn embedded(ids: Ids, rows: &[(Option<&str>, &str)]) -> Result<Embedded, Problem> {
        let embedder = StaticEmbedder::bundled().unwrap();
        let texts: StringArray = rows.iter().map(|(_, text)| Some(*text)).collect();
        let names: StringArray = rows.iter().map(|(id, _)| *id).collect();
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("text", Arc::new(texts) as ArrayRef, true),
            ("id", Arc::new(names) as ArrayRef, true),
        ]);
        let known = Known::new(embedder.dimension());
        let mut work = Embedding::new(known, ids, 0);
        work.add(&embedder, &batch.unwrap(), 1)?;
        work.finish()
    }

    /// What becomes of texts that are cut into pieces of fifty characters.
    fn in_pieces(known: Known, ids: Ids, rows: &[(&str, &str)]) -> Embedded {
        let embedder = StaticEmbedder::bundled().unwrap();
        let texts: StringArray = rows.iter().map(|(_, text)| Some(*text)).collect();
        let names: StringArray = rows.iter().map(|(id, _)| Some(*id)).collect();
        let batch = RecordBatch::try_from_iter([
            ("text", Arc::new(texts) as ArrayRef),
            ("id", Arc::new(names) as ArrayRef),
        ]);
        let mut work = Embedding {
            chunk: Some(Chunking {
                characters: 50,
                overlap: 10,
            }),
            ..Embedding::new(known, ids, 0)
        };
        work.add(&embedder, &batch.unwrap(), 1).unwrap();
        work.finish().unwrap()
    }

    const LONG: &str =
        "the ships in the harbour wait for a wind from the west and the oven waits for bread";

    #[test]
    fn the_pieces_of_a_text_follow_one_another_and_go_together() {
        let rows = [
            ("a", LONG),
            ("b", "bread"),
            ("c", LONG),
            ("a", "an oven"),
            ("c", ""),
        ];
        let known = || Known::new(StaticEmbedder::bundled().unwrap().dimension());
        let all = in_pieces(known(), Ids::Numbers, &rows[..3]).table;
        assert_eq!(all.rows(), [0, 0, 1, 2, 2]);
        assert_eq!(all.documents(), 3);
        let end = LONG.chars().count() as u32;
        assert_eq!((all.spans()[0].start, all.spans()[1].end), (0, end));
        let whole = Span { start: 0, end: 5 };
        assert_eq!(all.spans()[2], whole, "a short text is one piece");

        let latest = in_pieces(known(), Ids::Latest, &rows);
        assert!(latest.table.doc_ids().iter().eq(["b", "a"]));
        assert_eq!((latest.superseded, latest.skipped), (2, 1));
        assert!(latest.emptied.iter().eq(["c"]));
    }

    #[test]
    fn texts_that_are_known_are_not_embedded_again() {
        let dimension = StaticEmbedder::bundled().unwrap().dimension();
        let rows = [("a", LONG), ("b", "bread")];
        let first = in_pieces(Known::new(dimension), Ids::Numbers, &rows);
        let expected = Embeddings {
            embedded: 3,
            reused: 0,
        };
        assert_eq!(first.embeddings, expected);
        let mut known = Known::new(dimension);
        known.add(first.table.clone());
        let rows = [("x", "bread"), ("y", "a bicycle"), ("z", LONG)];
        let again = in_pieces(known, Ids::Numbers, &rows);
        let expected = Embeddings {
            embedded: 1,
            reused: 3,
        };
        assert_eq!(again.embeddings, expected);
        let anew = in_pieces(Known::new(dimension), Ids::Numbers, &rows);
        assert_eq!(again.table, anew.table, "they are the same vectors");
    }

    #[track_caller]
    fn check(ids: Ids, rows: &[(Option<&str>, &str)], found: &[(&str, u64)], emptied: &[&str]) {
        let embedded = embedded(ids, rows).unwrap();
        let table = &embedded.table;
        let left = table.doc_ids().iter().zip(table.rows().iter().copied());
        assert_eq!(left.collect::<Vec<_>>(), found);
        assert!(
            embedded.emptied.iter().eq(emptied),
            "{:?}",
            embedded.emptied
        );
        let counted = table.len() as u64 + embedded.skipped + embedded.superseded;
        assert_eq!(counted, rows.len() as u64, "each row is counted once");
    }

    #[test]
    fn a_row_without_text_replaces_the_earlier_ones_of_its_id() {
        let rows = [
            (Some("17"), "ships in the harbour"),
            (Some("18"), "baking bread"),
            (Some("19"), ""),
            (Some("17"), ""),
            (Some("19"), "an old bicycle"),
            (None, ""),
        ];
        let found = [("18", 1), ("19", 4)];
        check(Ids::Latest, &rows, &found, &["17"]);
        // As a new index and a rebuild read them: the last three came with a later version.
        check(Ids::Unique(vec![0, 3]), &rows, &found, &["17"]);
        let all: Vec<u64> = vec![0, 1, 4];
        let numbers = embedded(Ids::Numbers, &rows).unwrap();
        assert_eq!(numbers.table.rows(), all);
        assert!(numbers.emptied.is_empty());
    }

    #[test]
    fn an_id_that_stands_twice_in_a_version_is_refused_where_it_matters() {
        let twice = |first, second| {
            let rows = [(Some("17"), first), (Some("17"), second)];
            let embedded = embedded(Ids::Unique(vec![0]), &rows);
            embedded.err().map(|problem| problem.code)
        };
        let refused = Some("duplicate_id".to_owned());
        assert_eq!(twice("bread", "ships"), refused);
        assert_eq!(twice("bread", ""), refused);
        assert_eq!(twice("", "bread"), refused);
        assert_eq!(twice("", ""), None);
        let unnamed = embedded(Ids::Unique(vec![0]), &[(None, "bread")]);
        assert_eq!(
            unnamed.err().map(|problem| problem.code).as_deref(),
            Some("null_id")
        );
    }

    #[test]
    fn a_later_version_may_replace_an_earlier_one_and_itself_not() {
        let unique = Ids::Unique(vec![0, 3, 5]);
        for (row, earlier, expected) in [(1, 0, false), (3, 2, true), (4, 3, false), (9, 4, true)] {
            assert_eq!(
                unique.allow(row, earlier),
                expected,
                "{row} after {earlier}"
            );
        }
        assert!(Ids::Latest.allow(1, 0));
    }
}
