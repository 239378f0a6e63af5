//! `/ingest/watch`.

use axum::{Json, extract::State};
use serde::Serialize;

use crate::{auth::Caller, http::AppState, watcher::WatchView};

/// The watched folders.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct WatchList {
    /// As they stand in the configuration.
    folders: Vec<WatchView>,
}

/// Show how each watched folder is.
#[utoipa::path(get, path = "/ingest/watch", responses((status = 200, body = WatchList)))]
pub(crate) async fn list(State(app): AppState, caller: Caller) -> Json<WatchList> {
    let mut folders = app.watcher.views();
    folders.retain(|folder| caller.reaches_dataset(folder.dataset().as_str()));
    Json(WatchList { folders })
}
