//! Trials with the set that is asked for, and sets that do not fit the vectors of the index.

use std::fmt::Write as _;

use axum::{
    body::Body,
    http::{Request, request},
};
use boathouse_tuning::{EvalQuery, EvalSet, EvalSource, EvalSpec};
use boathouse_types::{Dimension, Metric};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::*;
use crate::{
    http,
    indexes::testing::{Quiet, succeeded},
    tasks::{TaskState, TaskView},
};

/// A host with an index of so many texts.
async fn world() -> Quiet {
    let host = Quiet::open().await;
    let mut csv = "id,text\n".to_owned();
    for row in 0..80 {
        let text = format!("ships of number {row} in harbour {}", row * 7 % 5);
        writeln!(csv, "{row},{text}").unwrap();
    }
    host.ingest("notes", "replace", csv).await;
    host.index("notes").await;
    host
}

fn post(path: &str, body: &Value) -> (request::Builder, Body) {
    let request = Request::post(path).header("content-type", "application/json");
    (request, Body::from(body.to_string()))
}

/// The task that a request starts, once it has ended.
async fn ended(host: &Quiet, path: &str, body: &Value) -> TaskView {
    let (request, body) = post(path, body);
    host.ended(request, body).await
}

async fn answer(host: &Quiet, (request, body): (request::Builder, Body)) -> (u16, Value) {
    let router = http::router(Arc::clone(&host.app));
    let answer = router.oneshot(request.body(body).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
    (status, serde_json::from_slice(&bytes.unwrap()).unwrap())
}

/// The best trial by the set of a query string, and why.
async fn best(host: &Quiet, query: &str) -> (u16, Value) {
    let path = format!("/vectors/trials/notes/best{query}");
    answer(host, (Request::get(path), Body::empty())).await
}

async fn make_set(host: &Quiet, name: &str) {
    let wish = json!({"index": "notes", "name": name, "queries": 40, "seed": 7});
    succeeded(&ended(host, "/vectors/evalsets", &wish).await);
}

async fn tried(host: &Quiet, wish: &Value) -> Value {
    let task = ended(host, "/vectors/trials/notes", wish).await;
    succeeded(&task);
    task.result["trial"].clone()
}

fn index(host: &Quiet) -> Arc<LiveIndex> {
    host.app.indexes.get("notes").unwrap()
}

#[tokio::test]
async fn trials_and_the_best_of_them_are_those_of_the_set_that_is_asked_for() {
    let host = world().await;
    make_set(&host, "hard").await;
    let plain = tried(&host, &json!({"ef_search": 40})).await;
    let hard = tried(&host, &json!({"ef_search": 60, "evalset": "hard"})).await;
    assert!(hard["evalset"].as_str().unwrap().starts_with("hard@"));
    for (query, expected) in [
        ("", &plain),
        ("?evalset=default", &plain),
        ("?evalset=hard&metric=recall", &hard),
    ] {
        let (status, best) = best(&host, query).await;
        assert_eq!(
            (status, &best["trial"]["id"]),
            (200, &expected["id"]),
            "{query}"
        );
    }
    let wish = json!({"strategy": "grid", "max_trials": 2, "evalset": "hard"});
    let (status, report) = answer(&host, post("/vectors/autotune/notes", &wish)).await;
    assert_eq!(status, 200, "{report}");
    let trials = report["trials"].as_array().unwrap();
    assert!(!trials.is_empty());
    assert!(
        trials
            .iter()
            .all(|trial| trial["evalset"] == hard["evalset"])
    );
    let (_, found) = best(&host, "").await;
    assert_eq!(found["trial"]["id"], plain["id"]);

    for name in ["default", "hard"] {
        tune_delete(&host, name).await;
        let (status, best) = best(&host, &format!("?evalset={name}")).await;
        assert_eq!(status, 200, "{best}");
        let own = best["trial"]["evalset"].as_str().unwrap();
        assert!(own.starts_with(&format!("{name}@")), "{own}");
        let reason = best["reason"].as_str().unwrap();
        assert!(reason.contains("is there no more"), "{reason}");
    }
}

async fn tune_delete(host: &Quiet, name: &str) {
    delete_evalset(&index(host), name).await.unwrap();
}

#[tokio::test]
async fn a_set_that_is_not_there_is_told_before_anything_begins() {
    let host = world().await;
    tried(&host, &json!({})).await;
    for (name, status, code) in [
        ("hard", 404, "not_found"),
        ("No name", 422, "invalid_input"),
    ] {
        let wish = json!({"evalset": name});
        for path in ["/vectors/trials/notes", "/vectors/autotune/notes"] {
            let (found, problem) = answer(&host, post(path, &wish)).await;
            assert_eq!(
                (found, &problem["code"]),
                (status, &json!(code)),
                "{problem}"
            );
        }
        let query = format!("?evalset={}", name.replace(' ', "%20"));
        let (found, problem) = best(&host, &query).await;
        assert_eq!(
            (found, &problem["code"]),
            (status, &json!(code)),
            "{problem}"
        );
    }
    make_set(&host, "hard").await;
    let (status, problem) = best(&host, "?evalset=hard").await;
    assert_eq!(
        (status, &problem["code"]),
        (404, &json!("no_comparable_trials"))
    );
}

#[tokio::test]
async fn given_queries_of_another_dimension_are_refused_at_once() {
    let host = world().await;
    let of_index = vec![0.5; index(&host).meta.dimension.get()];
    let wish = json!({"index": "notes", "vectors": [of_index, [0.5, 0.5, 0.5]]});
    let (status, problem) = answer(&host, post("/vectors/evalsets", &wish)).await;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid_input")));
    let told = problem["detail"].as_str().unwrap();
    for word in ["query 1", "3 components"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert_eq!(evalsets(&index(&host)).await.unwrap().evalsets.len(), 0);
}

/// A set for the index as somebody may have put it in its place.
async fn foreign(index: &LiveIndex, name: &str, change: impl FnOnce(&mut EvalSet)) {
    let spec = EvalSpec {
        k: 3,
        seed: 0,
        source: EvalSource::Drawn { queries: 5 },
    };
    let (name, stop) = (EvalSetName::new(name).unwrap(), CancellationToken::new());
    let mut set = EvalSet::make(name, &index.data, spec, &stop).await.unwrap();
    set.embedder_digest = Some(index.meta.embedder_digest.clone());
    change(&mut set);
    index.tuner.eval_sets().save(&set).await.unwrap();
}

fn in_three_dimensions(set: &mut EvalSet) {
    set.dimension = Dimension::new(3).unwrap();
    let query = |query: &EvalQuery| EvalQuery {
        vector: vec![0.5, 0.25, 1.0],
        ..query.clone()
    };
    set.queries = set.queries.iter().map(query).collect();
}

/// Every trial with the set fails for this reason, and none is written down.
async fn check_refused(host: &Quiet, name: &str, word: &str) {
    let wish = json!({"evalset": name});
    let task = ended(host, "/vectors/trials/notes", &wish).await;
    assert_eq!(task.state, TaskState::Failed, "{task:?}");
    let problem = task.error.unwrap();
    assert_eq!(problem.code, "unfit_evaluation_set", "{problem:?}");
    for word in [word, "make it anew", &format!("`{name}`")] {
        assert!(problem.detail.contains(word), "{word}: {problem:?}");
    }
    let (status, problem) = answer(host, post("/vectors/autotune/notes", &wish)).await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("unfit_evaluation_set"))
    );
    let journal = index(host).tuner.journal().read().await.unwrap();
    assert_eq!(journal.trials, []);
}

