//! The knobs of a Lance table with an `IVF_PQ` index.
//!
//! Which values make sense depends on the index: `sub_vectors` has to divide the components of a vector, and a partition
//! should hold some dozens of vectors at least. As the values of a knob lie at equal distances, those of `sub_vectors` are
//! few.

use boathouse_types::{Configuration, Dimension, Knob, TableConfig};
use serde::Serialize;

use super::{check_knob, chosen, lies_in};
use crate::TuningError;

/// Hard limits of `partitions` and `nprobes`: Lance's own.
const PARTITIONS: (u32, u32) = (1, 4_096);
/// Hard limits of `sub_vectors`.
const SUB_VECTORS: (u32, u32) = (1, 65_536);
/// Hard limits of `refine_factor`.
const REFINE_FACTOR: (u32, u32) = (1, 1_000);

/// The knobs of a table with the values that a run may give them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableBounds {
    /// Parts that the vectors are divided into.
    pub partitions: Knob,
    /// Codes of a vector.
    pub sub_vectors: Knob,
    /// Partitions that a search looks into.
    pub nprobes: Knob,
    /// Candidates that are compared exactly, in multiples of k.
    pub refine_factor: Knob,
    /// Components of a vector.
    #[serde(skip)]
    dimension: u32,
}

impl TableBounds {
    /// Bounds for so many vectors of a dimension: `partitions` from 1 to twice the square root of their number, in 16 steps
    /// (A. Babenko and V. Lempitsky, "The Inverted Multi-Index", CVPR 2012, and every library since take some multiple of
    /// the root); codes of 24, 12 or 8 components where that is possible; `nprobes` 5 to 100 by 5, more where there are
    /// thousands of partitions, fewer where there are few; `refine_factor` 1 to 31 by 3.
    #[must_use]
    pub fn for_vectors(vectors: u64, dimension: Dimension) -> Self {
        let dimension = u32::from(dimension);
        let root = (vectors as f64).sqrt();
        let most = PARTITIONS
            .1
            .min(u32::try_from(vectors).unwrap_or(u32::MAX))
            .max(1);
        let step = ((root / 8.0).round() as u32).clamp(1, 255);
        let partitions = knob("partitions", 1, (1 + 16 * step).min(most), step);
        let probes = (partitions.max / 10).max(100).min(partitions.max);
        let nprobes = knob("nprobes", 5, probes.next_multiple_of(5), 5);
        Self {
            sub_vectors: sub_vectors(dimension),
            partitions,
            nprobes,
            refine_factor: knob("refine_factor", 1, 31, 3),
            dimension,
        }
    }

    pub(super) fn validate(&self) -> Result<(), TuningError> {
        check_knob(&self.partitions, "partitions", PARTITIONS)?;
        check_knob(&self.sub_vectors, "sub_vectors", SUB_VECTORS)?;
        check_knob(&self.nprobes, "nprobes", PARTITIONS)?;
        check_knob(&self.refine_factor, "refine_factor", REFINE_FACTOR)?;
        let codes = &self.sub_vectors;
        let mut values = (codes.min..=codes.max).step_by(codes.step as usize);
        match values.find(|value| !self.dimension.is_multiple_of(*value)) {
            None => Ok(()),
            Some(odd) => Err(TuningError::InvalidInput(format!(
                "knob `sub_vectors` has the value {odd}, which does not divide the {} components of a vector",
                self.dimension
            ))),
        }
    }

    pub(super) fn hold(&self, config: &TableConfig) -> bool {
        lies_in(&self.partitions, config.partitions)
            && lies_in(&self.sub_vectors, config.sub_vectors)
            && lies_in(&self.nprobes, config.nprobes)
            && lies_in(&self.refine_factor, config.refine_factor)
    }

    pub(super) fn knobs(&self) -> Vec<Knob> {
        vec![
            self.partitions.clone(),
            self.sub_vectors.clone(),
            self.nprobes.clone(),
            self.refine_factor.clone(),
        ]
    }

    /// The bounds that these knobs stand for; none when they are not those of a table.
    pub(super) fn of(knobs: &[Knob], dimension: u32) -> Option<Self> {
        let knob = |name| knobs.iter().find(|knob| knob.name == name).cloned();
        let bounds = Self {
            partitions: knob("partitions")?,
            sub_vectors: knob("sub_vectors")?,
            nprobes: knob("nprobes")?,
            refine_factor: knob("refine_factor")?,
            dimension,
        };
        bounds.validate().is_ok().then_some(bounds)
    }

    /// The same with another range for a knob; whether there is such a knob.
    pub(super) fn put(&mut self, knob: Knob) -> bool {
        let place = match &*knob.name {
            "partitions" => &mut self.partitions,
            "sub_vectors" => &mut self.sub_vectors,
            "nprobes" => &mut self.nprobes,
            "refine_factor" => &mut self.refine_factor,
            _ => return false,
        };
        *place = knob;
        true
    }

    pub(super) fn configuration(&self, settings: &[u32]) -> Result<Configuration, TuningError> {
        let [partitions, sub_vectors, nprobes, refine_factor] = chosen(&self.knobs(), settings)?;
        Ok(Configuration::Table(TableConfig {
            partitions,
            sub_vectors,
            nprobes,
            refine_factor,
        }))
    }
}

