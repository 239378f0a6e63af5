//! Made-up indexes: how recall, work, memory and build seconds answer to the knobs, and tuners that walk
//! them.
//!
//! The shape is that of published curves of HNSW graphs: misses fall with a power of `ef_search`, the
//! faster the better the graph; a graph is the better the more neighbours and candidates it was built with,
//! each with diminishing returns; distances grow a little slower than `ef_search` and with the square root
//! of `m`. Each seed is an index of its own: easy or hard, with a bend and ripples that no straight line
//! follows.

use boathouse_sdk::proposer::{IndexFacts, Knob, Metric};
use boathouse_sdk::{Chance, Context, Objective, Proposal, Trial, Trials};

pub(super) const NAMES: [&str; 3] = ["m", "ef_construction", "ef_search"];

/// An index.
pub(super) struct World {
    hardness: f64,
    power: f64,
    of_m: f64,
    of_candidates: f64,
    enough_candidates: f64,
    work_of_search: f64,
    work_of_m: f64,
    ripple: [f64; 3],
    seconds: f64,
    /// Most that a measured latency is off, as a share.
    pub(super) noise: f64,
    /// No trial counts distances.
    pub(super) uncounted: bool,
}

/// What one configuration does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) recall: f64,
    pub(super) distances: f64,
    pub(super) p95_us: f64,
    pub(super) memory: u64,
    pub(super) build_seconds: f64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed.wrapping_mul(7919));
        let mut within = |low: f64, high: f64| low + (high - low) * chance.unit();
        Self {
            hardness: within(0.15, 0.6),
            power: within(0.45, 0.75),
            of_m: within(0.2, 0.6),
            of_candidates: within(0.15, 0.5),
            enough_candidates: within(30.0, 150.0),
            work_of_search: within(0.75, 0.92),
            work_of_m: within(0.35, 0.65),
            ripple: [within(0.0, 6.0), within(0.0, 6.0), within(0.0, 0.03)],
            seconds: within(2.0, 10.0),
            noise: 0.0,
            uncounted: false,
        }
    }

    pub(super) fn measure(&self, settings: &[u32]) -> Measured {
        let [m, built, searched] = [0, 1, 2].map(|at| f64::from(settings[at]));
        let candidates = (built / (built + self.enough_candidates)).powf(self.of_candidates);
        let [a, b, size] = self.ripple;
        let ripple = 1.0 + size * ((2.0 * m.ln() + a).sin() + (2.0 * built.ln() + b).sin());
        let graph = self.hardness * (m / 16.0).powf(self.of_m) * candidates * ripple;
        let miss = (-graph * searched.powf(self.power)).exp();
        let distances = 60.0
            + 6.0
                * searched.powf(self.work_of_search)
                * m.powf(self.work_of_m)
                * (1.0 + 0.1 * candidates)
                * ripple;
        let drawn = Chance::new(u64::from(settings.iter().fold(7, |sum, &v| sum * 31 + v))).unit();
        Measured {
            recall: 1.0 - miss,
            distances,
            p95_us: 0.12 * distances * (1.0 + self.noise * (2.0 * drawn - 1.0)),
            memory: 10_000_000 + 80_000 * u64::from(settings[0]),
            build_seconds: self.seconds * (m / 16.0).powf(0.6) * (built / 100.0).powf(0.85),
        }
    }

    /// Least distances within the knobs that meet the objective; none when nothing does.
    pub(super) fn best(&self, knobs: &[Knob], objective: &Objective) -> Option<f64> {
        let all = grid(knobs).into_iter();
        let works = all.filter_map(|settings| {
            let measured = self.measure(&settings);
            let fits = objective.is_met_by(&row(&settings, measured, 0.0));
            fits.then_some(measured.distances)
        });
        works.min_by(f64::total_cmp)
    }
}

fn row(settings: &[u32], measured: Measured, build_seconds: f64) -> Trial<'_> {
    Trial {
        settings,
        recall: measured.recall,
        recall_low: (measured.recall - 0.004).max(0.0),
        recall_high: (measured.recall + 0.004).min(1.0),
        latency_p50_us: measured.p95_us / 1.6,
        latency_p95_us: measured.p95_us,
        latency_p99_us: measured.p95_us * 1.5,
        distances: measured.distances,
        memory_bytes: measured.memory,
        build_seconds,
    }
}

