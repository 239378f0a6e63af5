//! Which configurations may be tried: the knobs of a run, and the hard limits of every configuration.

mod read;
mod schema;
mod table;

use boathouse_types::{Configuration, Dimension, IndexConfig, IndexFacts, Knob, VectorBackend};
use serde::Serialize;

pub use read::WrittenBounds;
pub use table::{TableBounds, check_table};

use crate::TuningError;

/// Hard limits of `m`: below 2 a graph falls apart, above 128 lists cost more than they find.
const M: (u32, u32) = (2, 128);
/// Hard limits of `ef_construction` and `ef_search`.
const EF: (u32, u32) = (1, 4_096);

/// A space of configurations: the knobs of what is tuned with the values that a run may give them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Bounds {
    /// Of a graph.
    Graph(TuneBounds),
    /// Of a table.
    Table(TableBounds),
}

impl From<TuneBounds> for Bounds {
    fn from(bounds: TuneBounds) -> Self {
        Self::Graph(bounds)
    }
}

impl Bounds {
    /// What may be tried of an index where nobody says anything: the space of its `backend`.
    #[must_use]
    pub fn for_index(index: &IndexFacts) -> Self {
        match (index.backend, Dimension::new(index.dimension)) {
            (VectorBackend::Lance, Ok(dimension)) => {
                Self::Table(TableBounds::for_vectors(index.vectors, dimension))
            }
            _ => Self::Graph(TuneBounds::default()),
        }
    }

    /// What it is a space of.
    #[must_use]
    pub fn backend(&self) -> VectorBackend {
        match self {
            Self::Graph(_) => VectorBackend::Parquet,
            Self::Table(_) => VectorBackend::Lance,
        }
    }

    /// Checks that every knob has its name, a step, a range, and stays within the hard limits.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] naming the knob.
    pub fn validate(&self) -> Result<(), TuningError> {
        match self {
            Self::Graph(bounds) => bounds.validate(),
            Self::Table(bounds) => bounds.validate(),
        }
    }

    /// Whether a configuration lies between the ends of each knob, on its step or not: a person may have tried it.
    pub(crate) fn hold(&self, config: &Configuration) -> bool {
        match (self, config) {
            (Self::Graph(bounds), Configuration::Graph(config)) => bounds.hold(config),
            (Self::Table(bounds), Configuration::Table(config)) => bounds.hold(config),
            _ => false,
        }
    }

    /// The knobs in the order in which a proposal lists their values.
    #[must_use]
    pub fn knobs(&self) -> Vec<Knob> {
        match self {
            Self::Graph(bounds) => bounds.knobs(),
            Self::Table(bounds) => bounds.knobs(),
        }
    }

    /// The bounds that these knobs stand for, of an index like this; none when they are the knobs of nothing.
    pub(crate) fn of(knobs: &[Knob], index: &IndexFacts) -> Option<Self> {
        match index.backend {
            VectorBackend::Parquet => TuneBounds::of(knobs).map(Self::Graph),
            VectorBackend::Lance => TableBounds::of(knobs, index.dimension).map(Self::Table),
        }
    }

    /// A proposal's values as a configuration.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] when their number is wrong or one is out of bounds or off its step.
    pub fn configuration(&self, settings: &[u32], seed: u64) -> Result<Configuration, TuningError> {
        match self {
            Self::Graph(bounds) => bounds
                .configuration(settings, seed)
                .map(Configuration::Graph),
            Self::Table(bounds) => bounds.configuration(settings),
        }
    }
}

/// The knobs of an HNSW index with the values that a run may give them. They are read by name, in any order; one that
/// is left out is as by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TuneBounds {
    /// Neighbours per node.
    pub m: Knob,
    /// Candidates while building.
    pub ef_construction: Knob,
    /// Candidates while searching.
    pub ef_search: Knob,
}

