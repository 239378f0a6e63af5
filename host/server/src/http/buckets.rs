//! `/storage/buckets`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use boathouse_storage::BucketConfig;
use boathouse_types::BucketName;
use serde::{Deserialize, Serialize};

use crate::{
    auth::Caller,
    buckets::BucketView,
    extract::{Json, Path, Query},
    http::AppState,
    problem::Problem,
};

/// The buckets of this host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct BucketList {
    buckets: Vec<BucketView>,
}

/// A wish for a bucket: `root` for `local`, the others for `s3`. Secrets are references, `env:NAME` or
/// `file:/absolute/path`.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub(crate) struct BucketSpec {
    /// 1 to 63 lower-case letters, digits and hyphens.
    #[schema(max_length = 63)]
    pub(crate) name: String,
    /// `local` or `s3`.
    pub(crate) backend: &'static str,
    /// Absolute path of a folder on the machine of the host; made when it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) root: Option<String>,
    /// URL of the service; AWS when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    /// Region; `us-east-1` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// The service's name of the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bucket: Option<String>,
    /// Folder inside it that becomes the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<String>,
    /// Reference to the access key; the machine's own role when both are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_key_id: Option<String>,
    /// Reference to the secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret_access_key: Option<String>,
    /// Take an `http://` endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allow_http: Option<bool>,
}

/// What a removal may be asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removal {
    /// Remove a bucket that does not answer although what lives there cannot be seen.
    #[serde(default)]
    unseen: bool,
}

/// List buckets.
#[utoipa::path(get, path = "/storage/buckets", responses((status = 200, body = BucketList)))]
pub(crate) async fn list(State(app): AppState, caller: Caller) -> axum::Json<BucketList> {
    let buckets = app.bucket_table.views(&app, !caller.is_restricted()).await;
    axum::Json(BucketList { buckets })
}

/// Add a bucket.
#[utoipa::path(
    post, path = "/storage/buckets", request_body = BucketSpec,
    responses((status = 201, body = BucketView), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn create(
    State(app): AppState,
    Json(config): Json<BucketConfig>,
) -> Result<Response, Problem> {
    let name = config.name.clone();
    let worker = Arc::clone(&app);
    // Not left half-way when the client goes away.
    let adding = async move { worker.bucket_table.add(&worker, config).await };
    app.tasks.background().settle(adding).await?;
    let view = app.bucket_table.view_of(&app, &name).await?;
    let mut response = (StatusCode::CREATED, axum::Json(view)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/storage/buckets/{name}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Remove a bucket in which nothing lives. No data is deleted.
#[utoipa::path(
    delete, path = "/storage/buckets/{name}", params(("name" = String, Path), Removal),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn remove(
    State(app): AppState,
    Path(name): Path<String>,
    Query(removal): Query<Removal>,
) -> Result<StatusCode, Problem> {
    let name = BucketName::new(name)?;
    let worker = Arc::clone(&app);
    let removing = async move {
        worker
            .bucket_table
            .remove(&worker, &name, removal.unseen)
            .await
    };
    app.tasks.background().settle(removing).await?;
    Ok(StatusCode::NO_CONTENT)
}
