//! A guest's answers, which are untrusted until they are converted here.
//!
//! The type [`Untrusted`] has no way to its content but the checked conversions below, so no other
//! module can forget a check. An answer is taken whole or refused whole. Over-long texts are refused;
//! control characters in texts become spaces, since they end up in journals and on terminals.

use std::collections::HashSet;

use boathouse_types::{
    Evidence, Finding, Knob, PluginKind, PluginRef, Proposal, Scope, TableSample, Verdict,
};

use crate::{
    Declined, Limits, PluginDescription,
    bindings::{pii, proposer, scoring, types},
};

/// What a guest returned, not yet looked at.
pub(crate) struct Untrusted<T>(T);

/// The rule of the contract that an answer breaks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flaw(pub(crate) String);

macro_rules! flaw {
    ($($text:tt)*) => { Err(Flaw(format!($($text)*))) };
}

impl<T> Untrusted<T> {
    /// Marks what a guest returned.
    pub(crate) fn new(returned: T) -> Self {
        Self(returned)
    }
}

/// What a plugin says of itself, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) identity: PluginRef,
    pub(crate) kind: PluginKind,
    pub(crate) summary: String,
    pub(crate) reads: Vec<String>,
    pub(crate) deterministic: bool,
}

impl Described {
    /// What it says for people.
    pub(crate) fn claims(&self) -> PluginDescription {
        PluginDescription {
            summary: self.summary.clone(),
            reads: self.reads.clone(),
            deterministic: self.deterministic,
        }
    }
}

impl Untrusted<types::Description> {
    pub(crate) fn describes(self, limits: &Limits) -> Result<Described, Flaw> {
        let said = self.0;
        let name = bounded(said.name, "name", limits.name_bytes)?;
        if !is_plugin_name(&name) {
            return flaw!(
                "the name `{name}` is not `team/name`, both parts of lower-case letters, digits and hyphens"
            );
        }
        let version = bounded(said.version, "version", limits.name_bytes)?;
        if let Err(error) = semver::Version::parse(&version) {
            return flaw!("the version `{version}` is not a semantic version: {error}");
        }
        few(said.reads.len(), "inputs that it reads", limits.reads_items)?;
        Ok(Described {
            identity: PluginRef { name, version },
            kind: match said.kind {
                types::PluginKind::Proposer => PluginKind::Proposer,
                types::PluginKind::Scoring => PluginKind::Scoring,
                types::PluginKind::Pii => PluginKind::Pii,
            },
            summary: bounded(said.summary, "summary", limits.text_bytes)?,
            reads: said
                .reads
                .into_iter()
                .map(|input| bounded(input, "name of an input", limits.name_bytes))
                .collect::<Result<_, _>>()?,
            deterministic: said.deterministic,
        })
    }
}

impl Untrusted<types::Error> {
    /// A declared error; its text is cut rather than refused, for it is the only explanation there is.
    pub(crate) fn declined(self, limits: &Limits) -> (Declined, String) {
        let (why, text) = match self.0 {
            types::Error::InvalidInput(text) => (Declined::InvalidInput, text),
            types::Error::Unsupported(text) => (Declined::Unsupported, text),
            types::Error::Other(text) => (Declined::Other, text),
        };
        let most = usize::try_from(limits.text_bytes).unwrap_or(usize::MAX);
        let cut = text.floor_char_boundary(most);
        (why, harmless(&text[..cut]))
    }
}

impl Untrusted<scoring::Verdicts> {
    /// One verdict per trial, `asked` in all, none of them NaN. Infinite scores become the greatest
    /// finite ones, which rank the same and can be written as JSON.
    pub(crate) fn verdicts(self, asked: usize, limits: &Limits) -> Result<Vec<Verdict>, Flaw> {
        let said = self.0;
        few(said.feasible.len(), "verdicts", limits.result_items)?;
        let lengths = [
            ("feasible", said.feasible.len()),
            ("front", said.front.len()),
            ("score", said.score.len()),
        ];
        for (list, length) in lengths {
            if length != asked {
                return flaw!("`{list}` has {length} entries for {asked} trials");
            }
        }
        if !said.reasons.is_empty() && said.reasons.len() != asked {
            return flaw!(
                "`reasons` has {} entries for {asked} trials",
                said.reasons.len()
            );
        }
        let mut reasons = said.reasons.into_iter();
        let rows = said.feasible.into_iter().zip(said.front).zip(said.score);
        rows.enumerate()
            .map(|(row, ((feasible, front), score))| {
                if score.is_nan() {
                    return flaw!("the score of trial {row} is NaN");
                }
                let reason = reasons
                    .next()
                    .map(|text| bounded(text, "reason", limits.text_bytes))
                    .transpose()?;
                Ok(Verdict {
                    feasible,
                    front,
                    score: score.clamp(f64::MIN, f64::MAX),
                    reason: reason.filter(|text| !text.is_empty()),
                })
            })
            .collect()
    }
}

