//! P4: tuning, the seconds to a configuration within 1 % of the best of an exhaustive grid, against the
//! grid, Optuna's TPE and our own epsilon-greedy.
//!
//! One index and one question for all: the fewest distances a query at a lower bound of recall@10 of 0.95,
//! within the bounds that a host tunes in. Distances and recall of a build are the same whoever
//! tries it, so what is within 1 % is exact; what differs is the order of trials. Seconds are wall-clock and
//! hold everything: asking, building, measuring. The grid builds every graph once, all values of
//! `ef_search` in turn, and is through when it has seen all; nobody knows the best before. Whether a configuration is
//! close is told by the grid's figures of it: ours also measures graphs that are cut from larger ones, which compute some
//! percent more distances than the build that would serve.
//!
//! Ours and epsilon-greedy take the way of a host: steps of the tuning room with components, each
//! candidate timed beside what serves. The grid and Optuna measure candidates alone, and what Optuna asks
//! for again costs it nothing. Each run starts from another serving configuration. A run that does not get
//! there within the seconds of the grid counts with those that it was given.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use boathouse_tuning::TuneBounds;
use boathouse_types::{IndexConfig, Knob, Objective};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Options,
    compare::{Bar, Comparison, Row, median, round},
    data::Split,
    ours::tune::{Ask, Chooser, Figures, Found},
    process::Process,
};

/// How close to the best is close enough.
const CLOSE: f64 = 1.01;
/// Trials after which a run is given up.
const MOST_TRIALS: usize = 400;
/// What serves at first, run by run; the default configuration first.
const STARTS: [[u32; 3]; 5] = [
    [16, 80, 30],
    [8, 20, 10],
    [32, 200, 200],
    [24, 120, 60],
    [8, 200, 100],
];

/// What the peer can be asked.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum AskPeer<'a> {
    Begin {
        seed: usize,
        knobs: &'a [Knob],
        start: [u32; 3],
    },
    Ask,
    Tell {
        distances: f64,
        short: f64,
    },
}

#[derive(Debug, Deserialize)]
struct Asked {
    settings: [u32; 3],
}

/// How a run went.
#[derive(Debug, Default)]
struct Outcome {
    /// Until it was close, or until it was given up.
    seconds: f64,
    trials: usize,
    found: bool,
    /// Until it stopped by itself; as above for those that never do.
    all_seconds: f64,
    all_trials: usize,
    figures: Vec<Figures>,
}

pub(crate) fn run(options: Options) -> Result<()> {
    let rows = options.rows(25_000, 5_000);
    let split = Split::of_glove(rows, 1_000)?;
    let mut bench = Bench {
        ours: Process::ours("tune")?,
        peer: Process::peer("optuna_peer.py")?,
        bounds: bounds(options),
        objective: Objective::default(),
        close: HashSet::new(),
        patience: f64::INFINITY,
    };
    bench.prepare(&split)?;
    let grid = bench.grid()?;
    let starts = if options.quick { 2 } else { STARTS.len() };
    let mut runs: [Vec<Outcome>; 3] = Default::default();
    for (seed, start) in STARTS.into_iter().take(starts).enumerate() {
        // Who goes first changes from run to run.
        for turn in 0..3 {
            let who = (seed + turn) % 3;
            let outcome = match who {
                0 => bench.steps(Chooser::Surrogate, start)?,
                1 => bench.steps(Chooser::Epsilon, start)?,
                _ => bench.optuna(seed, start)?,
            };
            let Outcome {
                seconds,
                trials,
                found,
                ..
            } = &outcome;
            eprintln!(
                "P4: run {seed}, side {who}: {seconds:.1} s, {trials} trials, found: {found}"
            );
            runs[who].push(outcome);
        }
    }
    bench.print(rows, &grid, &runs);
    Ok(())
}

/// The bounds that a host tunes in when it is told nothing; a coarser grid to show that everything runs.
fn bounds(options: Options) -> TuneBounds {
    let mut bounds = TuneBounds::default();
    if options.quick {
        (bounds.m.step, bounds.ef_construction.step) = (8, 60);
    }
    bounds
}

struct Bench {
    ours: Process,
    peer: Process,
    bounds: TuneBounds,
    objective: Objective,
    /// Configurations that are close enough.
    close: HashSet<[u32; 3]>,
    /// Seconds that a run is given.
    patience: f64,
}

impl Bench {
    fn prepare(&mut self, split: &Split) -> Result<()> {
        let _: Value = self.ours.ask(&Ask::Prepare {
            base: split.base.clone(),
            rows: split.rows,
            dimension: split.dimension,
            queries: split.queries.clone(),
            objective: Box::new(self.objective.clone()),
            bounds: Box::new(self.bounds.clone()),
        })?;
        Ok(())
    }

