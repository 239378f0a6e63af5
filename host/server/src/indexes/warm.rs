//! Warming an index: what its searches read is brought into memory before somebody waits for it.
//!
//! Rows of the index itself are searched for, spread over all of it, so the pages of vectors, codes and links that
//! searches pass through are read, and of a Lance table too, if that serves. An embedder of the model server is opened, for which the server loads its model.

use std::sync::Arc;

use boathouse_types::VectorBackend;

use super::{LiveIndex, backend, check_embedder, tail::Wanted};
use crate::{app::App, problem::Problem};

/// Rows that are searched for.
const SEARCHES: usize = 32;
/// Neighbours of each.
const K: usize = 10;

/// Warms an index.
///
/// # Errors
/// When its embedder cannot be opened, or is of another model than its vectors.
pub(crate) async fn warm(app: &App, index: &Arc<LiveIndex>) -> Result<(), Problem> {
    let mut desk = app.indexes.desks.sit_down().await?;
    let (searched, serving) = (Arc::clone(index), index.serving());
    let warmed = tokio::task::spawn_blocking(move || {
        let (vectors, scratch) = (&searched.data.vectors, &mut desk.scratch);
        let step = vectors.len().div_ceil(SEARCHES).max(1);
        let rows = (0..vectors.len()).step_by(step);
        for row in rows.filter_map(|row| u32::try_from(row).ok()) {
            let wanted = Wanted {
                query: &vectors.row_query(row),
                k: K.min(vectors.len()),
                ef: serving.config().ef_search as usize,
            };
            let tail = &searched.tail;
            tail.nearest(vectors, &serving.graph, &wanted, scratch);
        }
    });
    warmed.await.map_err(|error| Problem::internal(&error))?;
    if index.meta.vector_backend == VectorBackend::Lance {
        backend::warm(app, index, SEARCHES, K).await;
    }
    let embedder = app.models.embedders.of(&index.meta.embedder).await?;
    check_embedder(&*embedder, &index.meta)
}
