//! Rounds in turn, their ratios, and the line that is printed of them.
//!
//! A round asks both sides, and who goes first changes from round to round, so that a machine that
//! grows slower or faster favours neither. What is judged is the median of the rounds' ratios; least
//! and greatest stand beside it.

use std::fmt;

use anyhow::Result;
use serde_json::{Value, json};

/// What a ratio of ours over the peer's has to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
    /// Nothing: both figures are worth knowing.
    None,
}

impl Bar {
    /// Whether a ratio reaches it, if there is anything to reach.
    fn is_met(self, ratio: f64) -> Option<bool> {
        match self {
            Self::AtLeast(bar) => Some(ratio >= bar),
            Self::AtMost(bar) => Some(ratio <= bar),
            Self::None => None,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bar) => write!(f, ">= {bar}"),
            Self::AtMost(bar) => write!(f, "<= {bar}"),
            Self::None => f.write_str("-"),
        }
    }
}

/// The same figure of both sides, round by round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Comparison {
    ours: Vec<f64>,
    peer: Vec<f64>,
}

impl Comparison {
    /// Adds a round.
    pub(crate) fn push(&mut self, ours: f64, peer: f64) {
        self.ours.push(ours);
        self.peer.push(peer);
    }

    /// The median ratio of ours over the peer's.
    pub(crate) fn ratio(&self) -> f64 {
        median(&self.ratios())
    }

    /// The median of our own figures.
    pub(crate) fn ours(&self) -> f64 {
        median(&self.ours)
    }

    /// The peer's figures, round by round.
    pub(crate) fn peers(&self) -> Vec<f64> {
        self.peer.clone()
    }

    fn ratios(&self) -> Vec<f64> {
        let pairs = self.ours.iter().zip(&self.peer);
        pairs.map(|(ours, peer)| ours / peer).collect()
    }
}

/// A line of the result.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// `P1`, as in the specification.
    pub(crate) id: &'a str,
    /// What was done.
    pub(crate) work: String,
    /// Name and version of the peer.
    pub(crate) peer: &'a str,
    /// Of the absolute figures.
    pub(crate) unit: &'a str,
    /// What was measured.
    pub(crate) measured: &'a Comparison,
    /// What had to be reached.
    pub(crate) bar: Bar,
    /// Further figures.
    pub(crate) detail: Value,
}

impl Row<'_> {
    /// Prints the row as one line of JSON.
    pub(crate) fn print(&self) {
        let ratios = self.measured.ratios();
        let ratio = median(&ratios);
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let line = json!({
            "id": self.id,
            "work": self.work,
            "ours": round(median(&self.measured.ours)),
            "peer": round(median(&self.measured.peer)),
            "unit": self.unit,
            "peer_name": self.peer,
            "ratio": round(ratio),
            "spread": [round(least), round(greatest)],
            "rounds": ratios.len(),
            "bar": self.bar.to_string(),
            "met": self.bar.is_met(ratio),
            "detail": self.detail,
        });
        println!("{line}");
    }
}

/// Asks both sides for so many rounds, after one that does not count.
pub(crate) fn rounds<T>(
    count: usize,
    mut ours: impl FnMut() -> Result<T>,
    mut peer: impl FnMut() -> Result<T>,
) -> Result<Vec<(T, T)>> {
    ours()?;
    peer()?;
    (0..count)
        .map(|round| {
            if round % 2 == 0 {
                let ours = ours()?;
                Ok((ours, peer()?))
            } else {
                let peer = peer()?;
                Ok((ours()?, peer))
            }
        })
        .collect()
}

/// The middle value; the mean of the middle two when there are two; NaN of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// Four significant digits.
pub(crate) fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_medians() {
        let mut measured = Comparison::default();
        measured.push(1.0, 1.0);
        measured.push(20.0, 10.0);
        measured.push(9.0, 3.0);
        assert_eq!(measured.ratio(), 2.0);
    }

    #[test]
    fn bars_hold_at_equality() {
        assert_eq!(Bar::AtLeast(1.3).is_met(1.3), Some(true));
        assert_eq!(Bar::AtLeast(1.3).is_met(1.29), Some(false));
        assert_eq!(Bar::AtMost(0.2).is_met(0.2), Some(true));
        assert_eq!(Bar::AtMost(0.2).is_met(0.21), Some(false));
        assert_eq!(Bar::None.is_met(0.2), None);
    }

    #[test]
    fn figures_are_rounded_to_four_digits() {
        assert_eq!(round(123_456.0), 123_500.0);
        assert_eq!(round(0.001_234_56), 0.001_235);
        assert_eq!(round(0.0), 0.0);
        assert!(median(&[]).is_nan());
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn who_goes_first_changes() {
        let order = std::cell::RefCell::new(String::new());
        let side = |name| {
            let order = &order;
            move || {
                order.borrow_mut().push(name);
                Ok(1.0)
            }
        };
        let measured = rounds(2, side('o'), side('p')).expect("measured");
        assert_eq!(measured.len(), 2);
        assert_eq!(order.into_inner(), "opoppo");
    }
}
