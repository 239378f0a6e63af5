//! The small grid: what to try when nobody proposes.
//!
//! Five builds by five values of `ef_search`, each moved to the nearest allowed value: the default
//! build first, then a cheap and a careful one at the same `m`, then a thin and a thick one. All
//! `ef_search` of a build come together, so a budget that runs out leaves whole builds explored and no
//! build is made for a single trial. Of a table it is four builds by six ways to search them.

use boathouse_types::{Knob, Trial};

use crate::{
    Bounds, TableBounds,
    bounds::{TuneBounds, snap},
    house::Choice,
};

/// `(m, ef_construction)`, in the order in which they are tried.
const BUILDS: [(u32, u32); 5] = [(16, 80), (16, 20), (16, 200), (8, 80), (32, 80)];
/// Values of `ef_search`, ascending.
const SEARCHES: [u32; 5] = [10, 30, 60, 100, 200];

/// `(nprobes, refine_factor)` of tables: partitions at first, then candidates.
const PROBES: [(u32, u32); 6] = [(20, 10), (5, 10), (10, 10), (50, 10), (20, 1), (20, 31)];

/// The grid's configurations within the bounds, as settings in the order of the knobs.
pub(crate) fn points(bounds: &Bounds) -> Vec<Vec<u32>> {
    let all = match bounds {
        Bounds::Graph(bounds) => of_graph(bounds),
        Bounds::Table(bounds) => of_table(bounds),
    };
    let mut points = Vec::with_capacity(all.len());
    for point in all {
        if !points.contains(&point) {
            points.push(point);
        }
    }
    points
}

fn of_graph(bounds: &TuneBounds) -> Vec<Vec<u32>> {
    let searches = |(m, ef_construction)| {
        SEARCHES.map(|ef_search| {
            vec![
                snap(&bounds.m, m),
                snap(&bounds.ef_construction, ef_construction),
                snap(&bounds.ef_search, ef_search),
            ]
        })
    };
    BUILDS.into_iter().flat_map(searches).collect()
}

/// Partitions in the middle of the bounds with long codes, then with short ones; then half as many, and as many as
/// there may be, with long codes.
fn of_table(bounds: &TableBounds) -> Vec<Vec<u32>> {
    let at =
        |knob: &Knob, quarters: u32| snap(knob, knob.min + (knob.max - knob.min) / 4 * quarters);
    let codes = &bounds.sub_vectors;
    let (long, short) = (snap(codes, codes.max), codes.min);
    let builds = [(2, long), (2, short), (1, long), (4, long)];
    let searches = |(quarters, sub_vectors)| {
        PROBES.map(|(nprobes, refine_factor)| {
            vec![
                at(&bounds.partitions, quarters),
                sub_vectors,
                snap(&bounds.nprobes, nprobes),
                snap(&bounds.refine_factor, refine_factor),
            ]
        })
    };
    builds.into_iter().flat_map(searches).collect()
}

/// The first point of the grid that `tried` does not have at this seed.
pub(crate) fn next(bounds: &Bounds, tried: &[&Trial], seed: u64) -> Choice {
    let points = points(bounds);
    let total = points.len();
    let known = |point: &Vec<u32>| {
        let config = bounds.configuration(point, seed);
        config.is_ok_and(|config| tried.iter().any(|trial| trial.config == config))
    };
    match points.iter().position(|point| !known(point)) {
        Some(at) => Choice::Try {
            settings: points[at].clone(),
            reason: format!("point {} of {total} of the grid", at + 1),
        },
        None => Choice::Exhausted(format!("all {total} points of the grid have been tried")),
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::Dimension;

    use super::*;
    use crate::testing::trial;

    #[test]
    fn every_point_is_allowed_and_builds_stay_together() {
        let bounds = Bounds::from(TuneBounds::default());
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
        assert_eq!(points(&bounds.into()).len(), 5);
    }

    #[test]
    fn a_table_has_a_grid_of_its_own() {
        let dimension = Dimension::new(384).unwrap();
        let bounds = Bounds::Table(TableBounds::for_vectors(100_000, dimension));
        let points = points(&bounds);
        assert_eq!(points.len(), 24);
        let mut builds: Vec<[u32; 2]> = points.iter().map(|p| [p[0], p[1]]).collect();
        builds.dedup();
        assert_eq!(builds, [[321, 48], [321, 16], [161, 48], [641, 48]]);
        for point in &points {
            bounds.configuration(point, 0).unwrap();
        }
        // Of few vectors of odd length one build is left, and what there is to look into.
        let odd = Dimension::new(7).unwrap();
        let few = Bounds::Table(TableBounds::for_vectors(1, odd));
        assert_eq!(
            super::points(&few),
            [[1, 7, 5, 10], [1, 7, 5, 1], [1, 7, 5, 31]]
        );
    }

    #[test]
    fn tried_points_are_skipped_until_none_is_left() {
        let bounds = Bounds::from(TuneBounds::default());
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
