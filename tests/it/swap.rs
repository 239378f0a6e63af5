//! Swapping a plugin under load: no call fails, no answer is of two versions, and once a swap has
//! returned only the new version answers.
//!
//! The plugin signs every verdict with its version (`tests/guests/marked`), so an answer alone tells who
//! gave it; that is held against what the host says. Once through the front door, once at the place in
//! the sandbox that is swapped.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use boathouse_plugins::{Compiling, Plugin, PluginHost, PluginHostConfig, Slot, golden};
use boathouse_types::{Objective, PluginKind, Trial};
use futures::future::join_all;
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    guests::{MARKED_1, MARKED_2},
    support::{Host, sentences},
};

const CLIENTS: usize = 8;
const SWAPS: usize = 1_000;
/// How long a client may take to get an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The versions in turn; the second serves first.
const TURNS: [&str; 2] = ["2.0.0", "1.0.0"];

const PLUGIN: &str = "/plugins/scoring/test/marked";
const BEST: &str = "/vectors/trials/notes/best";

/// A host with an index that has a trial to judge, both versions uploaded and the first serving.
async fn stage() -> Host {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    host.done("/vectors/trials/notes", &json!({})).await;
    for component in [MARKED_1, MARKED_2] {
        let (status, body) = host
            .post_raw(&format!("{PLUGIN}/versions"), component)
            .await;
        assert_eq!(status, 201, "{body}");
    }
    let (status, body) = activate(&host, "1.0.0").await;
    assert_eq!(status, 200, "{body}");
    host
}

async fn activate(host: &Host, version: &str) -> (u16, serde_json::Value) {
    let path = format!("{PLUGIN}/versions/{version}/activate");
    host.post(&path, &json!({})).await
}

/// Asks for the best trial and returns the version that signed the answer, which must be the one that
/// the host names.
async fn ask(host: &Host) -> String {
    let best = host.read(BEST).await;
    let mark = best["verdict"]["reason"].as_str().expect("a mark");
    assert_eq!(best["scored_by"]["name"], "test/marked", "{best}");
    assert_eq!(best["scored_by"]["version"], mark, "{best}");
    mark.to_owned()
}

/// Calls that a version has had since the host started.
async fn calls(host: &Host, version: &str) -> u64 {
    let plugin = host.read(PLUGIN).await;
    let versions = plugin["versions"].as_array().expect("versions");
    let found = versions.iter().find(|view| view["version"] == version);
    let calls = found.and_then(|view| view["stats"]["calls"].as_u64());
    calls.unwrap_or_else(|| panic!("no count of calls of {version}: {plugin}"))
}

/// Swaps back and forth, telling the clients when one begins; after each a call shows the new version.
async fn swap_many(host: &Host, begins: watch::Sender<()>) {
    for swap in 0..SWAPS {
        let (to, from) = (TURNS[swap % 2], TURNS[(swap + 1) % 2]);
        begins.send_replace(());
        let (status, body) = activate(host, to).await;
        assert_eq!(status, 200, "swap {swap}: {body}");
        assert_eq!(body["active"]["version"], to, "swap {swap}: {body}");
        assert_eq!(body["replaced"]["version"], from, "swap {swap}: {body}");
        assert_eq!(ask(host).await, to, "after swap {swap}");
        if swap % 100 == 0 {
            let before = calls(host, from).await;
            assert_eq!(ask(host).await, to);
            assert_eq!(calls(host, from).await, before, "{from} is called still");
        }
    }
}

/// Asks as soon as a swap begins, again and again, and counts who answered.
async fn client(host: &Host, mut swap: watch::Receiver<()>) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    while swap.changed().await.is_ok() {
        *answers.entry(ask(host).await).or_default() += 1;
    }
    answers
}

#[tokio::test]
async fn a_thousand_swaps_under_load_fail_no_call_and_mix_no_versions() {
    let host = stage().await;
    let (begins, swap) = watch::channel(());
    let clients = join_all((0..CLIENTS).map(|_| client(&host, swap.clone())));
    let ((), answers) = futures::join!(swap_many(&host, begins), clients);

    for answers in &answers {
        assert_eq!(answers.len(), 2, "a client met one version only");
    }
    let calls: usize = answers.iter().flat_map(BTreeMap::values).sum();
    assert!(calls > SWAPS, "{calls} calls are no load");
    let failures: Vec<_> = failures(&host).await;
    assert!(failures.is_empty(), "{failures:?}");
}

