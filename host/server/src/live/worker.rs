//! Judges sampled searches, one after the other, when there is room for it.
//!
//! Before each it waits a while for a moment without searches; after each it rests nine times as long as it worked,
//! so that it never takes more than a tenth of one core. What waits meanwhile is in a bounded queue.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use boathouse_tuning::{EvalSetName, TuningError};
use boathouse_types::IndexName;
use tokio::sync::mpsc;

use super::{
    drift::{self, Drift},
    judged::{Call, Subject},
    serving_subject,
};
use crate::{
    agent::Reason,
    app::App,
    indexes::{LiveIndex, Truth},
    problem::Problem,
    tune::DEFAULT_SET,
};

/// How long a judgement waits for a moment without searches.
const PATIENCE: Duration = Duration::from_secs(1);
/// Rest after work, in multiples of its duration.
const REST: u32 = 9;

/// A search to be judged.
pub(super) struct Sample {
    pub(super) index: Arc<LiveIndex>,
    pub(super) subject: Subject,
    pub(super) vector: Box<[f32]>,
    pub(super) k: usize,
    /// Distances of the hits, nearest first.
    pub(super) found: Vec<f32>,
}

/// Judges samples until the host stops.
pub(crate) fn start(app: &Arc<App>) {
    let waiting = app.live.waiting.lock();
    let waiting = waiting.unwrap_or_else(PoisonError::into_inner).take();
    let Some(waiting) = waiting else { return };
    let background = app.tasks.background();
    let (worker, stop) = (Arc::clone(app), background.stopping());
    background.spawn(async move {
        stop.run_until_cancelled(work(&worker, waiting)).await;
    });
}

async fn work(app: &App, mut waiting: mpsc::Receiver<Sample>) {
    while let Some(sample) = waiting.recv().await {
        quiet(app, PATIENCE).await;
        let began = Instant::now();
        let index = Arc::clone(&sample.index);
        if let Err(problem) = judge(app, sample).await {
            index.traffic().drop_one();
            tracing::warn!(index = %index.meta.name, %problem, "a search could not be answered exactly");
        }
        tokio::time::sleep(began.elapsed() * REST).await;
    }
}

