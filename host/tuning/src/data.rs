//! The vectors of one index at one version, as trials see them.

use std::{ops::Range, sync::Arc};

use boathouse_types::{IndexFacts, IndexName, VectorBackend};
use boathouse_vector::{DocRows, VectorSet};

/// A handle on the vectors of an index; cheap to clone.
///
/// `data_version` names exactly these vectors in this order: whoever hands out two handles with the
/// same version promises that they hold the same rows.
#[derive(Debug, Clone)]
pub struct IndexData {
    /// Name of the index.
    pub index: IndexName,
    /// Which engine is tuned: trials on these vectors are of its configurations.
    pub backend: VectorBackend,
    /// Version of the vectors.
    pub data_version: String,
    /// The vectors.
    pub vectors: Arc<VectorSet>,
    /// Row of the dataset of each vector, where a document may have several; none where each has one.
    pub rows: Option<DocRows>,
}

impl IndexData {
    /// Number of vectors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    /// Number of documents.
    #[must_use]
    pub fn documents(&self) -> usize {
        let rows = self.rows.as_ref();
        rows.map_or_else(|| self.len(), DocRows::documents)
    }

    /// The vectors of the document that a vector is of.
    pub(crate) fn document_of(&self, row: u32) -> Range<u32> {
        match &self.rows {
            // A set has fewer than 2^31 rows.
            Some(rows) if (row as usize) < rows.len() => {
                let document = rows.document_of(row as usize);
                document.start as u32..document.end as u32
            }
            _ => row..row + 1,
        }
    }

    /// Whether there is no vector at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    /// What a proposer gets to know of the index.
    #[must_use]
    pub fn facts(&self) -> IndexFacts {
        IndexFacts {
            name: self.index.to_string(),
            backend: self.backend,
            vectors: self.len() as u64,
            dimension: self.vectors.dimension().into(),
            metric: self.vectors.metric(),
        }
    }
}
