//! `/vectors/promote`, `/vectors/rollback` and `/vectors/promotions`.

use axum::extract::State;
use boathouse_tuning::Promotion;
use boathouse_types::{BucketName, IndexName};
use serde::Serialize;

use crate::{
    auth::Caller,
    extract::{Json, Path},
    http::AppState,
    indexes::ServingView,
    problem::Problem,
    tune::{self, PromoteSpec, Promoted},
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
}

/// Serve the configuration of a trial.
#[utoipa::path(
    post, path = "/vectors/promote/{idx}", params(("idx" = String, Path)), request_body = PromoteSpec,
    responses((status = 200, body = Promoted), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(crate) async fn promote(
    State(app): AppState,
    Path(name): Path<String>,
    Json(spec): Json<PromoteSpec>,
) -> Result<axum::Json<Promoted>, Problem> {
    let index = app.indexes.get(&name)?;
    tune::promote(&index, spec).await.map(axum::Json)
}

/// Serve what served before.
#[utoipa::path(
    post, path = "/vectors/rollback/{idx}", params(("idx" = String, Path)),
    responses((status = 200, body = Promoted), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(crate) async fn rollback(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<axum::Json<Promoted>, Problem> {
    let index = app.indexes.get(&name)?;
    tune::rollback(&index).await.map(axum::Json)
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
    }))
}
