//! Facts about vectors that several rooms need.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// Distance that orders neighbours; smaller is nearer.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// 1 - cosine similarity, in 0..=2. Zero vectors have none and are refused.
    #[default]
    Cosine,
    /// Squared Euclidean distance.
    L2,
    /// 1 - inner product.
    Dot,
}

/// Which engine holds and searches an index.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum VectorBackend {
    /// Vectors in Parquet, a frozen HNSW graph in memory.
    #[default]
    Parquet,
    /// A Lance table.
    Lance,
}

/// Number of components of a vector, 1 to 65,536.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "u32", into = "u32")]
#[schema(value_type = u32)]
pub struct Dimension(NonZeroU32);

/// A number of components outside 1 to 65,536.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a vector has 1 to 65536 components, not {0}")]
pub struct DimensionError(u32);

impl Dimension {
    /// Checks the number.
    ///
    /// # Errors
    /// When it is 0 or above 65,536.
    pub fn new(components: u32) -> Result<Self, DimensionError> {
        NonZeroU32::new(components)
            .filter(|n| n.get() <= 65_536)
            .map(Self)
            .ok_or(DimensionError(components))
    }

    /// Number of components.
    #[must_use]
    pub fn get(self) -> usize {
        self.0.get() as usize
    }
}

impl TryFrom<u32> for Dimension {
    type Error = DimensionError;
    fn try_from(components: u32) -> Result<Self, DimensionError> {
        Self::new(components)
    }
}

impl From<Dimension> for u32 {
    fn from(dimension: Dimension) -> Self {
        dimension.0.get()
    }
}
