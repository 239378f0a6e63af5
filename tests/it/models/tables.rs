//! Profiles over indexes that are served from Lance tables, with vectors of a model server.

use serde_json::{Value, json};

use crate::support::{
    check_problem, ids,
    models::{World, settings},
};

const PROFILE: &str = "/vectors/profile/sailors";
const APPEND: &str = "/vectors/lance/append/fleet";

/// What a profile's search of the index `fleet` finds first, and how that index was searched.
async fn first(world: &World, text: &str) -> (String, Value) {
    let body = json!({"text": text, "index": "fleet", "k": 1});
    let path = format!("{PROFILE}/search");
    let (status, found) = world.host.post(&path, &body).await;
    assert_eq!(status, 200, "{found}");
    (ids(&found)[0].to_owned(), found["searched"][0].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_is_answered_by_the_engine_that_serves_its_index() {
    let world = World::with_indexes(settings(), "").await;
    let host = &world.host;
    let profile = json!({"id": "sailors", "ollama_name": "a", "embed_model": "e", "datasets": ["ships"],
        "vector_backend": "lance"});
    world.profile(&profile).await;
    let spec = json!({"name": "fleet", "dataset": "ships", "profile": "sailors", "text_column": "text",
        "id_column": "id"});
    host.done("/vectors/indexes", &spec).await;
    let index = host.read("/vectors/indexes/fleet").await;
    assert_eq!(
        (&index["vector_backend"], &index["embedder"]),
        (&json!("lance"), &json!("ollama:e:latest"))
    );

    let text = "the captain of the ship reads the stars";
    let (id, searched) = first(&world, text).await;
    assert_eq!((id.as_str(), &searched["backend"]), ("s3", &json!("lance")));
    assert_eq!(searched["lance"]["exact"], true, "{searched}");
    assert_eq!(searched["distances"], Value::Null, "{searched}");

    // The embedder of the index makes the vectors of what is appended.
    let lighthouse = json!({"id": "s9", "row": 2, "text": "a lighthouse on a rock"});
    let (status, appended) = host.post(APPEND, &json!({"documents": [lighthouse]})).await;
    assert_eq!((status, &appended["appended"]), (200, &json!(1)));
    assert_eq!(first(&world, "a lighthouse on a rock").await.0, "s9");
    let document = host.read(&format!("{PROFILE}/doc/fleet/s9")).await;
    assert_eq!(document["row"], 2);
    let empty = json!({"documents": [{"id": "s10", "row": 2, "text": " "}]});
    let refused = host.post(APPEND, &empty).await;
    check_problem(refused, 422, "no_known_word", &["number 0"]);

    let change = json!({"vector_backend": "parquet"});
    let (status, changed) = host.patch("/vectors/indexes/fleet", &change).await;
    assert_eq!(status, 200, "{changed}");
    let (id, searched) = first(&world, text).await;
    assert_eq!(
        (id.as_str(), &searched["backend"]),
        ("s3", &json!("parquet"))
    );
}
