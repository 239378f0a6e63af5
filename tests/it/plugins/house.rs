//! The plugins that a host brings along: nothing is special about how they come in, and one call puts an
//! alternative in the place of the one that serves.

use boathouse_bundle::{EPSILON_GREEDY, PARETO, PII, SURROGATE};
use serde_json::{Value, json};

use super::{
    HOUSE, activate, activated, answer, events, judged, limits::host_with, request, states, upload,
};
use crate::{
    buckets::found,
    support::{Host, LOG, check_problem, run},
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

const SURROGATE_PATH: &str = "/plugins/proposer/boathouse/surrogate";

/// Who proposed the trials of a run, without its baseline.
async fn proposers(host: &Host, index: &str) -> Vec<String> {
    let run = json!({"strategy": "proposer", "max_trials": 3});
    let (status, report) = host.post(&format!("/vectors/autotune/{index}"), &run).await;
    assert_eq!(status, 200, "{report}");
    let trials = report["trials"].as_array().expect("trials").iter();
    let names = trials.filter_map(|trial| trial["proposed_by"]["name"].as_str());
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn one_call_puts_the_surrogate_in_the_place_of_the_proposer_and_one_takes_it_back() {
    let host = Host::fresh();
    judged(&host, "a").await;
    assert_eq!(states(&host, SURROGATE_PATH).await, ["0.1.0 checked"]);
    assert_eq!(
        events(&host, SURROGATE_PATH).await,
        ["uploaded 0.1.0", "checked 0.1.0"]
    );
    let (status, _) = upload(&host, SURROGATE_PATH, SURROGATE.bytes).await;
    assert_eq!(status, 200, "these very bytes are there");

    let switched = activated(&host, SURROGATE_PATH, "0.1.0", &json!({})).await;
    assert_eq!(switched["replaced"]["name"], "boathouse/epsilon-greedy");
    let by = proposers(&host, "a").await;
    assert!(
        !by.is_empty() && by.iter().all(|name| name == "boathouse/surrogate"),
        "{by:?}"
    );

    let host = host.kill_and_restart();
    assert_eq!(states(&host, SURROGATE_PATH).await, ["0.1.0 active"]);
    let (status, back) = host
        .post(&format!("{SURROGATE_PATH}/rollback"), &json!({}))
        .await;
    assert_eq!(status, 200, "{back}");
    assert_eq!(states(&host, SURROGATE_PATH).await, ["0.1.0 retired"]);
}

#[tokio::test]
async fn the_operator_sets_the_taste_of_the_scoring_plugin() {
    let settings = "[plugins.settings.\"boathouse/pareto\"]\nrecall = \"0\"\nlatency = \"0\"\nmemory = \"1\"\n\
        memory_scale_bytes = \"1000000000\"\n";
    let (host, _folder) = host_with(settings);
    judged(&host, "a").await;
    let best = host.read("/vectors/trials/a/best").await;
    let (score, bytes) = (
        best["verdict"]["score"].as_f64().expect("a score"),
        best["trial"]["metrics"]["memory_bytes"]
            .as_f64()
            .expect("bytes"),
    );
    assert!((score + bytes / 1e9).abs() < 1e-12, "{best}");
}

#[tokio::test]
async fn a_plugin_that_declines_its_settings_does_not_begin_to_serve() {
    let settings = "[plugins.settings.\"boathouse/surrogate\"]\nworks = \"latency\"\n";
    let (host, _folder) = host_with(settings);
    let activate = format!("{SURROGATE_PATH}/versions/0.1.0/activate");
    let refused = host.post(&activate, &json!({})).await;
    let words = ["[plugins.settings.\"boathouse/surrogate\"]", "works"];
    check_problem(refused, 422, "settings_declined", &words);
    assert!(!states(&host, SURROGATE_PATH).await[0].contains("active"));
}

#[tokio::test]
async fn settings_that_a_plugin_declines_are_said_at_the_start_and_at_every_question() {
    let folder = tempfile::tempdir().expect("folder");
    let wrong = "[plugins.settings.\"boathouse/pareto\"]\nlatency = \"fast\"\n\
        [plugins.settings.\"boathouse/parreto\"]\nlatency = \"1\"\n";
    let config = folder.path().join("boathouse.toml");
    std::fs::write(&config, wrong).expect("written");
    std::fs::write(folder.path().join(LOG), "").expect("written");
    let host = Host::on(folder.path());
    let words = "setting `latency` is `fast`";
    let log = std::fs::read_to_string(folder.path().join(LOG)).expect("a log");
    assert!(
        log.contains("declines an ordinary question") && log.contains(words),
        "{log}"
    );
    let ready = host.read("/readyz").await;
    let told = ready["components"].to_string();
    assert!(
        told.contains("latency") && told.contains("boathouse/parreto, which is not here"),
        "{told}"
    );
    let path = config.to_str().expect("text");
    for (text, word) in [
        (wrong, words),
        (
            wrong
                .split_once("[plugins.settings.\"boathouse/parreto")
                .expect("two")
                .0,
            words,
        ),
        (
            "[plugins.settings.\"boathouse/parreto\"]\nx = \"1\"\n",
            "no such plugin",
        ),
    ] {
        std::fs::write(&config, text).expect("written");
        let output = run(&["config", "check", "--config", path]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(1) && said.contains(word),
            "{said}"
        );
    }

    judged(&host, "a").await;
    let (status, refused) = host.get("/vectors/trials/a/best").await;
    assert!(
        status >= 400 && refused.to_string().contains(words),
        "{status}: {refused}"
    );
}
