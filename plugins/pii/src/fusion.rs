//! Decides whether a column holds a kind of data, by adding up evidence in log-odds.
//!
//! For the whole column the log-odds are a weighted sum of what [`evidence`] gathers: what the header says
//! to the kind, to other kinds and to harmless things; the shares of values that fit, by how telling their
//! form is; the share that does not fit; the log likelihood ratio of the checksum; the company of other
//! columns. The weights, one row a kind, are fitted to labelled columns ([`weights`]) by conditional logistic
//! regression: the kinds that a column could be compete with each other and with being none of them.
//!
//! Values of one column resemble each other, so they are not independent witnesses: their shares count in
//! full from [`SATURATION`] distinct ones on, fewer count less. A checksum is weighed against its chance
//! rate, so that random digits, which pass Luhn one time in ten, push a column away from `credit_card`.
//!
//! When too few values fit as a whole, the column may still contain some: then the share that was
//! found is weighed against the rate of accidents by the likelihood ratio of the best-fitting share,
//! less `ln(tested + 1)` for having fitted it. The confidence of such a finding is scaled down with
//! the share, since a few values say less about the column.
//!
//! A rule that asks only for a date has as many witnesses as there are beginnings of dates among the values.
//!
//! Outside the sum stand a few bars: least numbers of values, kinds that need a name or company, numbers that pass
//! their rule by chance, clocks, which are no numbers of people, and articles, which are no social security numbers.

pub(crate) mod weights;

use crate::header::Thing;
use crate::kinds::{Kind, Unnamed};
use crate::tally::Tally;
use weights::WEIGHTS;

/// Least confidence that is reported.
pub const THRESHOLD: f64 = 0.5;

/// Most confidence that is claimed.
const CERTAIN: f64 = 0.999;

/// Number of distinct values after which more of the same adds nothing.
const SATURATION: f64 = 20.0;

/// Least share of values that fit as a whole before the whole column is called the kind.
const WHOLE_SHARE: f64 = 0.5;

/// Header evidence from which a few values suffice.
const NAME_SUPPORT: f64 = 0.3;

/// Values from which a column that must spread is held to it.
const SPREAD_FROM: u32 = 5;

/// Least distance of years of birth.
const LEAST_YEARS: u32 = 15;

/// Share of values from which a partial finding is as sure as a whole one.
const COMMON_SHARE: f64 = 0.5;

/// How often values of a kind pass their checksum; the rest are typing errors.
const PASS_RATE: f64 = 0.97;

/// Share of random strings above which passing a rule tells nothing.
const WEAK_RULE: f64 = 0.6;

/// Least and most log-odds that a checksum may bring before it is weighted.
const CHECKSUM_RANGE: (f64, f64) = (-5.0, 12.0);

/// Log-odds of some values of a kind being in a column that nothing is known of.
const PARTIAL_PRIOR: f64 = -3.5;

/// Log-odds that a header which names the kind, or speaks against it, adds to that.
const PARTIAL_NAME: f64 = 5.0;

/// Most log-odds that the share of some values may bring.
const PARTIAL_CAP: f64 = 10.0;

/// Seconds since 1970 that a clock may show: 2001 to 2039.
const CLOCK_SECONDS: std::ops::Range<u64> = 1_000_000_000..2_200_000_000;

/// Most seconds between the first and the last time of a clock: ten years.
const CLOCK_SPAN: u64 = 315_576_000;

/// Values from which a clock is told from numbers that happen to be near each other.
const CLOCK_FROM: u32 = 3;

/// One value in so many of a clock may be none, such as the zero that stands for never.
const CLOCK_OTHERS: u32 = 20;

/// Values with a checksum of its own from which a number of people is one although it looks like a time.
const CLOCK_REFUTED: u32 = 8;

/// Values from which dates with a time of day behind them are told from numbers of people.
const STAMPS_FROM: u32 = 5;

/// Beginnings of dates, days of a month or years, that suffice for numbers of people; of few numbers three quarters.
const BEGINNINGS: u32 = 8;

/// Log-odds that a header which names a thing takes from a social security number. `ddd-dd-dddd` is common
/// among articles and eight in nine of them pass, which the labelled set has too few of to show.
const THING_NOT_PERSON: f64 = 8.0;

/// The times that bare digits would be, in seconds or milliseconds.
#[derive(Debug, Default)]
struct Clock {
    times: Option<(u64, u64)>,
    others: u32,
    /// Values of ten to fourteen characters that end in a time of day.
    stamps: u32,
}

