//! From the vectors of an index in Parquet to a Lance table, and the table of an index that gets other vectors.
//!
//! A migration goes through the objects of the index one after the other, leaves out what is not searched, and ends with
//! the digest of what went in compared with the digest of what is there. The folder of the table is told by what is
//! migrated: one that was cut off, by a crash too, is taken up where it was by the next one of the same rows, and one of
//! other rows does not meet it. Only the manifest's commit makes a table one of the index; a folder that no manifest names
//! is garbage.
//!
//! Rows are not appended meanwhile. Documents may be deleted, and are then deleted from the table as well before it counts.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use boathouse_lance_host::{Error, Migration, Rows, SourceError};
use boathouse_types::{IndexName, VectorBackend};
use boathouse_vector::table::VectorTable;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use super::{
    LanceIndex, LanceMeta, MigrateWish,
    follow::{changed, rows_of},
    room::{Room, Seat, shape_of},
    work::{self, kind_of},
};
use crate::{
    app::App,
    indexes::{Hold, IndexMeta, LiveIndex, append::check_at_rest, backend, delete_folder},
    problem::Problem,
    tasks::{TaskContext, TaskView},
};

/// Kind of the task of a migration.
pub(super) const KIND: &str = "lance_migrate";
/// Rows that are read at once.
const STEP: usize = 4096;
/// Bytes of vectors in a commit of a table that is made of vectors in memory.
const PORTION_BYTES: usize = 64 << 20;
/// How often documents may be deleted while a table is about to count.
const ROUNDS: usize = 16;

/// Starts to make the Lance table of an index.
///
/// # Errors
/// 404; 409 when there is a table and no other was asked for, or while the index is moved.
pub(crate) async fn start_migration(
    app: &Arc<App>,
    name: &str,
    wish: MigrateWish,
) -> Result<TaskView, Problem> {
    let index = app.indexes.get(name)?;
    let subject = index.meta.name.clone();
    check_at_rest(&index)?;
    check_wanted(&index, &wish)?;
    let (worker, name) = (Arc::clone(app), index.meta.name.clone());
    let start = |task: TaskContext| async move {
        let cancel = task.cancellation();
        let growing = cancel.run_until_cancelled(index.growing()).await;
        let growing = growing.ok_or_else(Problem::cancelled)?;
        // Somebody else may have made one meanwhile.
        check_wanted(&*worker.indexes.in_step(&name).await?, &wish)?;
        migrate(&worker, &name, growing, &task).await
    };
    Ok(app.tasks.start(KIND, subject.as_str(), start))
}

/// That there is no table, or another one is wanted.
fn check_wanted(index: &LiveIndex, wish: &MigrateWish) -> Result<(), Problem> {
    let Some(table) = index.meta.lance.as_ref().filter(|_| !wish.again) else {
        return Ok(());
    };
    let (name, path, version) = (&index.meta.name, &table.path, table.version);
    Err(Problem::conflict(
        "lance_exists",
        format!(
            "index `{name}` has a Lance table already (`{path}`, version {version}), which follows what is appended and deleted; `\"again\": true` (`--again`) makes a new one in its place"
        ),
    ))
}

/// Makes a table of a new index, with an index where there are enough rows, and lets it serve.
///
/// # Errors
/// As for each of these steps; the index serves from its graph then.
pub(crate) async fn adopt(app: &Arc<App>, name: &str, task: &TaskContext) -> Result<(), Problem> {
    let index = app.indexes.get(name)?;
    let name = index.meta.name.clone();
    let growing = index.growing().await;
    migrate(app, &name, growing, task).await?;
    match work::build(app, &name, LanceIndex::DEFAULT, task).await {
        Err(problem) if problem.code == "too_few_rows" => {}
        built => drop(built?),
    }
    backend::set(app, name.as_str(), VectorBackend::Lance).await?;
    Ok(())
}

