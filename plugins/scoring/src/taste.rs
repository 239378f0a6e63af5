//! What the operator prefers: weights, scales, floors and budgets, from settings and objective.
//!
//! Settings hold for every index of the host, an objective for one. So an objective's weight replaces the
//! setting's, and of two bounds the tighter one holds: an operator's floor cannot be undercut. Without
//! settings and weights the score is recall less 0.2 x min(p95 in ms, 1).
//!
//! | setting | default | is |
//! |---|---|---|
//! | `recall`, `latency`, `memory`, `build` | 1, 0.2, 0, 0 | weights of the score; also weights of an objective |
//! | `latency_scale_us` | 1000 | p95 latency that costs the whole weight |
//! | `memory_scale_bytes` | the cap, else 1 GiB | bytes that cost the whole weight |
//! | `build_scale_seconds` | 600 | seconds of building that cost the whole weight |
//! | `recall_floor` | none | least recall, by the lower end of its interval |
//! | `p95_budget_us`, `memory_cap_bytes`, `build_budget_seconds` | none | the most of each |
//!
//! Anything else is refused by name, also a number that makes no sense.

use boathouse_sdk::{Error, Objective, Settings};

const GIB: f64 = (1_u64 << 30) as f64;

/// One number for each thing that is weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Weights {
    pub(crate) recall: f64,
    pub(crate) latency: f64,
    pub(crate) memory: f64,
    pub(crate) build: f64,
}

/// What costs the whole weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scales {
    pub(crate) latency_us: f64,
    pub(crate) memory_bytes: f64,
    pub(crate) build_seconds: f64,
}

/// What a feasible trial has to meet; an absent bound is infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    pub(crate) recall_floor: f64,
    pub(crate) p95_us: f64,
    pub(crate) memory_bytes: f64,
    pub(crate) build_seconds: f64,
}

/// Everything that decides a verdict beside the trial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Taste {
    pub(crate) weights: Weights,
    pub(crate) scales: Scales,
    pub(crate) limits: Limits,
}

/// Which numbers a setting may be.
#[derive(Clone, Copy)]
enum Range {
    /// 0 or more.
    Amount,
    /// More than 0.
    Positive,
    /// In 0..=1.
    Share,
}

/// Every setting with its range.
const SETTINGS: [(&str, Range); 11] = [
    ("recall", Range::Amount),
    ("latency", Range::Amount),
    ("memory", Range::Amount),
    ("build", Range::Amount),
    ("latency_scale_us", Range::Positive),
    ("memory_scale_bytes", Range::Positive),
    ("build_scale_seconds", Range::Positive),
    ("recall_floor", Range::Share),
    ("p95_budget_us", Range::Amount),
    ("memory_cap_bytes", Range::Amount),
    ("build_budget_seconds", Range::Amount),
];

impl Taste {
    /// # Errors
    /// [`Error::InvalidInput`] naming the setting, weight or bound that makes no sense.
    pub(crate) fn new(settings: &Settings, objective: &Objective) -> Result<Self, Error> {
        check_names(settings)?;
        let set = |name: &str| setting(settings, name);
        let limits = Limits::new(objective, &set)?;
        let weights = Weights::of(&set)?.replaced_by(&objective.weights)?;
        let memory_scale = match limits.memory_bytes.is_finite() {
            true => limits.memory_bytes.max(1.0),
            false => GIB,
        };
        Ok(Self {
            weights,
            scales: Scales {
                latency_us: set("latency_scale_us")?.unwrap_or(1_000.0),
                memory_bytes: set("memory_scale_bytes")?.unwrap_or(memory_scale),
                build_seconds: set("build_scale_seconds")?.unwrap_or(600.0),
            },
            limits,
        })
    }
}

impl Taste {
    /// Whether the seconds of a build change a verdict.
    pub(crate) fn minds_builds(&self) -> bool {
        self.weights.build > 0.0 || self.limits.build_seconds.is_finite()
    }
}

impl Weights {
    fn of(set: &impl Fn(&str) -> Result<Option<f64>, Error>) -> Result<Self, Error> {
        Ok(Self {
            recall: set("recall")?.unwrap_or(1.0),
            latency: set("latency")?.unwrap_or(0.2),
            memory: set("memory")?.unwrap_or(0.0),
            build: set("build")?.unwrap_or(0.0),
        })
    }

    /// Takes the weights of an objective; each may be given once, finite and not negative.
    fn replaced_by(mut self, given: &[(String, f64)]) -> Result<Self, Error> {
        for (at, (name, weight)) in given.iter().enumerate() {
            let slot = match name.as_str() {
                "recall" => &mut self.recall,
                "latency" => &mut self.latency,
                "memory" => &mut self.memory,
                "build" => &mut self.build,
                _ => {
                    return Err(Error::invalid_input(format!(
                        "unknown weight `{name}`; known are `recall`, `latency`, `memory` and `build`"
                    )));
                }
            };
            if !weight.is_finite() || *weight < 0.0 {
                return Err(Error::invalid_input(format!(
                    "weight `{name}` is {weight}; it has to be finite and not negative"
                )));
            }
            if given[..at].iter().any(|(known, _)| known == name) {
                return Err(Error::invalid_input(format!(
                    "weight `{name}` is given twice"
                )));
            }
            *slot = *weight;
        }
        Ok(self)
    }
}

impl Limits {
    fn new(
        objective: &Objective,
        set: &impl Fn(&str) -> Result<Option<f64>, Error>,
    ) -> Result<Self, Error> {
        let most = |given: Option<f64>, set: Option<f64>| {
            let given = given.unwrap_or(f64::INFINITY);
            given.min(set.unwrap_or(f64::INFINITY))
        };
        if objective.recall_floor.is_nan() || objective.p95_budget_us.is_some_and(f64::is_nan) {
            return Err(Error::invalid_input(
                "recall floor and p95 budget have to be numbers",
            ));
        }
        let floor = set("recall_floor")?.unwrap_or(f64::NEG_INFINITY);
        let cap = objective.memory_cap_bytes.map(|cap| cap as f64);
        Ok(Self {
            recall_floor: objective.recall_floor.max(floor),
            p95_us: most(objective.p95_budget_us, set("p95_budget_us")?),
            memory_bytes: most(cap, set("memory_cap_bytes")?),
            build_seconds: most(None, set("build_budget_seconds")?),
        })
    }
}

fn check_names(settings: &Settings) -> Result<(), Error> {
    let known = |name: &str| SETTINGS.iter().any(|(known, _)| *known == name);
    match settings.iter().find(|(name, _)| !known(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let known = SETTINGS.map(|(name, _)| format!("`{name}`")).join(", ");
            Err(Error::invalid_input(format!(
                "unknown setting `{name}`; known are {known}"
            )))
        }
    }
}

/// A setting within its range; none when it is absent.
fn setting(settings: &Settings, name: &str) -> Result<Option<f64>, Error> {
    let Some(value) = settings.parse::<f64>(name)? else {
        return Ok(None);
    };
    let found = SETTINGS.iter().find(|(known, _)| *known == name);
    let (holds, wanted) = match found.map_or(Range::Amount, |(_, range)| *range) {
        Range::Amount => (value.is_finite() && value >= 0.0, "finite and not negative"),
        Range::Positive => (value.is_finite() && value > 0.0, "finite and above 0"),
        Range::Share => ((0.0..=1.0).contains(&value), "in 0..=1"),
    };
    match holds {
        true => Ok(Some(value)),
        false => Err(Error::invalid_input(format!(
            "setting `{name}` is {value}; it has to be {wanted}"
        ))),
    }
}
