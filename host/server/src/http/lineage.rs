//! `/lineage/{dataset}`.

use std::sync::Arc;

use axum::{Json, extract::State};
use boathouse_ingest::{Lineage, RunEvent};
use boathouse_types::DatasetName;
use serde::Serialize;

use crate::{extract::Path, http::AppState, problem::Problem};

/// The runs that made a dataset, as OpenLineage events.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LineageView {
    dataset: DatasetName,
    /// Oldest first.
    events: Vec<RunEvent>,
}

/// Show where a dataset's rows came from, failed runs included.
#[utoipa::path(get, path = "/lineage/{dataset}", params(("dataset" = String, Path)), responses((status = 200, body = LineageView), (status = 404, body = Problem)))]
pub(crate) async fn show(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<Json<LineageView>, Problem> {
    let dataset = DatasetName::new(name)?;
    let (mut events, mut unread) = (Vec::new(), None);
    for bucket in app.buckets.list() {
        let lineage = Lineage::new(bucket, dataset.clone(), Arc::clone(&app.clock));
        match lineage.read().await {
            Ok(found) => events.extend(found),
            Err(error) => unread = Some(error),
        }
    }
    if let (true, Some(error)) = (events.is_empty(), unread) {
        return Err(error.into());
    }
    if events.is_empty() {
        return Err(Problem::not_found(
            "unknown_dataset",
            format!("nothing was ever ingested into dataset `{dataset}`"),
        ));
    }
    events.sort_by_key(|event| event.event_time);
    Ok(Json(LineageView { dataset, events }))
}
