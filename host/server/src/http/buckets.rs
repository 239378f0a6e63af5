//! `/storage/buckets`.

use axum::{Json, extract::State};
use serde::Serialize;

use crate::http::AppState;

/// The buckets of this host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct BucketList {
    buckets: Vec<BucketView>,
}

/// One bucket; its secrets are never shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct BucketView {
    name: String,
    /// `local`, `memory` or `s3`.
    backend: &'static str,
}

/// List buckets.
#[utoipa::path(get, path = "/storage/buckets", responses((status = 200, body = BucketList)))]
pub(crate) async fn list(State(app): AppState) -> Json<BucketList> {
    let buckets = app.buckets.list();
    let view = |bucket: &boathouse_storage::Bucket| BucketView {
        name: bucket.name().to_string(),
        backend: bucket.backend().kind(),
    };
    Json(BucketList {
        buckets: buckets.iter().map(view).collect(),
    })
}
