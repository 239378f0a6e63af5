//! `/vectors/indexes/{idx}/recall`.

use axum::extract::State;

use crate::{extract::Path, http::AppState, live::RecallView, problem::Problem};

/// The recall that searches of an index really got: now, by configuration, and over the last day.
#[utoipa::path(
    get, path = "/vectors/indexes/{idx}/recall", params(("idx" = String, Path)),
    responses((status = 200, body = RecallView), (status = 404, body = Problem))
)]
pub(crate) async fn recall(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<axum::Json<RecallView>, Problem> {
    let index = app.indexes.get(&name)?;
    Ok(axum::Json(app.live.view(&index)))
}
