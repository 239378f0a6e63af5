//! What can be measured: something that was built and answers queries in one configuration.
//!
//! A graph is this room's own affair; it builds and searches it itself. A table belongs to another engine, which whoever
//! starts the host hands in as [`TableBuilds`]. What a trial, a duel, a strategy or a plugin sees of either is a
//! [`Configuration`] with its knobs, and rows that were found.
//!
//! [`Configuration`]: boathouse_types::Configuration

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use boathouse_types::{IndexName, TableConfig};
use boathouse_vector::HnswGraph;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::{BuildOrigin, IndexData, TuningError, journal::hex};

/// Something to be searched in one way.
#[derive(Debug, Clone)]
pub enum Contender {
    /// A graph.
    Graph {
        /// The graph.
        graph: Arc<HnswGraph>,
        /// Candidates that a search keeps.
        ef_search: u32,
    },
    /// A table.
    Table {
        /// An index over its vectors.
        table: Arc<dyn TableSearch>,
        /// How a search asks it; what is built of it is built.
        config: TableConfig,
    },
}

impl Contender {
    /// Bytes that it takes in memory over vectors that take so many: with them for a graph; its index alone for a table,
    /// whose vectors stay where they are.
    pub(crate) fn memory_bytes(&self, vectors: usize) -> u64 {
        match self {
            Self::Graph { graph, .. } => (vectors + graph.memory_bytes()) as u64,
            Self::Table { table, .. } => table.memory_bytes(),
        }
    }

    /// Whether it tells how many distances a search takes.
    pub(crate) fn counts_distances(&self) -> bool {
        matches!(self, Self::Graph { .. })
    }
}

/// An index of a table over the vectors of an [`IndexData`], ready to be searched.
pub trait TableSearch: fmt::Debug + Send + Sync {
    /// The rows of the `k` nearest vectors, nearest first; fewer only where there are no more vectors. Blocks, and is called
    /// where that is fine.
    ///
    /// # Errors
    /// [`TuningError::Engine`].
    fn search(
        &self,
        vector: &[f32],
        k: usize,
        config: &TableConfig,
    ) -> Result<Vec<u32>, TuningError>;

    /// Bytes of the index.
    fn memory_bytes(&self) -> u64;
}

/// An index of a table at hand.
#[derive(Debug, Clone)]
pub struct BuiltTable {
    /// The index.
    pub table: Arc<dyn TableSearch>,
    /// Where it came from.
    pub origin: BuildOrigin,
}

/// Who builds indexes of tables for trials. One build serves every `nprobes` and `refine_factor`.
#[async_trait]
pub trait TableBuilds: fmt::Debug + Send + Sync {
    /// The index of a configuration: the one that is there, or built now, beside whatever serves.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] for what cannot be built over these vectors; [`TuningError::Cancelled`];
    /// [`TuningError::Engine`].
    async fn obtain(
        &self,
        data: &IndexData,
        config: &TableConfig,
        cancel: &CancellationToken,
    ) -> Result<BuiltTable, TuningError>;

    /// Whether it is there.
    fn has(&self, data: &IndexData, config: &TableConfig) -> bool;

    /// Lets go of what was built for an index.
    fn forget(&self, index: &IndexName);
}

/// Identity of the index that a configuration of a table has over one version of vectors: 16 hexadecimal digits.
#[must_use]
pub fn table_build_id(data_version: &str, config: &TableConfig) -> String {
    let mut digest = Sha256::new();
    digest.update(b"boathouse table 1\0");
    digest.update(config.partitions.to_le_bytes());
    digest.update(config.sub_vectors.to_le_bytes());
    digest.update(data_version.as_bytes());
    hex(&digest.finalize()[..8])
}
