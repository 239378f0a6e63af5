//! A bucket as clients see it: where it is and how it is, and no secret.

use std::{collections::BTreeSet, fmt, sync::Arc};

use boathouse_ingest::{IngestError, redact_dsn};
use boathouse_storage::{BackendConfig, Bucket, StorageError};
use boathouse_types::{BucketName, DatasetName, IndexName, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    BucketTable, Health, Origin,
    doubt::{self, Doubtful},
    gone,
    seat::Seat,
};
use crate::{
    app::App,
    metrics::{BucketFigures, MirrorFigures},
    problem::Problem,
};

/// Names that a message shows.
const SHOWN: usize = 20;

/// One bucket; its secrets are never shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BucketView {
    /// Name.
    name: BucketName,
    /// `local`, `memory` or `s3`.
    backend: &'static str,
    /// Where its objects are; null for who may not see everything.
    location: Option<Location>,
    /// Where the host was told of it.
    origin: Origin,
    /// Whether it may be used.
    health: Health,
    /// Objects in it; null where counting would cost too much, and before the first count.
    objects: Option<u64>,
    /// Bytes of them.
    bytes: Option<u64>,
    /// When they were counted.
    counted_at: Option<Timestamp>,
    /// How far its copy in `rescue` is behind; null for `rescue`.
    mirror: Option<MirrorView>,
    /// How much lives there; null for who may not see everything, and when it cannot be told.
    holds: Option<Counts>,
    /// Logs that hold lines which are no records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    malformed: Vec<Malformed>,
}

/// Where the objects of a bucket are.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Location {
    /// Folder of a local bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    /// URL of the service; AWS when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    /// Region.
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// The service's name of the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    /// Folder inside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
}

/// How far the copy of a bucket in `rescue` is behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct MirrorView {
    /// Objects that wait to be copied.
    pub objects: u64,
    /// Since when the oldest of them waits.
    pub oldest: Option<Timestamp>,
    /// More may wait: bucket and copy are still to be compared.
    pub comparing: bool,
    /// What copying fails at.
    pub failing: Option<String>,
    /// Reads that the copy has answered since the host started, because the bucket failed.
    pub fallbacks: u64,
}

/// How much lives in a bucket.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Counts {
    datasets: u64,
    indexes: u64,
}

/// What lives in a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Holds {
    /// Datasets.
    pub datasets: Vec<DatasetName>,
    /// Indexes, also those that are being built there or moved there.
    pub indexes: Vec<IndexName>,
}

/// A log that holds lines which are no records.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Malformed {
    /// Where it lies.
    log: String,
    /// How many lines were passed over.
    lines: u64,
}

impl Holds {
    /// Whether nothing lives there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.datasets.is_empty() && self.indexes.is_empty()
    }
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let datasets: Vec<_> = self.datasets.iter().map(DatasetName::as_str).collect();
        let indexes: Vec<_> = self.indexes.iter().map(IndexName::as_str).collect();
        let named = |what: &str, names: &[&str]| match names.len() {
            0 => None,
            n if n > SHOWN => {
                let shown = names[..SHOWN].join(", ");
                Some(format!("the {what} {shown} and {} more", n - SHOWN))
            }
            _ => Some(format!("the {what} {}", names.join(", "))),
        };
        let parts = [named("datasets", &datasets), named("indexes", &indexes)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        match parts.as_slice() {
            [] => f.write_str("nothing lives there"),
            parts => write!(f, "{} live there", parts.join(" and ")),
        }
    }
}

impl From<&BackendConfig> for Location {
    fn from(backend: &BackendConfig) -> Self {
        match backend {
            BackendConfig::Local { root } => Self {
                root: Some(root.display().to_string()),
                ..Self::default()
            },
            BackendConfig::Memory => Self::default(),
            BackendConfig::S3(s3) => Self {
                root: None,
                endpoint: s3.endpoint.as_deref().map(redact_dsn),
                region: s3.region.clone(),
                bucket: Some(s3.bucket.clone()),
                prefix: s3.prefix.clone(),
            },
        }
    }
}

impl App {
    /// What lives in a bucket.
    ///
    /// # Errors
    /// The datasets cannot be listed.
    pub async fn holds(&self, bucket: &BucketName) -> Result<Holds, Problem> {
        let mut datasets = self.datasets.list().await?;
        datasets.retain(|dataset| dataset.bucket == *bucket);
        Ok(Holds {
            datasets: datasets.into_iter().map(|dataset| dataset.name).collect(),
            indexes: self.indexes.in_bucket(bucket),
        })
    }
}

impl BucketTable {
    /// All buckets, by name; without what only who may see everything may see, unless `whole`.
    pub async fn views(&self, app: &App, whole: bool) -> Vec<BucketView> {
        let datasets = match whole {
            true => app.datasets.list().await.ok(),
            false => None,
        };
        let view = |seat: &Arc<Seat>| {
            let datasets = datasets.as_ref().map(|all| {
                let here = all.iter().filter(|dataset| dataset.bucket == *seat.name());
                here.count() as u64
            });
            self.view(app, seat, whole, datasets)
        };
        self.all_seats().iter().map(view).collect()
    }

    /// One bucket.
    ///
    /// # Errors
    /// 404 when there is none.
    pub async fn view_of(&self, app: &App, name: &BucketName) -> Result<BucketView, Problem> {
        let views = self.views(app, true).await;
        let found = views.into_iter().find(|view| view.name == *name);
        Ok(found.ok_or_else(|| StorageError::UnknownBucket { name: name.clone() })?)
    }