/// Runs a work on tables until its end, or until the task is cancelled.
pub(super) async fn uncancelled<T>(
    task: &TaskContext,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Problem> {
    let cancel = task.cancellation();
    let done = cancel.run_until_cancelled(work).await;
    done.ok_or_else(Problem::cancelled)?.map_err(Problem::from)
}

async fn migrate(
    app: &App,
    name: &IndexName,
    _growing: Hold,
    task: &TaskContext,
) -> Result<Value, Problem> {
    let index = app.indexes.in_step(name).await?;
    let room = &app.indexes.lance;
    let path = folder(&index.meta);
    task.progress(
        "opening the table",
        0,
        Some(index.vectors() as u64),
        "vectors",
    );
    let seat = room
        .seat(index.bucket(), &path, Some(shape_of(&index.meta)))
        .await?;
    let _held = seat.hold().await;
    let source = Source::of(&index, task);
    let migrated = uncancelled(task, seat.table.migrate(source)).await;
    let migration = match migrated {
        Err(problem) if problem.code == "not_verified" => {
            // What is there is of no use to anybody, and the next attempt begins anew.
            room.forget(&path);
            delete_folder(index.bucket(), &path).await?;
            return Err(problem);
        }
        migrated => migrated?,
    };
    let next = land(app, &index, &seat, (path, migration.version)).await?;
    answer(&next, &migration)
}

fn answer(index: &LiveIndex, migration: &Migration) -> Result<Value, Problem> {
    let view = serde_json::to_value(index.view());
    let mut view = view.map_err(|error| Problem::internal(&error))?;
    let digest: String = migration
        .digest
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    view["migration"] = json!({
        "rows": migration.rows, "found": migration.found, "digest": digest,
    });
    Ok(view)
}

/// Names the table in the manifest, once it holds what the index searches.
async fn land(
    app: &App,
    first: &Arc<LiveIndex>,
    seat: &Seat,
    (path, mut version): (String, u64),
) -> Result<Arc<LiveIndex>, Problem> {
    for _ in 0..ROUNDS {
        let index = app.indexes.in_step(&first.meta.name).await?;
        if index.meta.deletions != first.meta.deletions {
            seat.table.delete(&gone(first, &index).await?).await?;
            version = seat.table.now().version();
        }
        if seat.table.now().rows().await? != index.vectors() as u64 {
            return Err(changed(&index));
        }
        let table = LanceMeta {
            path: path.clone(),
            version,
            index: None,
            covered: 0,
            tidied: version,
        };
        let committed = app.indexes.commit(&index, |now| {
            (*now == index.meta).then(|| IndexMeta {
                lance: Some(table),
                ..now.clone()
            })
        });
        match committed.await {
            Err(problem) if problem.code == "changed_meanwhile" => {}
            committed => return committed,
        }
    }
    Err(changed(first))
}

/// Documents that were searched and are not any more.
async fn gone(before: &Arc<LiveIndex>, now: &Arc<LiveIndex>) -> Result<Vec<String>, Problem> {
    let (before, now) = (Arc::clone(before), Arc::clone(now));
    let compared = tokio::task::spawn_blocking(move || {
        let left: HashSet<&str> = now.shown_ids().collect();
        let gone = before.shown_ids().filter(|id| !left.contains(id));
        gone.map(str::to_owned).collect()
    });
    compared.await.map_err(|error| Problem::internal(&error))
}

/// The folder of the table of these rows. In the place of one that is there it is another one.
pub(super) fn folder(meta: &IndexMeta) -> String {
    let mut digest = Sha256::new();
    for (path, of) in meta.objects() {
        digest.update(format!("{path} {of}\n"));
    }
    if let Some(there) = &meta.lance {
        digest.update(&there.path);
    }
    let digest = format!("{:x}", digest.finalize());
    format!("indexes/{}/lance/{}", meta.name, &digest[..32])
}

/// The rows that an index searches, object by object.
struct Source {
    index: Arc<LiveIndex>,
    /// Number, path and digest of those that are left; the base has the number 0.
    objects: VecDeque<(usize, String, String)>,
    /// The one that is being read, and the next of its rows.
    open: Option<(usize, VectorTable, usize)>,
    task: TaskContext,
    done: u64,
    runtime: Handle,
}

impl Source {
    fn of(index: &Arc<LiveIndex>, task: &TaskContext) -> Self {
        let objects = index.meta.vector_objects().enumerate();
        let objects = objects.map(|(at, (path, digest))| (at, path.to_owned(), digest.to_owned()));
        Self {
            objects: objects.collect(),
            index: Arc::clone(index),
            open: None,
            task: task.clone(),
            done: 0,
            runtime: Handle::current(),
        }
    }

    /// The next rows of the object that is open; none at its end.
    fn step(&mut self) -> Option<Rows> {
        let (number, vectors, from) = self.open.as_mut()?;
        if *from == vectors.len() {
            self.open = None;
            return None;
        }
        let to = vectors.len().min(*from + STEP);
        let (index, number) = (&self.index, *number);
        let rows = rows_of(vectors, *from..to, |row| index.shows(number, row));
        *from = to;
        self.done += rows.len() as u64;
        let in_all = self.index.vectors() as u64;
        self.task
            .progress("migrating", self.done, Some(in_all), "vectors");
        Some(rows)
    }
}

impl Iterator for Source {
    type Item = Result<Rows, SourceError>;

    /// On a thread of Lance's that may block.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step() {
                Some(rows) if rows.is_empty() => continue,
                Some(rows) => return Some(Ok(rows)),
                None => {}
            }
            let (number, path, digest) = self.objects.pop_front()?;
            let stored = self.index.stored((&path, &digest));
            match self.runtime.block_on(stored) {
                Ok(vectors) => self.open = Some((number, vectors, 0)),
                Err(problem) => return Some(Err(Box::new(problem))),
            }
        }
    }
}

