//! Putting a table in order: rows into its indexes, small files together, old versions away.
//!
//! The table is held meanwhile, so appends wait; what it takes is bounded by what came since the last time, as long as
//! nothing is learnt anew. The version that serves is tagged before old ones are looked at, and a tagged one is never
//! removed. Versions stay as long as `[lance]` says, for hosts that still read what was replaced.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use boathouse_lance_host::{Fold, Removed, Retention};
use boathouse_types::IndexName;
use serde_json::{Value, json};

use super::{
    FoldKind, LanceMeta, OptimizeWish, follow::changed, migrate::uncancelled, room::Seat, table_of,
    work::name_it,
};
use crate::{
    app::App,
    indexes::{LiveIndex, append::check_at_rest},
    problem::Problem,
    tasks::{TaskContext, TaskState, TaskView},
};

/// Kind of the task that does it.
const KIND: &str = "lance_optimize";
/// The tag of the version that serves.
const SERVING: &str = "serving";
/// Rows beside the index from which on they are taken in: a twentieth of what it covers, within bounds.
const BESIDE: (u64, u64) = (1_000, 10_000);
/// Versions after which files are put together and old versions looked at.
const VERSIONS: u64 = 64;
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Whether there is something to do that is worth it.
fn is_due(table: &LanceMeta, vectors: u64) -> bool {
    let beside = vectors.saturating_sub(table.covered);
    let bound = (table.covered / 20).clamp(BESIDE.0, BESIDE.1);
    let is_long = table.index.is_some() && beside > bound;
    is_long || table.version.saturating_sub(table.tidied) >= VERSIONS
}

/// Starts to put the table of an index in order, if that is due and nobody does so.
pub(crate) fn when_due(app: &Arc<App>, index: &Arc<LiveIndex>) {
    let Some(table) = &index.meta.lance else {
        return;
    };
    let name = index.meta.name.as_str();
    let is_at_it = |task: &TaskView| {
        let kinds = [KIND, super::work::KIND, super::migrate::KIND];
        task.subject == name
            && task.state == TaskState::Running
            && kinds.contains(&task.kind.as_str())
    };
    if is_due(table, index.vectors() as u64) && !app.tasks.list().iter().any(is_at_it) {
        let fold = FoldKind::Append;
        start(app, &index.meta.name, OptimizeWish { fold });
    }
}

/// Starts to put the table of an index in order.
///
/// # Errors
/// 404; 409 without a table or while the index is moved.
pub(crate) async fn start_optimize(
    app: &Arc<App>,
    name: &str,
    wish: OptimizeWish,
) -> Result<TaskView, Problem> {
    let index = app.indexes.get(name)?;
    check_at_rest(&index)?;
    table_of(&index)?;
    Ok(start(app, &index.meta.name, wish))
}

pub(super) fn start(app: &Arc<App>, name: &IndexName, wish: OptimizeWish) -> TaskView {
    let (worker, subject) = (Arc::clone(app), name.clone());
    app.tasks.start(KIND, name.as_str(), |task| async move {
        optimize(&worker, &subject, wish, &task).await
    })
}

async fn optimize(
    app: &App,
    name: &IndexName,
    wish: OptimizeWish,
    task: &TaskContext,
) -> Result<Value, Problem> {
    let index = app.indexes.in_step(name).await?;
    let path = table_of(&index)?.path.clone();
    let seat = app.indexes.lance.seat(index.bucket(), &path, None).await?;
    let _held = seat.hold().await;
    let index = app.indexes.in_step(name).await?;
    let named = table_of(&index)?.clone();
    if named.path != path {
        return Err(changed(&index));
    }
    seat.stand(named.version).await?;
    let rows = index.vectors() as u64;
    task.progress("taking rows in", 0, Some(rows), "vectors");
    let fold = match wish.fold {
        FoldKind::Append => Fold::Append,
        FoldKind::Merge => Fold::Merge,
        FoldKind::Retrain => Fold::Retrain,
    };
    uncancelled(task, seat.table.fold(fold)).await?;
    task.progress("putting files together", rows, Some(rows), "vectors");
    let version = uncancelled(task, seat.table.compact()).await?;
    // Another host may have written in between, which the manifest knows nothing of.
    if seat.table.now().rows().await? != rows {
        return Err(changed(&index));
    }
    let next = LanceMeta {
        version,
        covered: rows,
        tidied: version,
        ..named.clone()
    };
    let next = name_it(app, &index, named, next).await?;
    task.progress("removing old versions", rows, Some(rows), "vectors");
    let removed = clean_up(app, &seat, version).await?;
    Ok(json!({
        "table": next.meta.lance,
        "removed": {"versions": removed.versions, "files": removed.files, "bytes": removed.bytes},
    }))
}

async fn clean_up(app: &App, seat: &Seat, serving: u64) -> Result<Removed, Problem> {
    let config = app.indexes.lance.config();
    seat.table.tag(SERVING, serving).await?;
    let millis = u64::try_from(app.clock.now().millis()).unwrap_or_default();
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    let kept = HOUR * config.keep_hours;
    let retention = Retention {
        keep: NonZeroUsize::new(config.keep_versions).unwrap_or(NonZeroUsize::MIN),
        since: now.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH),
    };
    Ok(seat.table.clean_up(retention).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lance::LanceIndex;

    #[test]
    fn rows_are_taken_in_once_they_are_a_twentieth_of_the_index() {
        let table = |index, covered, version| LanceMeta {
            path: String::new(),
            version,
            index,
            covered,
            tidied: 10,
        };
        let index = Some(LanceIndex::DEFAULT);
        let due = |covered, vectors| is_due(&table(index, covered, 10), vectors);
        assert_eq!([due(500, 1_500), due(500, 1_501)], [false, true]);
        assert_eq!([due(40_000, 42_000), due(40_000, 42_001)], [false, true]);
        let many = 1_000_000;
        assert_eq!(
            [due(many, many + 10_000), due(many, many + 10_001)],
            [false, true]
        );
        // Documents that were deleted.
        assert!(!due(5_000, 10));
        assert!(!is_due(&table(None, 0, 10), many), "there is no index");
        let old = |version| is_due(&table(None, 0, version), 1);
        assert_eq!([old(73), old(74)], [false, true]);
    }
}
