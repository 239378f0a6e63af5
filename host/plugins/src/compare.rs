//! What differs between two answers to one question: the version that serves against a version beside it.
//!
//! Pure functions over answers that are already checked; nothing here calls a plugin. A difference is
//! told in the terms in which the host uses an answer: which trial would win, which are feasible, which
//! columns would be flagged, which configuration would be tried. Reasons are words for people and never
//! make two answers different.

use std::{cmp::Ordering, collections::BTreeMap, time::Duration};

use boathouse_types::{Finding, Proposal, Scope, TableSample, Trial, Verdict};
use serde::{Deserialize, Serialize};

/// Two scorings of one journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScoringDifference {
    /// Trials that both scored.
    pub trials: u64,
    /// Rank correlation of the scores, -1 to 1: Kendall's tau-b. None where it is not defined, which is
    /// with fewer than two trials, or when one side gives all of them the same score.
    pub kendall_tau: Option<f64>,
    /// Both would choose the same trial.
    pub same_winner: bool,
    /// Position of the trial that the active version chooses; none in an empty journal.
    pub winner_active: Option<u32>,
    /// Position of the trial that the shadow chooses.
    pub winner_shadow: Option<u32>,
    /// Positions of trials that one side finds feasible and the other does not.
    pub feasibility_changed: Vec<u32>,
}

impl ScoringDifference {
    /// Whether the host would act in the same way on either.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.same_winner
            && self.feasibility_changed.is_empty()
            && self.kendall_tau.is_none_or(|tau| tau == 1.0)
    }
}

/// Two detections in one table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FindingsDifference {
    /// Findings that both have alike.
    pub same: u64,
    /// Findings of the shadow alone.
    pub added: Vec<Found>,
    /// Findings of the active version alone.
    pub lost: Vec<Found>,
    /// Findings of both that say different things of the same column and kind.
    pub changed: Vec<ChangedFinding>,
}

impl FindingsDifference {
    /// Whether the host would flag the same on either.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.added.is_empty() && self.lost.is_empty() && self.changed.is_empty()
    }
}

/// A finding by the name of its column; it holds no value of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Found {
    /// Name of the column.
    pub column: String,
    /// Entity kind.
    pub kind: String,
    /// What is said of it.
    #[serde(flatten)]
    pub says: Says,
}

/// One column and kind on which two versions differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChangedFinding {
    /// Name of the column.
    pub column: String,
    /// Entity kind.
    pub kind: String,
    /// What the active version says.
    pub active: Says,
    /// What the shadow says.
    pub shadow: Says,
}

/// What a finding says beside its column and kind. How it came to it, the evidence, is not compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Says {
    /// Country, where the kind has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// How much of the column.
    pub scope: Scope,
    /// In 0..=1.
    pub confidence: f64,
}

impl Says {
    fn of(finding: &Finding) -> Self {
        Self {
            country: finding.country.clone(),
            scope: finding.scope,
            confidence: finding.confidence,
        }
    }
}

/// A proposal as people and programs read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Proposed {
    /// Try this.
    Configuration {
        /// One value per knob, in the order of the knobs.
        settings: Vec<u32>,
        /// Why.
        reason: String,
    },
    /// Nothing is left to try.
    Exhausted {
        /// Why.
        reason: String,
    },
}

impl Proposed {
    /// The proposed values; none when nothing is left to try.
    #[must_use]
    pub fn settings(&self) -> Option<&[u32]> {
        match self {
            Self::Configuration { settings, .. } => Some(settings),
            Self::Exhausted { .. } => None,
        }
    }
}

impl From<&Proposal> for Proposed {
    fn from(proposal: &Proposal) -> Self {
        match proposal {
            Proposal::Configuration { settings, reason } => Self::Configuration {
                settings: settings.clone(),
                reason: reason.clone(),
            },
            Proposal::Exhausted(reason) => Self::Exhausted {
                reason: reason.clone(),
            },
        }
    }
}

