//! A dataset as of one version, ready to be read: scans, single rows, pages.
//!
//! A row's number is its position over all files of the version; rows keep their numbers in later `append`
//! versions. Files are immutable, so a version reads the same until its files are deleted; one that was altered
//! behind our back is an error, never other rows (`read/data.rs`). Bytes are fetched by range on the async side;
//! decoding happens on threads that may block. Nothing here writes.

mod data;
mod footer;
mod json;
mod sample;
mod scan;

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{AsArray, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, Schema},
};
use boathouse_storage::Bucket;
use boathouse_types::DatasetName;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use serde::Serialize;
use serde_json::Value;

pub(crate) use self::footer::FooterCache;
use self::scan::{FileRead, Scan};
use crate::{
    ColumnInfo, DatasetFile, DatasetManifest, DatasetVersion, IngestError, dataset::with_columns,
};

/// Most rows of one page.
pub const MAX_PAGE_ROWS: usize = 1_000;

/// A dataset as of one version; cheap to clone.
#[derive(Debug, Clone)]
pub struct Dataset(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bucket: Bucket,
    name: DatasetName,
    version: DatasetVersion,
    files: Vec<DatasetFile>,
    footers: Arc<FooterCache>,
}

/// Some consecutive rows.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RowsPage {
    /// The version they are of.
    pub version: u64,
    /// Rows of that version.
    pub total: u64,
    /// Number of the first row here.
    pub offset: u64,
    /// The columns, in order.
    pub columns: Vec<ColumnInfo>,
    /// The rows as JSON objects. Decimals are texts, so that no digit is lost.
    pub rows: Vec<Value>,
}

impl Dataset {
    pub(crate) fn of(
        bucket: Bucket,
        manifest: DatasetManifest,
        version: Option<u64>,
        footers: Arc<FooterCache>,
    ) -> Result<Self, IngestError> {
        let found = match version {
            Some(number) => manifest.version(number),
            None => manifest.latest(),
        };
        let Some(found) = found.cloned() else {
            return Err(manifest.unreadable(version.unwrap_or(manifest.next_version)));
        };
        Ok(Self(Arc::new(Inner {
            bucket,
            files: manifest.files_as_of(found.version),
            name: manifest.name,
            version: found,
            footers,
        })))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &DatasetName {
        &self.0.name
    }

    /// The version: rows, bytes, columns, findings.
    #[must_use]
    pub fn version(&self) -> &DatasetVersion {
        &self.0.version
    }

    /// The files that hold its rows, in row order.
    #[must_use]
    pub fn files(&self) -> &[DatasetFile] {
        &self.0.files
    }

    /// Its bucket.
    #[must_use]
    pub fn bucket(&self) -> &Bucket {
        &self.0.bucket
    }

    /// Its Arrow schema, from the footer of its first file.
    ///
    /// # Errors
    /// [`IngestError::Damaged`], [`IngestError::Storage`].
    pub async fn schema(&self) -> Result<Arc<Schema>, IngestError> {
        let Some(first) = self.0.files.first() else {
            return Ok(Arc::new(Schema::empty()));
        };
        let footer = self.0.footers.load(&self.0.bucket, first).await?;
        let schema = footer.metadata.schema();
        Ok(with_columns(schema, &self.0.version.columns))
    }

    /// All rows, in order, with these columns in this order (none named: all columns).
    ///
    /// # Errors
    /// [`IngestError::ColumnNotFound`]; the stream gives [`IngestError::Damaged`] and
    /// [`IngestError::Storage`].
    pub fn scan(
        &self,
        columns: &[&str],
    ) -> Result<BoxStream<'static, Result<RecordBatch, IngestError>>, IngestError> {
        let columns = self.columns(columns)?;
        let reads = self.0.files.iter().cloned().map(FileRead::whole).collect();
        Ok(Scan::new(self.clone(), columns, reads)
            .into_stream()
            .boxed())
    }

