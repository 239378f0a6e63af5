//! What evidence is worth, per kind: the only place with such numbers.
//!
//! Each rate is an estimate of how often a value of a grade occurs in a column of the kind and in
//! another column that such a kind looks at. They are set by judgement so that the outcomes named in
//! the tests come out right, and wait for a labelled set to be fitted to; caps express how sure values
//! alone can make us, whatever their number.

/// Share of values of one grade.
#[derive(Debug)]
pub(crate) struct Rates {
    /// In columns of the kind.
    pub(crate) inside: f64,
    /// In other columns.
    pub(crate) elsewhere: f64,
}

impl Rates {
    /// Log-odds that one value of the grade adds.
    pub(crate) fn odds(&self) -> f64 {
        (self.inside / self.elsewhere).ln()
    }
}

/// What a checksum is worth.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Share of random strings of the form that pass.
    pub(crate) chance: f64,
    /// Most log-odds that failing may cost and passing may bring.
    pub(crate) floor: f64,
    pub(crate) cap: f64,
}

/// When some values of a column are reported.
#[derive(Debug)]
pub(crate) struct Sparse {
    /// Share of values in other columns that fit by accident.
    pub(crate) accidents: f64,
    /// Least share worth reporting.
    pub(crate) least_share: f64,
}

/// The constants of one kind.
#[derive(Debug)]
pub(crate) struct Calibration {
    /// Share of such columns among columns of tables.
    pub(crate) prior: f64,
    /// Log-odds of a header that names the kind.
    pub(crate) name_weight: f64,
    /// Log-odds of another column being about people.
    pub(crate) company: f64,
    pub(crate) strong: Rates,
    pub(crate) fair: Rates,
    pub(crate) weak: Rates,
    pub(crate) none: Rates,
    /// Most log-odds from the form of the values.
    pub(crate) cap: f64,
    /// Most log-odds that values of weak form may cost.
    pub(crate) weak_floor: f64,
    /// Distinct matching values without which the name must support the finding.
    pub(crate) least_values: u32,
    /// Least distance of buckets; narrower values never speak for the kind.
    pub(crate) least_spread: u32,
    pub(crate) checksum: Option<Checked>,
    pub(crate) sparse: Option<Sparse>,
}

impl Calibration {
    /// The prior in log-odds.
    pub(crate) fn prior_odds(&self) -> f64 {
        (self.prior / (1.0 - self.prior)).ln()
    }
}

/// A grade that says nothing, or does not occur.
const SILENT: Rates = rates(1.0, 1.0);

const fn rates(inside: f64, elsewhere: f64) -> Rates {
    Rates { inside, elsewhere }
}

const fn sparse(accidents: f64, least_share: f64) -> Option<Sparse> {
    Some(Sparse {
        accidents,
        least_share,
    })
}

/// Hardly anything else looks like an address with a known form of domain.
pub(crate) const EMAIL: Calibration = Calibration {
    prior: 0.02,
    name_weight: 5.0,
    company: 0.0,
    strong: rates(0.96, 0.0005),
    fair: SILENT,
    weak: SILENT,
    none: rates(0.02, 0.98),
    cap: 10.0,
    weak_floor: 0.0,
    least_values: 1,
    least_spread: 0,
    checksum: None,
    sparse: sparse(0.001, 0.0),
};

/// A scheme and a host are as clear; in prose a link here and there is not worth reporting.
pub(crate) const URL: Calibration = Calibration {
    prior: 0.03,
    strong: rates(0.95, 0.001),
    none: rates(0.03, 0.97),
    sparse: sparse(0.01, 0.1),
    ..EMAIL
};

/// Only digits: a plus sign or a national grouping helps, bare digits need the name.
pub(crate) const PHONE: Calibration = Calibration {
    prior: 0.02,
    name_weight: 5.0,
    company: 0.5,
    strong: rates(0.45, 0.005),
    fair: rates(0.25, 0.02),
    weak: rates(0.26, 0.25),
    none: rates(0.04, 0.72),
    cap: 6.5,
    weak_floor: 1.0,
    least_values: 3,
    least_spread: 0,
    checksum: None,
    sparse: sparse(0.01, 0.05),
};

