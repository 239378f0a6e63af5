//! `/admin`: models in memory, by their names.

use axum::extract::State;
use boathouse_models::{ModelName, SwapReport, Vram};
use serde::Deserialize;

use crate::{extract::Json, http::AppState, models, problem::Problem};

/// A model by its name.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneModel {
    /// As the model server knows it, for example `llama3.2:3b`.
    model: ModelName,
}

/// Show the memory of the GPUs, the models in it, and the last hour. Without a driver there are no GPUs; a figure that a
/// GPU does not tell is null.
#[utoipa::path(get, path = "/admin/vram", responses((status = 200, body = Vram)))]
pub(crate) async fn vram(State(app): AppState) -> axum::Json<Vram> {
    axum::Json(app.models.slot().vram().await)
}

/// Bring a model into memory: one that only embeds at any time, one that answers while no profile is active, or that of
/// the active profile.
#[utoipa::path(
    post, path = "/admin/preload", request_body = OneModel,
    responses((status = 200, body = SwapReport), (status = 404, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn preload(
    State(app): AppState,
    Json(wanted): Json<OneModel>,
) -> Result<axum::Json<SwapReport>, Problem> {
    models::preload(&app, wanted.model).await.map(axum::Json)
}

/// Take a model out of memory, whoever brought it there; that of the active profile ends its being active. Answers when
/// the model has left and its memory is back.
#[utoipa::path(
    post, path = "/admin/unload", request_body = OneModel,
    responses((status = 200, body = SwapReport), (status = 404, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn unload(
    State(app): AppState,
    Json(wanted): Json<OneModel>,
) -> Result<axum::Json<SwapReport>, Problem> {
    models::unload(&app, wanted.model).await.map(axum::Json)
}
