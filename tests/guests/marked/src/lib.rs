//! A scoring plugin in two versions whose every verdict names the version that gave it.
//!
//! A test that swaps them tells from an answer alone which of the two it came from, and holds that
//! against what the host says. Apart from the mark it is honest and dull.

use boathouse_sdk::{Description, Error, Objective, Scoring, Trial, Trials, Verdict};

const VERSION: &str = if cfg!(feature = "second") {
    "2.0.0"
} else {
    "1.0.0"
};

/// The plugin.
#[derive(Debug, Clone, Copy)]
pub struct Marked;

impl Scoring for Marked {
    fn describe() -> Description {
        Description::new("test/marked", VERSION, "Recall, signed with its version.")
            .reads(["recall"])
    }

    fn evaluate(trials: &Trials, _: &Objective) -> Result<Vec<Verdict>, Error> {
        let judge = |trial: Trial<'_>| Verdict {
            feasible: true,
            front: 0,
            score: trial.recall,
            reason: Some(VERSION.to_owned()),
        };
        Ok(trials.iter().map(judge).collect())
    }
}

boathouse_sdk::export_scoring!(Marked);
