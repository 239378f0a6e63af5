//! Rows of a table, what is asked of it and what it answers, in standard types.

use crate::{Error, error::shortened};

/// Distance that orders neighbours; smaller is nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// 1 - cosine similarity, in 0..=2. Zero vectors have none and are refused.
    Cosine,
    /// Squared Euclidean distance.
    L2,
    /// 1 - inner product.
    Dot,
}

/// A piece of a document's text: its first character, and the one behind its last.
pub type Span = (u32, u32);

/// Largest number of components of a vector.
pub(crate) const LARGEST_DIMENSION: usize = 65_536;

/// Longest name of a document, in bytes.
const LONGEST_NAME: usize = 64 * 1024;

/// Rows that go into a table: one vector each, column by column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    /// Names of documents. A document has one row, or one for each piece of its text.
    pub doc_ids: Vec<String>,
    /// Rows of the dataset that the texts came from, one each.
    pub rows: Vec<u64>,
    /// Pieces of the texts, one each; `None` for a whole text.
    pub spans: Vec<Option<Span>>,
    /// The vectors, one behind the other.
    pub vectors: Vec<f32>,
}

impl Rows {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.doc_ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.doc_ids.is_empty()
    }

    /// Adds a row.
    pub fn push(&mut self, doc_id: &str, row: u64, span: Option<Span>, vector: &[f32]) {
        self.doc_ids.push(doc_id.to_owned());
        self.rows.push(row);
        self.spans.push(span);
        self.vectors.extend_from_slice(vector);
    }

    /// Adds the rows of another one but for so many at its beginning. Both are of this dimension.
    pub(crate) fn extend(&mut self, more: &Self, without: usize, dimension: usize) {
        let from = without.min(more.len());
        self.doc_ids.extend_from_slice(&more.doc_ids[from..]);
        self.rows.extend_from_slice(&more.rows[from..]);
        self.spans.extend_from_slice(&more.spans[from..]);
        self.vectors
            .extend_from_slice(&more.vectors[from * dimension..]);
    }

    /// Refuses columns of different lengths and vectors that no table of this kind holds.
    pub(crate) fn check(&self, dimension: usize, metric: Metric) -> Result<(), Error> {
        let rows = self.len();
        let lengths = [
            self.rows.len(),
            self.spans.len(),
            self.vectors.len() / dimension,
        ];
        if lengths != [rows; 3] || self.vectors.len() != rows * dimension {
            return Err(Error::Invalid(format!(
                "{rows} rows need as many row numbers and spans, and {dimension} components each"
            )));
        }
        if self.doc_ids.iter().any(|id| id.len() > LONGEST_NAME) {
            return Err(Error::Invalid(format!(
                "names of documents have at most {LONGEST_NAME} bytes"
            )));
        }
        for (row, vector) in self.rows.iter().zip(self.vectors.chunks_exact(dimension)) {
            check_vector(vector, metric)
                .map_err(|reason| Error::Invalid(format!("the vector of row {row} {reason}")))?;
        }
        Ok(())
    }
}

/// Refuses what has no distance to anything.
fn check_vector(vector: &[f32], metric: Metric) -> Result<(), &'static str> {
    if !vector.iter().all(|component| component.is_finite()) {
        return Err("has a component that is no finite number");
    }
    if metric == Metric::Cosine && vector.iter().all(|component| *component == 0.0) {
        return Err("is zero, and has no direction");
    }
    Ok(())
}

/// Among which rows neighbours are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Among {
    /// All of them.
    #[default]
    All,
    /// Those of these rows of the dataset. The search is narrowed before it begins, so `k` rows come back wherever `k`
    /// rows match.
    Rows(Vec<u64>),
}

/// How thoroughly an index is searched. `None` leaves it to Lance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effort {
    /// Partitions that are searched.
    pub nprobes: Option<usize>,
    /// So many times `k` candidates are compared by their exact vectors. Without it distances of a quantized index are
    /// approximate.
    pub refine_factor: Option<u32>,
    /// Candidates kept while a graph is walked; for indexes with graphs. At least as many as are compared exactly.
    pub ef: Option<usize>,
}

/// A search.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is looked for.
    pub vector: Vec<f32>,
    /// How many neighbours, at least one.
    pub k: usize,
    /// Among which rows.
    pub among: Among,
    /// How thoroughly; not looked at when `exact`.
    pub effort: Effort,
    /// Compare with every row and leave the index aside.
    pub exact: bool,
}

/// Most neighbours of one search, as many as there may be candidates.
const LARGEST_K: usize = MOST_CANDIDATES;

/// Most candidates of one search.
const MOST_CANDIDATES: usize = 100_000;

impl Query {
    /// All rows, Lance's own effort.
    #[must_use]
    pub fn nearest(vector: Vec<f32>, k: usize) -> Self {
        Self {
            vector,
            k,
            among: Among::All,
            effort: Effort::default(),
            exact: false,
        }
    }

