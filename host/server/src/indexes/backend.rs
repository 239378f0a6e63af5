//! What answers the searches of an index: its graph, or its Lance table.
//!
//! A [`Backend`] is an index as one of them holds it. Both hold the same rows at any time, as one commit of the manifest
//! names them together, so which of them answers is a matter of one word in the manifest: [`set`] changes it, and no
//! search is refused or sees a mix. Rows come and go by one way (`append.rs`, `delete.rs`), whichever serves.
//!
//! The graph is always there. When a table cannot be read the graph answers in its place, and the answer says so.

mod graph;
#[cfg(feature = "lance")]
mod table;
#[cfg(test)]
#[cfg(feature = "lance")]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use boathouse_types::VectorBackend;
use boathouse_vector::Span;
use serde::Serialize;

pub(super) use graph::Graph;
#[cfg(feature = "lance")]
pub(super) use table::Table;
#[cfg(feature = "lance")]
pub(crate) use table::{NPROBES, REFINE_FACTOR};

use super::{
    IndexMeta, IndexView, LiveIndex,
    append::check_at_rest,
    filter::{FilterPlan, Selection},
};
use crate::{app::App, lance, problem::Problem};

/// What to look for.
pub(super) enum Query {
    /// In words, for the embedder that is built in: others are asked before an engine is.
    Text(String),
    Vector(Vec<f32>),
}

/// A search, checked.
pub(super) struct Wish {
    pub(super) query: Query,
    /// Documents, at most.
    pub(super) k: usize,
    /// Candidates of the graph.
    pub(super) ef_search: u32,
    /// How a Lance table is searched.
    pub(super) effort: Effort,
    pub(super) selection: Option<Arc<Selection>>,
}

/// How thoroughly a Lance table is searched; what is left out is up to the host.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Effort {
    pub(super) nprobes: Option<usize>,
    pub(super) refine_factor: Option<u32>,
    pub(super) ef: Option<usize>,
    /// Compare with every row.
    pub(super) exact: bool,
}

/// A document that was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Nearest {
    pub(super) id: String,
    /// Row of the dataset.
    pub(super) row: u64,
    /// The piece that was nearest, in an index that cuts texts.
    pub(super) span: Option<Span>,
    pub(super) distance: f32,
}

/// What was found, nearest first, and how.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) nearest: Vec<Nearest>,
    /// Distances that it took; unknown of a table.
    pub(super) distances: Option<u64>,
    /// How the rows that a filter lets through were searched, and how many documents they are of.
    pub(super) filtered: Option<(FilterPlan, u64)>,
    pub(super) lance: Option<LanceView>,
}

/// What of a Lance table answered.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct LanceView {
    /// The version of the table.
    pub version: u64,
    /// Every row was compared: nobody asked for less, or there is no index over the vectors.
    pub exact: bool,
    /// Partitions that were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nprobes: Option<usize>,
    /// So many times `k` candidates were compared by their exact vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refine_factor: Option<u32>,
    /// Candidates kept while a graph was walked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ef: Option<usize>,
}

/// A row of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    /// Row of the dataset.
    pub(super) row: u64,
    pub(super) span: Option<Span>,
    /// As the embedder gave it; a graph does not have it.
    pub(super) vector: Option<Vec<f32>>,
}

/// An index, as one engine holds it.
#[async_trait]
pub(super) trait Backend: Send + Sync {
    /// The nearest documents, each by its nearest vector: as many as were asked for wherever so many match.
    ///
    /// # Errors
    /// 422 for a query that does not fit the index; the bucket's failure.
    async fn search(&self, wish: &Arc<Wish>) -> Result<Found, Problem>;

    /// The rows of a document in order; none when there is no such document.
    ///
    /// # Errors
    /// The bucket's failure.
    async fn document(&self, id: &str) -> Result<Vec<Piece>, Problem>;
}

