//! What the plugin promises of its proposals.

mod glove;
mod worlds;

use super::*;
use boathouse_sdk::proposer::Knob;
use boathouse_sdk::testing::with_settings;
use boathouse_sdk::{Objective, Trials};
use worlds::{Walk, World, grid, median, run, usual, walk};

fn ours(context: &Context) -> Proposal {
    Surrogate::propose(context).expect("an answer")
}

fn epsilon(context: &Context) -> Proposal {
    boathouse_proposer::EpsilonGreedy::propose(context).expect("an answer")
}

fn settings(proposal: &Proposal) -> Vec<u32> {
    match proposal {
        Proposal::Configuration { settings, .. } => settings.clone(),
        Proposal::Exhausted(why) => panic!("exhausted: {why}"),
    }
}

fn knob(name: &str, min: u32, max: u32, step: u32) -> Knob {
    let name = name.to_owned();
    Knob {
        name,
        min,
        max,
        step,
    }
}

/// Proposes and runs trials until it is exhausted; gives the last word. Checks every proposal on the way.
fn exhaust(world: &World, context: &mut Context, most: usize) -> String {
    for _ in 0..most {
        let settings = match ours(context) {
            Proposal::Exhausted(why) => return why,
            Proposal::Configuration { settings, reason } => {
                assert!((10..=600).contains(&reason.len()), "{reason}");
                settings
            }
        };
        for (knob, &value) in context.knobs.iter().zip(&settings) {
            assert_eq!(knob.step(value, 0), value, "{} is off its grid", knob.name);
        }
        assert!(!context.trials.contains(&settings), "{settings:?} again");
        run(world, context, &settings);
    }
    panic!("not exhausted after {most} trials")
}

fn walks(of: impl Fn(u64) -> Walk) -> Vec<Walk> {
    (0..20).map(of).collect()
}

/// Twenty indexes: to a configuration within 1 % of the best of 1,400.
#[test]
fn it_needs_a_fraction_of_the_trials_and_seconds_of_steps_and_of_the_grid() {
    let tuned = |propose: fn(&Context) -> Proposal| {
        walks(|seed| walk(&World::new(seed), worlds::context(usual()), 250, propose))
    };
    let (ours, epsilon) = (tuned(ours), tuned(epsilon));
    let exhaustive = (0..20).map(|seed| {
        let (world, mut context) = (World::new(seed), worlds::context(usual()));
        let all = grid(&context.knobs);
        all.iter()
            .map(|settings| run(&world, &mut context, settings))
            .sum::<f64>()
    });
    let trials = |walks: &[Walk]| median(walks.iter().map(|walk| walk.trials as f64));
    let seconds = |walks: &[Walk]| median(walks.iter().map(|walk| walk.seconds));
    let all_seconds = median(ours.iter().map(|walk| walk.all_seconds));
    assert!(
        trials(&ours) * 5.0 < trials(&epsilon),
        "{ours:?} {epsilon:?}"
    );
    assert!(
        seconds(&ours) * 4.0 < seconds(&epsilon),
        "{ours:?} {epsilon:?}"
    );
    assert!(
        all_seconds * 20.0 < median(exhaustive),
        "to its own end: {ours:?}"
    );
    let found = ours.iter().filter(|walk| walk.found).count();
    assert!(
        found >= 18 && ours.iter().all(|walk| walk.ratio < 1.05),
        "{ours:?}"
    );
    assert!(
        ours.iter().all(|walk| walk.all_trials < 40),
        "it stops by itself: {ours:?}"
    );
}

#[test]
fn noisy_latencies_without_counts_are_smoothed() {
    let noisy = walks(|seed| {
        let mut world = World::new(seed);
        (world.noise, world.uncounted) = (0.15, true);
        walk(&world, worlds::context(usual()), 60, ours)
    });
    let close = noisy.iter().filter(|walk| walk.ratio < 1.02).count();
    assert!(
        close >= 16 && noisy.iter().all(|walk| walk.ratio < 1.2),
        "{noisy:?}"
    );
    assert!(noisy.iter().all(|walk| walk.all_trials < 60), "{noisy:?}");
}

#[test]
fn proposals_are_new_within_bounds_and_decided_by_the_context_alone() {
    for seed in 0..5 {
        let (world, mut context) = (World::new(seed), worlds::context(usual()));
        let why = exhaust(&world, &mut context, 60);
        assert!(why.contains("expected to gain more than"), "{why}");
        let again = Context {
            seed: 99,
            ..context.clone()
        };
        assert_eq!(ours(&context), ours(&again));
    }
}

