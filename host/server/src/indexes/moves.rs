//! Moving an index to another bucket while it serves.
//!
//! A [`Journey`] holds the turn of its index, so nobody tunes, promotes or deletes meanwhile, and the right to
//! commit its manifest, so appended rows wait; searches go on and notice nothing. The steps and why a crash between any two of them is harmless are told in
//! `moves/course.rs`. Here is who takes them: a task, begun by a request or by the start of the host.
//!
//! Cancelled, or stopped by a bucket that fails, a move is given up and undone as long as the new home is
//! not committed; after that it is completed. A host that stops leaves the move as it is, and the next
//! start goes on with it.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use boathouse_storage::{Bucket, StorageError};
use boathouse_types::BucketName;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{LiveIndex, Sole, standing, standing::Found};
use crate::{
    app::App,
    problem::Problem,
    tasks::{TaskContext, TaskView},
};

mod course;
#[cfg(test)]
mod tests;

use course::{Copied, Course};

/// Kind of the task of a move.
const KIND: &str = "move";
/// First and longest pause before a bucket that does not answer is asked again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// How long what is left at the old home waits for those who still read there.
const READERS: Duration = Duration::from_secs(5);

/// An index on its way.
pub(crate) struct Journey {
    index: Arc<LiveIndex>,
    _alone: Sole,
    to: BucketName,
}

impl Drop for Journey {
    fn drop(&mut self) {
        self.index.set_moving_to(None);
    }
}

/// Starts to move an index.
///
/// # Errors
/// 404 for an unknown index, 422 for a bucket that it cannot move to, 409 while it is busy, 503 when the
/// bucket does not answer. Nothing was changed.
pub(crate) async fn start(app: &Arc<App>, name: &str, to: BucketName) -> Result<TaskView, Problem> {
    let index = app.indexes.get(name)?;
    check_target(app, &index, &to)?;
    let alone = index.take_alone()?;
    let journey = Journey::new(index, alone, to);
    // After the journey is known: nobody unregisters a bucket that an index moves to.
    let target = app.buckets.get(&journey.to)?;
    answers(&target).await.map_err(|error| {
        tracing::warn!(bucket = %journey.to, %error, "an index cannot move there");
        unhealthy(&journey.to, &error)
    })?;
    let worker = Arc::clone(app);
    Ok(app.tasks.start(KIND, name, |task| async move {
        let _writing = journey.index.writing().await;
        let (meta, from) = (&journey.index.meta, journey.index.bucket());
        let (course, home) = Course::plan(meta, from, &target).await?;
        let declared = match home.replace(&course.index).await {
            Err(StorageError::Conflict { .. }) => return Err(course.changed()),
            declared => declared.map_err(Problem::from),
        };
        journey.go(&worker, &course, declared, &task).await
    }))
}

fn check_target(app: &App, index: &LiveIndex, to: &BucketName) -> Result<(), Problem> {
    if *to == index.meta.bucket {
        let name = &index.meta.name;
        return Err(Problem::field(
            "bucket",
            "same_bucket",
            format!("index `{name}` lives in bucket `{to}` already"),
        ));
    }
    if *to == BucketName::rescue() {
        return Err(Problem::field(
            "bucket",
            "not_a_home",
            "`rescue` holds copies of other buckets; choose another one",
        ));
    }
    match app.buckets.get(to) {
        Ok(_) => Ok(()),
        Err(_) => Err(Problem::field(
            "bucket",
            "unknown_bucket",
            format!("there is no bucket `{to}`; `GET /storage/buckets` lists them"),
        )),
    }
}

fn unhealthy(bucket: &BucketName, error: &StorageError) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "bucket_unhealthy",
        format!(
            "bucket `{bucket}` does not answer, so nothing was changed ({error}); see `GET /readyz`"
        ),
    )
}

/// Whether a bucket itself answers, and not a copy of it.
async fn answers(bucket: &Bucket) -> Result<(), StorageError> {
    bucket.without_rescue().children("indexes").await.map(drop)
}

impl Journey {
    /// A journey of an index that nobody else is at.
    pub(super) fn new(index: Arc<LiveIndex>, alone: Sole, to: BucketName) -> Self {
        index.set_moving_to(Some(&to));
        Self {
            index,
            _alone: alone,
            to,
        }
    }

    /// Goes on with a move that was interrupted, in a task of its own.
    pub(super) fn resume(self, app: &Arc<App>) {
        let (worker, name) = (Arc::clone(app), self.index.meta.name.to_string());
        tracing::info!(index = %name, to = %self.to, "a move that was interrupted goes on");
        app.tasks.start(KIND, &name, |task| async move {
            let _writing = self.index.writing().await;
            let course = |to| Course {
                index: self.index.meta.clone(),
                from: self.index.bucket().clone(),
                to,
            };
            match self.target(&worker, &task).await {
                Ok(target) => self.go(&worker, &course(target), Ok(()), &task).await,
                Err(problem) if is_stopping(&worker) => Err(problem),
                Err(problem) => {
                    // Nothing is asked of the target: who gives up does so at the old home.
                    let absent = course(Bucket::memory(self.to.clone()));
                    self.withdraw(&worker, &absent).await;
                    worker.indexes.settle_later(absent.name());
                    Err(problem)
                }
            }
        });
    }

