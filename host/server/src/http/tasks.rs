//! `/tasks`: long work, its progress and its events.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::Stream;
use serde::Serialize;

use crate::{
    app::App,
    auth::{Caller, reach},
    extract::Path,
    http::AppState,
    problem::Problem,
    tasks::{TaskEvent, TaskView},
};

/// All tasks that are remembered, newest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct TaskList {
    tasks: Vec<TaskView>,
}

/// Answers 202 with the place of a task.
pub(crate) fn accepted(view: TaskView) -> Response {
    let place = format!("/tasks/{}", view.id);
    let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// List tasks.
#[utoipa::path(get, path = "/tasks", responses((status = 200, body = TaskList)))]
pub(crate) async fn list(State(app): AppState, caller: Caller) -> Json<TaskList> {
    let mut tasks = app.tasks.list();
    tasks.retain(|task| reach::sees_task(&caller, task));
    Json(TaskList { tasks })
}

/// Show a task.
#[utoipa::path(get, path = "/tasks/{id}", params(("id" = String, Path)), responses((status = 200, body = TaskView), (status = 404, body = Problem)))]
pub(crate) async fn show(
    State(app): AppState,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<TaskView>, Problem> {
    let task = app.tasks.get(&id)?;
    reach::may_see_task(&caller, &task)?;
    Ok(Json(task))
}

/// Ask a task to stop.
#[utoipa::path(post, path = "/tasks/{id}/cancel", params(("id" = String, Path)), responses((status = 202, body = TaskView), (status = 404, body = Problem)))]
pub(crate) async fn cancel(
    State(app): AppState,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    reach::may_stop_task(&caller, &app.tasks.get(&id)?)?;
    app.tasks.cancel(&id).map(accepted)
}

/// Follow a task's events; `Last-Event-ID` resumes.
#[utoipa::path(get, path = "/tasks/{id}/events", params(("id" = String, Path)), responses((status = 200, content_type = "text/event-stream"), (status = 404, body = Problem)))]
pub(crate) async fn events(
    State(app): AppState,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    reach::may_see_task(&caller, &app.tasks.get(&id)?)?;
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    Ok(Sse::new(stream(app, id, last)).keep_alive(KeepAlive::default()))
}

/// Events after `last`, as they come, until the task's end is told.
fn stream(app: Arc<App>, id: String, last: u64) -> impl Stream<Item = Result<Event, Infallible>> {
    let batches = futures::stream::unfold((app, id, last), |(app, id, last)| async move {
        let events = app.tasks.events_after(&id, last).await.ok()?;
        let next = events.last()?.id;
        Some((events, (app, id, next)))
    });
    futures::StreamExt::flat_map(batches, |events| {
        futures::stream::iter(events.into_iter().map(|event| Ok(sse(event))))
    })
}

fn sse(event: TaskEvent) -> Event {
    Event::default()
        .id(event.id.to_string())
        .event(event.name)
        .data(event.data.to_string())
}

/// Whether a client asks for a task instead of its result: `Prefer: respond-async` (RFC 7240).
pub(crate) fn wants_task(headers: &HeaderMap) -> bool {
    let preferences = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    preferences
        .flat_map(|value| value.split(','))
        .any(|part| part.trim() == "respond-async")
}
