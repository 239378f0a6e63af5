//! `/vectors/indexes/{idx}/search`.

use axum::extract::State;

use crate::{
    extract::{Json, Path},
    http::AppState,
    indexes::{self, SearchAnswer, SearchRequest},
    problem::Problem,
};

/// Search an index by text or vector.
#[utoipa::path(
    post, path = "/vectors/indexes/{idx}/search", params(("idx" = String, Path)), request_body = SearchRequest,
    responses((status = 200, body = SearchAnswer), (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn search(
    State(app): AppState,
    Path(name): Path<String>,
    Json(request): Json<SearchRequest>,
) -> Result<axum::Json<SearchAnswer>, Problem> {
    let index = app.indexes.get(&name)?;
    let _searching = app.load.enter();
    indexes::search(&app, &index, request).await.map(axum::Json)
}