impl Clock {
    fn add(&mut self, text: &str) {
        self.stamps += u32::from(ends_in_time(text.as_bytes()));
        let digits = || text.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = match text.len() {
            10 | 13 if digits() => text[..10].parse().ok(),
            _ => None,
        };
        match seconds.filter(|seconds| CLOCK_SECONDS.contains(seconds)) {
            Some(time) => {
                let (first, last) = self.times.unwrap_or((time, time));
                self.times = Some((first.min(time), last.max(time)));
            }
            None => self.others += 1,
        }
    }

    /// Nearly all of `tested` values are times within a few years of each other.
    fn ticks(&self, tested: u32) -> bool {
        let near = self
            .times
            .is_some_and(|(first, last)| last - first <= CLOCK_SPAN);
        near && tested >= CLOCK_FROM && self.others <= tested / CLOCK_OTHERS
    }
}

/// Whether the last digits of ten to fourteen characters are hours and minutes, or seconds too.
fn ends_in_time(text: &[u8]) -> bool {
    if !(10..=14).contains(&text.len()) {
        return false;
    }
    let pair = |back: usize| match text[text.len() - back..] {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] => (tens - b'0') * 10 + (ones - b'0'),
        _ => u8::MAX,
    };
    let minutes = pair(4) < 24 && pair(2) < 60;
    minutes || (pair(6) < 24 && pair(4) < 60 && pair(2) < 60)
}

/// What holds of a column whatever it is taken for.
#[derive(Debug, Default)]
pub(crate) struct ColumnFacts {
    /// Distinct values that were looked at.
    pub(crate) tested: u32,
    seen: u64,
    prefix: Option<[u8; 3]>,
    varied: bool,
    clock: Clock,
    /// Nine digits and an `X`: an ISBN, which obeys the rule of a British health number when it ends in a digit.
    books: bool,
    /// Values of eight characters, which a social security number has when it lost the zero in front.
    eights: u32,
}

impl ColumnFacts {
    /// Takes in a distinct value and how often it was seen.
    pub(crate) fn add(&mut self, text: &str, count: u32) {
        self.tested += 1;
        self.seen += u64::from(count.max(1));
        self.clock.add(text);
        self.eights += u32::from(text.len() == 8);
        if let (10, Some(rest)) = (text.len(), text.strip_suffix(['X', 'x'])) {
            self.books |= rest.bytes().all(|byte| byte.is_ascii_digit());
        }
        let prefix = text.as_bytes().first_chunk().copied().unwrap_or_default();
        self.varied |= *self.prefix.get_or_insert(prefix) != prefix;
    }

    /// All values begin alike, as those of a counter or a clock do.
    fn is_narrow(&self) -> bool {
        self.tested >= SPREAD_FROM && !self.varied
    }

    /// Share of occurrences that repeat an earlier one.
    fn repeated(&self) -> f64 {
        1.0 - f64::from(self.tested) / self.seen.max(1) as f64
    }
}

/// What the other columns of the table are about.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Surroundings {
    pub(crate) people: bool,
    pub(crate) places: bool,
}

/// A column taken for a kind.
pub(crate) struct Case<'a> {
    pub(crate) kind: Kind,
    pub(crate) tally: &'a Tally,
    /// Share of random strings that pass the rule, for what has one.
    pub(crate) chance: Option<f64>,
    /// The rule asks for a date and nothing else.
    pub(crate) dated: bool,
    /// What the header says to the kind, in -1..=1.
    pub(crate) name: f64,
    /// How strongly the header names another kind, in 0..=1.
    pub(crate) otherwise: f64,
    /// What the header names, when that is no personal data.
    pub(crate) thing: Option<Thing>,
    pub(crate) column: &'a ColumnFacts,
    pub(crate) around: Surroundings,
}

/// Names of the evidence, in the order of weights.
pub(crate) const EVIDENCE: [&str; 14] = [
    "bias",
    "named",
    "named_otherwise",
    "named_harmless",
    "strong",
    "fair",
    "weak",
    "misfit",
    "checksum",
    "company",
    "narrow",
    "repeated",
    "named_misfit",
    "few",
];

