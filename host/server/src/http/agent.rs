//! `/vectors/agent`.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse as _, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use futures::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    agent::{self, AgentEvent, AgentView, Batch, QueueEntry},
    app::App,
    auth::Caller,
    extract::{Path, Query},
    http::AppState,
    problem::Problem,
};

/// Most events of one page, and of one step of a stream.
const MOST: usize = 1_000;

/// Show what the agent does, what waits for it, and for what it waits.
#[utoipa::path(get, path = "/vectors/agent", responses((status = 200, body = AgentView), (status = 503, body = Problem)))]
pub(crate) async fn show(
    State(app): AppState,
    caller: Caller,
) -> Result<axum::Json<AgentView>, Problem> {
    agent::view(&app, &caller).await.map(axum::Json)
}

/// The same as `GET /vectors/agent`.
#[utoipa::path(get, path = "/vectors/agent/status", responses((status = 200, body = AgentView), (status = 503, body = Problem)))]
pub(crate) async fn status(
    State(app): AppState,
    caller: Caller,
) -> Result<axum::Json<AgentView>, Problem> {
    agent::view(&app, &caller).await.map(axum::Json)
}

/// Have indexes tuned by themselves, whatever the configuration says, until somebody stops it. Lasts over restarts.
#[utoipa::path(post, path = "/vectors/agent/start", responses((status = 200, body = AgentView), (status = 503, body = Problem)))]
pub(crate) async fn start(
    State(app): AppState,
    caller: Caller,
) -> Result<axum::Json<AgentView>, Problem> {
    agent::switch(&app, true, caller.name()).await?;
    agent::view(&app, &caller).await.map(axum::Json)
}

/// Have no index tuned by itself, whatever the configuration says; a trial under way is given up. Lasts over restarts.
#[utoipa::path(post, path = "/vectors/agent/stop", responses((status = 200, body = AgentView), (status = 503, body = Problem)))]
pub(crate) async fn stop(
    State(app): AppState,
    caller: Caller,
) -> Result<axum::Json<AgentView>, Problem> {
    agent::switch(&app, false, caller.name()).await?;
    agent::view(&app, &caller).await.map(axum::Json)
}

/// Put an index into the agent's queue. Rows that were appended are looked for at once when its policy is `auto`.
#[utoipa::path(
    post, path = "/vectors/agent/enqueue/{idx}", params(("idx" = String, Path)),
    responses((status = 200, body = QueueEntry), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn enqueue(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<axum::Json<QueueEntry>, Problem> {
    let index = app.indexes.get(&name)?;
    app.agent.ask(&index).await?;
    agent::entry(&app, &index.meta.name).await.map(axum::Json)
}

/// Which events, and how.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    /// Events after this number; those that are remembered when left out.
    #[serde(default)]
    after: u64,
    /// `json` for one page of what is remembered instead of a stream.
    format: Option<String>,
}

/// A page of events, oldest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AgentEventPage {
    events: Vec<AgentEvent>,
    /// Events after the given number that are forgotten.
    missed: u64,
}

/// Follow what the agent does; `Last-Event-ID` resumes. Who is too slow gets an event `missed`, which says how many
/// events it did not see, and the stream ends.
#[utoipa::path(
    get, path = "/vectors/agent/events", params(EventsQuery),
    responses(
        (status = 200, content((String = "text/event-stream"), (AgentEventPage = "application/json"))),
        (status = 422, body = Problem)
    )
)]
pub(crate) async fn events(
    State(app): AppState,
    caller: Caller,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    match query.format.as_deref() {
        None => {}
        Some("json") => {
            let batch = app.agent.events_after(query.after, MOST);
            let Batch { mut events, missed } = batch;
            events.retain(|event| may_see(&app, &caller, event));
            return Ok(axum::Json(AgentEventPage { events, missed }).into_response());
        }
        Some(_) => {
            let must = "must be `json`, or left out for a stream";
            return Err(Problem::field("format", "unknown_format", must));
        }
    }
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let stream = live(app, caller, last.unwrap_or(query.after));
    Ok(Sse::new(stream)
        .keep_alive(KeepAlive::default())
        .into_response())
}

/// Whether an event is about nothing that is out of the caller's reach.
fn may_see(app: &App, caller: &Caller, event: &AgentEvent) -> bool {
    let Some(name) = &event.index else {
        return true;
    };
    let index = app.indexes.get(name.as_str()).ok();
    caller.reaches_index(
        name.as_str(),
        index.as_ref().map(|index| &index.meta.dataset),
    )
}

/// Events after `last`, as they come, until the host stops or the follower is too slow.
fn live(
    app: Arc<App>,
    caller: Caller,
    last: u64,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    let batches = stream::unfold(Some((app, caller, last)), |state| async move {
        let (app, caller, last) = state?;
        let Batch { mut events, missed } = app.agent.follow_events(last, MOST).await?;
        if missed > 0 {
            // Who comes back after this number goes on with what is there.
            let before = events.first()?.seq - 1;
            return Some((vec![gap(missed, before)], None));
        }
        let next = events.last()?.seq;
        events.retain(|event| may_see(&app, &caller, event));
        let told = events.into_iter().filter_map(told).collect();
        Some((told, Some((app, caller, next))))
    });
    batches.flat_map(|told: Vec<_>| stream::iter(told.into_iter().map(Ok)))
}

fn told(event: AgentEvent) -> Option<sse::Event> {
    sse::Event::default()
        .id(event.seq.to_string())
        .event(event.event.as_str())
        .json_data(event)
        .ok()
}

fn gap(missed: u64, before: u64) -> sse::Event {
    let detail = format!("{missed} events were forgotten before they were read; follow anew");
    let data = json!({"event": "missed", "missed": missed, "detail": detail});
    sse::Event::default()
        .id(before.to_string())
        .event("missed")
        .data(data.to_string())
}
