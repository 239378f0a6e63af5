//! Columns masked, hashed and left out: a local file of rows becomes another, with the same rows in the same
//! order and the same row groups.
//!
//! A column that is masked or hashed becomes text, a null stays null. Statistics, dictionaries and samples of
//! the new file are of what became of the values; the file before it has no name and is gone when it is
//! closed. Memory is bounded by a batch and a row group, as it is where rows come in.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray, StringBuilder},
    datatypes::{DataType, Field, FieldRef, Schema, SchemaRef},
};
use boathouse_types::TableSample;
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};

use super::{Action, HashKey, TREATED, Treatment, canonical};
use crate::{
    IngestError,
    dataset::SOURCE_TYPE,
    decoded,
    seal::{self, Sealing},
    spool,
    spool::SpooledTable,
    watch::Watch,
};

/// Does to the tables of a run what was decided. Tables of which nothing is changed come back as they are.
pub(crate) async fn treat(
    tables: Vec<SpooledTable>,
    treatments: &[Treatment],
    key: Option<Arc<HashKey>>,
    folder: Option<&Path>,
    watch: &Watch,
) -> Result<Vec<SpooledTable>, IngestError> {
    if !treatments.iter().any(|one| one.action.transforms()) {
        return Ok(tables);
    }
    let mut treated = Vec::with_capacity(tables.len());
    for table in tables {
        let recipe = Recipe::of(&table.schema, treatments, key.clone())?;
        let (folder, watch) = (folder.map(Path::to_owned), watch.clone());
        let work = move || recipe.apply(&table, folder.as_deref(), &watch);
        let worker = tokio::task::spawn_blocking(work).await;
        treated.push(worker.map_err(|error| IngestError::gave_up(&error))??);
    }
    Ok(treated)
}

/// What becomes of a column.
enum Step {
    Keep,
    Drop,
    Mask { keep_last: usize },
    Hash(Arc<HashKey>),
}

/// What becomes of each column of a schema.
struct Recipe {
    steps: Vec<Step>,
    schema: SchemaRef,
}

impl Recipe {
    fn of(
        schema: &Schema,
        treatments: &[Treatment],
        key: Option<Arc<HashKey>>,
    ) -> Result<Self, IngestError> {
        let mut steps = Vec::with_capacity(schema.fields().len());
        let mut fields: Vec<FieldRef> = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let action = treatments
                .iter()
                .find(|one| one.column == *field.name())
                .map_or(Action::Tag, |one| one.action);
            steps.push(Step::of(action, key.as_ref())?);
            match action {
                Action::Drop => {}
                Action::Mask { .. } | Action::Hash => fields.push(Arc::new(text(field, action))),
                Action::Tag | Action::Refuse => fields.push(Arc::clone(field)),
            }
        }
        if fields.is_empty() {
            return Err(IngestError::BadPolicy {
                problem: "the policy for personal data leaves out every column".to_owned(),
                cure: "mask or hash one instead, or leave the table where it is".to_owned(),
            });
        }
        Ok(Self {
            steps,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    fn apply(
        &self,
        table: &SpooledTable,
        folder: Option<&Path>,
        watch: &Watch,
    ) -> Result<SpooledTable, IngestError> {
        let file = spool::nameless(folder)?;
        let target = Sealing::new(file.try_clone().map_err(IngestError::Spool)?);
        let (schema, properties) = (
            Arc::clone(&self.schema),
            spool::properties(spool::GROUP_BYTES),
        );
        let mut writer =
            ArrowWriter::try_new(target, schema, Some(properties)).map_err(IngestError::spool)?;
        let source = reader(&table.file)?;
        let groups: Vec<usize> = source
            .metadata()
            .row_groups()
            .iter()
            .map(|group| decoded::batch_rows(&table.file, group))
            .collect();
        drop(source);
        for (group, rows) in groups.into_iter().enumerate() {
            let batches = reader(&table.file)?
                .with_row_groups(vec![group])
                .with_batch_size(rows)
                .build()
                .map_err(IngestError::spool)?;
            for batch in batches {
                watch.check()?;
                let batch = batch.map_err(|error| IngestError::arrow(&error))?;
                let treated = self.batch(&table.schema, &batch)?;
                writer.write(&treated).map_err(IngestError::spool)?;
            }
            writer.flush().map_err(IngestError::spool)?;
        }
        let (writer, _) = writer
            .into_serialized_writer()
            .map_err(IngestError::spool)?;
        Ok(SpooledTable {
            seal: seal::finish(writer)?,
            file,
            schema: Arc::clone(&self.schema),
            rows: table.rows,
            sample: TableSample::default(),
        })
    }

    fn batch(&self, schema: &Schema, batch: &RecordBatch) -> Result<RecordBatch, IngestError> {
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for ((step, field), column) in self.steps.iter().zip(schema.fields()).zip(batch.columns()) {
            columns.extend(step.apply(field, column)?);
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| IngestError::arrow(&error))
    }
}

/// Characters that stand for a masked truth value, whichever it is.
const TRUTH_LENGTH: usize = 5;

impl Step {
    fn of(action: Action, key: Option<&Arc<HashKey>>) -> Result<Self, IngestError> {
        Ok(match action {
            Action::Tag | Action::Refuse => Self::Keep,
            Action::Drop => Self::Drop,
            Action::Mask { keep_last } => Self::Mask {
                keep_last: usize::from(keep_last),
            },
            Action::Hash => Self::Hash(Arc::clone(key.ok_or_else(|| {
                IngestError::Worker("a column is hashed without a key".to_owned())
            })?)),
        })
    }

    /// What became of a column; none when it is left out.
    fn apply(&self, field: &Field, column: &ArrayRef) -> Result<Option<ArrayRef>, IngestError> {
        let change: &dyn Fn(&str) -> String = match self {
            Self::Keep => return Ok(Some(Arc::clone(column))),
            Self::Drop => return Ok(None),
            // Of a truth value the length tells all.
            Self::Mask { .. } if *field.data_type() == DataType::Boolean => {
                &|_| "*".repeat(TRUTH_LENGTH)
            }
            Self::Mask { keep_last } => &|text| masked(text, *keep_last),
            Self::Hash(key) => &|text| key.hash(text),
        };
        let texts = canonical::texts(field, column).map_err(|error| IngestError::arrow(&error))?;
        let mut treated = StringBuilder::new();
        for text in &texts {
            treated.append_option(text.map(change));
        }
        let treated: StringArray = treated.finish();
        Ok(Some(Arc::new(treated)))
    }
}

/// The value with `*` for every character but the last ones. What has no more characters than would stay
/// shows none, and never does more than half of a value stay.
fn masked(text: &str, keep_last: usize) -> String {
    let length = text.chars().count();
    let kept = match length <= keep_last {
        true => 0,
        false => keep_last.min(length / 2),
    };
    let hidden = length - kept;
    std::iter::repeat_n('*', hidden)
        .chain(text.chars().skip(hidden))
        .collect()
}

/// The field of a column that became text. Of what was said about its values only the name of their type
/// at the source stays.
fn text(field: &Field, action: Action) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.retain(|name, _| name == SOURCE_TYPE);
    metadata.insert(TREATED.to_owned(), action.to_string());
    Field::new(field.name(), DataType::Utf8, field.is_nullable()).with_metadata(metadata)
}

fn reader(file: &File) -> Result<ParquetRecordBatchReaderBuilder<File>, IngestError> {
    let file = file.try_clone().map_err(IngestError::Spool)?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(IngestError::spool)
}

#[cfg(test)]
mod tests;
