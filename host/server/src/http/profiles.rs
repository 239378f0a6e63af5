//! `/vectors/profile`.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use boathouse_models::{NameError, ProfileId, SwapReport};
use futures::{Stream, StreamExt as _};
use serde::Serialize;

use crate::{
    auth::Caller,
    extract::{Json, Path},
    http::{
        AppState,
        tasks::{accepted, wants_task},
    },
    models::{
        self, ACTIVATE, Activated, ActiveView, AskRequest, ProfileChange, ProfileDocument,
        ProfileSearch, ProfileSearchAnswer, ProfileSpec, ProfileView, Told,
    },
    problem::Problem,
    tasks::TaskView,
};

/// The profiles of this host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ProfileList {
    /// By id.
    profiles: Vec<ProfileView>,
}

fn id(text: String) -> Result<ProfileId, Problem> {
    ProfileId::new(text)
        .map_err(|error: NameError| Problem::unprocessable("bad_name", error.to_string()))
}

/// List profiles.
#[utoipa::path(get, path = "/vectors/profile", responses((status = 200, body = ProfileList), (status = 503, body = Problem)))]
pub(crate) async fn list(State(app): AppState) -> Result<axum::Json<ProfileList>, Problem> {
    let profiles = app.models.profiles.list().await?.into_iter();
    let profiles = profiles.map(|profile| ProfileView::of(&app, profile));
    Ok(axum::Json(ProfileList {
        profiles: profiles.collect(),
    }))
}

