//! Indexes of a table: one over its vectors, and B-trees over documents and rows.
//!
//! An index is built beside the table and committed as a version; searches go on meanwhile. Rows that are appended later
//! are found without it, one by one, until a fold takes them in.

use std::sync::Arc;

use lance::{
    Dataset,
    dataset::{
        CommitBuilder,
        transaction::{Operation, TransactionBuilder},
    },
    index::{DatasetIndexExt, vector::VectorIndexParams},
};
use lance_index::{
    IndexType,
    optimize::OptimizeOptions,
    scalar::{BuiltinIndexType, ScalarIndexParams},
    vector::{
        hnsw::builder::HnswBuildParams, ivf::IvfBuildParams, pq::PQBuildParams,
        sq::builder::SQBuildParams,
    },
};
use lance_table::format::IndexMetadata;

use crate::{
    Error, Shape, Table,
    columns::{DOC_ID, ROW, VECTOR},
    error::ours,
    snapshot::{distance, uncovered_rows},
};

/// The name of the index over vectors. Those of the B-trees are the names of their columns.
pub(crate) const VECTOR_INDEX: &str = "vector";

/// Rows that product quantization learns its 256 codes from, at least.
const PQ_ROWS: u64 = 256;

/// Most partitions, which is also Lance's own bound: more take too long to learn.
const MOST_PARTITIONS: usize = 4096;

/// Rows of a partition when their number is left to Lance: its own targets for the two kinds.
const PQ_PARTITION: u64 = 8192;
const HNSW_PARTITION: u64 = 1 << 20;

/// Vectors that are held at once while partitions are learnt, in bytes. Lance holds 256 for each partition unless it is told
/// to learn in steps.
const LEARNING_BYTES: usize = 256 << 20;
const LEARNT_FROM: usize = 256;

/// Fewest vectors for each partition in a step.
const SMALLEST_STEP: usize = 8;

/// Bounds of a graph's settings. Lance takes no fewer than 4 links.
const FEWEST_LINKS: usize = 4;
const MOST_LINKS: usize = 256;
const LARGEST_EF_CONSTRUCTION: usize = 4096;

/// What kind of index over vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Partitions around centroids, and in them codes of a byte for each group of components. Small; needs
    /// `refine_factor` for exact distances.
    IvfPq {
        /// Partitions, 1 to 4,096; `None`: one for some 8,192 rows.
        partitions: Option<usize>,
        /// Groups of components, a divisor of the dimension; `None`: groups of eight, or the next smaller power of two that
        /// divides it.
        sub_vectors: Option<usize>,
    },
    /// Partitions, and in each a graph that is walked by codes of a byte for each component.
    IvfHnswSq {
        /// Partitions, 1 to 4,096; `None`: one for some million rows.
        partitions: Option<usize>,
        /// Links of a row, 4 to 256.
        m: usize,
        /// Candidates kept while the graph is built, `m` to 4,096.
        ef_construction: usize,
    },
}

/// How rows that no index covers are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// As a part of their own beside the others: costs what they cost. Each part is searched.
    Append,
    /// All parts become one, by the centroids and codes that were learnt before.
    Merge,
    /// All parts become one, and everything is learnt anew from the rows as they are now.
    Retrain,
}

impl Kind {
    /// The partitions and the groups of components that [`Kind::IvfPq`] has over so many rows when they are left out.
    #[must_use]
    pub fn usual_pq(rows: u64, dimension: usize) -> (usize, usize) {
        let partitions = usize::try_from(rows / PQ_PARTITION).unwrap_or(MOST_PARTITIONS);
        (partitions.clamp(1, MOST_PARTITIONS), groups(dimension))
    }

    fn partitions(self) -> Option<usize> {
        match self {
            Self::IvfPq { partitions, .. } | Self::IvfHnswSq { partitions, .. } => partitions,
        }
    }

