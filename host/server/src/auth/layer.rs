//! What every request passes: who calls, whether the route may be reached, and a line when it changed
//! something.
//!
//! The body of a request that is refused is not read. A change is recorded when its answer is known, or
//! when the client went away before that.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{
        ConnectInfo, FromRequestParts as _, MatchedPath, RawPathParams, Request, State,
        connect_info::Connected,
    },
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
    serve::IncomingStream,
};
use boathouse_ingest::redact_dsn;

use super::{
    Caller,
    audit::{Audit, Event},
    policy::{self, Effect, Needs, Touches, Verdict},
    reach,
};
use crate::{app::App, listener::PromptListener, problem::Problem, request_id, tls::TlsListener};

/// Longest path that a line of the audit log shows, in characters.
const SHOWN: usize = 300;

tokio::task_local! {
    static CURRENT: String;
}

/// Name of the caller that this code runs for; empty outside a request.
#[must_use]
pub(crate) fn current_caller() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Lets work that may outlive its request go on in the name of the caller.
pub(crate) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(current_caller(), work)
}

/// Does work of the host itself, which nobody asked for, in the name of a part of it.
pub(crate) fn in_the_name_of<F: Future>(part: &str, work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(part.to_owned(), work)
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Connected<IncomingStream<'_, PromptListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, PromptListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Lets a request through, or refuses it.
pub(crate) async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let visit = Visit::of(&mut parts).await;
    let (caller, effect) = match admit(&app, &visit, &parts.headers) {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.told(&app.auth.audit, &visit),
    };
    parts.extensions.insert(caller.clone());
    let name = caller.name().to_owned();
    let mut record = Record::new(&app, visit, name.clone(), effect);
    let answer = next.run(Request::from_parts(parts, body));
    let response = CURRENT.scope(name, answer).await;
    record.ended(response.status()).await;
    response
}

/// What the layer needs to know of a request.
struct Visit {
    method: Method,
    /// The pattern that matched.
    route: Option<MatchedPath>,
    params: Option<RawPathParams>,
    uri: Uri,
    from: Option<IpAddr>,
}

impl Visit {
    async fn of(parts: &mut Parts) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<Peer>>();
        Self {
            method: parts.method.clone(),
            from: peer.map(|ConnectInfo(Peer(address))| address.ip()),
            route: parts.extensions.get::<MatchedPath>().cloned(),
            params: RawPathParams::from_request_parts(parts, &()).await.ok(),
            uri: parts.uri.clone(),
        }
    }

    fn route(&self) -> Option<&str> {
        self.route.as_ref().map(MatchedPath::as_str)
    }

    /// A part of the path, decoded; none when it is missing or no UTF-8.
    fn param(&self, name: &str) -> Option<&str> {
        let mut all = self.params.as_ref()?.iter();
        all.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Path and query without what people may write freely.
    fn shown(&self) -> String {
        let query = self.uri.query().unwrap_or_default().split('&');
        let named: Vec<&str> = query
            .filter(|pair| !pair.is_empty() && !pair.starts_with("label="))
            .collect();
        let mut text = self.uri.path().to_owned();
        if !named.is_empty() {
            text = format!("{text}?{}", named.join("&"));
        }
        let text: String = text.chars().take(SHOWN).collect();
        redact_dsn(&text)
    }

    fn event(&self, caller: &str, status: Option<u16>, code: Option<&str>) -> Event {
        Event {
            caller: caller.to_owned(),
            from: self.from,
            method: self.method.to_string(),
            route: self.route().unwrap_or_default().to_owned(),
            path: self.shown(),
            status,
            code: code.map(str::to_owned),
            request_id: request_id::current(),
        }
    }
}

/// A request that is turned away.
struct Refusal {
    /// Who it claims to be from.
    caller: String,
    problem: Problem,
    /// Methods that the path takes, where the method is what is wrong.
    allow: Option<HeaderValue>,
}

