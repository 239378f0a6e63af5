//! Lineage over HTTP: pages, runs that were killed, and an endpoint that is there, away, slow, or talks nonsense.

mod endpoint;

use std::time::Duration;

use serde_json::{Value, json};

use self::endpoint::{Endpoint, Mood};
use crate::support::{Host, check_failed, check_problem};

/// `RUN.STATE` of each event, in order.
fn keys(events: &[Value]) -> Vec<String> {
    let key = |event: &Value| {
        let run = event["run"]["runId"].as_str().expect("a run");
        format!("{run}.{}", event["eventType"].as_str().expect("a type"))
    };
    events.iter().map(key).collect()
}

async fn logged(host: &Host, path: &str) -> Vec<String> {
    let view = host.read(path).await;
    keys(view["events"].as_array().expect("events"))
}

fn config(endpoint: &Endpoint) -> String {
    format!(
        "[lineage]\nendpoint = \"{}\"\ntimeout_secs = 1\n",
        endpoint.url()
    )
}

#[tokio::test]
async fn events_are_shown_in_pages_in_either_order() {
    let host = Host::fresh();
    for (dataset, csv) in [("a", "id\n1\n"), ("b", "id\n1\n"), ("a", "id\n2\n")] {
        host.ingest(dataset, csv).await;
    }
    let all = logged(&host, "/lineage").await;
    assert_eq!(all.len(), 6);
    assert_eq!(logged(&host, "/lineage/a").await.len(), 4);
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let page = host
            .read(&format!("/lineage?order=newest&limit=4{after}"))
            .await;
        paged.extend(keys(page["events"].as_array().expect("events")));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    paged.reverse();
    assert_eq!(paged, all);
    check_problem(
        host.get("/lineage/a?after=nobody").await,
        422,
        "unknown_event",
        &["after"],
    );
    check_problem(
        host.get("/lineage/c").await,
        404,
        "unknown_dataset",
        &["`c`"],
    );
}

#[tokio::test]
async fn every_event_reaches_the_endpoint_once_and_in_order() {
    let endpoint = Endpoint::start(Mood::Takes).await;
    let host = Host::configured(&config(&endpoint));
    host.ingest("a", "id\n1\n").await;
    let bad = host.upload("dataset=a&format=json", "{").await;
    assert_eq!(bad["state"], "failed");
    endpoint.until(|taken| taken.len() == 4).await;
    assert_eq!(keys(&endpoint.taken()), logged(&host, "/lineage/a").await);
    let posted = &endpoint.taken()[1];
    assert_eq!(
        posted["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"],
        1
    );
    let all_posted = |ready: &Value| ready.to_string().contains("all events are posted");
    host.until("/readyz", all_posted).await;
    let metrics = host.read("/metrics").await;
    let text = metrics.as_str().expect("text").to_owned();
    assert!(
        text.contains("boathouse_lineage_posted_events_total 4"),
        "{text}"
    );
    assert!(
        text.contains("boathouse_lineage_waiting_events 0"),
        "{text}"
    );
}

/// Ingests as if nothing was wrong, whatever the endpoint does; then it comes to its senses and gets everything.
async fn check_mood(mood: Mood) {
    let endpoint = Endpoint::start(mood).await;
    let host = Host::configured(&config(&endpoint));
    for id in 0..3 {
        host.ingest("a", format!("id\n{id}\n")).await;
    }
    endpoint.until_asked().await;
    let waiting = |text: &Value| {
        text.as_str()
            .is_some_and(|text| text.contains("boathouse_lineage_waiting_events 6"))
    };
    host.until("/metrics", waiting).await;
    let (status, ready) = host.get("/readyz").await;
    assert_eq!(
        status, 200,
        "lineage that waits keeps nothing from serving: {ready}"
    );
    assert!(
        ready.to_string().contains("wait to be posted"),
        "{mood:?}: {ready}"
    );
    endpoint.turn(Mood::Takes);
    endpoint.until(|taken| taken.len() >= 6).await;
    assert_eq!(
        keys(&endpoint.taken()),
        logged(&host, "/lineage/a").await,
        "{mood:?}"
    );
}

#[tokio::test]
async fn an_endpoint_that_fails_delays_no_ingest_and_gets_everything_later() {
    for mood in [
        Mood::Fails(500),
        Mood::Fails(429),
        Mood::Fails(307),
        Mood::Garbage,
    ] {
        check_mood(mood).await;
    }
}

#[tokio::test]
async fn an_endpoint_that_never_answers_delays_no_ingest() {
    check_mood(Mood::Hangs).await;
}

#[tokio::test]
async fn what_waited_when_the_host_was_killed_is_posted_by_the_next() {
    let endpoint = Endpoint::start(Mood::Fails(503)).await;
    let host = Host::configured(&config(&endpoint));
    host.ingest("a", "id\n1\n").await;
    host.ingest("b", "id\n1\n").await;
    let host = host.kill_and_restart();
    endpoint.turn(Mood::Takes);
    endpoint.until(|taken| taken.len() == 4).await;
    let mut taken = keys(&endpoint.taken());
    let mut all = logged(&host, "/lineage").await;
    taken.sort();
    all.sort();
    assert_eq!(taken, all);
    // What was posted and noted is not posted by the start after that.
    let is_noted = |dataset: &str| {
        let note = format!("primary/_lineage_posted/{dataset}.json");
        let note = std::fs::read_to_string(host.data.join(note)).unwrap_or_default();
        note.contains(".START") && note.contains(".COMPLETE")
    };
    host.until("/readyz", |_| is_noted("a") && is_noted("b"))
        .await;
    let host = host.kill_and_restart();
    host.ingest("c", "id\n1\n").await;
    endpoint.until(|taken| taken.len() >= 6).await;
    let taken = endpoint.taken();
    assert!(
        taken[4..]
            .iter()
            .all(|event| event["job"]["name"] == "ingest.c"),
        "{taken:?}"
    );
}

