//! The same over a real Ollama: that of `OLLAMA_HOST`, which needs two models that answer and one that embeds. The smallest
//! are taken, and nobody else may use it meanwhile.

use serde_json::{Value, json};

use crate::support::{Host, ids, lacking, models::Answering, sentences};

/// Names of the smallest models of a server that can do something.
async fn models(url: &str, can: &str) -> Vec<String> {
    let tags = reqwest::get(format!("{url}/api/tags"))
        .await
        .expect("the models");
    let tags: Value = tags.json().await.expect("json");
    let mut models = tags["models"].as_array().cloned().unwrap_or_default();
    models.sort_by_key(|model| model["size"].as_u64());
    let able = models.iter().filter(|model| {
        let all = model["capabilities"].as_array();
        all.is_some_and(|all| all.iter().any(|one| one == can))
    });
    able.filter_map(|model| Some(model["name"].as_str()?.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_over_a_real_model_server() {
    let what = "profiles over a real model server";
    let Some(address) = std::env::var_os("OLLAMA_HOST") else {
        return lacking("ollama", what, "OLLAMA_HOST is not set");
    };
    let address = address.into_string().expect("an address");
    let url = match address.contains("://") {
        true => address,
        false => format!("http://{address}"),
    };
    let (answer, embed) = (
        models(&url, "completion").await,
        models(&url, "embedding").await,
    );
    let ([first, second, ..], [embedder, ..]) = (answer.as_slice(), embed.as_slice()) else {
        return lacking(
            "ollama",
            what,
            "it has not two models that answer and one that embeds",
        );
    };
    let host = Host::configured(&format!("[models]\nollama_url = \"{url}\"\n"));
    host.ingest("notes", sentences()).await;
    let spec = json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id",
        "embedder": format!("ollama:{embedder}")});
    host.done("/vectors/indexes", &spec).await;
    let text = "Nobody likes baking bread at home";
    let found = host.search("notes", &json!({"text": text, "k": 1})).await;
    assert_eq!(ids(&found), ["s1-5"], "{found}");
    for (id, model) in [("one", first), ("two", second)] {
        let body = json!({"id": id, "ollama_name": model, "embed_model": embedder, "indexes": ["notes"],
            "options": {"num_ctx": 2048, "num_predict": 48, "temperature": 0}});
        let (status, made) = host.post("/vectors/profile", &body).await;
        assert_eq!(status, 201, "{made}");
    }
    for (id, model) in [("one", first), ("two", second), ("one", first)] {
        check_turn(&host, id, model).await;
    }
    let host = host.kill_and_restart();
    let slot = host
        .until("/vectors/profile/active", |slot| {
            slot["seen_at"].is_string()
        })
        .await;
    assert_eq!(slot["holder"]["profile"], "one", "{slot}");
    let (status, report) = host
        .post("/vectors/profile/one/deactivate", &json!({}))
        .await;
    assert_eq!(
        (status, &report["model_after"]),
        (200, &Value::Null),
        "{report}"
    );
}

/// A profile becomes active, and its model answers.
async fn check_turn(host: &Host, id: &str, model: &str) {
    let path = format!("/vectors/profile/{id}/activate");
    let (status, report) = host.post(&path, &json!({})).await;
    let after = report["model_after"].as_str();
    assert_eq!((status, after), (200, Some(model)), "{report}");
    let question = json!({"question": "What does nobody like? Answer in one sentence.", "k": 3});
    let mut answer = Answering::begin(host, id, &question).await;
    let (mut words, mut last) = (String::new(), None);
    while let Some((name, data)) = answer.next().await {
        words += data["text"].as_str().unwrap_or_default();
        last = Some((name, data));
    }
    let (name, end) = last.expect("an end");
    assert_eq!(name, "end", "{end}");
    assert!(!words.trim().is_empty(), "{end}");
    let vram = host.read("/admin/vram").await;
    let resident = vram["models"].as_array().expect("a list");
    let answering = resident.iter().filter(|one| one["used_as"] == "slot");
    assert_eq!(answering.count(), 1, "{vram}");
}
