//! `/plugins/{kind}/{team}/{name}/versions/{version}/shadow`.

use axum::{Extension, Json, extract::State, http::HeaderMap};
use boathouse_types::PluginKind;

use crate::{
    auth::Caller,
    extract::Path,
    http::{AppState, plugins::wish},
    plugins::{PluginId, VersionView, parse_version, shadow::report::ShadowReport},
    problem::Problem,
};

/// Kind, team, name and version.
type Version = Path<(PluginKind, String, String, String)>;

/// Run a version beside what serves.
#[utoipa::path(
    post, path = "/plugins/{kind}/{team}/{name}/versions/{version}/shadow",
    params(
        ("kind" = PluginKind, Path), ("team" = String, Path), ("name" = String, Path), ("version" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the plugin had")
    ),
    responses((status = 200, body = VersionView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn begin(
    State(app): AppState,
    Extension(caller): Extension<Caller>,
    Path((kind, team, name, version)): Version,
    headers: HeaderMap,
) -> Result<Json<VersionView>, Problem> {
    let (id, version) = (PluginId::new(kind, &team, &name)?, parse_version(&version)?);
    let wish = wish(&caller, &headers)?;
    app.plugins
        .begin_shadow(id.clone(), version.clone(), wish)
        .await?;
    app.plugins.version(&id, &version).map(Json)
}

/// Let a version no longer run beside what serves.
#[utoipa::path(
    delete, path = "/plugins/{kind}/{team}/{name}/versions/{version}/shadow",
    params(
        ("kind" = PluginKind, Path), ("team" = String, Path), ("name" = String, Path), ("version" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the plugin had")
    ),
    responses((status = 200, body = VersionView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn end(
    State(app): AppState,
    Extension(caller): Extension<Caller>,
    Path((kind, team, name, version)): Version,
    headers: HeaderMap,
) -> Result<Json<VersionView>, Problem> {
    let (id, version) = (PluginId::new(kind, &team, &name)?, parse_version(&version)?);
    let wish = wish(&caller, &headers)?;
    app.plugins
        .end_shadow(id.clone(), version.clone(), wish)
        .await?;
    app.plugins.version(&id, &version).map(Json)
}

/// Compare a shadow with what serves, over everything that the host remembers and as it went live.
#[utoipa::path(
    get, path = "/plugins/{kind}/{team}/{name}/versions/{version}/shadow",
    params(("kind" = PluginKind, Path), ("team" = String, Path), ("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = ShadowReport), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn show(
    State(app): AppState,
    Path((kind, team, name, version)): Version,
) -> Result<Json<ShadowReport>, Problem> {
    let (id, version) = (PluginId::new(kind, &team, &name)?, parse_version(&version)?);
    if app.plugins.version(&id, &version)?.shadow_since.is_none() {
        return Err(Problem::conflict(
            "no_shadow",
            format!("version `{version}` of {id} runs beside nothing; `POST` here first"),
        ));
    }
    let shadow = app.plugins.loaded(&id, &version).await?;
    let identity = shadow.identity().clone();
    let history = app.plugins.shadows.history(&app, shadow).await?;
    Ok(Json(ShadowReport {
        kind,
        live: app.plugins.shadows.live(kind, &identity),
        shadow: identity,
        history: history.as_ref().clone(),
    }))
}
