//! `/storage/gc`.

use axum::{extract::State, response::Response};

use crate::{
    extract::OptionalJson,
    gc::{self, GcSpec},
    http::{AppState, tasks::accepted},
    problem::Problem,
    tasks::TaskView,
};

/// Collect garbage: what nobody refers to any more, in all buckets.
///
/// The task's result is a `GcReport`.
#[utoipa::path(
    post, path = "/storage/gc", request_body(content = Option<GcSpec>),
    responses((status = 202, body = TaskView), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn collect(
    State(app): AppState,
    OptionalJson(spec): OptionalJson<GcSpec>,
) -> Result<Response, Problem> {
    gc::start(&app, spec.unwrap_or_default()).map(accepted)
}
