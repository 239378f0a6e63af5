//! Asking the API from within, in the name of who looks at a page.

use axum::{
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Method, Request, header, request::Parts},
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::Console;
use crate::auth::Peer;

/// Longest answer that a page shows, in bytes.
const ANSWER_BYTES: usize = 32 << 20;

/// What says who asks, and from where.
const CARRIED: [header::HeaderName; 3] = [header::AUTHORIZATION, header::HOST, header::ORIGIN];

/// Puts a question to the API; gives `{"value": ...}`, or `{"problem": ...}` in the API's own words.
pub(super) async fn ask(
    console: &Console,
    parts: &Parts,
    method: Method,
    target: &str,
    body: Option<&Value>,
) -> Value {
    let mut request = Request::builder().method(method).uri(target);
    if let Some(headers) = request.headers_mut() {
        carry(&parts.headers, headers);
    }
    if let Some(peer) = parts.extensions.get::<ConnectInfo<Peer>>() {
        request = request.extension(*peer);
    }
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let Ok(request) = request.body(body) else {
        return unreadable(
            "bad_path",
            "this page was asked with names that no route takes",
        );
    };
    let Ok(response) = console.api.clone().oneshot(request).await;
    let good = response.status().is_success();
    let bytes = to_bytes(response.into_body(), ANSWER_BYTES).await;
    let answer = bytes.ok().and_then(|all| serde_json::from_slice(&all).ok());
    match answer {
        Some(Value::Null) | None => unreadable(
            "internal",
            "the answer could not be read; the log may tell why",
        ),
        Some(value) if good => json!({ "value": value }),
        Some(problem) => json!({ "problem": problem }),
    }
}

fn carry(from: &HeaderMap, to: &mut HeaderMap) {
    for name in CARRIED {
        if let Some(value) = from.get(&name) {
            to.insert(name, value.clone());
        }
    }
}

fn unreadable(code: &str, detail: &str) -> Value {
    json!({ "problem": { "code": code, "detail": detail } })
}
