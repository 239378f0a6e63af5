//! The grid of allowed configurations and what of it has been tried.
//!
//! A configuration is one value per knob. On an axis the allowed values are levels 0, 1, ... of the
//! knob; values that come from a journal may lie off the grid and count as their nearest level.

use std::ops::RangeInclusive;

use boathouse_sdk::proposer::Knob;
use boathouse_sdk::{Chance, Error, Trials};

/// Knobs that have been checked: at least one, each with bounds in order and a step.
pub(crate) struct Grid<'a> {
    knobs: &'a [Knob],
}

impl<'a> Grid<'a> {
    pub(crate) fn new(knobs: &'a [Knob]) -> Result<Self, Error> {
        if knobs.is_empty() {
            return Err(Error::invalid_input("there is no knob to turn"));
        }
        if let Some(Knob {
            name,
            min,
            max,
            step,
        }) = knobs
            .iter()
            .find(|knob| knob.min > knob.max || knob.step == 0)
        {
            return Err(Error::invalid_input(format!(
                "knob `{name}` has bounds {min}..={max} and step {step}"
            )));
        }
        Ok(Self { knobs })
    }

    /// Names of the knobs, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.knobs.iter().map(|knob| knob.name.as_str())
    }

    /// Number of configurations; none when it passes 128 bits.
    fn size(&self) -> Option<u128> {
        let mut levels = self.knobs.iter().map(|knob| u128::from(top(knob)) + 1);
        levels.try_fold(1_u128, u128::checked_mul)
    }

    /// Whether a configuration is within bounds and on the steps.
    fn holds(&self, settings: &[u32]) -> bool {
        let mut axes = self.knobs.iter().zip(settings);
        axes.all(|(knob, &value)| value == self::value(knob, level(knob, value)))
    }

    /// The middle level of every axis.
    pub(crate) fn middle(&self) -> Vec<u32> {
        let middles = self.knobs.iter().map(|knob| value(knob, top(knob) / 2));
        middles.collect()
    }

    /// Any configuration.
    pub(crate) fn uniform(&self, chance: &mut Chance) -> Vec<u32> {
        let mut draw = |knob: &Knob| {
            let drawn = chance.below(u64::from(top(knob)) + 1);
            value(knob, u32::try_from(drawn).unwrap_or(u32::MAX))
        };
        self.knobs.iter().map(&mut draw).collect()
    }

    /// One level down, none, or one level up on each axis, within bounds.
    pub(crate) fn step(&self, from: &[u32], chance: &mut Chance) -> Vec<u32> {
        let axes = self.knobs.iter().zip(from);
        let moved = axes.map(|(knob, &from)| {
            let level = level(knob, from);
            let level = match chance.below(3) {
                0 => level.saturating_sub(1),
                1 => level,
                _ => level.saturating_add(1).min(top(knob)),
            };
            value(knob, level)
        });
        moved.collect()
    }

    /// The first wanted configuration in rings around a start: at most 0, 1, 2, ... levels away on
    /// every axis, in the order of the knobs within a ring. None when the grid holds none.
    pub(crate) fn nearest(
        &self,
        from: &[u32],
        wanted: impl Fn(&[u32]) -> bool,
    ) -> Option<Vec<u32>> {
        let axes = self.knobs.iter().zip(from);
        let centre: Vec<u32> = axes.map(|(knob, &from)| level(knob, from)).collect();
        let widest = self.knobs.iter().map(top).max()?;
        (0..=widest).find_map(|radius| self.nearest_in_ring(&centre, radius, &wanted))
    }

    fn nearest_in_ring(
        &self,
        centre: &[u32],
        radius: u32,
        wanted: impl Fn(&[u32]) -> bool,
    ) -> Option<Vec<u32>> {
        let axes = self.knobs.iter().zip(centre);
        let spans: Vec<RangeInclusive<u32>> = axes
            .map(|(knob, &at)| at.saturating_sub(radius)..=at.saturating_add(radius).min(top(knob)))
            .collect();
        let mut levels: Vec<u32> = spans.iter().map(|span| *span.start()).collect();
        loop {
            let mut distances = levels
                .iter()
                .zip(centre)
                .map(|(&level, &at)| level.abs_diff(at));
            if distances.any(|distance| distance == radius) {
                let axes = self.knobs.iter().zip(&levels);
                let settings: Vec<u32> = axes.map(|(knob, &level)| value(knob, level)).collect();
                if wanted(&settings) {
                    return Some(settings);
                }
            }
            // The next point of the box, the last axis turning fastest.
            let turning = (0..levels.len()).rfind(|&axis| levels[axis] < *spans[axis].end())?;
            levels[turning] += 1;
            for axis in turning + 1..levels.len() {
                levels[axis] = *spans[axis].start();
            }
        }
    }
}

