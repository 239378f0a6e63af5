//! `/vectors/indexes`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use boathouse_types::{IndexName, VectorBackend};
use serde::Serialize;

use crate::{
    auth::Caller,
    extract::{Json, Path},
    http::{AppState, tasks::accepted},
    indexes::{
        AppendPolicy, DeleteDocuments, DeletedDocuments, IndexChange, IndexSpec, IndexView, append,
        backend, create as creation, delete as deletion, forget_parts, moves, objective,
    },
    lance, models,
    problem::Problem,
    tasks::TaskView,
};

/// The indexes of this host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct IndexList {
    indexes: Vec<IndexView>,
    /// Indexes that are not served, as `GET /readyz` has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    broken: Vec<BrokenIndex>,
}

/// An index that is not served.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct BrokenIndex {
    /// Its name.
    name: IndexName,
    /// Why, and what to do.
    why: String,
}

/// List indexes.
#[utoipa::path(get, path = "/vectors/indexes", responses((status = 200, body = IndexList)))]
pub(crate) async fn list(State(app): AppState, caller: Caller) -> axum::Json<IndexList> {
    let mut indexes = app.indexes.list();
    indexes
        .retain(|index| caller.reaches_index(index.meta.name.as_str(), Some(&index.meta.dataset)));
    let mut broken = app.indexes.broken();
    // The datasets of these are not known here.
    broken.retain(|(name, _)| caller.reaches_index(name.as_str(), None));
    let broken = broken.into_iter();
    axum::Json(IndexList {
        broken: broken
            .map(|(name, why)| BrokenIndex { name, why })
            .collect(),
        indexes: indexes
            .iter()
            .map(|index| index.view_with(&app.models.embedders))
            .collect(),
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
    let spec = models::for_profile(&app, spec).await?;
    let name = spec.name.clone();
    let (built, backend) = (name.clone(), spec.vector_backend);
    let reservation = app.indexes.reserve(&name, &spec.dataset, &spec.home())?;
    let plan = creation::plan(&app, spec).await?;
    let worker = Arc::clone(&app);
    let task = app.tasks.start("index", name.as_str(), |task| async move {
        let index = creation::build(&worker, plan, &task).await?;
        reservation.fulfil(index);
        // The dataset may have grown while it was built.
        worker.agent.hurry(&built);
        if backend == Some(VectorBackend::Lance) {
            lance::adopt(&worker, built.as_str(), &task).await?;
        }
        let index = worker.indexes.get(built.as_str())?;
        serde_json::to_value(index.view()).map_err(|error| Problem::internal(&error))
    });
    Ok(accepted(task))
}

/// Show an index and what serves it.
#[utoipa::path(get, path = "/vectors/indexes/{idx}", params(("idx" = String, Path)), responses((status = 200, body = IndexView), (status = 404, body = Problem)))]
pub(crate) async fn show(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<axum::Json<IndexView>, Problem> {
    let index = app.indexes.get(&name)?;
    Ok(axum::Json(index.view_with(&app.models.embedders)))
}

/// Move an index to another bucket, change what happens to rows that are appended to its dataset, change its objective, or
/// let another engine serve it: one of the four. Searches go on during a move; one that is cancelled before the index lives there is
/// undone, and one that a restart interrupts goes on.
#[utoipa::path(
    patch, path = "/vectors/indexes/{idx}", params(("idx" = String, Path)), request_body = IndexChange,
    responses((status = 200, body = IndexView), (status = 202, body = TaskView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn change(
    State(app): AppState,
    Path(name): Path<String>,
    Json(change): Json<IndexChange>,
) -> Result<Response, Problem> {
    let wanted = (
        change.bucket,
        change.appends,
        change.objective,
        change.vector_backend,
    );
    match wanted {
        (Some(bucket), None, None, None) => moves::start(&app, &name, bucket).await.map(accepted),
        (None, Some(appends), None, None) => {
            let background = app.tasks.background();
            let worker = Arc::clone(&app);
            let setting = async move { append::set_policy(&worker, &name, appends).await };
            let view = background.settle(setting).await?;
            if appends == AppendPolicy::Auto {
                app.agent.nudge(&view.name);
            }
            Ok(axum::Json(view).into_response())
        }
        (None, None, None, Some(engine)) => {
            let background = app.tasks.background();
            let worker = Arc::clone(&app);
            let setting = async move { backend::set(&worker, &name, engine).await };
            let view = background.settle(setting).await?;
            Ok(axum::Json(view).into_response())
        }
        (None, None, Some(wanted), None) => {
            let background = app.tasks.background();
            let worker = Arc::clone(&app);
            let setting = async move { objective::set(&worker, &name, wanted).await };
            let view = background.settle(setting).await?;
            Ok(axum::Json(view).into_response())
        }
        _ => Err(Problem::unprocessable(
            "one_change",
            "give one of `bucket`, `appends`, `objective` and `vector_backend`",
        )),
    }
}

/// Bring an index up to date with its dataset: what was appended becomes part of it, and it is rebuilt when rows
/// were replaced or the embedder has changed. One that is not served, as its vectors are damaged or gone, gets new ones.
#[utoipa::path(
    post, path = "/vectors/indexes/{idx}/refresh", params(("idx" = String, Path)),
    responses((status = 202, body = TaskView), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(crate) async fn refresh(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let name = IndexName::new(name)?;
    let broken = match app.indexes.get(name.as_str()) {
        Ok(_) => None,
        Err(_) => Some(app.indexes.reserve_broken(&name).await?),
    };
    let (worker, subject) = (Arc::clone(&app), name.clone());
    let task = app
        .tasks
        .start(append::KIND, subject.as_str(), |task| async move {
            if let Some(broken) = broken {
                append::merge::heal(&worker, broken, &task).await?;
            }
            let refreshed = append::refresh(&worker, &name, &task).await?;
            append::merge::when_due(&worker, &worker.indexes.get(name.as_str())?);
            Ok(refreshed)
        });
    Ok(accepted(task))
}

/// Delete documents from an index, by their ids or by a condition over the columns of the dataset. They are hidden when
/// this answers; ids that are not there are told and are no error, so it can be done again. The dataset keeps its rows.
#[utoipa::path(
    delete, path = "/vectors/indexes/{idx}/documents", params(("idx" = String, Path)), request_body = DeleteDocuments,
    responses((status = 200, body = DeletedDocuments), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn delete_documents(
    State(app): AppState,
    Path(name): Path<String>,
    Json(request): Json<DeleteDocuments>,
) -> Result<axum::Json<DeletedDocuments>, Problem> {
    let background = app.tasks.background();
    let deleting = async move { deletion::delete(&app, &name, request).await };
    background.settle(deleting).await.map(axum::Json)
}

/// Delete an index with its journal, promotions and evaluation sets.
#[utoipa::path(delete, path = "/vectors/indexes/{idx}", params(("idx" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn delete(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    // A client that hangs up must not leave an index that is deleted in its bucket and serves here.
    let background = app.tasks.background();
    let deleting = async move {
        let deleted = app.indexes.delete(&name).await;
        let name = IndexName::new(name)?;
        // Some of its objects may be left over, but the index is gone.
        if !app.indexes.knows(&name) {
            app.agent.forget(&name).await;
            forget_parts(&app, &name).await;
        }
        deleted.map(|()| StatusCode::NO_CONTENT)
    };
    background.settle(deleting).await
}
