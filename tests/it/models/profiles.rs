//! Profiles are made, changed and deleted, last, and search what is their own.

use std::path::Path;

use boathouse_model_server::{Fault, Route};
use serde_json::{Value, json};

use crate::support::{
    Host, check_problem, ids,
    models::{World, settings},
    run, sentences,
};

const PROFILE: &str = "/vectors/profile/sailors";

/// Whether `rescue` holds a copy of the profiles.
fn is_copied(data: &Path) -> bool {
    let copies = std::fs::read_dir(data.join("rescue/primary/models/profiles"));
    copies.is_ok_and(|mut copies| copies.next().is_some())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_is_made_changed_and_deleted_and_lasts() {
    let World { host, .. } = World::with_indexes(settings(), "").await;
    let body = json!({"id": "sailors", "ollama_name": "a", "indexes": ["ships"], "datasets": ["ships"],
        "system_prompt": "Be brief.", "options": {"num_ctx": 2048}, "bucket": "fleet",
        "hnsw_config": {"ef_construction": 40, "ef_search": 17}, "vector_backend": "parquet"});
    let (status, made) = host.post("/vectors/profile", &body).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["ollama_name"], "a:latest", "as the server spells it");
    check_problem(
        host.post("/vectors/profile", &body).await,
        409,
        "profile_exists",
        &["sailors"],
    );
    let change = json!({"system_prompt": null, "embed_model": "e", "datasets": []});
    let (status, changed) = host.patch(PROFILE, &change).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(changed["system_prompt"], Value::Null);
    assert_eq!(changed["embed_model"], "e:latest");
    for kept in ["indexes", "options", "bucket", "hnsw_config", "created_at"] {
        assert_eq!(changed[kept], made[kept], "{kept}");
    }
    // What is acknowledged is there after a kill, and has a copy.
    let host = host.kill_and_restart();
    assert_eq!(host.read(PROFILE).await, changed);
    host.until("/vectors/profile", |_| is_copied(&host.data))
        .await;
    let found = host
        .post(&format!("{PROFILE}/search"), &json!({"text": "a ship"}))
        .await;
    assert_eq!(found.0, 200, "{}", found.1);
    assert_eq!(found.1["searched"][0]["config"]["ef_search"], 17);

    let (status, _) = host.delete(PROFILE).await;
    assert_eq!(status, 204);
    check_problem(
        host.get(PROFILE).await,
        404,
        "unknown_profile",
        &["sailors"],
    );
    check_problem(host.delete(PROFILE).await, 404, "unknown_profile", &[]);
    let list = host.read("/vectors/profile").await;
    assert_eq!(list, json!({"profiles": []}));
    host.read("/vectors/indexes/ships").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_searches_its_own_indexes_and_no_other() {
    let world = World::with_indexes(settings(), "").await;
    world.profiles().await;
    let host = &world.host;
    let both = json!({"id": "both", "ollama_name": "a", "datasets": ["ships", "bread"]});
    world.profile(&both).await;
    for (id, own, other, document) in [
        ("sailors", "ships", "bread", "b1"),
        ("bakers", "bread", "ships", "s1"),
    ] {
        let path = format!("/vectors/profile/{id}");
        let search = format!("{path}/search");
        let body = json!({"text": "the wind and the oven", "index": own, "k": 2});
        let (status, found) = host.post(&search, &body).await;
        assert_eq!((status, ids(&found).len()), (200, 2), "{found}");
        // Neither one that is another's nor one that is not there.
        for index in [other, "nowhere"] {
            let body = json!({"text": "bread", "index": index});
            let refused = host.post(&search, &body).await;
            check_problem(refused, 403, "out_of_profile", &[id, index]);
            let doc = format!("{path}/doc/{index}/{document}");
            check_problem(host.get(&doc).await, 403, "out_of_profile", &[id]);
            let body = json!({"question": "what is it?", "index": index, "activate": true});
            let refused = host.post(&format!("{path}/ask"), &body).await;
            check_problem(refused, 403, "out_of_profile", &[id]);
        }
    }
    assert_eq!(world.holds(), [""; 0], "nothing was activated for those");

    let shown = host.read("/vectors/profile/both").await;
    assert_eq!(shown["searches"], json!(["bread", "ships"]), "{shown}");
    let all = json!({"text": "ships in the harbour wait for wind", "k": 5, "with": ["text"]});
    let (status, found) = host.post("/vectors/profile/both/search", &all).await;
    assert_eq!(status, 200, "{found}");
    assert_eq!(
        (ids(&found).len(), &found["merged_by"]),
        (5, &json!("score"))
    );
    let first = &found["hits"][0];
    assert_eq!(
        (&first["index"], &first["id"]),
        (&json!("ships"), &json!("s1"))
    );
    let searched: Vec<&Value> = found["searched"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    assert_eq!(searched.len(), 2, "{found}");
    let doc = host.read("/vectors/profile/both/doc/bread/b2").await;
    assert_eq!(doc["columns"]["text"], "flour and water and salt and time");
    let gone = host.get("/vectors/profile/both/doc/bread/b9").await;
    check_problem(gone, 404, "unknown_document", &["b9"]);

    // One of its own that is gone is told, and is found missing by name.
    let two = json!({"indexes": ["ships", "bread"]});
    let (status, _) = host.patch("/vectors/profile/both", &two).await;
    assert_eq!(status, 200);
    host.delete("/vectors/indexes/bread").await;
    let (_, found) = host.post("/vectors/profile/both/search", &all).await;
    assert_eq!(found["missing"], json!(["bread"]), "{found}");
    let shown = &host.read("/vectors/profile").await["profiles"][1];
    let indexes = (&shown["id"], &shown["searches"], &shown["missing"]);
    assert_eq!(
        indexes,
        (&json!("both"), &json!(["ships"]), &json!(["bread"]))
    );
    let named = json!({"text": "bread", "index": "bread"});
    let refused = host.post("/vectors/profile/both/search", &named).await;
    check_problem(refused, 404, "unknown_index", &["bread"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_made_when_its_profile_is_activated_and_indexes_made_for_it_live_there() {
    let world = World::with_indexes(settings(), "").await;
    let host = &world.host;
    let body = json!({"id": "sailors", "ollama_name": "a", "embed_model": "e", "datasets": ["ships"],
        "bucket": "fleet", "hnsw_config": {"m": 5, "ef_construction": 41, "ef_search": 19}});
    world.profile(&body).await;
    let buckets = |list: &Value| list.to_string().contains("fleet");
    assert!(!buckets(&host.read("/storage/buckets").await));
    let report = world.activate("sailors").await;
    assert_eq!(report["bucket_made"], "fleet", "{report}");
    assert!(buckets(&host.read("/storage/buckets").await));
    assert!(host.data.join("profiles/fleet").is_dir());
    let again = world.activate("sailors").await;
    assert_eq!(again["bucket_made"], Value::Null, "{again}");

    let spec = json!({"name": "fleet-ships", "dataset": "ships", "text_column": "text", "profile": "sailors"});
    let index = host.done("/vectors/indexes", &spec).await;
    assert_eq!(
        (&index["bucket"], &index["embedder"]),
        (&json!("fleet"), &json!("ollama:e:latest"))
    );
    let config = &index["serving"]["config"];
    assert_eq!(
        (&config["m"], &config["ef_search"]),
        (&json!(5), &json!(19)),
        "{config}"
    );
    let foreign =
        json!({"name": "x", "dataset": "bread", "text_column": "text", "profile": "sailors"});
    let refused = host.post("/vectors/indexes", &foreign).await;
    check_problem(refused, 403, "out_of_profile", &["bread"]);
    // Vectors of two models do not compare, so ranks decide.
    let (_, found) = host
        .post(
            "/vectors/profile/sailors/search",
            &json!({"text": "a ship", "k": 8}),
        )
        .await;
    assert_eq!(found["merged_by"], "rank", "{found}");
    let indexes: Vec<&Value> = (0..2).map(|at| &found["hits"][at]["index"]).collect();
    assert_ne!(indexes[0], indexes[1], "each has its first: {found}");
    let host = world.host.kill_and_restart();
    assert_eq!(
        host.read("/vectors/indexes/fleet-ships").await["bucket"],
        "fleet"
    );
}

/// Commands, and what they print.
#[rustfmt::skip]
const COMMANDS: [(&[&str], &[&str]); 14] = [
    (&["create", "sailors", "--model", "a", "--index", "ships", "--option", "num_ctx=2048", "--system-prompt", "Be brief.",
        "--ef-construction", "40", "--ef-search", "20"], &["\"num_ctx\": 2048", "Be brief."]),
    (&["change", "sailors", "--embed-model", "e", "--without", "system_prompt"], &["e:latest", "\"system_prompt\": null"]),
    (&["list"], &["sailors", "a:latest", "ships"]),
    (&["activate", "sailors"], &["now: a:latest", "warmed ships"]),
    (&["active"], &["ready: profile sailors with a:latest"]),
    (&["search", "sailors", "a boat on the river", "-k", "1"], &["ships s2"]),
    (&["ask", "sailors", "Where is the timber?"], &["word0 word1", "cites none of the 4 passages"]),
    (&["doc", "sailors", "ships", "s4"], &["nets and sails"]),
    (&["vram"], &["a:latest", "slot"]),
    (&["unload", "a"], &["unloaded a:latest e:latest: 11.00 GiB"]),
    (&["unload", "a"], &["nothing was loaded or unloaded"]),
    (&["preload", "b"], &["loaded b:latest"]),
    (&["deactivate", "sailors"], &["before: -, now: -"]),
    (&["delete", "sailors"], &["deleted"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_are_kept_by_the_command_line_too() {
    let world = World::with_indexes(settings(), "").await;
    let url = &world.host.url;
    for (command, words) in COMMANDS {
        let ran = run(&[&["--url", url, "profile"], command].concat());
        let error = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{command:?}: {error}");
        let printed = String::from_utf8_lossy(&ran.stdout);
        for word in words {
            assert!(printed.contains(word), "{command:?}, `{word}`: {printed}");
        }
    }
    let refused = run(&["--url", url, "profile", "show", "sailors"]);
    assert_eq!(refused.status.code(), Some(1));
    // What breaks off in the middle leaves a whole line, and its reason goes elsewhere.
    world.profiles().await;
    world.activate("sailors").await;
    world
        .double()
        .fail_next(Route::Generate, Fault::CutAfter(2));
    let broken = run(&["--url", url, "profile", "ask", "sailors", "Where?"]);
    assert_eq!(broken.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&broken.stdout), "word0 word1 \n");
    let error = String::from_utf8_lossy(&broken.stderr);
    assert!(error.contains("broke off"), "{error}");
}

/// A host that nobody has told of a model server, on a machine without one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_model_server_everything_else_works() {
    // A port that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let host = Host::configured(&format!("[models]\nollama_url = \"{address}\"\n"));
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let body = json!({"id": "writers", "ollama_name": "a", "indexes": ["notes"]});
    let (status, made) = host.post("/vectors/profile", &body).await;
    assert_eq!(status, 201, "{made}");
    let (status, found) = host
        .post(
            "/vectors/profile/writers/search",
            &json!({"text": "an old bicycle"}),
        )
        .await;
    assert_eq!((status, ids(&found).len()), (200, 10), "{found}");
    let refused = host
        .open("/vectors/profile/writers/activate", &json!({}))
        .await;
    assert_eq!(refused.status().as_u16(), 503);
    let after = refused.headers().get("retry-after").expect("a header");
    assert!(
        after
            .to_str()
            .expect("text")
            .parse::<u32>()
            .expect("seconds")
            > 1
    );
    let problem: Value = refused.json().await.expect("json");
    assert_eq!(problem["code"], "model_server_away", "{problem}");
    let spec =
        json!({"name": "x", "dataset": "notes", "text_column": "text", "embedder": "ollama:e"});
    check_problem(
        host.post("/vectors/indexes", &spec).await,
        503,
        "model_server_away",
        &[],
    );
    let vram = host.read("/admin/vram").await;
    assert_eq!(vram["models"], json!([]));
    assert!(vram["server_error"].is_string(), "{vram}");
    let slot = host
        .until("/vectors/profile/active", |slot| {
            slot["server_error"].is_string()
        })
        .await;
    assert_eq!(
        (&slot["state"], &slot["holder"]),
        (&json!("empty"), &Value::Null)
    );
    host.until("/metrics", |text| {
        let text = text.as_str().unwrap_or_default();
        text.contains("boathouse_model_server_up 0") && text.contains("boathouse_profiles 1")
    })
    .await;
}