#[tokio::test]
async fn an_event_that_is_refused_is_given_up_and_the_next_one_goes() {
    let endpoint = Endpoint::start(Mood::Fails(422)).await;
    let host = Host::configured(&config(&endpoint));
    host.ingest("a", "id\n1\n").await;
    let given_up = |text: &Value| {
        let text = text.as_str().unwrap_or_default();
        text.contains("boathouse_lineage_refused_events_total 2")
    };
    host.until("/metrics", given_up).await;
    endpoint.turn(Mood::Takes);
    host.ingest("b", "id\n1\n").await;
    endpoint.until(|taken| taken.len() == 2).await;
    assert_eq!(
        logged(&host, "/lineage").await.len(),
        4,
        "the log keeps everything"
    );
}

#[tokio::test]
async fn the_key_goes_along_and_is_shown_nowhere() {
    let endpoint = Endpoint::start(Mood::Takes).await;
    let folder = tempfile::tempdir().expect("folder");
    let key = folder.path().join("key");
    std::fs::write(&key, "hunter2\n").expect("written");
    let section = format!(
        "{}api_key = \"file:{}\"\n",
        config(&endpoint),
        key.display()
    );
    let host = Host::configured(&section);
    host.ingest("a", "id\n1\n").await;
    endpoint.until(|taken| taken.len() == 2).await;
    assert_eq!(endpoint.authorization().as_deref(), Some("Bearer hunter2"));
    for path in ["/readyz", "/metrics", "/lineage/a"] {
        let shown = host.read(path).await.to_string();
        assert!(!shown.contains("hunter2"), "{path}: {shown}");
    }
}

/// A table that takes a while to read.
fn long_table(rows: u32) -> String {
    let mut csv = "id,text\n".to_owned();
    for id in 0..rows {
        csv += &format!("{id},a passage of some length that takes a while to read {id}\n");
    }
    csv
}

/// Whether a page of lineage has so many events.
fn has(events: usize) -> impl Fn(&Value) -> bool {
    move |view: &Value| {
        let all = view["events"].as_array();
        all.is_some_and(|all| all.len() >= events)
    }
}

/// No start of the host in between: it writes the end once the bucket takes it.
#[tokio::test]
async fn a_run_whose_bucket_was_away_gets_its_end_when_it_is_back() {
    let world = tempfile::tempdir().expect("folder");
    let (far, away) = (world.path().join("far"), world.path().join("away"));
    let host = Host::configured(&format!(
        "[[buckets]]\nname = \"far\"\nbackend = \"local\"\nroot = {far:?}\n[storage.health]\nevery_secs = 1\n"
    ));
    let parameters = "dataset=a&format=csv&mode=replace&bucket=far";
    let (status, task) = host
        .post_raw(&format!("/ingest/file?{parameters}"), long_table(1_000_000))
        .await;
    assert_eq!(status, 202, "{task}");
    host.until("/lineage", has(1)).await;
    std::fs::rename(&far, &away).expect("unmounted");
    let ended = host.ended(&task).await;
    check_failed(&ended, "storage_unavailable", &["bucket `far`"]);
    let is_told = async {
        let waits = |ready: Value| ready.to_string().contains("runs whose end waits");
        while !waits(host.get("/readyz").await.1) {}
    };
    let told = tokio::time::timeout(Duration::from_secs(60), is_told).await;
    told.expect("readiness says that an end waits");
    std::fs::rename(&away, &far).expect("mounted again");
    // The list of all datasets shows others while a bucket fails.
    let view = host.until("/lineage", has(2)).await;
    let events = view["events"].as_array().expect("events");
    assert_eq!(events.len(), 2, "{view}");
    assert_eq!(events[1]["eventType"], "FAIL", "{view}");
    assert_eq!(events[0]["run"]["runId"], events[1]["run"]["runId"]);
}

#[tokio::test]
async fn a_run_that_was_killed_gets_its_end() {
    let host = Host::fresh();
    let (status, task) = host
        .post_raw(
            "/ingest/file?dataset=a&format=csv&mode=replace",
            long_table(200_000),
        )
        .await;
    assert_eq!(status, 202, "{task}");
    host.until("/lineage", has(1)).await;
    let host = host.kill_and_restart();
    let view = host.until("/lineage", has(2)).await;
    let events = view["events"].as_array().expect("events");
    assert_eq!(events.len(), 2, "{view}");
    let is_visible = host.get("/datasets/a").await.0 == 200;
    let expected = if is_visible { "COMPLETE" } else { "FAIL" };
    assert_eq!(events[1]["eventType"], json!(expected), "{view}");
}