/// Two proposals for one journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProposalDifference {
    /// Both would have the same configuration tried, or both nothing.
    pub equal: bool,
    /// What the active version proposes.
    pub active: Proposed,
    /// What the shadow proposes.
    pub shadow: Proposed,
}

/// How long some calls took, by the nearest rank.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Latency {
    /// Calls that were timed.
    pub calls: u64,
    /// Median in microseconds; 0 without calls.
    pub p50_us: u64,
    /// 95th percentile in microseconds; 0 without calls.
    pub p95_us: u64,
}

impl Latency {
    /// The figures of some calls, in any order.
    #[must_use]
    pub fn of(took: &[Duration]) -> Self {
        let mut sorted = took.to_vec();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            let took = rank.checked_sub(1).and_then(|rank| sorted.get(rank));
            took.map_or(0, |took| {
                u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
            })
        };
        Self {
            calls: sorted.len() as u64,
            p50_us: at(50),
            p95_us: at(95),
        }
    }
}

/// Compares two scorings of `trials`. Trials that either side left out are not compared.
///
/// The winner is who has the scorer's word: the highest score of the feasible, or of all where none is;
/// then the lower p95; then the earlier.
#[must_use]
pub fn compare_verdicts(
    trials: &[Trial],
    active: &[Verdict],
    shadow: &[Verdict],
) -> ScoringDifference {
    let count = trials.len().min(active.len()).min(shadow.len());
    let (active, shadow) = (&active[..count], &shadow[..count]);
    let winner_active = winner(trials, active);
    let winner_shadow = winner(trials, shadow);
    let changed = (0_u32..).zip(active.iter().zip(shadow));
    ScoringDifference {
        trials: count as u64,
        kendall_tau: kendall_tau(&scores(active), &scores(shadow)),
        same_winner: winner_active == winner_shadow,
        winner_active,
        winner_shadow,
        feasibility_changed: changed
            .filter(|(_, (active, shadow))| active.feasible != shadow.feasible)
            .map(|(at, _)| at)
            .collect(),
    }
}

/// Compares what two versions found in one table, by column and kind.
#[must_use]
pub fn compare_findings(
    table: &TableSample,
    active: &[Finding],
    shadow: &[Finding],
) -> FindingsDifference {
    let (active, mut shadow) = (by_place(active), by_place(shadow));
    let mut difference = FindingsDifference::default();
    for (place, finding) in active {
        let active = Says::of(finding);
        match shadow.remove(&place).map(Says::of) {
            None => difference.lost.push(found(table, finding)),
            Some(shadow) if shadow == active => difference.same += 1,
            Some(shadow) => difference.changed.push(ChangedFinding {
                column: column_name(table, finding),
                kind: finding.kind.clone(),
                active,
                shadow,
            }),
        }
    }
    let added = shadow.into_values();
    difference.added = added.map(|finding| found(table, finding)).collect();
    difference
}

/// Compares two proposals.
#[must_use]
pub fn compare_proposals(active: &Proposal, shadow: &Proposal) -> ProposalDifference {
    ProposalDifference {
        equal: match (active, shadow) {
            (
                Proposal::Configuration { settings, .. },
                Proposal::Configuration {
                    settings: others, ..
                },
            ) => settings == others,
            (Proposal::Exhausted(_), Proposal::Exhausted(_)) => true,
            _ => false,
        },
        active: active.into(),
        shadow: shadow.into(),
    }
}

