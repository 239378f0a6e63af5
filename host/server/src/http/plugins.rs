//! `/plugins`.

use axum::{Json, extract::State};
use boathouse_types::PluginKind;
use serde::Serialize;

use crate::{extract::Path, http::AppState, plugins::PluginView, problem::Problem};

/// The plugins of this host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PluginList {
    plugins: Vec<PluginView>,
    /// Bounds on every plugin of a kind and every call of it.
    limits: boathouse_plugins::KindLimits,
}

/// List plugins with their limits.
#[utoipa::path(get, path = "/plugins", responses((status = 200, body = PluginList)))]
pub(crate) async fn list(State(app): AppState) -> Json<PluginList> {
    Json(PluginList {
        plugins: app.plugins.list(),
        limits: app.config.plugins.sandbox.limits.clone(),
    })
}

/// Show a plugin.
#[utoipa::path(
    get, path = "/plugins/{kind}/{team}/{name}",
    params(("kind" = PluginKind, Path), ("team" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = PluginView), (status = 404, body = Problem))
)]
pub(crate) async fn show(
    State(app): AppState,
    Path((kind, team, name)): Path<(PluginKind, String, String)>,
) -> Result<Json<PluginView>, Problem> {
    let name = format!("{team}/{name}");
    let found = app
        .plugins
        .list()
        .into_iter()
        .find(|view| view.kind == kind && view.name == name);
    found.map(Json).ok_or_else(|| {
        Problem::not_found(
            "unknown_plugin",
            format!("there is no {kind} plugin `{}`", name.escape_debug()),
        )
    })
}
