//! Signing in with a key, and out.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{
    Console, FORM_BYTES, render,
    session::{COOKIE, LASTS_SECS, is_own},
};
use crate::{auth::Token, problem::Problem};

/// Shows the form.
pub(super) async fn show(State(console): State<Arc<Console>>, uri: Uri) -> Response {
    let next = query(&uri, "next").unwrap_or_default();
    form(&console, &next, Value::Null)
}

/// The form, with what was wrong before.
pub(super) fn form(console: &Console, next: &str, problem: Value) -> Response {
    let status = match problem.is_null() {
        true => StatusCode::OK,
        false => StatusCode::UNAUTHORIZED,
    };
    let context = json!({ "next": local(next), "problem": problem });
    (
        status,
        render::page(console, "sign-in.html", &context, None),
    )
        .into_response()
}

/// Begins a session with the key of the form.
pub(super) async fn sign_in(State(console): State<Arc<Console>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    if !is_own(&Method::POST, &parts.headers, &parts.uri) {
        return elsewhere().into_response();
    }
    let Ok(bytes) = axum::body::to_bytes(body, FORM_BYTES).await else {
        return Problem::body_too_large().into_response();
    };
    let (key, next) = (field(&bytes, "key"), field(&bytes, "next"));
    let (key, next) = (key.unwrap_or_default(), next.unwrap_or_default());
    let Some(token) = Token::parse(key.trim()) else {
        let wrong =
            json!({ "code": "key_unknown", "detail": "this is no key: one begins with `bh_`" });
        return form(&console, &next, wrong);
    };
    match begin(&console, &mut parts, token) {
        Ok(cookie) => {
            let place = (header::LOCATION, HeaderValue::from_str(&local(&next)));
            let place = (place.0, place.1.unwrap_or(HeaderValue::from_static("/")));
            let headers = [(header::SET_COOKIE, cookie), place];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(problem) => form(
            &console,
            &next,
            json!({ "code": problem.code, "detail": problem.detail }),
        ),
    }
}

fn begin(console: &Console, parts: &mut Parts, token: Token) -> Result<HeaderValue, Problem> {
    let bearer = HeaderValue::from_str(&format!("Bearer {}", token.reveal()));
    let bearer = bearer.map_err(|error| Problem::internal(&error))?;
    let secure = parts.headers.get(header::ORIGIN);
    let secure = secure.is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    parts.headers.insert(header::AUTHORIZATION, bearer);
    console.app.auth.who(&parts.headers, &parts.uri)?;
    let value = console.sessions.begin(token);
    let value = value.map_err(|error| Problem::internal(&error))?;
    let secure = if secure { "; Secure" } else { "" };
    let text = format!(
        "{COOKIE}={value}; Path=/; Max-Age={LASTS_SECS}; HttpOnly; SameSite=Strict{secure}"
    );
    HeaderValue::from_str(&text).map_err(|error| Problem::internal(&error))
}

/// Ends the session.
pub(super) async fn sign_out(
    State(console): State<Arc<Console>>,
    uri: Uri,
    headers: HeaderMap,
    _: Bytes,
) -> Response {
    if !is_own(&Method::POST, &headers, &uri) {
        return elsewhere().into_response();
    }
    console.sessions.end(&headers);
    let gone = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    let headers = [
        (header::SET_COOKIE, gone),
        (header::LOCATION, "/".to_owned()),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn elsewhere() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "foreign_origin",
        "this form was sent by a page of another origin",
    )
}

/// A path of this host, whatever was asked for.
fn local(next: &str) -> String {
    let plain = next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
    if plain {
        next.to_owned()
    } else {
        "/".to_owned()
    }
}

/// A part of the query.
pub(super) fn query(uri: &Uri, name: &str) -> Option<String> {
    field(uri.query().unwrap_or_default().as_bytes(), name)
}

/// A field of a form.
fn field(bytes: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let base = reqwest::Url::parse(&format!("http://form/?{text}")).ok()?;
    let mut pairs = base.query_pairs();
    let found = pairs.find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}
