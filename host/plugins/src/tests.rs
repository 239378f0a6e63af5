//! Hostile guests, one test an attack; after each the host still serves an honest one.

mod bundled;

use boathouse_types::{Objective, PluginKind, Verdict};

use crate::{
    Cause, Compiling, Limits, Plugin, PluginError, PluginHost, PluginHostConfig,
    testing::{ANSWER, TestGuest, context, journal, words},
};

/// A host that is quick to stop guests. Its deadline leaves an honest guest room on a busy machine.
fn host_with(change: impl FnOnce(&mut PluginHostConfig)) -> PluginHost {
    let mut config = PluginHostConfig {
        max_concurrent_calls: 2,
        ..PluginHostConfig::default()
    };
    config.limits.scoring.deadline_ms = 500;
    change(&mut config);
    PluginHost::new(config, Compiling::InProcess).expect("host")
}

async fn load(host: &PluginHost, guest: &TestGuest) -> Result<Plugin, PluginError> {
    host.load(guest.world, &guest.component()).await
}

async fn score(plugin: &Plugin, trials: u32) -> Result<Vec<Verdict>, PluginError> {
    plugin
        .evaluate(&journal(trials), &Objective::default())
        .await
}

/// Loads the guest, asks it about two trials, and then asks an honest guest on the same host.
async fn attack(host: &PluginHost, guest: &TestGuest) -> PluginError {
    let plugin = load(host, guest).await.expect("loads");
    let outcome = score(&plugin, 2).await;
    let honest = load(host, &TestGuest::default()).await.expect("loads");
    assert_eq!(
        score(&honest, 0).await,
        Ok(Vec::new()),
        "the host serves on"
    );
    let error = outcome.expect_err("the attack was answered");
    assert!(
        error.to_string().starts_with("test/guest@1.2.3 "),
        "{error}"
    );
    assert_eq!(plugin.stats().failures.get(&error.cause()), Some(&1));
    error
}

#[tokio::test]
async fn an_honest_guest_is_loaded_and_asked() {
    let host = host_with(|_| ());
    let guest = TestGuest::default();
    let plugin = load(&host, &guest).await.expect("loads");
    assert_eq!(plugin.identity().to_string(), "test/guest@1.2.3");
    assert_eq!(plugin.kind(), PluginKind::Scoring);
    assert_eq!(plugin.digest().len(), 64);
    assert!(plugin.description().deterministic);
    assert_eq!(score(&plugin, 0).await, Ok(Vec::new()));
    let stats = plugin.stats();
    assert_eq!((stats.calls, stats.failures.len()), (1, 0));
    assert!(stats.peak_memory_bytes >= 2 * 65_536);
    assert!(
        plugin
            .propose(&context(Vec::new(), 1))
            .await
            .is_err_and(|error| error.to_string()
                == "test/guest@1.2.3 is a scoring plugin and cannot be asked as proposer")
    );
}

