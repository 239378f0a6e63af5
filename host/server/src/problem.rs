//! Errors as RFC 9457 problem documents: the only module that turns an error into a response.
//!
//! A problem has a stable `code` for programs and a `detail` that tells a person what to do. What
//! went wrong inside (5xx) goes to the log under the request's id, not to the client. Credentials that a detail
//! quotes are hidden here, whoever wrote it.

use std::time::Duration;

use axum::{
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use boathouse_ingest::redact_dsn;
use boathouse_tuning::Evidence;
use boathouse_types::{BucketName, NameError};
use serde::{Deserialize, Serialize};

use crate::{buckets::Holds, request_id};

mod models;
mod rooms;

/// One error, as it goes to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    pub kind: String,
    /// HTTP status.
    pub status: u16,
    /// The status in words.
    pub title: String,
    /// Stable name of this problem, in snake_case.
    pub code: String,
    /// What is wrong and what to do, for a person.
    pub detail: String,
    /// The request that met it, as in the log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// Single fields that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// With `check_failed`: every check of the component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<boathouse_plugins::CheckReport>)]
    pub report: Option<Box<serde_json::Value>>,
    /// With `bucket_in_use`: what lives there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Box<Holds>>,
    /// With `not_better`: how the challenger did beside what serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<boathouse_tuning::Evidence>)]
    pub evidence: Option<Box<serde_json::Value>>,
    /// Seconds after which another try makes sense, in the header `Retry-After`; 1 where nothing is said of a 429 or 503.
    #[serde(skip)]
    pub retry_after_secs: Option<u32>,
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldProblem {
    /// Name of the field.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Problem {
    /// A problem with a stable code.
    #[must_use]
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or("error").to_owned(),
            code: code.to_owned(),
            // Whatever it quotes, it shows no credentials.
            detail: redact_dsn(&detail.into()),
            request_id: request_id::current(),
            errors: Vec::new(),
            report: None,
            holds: None,
            evidence: None,
            retry_after_secs: None,
        }
    }

    /// The same problem, with after how long another try makes sense.
    #[must_use]
    pub fn after(mut self, wait: Option<Duration>) -> Self {
        let seconds = |wait: Duration| u32::try_from(wait.as_secs().max(1)).unwrap_or(u32::MAX);
        self.retry_after_secs = wait.map(seconds);
        self
    }

    /// The same problem about a field that the client knows by another name.
    #[must_use]
    pub(crate) fn renamed(mut self, from: &str, to: &str) -> Self {
        if let Some(rest) = self.detail.strip_prefix(from) {
            self.detail = format!("{to}{rest}");
        }
        for error in self.errors.iter_mut().filter(|error| error.field == from) {
            error.field = to.to_owned();
        }
        self
    }

    /// The same problem with the duel behind it.
    #[must_use]
    pub fn with_evidence(mut self, evidence: &Evidence) -> Self {
        self.evidence = serde_json::to_value(evidence).ok().map(Box::new);
        self
    }

    /// The same problem with what stands in the way.
    #[must_use]
    pub fn with_holds(mut self, holds: Holds) -> Self {
        self.holds = Some(Box::new(holds));
        self
    }

    /// 404.
    #[must_use]
    pub fn not_found(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409.
    #[must_use]
    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422: understood, and wrong.
    #[must_use]
    pub fn unprocessable(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 422 about one field.
    #[must_use]
    pub fn field(field: &str, code: &str, detail: impl Into<String>) -> Self {
        let detail = redact_dsn(&detail.into());
        let mut problem = Self::unprocessable(code, format!("{field}: {detail}"));
        problem.errors.push(FieldProblem {
            field: field.to_owned(),
            detail,
        });
        problem
    }

    /// The same problem, as one about a field.
    #[must_use]
    pub fn about(mut self, field: &str) -> Self {
        self.errors.push(FieldProblem {
            field: field.to_owned(),
            detail: self.detail.clone(),
        });
        self
    }

    /// 413: a body that is not read to its end.
    #[must_use]
    pub fn body_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "the request body has more bytes than `server.max_body_bytes` of the host's configuration allows; send less, or raise that",
        )
    }

    /// 409: somebody asked the work to stop.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::conflict(
            "cancelled",
            "the work was cancelled; nothing of it is visible",
        )
    }

    /// 500: the cause goes to the log, its presence to the client.
    #[must_use]
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        let problem = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong inside; the log has it under this request's id",
        );
        tracing::error!(request_id = %problem.request_id, cause = %chain(cause), "internal error");
        problem
    }

    /// 503: a store behind the host does not answer as it should.
    #[must_use]
    pub fn storage(cause: &dyn std::error::Error) -> Self {
        Self::unavailable("a bucket", cause)
    }

    /// 503: the store of this bucket does not answer as it should.
    #[must_use]
    pub fn bucket(name: &BucketName, cause: &dyn std::error::Error) -> Self {
        Self::unavailable(&format!("bucket `{name}`"), cause)
    }

    fn unavailable(what: &str, cause: &dyn std::error::Error) -> Self {
        let problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "storage_unavailable",
            format!(
                "{what} could not be read or written; see the log and `GET /readyz`, then try again"
            ),
        );
        tracing::error!(request_id = %problem.request_id, cause = %chain(cause), "storage error");
        problem
    }
}

/// An error with its sources, on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let next = inner.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        source = inner.source();
    }
    text
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        // One that came up on a thread for computing knows of no request.
        if self.request_id.is_empty() {
            self.request_id = request_id::current();
        }
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        let wait = matches!(self.status, 429 | 503).then_some(1);
        if let Some(seconds) = self.retry_after_secs.or(wait) {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::unprocessable("bad_name", error.to_string())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => return Self::body_too_large(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "not_json",
            _ => "bad_body",
        };
        let text = rejection.body_text();
        let text = text
            .trim_start_matches("Failed to deserialize the JSON body into the target type: ")
            .trim_start_matches("Failed to parse the request body as JSON: ");
        let text = in_words(text);
        Self::new(rejection.status(), code, format!("request body: {text}"))
    }
}

/// What a type of the program is in words.
const TYPES: [(&str, &str); 9] = [
    ("expected usize", "expected a whole number from 0"),
    ("expected u64", "expected a whole number from 0"),
    ("expected u32", "expected a whole number from 0"),
    ("expected u16", "expected a whole number from 0"),
    ("expected u8", "expected a whole number from 0"),
    ("expected i64", "expected a whole number"),
    ("expected i32", "expected a whole number"),
    ("expected f64", "expected a number"),
    ("expected f32", "expected a number"),
];

/// A message of the parser without the names of types.
fn in_words(text: &str) -> String {
    let told = TYPES.iter().find(|(name, _)| text.contains(name));
    told.map_or_else(
        || text.to_owned(),
        |(name, words)| text.replace(name, words),
    )
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        let text = rejection.body_text();
        let text = text.trim_start_matches("Failed to deserialize query string: ");
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_query",
            format!("query string: {text}"),
        )
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        let text = rejection.body_text();
        let text = text.trim_start_matches("Invalid URL: ");
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_path",
            format!("path: {text}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn types_of_the_program_are_told_in_words() {
        for (told, shown) in [
            (
                "k: invalid value: integer `-1`, expected usize at line 1 column 7",
                "k: invalid value: integer `-1`, expected a whole number from 0 at line 1 column 7",
            ),
            (
                "invalid type: string \"x\", expected f32",
                "invalid type: string \"x\", expected a number",
            ),
            ("unknown field `kk`", "unknown field `kk`"),
        ] {
            assert_eq!(in_words(told), shown);
        }
    }
}
