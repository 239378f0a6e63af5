//! The index over the vectors of a table, and its figures.
//!
//! An index is built over the table as it is, for as long as that takes, while rows come and go; then the table is held for
//! the moment in which the index becomes part of it and the manifest names that version. Rows that came meanwhile are
//! searched beside it.

use std::sync::Arc;

use boathouse_lance_host::{Kind, Stats};
use boathouse_types::{IndexName, VectorBackend};
use serde_json::{Value, json};

use super::{
    IndexWish, LanceIndex, LanceIndexStats, LanceMeta, LanceStats, follow::changed,
    migrate::uncancelled, table_of,
};
use crate::{
    app::App,
    indexes::{IndexMeta, LiveIndex, append::check_at_rest},
    problem::Problem,
    tasks::{TaskContext, TaskView},
};

/// Kind of the task that builds an index of a table.
pub(super) const KIND: &str = "lance_index";

impl LanceIndex {
    /// What a table gets when nobody says anything.
    pub(super) const DEFAULT: Self = Self::IvfPq {
        partitions: None,
        sub_vectors: None,
    };
}

/// An index as Lance is told of it.
pub(super) fn kind_of(index: LanceIndex) -> Kind {
    match index {
        LanceIndex::IvfPq {
            partitions,
            sub_vectors,
        } => Kind::IvfPq {
            partitions,
            sub_vectors,
        },
        LanceIndex::IvfHnswSq {
            partitions,
            m,
            ef_construction,
        } => Kind::IvfHnswSq {
            partitions,
            m,
            ef_construction,
        },
    }
}

/// Starts to build the index over the vectors of a table.
///
/// # Errors
/// 404; 409 without a table or while the index is moved; 422 for settings that cannot be, and for fewer rows than the index
/// learns from.
pub(crate) async fn start_index(
    app: &Arc<App>,
    name: &str,
    wish: IndexWish,
) -> Result<TaskView, Problem> {
    let index = app.indexes.get(name)?;
    check_at_rest(&index)?;
    let (table, wanted) = (table_of(&index)?, wish.index()?);
    // Before there is a task: what cannot be built is refused at once.
    let seat = app.indexes.lance.seat(index.bucket(), &table.path, None);
    seat.await?.table.check(kind_of(wanted)).await?;
    let (worker, name) = (Arc::clone(app), index.meta.name.clone());
    Ok(app
        .tasks
        .start(KIND, index.meta.name.as_str(), |task| async move {
            build(&worker, &name, wanted, &task).await
        }))
}

/// Builds the index over the vectors of a table; searches use it when this returns.
///
/// # Errors
/// As [`start_index`]; 409 when the table became another one meanwhile.
pub(super) async fn build(
    app: &App,
    name: &IndexName,
    wanted: LanceIndex,
    task: &TaskContext,
) -> Result<Value, Problem> {
    let room = &app.indexes.lance;
    let index = app.indexes.in_step(name).await?;
    let named = table_of(&index)?.clone();
    let seat = room.seat(index.bucket(), &named.path, None).await?;
    {
        // What a crash left in it must not be indexed.
        let _held = seat.hold().await;
        let index = app.indexes.in_step(name).await?;
        seat.stand(table_of(&index)?.version).await?;
    }
    let rows = seat.table.now().rows().await?;
    task.progress("building the index", 0, Some(rows), "vectors");
    let built = uncancelled(task, seat.table.build(kind_of(wanted))).await?;
    task.progress("installing the index", rows, Some(rows), "vectors");
    let _held = seat.hold().await;
    let index = app.indexes.in_step(name).await?;
    let named = match &index.meta.lance {
        Some(now) if now.path == named.path => now.clone(),
        _ => return Err(changed(&index)),
    };
    let stood = seat.stand(named.version).await?;
    let version = seat.table.install(built).await?;
    if version != stood + 1 {
        return Err(changed(&index));
    }
    let next = LanceMeta {
        version,
        index: Some(wanted),
        covered: rows,
        ..named.clone()
    };
    let next = name_it(app, &index, named, next).await?;
    let stats = seat.table.now().stats().await?;
    Ok(json!({"table": next.meta.lance, "stats": view(&next, stats)?}))
}

/// Commits another version of a table, in the place of the one that is named.
pub(super) async fn name_it(
    app: &App,
    index: &LiveIndex,
    named: LanceMeta,
    next: LanceMeta,
) -> Result<Arc<LiveIndex>, Problem> {
    let commit = app.indexes.commit(index, |now| {
        (now.lance.as_ref() == Some(&named)).then(|| IndexMeta {
            lance: Some(next),
            ..now.clone()
        })
    });
    commit.await
}

/// Figures of the table of an index.
///
/// # Errors
/// 409 without a table; the bucket's failure.
pub(crate) async fn stats(app: &App, index: &LiveIndex) -> Result<LanceStats, Problem> {
    let table = table_of(index)?;
    let snapshot = app.indexes.lance.snapshot(index.bucket(), table).await?;
    view(index, snapshot.stats().await?)
}

fn view(index: &LiveIndex, stats: Stats) -> Result<LanceStats, Problem> {
    let table = table_of(index)?;
    let indexes = stats.indexes.into_iter().map(|one| LanceIndexStats {
        name: one.name,
        kind: one.kind,
        parts: one.parts,
        rows: one.rows,
        bytes: one.bytes,
    });
    Ok(LanceStats {
        path: table.path.clone(),
        serves: index.meta.vector_backend == VectorBackend::Lance,
        version: stats.version,
        versions: stats.versions,
        rows: stats.rows,
        deleted_rows: stats.deleted_rows,
        unindexed_rows: stats.unindexed_rows,
        fragments: stats.fragments,
        bytes: stats.bytes,
        index: table.index,
        indexes: indexes.collect(),
    })
}

/// That a table may take over the searches of its index.
///
/// # Errors
/// 409 without a table; what keeps it from being opened.
pub(crate) async fn check_ready(app: &App, index: &LiveIndex) -> Result<(), Problem> {
    let table = table_of(index)?;
    let snapshot = app.indexes.lance.snapshot(index.bucket(), table).await?;
    snapshot.rows().await?;
    Ok(())
}
