//! `/vectors/evalsets`.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Deserialize;

use crate::{
    auth::{Caller, reach},
    extract::{Json, Path, Query},
    http::{AppState, tasks::accepted},
    problem::Problem,
    tasks::TaskView,
    tune::{self, EvalSetList, EvalSetSpec},
};

/// Which index.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfIndex {
    /// Name of the index.
    index: String,
}

/// List the evaluation sets of an index; those that cannot be read apart, with the reason.
#[utoipa::path(get, path = "/vectors/evalsets", params(OfIndex), responses((status = 200, body = EvalSetList), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): AppState,
    caller: Caller,
    Query(query): Query<OfIndex>,
) -> Result<axum::Json<EvalSetList>, Problem> {
    reach::may_use_index(&app, &caller, &query.index)?;
    let index = app.indexes.get(&query.index)?;
    tune::evalsets(&index).await.map(axum::Json)
}

/// Make an evaluation set: queries with their exact neighbours.
#[utoipa::path(
    post, path = "/vectors/evalsets", request_body = EvalSetSpec,
    responses((status = 202, body = TaskView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn create(
    State(app): AppState,
    caller: Caller,
    Json(spec): Json<EvalSetSpec>,
) -> Result<Response, Problem> {
    reach::may_use_index(&app, &caller, spec.index.as_str())?;
    let index = app.indexes.get(spec.index.as_str())?;
    let plan = tune::plan_evalset(&app, &index, spec).await?;
    let turn = index.take_turn()?;
    let task = app.tasks.start(
        "evalset",
        index.meta.name.clone().as_str(),
        |task| async move {
            let _turn = turn;
            let view = tune::make_evalset(&index, plan, &task).await?;
            serde_json::to_value(view).map_err(|error| Problem::internal(&error))
        },
    );
    Ok(accepted(task))
}

/// Delete an evaluation set. Trials make `default` anew when they need it, with drawn queries.
#[utoipa::path(
    delete, path = "/vectors/evalsets/{idx}/{name}", params(("idx" = String, Path), ("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn delete(
    State(app): AppState,
    Path((index, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let index = app.indexes.get(&index)?;
    let _turn = index.take_turn()?;
    tune::delete_evalset(&index, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
