//! Decides whether a column holds a kind of data, by adding up evidence in log-odds.
//!
//! For the whole column:
//!
//! ```text
//! log-odds = prior                               ln of the kind's share among columns
//!          + name                                evidence of the header x its weight
//!          + company                             another column is about people
//!          + sum over grades of N x share x ln(rate in the kind / rate elsewhere)
//!          + checksum: N x (share passed x ln(pass/chance) + share failed x ln(fail/(1 - chance)))
//! ```
//!
//! Values of one column resemble each other, so they are not independent witnesses: N stops at
//! [`SATURATION`], and the sum over values is capped per kind. It is bounded below by how many values
//! do not fit at all, so that a clear name survives values of a merely weak form but never values of
//! another form. A checksum is weighed against its chance rate: random digits pass Luhn one time
//! in ten, and a column that passes at that rate is pushed away from `credit_card`, not towards.
//!
//! When too few values fit as a whole, the column may still contain some: then the share that was
//! found is weighed against the rate of accidents by the likelihood ratio of the best-fitting share,
//! less `ln(tested + 1)` for having fitted it. The confidence of such a finding is scaled down with
//! the share, since a few values say less about the column.
//!
//! No finding rests on fewer distinct values than the kind asks for, unless the name supports it.

mod calibration;

use boathouse_sdk::pii::Scope;

use crate::tally::Tally;

pub(crate) use crate::fusion::calibration::{
    CREDIT_CARD, Calibration, DATE_OF_BIRTH, EMAIL, IBAN, IP_ADDRESS, PERSON_NAME, PHONE,
    POSTAL_ADDRESS, URL, US_SSN,
};

/// Least confidence that is reported.
pub const THRESHOLD: f64 = 0.5;

/// Most confidence that is claimed.
const CERTAIN: f64 = 0.999;

/// Number of distinct values after which more of the same adds nothing.
const SATURATION: f64 = 20.0;

/// Least share of values that fit as a whole before the whole column is called the kind.
const WHOLE_SHARE: f64 = 0.6;

/// Header evidence from which a few values suffice.
const NAME_SUPPORT: f64 = 0.3;

/// Weight of a header that says the column is something else.
const CONTRADICTION: f64 = 3.5;

/// Log-odds that values which do not fit at all may cost, per share of them.
const MISFIT: f64 = 20.0;

/// Values from which a kind that must spread is held to it.
const SPREAD_FROM: u32 = 5;

/// Share of values from which a partial finding is as sure as a whole one.
const COMMON_SHARE: f64 = 0.5;

/// How often values of a kind pass their checksum; the rest are typing errors.
const PASS_RATE: f64 = 0.97;

/// What is known of a column besides the tally of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings {
    /// Distinct values that were looked at.
    pub(crate) tested: u32,
    /// Evidence of the header, in -1..=1.
    pub(crate) name: f64,
    /// Another column of the table is about people.
    pub(crate) company: bool,
}

/// A decision for a kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) scope: Scope,
    /// In [`THRESHOLD`]..1.
    pub(crate) confidence: f64,
}

/// Weighs a tally; `None` when the column is not, or not surely enough, of the kind.
pub(crate) fn decide(tally: &Tally, around: Surroundings, kind: &Calibration) -> Option<Verdict> {
    if around.tested == 0 || tally.matched() == 0 {
        return None;
    }
    let base = before_values(around, kind);
    whole(tally, around, kind, base)
        .or_else(|| partial(tally, around, kind, base))
        .filter(|verdict| verdict.confidence >= THRESHOLD)
}

/// Log-odds before any value was looked at.
fn before_values(around: Surroundings, kind: &Calibration) -> f64 {
    let weight = if around.name > 0.0 {
        kind.name_weight
    } else {
        CONTRADICTION
    };
    let company = if around.company { kind.company } else { 0.0 };
    kind.prior_odds() + around.name * weight + company
}

fn whole(tally: &Tally, around: Surroundings, kind: &Calibration, base: f64) -> Option<Verdict> {
    let share = ratio(tally.whole(), around.tested);
    let enough = tally.whole() >= kind.least_values || around.name >= NAME_SUPPORT;
    if share < WHOLE_SHARE || !enough {
        return None;
    }
    let odds = base + form(tally, around.tested, kind) + checksums(tally, kind);
    let confidence = confidence(odds);
    (confidence >= THRESHOLD).then_some(Verdict {
        scope: Scope::WholeColumn,
        confidence,
    })
}

