//! `/vectors/promote`, `/vectors/rollback` and `/vectors/promotions`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use boathouse_tuning::Promotion;
use boathouse_types::{BucketName, IndexName};
use serde::Serialize;

use crate::{
    app::App,
    auth::{self, Caller},
    extract::{Json, Path},
    http::{
        AppState,
        tasks::{accepted, wants_task},
    },
    indexes::ServingView,
    problem::Problem,
    promotion::{self, PromoteSpec, Promoted},
    tasks::TaskView,
};

/// What serves each index.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ServedList {
    promotions: Vec<ServedIndex>,
}

/// What serves one index.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ServedIndex {
    index: IndexName,
    bucket: BucketName,
    serving: ServingView,
}

/// The promotions of an index.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PromotionHistory {
    index: IndexName,
    /// Oldest first; the last one serves.
    promotions: Vec<Promotion>,
    /// Lines of the registry that do not read and have no sound copy in `rescue`. When the newest is among them, an
    /// earlier configuration serves: promote the one that is to serve.
    malformed: u64,
    /// Damaged files of the registry without a sound copy in `rescue`, where they are kept in the bucket of the index, until
    /// something is promoted or taken back. What reads of them is among `promotions`; where nothing does, the configuration
    /// that the index was created with serves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kept_aside: Vec<String>,
}

/// Serve the configuration of a trial if it is better than what serves: both answer recent queries of clients, filled
/// up from the evaluation set, and the scoring plugin has to find a significant difference. Answers when that is
/// decided, or, with `Prefer: respond-async`, with a task.
#[utoipa::path(
    post, path = "/vectors/promote/{idx}", params(("idx" = String, Path)), request_body = PromoteSpec,
    responses((status = 200, body = Promoted), (status = 202, body = TaskView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn promote(
    State(app): AppState,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(spec): Json<PromoteSpec>,
) -> Result<Response, Problem> {
    let index = app.indexes.get(&name)?;
    let wish = spec.by(auth::current_caller())?;
    let worker = Arc::clone(&app);
    let task = app.tasks.start("promote", &name, |task| async move {
        let _person = worker.agent.make_way();
        task.progress("comparing with what serves", 0, None, "queries");
        let promoted = promotion::challenge(&worker, &index, wish, &task.cancellation()).await?;
        serde_json::to_value(promoted).map_err(|error| Problem::internal(&error))
    });
    answered(&app, &headers, task).await
}

/// Serve what served before. Answers when it does, or, with `Prefer: respond-async`, with a task. It comes to its end
/// whether or not the client waits for it.
#[utoipa::path(
    post, path = "/vectors/rollback/{idx}", params(("idx" = String, Path)),
    responses((status = 200, body = Promoted), (status = 202, body = TaskView), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(crate) async fn rollback(
    State(app): AppState,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let index = app.indexes.get(&name)?;
    let by = auth::current_caller();
    let task = app.tasks.start("rollback", &name, |task| async move {
        let promoted = promotion::rollback(&index, by, &task.cancellation()).await?;
        serde_json::to_value(promoted).map_err(|error| Problem::internal(&error))
    });
    answered(&app, &headers, task).await
}

/// Answers with a task to who asks for one, else with what comes of it.
async fn answered(app: &App, headers: &HeaderMap, task: TaskView) -> Result<Response, Problem> {
    if wants_task(headers) {
        return Ok(accepted(task));
    }
    let ended = app.tasks.wait(&task.id).await?;
    match ended.error {
        Some(problem) => Err(problem),
        None => Ok(axum::Json(ended.result).into_response()),
    }
}

/// What serves each index, over all buckets.
#[utoipa::path(get, path = "/vectors/promotions", responses((status = 200, body = ServedList)))]
pub(crate) async fn list(State(app): AppState, caller: Caller) -> axum::Json<ServedList> {
    let mut indexes = app.indexes.list();
    indexes
        .retain(|index| caller.reaches_index(index.meta.name.as_str(), Some(&index.meta.dataset)));
    let promotions = indexes.iter().map(|index| {
        let view = index.view();
        ServedIndex {
            index: view.name,
            bucket: view.bucket,
            serving: view.serving,
        }
    });
    axum::Json(ServedList {
        promotions: promotions.collect(),
    })
}

/// The promotions of an index, oldest first.
#[utoipa::path(
    get, path = "/vectors/promotions/{idx}", params(("idx" = String, Path)),
    responses((status = 200, body = PromotionHistory), (status = 404, body = Problem))
)]
pub(crate) async fn history(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<axum::Json<PromotionHistory>, Problem> {
    let index = app.indexes.get(&name)?;
    let promotions = index.tuner.promotions().history().await?;
    Ok(axum::Json(PromotionHistory {
        index: index.meta.name.clone(),
        promotions,
        malformed: index.lost_promotions(),
        kept_aside: index.lost().kept_aside,
    }))
}

#[cfg(test)]
mod tests;
