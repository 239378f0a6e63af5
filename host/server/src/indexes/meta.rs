//! What is stored and shown of an index.
//!
//! The vectors that the graph leads to are the base: `vectors_path`, `data_version`, `vectors` and
//! `dataset_version` are about them. Rows that were appended since are told by `grown`, documents that were deleted by
//! `deletions`. A program that does not
//! know of `grown` serves the base and loses nothing by that, as appended rows can be embedded again.

use boathouse_models::ProfileId;
use boathouse_tuning::Served;
use boathouse_types::{
    BucketName, DatasetName, Dimension, IndexConfig, IndexName, Metric, Objective, Timestamp,
    VectorBackend,
};
use serde::{Deserialize, Serialize};

use super::{Chunking, Embeddings};
use crate::{lance::LanceMeta, live::LiveRecall};

/// A wish for an index.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexSpec {
    /// Name of the index.
    pub name: IndexName,
    /// Dataset to index.
    pub dataset: DatasetName,
    /// The profile that it is made for: bucket, embedder, engine and first configuration are those of the profile where
    /// they are left out here.
    pub profile: Option<ProfileId>,
    /// Text column to embed.
    pub text_column: String,
    /// Column that identifies a row; the row's number when left out.
    pub id_column: Option<String>,
    /// Embedder; `static` when left out.
    pub embedder: Option<String>,
    /// Distance.
    #[serde(default)]
    pub metric: Metric,
    /// Home bucket; `primary` when left out.
    pub bucket: Option<BucketName>,
    /// Engine that serves it; `parquet` when left out.
    pub vector_backend: Option<VectorBackend>,
    /// First configuration; that of `[vectors] default_config` when left out.
    pub config: Option<IndexConfig>,
    /// What a good configuration is.
    #[serde(default)]
    pub objective: Objective,
    /// Whether rows that are appended to the dataset become searchable by themselves.
    #[serde(default)]
    pub appends: AppendPolicy,
    /// How long texts are cut into pieces with a vector each; one vector a text when left out.
    pub chunk: Option<Chunking>,
}

/// What happens to rows that are appended to the dataset of an index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AppendPolicy {
    /// They become searchable as soon as they are embedded.
    #[default]
    Auto,
    /// They wait for somebody to refresh the index.
    Manual,
}

impl IndexSpec {
    /// The bucket that the index is to live in.
    #[must_use]
    pub fn home(&self) -> BucketName {
        self.bucket.clone().unwrap_or_else(BucketName::primary)
    }
}

/// A wish to change an index: one thing at a time.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexChange {
    /// The bucket that it is to live in.
    pub bucket: Option<BucketName>,
    /// What is to happen to rows that are appended to its dataset.
    pub appends: Option<AppendPolicy>,
    /// What a good configuration is from now on, all of it: what is left out is as for a new index.
    pub objective: Option<Objective>,
    /// The engine that is to serve it; `lance` needs a Lance table.
    pub vector_backend: Option<VectorBackend>,
}

/// How far an index covers its dataset beyond its base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// Version of the dataset that is covered.
    pub dataset_version: u64,
    /// Rows of that version.
    pub rows: u64,
    /// Rows behind those of the base that are not searched, as they have no text or no id.
    pub skipped_rows: u64,
    /// The vectors of the others, in order.
    pub segments: Vec<Segment>,
}

