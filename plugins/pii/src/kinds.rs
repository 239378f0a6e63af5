//! The kinds of personal data, one file a family, and the vocabulary that they share.
//!
//! A kind is a row of facts: its name in findings, what its columns show of a table, how much it takes
//! to report it. An *entity* is what is counted: a kind as a whole, or one of its fixed forms with its
//! own country (`crate::forms`). Functions that look at a value judge form only; how much a form means
//! is said in `crate::fusion`.

pub(crate) mod address;
pub(crate) mod birth;
pub(crate) mod documents;
pub(crate) mod internet;
pub(crate) mod payment;
pub(crate) mod person;
pub(crate) mod phone;
pub(crate) mod place;
pub(crate) mod secret;
pub(crate) mod wallet;

use std::fmt;

/// A kind of personal data, in the order of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Email,
    Phone,
    PersonName,
    CreditCard,
    Iban,
    UsSsn,
    NationalId,
    TaxId,
    HealthId,
    MedicalProviderId,
    Passport,
    DriverLicense,
    BankAccount,
    BankRouting,
    CryptoWallet,
    Secret,
    IpAddress,
    MacAddress,
    Url,
    Imei,
    Vin,
    DateOfBirth,
    PostalAddress,
    PostalCode,
    City,
    Coordinates,
}

/// Number of kinds.
pub(crate) const KINDS: usize = Kind::Coordinates as usize + 1;

/// What holds of a kind.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    /// Its name in findings, in snake_case.
    pub(crate) name: &'static str,
    /// A column of it shows what the table is about.
    pub(crate) shows: Shows,
    /// Distinct matching values without which the header must support the finding.
    pub(crate) least_values: u32,
    /// What it takes when the header does not name it.
    pub(crate) unnamed: Unnamed,
    /// When some values of a column are reported.
    pub(crate) sparse: Option<Sparse>,
    /// Share of random strings of its form that pass its checksum, where it has one.
    pub(crate) chance: Option<f64>,
}

impl Facts {
    const fn with_chance(mut self, chance: f64) -> Self {
        self.chance = Some(chance);
        self
    }
}

/// What a column says about its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    Nothing,
    /// The rows are people.
    People,
    /// The rows are somewhere.
    Places,
}

/// What a kind needs when the header does not name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// Its values suffice.
    Values,
    /// Its values, when other columns are about people.
    Company,
    /// It is never reported: anything has this form.
    Never,
}

/// When some values of a column are reported.
#[derive(Debug)]
pub(crate) struct Sparse {
    /// Share of values in other columns that fit by accident.
    pub(crate) accidents: f64,
    /// Least share worth reporting.
    pub(crate) least_share: f64,
}

const fn sparse(accidents: f64, least_share: f64) -> Option<Sparse> {
    Some(Sparse {
        accidents,
        least_share,
    })
}

const fn facts(
    kind: Kind,
    name: &'static str,
    shows: Shows,
    least_values: u32,
    unnamed: Unnamed,
    sparse: Option<Sparse>,
) -> Facts {
    Facts {
        kind,
        name,
        shows,
        least_values,
        unnamed,
        sparse,
        chance: None,
    }
}

use Shows::{Nothing, People, Places};
use Unnamed::{Company, Never, Values};

