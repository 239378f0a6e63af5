//! The small grid: what to try when nobody proposes.
//!
//! Five builds by five values of `ef_search`, each moved to the nearest allowed value: the default
//! build first, then a cheap and a careful one at the same `m`, then a thin and a thick one. All
//! `ef_search` of a build come together, so a budget that runs out leaves whole builds explored and no
//! build is made for a single trial.

use boathouse_types::{IndexConfig, Trial};

use crate::{
    bounds::{TuneBounds, snap},
    house::Choice,
};

/// `(m, ef_construction)`, in the order in which they are tried.
const BUILDS: [(u32, u32); 5] = [(16, 80), (16, 20), (16, 200), (8, 80), (32, 80)];
/// Values of `ef_search`, ascending.
const SEARCHES: [u32; 5] = [10, 30, 60, 100, 200];

/// The grid's configurations within the bounds, as settings in the order of the knobs.
pub(crate) fn points(bounds: &TuneBounds) -> Vec<[u32; 3]> {
    let mut points = Vec::with_capacity(BUILDS.len() * SEARCHES.len());
    for (m, ef_construction) in BUILDS {
        for ef_search in SEARCHES {
            let point = [
                snap(&bounds.m, m),
                snap(&bounds.ef_construction, ef_construction),
                snap(&bounds.ef_search, ef_search),
            ];
            if !points.contains(&point) {
                points.push(point);
            }
        }
    }
    points
}

/// The first point of the grid that `tried` does not have at this seed.
pub(crate) fn next(bounds: &TuneBounds, tried: &[&Trial], seed: u64) -> Choice {
    let points = points(bounds);
    let total = points.len();
    let known = |&[m, ef_construction, ef_search]: &[u32; 3]| {
        let config = IndexConfig {
            m,
            ef_construction,
            ef_search,
            seed,
        };
        tried.iter().any(|trial| trial.config == config)
    };
    match points.iter().position(|point| !known(point)) {
        Some(at) => Choice::Try {
            settings: points[at],
            reason: format!("point {} of {total} of the grid", at + 1),
        },
        None => Choice::Exhausted(format!("all {total} points of the grid have been tried")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trial;

    #[test]
    fn every_point_is_allowed_and_builds_stay_together() {
        let bounds = TuneBounds::default();
        let points = points(&bounds);
        assert_eq!(points.len(), 25);
        let mut builds: Vec<[u32; 2]> = points.iter().map(|p| [p[0], p[1]]).collect();
        builds.dedup();
        assert_eq!(builds.len(), 5);
        for point in points {
            bounds.configuration(&point, 0).unwrap();
        }
    }

    #[test]
    fn narrow_bounds_fold_the_grid() {
        let mut bounds = TuneBounds::default();
        bounds.m.max = 8;
        bounds.ef_construction.max = 20;
        assert_eq!(points(&bounds).len(), 5);
    }

    #[test]
    fn tried_points_are_skipped_until_none_is_left() {
        let bounds = TuneBounds::default();
        let mut tried = Vec::new();
        let next = |tried: &[Trial], seed| next(&bounds, &tried.iter().collect::<Vec<_>>(), seed);
        while let Choice::Try { settings, .. } = next(&tried, 3) {
            let mut done = trial(&format!("t{}", tried.len()), 0.9, 1.0);
            done.config = bounds.configuration(&settings, 3).unwrap();
            tried.push(done);
        }
        assert_eq!(tried.len(), 25);
        assert!(matches!(next(&tried, 4), Choice::Try { .. }));
    }
}
