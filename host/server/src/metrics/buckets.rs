//! Figures of buckets and of the mirror into `rescue`, with the bucket's name as label: buckets are few, and
//! only an administrator makes them.

use std::fmt;

use boathouse_types::BucketName;
use prometheus_client::{encoding::DescriptorEncoder, metrics::MetricType, registry::Unit};

use super::{count, gauge};
use crate::buckets::Usage;

/// The figures of one bucket.
#[derive(Debug)]
pub(crate) struct BucketFigures {
    pub(crate) name: BucketName,
    pub(crate) healthy: bool,
    /// None where it is not counted.
    pub(crate) usage: Option<Usage>,
    /// None for the rescue bucket.
    pub(crate) mirror: Option<MirrorFigures>,
}

/// How far the copy of a bucket is behind.
#[derive(Debug)]
pub(crate) struct MirrorFigures {
    /// Objects that wait to be copied.
    pub(crate) waiting: u64,
    /// For how long the oldest of them waits; 0 when none does.
    pub(crate) lag_secs: f64,
    /// Reads that the copy answered.
    pub(crate) fallbacks: u64,
}

impl BucketFigures {
    fn labels(&self) -> [(&str, &str); 1] {
        [("bucket", self.name.as_str())]
    }

    #[cfg(test)]
    pub(super) fn example() -> Self {
        Self {
            name: "archive".parse().expect("a name"),
            healthy: false,
            usage: Some(Usage {
                objects: 7,
                bytes: 4_096,
                counted_at: boathouse_types::Timestamp::from_millis(0),
            }),
            mirror: Some(MirrorFigures {
                waiting: 3,
                lag_secs: 1.5,
                fallbacks: 2,
            }),
        }
    }
}

/// Writes the figures of all buckets.
pub(super) fn encode(
    buckets: &[BucketFigures],
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    states(buckets, encoder)?;
    let mirrored: Vec<_> = buckets
        .iter()
        .filter_map(|bucket| Some((bucket.labels(), bucket.mirror.as_ref()?)))
        .collect();
    let help = "Objects that wait to be copied into the rescue bucket";
    let mut waiting =
        encoder.encode_descriptor("mirror_waiting_objects", help, None, MetricType::Gauge)?;
    for (labels, mirror) in &mirrored {
        gauge(&mut waiting, labels, mirror.waiting)?;
    }
    let help = "For how long the oldest object waits to be copied into the rescue bucket";
    let unit = Some(&Unit::Seconds);
    let mut lag = encoder.encode_descriptor("mirror_lag", help, unit, MetricType::Gauge)?;
    for (labels, mirror) in &mirrored {
        lag.encode_family(labels)?.encode_gauge(&mirror.lag_secs)?;
    }
    let help = "Reads that the rescue bucket answered because the bucket failed";
    let mut reads = encoder.encode_descriptor("rescue_reads", help, None, MetricType::Counter)?;
    for (labels, mirror) in &mirrored {
        count(&mut reads, labels, mirror.fallbacks)?;
    }
    Ok(())
}

fn states(
    buckets: &[BucketFigures],
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let help = "1 while a bucket can be used";
    let mut healthy = encoder.encode_descriptor("bucket_healthy", help, None, MetricType::Gauge)?;
    for bucket in buckets {
        gauge(&mut healthy, &bucket.labels(), u64::from(bucket.healthy))?;
    }
    let help = "Objects in a local bucket, counted now and then";
    let mut objects = encoder.encode_descriptor("bucket_objects", help, None, MetricType::Gauge)?;
    for bucket in buckets {
        if let Some(usage) = bucket.usage {
            gauge(&mut objects, &bucket.labels(), usage.objects)?;
        }
    }
    let help = "Size of the objects in a local bucket";
    let unit = Some(&Unit::Bytes);
    let mut bytes = encoder.encode_descriptor("bucket_size", help, unit, MetricType::Gauge)?;
    for bucket in buckets {
        if let Some(usage) = bucket.usage {
            gauge(&mut bytes, &bucket.labels(), usage.bytes)?;
        }
    }
    Ok(())
}
