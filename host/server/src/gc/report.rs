//! What a run of the collector came to, for people and programs.

use std::collections::BTreeMap;

use boathouse_storage::ObjectInfo;
use boathouse_types::{BucketName, DatasetName};
use serde::Serialize;

use super::places::Class;

/// Paths that a sum names at most.
const EXAMPLES: usize = 5;
/// What was left out is named up to here, per bucket; the rest is counted.
const LEFT_OUT: usize = 100;

/// What a run has collected; of a dry run, what it would have.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct GcReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Objects younger than this many hours were left alone.
    pub grace_hours: u32,
    /// Objects collected.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// By bucket; with a mirror, also by its copy of each bucket.
    pub buckets: Vec<BucketReport>,
    /// Versions of datasets that expired.
    pub expired: Vec<ExpiredVersions>,
    /// What no bucket's report names, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// What a run did in one bucket.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct BucketReport {
    /// The bucket.
    pub bucket: BucketName,
    /// Whether this is about the copy of it in the bucket `rescue`.
    pub copy: bool,
    /// What was collected, by class.
    pub classes: BTreeMap<Class, Sum>,
    /// Objects that are nobody's. They are never touched.
    pub unknown: Sum,
    /// Logs whose files were merged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compacted: Vec<CompactedLog>,
    /// What could not be decided or not be deleted, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// How much more was left out.
    #[serde(skip_serializing_if = "is_none")]
    pub more_left_out: u64,
}

/// Some objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Sum {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Some of their paths.
    pub examples: Vec<String>,
}

/// A log whose files were merged into one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CompactedLog {
    /// Its prefix.
    pub log: String,
    /// Files that it had.
    pub files: u64,
}

/// Versions of a dataset that cannot be read any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ExpiredVersions {
    /// The dataset.
    pub dataset: DatasetName,
    /// Their numbers.
    pub versions: Vec<u64>,
}

/// Something that the run left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LeftOut {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

impl GcReport {
    /// Takes the report of a bucket in.
    pub(super) fn add(&mut self, bucket: BucketReport) {
        for sum in bucket.classes.values() {
            self.objects += sum.objects;
            self.bytes += sum.bytes;
        }
        self.buckets.push(bucket);
    }

    /// Objects and bytes by class.
    pub(super) fn by_class(&self) -> BTreeMap<Class, (u64, u64)> {
        let mut all = BTreeMap::new();
        let sums = self.buckets.iter().flat_map(|bucket| &bucket.classes);
        for (class, sum) in sums {
            let (objects, bytes): &mut (u64, u64) = all.entry(*class).or_default();
            *objects += sum.objects;
            *bytes += sum.bytes;
        }
        all
    }
}

impl BucketReport {
    pub(super) fn new(bucket: BucketName, copy: bool) -> Self {
        Self {
            bucket,
            copy,
            classes: BTreeMap::new(),
            unknown: Sum::default(),
            compacted: Vec::new(),
            left_out: Vec::new(),
            more_left_out: 0,
        }
    }

    pub(super) fn collected(&mut self, class: Class, object: &ObjectInfo) {
        let sum = self.classes.entry(class).or_default();
        sum.add(&object.path, object.size);
    }

    pub(super) fn leave(&mut self, left: LeftOut) {
        if self.left_out.len() < LEFT_OUT {
            self.left_out.push(left);
        } else {
            self.more_left_out += 1;
        }
    }
}

impl Sum {
    pub(super) fn add(&mut self, path: &str, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
        if self.examples.len() < EXAMPLES {
            self.examples.push(path.to_owned());
        }
    }
}

impl LeftOut {
    pub(super) fn new(what: impl ToString, why: impl ToString) -> Self {
        Self {
            what: what.to_string(),
            why: why.to_string(),
        }
    }
}

fn is_none(number: &u64) -> bool {
    *number == 0
}
