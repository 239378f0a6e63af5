//! `/vectors/indexes`.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;

use crate::{
    auth::Caller,
    extract::{Json, Path},
    http::{AppState, tasks::accepted},
    indexes::{IndexChange, IndexSpec, IndexView, create as creation, moves},
    problem::Problem,
    tasks::TaskView,
};

/// The indexes of this host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct IndexList {
    indexes: Vec<IndexView>,
}

/// List indexes.
#[utoipa::path(get, path = "/vectors/indexes", responses((status = 200, body = IndexList)))]
pub(crate) async fn list(State(app): AppState, caller: Caller) -> axum::Json<IndexList> {
    let mut indexes = app.indexes.list();
    indexes
        .retain(|index| caller.reaches_index(index.meta.name.as_str(), Some(&index.meta.dataset)));
    axum::Json(IndexList {
        indexes: indexes.iter().map(|index| index.view()).collect(),
    })
}

/// Embed a text column and build an index on it.
#[utoipa::path(
    post, path = "/vectors/indexes", request_body = IndexSpec,
    responses((status = 202, body = TaskView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn create(
    State(app): AppState,
    caller: Caller,
    Json(spec): Json<IndexSpec>,
) -> Result<Response, Problem> {
    caller.may_use_dataset(spec.dataset.as_str())?;
    caller.may_use_index(spec.name.as_str(), Some(&spec.dataset))?;
    let name = spec.name.clone();
    let reservation = app.indexes.reserve(&name, &spec.dataset, &spec.home())?;
    let plan = creation::plan(&app, spec).await?;
    let worker = Arc::clone(&app);
    let task = app.tasks.start("index", name.as_str(), |task| async move {
        let index = creation::build(&worker, plan, &task).await?;
        let view = serde_json::to_value(index.view()).map_err(|error| Problem::internal(&error))?;
        reservation.fulfil(index);
        Ok(view)
    });
    Ok(accepted(task))
}

/// Show an index and what serves it.
#[utoipa::path(get, path = "/vectors/indexes/{idx}", params(("idx" = String, Path)), responses((status = 200, body = IndexView), (status = 404, body = Problem)))]
pub(crate) async fn show(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<axum::Json<IndexView>, Problem> {
    Ok(axum::Json(app.indexes.get(&name)?.view()))
}

/// Move an index to another bucket. Searches go on meanwhile; a move that is cancelled before the index
/// lives there is undone, and one that a restart interrupts goes on.
#[utoipa::path(
    patch, path = "/vectors/indexes/{idx}", params(("idx" = String, Path)), request_body = IndexChange,
    responses((status = 202, body = TaskView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn change(
    State(app): AppState,
    Path(name): Path<String>,
    Json(change): Json<IndexChange>,
) -> Result<Response, Problem> {
    let task = moves::start(&app, &name, change.bucket).await?;
    Ok(accepted(task))
}

/// Delete an index with its journal, promotions and evaluation sets.
#[utoipa::path(delete, path = "/vectors/indexes/{idx}", params(("idx" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn delete(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    app.indexes.delete(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
