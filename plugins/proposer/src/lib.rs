//! The bundled proposer, `boathouse/epsilon-greedy`.
//!
//! With probability epsilon (setting `epsilon`, 0.25 unless given) it proposes a configuration drawn
//! uniformly within bounds; otherwise it goes from the champion one step down, none, or one step up on
//! each axis. Without a champion it starts from the trial with the best default score, without
//! trials from the middle of the bounds.
//!
//! It never proposes a configuration that the journal holds. When [`ATTEMPTS`] draws meet only such,
//! it searches the neighbourhood of the start in growing rings, and it is exhausted only when the
//! whole grid has been tried. A start off the grid counts as its nearest point on the grid.
//!
//! Chance comes from the seed of the context alone, so equal contexts give equal proposals. It does
//! not look at the objective: what is worth serving is the scoring plugin's word.

mod grid;

use boathouse_sdk::{Chance, Context, Description, Error, Proposal, Proposer, Trials};
use grid::{Grid, Tried};

/// Draws before the search becomes systematic.
pub const ATTEMPTS: usize = 16;

/// Probability of a uniform draw unless the setting says otherwise.
pub const DEFAULT_EPSILON: f64 = 0.25;

/// The plugin.
#[derive(Debug, Clone, Copy)]
pub struct EpsilonGreedy;

impl Proposer for EpsilonGreedy {
    fn describe() -> Description {
        let summary = "Mostly one step from the champion, now and then anywhere within bounds.";
        Description::new(
            "boathouse/epsilon-greedy",
            env!("CARGO_PKG_VERSION"),
            summary,
        )
        .reads([
            "champion",
            "latency_p95_us",
            "recall",
            "seed",
            "setting:epsilon",
            "settings",
        ])
    }

    fn propose(context: &Context) -> Result<Proposal, Error> {
        let epsilon = epsilon()?;
        let grid = Grid::new(&context.knobs)?;
        let tried = Tried::new(&grid, &context.trials)?;
        if tried.is_everything() {
            let count = tried.len();
            return Ok(Proposal::Exhausted(format!(
                "all {count} configurations within bounds have been tried"
            )));
        }
        let start = Start::choose(context, &grid);
        let mut chance = Chance::new(context.seed);
        let explore = chance.unit() < epsilon;
        let drawn = (0..ATTEMPTS)
            .map(|_| match explore {
                true => grid.uniform(&mut chance),
                false => grid.step(&start.settings, &mut chance),
            })
            .find(|candidate| !tried.contains(candidate));
        let (how, settings) = match drawn {
            Some(settings) if explore => ("explore: uniform".to_owned(), settings),
            Some(settings) => (start.describe("step", &grid, &settings), settings),
            None => {
                let settings = grid.nearest(&start.settings, |found| !tried.contains(found));
                let settings = settings.ok_or_else(|| {
                    Error::other("the search of the grid missed a configuration that is untried")
                })?;
                (
                    start.describe("nearest untried", &grid, &settings),
                    settings,
                )
            }
        };
        Ok(Proposal::Configuration {
            settings,
            reason: how,
        })
    }
}

boathouse_sdk::export_proposer!(EpsilonGreedy);

/// The setting `epsilon`, a probability.
fn epsilon() -> Result<f64, Error> {
    let given = boathouse_sdk::host::settings().parse("epsilon")?;
    let epsilon = given.unwrap_or(DEFAULT_EPSILON);
    if !(0.0..=1.0).contains(&epsilon) {
        return Err(Error::invalid_input(format!(
            "setting `epsilon` is {epsilon}; it has to be in 0..=1"
        )));
    }
    Ok(epsilon)
}

/// Where a step starts.
struct Start {
    name: &'static str,
    settings: Vec<u32>,
}

impl Start {
    fn choose(context: &Context, grid: &Grid<'_>) -> Self {
        let trials = &context.trials;
        let champion = context.champion.map(|row| ("champion", row));
        let chosen = champion.or_else(|| Some(("best trial", best(trials)?)));
        let known = chosen.and_then(|(name, row)| {
            let settings = trials.settings_of(row)?.to_vec();
            Some(Self { name, settings })
        });
        known.unwrap_or_else(|| Self {
            name: "middle of bounds",
            settings: grid.middle(),
        })
    }

    /// For example `step from champion: ef_search +10, m -2`.
    fn describe(&self, how: &str, grid: &Grid<'_>, settings: &[u32]) -> String {
        let moves = grid.names().zip(self.settings.iter().zip(settings));
        let moves: Vec<String> = moves
            .filter(|(_, (from, to))| from != to)
            .map(|(name, (&from, &to))| format!("{name} {:+}", i64::from(to) - i64::from(from)))
            .collect();
        let name = self.name;
        if moves.is_empty() {
            return format!("{how} from {name}: none");
        }
        format!("{how} from {name}: {}", moves.join(", "))
    }
}

/// The trial with the highest recall less 0.2 x min(p95 in ms, 1); the earliest of equals, and the
/// first when none can be scored.
fn best(trials: &Trials) -> Option<usize> {
    let score =
        |row: usize| trials.recall[row] - 0.2 * (trials.latency_p95_us[row] / 1000.0).min(1.0);
    let mut rows = 0..trials.len();
    let first = rows.next()?;
    Some(rows.fold(first, |best, row| {
        let better = score(row) > score(best) || (score(best).is_nan() && !score(row).is_nan());
        if better { row } else { best }
    }))
}

#[cfg(test)]
mod tests;
