//! What is stored and shown of an index.

use boathouse_tuning::Served;
use boathouse_types::{
    BucketName, DatasetName, Dimension, IndexConfig, IndexName, Metric, Objective, Timestamp,
    VectorBackend,
};
use serde::{Deserialize, Serialize};

/// A wish for an index.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexSpec {
    /// Name of the index.
    pub name: IndexName,
    /// Dataset to index.
    pub dataset: DatasetName,
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
    /// Engine that serves it.
    #[serde(default)]
    pub vector_backend: VectorBackend,
    /// First configuration; that of `[vectors] default_config` when left out.
    pub config: Option<IndexConfig>,
    /// What a good configuration is.
    #[serde(default)]
    pub objective: Objective,
}

impl IndexSpec {
    /// The bucket that the index is to live in.
    #[must_use]
    pub fn home(&self) -> BucketName {
        self.bucket.clone().unwrap_or_else(BucketName::primary)
    }
}

/// A wish to move an index.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexChange {
    /// The bucket that it is to live in.
    pub bucket: BucketName,
}

/// What is stored of an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexMeta {
    /// Name.
    pub name: IndexName,
    /// Dataset.
    pub dataset: DatasetName,
    /// Version of the dataset that was embedded.
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
    /// Object that holds the vectors.
    pub vectors_path: String,
    /// Version of the vectors: the digest of that object.
    pub data_version: String,
    /// Number of vectors.
    pub vectors: u64,
    /// Rows of the dataset without text.
    pub skipped_rows: u64,
    /// When it was built.
    pub created_at: Timestamp,
    /// The index was deleted; its objects are left over at most.
    #[serde(default)]
    pub deleted: bool,
}

/// An index as clients see it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct IndexView {
    /// Name.
    pub name: IndexName,
    /// Dataset.
    pub dataset: DatasetName,
    /// Version of the dataset that was embedded.
    pub dataset_version: u64,
    /// Text column.
    pub text_column: String,
    /// Column that identifies a row.
    pub id_column: Option<String>,
    /// Embedder.
    pub embedder: String,
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
    /// What a good configuration is.
    pub objective: Objective,
    /// Version of the vectors.
    pub data_version: String,
    /// Number of vectors.
    pub vectors: u64,
    /// Rows of the dataset without text.
    pub skipped_rows: u64,
    /// When it was built.
    pub created_at: Timestamp,
    /// What serves.
    pub serving: ServingView,
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
    /// Bytes of vectors and graph in memory.
    pub memory_bytes: u64,
    /// How the graph came into memory: `built`, `stored` or `memory`.
    pub graph_origin: &'static str,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl IndexMeta {
    /// Whether two manifests are of one and the same index and not of two that had the name in turn.
    #[must_use]
    pub fn is_same_index(&self, other: &Self) -> bool {
        self.vectors_path == other.vectors_path
            && self.data_version == other.data_version
            && self.created_at == other.created_at
    }

    /// The view for clients.
    #[must_use]
    pub fn view(&self, moving_to: Option<BucketName>, serving: ServingView) -> IndexView {
        IndexView {
            name: self.name.clone(),
            dataset: self.dataset.clone(),
            dataset_version: self.dataset_version,
            text_column: self.text_column.clone(),
            id_column: self.id_column.clone(),
            embedder: self.embedder.clone(),
            dimension: self.dimension,
            metric: self.metric,
            bucket: self.bucket.clone(),
            moving_to,
            vector_backend: self.vector_backend,
            objective: self.objective.clone(),
            data_version: self.data_version.clone(),
            vectors: self.vectors,
            skipped_rows: self.skipped_rows,
            created_at: self.created_at,
            serving,
        }
    }

    /// What serves before anything was promoted.
    #[must_use]
    pub fn first(&self) -> Served {
        Served::of_config(self.config)
    }
}