    pub(crate) fn check(&self, dimension: usize, metric: Metric) -> Result<(), Error> {
        let invalid = |reason: String| Err(Error::Invalid(reason));
        if self.vector.len() != dimension {
            let given = self.vector.len();
            return invalid(format!(
                "the table has vectors of {dimension} components, and the query {given}"
            ));
        }
        if let Err(reason) = check_vector(&self.vector, metric) {
            return invalid(format!("the vector of the query {reason}"));
        }
        if self.k == 0 || self.k > LARGEST_K {
            return invalid(format!("k is 1 to {LARGEST_K}"));
        }
        let Effort {
            nprobes,
            refine_factor,
            ef,
        } = self.effort;
        if nprobes == Some(0) || refine_factor == Some(0) {
            return invalid("nprobes and refine_factor are at least 1".to_owned());
        }
        let factor = refine_factor.map_or(1, |factor| factor as usize);
        let compared = self.k.saturating_mul(factor);
        if compared > MOST_CANDIDATES || ef.is_some_and(|ef| ef > MOST_CANDIDATES) {
            return invalid(format!(
                "k times refine_factor is at most {MOST_CANDIDATES}, and so is ef"
            ));
        }
        if ef.is_some_and(|ef| ef < compared) {
            return invalid(format!(
                "ef is at least k times refine_factor, which is {compared}"
            ));
        }
        Ok(())
    }
}

/// A neighbour.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The document.
    pub doc_id: String,
    /// Row of the dataset.
    pub row: u64,
    /// The piece of the text; none for a whole one.
    pub span: Option<Span>,
    /// Distance by the table's metric.
    pub distance: f32,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Neighbours, nearest first.
    pub hits: Vec<Hit>,
    /// The version of the table that was searched.
    pub version: u64,
}

/// One row of a document, with its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The document.
    pub doc_id: String,
    /// Row of the dataset.
    pub row: u64,
    /// The piece of the text; none for a whole one.
    pub span: Option<Span>,
    /// Its vector.
    pub vector: Vec<f32>,
}

/// What a table is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Components of every vector, 1 to 65,536.
    pub dimension: usize,
    /// The distance that searches and indexes use.
    pub metric: Metric,
}

impl Shape {
    pub(crate) fn check(self) -> Result<(), Error> {
        if self.dimension == 0 || self.dimension > LARGEST_DIMENSION {
            return Err(Error::Invalid(format!(
                "a vector has 1 to {LARGEST_DIMENSION} components"
            )));
        }
        Ok(())
    }
}

impl Metric {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::L2 => "l2",
            Self::Dot => "dot",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self, Error> {
        [Self::Cosine, Self::L2, Self::Dot]
            .into_iter()
            .find(|metric| metric.name() == name)
            .ok_or_else(|| Error::ForeignTable {
                reason: format!(
                    "it has the metric `{}`",
                    shortened(&name.escape_default().to_string(), 40)
                ),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(vector: &[f32]) -> Rows {
        let mut rows = Rows::default();
        rows.push("a", 0, None, &[1.0, 0.0]);
        rows.push("b", 7, Some((3, 9)), vector);
        rows
    }

    fn refused(rows: &Rows, metric: Metric, said: &str) {
        let Err(Error::Invalid(text)) = rows.check(2, metric) else {
            panic!("{said} was taken");
        };
        assert!(text.contains(said), "{text}");
    }

    #[test]
    fn vectors_without_a_distance_are_refused_by_row() {
        assert!(rows(&[0.5, 0.5]).check(2, Metric::Cosine).is_ok());
        refused(&rows(&[0.0, 0.0]), Metric::Cosine, "row 7 is zero");
        assert!(rows(&[0.0, 0.0]).check(2, Metric::L2).is_ok());
        refused(&rows(&[0.5, f32::NAN]), Metric::L2, "row 7 has a component");
        refused(
            &rows(&[f32::INFINITY, 0.5]),
            Metric::Dot,
            "row 7 has a component",
        );
    }

    #[test]
    fn columns_of_different_lengths_are_refused() {
        refused(&rows(&[0.5]), Metric::L2, "2 components each");
        let mut short = rows(&[0.5, 0.5]);
        short.spans.pop();
        refused(&short, Metric::L2, "as many row numbers");
    }

    #[test]
    fn a_query_out_of_bounds_is_refused() {
        let sound = Query::nearest(vec![1.0, 0.0], 3);
        assert!(sound.check(2, Metric::Cosine).is_ok());
        let with = |change: &dyn Fn(&mut Query)| {
            let mut query = sound.clone();
            change(&mut query);
            query.check(2, Metric::Cosine)
        };
        assert!(with(&|query| query.k = 0).is_err());
        assert!(with(&|query| query.k = LARGEST_K + 1).is_err());
        assert!(with(&|query| query.vector = vec![0.0, 0.0]).is_err());
        assert!(with(&|query| query.vector = vec![1.0]).is_err());
        assert!(with(&|query| query.effort.nprobes = Some(0)).is_err());
        assert!(with(&|query| query.effort.refine_factor = Some(0)).is_err());
        assert!(with(&|query| query.effort.ef = Some(2)).is_err());
        assert!(with(&|query| query.effort.ef = Some(3)).is_ok());
        let refined = |ef, refine_factor| Effort {
            ef,
            refine_factor,
            ..Effort::default()
        };
        assert!(with(&|query| query.effort = refined(Some(11), Some(4))).is_err());
        assert!(with(&|query| query.effort = refined(Some(12), Some(4))).is_ok());
        assert!(with(&|query| query.effort = refined(None, Some(33_333))).is_ok());
        assert!(with(&|query| query.effort = refined(None, Some(33_334))).is_err());
        assert!(with(&|query| query.effort = refined(Some(100_001), None)).is_err());
    }
}