    /// As [`Self::scan`], from a row on that begins a file, which the rows of an `append` version do.
    ///
    /// # Errors
    /// As [`Self::scan`], and [`IngestError::RowOutOfRange`] when no file begins there.
    pub fn scan_from(
        &self,
        first: u64,
        columns: &[&str],
    ) -> Result<BoxStream<'static, Result<RecordBatch, IngestError>>, IngestError> {
        let columns = self.columns(columns)?;
        let (mut start, mut files) = (0, self.0.files.iter());
        while start < first
            && let Some(file) = files.next()
        {
            start += file.rows;
        }
        if start != first {
            return Err(IngestError::RowOutOfRange {
                dataset: self.name().clone(),
                row: first,
                rows: self.0.version.rows,
            });
        }
        let reads = files.cloned().map(FileRead::whole).collect();
        Ok(Scan::new(self.clone(), columns, reads)
            .into_stream()
            .boxed())
    }

    /// All values of a column of text, in row order; a null stays null.
    ///
    /// # Errors
    /// As [`Self::scan`], and [`IngestError::NotText`].
    pub fn scan_text(
        &self,
        column: &str,
    ) -> Result<BoxStream<'static, Result<StringArray, IngestError>>, IngestError> {
        let batches = self.scan(&[column])?;
        let info = self
            .0
            .version
            .columns
            .iter()
            .find(|info| info.name == column);
        let data_type = info.map(|info| info.data_type.clone()).unwrap_or_default();
        if !is_text(&data_type) {
            return Err(IngestError::NotText {
                dataset: self.name().clone(),
                column: column.to_owned(),
                data_type,
            });
        }
        let texts = batches.and_then(|batch| async move {
            let text = cast(batch.column(0), &DataType::Utf8);
            text.map(|text| text.as_string::<i32>().clone())
                .map_err(|error| IngestError::arrow(&error))
        });
        Ok(texts.boxed())
    }

    /// Single rows as JSON objects, in the order asked for (none named: all columns). Reads only the pages
    /// that hold them.
    ///
    /// # Errors
    /// [`IngestError::RowOutOfRange`], otherwise as [`Self::scan`].
    pub async fn take(&self, rows: &[u64], columns: &[&str]) -> Result<Vec<Value>, IngestError> {
        let columns = self.columns(columns)?;
        let total = self.0.version.rows;
        if let Some(row) = rows.iter().find(|row| **row >= total) {
            return Err(IngestError::RowOutOfRange {
                dataset: self.name().clone(),
                row: *row,
                rows: total,
            });
        }
        let mut sorted = rows.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut scan = Scan::new(self.clone(), columns, self.reads(&sorted));
        let mut values = Vec::with_capacity(sorted.len());
        while let Some(batch) = scan.next().await? {
            values.extend(json::objects(batch).await?);
        }
        let found: BTreeMap<_, _> = sorted.into_iter().zip(values).collect();
        Ok(rows
            .iter()
            .filter_map(|row| found.get(row).cloned())
            .collect())
    }

    /// A page of rows from number `offset` on, at most [`MAX_PAGE_ROWS`]; empty behind the end.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub async fn rows(&self, offset: u64, limit: usize) -> Result<RowsPage, IngestError> {
        let total = self.0.version.rows;
        let end = offset
            .saturating_add(limit.min(MAX_PAGE_ROWS) as u64)
            .min(total);
        let numbers: Vec<u64> = (offset..end).collect();
        Ok(RowsPage {
            version: self.0.version.version,
            total,
            offset,
            columns: self.0.version.columns.clone(),
            rows: self.take(&numbers, &[]).await?,
        })
    }

    /// The names to read, checked.
    fn columns(&self, asked: &[&str]) -> Result<Vec<String>, IngestError> {
        let known = || {
            self.0
                .version
                .columns
                .iter()
                .map(|column| column.name.as_str())
        };
        if asked.is_empty() {
            return Ok(known().map(str::to_owned).collect());
        }
        if let Some(column) = asked
            .iter()
            .find(|name| !known().any(|known| known == **name))
        {
            return Err(IngestError::ColumnNotFound {
                dataset: self.name().clone(),
                column: (*column).to_owned(),
                known: known()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", "),
            });
        }
        Ok(asked.iter().map(|name| (*name).to_owned()).collect())
    }

    /// Which rows of which files these are; the numbers ascend.
    fn reads(&self, rows: &[u64]) -> Vec<FileRead> {
        let mut reads = Vec::new();
        let (mut start, mut rest) = (0, rows);
        for file in &self.0.files {
            let end = start + file.rows;
            let (here, after) = rest.split_at(rest.partition_point(|row| *row < end));
            if !here.is_empty() {
                let local = here.iter().map(|row| row - start).collect();
                reads.push(FileRead::some(file.clone(), local));
            }
            (start, rest) = (end, after);
        }
        reads
    }
}

fn is_text(data_type: &str) -> bool {
    matches!(data_type, "Utf8" | "LargeUtf8" | "Utf8View")
        || (data_type.starts_with("Dictionary(") && data_type.ends_with("Utf8)"))
}

#[cfg(test)]
mod tests;