/// Make a profile: a model that answers, what it may search, and how.
#[utoipa::path(
    post, path = "/vectors/profile", request_body = ProfileSpec,
    responses((status = 201, body = ProfileView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn create(
    State(app): AppState,
    Json(spec): Json<ProfileSpec>,
) -> Result<Response, Problem> {
    let worker = Arc::clone(&app);
    let making = async move { worker.models.create(&worker, spec).await };
    let profile = app.tasks.background().settle(making).await?;
    let place = format!("/vectors/profile/{}", profile.id);
    let made = ProfileView::of(&app, profile);
    let mut response = (StatusCode::CREATED, axum::Json(made)).into_response();
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Show the GPU slot: which profile holds it, with which model, since when, and what it is doing.
#[utoipa::path(get, path = "/vectors/profile/active", responses((status = 200, body = ActiveView)))]
pub(crate) async fn active(State(app): AppState) -> axum::Json<ActiveView> {
    axum::Json(models::active(&app))
}

/// Show a profile, and which indexes it searches now.
#[utoipa::path(get, path = "/vectors/profile/{id}", params(("id" = String, Path)), responses((status = 200, body = ProfileView), (status = 404, body = Problem)))]
pub(crate) async fn show(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<axum::Json<ProfileView>, Problem> {
    let profile = app.models.profiles.read(&id(name)?).await?;
    Ok(axum::Json(ProfileView::of(&app, profile)))
}

/// Change a profile: what is left out stays, `null` takes away. Models and options of an active profile stay as they are
/// loaded.
#[utoipa::path(
    patch, path = "/vectors/profile/{id}", params(("id" = String, Path)), request_body = ProfileChange,
    responses((status = 200, body = ProfileView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn change(
    State(app): AppState,
    Path(name): Path<String>,
    Json(change): Json<ProfileChange>,
) -> Result<axum::Json<ProfileView>, Problem> {
    let (id, worker) = (id(name)?, Arc::clone(&app));
    let changing = async move { worker.models.change(&worker, &id, &change).await };
    let changed = app.tasks.background().settle(changing).await?;
    Ok(axum::Json(ProfileView::of(&app, changed)))
}

/// Delete a profile. Its indexes and its bucket stay.
#[utoipa::path(delete, path = "/vectors/profile/{id}", params(("id" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn delete(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let (id, worker) = (id(name)?, Arc::clone(&app));
    let deleting = async move { worker.models.delete(&id).await };
    app.tasks.background().settle(deleting).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give the GPU slot to a profile: its bucket is made if it is missing, the models of the profile before leave memory, its
/// own are loaded, and its indexes are warmed. Answers when its model is in memory, or with a task when asked by `Prefer:
/// respond-async`. Who hangs up or cancels the task takes the wish back.
#[utoipa::path(
    post, path = "/vectors/profile/{id}/activate", params(("id" = String, Path)),
    responses((status = 200, body = Activated), (status = 202, body = TaskView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn activate(
    State(app): AppState,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = id(name)?;
    if !wants_task(&headers) {
        let activated = models::activate(&app, &id).await?;
        return Ok(axum::Json(activated).into_response());
    }
    app.models.profiles.read(&id).await?;
    let (worker, subject) = (Arc::clone(&app), id.clone());
    let task = app
        .tasks
        .start(ACTIVATE, subject.as_str(), |task| async move {
            task.progress("activating", 0, None, "models");
            let activating = models::activate(&worker, &id);
            let activated = task.cancellation().run_until_cancelled(activating).await;
            let activated = activated.ok_or_else(Problem::cancelled)??;
            serde_json::to_value(activated).map_err(|error| Problem::internal(&error))
        });
    Ok(accepted(task))
}

/// Take the GPU slot from a profile: its models leave memory. Nothing to do when no profile is active.
#[utoipa::path(
    post, path = "/vectors/profile/{id}/deactivate", params(("id" = String, Path)),
    responses((status = 200, body = SwapReport), (status = 404, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn deactivate(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<axum::Json<SwapReport>, Problem> {
    models::deactivate(&app, &id(name)?).await.map(axum::Json)
}

/// Search the indexes of a profile: the one that is named, or all of its own.
#[utoipa::path(
    post, path = "/vectors/profile/{id}/search", params(("id" = String, Path)), request_body = ProfileSearch,
    responses((status = 200, body = ProfileSearchAnswer), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn search(
    State(app): AppState,
    caller: Caller,
    Path(name): Path<String>,
    Json(request): Json<ProfileSearch>,
) -> Result<axum::Json<ProfileSearchAnswer>, Problem> {
    let found = models::search(&app, &caller, &id(name)?, request).await;
    found.map(axum::Json)
}

/// Show a document of one of a profile's indexes, by its id.
#[utoipa::path(
    get, path = "/vectors/profile/{id}/doc/{idx}/{doc}", params(("id" = String, Path), ("idx" = String, Path), ("doc" = String, Path)),
    responses((status = 200, body = ProfileDocument), (status = 403, body = Problem), (status = 404, body = Problem))
)]
pub(crate) async fn document(
    State(app): AppState,
    caller: Caller,
    Path((name, index, document)): Path<(String, String, String)>,
) -> Result<axum::Json<ProfileDocument>, Problem> {
    let found = models::document(&app, &caller, &id(name)?, (&index, &document)).await;
    found.map(axum::Json)
}

/// Ask the model of a profile, which answers from the profile's indexes. Server-sent events: `sources` (`sources`: number,
/// index, id, row, score and text of each), `token` (`text`) again and again, and at the end `end` (`citations`: number,
/// index, id and row of each source that the answer cites) or `error` (a problem document). Who hangs up ends the answer.
#[utoipa::path(
    post, path = "/vectors/profile/{id}/ask", params(("id" = String, Path)), request_body = AskRequest,
    responses((status = 200, content_type = "text/event-stream"), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn ask(
    State(app): AppState,
    caller: Caller,
    Path(name): Path<String>,
    Json(request): Json<AskRequest>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let told = models::ask(&app, &caller, &id(name)?, request).await?;
    let events = told.map(|told| Ok(event(&told)));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn event(told: &Told) -> Event {
    let event = Event::default().event(told.name());
    // Names, numbers and texts can always be written.
    event.json_data(told).unwrap_or_default()
}
