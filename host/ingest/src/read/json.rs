//! Rows as JSON objects, for people and search hits.
//!
//! Every column is present, nulls too. Decimals become texts, which keep every digit; columns of JSON text
//! become the JSON that they hold; times are ISO 8601, those with a zone in UTC; UUIDs have their
//! hyphens, other bytes are hexadecimal; NaN is null.

use std::sync::Arc;

use arrow::{
    array::{Array, RecordBatch},
    compute::cast,
    datatypes::{DataType, Field, Schema},
    error::ArrowError,
    json::{WriterBuilder, writer::JsonArray},
};
use serde_json::Value;

use crate::{IngestError, file::is_json, uuid};

/// One object a row.
pub(super) async fn objects(batch: RecordBatch) -> Result<Vec<Value>, IngestError> {
    tokio::task::spawn_blocking(move || convert(&batch))
        .await
        .map_err(|error| IngestError::gave_up(&error))?
}

fn convert(batch: &RecordBatch) -> Result<Vec<Value>, IngestError> {
    let shown = showable(batch).map_err(|error| IngestError::arrow(&error))?;
    let mut bytes = Vec::new();
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, JsonArray>(&mut bytes);
    writer
        .write(&shown)
        .and_then(|()| writer.finish())
        .map_err(|error| IngestError::arrow(&error))?;
    drop(writer);
    let mut rows: Vec<Value> =
        serde_json::from_slice(&bytes).map_err(|error| IngestError::Worker(error.to_string()))?;
    for field in batch
        .schema_ref()
        .fields()
        .iter()
        .filter(|field| is_json(field))
    {
        for row in &mut rows {
            if let Some(value) = row.get_mut(field.name())
                && let Some(parsed) = value
                    .as_str()
                    .and_then(|text| serde_json::from_str(text).ok())
            {
                *value = parsed;
            }
        }
    }
    Ok(rows)
}

/// The batch with decimals and UUIDs as text and times in UTC.
fn showable(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let column = match field.data_type() {
            DataType::Decimal128(..) | DataType::Decimal256(..) => cast(column, &DataType::Utf8)?,
            _ => uuid::showable(field, column)?,
        };
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
