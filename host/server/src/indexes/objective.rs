//! What the owner of an index wants of it: checked before it is kept, and changed while the index serves.
//!
//! Bounds have to make sense by themselves. What weights there are only the scoring plugin knows that serves the index:
//! it is put an empty question with them, and declines in its own words what it does not take. A plugin that gives no
//! answer for another reason (too busy, suspended, broken) keeps nobody from an index; it says so when it scores.
//!
//! Another objective changes nothing that serves. Trials are judged by the new one from then on, those of before too,
//! as the journal keeps what was measured and not what was thought of it.

use boathouse_types::{IndexName, JudgementCause, Objective, PluginKind};

use super::{IndexMeta, IndexView, append::check_at_rest};
use crate::{app::App, plugins::Place, problem::Problem};

/// Checks an objective of an index, which need not exist yet.
///
/// # Errors
/// 422 `out_of_bounds` for a bound that cannot be kept, `objective_declined` when the scoring plugin does not take it.
pub(super) async fn check(
    app: &App,
    name: &IndexName,
    objective: &Objective,
) -> Result<(), Problem> {
    if let Some(fault) = fault(objective) {
        return Err(Problem::field("objective", "out_of_bounds", fault));
    }
    if objective.weights.is_empty() {
        return Ok(());
    }
    let place = Place::Index(name.clone());
    let scorer = app.plugins.judge(PluginKind::Scoring, place);
    match scorer.takes(objective).await {
        Err(error) if error.cause == JudgementCause::Declined => Err(Problem::field(
            "objective",
            "objective_declined",
            format!("the scoring plugin does not take it: {error}"),
        )),
        Err(error) => {
            tracing::warn!(index = %name, %error, "nobody could say whether the weights of the objective are known");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// What is wrong with the bounds of an objective; none where they can be kept.
fn fault(objective: &Objective) -> Option<&'static str> {
    let is_time = |us: f64| us.is_finite() && us > 0.0;
    if !(0.0..=1.0).contains(&objective.recall_floor) {
        Some("recall_floor must be 0 to 1")
    } else if !objective.p95_budget_us.is_none_or(is_time) {
        Some("p95_budget_us must be greater than 0; leave it out for no budget")
    } else if objective.memory_cap_bytes == Some(0) {
        Some("memory_cap_bytes must be at least 1; leave it out for no cap")
    } else {
        None
    }
}

/// Replaces the objective of an index.
///
/// # Errors
/// As [`check`]; 404; 409 when the index is being moved or was changed by somebody else; or the bucket fails.
pub(crate) async fn set(app: &App, name: &str, objective: Objective) -> Result<IndexView, Problem> {
    let index = app.indexes.get(name)?;
    check_at_rest(&index)?;
    check(app, &index.meta.name, &objective).await?;
    let change = |meta: &IndexMeta| {
        Some(IndexMeta {
            objective,
            ..meta.clone()
        })
    };
    Ok(app.indexes.commit(&index, change).await?.view())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_cannot_be_kept_are_named() {
        assert_eq!(fault(&Objective::default()), None);
        type Change = fn(&mut Objective);
        let wrong: [(&str, Change); 6] = [
            ("recall_floor", |o| o.recall_floor = 1.01),
            ("recall_floor", |o| o.recall_floor = f64::NAN),
            ("p95_budget_us", |o| o.p95_budget_us = Some(0.0)),
            ("p95_budget_us", |o| o.p95_budget_us = Some(-1.0)),
            ("p95_budget_us", |o| o.p95_budget_us = Some(f64::INFINITY)),
            ("memory_cap_bytes", |o| o.memory_cap_bytes = Some(0)),
        ];
        for (named, change) in wrong {
            let mut objective = Objective::default();
            change(&mut objective);
            let said = fault(&objective).unwrap();
            assert!(said.starts_with(named), "{said}");
        }
        let tight = Objective {
            recall_floor: 1.0,
            p95_budget_us: Some(0.5),
            memory_cap_bytes: Some(1),
            ..Objective::default()
        };
        assert_eq!(fault(&tight), None);
    }
}
