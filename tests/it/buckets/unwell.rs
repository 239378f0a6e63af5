//! Buckets that go away and come back, while the host runs and while it does not.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{WATCHFUL, add, bucket, fill, found, local, ready, refused::closed, until};
use crate::support::{Host, check_problem, ids, sentences};

/// An index in a bucket of its own; its dataset is in `primary`.
async fn index_in(host: &Host, bucket: &str) {
    host.ingest("notes", sentences()).await;
    let body =
        json!({"name": "notes", "dataset": "notes", "text_column": "text", "bucket": bucket});
    host.done("/vectors/indexes", &body).await;
}

async fn names_it(host: &Host, bucket: &str) -> Value {
    let (status, ready) = host.get("/readyz").await;
    assert_eq!(status, 503, "{ready}");
    let components = ready["components"].as_array().expect("components");
    let name = format!("bucket {bucket}");
    let component = components.iter().find(|one| one["name"] == json!(name));
    let component = component.expect("a component").clone();
    assert_eq!(component["ready"], false, "{component}");
    component
}

#[tokio::test]
async fn a_folder_that_goes_away_is_reported_and_comes_back() {
    let (host, place) = (
        Host::configured(WATCHFUL),
        tempfile::tempdir().expect("folder"),
    );
    let (root, away) = (place.path().join("archive"), place.path().join("away"));
    add(&host, "archive", &root).await;
    index_in(&host, "archive").await;
    let query = json!({"text": "ships in the harbour", "k": 3});
    let answer = host.search("notes", &query).await;

    fs::rename(&root, &away).expect("moved away");
    let unwell = until(&host, "archive", "unhealthy").await;
    let detail = unwell["health"]["detail"].as_str().expect("a reason");
    assert!(detail.contains("gone"), "{detail}");
    names_it(&host, "archive").await;
    // Searches answer from memory; what would write is told to try again.
    assert_eq!(ids(&host.search("notes", &query).await), ids(&answer));
    let task = host
        .start("/vectors/trials/notes", &json!({"ef_search": 20}))
        .await;
    let ended = host.ended(&task).await;
    assert_eq!(ended["error"]["code"], "storage_unavailable", "{ended}");
    assert!(!root.exists(), "the folder was made anew");

    fs::rename(&away, &root).expect("brought back");
    until(&host, "archive", "healthy").await;
    ready(&host).await;
    host.done("/vectors/trials/notes", &json!({"ef_search": 20}))
        .await;
}

#[tokio::test]
async fn a_folder_that_is_gone_at_start_keeps_nothing_else_from_serving() {
    let (host, place) = (
        Host::configured(WATCHFUL),
        tempfile::tempdir().expect("folder"),
    );
    let (root, away) = (place.path().join("archive"), place.path().join("away"));
    add(&host, "archive", &root).await;
    index_in(&host, "archive").await;
    host.index("here", "notes", "text").await;
    let host = host.kill_and(|_| fs::rename(&root, &away).expect("moved away"));
    let unwell = bucket(&host, "archive").await;
    assert_eq!(unwell["health"]["state"], "unhealthy", "{unwell}");
    names_it(&host, "archive").await;
    host.search("here", &json!({"text": "bread"})).await;
    assert!(!root.exists(), "the folder was made anew");
    let parameters = "dataset=new&format=csv&bucket=archive";
    let answer = host
        .post_raw(&format!("/ingest/file?{parameters}"), "id\n1\n")
        .await;
    check_problem(answer, 503, "bucket_unhealthy", &["archive"]);

    fs::rename(&away, &root).expect("brought back");
    ready(&host).await;
    host.until("/vectors/indexes", |list| {
        list["indexes"].as_array().expect("a list").len() == 2
    })
    .await;
    host.search("notes", &json!({"text": "bread"})).await;
}

