//! Says of an answer that it rests on copies: the home bucket failed, and `rescue` had what was asked for.
//!
//! A copy may be older than what the home bucket holds, by what waits to be copied. Marked is what the
//! handler read before it answered. Not marked is what a task does later, and a body that is still being
//! read while it goes out.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use boathouse_storage::noting_rescue;

/// Header that stands on such an answer.
const HEADER: HeaderName = HeaderName::from_static("boathouse-served-from");

/// Marks answers that the rescue bucket has helped out with.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let (mut response, rescued) = noting_rescue(next.run(request)).await;
    if rescued {
        let headers = response.headers_mut();
        headers.insert(HEADER, HeaderValue::from_static("rescue"));
    }
    response
}
