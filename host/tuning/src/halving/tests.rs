//! Rounds over a modelled index: recall and distances as functions of the configuration and of the vectors.

use boathouse_types::{HouseStrategy, IndexConfig, Interval, Trial};

use super::*;
use crate::testing::trial;

/// An index on which thicker builds find more per candidate, and more vectors need more candidates.
struct Model {
    vectors: u64,
    floor: f64,
    journal: Vec<Trial>,
}

fn recall(config: &IndexConfig, vectors: f64) -> f64 {
    let build = f64::from(config.m).sqrt() * f64::from(config.ef_construction).powf(0.2);
    1.0 - 2.0 / (f64::from(config.ef_search) * build / vectors.ln() + 2.0)
}

fn distances(config: &IndexConfig) -> f64 {
    f64::from(config.ef_search) * f64::from(config.m).powf(0.8)
}

/// The configuration of a graph.
fn of(trial: &Trial) -> IndexConfig {
    *trial.config.graph().unwrap()
}

impl Model {
    fn new(vectors: u64, floor: f64) -> Self {
        Self {
            vectors,
            floor,
            journal: Vec::new(),
        }
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            bounds: TuneBounds::default().into(),
            floor: self.floor,
            seed: 3,
            data_version: "v1",
            evalset: None,
            vectors: self.vectors,
            journal: &self.journal,
        }
    }

    fn measured(&self, config: IndexConfig, share: f64) -> Trial {
        let recall = recall(&config, self.vectors as f64 * share);
        let mut trial = trial(&format!("t{}", self.journal.len()), recall, 100.0);
        trial.metrics.recall_interval = Some(Interval {
            low: recall,
            high: recall,
        });
        trial.metrics.distances_per_query = Some(distances(&config));
        Trial {
            config: config.into(),
            ..trial
        }
    }

    /// Makes a choice true; false when nothing is left.
    fn step(&mut self) -> bool {
        let made = match self.situation().choice(HouseStrategy::Halving) {
            Choice::Exhausted(_) => return false,
            Choice::Try { settings, .. } => {
                let config = TuneBounds::default().configuration(&settings, 3).unwrap();
                Trial {
                    data_version: Some("v1".to_owned()),
                    ..self.measured(config, 1.0)
                }
            }
            Choice::Sample { build, share, .. } => {
                let at = |ef_search| IndexConfig {
                    m: build.0,
                    ef_construction: build.1,
                    ef_search,
                    seed: 3,
                };
                let vectors = self.vectors as f64 * share;
                let least = (1..=20).map(|tens| at(10 * tens));
                let least = least
                    .clone()
                    .find(|config| recall(config, vectors) >= self.floor);
                Trial {
                    data_version: Some(sample_version("v1", share, 3)),
                    sample: Some(share),
                    ..self.measured(least.unwrap_or(at(200)), share)
                }
            }
        };
        self.journal.push(made);
        assert!(self.journal.len() < 200, "it ends");
        true
    }

    fn run(mut self) -> Vec<Trial> {
        while self.step() {}
        self.journal
    }
}

fn of_share(journal: &[Trial], share: Option<f64>) -> Vec<&Trial> {
    let of_share = journal.iter().filter(|trial| trial.sample == share);
    of_share.collect()
}

#[test]
fn thirds_go_on_and_the_last_is_searched_on_all_vectors() {
    let journal = Model::new(100_000, 0.95).run();
    let (first, second) = (of_share(&journal, Some(0.1)), of_share(&journal, Some(0.3)));
    assert_eq!((first.len(), second.len()), (9, 3));
    let cheapest = first.iter().min_by(|a, b| order(a, b, 0.95)).unwrap();
    let went_on = |trial: &&Trial| of(trial).same_build(&of(cheapest));
    assert!(second.iter().any(went_on));
    let all = of_share(&journal, None);
    assert!((2..=8).contains(&all.len()), "{}", all.len());
    assert!(all.iter().all(|trial| of(trial).same_build(&of(all[0]))));
    // Exactly the least value that reaches the floor has its neighbour below measured too, or is the least of all.
    let reaching = all.iter().filter(|trial| recall_low(trial) >= 0.95);
    let least = reaching.map(|trial| of(trial).ef_search).min().unwrap();
    let below = |trial: &&&Trial| of(trial).ef_search + 10 == least;
    assert!(least == 10 || all.iter().find(below).is_some_and(|t| recall_low(t) < 0.95));
}

#[test]
fn a_run_that_was_interrupted_anywhere_goes_on_as_if_it_had_not_been() {
    let whole = Model::new(100_000, 0.97).run();
    for cut in 0..whole.len() {
        let mut resumed = Model::new(100_000, 0.97);
        resumed.journal = whole[..cut].to_vec();
        assert_eq!(resumed.run(), whole);
    }
}

#[test]
fn small_indexes_leave_rounds_out() {
    let some = Model::new(5_000, 0.9).run();
    assert_eq!(of_share(&some, Some(0.1)).len(), 0);
    assert_eq!(of_share(&some, Some(0.3)).len(), 9);
    let none = Model::new(900, 0.9).run();
    assert_eq!(of_share(&none, None).len(), none.len());
    let mut builds: Vec<_> = none.iter().map(|trial| of(trial).m).collect();
    builds.dedup();
    assert_eq!(builds.len(), 9, "build after build");
}

#[test]
fn a_floor_that_nothing_reaches_ends_the_search() {
    let journal = Model::new(100_000, 0.999_999).run();
    let all = of_share(&journal, None);
    assert_eq!(of(all.last().unwrap()).ef_search, 200);
    let best = of_share(&journal, Some(0.3));
    let best = best
        .iter()
        .max_by(|a, b| recall_low(a).total_cmp(&recall_low(b)));
    assert!(
        of(best.unwrap()).same_build(&of(all[0])),
        "what finds most went on"
    );
}

#[test]
fn a_build_that_was_found_to_be_worse_is_left() {
    let mut model = Model::new(900, 0.9);
    assert!(model.step());
    let build = of(&model.journal[0]);
    // Ended early though it might have reached the floor: another one was better.
    model.journal[0].stopped_early = Some("dominated".to_owned());
    model.journal[0].metrics.recall_interval = Some(Interval {
        low: 0.89,
        high: 0.95,
    });
    assert!(model.step());
    assert!(!of(&model.journal[1]).same_build(&build));
}

#[test]
fn a_graph_that_was_cut_down_has_no_last_word() {
    let mut model = Model::new(900, 0.9);
    let first = model.situation().choice(HouseStrategy::Halving);
    let Choice::Try { settings, .. } = &first else {
        panic!("{first:?}");
    };
    let config = TuneBounds::default().configuration(settings, 3).unwrap();
    let cut_down = Trial {
        data_version: Some("v1".to_owned()),
        derived_from: Some("a larger build".to_owned()),
        ..model.measured(config, 1.0)
    };
    model.journal.push(cut_down);
    assert_eq!(model.situation().choice(HouseStrategy::Halving), first);
}