/// Names look like other proper nouns: a given name beside a surname is clear, one known word helps,
/// capitals alone speak rather for a place or a product.
pub(crate) const PERSON_NAME: Calibration = Calibration {
    prior: 0.04,
    name_weight: 5.0,
    company: 0.5,
    strong: rates(0.40, 0.01),
    fair: rates(0.35, 0.07),
    weak: rates(0.20, 0.36),
    none: rates(0.05, 0.56),
    cap: 6.0,
    weak_floor: 1.5,
    least_values: 3,
    least_spread: 0,
    checksum: None,
    sparse: sparse(0.15, 0.2),
};

/// One in four long digit strings starts and ends like a card, one in ten of them passes Luhn.
pub(crate) const CREDIT_CARD: Calibration = Calibration {
    prior: 0.003,
    name_weight: 7.0,
    company: 0.0,
    strong: SILENT,
    fair: rates(0.95, 0.25),
    weak: SILENT,
    none: rates(0.05, 0.75),
    cap: 2.5,
    weak_floor: 0.0,
    least_values: 4,
    least_spread: 0,
    checksum: Some(Checked {
        chance: 0.1,
        floor: 3.0,
        cap: 10.0,
    }),
    sparse: sparse(0.01, 0.02),
};

/// Country, exact length and two check digits, of which one random string in 97 has the right ones.
pub(crate) const IBAN: Calibration = Calibration {
    prior: 0.002,
    name_weight: 6.0,
    company: 0.0,
    strong: rates(0.97, 0.001),
    fair: SILENT,
    weak: SILENT,
    none: rates(0.03, 0.999),
    cap: 5.0,
    weak_floor: 0.0,
    least_values: 2,
    least_spread: 0,
    checksum: Some(Checked {
        chance: 1.0 / 97.0,
        floor: 4.0,
        cap: 9.0,
    }),
    sparse: sparse(0.0005, 0.0),
};

/// No checksum: nine of ten random numbers obey the rules, so dashes or the name must speak.
pub(crate) const US_SSN: Calibration = Calibration {
    prior: 0.002,
    name_weight: 7.0,
    company: 0.5,
    strong: SILENT,
    fair: rates(0.90, 0.005),
    weak: rates(0.08, 0.08),
    none: rates(0.03, 0.90),
    cap: 7.0,
    weak_floor: 0.5,
    least_values: 3,
    least_spread: 0,
    checksum: None,
    sparse: sparse(0.003, 0.02),
};

/// Weak are four small numbers, which versions have too.
pub(crate) const IP_ADDRESS: Calibration = Calibration {
    prior: 0.01,
    name_weight: 5.5,
    company: 0.0,
    strong: rates(0.75, 0.002),
    fair: rates(0.15, 0.01),
    weak: rates(0.05, 0.10),
    none: rates(0.05, 0.89),
    cap: 9.0,
    weak_floor: 0.2,
    least_values: 2,
    least_spread: 0,
    checksum: None,
    sparse: sparse(0.005, 0.05),
};

/// Any date could be one: the name, or people in the table and years like theirs. Strong are years
/// of today's adults.
pub(crate) const DATE_OF_BIRTH: Calibration = Calibration {
    prior: 0.007,
    name_weight: 6.0,
    company: 1.5,
    strong: rates(0.80, 0.30),
    fair: SILENT,
    weak: rates(0.15, 0.40),
    none: rates(0.05, 0.60),
    cap: 4.0,
    weak_floor: 0.5,
    least_values: 5,
    least_spread: 15,
    checksum: None,
    sparse: None,
};

/// A number beside a word for a street.
pub(crate) const POSTAL_ADDRESS: Calibration = Calibration {
    prior: 0.015,
    name_weight: 5.0,
    company: 0.5,
    strong: rates(0.70, 0.005),
    fair: rates(0.15, 0.02),
    weak: rates(0.10, 0.10),
    none: rates(0.05, 0.875),
    cap: 7.0,
    weak_floor: 1.0,
    least_values: 3,
    least_spread: 0,
    checksum: None,
    sparse: sparse(0.02, 0.1),
};
