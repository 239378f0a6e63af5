//! `/ingest/db`, `/ingest/mysql` and `/ingest/jobs`: tables and queries of databases.
//!
//! A connection text is taken in clear, used, and neither kept nor shown. A text that refers to the host's
//! own environment or files is another matter: whoever may name any of them could aim the host's secrets at a
//! server of their own, so that takes the scope `admin`, or a reference that the configuration lists. So does a
//! text that names a Unix socket, which lets in the user that the host runs as, or a file of certificates.

use std::{num::NonZeroUsize, sync::Arc};

use axum::{Json, extract::State, http::StatusCode, response::Response};
use boathouse_ingest::{
    Dsn, IngestMode, JobInfo, JobSpec, TableRead, TableRequest, TableSource, TableSystem, TlsMode,
    TypeMode, ValuePolicy, ingest_table,
};
use boathouse_storage::SecretRef;
use boathouse_types::{BucketName, DatasetName};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IntoDeserializer as _, value::Error as NoSuchWord},
};

use crate::{
    app::App,
    auth::{Caller, Scope},
    extract,
    http::{AppState, ingest::start, tasks::accepted},
    problem::Problem,
    tasks::TaskView,
};

/// Connections that read side by side where nobody says how many.
const PARALLEL: NonZeroUsize = NonZeroUsize::new(4).unwrap();
/// Most connections that may be asked for.
const MOST_PARALLEL: usize = 16;
/// Longest query or name of a table, in bytes.
const MOST_TEXT: usize = 1 << 20;
/// Letters of a wrong word that an answer repeats.
const MOST_REPEATED: usize = 40;

/// What to read of a database, and into what.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableSpec {
    /// Where the database is and how to get in: a URL, `key=value` pairs (Postgres), or a reference to the
    /// host's own environment or files, `env:NAME` or `file:/absolute/path`, for who may use it.
    #[schema(format = Password)]
    dsn: String,
    /// The table or view, `table` or `schema.table`; this or `query`.
    table: Option<String>,
    /// One `SELECT`; this or `table`.
    query: Option<String>,
    /// Name of the dataset.
    dataset: DatasetName,
    /// Whether the rows replace or follow those there are; `append` when left out with a job, else `replace`.
    #[schema(value_type = Option<IngestMode>)]
    mode: Option<String>,
    /// Bucket of a new dataset; `primary` when left out.
    bucket: Option<BucketName>,
    /// Which types the columns get.
    #[serde(default)]
    #[schema(value_type = TypeMode)]
    types: Option<String>,
    /// What happens to a value that its type cannot hold.
    #[serde(default)]
    #[schema(value_type = ValuePolicy)]
    out_of_range: Option<String>,
    /// Most connections that read side by side: 1 to 16, 4 when left out.
    #[schema(value_type = Option<u8>, minimum = 1, maximum = 16)]
    parallel: Option<NonZeroUsize>,
    /// How the connection is protected.
    #[serde(default)]
    #[schema(value_type = TlsMode)]
    tls: Option<String>,
    /// Only what is new since the job's last run.
    job: Option<JobSpec>,
}

/// The jobs that fill datasets of this host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct JobList {
    jobs: Vec<JobInfo>,
}

