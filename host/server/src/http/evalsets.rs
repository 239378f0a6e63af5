//! `/vectors/evalsets`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};

use crate::{
    auth::{Caller, reach},
    extract::{Json, Query},
    http::{AppState, tasks::accepted},
    problem::Problem,
    tasks::TaskView,
    tune::{self, EvalSetSpec, EvalSetView},
};

/// Which index.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfIndex {
    /// Name of the index.
    index: String,
}

/// The evaluation sets of an index.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct EvalSetList {
    evalsets: Vec<EvalSetView>,
}

/// List the evaluation sets of an index.
#[utoipa::path(get, path = "/vectors/evalsets", params(OfIndex), responses((status = 200, body = EvalSetList), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(app): AppState,
    caller: Caller,
    Query(query): Query<OfIndex>,
) -> Result<axum::Json<EvalSetList>, Problem> {
    reach::may_use_index(&app, &caller, &query.index)?;
    let index = app.indexes.get(&query.index)?;
    let evalsets = tune::evalsets(&index).await?;
    Ok(axum::Json(EvalSetList { evalsets }))
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
    let turn = index.take_turn()?;
    let worker = Arc::clone(&app);
    let task = app.tasks.start(
        "evalset",
        index.meta.name.clone().as_str(),
        |task| async move {
            let _turn = turn;
            let view = tune::make_evalset(&worker, &index, spec, &task).await?;
            serde_json::to_value(view).map_err(|error| Problem::internal(&error))
        },
    );
    Ok(accepted(task))
}
