//! What one entity has seen in one column: counts only, never a value.

use crate::kinds::{Checksum, Country, Extent, Grade, Match};

/// Share of the matched values that must agree on a country before it is reported.
const COUNTRY_SHARE: f64 = 0.8;

/// Counts over distinct values.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Values that are of the kind as a whole, by grade.
    pub(crate) strong: u32,
    pub(crate) fair: u32,
    pub(crate) weak: u32,
    /// Values that contain a piece of the kind.
    pub(crate) within: u32,
    /// Matched values whose checksum holds, and those whose checksum fails.
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    /// Matched values that can stand for the kind by themselves: not weak, checksum not failed.
    pub(crate) sure: u32,
    /// One bit per bucket that a matched value fell into.
    buckets: u128,
    countries: Vec<(Country, u32)>,
}

impl Tally {
    /// Counts one matched value.
    pub(crate) fn add(&mut self, found: Match) {
        match (found.extent, found.grade) {
            (Extent::Within, _) => self.within += 1,
            (Extent::Whole, Grade::Strong) => self.strong += 1,
            (Extent::Whole, Grade::Fair) => self.fair += 1,
            (Extent::Whole, Grade::Weak) => self.weak += 1,
        }
        match found.checksum {
            Checksum::Passed => self.passed += 1,
            Checksum::Failed => self.failed += 1,
            Checksum::Absent => {}
        }
        let sure = found.grade != Grade::Weak && found.checksum != Checksum::Failed;
        self.sure += u32::from(sure);
        // Most kinds have one bucket, and a shift of so many bits is dear.
        self.buckets |= match found.bucket & 127 {
            0 => 1,
            bucket => 1 << bucket,
        };
        if let Some(country) = found.country {
            self.add_country(country);
        }
    }

    /// Values of the kind as a whole.
    pub(crate) fn whole(&self) -> u32 {
        self.strong + self.fair + self.weak
    }

    /// All values that matched.
    pub(crate) fn matched(&self) -> u32 {
        self.whole() + self.within
    }

    /// Distance between the lowest and the highest bucket seen.
    pub(crate) fn spread(&self) -> u32 {
        if self.buckets == 0 {
            return 0;
        }
        127 - self.buckets.leading_zeros() - self.buckets.trailing_zeros()
    }

    /// Number of buckets seen.
    pub(crate) fn variety(&self) -> u32 {
        self.buckets.count_ones()
    }

    /// The country that nearly all matched values agree on.
    pub(crate) fn country(&self) -> Option<Country> {
        let (country, count) = self.countries.iter().max_by_key(|(_, count)| count)?;
        let agree = f64::from(*count) >= COUNTRY_SHARE * f64::from(self.matched());
        agree.then_some(*country)
    }

    fn add_country(&mut self, country: Country) {
        match self
            .countries
            .iter_mut()
            .find(|(known, _)| *known == country)
        {
            Some((_, count)) => *count += 1,
            None => self.countries.push((country, 1)),
        }
    }
}

/// A tally for every entity.
#[derive(Debug)]
pub(crate) struct Tallies(Vec<Tally>);

impl Tallies {
    /// Empty tallies for as many entities.
    pub(crate) fn new(entities: usize) -> Self {
        Self((0..entities).map(|_| Tally::default()).collect())
    }

    /// Counts a value for an entity.
    pub(crate) fn add(&mut self, entity: usize, found: Match) {
        if let Some(tally) = self.0.get_mut(entity) {
            tally.add(found);
        }
    }

    /// Counts a value for an entity if it fits.
    pub(crate) fn add_if(&mut self, entity: usize, found: Option<Match>) -> bool {
        found.is_some_and(|found| {
            self.add(entity, found);
            true
        })
    }

    /// The tally of an entity.
    #[cfg(test)]
    pub(crate) fn of(&self, entity: usize) -> &Tally {
        &self.0[entity]
    }

    /// The tallies that have seen anything, with their entities.
    pub(crate) fn into_seen(self) -> impl Iterator<Item = (usize, Tally)> {
        let seen = self.0.into_iter().enumerate();
        seen.filter(|(_, tally)| tally.matched() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_needs_agreement() {
        let tally = |countries: &[&str]| {
            let mut tally = Tally::default();
            for country in countries {
                let found = Match::whole(Grade::Strong);
                tally.add(match Country::new(country) {
                    Some(country) => found.in_country(country),
                    None => found,
                });
            }
            tally.country().map(|country| country.to_string())
        };
        assert_eq!(tally(&[]), None);
        assert_eq!(
            tally(&["DE", "DE", "DE", "DE", "FR"]),
            Some("DE".to_owned())
        );
        assert_eq!(tally(&["DE", "DE", "FR"]), None);
        assert_eq!(tally(&["DE", "", ""]), None);
    }

    #[test]
    fn spread_is_between_the_outermost_buckets() {
        let mut tally = Tally::default();
        assert_eq!(tally.spread(), 0);
        for bucket in [40, 70, 101] {
            tally.add(Match::whole(Grade::Fair).in_bucket(bucket));
        }
        assert_eq!(tally.spread(), 61);
    }

    #[test]
    fn only_what_was_seen_comes_out() {
        let mut tallies = Tallies::new(3);
        assert!(tallies.add_if(1, Some(Match::within(Grade::Weak))));
        assert!(!tallies.add_if(2, None));
        tallies.add(7, Match::whole(Grade::Weak));
        let seen: Vec<usize> = tallies.into_seen().map(|(entity, _)| entity).collect();
        assert_eq!(seen, [1]);
    }
}