impl Room {
    /// The table of an index that gets other vectors, made of these and indexed as the one that it has; none when it has
    /// none.
    ///
    /// # Errors
    /// The bucket's failure; 409 when cancelled.
    pub(crate) async fn remake(
        &self,
        index: &LiveIndex,
        vectors: &VectorTable,
        task: &TaskContext,
    ) -> Result<Option<LanceMeta>, Problem> {
        let Some(before) = &index.meta.lance else {
            return Ok(None);
        };
        let id = uuid::Uuid::now_v7().simple();
        let path = format!("indexes/{}/lance/{id}", index.meta.name);
        let count = vectors.len();
        task.progress("making the Lance table", 0, Some(count as u64), "vectors");
        let shape = shape_of(&IndexMeta {
            dimension: vectors.dimension(),
            ..index.meta.clone()
        });
        let seat = self.seat(index.bucket(), &path, Some(shape)).await?;
        let step = (PORTION_BYTES / (vectors.dimension().get() * size_of::<f32>())).max(1);
        for from in (0..count).step_by(step) {
            let rows = rows_of(vectors, from..count.min(from + step), |_| true);
            uncancelled(task, seat.table.append(rows)).await?;
        }
        let mut table = LanceMeta {
            version: seat.table.now().version(),
            tidied: seat.table.now().version(),
            path,
            index: None,
            covered: 0,
        };
        if let Some(wanted) = before.index {
            task.progress("indexing the Lance table", 0, Some(count as u64), "vectors");
            match seat.table.index(kind_of(wanted)).await {
                Ok(version) => {
                    table.version = version;
                    table.index = Some(wanted);
                    table.covered = count as u64;
                }
                Err(Error::TooFewRows { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(table))
    }

    /// The same table without documents that were deleted since it was made.
    ///
    /// # Errors
    /// The bucket's failure.
    pub(crate) async fn without(
        &self,
        index: &LiveIndex,
        table: LanceMeta,
        gone: &[String],
    ) -> Result<LanceMeta, Problem> {
        let seat = self.seat(index.bucket(), &table.path, None).await?;
        seat.table.delete(gone).await?;
        Ok(LanceMeta {
            version: seat.table.now().version(),
            ..table
        })
    }
}