fn knob(name: &str, min: u32, max: u32, step: u32) -> Knob {
    Knob {
        name: name.to_owned(),
        min,
        max,
        step,
    }
}

/// The longest row of divisors at equal distances that ends with one code for eight components.
fn sub_vectors(dimension: u32) -> Knob {
    let name = "sub_vectors";
    if dimension.is_multiple_of(24) {
        return knob(name, dimension / 24, dimension / 8, dimension / 24);
    }
    if dimension.is_multiple_of(16) {
        return knob(name, dimension / 16, dimension / 8, dimension / 16);
    }
    let group = [8, 4, 2]
        .into_iter()
        .find(|size| dimension.is_multiple_of(*size));
    let one = dimension / group.unwrap_or(1);
    knob(name, one, one, 1)
}

/// Checks a configuration of a table against the hard limits, which hold for people and plugins alike.
///
/// # Errors
/// [`TuningError::InvalidInput`] naming the setting and its limits.
pub fn check_table(config: &TableConfig, dimension: Dimension) -> Result<(), TuningError> {
    let settings = [
        ("partitions", config.partitions, PARTITIONS),
        ("sub_vectors", config.sub_vectors, SUB_VECTORS),
        ("nprobes", config.nprobes, PARTITIONS),
        ("refine_factor", config.refine_factor, REFINE_FACTOR),
    ];
    super::check_settings(&settings)?;
    let components = u32::from(dimension);
    match components.is_multiple_of(config.sub_vectors) {
        true => Ok(()),
        false => Err(TuningError::InvalidInput(format!(
            "`sub_vectors` must divide the {components} components of a vector, and {} does not",
            config.sub_vectors
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(vectors: u64, dimension: u32) -> TableBounds {
        TableBounds::for_vectors(vectors, Dimension::new(dimension).unwrap())
    }

    #[track_caller]
    fn check(vectors: u64, dimension: u32, expected: [(u32, u32, u32); 4]) {
        let bounds = bounds(vectors, dimension);
        bounds.validate().unwrap();
        let found = bounds.knobs();
        let found: Vec<_> = found.iter().map(|k| (k.min, k.max, k.step)).collect();
        assert_eq!(found, expected, "{vectors} vectors of {dimension}");
    }

    #[test]
    fn bounds_follow_the_number_of_vectors_and_their_components() {
        let refine = (1, 31, 3);
        check(600, 384, [(1, 49, 3), (16, 48, 16), (5, 50, 5), refine]);
        check(
            100_000,
            768,
            [(1, 641, 40), (32, 96, 32), (5, 100, 5), refine],
        );
        check(
            1_000_000,
            128,
            [(1, 2_001, 125), (8, 16, 8), (5, 200, 5), refine],
        );
        check(300, 50, [(1, 33, 2), (25, 25, 1), (5, 35, 5), refine]);
        check(1, 7, [(1, 1, 1), (7, 7, 1), (5, 5, 5), refine]);
        check(
            u64::MAX,
            1,
            [(1, 4_081, 255), (1, 1, 1), (5, 410, 5), refine],
        );
    }

    #[test]
    fn every_value_of_sub_vectors_divides_the_components() {
        for dimension in 1..=2_048 {
            bounds(10_000, dimension).validate().unwrap();
        }
        let mut odd = bounds(10_000, 384);
        odd.sub_vectors.step = 5;
        let said = odd.validate().unwrap_err().to_string();
        assert!(said.contains("value 21"), "{said}");
    }

    #[test]
    fn settings_become_a_configuration_of_a_table() {
        let bounds = bounds(600, 384);
        let config = bounds.configuration(&[4, 32, 20, 10]).unwrap();
        let table = *config.table().unwrap();
        assert!(bounds.hold(&table));
        assert!(!bounds.hold(&TableConfig {
            nprobes: 51,
            ..table
        }));
        for (settings, named) in [
            (&[5, 32, 20, 10][..], "`partitions` 5"),
            (&[4, 32, 20], "4 values"),
        ] {
            let said = bounds.configuration(settings).unwrap_err().to_string();
            assert!(said.contains(named), "{said}");
        }
        let dimension = Dimension::new(384).unwrap();
        check_table(&table, dimension).unwrap();
        for (odd, named) in [
            (
                TableConfig {
                    sub_vectors: 7,
                    ..table
                },
                "384 components",
            ),
            (
                TableConfig {
                    sub_vectors: 0,
                    ..table
                },
                "`sub_vectors` must be",
            ),
            (
                TableConfig {
                    nprobes: 0,
                    ..table
                },
                "`nprobes`",
            ),
            (
                TableConfig {
                    partitions: 5_000,
                    ..table
                },
                "`partitions`",
            ),
            (
                TableConfig {
                    refine_factor: 0,
                    ..table
                },
                "`refine_factor`",
            ),
        ] {
            let said = check_table(&odd, dimension).unwrap_err().to_string();
            assert!(said.contains(named), "{said}");
        }
    }
}
