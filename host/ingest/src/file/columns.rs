//! Texts into Arrow columns of types that were chosen beforehand.
//!
//! A text either has an exact value in the column's type or is refused; nothing is rounded here. A batch is
//! handed out when it is full by rows or by bytes, so that memory does not depend on the file.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
        RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
    },
    datatypes::{DataType, SchemaRef},
};

use super::profile::{Shape, classify};
use crate::IngestError;

/// Rows of a batch at most.
const BATCH_ROWS: usize = 8_192;

/// Bytes of text of a batch, after which it is handed out.
const BATCH_BYTES: usize = 8 << 20;

/// Rows on their way into a batch.
pub(super) struct Columns {
    schema: SchemaRef,
    builders: Vec<Builder>,
    rows: usize,
    bytes: usize,
}

enum Builder {
    Int(Int64Builder),
    Float(Float64Builder),
    Decimal(Decimal128Builder, usize),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Naive(TimestampMicrosecondBuilder),
    Zoned(TimestampMicrosecondBuilder),
    Text(StringBuilder),
}

impl Columns {
    /// Empty columns of the schema's types.
    pub(super) fn new(schema: &SchemaRef) -> Result<Self, IngestError> {
        let builders = schema
            .fields()
            .iter()
            .map(|field| Builder::new(field.data_type()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            schema: Arc::clone(schema),
            builders,
            rows: 0,
            bytes: 0,
        })
    }

    /// Adds a value to one column; false when it has no exact value in the column's type. Each column
    /// takes one value before [`Columns::end_row`].
    #[must_use]
    pub(super) fn push(&mut self, column: usize, text: Option<&str>) -> bool {
        self.bytes += text.map_or(0, str::len);
        match text {
            Some(text) => self.builders[column].push(text).is_some(),
            None => {
                self.builders[column].push_null();
                true
            }
        }
    }

    /// Ends a row; gives the batch when it is full.
    pub(super) fn end_row(&mut self) -> Result<Option<RecordBatch>, IngestError> {
        self.rows += 1;
        if self.rows < BATCH_ROWS && self.bytes < BATCH_BYTES {
            return Ok(None);
        }
        self.finish()
    }

    /// The rows so far as a batch, if there are any; the next row begins a new one.
    pub(super) fn finish(&mut self) -> Result<Option<RecordBatch>, IngestError> {
        if self.rows == 0 {
            return Ok(None);
        }
        (self.rows, self.bytes) = (0, 0);
        let arrays = self.builders.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map(Some)
            .map_err(|error| IngestError::arrow(&error))
    }
}

impl Builder {
    fn new(data_type: &DataType) -> Result<Self, IngestError> {
        Ok(match data_type {
            DataType::Int64 => Self::Int(Int64Builder::new()),
            DataType::Float64 => Self::Float(Float64Builder::new()),
            DataType::Decimal128(_, scale) => Self::Decimal(
                Decimal128Builder::new().with_data_type(data_type.clone()),
                usize::try_from(*scale).unwrap_or(0),
            ),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(_, zone) => {
                let builder = TimestampMicrosecondBuilder::new().with_data_type(data_type.clone());
                match zone {
                    Some(_) => Self::Zoned(builder),
                    None => Self::Naive(builder),
                }
            }
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            other => {
                return Err(IngestError::Worker(format!(
                    "no builder of {other} for texts"
                )));
            }
        })
    }

    fn push(&mut self, text: &str) -> Option<()> {
        match self {
            Self::Text(builder) => builder.append_value(text),
            Self::Float(builder) => builder.append_value(text.parse().ok()?),
            Self::Decimal(builder, scale) => builder.append_value(unscaled(text, *scale)?),
            typed => return typed.push_shape(classify(text)),
        }
        Some(())
    }

    fn push_shape(&mut self, shape: Shape) -> Option<()> {
        match (self, shape) {
            (Self::Int(builder), Shape::Number(number)) => builder.append_value(number.integer()?),
            (Self::Boolean(builder), Shape::Boolean(value)) => builder.append_value(value),
            (Self::Date(builder), Shape::Date(days)) => builder.append_value(days),
            (Self::Naive(builder), Shape::Naive(micros))
            | (Self::Zoned(builder), Shape::Zoned(micros)) => builder.append_value(micros),
            _ => return None,
        }
        Some(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Int(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Decimal(builder, _) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Naive(builder) | Self::Zoned(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder, _) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Naive(builder) | Self::Zoned(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

/// A plain decimal times ten to the scale.
fn unscaled(text: &str, scale: usize) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let padding = scale.checked_sub(fraction.len())?;
    let digits = format!("{whole}{fraction}{:0<padding$}", "");
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::testing::shown;

    fn columns(types: &[DataType]) -> Columns {
        let fields: Vec<_> = types
            .iter()
            .enumerate()
            .map(|(at, data_type)| Field::new(format!("c{at}"), data_type.clone(), true))
            .collect();
        Columns::new(&Arc::new(Schema::new(fields))).unwrap()
    }

    #[test]
    fn values_are_exact() {
        let types = [
            DataType::Decimal128(38, 2),
            DataType::Float64,
            DataType::Date32,
            DataType::Utf8,
        ];
        let mut columns = columns(&types);
        for row in [
            ["-1.5", "1e3", "2024-02-29", "007"],
            ["12", "0.1", "1969-12-31", ""],
        ] {
            for (at, text) in row.iter().enumerate() {
                assert!(columns.push(at, Some(text)));
            }
            assert!(columns.end_row().unwrap().is_none());
        }
        let batch = columns.finish().unwrap().unwrap();
        let lines = shown(&[batch]);
        assert_eq!(
            lines[1..],
            ["-1.50|1000.0|2024-02-29|007", "12.00|0.1|1969-12-31|"]
        );
        assert!(columns.finish().unwrap().is_none());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let types = [
            DataType::Int64,
            DataType::Decimal128(38, 1),
            DataType::Boolean,
        ];
        let mut columns = columns(&types);
        assert!(!columns.push(0, Some("1.5")));
        assert!(!columns.push(1, Some("1.55")));
        assert!(!columns.push(2, Some("1")));
    }

    #[test]
    fn a_batch_is_bounded_by_rows_and_by_bytes() {
        let mut narrow = columns(&[DataType::Utf8]);
        let mut handed = 0;
        for _ in 0..BATCH_ROWS {
            assert!(narrow.push(0, None));
            handed += narrow
                .end_row()
                .unwrap()
                .map_or(0, |batch| batch.num_rows());
        }
        assert_eq!(handed, BATCH_ROWS);
        let mut wide = columns(&[DataType::Utf8]);
        assert!(wide.push(0, Some(&"x".repeat(BATCH_BYTES))));
        assert!(wide.end_row().unwrap().is_some());
    }
}
