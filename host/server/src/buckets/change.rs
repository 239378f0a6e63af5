//! Buckets that come and go while the host runs.
//!
//! A bucket is added in this order: its place is checked, its name is set aside, it is opened and tried,
//! and the catalogue is committed. Only then it is registered and acknowledged, so after a kill it is there
//! or it is not, and a store that cannot be trusted never gets in.
//!
//! A bucket goes when nothing lives there. Its gate lets nobody write while that is looked at for the last
//! time, so no ingest and no build can end in it unseen. Nothing of it is deleted but its mark, and the
//! copies in the rescue bucket, which nobody needs then; so the place can be registered again under any
//! name.

use std::{path::PathBuf, sync::Arc};

use axum::http::StatusCode;
use boathouse_storage::{BackendConfig, Bucket, BucketConfig, StorageError};
use boathouse_types::BucketName;

use super::{
    ADMISSION, BucketTable, MARK,
    admission::{self, Cause, Fault, Marked, Root},
    catalogue, living, place,
    seat::{Origin, Seat},
    view::Holds,
    watch,
};
use crate::{app::App, problem::Problem};

impl BucketTable {
    /// Adds a bucket. It is in the catalogue when this returns.
    ///
    /// # Errors
    /// 409 when the name is taken, 422 when the place or the store is not fit, 503 when the primary or the
    /// rescue bucket fails.
    pub async fn add(&self, app: &Arc<App>, config: BucketConfig) -> Result<(), Problem> {
        place::check(&config, &self.parts.data)?;
        let seat = self.set_aside(config)?;
        let admitted = self.admit_new(&seat).await;
        let committed = match &admitted {
            Ok(_) => catalogue::change(&self.primary, |all| all.add(&seat.config)).await,
            Err(problem) => Err(problem.clone()),
        };
        let (Ok(bucket), Ok(())) = (admitted, committed.clone()) else {
            self.seats().remove(seat.name());
            return committed;
        };
        seat.admit(bucket, self.parts.clock.now());
        self.register(&seat);
        self.mark_new(&seat).await;
        seat.come_in();
        self.watch_one(app, &seat);
        let (app, newcomer) = (Arc::clone(app), Arc::clone(&seat));
        let background = &self.parts.background;
        background.spawn(async move {
            let left = newcomer.left.clone();
            let _ = left
                .run_until_cancelled(watch::welcome(&app, &newcomer))
                .await;
        });
        Ok(())
    }

    /// Sets a name and a place aside for a bucket.
    fn set_aside(&self, config: BucketConfig) -> Result<Arc<Seat>, Problem> {
        let seat = self.parts.seat(config, Origin::Catalogue);
        if let Some(known) = self.seats().get(seat.name()) {
            return Err(match known.is_in() {
                true => catalogue::exists(seat.name()),
                false => Problem::conflict(
                    "bucket_exists",
                    format!("bucket `{}` is being added at this moment", seat.name()),
                ),
            });
        }
        if let Some(fault) = self.overlap(&seat) {
            return Err(Problem::unprocessable(
                "bucket_overlaps",
                format!("bucket `{}`: {}", seat.name(), fault.why),
            ));
        }
        let mut seats = self.seats();
        // Looked at again under the lock that takes it in: of two at once one is first.
        let meets = |other: &Arc<Seat>| place::overlap(&other.config.backend, &seat.config.backend);
        if seats.contains_key(seat.name()) || seats.values().any(meets) {
            return Err(catalogue::exists(seat.name()));
        }
        seats.insert(seat.name().clone(), Arc::clone(&seat));
        Ok(seat)
    }

    /// Opens and tries a bucket that is to be added.
    async fn admit_new(&self, seat: &Seat) -> Result<Bucket, Problem> {
        let made = MadeFolder::before(seat);
        let attempt = async {
            let bucket = self.parts.open(seat, Root::Make).await?;
            let marked = self.parts.marked(seat, &bucket).await?;
            self.parts.probe(seat, &bucket).await?;
            Ok((bucket, marked))
        };
        match admission::within(ADMISSION, attempt).await {
            Ok((bucket, Marked::No)) => {
                self.no_copies_of_another(seat).await?;
                Ok(bucket)
            }
            Ok((bucket, Marked::Yes | Marked::Never)) => Ok(bucket),
            Err(fault) => {
                made.take_back();
                Err(refusal(seat.name(), &fault))
            }
        }
    }

    /// That the rescue bucket has nothing that would pass for a copy of the new bucket. A mark alone, which a
    /// removal that was cut off leaves there, is nobody's loss: it goes, lest the new bucket be taken for
    /// one that has lost its own.
    async fn no_copies_of_another(&self, seat: &Seat) -> Result<(), Problem> {
        let name = seat.name();
        let copies = self.rescue.list(name.as_str()).await?;
        let mark = format!("{name}/{MARK}");
        if copies.iter().all(|copy| copy.path == mark) {
            return Ok(self.rescue.delete(&mark).await?);
        }
        Err(Problem::conflict(
            "copies_of_another",
            format!(
                "bucket `rescue` still holds copies of another bucket `{name}`: choose another name, move the folder `{name}` of `rescue` away, or put this bucket into the configuration and run `boathouse restore --bucket {name}`"
            ),
        ))
    }

