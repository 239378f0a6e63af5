//! `/livez` and `/readyz`.

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;

use crate::http::AppState;

/// Whether the process runs and whether its parts do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Readiness {
    /// All of `components` are ready.
    ready: bool,
    /// Version of this program.
    version: &'static str,
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
pub(crate) async fn ready(State(app): AppState) -> (StatusCode, Json<Readiness>) {
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
        detail: format!("{} active", app.plugins.list().len()),
    });
    let ready = components.iter().all(|component| component.ready);
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
