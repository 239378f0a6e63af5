//! Plugins that decide which configuration to try next.
//!
//! Equal contexts must give equal proposals: the host replays journals to check it. A proposal
//! outside the bounds or off the step of a knob is refused and counted as a failure.

use crate::{Chance, Description, Error, Extra, Objective, Trials};

/// A proposer plugin.
pub trait Proposer {
    /// What the plugin says of itself.
    fn describe() -> Description;

    /// Chooses the next configuration to try.
    ///
    /// # Errors
    ///
    /// Whatever keeps the plugin from choosing. That nothing is left to try is no error but
    /// [`Proposal::Exhausted`].
    fn propose(context: &Context) -> Result<Proposal, Error>;
}

/// Everything that a proposer gets to see.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// The index that is being tuned.
    pub index: IndexFacts,
    /// Knobs, in the order in which `trials.settings` and a proposal list their values.
    pub knobs: Vec<Knob>,
    /// What the owner wants.
    pub objective: Objective,
    /// The whole journal.
    pub trials: Trials,
    /// Row of `trials` that serves today.
    pub champion: Option<usize>,
    /// The only source of chance; the host derives it from the journal's length.
    pub seed: u64,
    /// Further facts.
    pub extra: Extra,
}

impl Context {
    /// Chance from the seed: equal contexts draw equal numbers.
    #[must_use]
    pub fn chance(&self) -> Chance {
        Chance::new(self.seed)
    }

    /// Settings of the trial that serves today.
    #[must_use]
    pub fn champion_settings(&self) -> Option<&[u32]> {
        self.trials.settings_of(self.champion?)
    }
}

/// The index that is being tuned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexFacts {
    /// Its name.
    pub name: String,
    /// `parquet` or `lance`.
    pub backend: String,
    /// Vectors in it.
    pub vectors: u64,
    /// Components of each.
    pub dimension: u32,
    /// Distance that orders its neighbours.
    pub metric: Metric,
}

/// Distance that orders neighbours; smaller is nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// 1 - cosine similarity, in 0..=2.
    Cosine,
    /// Squared Euclidean distance.
    L2,
    /// 1 - inner product.
    Dot,
}

/// One knob: allowed values are `min`, `min + step`, ... up to `max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knob {
    /// For example `ef_search`.
    pub name: String,
    /// Least value.
    pub min: u32,
    /// Greatest value.
    pub max: u32,
    /// Distance between allowed values, at least 1.
    pub step: u32,
}

impl Knob {
    /// Any allowed value.
    pub fn draw(&self, chance: &mut Chance) -> u32 {
        self.at(chance.below(self.top() + 1))
    }

    /// The allowed value that lies `steps` above (below, when negative) the one nearest to `value`,
    /// or the last one on the way.
    #[must_use]
    pub fn step(&self, value: u32, steps: i32) -> u32 {
        let above = u64::from(value.clamp(self.min, self.max.max(self.min)) - self.min);
        let size = self.size();
        let level = ((above + size / 2) / size).min(self.top());
        let moved = level.saturating_add_signed(i64::from(steps));
        self.at(moved.min(self.top()))
    }

    /// Number of allowed values.
    #[must_use]
    pub fn levels(&self) -> u64 {
        self.top() + 1
    }

    /// The allowed value at a level; levels count from 0, and beyond the last one is the last.
    #[must_use]
    pub fn value(&self, level: u64) -> u32 {
        self.at(level.min(self.top()))
    }

    /// The greatest level; levels count the allowed values from 0.
    fn top(&self) -> u64 {
        u64::from(self.max.saturating_sub(self.min)) / self.size()
    }

    fn size(&self) -> u64 {
        u64::from(self.step.max(1))
    }

    fn at(&self, level: u64) -> u32 {
        let value = u64::from(self.min) + level * self.size();
        u32::try_from(value).unwrap_or(self.max)
    }
}

/// A proposer's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// Try this next.
    Configuration {
        /// One value per knob of the context, in its order.
        settings: Vec<u32>,
        /// Why, for the journal; one sentence.
        reason: String,
    },
    /// Nothing is left that would be worth a trial; the text says why.
    Exhausted(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knob(min: u32, max: u32, step: u32) -> Knob {
        let name = "m".to_owned();
        Knob {
            name,
            min,
            max,
            step,
        }
    }

    #[test]
    fn steps_stay_on_the_grid_and_within_bounds() {
        let knob = knob(4, 17, 4);
        let check = |value, steps, expected| assert_eq!(knob.step(value, steps), expected);
        check(8, 1, 12);
        check(8, -1, 4);
        check(4, -1, 4);
        check(16, 3, 16);
        check(9, 0, 8);
        check(10, 0, 12);
        check(0, 0, 4);
        check(u32::MAX, 0, 16);
        check(8, i32::MIN, 4);
    }

    #[test]
    fn levels_are_the_allowed_values_in_order() {
        let knob = knob(4, 17, 4);
        let values: Vec<u32> = (0..knob.levels()).map(|level| knob.value(level)).collect();
        assert_eq!(values, [4, 8, 12, 16]);
        assert_eq!(knob.value(u64::MAX), 16);
    }

    #[test]
    fn every_allowed_value_is_drawn_and_no_other() {
        let mut chance = Chance::new(3);
        let narrow = knob(4, 17, 4);
        let mut drawn: Vec<u32> = (0..100).map(|_| narrow.draw(&mut chance)).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn, [4, 8, 12, 16]);
    }

    #[test]
    fn odd_bounds_do_not_overflow() {
        let mut chance = Chance::new(3);
        let wide = knob(0, u32::MAX, 1);
        let _any = wide.draw(&mut chance);
        assert_eq!(wide.step(u32::MAX, i32::MAX), u32::MAX);
        assert_eq!(knob(5, 5, 1).draw(&mut chance), 5);
        // Against the contract, and still no panic.
        assert_eq!(knob(9, 3, 0).draw(&mut chance), 9);
        assert_eq!(knob(9, 3, 0).step(4, 1), 9);
    }

    #[test]
    fn the_champion_is_a_row_of_the_journal() {
        let trials = crate::testing::journal(&[(0.9, 100.0, 1), (0.95, 200.0, 2)]);
        let mut context = crate::testing::context(trials, 7);
        assert_eq!(context.champion_settings(), None);
        context.champion = Some(1);
        assert_eq!(context.champion_settings(), context.trials.settings_of(1));
        context.champion = Some(9);
        assert_eq!(context.champion_settings(), None);
        assert_eq!(context.chance(), Chance::new(7));
    }
}
