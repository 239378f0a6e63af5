//! A real index, measured whole: where the last few percent are a matter of one step of `ef_search`.

use std::collections::HashMap;

use boathouse_sdk::{Chance, Context, Objective, Proposal, Trial};

use super::worlds::{context, usual};

/// What each of 1,400 configurations does: recall, its lower bound, distances.
fn measured() -> HashMap<[u32; 3], [f64; 3]> {
    let lines = include_str!("glove.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    let row = |line: &str| {
        let numbers: Vec<f64> = line
            .split(' ')
            .map(|n| n.parse().expect("a number"))
            .collect();
        let [m, built, searched] = [0, 1, 2].map(|at| numbers[at] as u32);
        ([m, built, searched], [numbers[3], numbers[4], numbers[5]])
    };
    lines.map(row).collect()
}

/// Tunes to the end; the work that it found over the least there is, and its trials.
fn tuned(index: &HashMap<[u32; 3], [f64; 3]>, floor: f64, start: [u32; 3]) -> (f64, usize) {
    let feasible = index.values().filter(|[_, low, _]| *low >= floor);
    let best = feasible.map(|[_, _, work]| *work).fold(f64::MAX, f64::min);
    let mut context = Context {
        objective: Objective {
            recall_floor: floor,
            ..Objective::default()
        },
        ..context(usual())
    };
    let (mut next, mut found) = (start, f64::MAX);
    loop {
        let [recall, recall_low, distances] = index[&next];
        let [m, built, _] = next.map(f64::from);
        let known = context
            .trials
            .iter()
            .any(|trial| trial.settings[..2] == next[..2]);
        let build = 1.5 * (m / 16.0).powf(0.5) * (built / 80.0).powf(0.7);
        context.trials.push(Trial {
            settings: &next,
            recall,
            recall_low,
            distances,
            latency_p95_us: distances / 20.0,
            build_seconds: if known { 0.0 } else { build },
            ..Trial::default()
        });
        if recall_low >= floor {
            found = found.min(distances);
        }
        match super::ours(&context) {
            Proposal::Configuration { settings, .. } => next = settings.try_into().expect("three"),
            Proposal::Exhausted(_) => return (found / best, context.trials.len()),
        }
    }
}

#[test]
fn on_a_measured_index_it_ends_within_a_percent_of_the_best() {
    let index = measured();
    assert_eq!(index.len(), 1_400);
    let mut chance = Chance::new(5);
    let starts = (0..5).map(|_| {
        let start: Vec<u32> = usual().iter().map(|knob| knob.draw(&mut chance)).collect();
        start.try_into().expect("three knobs")
    });
    let starts: Vec<[u32; 3]> = starts.collect();
    let mut runs = Vec::new();
    for floor in [0.85, 0.90, 0.95, 0.97, 0.98] {
        runs.extend(starts.iter().map(|&start| tuned(&index, floor, start)));
    }
    let close = runs.iter().filter(|(ratio, _)| *ratio <= 1.01).count();
    assert!(
        close >= 22 && runs.iter().all(|(ratio, _)| *ratio < 1.06),
        "{close}: {runs:?}"
    );
    assert!(runs.iter().all(|(_, trials)| *trials < 45), "{runs:?}");
}
