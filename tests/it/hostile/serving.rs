//! A scoring plugin that passed every check attacks while it serves.
//!
//! First what takes: time, stack, memory, handles. Then crashes, bad answers, and last what only looks
//! around; there the words are what the plugin got to see.

use expect_test::expect;
use serde_json::json;

use super::{activate, arena, best, check, check_with, field, install, told};
use crate::{
    guests::{EVIL_SCORING, order, raw},
    support::{Host, sentences},
};

#[test]
fn an_endless_loop_ends_at_the_deadline() {
    check(
        "loop",
        &expect![[r#"
            502 plugin_failed: evil/scoring@1.0.0: it was stopped at its deadline of 2000 ms
        "#]],
    );
}

#[test]
fn endless_recursion_ends_at_the_stack() {
    check(
        "recurse",
        &expect![[r#"
            502 plugin_failed: evil/scoring@1.0.0: it exceeded its limit: its stack
        "#]],
    );
}

#[test]
fn memory_growth_ends_at_the_limit() {
    check(
        "memory",
        &expect![[r#"
            502 plugin_failed: evil/scoring@1.0.0: it exceeded its limit: linear memory of 67108864 bytes
        "#]],
    );
}

#[test]
fn table_growth_ends_at_the_limit() {
    check_raw(
        &raw::Raw {
            name: "table",
            fields: "(table $t 1 funcref)",
            attack: "(loop $more
                (br_if $more (i32.ne
                    (table.grow $t (ref.null func) (i32.const 4096)) (i32.const -1))))
                unreachable",
            ..raw::Raw::default()
        },
        &expect![[r#"
            502 plugin_failed: raw/table@1.0.0: it exceeded its limit: 65536 table elements
        "#]],
    );
}

#[test]
fn handles_run_out_at_the_limit() {
    check_raw(
        &raw::Raw {
            name: "handles",
            attack: "(loop $more (drop (call $wait (i64.const 1))) (br $more))",
            ..raw::Raw::default()
        },
        &expect![[r#"
            502 plugin_failed: raw/handles@1.0.0: it exceeded its limit: 1024 resource handles
        "#]],
    );
}

#[test]
fn a_huge_result_ends_at_the_limit() {
    check(
        "huge",
        &expect![[r#"
            502 plugin_failed: evil/scoring@1.0.0: it exceeded its limit: 16777216 bytes handed to the host at once
        "#]],
    );
}

#[test]
fn a_flood_of_logs_is_dropped_and_the_answer_counts() {
    check(
        "flood",
        &expect![[r#"
            evil/scoring@1.0.0: 1.0 15000 lines said
        "#]],
    );
}

#[test]
fn a_trap_is_a_crash() {
    check(
        "trap",
        &expect![[r#"
            502 plugin_failed: evil/scoring@1.0.0: it crashed: wasm trap: wasm `unreachable` instruction executed
        "#]],
    );
}

#[test]
fn an_abort_is_a_crash() {
    check(
        "abort",
        &expect![[r#"
            502 plugin_failed: evil/scoring@1.0.0: it crashed: wasm trap: wasm `unreachable` instruction executed
        "#]],
    );
}

#[test]
fn an_exit_is_a_crash() {
    check(
        "exit",
        &expect![[r#"
            502 plugin_failed: evil/scoring@1.0.0: it crashed: it tried to exit the process
        "#]],
    );
}

#[test]
fn a_panic_is_a_crash_with_its_last_words() {
    check(
        "panic",
        &expect![[r#"
            502 plugin_failed: evil/scoring@1.0.0: it crashed: wasm trap: wasm `unreachable` instruction executed; its last log lines: last words: this plugin has lost its head
        "#]],
    );
}

#[test]
fn an_answer_at_an_odd_address_is_a_crash() {
    check_raw(
        &raw::Raw {
            name: "odd",
            attack: "(return (i32.const 2049))",
            ..raw::Raw::default()
        },
        &expect![[r#"
            502 plugin_failed: raw/odd@1.0.0: it crashed: return pointer not aligned
        "#]],
    );
}

#[test]
fn an_answer_outside_memory_is_a_crash() {
    check_raw(
        &raw::Raw {
            name: "outside",
            attack: "(i32.store (i32.const 2068) (i32.const 0x7ffffff8))",
            ..raw::Raw::default()
        },
        &expect![[r#"
            502 plugin_failed: raw/outside@1.0.0: it crashed: list pointer/length out of bounds of memory
        "#]],
    );
}

#[test]
fn a_text_that_is_no_utf8_is_a_crash() {
    check_raw(
        &raw::Raw {
            name: "utf8",
            // One reason, two bytes at 8200.
            fields: r#"(data (i32.const 8192) "\08\20\00\00\02\00\00\00\ff\fe")"#,
            attack: "(i32.store (i32.const 2076) (i32.const 8192))
                (i32.store (i32.const 2080) (i32.const 1))",
            ..raw::Raw::default()
        },
        &expect![[r#"
            502 plugin_failed: raw/utf8@1.0.0: it crashed: invalid utf-8 sequence of 1 bytes from index 0
        "#]],
    );
}

#[test]
fn a_verdict_too_few_is_refused() {
    check(
        "short",
        &expect![[r#"
            502 plugin_failed: evil/scoring@1.0.0: `feasible` has 0 entries for 1 trials
        "#]],
    );
}

#[test]
fn a_verdict_too_many_is_refused() {
    check(
        "long",
        &expect![[r#"
            502 plugin_failed: evil/scoring@1.0.0: `feasible` has 2 entries for 1 trials
        "#]],
    );
}

#[test]
fn more_verdicts_than_any_journal_has_trials_are_refused() {
    check(
        "many",
        &expect![[r#"
            502 plugin_failed: evil/scoring@1.0.0: it gave 200000 verdicts, 100000 are the most
        "#]],
    );
}

#[test]
fn a_score_that_is_no_number_is_refused() {
    check(
        "nans",
        &expect![[r#"
            502 plugin_failed: evil/scoring@1.0.0: the score of trial 0 is NaN
        "#]],
    );
}

#[test]
fn a_reason_that_is_a_book_is_refused() {
    check(
        "verbose",
        &expect![[r#"
            502 plugin_failed: evil/scoring@1.0.0: its reason has 8000 bytes, 2048 are the most
        "#]],
    );
}

#[test]
fn there_are_no_files() {
    check(
        "file",
        &expect![[r#"
            evil/scoring@1.0.0: 1.0 reading refused, writing refused, listing refused, making a folder refused
        "#]],
    );
}

#[test]
fn there_is_no_network() {
    check(
        "socket",
        &expect![[r#"
            evil/scoring@1.0.0: 1.0 connecting refused, listening refused, sending refused, resolving refused
        "#]],
    );
}

#[test]
fn there_is_no_environment() {
    check(
        "environ",
        &expect![[r#"
            evil/scoring@1.0.0: 1.0 0 variables, 0 arguments, 0 bytes of input
        "#]],
    );
}

#[test]
fn time_stands_still() {
    check(
        "clock",
        &expect![[r#"
            evil/scoring@1.0.0: 1.0 0ns since 1970, an hour's nap took 0ns of the 2s that a call may take
        "#]],
    );
}

#[test]
fn entropy_is_the_same_every_time() {
    let arena = arena();
    arena.runtime.block_on(async {
        let _turn = arena.turn.lock().await;
        field(&arena.host, "under-entropy", Some(order("entropy"))).await;
        let at = json!({"indexes": ["under-entropy"]});
        activate(&arena.host, "scoring/evil/scoring", &at).await;
        let path = best("under-entropy");
        let first = told(&arena.host.get(&path).await);
        assert!(first.starts_with("evil/scoring@1.0.0: 1.0 "), "{first}");
        assert_eq!(told(&arena.host.get(&path).await), first);
        arena.serves_on().await;
    });
}

/// Uploads a hand-made plugin to the arena and lets it attack.
fn check_raw(plugin: &raw::Raw<'_>, expected: &expect_test::Expect) {
    let arena = arena();
    let name = format!("scoring/raw/{}", plugin.name);
    arena
        .runtime
        .block_on(install(&arena.host, &name, plugin.component()));
    check_with(&name, raw::ORDER, plugin.name, expected);
}

/// On a host of its own, since it ends with the plugin suspended.
#[tokio::test]
async fn three_failures_in_a_row_suspend_a_plugin_and_the_bundled_one_serves() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    install(&host, "scoring/evil/scoring", EVIL_SCORING).await;
    field(&host, "notes", Some(order("trap"))).await;
    activate(
        &host,
        "scoring/evil/scoring",
        &json!({"indexes": ["notes"]}),
    )
    .await;
    let path = best("notes");
    let mut answers = Vec::new();
    for _ in 0..4 {
        let (status, body) = host.get(&path).await;
        answers.push((status, body["scored_by"]["name"].clone()));
    }
    let pareto = json!("boathouse/pareto");
    let nobody = json!(null);
    assert_eq!(
        answers,
        [
            (502, nobody.clone()),
            (502, nobody),
            (200, pareto.clone()),
            (200, pareto)
        ]
    );
    let suspended = |plugin: &serde_json::Value| plugin["versions"][0]["suspended"].is_object();
    host.until("/plugins/scoring/evil/scoring", suspended).await;
}
