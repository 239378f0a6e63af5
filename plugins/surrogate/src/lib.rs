//! The bundled proposer `boathouse/surrogate`: structure first, a model second.
//!
//! It looks for the configuration that meets the objective (the lower bound of recall at the floor or
//! above, p95 and memory within budget and cap) with the least work. Work is distance computations where
//! every trial counted them, else p95 latency; setting `work` chooses (`distances` or `latency`).
//!
//! What it knows of the problem: one build serves every value of `ef_search`, recall grows with it, and
//! builds cost seconds that stand in the journal. So a build is judged by the least `ef_search` that meets
//! the floor, that value is closed in on from both sides, and what to do next is the largest expected gain
//! a second. A Gaussian process over the journal says what to expect ([`surface`], [`model`]), [`outlook`]
//! what a build promises. When no trial has more than 0.1 % to gain (setting `enough`, 0.001), it is
//! exhausted.
//!
//! Knobs of other names work too: `ef_search` is the one that needs no build, every other one does. It never
//! proposes what the journal holds. It draws no numbers: equal contexts give equal proposals, whatever the
//! seed.
//!
//! What it does not do is score: which trial serves is the scoring plugin's word. One that rewards recall
//! above the floor wants another proposer, or a higher floor.

mod evidence;
mod interval;
mod model;
mod outlook;
mod space;
mod surface;
mod words;

use std::collections::BTreeSet;

use boathouse_sdk::{Context, Description, Error, Objective, Proposal, Proposer, Trial};
use evidence::{Evidence, Work};
use model::Model;
use outlook::{Goal, Outlook};
use space::Space;

/// Expected gain below which a trial is not worth it, unless the setting says otherwise.
///
/// What is left when no single trial is expected to gain 1 % may still be some percent in all; at a tenth
/// of that, all runs over a measured GloVe index ended at the very best of 1,400 configurations, for half
/// as many trials again.
pub const DEFAULT_ENOUGH: f64 = 0.001;

/// Trials without usable figures after which it gives up.
const MOST_BLIND: usize = 8;
/// Builds of the journal that are searched further, the best ones.
const MOST_KNOWN: usize = 64;
/// Builds around which further ones are looked at.
const CENTRES: usize = 3;

/// The plugin.
#[derive(Debug, Clone, Copy)]
pub struct Surrogate;

impl Proposer for Surrogate {
    fn describe() -> Description {
        let summary = "Least work at the floor of recall: bisects ef_search, chooses builds by expected gain a second.";
        Description::new("boathouse/surrogate", env!("CARGO_PKG_VERSION"), summary).reads([
            "build_seconds",
            "distances",
            "latency_p95_us",
            "memory_bytes",
            "objective",
            "recall",
            "recall_low",
            "setting:enough",
            "setting:work",
            "settings",
        ])
    }

    fn propose(context: &Context) -> Result<Proposal, Error> {
        let settings = Settings::read()?;
        let objective = &context.objective;
        let bounds = [Some(objective.recall_floor), objective.p95_budget_us];
        if bounds.into_iter().flatten().any(f64::is_nan) {
            return Err(Error::invalid_input(
                "recall floor and p95 budget have to be numbers",
            ));
        }
        let space = Space::new(&context.knobs)?;
        let evidence = Evidence::of(context, settings.work)?;
        if evidence.trials.is_empty() {
            return Ok(blind(&space, &evidence));
        }
        let model = Model::of(&space, &evidence, objective);
        let most = evidence
            .trials
            .iter()
            .map(|trial| evidence.work.of(trial).ln());
        let goal = Goal {
            space: &space,
            evidence: &evidence,
            model: &model,
            // While nothing is good, whatever meets the objective is a gain, the less work the greater.
            beat: model.best().unwrap_or(most.fold(f64::MIN, f64::max) + 3.0),
        };
        Ok(decide(&goal, &outlooks(&goal, objective), settings.enough))
    }
}

boathouse_sdk::export_proposer!(Surrogate);

/// The operator's settings.
struct Settings {
    enough: f64,
    work: Option<Work>,
}

