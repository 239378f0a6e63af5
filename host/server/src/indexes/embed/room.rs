//! How many vectors a build may make: all of them are in memory before the first is stored.
//!
//! A row needs a vector, and a long text that is cut into small pieces a great many. So before anything is embedded the
//! texts are read once and cut as they will be, and what they need is compared with `[vectors] max_build_bytes`. Texts
//! that are not cut need at most a vector each, and are not read for that when so many fit.
//!
//! What is counted is an upper bound: a text without a word that the embedder knows gets no vector, and one that a later
//! row replaces loses its vectors in the end, but takes memory until then. Graph, searched form and stored form of the
//! vectors come on top of what is counted and grow with it.

use arrow::array::RecordBatch;
use boathouse_types::Dimension;
use futures::TryStreamExt as _;

use super::{super::chunks::pieces, Chunking, Source, rows::as_text};
use crate::{app::App, problem::Problem, tasks::TaskContext};

/// The room for vectors of so many components.
#[derive(Debug, Clone, Copy)]
struct Room {
    bytes: u64,
    dimension: Dimension,
}

impl Room {
    /// Bytes that so many vectors take: 4 for each component.
    fn of(self, vectors: u64) -> u64 {
        vectors.saturating_mul(4 * self.dimension.get() as u64)
    }

    fn holds(self, vectors: u64) -> bool {
        self.of(vectors) <= self.bytes
    }

    /// That the vectors of the first rows do not fit.
    fn exceeded(self, vectors: u64, rows: (u64, u64), chunk: Option<Chunking>) -> Problem {
        let (first, all) = rows;
        let (needed, bytes, dimension) = (self.of(vectors), self.bytes, self.dimension.get());
        let larger = match chunk {
            Some(_) => {
                "cut texts into larger pieces (`chunk.characters`) with less overlap (`chunk.overlap`), "
            }
            None => "",
        };
        Problem::unprocessable(
            "build_too_large",
            format!(
                "the texts of the first {first} of {all} rows need {vectors} vectors of {dimension} components, which take {needed} bytes of memory, and `vectors.max_build_bytes` of the host's configuration allows {bytes}; {larger}index fewer rows, or raise that"
            ),
        )
    }
}

/// That there is room for the vectors of all rows. Nothing is embedded.
///
/// # Errors
/// 422 `build_too_large`; what the dataset's bucket says; 409 when cancelled.
pub(super) async fn check(
    app: &App,
    source: &Source<'_>,
    task: &TaskContext,
) -> Result<(), Problem> {
    let room = Room {
        bytes: app.config.vectors.max_build_bytes,
        dimension: source.known.dimension(),
    };
    let all = source.dataset.version().rows.saturating_sub(source.from);
    let chunk = source.chunk;
    if chunk.is_none() && room.holds(all) {
        return Ok(());
    }
    let mut batches = source.dataset.scan_from(source.from, &[source.text])?;
    let (mut vectors, mut rows) = (0, 0);
    while let Some(batch) = batches.try_next().await? {
        if task.cancellation().is_cancelled() {
            return Err(Problem::cancelled());
        }
        rows += batch.num_rows() as u64;
        let counted = tokio::task::spawn_blocking(move || count(chunk, &batch));
        vectors += counted.await.map_err(|error| Problem::internal(&error))??;
        if !room.holds(vectors) {
            return Err(room.exceeded(vectors, (rows, all), chunk));
        }
        task.progress("counting vectors", rows, Some(all), "texts");
    }
    Ok(())
}

/// Vectors that the texts of a batch need at most.
fn count(chunk: Option<Chunking>, batch: &RecordBatch) -> Result<u64, Problem> {
    let texts = as_text(batch, 0)?;
    let (mut given, mut vectors) = (Vec::new(), 0);
    for text in texts.iter().flatten() {
        given.clear();
        pieces(chunk, text, &mut given);
        let with_text = given.iter().filter(|piece| !piece.text.trim().is_empty());
        vectors += with_text.count() as u64;
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests;