impl Untrusted<proposer::Proposal> {
    /// A configuration with one allowed value per knob, or the reason why there is none left.
    pub(crate) fn proposal(self, knobs: &[Knob], limits: &Limits) -> Result<Proposal, Flaw> {
        let configuration = match self.0 {
            proposer::Proposal::Configuration(configuration) => configuration,
            proposer::Proposal::Exhausted(why) => {
                return bounded(why, "reason", limits.text_bytes).map(Proposal::Exhausted);
            }
        };
        let settings = configuration.settings;
        if settings.len() != knobs.len() {
            return flaw!(
                "it proposes {} values for {} knobs",
                settings.len(),
                knobs.len()
            );
        }
        for (knob, value) in knobs.iter().zip(&settings) {
            if !knob.allows(*value) {
                return flaw!(
                    "it proposes {} = {value}, allowed are {} to {} in steps of {}",
                    knob.name,
                    knob.min,
                    knob.max,
                    knob.step
                );
            }
        }
        Ok(Proposal::Configuration {
            settings,
            reason: bounded(configuration.reason, "reason", limits.text_bytes)?,
        })
    }
}

impl Untrusted<Vec<pii::Finding>> {
    /// Findings on columns of the table, at most one per column and kind, every number in its range.
    pub(crate) fn findings(
        self,
        table: &TableShape,
        limits: &Limits,
    ) -> Result<Vec<Finding>, Flaw> {
        few(self.0.len(), "findings", limits.result_items)?;
        let mut seen = HashSet::new();
        self.0
            .into_iter()
            .map(|said| {
                let finding = finding(said, table, limits)?;
                if !seen.insert((finding.column, finding.kind.clone())) {
                    return flaw!(
                        "it found `{}` twice in column {}",
                        finding.kind,
                        finding.column
                    );
                }
                Ok(finding)
            })
            .collect()
    }
}

/// What findings are held against: the number of sampled values of each column.
#[derive(Debug, Clone)]
pub(crate) struct TableShape(Vec<u64>);

impl TableShape {
    pub(crate) fn of(sample: &TableSample) -> Self {
        Self(
            sample
                .columns
                .iter()
                .map(|c| c.values.len() as u64)
                .collect(),
        )
    }
}

fn finding(said: pii::Finding, table: &TableShape, limits: &Limits) -> Result<Finding, Flaw> {
    let sampled = usize::try_from(said.column)
        .ok()
        .and_then(|column| table.0.get(column));
    let Some(sampled) = sampled else {
        return flaw!(
            "it found something in column {} of a table with {} columns",
            said.column,
            table.0.len()
        );
    };
    let kind = bounded(said.kind, "entity kind", limits.name_bytes)?;
    if !is_snake_case(&kind) {
        return flaw!("an entity kind is not in snake_case");
    }
    // Neither is quoted: what is no kind and no country may be a value.
    if said
        .country
        .as_deref()
        .is_some_and(|country| !is_country(country))
    {
        let column = said.column;
        return flaw!("a country in column {column} is not an ISO 3166-1 alpha-2 code");
    }
    let evidence = said.evidence;
    if u64::from(evidence.tested) > *sampled
        || evidence.matched > evidence.tested
        || evidence.checksum_passed > evidence.matched
    {
        return flaw!(
            "the evidence for `{kind}` in column {} contradicts itself: {} sampled, {} tested, {} matched, {} passed",
            said.column,
            sampled,
            evidence.tested,
            evidence.matched,
            evidence.checksum_passed
        );
    }
    Ok(Finding {
        column: said.column,
        country: said.country,
        scope: match said.scope {
            pii::Scope::WholeColumn => Scope::WholeColumn,
            pii::Scope::SomeValues => Scope::SomeValues,
        },
        confidence: share(said.confidence, "confidence", &kind)?,
        evidence: Evidence {
            tested: evidence.tested,
            matched: evidence.matched,
            checksum_passed: evidence.checksum_passed,
            name_evidence: share(evidence.name_evidence, "name evidence", &kind)?,
        },
        kind,
    })
}

/// A number in 0..=1.
fn share(value: f64, what: &str, kind: &str) -> Result<f64, Flaw> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    flaw!("the {what} of `{kind}` is {value}, outside 0 to 1")
}

fn few(count: usize, what: &str, most: u32) -> Result<(), Flaw> {
    if u32::try_from(count).is_ok_and(|count| count <= most) {
        return Ok(());
    }
    flaw!("it gave {count} {what}, {most} are the most")
}

fn bounded(text: String, what: &str, most: u32) -> Result<String, Flaw> {
    if u32::try_from(text.len()).is_ok_and(|length| length <= most) {
        return Ok(harmless(&text));
    }
    flaw!("its {what} has {} bytes, {most} are the most", text.len())
}

fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn is_plugin_name(name: &str) -> bool {
    let part = |part: &str| {
        part.bytes().next().is_some_and(|b| b != b'-')
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.split_once('/')
        .is_some_and(|(team, plugin)| part(team) && part(plugin))
}

fn is_snake_case(kind: &str) -> bool {
    kind.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && kind
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests;
