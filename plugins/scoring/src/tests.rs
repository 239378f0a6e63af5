//! What the plugin promises of its verdicts.

use super::*;
use boathouse_sdk::Trial;
use boathouse_sdk::testing::with_settings;

fn trial(recall: f64, p95_us: f64, memory_bytes: u64) -> Trial<'static> {
    Trial {
        recall,
        recall_low: recall - 0.01,
        latency_p95_us: p95_us,
        memory_bytes,
        ..Trial::default()
    }
}

fn journal(rows: &[Trial<'_>]) -> Trials {
    let mut trials = Trials::new([]);
    rows.iter().for_each(|&row| trials.push(row));
    trials
}

fn judge(rows: &[Trial<'_>], objective: &Objective) -> Vec<Verdict> {
    Pareto::evaluate(&journal(rows), objective).expect("valid input")
}

fn weights(pairs: &[(&str, f64)]) -> Objective {
    Objective {
        weights: pairs
            .iter()
            .map(|&(name, weight)| (name.to_owned(), weight))
            .collect(),
        ..Objective::default()
    }
}

#[track_caller]
fn refused(rows: &[Trial<'_>], objective: &Objective, part: &str) {
    let error = Pareto::evaluate(&journal(rows), objective).expect_err(part);
    assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
    assert!(error.to_string().contains(part), "{error}");
}

#[test]
fn the_default_score_is_recall_less_a_fifth_of_p95_in_ms_up_to_one() {
    let check = |recall: f64, p95_us: f64, expected: f64| {
        let verdicts = judge(&[trial(recall, p95_us, 1 << 40)], &Objective::default());
        assert_eq!(
            verdicts[0].score.to_bits(),
            expected.to_bits(),
            "{recall} {p95_us}"
        );
    };
    check(0.96, 0.0, 0.96);
    check(0.96, 500.0, 0.96 - 0.2 * 0.5);
    check(1.0, 1000.0, 1.0 - 0.2);
    check(1.0, 5000.0, 1.0 - 0.2);
}

#[test]
fn weights_replace_the_defaults_one_by_one() {
    let score = |objective: &Objective| judge(&[trial(0.9, 500.0, 1 << 29)], objective)[0].score;
    assert_eq!(score(&weights(&[("latency", 0.0)])), 0.9);
    assert_eq!(score(&weights(&[("recall", 2.0)])), 2.0 * 0.9 - 0.1);
    assert_eq!(
        score(&weights(&[("latency", 0.0), ("memory", 1.0)])),
        0.9 - 0.5
    );
    let capped = Objective {
        memory_cap_bytes: Some(1 << 31),
        ..weights(&[("latency", 0.0), ("memory", 1.0)])
    };
    assert_eq!(score(&capped), 0.9 - 0.25);
}

#[test]
fn bad_weights_are_refused_by_name() {
    refused(&[], &weights(&[("recal", 1.0)]), "unknown weight `recal`");
    refused(
        &[],
        &weights(&[("memory", f64::NAN)]),
        "weight `memory` is NaN",
    );
    refused(
        &[],
        &weights(&[("latency", -0.1)]),
        "weight `latency` is -0.1",
    );
    refused(
        &[],
        &weights(&[("recall", 1.0), ("recall", 2.0)]),
        "`recall` is given twice",
    );
}

#[test]
fn numbers_that_are_none_are_refused_with_their_place() {
    let fine = trial(0.9, 1.0, 1);
    let check = |row: Trial<'_>, part: &str| refused(&[fine, row], &Objective::default(), part);
    check(trial(f64::NAN, 1.0, 1), "`recall` of trial 1 is NaN");
    check(
        trial(0.9, f64::INFINITY, 1),
        "`latency_p95_us` of trial 1 is inf",
    );
    check(
        trial(1.5, 1.0, 1),
        "`recall` of trial 1 is 1.5, not a number in 0..=1",
    );
    check(trial(0.9, -1.0, 1), "`latency_p95_us` of trial 1 is -1");
    check(
        Trial {
            recall_low: f64::NAN,
            ..fine
        },
        "`recall_low` of trial 1 is NaN",
    );
    check(
        Trial {
            build_seconds: f64::NAN,
            ..fine
        },
        "`build_seconds` of trial 1 is NaN, not a finite number of seconds",
    );
    let floor = Objective {
        recall_floor: f64::NAN,
        ..Objective::default()
    };
    refused(&[], &floor, "recall floor");
    let budget = Objective {
        p95_budget_us: Some(f64::NAN),
        ..Objective::default()
    };
    refused(&[], &budget, "p95 budget");
}

#[test]
fn settings_set_the_taste_of_all_indexes_and_an_objective_replaces_its_weights() {
    let row = Trial {
        build_seconds: 30.0,
        ..trial(0.9, 500.0, 1 << 29)
    };
    let check = |settings: &[(&str, &str)], objective: &Objective, expected: f64| {
        let pairs = settings.iter().copied();
        let verdicts = with_settings(pairs, || judge(&[row], objective));
        let score = verdicts[0].score;
        assert!((score - expected).abs() < 1e-12, "{settings:?}: {score}");
    };
    let usual = Objective::default();
    check(&[], &usual, 0.9 - 0.2 * 0.5);
    check(&[("latency", "1")], &usual, 0.9 - 0.5);
    check(
        &[
            ("recall", "0"),
            ("latency", "1"),
            ("latency_scale_us", "2000"),
        ],
        &usual,
        -0.25,
    );
    check(&[("latency", "0"), ("memory", "1")], &usual, 0.9 - 0.5);
    check(
        &[
            ("latency", "0"),
            ("memory", "1"),
            ("memory_scale_bytes", "1073741824000"),
        ],
        &usual,
        0.9 - 0.0005,
    );
    check(
        &[
            ("latency", "0"),
            ("build", "1"),
            ("build_scale_seconds", "60"),
        ],
        &usual,
        0.9 - 0.5,
    );
    check(
        &[("latency", "9"), ("recall", "2")],
        &weights(&[("latency", 0.0)]),
        1.8,
    );
}

#[test]
fn the_tighter_bound_holds() {
    let reason = |settings: &[(&str, &str)], objective: &Objective| {
        let row = Trial {
            build_seconds: 30.0,
            ..trial(0.97, 500.0, 1_000)
        };
        let judged = with_settings(settings.iter().copied(), || judge(&[row], objective));
        judged[0].reason.clone().unwrap_or_default()
    };
    let usual = Objective::default();
    assert_eq!(reason(&[("recall_floor", "0.5")], &usual), "");
    assert_eq!(
        reason(&[("recall_floor", "0.97")], &usual),
        "recall under the floor"
    );
    assert_eq!(
        reason(&[("p95_budget_us", "499")], &usual),
        "p95 over the budget"
    );
    assert_eq!(
        reason(&[("memory_cap_bytes", "999")], &usual),
        "memory over the cap"
    );
    assert_eq!(
        reason(&[("build_budget_seconds", "29")], &usual),
        "build over the budget"
    );
    let tight = Objective {
        p95_budget_us: Some(100.0),
        ..usual
    };
    assert_eq!(
        reason(&[("p95_budget_us", "499")], &tight),
        "p95 over the budget"
    );
    assert_eq!(
        reason(&[("p95_budget_us", "900")], &tight),
        "p95 over the budget"
    );
}

#[test]
fn a_trial_that_reused_a_graph_costs_what_the_graph_did() {
    let mut trials = Trials::new(["m", "ef_search"]);
    for (settings, build_seconds) in [([16, 10], 0.0), ([16, 20], 60.0), ([32, 10], 0.0)] {
        trials.push(Trial {
            settings: &settings,
            build_seconds,
            ..trial(0.99, 0.0, 1)
        });
    }
    let settings = [("build", "1"), ("build_scale_seconds", "120")];
    let judged = with_settings(settings, || {
        Pareto::evaluate(&trials, &Objective::default())
    });
    let scores: Vec<f64> = judged
        .expect("valid")
        .iter()
        .map(|verdict| verdict.score)
        .collect();
    assert_eq!(scores, [0.99 - 0.5, 0.99 - 0.5, 0.99]);
}

#[test]
fn bad_settings_are_refused_by_name() {
    let check = |name: &str, value: &str, part: &str| {
        with_settings([(name, value)], || {
            refused(&[], &Objective::default(), part)
        });
    };
    check("recal", "1", "unknown setting `recal`; known are `recall`");
    check("latency", "fast", "setting `latency` is `fast`");
    check(
        "latency",
        "-1",
        "setting `latency` is -1; it has to be finite and not negative",
    );
    check("memory", "NaN", "setting `memory` is NaN");
    check(
        "latency_scale_us",
        "0",
        "setting `latency_scale_us` is 0; it has to be finite and above 0",
    );
    check(
        "recall_floor",
        "95",
        "setting `recall_floor` is 95; it has to be in 0..=1",
    );
}

#[test]
fn every_bound_is_inclusive_and_named_when_broken() {
    let objective = Objective {
        recall_floor: 0.95,
        p95_budget_us: Some(1000.0),
        memory_cap_bytes: Some(100),
        ..Objective::default()
    };
    let check = |recall_low: f64, p95_us: f64, memory: u64, expected: Option<&str>| {
        let row = Trial {
            recall_low,
            ..trial(1.0, p95_us, memory)
        };
        let verdict = judge(&[row], &objective).remove(0);
        assert_eq!(verdict.feasible, expected.is_none());
        assert_eq!(verdict.reason.as_deref(), expected);
    };
    check(0.95, 1000.0, 100, None);
    check(0.94, 1000.0, 100, Some("recall under the floor"));
    check(0.95, 1000.1, 100, Some("p95 over the budget"));
    check(0.95, 1000.0, 101, Some("memory over the cap"));
    check(
        0.0,
        1e9,
        100,
        Some("recall under the floor, p95 over the budget"),
    );
    check(
        0.0,
        1e9,
        101,
        Some("recall under the floor, p95 over the budget, memory over the cap"),
    );
}

#[test]
fn without_budget_and_cap_only_recall_decides() {
    let verdicts = judge(&[trial(0.97, 1e12, u64::MAX)], &Objective::default());
    assert!(verdicts[0].feasible);
}

#[test]
fn one_verdict_per_trial_in_order() {
    let rows = [
        trial(0.90, 900.0, 9),
        trial(0.99, 300.0, 9),
        trial(0.99, 300.0, 9),
    ];
    let fronts: Vec<u32> = judge(&rows, &Objective::default())
        .iter()
        .map(|v| v.front)
        .collect();
    assert_eq!(fronts, [1, 0, 0]);
    assert_eq!(judge(&[], &Objective::default()), []);
}

#[test]
fn more_recall_less_latency_or_less_memory_keeps_a_trial_on_the_front() {
    let rows = [
        trial(0.99, 900.0, 9),
        trial(0.90, 300.0, 9),
        trial(0.80, 400.0, 5),
        trial(0.80, 500.0, 9),
    ];
    let verdicts = judge(&rows, &Objective::default());
    let fronts: Vec<u32> = verdicts.iter().map(|verdict| verdict.front).collect();
    assert_eq!(fronts, [0, 0, 0, 1]);
}

#[test]
fn the_description_names_the_plugin() {
    let description = Pareto::describe();
    assert_eq!(description.name, "boathouse/pareto");
    assert!(description.deterministic);
}