#[tokio::test]
async fn an_endless_loop_ends_at_the_deadline() {
    let host = host_with(|config| config.limits.scoring.deadline_ms = 40);
    let plugin = load(&host, &TestGuest::that("(loop $l (br $l))")).await;
    let error = score(&plugin.expect("loads"), 2).await.expect_err("loops");
    assert!(
        matches!(
            error,
            PluginError::Deadline {
                deadline_ms: 40,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn an_endless_loop_does_not_hold_the_host() {
    let error = attack(&host_with(|_| ()), &TestGuest::that("(loop $l (br $l))")).await;
    assert_eq!(
        error.to_string(),
        "test/guest@1.2.3 was stopped at its deadline of 500 ms"
    );
}

#[tokio::test]
async fn endless_recursion_ends_at_the_stack() {
    let mut guest = TestGuest::that("(drop (call $down (i32.const 1)))");
    guest.fields = "(func $down (param i32) (result i32)
        (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (local.get 0)))"
        .to_owned();
    let error = attack(&host_with(|_| ()), &guest).await;
    assert_eq!(
        error.to_string(),
        "test/guest@1.2.3 exceeded its limit: its stack"
    );
}

#[tokio::test]
async fn memory_growth_ends_at_the_limit() {
    let host = host_with(|config| config.limits.scoring.memory_bytes = 1 << 20);
    let grow =
        "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    let guest = TestGuest::that(grow);
    let error = attack(&host, &guest).await;
    assert_eq!(
        error.to_string(),
        "test/guest@1.2.3 exceeded its limit: linear memory of 1048576 bytes"
    );
}

#[tokio::test]
async fn a_guest_that_copes_with_refused_growth_goes_on() {
    let host = host_with(|_| ());
    let guest = TestGuest::that("(drop (memory.grow (i32.const 60000)))");
    let plugin = load(&host, &guest).await.expect("loads");
    assert_eq!(score(&plugin, 0).await, Ok(Vec::new()));
}

#[tokio::test]
async fn table_growth_ends_at_the_limit() {
    let mut guest = TestGuest::that(
        "(if (i32.eq (table.grow $t (ref.null func) (i32.const 65537)) (i32.const -1))
           (then unreachable))",
    );
    guest.fields = "(table $t 1 funcref)".to_owned();
    let error = attack(&host_with(|_| ()), &guest).await;
    assert_eq!(
        error.to_string(),
        "test/guest@1.2.3 exceeded its limit: 65536 table elements"
    );
}

#[tokio::test]
async fn a_crash_is_reported_with_the_last_log_lines() {
    let mut guest = TestGuest::that(
        "(call $log (i32.const 1) (i32.const 8192) (i32.const 9))
         (call $log (i32.const 3) (i32.const 8201) (i32.const 4)) unreachable",
    );
    guest.fields = r#"(data (i32.const 8192) "reading x\1b[2J")"#.to_owned();
    let error = attack(&host_with(|_| ()), &guest).await;
    assert_eq!(
        error.to_string(),
        "test/guest@1.2.3 crashed: wasm trap: wasm `unreachable` instruction executed; \
         its last log lines: reading x | \\u{1b}[2J"
    );
}

#[tokio::test]
async fn a_flood_of_logs_is_dropped() {
    let flood = "(local $i i32)
        (loop $l
          (call $log (i32.const 1) (i32.const 1024) (i32.const 1000))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $l (i32.lt_u (local.get $i) (i32.const 200))))";
    let host = host_with(|config| config.limits.scoring.deadline_ms = 10_000);
    let plugin = load(&host, &TestGuest::that(flood)).await.expect("loads");
    assert_eq!(score(&plugin, 0).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_declared_error_is_no_crash() {
    // error.unsupported("test/guest")
    let guest = TestGuest {
        answer: vec![1, 1, 4096, 10],
        ..TestGuest::default()
    };
    let error = attack(&host_with(|_| ()), &guest).await;
    assert_eq!(
        error.to_string(),
        "test/guest@1.2.3 declined: unsupported: test/guest"
    );
    assert_eq!(error.cause(), Cause::Declined);
}

#[tokio::test]
async fn a_wrong_number_of_verdicts_is_refused() {
    let error = attack(&host_with(|_| ()), &TestGuest::default()).await;
    assert_eq!(
        error.to_string(),
        "test/guest@1.2.3 gave a bad answer: `feasible` has 0 entries for 2 trials"
    );
}

#[tokio::test]
async fn a_nan_score_is_refused() {
    let mut guest = TestGuest::answering((8192, 2), (8192, 2), (8200, 2), (0, 0));
    guest.fields = format!(
        r#"(data (i32.const 8200) "{}")"#,
        words(&[0, 0x3ff0_0000, 1, 0x7ff0_0000])
    );
    let error = attack(&host_with(|_| ()), &guest).await;
    assert_eq!(
        error.to_string(),
        "test/guest@1.2.3 gave a bad answer: the score of trial 1 is NaN"
    );
}

#[tokio::test]
async fn a_huge_result_ends_at_the_limit() {
    let host = host_with(|config| config.limits.scoring.hostcall_bytes = 10_000);
    let guest = TestGuest::answering((8192, 20_000), (8192, 2), (8192, 2), (0, 0));
    let error = attack(&host, &guest).await;
    assert_eq!(
        error.to_string(),
        "test/guest@1.2.3 exceeded its limit: 10000 bytes handed to the host at once"
    );
}

#[tokio::test]
async fn a_result_outside_memory_is_a_crash() {
    let guest = TestGuest::answering((8192, u32::MAX), (8192, 2), (8192, 2), (0, 0));
    let error = attack(&host_with(|_| ()), &guest).await;
    assert_eq!(error.cause(), Cause::Trap, "{error}");
}

#[tokio::test]
async fn invalid_utf8_is_a_crash() {
    let mut guest = TestGuest::answering((8192, 2), (8192, 2), (8192, 2), (8300, 2));
    guest.fields = format!(
        r#"(data (i32.const 8300) "{}") (data (i32.const 8400) "\ff\fe")"#,
        words(&[8400, 2, 8400, 0])
    );
    let error = attack(&host_with(|_| ()), &guest).await;
    assert!(error.to_string().contains("utf-8"), "{error}");
}

#[tokio::test]
async fn an_answer_at_an_odd_address_is_a_crash() {
    let guest = TestGuest::that(&format!("(return (i32.const {}))", ANSWER + 1));
    let error = attack(&host_with(|_| ()), &guest).await;
    assert_eq!(error.cause(), Cause::Trap, "{error}");
}

#[tokio::test]
async fn a_full_queue_turns_calls_away_at_once() {
    let host = host_with(|config| {
        config.max_concurrent_calls = 1;
        config.queued_calls = 1;
    });
    let plugin = load(&host, &TestGuest::that("(loop $l (br $l))")).await;
    let plugin = plugin.expect("loads");
    let calls = tokio::join!(score(&plugin, 0), score(&plugin, 0), score(&plugin, 0));
    let causes = [calls.0, calls.1, calls.2].map(|call| call.expect_err("loops").cause());
    assert_eq!(
        causes,
        [Cause::Deadline, Cause::Deadline, Cause::Overloaded]
    );
    assert_eq!(plugin.stats().calls, 3);
}

#[tokio::test]
async fn a_call_does_not_wait_for_its_turn_for_ever() {
    let host = host_with(|config| {
        config.max_concurrent_calls = 1;
        config.queue_ms = 5;
        config.limits.scoring.deadline_ms = 1_000;
    });
    let plugin = load(&host, &TestGuest::that("(loop $l (br $l))")).await;
    let plugin = plugin.expect("loads");
    let (first, second) = tokio::join!(score(&plugin, 0), score(&plugin, 0));
    assert_eq!(first.map_err(|e| e.cause()), Err(Cause::Deadline));
    assert_eq!(
        second.map_err(|e| e.to_string()),
        Err(
            "test/guest@1.2.3 was not called: its turn did not come within 5 ms, try again later"
                .to_owned()
        )
    );
    let latency = plugin.stats().latency;
    assert_eq!(latency.counts.iter().sum::<u64>(), 1, "only one call ran");
}

#[tokio::test]
async fn a_call_whose_caller_went_away_counts_when_it_ends() {
    let host = host_with(|config| config.limits.scoring.deadline_ms = 50);
    let guest = TestGuest::that("(loop $l (br $l))");
    let plugin = load(&host, &guest).await.expect("loads");
    let (said, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let observed = plugin.clone().observed(std::sync::Arc::new(move |failure| {
        let _ = said.send(failure.map(PluginError::cause));
    }));
    // The first look at a call starts it; then nobody looks again.
    let mut call = Box::pin(score(&observed, 0));
    std::future::poll_fn(|context| {
        assert!(call.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(call);
    assert_eq!(hears.recv().await, Some(Some(Cause::Deadline)));
    let stats = plugin.stats();
    assert_eq!((stats.calls, stats.failures[&Cause::Deadline]), (1, 1));
}

#[tokio::test]
async fn memory_and_time_of_failed_calls_count() {
    let grow = "(drop (memory.grow (i32.const 10))) unreachable";
    let host = host_with(|_| ());
    let plugin = load(&host, &TestGuest::that(grow)).await.expect("loads");
    let outcome = score(&plugin, 0).await;
    assert_eq!(outcome.map_err(|e| e.cause()), Err(Cause::Trap));
    let stats = plugin.stats();
    assert_eq!(stats.peak_memory_bytes, 12 * 65_536);
    assert_eq!(stats.latency.counts.iter().sum::<u64>(), 1);
    assert_eq!(stats.latency.sum_us, stats.total_us);
}

#[tokio::test]
async fn nothing_of_a_call_is_there_in_the_next() {
    // Bottom, data and top of memory, what was grown, a table and a global: each has to be as it was
    // made, and is then changed.
    let mut guest = TestGuest::that(
        "(if (i32.load (i32.const 16)) (then unreachable))
         (if (i32.load (i32.const 131068)) (then unreachable))
         (if (i32.ne (i32.load8_u (i32.const 4096)) (i32.const 116)) (then unreachable))
         (if (global.get $mark) (then unreachable))
         (if (i32.eqz (ref.is_null (table.get $t (i32.const 7)))) (then unreachable))
         (if (i32.ne (memory.grow (i32.const 20)) (i32.const 2)) (then unreachable))
         (if (i32.load (i32.const 1441788)) (then unreachable))
         (i32.store (i32.const 16) (i32.const -1))
         (i32.store (i32.const 131068) (i32.const -1))
         (i32.store8 (i32.const 4096) (i32.const 0))
         (i32.store (i32.const 1441788) (i32.const -1))
         (global.set $mark (i32.const 1))
         (table.set $t (i32.const 7) (ref.func $f))",
    );
    guest.fields = "(table $t 8 funcref) (global $mark (mut i32) (i32.const 0))
        (func $f) (elem declare func $f)"
        .to_owned();
    let host = host_with(|config| config.limits.scoring.deadline_ms = 10_000);
    let plugin = load(&host, &guest).await.expect("loads");
    for _ in 0..10 {
        let (a, b) = tokio::join!(score(&plugin, 0), score(&plugin, 0));
        assert_eq!((a, b), (Ok(Vec::new()), Ok(Vec::new())));
    }
}

#[tokio::test]
async fn many_calls_at_once_share_the_pool() {
    let host = host_with(|config| config.limits.scoring.deadline_ms = 10_000);
    let plugin = load(&host, &TestGuest::default()).await.expect("loads");
    let calls: Vec<_> = (0..40)
        .map(|_| {
            let plugin = plugin.clone();
            async move { score(&plugin, 0).await }
        })
        .collect();
    for call in join_all(calls).await {
        assert_eq!(call, Ok(Vec::new()));
    }
}

/// Polls all futures together until each has ended.
async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|cx| {
        pending.retain_mut(|future| match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => {
                done.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
    done
}

/// A refusal names the cure.
async fn assert_refused(host: &PluginHost, bytes: &[u8], what: &str, cure: &str) {
    match host.load(PluginKind::Scoring, bytes).await {
        Err(PluginError::Refused {
            what: said,
            cure: advised,
            ..
        }) => {
            assert!(said.contains(what), "`{said}` lacks `{what}`");
            assert!(advised.contains(cure), "`{advised}` lacks `{cure}`");
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_no_component_is_refused_with_the_cure() {
    let host = host_with(|_| ());
    let module = wat::parse_str("(module)").expect("module");
    assert_refused(&host, &module, "a core module", "--target wasm32-wasip2").await;
    for bytes in [
        &b""[..],
        b"\0as",
        b"\0asm",
        b"%PDF-1.7",
        b"(component)",
        &[0xff; 5_000],
    ] {
        assert_refused(&host, bytes, "", "").await;
    }
    assert_refused(&host, b"hello", "not WebAssembly", "--target wasm32-wasip2").await;
    let component = TestGuest::default().component();
    for share in [2, 3, 7] {
        let cut = &component[..component.len() * (share - 1) / share];
        assert_refused(&host, cut, "does not compile", "complete").await;
    }
    let mut noise = b"\0asm\x0d\0\x01\0".to_vec();
    noise.extend((0..4_096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
    assert_refused(&host, &noise, "does not compile", "complete").await;
}

#[tokio::test]
async fn a_component_that_is_too_large_is_refused() {
    let host = host_with(|config| config.limits.scoring.component_bytes = 100);
    let component = TestGuest::default().component();
    assert_refused(&host, &component, "100 are the most", "component_bytes").await;
}

#[tokio::test]
async fn the_wrong_world_is_refused() {
    let host = host_with(|_| ());
    let detector = TestGuest {
        world: PluginKind::Pii,
        claims: 2,
        ..TestGuest::default()
    };
    assert_refused(
        &host,
        &detector.component(),
        "world `scoring`",
        "export every",
    )
    .await;
    let empty = wat::parse_str("(component)").expect("component");
    assert_refused(&host, &empty, "world `scoring`", "export every").await;
}

#[tokio::test]
async fn foreign_imports_are_refused_by_name() {
    let host = host_with(|_| ());
    let text = r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance)))"#;
    let http = wat::parse_str(text).expect("component");
    assert_refused(
        &host,
        &http,
        "`wasi:http/outgoing-handler@0.2.0`",
        "no network",
    )
    .await;
    let text = r#"(component (import "steal" (func)))"#;
    let other = wat::parse_str(text).expect("component");
    assert_refused(&host, &other, "`steal`", "may import").await;
    let text = r#"(component (import "boathouse:plugin/host@1.0.0"
        (instance (export "log" (func (param "line" string))))))"#;
    let other = wat::parse_str(text).expect("component");
    assert_refused(&host, &other, "another type", "boathouse:plugin").await;
}

#[tokio::test]
async fn a_component_that_starts_beyond_the_limits_of_its_kind_is_refused() {
    let host = host_with(|config| {
        config.limits.scoring.memory_bytes = 1 << 20;
        config.limits.scoring.table_elements = 100;
    });
    for (field, what) in [
        (
            "(memory 20)",
            "1310720 bytes of memory, 1048576 are the most",
        ),
        (
            "(table 200 funcref)",
            "200 table elements, 100 are the most",
        ),
    ] {
        let text = format!("(component (core module $m {field}) (core instance (instantiate $m)))");
        let component = wat::parse_str(text).expect("component");
        assert_refused(&host, &component, what, "raise the limits").await;
    }
    // Beyond the limits of every kind, the pool itself says no.
    let text = "(component (core module $m (memory 4000)) (core instance (instantiate $m)))";
    let component = wat::parse_str(text).expect("component");
    assert_refused(&host, &component, "memory", "limits").await;
}

#[tokio::test]
async fn a_lying_description_is_refused() {
    let host = host_with(|_| ());
    let lies = [
        (
            TestGuest {
                claims: 2,
                ..TestGuest::default()
            },
            "calls itself a pii plugin",
        ),
        (
            TestGuest {
                name: "../../etc",
                ..TestGuest::default()
            },
            "`../../etc` is not `team/name`",
        ),
        (
            TestGuest {
                version: "latest",
                ..TestGuest::default()
            },
            "not a semantic version",
        ),
    ];
    for (guest, what) in lies {
        assert_refused(&host, &guest.component(), what, "`describe`").await;
    }
}

#[tokio::test]
async fn a_guest_that_does_not_survive_describe_is_not_loaded() {
    let host = host_with(|config| config.limits.scoring.deadline_ms = 40);
    let mut guest = TestGuest {
        on_describe: "(loop $l (br $l))",
        ..TestGuest::default()
    };
    let error = load(&host, &guest).await.expect_err("loops");
    assert_eq!(error.cause(), Cause::Deadline);
    assert!(error.to_string().starts_with("component "), "{error}");
    guest.on_describe = "unreachable";
    let error = load(&host, &guest).await.expect_err("crashes");
    assert_eq!(error.cause(), Cause::Trap);
}

#[tokio::test]
async fn settings_of_one_handle_are_not_those_of_another() {
    let host = host_with(|_| ());
    // The guest crashes when it has settings.
    let mut guest = TestGuest::that(
        "(call $settings (i32.const 9000))
         (if (i32.load (i32.const 9004)) (then unreachable))",
    );
    guest.imports =
        r#"(import "boathouse:plugin/host@1.0.0" "settings" (func $settings (param i32)))"#;
    let plugin = load(&host, &guest).await.expect("loads");
    let set = plugin
        .clone()
        .with_settings(vec![("depth".to_owned(), "3".to_owned())]);
    assert_eq!(score(&plugin, 0).await, Ok(Vec::new()));
    assert_eq!(
        score(&set, 0).await.map_err(|e| e.cause()),
        Err(Cause::Trap)
    );
    assert_eq!(plugin.stats().calls, 2, "counts are shared");
}

#[tokio::test]
async fn plugins_outlive_the_host_that_loaded_them() {
    let host = host_with(|_| ());
    let plugin = load(&host, &TestGuest::that("(loop $l (br $l))")).await;
    let plugin = plugin.expect("loads");
    drop(host);
    let error = score(&plugin, 0).await.expect_err("loops");
    assert_eq!(error.cause(), Cause::Deadline);
}

#[test]
fn limits_are_shown_by_what_they_bound() {
    let json = serde_json::to_value(Limits::default()).expect("json");
    assert_eq!(json["memory_bytes"], 64 << 20);
    assert_eq!(json["deadline_ms"], 2_000);
}
