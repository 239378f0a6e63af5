//! Evaluation sets that follow an index to a new base.
//!
//! When a tail is merged, each set that knew the old base is carried over: its queries stay, its truth is updated
//! from the rows that are new, gone or moved. That is computed before the new base serves and stored right before it
//! does, both under the turn of the old one: whoever gets the turn of the new base finds sets that know it. A set that
//! cannot be carried over stays as it is; it is for vectors that are no more then, which whoever uses it notices, and
//! the default set is made anew.

use boathouse_tuning::{EvalSet, EvalSetName, IndexData, TuningError};
use tokio_util::sync::CancellationToken;

use crate::indexes::LiveIndex;

/// All evaluation sets of an index as they are for its next base; nothing is stored yet. `rows` tells for each vector
/// of the base before where it is in `next`.
pub(crate) async fn carried(
    index: &LiveIndex,
    next: &IndexData,
    rows: &[Option<u32>],
    cancel: &CancellationToken,
) -> Vec<EvalSet> {
    let name = &index.meta.name;
    let names = match index.tuner.eval_sets().list().await {
        Ok(names) => names,
        Err(error) => {
            tracing::warn!(index = %name, %error, "evaluation sets do not follow the new base: they cannot be listed");
            return Vec::new();
        }
    };
    let mut sets = Vec::with_capacity(names.len());
    for set in names {
        match carry(index, next, &set, rows, cancel).await {
            Ok(carried) => sets.extend(carried),
            Err(error) => stays_behind(index, &set, &error),
        }
    }
    sets
}

/// None for a set that is of an earlier base already.
async fn carry(
    index: &LiveIndex,
    next: &IndexData,
    name: &EvalSetName,
    rows: &[Option<u32>],
    cancel: &CancellationToken,
) -> Result<Option<EvalSet>, TuningError> {
    let set = index.tuner.eval_sets().load(name).await?;
    match set.data_version == index.data.data_version {
        true => set.updated(next, rows, cancel).await.map(Some),
        false => Ok(None),
    }
}

/// Stores sets that were carried over.
pub(crate) async fn follow(index: &LiveIndex, sets: &[EvalSet]) {
    for set in sets {
        if let Err(error) = index.tuner.eval_sets().save(set).await {
            stays_behind(index, &set.name, &error);
        }
    }
}

fn stays_behind(index: &LiveIndex, set: &EvalSetName, error: &TuningError) {
    let name = &index.meta.name;
    tracing::warn!(index = %name, %set, %error, "an evaluation set does not follow the new base");
}