impl Refusal {
    fn new(caller: &Caller, problem: Problem) -> Self {
        Self {
            caller: caller.name().to_owned(),
            problem,
            allow: None,
        }
    }

    /// The answer; a line goes to the audit log when it is about rights.
    fn told(self, audit: &Audit, visit: &Visit) -> Response {
        let (status, code) = (self.problem.status, self.problem.code.as_str());
        if matches!(status, 401 | 403) {
            audit.refused(visit.event(&self.caller, Some(status), Some(code)));
        }
        let mut response = self.problem.into_response();
        if status == 401 {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    }
}

/// Who makes a request and what it does, when it may be made.
fn admit(app: &App, visit: &Visit, headers: &HeaderMap) -> Result<(Caller, Effect), Refusal> {
    let verdict = policy::rule(&visit.method, visit.route());
    let found = app.auth.identify(headers, &visit.uri);
    if let Verdict::Rule(rule) = verdict
        && rule.needs == Needs::Nothing
    {
        let caller = found.unwrap_or_else(|_| Caller::nobody());
        return Ok((caller, rule.effect));
    }
    let caller = found.map_err(|(caller, problem)| Refusal {
        caller,
        problem,
        allow: None,
    })?;
    let rule = match verdict {
        Verdict::Rule(rule) => rule,
        Verdict::NoRoute => return Ok((caller, Effect::Reads)),
        Verdict::WrongMethod => return Err(wrong_method(&caller, visit)),
    };
    rule.check(&caller, visit.param("team"))
        .and_then(|()| within_reach(app, &caller, rule.touches, visit))
        .map_err(|problem| Refusal::new(&caller, problem))?;
    Ok((caller, rule.effect))
}

fn wrong_method(caller: &Caller, visit: &Visit) -> Refusal {
    let path: String = visit.uri.path().chars().take(200).collect();
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        format!(
            "`{path}` does not take {}; `GET /openapi.json` lists what it takes",
            visit.method
        ),
    );
    let methods = policy::methods(visit.route().unwrap_or_default());
    Refusal {
        allow: HeaderValue::from_str(&methods).ok(),
        ..Refusal::new(caller, problem)
    }
}

fn within_reach(
    app: &App,
    caller: &Caller,
    touches: Touches,
    visit: &Visit,
) -> Result<(), Problem> {
    if !caller.is_restricted() {
        return Ok(());
    }
    let named = |part| visit.param(part).unwrap_or_default();
    match touches {
        Touches::Nothing | Touches::Handler => Ok(()),
        Touches::Dataset(part) => caller.may_use_dataset(named(part)),
        Touches::Index(part) => reach::may_use_index(app, caller, named(part)),
        Touches::Everything => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "this key reaches some datasets and indexes only, and this route is about all of them; use a key without that restriction",
        )),
    }
}

/// The line of a change, which is handed over when the answer is known or the request is dropped.
struct Record {
    app: Arc<App>,
    visit: Visit,
    caller: String,
    effect: Effect,
    open: bool,
}

impl Record {
    fn new(app: &Arc<App>, visit: Visit, caller: String, effect: Effect) -> Self {
        Self {
            app: Arc::clone(app),
            visit,
            caller,
            open: effect != Effect::Reads,
            effect,
        }
    }

    async fn ended(&mut self, status: StatusCode) {
        let audit = &self.app.auth.audit;
        let was_open = std::mem::replace(&mut self.open, false);
        let event = || self.visit.event(&self.caller, Some(status.as_u16()), None);
        if matches!(status.as_u16(), 401 | 403) {
            // A handler found what is in the body to be out of reach.
            audit.refused(event());
            return;
        }
        if !was_open {
            return;
        }
        audit.note(event());
        if self.effect == Effect::ChangesRights && status.is_success() {
            audit.settled().await;
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.open {
            let event = self.visit.event(&self.caller, None, None);
            self.app.auth.audit.note(event);
        }
    }
}
