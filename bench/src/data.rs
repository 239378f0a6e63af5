//! Vectors to index, queries that are not among them, and the truth.
//!
//! Rows and queries are drawn evenly over the whole of a collection: words stand in order of frequency, glosses by
//! part of speech, and a sample has the mix that the whole has. A split depends on nothing but its collection
//! and the two numbers. Files hold `f32`, little-endian, row by row, and both sides read the same ones.

mod mixture;
mod texts;

use std::{
    collections::HashSet,
    fs,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use boathouse_types::{Dimension, Metric};
use boathouse_vector::{Query, VectorSet, exact_top_k_batch};

use crate::process;

/// Queries that a comparison asks for.
const QUERIES: usize = 2_000;

/// Components of a GloVe vector.
const GLOVE_DIMENSION: u32 = 50;

/// What vectors are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collection {
    /// GloVe 6B word vectors.
    Glove,
    /// WordNet's glosses, embedded by the built-in model.
    Texts,
    /// Invented clusters.
    Mixture,
}

impl Collection {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Glove, Self::Texts, Self::Mixture];

    /// The one of a name on the command line.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = Self::ALL.into_iter();
        all.zip(["glove", "texts", "mixture"])
            .find_map(|(collection, own)| (own == name).then_some(collection))
    }

    /// For people.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Glove => "GloVe 50-d",
            Self::Texts => "WordNet glosses 256-d",
            Self::Mixture => "synthetic mixture 768-d",
        }
    }

    /// Rows of the full size.
    pub(crate) fn full(self) -> usize {
        match self {
            Self::Glove => 400_000 - QUERIES,
            Self::Texts | Self::Mixture => 100_000,
        }
    }

    /// A tenth, a third and all of it.
    pub(crate) fn sizes(self) -> [usize; 3] {
        [self.full() / 10, self.full() / 3, self.full()]
    }

    /// Writes the files for so many rows.
    pub(crate) fn split(self, rows: usize, quick: bool) -> Result<Split> {
        let queries = queries(quick);
        match self {
            Self::Glove => Split::of_glove(rows, queries),
            Self::Texts => Ok(Split::of_texts(rows, queries)?.0),
            Self::Mixture => Split::of_mixture(rows, queries),
        }
    }
}

/// How many queries a comparison asks for.
pub(crate) fn queries(quick: bool) -> usize {
    if quick { 500 } else { QUERIES }
}

/// What the vectors of a split were made of.
#[derive(Debug)]
pub(crate) struct Texts {
    /// Those to index.
    pub(crate) base: Vec<String>,
    /// Those to ask for.
    pub(crate) queries: Vec<String>,
}

/// Vectors to index and vectors to ask for.
#[derive(Debug)]
pub(crate) struct Split {
    /// File of the vectors to index.
    pub(crate) base: PathBuf,
    /// How many.
    pub(crate) rows: usize,
    /// Components of each.
    pub(crate) dimension: u32,
    /// File of the queries.
    pub(crate) queries: PathBuf,
    /// How many.
    pub(crate) query_count: usize,
}

impl Split {
    /// Of GloVe, for so many rows and queries.
    pub(crate) fn of_glove(rows: usize, query_count: usize) -> Result<Self> {
        const ROW_BYTES: usize = GLOVE_DIMENSION as usize * size_of::<f32>();
        let all = process::data("glove-50d.f32")?;
        let all = fs::read(&all).with_context(|| all.display().to_string())?;
        let (vectors, _) = all.as_chunks::<ROW_BYTES>();
        let (base, queries) = positions(vectors.len(), rows, query_count)?;
        let take = |positions: &[usize]| positions.iter().flat_map(|&at| vectors[at]).collect();
        Self::write(
            "glove",
            GLOVE_DIMENSION,
            (rows, take(&base)),
            (query_count, take(&queries)),
        )
    }

