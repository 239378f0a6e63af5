//! Logs that have become many files are merged into one.
//!
//! Merging loses and doubles nothing whoever else appends, reads or merges at the same time; that is the
//! log's own promise. Logs of an index that is deleted or on its way to another bucket are left to who is at
//! work there. Nothing is merged in the copies of `rescue`: there the files of a bucket arrive one by one.

use boathouse_storage::{AppendLog, Bucket};
use boathouse_types::IndexName;
use serde_json::Value;

use super::{
    Run,
    judge::{Judge, Undecided, manifest_of},
    report::{BucketReport, CompactedLog, LeftOut},
    sweep::Logs,
};

impl Run {
    /// Merges the logs of a bucket that have more files than are left apart; in a dry run, says which.
    pub(super) async fn compact(
        &self,
        bucket: &Bucket,
        judge: &Judge<'_>,
        logs: Logs,
        report: &mut BucketReport,
    ) {
        for (log, (files, index)) in logs {
            if files <= self.compact_files || self.is_cancelled() {
                continue;
            }
            match self.merge(bucket, judge, &log, index.as_ref()).await {
                Ok(true) => report.compacted.push(CompactedLog { log, files }),
                Ok(false) => {}
                Err(why) => report.leave(LeftOut::new(format!("log `{log}`"), why)),
            }
        }
    }

    /// Whether a log was merged, or would be.
    async fn merge(
        &self,
        bucket: &Bucket,
        judge: &Judge<'_>,
        log: &str,
        index: Option<&IndexName>,
    ) -> Result<bool, Undecided> {
        if let Some(index) = index {
            let meta = manifest_of(&judge.root.bucket, index).await?;
            if meta.is_some_and(|meta| meta.deleted || meta.moving_to.is_some()) {
                return Ok(false);
            }
        }
        if self.dry_run {
            return Ok(true);
        }
        let log = AppendLog::<Value>::new(bucket.clone(), log, self.clock.clone());
        Ok(log.compact().await? > 0)
    }
}
