//! One version of a table: searches, documents, figures.
//!
//! A snapshot never changes, whatever happens to its table, until a cleanup removes its version: then reads fail with
//! [`Error::Damaged`]. A version that carries a tag is never removed.

use std::{num::NonZeroU64, sync::Arc};

use futures::TryStreamExt;
use lance::{
    Dataset,
    dataset::scanner::Scanner,
    deps::{
        arrow_array::Float32Array,
        datafusion::prelude::{Expr, col, lit},
    },
    index::DatasetIndexExt,
};
use lance_linalg::distance::DistanceType;
use lance_table::format::IndexMetadata;
use sha2::{Digest, Sha256};

use crate::{
    Among, Document, Error, Found, Metric, Query, Rows, Shape,
    columns::{self, DISTANCE, DOC_ID, END, ROW, START, VECTOR},
    error::ours,
    host,
    index::VECTOR_INDEX,
    lookup,
};

/// Our columns, in order.
const COLUMNS: [&str; 5] = [DOC_ID, ROW, START, END, VECTOR];

/// Which version of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// The one of that number.
    Version(u64),
    /// The one that carries that tag.
    Tag(String),
}

/// A version of a table. Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    host: Arc<host::Shared>,
    pub(crate) dataset: Arc<Dataset>,
    shape: Shape,
}

/// Figures of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Number of the version.
    pub version: u64,
    /// Versions that are kept, this one included.
    pub versions: u64,
    /// Rows, without those that were deleted.
    pub rows: u64,
    /// Deleted rows whose bytes are still there.
    pub deleted_rows: u64,
    /// Rows that no index of vectors covers: a search compares the query with each of them.
    pub unindexed_rows: u64,
    /// Files of rows.
    pub fragments: u64,
    /// Bytes of rows and indexes of this version. Older versions may hold more.
    pub bytes: u64,
    /// Its indexes, by name.
    pub indexes: Vec<IndexStats>,
}

/// Figures of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexStats {
    /// `vector`, `doc_id` or `row`.
    pub name: String,
    /// What Lance calls its kind, as `IVF_PQ`.
    pub kind: String,
    /// Parts: one, and one for each fold that did not merge.
    pub parts: u64,
    /// Rows that it covers, deleted ones included.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Snapshot {
    pub(crate) fn over(host: Arc<host::Shared>, dataset: Arc<Dataset>, shape: Shape) -> Self {
        Self {
            host,
            dataset,
            shape,
        }
    }

    /// Number of the version; the first is 1.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.dataset.version_id()
    }

    /// Another version of the same table.
    ///
    /// # Errors
    /// [`Error::NoVersion`], [`Error::NoTag`], [`Error::Storage`].
    pub async fn at(&self, at: At) -> Result<Self, Error> {
        let dataset = Arc::clone(&self.dataset);
        let checkout = async move {
            let checked_out = match at {
                At::Version(version) => dataset.checkout_version(version).await,
                At::Tag(tag) => dataset.checkout_version(tag.as_str()).await,
            };
            checked_out.map_err(|error| match ours(error) {
                Error::NoTable | Error::Damaged(_) => Error::NoVersion,
                other => other,
            })
        };
        let dataset = self.host.workers.run(checkout).await?;
        Ok(Self {
            dataset: Arc::new(dataset),
            ..self.clone()
        })
    }

    /// Looks for neighbours, among indexed rows by the index and among all others exactly.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a query that does not fit, [`Error::Storage`], [`Error::Damaged`].
    pub async fn search(&self, query: Query) -> Result<Found, Error> {
        query.check(self.shape.dimension, self.shape.metric)?;
        let snapshot = self.clone();
        let search = async move { snapshot.found(query).await };
        self.host.workers.run(search).await
    }

    async fn found(&self, query: Query) -> Result<Found, Error> {
        let version = self.version();
        let nothing = Found {
            hits: Vec::new(),
            version,
        };
        if self.dataset.count_fragments() == 0 {
            return Ok(nothing);
        }
        let mut scan = self.dataset.scan();
        match query.among {
            Among::All => {}
            Among::Rows(rows) if rows.is_empty() => return Ok(nothing),
            Among::Rows(rows) => {
                let rows: Vec<Expr> = rows.into_iter().map(lit).collect();
                scan.filter_expr(col(ROW).in_list(rows, false));
            }
        }
        scan.prefilter(true);
        scan.disable_scoring_autoprojection();
        scan.project(&[DOC_ID, ROW, START, END, DISTANCE])
            .map_err(ours)?;
        let vector = Float32Array::from(query.vector);
        scan.nearest(VECTOR, &vector, query.k).map_err(ours)?;
        scan.distance_metric(distance(self.shape.metric));
        if query.exact {
            scan.use_index(false);
        } else {
            if let Some(partitions) = query.effort.nprobes {
                scan.nprobes(partitions);
            }
            if let Some(factor) = query.effort.refine_factor {
                scan.refine(factor);
            }
            if let Some(ef) = query.effort.ef {
                scan.ef(ef);
            }
        }
        let batch = scan.try_into_batch().await.map_err(ours)?;
        let mut hits = columns::hits(&batch)?;
        hits.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        Ok(Found { hits, version })
    }

    /// All rows of a document, in the order in which they were added; none if there is no such document.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub async fn document(&self, doc_id: &str) -> Result<Vec<Document>, Error> {
        let (snapshot, doc_id) = (self.clone(), doc_id.to_owned());
        let read = async move {
            let known = lookup::document(&snapshot.dataset, &doc_id, &COLUMNS).await;
            let batch = match known.map_err(ours)? {
                Some(batch) => batch,
                None => {
                    let mut scan = snapshot.whole()?;
                    scan.filter_expr(col(DOC_ID).eq(lit(doc_id)));
                    scan.try_into_batch().await.map_err(ours)?
                }
            };
            columns::documents(&batch, snapshot.shape.dimension)
        };
        self.host.workers.run(read).await
    }

    /// Number of rows, without deleted ones.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub async fn rows(&self) -> Result<u64, Error> {
        let dataset = Arc::clone(&self.dataset);
        let count = async move { dataset.count_rows(None).await.map_err(ours) };
        Ok(self.host.workers.run(count).await? as u64)
    }

    /// SHA-256 of all rows in their order: of each the length of the document's name, the name, the row, the piece (a 1
    /// and both ends, or a 0) and the components, all numbers in little-endian order. Reads the whole version.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub async fn digest(&self) -> Result<[u8; 32], Error> {
        let snapshot = self.clone();
        let read = async move {
            let dimension = snapshot.shape.dimension;
            let mut digest = RowsDigest::new(dimension);
            let batches = snapshot.whole()?.try_into_stream().await.map_err(ours)?;
            let mut batches = std::pin::pin!(batches);
            while let Some(batch) = batches.try_next().await.map_err(ours)? {
                digest.add(&columns::rows(&batch, dimension)?);
            }
            Ok(digest.end())
        };
        self.host.workers.run(read).await
    }

    /// A scan of all of our columns, in order.
    fn whole(&self) -> Result<Scanner, Error> {
        let mut scan = self.dataset.scan();
        scan.project(&COLUMNS).map_err(ours)?;
        scan.scan_in_order(true);
        Ok(scan)
    }

    /// Figures. Reads metadata only.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub async fn stats(&self) -> Result<Stats, Error> {
        let dataset = Arc::clone(&self.dataset);
        let read = async move { stats(&dataset).await.map_err(ours) };
        self.host.workers.run(read).await
    }
}

