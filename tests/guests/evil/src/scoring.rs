//! The scoring kind: attacks on a list of verdicts.

use boathouse_sdk::{Description, Error, Objective, Scoring, Trial, Trials, Verdict};

use crate::{Evil, attack, description, order};

impl Scoring for Evil {
    fn describe() -> Description {
        description("scoring")
    }

    fn evaluate(trials: &Trials, objective: &Objective) -> Result<Vec<Verdict>, Error> {
        let order = order(objective);
        let honest = Verdict {
            feasible: true,
            front: 0,
            score: 1.0,
            reason: attack::carry_out(&order),
        };
        let judge = |_: Trial<'_>| honest.clone();
        let mut verdicts: Vec<Verdict> = trials.iter().map(judge).collect();
        match order.as_str() {
            "short" => drop(verdicts.pop()),
            "long" => verdicts.push(honest),
            "many" => verdicts.resize(200_000, honest),
            "nans" => spoil(&mut verdicts, |verdict| verdict.score = f64::NAN),
            "verbose" => spoil(&mut verdicts, |verdict| {
                verdict.reason = Some("because ".repeat(1_000));
            }),
            "huge" => spoil(&mut verdicts, |verdict| {
                verdict.reason = Some("because ".repeat(3 << 20));
            }),
            _ => {}
        }
        Ok(verdicts)
    }
}

/// Changes the first verdict, if there is one.
fn spoil(verdicts: &mut [Verdict], how: impl FnOnce(&mut Verdict)) {
    verdicts.first_mut().map(how);
}

boathouse_sdk::export_scoring!(Evil);
