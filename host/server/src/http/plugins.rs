//! `/plugins`: what there is, and how a version comes in.

use std::time::{Duration, Instant};

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use boathouse_plugins::{KindLimits, PluginHostConfig};
use boathouse_types::PluginKind;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};

use crate::{
    auth::Caller,
    extract::{Path, Query},
    http::AppState,
    plugins::{
        CheckedVersion, PluginId, PluginView, Upload, Uploaded, VersionView, Wish, parse_version,
    },
    problem::Problem,
};

pub(crate) mod events;
pub(crate) mod life;

/// The plugins of this host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PluginList {
    /// Every version of every plugin, oldest upload first.
    plugins: Vec<VersionView>,
    /// Bounds on every plugin of a kind and every call of it.
    limits: KindLimits,
    /// Bounds on all calls together and on compiling.
    sandbox: PluginHostConfig,
}

/// Which version an upload is.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadQuery {
    /// Semantic version; what the component says of itself when left out. Both must agree.
    version: Option<String>,
}

/// List plugins with their limits.
#[utoipa::path(get, path = "/plugins", responses((status = 200, body = PluginList)))]
pub(crate) async fn list(State(app): AppState) -> Json<PluginList> {
    let sandbox = app.config.plugins.sandbox.clone();
    Json(PluginList {
        plugins: app.plugins.versions(),
        limits: sandbox.limits.clone(),
        sandbox,
    })
}

/// Show a plugin with all its versions.
#[utoipa::path(
    get, path = "/plugins/{kind}/{team}/{name}",
    params(("kind" = PluginKind, Path), ("team" = String, Path), ("name" = String, Path)),
    responses(
        (status = 200, body = PluginView, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 404, body = Problem)
    )
)]
pub(crate) async fn show(
    State(app): AppState,
    Path((kind, team, name)): Path<(PluginKind, String, String)>,
) -> Result<Response, Problem> {
    let view = app.plugins.view(&PluginId::new(kind, &team, &name)?)?;
    Ok(tagged(&view.etag.clone(), view))
}

/// Show a version with the report of its checks.
#[utoipa::path(
    get, path = "/plugins/{kind}/{team}/{name}/versions/{version}",
    params(("kind" = PluginKind, Path), ("team" = String, Path), ("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = CheckedVersion), (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn version(
    State(app): AppState,
    Path((kind, team, name, version)): Path<(PluginKind, String, String, String)>,
) -> Result<Json<CheckedVersion>, Problem> {
    let id = PluginId::new(kind, &team, &name)?;
    let version = parse_version(&version)?;
    app.plugins.checked(&id, &version).await.map(Json)
}

/// Upload a version: the component as the body. It is stored when it passes every check.
#[utoipa::path(
    post, path = "/plugins/{kind}/{team}/{name}/versions",
    params(
        ("kind" = PluginKind, Path), ("team" = String, Path), ("name" = String, Path), UploadQuery,
        ("X-Boathouse-Signature" = Option<String>, Header, description = "The team's ed25519 signature over the SHA-256 of the body, in base64")
    ),
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses(
        (status = 201, body = CheckedVersion, headers(("Location" = String, description = "The version"))),
        (status = 200, body = CheckedVersion, description = "These bytes are there already"),
        (status = 403, body = Problem), (status = 408, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
        (status = 422, body = Problem, description = "`check_failed`, with a `report`"), (status = 503, body = Problem)
    )
)]
pub(crate) async fn upload(
    State(app): AppState,
    caller: Caller,
    Path((kind, team, name)): Path<(PluginKind, String, String)>,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> Result<Response, Problem> {
    caller.may_write_plugins(&team)?;
    let id = PluginId::new(kind, &team, &name)?;
    let version = query.version.as_deref().map(parse_version).transpose()?;
    let most = app.config.plugins.sandbox.limits.of(kind).component_bytes;
    let _place = app.plugins.room_for_upload()?;
    let headers = request.headers().clone();
    let bytes = body(request, most).await?;
    let mut upload = Upload::new(id, version, bytes, caller.name()).await;
    upload.signature = app
        .auth
        .signatures
        .verify(&team, &upload.digest, &headers)?;
    let (status, stored) = match app.plugins.upload(upload).await? {
        Uploaded::New(stored) => (StatusCode::CREATED, stored),
        Uploaded::Known(stored) => (StatusCode::OK, stored),
    };
    let place = format!(
        "/plugins/{kind}/{}/versions/{}",
        stored.version.name, stored.version.version
    );
    let mut response = (status, Json(stored)).into_response();
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// How long an upload may take beyond what its bytes take at [`LEAST_RATE`].
const GRACE: Duration = Duration::from_secs(10);
/// Bytes a second that an upload brings at least. Slower ones are cut off, since only a few are taken at once.
const LEAST_RATE: u64 = 16 << 10;

/// The body, at most so many bytes; a longer one is refused by its declared length, or as soon as it shows.
async fn body(request: Request, most: u64) -> Result<Bytes, Problem> {
    let declared = header(request.headers(), &header::CONTENT_LENGTH);
    if declared.is_some_and(|length| length.parse().is_ok_and(|length: u64| length > most)) {
        return Err(too_large(most));
    }
    let mut stream = Body::into_data_stream(request.into_body());
    let mut bytes = BytesMut::new();
    let began = Instant::now();
    let next = async |stream: &mut axum::body::BodyDataStream, so_far: usize| {
        let due = began + GRACE + Duration::from_secs(so_far as u64 / LEAST_RATE);
        let part = tokio::time::timeout_at(due.into(), stream.try_next()).await;
        part.map_err(|_| too_slow())?.map_err(|error| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "upload_broken_off",
                format!("the upload ended early: {error}"),
            )
        })
    };
    while let Some(part) = next(&mut stream, bytes.len()).await? {
        if (bytes.len() + part.len()) as u64 > most {
            return Err(too_large(most));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.freeze())
}

fn too_slow() -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "upload_too_slow",
        format!(
            "the upload brought less than {LEAST_RATE} bytes a second; send the component in one go"
        ),
    )
}