#[test]
fn a_build_that_is_there_is_searched_before_another_is_made() {
    let (world, mut context) = (World::new(3), worlds::context(usual()));
    assert_eq!(
        settings(&ours(&context)),
        [16, 60, 50],
        "the middle by factors"
    );
    run(&world, &mut context, &[16, 60, 20]);
    let next = settings(&ours(&context));
    assert_eq!(
        next[..2],
        [16, 60],
        "below the floor: more of the same build first"
    );
    assert!(next[2] > 20, "{next:?}");
}

#[test]
fn a_floor_out_of_reach_is_given_up_in_words() {
    let (world, mut context) = (World::new(1), worlds::context(usual()));
    context.knobs[2].max = 20;
    context.objective.recall_floor = 0.9999;
    let why = exhaust(&world, &mut context, 60);
    assert!(why.contains("nothing meets the objective"), "{why}");
    assert!(context.trials.len() < 30, "{} trials", context.trials.len());
}

#[test]
fn budget_and_cap_are_kept_to() {
    for seed in 0..10 {
        let (world, mut context) = (World::new(seed), worlds::context(usual()));
        let free = world
            .best(&context.knobs, &context.objective)
            .expect("feasible");
        context.objective.p95_budget_us = Some(0.12 * free * 1.3);
        context.objective.memory_cap_bytes = Some(10_000_000 + 80_000 * 20);
        let best = world.best(&context.knobs, &context.objective);
        exhaust(&world, &mut context, 60);
        let met = context
            .trials
            .iter()
            .filter(|trial| context.objective.is_met_by(trial));
        let found = met.map(|trial| trial.distances).min_by(f64::total_cmp);
        match (best, found) {
            (Some(best), Some(found)) => assert!(found < 1.06 * best, "{seed}: {found} {best}"),
            (Some(_), None) => panic!("index {seed} has a configuration within the bounds"),
            (None, found) => assert_eq!(found, None),
        }
    }
}

#[test]
fn any_knobs_will_do() {
    let only = |knobs: Vec<Knob>, rows: &[(&[u32], f64, f64)]| {
        let mut context = worlds::context(knobs);
        for &(settings, recall, distances) in rows {
            context.trials.push(Trial {
                settings,
                recall,
                recall_low: recall,
                distances,
                latency_p95_us: distances,
                ..Trial::default()
            });
        }
        ours(&context)
    };
    let search = || vec![knob("ef_search", 10, 100, 10)];
    let found = only(search(), &[(&[20], 0.9, 200.0), (&[80], 0.99, 800.0)]);
    assert!((30..=70).contains(&settings(&found)[0]), "{found:?}");
    let found = only(search(), &[(&[20], 0.9, 200.0), (&[30], 0.96, 300.0)]);
    assert!(
        matches!(found, Proposal::Exhausted(_)),
        "nothing in between: {found:?}"
    );

    let build = || vec![knob("m", 4, 16, 4)];
    let found = only(build(), &[(&[4], 0.90, 200.0), (&[16], 0.99, 800.0)]);
    assert!([8, 12].contains(&settings(&found)[0]), "{found:?}");

    let strange = vec![knob("beam", 1, 1000, 1), knob("leaves", 0, 9, 3)];
    let found = only(strange, &[(&[10, 3], 0.90, 200.0)]);
    assert_ne!(settings(&found), [10, 3]);
    let wide = vec![knob("ef_search", 0, u32::MAX, 1), knob("m", 0, u32::MAX, 1)];
    let found = only(wide, &[(&[u32::MAX, 3], 0.90, 200.0)]);
    assert_eq!(settings(&found).len(), 2);
    let fixed = only(vec![knob("m", 7, 7, 1)], &[(&[7], 0.99, 10.0)]);
    assert!(matches!(fixed, Proposal::Exhausted(_)), "{fixed:?}");
}

#[test]
fn trials_that_all_say_the_same_are_no_trouble() {
    let mut context = worlds::context(usual());
    for ef_search in (10..=200).step_by(10) {
        context.trials.push(Trial {
            settings: &[16, 80, ef_search],
            recall: 0.97,
            recall_low: 0.96,
            distances: 100.0,
            latency_p95_us: 50.0,
            ..Trial::default()
        });
    }
    match ours(&context) {
        Proposal::Configuration { settings, .. } => assert_ne!(settings[..2], [16, 80]),
        Proposal::Exhausted(why) => assert!(why.contains("gain"), "{why}"),
    }
}

