//! Tables that bring Arrow types: what datasets keep of them.
//!
//! Types that only say how values lie in memory become the plain ones: dictionaries and runs their values, views
//! ordinary texts, bytes and lists. Everything else that Parquet can hold stays, with its metadata. Columns of
//! other types, such as unions, are refused by name.

use std::{collections::HashSet, sync::Arc};

use arrow::{
    array::{RecordBatch, RecordBatchOptions},
    compute::cast,
    datatypes::{DataType, Field, FieldRef, IntervalUnit, Schema, SchemaRef},
};

use crate::{IngestError, error::Place};

/// The schema of a table in plain types.
pub(super) fn schema(own: &Schema) -> Result<SchemaRef, IngestError> {
    let mut names = HashSet::new();
    let mut fields = Vec::with_capacity(own.fields().len());
    for field in own.fields() {
        if !names.insert(field.name()) {
            return Err(IngestError::bad(
                Place::default(),
                format!("column `{}` appears twice", field.name()),
                "rename one of the two",
            ));
        }
        let plain = Arc::new(plain_field(field));
        if !is_kept(plain.data_type()) {
            return Err(not_kept(field));
        }
        fields.push(plain);
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The batch with the schema's columns, found by name, in its types.
pub(super) fn batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, IngestError> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let Some(column) = batch.column_by_name(field.name()) else {
            continue;
        };
        columns.push(match column.data_type() == field.data_type() {
            true => Arc::clone(column),
            false => cast(column, field.data_type()).map_err(|_| not_kept(field))?,
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| IngestError::arrow(&error))
}

fn plain_field(field: &Field) -> Field {
    field.clone().with_data_type(plain_type(field.data_type()))
}

fn plain_type(data_type: &DataType) -> DataType {
    let plain = |field: &FieldRef| Arc::new(plain_field(field));
    match data_type {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(field) | DataType::ListView(field) => DataType::List(plain(field)),
        DataType::LargeList(field) | DataType::LargeListView(field) => {
            DataType::LargeList(plain(field))
        }
        DataType::FixedSizeList(field, length) => DataType::FixedSizeList(plain(field), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain).collect()),
        DataType::Map(field, sorted) => DataType::Map(plain(field), *sorted),
        other => other.clone(),
    }
}

/// Whether Parquet can hold a plain type.
fn is_kept(data_type: &DataType) -> bool {
    match data_type {
        DataType::Union(..) | DataType::Interval(IntervalUnit::MonthDayNano) => false,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => is_kept(field.data_type()),
        DataType::Struct(fields) => {
            !fields.is_empty() && fields.iter().all(|field| is_kept(field.data_type()))
        }
        _ => true,
    }
}

fn not_kept(field: &Field) -> IngestError {
    IngestError::bad(
        Place::default(),
        format!(
            "column `{}` is of the type {}, which datasets do not hold",
            field.name(),
            field.data_type()
        ),
        "cast it, or leave it out",
    )
}
