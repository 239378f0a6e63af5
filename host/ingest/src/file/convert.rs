//! Files into one local Parquet file, on a thread that may block; others encode (`spool/wide.rs`).
//!
//! What was guessed at the start of a text is tried first; most often it holds to the end, and the text was read
//! once. Several files become one table, in their order, in types that fit them all.

use std::path::Path;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use boathouse_types::DatasetName;

use super::{
    report::FileReport,
    source::{Read, Sink, Source, append_schema},
};
use crate::{
    IngestError, Phase,
    error::Place,
    spool::{SpooledTable, WideSpool},
    watch::Watch,
};

/// A file that is ready to be read.
pub(super) struct Part {
    /// What it is called.
    pub(super) label: String,
    /// Its rows.
    pub(super) source: Box<dyn Source>,
    /// What is known of it.
    pub(super) report: FileReport,
    /// Bytes of it on the disk.
    pub(super) size: u64,
}

/// Where rows go.
pub(super) struct Goal<'a> {
    /// The dataset.
    pub(super) dataset: &'a DatasetName,
    /// The schema that an append has to follow.
    pub(super) existing: Option<SchemaRef>,
    /// Folder for nameless files.
    pub(super) folder: Option<&'a Path>,
    /// Counters, and the wish to stop.
    pub(super) watch: &'a Watch,
}

impl Goal<'_> {
    /// Turns files into a table.
    pub(super) fn convert(&self, parts: &mut [Part]) -> Result<SpooledTable, IngestError> {
        let size: u64 = parts.iter().map(|part| part.size).sum();
        let is_known = parts.iter().all(|part| part.source.is_known());
        match self.wanted(parts) {
            Ok(schema) => {
                self.watch.progress.enter(Phase::Convert);
                if let Some(table) = self.attempt(parts, &schema)?
                    && (is_known || self.wanted(parts)? == schema)
                {
                    return Ok(table);
                }
            }
            Err(error) if is_known => return Err(error),
            // By its start the file does not fit; the whole of it says why, or that it does.
            Err(_) => {
                self.watch.progress.enter(Phase::Survey);
                for part in parts.iter_mut() {
                    part.read(None, &mut |_| Ok(()))?;
                }
            }
        }
        let schema = self.wanted(parts)?;
        self.watch.progress.read_again(size);
        self.watch.progress.enter(Phase::Convert);
        self.attempt(parts, &schema)?.ok_or_else(|| {
            IngestError::bad(
                Place::default(),
                "the file is another than at the first look",
                "do not change the file while it is read",
            )
        })
    }

    /// The schema by what is known of the files.
    fn wanted(&self, parts: &[Part]) -> Result<SchemaRef, IngestError> {
        let Some(existing) = &self.existing else {
            return common_schema(parts);
        };
        let mut schema = SchemaRef::clone(existing);
        for part in parts {
            schema = append_schema(part.source.as_ref(), self.dataset, &schema)
                .map_err(|error| error.about(&part.label))?;
        }
        Ok(schema)
    }

    /// Reads all files into a schema; none when some value does not fit it.
    fn attempt(
        &self,
        parts: &mut [Part],
        schema: &SchemaRef,
    ) -> Result<Option<SpooledTable>, IngestError> {
        let mut spool = WideSpool::create(self.folder, schema)?;
        let mut rest = &mut *parts;
        while let Some((part, others)) = rest.split_first_mut() {
            let read = part.read(Some(schema), &mut |batch| {
                self.watch.check()?;
                self.watch.progress.add_rows(batch.num_rows() as u64);
                spool.write(&batch)
            })?;
            if read == Read::Looked {
                // The others are only looked at.
                for part in others {
                    part.read(None, &mut |_| Ok(()))?;
                }
                return Ok(None);
            }
            rest = others;
        }
        let table = spool.finish(self.dataset.as_str())?;
        let rows: u64 = parts.iter().map(|part| part.source.rows()).sum();
        match table.rows == rows {
            true => Ok(Some(table)),
            false => Err(IngestError::Worker(format!(
                "of {rows} rows {} were written",
                table.rows
            ))),
        }
    }
}

impl Part {
    fn read(
        &mut self,
        schema: Option<&SchemaRef>,
        sink: &mut Sink<'_>,
    ) -> Result<Read, IngestError> {
        let read = self.source.read(schema, sink);
        read.map_err(|error| error.about(&self.label))
    }
}

/// The first file's columns, in types that fit all files.
fn common_schema(parts: &[Part]) -> Result<SchemaRef, IngestError> {
    let Some((first, others)) = parts.split_first() else {
        return Err(IngestError::Worker("there is no file".to_owned()));
    };
    let schema = first.source.schema();
    if others.is_empty() {
        return Ok(schema);
    }
    let schemas: Vec<_> = parts.iter().map(|part| part.source.schema()).collect();
    for (part, own) in parts.iter().zip(&schemas) {
        let same = own.fields().len() == schema.fields().len()
            && schema
                .fields()
                .iter()
                .all(|field| own.index_of(field.name()).is_ok());
        if !same {
            return Err(differs(
                part,
                "its columns are others than those of the first file",
            ));
        }
    }
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let own = || {
            schemas
                .iter()
                .filter_map(|own| own.field_with_name(field.name()).ok())
        };
        let fits_all = |data_type: &DataType| {
            parts.iter().zip(&schemas).all(|(part, own)| {
                let at = own.index_of(field.name());
                at.is_ok_and(|at| part.source.fits(at, data_type))
            })
        };
        let found = own().find(|candidate| fits_all(candidate.data_type()));
        let nullable = own().any(|field| field.is_nullable());
        match found {
            Some(found) => fields.push(found.clone().with_nullable(nullable)),
            None if fits_all(&DataType::Utf8) => {
                fields.push(field.as_ref().clone().with_data_type(DataType::Utf8));
            }
            None => {
                let odd = parts.iter().zip(&schemas).find(|(_, own)| {
                    let other = own.field_with_name(field.name());
                    other.is_ok_and(|other| other.data_type() != field.data_type())
                });
                let part = odd.map_or(first, |(part, _)| part);
                let problem = format!("no type fits column `{}` of all files", field.name());
                return Err(differs(part, &problem));
            }
        }
    }
    Ok(std::sync::Arc::new(Schema::new(fields)))
}

fn differs(part: &Part, problem: &str) -> IngestError {
    let error = IngestError::bad(
        Place::default(),
        problem,
        "ingest files of one kind together, or say a schema",
    );
    error.about(&part.label)
}