#[test]
fn a_journal_of_a_thousand_trials_is_answered() {
    let (world, mut context) = (World::new(4), worlds::context(usual()));
    let mut all = grid(&context.knobs);
    // Every third one is left to try.
    let mut row = 0;
    all.retain(|_| {
        row += 1;
        row % 3 != 0
    });
    all.truncate(1_000);
    for settings in &all {
        run(&world, &mut context, settings);
    }
    exhaust(&world, &mut context, 200);
}

#[test]
fn without_usable_figures_it_looks_around_and_then_gives_up() {
    let mut context = worlds::context(usual());
    for _ in 0..MOST_BLIND {
        let settings = settings(&ours(&context));
        assert!(!context.trials.contains(&settings));
        context.trials.push(Trial {
            settings: &settings,
            recall: f64::NAN,
            latency_p95_us: f64::INFINITY,
            ..Trial::default()
        });
    }
    let last = ours(&context);
    assert!(
        matches!(&last, Proposal::Exhausted(why) if why.contains("none of 8")),
        "{last:?}"
    );

    let (world, mut mixed) = (World::new(2), context);
    run(&world, &mut mixed, &[16, 80, 30]);
    exhaust(&world, &mut mixed, 60);
}

#[test]
fn a_trial_off_the_grid_teaches_and_is_not_followed_there() {
    let (world, mut context) = (World::new(6), worlds::context(usual()));
    run(&world, &mut context, &[17, 85, 35]);
    exhaust(&world, &mut context, 60);
}

/// A trial that was stopped after few queries has a wide interval and says little against its build.
#[test]
fn a_trial_that_asked_few_queries_misleads_nobody() {
    let (world, mut whole) = (World::new(12), worlds::context(usual()));
    run(&world, &mut whole, &[16, 80, 30]);
    run(&world, &mut whole, &[16, 80, 40]);
    let mut vague = whole.clone();
    vague.trials.recall_low[0] -= 0.06;
    let (whole, vague) = (settings(&ours(&whole)), settings(&ours(&vague)));
    assert_eq!(whole[..2], vague[..2]);
    assert!(whole[2].abs_diff(vague[2]) <= 10, "{whole:?} {vague:?}");
}

#[test]
fn settings_are_checked_by_name() {
    let (world, mut context) = (World::new(8), worlds::context(usual()));
    run(&world, &mut context, &[16, 80, 30]);
    for (name, value, part) in [
        ("enoug", "0.1", "unknown setting `enoug`"),
        ("enough", "much", "setting `enough` is `much`"),
        ("enough", "1", "setting `enough` is 1; it has to be in 0..1"),
        ("enough", "NaN", "`enough` is NaN"),
        ("work", "hops", "setting `work` is `hops`"),
    ] {
        let refused = with_settings([(name, value)], || Surrogate::propose(&context));
        let refused = refused.expect_err(value);
        assert!(matches!(refused, Error::InvalidInput(_)), "{refused:?}");
        assert!(refused.to_string().contains(part), "{refused}");
    }
    let soon = with_settings([("enough", "0.99")], || {
        run(&world, &mut context, &[16, 80, 200]);
        ours(&context)
    });
    assert!(matches!(soon, Proposal::Exhausted(_)), "{soon:?}");
    let by_time = with_settings([("work", "latency")], || ours(&context));
    assert_eq!(settings(&by_time).len(), 3);
}

#[test]
fn contradictions_are_refused() {
    let mut context = worlds::context(usual());
    context.objective = Objective {
        recall_floor: f64::NAN,
        ..Objective::default()
    };
    assert!(Surrogate::propose(&context).is_err());
    let mut other = worlds::context(usual());
    other.trials = Trials::new(["m"]);
    other.trials.push(Trial {
        settings: &[16],
        ..Trial::default()
    });
    assert!(Surrogate::propose(&other).is_err());
    assert!(Surrogate::propose(&worlds::context(Vec::new())).is_err());
}

#[test]
fn the_description_names_the_plugin() {
    let description = Surrogate::describe();
    assert_eq!(description.name, "boathouse/surrogate");
    assert!(description.deterministic);
}
