//! A host on which no detector is active: rows come in, and everything says that nobody looked at them.

use serde_json::{Value, json};

use super::folder;
use crate::support::{Host, LOG, check_failed, run};

const PEOPLE: &str = "id,mail\n1,ann@example.org\n2,bob@example.org\n";

/// A host whose detectors were all taken away.
async fn without_detectors(kinds: &str) -> (Host, tempfile::TempDir) {
    let folder = folder(kinds);
    let host = Host::on(folder.path());
    let (status, body) = host
        .post("/plugins/pii/boathouse/pii/deactivate", &json!({}))
        .await;
    assert_eq!(status, 200, "{body}");
    (host, folder)
}

/// What `/readyz` says about personal data.
async fn note(host: &Host) -> Option<String> {
    let (status, ready) = host.get("/readyz").await;
    assert_eq!((status, &ready["ready"]), (200, &json!(true)), "{ready}");
    let mut components = ready["components"].as_array().expect("components").iter();
    let about = components.find(|one| one["name"] == "personal data")?;
    Some(about["detail"].as_str().expect("a detail").to_owned())
}

#[tokio::test]
async fn everything_says_that_nobody_looked() {
    let (host, folder) = without_detectors("").await;
    let told = note(&host).await.expect("a note");
    for word in ["degraded", "no detector", "plugin activate boathouse/pii"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let ended = host.upload("dataset=people&format=csv", PEOPLE).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let result = &ended["result"];
    assert_eq!(result["findings_complete"], false, "{result}");
    let why = result["detector_failures"][0].as_str().expect("a reason");
    assert!(why.contains("nobody looked"), "{why}");
    let view = host.read("/datasets/people").await;
    assert_eq!(view["detector_failures"], result["detector_failures"]);
    let metrics = host.read("/metrics").await.to_string();
    let figure = "boathouse_pii_unexamined_tables_total 1";
    assert!(metrics.contains(figure), "{metrics}");
    let log = std::fs::read_to_string(folder.path().join(LOG)).expect("the log");
    let is_said = |line: &str| line.contains("WARN") && line.contains("no personal-data detector");
    assert!(log.lines().any(is_said), "no warning in the log");

    let people = folder.path().join("people.csv");
    std::fs::write(&people, PEOPLE).expect("written");
    let people = people.to_str().expect("a path");
    let shown = run(&["--url", &host.url, "ingest", people, "--dataset", "people"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("incomplete: no detector"), "{shown}");
}

#[tokio::test]
async fn a_scan_says_what_to_activate_and_then_looks() {
    let (host, _folder) = without_detectors("").await;
    host.ingest("people", PEOPLE).await;
    let task = host.start("/datasets/people/pii/scan", &json!({})).await;
    let words = ["`people`", "plugin activate boathouse/pii"];
    check_failed(&host.ended(&task).await, "no_detector", &words);
    let versions = host.read("/plugins/pii/boathouse/pii").await;
    let version = versions["versions"][0]["version"].as_str();
    let version = version.unwrap_or_else(|| panic!("{versions}"));
    let path = format!("/plugins/pii/boathouse/pii/versions/{version}/activate");
    // For one dataset only: the others are still looked at by nobody.
    let at = json!({"datasets": ["people"]});
    let (status, body) = host.post(&path, &at).await;
    assert_eq!(status, 200, "{body}");
    let told = note(&host).await.expect("a note");
    assert!(told.contains("but for dataset `people`"), "{told}");
    let scan = host.done("/datasets/people/pii/scan", &json!({})).await;
    assert_eq!(scan["findings_complete"], true, "{scan}");
    assert_eq!(scan["findings"][0]["kind"], "email", "{scan}");
    let (status, body) = host.post(&path, &json!({})).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(note(&host).await, None, "everybody is looked after");
}

/// The last progress of a task is that of its end.
#[tokio::test]
async fn a_scan_that_has_ended_shows_all_rows() {
    let host = Host::fresh();
    host.ingest("people", PEOPLE).await;
    let task = host.start("/datasets/people/pii/scan", &json!({})).await;
    let progress = host.ended(&task).await["progress"].clone();
    let shown = ["stage", "done", "total"].map(|field| progress[field].clone());
    assert_eq!(shown, [json!("done"), json!(2), json!(2)], "{progress}");
    let ended = host.upload("dataset=people&format=csv", PEOPLE).await;
    let progress = &ended["progress"];
    let shown: [&Value; 2] = [&progress["stage"], &progress["ingest"]["rows"]];
    assert_eq!(shown, [&json!("done"), &json!(2)], "{progress}");
}
