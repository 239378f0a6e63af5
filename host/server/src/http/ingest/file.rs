//! `/ingest/file`: a file comes in as the body of a request, or is named by it (`origin.rs`).
//!
//! The body is written to a nameless file of the spool folder first, so that a slow client holds nothing but a
//! connection; the system takes that file back when the ingest ends, however it ends.

use std::{fs::File, sync::Arc};

use axum::{
    body::Body,
    extract::{FromRequest as _, Multipart, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use boathouse_ingest::{
    FileFormat, FileInput, FileOptions, IngestMode, IngestRequest, OptionWords, ingest_file,
};
use boathouse_types::{BucketName, DatasetName};
use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;

use crate::{
    app::App,
    auth::Caller,
    extract::Query,
    http::{
        AppState,
        ingest::{origin::find, start},
        tasks::accepted,
    },
    problem::Problem,
    tasks::TaskView,
};

/// What to ingest the body as.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileQuery {
    /// Name of the dataset.
    dataset: DatasetName,
    /// Where the file is, if it is not in the body: `bucket:{name}/{path}`, of which the last part may hold one
    /// `*`, or `file:{absolute path}` below a folder of `ingest.folders`.
    from: Option<String>,
    /// Told from the content when left out.
    format: Option<FileFormat>,
    /// `none`, `gzip`, `zstd`, `bzip2` or `lz4`; told from the content when left out.
    compression: Option<String>,
    /// Encoding of a text without a byte order mark, for example `windows-1252`; UTF-8 when left out.
    encoding: Option<String>,
    /// Of CSV: one character, `tab`, `comma`, `semicolon`, `pipe` or `space`; found when left out.
    delimiter: Option<String>,
    /// Of CSV: one character or `none`; found when left out.
    quote: Option<String>,
    /// Of CSV: a character before quotes inside quotes; `none`: they are doubled; found when left out.
    escape: Option<String>,
    /// Of CSV: `yes` or `no`; found when left out.
    header: Option<String>,
    /// Of CSV: a character with which lines begin that are passed over.
    comment: Option<String>,
    /// Of CSV: lines before the table.
    skip_lines: Option<u64>,
    /// Of CSV: spellings of null, separated by commas; empty fields when left out.
    null: Option<String>,
    /// Types of columns of a text: `name:type,name:type` or JSON; found when left out.
    schema: Option<String>,
    /// Whether the rows replace or follow those there are.
    #[serde(default)]
    mode: IngestMode,
    /// Bucket of a new dataset; `primary` when left out.
    bucket: Option<BucketName>,
    /// What to call the file in messages and lineage.
    label: Option<String>,
}

impl FileQuery {
    fn words(&self) -> OptionWords {
        OptionWords {
            compression: self.compression.clone(),
            encoding: self.encoding.clone(),
            delimiter: self.delimiter.clone(),
            quote: self.quote.clone(),
            escape: self.escape.clone(),
            header: self.header.clone(),
            comment: self.comment.clone(),
            skip_lines: self.skip_lines,
            null: self.null.clone(),
            schema: self.schema.clone(),
        }
    }
}

/// Ingest the body, raw or as the one file of a form, or a file that is somewhere else.
#[utoipa::path(
    post, path = "/ingest/file", params(FileQuery), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 202, body = TaskView), (status = 403, body = Problem), (status = 413, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn file(
    State(app): AppState,
    caller: Caller,
    Query(query): Query<FileQuery>,
    request: Request,
) -> Result<Response, Problem> {
    caller.may_use_dataset(query.dataset.as_str())?;
    if let Some(bucket) = &query.bucket {
        app.bucket_table.get(bucket)?;
    }
    let options = FileOptions::parse(&query.words())?;
    let (input, name) = match &query.from {
        Some(from) => (find(&app, &caller, from).await?, Some(from.clone())),
        None => {
            let (file, name) = spool(&app, request).await?;
            (FileInput::File(Arc::new(file)), name)
        }
    };
    let context = app.ingest_context(&query.dataset);
    let request = IngestRequest {
        label: query.label.or(name).unwrap_or_else(|| "upload".to_owned()),
        dataset: query.dataset,
        bucket: query.bucket,
        input,
        format: query.format,
        mode: query.mode,
        system: "file",
        digest: None,
        options,
    };
    let dataset = request.dataset.clone();
    let task = start(&app, &dataset, |progress, cancel| async move {
        ingest_file(&context, request, progress, cancel).await
    });
    Ok(accepted(task))
}

/// Writes the body to a file, and tells the name that a form gives it.
async fn spool(app: &App, request: Request) -> Result<(File, Option<String>), Problem> {
    let most = app.config.server.max_upload_bytes;
    if declared(request.headers()).is_some_and(|bytes| bytes > most) {
        return Err(too_large(most));
    }
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("multipart/form-data"));
    if !is_form {
        let body = Body::into_data_stream(request.into_body());
        return Ok((
            write(app, body.map_err(|error| broken_off(&error))).await?,
            None,
        ));
    }
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad_form", error.body_text()))?;
    let mut found = None;
    while let Some(field) = form
        .next_field()
        .await
        .map_err(|error| broken_off(&error))?
    {
        let Some(name) = field.file_name().map(str::to_owned) else {
            continue;
        };
        if found.is_some() {
            return Err(Problem::unprocessable(
                "two_files",
                "the form holds more than one file; send each in a request of its own",
            ));
        }
        let file = write(app, field.map_err(|error| broken_off(&error))).await?;
        found = Some((file, Some(name)));
    }
    found.ok_or_else(|| {
        Problem::unprocessable(
            "no_file",
            "the form holds no file; add one field with a file name",
        )
    })
}

async fn write(
    app: &App,
    body: impl Stream<Item = Result<Bytes, Problem>>,
) -> Result<File, Problem> {
    let most = app.config.server.max_upload_bytes;
    let full = |source: std::io::Error| {
        tracing::error!(%source, "the spool folder cannot be written");
        Problem::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "spool_failed",
            "the upload cannot be kept on this host's disk; make room in its data folder",
        )
    };
    let file = tempfile::tempfile_in(&app.spool).map_err(full)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut body = std::pin::pin!(body);
    let mut written = 0;
    while let Some(bytes) = body.try_next().await? {
        written += bytes.len() as u64;
        if written > most {
            return Err(too_large(most));
        }
        file.write_all(&bytes).await.map_err(full)?;
    }
    file.flush().await.map_err(full)?;
    Ok(file.into_std().await)
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn too_large(most: u64) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("an upload may have {most} bytes; split the file or raise server.max_upload_bytes"),
    )
}

fn broken_off(error: &dyn std::error::Error) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "upload_broken_off",
        format!("the upload ended early: {error}"),
    )
}
