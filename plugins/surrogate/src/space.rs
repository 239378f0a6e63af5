//! The knobs as axes: which one is free to turn, where a configuration lies, which builds are candidates.
//!
//! `ef_search` is the search knob: one build serves every value of it. All other knobs make a build, also
//! those whose names are unknown here; a context may have any of them or none. Coordinates are natural
//! logarithms, `ln(1 + value)`, because the effect of a knob goes by factors: from 20 to 40 as much as from
//! 200 to 400.
//!
//! A space is never listed whole. Where there are more builds than [`MOST_BUILDS`] it offers a grid of
//! levels spread by factors, and steps of every size around the builds that are asked about.

use boathouse_sdk::Error;
use boathouse_sdk::proposer::Knob;

/// The knob that needs no build.
pub(crate) const SEARCH: &str = "ef_search";
/// Builds that one proposal weighs, those near the best ones aside.
pub(crate) const MOST_BUILDS: usize = 160;
/// Values of the search knob that one proposal weighs for a build.
pub(crate) const MOST_SEARCHES: usize = 24;

/// Knobs that have been checked.
pub(crate) struct Space<'a> {
    knobs: &'a [Knob],
    search: Option<usize>,
}

impl<'a> Space<'a> {
    /// # Errors
    /// Without knobs, and when a knob has its bounds upside down or no step.
    pub(crate) fn new(knobs: &'a [Knob]) -> Result<Self, Error> {
        if knobs.is_empty() {
            return Err(Error::invalid_input("there is no knob to turn"));
        }
        let odd = |knob: &&Knob| knob.min > knob.max || knob.step == 0;
        if let Some(knob) = knobs.iter().find(odd) {
            return Err(Error::invalid_input(format!(
                "knob `{}` has bounds {}..={} and step {}",
                knob.name, knob.min, knob.max, knob.step
            )));
        }
        let search = knobs.iter().position(|knob| knob.name == SEARCH);
        Ok(Self { knobs, search })
    }

    pub(crate) fn knobs(&self) -> &[Knob] {
        self.knobs
    }

    /// Position of the search knob.
    pub(crate) fn search(&self) -> Option<usize> {
        self.search
    }

    /// Where a configuration lies.
    pub(crate) fn coordinates(settings: &[u32]) -> Vec<f64> {
        settings
            .iter()
            .map(|&value| f64::from(value).ln_1p())
            .collect()
    }

    /// Which axes make a build.
    pub(crate) fn build_axes(&self) -> Vec<bool> {
        (0..self.knobs.len())
            .map(|axis| Some(axis) != self.search)
            .collect()
    }

    /// A configuration with its search knob taken away: equal for all that share a build.
    pub(crate) fn build_of(&self, settings: &[u32]) -> Vec<u32> {
        let mut build = settings.to_vec();
        if let Some(axis) = self.search {
            build[axis] = 0;
        }
        build
    }

    /// Whether a build lies within bounds and on the steps, so that it can be proposed.
    pub(crate) fn holds_build(&self, build: &[u32]) -> bool {
        let axes = self.knobs.iter().zip(build).enumerate();
        axes.filter(|(axis, _)| Some(*axis) != self.search)
            .all(|(_, (knob, &value))| knob.step(value, 0) == value)
    }

    /// The middle of the bounds, by factors.
    pub(crate) fn middle(&self) -> Vec<u32> {
        let middle = |knob: &Knob| {
            let ends = f64::from(knob.min).ln_1p() + f64::from(knob.max).ln_1p();
            near(knob, ends / 2.0)
        };
        self.knobs.iter().map(middle).collect()
    }

    /// The configurations of a build whose search knob lies strictly between two values, ascending; at most
    /// [`MOST_SEARCHES`], spread by factors. Without a search knob, the build itself.
    pub(crate) fn searches(
        &self,
        build: &[u32],
        above: Option<u32>,
        below: Option<u32>,
    ) -> Vec<Vec<u32>> {
        let Some(axis) = self.search else {
            return vec![build.to_vec()];
        };
        let knob = &self.knobs[axis];
        let first = above.map_or(0, |above| level_beyond(knob, above));
        let end = below.map_or(knob.levels(), |below| levels_below(knob, below));
        let with = |level| {
            let mut settings = build.to_vec();
            settings[axis] = knob.value(level);
            settings
        };
        spread(knob, first, end, MOST_SEARCHES)
            .into_iter()
            .map(with)
            .collect()
    }

