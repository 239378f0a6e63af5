//! What a host survives: plugins that fail while they serve, damaged bytes, a kill at any moment.

use std::path::Path;

use serde_json::{Value, json};

use super::{EVIL, MARKED, activate, activated, events, judged, ordering, scorer, states, stock};
use crate::{
    guests::{EVIL_PII, EVIL_SCORING, MARKED_1, MARKED_2},
    support::Host,
};

#[tokio::test]
async fn a_plugin_that_fails_three_times_is_suspended_and_the_house_answers() {
    let host = Host::fresh();
    ordering(&host, "a", "trap").await;
    stock(&host, EVIL, &[EVIL_SCORING]).await;
    activated(&host, EVIL, "1.0.0", &json!({"indexes": ["a"]})).await;
    let best = "/vectors/trials/a/best";
    for _ in 0..2 {
        let (status, problem) = host.get(best).await;
        assert_eq!(
            (status, &problem["code"]),
            (502, &json!("plugin_failed")),
            "{problem}"
        );
    }
    assert_eq!(
        scorer(&host, "a").await,
        "boathouse/pareto@0.1.0",
        "the third call is answered"
    );
    let view = host
        .until(EVIL, |view| !view["versions"][0]["suspended"].is_null())
        .await;
    assert_eq!(view["versions"][0]["state"], "active", "{view}");
    let of = format!("{EVIL}/events");
    host.until(&of, |page| page["events"].to_string().contains("suspended"))
        .await;
    let ready = host.read("/readyz").await;
    assert!(
        ready["ready"] == true && ready.to_string().contains("1 suspended"),
        "{ready}"
    );
    check_counted(&host).await;

    let host = host.kill_and_restart();
    assert_eq!(
        scorer(&host, "a").await,
        "boathouse/pareto@0.1.0",
        "still suspended"
    );
    activated(&host, EVIL, "1.0.0", &json!({"indexes": ["a"]})).await;
    assert_eq!(host.get(best).await.0, 502, "it is asked again");
    assert!(
        events(&host, EVIL)
            .await
            .contains(&"reinstated 1.0.0".to_owned())
    );
}

/// Three crashes are on the page of the plugin and among the figures for Prometheus.
async fn check_counted(host: &Host) {
    let view = host.read(EVIL).await;
    let stats = &view["versions"][0]["stats"];
    assert_eq!(stats["failures"], json!({"trap": 3}), "{view}");
    let metrics = host.read("/metrics").await;
    let metrics = metrics.as_str().expect("text");
    let labels = r#"kind="scoring",plugin="evil/scoring",version="1.0.0""#;
    let peak = &stats["peak_memory_bytes"];
    for line in [
        format!("boathouse_plugin_call_failures_total{{{labels},cause=\"trap\"}} 3"),
        format!("boathouse_plugin_suspended{{{labels}}} 1"),
        format!("boathouse_plugin_memory_peak_bytes{{{labels}}} {peak}"),
        format!(
            "boathouse_plugin_calls_total{{{labels}}} {}",
            stats["calls"]
        ),
    ] {
        assert!(
            metrics.lines().any(|told| told == line),
            "`{line}` is missing in:\n{metrics}"
        );
    }
}

#[tokio::test]
async fn a_suspended_detector_is_left_out_and_the_dataset_says_so() {
    let host = Host::fresh();
    let evil = "/plugins/pii/evil/pii";
    stock(&host, evil, &[EVIL_PII]).await;
    activated(&host, evil, "1.0.0", &json!({"datasets": ["orders"]})).await;
    let table = |order: &str| format!("email,{order}\nada@example.org,1\nbob@example.org,2\n");
    for _ in 0..3 {
        let report = host.ingest("orders", table("attack_panic")).await;
        let failures = report["detector_failures"].as_array().expect("a list");
        let crashed = |failure: &Value| failure.to_string().contains("crashed");
        assert!(failures.len() == 1 && crashed(&failures[0]), "{report}");
    }
    let report = host.ingest("orders", table("amount")).await;
    let failures = report["detector_failures"].to_string();
    assert!(
        failures.contains("evil/pii") && failures.contains("suspended"),
        "{report}"
    );
    let found = report["findings"].to_string();
    assert!(found.contains("email"), "the house still looks: {report}");
    assert_eq!(
        host.read("/datasets/orders").await["findings_complete"],
        false
    );
    let report = host.ingest("others", table("attack_panic")).await;
    assert_eq!(
        report["detector_failures"],
        json!([]),
        "it looks at its dataset only"
    );

    let (status, body) = host
        .post("/plugins/pii/boathouse/pii/deactivate", &json!({}))
        .await;
    assert_eq!(status, 200, "{body}");
    let report = host.ingest("orders", table("amount")).await;
    let found = report["findings"].to_string();
    assert!(
        found.contains("email"),
        "nobody else is left, so the house looks: {report}"
    );
}

