//! How the buckets of a host are opened at its start.
//!
//! `rescue` first, because it tells whether another bucket has lost its objects; then `primary`, which
//! holds the catalogue of further buckets; then all of those at once. Only what the host cannot begin
//! without stops it: a wrong configuration of the first two, a primary bucket that has lost its objects,
//! and one that answers neither itself nor by its copies.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use boathouse_storage::{Bucket, BucketConfig, BucketRegistry, Mirror, StorageError};
use boathouse_types::{BucketName, Clock};

use super::{
    BucketTable, BucketsError, Parts,
    admission::{self, Cause, Fault, Marked, Root},
    catalogue, place,
    seat::{Origin, Seat},
};
use crate::{
    config::{Config, Environment},
    problem::chain,
    tasks::Background,
};

/// How long a start waits for `primary`, for `rescue`, and for all others.
const PRIMARY: Duration = Duration::from_secs(60);
const RESCUE: Duration = Duration::from_secs(20);
const OTHERS: Duration = Duration::from_secs(10);

impl BucketTable {
    /// Opens the buckets of the configuration and of the catalogue.
    ///
    /// # Errors
    /// [`BucketsError`].
    pub async fn open(
        config: &Config,
        environment: &Environment,
        clock: &Arc<dyn Clock>,
        background: Background,
    ) -> Result<Arc<Self>, BucketsError> {
        let parts = Parts::of(config, environment, clock, background);
        let mut configured = config.all_buckets().into_iter();
        let mut essential = || {
            let built_in = configured
                .next()
                .map(|found| parts.seat(found, Origin::BuiltIn));
            built_in.ok_or_else(|| BucketsError::Unusable {
                bucket: BucketName::primary(),
                why: "it is not configured".to_owned(),
            })
        };
        let (primary, rescue) = (essential()?, essential()?);
        apart(&primary, &rescue)?;
        open_rescue(&parts, &rescue).await?;
        let copies = rescue.bucket();
        let mirror = Mirror::new(
            copies.clone(),
            Arc::clone(clock),
            config.storage.mirror.keep,
        );
        let table = Arc::new(Self {
            registry: Arc::new(BucketRegistry::new()),
            primary: mirror.over(&primary.bucket()),
            rescue: copies,
            mirror,
            seats: Mutex::default(),
            parts,
        });
        let catalogue = table.open_primary(&primary).await?;
        let further = table.further(configured.collect(), catalogue);
        let admissions = further.iter().map(|seat| table.try_at_start(seat));
        let is_known = futures::future::join_all(admissions).await;
        let essential = [(primary, true), (rescue, false)].into_iter();
        table.fill(essential.chain(further.into_iter().zip(is_known)));
        Ok(table)
    }

    /// Opens the primary bucket, or finds that its copies will do, and reads the catalogue.
    async fn open_primary(&self, seat: &Arc<Seat>) -> Result<Vec<BucketConfig>, BucketsError> {
        let copied = admission::has_copies(&self.rescue, seat.name()).await;
        let root = match copied {
            Ok(false) => Root::Make,
            Ok(true) | Err(_) => Root::Expect,
        };
        let opening = async {
            let bucket = self.parts.open(seat, root).await?;
            let listed = bucket.list(catalogue::PREFIX).await;
            let listed = listed.map_err(|error| self.parts.fault(seat, &error))?;
            if listed.is_empty() && matches!(copied, Ok(true)) {
                let why = "it holds no catalogue any more";
                return Err(Fault::new(Cause::Lost, why));
            }
            self.parts.probe(seat, &bucket).await?;
            Ok((bucket, listed.is_empty()))
        };
        match admission::within(PRIMARY, opening).await {
            Ok((_, true)) if let Err(error) = copied => return Err(BucketsError::Undecided(error)),
            Ok((bucket, is_new)) => {
                if !is_new && matches!(copied, Ok(false)) && is_lived_in(&bucket).await {
                    tracing::error!(
                        "bucket `rescue` holds no copy of `primary`, which is not new: everything is copied anew; if the disk of `rescue` is not mounted, stop this host and mount it"
                    );
                }
                self.settle_primary(seat, &bucket, is_new).await?;
            }
            Err(fault) if fault.cause == Cause::Lost => {
                return Err(match copied {
                    Err(error) => BucketsError::Undecided(error),
                    Ok(_) => BucketsError::PrimaryLost { why: fault.why },
                });
            }
            Err(fault) if fault.cause != Cause::Unreachable => {
                return Err(unusable(seat, fault.why));
            }
            Err(fault) => self.stand_in(seat, &fault),
        }
        let failing = seat.health().detail;
        match (catalogue::load(&self.primary).await, failing) {
            (Ok(Some(found)), _) => Ok(found.buckets),
            (_, Some(why)) => Err(BucketsError::PrimaryUnreachable { why }),
            (Ok(None), None) => Ok(Vec::new()),
            (Err(error), None) => Err(BucketsError::Catalogue(error)),
        }
    }

