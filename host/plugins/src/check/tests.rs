//! For each check a component that fails it, and what the report says.

use super::*;
use crate::{Compiling, PluginHost, PluginHostConfig, testing::TestGuest};

/// A host that leaves an honest guest room on a busy machine.
fn host(change: impl FnOnce(&mut PluginHostConfig)) -> PluginHost {
    let mut config = PluginHostConfig::default();
    config.limits.scoring.deadline_ms = 10_000;
    change(&mut config);
    PluginHost::new(config, Compiling::InProcess).expect("host")
}

async fn report(host: &PluginHost, bytes: Vec<u8>, expected: &Expected) -> CheckReport {
    let checked = host.check(PluginKind::Scoring, bytes.into(), expected);
    let checked = checked.await.expect("the host is well");
    assert_eq!(checked.plugin.is_some(), checked.report.passed);
    assert_eq!(checked.report.checks.len(), CheckName::ALL.len());
    for check in &checked.report.checks {
        let failed = check.outcome == CheckOutcome::Failed;
        assert_eq!(check.cure.is_some(), failed, "{check:?}");
        assert!(check.detail.is_some() || check.outcome == CheckOutcome::Passed);
    }
    checked.report
}

/// Checks a component that is handed in under no name, and gives the checks that failed.
async fn failures(host: &PluginHost, bytes: Vec<u8>) -> Vec<(CheckName, String)> {
    let report = report(host, bytes, &Expected::default()).await;
    let failures = report.failures().map(|check| {
        let detail = check.detail.clone().unwrap_or_default();
        (check.name, detail)
    });
    failures.collect()
}

fn assert_fails(failures: &[(CheckName, String)], expected: &[(CheckName, &str)]) {
    let names: Vec<_> = failures.iter().map(|(name, _)| *name).collect();
    let wanted: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, wanted, "{failures:?}");
    for ((name, detail), (_, text)) in failures.iter().zip(expected) {
        assert!(detail.contains(text), "{name}: `{detail}` lacks `{text}`");
    }
}

/// A scoring guest with the right number of verdicts for every journal: all feasible, on the front, with
/// a score of these bits.
fn honest(score_bits: u64) -> TestGuest {
    // The question lies at `local 0`: its first word is the number of trials. Answer: result ok, then
    // five lists; their lengths are stored here, their addresses stand in the answer.
    let (low, high) = (score_bits as u32, (score_bits >> 32) as u32);
    let mut guest = TestGuest::answering((16_384, 0), (20_480, 0), (24_576, 0), (0, 0));
    guest.on_call = format!(
        "(local $n i32) (local $i i32)
         (local.set $n (i32.load (local.get 0)))
         (i32.store (i32.const 2056) (local.get $n))
         (i32.store (i32.const 2064) (local.get $n))
         (i32.store (i32.const 2072) (local.get $n))
         (block $done (loop $l
           (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
           (i32.store8 (i32.add (i32.const 16384) (local.get $i)) (i32.const 1))
           (i32.store (i32.add (i32.const 24576) (i32.shl (local.get $i) (i32.const 3)))
             (i32.const {low}))
           (i32.store (i32.add (i32.const 24580) (i32.shl (local.get $i) (i32.const 3)))
             (i32.const {high}))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br $l)))"
    );
    guest
}

#[tokio::test]
async fn an_honest_component_passes_and_can_be_asked() {
    let host = host(|_| ());
    let bytes = honest(0x3ff0_0000_0000_0000).component();
    let expected = Expected {
        name: Some("test/guest".to_owned()),
        version: Some("1.2.3".to_owned()),
    };
    let report = report(&host, bytes.clone(), &expected).await;
    assert!(report.passed, "{report:#?}");
    assert_eq!(report.name.as_deref(), Some("test/guest"));
    assert_eq!(report.version.as_deref(), Some("1.2.3"));
    assert_eq!(report.bytes, bytes.len() as u64);
    assert_eq!(report.digest.len(), 64);
    assert!(report.description.is_some_and(|said| said.deterministic));

    let checked = host.check(PluginKind::Scoring, bytes.into(), &expected);
    let plugin = checked.await.expect("well").plugin.expect("passed");
    assert_eq!(plugin.stats().calls, 0, "golden questions do not count");
}

