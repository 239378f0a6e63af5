//! Differences against values worked out by hand.

use boathouse_types::{ColumnSample, Evidence};

use super::*;
use crate::testing::trial;

fn verdict(feasible: bool, score: f64) -> Verdict {
    Verdict {
        feasible,
        front: 0,
        score,
        reason: None,
    }
}

#[track_caller]
fn check_tau(first: &[f64], second: &[f64], expected: Option<f64>) {
    for (a, b) in [(first, second), (second, first)] {
        match (kendall_tau(a, b), expected) {
            (Some(found), Some(expected)) => {
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{found} is not {expected}"
                );
            }
            (found, expected) => assert_eq!(found, expected),
        }
    }
}

#[test]
fn equal_and_opposite_orders_are_the_ends_of_the_scale() {
    let up = [1.0, 2.0, 3.0, 4.0];
    check_tau(&up, &[10.0, 20.0, 30.0, 40.0], Some(1.0));
    check_tau(&up, &[4.0, 3.0, 2.0, 1.0], Some(-1.0));
    check_tau(&[f64::MIN, 0.0, f64::MAX], &[-1.0, 0.0, 1.0], Some(1.0));
}

#[test]
fn a_swapped_pair_costs_two_pairs_of_six() {
    // Six pairs, one of them discordant: (5 - 1) / 6.
    check_tau(
        &[1.0, 2.0, 3.0, 4.0],
        &[1.0, 3.0, 2.0, 4.0],
        Some(4.0 / 6.0),
    );
}

#[test]
fn ties_are_corrected_for() {
    // Of 10 pairs 1 is tied in the first, 1 in the second, none in both. Concordant: (1,3) (1,4) (1,5)
    // (2,3) (2,4) (2,5) (3,4) (3,5); discordant: none. 8 / sqrt(9 * 9).
    check_tau(
        &[1.0, 1.0, 2.0, 3.0, 4.0],
        &[1.0, 2.0, 3.0, 4.0, 4.0],
        Some(8.0 / 9.0),
    );
    // One pair tied in both, one in the first only: 6 - 2 and 6 - 1 remain, 4 concordant.
    check_tau(
        &[1.0, 1.0, 2.0, 2.0],
        &[1.0, 1.0, 2.0, 3.0],
        Some(4.0 / (4.0_f64 * 5.0).sqrt()),
    );
}

#[test]
fn without_an_order_there_is_no_correlation() {
    check_tau(&[], &[], None);
    check_tau(&[1.0], &[2.0], None);
    check_tau(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0], None);
    check_tau(&[0.0, -0.0], &[1.0, 2.0], None);
}

#[test]
fn counting_exchanges_agrees_with_counting_pairs() {
    // A linear congruential sequence, coarse enough that it has ties.
    let mut state = 7_u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 28)
    };
    let values: Vec<(f64, f64)> = (0..60).map(|_| (draw(), draw())).collect();
    let (mut sum, mut free_first, mut free_second) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (at, a) in values.iter().enumerate() {
        for b in &values[..at] {
            let sign = |d: f64| if d == 0.0 { 0.0 } else { d.signum() };
            let (first, second) = (sign(a.0 - b.0), sign(a.1 - b.1));
            sum += first * second;
            free_first += first.abs();
            free_second += second.abs();
        }
    }
    let (first, second): (Vec<f64>, Vec<f64>) = values.into_iter().unzip();
    let expected = sum / (free_first * free_second).sqrt();
    check_tau(&first, &second, Some(expected));
}

#[test]
fn the_winner_is_the_hosts_choice() {
    let mut trials = vec![trial(0.9, 300.0), trial(0.9, 200.0), trial(0.9, 100.0)];
    let active = [verdict(true, 1.0), verdict(true, 1.0), verdict(false, 9.0)];
    let shadow = [
        verdict(false, 1.0),
        verdict(false, 2.0),
        verdict(false, 3.0),
    ];
    let found = compare_verdicts(&trials, &active, &shadow);
    assert_eq!(found.winner_active, Some(1), "a tie goes to the lower p95");
    assert_eq!(
        found.winner_shadow,
        Some(2),
        "nothing is feasible: the highest"
    );
    assert_eq!(
        (
            found.trials,
            found.same_winner,
            found.feasibility_changed.as_slice()
        ),
        (3, false, &[0, 1][..])
    );
    assert!(compare_verdicts(&trials, &active, &active).is_equal());
    trials.clear();
    let empty = compare_verdicts(&trials, &[], &[]);
    assert_eq!((empty.winner_active, empty.kendall_tau), (None, None));
    assert!(empty.is_equal());
}

