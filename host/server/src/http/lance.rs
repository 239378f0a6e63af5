//! `/vectors/lance`: indexes in Lance tables; and documents by their ids, whichever engine serves.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;

use crate::{
    extract::{Json, OptionalJson, Path, Query},
    http::{AppState, tasks::accepted},
    indexes::{self, SearchAnswer},
    lance::{
        self, DocumentView, IndexWish, LanceAppend, LanceAppended, LanceSearch, LanceStats,
        MigrateWish, OptimizeWish,
    },
    problem::Problem,
    tasks::TaskView,
};

/// What of a document to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DocumentQuery {
    /// Columns of the dataset, separated by commas; all when left out, none when empty.
    with: Option<String>,
}

/// What of a document of a table to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RowQuery {
    /// Columns of the dataset, separated by commas; all when left out, none when empty.
    with: Option<String>,
    /// Whether to show the vectors, as the embedder gave them.
    #[serde(default)]
    vector: bool,
}

/// What to do after an append.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AppendQuery {
    /// Whether to take rows into the indexes of the table then, in a task.
    #[serde(default)]
    optimize: bool,
}

fn columns(with: Option<&str>) -> Option<Vec<String>> {
    let with = with?.split(',').filter(|column| !column.is_empty());
    Some(with.map(str::to_owned).collect())
}

/// Show a document of an index by its id.
#[utoipa::path(
    get, path = "/vectors/indexes/{idx}/documents/{doc_id}",
    params(("idx" = String, Path), ("doc_id" = String, Path), DocumentQuery),
    responses((status = 200, body = DocumentView), (status = 404, body = Problem))
)]
pub(crate) async fn document(
    State(app): AppState,
    Path((name, id)): Path<(String, String)>,
    Query(query): Query<DocumentQuery>,
) -> Result<axum::Json<DocumentView>, Problem> {
    let index = app.indexes.get(&name)?;
    let columns = columns(query.with.as_deref());
    let found = indexes::document(&app, &index, &id, columns).await;
    found.map(axum::Json)
}

/// Make the Lance table of an index, of its vectors in Parquet. One that was cut off goes on where it was; what is there in
/// the end is compared with what went in.
#[utoipa::path(
    post, path = "/vectors/lance/migrate/{idx}", params(("idx" = String, Path)), request_body(content = Option<MigrateWish>),
    responses((status = 202, body = TaskView), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(crate) async fn migrate(
    State(app): AppState,
    Path(name): Path<String>,
    OptionalJson(wish): OptionalJson<MigrateWish>,
) -> Result<Response, Problem> {
    let wish = wish.unwrap_or_default();
    lance::start_migration(&app, &name, wish)
        .await
        .map(accepted)
}

/// Build the index over the vectors of a Lance table, and B-trees over ids and rows.
#[utoipa::path(
    post, path = "/vectors/lance/index/{idx}", params(("idx" = String, Path)), request_body(content = Option<IndexWish>),
    responses((status = 202, body = TaskView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn index(
    State(app): AppState,
    Path(name): Path<String>,
    OptionalJson(wish): OptionalJson<IndexWish>,
) -> Result<Response, Problem> {
    let wish = wish.unwrap_or_default();
    lance::start_index(&app, &name, wish).await.map(accepted)
}

/// Put a Lance table in order: take rows into its indexes, put small files together, remove old versions.
#[utoipa::path(
    post, path = "/vectors/lance/optimize/{idx}", params(("idx" = String, Path)), request_body(content = Option<OptimizeWish>),
    responses((status = 202, body = TaskView), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(crate) async fn optimize(
    State(app): AppState,
    Path(name): Path<String>,
    OptionalJson(wish): OptionalJson<OptimizeWish>,
) -> Result<Response, Problem> {
    let wish = wish.unwrap_or_default();
    lance::start_optimize(&app, &name, wish).await.map(accepted)
}

/// Search the Lance table of an index, whether or not it serves. Without an index over the vectors the search is exact.
#[utoipa::path(
    post, path = "/vectors/lance/search/{idx}", params(("idx" = String, Path)), request_body = LanceSearch,
    responses((status = 200, body = SearchAnswer), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn search(
    State(app): AppState,
    Path(name): Path<String>,
    Json(request): Json<LanceSearch>,
) -> Result<axum::Json<SearchAnswer>, Problem> {
    let index = app.indexes.get(&name)?;
    let _searching = app.load.enter();
    let answer = lance::search_table(&app, &index, request).await;
    answer.map(axum::Json)
}

/// Show a document of a Lance table by its id, with its vectors if they are wanted.
#[utoipa::path(
    get, path = "/vectors/lance/doc/{idx}/{doc_id}",
    params(("idx" = String, Path), ("doc_id" = String, Path), RowQuery),
    responses((status = 200, body = DocumentView), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(crate) async fn row(
    State(app): AppState,
    Path((name, id)): Path<(String, String)>,
    Query(query): Query<RowQuery>,
) -> Result<axum::Json<DocumentView>, Problem> {
    let index = app.indexes.get(&name)?;
    let shown = (columns(query.with.as_deref()), query.vector);
    let found = lance::document_of_table(&app, &index, &id, shown).await;
    found.map(axum::Json)
}

/// Append documents with vectors or texts to an index that has a Lance table; searches find them when this answers, whichever
/// engine serves. Each stands for a row of the dataset.
#[utoipa::path(
    post, path = "/vectors/lance/append/{idx}", params(("idx" = String, Path), AppendQuery), request_body = LanceAppend,
    responses((status = 200, body = LanceAppended), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn append(
    State(app): AppState,
    Path(name): Path<String>,
    Query(query): Query<AppendQuery>,
    Json(wish): Json<LanceAppend>,
) -> Result<axum::Json<LanceAppended>, Problem> {
    let (background, worker) = (app.tasks.background(), Arc::clone(&app));
    // A client that hangs up must not leave a table of which the manifest knows nothing.
    let appending = async move { lance::append(&worker, &name, wish, query.optimize).await };
    background.settle(appending).await.map(axum::Json)
}

/// Show figures of the Lance table of an index.
#[utoipa::path(get, path = "/vectors/lance/stats/{idx}", params(("idx" = String, Path)), responses((status = 200, body = LanceStats), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn stats(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<axum::Json<LanceStats>, Problem> {
    let index = app.indexes.get(&name)?;
    lance::stats(&app, &index).await.map(axum::Json)
}
