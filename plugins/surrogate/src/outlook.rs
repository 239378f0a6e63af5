//! What a build promises: how much less work its best configuration may do, and what finding out costs.
//!
//! A configuration is worth something when it meets the floor of recall with less work than the best one
//! that is known. How much a build has in it is asked at [`CHANCES`] equally likely levels of its recall:
//! at each the least value of the search knob that meets the floor is looked up, and the gains are
//! averaged. That is the expected gain of a build whose search knob is turned to the right place, which is
//! what follows for the price of trials without a build. The value to try then is the one with the largest
//! product of being enough and gaining.
//!
//! The bracket of a build (what was too little, what was enough) bounds where its search knob is looked
//! at: recall grows with it, so nothing outside can be both enough and less work.

use crate::evidence::{Bracket, Evidence};
use crate::model::Model;
use crate::space::Space;
use crate::surface::{Belief, expected_gain, normal_below};

/// Standard normal quantiles of (i + 1/2) / 15.
const CHANCES: [f64; 15] = [
    -1.834, -1.282, -0.967, -0.728, -0.524, -0.341, -0.168, 0.0, 0.168, 0.341, 0.524, 0.728, 0.967,
    1.282, 1.834,
];

/// What there is in a build.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outlook {
    /// The build, its search knob at 0.
    pub(crate) build: Vec<u32>,
    /// Expected gain as a difference of logarithms: 0.1 is about 10 % less work.
    pub(crate) gain: f64,
    /// Seconds that it takes.
    pub(crate) seconds: f64,
    /// The graph is there already.
    pub(crate) is_built: bool,
    /// Configurations left to try, by growing search knob.
    left: Vec<Vec<u32>>,
}

/// What to try of a build.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pick {
    pub(crate) settings: Vec<u32>,
    /// Probability that it meets the floor of recall.
    pub(crate) enough: f64,
    /// Share of work that it saves if it does, against the best one that is known; negative when none.
    pub(crate) saved: f64,
}

/// The work to be beaten, as a logarithm.
#[derive(Clone, Copy)]
pub(crate) struct Goal<'a, 'b> {
    pub(crate) space: &'a Space<'b>,
    pub(crate) evidence: &'a Evidence<'b>,
    pub(crate) model: &'a Model,
    pub(crate) beat: f64,
}

impl Goal<'_, '_> {
    /// What a build promises; `bracket` is none for one that nobody built.
    pub(crate) fn outlook(&self, build: &[u32], bracket: Option<&Bracket>) -> Outlook {
        let (short, enough) = bracket.map_or((None, None), |known| (known.short, known.enough));
        let mut left = self.space.searches(build, short, enough);
        left.retain(|settings| !self.evidence.has(settings));
        let is_built = bracket.is_some();
        let somewhere = left.first().map_or(build, Vec::as_slice);
        Outlook {
            gain: self.gain(&left),
            seconds: self.model.seconds(&Space::coordinates(somewhere), is_built),
            build: build.to_vec(),
            is_built,
            left,
        }
    }

    /// The average over equally likely levels of the build's recall.
    fn gain(&self, left: &[Vec<u32>]) -> f64 {
        let places: Vec<Vec<f64>> = left.iter().map(|at| Space::coordinates(at)).collect();
        let margins: Vec<f64> = places.iter().map(|at| self.model.margin(at)).collect();
        let crossing = margins.iter().position(|margin| *margin >= 0.0);
        let Some(about) = crossing.or(margins.len().checked_sub(1)) else {
            return 0.0;
        };
        let spread = self.model.margin_belief(&places[about]).deviation;
        let work_spread = self.model.work_belief(&places[about]).deviation;
        let within = self.model.within(&places[about]);
        if within < 0.01 {
            return 0.0;
        }
        let mut gains: Vec<Option<f64>> = vec![None; places.len()];
        let gain_at = |chance: &f64| {
            let is_enough = |margin: &f64| margin + chance * spread >= 0.0;
            let Some(place) = margins.iter().position(is_enough) else {
                return 0.0;
            };
            *gains[place].get_or_insert_with(|| {
                let work = Belief {
                    mean: self.model.work(&places[place]),
                    deviation: work_spread,
                };
                expected_gain(self.beat, work)
            })
        };
        within * CHANCES.iter().map(gain_at).sum::<f64>() / CHANCES.len() as f64
    }

    /// The configuration of a build to try; none when nothing is left of it.
    pub(crate) fn pick(&self, outlook: &Outlook) -> Option<Pick> {
        let weighed = outlook.left.iter().map(|settings| {
            let at = Space::coordinates(settings);
            let margin = self.model.margin_belief(&at);
            let enough = normal_below(margin.mean / margin.deviation);
            let work = self.model.work_belief(&at);
            let worth = enough * expected_gain(self.beat, work) * self.model.within(&at);
            let pick = Pick {
                settings: settings.clone(),
                enough,
                saved: 1.0 - (work.mean - self.beat).exp(),
            };
            (worth, pick)
        });
        let best = weighed.max_by(|(a, _), (b, _)| a.total_cmp(b));
        best.map(|(_, pick)| pick)
    }
}
