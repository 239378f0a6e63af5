//! What is stored, asked and answered about Lance tables.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{indexes::Chunk, problem::Problem};

/// The Lance table of an index, as the index's manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LanceMeta {
    /// Its folder in the bucket.
    pub path: String,
    /// The version of it that holds the rows that the index searches.
    pub version: u64,
    /// Its index over the vectors; none: a search compares the query with every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<LanceIndex>,
    /// Vectors that the index covered when it was built or last took rows in.
    #[serde(default)]
    pub covered: u64,
    /// The version at which it was last compacted and cleaned up.
    #[serde(default)]
    pub tidied: u64,
}

/// How the index over the vectors of a table was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LanceIndex {
    /// Partitions, and in them short codes.
    IvfPq {
        /// Partitions; null: one for some 8,192 rows.
        partitions: Option<usize>,
        /// Codes of a vector; null: one for eight components.
        sub_vectors: Option<usize>,
    },
    /// Partitions, and in each a graph over codes of a byte a component.
    IvfHnswSq {
        /// Partitions; null: one for some million rows.
        partitions: Option<usize>,
        /// Links of a row.
        m: usize,
        /// Candidates kept while the graph is built.
        ef_construction: usize,
    },
}

/// Kind of an index over the vectors of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LanceIndexKind {
    /// Partitions with short codes: small, and quick to build.
    #[default]
    IvfPq,
    /// Partitions with graphs over codes of a byte a component: larger, and precise without a second look.
    IvfHnswSq,
}

/// Make a Lance table of an index.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MigrateWish {
    /// Make a new one in the place of the one that is there.
    #[serde(default)]
    pub again: bool,
}

/// Build the index over the vectors of a table.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexWish {
    /// Its kind.
    #[serde(default)]
    pub kind: LanceIndexKind,
    /// Partitions, 1 to 4,096; derived from the number of rows when left out.
    pub partitions: Option<usize>,
    /// For `ivf_pq`: codes of a vector, a divisor of its components; one for eight components when left out.
    pub sub_vectors: Option<usize>,
    /// For `ivf_hnsw_sq`: links of a row, 4 to 256; 16 when left out.
    pub m: Option<usize>,
    /// For `ivf_hnsw_sq`: candidates kept while the graph is built, `m` to 4,096; 150 when left out.
    pub ef_construction: Option<usize>,
}

impl IndexWish {
    /// The index that is wished for.
    ///
    /// # Errors
    /// 422 for a setting that its kind does not have.
    pub(crate) fn index(&self) -> Result<LanceIndex, Problem> {
        let foreign = |field: &str, kind: &str| {
            let why = format!("is a setting of `{kind}` and not of the kind that was asked for");
            Err(Problem::field(field, "out_of_bounds", why))
        };
        match self.kind {
            LanceIndexKind::IvfPq => {
                if self.m.is_some() {
                    return foreign("m", "ivf_hnsw_sq");
                }
                if self.ef_construction.is_some() {
                    return foreign("ef_construction", "ivf_hnsw_sq");
                }
                Ok(LanceIndex::IvfPq {
                    partitions: self.partitions,
                    sub_vectors: self.sub_vectors,
                })
            }
            LanceIndexKind::IvfHnswSq => {
                if self.sub_vectors.is_some() {
                    return foreign("sub_vectors", "ivf_pq");
                }
                let m = self.m.unwrap_or(16);
                Ok(LanceIndex::IvfHnswSq {
                    partitions: self.partitions,
                    m,
                    ef_construction: self.ef_construction.unwrap_or(150.max(m)),
                })
            }
        }
    }
}

/// How rows that no index covers are taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoldKind {
    /// As a part beside the others: quick, and each part is searched.
    Append,
    /// All parts become one, by what was learnt before.
    #[default]
    Merge,
    /// All parts become one, and everything is learnt anew.
    Retrain,
}

/// Put a table in order: rows into its indexes, small files together, old versions away.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OptimizeWish {
    /// How rows that no index covers are taken in.
    #[serde(default)]
    pub fold: FoldKind,
}

/// A search of a Lance table.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LanceSearch {
    /// What to look for, in words.
    pub text: Option<String>,
    /// What to look for, as a vector; instead of `text`.
    pub vector: Option<Vec<f32>>,
    /// How many hits, at most; 10 when left out.
    pub k: Option<usize>,
    /// Partitions that are searched; 20 when left out.
    pub nprobes: Option<usize>,
    /// So many times `k` candidates are compared by their exact vectors; 10 when left out.
    pub refine_factor: Option<u32>,
    /// Candidates kept while a graph is walked; for `ivf_hnsw_sq`.
    pub ef: Option<usize>,
    /// Compare with every row and leave the index aside.
    #[serde(default)]
    pub exact: bool,
    /// Columns of the dataset to return; all when left out, none when the list is empty.
    pub with: Option<Vec<String>>,
    /// A condition in SQL over the columns of the dataset; only rows for which it is true are searched.
    pub filter: Option<String>,
}

