//! The kinds of personal data, one file a family, and the vocabulary that they share.
//!
//! A kind is a table row: its name, the declared types it may hide in, the words of a header that
//! speak for or against it, a function that looks at one value, and its calibration. A function
//! that looks at a value judges form only; how much a form means is said in [`crate::fusion`].

mod address;
mod birth;
mod internet;
mod national_id;
mod payment;
mod person;
mod phone;

use std::fmt;

use crate::column::Declared;
use crate::fusion::Calibration;
use crate::header::Terms;
use crate::value::Value;

/// One kind of personal data.
pub(crate) struct Kind {
    /// Its name in findings, in snake_case.
    pub(crate) name: &'static str,
    /// Declared types that can hold it.
    pub(crate) types: &'static [Declared],
    /// What headers say about it.
    pub(crate) terms: &'static Terms,
    /// Looks at one value.
    pub(crate) inspect: fn(&Value<'_>) -> Option<Match>,
    /// What its evidence is worth.
    pub(crate) calibration: &'static Calibration,
    /// A column of it shows that the table is about people.
    pub(crate) of_people: bool,
}

/// Every kind, in the order of findings.
pub(crate) static ALL: [&Kind; 10] = [
    &internet::EMAIL,
    &phone::PHONE,
    &person::PERSON_NAME,
    &payment::CREDIT_CARD,
    &payment::IBAN,
    &national_id::US_SSN,
    &internet::IP_ADDRESS,
    &internet::URL,
    &birth::DATE_OF_BIRTH,
    &address::POSTAL_ADDRESS,
];

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

/// What a kind's checksum said.
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