impl Settings {
    fn read() -> Result<Self, Error> {
        let settings = boathouse_sdk::host::settings();
        let known = ["enough", "work"];
        if let Some((name, _)) = settings.iter().find(|(name, _)| !known.contains(name)) {
            return Err(Error::invalid_input(format!(
                "unknown setting `{name}`; known are `enough` and `work`"
            )));
        }
        let enough = settings.parse("enough")?.unwrap_or(DEFAULT_ENOUGH);
        if !(0.0..1.0).contains(&enough) {
            return Err(Error::invalid_input(format!(
                "setting `enough` is {enough}; it has to be in 0..1"
            )));
        }
        let work = match settings.get("work") {
            None => None,
            Some("distances") => Some(Work::Distances),
            Some("latency") => Some(Work::Latency),
            Some(other) => {
                return Err(Error::invalid_input(format!(
                    "setting `work` is `{other}`; it has to be `distances` or `latency`"
                )));
            }
        };
        Ok(Self { enough, work })
    }
}

/// The next trial while no trial has usable figures: from the middle of the bounds, then its neighbours.
fn blind(space: &Space<'_>, evidence: &Evidence<'_>) -> Proposal {
    let tried = evidence.tried();
    if tried >= MOST_BLIND {
        return Proposal::Exhausted(format!(
            "none of {tried} trials has figures that could be learned from"
        ));
    }
    let middle = space.middle();
    let build = space.build_of(&middle);
    let others = space.builds(&[]).into_iter();
    let untried = std::iter::once(middle)
        .chain(space.searches(&build, None, None))
        .chain(others.flat_map(|build| space.searches(&build, None, None)))
        .find(|settings| !evidence.has(settings));
    match untried {
        None => Proposal::Exhausted(format!("all {tried} configurations have been tried")),
        Some(settings) => Proposal::Configuration {
            settings,
            reason: match tried {
                0 => "start: the middle of the bounds, by factors".to_owned(),
                _ => "no trial has figures that could be learned from; the next one".to_owned(),
            },
        },
    }
}

/// What every build promises that can be proposed: the better ones of the trials, and others.
fn outlooks(goal: &Goal<'_, '_>, objective: &Objective) -> Vec<Outlook> {
    let space = goal.space;
    let known = goal.evidence.builds(space, objective.recall_floor);
    let ranked = ranked(goal.evidence, space, objective);
    let held = ranked.iter().filter(|build| space.holds_build(build));
    let known_ones = held.take(MOST_KNOWN);
    let mut outlooks: Vec<Outlook> = known_ones
        .map(|build| goal.outlook(build, known.get(build)))
        .collect();
    let centres = ranked.iter().take(CENTRES).map(Vec::as_slice);
    for build in space.builds(&centres.collect::<Vec<_>>()) {
        if !known.contains_key(&build) {
            outlooks.push(goal.outlook(&build, None));
        }
    }
    outlooks
}

/// The builds of the trials: those that meet the objective with the least work first, then those with the
/// highest recall.
fn ranked(evidence: &Evidence<'_>, space: &Space<'_>, objective: &Objective) -> Vec<Vec<u32>> {
    let rank = |trial: &Trial<'_>| match objective.is_met_by(trial) {
        true => (0, evidence.work.of(trial)),
        false => (1, -trial.recall_low),
    };
    let mut trials: Vec<_> = evidence
        .trials
        .iter()
        .map(|trial| (rank(trial), trial))
        .collect();
    trials.sort_by(|(a, _), (b, _)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut seen = BTreeSet::new();
    let builds = trials
        .iter()
        .map(|(_, trial)| space.build_of(trial.settings));
    builds.filter(|build| seen.insert(build.clone())).collect()
}

/// The most gain a second among the builds that have enough of it.
fn decide(goal: &Goal<'_, '_>, outlooks: &[Outlook], enough: f64) -> Proposal {
    let rate = |outlook: &&Outlook| outlook.gain / outlook.seconds;
    let worth = outlooks.iter().filter(|outlook| outlook.gain > enough);
    let chosen = worth.max_by(|a, b| rate(a).total_cmp(&rate(b)));
    let picked = chosen.and_then(|outlook| Some((outlook, goal.pick(outlook)?)));
    match picked {
        Some((outlook, pick)) => Proposal::Configuration {
            reason: words::reason(goal, outlook, &pick),
            settings: pick.settings,
        },
        None => {
            let gain = outlooks
                .iter()
                .map(|outlook| outlook.gain)
                .fold(0.0, f64::max);
            Proposal::Exhausted(words::exhausted(goal, gain, enough))
        }
    }
}

#[cfg(test)]
mod tests;
