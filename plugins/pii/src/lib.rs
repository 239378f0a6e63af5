//! `boathouse/pii`: finds columns that hold personal data.
//!
//! Every column is read once. Each kind of data ([`kinds`]) and each fixed form of a number ([`forms`])
//! looks at each sampled value and says how well it fits ([`tally`]); the tokens of the column's name say
//! what it is called ([`header`]); [`fusion`] adds both up in log-odds and decides. After that, all columns
//! are decided again in the light of their neighbours.
//!
//! ```text
//! name ──> header ─────────────────────┐
//! values ──> value ──> kinds, forms ──> tally ──> fusion ──> finding
//! ```
//!
//! Invariants: a finding never contains a value or a part of one; a column without values has no
//! findings; nothing is reported below [`THRESHOLD`]; at most one finding per column and kind, in
//! the order of columns and of kinds, and one kind at most for the whole of a column. Nothing depends on
//! time, chance or earlier calls.

mod check;
mod column;
mod eight;
mod fold;
mod forms;
mod fusion;
mod header;
mod kinds;
mod lexicon;
mod tally;
mod value;

use boathouse_sdk::pii::{Finding, Table};
use boathouse_sdk::{Description, Error, Extra, Pii};

use crate::column::{Reading, Shared};
use crate::fusion::Surroundings;
use crate::kinds::Shows;

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
        .reads(["name", "declared_type", "values", "counts"])
    }

    fn detect(table: &Table) -> Result<Vec<Finding>, Error> {
        Ok(findings(table))
    }
}

boathouse_sdk::export_pii!(Detector);

/// Decides every column of a table.
fn findings(table: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, (reading, around)) in read(table).into_iter().enumerate() {
        let Ok(column) = u32::try_from(index) else {
            break;
        };
        let judgements = reading.judgements(around).into_iter();
        findings.extend(judgements.map(|judgement| Finding {
            column,
            kind: judgement.kind.facts().name.to_owned(),
            country: judgement.country.map(|country| country.to_string()),
            scope: judgement.scope,
            confidence: judgement.confidence,
            evidence: judgement.evidence,
            extra: Extra::new(),
        }));
    }
    findings
}

/// Reads every column, and says of each what the others are about.
fn read(table: &Table) -> Vec<(Reading, Surroundings)> {
    let shared = Shared::new();
    let readings: Vec<Reading> = table
        .columns
        .iter()
        .map(|column| Reading::of(column, &shared))
        .collect();
    let shows: Vec<Shows> = readings.iter().map(Reading::shows).collect();
    let beside = |index: usize, what: Shows| {
        let mut others = shows
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        others.any(|(_, shows)| *shows == what)
    };
    let around = |index: usize| Surroundings {
        people: beside(index, Shows::People),
        places: beside(index, Shows::Places),
    };
    let around: Vec<Surroundings> = (0..readings.len()).map(around).collect();
    readings.into_iter().zip(around).collect()
}

/// Evidence for one kind in one column, as the fitting of weights needs it.
#[derive(Debug)]
pub struct Weighed {
    /// Position of the column.
    pub column: usize,
    /// The kind's name.
    pub kind: &'static str,
    /// What speaks for and against it, in the order of [`evidence_names`].
    pub evidence: Vec<f64>,
}

/// Names of the evidence that weights are given to.
#[must_use]
pub fn evidence_names() -> &'static [&'static str] {
    &fusion::EVIDENCE
}

/// Names of all kinds, in the order of findings.
pub fn kind_names() -> impl Iterator<Item = &'static str> {
    kinds::Kind::all().map(|kind| kind.facts().name)
}

/// The evidence for every kind that a whole column of a table could be; what tools fit weights to.
#[must_use]
pub fn weigh(table: &Table) -> Vec<Weighed> {
    let mut weighed = Vec::new();
    for (column, (reading, around)) in read(table).into_iter().enumerate() {
        for candidate in &reading.candidates {
            let case = reading.case(candidate, around);
            if !fusion::is_eligible(&case) {
                continue;
            }
            weighed.push(Weighed {
                column,
                kind: candidate.kind.facts().name,
                evidence: fusion::evidence(&case).to_vec(),
            });
        }
    }
    weighed
}

#[cfg(test)]
mod tests;