/// Documents with vectors or texts that become searchable at once.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LanceAppend {
    /// The documents, 1 to 10,000.
    pub documents: Vec<LanceDocument>,
    /// What becomes of documents whose id is there already.
    #[serde(default)]
    pub on_duplicate: OnDuplicate,
}

/// What becomes of a document whose id is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDuplicate {
    /// The whole request is refused.
    #[default]
    Refuse,
    /// The new one takes the place of the one that is there.
    Replace,
}

/// One document to append.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LanceDocument {
    /// Its id.
    pub id: String,
    /// Its row in the dataset, whose columns hits show; that of the document which it replaces when left out.
    pub row: Option<u64>,
    /// Its text, which is embedded.
    pub text: Option<String>,
    /// Its vector, instead of `text`.
    pub vector: Option<Vec<f32>>,
}

/// What an append did.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LanceAppended {
    /// Documents that were appended.
    pub appended: u64,
    /// Those of them that replaced another one.
    pub replaced: u64,
    /// The version of the table that holds them.
    pub version: u64,
    /// Documents that the index has now.
    pub documents: u64,
    /// The task that takes them into the table's indexes, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimizing: Option<String>,
}

/// A document as it is found by its id.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DocumentView {
    /// Its id.
    pub id: String,
    /// The engine that was asked.
    pub backend: boathouse_types::VectorBackend,
    /// Row of the dataset.
    pub row: u64,
    /// Its vectors: one, or one for each piece of its text.
    pub vectors: Vec<PieceView>,
    /// Columns of that row.
    #[schema(value_type = Object)]
    pub columns: Map<String, Value>,
}

/// One vector of a document.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PieceView {
    /// The piece of the text that it stands for, in an index that cuts texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk: Option<Chunk>,
    /// The vector, as the embedder gave it, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
}

/// Figures of a Lance table.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LanceStats {
    /// Its folder in the bucket.
    pub path: String,
    /// Whether searches of the index are answered by it.
    pub serves: bool,
    /// The version that is searched.
    pub version: u64,
    /// Versions that are kept.
    pub versions: u64,
    /// Rows: vectors that are searched.
    pub rows: u64,
    /// Rows that were deleted and whose bytes are still there.
    pub deleted_rows: u64,
    /// Rows that the index over vectors does not cover: a search compares the query with each of them.
    pub unindexed_rows: u64,
    /// Files of rows.
    pub fragments: u64,
    /// Bytes of rows and indexes of this version.
    pub bytes: u64,
    /// How the index over vectors was made; none: there is none, and searches are exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<LanceIndex>,
    /// Its indexes.
    pub indexes: Vec<LanceIndexStats>,
}

/// Figures of an index of a Lance table.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LanceIndexStats {
    /// `vector`, `doc_id` or `row`.
    pub name: String,
    /// Its kind, as `IVF_PQ` or `BTree`.
    pub kind: String,
    /// Parts: one, and one for each time that rows were taken in beside the others.
    pub parts: u64,
    /// Rows that it covers.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_of_the_other_kind_is_refused() {
        let wish = |text: &str| serde_json::from_str::<IndexWish>(text).unwrap().index();
        assert_eq!(
            wish("{}").unwrap(),
            LanceIndex::IvfPq {
                partitions: None,
                sub_vectors: None
            }
        );
        let graph = wish(r#"{"kind": "ivf_hnsw_sq", "m": 200}"#).unwrap();
        let (m, ef_construction) = (200, 200);
        let partitions = None;
        assert_eq!(
            graph,
            LanceIndex::IvfHnswSq {
                partitions,
                m,
                ef_construction
            }
        );
        for (text, field) in [
            (r#"{"m": 8}"#, "m"),
            (
                r#"{"kind": "ivf_pq", "ef_construction": 8}"#,
                "ef_construction",
            ),
            (
                r#"{"kind": "ivf_hnsw_sq", "sub_vectors": 8}"#,
                "sub_vectors",
            ),
        ] {
            let refused = wish(text).unwrap_err();
            assert_eq!(refused.errors[0].field, field);
        }
    }

    #[test]
    fn what_is_stored_of_a_table_comes_back() {
        let text = r#"{"path": "indexes/a/lance/b", "version": 7, "index": {"kind": "ivf_pq", "partitions": 4, "sub_vectors": null}}"#;
        let meta: LanceMeta = serde_json::from_str(text).unwrap();
        let again = serde_json::from_str(&serde_json::to_string(&meta).unwrap());
        assert_eq!(meta, again.unwrap());
        assert_eq!((meta.covered, meta.tidied), (0, 0));
    }
}