#[tokio::test]
async fn every_bundled_plugin_passes() {
    let host = host(|config| {
        for limits in [
            &mut config.limits.proposer,
            &mut config.limits.scoring,
            &mut config.limits.pii,
        ] {
            limits.deadline_ms = 30_000;
        }
    });
    for bundled in boathouse_bundle::ALL {
        let bytes = Bytes::from_static(bundled.bytes);
        let kind = shape::kind_of(&bytes).expect("a kind");
        assert_eq!(kind.as_str(), bundled.kind);
        let checked = host.check(kind, bytes, &Expected::default()).await;
        let report = checked.expect("the host is well").report;
        assert!(report.passed, "{report:#?}");
    }
}

#[tokio::test]
async fn size_and_preamble_are_both_named() {
    let host = host(|config| config.limits.scoring.component_bytes = 20);
    let failed = failures(&host, b"\x7fELF and much more of it".to_vec()).await;
    assert_fails(
        &failed,
        &[
            (CheckName::Size, "24 bytes, 20 are the most"),
            (CheckName::Preamble, "machine code"),
        ],
    );
}

#[tokio::test]
async fn modules_and_noise_fail_at_the_preamble() {
    let host = host(|_| ());
    let module = wat::parse_str("(module)").expect("module");
    let failed = failures(&host, module).await;
    assert_fails(&failed, &[(CheckName::Preamble, "a core module")]);
    for bytes in [&b""[..], b"%PDF-1.7"] {
        let failed = failures(&host, bytes.to_vec()).await;
        assert_fails(&failed, &[(CheckName::Preamble, "not WebAssembly")]);
    }
}

#[tokio::test]
async fn damaged_components_fail_to_parse() {
    let host = host(|_| ());
    let whole = TestGuest::default().component();
    for length in [9, whole.len() / 2, whole.len() - 1] {
        let failed = failures(&host, whole[..length].to_vec()).await;
        assert_fails(
            &failed,
            &[(CheckName::Parse, "not a whole, valid component")],
        );
    }
}

#[tokio::test]
async fn imports_and_exports_are_both_named_and_nothing_is_compiled() {
    let host = host(|_| ());
    let text = r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance)))"#;
    let bytes = wat::parse_str(text).expect("component");
    let report = report(&host, bytes, &Expected::default()).await;
    let failed: Vec<_> = report.failures().map(|check| check.name).collect();
    assert_eq!(failed, [CheckName::Imports, CheckName::Exports]);
    let compile = &report.checks[5];
    assert_eq!(compile.outcome, CheckOutcome::Skipped);
    assert_eq!(
        compile.detail.as_deref(),
        Some("left out after `imports`, `exports` failed")
    );
}

#[tokio::test]
async fn another_world_is_named() {
    let guest = TestGuest {
        world: PluginKind::Pii,
        claims: 2,
        ..TestGuest::default()
    };
    let failed = failures(&host(|_| ()), guest.component()).await;
    assert_fails(
        &failed,
        &[(CheckName::Exports, "the exports of the world `pii`")],
    );
}

#[tokio::test]
async fn types_of_imports_and_exports_are_compared() {
    let host = host(|_| ());
    let wrong_import = r#"(component
        (import "boathouse:plugin/host@1.0.0"
            (instance (export "log" (func (param "line" string)))))
        (import "boathouse:plugin/types@1.0.0" (instance $t))
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (export "describe" (func $f)) (export "evaluate" (func $f)))"#;
    let bytes = wat::parse_str(wrong_import).expect("component");
    let failed = failures(&host, bytes).await;
    assert_fails(&failed, &[(CheckName::Imports, "another type")]);

    let wrong_export = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (export "describe" (func $f)) (export "evaluate" (func $f)))"#;
    let bytes = wat::parse_str(wrong_export).expect("component");
    let failed = failures(&host, bytes).await;
    assert_fails(&failed, &[(CheckName::Exports, "the world `scoring`")]);
}

#[tokio::test]
async fn a_component_that_starts_too_large_fails_to_compile() {
    let host = host(|config| config.limits.scoring.memory_bytes = 65_536);
    let failed = failures(&host, TestGuest::default().component()).await;
    assert_fails(
        &failed,
        &[(
            CheckName::Compile,
            "131072 bytes of memory, 65536 are the most",
        )],
    );
}

