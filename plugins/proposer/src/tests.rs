//! What the plugin promises of its proposals.

use super::*;
use boathouse_sdk::proposer::{IndexFacts, Knob, Metric};
use boathouse_sdk::testing::with_settings;
use boathouse_sdk::{Objective, Trial};

const NAMES: [&str; 3] = ["m", "ef_construction", "ef_search"];

fn context(bounds: [(u32, u32, u32); 3]) -> Context {
    let knobs = NAMES.iter().zip(bounds);
    let knobs = knobs.map(|(name, (min, max, step))| Knob {
        name: (*name).to_owned(),
        min,
        max,
        step,
    });
    Context {
        index: IndexFacts {
            name: "docs".to_owned(),
            backend: "parquet".to_owned(),
            vectors: 1000,
            dimension: 64,
            metric: Metric::Cosine,
        },
        knobs: knobs.collect(),
        objective: Objective::default(),
        trials: Trials::new(NAMES),
        champion: None,
        seed: 0,
        extra: Vec::new(),
    }
}

fn usual() -> Context {
    context([(4, 48, 4), (20, 400, 20), (10, 400, 10)])
}

fn tried(context: &mut Context, settings: &[u32], recall: f64) {
    let latency_p95_us = 100.0;
    context.trials.push(Trial {
        settings,
        recall,
        latency_p95_us,
        ..Trial::default()
    });
    context.seed = context.trials.len() as u64;
}

fn propose(context: &Context) -> (Vec<u32>, String) {
    match EpsilonGreedy::propose(context) {
        Ok(Proposal::Configuration { settings, reason }) => (settings, reason),
        other => panic!("no configuration: {other:?}"),
    }
}

fn always_step<T>(body: impl FnOnce() -> T) -> T {
    with_settings([("epsilon", "0")], body)
}

#[test]
fn a_step_moves_each_axis_by_one_step_at_most_and_says_so() {
    let mut context = usual();
    tried(&mut context, &[16, 80, 30], 0.9);
    tried(&mut context, &[32, 200, 200], 0.99);
    context.champion = Some(0);
    for seed in 0..100 {
        context.seed = seed;
        let (settings, reason) = always_step(|| propose(&context));
        assert_ne!(settings, [16, 80, 30]);
        assert!(settings[0].abs_diff(16) <= 4, "{settings:?}");
        assert!(settings[1].abs_diff(80) <= 20, "{settings:?}");
        assert!(settings[2].abs_diff(30) <= 10, "{settings:?}");
        assert!(reason.starts_with("step from champion: "), "{reason}");
        assert_eq!(
            reason.contains("ef_search +10"),
            settings[2] == 40,
            "{reason}"
        );
        assert_eq!(reason.contains("m -4"), settings[0] == 12, "{reason}");
    }
}

#[test]
fn about_a_quarter_of_the_proposals_explores() {
    let mut context = usual();
    tried(&mut context, &[16, 80, 30], 0.9);
    context.champion = Some(0);
    let explores = |seed: u64| {
        let (_, reason) = propose(&Context {
            seed,
            ..context.clone()
        });
        reason == "explore: uniform"
    };
    let explored = (0..1000).filter(|&seed| explores(seed)).count();
    assert!((200..300).contains(&explored), "{explored} of 1000");
}

#[test]
fn without_champion_it_starts_from_the_best_trial_or_the_middle() {
    let mut context = context([(0, 100, 10), (0, 100, 10), (0, 100, 10)]);
    let (settings, reason) = always_step(|| propose(&context));
    assert!(
        reason.starts_with("step from middle of bounds: "),
        "{reason}"
    );
    assert!(
        settings.iter().all(|value| value.abs_diff(50) <= 10),
        "{settings:?}"
    );

    tried(&mut context, &[10, 10, 10], f64::NAN);
    tried(&mut context, &[90, 90, 90], 0.99);
    tried(&mut context, &[20, 20, 20], 0.95);
    let (settings, reason) = always_step(|| propose(&context));
    assert!(reason.starts_with("step from best trial: "), "{reason}");
    assert!(
        settings.iter().all(|value| value.abs_diff(90) <= 10),
        "{settings:?}"
    );
}

