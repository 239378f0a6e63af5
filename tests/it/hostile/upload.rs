//! Components that have no business being uploaded: each is refused with the check that failed and the
//! cure, and nothing of it is stored.

use expect_test::{Expect, expect};
use serde_json::Value;

use super::{Arena, arena};
use crate::{
    guests::{EVIL_PII, EVIL_PROPOSER, EVIL_SCORING, at_once, raw::Raw},
    support::Host,
};

/// Where the honest hostile plugin lies already.
const SCORING: &str = "scoring/evil/scoring";

#[test]
fn a_module_is_no_component() {
    let module = wat::parse_str("(module)").expect("a module");
    check(
        SCORING,
        module,
        &expect![[r#"
            422 check_failed
            preamble: it is a core module and not a component; build with `cargo build --release --target wasm32-wasip2`, componentize-py or componentize-js (jco)
        "#]],
    );
}

#[test]
fn text_is_no_component() {
    check(
        SCORING,
        "(component)",
        &expect![[r#"
            422 check_failed
            preamble: it is not WebAssembly; build with `cargo build --release --target wasm32-wasip2`, componentize-py or componentize-js (jco)
        "#]],
    );
}

#[test]
fn machine_code_is_never_loaded() {
    // How what wasmtime compiles ahead of time begins.
    check(
        SCORING,
        b"\x7fELF\x02\x01\x01\xc8".to_vec(),
        &expect![[r#"
            422 check_failed
            preamble: it is machine code and not WebAssembly; hand in the component itself, the host compiles it; precompiled code is never loaded
        "#]],
    );
}

#[test]
fn a_component_cut_off_at_any_tenth_is_refused() {
    let arena = arena();
    arena.runtime.block_on(async {
        let _turn = arena.turn.lock().await;
        for tenth in 0..10 {
            let cut = &EVIL_SCORING[..EVIL_SCORING.len() * tenth / 10];
            let told = refused(&arena.host, SCORING, cut).await;
            assert!(told.starts_with("422 check_failed\n"), "{tenth}/10: {told}");
        }
        arena.serves_on().await;
    });
}

#[test]
fn noise_is_refused_with_and_without_the_right_beginning() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = || {
        // Marsaglia's xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let arena = arena();
    arena.runtime.block_on(async {
        let _turn = arena.turn.lock().await;
        for beginning in [&b""[..], b"\0asm\x0d\0\x01\0", b"\0asm\x0d\0\x01\0\x01"] {
            let mut bytes = beginning.to_vec();
            bytes.extend((0..8_192).flat_map(|_| noise()));
            let told = refused(&arena.host, SCORING, bytes).await;
            assert!(told.starts_with("422 check_failed\n"), "{told}");
        }
        arena.serves_on().await;
    });
}

#[test]
fn a_plugin_of_another_kind_does_not_fit_the_world() {
    check(
        SCORING,
        EVIL_PII,
        &expect![[r#"
            422 check_failed
            exports: it does not export `evaluate`, which the world `scoring` needs; it has the exports of the world `pii`; export every function of that world with its exact type, or use it as the pii plugin that it is
        "#]],
    );
    check(
        "pii/evil/pii",
        EVIL_PROPOSER,
        &expect![[r#"
            422 check_failed
            exports: it does not export `detect`, which the world `pii` needs; it has the exports of the world `proposer`; export every function of that world with its exact type, or use it as the proposer plugin that it is
        "#]],
    );
}

#[test]
fn an_import_that_no_plugin_gets_is_refused_by_name() {
    let text = r#"(component
        (import "wasi:http/outgoing-handler@0.2.0" (instance))
        (import "steal" (func)))"#;
    let greedy = wat::parse_str(text).expect("a component");
    check(
        SCORING,
        greedy,
        &expect![[r#"
            422 check_failed
            imports: it imports `wasi:http/outgoing-handler@0.2.0`, `steal`; a plugin gets no network: build without HTTP (`--disable http` for componentize-js)
            exports: it does not export `describe`, `evaluate`, which the world `scoring` needs; export every function of that world with its exact type
        "#]],
    );
}

#[test]
fn more_memory_than_a_plugin_may_have_from_the_start_is_refused() {
    let large = Raw {
        name: "large",
        fields: "(memory 4000)",
        ..Raw::default()
    };
    check(
        "scoring/raw/large",
        large.component(),
        &expect![[r#"
            422 check_failed
            compile: it does not compile: module memory does not fit in pooling allocator requirements: memory index 1 is unsupported in this pooling allocator configuration: memory has a minimum byte size of 262144000 which exceeds the limit of 0x4000000 bytes; check that the file is complete (`wasm-tools validate FILE`) and within the limits on memories, tables and instances
        "#]],
    );
}

#[test]
fn a_description_that_is_never_given_is_refused() {
    check(
        SCORING,
        at_once(EVIL_SCORING, "d-loop"),
        &expect![[r#"
            422 check_failed
            describe: it was stopped at its deadline of 2000 ms; let `describe` return its constants and nothing else
        "#]],
    );
}

#[test]
fn a_description_that_crashes_is_refused() {
    check(
        SCORING,
        at_once(EVIL_SCORING, "d-trap"),
        &expect![[r#"
            422 check_failed
            describe: it crashed: wasm trap: wasm `unreachable` instruction executed; let `describe` return its constants and nothing else
        "#]],
    );
}

#[test]
fn a_name_that_is_a_path_is_refused() {
    check(
        SCORING,
        at_once(EVIL_SCORING, "d-name"),
        &expect![[r#"
            422 check_failed
            describe: its description is wrong: the name `../../etc/passwd` is not `team/name`, both parts of lower-case letters, digits and hyphens; correct what its `describe` returns
        "#]],
    );
}

#[test]
fn a_description_that_is_a_book_is_refused() {
    check(
        SCORING,
        at_once(EVIL_SCORING, "d-huge"),
        &expect![[r#"
            422 check_failed
            describe: its description is wrong: its summary has 5000 bytes, 2048 are the most; correct what its `describe` returns
        "#]],
    );
}

#[test]
fn a_description_that_reads_everything_is_refused() {
    check(
        SCORING,
        at_once(EVIL_SCORING, "d-reads"),
        &expect![[r#"
            422 check_failed
            describe: its description is wrong: it gave 200000 inputs that it reads, 64 are the most; correct what its `describe` returns
        "#]],
    );
}

#[test]
fn a_plugin_that_calls_itself_another_kind_is_refused() {
    let liar = Raw {
        name: "liar",
        claims: 2,
        ..Raw::default()
    };
    check(
        "scoring/raw/liar",
        liar.component(),
        &expect![[r#"
            422 check_failed
            describe: it calls itself a pii plugin and has the exports of a scoring plugin; correct what its `describe` returns
        "#]],
    );
}

#[test]
fn a_plugin_that_calls_itself_otherwise_than_its_path_is_refused() {
    check(
        "scoring/evil/other",
        EVIL_SCORING,
        &expect![[r#"
            422 check_failed
            describe: its name is `evil/scoring` and not `evil/other`; hand it in under the name and version that its `describe` returns, or correct that
        "#]],
    );
}

#[test]
fn a_plugin_of_another_version_than_was_announced_is_refused() {
    check(
        "scoring/evil/scoring?version=9.9.9",
        EVIL_SCORING,
        &expect![[r#"
            422 check_failed
            describe: its version is `1.0.0` and not `9.9.9`; hand it in under the name and version that its `describe` returns, or correct that
        "#]],
    );
}

#[test]
fn an_endless_loop_is_refused() {
    check(
        SCORING,
        at_once(EVIL_SCORING, "loop"),
        &expect![[r#"
            422 check_failed
            deadline: on twelve trials: it was stopped at its deadline of 2000 ms; do less in one call, by the time that the host's deadline-ms tells, or raise deadline_ms of its kind
        "#]],
    );
}

#[test]
fn a_crash_is_refused() {
    check(
        SCORING,
        at_once(EVIL_SCORING, "panic"),
        &expect![[r#"
            422 check_failed
            answer: on twelve trials: it crashed: wasm trap: wasm `unreachable` instruction executed; its last log lines: last words: this plugin has lost its head; on twelve trials, every bound set: it crashed: wasm trap: wasm `unreachable` instruction executed; its last log lines: last words: this plugin has lost its head; on one trial: it crashed: wasm trap: wasm `unreachable` instruction executed; its last log lines: last words: this plugin has lost its head; and on 2 more; let its own tests ask this: every question needs an answer or a declared error
        "#]],
    );
}

#[test]
fn too_few_verdicts_are_refused() {
    check(
        SCORING,
        at_once(EVIL_SCORING, "short"),
        &expect![[r#"
            422 check_failed
            answer: on twelve trials: `feasible` has 11 entries for 12 trials; on twelve trials, every bound set: `feasible` has 11 entries for 12 trials; on one trial: `feasible` has 0 entries for 1 trials; and on 1 more; give exactly one entry a row, every number in its range and none NaN, as the contract's comments say
        "#]],
    );
}

#[test]
fn a_score_that_is_no_number_is_refused() {
    check(
        SCORING,
        at_once(EVIL_SCORING, "nans"),
        &expect![[r#"
            422 check_failed
            answer: on twelve trials: the score of trial 0 is NaN; on twelve trials, every bound set: the score of trial 0 is NaN; on one trial: the score of trial 0 is NaN; and on 1 more; give exactly one entry a row, every number in its range and none NaN, as the contract's comments say
        "#]],
    );
}

#[test]
fn a_proposal_beyond_the_bounds_is_refused() {
    let proposer = at_once(EVIL_PROPOSER, "beyond");
    check(
        "proposer/evil/proposer",
        proposer,
        &expect![[r#"
            422 check_failed
            answer: on the first proposal: it proposes m = 4294967295, allowed are 8 to 64 in steps of 8; on three trials and a champion: it proposes m = 4294967295, allowed are 8 to 64 in steps of 8; on twelve trials and a champion: it proposes m = 4294967295, allowed are 8 to 64 in steps of 8; and on 2 more; give exactly one entry a row, every number in its range and none NaN, as the contract's comments say
        "#]],
    );
}

#[test]
fn a_finding_in_no_column_is_refused() {
    check(
        "pii/evil/pii",
        at_once(EVIL_PII, "column"),
        &expect![[r#"
            422 check_failed
            answer: on people: it found something in column 4294967295 of a table with 5 columns; on measurements: it found something in column 4294967295 of a table with 2 columns; on one value: it found something in column 4294967295 of a table with 1 columns; and on 3 more; give exactly one entry a row, every number in its range and none NaN, as the contract's comments say
        "#]],
    );
}

/// Uploads to the arena what must be refused, and compares the words.
fn check(plugin: &str, component: impl Into<reqwest::Body>, expected: &Expect) {
    let arena: &Arena = &arena();
    arena.runtime.block_on(async {
        let _turn = arena.turn.lock().await;
        expected.assert_eq(&refused(&arena.host, plugin, component).await);
        arena.serves_on().await;
    });
}

/// Uploads a component, sees that nothing is stored, and returns every failed check on a line.
pub(super) async fn refused(
    host: &Host,
    plugin: &str,
    component: impl Into<reqwest::Body>,
) -> String {
    let (plugin, query) = plugin.split_once('?').unwrap_or((plugin, ""));
    let before = stored(host, plugin).await;
    let path = format!("/plugins/{plugin}/versions?{query}");
    let (status, body) = host.post_raw(&path, component).await;
    assert_eq!(stored(host, plugin).await, before, "something was stored");

    let mut told = format!("{status} {}\n", body["code"].as_str().unwrap_or_default());
    let report = &body["report"];
    assert_eq!(report["passed"], false, "{body}");
    let failed = report["checks"].as_array().into_iter().flatten();
    for check in failed.filter(|check| check["outcome"] == "failed") {
        let text = |key: &str| check[key].as_str().unwrap_or_default();
        told += &format!("{}: {}; {}\n", text("name"), text("detail"), text("cure"));
    }
    // The same component is not built to the same bytes by every toolchain.
    match report["digest"]
        .as_str()
        .and_then(|digest| digest.get(..12))
    {
        Some(digest) => told.replace(digest, "<digest>"),
        None => told,
    }
}

/// What the host knows and keeps of a plugin: its versions, and the number of components in the bucket.
async fn stored(host: &Host, plugin: &str) -> (Vec<Value>, usize) {
    let (_, body) = host.get(&format!("/plugins/{plugin}")).await;
    let versions = body["versions"].as_array().into_iter().flatten();
    let versions = versions.map(|view| view["version"].clone()).collect();
    let blobs = std::fs::read_dir(host.data.join("primary/plugins/blobs"));
    (versions, blobs.expect("components").count())
}
