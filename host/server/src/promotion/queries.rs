//! What a challenger and a champion are asked: recent queries of clients, filled up from the evaluation set.
//!
//! As many as an evaluation set has by default are wanted, so that the interval of recall is as narrow as that of the
//! trial. Where clients have asked less, queries of the evaluation set join until there are as many; how many are live
//! is told. While clients ask something else than the set does, and as much, it does not join: who finds what the set asks
//! would hide there that he does not find what they ask. Exact answers for live queries are found here, some at a time, for
//! the base that both graphs lead to.

use std::sync::Arc;

use boathouse_tuning::{EvalSet, EvalSetName, EvalSource, EvalSpec, Evaluation, Pause};
use tokio_util::sync::CancellationToken;

use crate::{app::App, indexes::LiveIndex, live, problem::Problem, tune};

/// Live queries whose exact answers are found between two pauses.
const SLICE: usize = 32;

/// Queries with their exact answers.
pub(super) struct Asked {
    pub(super) evaluation: Arc<Evaluation>,
    /// How many of them came from clients.
    pub(super) live: usize,
}

/// Gathers the queries for the base of an index.
///
/// # Errors
/// 422 when the index is too small for an evaluation set; 409 when the work was cancelled; the bucket's failure.
pub(super) async fn gather(
    app: &App,
    index: &LiveIndex,
    pause: Pause<'_>,
    cancel: &CancellationToken,
) -> Result<Asked, Problem> {
    let set = tune::default_set(app, index, cancel, || {}).await?;
    let mut queries = Vec::new();
    for some in live::recent_queries(index).chunks(SLICE) {
        pause().await;
        let spec = EvalSpec {
            k: set.k,
            seed: set.seed,
            source: EvalSource::Given(some.to_vec()),
        };
        let name = EvalSetName::new(tune::LIVE_SET)?;
        let made = EvalSet::make(name, &index.data, spec, cancel).await?;
        queries.extend(made.queries);
    }
    let live = queries.len();
    let wanted = match live::has_drifted(index) && live >= set.queries.len().min(live::CAPACITY) {
        true => live,
        false => set.queries.len().max(live::CAPACITY),
    };
    queries.extend(
        set.queries
            .iter()
            .take(wanted.saturating_sub(live))
            .cloned(),
    );
    let asked = EvalSet { queries, ..set };
    Ok(Asked {
        evaluation: Evaluation::prepare(&index.data, asked, cancel).await?,
        live,
    })
}
