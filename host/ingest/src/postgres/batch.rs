//! Rows on their way into a batch.

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use crate::{IngestError, TypeMode, ValuePolicy};

use super::{
    column::{Column, Fault, Tally},
    copy::{Cells, Malformed},
    failure,
    kind::Kind,
    plan::Planned,
};

/// A batch is handed on at so many rows, or so many bytes of decoded values.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 4 << 20;
/// Rows between two looks at how many bytes are held, at most: a look costs as much as decoding a few cells.
const LOOK_ROWS: usize = 16;

/// Rows that are being decoded.
pub(super) struct Batch<'a> {
    planned: &'a [Planned],
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    /// What the columns held at the last look.
    bytes: usize,
    /// How many rows there will be at the next look.
    next_look: usize,
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
            next_look: 0,
            tally: Tally::of(policy),
        }
    }

    /// Takes a row.
    pub(super) fn push(&mut self, cells: Cells<'_>) -> Result<(), Refused> {
        for (at, (column, cell)) in self.columns.iter_mut().zip(cells).enumerate() {
            self.tally.column = at;
            column
                .push(cell, &mut self.tally)
                .map_err(|fault| Refused::Cell(at, fault))?;
        }
        self.rows += 1;
        if self.rows >= self.next_look {
            self.look();
        }
        Ok(())
    }

    /// Asks the columns what they hold. Rows like those so far reach half of what is left before the next look.
    fn look(&mut self) {
        self.bytes = self.columns.iter().map(Column::held).sum();
        let left = BATCH_BYTES.saturating_sub(self.bytes) / 2;
        let a_row = self.bytes.div_ceil(self.rows).max(1);
        self.next_look = self.rows + (left / a_row).clamp(1, LOOK_ROWS);
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
        (self.rows, self.bytes, self.next_look) = (0, 0, 0);
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
            Fault::NoForm(what) => {
                let other = match column.kind {
                    Kind::Decimal { .. } => {
                        "`types` to `portable`, which has such numbers as floats"
                    }
                    _ => "`types` to `portable`, which has such values as text",
                };
                // No column of the portable mapping lacks a value.
                let types = TypeMode::Exact;
                let data_type = column.kind.data_type();
                return IngestError::lacks(&column.name, what, types, &data_type, Some(other));
            }
        };
        IngestError::Value {
            column: column.name.clone(),
            problem,
            cure: cure.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;

    use super::*;
    use crate::postgres::text::Form;

    #[test]
    fn a_value_without_a_form_is_told_with_what_to_set() {
        let kind = Kind::Range(Box::new(Kind::Date));
        let schema = Arc::new(Schema::new(vec![kind.field("c")]));
        let planned = [Planned {
            name: "c".to_owned(),
            kind,
            source_type: "daterange".to_owned(),
        }];
        let batch = Batch::new(&planned, schema, ValuePolicy::Error);
        let told = batch.error(&Refused::Cell(0, Fault::NoForm("infinite dates")));
        assert_eq!(
            told.to_string(),
            "column `c`: it holds infinite dates, for which a Struct column has no value (`types` = `exact`); set \
             `out_of_range` to `null` to have null in their place, or `types` to `portable`, which has such values as \
             text; or turn them into something else by a query, or correct them at the source"
        );
    }

    /// How many rows of one and the same cell fill a batch, and the bytes that they then take.
    fn rows_until_full(kind: Kind, cell: Option<&[u8]>) -> (usize, usize) {
        let schema = Arc::new(Schema::new(vec![kind.field("c")]));
        let planned = [Planned {
            name: "c".to_owned(),
            kind,
            source_type: String::new(),
        }];
        let mut batch = Batch::new(&planned, schema, ValuePolicy::Error);
        let length = cell.map_or(-1, |cell| i32::try_from(cell.len()).unwrap());
        let row = [&length.to_be_bytes()[..], cell.unwrap_or_default()].concat();
        while !batch.is_full() {
            assert!(batch.push(Cells::of(&row)).is_ok());
        }
        batch.look();
        let (rows, bytes) = (batch.rows, batch.bytes);
        assert_eq!(batch.take().unwrap().num_rows(), rows);
        assert!(batch.is_empty() && !batch.is_full());
        (rows, bytes)
    }

    #[test]
    fn nulls_of_vectors_fill_a_batch() {
        let vector = Kind::Vector {
            half: false,
            dimension: Some(1_536),
        };
        let (rows, bytes) = rows_until_full(vector, None);
        assert_eq!(rows, 683, "of 6,144 bytes and where each ends");
        assert!(bytes < BATCH_BYTES + 8_192, "{bytes}");
    }

    #[test]
    fn long_numbers_fill_a_batch_by_their_text() {
        // 1e131071: one group, the first of 32,768.
        let number = [1_u16, 32_767, 0, 0, 1_000].map(u16::to_be_bytes).concat();
        let (rows, bytes) = rows_until_full(Kind::Text(Form::Numeric), Some(&number));
        assert_eq!(rows, 32, "of 131,072 bytes and where each ends");
        assert!(bytes < BATCH_BYTES + 8_192, "{bytes}");
    }

    #[test]
    fn short_rows_fill_a_batch_by_their_number() {
        let (rows, bytes) = rows_until_full(Kind::Int8, Some(&[0; 8]));
        assert_eq!((rows, bytes), (BATCH_ROWS, BATCH_ROWS * 8));
    }
}
