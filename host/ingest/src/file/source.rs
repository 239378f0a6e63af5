//! The seam between file formats and the pipeline.
//!
//! A source that brings its types knows them when it is made. A text has looked at its start only: its types
//! are a guess, and the first reading of the whole looks at every value, so that they are final after it; whether
//! the guess was right decides if that reading was the only one. Sources block; they run on threads that may.

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, FieldRef, Schema, SchemaRef},
};
use boathouse_types::DatasetName;

use super::report::ColumnReport;
use crate::{IngestError, pii};

/// Takes batches, in order.
pub(crate) type Sink<'a> = dyn FnMut(RecordBatch) -> Result<(), IngestError> + 'a;

/// What came of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// All rows went to the sink.
    All,
    /// All rows were looked at, but some value does not fit the schema, or there was none.
    Looked,
}

/// A file that is ready to be read as a table.
pub(crate) trait Source {
    /// Columns with the types that suit this file best, by what is known of it.
    fn schema(&self) -> SchemaRef;

    /// Whether that is final, as it is of a file that brings its types.
    fn is_known(&self) -> bool {
        true
    }

    /// Rows of the table, as of the last reading.
    fn rows(&self) -> u64;

    /// Whether every value of a column, by its position in [`Source::schema`], can be had in a type.
    fn fits(&self, column: usize, data_type: &DataType) -> bool {
        self.schema().field(column).data_type() == data_type
    }

    /// Whether a column that the file lacks reads as nulls.
    fn absent_is_null(&self) -> bool {
        false
    }

    /// Reads all rows, into a schema if there is one, matched by name. Everything is known of the file then.
    fn read(
        &mut self,
        schema: Option<&SchemaRef>,
        sink: &mut Sink<'_>,
    ) -> Result<Read, IngestError>;

    /// What was found out about the columns, where there was something to find out.
    fn columns(&self) -> Vec<ColumnReport> {
        Vec::new()
    }
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
            Ok(at) if pii::takes_any_type(field) || source.fits(at, field.data_type()) => {}
            Ok(at) => differences.push(format!(
                "column `{}` is {} in the dataset and {} in the file",
                field.name(),
                field.data_type(),
                own.field(at).data_type()
            )),
            Err(_) if source.absent_is_null() || pii::is_dropped(field) => {}
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
        .filter_map(|field| pii::continued(field, own.field_with_name(field.name()).ok()))
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
