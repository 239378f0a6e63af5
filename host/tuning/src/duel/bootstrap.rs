//! Whether a difference of scores would be there with other queries too: the paired bootstrap.
//!
//! Queries are drawn with replacement, as many as there are, and both contenders' figures are made anew from the
//! same draw; the scorer judges each such pair. The middle 95 % of the differences are the percentile interval of
//! B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", Chapman & Hall, 1993, chapter 13. Draws come
//! from a seed that is derived from the challenger, so the same figures give the same interval.

use std::sync::Arc;

use boathouse_types::{Configuration, Interval, Trial, Verdict};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    Duel, Evidence, Fighter, ScoreGain,
    bout::{Figures, as_trial},
};
use crate::{
    TuningError,
    blocking::{alive, blocking, unless_cancelled},
    judge::verdicts,
    tuner::rounded,
};

/// Resamples. Of 200 differences the five least and the five greatest lie outside the interval.
const RESAMPLES: usize = 200;
/// Share of the differences that lies beyond each end of the interval.
const TAIL: f64 = 0.025;
/// Scores may be any finite numbers; what is kept of them reaches this far.
const MOST: f64 = 1e15;

/// The champion and the challenger, as a scorer gets them.
type Pair = [Trial; 2];

/// How much better the scorer finds the challenger, with an interval; none when another scorer took over between
/// two of the questions.
///
/// # Errors
/// [`TuningError::Judgement`] when the scorer gives no answer; [`TuningError::Cancelled`].
pub(super) async fn score_gain(
    figures: &Arc<Figures>,
    evidence: &Evidence,
    duel: &Duel<'_>,
    cancel: &CancellationToken,
) -> Result<Option<ScoreGain>, TuningError> {
    let (fighters, figures) = (
        [duel.champion.clone(), duel.challenger.clone()],
        Arc::clone(figures),
    );
    let seed = seed_of(evidence);
    let pairs = blocking(cancel, move |stop| {
        resampled(&figures, &fighters, seed, stop)
    })
    .await?;
    let Some(((whole, by), rest)) = judge(duel, pairs, cancel).await? else {
        return Ok(None);
    };
    let [champion, challenger] = &whole;
    let differences: Vec<f64> = rest.iter().map(difference).collect();
    Ok(Some(ScoreGain {
        by,
        champion: bounded(champion.score),
        challenger: bounded(challenger.score),
        gain: bounded(difference(&whole)),
        interval: percentile_interval(differences),
        resamples: RESAMPLES as u32,
        infeasible: (!challenger.feasible).then(|| {
            let reason = challenger.reason.clone();
            reason.unwrap_or_else(|| "it gives no reason".to_owned())
        }),
    }))
}

type Judged = ([Verdict; 2], boathouse_types::PluginRef);

/// The verdicts on every pair, those on the first apart; none when they are not all of one scorer.
async fn judge(
    duel: &Duel<'_>,
    pairs: Vec<Pair>,
    cancel: &CancellationToken,
) -> Result<Option<(Judged, Vec<[Verdict; 2]>)>, TuningError> {
    let (mut first, mut rest) = (None::<Judged>, Vec::with_capacity(RESAMPLES));
    for pair in pairs {
        let asked = verdicts(duel.scorer, &pair, duel.objective);
        let judged = unless_cancelled(cancel, asked).await??;
        // `verdicts` lets nothing else through than one verdict a trial.
        let Ok(two) = <[Verdict; 2]>::try_from(judged.answer) else {
            return Ok(None);
        };
        match &first {
            None => first = Some((two, judged.by)),
            Some((_, by)) if *by != judged.by => return Ok(None),
            Some(_) => rest.push(two),
        }
    }
    Ok(first.map(|first| (first, rest)))
}

/// The pair over all queries, and then over every resample of them.
fn resampled(
    figures: &Figures,
    fighters: &[Fighter; 2],
    seed: u64,
    stop: &CancellationToken,
) -> Result<Vec<Pair>, TuningError> {
    let (champion, challenger) = figures.comparable();
    let pair = |queries: &[usize]| -> Pair {
        let of = |fighter, side| as_trial(fighter, figures.metrics(side, queries));
        [of(&fighters[0], &champion), of(&fighters[1], &challenger)]
    };
    let count = figures.queries();
    let all: Vec<usize> = (0..count).collect();
    let mut pairs = vec![pair(&all)];
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..RESAMPLES {
        alive(stop)?;
        let drawn: Vec<usize> = (0..count).map(|_| rng.random_range(0..count)).collect();
        pairs.push(pair(&drawn));
    }
    Ok(pairs)
}

/// Derived from who is challenged by whom.
fn seed_of(evidence: &Evidence) -> u64 {
    let mut digest = Sha256::new();
    for side in [&evidence.champion, &evidence.challenger] {
        digest.update(side.trial.as_deref().unwrap_or_default());
        digest.update(b"\0");
        digest.update(&side.build_id);
        // What is built is told by the build.
        let asked = match side.config {
            Configuration::Graph(config) => vec![config.ef_search],
            Configuration::Table(config) => vec![config.nprobes, config.refine_factor],
        };
        for knob in asked {
            digest.update(knob.to_le_bytes());
        }
    }
    let bytes = digest.finalize();
    bytes
        .iter()
        .take(8)
        .fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

fn difference([champion, challenger]: &[Verdict; 2]) -> f64 {
    challenger.score - champion.score
}

/// A score as a registry keeps it: nine decimals and twelve digits, which every reader of JSON reads back bit for bit.
fn bounded(value: f64) -> f64 {
    let short = format!("{:.11e}", rounded(value.clamp(-MOST, MOST), 1e9));
    short.parse().unwrap_or(0.0)
}

/// The middle 95 % of some values: what lies beyond the ends is at most [`TAIL`] of them on either side.
fn percentile_interval(mut values: Vec<f64>) -> Interval {
    values.sort_by(f64::total_cmp);
    let cut = (values.len() as f64 * TAIL) as usize;
    let at = |position: usize| values.get(position).copied().unwrap_or(0.0);
    Interval {
        low: bounded(at(cut)),
        high: bounded(at(values.len().saturating_sub(1 + cut))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_leaves_five_of_two_hundred_out_on_either_side() {
        let values: Vec<f64> = (0..200).rev().map(f64::from).collect();
        let interval = percentile_interval(values);
        assert_eq!(
            interval,
            Interval {
                low: 5.0,
                high: 194.0
            }
        );
        let none = percentile_interval(Vec::new());
        assert_eq!(
            none,
            Interval {
                low: 0.0,
                high: 0.0
            }
        );
    }

    #[test]
    fn what_is_kept_of_a_score_reads_back() {
        let odd = [f64::MAX, f64::MIN, f64::INFINITY, 1.0 / 3.0, -0.0, 1e-30];
        let many = (1..1_000).map(|at| 7_654_321.0 / f64::from(at));
        for value in odd.into_iter().chain(many) {
            let kept = bounded(value);
            let text = serde_json::to_string(&kept).unwrap();
            let read: f64 = serde_json::from_str(&text).unwrap();
            assert_eq!(read, kept, "{text}");
        }
    }
}
