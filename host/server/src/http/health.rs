//! `/livez` and `/readyz`.

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;

use crate::{
    app::App,
    auth::{Caller, Scope},
    http::AppState,
    plugins::State as PluginState,
};

/// Whether the process runs and whether its parts do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Readiness {
    /// All of `components` are ready.
    ready: bool,
    /// Version of this program.
    version: &'static str,
    /// Empty for who may not read everything.
    components: Vec<Component>,
}

/// One part of the host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Component {
    /// For example `bucket primary`.
    name: String,
    ready: bool,
    /// What is wrong, or a figure.
    detail: String,
}

/// The process runs.
#[utoipa::path(get, path = "/livez", responses((status = 204, description = "alive")))]
pub(crate) async fn live() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Whether each part of the host is ready.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(crate) async fn ready(State(app): AppState, caller: Caller) -> (StatusCode, Json<Readiness>) {
    let mut components = Vec::new();
    for bucket in app.buckets.list() {
        let health = bucket.children("indexes").await;
        components.push(Component {
            name: format!("bucket {}", bucket.name()),
            ready: health.is_ok(),
            detail: health.map_or_else(|error| error.to_string(), |_| "reachable".to_owned()),
        });
    }
    for (bucket, why) in &app.unhealthy {
        components.push(Component {
            name: format!("bucket {bucket}"),
            ready: false,
            detail: why.clone(),
        });
    }
    for (index, why) in app.indexes.broken() {
        components.push(Component {
            name: format!("index {index}"),
            ready: false,
            detail: why,
        });
    }
    components.push(Component {
        name: "plugins".to_owned(),
        ready: true,
        detail: plugins(&app),
    });
    let ready = components.iter().all(|component| component.ready);
    if !caller.has(&Scope::Read) || caller.is_restricted() {
        // A probe without a key learns whether the host is ready, and neither names of data nor paths.
        components.clear();
    }
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(Readiness {
            ready,
            version: env!("CARGO_PKG_VERSION"),
            components,
        }),
    )
}

/// How many versions serve, and whether one of them is suspended: the host answers nevertheless.
fn plugins(app: &App) -> String {
    let versions = app.plugins.versions();
    let active = versions
        .iter()
        .filter(|v| v.state == PluginState::Active)
        .count();
    match versions.iter().filter(|v| v.suspended.is_some()).count() {
        0 => format!("{active} active"),
        suspended => format!("{active} active, {suspended} suspended"),
    }
}