#[tokio::test]
async fn what_lives_in_a_bucket_that_is_gone_at_start_is_known_and_keeps_its_name() {
    let (host, place) = (
        Host::configured(WATCHFUL),
        tempfile::tempdir().expect("folder"),
    );
    let (root, away) = (place.path().join("archive"), place.path().join("away"));
    add(&host, "archive", &root).await;
    let parameters = "dataset=far&format=csv&bucket=archive";
    let far = host.upload(parameters, sentences()).await;
    assert_eq!(far["state"], "succeeded", "{far}");
    host.until("/storage/buckets", |list| {
        let buckets = list["buckets"].as_array().expect("a list");
        buckets.iter().all(|one| {
            let lag = &one["mirror"];
            lag.is_null() || (lag["objects"] == 0 && lag["comparing"] == false)
        })
    })
    .await;
    let host = host.kill_and(|_| fs::rename(&root, &away).expect("moved away"));
    let listed = host.read("/datasets/far").await;
    assert_eq!(listed["bucket"], "archive", "{listed}");
    let ended = host
        .upload("dataset=far&format=csv&bucket=primary", "id\n1\n")
        .await;
    assert_eq!(ended["error"]["code"], "lives_elsewhere", "{ended}");
    host.ingest("near", sentences()).await;

    fs::rename(&away, &root).expect("brought back");
    ready(&host).await;
    let rows = host.read("/datasets/far/rows?limit=1").await;
    assert_eq!(rows["rows"].as_array().expect("rows").len(), 1, "{rows}");
}

#[tokio::test]
async fn an_emptied_bucket_is_not_taken_for_a_new_one() {
    let (host, place) = (
        Host::configured(WATCHFUL),
        tempfile::tempdir().expect("folder"),
    );
    let (root, away) = (place.path().join("archive"), place.path().join("away"));
    add(&host, "archive", &root).await;
    fill(&host, "archive").await;
    copied(&host, "archive").await;
    let empty = |root: &Path| {
        fs::rename(root, &away).expect("moved away");
        fs::create_dir(root).expect("made");
    };
    empty(&root);
    let unwell = until(&host, "archive", "unhealthy").await;
    assert!(
        unwell["health"]["detail"]
            .to_string()
            .contains("boathouse restore"),
        "{unwell}"
    );
    let host = host.kill_and_restart();
    assert_eq!(
        bucket(&host, "archive").await["health"]["state"],
        "unhealthy"
    );
    assert_eq!(
        fs::read_dir(&root).expect("a folder").count(),
        0,
        "something was begun there"
    );

    let answer = host.delete("/storage/buckets/archive").await;
    check_problem(answer, 409, "bucket_unreachable", &["unseen=true"]);
    assert_eq!(
        host.delete("/storage/buckets/archive?unseen=true").await.0,
        204
    );
    // Its copies are kept, so another bucket must not take its name; the bucket itself may.
    let answer = host
        .post("/storage/buckets", &local("archive", &root))
        .await;
    check_problem(answer, 409, "copies_of_another", &["archive"]);
    let made = add(&host, "archive", &away).await;
    assert_eq!(made["holds"]["datasets"], 1, "{made}");
    host.until("/vectors/indexes", |list| {
        !list["indexes"].as_array().expect("a list").is_empty()
    })
    .await;
    host.search("notes", &json!({"text": "bread"})).await;
}

/// Waits until a bucket has its copies.
async fn copied(host: &Host, name: &str) {
    let is_even = |list: &Value| {
        let mirror = &found(list, name)["mirror"];
        mirror["objects"] == 0 && mirror["comparing"] == false
    };
    host.until("/storage/buckets", is_even).await;
}

#[tokio::test]
async fn a_service_that_is_down_at_start_is_unhealthy_with_its_reason() {
    let place = tempfile::tempdir().expect("folder");
    let key = place.path().join("key");
    fs::write(&key, "hunter2\n").expect("written");
    let key = format!("\"file:{}\"", key.display());
    let host = Host::configured(&format!(
        "{WATCHFUL}[[buckets]]\nname = \"far\"\nbackend = \"s3\"\nbucket = \"b\"\nendpoint = \"{}\"\nallow_http = true\naccess_key_id = {key}\nsecret_access_key = {key}\n",
        closed()
    ));
    let far = bucket(&host, "far").await;
    assert_eq!(
        (&far["health"]["state"], &far["origin"], &far["objects"]),
        (&json!("unhealthy"), &json!("configuration"), &Value::Null),
        "{far}"
    );
    names_it(&host, "far").await;
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let body = json!({"name": "there", "dataset": "notes", "text_column": "text", "bucket": "far"});
    let answer = host.post("/vectors/indexes", &body).await;
    check_problem(answer, 503, "bucket_unhealthy", &["far"]);
}
