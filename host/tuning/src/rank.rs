//! What decides where times cannot.
//!
//! A scoring plugin judges what was measured, and on a restless machine a part of that is chance: two trials of
//! one configuration differ in p95 by more than two configurations do. Distance counts do not depend on the
//! machine. So of trials whose times cannot be told apart, and that find as much in as little memory, the one
//! that computes fewer distances is the better one, whatever the score says.
//!
//! This changes an order only between trials that the measurements leave open. It overrules no difference in
//! recall or memory, and no difference in time that is beyond the spread of the repeats.
//!
//! A trial on a graph that was cut down from a larger one finds a little more than its configuration does; it gives
//! way to one on the graph itself ([`originals`]).

use std::collections::HashSet;

use boathouse_types::{Configuration, Interval, Trial};

/// Whether the times of two trials say which one is faster.
///
/// They do not where one of the two was too restless, where they were taken on two machines, or where the
/// intervals `p95 (1 ± spread / 2)` overlap. A trial that says nothing of its spread (a line of an older journal)
/// counts by its p95 alone.
#[must_use]
pub fn times_differ(a: &Trial, b: &Trial) -> bool {
    let (own, their) = (p95_interval(a), p95_interval(b));
    let same_host = match (&a.host, &b.host) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    same_host && !a.noisy && !b.noisy && (own.high < their.low || their.high < own.low)
}

fn p95_interval(trial: &Trial) -> Interval {
    let p95 = trial.metrics.search_latency_p95_us;
    let half = p95 * trial.latency_spread.unwrap_or(0.0).clamp(0.0, 2.0) / 2.0;
    Interval {
        low: p95 - half,
        high: p95 + half,
    }
}

/// Whether `a` is a better choice than `b` by what does not depend on the machine: it finds no less, takes no
/// more memory and computes fewer distances. Without distance counts it is not.
#[must_use]
pub fn cheaper_alike(a: &Trial, b: &Trial) -> bool {
    let (own, their) = (&a.metrics, &b.metrics);
    let fewer = own
        .distances_per_query
        .zip(their.distances_per_query)
        .is_some_and(|(own, their)| own < their);
    fewer && own.recall_at_k >= their.recall_at_k && own.memory_bytes <= their.memory_bytes
}

/// The trial to take in place of `chosen`: of those in `pool` whose times cannot be told from its, and that are
/// cheaper alike, the one with the fewest distances, the earliest of equals; else `chosen` itself.
pub(crate) fn settle<'a>(
    chosen: &'a Trial,
    pool: impl IntoIterator<Item = &'a Trial>,
) -> &'a Trial {
    let distances = |trial: &Trial| trial.metrics.distances_per_query.unwrap_or(f64::INFINITY);
    pool.into_iter()
        .filter(|other| !times_differ(other, chosen) && cheaper_alike(other, chosen))
        .min_by(|a, b| distances(a).total_cmp(&distances(b)))
        .unwrap_or(chosen)
}

/// Trials without those on a graph that was cut down where one of the same configuration searched its own graph.
pub(crate) fn originals(trials: &[Trial]) -> Vec<Trial> {
    let is_original = |trial: &&Trial| trial.derived_from.is_none();
    let measured: HashSet<Configuration> = trials
        .iter()
        .filter(is_original)
        .map(|trial| trial.config)
        .collect();
    let kept = |trial: &&Trial| is_original(trial) || !measured.contains(&trial.config);
    trials.iter().filter(kept).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trial;

    fn measured(id: &str, p95: f64, distances: f64) -> Trial {
        let mut trial = trial(id, 0.97, p95);
        trial.metrics.distances_per_query = Some(distances);
        trial.latency_spread = Some(0.1);
        trial
    }

    #[test]
    fn times_differ_only_beyond_their_spread_on_one_quiet_machine() {
        let slow = measured("slow", 110.0, 900.0);
        // 100 ± 5 and 110 ± 5.5 overlap, 90 ± 4.5 and 110 ± 5.5 do not.
        assert!(!times_differ(&measured("a", 100.0, 800.0), &slow));
        let quick = measured("b", 90.0, 800.0);
        assert!(times_differ(&quick, &slow) && times_differ(&slow, &quick));
        let noisy = Trial {
            noisy: true,
            ..quick.clone()
        };
        assert!(!times_differ(&noisy, &slow) && !times_differ(&slow, &noisy));
        let host = |name: &str, trial: &Trial| Trial {
            host: Some(name.to_owned()),
            ..trial.clone()
        };
        assert!(times_differ(&host("x", &quick), &host("x", &slow)));
        assert!(!times_differ(&host("x", &quick), &host("y", &slow)));
        let old = |trial: Trial| Trial {
            latency_spread: None,
            ..trial
        };
        let (a, b) = (
            old(measured("a", 100.0, 1.0)),
            old(measured("b", 101.0, 1.0)),
        );
        assert!(times_differ(&a, &b), "older lines count by their p95");
    }

    #[test]
    fn among_equals_in_time_the_fewest_distances_win() {
        let chosen = measured("chosen", 100.0, 900.0);
        let pool = [
            measured("fewer", 104.0, 800.0),
            measured("fewest", 103.0, 700.0),
            measured("slower for sure", 200.0, 100.0),
            measured("more", 99.0, 950.0),
        ];
        assert_eq!(settle(&chosen, &pool).id, "fewest");
        assert_eq!(settle(&chosen, &pool[2..]).id, "chosen");
        assert_eq!(settle(&chosen, &[]).id, "chosen");
    }

    #[test]
    fn fewer_distances_do_not_excuse_less_recall_or_more_memory() {
        let chosen = measured("chosen", 100.0, 900.0);
        let mut worse = measured("worse", 100.0, 10.0);
        worse.metrics.recall_at_k -= 0.001;
        let mut fatter = measured("fatter", 100.0, 10.0);
        fatter.metrics.memory_bytes += 1;
        let mut uncounted = measured("uncounted", 100.0, 10.0);
        uncounted.metrics.distances_per_query = None;
        for other in [worse, fatter, uncounted] {
            assert_eq!(settle(&chosen, [&other]).id, "chosen");
        }
    }

    #[test]
    fn a_trial_on_its_own_graph_takes_the_place_of_one_on_a_cut_down_graph() {
        let derived = |id: &str, ef_search: u32| {
            let mut trial = measured(id, 100.0, 900.0);
            trial.config.graph_mut().unwrap().ef_search = ef_search;
            trial.derived_from = Some("a larger build".to_owned());
            trial
        };
        let mut real = derived("real", 40);
        real.derived_from = None;
        let trials = [derived("a", 40), derived("b", 50), real, derived("c", 40)];
        let left: Vec<String> = originals(&trials).into_iter().map(|one| one.id).collect();
        assert_eq!(left, ["b", "real"], "no other measured what `b` did");
    }
}