    /// Of the glosses, with their texts.
    pub(crate) fn of_texts(rows: usize, query_count: usize) -> Result<(Self, Texts)> {
        let known = texts::embedded()?;
        let (base, queries) = positions(known.len(), rows, query_count)?;
        let dimension = known.first().map_or(0, |(_, vector)| vector.len()) as u32;
        let take = |positions: &[usize]| {
            positions
                .iter()
                .flat_map(|&at| bytes(&known[at].1))
                .collect()
        };
        let split = Self::write(
            "texts",
            dimension,
            (rows, take(&base)),
            (query_count, take(&queries)),
        )?;
        let texts = |positions: Vec<usize>| {
            let texts = positions.into_iter().map(|at| known[at].0.clone());
            texts.collect()
        };
        Ok((
            split,
            Texts {
                base: texts(base),
                queries: texts(queries),
            },
        ))
    }

    fn of_mixture(rows: usize, query_count: usize) -> Result<Self> {
        let (base, queries) = mixture::vectors(rows, query_count);
        let take = |vectors: &[Vec<f32>]| vectors.iter().flat_map(|vector| bytes(vector)).collect();
        Self::write(
            "mixture",
            mixture::DIMENSION,
            (rows, take(&base)),
            (query_count, take(&queries)),
        )
    }

    /// Writes both files, each given as a count and its bytes.
    fn write(
        name: &str,
        dimension: u32,
        (rows, base): (usize, Vec<u8>),
        (query_count, queries): (usize, Vec<u8>),
    ) -> Result<Self> {
        let write = |name: String, bytes: &[u8]| -> Result<PathBuf> {
            let path = process::folder().join("data").join(name);
            fs::write(&path, bytes).with_context(|| path.display().to_string())?;
            Ok(path)
        };
        Ok(Self {
            base: write(format!("{name}-base-{rows}-{query_count}.f32"), &base)?,
            rows,
            dimension,
            queries: write(format!("{name}-queries-{query_count}.f32"), &queries)?,
            query_count,
        })
    }

    /// The `k` nearest rows of every query by cosine, in their order.
    pub(crate) fn truth(&self, k: usize, threads: usize) -> Result<Truth> {
        let set = read_set(&self.base, self.rows, self.dimension)?;
        let queries = read_queries(&self.queries, &set)?;
        let nearest = exact_top_k_batch(&set, &queries, k, threads);
        let rows = nearest
            .into_iter()
            .map(|found| found.into_iter().map(|neighbor| neighbor.row).collect());
        Ok(Truth {
            nearest: rows.collect(),
        })
    }
}

/// A vector as it stands in a file.
fn bytes(vector: &[f32]) -> impl Iterator<Item = u8> + '_ {
    vector.iter().flat_map(|x| x.to_le_bytes())
}

/// Where queries and rows stand among `total` vectors: both evenly spread, none in both.
fn positions(total: usize, rows: usize, queries: usize) -> Result<(Vec<usize>, Vec<usize>)> {
    ensure!(queries > 0 && rows > 0, "no rows or no queries");
    ensure!(
        rows + queries <= total,
        "{rows} rows and {queries} queries are more than the {total} vectors there are"
    );
    let asked: Vec<usize> = (0..queries).map(|i| i * total / queries).collect();
    let taken: HashSet<usize> = asked.iter().copied().collect();
    let left: Vec<usize> = (0..total).filter(|at| !taken.contains(at)).collect();
    let base = (0..rows).map(|i| left[i * left.len() / rows]).collect();
    Ok((base, asked))
}

/// The true answers.
#[derive(Debug)]
pub(crate) struct Truth {
    nearest: Vec<HashSet<u32>>,
}

impl Truth {
    /// That of the first queries alone.
    pub(crate) fn first(&self, most: usize) -> Self {
        Self {
            nearest: self.nearest.iter().take(most).cloned().collect(),
        }
    }

