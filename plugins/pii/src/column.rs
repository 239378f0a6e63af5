//! One column, read once: a tally per entity and what its name says to each.
//!
//! The declared type decides which kinds look at all: a boolean is never personal data here, an integer may
//! be a phone number, a date may be a birthday, a float a coordinate.

use boathouse_sdk::pii::{Column, Evidence, Scope};

use crate::forms::{self, Index, Reader};
use crate::fusion::{self, Case, Surroundings};
use crate::header::{Header, Naming, Vocabulary};
use crate::kinds::{self, Country, KINDS, Kind, Shows};
use crate::tally::{Tallies, Tally};
use crate::value::Value;

/// What a declared type lets a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    /// Character data, and every type that is not known here.
    Text,
    /// Whole numbers, and decimals, which some databases use for long ones.
    Integer,
    /// Numbers with a fraction.
    Decimal,
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
        } else if starts(&["Float"]) {
            Self::Decimal
        } else if starts(&["Date", "Timestamp"]) {
            Self::Temporal
        } else if starts(&["Bool", "Time", "Duration", "Interval", "Null"]) {
            Self::Harmless
        } else {
            Self::Text
        }
    }
}

/// What all columns of a call share.
pub(crate) struct Shared {
    forms: Index,
    vocabulary: Vocabulary,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            forms: Index::new(KINDS),
            vocabulary: Vocabulary::new(),
        }
    }
}

/// A decision on one column and kind.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) kind: Kind,
    pub(crate) country: Option<Country>,
    pub(crate) scope: Scope,
    pub(crate) confidence: f64,
    pub(crate) evidence: Evidence,
}

/// An entity that some values fit.
pub(crate) struct Candidate {
    pub(crate) kind: Kind,
    pub(crate) country: Option<Country>,
    pub(crate) tally: Tally,
    /// Share of random strings of the form that pass its rule, for forms.
    chance: Option<f64>,
    /// The rule asks for a date and nothing else, which is no checksum.
    dated: bool,
    /// What the header says to the kind, in -1..=1.
    name: f64,
}

/// A column after its one pass: what every entity that may look at it has seen.
pub(crate) struct Reading {
    pub(crate) candidates: Vec<Candidate>,
    facts: fusion::ColumnFacts,
    naming: Naming,
}

impl Reading {
    /// Reads a column: every value once, blank ones and placeholders left out.
    pub(crate) fn of(column: &Column, shared: &Shared) -> Self {
        let declared = Declared::parse(&column.declared_type);
        let naming = Header::parse(&column.name).naming(&shared.vocabulary);
        let mut tallies = Tallies::new(KINDS + forms::all().count());
        let mut facts = fusion::ColumnFacts::default();
        if declared != Declared::Harmless {
            let look = Look::new(declared, &naming);
            let mut reader = Reader::new(&shared.forms, declared);
            for (text, count) in column.values() {
                if let Some(value) = Value::new(text) {
                    facts.add(value.text, count);
                    look.at(&value, &mut reader, &mut tallies);
                }
            }
        }
        let candidates = tallies
            .into_seen()
            .map(|(entity, tally)| candidate(entity, tally, &naming));
        Self {
            candidates: candidates.collect(),
            facts,
            naming,
        }
    }

    /// What the column, on its own, shows of its table.
    pub(crate) fn shows(&self) -> Shows {
        let alone = Surroundings::default();
        let whole = self.whole(alone);
        whole.map_or(Shows::Nothing, |(candidate, _)| {
            candidate.kind.facts().shows
        })
    }

    /// The decisions on this column: the best kind for the whole of it, and those of some values.
    pub(crate) fn judgements(&self, around: Surroundings) -> Vec<Judgement> {
        let whole = self.whole(around);
        let winner = whole.as_ref().map(|(candidate, _)| candidate.kind);
        let mut found: Vec<Judgement> = whole
            .map(|(candidate, confidence)| {
                self.judgement(candidate, Scope::WholeColumn, confidence)
            })
            .into_iter()
            .collect();
        for candidate in &self.candidates {
            let kind = candidate.kind;
            let known = found.iter().any(|judgement| judgement.kind == kind);
            if known || (winner.is_some() && !fusion::hides_in_others(kind)) {
                continue;
            }
            let case = self.case(candidate, around);
            let sure = match winner {
                // What fits as a whole is what the column holds.
                Some(_) => candidate.tally.sure.min(candidate.tally.within),
                None => candidate.tally.sure,
            };
            if let Some(confidence) = fusion::partial(&case, sure) {
                found.push(self.judgement(candidate, Scope::SomeValues, confidence));
            }
        }
        found.sort_by_key(|judgement| judgement.kind as usize);
        found
    }

