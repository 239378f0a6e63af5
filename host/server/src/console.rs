//! The console: pages in the browser at `/` and below `/console/`.
//!
//! A page is a template and the answers of a few routes of the API. The pages ask these routes inside the process, through
//! every layer of the API and in the name of who looks, so a page shows what the caller would get by `curl`, with the
//! same rights and in the same words, and nothing else. What a page offers follows from the table of rights as well.
//! Changes are made by the browser's calls of the API; the script of the pages turns forms into such calls.
//!
//! Pages, script and style are compiled in. Answers forbid scripts, styles and frames of any other origin, and inline ones.
//! Where keys are asked for, who signs in gets a cookie that stands for the key ([`session`]).

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};

use crate::{app::App, problem::Problem, request_id};

mod ask;
mod assets;
mod pages;
mod render;
mod session;
mod sign_in;

use session::Sessions;

/// Longest body of a form that comes without the script, in bytes.
const FORM_BYTES: usize = 4 << 10;

/// Where pages may load from and be shown.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What pages are made with.
pub(super) struct Console {
    app: Arc<App>,
    /// The routes of the API.
    api: Router,
    templates: minijinja::Environment<'static>,
    sessions: Arc<Sessions>,
}

/// The console in front of the API: both take the cookie of a session for a key.
pub(crate) fn beside(api: Router, app: Arc<App>) -> Router {
    let sessions = Arc::new(Sessions::new(Arc::clone(&app.clock)));
    let console = Arc::new(Console {
        app,
        api: api.clone(),
        templates: render::templates(),
        sessions: Arc::clone(&sessions),
    });
    let mut routes = Router::new()
        .route("/console/assets/{file}", get(assets::show))
        .route(
            "/console/sign-in",
            get(sign_in::show).post(sign_in::sign_in),
        )
        .route("/console/sign-out", post(sign_in::sign_out));
    for page in pages::PAGES {
        let shown = move |console: State<Arc<Console>>, names: pages::Names, request: Request| {
            pages::show(page, console, names, request)
        };
        routes = routes.route(page.path, get(shown));
    }
    routes
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(middleware::from_fn(guarded))
        .layer(middleware::from_fn(request_id::layer))
        .fallback_service(api)
        .layer(middleware::from_fn_with_state(sessions, session::layer))
        .with_state(console)
}

/// Adds the headers that keep other origins out of pages.
async fn guarded(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Forms that are sent without the script say where they come from.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn wrong_method(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(200).collect();
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        format!("`{path}` does not take {}", request.method()),
    )
}
