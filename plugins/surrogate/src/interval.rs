//! How much a trial's recall can be relied on, by the width of its interval.
//!
//! A trial that asked fewer queries than others, because it was stopped early, has a lower bound that is
//! lower for that alone. Held beside whole trials it would say that its configuration is worse than it is.
//! The half width of an interval of a mean goes with sqrt(r (1 - r) / n), so n, a number of queries up to a
//! factor that all trials share, is read off each of them.

use boathouse_sdk::Trial;

/// A trial with less than this share of the usual queries is a part of one.
const WHOLE: f64 = 0.5;

/// What is usual among the trials of a journal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Usual {
    /// Median number of queries, up to the common factor; 0 when no interval tells.
    queries: f64,
}

/// The lower bound of recall as a whole trial would have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bound {
    /// In 0..=1.
    pub(crate) recall: f64,
    /// Its standard deviation beyond that of whole trials.
    pub(crate) vague: f64,
}

impl Usual {
    pub(crate) fn of(trials: &[&Trial<'_>]) -> Self {
        let mut queries: Vec<f64> = trials.iter().filter_map(|trial| queries(trial)).collect();
        queries.sort_by(f64::total_cmp);
        Self {
            queries: queries.get(queries.len() / 2).copied().unwrap_or(0.0),
        }
    }

    /// What a trial says. One without an interval, or with one that is no wider than usual, is believed.
    pub(crate) fn bound(self, trial: &Trial<'_>) -> Bound {
        let spread = trial.recall * (1.0 - trial.recall);
        match queries(trial) {
            Some(asked) if asked < WHOLE * self.queries => Bound {
                recall: trial.recall - (spread / self.queries).sqrt(),
                // A 95 % interval reaches two deviations to a side.
                vague: (spread / asked - spread / self.queries).sqrt() / 2.0,
            },
            _ => Bound {
                recall: trial.recall_low,
                vague: 0.0,
            },
        }
    }
}

/// Queries of a trial, up to a factor; none where its interval does not tell.
fn queries(trial: &Trial<'_>) -> Option<f64> {
    let half = trial.recall - trial.recall_low;
    let queries = trial.recall * (1.0 - trial.recall) / (half * half);
    (queries.is_finite() && queries > 0.0).then_some(queries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(recall: f64, queries: f64) -> Trial<'static> {
        Trial {
            recall,
            recall_low: recall - (recall * (1.0 - recall) / queries).sqrt(),
            ..Trial::default()
        }
    }

    #[test]
    fn whole_trials_are_believed_and_parts_are_brought_to_their_measure() {
        let whole = [0.8, 0.9, 0.99].map(|recall| trial(recall, 1_000.0));
        let part = trial(0.9, 100.0);
        let all = [&whole[0], &whole[1], &whole[2], &part];
        let usual = Usual::of(&all);
        for whole in &whole {
            let bound = usual.bound(whole);
            assert_eq!((bound.recall, bound.vague), (whole.recall_low, 0.0));
        }
        let bound = usual.bound(&part);
        assert!(
            (bound.recall - whole[1].recall_low).abs() < 1e-9,
            "{bound:?}"
        );
        assert!((0.01..0.03).contains(&bound.vague), "{bound:?}");
    }

    #[test]
    fn intervals_that_do_not_tell_change_nothing() {
        let sure = Trial {
            recall: 1.0,
            recall_low: 1.0,
            ..Trial::default()
        };
        let old = Trial {
            recall: 0.9,
            recall_low: 0.9,
            ..Trial::default()
        };
        let usual = Usual::of(&[&sure, &old]);
        assert_eq!(
            usual.bound(&old),
            Bound {
                recall: 0.9,
                vague: 0.0
            }
        );
        assert_eq!(
            usual.bound(&sure),
            Bound {
                recall: 1.0,
                vague: 0.0
            }
        );
    }
}