    fn whole(&self, around: Surroundings) -> Option<(&Candidate, f64)> {
        let scored = self.candidates.iter().filter_map(|candidate| {
            let confidence = fusion::whole(&self.case(candidate, around))?;
            Some((candidate, confidence))
        });
        scored.max_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// What is known of the column when it is taken for the kind of a candidate.
    pub(crate) fn case<'a>(&'a self, candidate: &'a Candidate, around: Surroundings) -> Case<'a> {
        Case {
            kind: candidate.kind,
            tally: &candidate.tally,
            chance: candidate.chance,
            dated: candidate.dated,
            name: candidate.name,
            otherwise: self.naming.otherwise(candidate.name),
            thing: self.naming.thing(),
            column: &self.facts,
            around,
        }
    }

    fn judgement(&self, candidate: &Candidate, scope: Scope, confidence: f64) -> Judgement {
        let Candidate { kind, tally, .. } = candidate;
        Judgement {
            kind: *kind,
            country: candidate.country.or_else(|| tally.country()),
            scope,
            confidence,
            evidence: Evidence {
                tested: self.facts.tested,
                matched: tally.matched(),
                checksum_passed: if candidate.dated { 0 } else { tally.passed },
                name_evidence: candidate.name.max(0.0),
            },
        }
    }
}

fn candidate(entity: usize, tally: Tally, naming: &Naming) -> Candidate {
    let form = entity
        .checked_sub(KINDS)
        .and_then(|at| forms::all().nth(at));
    let name = naming.of(entity);
    match form {
        Some(form) => Candidate {
            kind: form.kind,
            country: form.country(),
            chance: Some(form.chance),
            dated: form.dated.is_some(),
            name,
            tally,
        },
        None => Candidate {
            kind: Kind::at(entity),
            country: None,
            chance: Kind::at(entity).facts().chance,
            dated: false,
            name,
            tally,
        },
    }
}

/// Who looks at the values of a column.
struct Look {
    declared: Declared,
    passports: bool,
    licences: bool,
    accounts: bool,
}

impl Look {
    fn new(declared: Declared, naming: &Naming) -> Self {
        let named = |kind: Kind| naming.of(kind as usize) > 0.0;
        Self {
            declared,
            passports: named(Kind::Passport),
            licences: named(Kind::DriverLicense),
            accounts: named(Kind::BankAccount),
        }
    }

    fn at(&self, value: &Value<'_>, forms: &mut Reader<'_>, tallies: &mut Tallies) {
        match self.declared {
            Declared::Text => text(value, tallies),
            Declared::Integer => digits(value, tallies),
            Declared::Decimal => {
                tallies.add_if(Kind::Coordinates as usize, kinds::place::coordinates(value));
                return;
            }
            Declared::Temporal | Declared::Harmless => {
                tallies.add_if(
                    Kind::DateOfBirth as usize,
                    kinds::birth::date_of_birth(value),
                );
                return;
            }
        }
        forms.read(value, tallies);
        use kinds::documents;
        if self.passports {
            tallies.add_if(Kind::Passport as usize, documents::passport(value));
        }
        if self.licences {
            let found = documents::driver_license(value);
            tallies.add_if(Kind::DriverLicense as usize, found);
        }
        if self.accounts {
            tallies.add_if(Kind::BankAccount as usize, documents::bank_account(value));
        }
    }
}

/// What bare digits can be.
fn digits(value: &Value<'_>, tallies: &mut Tallies) {
    use kinds::{birth, payment, phone};
    tallies.add_if(Kind::Phone as usize, phone::phone(value));
    tallies.add_if(Kind::CreditCard as usize, payment::credit_card(value));
    tallies.add_if(Kind::DateOfBirth as usize, birth::date_of_birth(value));
}

/// What characters can be. Those without digits are words.
fn text(value: &Value<'_>, tallies: &mut Tallies) {
    use kinds::{address, internet, payment, person, place, secret, wallet};
    tallies.add_if(Kind::Email as usize, internet::email(value));
    tallies.add_if(Kind::PersonName as usize, person::person_name(value));
    tallies.add_if(Kind::PostalAddress as usize, address::postal_address(value));
    tallies.add_if(Kind::Url as usize, internet::url(value));
    tallies.add_if(Kind::IpAddress as usize, internet::ip_address(value));
    tallies.add_if(Kind::MacAddress as usize, internet::mac_address(value));
    tallies.add_if(Kind::Secret as usize, secret::secret(value));
    if value.digits() == 0 {
        tallies.add_if(Kind::City as usize, place::city(value));
        return;
    }
    digits(value, tallies);
    tallies.add_if(Kind::Iban as usize, payment::iban(value));
    tallies.add_if(Kind::CryptoWallet as usize, wallet::crypto_wallet(value));
    tallies.add_if(Kind::Coordinates as usize, place::coordinates(value));
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
        check("Float64", Declared::Decimal);
        check("citext", Declared::Text);
        check("", Declared::Text);
    }
}
