//! CSV files: dialect, header, types, and errors that name line and field.
//!
//! What the caller does not say is found at the start of the file (`csv/dialect.rs`). An empty field is null,
//! quoted or not, unless other spellings are said; blank lines are skipped (so a table of one column cannot hold
//! nulls). Header names lose blanks at their ends, values do not. Columns without names are `column_1` and so on.

mod dialect;
mod records;

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{DataType, Schema, SchemaRef};

use self::{
    dialect::Start,
    records::{Dialect, Records},
};
use super::{
    columns::Columns,
    look::{Look, Nulls},
    options::FileOptions,
    report::{ColumnReport, DialectReport},
    schema::FileSchema,
    source::{Read, Sink, Source, no_rows},
    text::{MAX_COLUMNS, Text, Window},
};
use crate::{IngestError, error::Place};

/// Bytes and records at the start that dialect and types are guessed from.
const START_BYTES: usize = 256 << 10;
const START_RECORDS: usize = 1_000;

/// A CSV file.
pub(super) struct CsvFile {
    text: Text,
    dialect: Dialect,
    has_header: bool,
    skip: u64,
    nulls: Nulls,
    looks: Vec<Look>,
    rows: u64,
    is_known: bool,
}

impl CsvFile {
    /// Looks at the start of a file.
    pub(super) fn open(text: Text, options: &FileOptions) -> Result<Self, IngestError> {
        let (head, is_all) = text.head(START_BYTES)?;
        if head.contains('\0') {
            return Err(IngestError::bad(
                Place::default(),
                "the file holds zero bytes: it is binary, or UTF-16 text without a byte order mark",
                "name its format, or its encoding, for example `encoding=utf-16le`",
            ));
        }
        if is_all && head.trim_ascii().is_empty() {
            return Err(IngestError::bad(
                Place::default(),
                "the file is empty",
                "a CSV file begins with a line of column names",
            ));
        }
        let start = Start {
            text: behind_lines(&head, options.csv.skip_lines),
            is_all,
        };
        let dialect = start.dialect(&options.csv);
        let schema = options.schema.as_ref();
        let has_header = match options.csv.header {
            Some(said) => said,
            None => start.has_header(dialect),
        };
        let mut csv = Self {
            text,
            dialect,
            has_header,
            skip: options.csv.skip_lines,
            nulls: Nulls::new(options.nulls.as_ref()),
            looks: Vec::new(),
            rows: 0,
            is_known: false,
        };
        csv.name_columns(schema)?;
        csv.guess(&start);
        Ok(csv)
    }

    /// The delimiter.
    pub(super) fn delimiter(&self) -> char {
        char::from(self.dialect.delimiter)
    }

    /// How the file is written.
    pub(super) fn dialect(&self) -> DialectReport {
        DialectReport {
            delimiter: self.delimiter(),
            quote: self.dialect.quote.map(char::from),
            escape: self.dialect.escape.map(char::from),
            header: self.has_header,
            comment: self.dialect.comment.map(char::from),
            byte_order_mark: self.text.has_bom(),
        }
    }

    /// Takes names from the first record, or makes them up.
    fn name_columns(&mut self, schema: Option<&FileSchema>) -> Result<(), IngestError> {
        let mut records = self.records(self.text.peek()?)?;
        if !records.advance()? {
            return Err(no_rows("the file has"));
        }
        check_count(&records)?;
        let names = match (self.has_header, schema) {
            (true, _) => header(&records)?,
            (false, Some(schema)) if schema.names().count() == records.len() => {
                schema.names().map(str::to_owned).collect()
            }
            (false, _) => (1..=records.len())
                .map(|at| format!("column_{at}"))
                .collect(),
        };
        if let Some(schema) = schema {
            schema.check(&names)?;
        }
        let looks = names.into_iter().map(|name| Look::new(name, schema));
        self.looks = looks.collect();
        Ok(())
    }

    /// Looks at the first records, so that the types of the whole may be guessed.
    fn guess(&mut self, start: &Start<'_>) {
        let skip = usize::from(self.has_header);
        for record in start.records(self.dialect, START_RECORDS).iter().skip(skip) {
            for (look, text) in self.looks.iter_mut().zip(record) {
                if self.nulls.find(text).is_none() {
                    look.profile.observe(text, 0);
                }
            }
        }
    }

    fn records(&self, window: Window) -> Result<Records, IngestError> {
        Records::new(window, self.dialect, self.skip)
    }

    /// For each field of a record its column in the schema, if it is wanted there.
    fn wanted(&self, schema: &Schema) -> Vec<Option<usize>> {
        let looks = self.looks.iter();
        looks.map(|look| schema.index_of(&look.name).ok()).collect()
    }

    fn misfit(&self, at: usize, line: u64) -> IngestError {
        let look = &self.looks[at];
        let place = Place::at(line, at as u64 + 1);
        match &look.said {
            Some(said) => said.misfit(place, &look.name),
            None => IngestError::bad(
                place,
                format!("the value of `{}` is another than before", look.name),
                "do not change the file while it is read",
            ),
        }
    }
}