    /// Waits until both homes are there and answer.
    async fn target(&self, app: &App, task: &TaskContext) -> Result<Bucket, Problem> {
        let (cancel, mut pauses) = (task.cancellation(), Pauses::new());
        loop {
            let answer = cancel.run_until_cancelled(self.homes_answer(app)).await;
            match answer {
                Some(Ok(target)) => return Ok(target),
                Some(Err(error)) => {
                    task.progress(&format!("waiting, as {error}"), 0, None, "bytes");
                    pauses.next(&cancel).await;
                }
                None => return Err(Problem::cancelled()),
            }
        }
    }

    async fn homes_answer(&self, app: &App) -> Result<Bucket, StorageError> {
        answers(self.index.bucket()).await?;
        let target = app.buckets.get(&self.to)?;
        answers(&target).await?;
        Ok(target)
    }

    /// Takes all steps after the first, forward or, when that fails, back.
    async fn go(
        &self,
        app: &App,
        course: &Course,
        declared: Result<(), Problem>,
        task: &TaskContext,
    ) -> Result<Value, Problem> {
        let copied = std::sync::Mutex::new(Copied::default());
        let tell = |now: Copied| {
            *super::locked(&copied) = now;
            let stage = format!("copying, {} of {} objects", now.objects, now.objects_in_all);
            task.progress(&stage, now.bytes, Some(now.bytes_in_all), "bytes");
        };
        let cancel = task.cancellation();
        let arrived = match declared {
            Ok(()) => course.travel(&cancel, &tell).await,
            Err(problem) => Err(problem),
        };
        let home = match arrived {
            Ok(home) => home,
            Err(problem) if is_stopping(app) => return Err(problem),
            Err(problem) => self.turn_back(app, course, problem).await?,
        };
        let copied = *super::locked(&copied);
        self.arrive(app, course, &home, copied, task).await
    }

    /// The index lives at the new home: it serves from there, and what is left at the old one goes.
    async fn arrive(
        &self,
        app: &App,
        course: &Course,
        home: &Found,
        copied: Copied,
        task: &TaskContext,
    ) -> Result<Value, Problem> {
        let (index, _alone) = app.indexes.rehome(&self.index, home).await;
        task.progress("tidying up", copied.bytes, Some(copied.bytes), "bytes");
        self.readers_gone().await;
        let tidy = tidy(app, course).await;
        let mut result =
            serde_json::to_value(index.view()).map_err(|error| Problem::internal(&error))?;
        result["move"] = json!({
            "from": course.from.name(), "to": course.to.name(),
            "objects": copied.objects, "bytes": copied.bytes, "left_behind": !tidy,
        });
        Ok(result)
    }

    /// Waits a moment for requests that read the journal at the old home.
    async fn readers_gone(&self) {
        let gone = async {
            while Arc::strong_count(&self.index) > 1 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(READERS, gone).await;
    }

    /// Gives the move up for a reason, which becomes its error, unless it has succeeded after all.
    async fn turn_back(&self, app: &App, course: &Course, why: Problem) -> Result<Found, Problem> {
        if let Ok(Some(home)) = course.arrival().await {
            return Ok(home);
        }
        if self.withdraw(app, course).await {
            tidy(app, course).await;
            return Err(why);
        }
        // Another host has completed the move, or this one stops.
        course.arrival().await.ok().flatten().ok_or(why)
    }

    /// Gives the move up. False when another host has completed it first, or when this one stops.
    async fn withdraw(&self, app: &App, course: &Course) -> bool {
        let stop = app.tasks.background().stopping();
        let mut pauses = Pauses::new();
        loop {
            match stop.run_until_cancelled(course.withdraw()).await {
                Some(Ok(withdrawn)) => return withdrawn,
                Some(Err(error)) => {
                    tracing::warn!(index = %course.name(), %error, "a move cannot be given up yet");
                    pauses.next(&stop).await;
                }
                None => return false,
            }
        }
    }
}

/// Takes away what is left on the side that is not home; false when that has to wait.
async fn tidy(app: &App, course: &Course) -> bool {
    let buckets = [course.from.clone(), course.to.clone()];
    let stop = app.tasks.background().stopping();
    let settling = standing::settle(&buckets, course.name());
    match stop.run_until_cancelled(settling).await {
        Some(Ok(())) => true,
        Some(Err(error)) => {
            tracing::warn!(index = %course.name(), %error, "objects of a move are left over for now");
            app.indexes.settle_later(course.name());
            false
        }
        None => false,
    }
}

/// Whether the host stops; then a move stays as it is.
fn is_stopping(app: &App) -> bool {
    app.tasks.background().stopping().is_cancelled()
}

/// Pauses that grow, between two attempts at something that fails.
struct Pauses(Duration);

impl Pauses {
    fn new() -> Self {
        Self(PAUSES.0)
    }

    /// Waits for the next attempt, or until it is asked to stop.
    async fn next(&mut self, stop: &CancellationToken) {
        stop.run_until_cancelled(tokio::time::sleep(self.0)).await;
        self.0 = (self.0 * 2).min(PAUSES.1);
    }
}
