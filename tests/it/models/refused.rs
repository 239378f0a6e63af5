//! Wishes that cannot be granted, each with what is wrong and without any trace.

use serde_json::{Value, json};

use crate::support::{
    check_problem,
    models::{World, settings},
};

/// A wish, and the status, code and words of its refusal.
type Wish = (Value, u16, &'static str, &'static [&'static str]);

/// Profiles that cannot be: a good one, with a field in the place of its own.
#[rustfmt::skip]
fn bad_profiles() -> [Wish; 13] {
    let with = |key: &str, value: Value| {
        let mut body = json!({"id": "sailors", "ollama_name": "a", "indexes": ["ships"]});
        body[key] = value;
        body
    };
    let config = json!({"ef_construction": 0, "ef_search": 1});
    [
        (with("id", json!("active")), 422, "bad_body", &["active", "reserved"]),
        (with("id", json!("../x")), 422, "bad_body", &["../x"]),
        (with("ollama_name", json!("a b")), 422, "bad_body", &["a b"]),
        (with("indexes", json!(["nowhere"])), 422, "unknown_index", &["nowhere"]),
        (with("datasets", json!(["nowhere"])), 404, "unknown_dataset", &["nowhere"]),
        (with("indexes", json!([])), 422, "empty_profile", &["indexes"]),
        (with("bucket", json!("rescue")), 422, "bad_bucket", &["rescue"]),
        (with("bucket", json!("No Bucket")), 422, "bad_body", &["No Bucket"]),
        (with("vector_backend", json!("hnsw")), 422, "bad_body", &["hnsw", "parquet"]),
        (with("hnsw_config", config), 422, "invalid_input", &["ef_construction"]),
        (with("options", json!({"num_ctx": -1})), 422, "bad_options", &["num_ctx"]),
        (with("system_prompt", json!("x".repeat(40_000))), 422, "prompt_too_long", &["system_prompt"]),
        (with("modell", json!("a")), 422, "bad_body", &["modell"]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_that_cannot_be_is_refused_with_its_field() {
    let world = World::with_indexes(settings(), "").await;
    let host = &world.host;
    for (body, status, code, words) in bad_profiles() {
        let refused = host.post("/vectors/profile", &body).await;
        check_problem(refused, status, code, words);
    }
    let none = host.read("/vectors/profile").await;
    assert_eq!(none, json!({"profiles": []}));
    let good = json!({"id": "sailors", "ollama_name": "a", "indexes": ["ships"]});
    world.profile(&good).await;
    let path = "/vectors/profile/sailors";
    for (change, code) in [
        (json!({"indexes": []}), "empty_profile"),
        (json!({"id": "other"}), "bad_body"),
        (json!({"vector_backend": "hnsw"}), "bad_body"),
    ] {
        check_problem(host.patch(path, &change).await, 422, code, &[]);
    }
    let nobody = host.patch("/vectors/profile/nobody", &json!({})).await;
    check_problem(nobody, 404, "unknown_profile", &["nobody"]);
    let none = host.get("/vectors/profile/Nobody").await;
    check_problem(none, 422, "bad_name", &["Nobody"]);
}

/// What cannot be asked of profiles, by its path.
#[rustfmt::skip]
fn bad_requests() -> [(&'static str, Wish); 12] {
    let long = json!({"question": "why ".repeat(500), "activate": true});
    [
        ("nobody/activate", (json!({}), 404, "unknown_profile", &["nobody"])),
        ("gone/activate", (json!({}), 404, "unknown_model", &["ollama pull not-pulled:latest"])),
        ("nobody/deactivate", (json!({}), 404, "unknown_profile", &[])),
        ("nobody/search", (json!({"text": "x"}), 404, "unknown_profile", &[])),
        ("sailors/search", (json!({}), 422, "text_or_vector", &[])),
        ("sailors/search", (json!({"text": "x", "k": 0}), 422, "k_out_of_range", &[])),
        ("sailors/search", (json!({"text": "a ship", "filter": "id <"}), 422, "filter_syntax", &[])),
        ("sailors/search", (json!({"vector": [1.0]}), 422, "wrong_dimension", &[])),
        ("sailors/ask", (json!({"question": " "}), 422, "empty_question", &[])),
        ("sailors/ask", (json!({"question": "x", "k": 51}), 422, "k_out_of_range", &["50"])),
        ("sailors/ask", (json!({"question": "x", "top": 1}), 422, "bad_body", &["top"])),
        ("small/ask", (long, 422, "prompt_too_long", &["num_ctx"])),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_or_activated_is_refused() {
    let world = World::with_indexes(settings(), "").await;
    world.profiles().await;
    let host = &world.host;
    for (id, model, options) in [
        ("small", "a", json!({"num_ctx": 256})),
        ("gone", "not-pulled", json!({})),
    ] {
        let body =
            json!({"id": id, "ollama_name": model, "indexes": ["ships"], "options": options});
        world.profile(&body).await;
    }
    for (path, (body, status, code, words)) in bad_requests() {
        let refused = host.post(&format!("/vectors/profile/{path}"), &body).await;
        check_problem(refused, status, code, words);
    }
    for (path, body, status, code) in [
        (
            "/admin/preload",
            json!({"model": "nomic"}),
            404,
            "unknown_model",
        ),
        (
            "/admin/unload",
            json!({"model": "nomic"}),
            404,
            "unknown_model",
        ),
        ("/admin/unload", json!({"model": "a b"}), 422, "bad_body"),
        ("/admin/preload", json!({}), 422, "bad_body"),
    ] {
        check_problem(host.post(path, &body).await, status, code, &[]);
    }
    // A model that does not load: the profile before has the slot again.
    world.activate("sailors").await;
    let broken = vec!["b:latest".to_owned()];
    world.double().set(|settings| settings.broken = broken);
    let path = "/vectors/profile/bakers/activate";
    check_problem(host.post(path, &json!({})).await, 502, "model_failed", &[]);
    let slot = world.slot(|slot| slot["state"] == "ready").await;
    assert_eq!(slot["holder"]["profile"], "sailors", "{slot}");
    assert!(slot["last_error"].is_string(), "{slot}");
}