/// Asks the engine that serves an index; says which it was.
///
/// # Errors
/// As [`Backend::search`].
pub(super) async fn search(
    app: &App,
    index: &Arc<LiveIndex>,
    wish: &Arc<Wish>,
) -> Result<(Found, VectorBackend), Problem> {
    if let Some(table) = serving_table(app, index).await {
        match table.search(wish).await {
            Err(problem) if problem.status >= 500 => stand_in(index, &problem),
            found => return Ok((found?, VectorBackend::Lance)),
        }
    }
    let found = Graph::of(app, index).search(wish).await?;
    Ok((found, VectorBackend::Parquet))
}

/// As [`search`], for the rows of a document.
///
/// # Errors
/// As [`Backend::document`].
pub(super) async fn document(
    app: &App,
    index: &Arc<LiveIndex>,
    id: &str,
) -> Result<(Vec<Piece>, VectorBackend), Problem> {
    if let Some(table) = serving_table(app, index).await {
        match table.document(id).await {
            Err(problem) if problem.status >= 500 => stand_in(index, &problem),
            found => return Ok((found?, VectorBackend::Lance)),
        }
    }
    let found = Graph::of(app, index).document(id).await?;
    Ok((found, VectorBackend::Parquet))
}

fn stand_in(index: &LiveIndex, problem: &Problem) {
    let index = &index.meta.name;
    tracing::warn!(%index, %problem, "the Lance table of an index cannot be read; its graph answers");
}

/// The table of an index, if that is what serves and it can be opened.
#[cfg(feature = "lance")]
async fn serving_table(app: &App, index: &Arc<LiveIndex>) -> Option<Table> {
    if index.meta.vector_backend != VectorBackend::Lance {
        return None;
    }
    match Table::of(app, index).await {
        Ok(table) => Some(table),
        Err(problem) => {
            stand_in(index, &problem);
            None
        }
    }
}

#[cfg(not(feature = "lance"))]
#[expect(clippy::unused_async, reason = "with Lance it opens the table")]
async fn serving_table(_: &App, _: &Arc<LiveIndex>) -> Option<Graph> {
    None
}

/// Looks for rows of an index in its Lance table, so many times, if that is what serves: what searches read of it is in
/// memory then. A table that cannot be read is no obstacle, as the graph answers.
pub(super) async fn warm(app: &App, index: &Arc<LiveIndex>, searches: usize, k: usize) {
    let Some(table) = serving_table(app, index).await else {
        return;
    };
    let vectors = &index.data.vectors;
    let step = vectors.len().div_ceil(searches).max(1);
    let rows = (0..vectors.len()).step_by(step);
    for row in rows.filter_map(|row| u32::try_from(row).ok()) {
        let wish = Arc::new(Wish {
            query: Query::Vector(vectors.row(row).to_vec()),
            k,
            ef_search: 0,
            effort: Effort::default(),
            selection: None,
        });
        if let Err(problem) = table.search(&wish).await {
            return stand_in(index, &problem);
        }
    }
}

/// Lets another engine serve an index from now on.
///
/// # Errors
/// 404; 409 `no_lance_table` when there is no table to serve from, when the index is being moved or was changed by
/// somebody else; or the bucket fails.
pub(crate) async fn set(
    app: &App,
    name: &str,
    backend: VectorBackend,
) -> Result<IndexView, Problem> {
    let index = app.indexes.get(name)?;
    check_at_rest(&index)?;
    if backend == VectorBackend::Lance {
        lance::check_ready(app, &index).await?;
    }
    let change = |meta: &IndexMeta| {
        // Without a table nothing but the graph can serve, whatever was looked at before.
        let can_serve = backend == VectorBackend::Parquet || meta.lance.is_some();
        can_serve.then(|| IndexMeta {
            vector_backend: backend,
            ..meta.clone()
        })
    };
    Ok(app.indexes.commit(&index, change).await?.view())
}