    /// Marks a bucket that was added. A bucket that cannot be marked now is at the next start.
    async fn mark_new(&self, seat: &Seat) {
        let marked = match self.registry.get(seat.name()) {
            Ok(bucket) => admission::mark(&bucket, self.parts.clock.now()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = marked {
            tracing::error!(bucket = %seat.name(), %error, "the bucket could not be marked");
        }
    }

    /// Removes a bucket; what lies there stays. With `unseen`, one that does not answer goes although what
    /// lives there cannot be seen.
    ///
    /// # Errors
    /// 403 for `primary` and `rescue`, 404, 409 when the configuration names it, when something lives there,
    /// or when that cannot be seen; 503 when the primary bucket fails.
    pub async fn remove(&self, app: &App, name: &BucketName, unseen: bool) -> Result<(), Problem> {
        let seat = self.removable(name)?;
        let forced = match seat.open() {
            Some(bucket) => {
                self.vacate(app, &seat, &bucket).await?;
                false
            }
            None if unseen => true,
            None => return Err(unreachable(name)),
        };
        let struck = catalogue::change(&self.primary, |all| {
            all.remove(name);
            Ok(())
        });
        if let Err(problem) = struck.await {
            if let Some(bucket) = seat.open() {
                seat.gate.open(bucket.store());
            }
            return Err(problem);
        }
        seat.left.cancel();
        self.seats().remove(name);
        // One that was out of use since the start is not registered.
        let _registered = self.registry.remove(name);
        self.mirror.forget(name);
        seat.gate.close(format!("bucket `{name}` was removed"));
        app.indexes.close_bucket(name, &app.tuner_options()).await;
        if let (Some(bucket), false) = (seat.open(), forced) {
            self.clear(&bucket).await;
        }
        Ok(())
    }

    fn removable(&self, name: &BucketName) -> Result<Arc<Seat>, Problem> {
        let seat = self.seats().get(name).filter(|seat| seat.is_in()).cloned();
        let seat = seat.ok_or_else(|| StorageError::UnknownBucket { name: name.clone() })?;
        match seat.origin {
            Origin::Catalogue => Ok(seat),
            Origin::BuiltIn => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "bucket_essential",
                format!("bucket `{name}` cannot be removed: no host is without it"),
            )),
            Origin::Configuration => Err(Problem::conflict(
                "bucket_configured",
                format!(
                    "bucket `{name}` stands in the configuration; take it out there and restart the host"
                ),
            )),
        }
    }

    /// Lets nobody write any more, once nothing lives there.
    async fn vacate(&self, app: &App, seat: &Seat, bucket: &Bucket) -> Result<(), Problem> {
        let name = seat.name();
        in_use(name, app.holds(name).await?)?;
        seat.gate
            .stop_writes(bucket.store(), "the bucket is being removed");
        let held = async {
            in_use(name, app.holds(name).await?)?;
            in_use(name, living::look(app, bucket).await?)
        };
        let held = held.await;
        if held.is_err() {
            seat.gate.open(bucket.store());
        }
        held
    }

    /// Takes the copies of a bucket away in which nothing lives, and then its mark: as long as it carries
    /// that, it can be added again under its name, whatever is left of the copies.
    async fn clear(&self, bucket: &Bucket) {
        let name = bucket.name();
        let cleared = async {
            for copy in self.rescue.list(name.as_str()).await? {
                self.rescue.delete(&copy.path).await?;
            }
            bucket.delete(MARK).await
        };
        if let Err(error) = cleared.await {
            tracing::warn!(bucket = %name, %error, "the mark of the bucket or copies of it are left over");
        }
    }
}

/// A folder that adding a bucket is about to make.
struct MadeFolder(Option<PathBuf>);

impl MadeFolder {
    fn before(seat: &Seat) -> Self {
        let root = match &seat.config.backend {
            BackendConfig::Local { root } if !root.exists() => Some(root.clone()),
            _ => None,
        };
        Self(root)
    }

    /// Removes it again. Only an empty folder goes.
    fn take_back(self) {
        if let Some(root) = self.0 {
            let _not_made = std::fs::remove_dir(root);
        }
    }
}

fn in_use(name: &BucketName, holds: Holds) -> Result<(), Problem> {
    if holds.is_empty() {
        return Ok(());
    }
    let problem = Problem::conflict(
        "bucket_in_use",
        format!("bucket `{name}` cannot be removed: {holds}; move or delete these first"),
    );
    Err(problem.with_holds(holds))
}

fn refusal(name: &BucketName, fault: &Fault) -> Problem {
    let detail = format!("bucket `{name}` is not taken: {}", fault.why);
    match fault.cause {
        Cause::AnotherName => Problem::conflict("bucket_of_another_name", detail),
        Cause::Wrong | Cause::Unreachable | Cause::Lost => {
            Problem::unprocessable("bucket_unusable", detail)
        }
    }
}

fn unreachable(name: &BucketName) -> Problem {
    Problem::conflict(
        "bucket_unreachable",
        format!(
            "bucket `{name}` does not answer, so what lives there cannot be seen: make it reachable, or add `?unseen=true`, which keeps its data where it is"
        ),
    )
}
