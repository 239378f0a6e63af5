//! A trial over a share of the vectors: how few distances does a build need for the recall that is wanted?
//!
//! Two builds compare at the recall that the owner asks for, not at an equal `ef_search`, with which one finds
//! more and the other is faster. So the least allowed `ef_search` is looked for, by bisection over the knob, that
//! is sure to reach the floor; that one is then measured and written down. Recall grows with `ef_search` in
//! practice and by no theorem; where it does not, the outcome is a value that reaches the floor but not the
//! least.
//!
//! The graph is built for this one trial and goes with it.

use std::sync::Arc;

use boathouse_types::{Configuration, IndexConfig, Knob, Trial};
use tokio_util::sync::CancellationToken;

use super::{TrialReport, TrialRequest, Tuner, made::Made};
use crate::{
    Contender, Evaluation, TuningError,
    measure::{measure, sure_recall},
};

/// What to measure on a share of the vectors.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SampleRequest {
    /// The build to measure, and what the journal is to say; its `ef_search` is looked for.
    pub(crate) trial: TrialRequest,
    /// Share of the vectors, in 0..1.
    pub(crate) share: f64,
    /// Recall to reach.
    pub(crate) floor: f64,
    /// Allowed values of `ef_search`.
    pub(crate) ef_search: Knob,
}

impl Tuner {
    /// Measures a build on a share of the vectors, without writing it down. The seed of the build decides which
    /// vectors are drawn.
    ///
    /// # Errors
    /// As for any trial; [`TuningError::InvalidInput`] for a share that leaves too few vectors.
    pub(crate) async fn measure_sample(
        &self,
        evaluation: &Arc<Evaluation>,
        request: SampleRequest,
        number: usize,
        cancel: &CancellationToken,
    ) -> Result<TrialReport, TuningError> {
        let SampleRequest {
            mut trial,
            share,
            floor,
            ef_search,
        } = request;
        let Configuration::Graph(config) = trial.config else {
            return Err(TuningError::InvalidInput(
                "only graphs are measured on a sample".to_owned(),
            ));
        };
        let sample = evaluation.sampled(share, config.seed, cancel).await?;
        let built = self.builds.passing(sample.data(), &config, cancel).await?;
        let graph = Arc::clone(&built.graph);
        let made = Made::of_graph(built, &config);
        let (shared, plan) = (Arc::clone(&sample), self.options.plan);
        let (found, measured) = self
            .in_lane(cancel, move |stop| {
                let with = |ef_search| Contender::Graph {
                    graph: Arc::clone(&graph),
                    ef_search,
                };
                let found = least_ef(&ef_search, |ef_search| {
                    Ok(sure_recall(&shared, &with(ef_search), stop)? >= floor)
                })?;
                let measured = measure(&shared, (&with(found), None), None, &plan, stop)?;
                Ok((found, measured))
            })
            .await?;
        trial.config = Configuration::Graph(IndexConfig {
            ef_search: found,
            ..config
        });
        let report = self.report(&sample, trial, number, made, measured);
        Ok(TrialReport {
            trial: Trial {
                sample: Some(share),
                ..report.trial
            },
            ..report
        })
    }
}

/// The least allowed value that is good, by bisection; the largest when none is.
fn least_ef(
    knob: &Knob,
    mut is_good: impl FnMut(u32) -> Result<bool, TuningError>,
) -> Result<u32, TuningError> {
    let step = knob.step.max(1);
    let value = |at: u32| knob.min + at * step;
    // Everything below `low` is too small; `high` is good, or the largest there is.
    let (mut low, mut high) = (0, (knob.max - knob.min) / step);
    while low < high {
        let middle = low.midpoint(high);
        if is_good(value(middle))? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(value(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_good_value_is_found_and_stays_on_the_step() {
        let knob = Knob {
            name: "ef_search".to_owned(),
            min: 10,
            max: 204,
            step: 10,
        };
        for (least, expected) in [
            (0, 10),
            (10, 10),
            (11, 20),
            (57, 60),
            (200, 200),
            (999, 200),
        ] {
            let mut asked = 0;
            let found = least_ef(&knob, |ef| {
                assert!(knob.allows(ef), "{ef}");
                asked += 1;
                Ok(ef >= least)
            });
            assert_eq!(found.unwrap(), expected);
            assert!(asked <= 5, "{asked} questions");
        }
    }
}