/// Vectors of rows that were appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Object that holds them.
    pub path: String,
    /// Digest of that object.
    pub digest: String,
    /// Number of vectors.
    pub vectors: u64,
    /// Bytes of that object; older hosts did not write it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Documents that were deleted from an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Object that holds their ids.
    pub path: String,
    /// Digest of that object.
    pub digest: String,
    /// Number of ids.
    pub ids: u64,
    /// Bytes of that object; older hosts did not write it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What is stored of an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexMeta {
    /// Name.
    pub name: IndexName,
    /// Dataset.
    pub dataset: DatasetName,
    /// Version of the dataset that the base was made of.
    pub dataset_version: u64,
    /// Text column.
    pub text_column: String,
    /// Column that identifies a row.
    #[serde(default)]
    pub id_column: Option<String>,
    /// Embedder.
    pub embedder: String,
    /// Digest of its model.
    pub embedder_digest: String,
    /// Components of a vector.
    pub dimension: Dimension,
    /// Distance.
    pub metric: Metric,
    /// Home bucket. Once read this is the bucket that the manifest lies in, whatever it says.
    #[serde(default = "BucketName::primary")]
    pub bucket: BucketName,
    /// Which of several manifests of one index decides: the greatest, also when it says that the index
    /// was deleted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub home_generation: u64,
    /// The bucket that the index is being moved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_to: Option<BucketName>,
    /// The bucket that the index was moved to; what is here is a tombstone then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<BucketName>,
    /// The target of a move that was given up; copies may be left over there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_from: Option<BucketName>,
    /// Engine that serves it.
    #[serde(default)]
    pub vector_backend: VectorBackend,
    /// First configuration.
    pub config: IndexConfig,
    /// What a good configuration is.
    #[serde(default)]
    pub objective: Objective,
    /// Object that holds the vectors of the base.
    pub vectors_path: String,
    /// Version of the base: the digest of that object.
    pub data_version: String,
    /// Bytes of that object; older hosts did not write it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vectors_bytes: Option<u64>,
    /// Number of vectors of the base.
    pub vectors: u64,
    /// Number of documents of the base, where one may have several vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<u64>,
    /// How long texts are cut; none when they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<Chunking>,
    /// How the vectors came to be when the dataset was read for a base the last time; unknown of older ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<Embeddings>,
    /// Rows of the dataset without text.
    pub skipped_rows: u64,
    /// Rows of the dataset that are not in the base, as a later one has their id or they were deleted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub superseded_rows: u64,
    /// When it was built.
    pub created_at: Timestamp,
    /// The index was deleted; its objects are left over at most.
    #[serde(default)]
    pub deleted: bool,
    /// What happens to rows that are appended to the dataset.
    #[serde(default)]
    pub appends: AppendPolicy,
    /// What was appended since the base was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grown: Option<Growth>,
    /// What was deleted since the rows of the dataset were last replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deletions: Vec<Deletion>,
    /// The `vectors_path` of the first base, once there is another: it tells the index from others that had
    /// its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_vectors_path: Option<String>,
    /// The Lance table that holds what is searched, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lance: Option<LanceMeta>,
}

/// How far an index is behind its dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Behind {
    /// The dataset's newest version.
    pub newest: u64,
    /// Versions that are not covered.
    pub versions: u64,
    /// Rows that were appended and are not covered; all rows when they were replaced.
    pub rows: u64,
    /// The rows that it covers were replaced: it serves those of before until it is refreshed.
    pub replaced: bool,
}

/// An index as clients see it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct IndexView {
    /// Name.
    pub name: IndexName,
    /// Dataset.
    pub dataset: DatasetName,
    /// Version of the dataset that it covers.
    pub dataset_version: u64,
    /// Rows of that version.
    pub rows: u64,
    /// How far it is behind the dataset; null when it is not.
    pub behind: Option<Behind>,
    /// What happens to rows that are appended.
    pub appends: AppendPolicy,
    /// Text column.
    pub text_column: String,
    /// Column that identifies a row.
    pub id_column: Option<String>,
    /// Embedder.
    pub embedder: String,
    /// This host has another model of that name: until the index is refreshed it is searched by vector only, and
    /// nothing is appended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub embedder_changed: bool,
    /// Components of a vector.
    pub dimension: Dimension,
    /// Distance.
    pub metric: Metric,
    /// Home bucket.
    pub bucket: BucketName,
    /// The bucket that it is being moved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moving_to: Option<BucketName>,
    /// Engine that serves it.
    pub vector_backend: VectorBackend,
    /// Its Lance table, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lance: Option<LanceMeta>,
    /// What a good configuration is.
    pub objective: Objective,
    /// Version of the vectors that the graph leads to, which trials measure.
    pub data_version: String,
    /// Number of vectors that are searched.
    pub vectors: u64,
    /// Number of documents that are searched: as many, unless long texts are cut.
    pub documents: u64,
    /// How long texts are cut into pieces with a vector each; null when they are not.
    pub chunk: Option<Chunking>,
    /// How many vectors were made when it was last built from its whole dataset, and how many were there already; null
    /// for one that an older host built.
    pub embeddings: Option<Embeddings>,
    /// Those of the vectors that were appended since the graph was built and are compared one by one.
    pub tail_vectors: u64,
    /// Rows that are not searched, as they have no text or no id.
    pub skipped_rows: u64,
    /// Rows that are not searched, as a later one has their id.
    pub superseded_rows: u64,
    /// Documents that were deleted, or whose last row has no text, and that did not come back.
    pub deleted: u64,
    /// When it was built.
    pub created_at: Timestamp,
    /// What serves.
    pub serving: ServingView,
    /// The recall that searches really got of it; none until some were judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_recall: Option<LiveRecall>,
}

/// Numbers of vectors in memory, without those that a later one of the same id replaces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// Of the base.
    pub(super) base: u64,
    /// Of the tail.
    pub(super) tail: u64,
    /// Documents of both.
    pub(super) documents: u64,
    /// Documents that were deleted.
    pub(super) deleted: u64,
}

