//! The seam between file formats and the pipeline.
//!
//! A source has looked through its whole file once when it is made, so its types and row count are final
//! and its file is known to be sound as far as a format allows. Sources block; they run on threads that may.

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, FieldRef, Schema, SchemaRef},
};
use boathouse_types::DatasetName;

use crate::IngestError;

/// Takes batches, in order.
pub(crate) type Sink<'a> = dyn FnMut(RecordBatch) -> Result<(), IngestError> + 'a;

/// A file that is ready to be read as a table.
pub(crate) trait Source {
    /// Columns with the types that suit this file best.
    fn schema(&self) -> SchemaRef;

    /// Rows of the table.
    fn rows(&self) -> u64;

    /// Whether every value of a column, by its position in [`Source::schema`], can be had in a type.
    fn fits(&self, column: usize, data_type: &DataType) -> bool;

    /// Whether a column that the file lacks reads as nulls.
    fn absent_is_null(&self) -> bool;

    /// Reads all rows in a schema whose columns fit, matched by name.
    fn read(&mut self, schema: &SchemaRef, sink: &mut Sink<'_>) -> Result<(), IngestError>;
}

/// The schema under which a file continues a dataset: the dataset's columns, in its order.
pub(crate) fn append_schema(
    source: &dyn Source,
    dataset: &DatasetName,
    existing: &Schema,
) -> Result<SchemaRef, IngestError> {
    let own = source.schema();
    let mut differences = Vec::new();
    for field in existing.fields() {
        match own.index_of(field.name()) {
            Ok(at) if source.fits(at, field.data_type()) => {}
            Ok(at) => differences.push(format!(
                "column `{}` is {} in the dataset and {} in the file",
                field.name(),
                field.data_type(),
                own.field(at).data_type()
            )),
            Err(_) if source.absent_is_null() => {}
            Err(_) => differences.push(format!("the file has no column `{}`", field.name())),
        }
    }
    for field in own.fields() {
        if existing.index_of(field.name()).is_err() {
            differences.push(format!("the dataset has no column `{}`", field.name()));
        }
    }
    if !differences.is_empty() {
        differences.truncate(12);
        return Err(IngestError::SchemaDiffers {
            dataset: dataset.clone(),
            differences: differences.join(", "),
        });
    }
    let fields: Vec<FieldRef> = existing
        .fields()
        .iter()
        .map(|field| {
            let own_nullable = own
                .field_with_name(field.name())
                .map_or(true, |f| f.is_nullable());
            let nullable = field.is_nullable() || own_nullable;
            Arc::new(field.as_ref().clone().with_nullable(nullable))
        })
        .collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// The error for a table without rows.
pub(super) fn no_rows(what: &str) -> IngestError {
    IngestError::bad(
        crate::error::Place::default(),
        format!("{what} no rows"),
        "add at least one row; to empty a dataset, delete it",
    )
}