impl Source for CsvFile {
    fn schema(&self) -> SchemaRef {
        let fields: Vec<_> = self.looks.iter().map(|look| look.field(true)).collect();
        Arc::new(Schema::new(fields))
    }

    fn is_known(&self) -> bool {
        self.is_known
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn fits(&self, column: usize, data_type: &DataType) -> bool {
        self.looks[column].fits(data_type)
    }

    fn read(
        &mut self,
        schema: Option<&SchemaRef>,
        sink: &mut Sink<'_>,
    ) -> Result<Read, IngestError> {
        let mut records = self.records(self.text.open()?)?;
        if self.has_header {
            records.advance()?;
        }
        if !self.is_known {
            self.looks = self.looks.iter().map(Look::anew).collect();
        }
        let mut columns = schema
            .map(|schema| Columns::new(schema, &self.looks))
            .transpose()?;
        let wanted = schema.map_or_else(
            || vec![None; self.looks.len()],
            |schema| self.wanted(schema),
        );
        let mut rows = 0;
        while records.advance()? {
            check_length(&records, self.looks.len())?;
            let line = records.line();
            let mut misfit = None;
            for (at, look) in self.looks.iter_mut().enumerate() {
                let text = records.field(at);
                let null = self.nulls.find(text);
                let look = (!self.is_known).then_some(look);
                let target = columns.as_mut().zip(wanted[at]);
                if !take(text, null, look, target, line) {
                    misfit.get_or_insert(at);
                }
            }
            rows += 1;
            match (misfit, &mut columns) {
                (Some(at), _) if self.is_known || self.looks[at].said.is_some() => {
                    return Err(self.misfit(at, line));
                }
                (Some(_), _) => columns = None,
                (None, Some(columns)) => {
                    if let Some(batch) = columns.end_row()? {
                        sink(batch)?;
                    }
                }
                (None, None) => {}
            }
        }
        if rows == 0 {
            return Err(no_rows("the file has a header but"));
        }
        (self.rows, self.is_known) = (rows, true);
        match columns {
            None => Ok(Read::Looked),
            Some(mut columns) => {
                columns.finish()?.map_or(Ok(()), sink)?;
                Ok(Read::All)
            }
        }
    }

    fn columns(&self) -> Vec<ColumnReport> {
        let looks = self.looks.iter();
        looks
            .map(|look| look.report(true, self.nulls.spellings()))
            .collect()
    }
}

/// Looks at a value and puts it into its column; false when it does not fit there.
#[inline]
fn take(
    text: &str,
    null: Option<usize>,
    look: Option<&mut Look>,
    target: Option<(&mut Columns, usize)>,
    line: u64,
) -> bool {
    match (null, look, target) {
        (None, look, Some((columns, column))) => {
            let profile = look.map(|look| &mut look.profile);
            columns.push(column, text, profile, line)
        }
        (None, Some(look), None) => {
            look.profile.observe(text, line);
            true
        }
        (None, None, None) => true,
        (Some(spelling), look, target) => {
            if let Some(look) = look {
                look.observe_nulls(spelling, 1);
            }
            if let Some((columns, column)) = target {
                columns.push_null(column);
            }
            true
        }
    }
}

/// What follows so many lines.
fn behind_lines(text: &str, lines: u64) -> &str {
    let mut rest = text;
    for _ in 0..lines {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest
}

fn check_count(records: &Records) -> Result<(), IngestError> {
    if records.len() <= MAX_COLUMNS {
        return Ok(());
    }
    Err(IngestError::bad(
        Place::line(records.line()),
        format!(
            "the header has {} columns, more than {MAX_COLUMNS}",
            records.len()
        ),
        "split the table, or store it as Parquet",
    ))
}

fn check_length(records: &Records, expected: usize) -> Result<(), IngestError> {
    let found = records.len();
    if found == expected {
        return Ok(());
    }
    Err(IngestError::bad(
        Place::at(records.line(), found.min(expected) as u64 + 1),
        format!("the record has {found} fields, the header has {expected}"),
        "quote fields that hold a delimiter or line break, close open quotes, or add the missing fields",
    ))
}

/// The names in the first record.
fn header(records: &Records) -> Result<Vec<String>, IngestError> {
    let mut seen = HashMap::new();
    let mut names = Vec::with_capacity(records.len());
    for at in 0..records.len() {
        let name = records.field(at).trim();
        let place = Place::at(records.line(), at as u64 + 1);
        if name.is_empty() {
            return Err(IngestError::bad(
                place,
                "this column has no name",
                "name every column in the first line, or say `header=no` if it is none",
            ));
        }
        if let Some(first) = seen.insert(name.to_owned(), at + 1) {
            return Err(IngestError::bad(
                place,
                format!("column `{name}` appears twice in the header, first as field {first}"),
                "rename one of the two, or say `header=no` if the line is none",
            ));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