#[tokio::test]
async fn a_stored_set_that_does_not_fit_the_vectors_is_told_and_measures_nothing() {
    let host = world().await;
    let index = index(&host);
    for name in ["default", "other"] {
        foreign(&index, name, in_three_dimensions).await;
        check_refused(&host, name, "3 components").await;
        foreign(&index, name, |set| set.metric = Metric::L2).await;
        check_refused(&host, name, "by L2").await;
        // Rows beyond those of the index would be asked for.
        foreign(&index, name, |set| {
            set.vectors = 4_000;
            set.queries[0].truth = vec![3_999];
        })
        .await;
        check_refused(&host, name, "4000 vectors").await;
    }
    make_set(&host, "default").await;
    tried(&host, &json!({})).await;
}

#[tokio::test]
async fn after_another_model_queries_are_drawn_anew_for_the_default_set_only() {
    let host = world().await;
    let index = index(&host);
    let of_other = |set: &mut EvalSet| {
        in_three_dimensions(set);
        set.data_version = "before".to_owned();
        set.embedder_digest = Some("another".to_owned());
    };
    foreign(&index, "other", of_other).await;
    check_refused(&host, "other", "another model").await;
    foreign(&index, "default", of_other).await;
    let trial = tried(&host, &json!({})).await;
    assert_eq!(trial["metrics"]["eval_queries"], 5, "as many are drawn");
}
