//! `/plugins/events` and `/plugins/{kind}/{team}/{name}/events`: the audit log, as pages or live.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{
        IntoResponse as _, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use boathouse_types::PluginKind;
use futures::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    extract::{Path, Query},
    http::AppState,
    plugins::{Event, PluginId},
    problem::Problem,
};

/// Most events of one page, and of one step of a stream.
const MOST: usize = 1_000;

/// Which part of the log.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    /// Events after this number, from the first one when left out.
    #[serde(default)]
    after: u64,
    /// How many, 100 when left out, 1,000 at most.
    #[serde(default = "hundred")]
    limit: usize,
}

fn hundred() -> usize {
    100
}

/// A page of the log, oldest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct EventPage {
    events: Vec<Event>,
    /// `after` of the next page; nothing on the last one.
    next: Option<u64>,
}

/// Read what happened to all plugins; with `Accept: text/event-stream`, follow it.
#[utoipa::path(
    get, path = "/plugins/events", params(EventsQuery),
    responses((status = 200, content((EventPage = "application/json"), (String = "text/event-stream"))))
)]
pub(crate) async fn all(
    State(app): AppState,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    events(app, None, &query, &headers).await
}

/// Read what happened to a plugin; with `Accept: text/event-stream`, follow it.
#[utoipa::path(
    get, path = "/plugins/{kind}/{team}/{name}/events",
    params(("kind" = PluginKind, Path), ("team" = String, Path), ("name" = String, Path), EventsQuery),
    responses(
        (status = 200, content((EventPage = "application/json"), (String = "text/event-stream"))),
        (status = 422, body = Problem)
    )
)]
pub(crate) async fn of(
    State(app): AppState,
    Path((kind, team, name)): Path<(PluginKind, String, String)>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Of a plugin that was deleted the log is left, so it need not be there.
    let id = PluginId::new(kind, &team, &name)?;
    events(app, Some(id), &query, &headers).await
}

async fn events(
    app: Arc<App>,
    of: Option<PluginId>,
    query: &EventsQuery,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if wants_stream(headers) {
        let last = headers
            .get("last-event-id")
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let stream = live(app, of, last.unwrap_or(query.after));
        return Ok(Sse::new(stream)
            .keep_alive(KeepAlive::default())
            .into_response());
    }
    let limit = query.limit.clamp(1, MOST);
    let log = &app.plugins.events;
    let mut events = log.after(of.as_ref(), query.after, limit + 1).await?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| more).map(|event| event.seq);
    Ok(axum::Json(EventPage { events, next }).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("text/event-stream"))
}

/// Events after `last`, as they come, until the host stops.
fn live(
    app: Arc<App>,
    of: Option<PluginId>,
    last: u64,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    let batches = stream::unfold((app, of, last), |(app, of, last)| async move {
        let events = match app.plugins.events.follow(of.as_ref(), last, MOST).await {
            Ok(events) => events?,
            Err(error) => {
                tracing::warn!(%error, "a follower of plugin events is let go");
                return None;
            }
        };
        let next = events.last()?.seq;
        Some((events, (app, of, next)))
    });
    batches.flat_map(|events| stream::iter(events.into_iter().filter_map(told).map(Ok)))
}

fn told(event: Event) -> Option<sse::Event> {
    sse::Event::default()
        .id(event.seq.to_string())
        .event(event.event.as_str())
        .json_data(event)
        .ok()
}
