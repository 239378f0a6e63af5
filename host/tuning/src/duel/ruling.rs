//! What follows from the evidence of a duel.

use serde::Serialize;

use super::Evidence;

/// Fewest queries on which one may be found better than the other.
const MIN_QUERIES: u64 = 30;

/// What a duel ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Ruling {
    /// The challenger is to serve.
    Promote {
        /// Why.
        reason: String,
    },
    /// The champion serves on.
    Refuse {
        /// Why, each on its own.
        reasons: Vec<String>,
    },
}

/// Decides by the evidence alone.
pub(super) fn rule(evidence: &Evidence) -> Ruling {
    let queries = evidence.queries;
    if let Some(why) = &evidence.challenger.shortfall {
        return refuse(format!(
            "it misses the objective on {queries} queries: {why}"
        ));
    }
    if queries < MIN_QUERIES {
        return refuse(format!(
            "{queries} queries cannot tell which is better, at least {MIN_QUERIES} are needed"
        ));
    }
    let Some(score) = &evidence.score else {
        return refuse("another scoring plugin took over while the two were judged: ask again");
    };
    let (by, gain, (low, high)) = (
        &score.by,
        score.gain,
        (score.interval.low, score.interval.high),
    );
    if let Some(why) = &score.infeasible {
        return refuse(format!("{by} finds it infeasible: {why}"));
    }
    if let Some(why) = &evidence.sure_shortfall {
        let reason =
            format!("on {queries} queries it meets the objective and what serves does not: {why}");
        return Ruling::Promote { reason };
    }
    let sure = format!("{low:+.5} to {high:+.5} with 95 % confidence");
    match low > 0.0 {
        true => Ruling::Promote {
            reason: format!("its score by {by} is higher by {gain:.5} ({sure})"),
        },
        false => refuse(format!(
            "its score by {by} differs by {gain:+.5} ({sure}), which is not surely better"
        )),
    }
}

fn refuse(reason: impl Into<String>) -> Ruling {
    Ruling::Refuse {
        reasons: vec![reason.into()],
    }
}