    fn begin(&mut self, [m, ef_construction, ef_search]: [u32; 3]) -> Result<()> {
        let serving = config([m, ef_construction, ef_search]);
        let _: Value = self.ours.ask(&Ask::Begin { serving })?;
        Ok(())
    }

    fn trial(&mut self, settings: [u32; 3]) -> Result<Figures> {
        let config = config(settings);
        match self.ours.ask(&Ask::Trial { config })? {
            Found::Tried(figures) => Ok(figures),
            Found::Exhausted { reason } => bail!("a trial is never exhausted: {reason}"),
        }
    }

    fn meets(&self, figures: &Figures) -> bool {
        figures.recall_low >= self.objective.recall_floor
    }

    /// All configurations; sets what is close enough, and the seconds that others are given.
    fn grid(&mut self) -> Result<Outcome> {
        self.begin(STARTS[0])?;
        let [m, built, searched] = [
            &self.bounds.m,
            &self.bounds.ef_construction,
            &self.bounds.ef_search,
        ]
        .map(values);
        let mut grid = Outcome::default();
        let mut ends = Vec::new();
        let started = Instant::now();
        for &m in &m {
            for &ef_construction in &built {
                for &ef_search in &searched {
                    grid.figures
                        .push(self.trial([m, ef_construction, ef_search])?);
                    ends.push(started.elapsed().as_secs_f64());
                }
            }
            eprintln!(
                "P4: the grid is through with m {m} after {:.0} s",
                started.elapsed().as_secs_f64()
            );
        }
        let feasible = grid.figures.iter().filter(|figures| self.meets(figures));
        let best = feasible
            .map(|figures| figures.distances)
            .min_by(f64::total_cmp);
        let goal = CLOSE * best.context("no configuration of the grid reaches the floor")?;
        let is_close = |figures: &&Figures| self.meets(figures) && figures.distances <= goal;
        self.close = grid.figures.iter().filter(is_close).map(settings).collect();
        let first = grid
            .figures
            .iter()
            .position(|figures| self.close.contains(&settings(figures)));
        let first = first.context("the best is in the grid")?;
        (grid.all_seconds, grid.all_trials) = (started.elapsed().as_secs_f64(), grid.figures.len());
        (grid.seconds, grid.trials, grid.found) = (ends[first], first + 1, true);
        self.patience = grid.all_seconds;
        Ok(grid)
    }

    /// A run of the tuning room, until its proposer is exhausted.
    fn steps(&mut self, proposer: Chooser, start: [u32; 3]) -> Result<Outcome> {
        self.begin(start)?;
        let mut outcome = Outcome::default();
        let started = Instant::now();
        loop {
            match self.ours.ask(&Ask::Step { proposer })? {
                Found::Tried(figures) => self.note(&mut outcome, figures, started),
                Found::Exhausted { reason } => {
                    eprintln!("P4: {proposer:?} stops: {reason}");
                    break;
                }
            }
            let until_the_end = proposer == Chooser::Surrogate;
            if self.is_over(&outcome) || (outcome.found && !until_the_end) {
                break;
            }
        }
        Ok(outcome)
    }

    fn optuna(&mut self, seed: usize, start: [u32; 3]) -> Result<Outcome> {
        self.begin(start)?;
        let knobs = self.bounds.knobs();
        let mut outcome = Outcome::default();
        let mut known: HashMap<[u32; 3], Figures> = HashMap::new();
        let started = Instant::now();
        let _: Value = self.peer.ask(&AskPeer::Begin {
            seed,
            knobs: &knobs,
            start,
        })?;
        while !outcome.found && !self.is_over(&outcome) {
            let Asked { settings } = self.peer.ask(&AskPeer::Ask)?;
            let figures = match known.get(&settings) {
                Some(figures) => figures.clone(),
                None => self.trial(settings)?,
            };
            let _: Value = self.peer.ask(&AskPeer::Tell {
                distances: figures.distances,
                short: self.objective.recall_floor - figures.recall_low,
            })?;
            known.insert(settings, figures.clone());
            self.note(&mut outcome, figures, started);
        }
        Ok(outcome)
    }

    fn note(&self, outcome: &mut Outcome, figures: Figures, started: Instant) {
        outcome.all_seconds = started.elapsed().as_secs_f64();
        outcome.all_trials += 1;
        if !outcome.found {
            (outcome.seconds, outcome.trials) = (outcome.all_seconds, outcome.all_trials);
            outcome.found = self.close.contains(&settings(&figures));
        }
        outcome.figures.push(figures);
    }

    fn is_over(&self, outcome: &Outcome) -> bool {
        outcome.all_seconds > self.patience || outcome.all_trials >= MOST_TRIALS
    }