/// The facts of every kind, in the order of [`Kind`].
#[rustfmt::skip]
static FACTS: [Facts; KINDS] = [
    facts(Kind::Email, "email", People, 1, Values, sparse(0.001, 0.0)),
    facts(Kind::Phone, "phone", People, 3, Values, sparse(0.01, 0.05)),
    facts(Kind::PersonName, "person_name", People, 3, Values, sparse(0.15, 0.2)),
    facts(Kind::CreditCard, "credit_card", People, 4, Values, sparse(0.01, 0.02)).with_chance(0.1),
    facts(Kind::Iban, "iban", People, 2, Values, sparse(0.0005, 0.0)).with_chance(1.0 / 97.0),
    facts(Kind::UsSsn, "us_ssn", People, 3, Values, sparse(0.003, 0.02)),
    facts(Kind::NationalId, "national_id", People, 3, Values, sparse(0.003, 0.02)),
    facts(Kind::TaxId, "tax_id", People, 3, Values, None),
    facts(Kind::HealthId, "health_id", People, 3, Values, sparse(0.003, 0.02)),
    facts(Kind::MedicalProviderId, "medical_provider_id", Nothing, 4, Values, None),
    facts(Kind::Passport, "passport", People, 1, Never, None),
    facts(Kind::DriverLicense, "driver_license", People, 3, Values, None),
    facts(Kind::BankAccount, "bank_account", People, 1, Never, None),
    facts(Kind::BankRouting, "bank_routing", Nothing, 4, Values, None),
    facts(Kind::CryptoWallet, "crypto_wallet", Nothing, 1, Values, sparse(0.0005, 0.0)).with_chance(0.001),
    facts(Kind::Secret, "secret", Nothing, 1, Values, sparse(0.0005, 0.0)),
    facts(Kind::IpAddress, "ip_address", Nothing, 2, Values, sparse(0.005, 0.05)),
    facts(Kind::MacAddress, "mac_address", Nothing, 2, Values, sparse(0.001, 0.02)),
    facts(Kind::Url, "url", Nothing, 1, Values, sparse(0.01, 0.1)),
    facts(Kind::Imei, "imei", Nothing, 4, Values, None),
    facts(Kind::Vin, "vin", Nothing, 3, Values, sparse(0.001, 0.02)),
    facts(Kind::DateOfBirth, "date_of_birth", Nothing, 5, Company, None),
    facts(Kind::PostalAddress, "postal_address", Places, 3, Values, sparse(0.02, 0.1)),
    facts(Kind::PostalCode, "postal_code", Places, 4, Values, None),
    facts(Kind::City, "city", Places, 4, Values, None),
    facts(Kind::Coordinates, "coordinates", Nothing, 3, Company, None),
];

impl Kind {
    /// Every kind, in order.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        FACTS.iter().map(|facts| facts.kind)
    }

    /// The kind at a place in the order of findings.
    pub(crate) fn at(index: usize) -> Self {
        FACTS[index].kind
    }

    /// What holds of it.
    pub(crate) fn facts(self) -> &'static Facts {
        &FACTS[self as usize]
    }
}

/// How well a value fits a kind by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// Many other things look like this.
    Weak,
    /// Some other things look like this.
    Fair,
    /// Hardly anything else looks like this.
    Strong,
}

/// Whether the whole value fits or a piece of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    Within,
}

/// What a kind's rule or checksum said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// The kind has none.
    Absent,
    Passed,
    Failed,
}

/// ISO 3166-1 alpha-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Country([u8; 2]);

impl Country {
    /// Two capital letters, else `None`.
    pub(crate) fn new(code: &str) -> Option<Self> {
        let bytes: [u8; 2] = code.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(u8::is_ascii_uppercase)
            .then_some(Self(bytes))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.0.map(char::from);
        write!(f, "{first}{second}")
    }
}

/// A value that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) grade: Grade,
    pub(crate) extent: Extent,
    pub(crate) checksum: Checksum,
    pub(crate) country: Option<Country>,
    /// Coarse position in 0..128 for kinds whose values must spread, such as a year.
    pub(crate) bucket: u8,
}

impl Match {
    /// The whole value fits.
    pub(crate) const fn whole(grade: Grade) -> Self {
        Self {
            grade,
            extent: Extent::Whole,
            checksum: Checksum::Absent,
            country: None,
            bucket: 0,
        }
    }

    /// A piece of the value fits.
    pub(crate) const fn within(grade: Grade) -> Self {
        Self {
            extent: Extent::Within,
            ..Self::whole(grade)
        }
    }

    /// The same with the result of a checksum.
    pub(crate) const fn checked(mut self, passed: bool) -> Self {
        self.checksum = if passed {
            Checksum::Passed
        } else {
            Checksum::Failed
        };
        self
    }

    /// The same with a country.
    pub(crate) const fn in_country(mut self, country: Country) -> Self {
        self.country = Some(country);
        self
    }

    /// The same in a bucket.
    pub(crate) const fn in_bucket(mut self, bucket: u8) -> Self {
        self.bucket = bucket;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_in_the_order_of_kinds() {
        for (index, facts) in FACTS.iter().enumerate() {
            assert_eq!(facts.kind as usize, index, "{}", facts.name);
        }
    }
}