#[test]
fn a_champion_off_the_grid_is_left_for_the_grid() {
    let mut context = usual();
    tried(&mut context, &[17, 85, 1000], 0.9);
    context.champion = Some(0);
    let (settings, reason) = always_step(|| propose(&context));
    assert!(
        (390..=400).contains(&settings[2]) && settings[2] % 10 == 0,
        "{settings:?}"
    );
    assert!(reason.contains("ef_search -6"), "{reason}");
}

#[test]
fn the_same_context_gives_the_same_proposal_and_other_seeds_others() {
    let mut context = usual();
    tried(&mut context, &[16, 80, 30], 0.9);
    assert_eq!(propose(&context), propose(&context));
    let mut proposals: Vec<_> = (0..20)
        .map(|seed| {
            propose(&Context {
                seed,
                ..context.clone()
            })
            .0
        })
        .collect();
    proposals.sort();
    proposals.dedup();
    assert!(proposals.len() > 5, "{proposals:?}");
}

#[test]
fn it_walks_the_whole_grid_without_repeating_and_then_stops() {
    let mut context = context([(4, 12, 4), (20, 65, 20), (10, 50, 10)]);
    let size = 3 * 3 * 5;
    for count in 0..size {
        let (settings, reason) = propose(&context);
        for (knob, &value) in context.knobs.iter().zip(&settings) {
            assert!((knob.min..=knob.max).contains(&value), "{settings:?}");
            assert_eq!((value - knob.min) % knob.step, 0, "{settings:?}");
        }
        let earlier = (0..count).filter_map(|row| context.trials.settings_of(row));
        assert!(
            !earlier.into_iter().any(|old| old == settings),
            "{settings:?}: {reason}"
        );
        tried(&mut context, &settings, 0.9);
        context.champion = Some(0);
    }
    let answer = EpsilonGreedy::propose(&context);
    let text = format!("all {size} configurations within bounds have been tried");
    assert_eq!(answer, Ok(Proposal::Exhausted(text)));
}

#[test]
fn a_tried_neighbourhood_is_searched_outwards() {
    let mut context = context([(0, 20, 1), (5, 5, 1), (5, 5, 1)]);
    for m in [10, 9, 11] {
        tried(&mut context, &[m, 5, 5], 0.9);
    }
    context.champion = Some(0);
    let (settings, reason) = always_step(|| propose(&context));
    assert_eq!(settings, [8, 5, 5]);
    assert_eq!(reason, "nearest untried from champion: m -2");
}

#[test]
fn epsilon_is_a_probability() {
    let mut context = usual();
    tried(&mut context, &[16, 80, 30], 0.9);
    let (_, reason) = with_settings([("epsilon", "1")], || propose(&context));
    assert_eq!(reason, "explore: uniform");
    for bad in ["often", "1.5", "-0.1", "NaN", ""] {
        let refused = with_settings([("epsilon", bad)], || EpsilonGreedy::propose(&context));
        let Err(Error::InvalidInput(text)) = refused else {
            panic!("epsilon `{bad}` was taken: {refused:?}");
        };
        assert!(text.contains("`epsilon`"), "{text}");
    }
}

#[test]
fn contradictions_are_refused() {
    let mut other = usual();
    other.trials = Trials::new(["m"]);
    other.trials.push(Trial {
        settings: &[16],
        ..Trial::default()
    });
    let refused = EpsilonGreedy::propose(&other).expect_err("other knobs");
    assert!(refused.to_string().contains("other knobs"), "{refused}");

    let mut none = usual();
    none.knobs.clear();
    assert!(EpsilonGreedy::propose(&none).is_err());
}

#[test]
fn the_description_names_the_plugin() {
    assert_eq!(EpsilonGreedy::describe().name, "boathouse/epsilon-greedy");
}
