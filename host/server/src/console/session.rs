//! Sessions: a cookie that stands for a key.
//!
//! The key itself stays in the memory of the host; the browser holds 32 random bytes, which no script can read
//! (`HttpOnly`), which no other site can have sent (`SameSite=Strict`), and which end after twelve hours, when the host
//! stops, or when somebody signs out. Each request is judged anew with the key, so a session ends with it too.
//!
//! Cookies know no ports, so a page from another port of the same machine is the same site to a browser. What changes
//! something therefore counts only when the browser says that it comes from a page of this very origin.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Uri, header},
    middleware::Next,
    response::Response,
};
use boathouse_types::Clock;
use sha2::{Digest as _, Sha256};

use crate::auth::{NoEntropy, Token, secret};

/// Name of the cookie.
pub(super) const COOKIE: &str = "boathouse_session";
/// How long a session lasts, in seconds.
pub(super) const LASTS_SECS: i64 = 12 * 3600;
/// Sessions at once; the one that ends first makes room.
const MOST: usize = 1_000;

/// The sessions of this host, by the SHA-256 of their cookies.
pub(super) struct Sessions {
    clock: Arc<dyn Clock>,
    held: Mutex<HashMap<[u8; 32], Held>>,
}

/// A session.
struct Held {
    token: Token,
    /// When it ends, in milliseconds since 1970.
    until: i64,
}

impl Sessions {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            held: Mutex::default(),
        }
    }

    /// Begins a session and gives the value of its cookie.
    pub(super) fn begin(&self, token: Token) -> Result<String, NoEntropy> {
        let value = secret()?;
        let now = self.clock.now().millis();
        let mut held = self.held();
        held.retain(|_, one| one.until > now);
        if held.len() >= MOST {
            let first = held.iter().min_by_key(|(_, one)| one.until);
            let first = first.map(|(key, _)| *key);
            first.and_then(|key| held.remove(&key));
        }
        let until = now + LASTS_SECS * 1_000;
        held.insert(hash(&value), Held { token, until });
        Ok(value)
    }

    /// Ends the sessions that a request brings.
    pub(super) fn end(&self, headers: &HeaderMap) {
        let mut held = self.held();
        for value in cookies(headers) {
            held.remove(&hash(value));
        }
    }

    /// The key that a request's cookie stands for.
    pub(super) fn token(&self, headers: &HeaderMap) -> Option<Token> {
        let now = self.clock.now().millis();
        let held = self.held();
        let mut found = cookies(headers).filter_map(|value| held.get(&hash(value)));
        let found = found.find(|one| one.until > now);
        found.map(|one| one.token.clone())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<[u8; 32], Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a request with the cookie of a session go on with the key that it stands for.
pub(super) async fn layer(
    State(sessions): State<Arc<Sessions>>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if !headers.contains_key(header::AUTHORIZATION)
        && is_own(request.method(), headers, request.uri())
        && let Some(token) = sessions.token(headers)
        && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
    {
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    next.run(request).await
}

/// Whether the cookie of a request counts: for what changes nothing, unless another page reads it; for the rest, when
/// it comes from a page of this origin.
pub(super) fn is_own(method: &Method, headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let own_host = uri.authority().map(axum::http::uri::Authority::as_str);
    let own_host = own_host.or_else(|| text("host"));
    let origin = text("origin").map(|origin| origin.split_once("://").map(|(_, host)| host));
    let site = text("sec-fetch-site");
    match origin {
        Some(host) => host.is_some() && host == own_host,
        None if method.is_safe() => {
            matches!(site, None | Some("same-origin" | "none"))
                || text("sec-fetch-mode") == Some("navigate")
        }
        None => site == Some("same-origin"),
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let all = headers.get_all(header::COOKIE).iter();
    all.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

fn hash(value: &str) -> [u8; 32] {
    Sha256::digest(value.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use boathouse_types::ManualClock;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                let name = header::HeaderName::from_static(name);
                (name, value.parse().expect("a value"))
            })
            .collect()
    }

    fn own(method: &Method, pairs: &[(&'static str, &str)]) -> bool {
        is_own(method, &headers(pairs), &Uri::from_static("/x"))
    }

    #[test]
    fn a_cookie_counts_for_pages_of_this_origin_only() {
        let host = ("host", "localhost:7700");
        let (get, post) = (&Method::GET, &Method::POST);
        assert!(own(post, &[host, ("origin", "http://localhost:7700")]));
        assert!(!own(post, &[host, ("origin", "http://localhost:3000")]));
        assert!(!own(get, &[host, ("origin", "http://localhost:3000")]));
        assert!(!own(post, &[host, ("origin", "null")]));
        assert!(!own(post, &[host]), "no browser");
        assert!(own(post, &[host, ("sec-fetch-site", "same-origin")]));
        assert!(own(get, &[host]));
        assert!(!own(get, &[host, ("sec-fetch-site", "same-site")]));
        let link = ("sec-fetch-mode", "navigate");
        assert!(own(get, &[host, ("sec-fetch-site", "same-site"), link]));
        assert!(!own(post, &[host, ("sec-fetch-site", "cross-site"), link]));
    }

    #[test]
    fn a_session_ends_by_time_and_by_signing_out() {
        let clock = Arc::new(ManualClock::at(0));
        let sessions = Sessions::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let token = Token::parse(&format!("bh_{}_{}", "a".repeat(12), "b".repeat(64)));
        let token = token.expect("a token");
        let value = sessions.begin(token.clone()).expect("entropy");
        assert!(!value.contains(token.reveal()));
        let sent = headers(&[("cookie", &format!("other=1; {COOKIE}={value}"))]);
        assert_eq!(sessions.token(&sent), Some(token.clone()));
        assert_eq!(sessions.token(&headers(&[])), None);
        clock.advance(LASTS_SECS * 1_000 - 1);
        assert_eq!(sessions.token(&sent), Some(token.clone()));
        clock.advance(1);
        assert_eq!(sessions.token(&sent), None);
        let value = sessions.begin(token).expect("entropy");
        let sent = headers(&[("cookie", &format!("{COOKIE}={value}"))]);
        sessions.end(&sent);
        assert_eq!(sessions.token(&sent), None);
    }
}
