//! Hostile plugins against the real program over HTTP: one test an attack, each with the exact words of
//! the answer, and after each the host serves on.
//!
//! Attacks are made by plugins that passed every check of their upload and turn on the host when they
//! serve ([`serving`], [`others`]), and by components that have no business being uploaded ([`upload`],
//! [`bombs`]). What "serves on" means stands in [`Arena::serves_on`].
//!
//! A host takes a second to start, so tests of this module that run side by side share one. They take
//! turns on it: what an attack did to the host is then seen by the test that made it, and failures of
//! the shared plugin never come in a row.

mod bombs;
mod others;
mod serving;
mod upload;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use expect_test::Expect;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    guests::{EVIL_PII, EVIL_SCORING, order},
    support::{Host, sentences},
};

/// How much an attack may leave behind in the host's memory: a few calls' worth, in bytes.
const LEFT_BEHIND: u64 = 256 << 20;

/// A host with hostile plugins that serve, and the turn to attack it.
struct Arena {
    runtime: Runtime,
    host: Host,
    turn: tokio::sync::Mutex<()>,
    /// Memory of the host before the first attack, in bytes.
    memory: Option<u64>,
}

/// The arena of the tests that run now. Weak, so that the host ends with the last of them.
static ARENA: Mutex<Weak<Arena>> = Mutex::new(Weak::new());

fn arena() -> Arc<Arena> {
    let mut shared = ARENA.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(arena) = shared.upgrade() {
        return arena;
    }
    let arena = Arc::new(Arena::open());
    *shared = Arc::downgrade(&arena);
    arena
}

impl Arena {
    fn open() -> Self {
        // One runtime for all tests: a connection does not outlive the runtime that opened it.
        let runtime = Runtime::new().expect("a runtime");
        let host = runtime.block_on(async {
            let host = Host::fresh();
            host.ingest("notes", sentences()).await;
            host.ingest("orders", "id\n1\n").await;
            install(&host, "scoring/evil/scoring", EVIL_SCORING).await;
            install(&host, "pii/evil/pii", EVIL_PII).await;
            field(&host, "plain", None).await;
            field(&host, "calm", None).await;
            let calm = json!({"indexes": ["calm"]});
            activate(&host, "scoring/evil/scoring", &calm).await;
            let orders = json!({"datasets": ["orders"]});
            activate(&host, "pii/evil/pii", &orders).await;
            host
        });
        Self {
            memory: memory(&host),
            runtime,
            host,
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// Whatever happened, the host is ready, its own plugins answer, the attacker answers honestly when
    /// it is asked honestly, and what the attack took was given back.
    async fn serves_on(&self) {
        assert_eq!(self.host.read("/readyz").await["ready"], true);
        for (index, scorer) in [("plain", "boathouse/pareto"), ("calm", "evil/scoring")] {
            let best = self.host.read(&best(index)).await;
            assert_eq!(best["scored_by"]["name"], scorer, "{best}");
        }
        if let (Some(before), Some(now)) = (self.memory, memory(&self.host)) {
            let grown = now.saturating_sub(before);
            assert!(grown < LEFT_BEHIND, "the host has grown by {grown} bytes");
        }
    }
}

/// Uploads a plugin that must pass every check.
async fn install(host: &Host, plugin: &str, component: impl Into<reqwest::Body>) {
    let path = format!("/plugins/{plugin}/versions");
    let (status, body) = host.post_raw(&path, component).await;
    assert_eq!(status, 201, "{plugin}: {body}");
}

/// Lets version 1.0.0 of a plugin serve.
async fn activate(host: &Host, plugin: &str, at: &Value) {
    let path = format!("/plugins/{plugin}/versions/1.0.0/activate");
    let (status, body) = host.post(&path, at).await;
    assert_eq!(status, 200, "{plugin}: {body}");
}

/// An index with a trial to judge, whose objective has this memory cap.
async fn field(host: &Host, name: &str, cap: Option<u64>) {
    let body = json!({
        "name": name,
        "dataset": "notes",
        "text_column": "text",
        "objective": {"memory_cap_bytes": cap},
    });
    host.done("/vectors/indexes", &body).await;
    let trials = format!("/vectors/trials/{name}");
    host.done(&trials, &json!({})).await;
}

fn best(index: &str) -> String {
    format!("/vectors/trials/{index}/best")
}

/// Orders the scoring plugin that serves to attack when an index is judged, and compares what came of
/// it.
fn check(word: &str, expected: &Expect) {
    check_with("scoring/evil/scoring", order(word), word, expected);
}

/// The same with any plugin of the arena and any order.
fn check_with(plugin: &str, cap: u64, name: &str, expected: &Expect) {
    let arena = arena();
    arena.runtime.block_on(async {
        let _turn = arena.turn.lock().await;
        let index = format!("under-{name}");
        field(&arena.host, &index, Some(cap)).await;
        activate(&arena.host, plugin, &json!({"indexes": [index]})).await;
        let answer = arena.host.get(&best(&index)).await;
        expected.assert_eq(&told(&answer));
        arena.serves_on().await;
    });
}

/// What an answer to "which trial is best" says, a line.
fn told((status, body): &(u16, Value)) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if *status != 200 {
        return format!(
            "{status} {}: {}\n",
            text(&body["code"]),
            text(&body["detail"])
        );
    }
    let (by, verdict) = (&body["scored_by"], &body["verdict"]);
    let version = format!("{}@{}", text(&by["name"]), text(&by["version"]));
    let (score, reason) = (&verdict["score"], text(&verdict["reason"]));
    format!("{version}: {score} {reason}\n")
}

/// Bytes of memory that a host occupies; none where the system does not tell.
fn memory(host: &Host) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}