    /// Mean share of the true neighbours that were found.
    pub(crate) fn recall(&self, answers: &[Vec<u32>]) -> Result<f64> {
        ensure!(
            answers.len() == self.nearest.len(),
            "an answer for each query"
        );
        let hits = answers.iter().zip(&self.nearest).map(|(found, truth)| {
            let found: HashSet<u32> = found.iter().copied().collect();
            found.intersection(truth).count()
        });
        let wanted: usize = self.nearest.iter().map(HashSet::len).sum();
        Ok(hits.sum::<usize>() as f64 / wanted as f64)
    }
}

/// Reads a file of vectors into a set, row by row.
pub(crate) fn read_set(path: &Path, rows: usize, dimension: u32) -> Result<VectorSet> {
    let dimension = Dimension::new(dimension)?;
    let mut set = VectorSet::builder(dimension, Metric::Cosine).with_capacity(rows);
    for_each_vector(path, dimension.get(), |vector| Ok(set.push(vector)?))?;
    ensure!(set.len() == rows, "{} vectors, not {rows}", set.len());
    Ok(set.finish())
}

/// Reads a file of queries.
pub(crate) fn read_vectors(path: &Path, dimension: usize) -> Result<Vec<Vec<f32>>> {
    let mut vectors = Vec::new();
    for_each_vector(path, dimension, |vector| {
        vectors.push(vector.to_vec());
        Ok(())
    })?;
    Ok(vectors)
}

/// Reads a file of queries and brings them into the form of the rows.
pub(crate) fn read_queries(path: &Path, set: &VectorSet) -> Result<Vec<Query>> {
    let vectors = read_vectors(path, set.dimension().get())?;
    let queries = vectors.iter().map(|vector| Ok(set.prepare_query(vector)?));
    queries.collect()
}

/// Hands over the vectors of a file, one after the other.
pub(crate) fn for_each_vector(
    path: &Path,
    dimension: usize,
    mut take: impl FnMut(&[f32]) -> Result<()>,
) -> Result<()> {
    let file = fs::File::open(path).with_context(|| path.display().to_string())?;
    let vectors = file.metadata()?.len() as usize / (dimension * size_of::<f32>());
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut bytes = vec![0; dimension * size_of::<f32>()];
    let mut vector = vec![0.0; dimension];
    for _ in 0..vectors {
        file.read_exact(&mut bytes)?;
        for (value, bytes) in vector.iter_mut().zip(bytes.as_chunks().0) {
            *value = f32::from_le_bytes(*bytes);
        }
        take(&vector)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_queries_are_distinct_and_reach_to_the_end() {
        let (base, queries) = positions(1_000, 400, 20).expect("enough");
        let base: HashSet<usize> = base.into_iter().collect();
        assert_eq!((base.len(), queries.len()), (400, 20));
        assert!(queries.iter().all(|at| !base.contains(at)));
        assert!(base.iter().any(|&at| at > 990) && queries.contains(&950));
        let (whole, _) = positions(1_000, 980, 20).expect("all of it");
        assert_eq!(whole.len(), 980);
        assert!(positions(1_000, 990, 20).is_err());
    }

    #[test]
    fn collections_have_names_and_sizes() {
        assert_eq!(Collection::named("texts"), Some(Collection::Texts));
        assert_eq!(Collection::named("Glove"), None);
        assert_eq!(Collection::Texts.sizes(), [10_000, 33_333, 100_000]);
    }

    #[test]
    fn recall_counts_a_row_once() {
        let truth = Truth {
            nearest: vec![HashSet::from([1, 2]), HashSet::from([3, 4])],
        };
        let recall = |answers: [Vec<u32>; 2]| truth.recall(&answers).expect("as many");
        assert_eq!(recall([vec![1, 2], vec![4, 3]]), 1.0);
        assert_eq!(recall([vec![1, 1], vec![9, 3]]), 0.5);
        assert!(truth.recall(&[]).is_err());
    }
}