    fn print(&self, rows: usize, grid: &Outcome, [ours, epsilon, optuna]: &[Vec<Outcome>; 3]) {
        let work = format!(
            "tuning, GloVe 50-d {rows} rows, fewest distances at a lower bound of recall@10 of {}: seconds to within 1 % of the best of {} configurations",
            self.objective.recall_floor, grid.all_trials
        );
        let reference = Reference::of(&grid.figures);
        let against = |peer: &str, seconds: &dyn Fn(usize) -> f64, bar, theirs: Value| {
            let mut measured = Comparison::default();
            for (run, outcome) in ours.iter().enumerate() {
                let own = if outcome.found {
                    outcome.seconds
                } else {
                    grid.all_seconds
                };
                measured.push(own, seconds(run));
            }
            Row {
                id: "P4",
                work: work.clone(),
                peer,
                unit: "s",
                measured: &measured,
                bar,
                detail: json!({ "ours": told(ours, &reference), "peer": theirs }),
            }
            .print();
        };
        let whole = json!({
            "trials": grid.all_trials,
            "seconds_to_the_first_close_one": round(grid.seconds),
            "hypervolume": round(reference.volume(&grid.figures)),
        });
        against(
            "exhaustive grid",
            &|_| grid.all_seconds,
            Bar::AtMost(0.2),
            whole,
        );
        let run = |of: &[Outcome], run: usize| of[run].seconds;
        against(
            self.peer.name(),
            &|at| run(optuna, at),
            Bar::AtMost(0.5),
            told(optuna, &reference),
        );
        against(
            "boathouse/epsilon-greedy",
            &|at| run(epsilon, at),
            Bar::AtMost(1.0),
            told(epsilon, &reference),
        );
    }
}

fn settings(figures: &Figures) -> [u32; 3] {
    let config = &figures.config;
    [config.m, config.ef_construction, config.ef_search]
}

/// What stands beside the ratio.
fn told(runs: &[Outcome], reference: &Reference) -> Value {
    let of = |figure: &dyn Fn(&Outcome) -> f64| {
        round(median(&runs.iter().map(figure).collect::<Vec<_>>()))
    };
    json!({
        "found": runs.iter().filter(|run| run.found).count(),
        "trials": of(&|run| run.trials as f64),
        "seconds_of_all": of(&|run| run.all_seconds),
        "trials_of_all": of(&|run| run.all_trials as f64),
        "hypervolume": of(&|run| reference.volume(&run.figures)),
    })
}

/// Recall and work of the grid, within which volumes are measured.
struct Reference {
    least: f64,
    most: f64,
}

impl Reference {
    fn of(grid: &[Figures]) -> Self {
        let works = || grid.iter().map(|figures| figures.distances.ln());
        Self {
            least: works().fold(f64::INFINITY, f64::min),
            most: works().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// Share of the square of recall (0.8 to 1) by logarithm of work that the trials dominate.
    fn volume(&self, figures: &[Figures]) -> f64 {
        let scaled = figures.iter().map(|figures| {
            let work = (figures.distances.ln() - self.least) / (self.most - self.least);
            (
                ((figures.recall - 0.8) / 0.2).clamp(0.0, 1.0),
                work.clamp(0.0, 1.0),
            )
        });
        let mut points: Vec<(f64, f64)> = scaled.collect();
        points.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (mut recall, mut volume) = (0.0_f64, 0.0);
        for (found, work) in points {
            volume += (found - recall).max(0.0) * (1.0 - work);
            recall = recall.max(found);
        }
        volume
    }
}

fn config([m, ef_construction, ef_search]: [u32; 3]) -> IndexConfig {
    IndexConfig {
        m,
        ef_construction,
        ef_search,
        seed: 0,
    }
}

fn values(knob: &Knob) -> Vec<u32> {
    (knob.min..=knob.max)
        .step_by(knob.step.max(1) as usize)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(recall: f64, distances: f64) -> Figures {
        Figures {
            config: config(STARTS[0]),
            recall,
            recall_low: recall,
            distances,
            p95_us: 1.0,
            memory_bytes: 1,
            build_seconds: 0.0,
        }
    }

    #[test]
    fn a_volume_is_what_the_front_dominates() {
        let e = std::f64::consts::E;
        let corners = [figures(0.8, 1.0), figures(1.0, e)];
        let reference = Reference::of(&corners);
        assert!(reference.volume(&corners).abs() < 1e-12);
        let middle = figures(0.9, e.sqrt());
        assert!((reference.volume(std::slice::from_ref(&middle)) - 0.25).abs() < 1e-12);
        let dominated = [middle, figures(0.85, e.powf(0.6))];
        assert!((reference.volume(&dominated) - 0.25).abs() < 1e-12);
        assert!((reference.volume(&[figures(1.0, 1.0)]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn every_start_is_within_the_bounds() {
        let bounds = TuneBounds::default();
        for start in STARTS {
            assert!(bounds.configuration(&start, 0).is_ok(), "{start:?}");
        }
        assert_eq!(values(&bounds.m), [8, 12, 16, 20, 24, 28, 32]);
    }
}