#[tokio::test]
async fn damaged_bytes_do_not_keep_a_host_from_starting() {
    let host = Host::fresh();
    judged(&host, "a").await;
    stock(&host, MARKED, &[MARKED_1]).await;
    activated(&host, MARKED, "1.0.0", &json!({})).await;
    let view = host.read(MARKED).await;
    let digest = view["versions"][0]["digest"].as_str().expect("a digest");
    let blob = format!("primary/plugins/blobs/{digest}.wasm");
    let copy = format!("rescue/{blob}");
    // While no host runs: one would copy what it has just put back.
    let damage = |data: &Path, path: &str| {
        std::fs::write(data.join(path), b"torn").expect("written");
    };
    let is_copied = |_: &Value| host.data.join(&copy).exists();
    host.until("/storage/buckets", is_copied).await;
    let host = host.kill_and(|data| damage(data, &blob));
    assert_eq!(
        scorer(&host, "a").await,
        "test/marked@1.0.0",
        "from the copy"
    );
    let host = host.kill_and(|data| {
        damage(data, &blob);
        damage(data, &copy);
    });
    assert_eq!(scorer(&host, "a").await, "boathouse/pareto@0.1.0");
    assert_eq!(
        events(&host, MARKED).await.last().map(String::as_str),
        Some("suspended 1.0.0")
    );
    stock_again(&host).await;
    activated(&host, MARKED, "1.0.0", &json!({})).await;
    assert_eq!(scorer(&host, "a").await, "test/marked@1.0.0");
}

/// The same upload once more, which mends what is stored.
async fn stock_again(host: &Host) {
    let (status, body) = super::upload(host, MARKED, MARKED_1).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn a_kill_between_any_two_changes_leaves_one_that_was_asked_for() {
    let mut host = Host::fresh();
    judged(&host, "a").await;
    stock(&host, MARKED, &[MARKED_1, MARKED_2]).await;
    activated(&host, MARKED, "1.0.0", &json!({})).await;
    for wait in [0, 1, 3, 7] {
        let nothing = json!({});
        let mut last = None;
        let swaps = async {
            for version in ["2.0.0", "1.0.0"].into_iter().cycle() {
                let (status, body) = activate(&host, MARKED, version, &nothing).await;
                assert_eq!(status, 200, "{body}");
                last = Some(version);
            }
        };
        // So many answers of another route later, the host is killed in the middle of something.
        let clock = async {
            for _ in 0..=wait {
                host.read("/plugins").await;
            }
        };
        tokio::select! {
            () = swaps => {}
            () = clock => {}
        }
        host = host.kill_and_restart();
        let serving = scorer(&host, "a").await;
        let states = states(&host, MARKED).await;
        let active = states
            .iter()
            .filter(|state| state.ends_with("active"))
            .count();
        assert_eq!(active, 1, "{states:?}");
        assert!(
            serving.starts_with("test/marked@"),
            "{serving} after {last:?}"
        );
        let page = host.read("/plugins/events?limit=1000").await;
        let events = page["events"].as_array().expect("events");
        let numbers: Vec<u64> = events
            .iter()
            .filter_map(|event| event["seq"].as_u64())
            .collect();
        let gapless: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert_eq!(numbers, gapless, "an event is missing or doubled");
        let told = events
            .iter()
            .rfind(|event| event["name"] == "test/marked" && event["event"] == "activated");
        let told: &Value = &told.expect("an activation")["version"];
        assert!(
            serving.ends_with(told.as_str().expect("text")),
            "{serving}, the log says {told}"
        );
    }
}