#[tokio::test]
async fn name_and_version_have_to_be_as_handed_in() {
    let expected = Expected {
        name: Some("other/guest".to_owned()),
        version: Some("2.0.0".to_owned()),
    };
    let bytes = honest(0).component();
    let report = report(&host(|_| ()), bytes, &expected).await;
    let [describe] = &report.failures().collect::<Vec<_>>()[..] else {
        panic!("{report:#?}");
    };
    assert_eq!(describe.name, CheckName::Describe);
    assert_eq!(
        describe.detail.as_deref(),
        Some(
            "its name is `test/guest` and not `other/guest`, its version is `1.2.3` and not `2.0.0`"
        )
    );
    assert_eq!(report.name.as_deref(), Some("test/guest"), "as it says");
}

#[tokio::test]
async fn a_lying_description_and_wrong_answers_are_both_named() {
    let guest = TestGuest {
        claims: 2,
        ..TestGuest::default()
    };
    let failed = failures(&host(|_| ()), guest.component()).await;
    assert_fails(
        &failed,
        &[
            (CheckName::Describe, "calls itself a pii plugin"),
            (CheckName::Answer, "`feasible` has 0 entries for 12 trials"),
        ],
    );
}

#[tokio::test]
async fn a_score_of_nan_fails_the_answer() {
    let failed = failures(&host(|_| ()), honest(0x7ff8_0000_0000_0001).component()).await;
    assert_fails(
        &failed,
        &[(CheckName::Answer, "the score of trial 0 is NaN")],
    );
}

#[tokio::test]
async fn a_crash_and_a_limit_fail_the_answer() {
    let host = host(|config| config.limits.scoring.hostcall_bytes = 10_000);
    let failed = failures(&host, TestGuest::that("unreachable").component()).await;
    assert_fails(&failed, &[(CheckName::Answer, "it crashed")]);
    let huge = TestGuest::answering((8192, 20_000), (8192, 2), (8192, 2), (0, 0));
    let failed = failures(&host, huge.component()).await;
    assert_fails(&failed, &[(CheckName::Answer, "10000 bytes handed")]);
}

#[tokio::test]
async fn declining_ordinary_questions_fails_the_answer() {
    let guest = TestGuest {
        answer: vec![1, 1, 4096, 10],
        ..TestGuest::default()
    };
    let failed = failures(&host(|_| ()), guest.component()).await;
    assert_fails(&failed, &[(CheckName::Answer, "it declined: unsupported")]);
}

#[tokio::test]
async fn a_loop_fails_the_deadline_once() {
    let host = host(|config| config.limits.scoring.deadline_ms = 40);
    let mut guest = TestGuest::that("(loop $l (br $l))");
    let report = report(&host, guest.component(), &Expected::default()).await;
    let outcomes = [7, 8, 9].map(|i: usize| report.checks[i].outcome);
    use CheckOutcome::{Failed, Skipped};
    assert_eq!(outcomes, [Skipped, Failed, Skipped], "{report:#?}");

    guest.on_describe = "(loop $l (br $l))";
    let failed = failures(&host, guest.component()).await;
    assert_fails(
        &failed,
        &[
            (CheckName::Describe, "its deadline of 40 ms"),
            (CheckName::Deadline, "its deadline of 40 ms"),
        ],
    );
}

#[tokio::test]
async fn the_contract_is_kept_at_the_edges_too() {
    // Right for every journal but the empty one.
    let mut guest = honest(0);
    guest
        .on_call
        .push_str("(if (i32.eqz (local.get $n)) (then unreachable))");
    let failed = failures(&host(|_| ()), guest.component()).await;
    assert_fails(&failed, &[(CheckName::Answer, "on no trials: it crashed")]);
}

#[tokio::test]
async fn checks_of_one_component_share_its_compilation() {
    let host = host(|_| ());
    let bytes = Bytes::from(honest(0).component());
    let expected = Expected::default();
    let kind = PluginKind::Scoring;
    let (a, b) = tokio::join!(
        host.check(kind, bytes.clone(), &expected),
        host.check(kind, bytes.clone(), &expected),
    );
    for checked in [a, b] {
        assert!(checked.expect("the host is well").report.passed);
    }
}

#[tokio::test]
async fn a_host_that_cannot_compile_blames_itself() {
    let folder = tempfile::tempdir().expect("folder");
    let compiling = Compiling::Child {
        program: "/no/such/program".into(),
        cache: folder.path().join("cache"),
    };
    let host = PluginHost::new(PluginHostConfig::default(), compiling).expect("host");
    let bytes = Bytes::from(honest(0).component());
    let expected = Expected::default();
    let checked = host.check(PluginKind::Scoring, bytes, &expected).await;
    assert!(matches!(checked, Err(PluginError::Host { .. })));
}
