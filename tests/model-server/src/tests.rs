//! That the double does what is said of it, in the words of its protocol.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tokio::time;

use crate::{Double, Fault, Kind, Model, Route, Settings};

fn double() -> Double {
    Double::new(Settings {
        models: vec![
            Model::new("a:latest", Kind::Answers, 8_000),
            Model::new("b:latest", Kind::Answers, 8_000),
            Model::new("e:latest", Kind::Embeds(4), 1_000),
        ],
        gpu_bytes: 20_000,
        ..Settings::default()
    })
}

async fn ask(double: &Double, path: &str, body: Option<Value>) -> (u16, String) {
    let body = body.map(|body| Bytes::from(body.to_string()));
    let (status, bits) = double.call(path, body).await.expect("an answer");
    let bits: Result<Vec<Bytes>, String> = bits.try_collect().await;
    let text = bits.map_or_else(
        |error| error,
        |bits| String::from_utf8(bits.concat()).expect("text"),
    );
    (status, text)
}

async fn generate(double: &Double, body: Value) -> (u16, Value) {
    let (status, text) = ask(double, "api/generate", Some(body)).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

async fn listed(double: &Double) -> Vec<String> {
    let (_, text) = ask(double, "api/ps", None).await;
    let list: Value = serde_json::from_str(&text).expect("json");
    let models = list["models"].as_array().expect("models").iter();
    models
        .map(|model| model["name"].as_str().expect("name").to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_load_takes_its_time_and_the_list_hangs_meanwhile() {
    let double = double();
    let began = time::Instant::now();
    let load = generate(&double, json!({"model": "a", "keep_alive": "5m"}));
    let list = async {
        time::sleep(Duration::from_millis(100)).await;
        listed(&double).await
    };
    let ((status, answer), list) = tokio::join!(load, list);
    assert_eq!((status, &answer["done_reason"]), (200, &json!("load")));
    assert_eq!(list, ["a:latest"]);
    assert!(began.elapsed() >= Duration::from_millis(800));
}

#[tokio::test(start_paused = true)]
async fn an_unload_is_answered_at_once_and_memory_comes_back_late() {
    let double = double();
    generate(&double, json!({"model": "a", "keep_alive": "5m"})).await;
    let began = time::Instant::now();
    let (_, answer) = generate(&double, json!({"model": "a", "keep_alive": 0})).await;
    assert_eq!(answer["done_reason"], "unload");
    assert!(began.elapsed() < Duration::from_millis(50));
    assert_eq!(listed(&double).await, ["a:latest"]);
    time::sleep(Duration::from_millis(250)).await;
    assert_eq!(listed(&double).await, [""; 0]);
    assert_eq!(double.used_bytes(), 8_000);
    time::sleep(Duration::from_millis(700)).await;
    assert_eq!(double.used_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_busy_model_goes_when_its_answer_has_ended() {
    let double = double();
    let body = Bytes::from(json!({"model": "a", "prompt": "hello"}).to_string());
    let (_, mut words) = double
        .call("api/generate", Some(body))
        .await
        .expect("words");
    words.next().await;
    generate(&double, json!({"model": "a", "keep_alive": 0})).await;
    time::sleep(Duration::from_secs(60)).await;
    assert_eq!(listed(&double).await, ["a:latest"]);
    drop(words);
    time::sleep(Duration::from_millis(250)).await;
    assert_eq!(listed(&double).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_load_goes_on_when_nobody_waits_for_it() {
    let double = double();
    let load = generate(&double, json!({"model": "a", "keep_alive": "5m"}));
    assert!(
        time::timeout(Duration::from_millis(100), load)
            .await
            .is_err()
    );
    assert!(double.holds()[0].loading);
    time::sleep(Duration::from_secs(1)).await;
    assert_eq!(listed(&double).await, ["a:latest"]);
}

#[tokio::test(start_paused = true)]
async fn keep_alive_runs_out_unless_a_request_renews_it() {
    let double = double();
    generate(&double, json!({"model": "a", "keep_alive": "60s"})).await;
    time::sleep(Duration::from_secs(50)).await;
    generate(&double, json!({"model": "a"})).await;
    time::sleep(Duration::from_secs(50)).await;
    assert_eq!(listed(&double).await, ["a:latest"]);
    time::sleep(Duration::from_secs(11)).await;
    assert_eq!(listed(&double).await, [""; 0]);
    let (status, _) = generate(&double, json!({"model": "a", "keep_alive": "60"})).await;
    assert_eq!(status, 400);
}

#[tokio::test(start_paused = true)]
async fn models_that_do_not_fit_push_idle_ones_out() {
    let double = double();
    for model in ["a", "b"] {
        generate(&double, json!({"model": model, "keep_alive": "5m"})).await;
    }
    assert_eq!((double.holds().len(), double.most_answering()), (2, 2));
    ask(
        &double,
        "api/embed",
        Some(json!({"model": "e", "input": []})),
    )
    .await;
    assert_eq!(double.holds().len(), 3);
    double.set(|settings| {
        settings
            .models
            .push(Model::new("c:latest", Kind::Answers, 15_000))
    });
    generate(&double, json!({"model": "c"})).await;
    let held: Vec<String> = double.holds().into_iter().map(|one| one.model).collect();
    assert_eq!(held, ["e:latest", "c:latest"]);
}

#[tokio::test(start_paused = true)]
async fn other_options_load_a_model_anew() {
    let double = double();
    for size in [2_048, 4_096] {
        let began = time::Instant::now();
        generate(&double, json!({"model": "a", "options": {"num_ctx": size}})).await;
        assert!(began.elapsed() >= Duration::from_millis(800), "{size}");
    }
    assert_eq!(double.holds().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn refusals_have_their_statuses() {
    let double = double();
    double.set(|settings| settings.refused.push(("bad".to_owned(), 400)));
    let status = async |path, body| ask(&double, path, Some(body)).await.0;
    assert_eq!(status("api/generate", json!({"model": "none"})).await, 404);
    assert_eq!(status("api/generate", json!({"model": "e"})).await, 400);
    assert_eq!(
        status("api/generate", json!({"model": "e", "keep_alive": 0})).await,
        200
    );
    assert_eq!(
        status("api/embed", json!({"model": "a", "input": "x"})).await,
        400
    );
    assert_eq!(
        status("api/embed", json!({"model": "e", "input": ["x", "bad"]})).await,
        400
    );
    assert_eq!(
        status("api/embed", json!({"model": "e", "input": ["x"]})).await,
        200
    );
    double.set(|settings| settings.queue = 0);
    assert_eq!(
        status("api/embed", json!({"model": "e", "input": ["x"]})).await,
        503
    );
    double.go_away();
    assert!(double.call("api/ps", None).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn answers_fail_in_the_middle_when_told() {
    let double = double();
    let ask = async || {
        ask(
            &double,
            "api/generate",
            Some(json!({"model": "a", "prompt": "x"})),
        )
        .await
    };
    assert!(ask().await.1.ends_with("\"total_duration\":2000000}\n"));
    double.fail_next(Route::Generate, Fault::CutAfter(2));
    assert!(ask().await.1.contains("breaks"));
    double.fail_next(Route::Generate, Fault::ErrorAfter(2));
    assert!(
        ask()
            .await
            .1
            .ends_with("{\"error\":\"an error in the middle\"}\n")
    );
    assert!(ask().await.1.contains("done_reason"));
}