impl Default for TuneBounds {
    /// `m` 8..=32 by 4, `ef_construction` 20..=200 by 20, `ef_search` 10..=200 by 10. The default
    /// configuration (16, 80, 30) is one of them.
    fn default() -> Self {
        let knob = |name: &str, min, max, step| Knob {
            name: name.to_owned(),
            min,
            max,
            step,
        };
        Self {
            m: knob("m", 8, 32, 4),
            ef_construction: knob("ef_construction", 20, 200, 20),
            ef_search: knob("ef_search", 10, 200, 10),
        }
    }
}

impl TuneBounds {
    /// Checks that every knob has its name, a step, a range, and stays within the hard limits.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] naming the knob.
    pub fn validate(&self) -> Result<(), TuningError> {
        check_knob(&self.m, "m", M)?;
        check_knob(&self.ef_construction, "ef_construction", EF)?;
        check_knob(&self.ef_search, "ef_search", EF)
    }

    /// Whether a configuration lies between the ends of each knob, on its step or not: a person may have tried it.
    pub(crate) fn hold(&self, config: &IndexConfig) -> bool {
        lies_in(&self.m, config.m)
            && lies_in(&self.ef_construction, config.ef_construction)
            && lies_in(&self.ef_search, config.ef_search)
    }

    /// The knobs in the order in which a proposal lists their values.
    #[must_use]
    pub fn knobs(&self) -> Vec<Knob> {
        vec![
            self.m.clone(),
            self.ef_construction.clone(),
            self.ef_search.clone(),
        ]
    }

    /// The bounds that these knobs stand for; none when they are not the knobs of an HNSW index.
    pub(crate) fn of(knobs: &[Knob]) -> Option<Self> {
        let knob = |name| knobs.iter().find(|knob| knob.name == name).cloned();
        let bounds = Self {
            m: knob("m")?,
            ef_construction: knob("ef_construction")?,
            ef_search: knob("ef_search")?,
        };
        bounds.validate().is_ok().then_some(bounds)
    }

    /// The same with another range for a knob; whether there is such a knob.
    fn put(&mut self, knob: Knob) -> bool {
        let place = match &*knob.name {
            "m" => &mut self.m,
            "ef_construction" => &mut self.ef_construction,
            "ef_search" => &mut self.ef_search,
            _ => return false,
        };
        *place = knob;
        true
    }

    /// A proposal's values as a configuration.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] when their number is wrong or one is out of bounds or off its step.
    pub fn configuration(&self, settings: &[u32], seed: u64) -> Result<IndexConfig, TuningError> {
        let [m, ef_construction, ef_search] = chosen(&self.knobs(), settings)?;
        Ok(IndexConfig {
            m,
            ef_construction,
            ef_search,
            seed,
        })
    }
}

fn lies_in(knob: &Knob, value: u32) -> bool {
    (knob.min..=knob.max).contains(&value)
}

/// Checks that a knob has its name, a step, a range, and stays within the hard limits.
fn check_knob(knob: &Knob, name: &str, (low, high): (u32, u32)) -> Result<(), TuningError> {
    let fault = if knob.name != name {
        format!("is named `{}`", knob.name)
    } else if knob.step == 0 {
        "has a step of 0".to_owned()
    } else if knob.min > knob.max {
        format!("starts at {} above its end {}", knob.min, knob.max)
    } else if knob.min < low || knob.max > high {
        format!("leaves {low} to {high}")
    } else {
        return Ok(());
    };
    Err(TuningError::InvalidInput(format!("knob `{name}` {fault}")))
}

/// The values of a proposal, one for each knob, all of them allowed.
fn chosen<const N: usize>(knobs: &[Knob], settings: &[u32]) -> Result<[u32; N], TuningError> {
    let Ok(values) = <[u32; N]>::try_from(settings) else {
        let names: Vec<&str> = knobs.iter().map(|knob| &*knob.name).collect();
        return Err(TuningError::InvalidInput(format!(
            "a configuration has {N} values ({}), not {}",
            names.join(", "),
            settings.len()
        )));
    };
    for (knob, value) in knobs.iter().zip(values) {
        if !knob.allows(value) {
            return Err(TuningError::InvalidInput(format!(
                "`{}` {value} is not one of {}, {}, ... {}",
                knob.name,
                knob.min,
                knob.min.saturating_add(knob.step),
                knob.max
            )));
        }
    }
    Ok(values)
}

