//! Vectors from elsewhere into a table: in portions, to be taken up again, verified.
//!
//! Rows are committed in portions of so many bytes. A migration that was cut off leaves a table with the first portions; the
//! next one passes over as many rows of the source and goes on. At the end the table is read and its digest compared with the
//! one of the source, so a table that was left by another source, or was changed in between, is found out.

use std::error::Error as StdError;

use tokio::sync::mpsc;

use crate::{Error, Rows, Table, snapshot::RowsDigest};

/// Why a source gave no more rows.
pub type SourceError = Box<dyn StdError + Send + Sync>;

/// What comes from a source: rows, its failure, or its end.
type Coming = Option<Result<Rows, SourceError>>;

/// Bytes of vectors in a commit, and so at most lost when a migration is cut off. As many are held in memory, and a portion
/// of the source's.
const PORTION_BYTES: usize = 64 << 20;

/// Portions of the source that are read ahead.
const AHEAD: usize = 2;

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Rows in the table.
    pub rows: u64,
    /// Rows that an earlier migration had brought.
    pub found: u64,
    /// The digest of the rows, as [`crate::Snapshot::digest`] says.
    pub digest: [u8; 32],
    /// The version with all of them.
    pub version: u64,
}

impl Table {
    /// Appends the rows of a source that the table does not have yet. The table must hold the first rows of this source and
    /// nothing else, or nothing. The source is read on a thread of its own and may block.
    ///
    /// # Errors
    /// [`Error::Source`] when the source fails, [`Error::Invalid`] for rows of another shape, [`Error::NotVerified`] when
    /// the table holds anything else in the end; those of every change.
    pub async fn migrate<S>(&self, source: S) -> Result<Migration, Error>
    where
        S: Iterator<Item = Result<Rows, SourceError>> + Send + 'static,
    {
        self.migrate_by(source, PORTION_BYTES).await
    }

    pub(crate) async fn migrate_by<S>(&self, source: S, portion: usize) -> Result<Migration, Error>
    where
        S: Iterator<Item = Result<Rows, SourceError>> + Send + 'static,
    {
        let coming = self.reading(source);
        let table = self.clone();
        self.read(move |_| async move { table.taken(coming, portion).await })
            .await
    }

    /// Takes the rows that come and verifies what is there then.
    async fn taken(
        &self,
        mut coming: mpsc::Receiver<Coming>,
        portion: usize,
    ) -> Result<Migration, Error> {
        let shape = self.shape();
        let found = self.now().rows().await?;
        let mut digest = RowsDigest::new(shape.dimension);
        let mut seen: u64 = 0;
        let mut next = Rows::default();
        // A source that panics says no end.
        let broken_off = || Error::Source("the source broke off".into());
        while let Some(rows) = coming.recv().await.ok_or_else(broken_off)? {
            let rows = rows.map_err(Error::Source)?;
            rows.check(shape.dimension, shape.metric)?;
            digest.add(&rows);
            let there = usize::try_from(found.saturating_sub(seen)).unwrap_or(usize::MAX);
            seen += rows.len() as u64;
            next.extend(&rows, there, shape.dimension);
            if size_of_val(next.vectors.as_slice()) >= portion {
                self.append(std::mem::take(&mut next)).await?;
            }
        }
        self.append(next).await?;
        self.verified(found, seen, digest.end()).await
    }

    /// Compares the table with what its source had.
    async fn verified(&self, found: u64, seen: u64, wanted: [u8; 32]) -> Result<Migration, Error> {
        let whole = self.now();
        let rows = whole.rows().await?;
        if rows != seen {
            return Err(Error::NotVerified {
                reason: format!("it has {rows} rows, and the source {seen}"),
            });
        }
        if whole.digest().await? != wanted {
            return Err(Error::NotVerified {
                reason: "its rows have another digest".to_owned(),
            });
        }
        Ok(Migration {
            rows,
            found,
            digest: wanted,
            version: whole.version(),
        })
    }

    /// Reads a source on a thread that may block, until it ends, fails, or nobody waits for it.
    fn reading<S>(&self, source: S) -> mpsc::Receiver<Coming>
    where
        S: Iterator<Item = Result<Rows, SourceError>> + Send + 'static,
    {
        let (give, take) = mpsc::channel(AHEAD);
        self.blocking(move || {
            for rows in source {
                let failed = rows.is_err();
                if give.blocking_send(Some(rows)).is_err() || failed {
                    return;
                }
            }
            // Nobody who waits is no failure.
            give.blocking_send(None).ok();
        });
        take
    }
}
