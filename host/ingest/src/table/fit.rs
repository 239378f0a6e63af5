//! How the columns of a snapshot become those of a dataset.
//!
//! A new dataset takes them as they are. One that grows keeps its own order; names and types have to be the
//! same, and a column may hold nulls when either side says so. Values are never converted.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::RecordBatch,
    datatypes::{FieldRef, Schema, SchemaRef},
};
use boathouse_types::DatasetName;

use crate::{IngestError, pii};

/// Differences that a message lists at most.
const SHOWN: usize = 12;

/// The columns that rows get, and where each of them stands in a batch of the source.
pub(super) struct Fit {
    schema: SchemaRef,
    from: Vec<usize>,
}

impl Fit {
    /// How rows of `source` fit into a dataset, which has columns already when it grows.
    pub(super) fn of(
        source: &SchemaRef,
        existing: Option<&Schema>,
        dataset: &DatasetName,
    ) -> Result<Self, IngestError> {
        check_names(source)?;
        match existing {
            None => Ok(Self {
                schema: Arc::clone(source),
                from: (0..source.fields().len()).collect(),
            }),
            Some(existing) => continued(source, existing, dataset),
        }
    }

    /// The columns that rows get.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A batch of the source with the columns of the dataset.
    pub(super) fn apply(&self, batch: RecordBatch) -> Result<RecordBatch, IngestError> {
        let columns = self.from.iter().map(|at| {
            let column = batch.columns().get(*at).map(Arc::clone);
            column.ok_or_else(|| IngestError::Worker("a batch lacks columns".to_owned()))
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| IngestError::arrow(&error))
    }
}

/// Columns must be there and must be told apart.
fn check_names(schema: &Schema) -> Result<(), IngestError> {
    let bad = |problem: String| Err(IngestError::Columns { problem });
    if schema.fields().is_empty() {
        return bad("there are none; select at least one".to_owned());
    }
    let mut known = BTreeSet::new();
    for field in schema.fields() {
        if field.name().is_empty() {
            return bad("one has no name; give it one with AS".to_owned());
        }
        if !known.insert(field.name()) {
            let name = field.name().escape_debug();
            return bad(format!(
                "two are named `{name}`; rename one in a query with AS"
            ));
        }
    }
    Ok(())
}

fn continued(
    source: &Schema,
    existing: &Schema,
    dataset: &DatasetName,
) -> Result<Fit, IngestError> {
    let differences = differences(source, existing);
    if !differences.is_empty() {
        return Err(IngestError::SchemaDiffers {
            dataset: dataset.clone(),
            differences: differences.join(", "),
        });
    }
    let fields = existing.fields().iter();
    let (fields, from): (Vec<FieldRef>, Vec<usize>) = fields
        .filter_map(|field| {
            let (at, own) = source.column_with_name(field.name())?;
            let nullable = field.is_nullable() || own.is_nullable();
            Some((Arc::new(own.clone().with_nullable(nullable)), at))
        })
        .unzip();
    Ok(Fit {
        schema: Arc::new(Schema::new(fields)),
        from,
    })
}

/// One clause a column that is not the same on both sides.
fn differences(source: &Schema, existing: &Schema) -> Vec<String> {
    let mut differences = Vec::new();
    for field in existing.fields() {
        let name = field.name();
        match source.column_with_name(name) {
            None if pii::is_dropped(field) => {}
            None => differences.push(format!("the source has no column `{name}`")),
            Some(_) if pii::takes_any_type(field) => {}
            Some((_, own)) if own.data_type() != field.data_type() => differences.push(format!(
                "column `{name}` is {} in the dataset and {} at the source",
                field.data_type(),
                own.data_type()
            )),
            Some(_) => {}
        }
    }
    for field in source.fields() {
        if existing.column_with_name(field.name()).is_none() {
            differences.push(format!("the dataset has no column `{}`", field.name()));
        }
    }
    differences.truncate(SHOWN);
    differences
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{Int64Array, StringArray},
        datatypes::{DataType, Field},
    };

    use super::*;
    use crate::testing::{dataset, shown};

    fn schema(columns: &[(&str, DataType, bool)]) -> SchemaRef {
        let fields = columns
            .iter()
            .map(|(name, data_type, nullable)| Field::new(*name, data_type.clone(), *nullable));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn source() -> SchemaRef {
        schema(&[
            ("id", DataType::Int64, false),
            ("name", DataType::Utf8, true),
        ])
    }

    #[test]
    fn columns_move_to_their_places_and_nulls_are_allowed_where_either_side_has_them() {
        let existing = schema(&[
            ("name", DataType::Utf8, false),
            ("id", DataType::Int64, true),
        ]);
        let fit = Fit::of(&source(), Some(&existing), &dataset()).unwrap();
        let columns: Vec<_> = fit.schema().fields().iter().collect();
        assert!(columns.iter().all(|field| field.is_nullable()));
        let batch = RecordBatch::try_new(
            source(),
            vec![
                Arc::new(Int64Array::from(vec![1, 2])),
                Arc::new(StringArray::from(vec![Some("a"), None])),
            ],
        );
        let batch = fit.apply(batch.unwrap()).unwrap();
        assert_eq!(shown(&[batch]), ["name|id", "a|1", "~|2"]);
    }

    #[test]
    fn every_difference_is_named() {
        let existing = schema(&[
            ("id", DataType::Int32, true),
            ("gone", DataType::Utf8, true),
        ]);
        let error = Fit::of(&source(), Some(&existing), &dataset()).map(|_| ());
        let error = error.unwrap_err().to_string();
        for clause in [
            "column `id` is Int32 in the dataset and Int64 at the source",
            "the source has no column `gone`",
            "the dataset has no column `name`",
        ] {
            assert!(error.contains(clause), "{error}");
        }
    }

    #[test]
    fn columns_without_names_of_their_own_are_refused() {
        let check = |columns: &[(&str, DataType, bool)], word: &str| {
            let refused = Fit::of(&schema(columns), None, &dataset()).map(|_| ());
            assert!(refused.unwrap_err().to_string().contains(word));
        };
        check(&[], "select at least one");
        check(&[("", DataType::Utf8, true)], "no name");
        let twice = ("a", DataType::Utf8, true);
        check(&[twice.clone(), twice], "two are named `a`");
        let cases = [("a", DataType::Utf8, true), ("A", DataType::Utf8, true)];
        assert!(Fit::of(&schema(&cases), None, &dataset()).is_ok());
    }
}