/// Ingest a table or query of PostgreSQL.
#[utoipa::path(
    post, path = "/ingest/db", request_body = TableSpec,
    responses((status = 202, body = TaskView), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn postgres(
    State(app): AppState,
    caller: Caller,
    extract::Json(spec): extract::Json<TableSpec>,
) -> Result<Response, Problem> {
    begin(&app, &caller, TableSystem::Postgres, spec).await
}

/// Ingest a table or query of MySQL or MariaDB.
#[utoipa::path(
    post, path = "/ingest/mysql", request_body = TableSpec,
    responses((status = 202, body = TaskView), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn mysql(
    State(app): AppState,
    caller: Caller,
    extract::Json(spec): extract::Json<TableSpec>,
) -> Result<Response, Problem> {
    begin(&app, &caller, TableSystem::Mysql, spec).await
}

/// List the jobs that bring rows of databases again and again.
#[utoipa::path(get, path = "/ingest/jobs", responses((status = 200, body = JobList)))]
pub(crate) async fn jobs(
    State(app): AppState,
    caller: Caller,
) -> Result<axum::Json<JobList>, Problem> {
    let datasets = app.datasets.list().await?;
    let mut jobs = app.jobs.list(&datasets).await?;
    jobs.retain(|job| caller.reaches_dataset(job.dataset.as_str()));
    Ok(Json(JobList { jobs }))
}

/// Starts an ingest, or refuses what can be told to be wrong at once.
async fn begin(
    app: &Arc<App>,
    caller: &Caller,
    system: TableSystem,
    spec: TableSpec,
) -> Result<Response, Problem> {
    caller.may_use_dataset(spec.dataset.as_str())?;
    if let Some(bucket) = &spec.bucket {
        app.bucket_table.get(bucket)?;
    }
    let dsn = dsn(app, caller, system, &spec.dsn)?;
    let (request, job) = spec.request()?;
    let this = Arc::clone(app);
    // A client that goes away between a turn and its task would leave a job that nobody runs.
    let background = app.tasks.background();
    background
        .settle(async move { Ok(accepted(run(&this, system, dsn, request, job).await?)) })
        .await
}

async fn run(
    app: &Arc<App>,
    system: TableSystem,
    dsn: Dsn,
    mut request: TableRequest,
    job: Option<JobSpec>,
) -> Result<TaskView, Problem> {
    let dataset = request.dataset.clone();
    if let Some(job) = job {
        request.job = Some(app.jobs.begin(&dataset, job).await?);
    }
    let context = app.ingest_context(&dataset);
    Ok(start(app, &dataset, move |progress, cancel| async move {
        ingest_table(&context, system, &dsn, request, progress, cancel).await
    }))
}

/// The connection text itself, or what it refers to where the caller may use that.
fn dsn(app: &App, caller: &Caller, system: TableSystem, text: &str) -> Result<Dsn, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::field("dsn", "bad_dsn", "it is empty"));
    }
    if !text.starts_with("env:") && !text.starts_with("file:") {
        let dsn = Dsn::new(text);
        if system.uses_this_machine(&dsn) && !caller.has(&Scope::Admin) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "dsn_reference_forbidden",
                "this connection text names a Unix socket or a file of this machine, and this key does not have the scope `admin`; use host and port, or have the text listed as a reference in ingest.dsn_references",
            ));
        }
        return Ok(dsn);
    }
    let reference: SecretRef = text.parse().map_err(|_| {
        let detail = "a reference is `env:NAME` or `file:/absolute/path`";
        Problem::field("dsn", "bad_dsn", detail)
    })?;
    let is_listed = app.config.ingest.dsn_references.contains(&reference);
    if !is_listed && !caller.has(&Scope::Admin) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "dsn_reference_forbidden",
            "this reference is not listed in ingest.dsn_references, and this key does not have the scope `admin`; have it listed, or send the connection text itself",
        ));
    }
    let secret = reference.resolve(&|name| app.environment.get(name).cloned());
    let secret = secret.map_err(|error| Problem::field("dsn", "bad_dsn", error.to_string()))?;
    Ok(Dsn::new(&secret))
}

impl TableSpec {
    /// What the body asks for, as far as that can be told without a database.
    fn request(self) -> Result<(TableRequest, Option<JobSpec>), Problem> {
        let parallel = self.parallel.unwrap_or(PARALLEL);
        if parallel.get() > MOST_PARALLEL {
            let detail = format!("must be 1 to {MOST_PARALLEL}");
            return Err(Problem::field("parallel", "out_of_bounds", detail));
        }
        let said = word("mode", self.mode.as_deref(), &IngestMode::NAMES)?;
        let mode = match (said, &self.job) {
            (Some(mode), _) => mode,
            (None, Some(_)) => IngestMode::Append,
            (None, None) => IngestMode::Replace,
        };
        if let Some(job) = &self.job {
            check_job(job)?;
        }
        let request = TableRequest {
            dataset: self.dataset,
            bucket: self.bucket,
            mode,
            read: TableRead {
                source: source(self.table, self.query)?,
                types: word("types", self.types.as_deref(), &TypeMode::NAMES)?.unwrap_or_default(),
                out_of_range: word(
                    "out_of_range",
                    self.out_of_range.as_deref(),
                    &ValuePolicy::NAMES,
                )?
                .unwrap_or_default(),
                parallel,
                tls: word("tls", self.tls.as_deref(), &TlsMode::NAMES)?.unwrap_or_default(),
                window: None,
            },
            job: None,
        };
        Ok((request, self.job))
    }
}

/// What a word stands for, which must be one of those that a field takes.
fn word<T: DeserializeOwned>(
    field: &str,
    said: Option<&str>,
    names: &[&str],
) -> Result<Option<T>, Problem> {
    let Some(said) = said else {
        return Ok(None);
    };
    let told = T::deserialize(said.into_deserializer());
    told.map(Some).map_err(|_: NoSuchWord| {
        let repeated: String = said.chars().take(MOST_REPEATED).collect();
        let more = if repeated.len() < said.len() {
            "…"
        } else {
            ""
        };
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        let detail = format!(
            "`{}{more}` is none of {}",
            repeated.escape_debug(),
            names.join(", ")
        );
        Problem::field(field, "bad_option", detail)
    })
}

