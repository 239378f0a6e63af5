//! The part of a journal that counts: trials whose figures are figures.
//!
//! A trial with a NaN, an infinity or a recall outside 0..=1 teaches nothing, but it has been tried and is
//! not proposed again. That all trials were measured on the same vectors is the host's word.
//!
//! Work is counted in distance computations where every trial counted them, because counts do not depend
//! on the machine; otherwise it is the 95th percentile of latency.

use std::collections::{BTreeMap, BTreeSet};

use boathouse_sdk::{Context, Error, Trial};

use crate::space::Space;

/// What a search costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Distance computations.
    Distances,
    /// The 95th percentile of latency.
    Latency,
}

impl Work {
    pub(crate) fn of(self, trial: &Trial<'_>) -> f64 {
        match self {
            Self::Distances => trial.distances,
            Self::Latency => trial.latency_p95_us,
        }
    }

    /// For sentences: "8 % fewer distances".
    pub(crate) fn saved(self) -> &'static str {
        match self {
            Self::Distances => "fewer distances",
            Self::Latency => "less p95 latency",
        }
    }
}

/// The trials that count.
pub(crate) struct Evidence<'a> {
    /// Those whose figures are figures, oldest first.
    pub(crate) trials: Vec<Trial<'a>>,
    /// What a search costs.
    pub(crate) work: Work,
    tried: BTreeSet<&'a [u32]>,
}

/// What is known of one build.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bracket {
    /// The greatest value of the search knob below [`Bracket::enough`] that missed the floor of recall.
    pub(crate) short: Option<u32>,
    /// The least that reached it.
    pub(crate) enough: Option<u32>,
}

impl<'a> Evidence<'a> {
    /// # Errors
    /// When the journal is about other knobs than the context.
    pub(crate) fn of(context: &'a Context, wanted: Option<Work>) -> Result<Self, Error> {
        let trials = &context.trials;
        let names = context.knobs.iter().map(|knob| &knob.name);
        if !trials.is_empty() && !trials.knobs.iter().eq(names) {
            return Err(Error::invalid_input(
                "the journal is about other knobs than the context",
            ));
        }
        let tried = trials.iter().map(|trial| trial.settings).collect();
        let mut sound: Vec<Trial<'a>> = trials.iter().filter(is_sound).collect();
        let counted = !sound.is_empty() && sound.iter().all(|trial| trial.distances > 0.0);
        let work = wanted.unwrap_or(match counted {
            true => Work::Distances,
            false => Work::Latency,
        });
        sound.retain(|trial| work.of(trial) > 0.0);
        Ok(Self {
            trials: sound,
            work,
            tried,
        })
    }

    /// Whether a configuration has been tried.
    pub(crate) fn has(&self, settings: &[u32]) -> bool {
        self.tried.contains(settings)
    }

    /// Number of configurations that have been tried.
    pub(crate) fn tried(&self) -> usize {
        self.tried.len()
    }

    /// The builds of the trials, with the search knob at 0, and what each has shown about `floor`.
    pub(crate) fn builds(&self, space: &Space<'_>, floor: f64) -> BTreeMap<Vec<u32>, Bracket> {
        let mut builds: BTreeMap<Vec<u32>, Bracket> = BTreeMap::new();
        let search = |trial: &Trial<'_>| space.search().map_or(0, |axis| trial.settings[axis]);
        for trial in self.trials.iter().filter(|trial| trial.recall_low >= floor) {
            let bracket = builds.entry(space.build_of(trial.settings)).or_default();
            let value = search(trial);
            bracket.enough = Some(bracket.enough.map_or(value, |known| known.min(value)));
        }
        for trial in self.trials.iter().filter(|trial| trial.recall_low < floor) {
            let bracket = builds.entry(space.build_of(trial.settings)).or_default();
            let value = search(trial);
            if bracket.enough.is_none_or(|enough| value < enough) {
                bracket.short = bracket.short.max(Some(value));
            }
        }
        builds
    }
}

fn is_sound(trial: &Trial<'_>) -> bool {
    let share = |value: f64| (0.0..=1.0).contains(&value);
    let amount = |value: f64| (0.0..f64::MAX).contains(&value);
    share(trial.recall)
        && (-1.0..=1.0).contains(&trial.recall_low)
        && amount(trial.latency_p95_us)
        && amount(trial.distances)
        && amount(trial.build_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use boathouse_sdk::testing::{context, journal};

    #[test]
    fn figures_that_are_none_teach_nothing_and_stay_tried() {
        let odd = [f64::NAN, f64::INFINITY, -1.0, 2.0];
        let rows: Vec<_> = odd.iter().map(|&recall| (recall, 100.0, 1)).collect();
        let context = context(journal(&rows), 0);
        let evidence = Evidence::of(&context, None).expect("journal");
        assert_eq!((evidence.trials.len(), evidence.tried()), (0, 4));
    }

    #[test]
    fn work_is_latency_where_a_trial_did_not_count() {
        let mut context = context(journal(&[(0.9, 100.0, 1), (0.95, 200.0, 1)]), 0);
        let work = |context: &Context, wanted| Evidence::of(context, wanted).expect("journal").work;
        assert_eq!(work(&context, None), Work::Distances);
        assert_eq!(work(&context, Some(Work::Latency)), Work::Latency);
        context.trials.distances[1] = 0.0;
        assert_eq!(work(&context, None), Work::Latency);
    }

    #[test]
    fn a_bracket_is_what_missed_below_what_reached() {
        let recalls = [0.90, 0.93, 0.96, 0.94, 0.97];
        let rows: Vec<_> = recalls.iter().map(|&recall| (recall, 100.0, 1)).collect();
        let context = context(journal(&rows), 0);
        let space = Space::new(&context.knobs).expect("knobs");
        let evidence = Evidence::of(&context, None).expect("journal");
        let bracket = |floor| evidence.builds(&space, floor)[&vec![16, 100, 0]].clone();
        // Not monotone: 40 misses what 30 reached, and does not count.
        assert_eq!(
            bracket(0.95),
            Bracket {
                short: Some(20),
                enough: Some(30)
            }
        );
        assert_eq!(
            bracket(0.5),
            Bracket {
                short: None,
                enough: Some(10)
            }
        );
        assert_eq!(
            bracket(0.99),
            Bracket {
                short: Some(50),
                enough: None
            }
        );
    }

    #[test]
    fn a_journal_about_other_knobs_is_refused() {
        let mut context = context(journal(&[(0.9, 1.0, 1)]), 0);
        context.trials.knobs[0] = "n".to_owned();
        assert!(Evidence::of(&context, None).is_err());
    }
}
