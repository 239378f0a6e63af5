//! Rows on their way into a batch.

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use crate::{IngestError, ValuePolicy};

use super::{
    column::{Column, Fault, Tally},
    copy::{Cells, Malformed},
    failure,
    plan::Planned,
};

/// A batch is handed on at so many rows, or so many bytes as they came.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 4 << 20;

/// Rows that are being decoded.
pub(super) struct Batch<'a> {
    planned: &'a [Planned],
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
    tally: Tally,
}

/// Why a row was not taken.
pub(super) enum Refused {
    /// The bytes are not rows.
    Malformed(Malformed),
    /// A cell of this column is wrong.
    Cell(usize, Fault),
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl<'a> Batch<'a> {
    /// An empty batch.
    pub(super) fn new(planned: &'a [Planned], schema: SchemaRef, policy: ValuePolicy) -> Self {
        Self {
            columns: planned
                .iter()
                .map(|column| Column::new(&column.kind))
                .collect(),
            planned,
            schema,
            rows: 0,
            bytes: 0,
            tally: Tally::of(policy),
        }
    }

    /// Takes a row.
    pub(super) fn push(&mut self, cells: Cells<'_>) -> Result<(), Refused> {
        for (at, (column, cell)) in self.columns.iter_mut().zip(cells).enumerate() {
            self.tally.column = at;
            self.bytes += cell.map_or(0, <[u8]>::len);
            column
                .push(cell, &mut self.tally)
                .map_err(|fault| Refused::Cell(at, fault))?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Whether it is time to hand the rows on.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Whether there are no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows, after which the batch is empty again.
    pub(super) fn take(&mut self) -> Result<RecordBatch, IngestError> {
        (self.rows, self.bytes) = (0, 0);
        let arrays: Result<Vec<_>, _> = self.columns.iter_mut().map(Column::finish).collect();
        arrays
            .and_then(|arrays| RecordBatch::try_new(self.schema.clone(), arrays))
            .map_err(|error| IngestError::arrow(&error))
    }

    /// What was met in all the rows.
    pub(super) fn into_tally(self) -> Tally {
        self.tally
    }

    /// The error that a refused row is.
    pub(super) fn error(&self, refused: &Refused) -> IngestError {
        let (at, fault) = match refused {
            Refused::Malformed(Malformed::TooLong) => return failure::too_long("*"),
            Refused::Malformed(malformed) => {
                return IngestError::Source {
                    reason: malformed.to_string(),
                };
            }
            Refused::Cell(at, fault) => (*at, fault),
        };
        let column = &self.planned[at];
        let (problem, cure) = match fault {
            Fault::Damaged => (
                format!(
                    "a value is not as the server's type `{}` is sent",
                    column.source_type
                ),
                "read the column as text by a query",
            ),
            Fault::NotUtf8 => (
                "a text holds bytes that are not UTF-8".to_owned(),
                "correct it at the source, or read its bytes by a query with `convert_to`",
            ),
            Fault::NoForm(what) => (
                format!("it holds {what}, which {} has not", column.kind.data_type()),
                "correct them at the source, read the column as text by a query, or let them become null by \
                 `out_of_range`",
            ),
        };
        IngestError::Value {
            column: column.name.clone(),
            problem,
            cure: cure.to_owned(),
        }
    }
}