    fn view(&self, app: &App, seat: &Seat, whole: bool, datasets: Option<u64>) -> BucketView {
        let name = seat.name();
        let (usage, mut health) = (seat.usage(), seat.health());
        health.detail = health.detail.filter(|_| whole);
        let malformed = self.registry.get(name).map(|bucket| bucket.malformed());
        let malformed = malformed.unwrap_or_default().into_iter();
        BucketView {
            name: name.clone(),
            backend: seat.config.backend.kind(),
            location: whole.then(|| Location::from(&seat.config.backend)),
            origin: seat.origin,
            health,
            objects: usage.map(|usage| usage.objects),
            bytes: usage.map(|usage| usage.bytes),
            counted_at: usage.map(|usage| usage.counted_at),
            mirror: self.mirror_view(name),
            holds: datasets.map(|datasets| Counts {
                datasets,
                indexes: app.indexes.in_bucket(name).len() as u64,
            }),
            malformed: malformed
                .filter(|_| whole)
                .map(|(log, lines)| Malformed { log, lines })
                .collect(),
        }
    }

    /// How far the copy of a bucket is behind; none for the rescue bucket.
    #[must_use]
    pub fn mirror_view(&self, name: &BucketName) -> Option<MirrorView> {
        if *name == *self.rescue.name() {
            return None;
        }
        let lag = self.mirror.lag(name);
        Some(MirrorView {
            objects: lag.objects as u64,
            oldest: lag.oldest,
            comparing: lag.comparing,
            failing: lag.failing,
            fallbacks: lag.fallbacks,
        })
    }

    /// The figures of all buckets, by name.
    #[must_use]
    pub(crate) fn figures(&self) -> Vec<BucketFigures> {
        let now = self.parts.clock.now();
        let figures = |seat: &Arc<Seat>| BucketFigures {
            name: seat.name().clone(),
            healthy: seat.is_healthy(),
            usage: seat.usage(),
            mirror: self.mirror_view(seat.name()).map(|lag| MirrorFigures {
                waiting: lag.objects,
                lag_secs: lag.oldest.map_or(0.0, |oldest| seconds(oldest, now)),
                fallbacks: lag.fallbacks,
            }),
        };
        self.all_seats().iter().map(figures).collect()
    }

    /// Datasets whose files are gone, with the number of files: those that were found and still stand so.
    pub async fn gone_datasets(&self, app: &App) -> Vec<(DatasetName, usize)> {
        let mut gone = Vec::new();
        for seat in self.all_seats() {
            for (name, files) in seat.gone().datasets {
                let wanted = match app.datasets.get(&name).await {
                    Ok(dataset) => gone::files(&dataset),
                    Err(IngestError::DatasetNotFound(_)) => Default::default(),
                    Err(_) => files.clone(),
                };
                match still_gone(&seat.bucket(), &files, &wanted).await {
                    0 => seat.excuse_dataset(&name),
                    missing => gone.push((name, missing)),
                }
            }
        }
        gone
    }

    /// Datasets and indexes whose manifest is not to be believed, with the reason: those that were found and still
    /// stand so.
    pub(crate) async fn doubtful(&self) -> Vec<(Doubtful, String)> {
        let mut doubtful = Vec::new();
        for seat in self.all_seats() {
            doubtful.extend(self.doubts(&seat).await);
        }
        doubtful
    }

    /// As [`Self::doubtful`], of one bucket. A doubt that nobody can settle at present stays.
    pub(super) async fn doubts(&self, seat: &Seat) -> Vec<(Doubtful, String)> {
        let gone = seat.gone();
        let home = self.registry.get(seat.name());
        let copies = self.rescue.within(seat.name().as_str());
        let (Ok(home), Ok(copies)) = (home, copies) else {
            return Vec::new();
        };
        let mut doubts = Vec::new();
        for name in &gone.doubtful_datasets {
            match told(doubt::of_dataset(&home, &copies, name).await) {
                Some(why) => doubts.push((Doubtful::Dataset(name.clone()), why)),
                None => seat.believe_dataset(name),
            }
        }
        for name in &gone.doubtful_indexes {
            match told(doubt::of_index(&home, &copies, name).await) {
                Some(why) => doubts.push((Doubtful::Index(name.clone()), why)),
                None => seat.believe_index(name),
            }
        }
        doubts
    }
}

/// A doubt in words, also while it cannot be settled.
fn told(doubt: Result<Option<String>, StorageError>) -> Option<String> {
    doubt.unwrap_or_else(|error| {
        Some(format!(
            "whether a version of its manifest is gone cannot be told at present: {error}"
        ))
    })
}

/// How many of the objects that were found missing are wanted and not there by now. What a bucket that does not answer
/// has is as it was found.
async fn still_gone(bucket: &Bucket, found: &BTreeSet<String>, wanted: &BTreeSet<String>) -> usize {
    let mut gone = 0;
    for path in found.intersection(wanted) {
        gone += usize::from(!bucket.exists(path).await.unwrap_or(false));
    }
    gone
}

/// Seconds from one time to another; none are negative.
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.millis() - from.millis()).max(0) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lives_in_a_bucket_is_told_in_a_line() {
        let holds = |datasets: usize, indexes: usize| Holds {
            datasets: (0..datasets)
                .map(|n| format!("d{n}").parse().expect("a name"))
                .collect(),
            indexes: (0..indexes)
                .map(|n| format!("i{n}").parse().expect("a name"))
                .collect(),
        };
        assert!(holds(0, 0).is_empty() && !holds(0, 1).is_empty());
        assert_eq!(holds(2, 0).to_string(), "the datasets d0, d1 live there");
        assert_eq!(
            holds(1, 1).to_string(),
            "the datasets d0 and the indexes i0 live there"
        );
        let many = holds(1_000, 0).to_string();
        assert!(many.ends_with("d19 and 980 more live there"), "{many}");
    }
}
