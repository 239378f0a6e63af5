//! One column, read once: a tally per kind and what its name says to each.
//!
//! The declared type decides which kinds look at all: a boolean or a float is never personal data
//! here, an integer may be a phone number, a date may be a birthday.

use boathouse_sdk::pii::{Column, Evidence, Scope};

use crate::fusion::{self, Surroundings};
use crate::header::Header;
use crate::kinds::{self, Country, Kind};
use crate::tally::Tally;
use crate::value::Value;

/// What a declared type lets a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    /// Character data, and every type that is not known here.
    Text,
    /// Whole numbers, and decimals, which some databases use for long ones.
    Integer,
    /// Dates and timestamps.
    Temporal,
    /// Nothing that could be personal data by itself.
    Harmless,
}

impl Declared {
    /// Reads Arrow's name of a type.
    fn parse(name: &str) -> Self {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if name.contains("Utf8") {
            Self::Text
        } else if starts(&["Int", "UInt", "Decimal"]) && !name.starts_with("Interval") {
            Self::Integer
        } else if starts(&["Date", "Timestamp"]) {
            Self::Temporal
        } else if starts(&["Bool", "Float", "Time", "Duration", "Interval", "Null"]) {
            Self::Harmless
        } else {
            Self::Text
        }
    }
}

/// A decision on one column and kind.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) kind: &'static str,
    pub(crate) country: Option<Country>,
    pub(crate) scope: Scope,
    pub(crate) confidence: f64,
    pub(crate) evidence: Evidence,
}

/// A column after its one pass: what every kind that may look at it has seen.
pub(crate) struct Reading {
    candidates: Vec<Candidate>,
    tested: u32,
}

struct Candidate {
    kind: &'static Kind,
    tally: Tally,
    name: f64,
}

impl Reading {
    /// Reads a column: every value once, blank ones and placeholders left out.
    pub(crate) fn of(column: &Column) -> Self {
        let declared = Declared::parse(&column.declared_type);
        let header = Header::parse(&column.name);
        let kinds = kinds::ALL
            .iter()
            .filter(|kind| kind.types.contains(&declared));
        let mut candidates: Vec<Candidate> = kinds
            .map(|&kind| Candidate {
                kind,
                tally: Tally::default(),
                name: header.evidence(kind.terms),
            })
            .collect();
        let mut tested = 0;
        if !candidates.is_empty() {
            for value in column.values().filter_map(|(text, _)| Value::new(text)) {
                tested += 1;
                for Candidate { kind, tally, .. } in &mut candidates {
                    if let Some(found) = (kind.inspect)(&value) {
                        tally.add(found);
                    }
                }
            }
        }
        Self { candidates, tested }
    }

    /// Whether the column, on its own, holds data that tells people apart.
    pub(crate) fn is_about_people(&self) -> bool {
        let mut personal = self
            .candidates
            .iter()
            .filter(|candidate| candidate.kind.of_people);
        personal.any(|candidate| self.judge(candidate, false).is_some())
    }

    /// The decisions on this column; `company` says that another column is about people.
    pub(crate) fn judgements(&self, company: bool) -> impl Iterator<Item = Judgement> {
        let candidates = self.candidates.iter();
        candidates.filter_map(move |candidate| self.judge(candidate, company))
    }

    fn judge(&self, candidate: &Candidate, company: bool) -> Option<Judgement> {
        let Candidate { kind, tally, name } = candidate;
        let surroundings = Surroundings {
            tested: self.tested,
            name: *name,
            company,
        };
        let verdict = fusion::decide(tally, surroundings, kind.calibration)?;
        Some(Judgement {
            kind: kind.name,
            country: tally.country(),
            scope: verdict.scope,
            confidence: verdict.confidence,
            evidence: Evidence {
                tested: self.tested,
                matched: tally.matched(),
                checksum_passed: tally.passed,
                name_evidence: name.max(0.0),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_open_or_close_the_door() {
        let check = |name: &str, expected: Declared| {
            assert_eq!(Declared::parse(name), expected, "{name}");
        };
        check("Utf8", Declared::Text);
        check("LargeUtf8", Declared::Text);
        check("Dictionary(Int32, Utf8)", Declared::Text);
        check("Int64", Declared::Integer);
        check("Decimal128(38, 0)", Declared::Integer);
        check("Date32", Declared::Temporal);
        check("Timestamp(Microsecond, None)", Declared::Temporal);
        check("Interval(DayTime)", Declared::Harmless);
        check("Time64(Nanosecond)", Declared::Harmless);
        check("Boolean", Declared::Harmless);
        check("Float64", Declared::Harmless);
        check("citext", Declared::Text);
        check("", Declared::Text);
    }
}
