//! Evaluation sets that follow an index to a new base.
//!
//! When a tail is merged, each set that knew the old base is carried over: its queries stay, its truth is updated
//! from the rows that are new, gone or moved. A set that cannot be carried over stays as it is; it is for vectors
//! that are no more then, which whoever uses it notices, and the default set is made anew.

use boathouse_tuning::{EvalSetName, TuningError};
use tokio_util::sync::CancellationToken;

use crate::indexes::LiveIndex;

/// Carries all evaluation sets over from one base to the next. `rows` tells for each vector of the base before
/// where it is now.
pub(crate) async fn follow(
    before: &LiveIndex,
    after: &LiveIndex,
    rows: &[Option<u32>],
    cancel: &CancellationToken,
) {
    let index = &before.meta.name;
    let names = match before.tuner.eval_sets().list().await {
        Ok(names) => names,
        Err(error) => {
            tracing::warn!(%index, %error, "evaluation sets do not follow the new base: they cannot be listed");
            return;
        }
    };
    for name in names {
        if let Err(error) = carry(before, after, &name, rows, cancel).await {
            tracing::warn!(%index, set = %name, %error, "an evaluation set does not follow the new base");
        }
    }
}

async fn carry(
    before: &LiveIndex,
    after: &LiveIndex,
    name: &EvalSetName,
    rows: &[Option<u32>],
    cancel: &CancellationToken,
) -> Result<(), TuningError> {
    let set = before.tuner.eval_sets().load(name).await?;
    if set.data_version != before.data.data_version {
        return Ok(());
    }
    let updated = set.updated(&after.data, rows, cancel).await?;
    after.tuner.eval_sets().save(&updated).await
}
