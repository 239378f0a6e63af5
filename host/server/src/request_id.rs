//! The id of the request under way: made on arrival, shown in the answer, the log and every problem.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};

tokio::task_local! {
    static CURRENT: String;
}

/// Header that carries the id in an answer.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the request that this code runs for; empty outside one.
#[must_use]
pub(crate) fn current() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Lets work that outlives its request keep the request's id.
pub(crate) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(current(), work)
}

/// Gives the request an id and logs how it went.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let started = std::time::Instant::now();
    let mut response = CURRENT.scope(id.clone(), next.run(request)).await;
    tracing::info!(
        request_id = %id, %method, path, status = response.status().as_u16(),
        millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX), "request"
    );
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}
