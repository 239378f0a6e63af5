//! `/plugins/{kind}/{team}/{name}`: let a version serve, go back, take a plugin out, delete a version.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use boathouse_types::PluginKind;

use super::{tagged, wish};
use crate::{
    app::App,
    auth::Caller,
    extract::{OptionalJson, Path},
    http::AppState,
    plugins::{ActivateSpec, Place, PluginId, Switched, parse_version},
    problem::Problem,
};

/// Let a version serve. Answers when every call that began before has ended.
#[utoipa::path(
    post, path = "/plugins/{kind}/{team}/{name}/versions/{version}/activate",
    params(
        ("kind" = PluginKind, Path), ("team" = String, Path), ("name" = String, Path), ("version" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the plugin had")
    ),
    request_body(content = Option<ActivateSpec>),
    responses(
        (status = 200, body = Switched), (status = 404, body = Problem),
        (status = 412, body = Problem), (status = 422, body = Problem)
    )
)]
pub(crate) async fn activate(
    State(app): AppState,
    caller: Caller,
    Path((kind, team, name, version)): Path<(PluginKind, String, String, String)>,
    headers: HeaderMap,
    OptionalJson(spec): OptionalJson<ActivateSpec>,
) -> Result<Response, Problem> {
    caller.may_write_plugins(&team)?;
    let id = PluginId::new(kind, &team, &name)?;
    let version = parse_version(&version)?;
    let places = spec.unwrap_or_default().places(kind)?;
    check_places(&app, &caller, &places)?;
    let wish = wish(&caller, &headers)?;
    told(app.plugins.activate(id, version, places, wish).await)
}

/// Let serve what served before, wherever this plugin serves.
#[utoipa::path(
    post, path = "/plugins/{kind}/{team}/{name}/rollback",
    params(
        ("kind" = PluginKind, Path), ("team" = String, Path), ("name" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the plugin had")
    ),
    responses(
        (status = 200, body = Switched), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 412, body = Problem)
    )
)]
pub(crate) async fn rollback(
    State(app): AppState,
    caller: Caller,
    Path((kind, team, name)): Path<(PluginKind, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.may_write_plugins(&team)?;
    let id = PluginId::new(kind, &team, &name)?;
    told(app.plugins.roll_back(id, wish(&caller, &headers)?).await)
}

/// Take a plugin out of the set of detectors and of every index and dataset.
#[utoipa::path(
    post, path = "/plugins/{kind}/{team}/{name}/deactivate",
    params(
        ("kind" = PluginKind, Path), ("team" = String, Path), ("name" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the plugin had")
    ),
    responses(
        (status = 200, body = Switched), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 412, body = Problem)
    )
)]
pub(crate) async fn deactivate(
    State(app): AppState,
    caller: Caller,
    Path((kind, team, name)): Path<(PluginKind, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.may_write_plugins(&team)?;
    let id = PluginId::new(kind, &team, &name)?;
    told(app.plugins.deactivate(id, wish(&caller, &headers)?).await)
}

/// Delete a version that nothing uses.
#[utoipa::path(
    delete, path = "/plugins/{kind}/{team}/{name}/versions/{version}",
    params(
        ("kind" = PluginKind, Path), ("team" = String, Path), ("name" = String, Path), ("version" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the plugin had")
    ),
    responses(
        (status = 204), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 412, body = Problem), (status = 422, body = Problem)
    )
)]
pub(crate) async fn delete(
    State(app): AppState,
    caller: Caller,
    Path((kind, team, name, version)): Path<(PluginKind, String, String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    caller.may_write_plugins(&team)?;
    let id = PluginId::new(kind, &team, &name)?;
    let version = parse_version(&version)?;
    let wish = wish(&caller, &headers)?;
    app.plugins.delete(id, version, wish).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// That the places are within the caller's reach, and that named indexes are there. A dataset need not be:
/// a detector may be in place before the first rows come.
fn check_places(app: &App, caller: &Caller, places: &[Place]) -> Result<(), Problem> {
    for place in places {
        match place {
            Place::Host => {}
            Place::Index(name) => {
                let index = app.indexes.get(name.as_str())?;
                caller.may_use_index(name.as_str(), Some(&index.meta.dataset))?;
            }
            Place::Dataset(name) => caller.may_use_dataset(name.as_str())?,
        }
    }
    Ok(())
}

fn told(switched: Result<Switched, Problem>) -> Result<Response, Problem> {
    let switched = switched?;
    Ok(tagged(&switched.etag.clone(), switched))
}
