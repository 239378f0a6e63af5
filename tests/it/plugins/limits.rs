//! Bounds that the operator of a host sets: shown as they are, kept by every call, and where it is the host
//! that has no room, no plugin is to blame.

use std::pin::pin;

use reqwest::{Method, header};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{EVIL, activated, answer, judged, ordering, request, scorer, stock};
use crate::{
    guests::EVIL_SCORING,
    support::{Host, check_problem},
};

/// A host with such a configuration, and its folder.
pub(super) fn host_with(config: &str) -> (Host, TempDir) {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("boathouse.toml"), config).expect("written");
    (Host::on(folder.path()), folder)
}

#[tokio::test]
async fn the_limits_of_a_kind_are_shown_and_kept() {
    let (host, _folder) = host_with("[plugins.sandbox.limits.scoring]\ndeadline_ms = 1500\n");
    let list = host.read("/plugins").await;
    assert_eq!(list["limits"]["scoring"]["deadline_ms"], 1_500, "{list}");
    assert_eq!(list["limits"]["pii"]["deadline_ms"], 2_000, "{list}");
    ordering(&host, "a", "loop").await;
    stock(&host, EVIL, &[EVIL_SCORING]).await;
    activated(&host, EVIL, "1.0.0", &json!({"indexes": ["a"]})).await;
    let looped = host.get("/vectors/trials/a/best").await;
    check_problem(looped, 502, "plugin_failed", &["deadline of 1500 ms"]);
}

#[tokio::test]
async fn without_room_for_a_call_it_is_turned_away_at_once_and_nobody_is_blamed() {
    let config = "[plugins.sandbox]\nmax_concurrent_calls = 1\nqueued_calls = 0\n";
    let (host, _folder) = host_with(config);
    ordering(&host, "busy", "loop").await;
    judged(&host, "calm").await;
    stock(&host, EVIL, &[EVIL_SCORING]).await;
    activated(&host, EVIL, "1.0.0", &json!({"indexes": ["busy"]})).await;

    // Until its deadline the call for one index holds the only place.
    let mut looping = pin!(async {
        loop {
            let looped = host.get("/vectors/trials/busy/best").await;
            if looped.0 != 503 {
                return looped;
            }
        }
    });
    let turned_away = async {
        loop {
            let best = request(&host, Method::GET, "/vectors/trials/calm/best");
            let told = answer(best).await;
            if told.0 != 200 {
                return told;
            }
        }
    };
    let (status, headers, problem) = tokio::select! {
        told = turned_away => told,
        looped = &mut looping => panic!("nobody was turned away during {looped:?}"),
    };
    let words = ["boathouse/pareto@0.1.0", "1 calls run", "try again later"];
    check_problem((status, problem), 503, "overloaded", &words);
    assert!(headers.contains_key(header::RETRY_AFTER), "{headers:?}");

    check_problem(
        looping.await,
        502,
        "plugin_failed",
        &["deadline of 2000 ms"],
    );
    assert_eq!(scorer(&host, "calm").await, "boathouse/pareto@0.1.0");
    for plugin in [EVIL, super::HOUSE] {
        let view = host.read(plugin).await;
        assert_eq!(view["versions"][0]["suspended"], Value::Null, "{view}");
    }
}
