//! `{{name}}`: decides which configuration to try next.
//!
//! Three times of four it goes from the champion one step down, none, or one step up on each knob, otherwise
//! anywhere within bounds. It never proposes what has been tried.

use boathouse_sdk::proposer::Knob;
use boathouse_sdk::{Context, Description, Error, Proposal, Proposer};

/// Draws before it gives up.
const DRAWS: usize = 1000;

struct Plugin;

impl Proposer for Plugin {
    fn describe() -> Description {
        let summary = "Mostly one step from the champion, now and then anywhere.";
        Description::new("{{name}}", env!("CARGO_PKG_VERSION"), summary)
            .reads(["champion", "seed", "settings"])
    }

    fn propose(context: &Context) -> Result<Proposal, Error> {
        let mut chance = context.chance();
        for _ in 0..DRAWS {
            let near = context.champion_settings().filter(|_| chance.unit() < 0.75);
            let mut value = |(at, knob): (usize, &Knob)| match near {
                Some(champion) => knob.step(champion[at], chance.below(3) as i32 - 1),
                None => knob.draw(&mut chance),
            };
            let settings: Vec<u32> = context.knobs.iter().enumerate().map(&mut value).collect();
            if !context.trials.contains(&settings) {
                let reason = if near.is_some() {
                    "near the champion"
                } else {
                    "anywhere"
                };
                return Ok(Proposal::Configuration {
                    settings,
                    reason: reason.to_owned(),
                });
            }
        }
        let why = format!("{DRAWS} draws met only what has been tried");
        Ok(Proposal::Exhausted(why))
    }
}

boathouse_sdk::export_proposer!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;
    use boathouse_sdk::testing::{context, journal};

    #[test]
    fn proposals_are_new_within_bounds_and_the_same_for_a_seed() {
        for seed in 0..50 {
            let mut asked = context(journal(&[(0.9, 100.0, 1), (0.95, 200.0, 1)]), seed);
            asked.champion = Some(1);
            let answer = Plugin::propose(&asked).expect("a proposal");
            assert_eq!(Plugin::propose(&asked).as_ref(), Ok(&answer));
            let Proposal::Configuration { settings, .. } = answer else {
                panic!("there is more to try");
            };
            assert!(!asked.trials.contains(&settings));
            for (knob, &value) in asked.knobs.iter().zip(&settings) {
                assert_eq!(knob.step(value, 0), value, "{} is on the grid", knob.name);
            }
        }
    }

    #[test]
    fn it_ends_when_everything_has_been_tried() {
        let mut asked = context(journal(&[(0.9, 100.0, 1)]), 1);
        for (knob, only) in asked.knobs.iter_mut().zip([16, 100, 10]) {
            (knob.min, knob.max) = (only, only);
        }
        assert!(matches!(
            Plugin::propose(&asked),
            Ok(Proposal::Exhausted(_))
        ));
    }
}