/// Every configuration, those of a build together.
pub(super) fn grid(knobs: &[Knob]) -> Vec<Vec<u32>> {
    let mut all = vec![Vec::new()];
    for knob in knobs {
        let longer = |settings: &Vec<u32>| {
            let settings = settings.clone();
            (0..knob.levels()).map(move |level| {
                let mut longer = settings.clone();
                longer.push(knob.value(level));
                longer
            })
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// The bounds of a host that says nothing else.
pub(super) fn usual() -> Vec<Knob> {
    let bounds = [(8, 32, 4), (20, 200, 20), (10, 200, 10)];
    let knob = |(name, (min, max, step)): (&str, (u32, u32, u32))| Knob {
        name: name.to_owned(),
        min,
        max,
        step,
    };
    NAMES.into_iter().zip(bounds).map(knob).collect()
}

pub(super) fn context(knobs: Vec<Knob>) -> Context {
    let names: Vec<String> = knobs.iter().map(|knob| knob.name.clone()).collect();
    Context {
        index: IndexFacts {
            name: "docs".to_owned(),
            backend: "parquet".to_owned(),
            vectors: 50_000,
            dimension: 64,
            metric: Metric::Cosine,
        },
        trials: Trials::new(names.iter().map(String::as_str)),
        knobs,
        objective: Objective::default(),
        champion: None,
        seed: 0,
        extra: Vec::new(),
    }
}

/// Runs a trial: its line in the journal, and its seconds.
pub(super) fn run(world: &World, context: &mut Context, settings: &[u32]) -> f64 {
    let measured = world.measure(settings);
    let built = context
        .trials
        .iter()
        .any(|trial| trial.settings[..2] == settings[..2]);
    let build_seconds = if built { 0.0 } else { measured.build_seconds };
    let mut line = row(settings, measured, build_seconds);
    if world.uncounted {
        line.distances = 0.0;
    }
    context.trials.push(line);
    context.seed = context.trials.len() as u64;
    build_seconds + 8_000.0 * measured.p95_us / 1e6
}

/// How a walk went.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Walk {
    /// Trials and seconds until a configuration within 1 % of the best; the whole walk when there was none.
    pub(super) trials: usize,
    pub(super) seconds: f64,
    pub(super) found: bool,
    /// Least work that it found over the least there is.
    pub(super) ratio: f64,
    /// Trials until it was exhausted, or the most that it had.
    pub(super) all_trials: usize,
    pub(super) all_seconds: f64,
}

/// Lets a proposer tune a world from the default configuration on, with the best trial as champion.
pub(super) fn walk(
    world: &World,
    mut context: Context,
    most: usize,
    propose: impl Fn(&Context) -> Proposal,
) -> Walk {
    let best = world
        .best(&context.knobs, &context.objective)
        .expect("feasible");
    let mut walk = Walk {
        ratio: f64::INFINITY,
        ..Walk::default()
    };
    let mut next = vec![16, 80, 30];
    loop {
        walk.all_seconds += run(world, &mut context, &next);
        walk.all_trials += 1;
        let row = context.trials.len() - 1;
        let meets = context
            .trials
            .iter()
            .last()
            .is_some_and(|trial| context.objective.is_met_by(&trial));
        let ratio = world.measure(&next).distances / best;
        if meets && ratio < walk.ratio {
            walk.ratio = ratio;
            context.champion = Some(row);
            if ratio <= 1.01 && !walk.found {
                walk.found = true;
                (walk.trials, walk.seconds) = (walk.all_trials, walk.all_seconds);
            }
        }
        match propose(&context) {
            Proposal::Configuration { settings, .. } if walk.all_trials < most => next = settings,
            _ => break,
        }
    }
    if !walk.found {
        (walk.trials, walk.seconds) = (walk.all_trials, walk.all_seconds);
    }
    walk
}

pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