/// Kendall's rank correlation of paired values, none of them NaN; ties count half on either side.
///
/// This is tau-b: (C - D) / sqrt((n0 - n1) (n0 - n2)) with C concordant and D discordant pairs, n0 all
/// pairs, n1 and n2 the pairs tied in the first and in the second (M. G. Kendall, "The treatment of ties
/// in ranking problems", Biometrika 33, 1945). Discordant pairs are the exchanges of a merge sort, so it
/// takes n log n steps (W. R. Knight, "A computer method for calculating Kendall's tau with ungrouped
/// data", JASA 61, 1966). None where the denominator is 0.
#[must_use]
pub fn kendall_tau(first: &[f64], second: &[f64]) -> Option<f64> {
    let mut pairs: Vec<(f64, f64)> = first.iter().copied().zip(second.iter().copied()).collect();
    pairs.sort_by(|a, b| order(a.0, b.0).then_with(|| order(a.1, b.1)));
    let all = pairs_of(pairs.len() as u64);
    let tied_first = tied(&pairs, |a, b| order(a.0, b.0).is_eq());
    let tied_both = tied(&pairs, |a, b| a.partial_cmp(b) == Some(Ordering::Equal));
    let mut values: Vec<f64> = pairs.iter().map(|pair| pair.1).collect();
    let discordant = sort_counting(&mut values);
    let tied_second = tied(&values, |a, b| order(*a, *b).is_eq());
    let (rest_first, rest_second) = (all - tied_first, all - tied_second);
    if rest_first == 0 || rest_second == 0 {
        return None;
    }
    let concordant = all + tied_both - tied_first - tied_second - discordant;
    // One root of the product: exact where both sides have the same ties, so that equal orders give 1.
    let scale = (rest_first as f64 * rest_second as f64).sqrt();
    Some(((concordant as f64 - discordant as f64) / scale).clamp(-1.0, 1.0))
}

/// The order of two numbers; 0 and -0 are the same one.
fn order(a: f64, b: f64) -> Ordering {
    (a + 0.0).total_cmp(&(b + 0.0))
}

fn pairs_of(count: u64) -> u64 {
    count * count.saturating_sub(1) / 2
}

/// Pairs of neighbours in sorted values that are the same.
fn tied<T>(sorted: &[T], same: impl Fn(&T, &T) -> bool) -> u64 {
    sorted
        .chunk_by(same)
        .map(|run| pairs_of(run.len() as u64))
        .sum()
}

/// Sorts by merging and counts how many pairs stood in the wrong order.
fn sort_counting(values: &mut [f64]) -> u64 {
    let middle = values.len() / 2;
    if middle == 0 {
        return 0;
    }
    let (left, right) = values.split_at_mut(middle);
    let mut exchanges = sort_counting(left) + sort_counting(right);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut at, mut other) = (0, 0);
    while at < left.len() && other < right.len() {
        if order(right[other], left[at]).is_lt() {
            exchanges += (left.len() - at) as u64;
            merged.push(right[other]);
            other += 1;
        } else {
            merged.push(left[at]);
            at += 1;
        }
    }
    merged.extend_from_slice(&left[at..]);
    merged.extend_from_slice(&right[other..]);
    values.copy_from_slice(&merged);
    exchanges
}

fn scores(verdicts: &[Verdict]) -> Vec<f64> {
    verdicts.iter().map(|verdict| verdict.score).collect()
}

fn winner(trials: &[Trial], verdicts: &[Verdict]) -> Option<u32> {
    let any = verdicts.iter().any(|verdict| verdict.feasible);
    let p95 = |at: usize| trials[at].metrics.search_latency_p95_us;
    (0..verdicts.len())
        .filter(|&at| verdicts[at].feasible || !any)
        .min_by(|&a, &b| {
            verdicts[b]
                .score
                .total_cmp(&verdicts[a].score)
                .then_with(|| p95(a).total_cmp(&p95(b)))
        })
        .and_then(|at| u32::try_from(at).ok())
}

fn by_place(findings: &[Finding]) -> BTreeMap<(u32, &str), &Finding> {
    findings
        .iter()
        .map(|finding| ((finding.column, finding.kind.as_str()), finding))
        .collect()
}

fn found(table: &TableSample, finding: &Finding) -> Found {
    Found {
        column: column_name(table, finding),
        kind: finding.kind.clone(),
        says: Says::of(finding),
    }
}

fn column_name(table: &TableSample, finding: &Finding) -> String {
    let known = table.columns.get(finding.column as usize);
    known.map_or_else(
        || format!("column {}", finding.column),
        |column| column.name.clone(),
    )
}

#[cfg(test)]
mod tests;