/// What serves an index.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ServingView {
    /// The configuration.
    pub config: IndexConfig,
    /// The trial that measured it; none before the first promotion.
    pub trial: Option<String>,
    /// The graph.
    pub build_id: String,
    /// Bytes of vectors and graph, in memory or mapped.
    pub memory_bytes: u64,
    /// Those of them that are mapped from local files: the system keeps in memory what is searched, as far as there
    /// is room.
    pub mapped_bytes: u64,
    /// How the graph came into memory: `mapped` from a local file, `stored` in the bucket, `built`, or in `memory`
    /// already.
    pub graph_origin: &'static str,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl IndexMeta {
    /// Whether two manifests are of one and the same index and not of two that had the name in turn.
    #[must_use]
    pub fn is_same_index(&self, other: &Self) -> bool {
        self.first_vectors() == other.first_vectors() && self.created_at == other.created_at
    }

    /// Where the vectors of the first base were.
    #[must_use]
    pub fn first_vectors(&self) -> &str {
        let first = self.first_vectors_path.as_deref();
        first.unwrap_or(&self.vectors_path)
    }

    /// Version of the dataset that is covered.
    #[must_use]
    pub fn covered_version(&self) -> u64 {
        let grown = self.grown.as_ref();
        grown.map_or(self.dataset_version, |grown| grown.dataset_version)
    }

    /// Documents of the base.
    #[must_use]
    pub fn base_documents(&self) -> u64 {
        self.documents.unwrap_or(self.vectors)
    }

    /// Rows of the version that is covered; those that are appended later have numbers from here on.
    #[must_use]
    pub fn covered_rows(&self) -> u64 {
        let base = self.base_documents() + self.skipped_rows + self.superseded_rows;
        self.grown.as_ref().map_or(base, |grown| grown.rows)
    }

    /// Vectors that were appended since the base was made.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        self.grown.as_ref().map_or(&[], |grown| &grown.segments)
    }

    /// How far it covers its dataset beyond its base, also when that is not at all.
    #[must_use]
    pub fn growth(&self) -> Growth {
        self.grown.clone().unwrap_or_else(|| Growth {
            dataset_version: self.dataset_version,
            rows: self.covered_rows(),
            skipped_rows: 0,
            segments: Vec::new(),
        })
    }

    /// The objects that it cannot do without, each with the beginning of its digest.
    pub fn objects(&self) -> impl Iterator<Item = (&str, &str)> {
        let deletions = self.deletions.iter();
        let deletions = deletions.map(|one| (one.path.as_str(), one.digest.as_str()));
        self.vector_objects().chain(deletions)
    }

    /// How many bytes each of these objects has, as far as that was written down.
    pub fn object_bytes(&self) -> impl Iterator<Item = (&str, Option<u64>)> {
        let base = (self.vectors_path.as_str(), self.vectors_bytes);
        let segments = self
            .segments()
            .iter()
            .map(|one| (one.path.as_str(), one.bytes));
        let deletions = self.deletions.iter();
        let deletions = deletions.map(|one| (one.path.as_str(), one.bytes));
        std::iter::once(base).chain(segments).chain(deletions)
    }

    /// The objects that hold its vectors, each with the beginning of its digest.
    pub fn vector_objects(&self) -> impl Iterator<Item = (&str, &str)> {
        let base = (self.vectors_path.as_str(), self.data_version.as_str());
        let segments = self.segments().iter();
        std::iter::once(base).chain(segments.map(|one| (one.path.as_str(), one.digest.as_str())))
    }

    /// The view for clients.
    pub(super) fn view(
        &self,
        counts: Counts,
        behind: Option<Behind>,
        moving_to: Option<BucketName>,
        serving: ServingView,
    ) -> IndexView {
        let grown = self.grown.as_ref();
        let skipped_rows = self.skipped_rows + grown.map_or(0, |grown| grown.skipped_rows);
        let (rows, documents) = (self.covered_rows(), counts.documents);
        IndexView {
            name: self.name.clone(),
            dataset: self.dataset.clone(),
            dataset_version: self.covered_version(),
            rows,
            behind,
            appends: self.appends,
            text_column: self.text_column.clone(),
            id_column: self.id_column.clone(),
            embedder: self.embedder.clone(),
            embedder_changed: false,
            dimension: self.dimension,
            metric: self.metric,
            bucket: self.bucket.clone(),
            moving_to,
            vector_backend: self.vector_backend,
            lance: self.lance.clone(),
            objective: self.objective.clone(),
            data_version: self.data_version.clone(),
            vectors: counts.base + counts.tail,
            documents,
            chunk: self.chunk,
            embeddings: self.embeddings,
            tail_vectors: counts.tail,
            skipped_rows,
            superseded_rows: rows.saturating_sub(documents + skipped_rows + counts.deleted),
            deleted: counts.deleted,
            created_at: self.created_at,
            serving,
            live_recall: None,
        }
    }

    /// What serves before anything was promoted.
    #[must_use]
    pub fn first(&self) -> Served {
        Served::of_config(self.config)
    }
}
