//! The routes: extract, call one function below, convert. One file a resource.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware,
    response::{IntoResponse as _, Response},
    routing::get,
};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, auth, console, problem::Problem, request_id};

mod admin;
mod agent;
mod audit;
mod buckets;
mod datasets;
mod evalsets;
mod gc;
mod health;
mod indexes;
mod ingest;
mod keys;
mod lance;
mod lineage;
mod live;
mod metrics;
pub(crate) mod pii;
mod plugins;
mod profiles;
mod promotions;
mod replay;
mod rescue;
mod search;
mod shadow;
mod tasks;
mod trials;
mod watch;

pub(crate) use buckets::BucketSpec;
pub(crate) use ingest::start as start_ingest;

/// The application as handlers get it.
pub(crate) type AppState = axum::extract::State<Arc<App>>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Boathouse",
        description = "Self-tuning vector lakehouse with pluggable judgement. Errors are RFC 9457 problem documents with a stable `code`."
    ),
    components(schemas(Problem, crate::gc::GcReport)),
    modifiers(&BearerKey),
    security(("key" = []))
)]
struct Api;

/// How a client says who it is.
struct BearerKey;

impl Modify for BearerKey {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(
                    "A key, `bh_...`; not asked for on loopback while there is none.",
                ))
                .build(),
        );
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("key", scheme);
    }
}

/// All routes of a host: the console's, and those of the API.
pub fn router(app: Arc<App>) -> Router {
    let api = api(Arc::clone(&app));
    console::beside(api, app)
}

/// The routes of the API.
fn api(app: Arc<App>) -> Router {
    let (max_body, timeout) = (
        app.config.server.max_body_bytes,
        Duration::from_secs(app.config.server.request_timeout_secs),
    );
    let (bounded, mut api) = bounded_routes().split_for_parts();
    let (uploads, upload_api) = OpenApiRouter::new()
        .routes(routes!(ingest::file::file))
        .split_for_parts();
    api.merge(upload_api);
    let document = Arc::new(api);
    let bounded = bounded
        .route(
            "/openapi.json",
            get(move || async move { Json(document.as_ref().clone()) }),
        )
        .layer(DefaultBodyLimit::max(max_body))
        .layer(middleware::from_fn(move |request, next| {
            timed(timeout, request, next)
        }));
    bounded
        .merge(uploads.layer(DefaultBodyLimit::disable()))
        .fallback(unknown_route)
        .layer(middleware::from_fn(rescue::layer))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            auth::layer,
        ))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(request_id::layer))
        .with_state(app)
}

/// The OpenAPI document of all routes.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut api = bounded_routes().into_openapi();
    api.merge(
        OpenApiRouter::<Arc<App>>::new()
            .routes(routes!(ingest::file::file))
            .into_openapi(),
    );
    api
}

/// Routes with small bodies and a time limit.
fn bounded_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::show))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
        .routes(routes!(keys::me))
        .routes(routes!(audit::read))
        .routes(routes!(buckets::list, buckets::create))
        .routes(routes!(buckets::remove))
        .routes(routes!(gc::collect))
        .routes(routes!(ingest::table::postgres))
        .routes(routes!(ingest::table::mysql))
        .routes(routes!(ingest::table::jobs))
        .routes(routes!(datasets::list))
        .routes(routes!(datasets::show, datasets::delete))
        .routes(routes!(datasets::rows))
        .routes(routes!(pii::policy, pii::set_policy))
        .routes(routes!(pii::scan))
        .routes(routes!(lineage::list))
        .routes(routes!(lineage::show))
        .routes(routes!(watch::list))
        .routes(routes!(indexes::list, indexes::create))
        .routes(routes!(indexes::show, indexes::change, indexes::delete))
        .routes(routes!(indexes::refresh))
        .routes(routes!(indexes::delete_documents))
        .routes(routes!(live::recall))
        .routes(routes!(agent::show))
        .routes(routes!(agent::status))
        .routes(routes!(agent::start))
        .routes(routes!(agent::stop))
        .routes(routes!(agent::enqueue))
        .routes(routes!(agent::events))
        .routes(routes!(search::search))
        .merge(lance_routes())
        .routes(routes!(evalsets::list, evalsets::create))
        .routes(routes!(evalsets::delete))
        .routes(routes!(trials::journal, trials::run))
        .routes(routes!(trials::best))
        .routes(routes!(trials::autotune))
        .routes(routes!(replay::show))
        .routes(routes!(promotions::promote))
        .routes(routes!(promotions::rollback))
        .routes(routes!(promotions::list))
        .routes(routes!(promotions::history))
        .merge(model_routes())
        .routes(routes!(plugins::list))
        .routes(routes!(plugins::show))
        .routes(routes!(plugins::upload))
        .routes(routes!(plugins::version, plugins::life::delete))
        .routes(routes!(plugins::life::activate))
        .routes(routes!(plugins::life::rollback))
        .routes(routes!(plugins::life::deactivate))
        .routes(routes!(plugins::events::all))
        .routes(routes!(plugins::events::of))
        .routes(routes!(shadow::begin, shadow::end, shadow::show))
        .routes(routes!(tasks::list))
        .routes(routes!(tasks::show))
        .routes(routes!(tasks::cancel))
        .routes(routes!(tasks::events))
}

/// Routes of Lance tables, and of documents by their ids.
fn lance_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(lance::document))
        .routes(routes!(lance::migrate))
        .routes(routes!(lance::index))
        .routes(routes!(lance::optimize))
        .routes(routes!(lance::search))
        .routes(routes!(lance::row))
        .routes(routes!(lance::append))
        .routes(routes!(lance::stats))
}

/// Routes of profiles and of the GPU slot.
fn model_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(profiles::list, profiles::create))
        .routes(routes!(profiles::active))
        .routes(routes!(profiles::show, profiles::change, profiles::delete))
        .routes(routes!(profiles::activate))
        .routes(routes!(profiles::deactivate))
        .routes(routes!(profiles::search))
        .routes(routes!(profiles::document))
        .routes(routes!(profiles::ask))
        .routes(routes!(admin::vram))
        .routes(routes!(admin::preload))
        .routes(routes!(admin::unload))
}

/// Ends a request that takes too long; the work behind it is dropped.
async fn timed(limit: Duration, request: Request, next: middleware::Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "too_slow",
            "the request took longer than server.request_timeout_secs; ask for less, or for a task",
        )
        .into_response(),
    }
}

async fn unknown_route(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(200).collect();
    Problem::not_found(
        "unknown_route",
        format!("there is no route `{path}`; `GET /openapi.json` lists them"),
    )
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!(request_id = %request_id::current(), "a handler panicked");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "something went wrong inside; the log has it under this request's id",
    )
    .into_response()
}