fn too_large(most: u64) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "component_too_large",
        format!(
            "a component of this kind may have {most} bytes; strip it and build it for size, or raise plugins.sandbox.limits.*.component_bytes"
        ),
    )
}

fn header<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Who wants a change, and at which revision: `If-Match` with what `ETag` said, or `*`.
///
/// # Errors
/// 422 `bad_if_match` for anything else.
pub(crate) fn wish(caller: &Caller, headers: &HeaderMap) -> Result<Wish, Problem> {
    let expected = match headers.get(header::IF_MATCH) {
        None => None,
        Some(value) if value == "*" => None,
        Some(value) => Some(revision(value).ok_or_else(|| {
            Problem::unprocessable(
                "bad_if_match",
                "`If-Match` must be the `ETag` of the plugin, quotes included, or `*`",
            )
        })?),
    };
    Ok(Wish {
        by: caller.name().to_owned(),
        expected,
    })
}

fn revision(value: &HeaderValue) -> Option<u64> {
    let digits = value.to_str().ok()?.trim();
    digits.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// An answer with its `ETag`.
pub(crate) fn tagged(etag: &str, body: impl Serialize) -> Response {
    let mut response = Json(body).into_response();
    if let Ok(etag) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::IF_MATCH,
            HeaderValue::from_str(value).expect("header"),
        );
        let wish = wish(&Caller::anonymous(), &headers).expect(value);
        assert_eq!(wish.expected, expected, "{value}");
    }

    #[test]
    fn a_revision_is_expected_as_it_was_told() {
        check("\"7\"", Some(7));
        check("*", None);
        for bad in ["7", "\"7", "W/\"7\"", "\"x\"", "\"1\", \"2\""] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, HeaderValue::from_static(bad));
            let problem = wish(&Caller::anonymous(), &headers).expect_err(bad);
            assert_eq!(
                (problem.status, problem.code.as_str()),
                (422, "bad_if_match")
            );
        }
        let none = wish(&Caller::anonymous(), &HeaderMap::new()).expect("none");
        assert_eq!((none.expected, none.by.as_str()), (None, "anonymous"));
    }

    #[tokio::test]
    async fn a_body_is_refused_by_its_declared_length_and_by_its_real_one() {
        let request = |length: Option<&str>, bytes: &'static [u8]| {
            let mut request = Request::new(Body::from(bytes));
            if let Some(length) = length {
                let length = HeaderValue::from_str(length).expect("header");
                request.headers_mut().insert(header::CONTENT_LENGTH, length);
            }
            request
        };
        let declared = body(request(Some("1073741824"), b""), 4)
            .await
            .expect_err("declared");
        let real = body(request(None, b"12345"), 4).await.expect_err("real");
        for problem in [declared, real] {
            assert_eq!(
                (problem.status, problem.code.as_str()),
                (413, "component_too_large")
            );
        }
        assert_eq!(
            body(request(Some("4"), b"1234"), 4).await.expect("fits"),
            "1234"
        );
        assert_eq!(body(request(None, b""), 4).await.expect("empty"), "");
    }
}
