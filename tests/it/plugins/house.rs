//! The three plugins that a host brings along: nothing is special about how they come in.

use boathouse_bundle::{EPSILON_GREEDY, PARETO, PII};
use serde_json::{Value, json};

use super::{HOUSE, activate, answer, events, limits::host_with, request, states, upload};
use crate::{
    buckets::found,
    support::{Host, check_problem},
};

#[tokio::test]
async fn bundled_plugins_are_uploaded_checked_and_activated_like_any_other() {
    let host = Host::fresh();
    let is_copied = |list: &Value| {
        let mirror = &found(list, "primary")["mirror"];
        mirror["objects"] == 0 && mirror["comparing"] == false
    };
    host.until("/storage/buckets", is_copied).await;
    for (plugin, bundled) in [
        ("/plugins/proposer/boathouse/epsilon-greedy", EPSILON_GREEDY),
        ("/plugins/scoring/boathouse/pareto", PARETO),
        ("/plugins/pii/boathouse/pii", PII),
    ] {
        let (status, again) = upload(&host, plugin, bundled.bytes).await;
        assert_eq!(status, 200, "these very bytes are there: {again}");
        let checks = again["report"]["checks"].as_array().expect("checks");
        assert_eq!(
            (checks.len(), &again["report"]["passed"]),
            (10, &json!(true))
        );

        let view = host.read(plugin).await;
        let version = view["versions"][0]["version"].as_str().expect("text");
        assert_eq!(states(&host, plugin).await, [format!("{version} active")]);
        let happened = ["uploaded", "checked", "activated"];
        let happened = happened.map(|event| format!("{event} {version}"));
        assert_eq!(events(&host, plugin).await, happened);
        let log = host.read(&format!("{plugin}/events")).await;
        for event in log["events"].as_array().expect("events") {
            assert_eq!(event["by"], "boathouse", "{event}");
        }
        let digest = view["versions"][0]["digest"].as_str().expect("text");
        for bucket in ["primary", "rescue/primary"] {
            let blob = format!("{bucket}/plugins/blobs/{digest}.wasm");
            let stored = std::fs::read(host.data.join(blob)).expect("its bytes");
            assert!(stored == bundled.bytes, "{plugin} in {bucket}");
        }
    }
}

/// Under such limits no scoring plugin answers the golden questions; the host starts all the same.
#[tokio::test]
async fn a_version_that_was_never_checked_is_checked_before_it_is_activated() {
    let limits = "[plugins.sandbox.limits.scoring]\nresult_items = 4\n";
    let (host, _folder) = host_with(limits);
    let version = "0.1.0";
    assert_eq!(
        events(&host, HOUSE).await,
        [
            format!("uploaded {version}"),
            format!("activated {version}")
        ]
    );
    let refused = activate(&host, HOUSE, version, &json!({})).await;
    check_problem(refused, 422, "check_failed", &["answer", "4 are the most"]);
    let shadow = format!("{HOUSE}/versions/{version}/shadow");
    let (status, _, problem) = answer(request(&host, reqwest::Method::POST, &shadow)).await;
    assert_eq!((status, &problem["code"]), (422, &json!("check_failed")));
    let report = &problem["report"];
    assert_eq!(report["passed"], Value::Bool(false), "{problem}");
    assert_eq!(events(&host, HOUSE).await.len(), 2, "nothing happened");
}
