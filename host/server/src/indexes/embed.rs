//! From rows of a dataset to vectors: what a new index, an append and a rebuild have in common.
//!
//! Rows without text are left out and counted. Ids are numbers of rows, or come from a column that promises to
//! tell rows apart. A row of a later version of the dataset replaces those of its id from earlier versions, also when
//! it has no text: then there is no document of that id any more. What the column promises within one version is told
//! by [`Ids`].
//!
//! A text may be cut into pieces (`chunks.rs`), of which each gets a vector; they follow one another. Texts whose
//! vectors are there already are not embedded again (`embed/reuse.rs`), and what is done of a long work is kept for when
//! it is cut off (`embed/parts.rs`).

mod parts;
mod reuse;

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    sync::Arc,
};

use arrow::{
    array::{Array as _, AsArray as _, RecordBatch, StringArray},
    compute::cast,
    datatypes::DataType,
};
use boathouse_ingest::{Dataset, DatasetManifest, IngestMode};
use boathouse_models::StaticEmbedder;
use boathouse_types::{IndexName, Metric};
use boathouse_vector::{
    Frozen, Span,
    table::{self, Origin, TextDigest, VectorTable},
};
use bytes::Bytes;
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::{
    Chunking, IndexMeta, IndexSpec,
    chunks::{Piece, pieces},
    tail::{RowMask, without},
};
use crate::{app::App, problem::Problem, tasks::TaskContext};

use parts::Parts;
pub(crate) use parts::{forget_idle_parts, forget_parts, tidy_parts};
pub use reuse::Embeddings;
pub(super) use reuse::Known;
use reuse::digest_of;

/// Where rows get their ids from.
#[derive(Debug, Clone)]
pub(super) enum Ids {
    /// From their numbers.
    Numbers,
    /// From a column without nulls, in which no id stands twice among the rows of one version. These are the
    /// first rows of the versions, ascending.
    Unique(Vec<u64>),
    /// From a column of rows that were appended to an index: the last row of an id counts, and rows without
    /// one are left out, so that no row keeps later ones from being searched.
    Latest,
}

/// The rows to embed.
pub(super) struct Source<'a> {
    /// The index that they are for.
    pub(super) index: &'a IndexName,
    pub(super) dataset: &'a Dataset,
    /// The first of them, which begins a version.
    pub(super) from: u64,
    pub(super) text: &'a str,
    /// The column of ids, unless these are numbers of rows.
    pub(super) id: Option<&'a str>,
    pub(super) ids: Ids,
    /// How texts are cut; none when they are not.
    pub(super) chunk: Option<Chunking>,
    /// Vectors of this host's model that are there already.
    pub(super) known: Known,
}

/// Text turned into vectors.
pub(super) struct Embedded {
    pub(super) table: VectorTable,
    /// Rows that were left out.
    pub(super) skipped: u64,
    /// Rows that a later one of their id replaced.
    pub(super) superseded: u64,
    /// Ids whose last row has no text: earlier rows of theirs, wherever these are, are replaced by nothing.
    pub(super) emptied: BTreeSet<String>,
    /// How the vectors came to be, those of replaced rows among them.
    pub(super) embeddings: Embeddings,
}

/// Vectors in the forms in which they are searched and stored.
pub(super) struct Encoded {
    pub(super) frozen: Frozen,
    pub(super) bytes: Bytes,
    /// SHA-256 of the bytes, in hex.
    pub(super) digest: String,
}

impl Ids {
    /// What the id column of a dataset promises as of a version.
    pub(super) fn of(manifest: &DatasetManifest, version: u64) -> Self {
        let shown = manifest.versions.iter();
        let mut starts = Vec::new();
        let mut end = 0;
        for one in shown.take_while(|one| one.version <= version) {
            if one.mode == IngestMode::Replace {
                starts.clear();
                end = 0;
            }
            starts.push(end);
            end = one.rows;
        }
        Self::Unique(starts)
    }

    /// Whether a row may replace an earlier one of its id.
    fn allow(&self, row: u64, earlier: u64) -> bool {
        match self {
            Self::Numbers | Self::Latest => true,
            Self::Unique(starts) => {
                let version_of = |row: u64| starts.partition_point(|start| *start <= row);
                version_of(earlier) < version_of(row)
            }
        }
    }
}

impl Embedded {
    /// That there is anything to search.
    ///
    /// # Errors
    /// 422 `empty_text_column`.
    pub(super) fn not_empty(self, spec: &IndexSpec) -> Result<Self, Problem> {
        if self.table.is_empty() {
            return Err(no_text(&spec.text_column, self.skipped));
        }
        Ok(self)
    }
}

/// 422: a column has nothing to embed in any of so many rows.
pub(super) fn no_text(column: &str, rows: u64) -> Problem {
    Problem::field(
        "text_column",
        "empty_text_column",
        format!("column `{column}` holds no text to embed in any of {rows} rows; choose another"),
    )
}