fn source(table: Option<String>, query: Option<String>) -> Result<TableSource, Problem> {
    let (field, source) = match (table, query) {
        (Some(table), None) => ("table", TableSource::Table(table)),
        (None, Some(query)) => ("query", TableSource::Query(query)),
        _ => {
            let detail = "name a table or give a query, one of the two";
            return Err(Problem::field("table", "bad_source", detail));
        }
    };
    let (TableSource::Table(text) | TableSource::Query(text)) = &source;
    if text.trim().is_empty() || text.len() > MOST_TEXT || text.contains('\0') {
        let detail = format!("must have 1 to {MOST_TEXT} bytes, none of them zero");
        return Err(Problem::field(field, "bad_source", detail));
    }
    Ok(source)
}

fn check_job(job: &JobSpec) -> Result<(), Problem> {
    if job.column.is_empty() || job.key.as_ref().is_some_and(String::is_empty) {
        let detail = "name the column that grows, and a key or none";
        return Err(Problem::field("job.column", "bad_job", detail));
    }
    if job.key.as_ref() == Some(&job.column) {
        let detail = "is the column itself; leave it out, or name one that tells equal rows apart";
        return Err(Problem::field("job.key", "bad_job", detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(more: Value) -> Result<(TableRequest, Option<JobSpec>), Problem> {
        let mut body = json!({"dsn": "postgres://h/d", "dataset": "d"});
        let fields = more.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(fields);
        serde_json::from_value::<TableSpec>(body)
            .expect("a body")
            .request()
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let (request, job) = spec(json!({"table": "t"})).expect("a request");
        assert_eq!((request.mode, job.is_none()), (IngestMode::Replace, true));
        assert_eq!(request.read.parallel.get(), 4);
        assert_eq!(request.read.types, TypeMode::Exact);
        let job = json!({"name": "nightly", "column": "updated_at"});
        let (request, job) = spec(json!({"query": "SELECT 1", "job": job})).expect("a request");
        assert_eq!(request.mode, IngestMode::Append);
        assert_eq!(job.map(|job| job.lag), Some(0));
    }

    #[test]
    fn every_word_that_is_named_is_taken_and_no_other() {
        fn check<T: DeserializeOwned + Serialize>(names: &[&str]) {
            for name in names {
                let taken = word::<T>("f", Some(name), names).expect("a word");
                assert_eq!(serde_json::to_value(taken).expect("JSON"), *name);
            }
            assert!(word::<T>("f", Some(""), names).is_err());
            assert!(word::<T>("f", None, names).expect("nothing").is_none());
        }
        check::<IngestMode>(&IngestMode::NAMES);
        check::<TypeMode>(&TypeMode::NAMES);
        check::<ValuePolicy>(&ValuePolicy::NAMES);
        check::<TlsMode>(&TlsMode::NAMES);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_field() {
        let check = |more: Value, code: &str, field: &str| {
            let refused = spec(more).expect_err("refused");
            assert_eq!((refused.status, &*refused.code), (422, code));
            assert!(refused.detail.starts_with(field), "{refused}");
        };
        check(json!({}), "bad_source", "table");
        check(json!({"table": "t", "query": "q"}), "bad_source", "table");
        check(json!({"query": " "}), "bad_source", "query");
        check(
            json!({"table": "t", "parallel": 17}),
            "out_of_bounds",
            "parallel",
        );
        for (field, names) in [
            ("mode", "`replace`, `append`"),
            ("types", "`exact`, `portable`"),
            ("out_of_range", "`error`, `null`"),
            ("tls", "`disable`, `prefer`, `require`, `verify-full`"),
        ] {
            let refused = spec(json!({"table": "t", field: "maybe"})).expect_err("refused");
            assert_eq!(
                refused.detail,
                format!("{field}: `maybe` is none of {names}")
            );
            assert_eq!((refused.status, &*refused.code), (422, "bad_option"));
            assert_eq!(refused.errors[0].field, field);
        }
        let long = "é".repeat(41);
        let refused = spec(json!({"table": "t", "tls": long})).expect_err("refused");
        assert!(refused.detail.contains("é…` is none"), "{refused}");
        let job = |key: &str| json!({"name": "j", "column": "a", "key": key});
        check(json!({"table": "t", "job": job("a")}), "bad_job", "job.key");
        check(
            json!({"table": "t", "job": job("")}),
            "bad_job",
            "job.column",
        );
    }
}