#[test]
fn a_side_that_answers_short_is_compared_as_far_as_it_goes() {
    let trials = [trial(0.9, 1.0), trial(0.9, 2.0)];
    let found = compare_verdicts(&trials, &[verdict(true, 1.0)], &[]);
    assert_eq!((found.trials, found.winner_active), (0, None));
}

fn finding(column: u32, kind: &str, confidence: f64) -> Finding {
    Finding {
        column,
        kind: kind.to_owned(),
        country: None,
        scope: Scope::WholeColumn,
        confidence,
        evidence: Evidence {
            tested: 1,
            matched: 1,
            checksum_passed: 0,
            name_evidence: 0.0,
        },
    }
}

fn table() -> TableSample {
    let columns = ["mail", "näme"].map(|name| ColumnSample {
        name: name.to_owned(),
        values: vec![("private@value.example".to_owned(), 1)],
        ..ColumnSample::default()
    });
    TableSample {
        name: "t".to_owned(),
        columns: columns.to_vec(),
    }
}

#[test]
fn findings_are_added_lost_changed_or_the_same() {
    let active = [
        finding(0, "email", 0.9),
        finding(1, "phone", 0.5),
        finding(1, "iban", 0.7),
    ];
    let mut moved = finding(1, "iban", 0.7);
    moved.country = Some("DE".to_owned());
    let mut same = finding(0, "email", 0.9);
    same.evidence.matched = 0;
    let shadow = [moved, same, finding(1, "person_name", 0.8)];
    let found = compare_findings(&table(), &active, &shadow);
    assert_eq!(found.same, 1, "evidence is not compared");
    let place = |found: &Found| (found.column.clone(), found.kind.clone());
    assert_eq!(
        place(&found.added[0]),
        ("näme".to_owned(), "person_name".to_owned())
    );
    assert_eq!(
        place(&found.lost[0]),
        ("näme".to_owned(), "phone".to_owned())
    );
    assert_eq!(found.changed[0].shadow.country.as_deref(), Some("DE"));
    assert_eq!(
        (found.added.len(), found.lost.len(), found.changed.len()),
        (1, 1, 1)
    );
    let shown = serde_json::to_string(&found).expect("json");
    assert!(!shown.contains("private"), "a value has left: {shown}");
}

#[test]
fn no_findings_are_no_difference() {
    assert!(compare_findings(&table(), &[], &[]).is_equal());
    let stray = compare_findings(&TableSample::default(), &[finding(7, "email", 1.0)], &[]);
    assert_eq!(stray.lost[0].column, "column 7");
}

#[test]
fn proposals_differ_by_their_values_only() {
    let propose = |settings: &[u32], reason: &str| Proposal::Configuration {
        settings: settings.to_vec(),
        reason: reason.to_owned(),
    };
    let ended = Proposal::Exhausted("done".to_owned());
    assert!(compare_proposals(&propose(&[1, 2], "a"), &propose(&[1, 2], "b")).equal);
    assert!(!compare_proposals(&propose(&[1, 2], "a"), &propose(&[1, 3], "a")).equal);
    assert!(!compare_proposals(&ended, &propose(&[1], "a")).equal);
    assert!(compare_proposals(&ended, &Proposal::Exhausted("over".to_owned())).equal);
}

#[test]
fn percentiles_are_by_nearest_rank() {
    let ms = |range: std::ops::RangeInclusive<u64>| -> Vec<Duration> {
        range.rev().map(Duration::from_millis).collect()
    };
    let hundred = Latency::of(&ms(1..=100));
    assert_eq!(
        (hundred.calls, hundred.p50_us, hundred.p95_us),
        (100, 50_000, 95_000)
    );
    assert_eq!(Latency::of(&ms(7..=7)).p95_us, 7_000);
    assert_eq!(Latency::of(&[]), Latency::default());
}
