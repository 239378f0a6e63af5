//! `/auth`: keys, and what one's own allows.

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use boathouse_types::{DatasetName, IndexName};
use serde::Serialize;

use crate::{
    auth::{Caller, KeySpec, KeyView, NewKey, Reach, Scope},
    extract::{Json, Path},
    http::AppState,
    problem::Problem,
};

/// The keys of this host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct KeyList {
    /// Oldest first.
    keys: Vec<KeyView>,
}

/// Who asks, and what that one may do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Me {
    /// `anonymous`, `owner`, or the name and id of the key.
    name: String,
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    /// The datasets within reach; all when this and `indexes` are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    datasets: Option<Vec<DatasetName>>,
    /// The indexes within reach; when empty, those on `datasets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    indexes: Option<Vec<IndexName>>,
}

/// List the keys.
#[utoipa::path(get, path = "/auth/keys", responses((status = 200, body = KeyList), (status = 403, body = Problem)))]
pub(crate) async fn list(State(app): AppState) -> axum::Json<KeyList> {
    axum::Json(KeyList {
        keys: app.auth.keys(),
    })
}

/// Make a key; its text is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/auth/keys", request_body = KeySpec,
    responses((status = 201, body = NewKey), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn create(
    State(app): AppState,
    caller: Caller,
    Json(spec): Json<KeySpec>,
) -> Result<Response, Problem> {
    let made = app.auth.create_key(spec, &caller).await?;
    let mut response = (StatusCode::CREATED, axum::Json(made)).into_response();
    let private = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, private);
    Ok(response)
}

/// Revoke a key.
#[utoipa::path(delete, path = "/auth/keys/{id}", params(("id" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn revoke(
    State(app): AppState,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.auth.revoke_key(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show who asks.
#[utoipa::path(get, path = "/auth/me", responses((status = 200, body = Me), (status = 401, body = Problem)))]
pub(crate) async fn me(caller: Caller) -> axum::Json<Me> {
    let (datasets, indexes) = match caller.reach() {
        Reach::All => (None, None),
        Reach::Only { datasets, indexes } => (
            Some(datasets.iter().cloned().collect()),
            Some(indexes.iter().cloned().collect()),
        ),
    };
    axum::Json(Me {
        name: caller.name().to_owned(),
        scopes: caller.scopes().cloned().collect(),
        datasets,
        indexes,
    })
}