/// Reads and embeds rows, batch by batch.
///
/// # Errors
/// What the dataset's bucket says; 422 for ids that do not keep their promise; 409 when cancelled.
pub(super) async fn embed(
    app: &App,
    source: Source<'_>,
    task: &TaskContext,
) -> Result<Embedded, Problem> {
    let mut columns = vec![source.text];
    columns.extend(source.id.filter(|id| *id != source.text));
    let id_column = columns.len() - 1;
    let mut batches = source.dataset.scan_from(source.from, &columns)?;
    let (parts, mut known) = (Parts::of(app, source.index), source.known);
    let read = tokio::task::spawn_blocking(move || {
        parts.read_into(&mut known);
        (parts, known)
    });
    let (parts, known) = read.await.map_err(|error| Problem::internal(&error))?;
    let mut work = Embedding {
        chunk: source.chunk,
        parts: Some(parts),
        ..Embedding::new(known, source.ids, source.from)
    };
    let in_all = source.dataset.version().rows.saturating_sub(source.from);
    while let Some(batch) = batches.try_next().await? {
        if task.cancellation().is_cancelled() {
            return Err(Problem::cancelled());
        }
        let embedder = Arc::clone(&app.embedder);
        let worked = tokio::task::spawn_blocking(move || {
            work.add(&embedder, &batch, id_column)?;
            work.parts.iter_mut().for_each(Parts::keep_when_due);
            Ok::<_, Problem>(work)
        });
        work = worked.await.map_err(|error| Problem::internal(&error))??;
        let done = work.row - source.from;
        task.progress("embedding", done, Some(in_all), "texts");
    }
    let finished = tokio::task::spawn_blocking(|| work.finish());
    finished.await.map_err(|error| Problem::internal(&error))?
}

/// The state of embedding.
struct Embedding {
    table: VectorTable,
    ids: Ids,
    /// The last row of each id, when ids come from a column.
    last: HashMap<String, Last>,
    /// Places in the table that a later row of the id replaced.
    superseded: RowMask,
    /// Rows that they are of.
    superseded_rows: u64,
    /// Number of the next row.
    row: u64,
    skipped: u64,
    chunk: Option<Chunking>,
    known: Known,
    /// Where what is done is kept; none when it is not.
    parts: Option<Parts>,
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
    fn new(known: Known, ids: Ids, from: u64) -> Self {
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

    /// Embeds the rows of a batch that have text.
    fn add(
        &mut self,
        embedder: &StaticEmbedder,
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
        let mut done = self.vectors(embedder, &given).into_iter();
        for (at, count) in counts.into_iter().enumerate() {
            let of_row: Vec<Done> = done.by_ref().take(count).flatten().collect();
            self.add_row(&ids, at, &of_row)?;
        }
        self.row += batch.num_rows() as u64;
        Ok(())
    }

    /// The vectors of some pieces, in their order; none for one without a word that the embedder knows.
    fn vectors(&mut self, embedder: &StaticEmbedder, given: &[Piece<'_>]) -> Vec<Option<Done>> {
        let digests: Vec<TextDigest> = given.iter().map(|piece| digest_of(piece.text)).collect();
        let unknown = given.iter().zip(&digests);
        let unknown = unknown.filter(|(_, digest)| self.known.get(digest).is_none());
        let unknown: Vec<&str> = unknown.map(|(piece, _)| piece.text).collect();
        let mut made = embedder.embed_each(&unknown).into_iter();
        let mut all = Vec::with_capacity(given.len());
        for (piece, digest) in given.iter().zip(digests) {
            let vector = match self.known.get(&digest) {
                Some(known) => {
                    self.embeddings.reused += 1;
                    Some(known.to_vec())
                }
                None => self.made(digest, made.next().flatten()),
            };
            all.push(vector.map(|vector| Done {
                digest,
                span: piece.span,
                vector,
            }));
        }
        all
    }

    /// Counts and keeps a vector that the embedder made, if it made one.
    fn made(&mut self, digest: TextDigest, vector: Option<Vec<f32>>) -> Option<Vec<f32>> {
        let vector = vector?;
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

    fn finish(self) -> Result<Embedded, Problem> {
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

/// Whether Arrow's name of a type is one of text.
pub(super) fn is_text(data_type: &str) -> bool {
    matches!(data_type, "Utf8" | "LargeUtf8" | "Utf8View")
        || (data_type.starts_with("Dictionary(") && data_type.ends_with("Utf8)"))
}

/// A column as text, whatever its type.
fn as_text(batch: &RecordBatch, column: usize) -> Result<StringArray, Problem> {
    let text = cast(batch.column(column), &DataType::Utf8).map_err(|error| {
        Problem::field(
            "id_column",
            "no_id",
            format!("cannot identify rows ({error}); choose a number or text"),
        )
    })?;
    Ok(text.as_string::<i32>().clone())
}

/// That what this host embeds can be compared with the vectors of an index: those of two models cannot.
///
/// # Errors
/// 409 `embedder_changed`.
pub(crate) fn check_embedder(embedder: &StaticEmbedder, meta: &IndexMeta) -> Result<(), Problem> {
    let (name, digest) = (embedder.name(), embedder.model_digest());
    let own = (
        meta.embedder.as_str(),
        meta.embedder_digest.as_str(),
        meta.dimension,
    );
    if own == (name, digest, embedder.dimension()) {
        return Ok(());
    }
    Err(Problem::conflict(
        "embedder_changed",
        format!(
            "index `{0}` was made with another model than this host has as `{name}`, so texts cannot be compared with it and nothing can be appended; `POST /vectors/indexes/{0}/refresh` rebuilds it, and until then it is searched by vector",
            meta.name
        ),
    ))
}

/// Brings vectors into the forms in which they are searched and stored.
///
/// # Errors
/// For vectors that cannot be searched.
pub(super) async fn encode(table: VectorTable, metric: Metric) -> Result<Encoded, Problem> {
    let encoded = tokio::task::spawn_blocking(move || {
        let frozen = Frozen::of(&table, metric)?;
        let bytes = Bytes::from(table::write(&table)?);
        let digest = format!("{:x}", Sha256::digest(&bytes));
        Ok::<_, Problem>(Encoded {
            frozen,
            bytes,
            digest,
        })
    });
    encoded.await.map_err(|error| Problem::internal(&error))?
}

#[cfg(test)]
mod tests {
    use arrow::array::ArrayRef;

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
