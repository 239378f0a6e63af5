//! The proposer kind: attacks on a configuration.

use boathouse_sdk::{Context, Description, Error, Proposal, Proposer};

use crate::{Evil, attack, description, order};

impl Proposer for Evil {
    fn describe() -> Description {
        description("proposer")
    }

    fn propose(context: &Context) -> Result<Proposal, Error> {
        let order = order(&context.objective);
        let report = attack::carry_out(&order);
        let mut settings: Vec<u32> = context.knobs.iter().map(|knob| knob.min).collect();
        match order.as_str() {
            "beyond" => settings.fill(u32::MAX),
            "few" => drop(settings.pop()),
            "offstep" => {
                let steps = context.knobs.iter().map(|knob| knob.step);
                for (value, step) in settings.iter_mut().zip(steps) {
                    *value += step / 2;
                }
            }
            _ => {}
        }
        let reason = report.unwrap_or_else(|| "the least of everything".to_owned());
        Ok(Proposal::Configuration { settings, reason })
    }
}

boathouse_sdk::export_proposer!(Evil);