    /// Builds to weigh: all of them when they are few, otherwise some spread over the whole space and some
    /// around each of `centres`, near and far. Sorted, none twice, the search knob at 0.
    pub(crate) fn builds(&self, centres: &[&[u32]]) -> Vec<Vec<u32>> {
        let mut builds = self.spread_builds();
        for centre in centres {
            builds.extend(self.around(centre));
        }
        builds.sort_unstable();
        builds.dedup();
        builds
    }

    fn spread_builds(&self) -> Vec<Vec<u32>> {
        let mut builds = vec![Vec::new()];
        let mut left = MOST_BUILDS;
        let mut axes = self
            .build_axes()
            .iter()
            .filter(|is_build| **is_build)
            .count();
        let sizes = |levels: &Knob| levels.levels();
        let all: u128 = self
            .axes()
            .map(|knob| u128::from(sizes(knob)))
            .fold(1, u128::saturating_mul);
        for (axis, knob) in self.knobs.iter().enumerate() {
            if Some(axis) == self.search {
                builds.iter_mut().for_each(|build| build.push(0));
                continue;
            }
            let most = match all <= MOST_BUILDS as u128 {
                true => MOST_BUILDS,
                false => root(left, axes),
            };
            let values: Vec<u32> = match most {
                1 => vec![self.middle()[axis]],
                _ => spread(knob, 0, knob.levels(), most)
                    .into_iter()
                    .map(|at| knob.value(at))
                    .collect(),
            };
            left = (left / values.len().max(1)).max(1);
            axes -= 1;
            let longer = |build: &Vec<u32>| {
                let build = build.clone();
                values
                    .iter()
                    .map(move |&value| {
                        let mut longer = build.clone();
                        longer.push(value);
                        longer
                    })
                    .collect::<Vec<_>>()
            };
            builds = builds.iter().flat_map(longer).collect();
        }
        builds
    }

    /// One axis moved by 1, 2, 4, ... levels up or down.
    fn around(&self, centre: &[u32]) -> Vec<Vec<u32>> {
        let mut found = Vec::new();
        for (axis, knob) in self.knobs.iter().enumerate() {
            if Some(axis) == self.search {
                continue;
            }
            for steps in (0..31).map(|power| 1_i32 << power) {
                if u64::from(steps.unsigned_abs()) >= knob.levels() {
                    break;
                }
                for steps in [-steps, steps] {
                    let mut build = self.on_grid(centre);
                    build[axis] = knob.step(centre[axis], steps);
                    found.push(build);
                }
            }
        }
        found
    }

    fn on_grid(&self, build: &[u32]) -> Vec<u32> {
        let axes = self.knobs.iter().zip(build).enumerate();
        axes.map(|(axis, (knob, &value))| match Some(axis) == self.search {
            true => 0,
            false => knob.step(value, 0),
        })
        .collect()
    }

    fn axes(&self) -> impl Iterator<Item = &Knob> {
        let knobs = self.knobs.iter().enumerate();
        knobs
            .filter(|(axis, _)| Some(*axis) != self.search)
            .map(|(_, knob)| knob)
    }
}

/// The allowed value nearest to a coordinate.
fn near(knob: &Knob, coordinate: f64) -> u32 {
    let value = coordinate.exp_m1().round().clamp(0.0, f64::from(u32::MAX));
    knob.step(value as u32, 0)
}

/// At most `most` of the levels `first..end`, both ends among them, spread by factors of their values.
fn spread(knob: &Knob, first: u64, end: u64, most: usize) -> Vec<u64> {
    if end.saturating_sub(first) <= most as u64 {
        return (first..end).collect();
    }
    let ends = [first, end - 1].map(|level| f64::from(knob.value(level)).ln_1p());
    let pace = (ends[1] - ends[0]) / (most - 1) as f64;
    let level = |at: usize| {
        let value = near(knob, ends[0] + pace * at as f64);
        (u64::from(value - knob.min) / u64::from(knob.step)).clamp(first, end - 1)
    };
    let mut levels: Vec<u64> = (0..most).map(level).collect();
    levels.dedup();
    levels
}