async fn stats(dataset: &Dataset) -> lance::Result<Stats> {
    let described = dataset.describe_indices(None).await?;
    let mut indexes: Vec<IndexStats> = described
        .iter()
        .map(|index| IndexStats {
            name: index.name().to_owned(),
            kind: index.index_type().to_owned(),
            parts: index.segments().len() as u64,
            rows: index.rows_indexed(),
            bytes: index.total_size_bytes().unwrap_or_default(),
        })
        .collect();
    indexes.sort_by(|a, b| a.name.cmp(&b.name));
    let parts: Vec<&IndexMetadata> = described
        .iter()
        .filter(|index| index.name() == VECTOR_INDEX)
        .flat_map(|index| index.segments())
        .collect();
    let unindexed_rows = uncovered_rows(dataset, &parts);
    let files = dataset
        .iter_fragments()
        .flat_map(|fragment| &fragment.files)
        .filter_map(|file| file.file_size_bytes.get());
    let of_rows: u64 = files.map(NonZeroU64::get).sum();
    let of_indexes: u64 = indexes.iter().map(|index| index.bytes).sum();
    Ok(Stats {
        version: dataset.version_id(),
        versions: dataset.count_versions().await?,
        rows: dataset.count_rows(None).await? as u64,
        deleted_rows: dataset.count_deleted_rows().await? as u64,
        unindexed_rows,
        fragments: dataset.count_fragments() as u64,
        bytes: of_rows + of_indexes,
        indexes,
    })
}

/// Rows that no part of an index covers.
pub(crate) fn uncovered_rows(dataset: &Dataset, parts: &[&IndexMetadata]) -> u64 {
    let covered = |fragment: u64| {
        let fragment = u32::try_from(fragment).unwrap_or(u32::MAX);
        parts.iter().any(|part| {
            let covers = part.fragment_bitmap.as_ref();
            covers.is_some_and(|covers| covers.contains(fragment))
        })
    };
    dataset
        .iter_fragments()
        .filter(|fragment| !covered(fragment.id))
        .map(|fragment| fragment.num_rows().unwrap_or_default() as u64)
        .sum()
}

/// Lance's name of a metric. Its distances are ours: squared for L2, 1 - similarity for the others.
pub(crate) fn distance(metric: Metric) -> DistanceType {
    match metric {
        Metric::Cosine => DistanceType::Cosine,
        Metric::L2 => DistanceType::L2,
        Metric::Dot => DistanceType::Dot,
    }
}

/// The digest of rows that come in portions; see [`Snapshot::digest`].
pub(crate) struct RowsDigest {
    digest: Sha256,
    dimension: usize,
    row: Vec<u8>,
}

impl RowsDigest {
    pub(crate) fn new(dimension: usize) -> Self {
        Self {
            digest: Sha256::new(),
            dimension,
            row: Vec::new(),
        }
    }

    /// Adds rows of this dimension, as [`Rows::check`] has seen.
    pub(crate) fn add(&mut self, rows: &Rows) {
        let vectors = rows.vectors.chunks_exact(self.dimension);
        for (at, vector) in vectors.enumerate() {
            let name = rows.doc_ids[at].as_bytes();
            let row = &mut self.row;
            row.clear();
            row.extend_from_slice(&(name.len() as u64).to_le_bytes());
            row.extend_from_slice(name);
            row.extend_from_slice(&rows.rows[at].to_le_bytes());
            match rows.spans[at] {
                None => row.push(0),
                Some((start, end)) => {
                    row.push(1);
                    row.extend_from_slice(&start.to_le_bytes());
                    row.extend_from_slice(&end.to_le_bytes());
                }
            }
            row.extend(vector.iter().flat_map(|component| component.to_le_bytes()));
            self.digest.update(&*row);
        }
    }

    pub(crate) fn end(self) -> [u8; 32] {
        self.digest.finalize().into()
    }
}