/// Failures of either version, by cause.
async fn failures(host: &Host) -> Vec<serde_json::Value> {
    let plugin = host.read(PLUGIN).await;
    let versions = plugin["versions"].as_array().expect("versions");
    let failures = versions
        .iter()
        .map(|view| view["stats"]["failures"].clone());
    failures
        .filter(|causes| causes.as_object().is_some_and(|causes| !causes.is_empty()))
        .collect()
}

#[tokio::test]
async fn what_was_swapped_in_last_serves_after_a_restart() {
    let host = stage().await;
    for version in ["2.0.0", "1.0.0", "2.0.0"] {
        assert_eq!(activate(&host, version).await.0, 200);
    }
    let host = host.kill_and_restart();
    assert_eq!(ask(&host).await, "2.0.0");
    let (status, body) = host.post(&format!("{PLUGIN}/rollback"), &json!({})).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(ask(&host).await, "1.0.0");
}

/// What the clients of a slot have in common.
struct Ring {
    slot: Slot,
    trials: Vec<Trial>,
    done: AtomicBool,
    /// Calls under way on the first and on the second version.
    under_way: [AtomicU64; 2],
    answers: AtomicU64,
}

impl Ring {
    async fn client(self: Arc<Self>) {
        while !self.done.load(SeqCst) {
            let lease = self.slot.lease();
            let version = lease.identity().version.clone();
            let under_way = &self.under_way[usize::from(version == "2.0.0")];
            under_way.fetch_add(1, SeqCst);
            let verdicts = lease.evaluate(&self.trials, &Objective::default()).await;
            for verdict in verdicts.expect("an answer") {
                assert_eq!(verdict.reason.as_deref(), Some(version.as_str()));
            }
            under_way.fetch_sub(1, SeqCst);
            self.answers.fetch_add(1, SeqCst);
        }
    }

    async fn swap_many(&self, versions: &[Plugin; 2]) {
        for swap in 0..SWAPS {
            let (to, from) = ((swap + 1) % 2, swap % 2);
            let drain = self.slot.swap(versions[to].clone());
            assert_eq!(drain.replaced(), versions[from].identity());
            drain.done().await;
            let left = self.under_way[from].load(SeqCst);
            assert_eq!(left, 0, "swap {swap} returned before calls had ended");
            assert_eq!(self.slot.lease().identity(), versions[to].identity());
            self.keep_going().await;
        }
    }

    /// Waits for an answer, so that swaps meet calls on the way.
    async fn keep_going(&self) {
        let (before, deadline) = (self.answers.load(SeqCst), Instant::now() + PATIENCE);
        while self.answers.load(SeqCst) == before {
            assert!(Instant::now() < deadline, "the clients have stopped");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_drained_of_the_old_version_before_a_swap_returns() {
    let host = PluginHost::new(PluginHostConfig::default(), Compiling::InProcess);
    let host = host.expect("host");
    let mut versions = Vec::new();
    for component in [MARKED_1, MARKED_2] {
        let plugin = host.load(PluginKind::Scoring, component).await;
        versions.push(plugin.expect("it loads"));
    }
    let versions: [Plugin; 2] = versions.try_into().expect("two");
    let journals = golden::journals().into_iter();
    let trials = journals.map(|golden| golden.question.trials);
    let trials = trials.max_by_key(Vec::len).expect("a journal");
    let ring = Arc::new(Ring {
        slot: Slot::new(versions[0].clone()),
        trials,
        done: AtomicBool::new(false),
        under_way: [AtomicU64::new(0), AtomicU64::new(0)],
        answers: AtomicU64::new(0),
    });
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(Arc::clone(&ring).client());
    }
    ring.swap_many(&versions).await;
    ring.done.store(true, SeqCst);
    while let Some(client) = clients.join_next().await {
        client.expect("no client failed");
    }
    let calls: u64 = versions.iter().map(|version| version.stats().calls).sum();
    assert_eq!(calls, ring.answers.load(SeqCst), "no call is lost");
}