    /// Refuses what cannot be built, before hours are spent on it.
    fn check(self, shape: Shape, rows: u64) -> Result<(), Error> {
        let invalid = |reason: String| Err(Error::Invalid(reason));
        if let Some(partitions) = self.partitions()
            && !(1..=MOST_PARTITIONS).contains(&partitions)
        {
            return invalid(format!("an index has 1 to {MOST_PARTITIONS} partitions"));
        }
        match self {
            Self::IvfPq { sub_vectors, .. } => {
                let dimension = shape.dimension;
                if sub_vectors.is_some_and(|groups| !dimension.is_multiple_of(groups)) {
                    return invalid(format!("sub_vectors must divide {dimension}"));
                }
            }
            Self::IvfHnswSq {
                m, ef_construction, ..
            } => {
                let links = FEWEST_LINKS..=MOST_LINKS;
                if !links.contains(&m) || !(m..=LARGEST_EF_CONSTRUCTION).contains(&ef_construction)
                {
                    return invalid(format!(
                        "m is {FEWEST_LINKS} to {MOST_LINKS}, and ef_construction m to {LARGEST_EF_CONSTRUCTION}"
                    ));
                }
            }
        }
        let learning = match self {
            Self::IvfPq { .. } => PQ_ROWS,
            Self::IvfHnswSq { .. } => 1,
        };
        let needed = learning.max(self.partitions().unwrap_or(1) as u64);
        if rows < needed {
            return Err(Error::TooFewRows {
                needed,
                found: rows,
            });
        }
        Ok(())
    }

    /// How partitions are learnt from so many rows: in steps where all at once would not fit.
    fn ivf(self, shape: Shape, rows: u64) -> IvfBuildParams {
        let target = match self {
            Self::IvfPq { .. } => PQ_PARTITION,
            Self::IvfHnswSq { .. } => HNSW_PARTITION,
        };
        let derived = usize::try_from(rows / target).unwrap_or(MOST_PARTITIONS);
        let partitions = self
            .partitions()
            .unwrap_or_else(|| derived.clamp(1, MOST_PARTITIONS));
        let fit = LEARNING_BYTES / (partitions * shape.dimension * size_of::<f32>());
        IvfBuildParams {
            num_partitions: self.partitions(),
            sample_rate: LEARNT_FROM,
            streaming_sample_rate: (fit < LEARNT_FROM).then_some(fit.max(SMALLEST_STEP)),
            ..IvfBuildParams::default()
        }
    }

    fn params(self, shape: Shape, rows: u64) -> VectorIndexParams {
        let metric = distance(shape.metric);
        let ivf = self.ivf(shape, rows);
        match self {
            Self::IvfPq { sub_vectors, .. } => {
                let pq = PQBuildParams {
                    num_sub_vectors: sub_vectors.unwrap_or_else(|| groups(shape.dimension)),
                    ..PQBuildParams::default()
                };
                VectorIndexParams::with_ivf_pq_params(metric, ivf, pq)
            }
            Self::IvfHnswSq {
                m, ef_construction, ..
            } => {
                let hnsw = HnswBuildParams::default()
                    .num_edges(m)
                    .ef_construction(ef_construction);
                let sq = SQBuildParams::default();
                VectorIndexParams::with_ivf_hnsw_sq_params(metric, ivf, hnsw, sq)
            }
        }
    }
}

/// Groups of eight components, or of the largest smaller power of two that divides the dimension.
fn groups(dimension: usize) -> usize {
    let size = [8, 4, 2]
        .into_iter()
        .find(|size| dimension.is_multiple_of(*size));
    dimension / size.unwrap_or(1)
}

/// Indexes that were built and are not part of a table yet; see [`Table::install`]. Their files are there; without an
/// installation nobody refers to them, and a cleanup takes them away.
#[derive(Debug)]
pub struct Built {
    indexes: Vec<IndexMetadata>,
}

impl Table {
    /// Whether an index of that kind can be built over the rows as they are now.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::TooFewRows`], [`Error::Storage`].
    pub async fn check(&self, kind: Kind) -> Result<(), Error> {
        kind.check(self.shape(), self.now().rows().await?)
    }