/// Checks settings against their hard limits.
fn check_settings(settings: &[(&str, u32, (u32, u32))]) -> Result<(), TuningError> {
    for &(name, value, (low, high)) in settings {
        if !(low..=high).contains(&value) {
            return Err(TuningError::InvalidInput(format!(
                "`{name}` must be {low} to {high}, not {value}"
            )));
        }
    }
    Ok(())
}

/// Checks a configuration against the hard limits, which hold for people and plugins alike.
///
/// # Errors
/// [`TuningError::InvalidInput`] naming the setting and its limits.
pub fn check_config(config: &IndexConfig) -> Result<(), TuningError> {
    let settings = [
        ("m", config.m, M),
        ("ef_construction", config.ef_construction, EF),
        ("ef_search", config.ef_search, EF),
    ];
    check_settings(&settings)
}

/// The allowed value of a knob that is nearest to `wanted`.
pub(crate) fn snap(knob: &Knob, wanted: u32) -> u32 {
    let step = knob.step.max(1);
    let steps = wanted.clamp(knob.min, knob.max) - knob.min;
    let below = knob.min + steps / step * step;
    let above = below.saturating_add(step);
    if above <= knob.max && above.abs_diff(wanted) < below.abs_diff(wanted) {
        above
    } else {
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_is_within_the_default_bounds() {
        let bounds = TuneBounds::default();
        bounds.validate().unwrap();
        let config = bounds.configuration(&[16, 80, 30], 0).unwrap();
        assert_eq!(config, IndexConfig::default());
        check_config(&config).unwrap();
    }

    #[test]
    fn a_proposal_outside_the_bounds_is_refused_with_the_knob_named() {
        let bounds = TuneBounds::default();
        for (settings, named) in [
            (&[17, 80, 30][..], "`m` 17"),
            (&[16, 10, 30], "`ef_construction` 10"),
            (&[16, 80, u32::MAX], "`ef_search` 4294967295"),
            (&[16, 80], "3 values"),
            (&[16, 80, 30, 1], "not 4"),
        ] {
            let said = bounds.configuration(settings, 0).unwrap_err().to_string();
            assert!(said.contains(named), "{said}");
        }
    }

    #[test]
    fn bounds_that_make_no_sense_are_refused() {
        let default = TuneBounds::default();
        let broken: [fn(&mut TuneBounds); 5] = [
            |b| b.m.name = "M".to_owned(),
            |b| b.m.max = 1_000,
            |b| b.m.min = 0,
            |b| b.ef_search.step = 0,
            |b| b.ef_construction.min = 201,
        ];
        for change in broken {
            let mut bounds = default.clone();
            change(&mut bounds);
            assert!(bounds.validate().is_err(), "{bounds:?}");
        }
        assert!(
            check_config(&IndexConfig {
                m: 300,
                ..IndexConfig::default()
            })
            .is_err()
        );
        assert!(
            check_config(&IndexConfig {
                ef_search: 0,
                ..IndexConfig::default()
            })
            .is_err()
        );
    }

    #[test]
    fn snapping_stays_on_the_step_and_inside() {
        let knob = TuneBounds::default().ef_construction;
        for (wanted, expected) in [
            (0, 20),
            (29, 20),
            (31, 40),
            (80, 80),
            (199, 200),
            (9_999, 200),
        ] {
            assert_eq!(snap(&knob, wanted), expected);
            assert!(knob.allows(snap(&knob, wanted)));
        }
        let odd = Knob {
            name: "m".to_owned(),
            min: 3,
            max: 11,
            step: 5,
        };
        assert_eq!(snap(&odd, 11), 8);
    }
}