/// The evidence of a case.
pub(crate) fn evidence(case: &Case<'_>) -> [f64; EVIDENCE.len()] {
    let Case { tally, column, .. } = case;
    let tested = f64::from(column.tested.max(1));
    let share = |count: u32| f64::from(count) / tested;
    let weight = tested.min(SATURATION).ln_1p() / SATURATION.ln_1p();
    let misfit = 1.0 - share(tally.whole());
    let narrow = match case.kind {
        Kind::DateOfBirth => tally.matched() >= SPREAD_FROM && tally.spread() < LEAST_YEARS,
        _ => column.is_narrow(),
    };
    let company = match case.kind {
        Kind::PostalAddress | Kind::PostalCode | Kind::City => {
            case.around.people || case.around.places
        }
        _ => case.around.people,
    };
    [
        1.0,
        case.name.max(0.0),
        case.otherwise.max(-case.name),
        f64::from(u8::from(case.thing.is_some())),
        share(tally.strong) * weight,
        share(tally.fair) * weight,
        share(tally.weak) * weight,
        misfit,
        checksum(case) / 4.0,
        f64::from(u8::from(company)),
        f64::from(u8::from(narrow)),
        column.repeated(),
        case.name.max(0.0) * misfit,
        1.0 - weight,
    ]
}

/// Log likelihood ratio of the checksum, 0 for kinds without one.
fn checksum(case: &Case<'_>) -> f64 {
    let Case { tally, chance, .. } = case;
    let checked = tally.passed + tally.failed;
    let (&Some(chance), true) = (chance, checked > 0) else {
        return 0.0;
    };
    let pass = (PASS_RATE / chance).ln();
    let fail = ((1.0 - PASS_RATE) / (1.0 - chance)).ln();
    let share = |count: u32| f64::from(count) / f64::from(checked);
    let each = share(tally.passed) * pass + share(tally.failed) * fail;
    let (least, most) = CHECKSUM_RANGE;
    let witnesses = if case.dated {
        tally.variety().min(checked)
    } else {
        checked
    };
    (each * SATURATION.min(f64::from(witnesses))).clamp(least, most)
}

/// How sure it is that the whole column is of the kind; `None` when it is not.
pub(crate) fn whole(case: &Case<'_>) -> Option<f64> {
    if !is_eligible(case) {
        return None;
    }
    let weights = &WEIGHTS[case.kind as usize];
    let terms = evidence(case).into_iter().zip(weights);
    let odds: f64 = terms.map(|(value, weight)| value * weight).sum();
    let against = match case.kind {
        Kind::UsSsn if case.thing.is_some() => THING_NOT_PERSON,
        _ => 0.0,
    };
    Some(confidence(odds - against)).filter(|&confidence| confidence >= THRESHOLD)
}

/// Whether enough values fit for the whole column to be weighed at all.
pub(crate) fn is_eligible(case: &Case<'_>) -> bool {
    let values = case.tally.whole();
    let fits = f64::from(values) >= WHOLE_SHARE * f64::from(case.column.tested);
    values > 0 && fits && may_be_reported(case, values)
}

/// The bars that no weight moves.
fn may_be_reported(case: &Case<'_>, values: u32) -> bool {
    let facts = case.kind.facts();
    let named = case.name >= NAME_SUPPORT;
    let enough = values >= facts.least_values || named;
    let bar = match (case.kind, facts.unnamed) {
        // Sensors have places too, and any measure may be a number of degrees; a pair is telling.
        (Kind::Coordinates, _) => case.around.people && (named || case.tally.strong > 0),
        // Ids and hashes are as random as secrets, but do not begin as they do.
        (Kind::Secret, _) if case.thing == Some(Thing::Random) => {
            case.tally.strong + case.tally.within > 0
        }
        (_, Unnamed::Values) => named || !is_other_number(case),
        (_, Unnamed::Company) => named || case.around.people,
        (_, Unnamed::Never) => named,
    };
    enough && bar
}

/// Whether the values have the form of a number of people and are numbers of something else.
fn is_other_number(case: &Case<'_>) -> bool {
    let Case { tally, column, .. } = case;
    let failed = f64::from(tally.failed) / f64::from(tally.matched().max(1));
    let mistyped = failed <= 1.0 - PASS_RATE;
    let by_chance = case.chance.is_some_and(|chance| chance < WEAK_RULE) && checksum(case) < 0.0;
    let numbered = case.thing == Some(Thing::Numbered);
    let other = match case.kind {
        // Numbers of things take no care to be such as can have been issued; one person in seven has a zero in front.
        Kind::UsSsn => !mistyped || numbered || column.eights * 2 > column.tested,
        Kind::TaxId if case.thing.is_some() && !mistyped => true,
        Kind::NationalId | Kind::TaxId | Kind::HealthId => {
            let refuted = !case.dated && mistyped && tally.passed >= CLOCK_REFUTED;
            let clock = column.clock.ticks(column.tested) && !refuted;
            let book = column.books && case.kind == Kind::HealthId;
            clock || book || numbered || (case.dated && is_stamp(case))
        }
        Kind::MedicalProviderId | Kind::BankRouting | Kind::Imei => numbered,
        _ => false,
    };
    by_chance || other
}