/// Waits for a moment without searches, but not for ever.
pub(crate) async fn quiet(app: &App, patience: Duration) {
    let until = Instant::now() + patience;
    while app.load.now().in_flight > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn judge(app: &App, sample: Sample) -> Result<(), Problem> {
    let index = Arc::clone(&sample.index);
    let exact = tokio::task::spawn_blocking(move || {
        let truth = sample.index.truth(&sample.vector, sample.k)?;
        Ok::<_, Problem>((
            sample.subject,
            recall(&sample.found, &truth.distances),
            truth,
        ))
    });
    let (subject, recall, truth) = exact.await.map_err(|error| Problem::internal(&error))??;
    let Some(recall) = recall else { return Ok(()) };
    // What serves now is what the name stands for now: the index may have got a new base since.
    let name = &index.meta.name;
    let current = app.indexes.get(name.as_str()).unwrap_or(index);
    let floor = current.meta.objective.recall_floor;
    let serving = serving_subject(&current);
    let now = app.clock.now();
    let call = current
        .traffic()
        .judged()
        .add(now, (subject.clone(), recall), &serving, floor);
    if let Some(call) = call {
        tell(app, &current, call, floor).await;
    }
    if subject.data_version == serving.data_version
        && let Err(problem) = note_distance(app, &current, &truth).await
    {
        // The search was judged; only what it says of drift is lost.
        tracing::warn!(index = %current.meta.name, %problem, "live queries cannot be compared with the evaluation set");
    }
    Ok(())
}

/// Share of the true neighbours that were found; none when there is no row to find. A hit is one if it is as near as
/// the farthest true neighbour: rows at one distance are interchangeable. A graph may add the parts of a distance up
/// in another order, so a hair's breadth more is as near.
fn recall(found: &[f32], truth: &[f32]) -> Option<f64> {
    let farthest = *truth.last()?;
    let radius = farthest + 1e-5 * farthest.abs().max(1e-2);
    let hits = found
        .iter()
        .take(truth.len())
        .filter(|distance| **distance <= radius);
    Some(hits.count() as f64 / truth.len() as f64)
}

/// Logs what happened to the recall of an index, and has the agent look at it while it is low.
async fn tell(app: &App, index: &LiveIndex, call: Call, floor: f64) {
    let name = &index.meta.name;
    match call {
        Call::Raised(estimate) => {
            let (recall, high, samples) =
                (estimate.recall, estimate.interval.high, estimate.samples);
            tracing::warn!(index = %name, recall, high, floor, samples, "live recall is below the floor");
            app.agent.wake(name, Reason::Recall).await;
        }
        Call::Again(_) => app.agent.wake(name, Reason::Recall).await,
        Call::Cleared(estimate) => {
            tracing::info!(index = %name, recall = estimate.recall, floor, "live recall is back at the floor");
        }
    }
}

/// Keeps how far a query is from its nearest neighbour, and compares these distances with those of the evaluation
/// set when it is time.
async fn note_distance(app: &App, index: &Arc<LiveIndex>, truth: &Truth) -> Result<(), Problem> {
    let Some(nearest) = truth.nearest_in_base else {
        return Ok(());
    };
    let version = &index.data.data_version;
    let due = index.traffic().judged().distances.add(version, nearest);
    let Some(live) = due else { return Ok(()) };
    let evaluation = evaluation_distances(index).await?;
    let now = app.clock.now();
    let found: Option<Drift> = drift::compared(live, evaluation, now);
    let tell = index.traffic().judged().distances.note(found);
    if tell {
        let name: &IndexName = &index.meta.name;
        let statistic = found.map(|found| found.statistic);
        tracing::warn!(index = %name, statistic, "live queries are not like those of the evaluation set");
        app.agent.wake(name, Reason::Drift).await;
    }
    Ok(())
}

/// Distances of the queries of the evaluation set to their nearest neighbours; empty when there is no set for the
/// vectors at hand.
async fn evaluation_distances(index: &Arc<LiveIndex>) -> Result<Vec<f32>, Problem> {
    let name = EvalSetName::new(DEFAULT_SET)?;
    let set = match index.tuner.eval_sets().load(&name).await {
        Ok(set) => set,
        Err(TuningError::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    match set.check_fits(&index.data) {
        Ok(()) => {}
        Err(TuningError::Stale { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    }
    let vectors = Arc::clone(&index.data.vectors);
    let measured = tokio::task::spawn_blocking(move || {
        let mut distances = Vec::with_capacity(set.queries.len());
        for query in &set.queries {
            if let Some(nearest) = query.truth.first() {
                let prepared = vectors.prepare_query(&query.vector)?;
                distances.push(vectors.distance(&prepared, *nearest));
            }
        }
        Ok(distances)
    });
    measured.await.map_err(|error| Problem::internal(&error))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: &[f32], truth: &[f32], expected: Option<f64>) {
        assert_eq!(recall(found, truth), expected, "{found:?} of {truth:?}");
    }

    #[test]
    fn a_hit_is_what_is_as_near_as_the_farthest_true_neighbour() {
        check(&[0.1, 0.2], &[0.1, 0.2], Some(1.0));
        check(&[0.1, 0.3], &[0.1, 0.2], Some(0.5));
        check(&[], &[0.1, 0.2], Some(0.0));
        check(&[], &[], None);
        // A tie with the farthest is as good; a longer answer is no advantage.
        check(&[0.2, 0.2], &[0.1, 0.2], Some(1.0));
        check(&[0.3, 0.4, 0.1, 0.2], &[0.1, 0.2], Some(0.0));
        // The last bits of a sum, also of inner products below zero and of a distance of zero.
        check(&[0.100_000_1], &[0.1], Some(1.0));
        check(&[-49.999_9], &[-50.0], Some(1.0));
        check(&[-49.99], &[-50.0], Some(0.0));
        check(&[5e-8], &[0.0], Some(1.0));
    }
}
