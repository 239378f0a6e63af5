//! Extractors of axum whose refusals are problem documents.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Request},
    http::StatusCode,
};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::problem::Problem;

/// A JSON body, an object; unknown fields are refused where the type says so.
#[derive(Debug)]
pub(crate) struct Json<T>(pub T);

/// A JSON body, an object, that may be left out.
#[derive(Debug)]
pub(crate) struct OptionalJson<T>(pub Option<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let bytes = whole(Request::from_parts(head.clone(), body), state).await?;
        let kept = Request::from_parts(head, Body::from(bytes.clone()));
        // That it says it is JSON, and is.
        let axum::Json(IgnoredAny) = axum::Json::from_request(kept, state).await?;
        read(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = whole(request, state).await?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(None));
        }
        read(&bytes).map(|value| Self(Some(value)))
    }
}

async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let bytes = Bytes::from_request(request, state).await;
    bytes.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::body_too_large(),
        status => Problem::new(status, "bad_body", format!("request body: {error}")),
    })
}

/// Serde would take an array for an object, its elements for the fields in the order of the program.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    if !is_object && serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        return Err(Problem::unprocessable(
            "bad_body",
            "request body: send a JSON object with the fields by name, `{...}`".to_owned(),
        ));
    }
    let axum::Json(value) = axum::Json::from_bytes(bytes)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn only_objects_are_taken() {
        let taken = |body: &str| read::<BTreeMap<String, u32>>(body.as_bytes());
        assert_eq!(taken(" {\"k\": 1}").expect("an object")["k"], 1);
        for body in ["[]", "[[\"k\", 1]]", "null", "1", "\"k\"", " true"] {
            let refused = taken(body).expect_err(body);
            assert!(refused.detail.contains("JSON object"), "{body}: {refused}");
        }
        let cut = taken("{\"k\": ").expect_err("cut short");
        assert!(cut.detail.contains("EOF"), "{cut}");
    }
}

/// The query string.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(crate) struct Query<T>(pub T);

/// Parts of the path.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(crate) struct Path<T>(pub T);
