//! Equal questions get answers that are equal to the bit: in every run, on every instance, in every
//! engine, at once and one after another, before and after a restart.
//!
//! Held against the bundled plugins, and against one that is made of rounding, hash maps, clock
//! and entropy (`tests/guests/floats`).

use std::fmt::Debug;

use boathouse_bundle::{EPSILON_GREEDY, PARETO, PII, SURROGATE};
use boathouse_plugins::{Compiling, Plugin, PluginHost, PluginHostConfig, golden};
use boathouse_types::{Finding, PluginKind, Verdict};
use futures::future::join_all;
use serde_json::json;

use crate::{
    guests::FLOATS,
    support::{Host, sentences},
};

/// Rounds of the same questions on one host.
const ROUNDS: usize = 3;
/// Times that all questions are asked at once.
const AT_ONCE: usize = 8;

fn engine() -> PluginHost {
    let mut config = PluginHostConfig::default();
    // A machine that is busy is no reason to fail.
    for limits in [
        &mut config.limits.proposer,
        &mut config.limits.scoring,
        &mut config.limits.pii,
    ] {
        limits.deadline_ms = 60_000;
    }
    PluginHost::new(config, Compiling::InProcess).expect("host")
}

/// What a plugin answers to everything that golden input has to ask, to the bit.
async fn answers(plugin: &Plugin) -> String {
    let mut answers = String::new();
    match plugin.kind() {
        PluginKind::Proposer => {
            for context in golden::contexts() {
                answers += &text(plugin.propose(&context.question).await);
            }
        }
        PluginKind::Scoring => {
            for journal in golden::journals() {
                let golden::Journal { trials, objective } = journal.question;
                let verdicts = plugin.evaluate(&trials, &objective).await;
                answers += &text(verdicts.map(|all| all.into_iter().map(bits).collect::<Vec<_>>()));
            }
        }
        PluginKind::Pii => {
            for table in golden::tables() {
                let findings = plugin.detect(&table.question).await;
                answers += &text(findings.map(|all| all.into_iter().map(sure).collect::<Vec<_>>()));
            }
        }
    }
    assert!(answers.len() > 100, "golden input asks something");
    answers
}

fn text(answer: impl Debug) -> String {
    format!("{answer:?}\n")
}

fn bits(verdict: Verdict) -> (u64, Verdict) {
    (verdict.score.to_bits(), verdict)
}

fn sure(finding: Finding) -> (u64, Finding) {
    (finding.confidence.to_bits(), finding)
}

async fn check_bit_equal(kind: PluginKind, component: &[u8]) {
    let mut given = Vec::new();
    for _ in 0..2 {
        let host = engine();
        let plugin = host.load(kind, component).await.expect("it loads");
        for _ in 0..ROUNDS {
            given.push(answers(&plugin).await);
        }
        given.extend(join_all((0..AT_ONCE).map(|_| answers(&plugin))).await);
    }
    assert_eq!(given.len(), 2 * (ROUNDS + AT_ONCE));
    for (at, other) in given.iter().enumerate() {
        assert_eq!(other, &given[0], "answers {at} differ from the first");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundled_proposers_repeat_themselves_to_the_bit() {
    for plugin in [EPSILON_GREEDY, SURROGATE] {
        check_bit_equal(PluginKind::Proposer, plugin.bytes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundled_scorer_repeats_itself_to_the_bit() {
    check_bit_equal(PluginKind::Scoring, PARETO.bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundled_detector_repeats_itself_to_the_bit() {
    check_bit_equal(PluginKind::Pii, PII.bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rounding_hashing_clock_and_entropy_are_repeated_to_the_bit() {
    check_bit_equal(PluginKind::Scoring, FLOATS).await;
}

/// The body of an answer, to the byte.
async fn body(host: &Host, path: &str) -> String {
    let response = reqwest::get(format!("{}{path}", host.url)).await;
    let text = response.expect("an answer").text().await;
    text.expect("a body")
}

const BEST: &str = "/vectors/trials/notes/best";

#[tokio::test]
async fn an_answer_over_http_is_the_same_after_a_restart() {
    let host = Host::fresh();
    let found = host.ingest("people", people()).await["findings"].clone();
    assert!(found.as_array().is_some_and(|found| !found.is_empty()));
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    for ef_search in [20, 30] {
        let spec = json!({"ef_search": ef_search});
        host.done("/vectors/trials/notes", &spec).await;
    }
    let bundled = body(&host, BEST).await;
    assert!(bundled.contains("boathouse/pareto"), "{bundled}");
    let host = host.kill_and_restart();
    assert_eq!(body(&host, BEST).await, bundled);
    assert_eq!(host.ingest("people", people()).await["findings"], found);

    let versions = "/plugins/scoring/test/floats/versions";
    let (status, answer) = host.post_raw(versions, FLOATS).await;
    assert_eq!(status, 201, "{answer}");
    let activate = format!("{versions}/1.0.0/activate");
    let (status, answer) = host.post(&activate, &json!({"indexes": ["notes"]})).await;
    assert_eq!(status, 200, "{answer}");
    let first = body(&host, BEST).await;
    assert!(first.contains("test/floats"), "{first}");
    let at_once = join_all((0..AT_ONCE).map(|_| body(&host, BEST))).await;
    let host = host.kill_and_restart();
    let again = body(&host, BEST).await;
    for other in at_once.iter().chain([&again]) {
        assert_eq!(other, &first);
    }
}

/// A table that a detector has something to say about.
fn people() -> String {
    let rows = (0..30).map(|row| format!("user{row}@example.org,2001:db8::{row:x},{row}\n"));
    format!("email,address,points\n{}", rows.collect::<String>())
}