    /// The primary bucket is open: it is new, or it holds what it held.
    async fn settle_primary(
        &self,
        seat: &Arc<Seat>,
        bucket: &Bucket,
        is_new: bool,
    ) -> Result<(), BucketsError> {
        if is_new {
            let begun = catalogue::begin(bucket).await;
            begun.map_err(BucketsError::Catalogue)?;
        }
        let marked = self.parts.marked(seat, bucket).await;
        if marked.map_err(|fault| unusable(seat, fault.why))? == Marked::No {
            let marked = admission::mark(bucket, self.parts.clock.now()).await;
            marked.map_err(BucketsError::Catalogue)?;
        }
        seat.admit(bucket.clone(), self.parts.clock.now());
        Ok(())
    }

    /// Begins without the primary bucket.
    fn stand_in(&self, seat: &Arc<Seat>, fault: &Fault) {
        tracing::error!(
            why = fault.why,
            "bucket `primary` does not answer: this host begins with its copies in `rescue`; changes are refused until `primary` is back"
        );
        seat.suspend(fault, self.parts.clock.now());
    }

    /// Seats for the buckets of the configuration and those that were added, the former first.
    fn further(
        &self,
        configured: Vec<BucketConfig>,
        catalogue: Vec<BucketConfig>,
    ) -> Vec<Arc<Seat>> {
        let mut seats: BTreeMap<BucketName, Arc<Seat>> = BTreeMap::new();
        let known = configured
            .into_iter()
            .map(|one| (one, Origin::Configuration));
        let added = catalogue.into_iter().map(|one| (one, Origin::Catalogue));
        for (config, origin) in known.chain(added) {
            let name = config.name.clone();
            if name == *self.primary.name()
                || name == *self.rescue.name()
                || seats.contains_key(&name)
            {
                tracing::warn!(bucket = %name, "the bucket of that name in the configuration counts, not the one that was added");
                continue;
            }
            seats.insert(name, self.parts.seat(config, origin));
        }
        seats.into_values().collect()
    }

    /// Admits a bucket, and tells whether the rooms are to know it. They also know one that does not answer,
    /// when its copies say that something lives there: so nothing else begins under those names.
    async fn try_at_start(&self, seat: &Arc<Seat>) -> bool {
        let root = match admission::has_copies(&self.rescue, seat.name()).await {
            Ok(false) if seat.origin != Origin::Catalogue => Root::Make,
            Ok(_) | Err(_) => Root::Expect,
        };
        let now = || self.parts.clock.now();
        match admission::within(OTHERS, self.admission(seat, root)).await {
            Ok(bucket) => {
                seat.admit(bucket, now());
                true
            }
            Err(fault) => {
                tracing::error!(bucket = %seat.name(), why = fault.why, "the bucket cannot be used");
                seat.suspend(&fault, now());
                match fault.cause {
                    Cause::Unreachable | Cause::Lost => self.was_lived_in(seat).await,
                    Cause::Wrong | Cause::AnotherName => false,
                }
            }
        }
    }

    /// Whether the copies of a bucket are of datasets or indexes.
    async fn was_lived_in(&self, seat: &Seat) -> bool {
        for folder in ["datasets", "indexes"] {
            let folder = format!("{}/{folder}", seat.name());
            let listed = self.rescue.children(&folder).await;
            if listed.is_ok_and(|names| !names.is_empty()) {
                return true;
            }
        }
        false
    }

    /// Takes the seats in. Of two that overlap the second is not used: each would see the other's objects.
    fn fill(&self, seats: impl Iterator<Item = (Arc<Seat>, bool)>) {
        for (seat, is_known) in seats {
            let overlap = self.overlap(&seat);
            if let Some(fault) = &overlap {
                tracing::error!(bucket = %seat.name(), why = fault.why, "the bucket cannot be used");
                seat.suspend(fault, self.parts.clock.now());
            }
            if is_known && overlap.is_none() {
                self.register(&seat);
            }
            seat.come_in();
            self.seats().insert(seat.name().clone(), seat);
        }
    }

    /// Why a new bucket must not be used beside those that are there; none when it may.
    pub(super) fn overlap(&self, seat: &Seat) -> Option<Fault> {
        self.overlap_with(seat, |_| true)
    }

    /// Why a bucket must not be used beside those that come before it. Of two that overlap the second stands
    /// back, also when neither is in use, so that they do not wait for each other.
    fn overlap_before(&self, seat: &Seat) -> Option<Fault> {
        let rank = |one: &Seat| (one.origin != Origin::BuiltIn, one.name().clone());
        self.overlap_with(seat, |other| rank(other) < rank(seat))
    }