/// The first level whose value is greater.
fn level_beyond(knob: &Knob, value: u32) -> u64 {
    match value.checked_sub(knob.min) {
        None => 0,
        Some(above) => u64::from(above) / u64::from(knob.step) + 1,
    }
}

/// How many levels have a smaller value.
fn levels_below(knob: &Knob, value: u32) -> u64 {
    let above = u64::from(value.saturating_sub(knob.min));
    above.div_ceil(u64::from(knob.step)).min(knob.levels())
}

/// The greatest number whose `axes`-th power is at most `total`; at least 1.
fn root(total: usize, axes: usize) -> usize {
    let fits = |&side: &usize| {
        let power = u32::try_from(axes)
            .ok()
            .and_then(|axes| side.checked_pow(axes));
        power.is_some_and(|power| power <= total)
    };
    (1..=total.max(1)).take_while(fits).last().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knob(name: &str, min: u32, max: u32, step: u32) -> Knob {
        let name = name.to_owned();
        Knob {
            name,
            min,
            max,
            step,
        }
    }

    #[test]
    fn a_search_lies_strictly_between_its_ends_and_on_the_step() {
        let knobs = [knob("m", 4, 8, 4), knob(SEARCH, 10, 65, 10)];
        let space = Space::new(&knobs).expect("knobs");
        let values = |above, below| -> Vec<u32> {
            let found = space.searches(&[4, 0], above, below);
            found.iter().map(|settings| settings[1]).collect()
        };
        assert_eq!(values(None, None), [10, 20, 30, 40, 50, 60]);
        assert_eq!(values(Some(20), Some(50)), [30, 40]);
        assert_eq!(values(Some(25), Some(45)), [30, 40], "off the step");
        assert_eq!(values(Some(20), Some(30)), [0; 0]);
        assert_eq!(values(Some(90), None), [0; 0]);
        assert_eq!(values(None, Some(5)), [0; 0]);
    }

    #[test]
    fn few_builds_are_all_weighed_and_of_many_some() {
        let few = [
            knob("m", 8, 32, 4),
            knob("ef_construction", 20, 200, 20),
            knob(SEARCH, 1, 9, 1),
        ];
        let space = Space::new(&few).expect("knobs");
        let builds = space.builds(&[&[8, 20, 0]]);
        assert_eq!(builds.len(), 70);
        assert!(
            builds
                .iter()
                .all(|build| space.holds_build(build) && build[2] == 0)
        );

        let many: Vec<Knob> = (0..20)
            .map(|at| knob(&format!("k{at}"), 0, u32::MAX, 1))
            .collect();
        let space = Space::new(&many).expect("knobs");
        let builds = space.builds(&[]);
        assert!(
            (1..=MOST_BUILDS).contains(&builds.len()),
            "{}",
            builds.len()
        );
        let near = space.builds(&[&[7; 20]]);
        assert!(near.len() > builds.len() && near.iter().all(|build| space.holds_build(build)));
    }

    #[test]
    fn levels_are_spread_by_factors_and_keep_their_ends() {
        let wide = knob(SEARCH, 1, 4096, 1);
        let levels = spread(&wide, 0, wide.levels(), 13);
        assert_eq!((levels[0], levels[levels.len() - 1]), (0, 4095));
        assert!(levels.is_sorted() && levels.len() <= 13);
        assert!(
            levels[1] < 10 && levels[levels.len() - 2] > 1500,
            "{levels:?}"
        );
    }

    #[test]
    fn bad_knobs_are_named_and_odd_ones_work() {
        assert!(Space::new(&[]).is_err());
        let bad = [knob("k", 2, 1, 1)];
        let refused = Space::new(&bad).err().expect("bad");
        assert!(refused.to_string().contains("knob `k`"), "{refused}");
        let fixed = [knob("k", 5, 5, 1)];
        assert_eq!(Space::new(&fixed).expect("knobs").middle(), [5]);
        let only = Space::new(&fixed).expect("knobs");
        assert_eq!(
            only.searches(&[5], None, None),
            [[5]],
            "a build is one configuration"
        );
    }
}