/// Log-odds from the form of the values.
fn form(tally: &Tally, tested: u32, kind: &Calibration) -> f64 {
    let misfits = 1.0 - ratio(tally.whole(), tested);
    let per_value = ratio(tally.strong, tested) * kind.strong.odds()
        + ratio(tally.fair, tested) * kind.fair.odds()
        + ratio(tally.weak, tested) * kind.weak.odds()
        + misfits * kind.none.odds();
    let sum = per_value * SATURATION.min(f64::from(tested));
    let floor = -(kind.weak_floor + MISFIT * misfits);
    let narrow = tally.matched() >= SPREAD_FROM && tally.spread() < kind.least_spread;
    let cap = if narrow { 0.0 } else { kind.cap };
    sum.clamp(floor, cap)
}

/// Log-odds from the checksum, 0 for kinds without one.
fn checksums(tally: &Tally, kind: &Calibration) -> f64 {
    let checked = tally.passed + tally.failed;
    let (Some(sum), true) = (&kind.checksum, checked > 0) else {
        return 0.0;
    };
    let pass = (PASS_RATE / sum.chance).ln();
    let fail = ((1.0 - PASS_RATE) / (1.0 - sum.chance)).ln();
    let per_value = ratio(tally.passed, checked) * pass + ratio(tally.failed, checked) * fail;
    let sum_of = per_value * SATURATION.min(f64::from(checked));
    sum_of.clamp(-sum.floor, sum.cap)
}

fn partial(tally: &Tally, around: Surroundings, kind: &Calibration, base: f64) -> Option<Verdict> {
    let sparse = kind.sparse.as_ref()?;
    let share = ratio(tally.sure, around.tested);
    let enough = tally.sure >= kind.least_values || around.name >= NAME_SUPPORT;
    if !enough || share <= sparse.accidents || share < sparse.least_share {
        return None;
    }
    // Strings of the form that pass no more often than chance are another kind of number.
    if checksums(tally, kind) < 0.0 {
        return None;
    }
    let tested = f64::from(around.tested);
    let missed = 1.0 - share;
    let mut per_value = share * (share / sparse.accidents).ln();
    if missed > 0.0 {
        per_value += missed * (missed / (1.0 - sparse.accidents)).ln();
    }
    let cap = kind.cap + kind.checksum.as_ref().map_or(0.0, |sum| sum.cap);
    let evidence = (tested * per_value - tested.ln_1p()).min(cap);
    let prevalence = 0.5 + 0.5 * (share / COMMON_SHARE).min(1.0);
    Some(Verdict {
        scope: Scope::SomeValues,
        confidence: confidence(base + evidence) * prevalence,
    })
}

fn ratio(part: u32, of: u32) -> f64 {
    f64::from(part) / f64::from(of)
}

fn confidence(odds: f64) -> f64 {
    (1.0 / (1.0 + (-odds).exp())).min(CERTAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Grade, Match};

    fn cards(passed: u32, failed: u32, name: f64) -> Option<Verdict> {
        let mut tally = Tally::default();
        for index in 0..passed + failed {
            tally.add(Match::whole(Grade::Fair).checked(index < passed));
        }
        let around = Surroundings {
            tested: passed + failed,
            name,
            company: false,
        };
        decide(&tally, around, &CREDIT_CARD)
    }

    #[test]
    fn checksums_count_above_chance_only() {
        assert!(cards(20, 0, 0.0).is_some());
        assert!(cards(19, 1, 0.0).is_some());
        assert!(cards(2, 18, 0.0).is_none(), "the rate of random digits");
        assert!(cards(8, 12, 0.0).is_none());
        assert!(cards(1, 0, 0.0).is_none(), "one lucky checksum");
        assert!(cards(2, 0, 0.0).is_none(), "two lucky checksums");
        assert!(cards(0, 20, 1.0).is_some(), "test cards under a clear name");
        assert!(cards(0, 20, -1.0).is_none());
    }

    #[test]
    fn no_values_no_finding() {
        let around = Surroundings {
            tested: 0,
            name: 1.0,
            company: true,
        };
        assert_eq!(decide(&Tally::default(), around, &EMAIL), None);
    }

    #[test]
    fn confidence_grows_with_the_share() {
        let confidence = |matched: u32| {
            let mut tally = Tally::default();
            for _ in 0..matched {
                tally.add(Match::within(Grade::Strong));
            }
            let around = Surroundings {
                tested: 100,
                name: 0.0,
                company: false,
            };
            decide(&tally, around, &EMAIL).map_or(0.0, |verdict| verdict.confidence)
        };
        assert!(confidence(1) < THRESHOLD);
        let shares = [5, 20, 50].map(confidence);
        assert!(
            shares.is_sorted() && shares[0] > THRESHOLD && shares[2] < 1.0,
            "{shares:?}"
        );
    }
}
