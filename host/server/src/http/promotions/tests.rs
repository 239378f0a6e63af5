//! A change of what serves comes to its end, whoever waits for it.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use boathouse_types::ManualClock;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::*;
use crate::{
    config::{Config, Environment},
    http,
    tasks::TaskState,
};

/// A host without loops.
async fn open(folder: &TempDir) -> Arc<App> {
    let mut config = Config::default();
    config.server.data = folder.path().to_owned();
    config.vectors.eval_queries = 20;
    config.vectors.threads = 1;
    let clock = Arc::new(ManualClock::at(1_800_000_000_000));
    let app = App::open_with(config, &Environment::default(), clock).await;
    app.expect("opened")
}

/// Posts, waits for the task and gives its result.
async fn done(app: &Arc<App>, path: &str, kind: &str, body: String) -> Value {
    let request = Request::post(path)
        .header("content-type", kind)
        .header("prefer", "respond-async");
    let request = request.body(Body::from(body)).expect("a request");
    let answer = http::router(Arc::clone(app)).oneshot(request).await;
    let body = answer.expect("an answer").into_body();
    let bytes = axum::body::to_bytes(body, usize::MAX)
        .await
        .expect("a body");
    let task: Value = serde_json::from_slice(&bytes).expect("json");
    let id = task["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{path}: {task}"));
    let ended = app.tasks.wait(id).await.expect("a task");
    assert_eq!(ended.state, TaskState::Succeeded, "{path}: {ended:?}");
    ended.result
}

/// Has a configuration serve that was promoted, in the place of the first one. Gives its trial.
async fn promoted(app: &Arc<App>) -> String {
    let json_kind = "application/json";
    let rows = (0..60).map(|row| format!("row-{row},boat {row} in harbour {}\n", row % 7));
    let csv = rows.fold("id,text\n".to_owned(), |csv, row| csv + &row);
    done(app, "/ingest/file?dataset=notes", "text/csv", csv).await;
    let spec = json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id",
        "objective": {"recall_floor": 0.1}});
    done(app, "/vectors/indexes", json_kind, spec.to_string()).await;
    let trial = json!({"ef_search": 77}).to_string();
    let report = done(app, "/vectors/trials/notes", json_kind, trial).await;
    let trial = report["trial"]["id"].as_str().expect("an id").to_owned();
    let wish = json!({"trial": trial, "force": true}).to_string();
    let promoted = done(app, "/vectors/promote/notes", json_kind, wish).await;
    assert_eq!(promoted["serving"]["config"]["ef_search"], 77);
    trial
}

#[tokio::test]
async fn a_rollback_whose_client_goes_away_comes_to_its_end() {
    let folder = tempfile::tempdir().expect("folder");
    let app = open(&folder).await;
    let trial = promoted(&app).await;
    let (state, path) = (State(Arc::clone(&app)), Path("notes".to_owned()));
    let mut asked = Box::pin(rollback(state, path, HeaderMap::new()));
    let begun = futures::poll!(asked.as_mut());
    assert!(begun.is_pending(), "it waits for the bucket");
    drop(asked);

    let tasks = app.tasks.list();
    let task = tasks.iter().find(|task| task.kind == "rollback");
    let ended = app.tasks.wait(&task.expect("a task").id).await;
    let ended = ended.expect("a task");
    assert_eq!(ended.state, TaskState::Succeeded, "{ended:?}");
    let index = app.indexes.get("notes").expect("it serves");
    assert_eq!(index.serving().served.trial, None);
    let history = index.tuner.promotions().history().await.expect("a history");
    assert_eq!(history.len(), 2);
    let replaced = history[1].replaced.as_ref().expect("what served");
    assert_eq!(replaced.trial, Some(trial));
    drop(index.take_turn().expect("the turn is free"));
}

#[tokio::test]
async fn a_rollback_answers_when_it_is_done_or_with_its_task() {
    let folder = tempfile::tempdir().expect("folder");
    let app = open(&folder).await;
    promoted(&app).await;
    let ask = |headers| {
        let (state, path) = (State(Arc::clone(&app)), Path("notes".to_owned()));
        rollback(state, path, headers)
    };
    let answer = ask(HeaderMap::new()).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let index = app.indexes.get("notes").expect("it serves");
    assert_eq!(index.serving().served.trial, None);
    let mut headers = HeaderMap::new();
    headers.insert("prefer", "respond-async".parse().expect("a value"));
    let answer = ask(headers).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let task = app
        .tasks
        .wait(&app.tasks.list()[0].id)
        .await
        .expect("a task");
    let refused = task.error.expect("nothing is left to take back");
    assert_eq!(refused.code, "nothing_to_roll_back");
}

#[tokio::test]
async fn nobody_waits_for_a_trial_to_go_back_or_to_force() {
    let folder = tempfile::tempdir().expect("folder");
    let app = open(&folder).await;
    let trial = promoted(&app).await;
    let index = app.indexes.get("notes").expect("it serves");
    let measuring = index.take_turn().expect("the turn");

    let (state, path) = (State(Arc::clone(&app)), Path("notes".to_owned()));
    let answer = rollback(state, path, HeaderMap::new()).await;
    assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
    assert_eq!(index.serving().served.trial, None);
    let wish = json!({"trial": trial, "force": true}).to_string();
    done(&app, "/vectors/promote/notes", "application/json", wish).await;
    assert_eq!(index.serving().served.trial, Some(trial.clone()));

    // Who moves, merges or deletes it is alone with it.
    drop(measuring);
    let alone = index.take_alone().expect("nobody is there");
    let (state, path) = (State(Arc::clone(&app)), Path("notes".to_owned()));
    let refused = rollback(state, path, HeaderMap::new()).await;
    assert_eq!(refused.expect_err("it is away").code, "index_busy");
    assert_eq!(index.serving().served.trial, Some(trial));
    drop(alone);
}

#[tokio::test]
async fn what_was_won_against_what_serves_no_more_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let app = open(&folder).await;
    promoted(&app).await;
    let index = app.indexes.get("notes").expect("it serves");
    let champion = index.serving();
    let uncancelled = CancellationToken::new();
    let back = promotion::rollback(&index, "test".to_owned(), &uncancelled).await;
    back.expect("it went back");
    let refused = promotion::check_unchanged(&index, &champion).expect_err("it changed");
    assert_eq!(refused.code, "index_busy");
    promotion::check_unchanged(&index, &index.serving()).expect("it did not");
}