    /// Builds the index over vectors and the B-trees that are missing, over the rows as they are now. Changes of the table
    /// go on meanwhile. Needs temporary files of about the size of the vectors.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::TooFewRows`], [`Error::Refused`], [`Error::NoRoom`], [`Error::Storage`].
    pub async fn build(&self, kind: Kind) -> Result<Built, Error> {
        let Built { mut indexes } = self.build_vectors(kind).await?;
        let trees = move |dataset: Arc<Dataset>| async move {
            let mut dataset = Arc::unwrap_or_clone(dataset);
            let mut trees = Vec::new();
            for column in [DOC_ID, ROW] {
                trees.extend(b_tree(&mut dataset, column).await.map_err(ours)?);
            }
            Ok(trees)
        };
        indexes.extend(self.read(trees).await?);
        Ok(Built { indexes })
    }

    /// As [`Self::build`], the index over vectors alone: for who looks for nothing else.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub async fn build_vectors(&self, kind: Kind) -> Result<Built, Error> {
        let shape = self.shape();
        let rows = self.now().rows().await?;
        kind.check(shape, rows)?;
        let params = kind.params(shape, rows);
        let build = move |dataset: Arc<Dataset>| async move {
            let mut dataset = Arc::unwrap_or_clone(dataset);
            let vector = dataset
                .create_index_builder(&[VECTOR], IndexType::Vector, &params)
                .name(VECTOR_INDEX.to_owned())
                .replace(true)
                .execute_uncommitted()
                .await
                .map_err(ours)?;
            Ok(Built {
                indexes: vec![vector],
            })
        };
        self.read(build).await
    }

    /// Makes what was built part of the table, in the place of the index over vectors that is there. Rows that were appended
    /// since are found without it. Gives the version with it.
    ///
    /// # Errors
    /// Those of every change; [`Error::Conflict`] when files that were read for it are not those of the table any more.
    pub async fn install(&self, built: Built) -> Result<u64, Error> {
        let install = move |dataset: Arc<Dataset>| async move {
            let Built { mut indexes } = built;
            let known = dataset.load_indices().await.map_err(ours)?;
            let is_there = |name: &str| known.iter().any(|one| one.name == name);
            // Somebody else's B-tree is as good as this one.
            indexes.retain(|index| index.name == VECTOR_INDEX || !is_there(&index.name));
            let read = indexes.iter().map(|index| index.dataset_version).min();
            let replaced = known.iter().filter(|one| one.name == VECTOR_INDEX);
            let operation = Operation::CreateIndex {
                removed_indices: replaced.cloned().collect(),
                new_indices: indexes,
            };
            let read = read.unwrap_or_else(|| dataset.version_id());
            let transaction = TransactionBuilder::new(read, operation).build();
            let commit = CommitBuilder::new(dataset).execute(transaction);
            let changed = commit.await.map_err(ours)?;
            let version = changed.version_id();
            Ok((Arc::new(changed), version))
        };
        self.change(install).await
    }

    /// [`Self::build`] and [`Self::install`]. Gives the version with the indexes.
    ///
    /// # Errors
    /// Those of both.
    pub async fn index(&self, kind: Kind) -> Result<u64, Error> {
        let built = self.build(kind).await?;
        self.install(built).await
    }

    /// Takes rows that no index covers into the indexes. Without an index, or without such rows and parts to merge, nothing
    /// happens. Gives the version then.
    ///
    /// # Errors
    /// Those of every change.
    pub async fn fold(&self, fold: Fold) -> Result<u64, Error> {
        let work = move |dataset: Arc<Dataset>| async move {
            let mut dataset = Arc::unwrap_or_clone(dataset);
            for name in [VECTOR_INDEX, DOC_ID, ROW] {
                let parts = dataset.load_indices_by_name(name).await.map_err(ours)?;
                let whole = uncovered_rows(&dataset, &parts.iter().collect::<Vec<_>>()) == 0;
                let done = match fold {
                    Fold::Append => whole,
                    Fold::Merge => whole && parts.len() == 1,
                    Fold::Retrain => whole && parts.len() == 1 && name != VECTOR_INDEX,
                };
                if parts.is_empty() || done {
                    continue;
                }
                let options = match fold {
                    Fold::Append => OptimizeOptions::append(),
                    Fold::Retrain if name == VECTOR_INDEX => OptimizeOptions::retrain(),
                    // A B-tree learns nothing.
                    Fold::Merge | Fold::Retrain => OptimizeOptions::merge(parts.len()),
                };
                let options = options.index_names(vec![name.to_owned()]);
                dataset.optimize_indices(&options).await.map_err(ours)?;
            }
            let version = dataset.version_id();
            Ok((Arc::new(dataset), version))
        };
        self.change(work).await
    }
}

