//! `/vectors/trials` and `/vectors/autotune`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use boathouse_tuning::{AutotuneReport, Best, BestBy};
use boathouse_types::{Trial, VectorBackend};
use serde::{Deserialize, Serialize};

use crate::{
    extract::{Json, Path, Query},
    http::{
        AppState,
        tasks::{accepted, wants_task},
    },
    problem::Problem,
    tasks::TaskView,
    tune::{self, AutotuneSpec, TrialSpec},
};

/// Most trials of one page.
const MOST: usize = 1_000;

/// Which part of the journal, and how.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct JournalQuery {
    /// How many trials, 1 to 1,000; 100 when left out.
    #[serde(default = "hundred")]
    limit: usize,
    /// Where to go on: `next` of the page before.
    cursor: Option<usize>,
    /// `jsonl` for the whole journal, a trial a line.
    format: Option<String>,
}

fn hundred() -> usize {
    100
}

/// A page of a journal, oldest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct JournalPage {
    trials: Vec<Trial>,
    /// Trials in all.
    total: usize,
    /// Lines of the log that are no trial.
    malformed: u64,
    /// `cursor` of the next page; none on the last.
    next: Option<usize>,
}

/// How to choose the best.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct BestQuery {
    /// `pareto`, `recall` or `latency`.
    #[serde(default)]
    metric: BestBy,
    /// Among trials of the graph (`parquet`) or of a Lance table; of what serves when left out.
    backend: Option<VectorBackend>,
    /// Among trials with the evaluation set of this name, `default` when left out.
    evalset: Option<String>,
}

/// Read the journal.
#[utoipa::path(
    get, path = "/vectors/trials/{idx}", params(("idx" = String, Path), JournalQuery),
    responses((status = 200, body = JournalPage), (status = 404, body = Problem))
)]
pub(crate) async fn journal(
    State(app): AppState,
    Path(name): Path<String>,
    Query(query): Query<JournalQuery>,
) -> Result<Response, Problem> {
    let journal = app.indexes.get(&name)?.tuner.journal().read().await?;
    if !(1..=MOST).contains(&query.limit) {
        let must = format!("is {} and must be 1 to 1,000", query.limit);
        return Err(Problem::field("limit", "bad_query", must));
    }
    match query.format.as_deref() {
        None | Some("json") => {}
        Some("jsonl") => {
            let mut text = String::new();
            for trial in &journal.trials {
                text += &serde_json::to_string(trial).map_err(|error| Problem::internal(&error))?;
                text.push('\n');
            }
            return Ok(([(header::CONTENT_TYPE, "application/jsonl")], text).into_response());
        }
        Some(_) => {
            return Err(Problem::field(
                "format",
                "unknown_format",
                "must be `json` or `jsonl`",
            ));
        }
    }
    let (total, from) = (journal.trials.len(), query.cursor.unwrap_or(0));
    let trials: Vec<Trial> = journal
        .trials
        .into_iter()
        .skip(from)
        .take(query.limit)
        .collect();
    let end = from + trials.len();
    let page = JournalPage {
        trials,
        total,
        malformed: journal.malformed,
        next: (end < total).then_some(end),
    };
    Ok(axum::Json(page).into_response())
}

/// Run one configuration.
#[utoipa::path(
    post, path = "/vectors/trials/{idx}", params(("idx" = String, Path)), request_body = TrialSpec,
    responses((status = 202, body = TaskView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn run(
    State(app): AppState,
    Path(name): Path<String>,
    Json(spec): Json<TrialSpec>,
) -> Result<Response, Problem> {
    let index = app.indexes.get(&name)?;
    let config = tune::trial_config(&index, &spec)?;
    let set = tune::wanted_set(&index, spec.evalset.as_deref()).await?;
    let turn = index.take_turn()?;
    let worker = Arc::clone(&app);
    let task = app.tasks.start("trial", &name, |task| async move {
        let _turn = turn;
        let wish = (config, spec.note);
        let report = tune::run_trial(&worker, &index, wish, &set, &task).await?;
        serde_json::to_value(report).map_err(|error| Problem::internal(&error))
    });
    Ok(accepted(task))
}

/// Show the best trial.
#[utoipa::path(
    get, path = "/vectors/trials/{idx}/best", params(("idx" = String, Path), BestQuery),
    responses((status = 200, body = Best), (status = 404, body = Problem))
)]
pub(crate) async fn best(
    State(app): AppState,
    Path(name): Path<String>,
    Query(query): Query<BestQuery>,
) -> Result<axum::Json<Best>, Problem> {
    let index = app.indexes.get(&name)?;
    tune::best_trial(
        &app,
        &index,
        (query.metric, query.backend),
        query.evalset.as_deref(),
    )
    .await
    .map(axum::Json)
}

/// Try configurations until a budget ends. Answers with the report, or, with `Prefer: respond-async`,
/// with a task whose events are the trials.
#[utoipa::path(
    post, path = "/vectors/autotune/{idx}", params(("idx" = String, Path)), request_body = AutotuneSpec,
    responses((status = 200, body = AutotuneReport), (status = 202, body = TaskView), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn autotune(
    State(app): AppState,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(spec): Json<AutotuneSpec>,
) -> Result<Response, Problem> {
    let index = app.indexes.get(&name)?;
    let set = tune::wanted_set(&index, spec.evalset.as_deref()).await?;
    let request = tune::autotune_request(&app, &index, spec)?;
    let turn = index.take_turn()?;
    let worker = Arc::clone(&app);
    let task = app.tasks.start("autotune", &name, |task| async move {
        let _turn = turn;
        let report = tune::autotune(&worker, &index, request, &set, &task).await?;
        serde_json::to_value(report).map_err(|error| Problem::internal(&error))
    });
    if wants_task(&headers) {
        return Ok(accepted(task));
    }
    let ended = app.tasks.wait(&task.id).await?;
    match ended.error {
        Some(problem) => Err(problem),
        None => Ok(axum::Json(ended.result).into_response()),
    }
}
