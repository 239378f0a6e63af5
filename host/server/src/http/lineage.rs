//! `/lineage` and `/lineage/{dataset}`.

use std::sync::Arc;

use axum::{Json, extract::State};
use boathouse_ingest::{IngestError, Lineage, RunEvent};
use boathouse_storage::Bucket;
use boathouse_types::DatasetName;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    auth::Caller,
    extract::{Path, Query},
    http::AppState,
    problem::Problem,
};

/// Events of a page that does not say how many.
const PAGE: usize = 1_000;
/// Most events of a page.
const MOST: usize = 10_000;

/// The runs that made a dataset, as OpenLineage events.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LineageView {
    /// The dataset, when one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset: Option<DatasetName>,
    /// In the order that was asked for.
    events: Vec<RunEvent>,
    /// The `after` of the next page; left out on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which events to show.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LineageQuery {
    /// Most events of the page; 1000 when left out, at most 10000.
    limit: Option<usize>,
    /// `oldest` or `newest` first.
    order: Order,
    /// Go on behind this event: `next` of the page before.
    after: Option<String>,
}

/// Which events come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    #[default]
    Oldest,
    Newest,
}

/// Show where the rows of all datasets came from.
#[utoipa::path(get, path = "/lineage", params(LineageQuery), responses((status = 200, body = LineageView), (status = 422, body = Problem)))]
pub(crate) async fn list(
    State(app): AppState,
    caller: Caller,
    Query(query): Query<LineageQuery>,
) -> Result<Json<LineageView>, Problem> {
    let mut events = Vec::new();
    for bucket in app.buckets.list() {
        let found = all_of(&app, &caller, &bucket).await;
        // A bucket that fails hides no events of the others.
        match found {
            Ok(found) => events.extend(found),
            Err(error) => {
                tracing::warn!(bucket = %bucket.name(), %error, "lineage of a bucket is not shown");
            }
        }
    }
    Ok(Json(page(None, events, &query)?))
}

/// Show where a dataset's rows came from, failed runs included.
#[utoipa::path(get, path = "/lineage/{dataset}", params(("dataset" = String, Path), LineageQuery), responses((status = 200, body = LineageView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn show(
    State(app): AppState,
    Path(name): Path<String>,
    Query(query): Query<LineageQuery>,
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
    Ok(Json(page(Some(dataset), events, &query)?))
}

/// The events of all datasets of a bucket that the caller reaches.
async fn all_of(app: &App, caller: &Caller, bucket: &Bucket) -> Result<Vec<RunEvent>, IngestError> {
    let mut events = Vec::new();
    for dataset in Lineage::datasets(bucket).await? {
        if caller.reaches_dataset(dataset.as_str()) {
            let lineage = Lineage::new(bucket.clone(), dataset, Arc::clone(&app.clock));
            events.extend(lineage.read().await?);
        }
    }
    Ok(events)
}

/// What a query asks for of all events.
fn page(
    dataset: Option<DatasetName>,
    mut events: Vec<RunEvent>,
    query: &LineageQuery,
) -> Result<LineageView, Problem> {
    let limit = query.limit.unwrap_or(PAGE);
    if limit == 0 || limit > MOST {
        let told = format!("limit must be 1 to {MOST}");
        return Err(Problem::unprocessable("out_of_bounds", told));
    }
    events.sort_by(|a, b| {
        let times = a.event_time.cmp(&b.event_time);
        // A run that ends in the millisecond in which it began still begins first.
        let ends = a.event_type.is_end().cmp(&b.event_type.is_end());
        times.then(a.run.run_id.cmp(&b.run.run_id)).then(ends)
    });
    if query.order == Order::Newest {
        events.reverse();
    }
    if let Some(after) = &query.after {
        let known = events.iter().position(|event| event.key() == *after);
        let Some(known) = known else {
            return Err(Problem::unprocessable(
                "unknown_event",
                "there is no event `after`: take the `next` of the page before",
            ));
        };
        events.drain(..=known);
    }
    let is_cut = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| is_cut).map(RunEvent::key);
    Ok(LineageView {
        dataset,
        events,
        next,
    })
}
