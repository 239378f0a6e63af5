//! A document of an index by its id: its row of the dataset, its pieces, its columns.
//!
//! The engine that serves the index is asked, whoever wants to know: a client of the index, or one of a profile.

use std::sync::Arc;

use boathouse_types::VectorBackend;
use serde_json::{Map, Value};

#[cfg(feature = "lance")]
use super::backend::Backend as _;
use super::{
    Chunk, LiveIndex,
    backend::{self, Piece},
    search::values,
};
use crate::{
    app::App,
    lance::{DocumentView, PieceView},
    problem::Problem,
};

/// Asks the engine that serves an index.
///
/// # Errors
/// 404 `unknown_document`; the bucket's failure.
pub(crate) async fn document(
    app: &App,
    index: &Arc<LiveIndex>,
    id: &str,
    columns: Option<Vec<String>>,
) -> Result<DocumentView, Problem> {
    let (found, backend) = backend::document(app, index, id).await?;
    let pieces = (found, backend, false);
    view(app, index, (id, pieces), columns).await
}

/// Asks the Lance table of an index; `vectors` says whether to show them.
///
/// # Errors
/// As [`document`]; 409 without a table.
#[cfg(feature = "lance")]
pub(crate) async fn document_of_table(
    app: &App,
    index: &Arc<LiveIndex>,
    id: &str,
    (columns, vectors): (Option<Vec<String>>, bool),
) -> Result<DocumentView, Problem> {
    let table = backend::Table::of(app, index).await?;
    let found = table.document(id).await?;
    let pieces = (found, VectorBackend::Lance, vectors);
    view(app, index, (id, pieces), columns).await
}

async fn view(
    app: &App,
    index: &LiveIndex,
    (id, (pieces, backend, vectors)): (&str, (Vec<Piece>, VectorBackend, bool)),
    columns: Option<Vec<String>>,
) -> Result<DocumentView, Problem> {
    let Some(row) = pieces.first().map(|piece| piece.row) else {
        let shown: String = id.chars().take(80).collect();
        return Err(Problem::not_found(
            "unknown_document",
            format!(
                "index `{}` has no document `{}`",
                index.meta.name,
                shown.escape_debug()
            ),
        ));
    };
    let (mut shown, _) = values(app, index, &[row], columns).await?;
    let pieces = pieces.into_iter().map(|piece| PieceView {
        chunk: piece.span.map(Chunk::from),
        vector: piece.vector.filter(|_| vectors),
    });
    Ok(DocumentView {
        id: id.to_owned(),
        backend,
        row,
        vectors: pieces.collect(),
        columns: match shown.pop() {
            Some(Value::Object(columns)) => columns,
            _ => Map::new(),
        },
    })
}
