//! Texts into Arrow columns of types that were chosen beforehand.
//!
//! A text either has an exact value in the column's type or is refused; nothing is rounded here, unless the caller
//! has said a type (`said.rs`). A batch is handed out when it is full by rows or by bytes, so that memory does
//! not depend on the file.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
        RecordBatch, StringBuilder, TimestampMicrosecondBuilder, new_null_array,
    },
    datatypes::{DataType, SchemaRef},
};

use super::{
    look::Look,
    profile::{DECIMAL_DIGITS, Profile, Shape, classify},
    said::{self, SaidColumn},
};
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
    Said(Box<dyn SaidColumn>),
    /// Only nulls, of whatever type, so many.
    Absent(DataType, usize),
}

impl Columns {
    /// Empty columns of the schema's types, for the columns of a text as they are known.
    pub(super) fn new(schema: &SchemaRef, looks: &[Look]) -> Result<Self, IngestError> {
        let builder = |field: &arrow::datatypes::FieldRef| {
            let data_type = field.data_type();
            match looks.iter().find(|look| look.name == *field.name()) {
                None => Ok(Builder::Absent(data_type.clone(), 0)),
                Some(look) => match &look.said {
                    Some(said) => said::column(data_type, said.meaning)
                        .map(Builder::Said)
                        .ok_or_else(|| no_builder(data_type)),
                    None => Builder::new(data_type),
                },
            }
        };
        let builders = schema.fields().iter().map(builder);
        Ok(Self {
            schema: Arc::clone(schema),
            builders: builders.collect::<Result<_, _>>()?,
            rows: 0,
            bytes: 0,
        })
    }

    /// Adds a text to one column, and lets a profile take it too; false when it has no exact value in the
    /// column's type. Each column takes one value before [`Columns::end_row`].
    #[must_use]
    pub(super) fn push(
        &mut self,
        column: usize,
        text: &str,
        profile: Option<&mut Profile>,
        line: u64,
    ) -> bool {
        self.bytes += text.len();
        self.builders[column].push(text, profile, line).is_some()
    }

    /// The same for a text that was read already.
    #[must_use]
    pub(super) fn push_shape(&mut self, column: usize, shape: Shape, text: &str) -> bool {
        self.bytes += text.len();
        self.builders[column].push_shape(shape, text).is_some()
    }

    /// Adds a null to one column.
    pub(super) fn push_null(&mut self, column: usize) {
        self.builders[column].push_null();
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
            other => return Err(no_builder(other)),
        })
    }

    fn push(&mut self, text: &str, profile: Option<&mut Profile>, line: u64) -> Option<()> {
        match self {
            Self::Said(builder) => return builder.push(text).then_some(()),
            Self::Text(builder) => {
                builder.append_value(text);
                if let Some(profile) = profile {
                    profile.observe(text, line);
                }
                return Some(());
            }
            _ => {}
        }
        let shape = classify(text);
        if let Some(profile) = profile {
            profile.observe_shape(shape, text, line);
        }
        self.push_shape(shape, text)
    }

    fn push_shape(&mut self, shape: Shape, text: &str) -> Option<()> {
        match (self, shape) {
            (Self::Said(builder), _) => return builder.push(text).then_some(()),
            (Self::Text(builder), _) => builder.append_value(text),
            (Self::Int(builder), Shape::Number(number)) => builder.append_value(number.integer()?),
            (Self::Float(builder), Shape::Number(number)) => match number.double() {
                Some(value) => builder.append_value(value),
                None => builder.append_value(text.parse().ok()?),
            },
            (Self::Decimal(builder, scale), Shape::Number(number)) => {
                let short = number.unscaled(*scale);
                builder.append_value(short.or_else(|| unscaled(text, *scale))?);
            }
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
            Self::Said(builder) => builder.push_null(),
            Self::Absent(_, rows) => *rows += 1,
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
            Self::Said(builder) => builder.finish(),
            Self::Absent(data_type, rows) => new_null_array(data_type, std::mem::take(rows)),
        }
    }
}

fn no_builder(data_type: &DataType) -> IngestError {
    IngestError::Worker(format!("no builder of {data_type} for texts"))
}

/// A plain decimal times ten to the scale.
fn unscaled(text: &str, scale: usize) -> Option<i128> {
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let missing = scale.checked_sub(fraction.len())?;
    if whole.len() + scale > usize::from(DECIMAL_DIGITS) {
        return None;
    }
    let mut value = 0_i128;
    for digit in whole.bytes().chain(fraction.bytes()) {
        let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
        value = value * 10 + digit;
    }
    value *= 10_i128.pow(u32::try_from(missing).ok()?);
    Some(if is_negative { -value } else { value })
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
        let schema = Arc::new(Schema::new(fields));
        let names = schema.fields().iter().map(|field| field.name().clone());
        let looks: Vec<_> = names.map(|name| Look::new(name, None)).collect();
        Columns::new(&schema, &looks).unwrap()
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
                assert!(columns.push(at, text, None, 1));
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
        assert!(!columns.push(0, "1.5", None, 1));
        assert!(!columns.push(1, "1.55", None, 1));
        assert!(!columns.push(2, "1", None, 1));
    }

    #[test]
    fn a_batch_is_bounded_by_rows_and_by_bytes() {
        let mut narrow = columns(&[DataType::Utf8]);
        let mut handed = 0;
        for _ in 0..BATCH_ROWS {
            narrow.push_null(0);
            handed += narrow
                .end_row()
                .unwrap()
                .map_or(0, |batch| batch.num_rows());
        }
        assert_eq!(handed, BATCH_ROWS);
        let mut wide = columns(&[DataType::Utf8]);
        assert!(wide.push(0, &"x".repeat(BATCH_BYTES), None, 1));
        assert!(wide.end_row().unwrap().is_some());
    }
}