/// Builds a B-tree unless there is one.
async fn b_tree(dataset: &mut Dataset, column: &str) -> lance::Result<Option<IndexMetadata>> {
    if !dataset.load_indices_by_name(column).await?.is_empty() {
        return Ok(None);
    }
    let params = ScalarIndexParams::for_builtin(BuiltinIndexType::BTree);
    let columns = [column];
    let mut builder = dataset
        .create_index_builder(&columns, IndexType::BTree, &params)
        .name(column.to_owned());
    builder.execute_uncommitted().await.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metric;

    const SHAPE: Shape = Shape {
        dimension: 24,
        metric: Metric::L2,
    };

    fn pq(partitions: Option<usize>, sub_vectors: Option<usize>) -> Kind {
        Kind::IvfPq {
            partitions,
            sub_vectors,
        }
    }

    #[test]
    fn groups_divide_the_dimension() {
        for (dimension, expected) in [(768, 96), (384, 48), (50, 25), (12, 3), (7, 7), (1, 1)] {
            assert_eq!(groups(dimension), expected, "{dimension}");
        }
    }

    #[test]
    fn partitions_are_learnt_in_steps_that_fit_into_memory() {
        let wide = Shape {
            dimension: 768,
            ..SHAPE
        };
        let step = |kind: Kind, rows| kind.ivf(wide, rows).streaming_sample_rate;
        assert_eq!(step(pq(None, None), 100_000), None);
        assert_eq!(step(pq(Some(300), None), 100_000), None);
        // 4,096 partitions of 21 vectors of 3 KiB are 252 MiB.
        assert_eq!(step(pq(Some(4096), None), 1 << 20), Some(21));
        assert_eq!(step(pq(None, None), 1 << 40), Some(21));
        let widest = Shape {
            dimension: 65_536,
            ..SHAPE
        };
        let least = pq(Some(4096), None).ivf(widest, 1 << 20);
        assert_eq!(least.streaming_sample_rate, Some(SMALLEST_STEP));
    }

    #[test]
    fn what_cannot_be_built_is_refused_at_once() {
        let hnsw = |m, ef_construction| Kind::IvfHnswSq {
            partitions: None,
            m,
            ef_construction,
        };
        for kind in [pq(None, None), pq(Some(256), Some(12)), hnsw(16, 100)] {
            assert!(kind.check(SHAPE, 256).is_ok(), "{kind:?}");
        }
        for kind in [
            pq(None, Some(5)),
            pq(None, Some(0)),
            pq(Some(0), None),
            pq(Some(MOST_PARTITIONS + 1), None),
            hnsw(3, 100),
            hnsw(16, 15),
            hnsw(MOST_LINKS + 1, 400),
        ] {
            let refused = kind.check(SHAPE, 1 << 20);
            assert!(matches!(refused, Err(Error::Invalid(_))), "{kind:?}");
        }
    }

    #[test]
    fn too_few_rows_are_told_before_anything_is_learnt() {
        for (kind, rows, wanted) in [(pq(None, None), 255, 256), (pq(Some(300), None), 299, 300)] {
            let Err(Error::TooFewRows { needed, found }) = kind.check(SHAPE, rows) else {
                panic!("{kind:?} was taken");
            };
            assert_eq!((needed, found), (wanted, rows));
        }
    }
}