/// Whether numbers that begin with a date go on with a time of day, or are of a few dates only, as those of orders.
fn is_stamp(case: &Case<'_>) -> bool {
    let (tested, seen) = (case.column.tested, case.tally.matched());
    let timed = tested >= STAMPS_FROM && case.column.clock.stamps == tested;
    let beginnings = case.tally.variety();
    timed || (beginnings < BEGINNINGS && beginnings * 4 < seen * 3)
}

/// Whether values of a kind are worth a word inside a column that is something else.
pub(crate) fn hides_in_others(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Email | Kind::CreditCard | Kind::Iban | Kind::Secret
    )
}

/// How sure it is that some values, `sure` of them, are or contain something of the kind.
pub(crate) fn partial(case: &Case<'_>, sure: u32) -> Option<f64> {
    let sparse = case.kind.facts().sparse.as_ref()?;
    let tested = f64::from(case.column.tested.max(1));
    let share = f64::from(sure) / tested;
    let bars = may_be_reported(case, sure);
    // Where most values fit as a whole, the weights have had their say.
    if is_eligible(case) || !bars || share <= sparse.accidents || share < sparse.least_share {
        return None;
    }
    // Strings of the form that pass no more often than chance are another kind of number.
    if checksum(case) < 0.0 {
        return None;
    }
    let missed = 1.0 - share;
    let mut each = share * (share / sparse.accidents).ln();
    if missed > 0.0 {
        each += missed * (missed / (1.0 - sparse.accidents)).ln();
    }
    let found = (tested * each - tested.ln_1p()).min(PARTIAL_CAP);
    let prevalence = 0.5 + 0.5 * (share / COMMON_SHARE).min(1.0);
    let odds = PARTIAL_PRIOR + PARTIAL_NAME * case.name + found;
    Some(confidence(odds) * prevalence).filter(|&confidence| confidence >= THRESHOLD)
}

fn confidence(odds: f64) -> f64 {
    (1.0 / (1.0 + (-odds).exp())).min(CERTAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Grade, Match};

    fn facts(tested: u32) -> ColumnFacts {
        let mut facts = ColumnFacts::default();
        (0..tested).for_each(|n| facts.add(&format!("{n:03}"), 1));
        facts
    }

    fn case<'a>(kind: Kind, tally: &'a Tally, column: &'a ColumnFacts, name: f64) -> Case<'a> {
        Case {
            kind,
            tally,
            chance: (kind == Kind::CreditCard).then_some(0.1),
            dated: false,
            name,
            otherwise: 0.0,
            thing: None,
            column,
            around: Surroundings::default(),
        }
    }

    fn cards(passed: u32, failed: u32, name: f64) -> Option<f64> {
        let mut tally = Tally::default();
        for index in 0..passed + failed {
            tally.add(Match::whole(Grade::Fair).checked(index < passed));
        }
        whole(&case(
            Kind::CreditCard,
            &tally,
            &facts(passed + failed),
            name,
        ))
    }

    #[test]
    fn checksums_count_above_chance_only() {
        assert!(cards(20, 0, 0.0).is_some());
        assert!(cards(19, 1, 0.0).is_some());
        assert!(cards(2, 18, 0.0).is_none(), "the rate of random digits");
        assert!(cards(8, 12, 0.0).is_none());
        assert!(cards(1, 0, 0.0).is_none(), "one lucky checksum");
        assert!(cards(2, 0, 0.0).is_none(), "two lucky checksums");
        assert!(cards(0, 20, -1.0).is_none());
    }

    #[test]
    fn no_values_no_finding() {
        assert_eq!(
            whole(&case(Kind::Email, &Tally::default(), &facts(0), 1.0)),
            None
        );
        assert_eq!(
            partial(&case(Kind::Email, &Tally::default(), &facts(0), 1.0), 0),
            None
        );
    }

    #[test]
    fn confidence_grows_with_the_share() {
        let confidence = |matched: u32| {
            let mut tally = Tally::default();
            for _ in 0..matched {
                tally.add(Match::within(Grade::Strong));
            }
            partial(&case(Kind::Email, &tally, &facts(100), 0.0), matched).unwrap_or(0.0)
        };
        assert!(confidence(1) < THRESHOLD);
        let shares = [5, 20, 50].map(confidence);
        assert!(
            shares.is_sorted() && shares[0] > THRESHOLD && shares[2] < 1.0,
            "{shares:?}"
        );
    }

    #[test]
    fn evidence_has_a_weight_for_every_kind() {
        assert_eq!(WEIGHTS.len(), crate::kinds::KINDS);
    }
}
