//! A stored dataset sampled again, as its file was when it came in.
//!
//! The same sampler and the same seed: the sample of a version whose rows came from one file is the one
//! that detectors saw at ingest. Reading stops after a number of rows that the caller chooses, so that a
//! long table costs no more than a short one; counts are then those of the rows that were read.

use boathouse_types::TableSample;
use futures::TryStreamExt as _;

use super::Dataset;
use crate::{IngestError, sample::Sampler, spool::SAMPLE_SEED};

impl Dataset {
    /// A sample of every column over the first rows, at least `rows` of them if there are so many; reading
    /// goes on to the end of a batch.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub async fn sample(&self, rows: u64) -> Result<TableSample, IngestError> {
        let schema = self.schema().await?;
        let mut sampler = Sampler::new(&schema, SAMPLE_SEED);
        let mut batches = self.scan(&[])?;
        let mut seen = 0;
        while seen < rows
            && let Some(batch) = batches.try_next().await?
        {
            seen += batch.num_rows() as u64;
            let observed = tokio::task::spawn_blocking(move || {
                sampler.observe(&batch)?;
                Ok(sampler)
            });
            sampler = observed
                .await
                .map_err(|error| IngestError::gave_up(&error))?
                .map_err(|error| IngestError::arrow(&error))?;
        }
        Ok(sampler.finish(self.name().as_str()))
    }
}
