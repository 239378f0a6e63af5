//! Successive halving: many builds on few vectors, the better ones on more, the best on all.
//!
//! Which `m` and `ef_construction` are good shows on a part of the vectors; which `ef_search` is needed does not,
//! since that grows with their number. So builds compete on samples, each at the least `ef_search` that reaches
//! the floor there, by the distances that a query takes; a third of them stays after each round. For those that
//! are left `ef_search` is looked for on all vectors: from where the sample ended, doubled until the floor is
//! reached, then by bisection.
//!
//! Source: K. Jamieson and A. Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
//! Optimization", AISTATS 2016; three to one is the ratio of Hyperband (L. Li et al., JMLR 18, 2018).
//!
//! The last word is about the builds themselves: what was measured on a graph that was cut down from a larger one
//! counts for nothing here.
//!
//! Samples of fewer than a thousand vectors tell nothing: searches there compare with nearly all of them. Such
//! rounds are left out, so a small index is searched without samples.

use boathouse_types::{IndexConfig, Knob, Trial};

use crate::{
    bounds::{TuneBounds, snap},
    evaluation::sample_version,
    house::{Choice, Situation},
    judge::recall_low,
};

/// Values of `m`, each moved to the nearest allowed one.
const M: [u32; 3] = [16, 8, 32];
/// Values of `ef_construction`, likewise.
const EF_CONSTRUCTION: [u32; 3] = [80, 200, 40];
/// `ef_search` to begin with where no sample tells a better one.
const EF_SEARCH: u32 = 30;
/// Shares of the vectors, round by round.
const SHARES: [f64; 2] = [0.1, 0.3];
/// Least vectors of a sample.
const LEAST_SAMPLE: f64 = 1_000.0;
/// One build of so many stays after a round.
const KEPT: usize = 3;

/// What the rounds so far leave to try.
pub(crate) fn next(situation: &Situation<'_>, bounds: &TuneBounds) -> Choice {
    let mut builds = builds(bounds);
    let all = builds.len();
    let mut starts: Vec<u32> = vec![snap(&bounds.ef_search, EF_SEARCH); all];
    for share in SHARES {
        if situation.vectors as f64 * share < LEAST_SAMPLE {
            continue;
        }
        let version = sample_version(situation.data_version, share, situation.seed);
        let measured = situation.measured(&version);
        let mut round = Vec::with_capacity(builds.len());
        for (at, &build) in builds.iter().enumerate() {
            match measured
                .iter()
                .rfind(|trial| is_of(trial, build, situation.seed))
            {
                Some(trial) => round.push((build, *trial)),
                None => {
                    let (percent, number, of) = (share * 100.0, at + 1, builds.len());
                    let reason =
                        format!("halving: build {number} of {of} on {percent:.0} % of the vectors");
                    return Choice::Sample {
                        build,
                        share,
                        reason,
                    };
                }
            }
        }
        round.sort_by(|a, b| order(a.1, b.1, situation.floor));
        round.truncate(round.len().div_ceil(KEPT));
        starts = round.iter().map(|(_, trial)| ef_search(trial)).collect();
        builds = round.into_iter().map(|(build, _)| build).collect();
    }
    let measured = situation.measured(situation.data_version);
    for (&(m, ef_construction), start) in builds.iter().zip(starts) {
        let of_build: Vec<&Trial> = measured
            .iter()
            .copied()
            .filter(|trial| trial.derived_from.is_none())
            .filter(|trial| is_of(trial, (m, ef_construction), situation.seed))
            .collect();
        if let Some(ef_search) = next_ef(situation, &bounds.ef_search, &of_build, start) {
            return Choice::Try {
                settings: vec![m, ef_construction, ef_search],
                reason: format!(
                    "halving: the least ef_search of m {m} and ef_construction {ef_construction} that reaches the floor"
                ),
            };
        }
    }
    Choice::Exhausted(format!(
        "halving has ended: of {all} builds {} were searched on all vectors",
        builds.len()
    ))
}

/// Builds in the order in which they are tried, without repetition.
fn builds(bounds: &TuneBounds) -> Vec<(u32, u32)> {
    let mut builds = Vec::with_capacity(M.len() * EF_CONSTRUCTION.len());
    for ef_construction in EF_CONSTRUCTION {
        for m in M {
            let build = (
                snap(&bounds.m, m),
                snap(&bounds.ef_construction, ef_construction),
            );
            if !builds.contains(&build) {
                builds.push(build);
            }
        }
    }
    builds
}

fn is_of(trial: &Trial, (m, ef_construction): (u32, u32), seed: u64) -> bool {
    let is_same = |config: &IndexConfig| {
        (config.m, config.ef_construction, config.seed) == (m, ef_construction, seed)
    };
    trial.config.graph().is_some_and(is_same)
}

/// The `ef_search` of a trial of a graph.
fn ef_search(trial: &Trial) -> u32 {
    trial.config.graph().map_or(0, |config| config.ef_search)
}

/// Who reaches the floor comes first, with fewer distances the earlier; then who finds more.
fn order(a: &Trial, b: &Trial, floor: f64) -> std::cmp::Ordering {
    let reaches = |trial: &Trial| recall_low(trial) >= floor;
    let distances = |trial: &Trial| trial.metrics.distances_per_query.unwrap_or(f64::INFINITY);
    match (reaches(a), reaches(b)) {
        (true, true) => distances(a).total_cmp(&distances(b)),
        (false, false) => recall_low(b).total_cmp(&recall_low(a)),
        (own, their) => their.cmp(&own),
    }
}

/// The next `ef_search` of a build on all vectors; none when the least that reaches the floor is known, when not
/// even the largest does, or when the build is known to be worse than another one.
fn next_ef(situation: &Situation<'_>, knob: &Knob, trials: &[&Trial], start: u32) -> Option<u32> {
    let step = knob.step.max(1);
    let last = i64::from((knob.max - knob.min) / step);
    let position = |ef_search: u32| i64::from(ef_search.saturating_sub(knob.min) / step);
    let (mut low, mut high) = (-1, last + 1);
    for trial in trials.iter().filter(|trial| knob.allows(ef_search(trial))) {
        let at = position(ef_search(trial));
        if trial.is_whole() && recall_low(trial) >= situation.floor {
            high = high.min(at);
        } else if is_below(trial, situation.floor) {
            low = low.max(at);
        } else {
            return None;
        }
    }
    let next = if high <= last {
        low.midpoint(high)
    } else if low < 0 {
        position(start)
    } else {
        (2 * low + 1).min(last)
    };
    let is_open = low < next && next < high;
    is_open.then(|| knob.min + u32::try_from(next).unwrap_or(0) * step)
}

/// Whether a trial missed the floor, and not only ended because another one is better.
fn is_below(trial: &Trial, floor: f64) -> bool {
    let metrics = &trial.metrics;
    let best = metrics
        .recall_interval
        .map_or(metrics.recall_at_k, |interval| interval.high);
    trial.is_whole() || best < floor
}

#[cfg(test)]
mod tests;