    fn overlap_with(&self, seat: &Seat, counts: impl Fn(&Seat) -> bool) -> Option<Fault> {
        let seats = self.seats();
        let mut others = seats.values().filter(|other| other.name() != seat.name());
        let meets = |other: &Seat| place::overlap(&other.config.backend, &seat.config.backend);
        let other = others.find(|other| counts(other) && meets(other))?;
        let why = format!(
            "its place lies in that of bucket `{}` or around it, so each would see the other's objects; choose another",
            other.name()
        );
        Some(Fault::new(Cause::Wrong, why))
    }

    /// Everything that is asked of a bucket before it is used.
    pub(super) async fn admission(&self, seat: &Seat, root: Root) -> Result<Bucket, Fault> {
        if let Some(fault) = self.overlap_before(seat) {
            return Err(fault);
        }
        let bucket = self.parts.open(seat, root).await?;
        if seat.name() == self.rescue.name() {
            self.parts.probe(seat, &bucket).await?;
            return Ok(bucket);
        }
        // Before anything is written: a folder that was emptied stays so.
        let marked = self.parts.marked(seat, &bucket).await?;
        if marked == Marked::No {
            self.check_new(seat).await?;
        }
        self.parts.probe(seat, &bucket).await?;
        if marked == Marked::No {
            let marked = admission::mark(&bucket, self.parts.clock.now()).await;
            marked.map_err(|error| self.parts.fault(seat, &error))?;
        }
        Ok(bucket)
    }

    /// That a bucket without a mark never had one.
    async fn check_new(&self, seat: &Seat) -> Result<(), Fault> {
        match admission::has_copies(&self.rescue, seat.name()).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(Fault::new(
                Cause::Lost,
                "it is empty, and `rescue` has copies of what it held: mount or put back what was there, or run `boathouse restore` to bring the copies back",
            )),
            Err(error) => Err(Fault::new(
                Cause::Unreachable,
                format!(
                    "it carries no mark, and whether it has lost something cannot be asked of `rescue`: {}",
                    chain(&error)
                ),
            )),
        }
    }
}

impl Parts {
    /// Opens a bucket; reaches no network.
    pub(super) async fn open(&self, seat: &Seat, root: Root) -> Result<Bucket, Fault> {
        admission::open(&seat.config, root, &self.environment).await
    }

    /// Whether a bucket can be written and read, and has one winner of a race.
    pub(super) async fn probe(&self, seat: &Seat, bucket: &Bucket) -> Result<(), Fault> {
        let probed = bucket.probe().await;
        probed.map_err(|error| self.fault(seat, &error))
    }

    pub(super) fn fault(&self, seat: &Seat, error: &StorageError) -> Fault {
        Fault::of(error, &seat.config, &self.environment)
    }

    pub(super) async fn marked(&self, seat: &Seat, bucket: &Bucket) -> Result<Marked, Fault> {
        admission::marked(bucket, &seat.config, &self.environment).await
    }
}

/// Whether anybody put something into the primary bucket. A first start that failed, on a port that was taken for
/// example, leaves one that holds nothing which could have been copied.
async fn is_lived_in(primary: &Bucket) -> bool {
    for folder in ["datasets", "indexes", "auth"] {
        let found = primary.children(folder).await;
        if found.is_ok_and(|found| !found.is_empty()) {
            return true;
        }
    }
    false
}

fn apart(primary: &Seat, rescue: &Seat) -> Result<(), BucketsError> {
    if place::overlap(&primary.config.backend, &rescue.config.backend) {
        let why = "it lies in bucket `primary` or around it; choose another place for one of them";
        return Err(unusable(rescue, why.to_owned()));
    }
    Ok(())
}

/// Opens the rescue bucket. A host works without it: what is to be copied waits.
async fn open_rescue(parts: &Parts, seat: &Arc<Seat>) -> Result<(), BucketsError> {
    let opening = async {
        let bucket = parts.open(seat, Root::Make).await?;
        parts.probe(seat, &bucket).await?;
        Ok(bucket)
    };
    match admission::within(RESCUE, opening).await {
        Ok(bucket) => seat.admit(bucket, parts.clock.now()),
        Err(fault) if fault.cause == Cause::Wrong => return Err(unusable(seat, fault.why)),
        Err(fault) => {
            tracing::error!(
                why = fault.why,
                "bucket `rescue` does not answer: nothing is copied until it is back"
            );
            seat.suspend(&fault, parts.clock.now());
        }
    }
    Ok(())
}

fn unusable(seat: &Seat, why: String) -> BucketsError {
    BucketsError::Unusable {
        bucket: seat.name().clone(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_primary_bucket_of_a_first_start_that_failed_has_nothing_to_lose() {
        let primary = Bucket::memory(BucketName::primary());
        catalogue::begin(&primary).await.expect("begun");
        let event = "plugins/events/1.jsonl";
        primary.put(event, "x".into()).await.expect("put");
        assert!(!is_lived_in(&primary).await);
        let row = "datasets/notes/data/1.parquet";
        primary.put(row, "x".into()).await.expect("put");
        assert!(is_lived_in(&primary).await);
    }
}