/// Highest level of a knob.
fn top(knob: &Knob) -> u32 {
    (knob.max - knob.min) / knob.step
}

/// Value at a level, which is at most the highest.
fn value(knob: &Knob, level: u32) -> u32 {
    knob.min + level * knob.step
}

/// Level nearest to a value, the lower one of two.
fn level(knob: &Knob, value: u32) -> u32 {
    let above = value.clamp(knob.min, knob.max) - knob.min;
    let (level, rest) = (above / knob.step, above % knob.step);
    let nearest = level + u32::from(rest > knob.step / 2);
    nearest.min(top(knob))
}

/// The configurations of a journal that lie on the grid, each once, sorted.
pub(crate) struct Tried<'a> {
    configurations: Vec<&'a [u32]>,
    grid_size: Option<u128>,
}

impl<'a> Tried<'a> {
    pub(crate) fn new(grid: &Grid<'_>, trials: &'a Trials) -> Result<Self, Error> {
        let names = trials.knobs.iter().map(String::as_str);
        if !trials.is_empty() && !names.eq(grid.names()) {
            return Err(Error::invalid_input(
                "the journal is about other knobs than the context",
            ));
        }
        let rows = (0..trials.len()).filter_map(|row| trials.settings_of(row));
        let mut configurations: Vec<&[u32]> = rows.filter(|row| grid.holds(row)).collect();
        configurations.sort_unstable();
        configurations.dedup();
        Ok(Self {
            configurations,
            grid_size: grid.size(),
        })
    }

    pub(crate) fn contains(&self, settings: &[u32]) -> bool {
        self.configurations.binary_search(&settings).is_ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.configurations.len()
    }

    /// Whether every configuration of the grid has been tried.
    pub(crate) fn is_everything(&self) -> bool {
        self.grid_size == Some(self.configurations.len() as u128)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knob(min: u32, max: u32, step: u32) -> Knob {
        Knob {
            name: "k".to_owned(),
            min,
            max,
            step,
        }
    }

    #[test]
    fn values_snap_to_the_nearest_level() {
        let check = |knob: &Knob, given: u32, expected: u32| {
            assert_eq!(value(knob, level(knob, given)), expected, "{given}");
        };
        let uneven = knob(10, 35, 10);
        check(&uneven, 0, 10);
        check(&uneven, 15, 10);
        check(&uneven, 16, 20);
        check(&uneven, 34, 30);
        check(&uneven, 1000, 30);
        let widest = knob(0, u32::MAX, 1);
        check(&widest, u32::MAX, u32::MAX);
        check(&knob(u32::MAX, u32::MAX, u32::MAX), 3, u32::MAX);
    }

    #[test]
    fn bad_knobs_are_refused_by_name() {
        assert!(Grid::new(&[]).is_err());
        for bad in [knob(2, 1, 1), knob(1, 2, 0)] {
            let refused = Grid::new(std::slice::from_ref(&bad))
                .err()
                .expect("bad knob");
            assert!(refused.to_string().contains("knob `k`"), "{refused}");
        }
    }

    #[test]
    fn rings_visit_every_configuration_once_nearest_first() {
        let knobs = [knob(0, 4, 2), knob(10, 13, 1)];
        let grid = Grid::new(&knobs).expect("knobs");
        let mut seen: Vec<Vec<u32>> = Vec::new();
        while let Some(found) = grid.nearest(&[2, 10], |found| !seen.iter().any(|old| old == found))
        {
            seen.push(found);
        }
        assert_eq!(seen.len(), 12);
        assert_eq!(seen[0], [2, 10]);
        let distance = |found: &Vec<u32>| (found[0].abs_diff(2) / 2).max(found[1] - 10);
        assert!(seen.is_sorted_by_key(distance), "{seen:?}");
    }

    #[test]
    fn the_largest_grids_are_counted_and_drawn_from() {
        let knobs: Vec<Knob> = (0..5).map(|_| knob(0, u32::MAX, 1)).collect();
        assert_eq!(Grid::new(&knobs).expect("knobs").size(), None);
        let grid = Grid::new(&knobs[..3]).expect("knobs");
        assert_eq!(grid.size(), Some(1 << 96));
        let drawn = grid.uniform(&mut Chance::new(3));
        assert!(grid.holds(&drawn));
        assert_eq!(grid.step(&[u32::MAX; 3], &mut Chance::new(3)).len(), 3);
    }
}
