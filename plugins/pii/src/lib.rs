//! `boathouse/pii`: finds columns that hold personal data.
//!
//! Every column is read once. Each kind of data ([`kinds`]) looks at each sampled value and says how
//! well it fits ([`tally`]); the tokens of the column's name say how much the name speaks for the
//! kind ([`header`]); [`fusion`] adds both up in log-odds and decides. After that, kinds that seldom
//! stand alone (a date of birth, an address) are decided again in the light of their neighbours.
//!
//! ```text
//! name ──> header ──────────────┐
//! values ──> value ──> kinds ──> tally ──> fusion ──> finding
//! ```
//!
//! Invariants: a finding never contains a value or a part of one; a column without values has no
//! findings; nothing is reported below [`THRESHOLD`]; at most one finding per column and kind, in
//! the order of columns and of kinds. Nothing depends on time, chance or earlier calls.

mod column;
mod fold;
mod fusion;
mod header;
mod kinds;
mod tally;
mod value;

use boathouse_sdk::pii::{Finding, Table};
use boathouse_sdk::{Description, Error, Extra, Pii};

use crate::column::Reading;

pub use crate::fusion::THRESHOLD;

/// The bundled personal-data detector.
pub struct Detector;

impl Pii for Detector {
    fn describe() -> Description {
        Description::new(
            "boathouse/pii",
            env!("CARGO_PKG_VERSION"),
            "Finds columns with personal data by weighing their names against their values.",
        )
        .reads(["name", "declared_type", "values"])
    }

    fn detect(table: &Table) -> Result<Vec<Finding>, Error> {
        Ok(findings(table))
    }
}

boathouse_sdk::export_pii!(Detector);

/// Decides every column of a table.
fn findings(table: &Table) -> Vec<Finding> {
    let readings: Vec<Reading> = table.columns.iter().map(Reading::of).collect();
    let personal: Vec<bool> = readings.iter().map(Reading::is_about_people).collect();
    let people = personal.iter().filter(|&&column| column).count();
    let mut findings = Vec::new();
    for (index, reading) in readings.iter().enumerate() {
        let company = people > usize::from(personal[index]);
        let Ok(column) = u32::try_from(index) else {
            break;
        };
        findings.extend(reading.judgements(company).map(|judgement| Finding {
            column,
            kind: judgement.kind.to_owned(),
            country: judgement.country.map(|country| country.to_string()),
            scope: judgement.scope,
            confidence: judgement.confidence,
            evidence: judgement.evidence,
            extra: Extra::new(),
        }));
    }
    findings
}

#[cfg(test)]
mod tests;
