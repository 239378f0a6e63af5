//! Indexes whose vectors come from a model server.

use std::time::Duration;

use boathouse_model_server::{Fault, Kind, Model, Route, Settings};
use serde_json::{Value, json};

use crate::support::{
    check_failed, check_problem, ids,
    models::{World, settings},
    sentences,
};

const SEARCH: &str = "/vectors/indexes/notes/search";

fn spec(embedder: &str) -> Value {
    json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id", "embedder": embedder})
}

/// A world with sentences in the dataset `notes` and an index of the model `e` on them.
async fn embedded(settings: Settings, config: &str) -> World {
    let world = World::new(settings, config).await;
    world.host.ingest("notes", sentences()).await;
    world.host.done("/vectors/indexes", &spec("ollama:e")).await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_of_the_server_embeds_rows_queries_and_what_is_appended() {
    let refusing = Settings {
        refused: vec![("uncle".to_owned(), 400)],
        ..settings()
    };
    let world = embedded(refusing, "").await;
    let host = &world.host;
    let index = host.read("/vectors/indexes/notes").await;
    assert_eq!(
        (&index["embedder"], &index["dimension"]),
        (&json!("ollama:e:latest"), &json!(32))
    );
    // Five texts that the model cannot do with are left out, and nobody else for their sake.
    assert_eq!(
        (&index["vectors"], &index["skipped_rows"]),
        (&json!(25), &json!(5)),
        "{index}"
    );
    assert_eq!(index["embedder_changed"], Value::Null);
    // Texts go in batches.
    let calls = world.double().calls().into_iter();
    let largest = calls
        .filter(|call| call.route == Route::Embed)
        .map(|call| call.texts);
    assert!(largest.max() > Some(20));
    let text = "Nobody likes baking bread at home";
    let answer = host.search("notes", &json!({"text": text, "k": 1})).await;
    assert_eq!(ids(&answer), ["s1-5"], "{answer}");
    let refused = host.post(SEARCH, &json!({"text": "my uncle"})).await;
    check_problem(refused, 422, "cannot_embed", &["context length"]);
    let refused = host.post(SEARCH, &json!({"text": " "})).await;
    check_problem(refused, 422, "no_known_word", &[]);

    let rows = "id,text\nnew,a lighthouse on a rock\n";
    let ended = host
        .upload("dataset=notes&format=csv&mode=append", rows)
        .await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    host.until("/vectors/indexes/notes", |index| index["vectors"] == 26)
        .await;
    let answer = host
        .search("notes", &json!({"text": "a lighthouse on a rock", "k": 1}))
        .await;
    assert_eq!(ids(&answer), ["new"]);
    let set = json!({"index": "notes", "texts": ["ships in the harbour", "an oven"], "k": 3});
    let set = host.done("/vectors/evalsets", &set).await;
    assert_eq!(set["queries"], 2, "{set}");
    // An index needs its model, whoever holds the slot.
    let refused = host.post("/admin/unload", &json!({"model": "e"})).await;
    check_problem(refused, 409, "model_in_use", &["an index"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_away_vectors_find_and_rows_wait() {
    let mut world = embedded(settings(), "").await;
    let vector: Vec<f32> = (0..32_u8).map(|n| f32::from(n) - 15.0).collect();
    let by_vector = json!({"vector": vector, "k": 3});
    let before = world.host.search("notes", &by_vector).await;
    world.go_away();
    // A host that has started without its model server knows nothing of its models.
    world.host = world.host.kill_and_restart();
    let host = &world.host;
    let refused = host.open(SEARCH, &json!({"text": "bread"})).await;
    assert_eq!(refused.status().as_u16(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(ids(&host.search("notes", &by_vector).await), ids(&before));
    let rows = "id,text\nnew,a lighthouse on a rock\n";
    host.upload("dataset=notes&format=csv&mode=append", rows)
        .await;
    let waits = |agent: &Value| {
        let appends = &agent["queue"][0]["appends"];
        appends["detail"]
            .as_str()
            .is_some_and(|why| why.contains("model server"))
    };
    host.until("/vectors/agent", waits).await;
    assert_eq!(
        host.read("/vectors/indexes/notes").await["behind"]["rows"],
        1
    );
    world.come_back().await;
    let host = &world.host;
    host.until("/vectors/indexes/notes", |index| index["vectors"] == 31)
        .await;
    let answer = host
        .search("notes", &json!({"text": "a lighthouse on a rock", "k": 1}))
        .await;
    assert_eq!(ids(&answer), ["new"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_model_under_the_name_is_noticed_and_a_refresh_embeds_anew() {
    let mut world = embedded(settings(), "").await;
    let by_text = json!({"text": "baking bread at home", "k": 3});
    world.host.search("notes", &by_text).await;
    // The same name, other content, and vectors of another length.
    world.double().set(|settings| {
        settings.models.retain(|model| model.name != "e:latest");
        let mut other = Model::new("e:latest", Kind::Embeds(48), 1 << 30);
        other.digest = "sha256:another".to_owned();
        settings.models.push(other);
    });
    world.host = world.host.kill_and_restart();
    let host = &world.host;
    check_problem(
        host.post(SEARCH, &by_text).await,
        409,
        "embedder_changed",
        &["another model", "refresh"],
    );
    assert_eq!(
        host.read("/vectors/indexes/notes").await["embedder_changed"],
        true
    );
    let vector: Vec<f32> = (0..32_u8).map(f32::from).collect();
    host.search("notes", &json!({"vector": vector, "k": 3}))
        .await;
    host.done("/vectors/indexes/notes/refresh", &json!({}))
        .await;
    let index = host.read("/vectors/indexes/notes").await;
    assert_eq!(
        (&index["dimension"], &index["embedder_changed"]),
        (&json!(48), &Value::Null),
        "{index}"
    );
    let exact = json!({"text": "We talked about baking bread at home", "k": 1});
    assert_eq!(ids(&host.search("notes", &exact).await), ["s1-0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_goes_on_when_the_server_starts_anew_in_the_middle() {
    let world = World::new(settings(), "").await;
    let host = &world.host;
    host.ingest("notes", sentences()).await;
    // The first request is that of one text by which the model is opened; the second meets a server that dies.
    world
        .double()
        .fail_next(Route::Embed, Fault::Hangs(Duration::ZERO));
    world.double().fail_next(Route::Embed, Fault::CutAfter(0));
    let task = host.start("/vectors/indexes", &spec("ollama:e")).await;
    let ended = host.ended(&task).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(ended["result"]["vectors"], 30);
    assert!(world.double().calls().iter().any(|call| call.texts > 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_cannot_embed_is_refused_before_anything_begins() {
    let world = World::new(settings(), "").await;
    let host = &world.host;
    host.ingest("notes", sentences()).await;
    for (embedder, status, code, words) in [
        (
            "ollama:nomic",
            404,
            "unknown_model",
            &["ollama pull nomic:latest"][..],
        ),
        ("ollama:a", 422, "no_embeddings", &["a:latest"]),
        ("ollama:", 422, "unknown_embedder", &["ollama:MODEL"]),
        ("gpt", 422, "unknown_embedder", &["gpt", "static"]),
    ] {
        let refused = host.post("/vectors/indexes", &spec(embedder)).await;
        check_problem(refused, status, code, words);
    }
    world.double().fail_next(Route::Models, Fault::Garbage);
    let refused = host.post("/vectors/indexes", &spec("ollama:e")).await;
    check_problem(refused, 502, "model_server_garbled", &[]);
    // Whatever came of those, the name is free.
    host.done("/vectors/indexes", &spec("ollama:e")).await;
    // A text that only fails is no reason to leave out all the others; a server that fails at all of them is.
    world
        .double()
        .set(|settings| settings.refused = vec![(String::new(), 500)]);
    let spec =
        json!({"name": "other", "dataset": "notes", "text_column": "text", "embedder": "ollama:e"});
    let task = host.start("/vectors/indexes", &spec).await;
    check_failed(&host.ended(&task).await, "model_failed", &[]);
}
