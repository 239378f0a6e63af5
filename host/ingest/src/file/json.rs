//! JSON: an array of objects, or one object a line.
//!
//! Columns are the keys of all objects, in the order of first sight; a missing key is null, as `null` is.
//! Strings stay text, also those that look like dates. Numbers follow the rules of [`super::profile`];
//! numbers mixed with strings or truth values widen to text. Objects and arrays inside a row are kept as
//! JSON text, exactly as written, and so is every other value of such a column; the field is marked with
//! `arrow.json`. A key twice in one object is an error. Records are read one by one, also out of an array.

mod fields;
mod records;

use std::{borrow::Cow, sync::Arc};

use arrow::datatypes::{DataType, Schema, SchemaRef};

pub(super) use self::records::Layout;
use self::{
    fields::{Field, Keys, Value, unescaped},
    records::{Record, Records},
};
use super::{
    columns::Columns,
    look::{Look, is_json},
    options::FileOptions,
    profile::{Profile, Shape},
    report::ColumnReport,
    schema::FileSchema,
    source::{Read, Sink, Source, no_rows},
    text::{MAX_COLUMNS, Text},
};
use crate::{IngestError, error::Place};

/// Objects at the start that types are guessed from.
const START_RECORDS: u64 = 1_000;

/// What stands for null, in the order in which it is counted: the word, and no key at all.
const NULL: usize = 0;
const MISSING: usize = 1;

/// A JSON file.
pub(super) struct JsonFile {
    text: Text,
    layout: Layout,
    schema: Option<FileSchema>,
    looks: Vec<Look>,
    keys: Keys,
    rows: u64,
    is_known: bool,
}

impl JsonFile {
    /// Looks at the start of a file.
    pub(super) fn open(
        text: Text,
        layout: Layout,
        options: &FileOptions,
    ) -> Result<Self, IngestError> {
        let mut json = Self {
            text,
            layout,
            schema: options.schema.clone(),
            looks: Vec::new(),
            keys: Keys::default(),
            rows: 0,
            is_known: false,
        };
        let records = Records::new(json.text.peek()?, layout);
        json.walk(records, START_RECORDS, None, &mut |_| Ok(()))?;
        Ok(json)
    }

    /// Goes over records; looks at values until they are known, and converts them as long as they fit.
    fn walk(
        &mut self,
        mut records: Records,
        most: u64,
        schema: Option<&SchemaRef>,
        sink: &mut Sink<'_>,
    ) -> Result<Read, IngestError> {
        let mut target = match schema {
            Some(schema) => Some(Target::new(schema, &self.looks)?),
            None => None,
        };
        // The row in which a column was last seen, to find keys that are missing or there twice.
        let mut seen_in = vec![0; self.looks.len()];
        let mut rows = 0;
        while rows < most
            && let Some(record) = records.next(&self.keys)?
        {
            rows += 1;
            for field in record.fields {
                let at = match field.column {
                    Some(at) => at,
                    None => self.new_column(field, &record)?,
                };
                if at == seen_in.len() {
                    seen_in.push(0);
                    // All objects before lacked the key.
                    self.looks[at].observe_nulls(MISSING, rows - 1);
                    target = None;
                }
                if seen_in[at] == rows {
                    return Err(twice(&self.looks[at].name, &record));
                }
                seen_in[at] = rows;
                if !self.take(at, field, &record, target.as_mut())? {
                    target = None;
                }
            }
            if record.fields.len() < seen_in.len() {
                self.take_missing(&seen_in, rows, target.as_mut());
            }
            if let Some(target) = &mut target
                && let Some(batch) = target.end_row()?
            {
                sink(batch)?;
            }
        }
        self.rows = rows;
        let Some(mut target) = target else {
            return Ok(Read::Looked);
        };
        target.columns.finish()?.map_or(Ok(()), sink)?;
        Ok(Read::All)
    }

    /// Takes the columns that were not seen in a row for nulls.
    fn take_missing(&mut self, seen_in: &[u64], row: u64, mut target: Option<&mut Target>) {
        let missing = seen_in.iter().enumerate().filter(|(_, seen)| **seen != row);
        for (at, _) in missing {
            if !self.is_known {
                self.looks[at].observe_nulls(MISSING, 1);
            }
            if let Some(target) = &mut target {
                target.push_null(at);
            }
        }
    }

    /// The column of a key that was not known when its object was cut; there it may be a second time.
    fn new_column(&mut self, field: &Field, record: &Record<'_>) -> Result<usize, IngestError> {
        let key = unquoted(&record.text[field.key.clone()], true, record)?;
        if let Some(at) = self.keys.find(&key) {
            return Ok(at);
        }
        if key.trim().is_empty() {
            return Err(IngestError::bad(
                record.place,
                "a key of this object is empty",
                "name every key",
            ));
        }
        if self.looks.len() == MAX_COLUMNS {
            return Err(IngestError::bad(
                record.place,
                format!("the objects have more than {MAX_COLUMNS} different keys"),
                "put values under fixed keys, for example {\"key\": …, \"value\": …}",
            ));
        }
        if self.is_known {
            return Err(changed(record));
        }
        self.keys.add(&key);
        let look = Look::new(key.into_owned(), self.schema.as_ref());
        self.looks.push(look);
        Ok(self.looks.len() - 1)
    }

    /// Looks at a value and puts it into its column; false when it does not fit there.
    fn take(
        &mut self,
        at: usize,
        field: &Field,
        record: &Record<'_>,
        target: Option<&mut Target>,
    ) -> Result<bool, IngestError> {
        let look = &mut self.looks[at];
        if field.value == Value::Null {
            if !self.is_known {
                look.observe_nulls(NULL, 1);
            }
            if let Some(target) = target {
                target.push_null(at);
            }
            return Ok(true);
        }
        let raw = &record.text[field.raw.clone()];
        let line = record.place.line.unwrap_or(1);
        if !self.is_known {
            observe(&mut look.profile, field.value, raw, record)?;
        }
        let target = target.and_then(|target| {
            let column = target.wanted.get(at).copied().flatten()?;
            Some((target, column))
        });
        let Some((target, column)) = target else {
            return Ok(true);
        };
        let fits = match field.value {
            Value::Number(shape) => target.columns.push_shape(column, shape, raw),
            Value::Boolean(value) => {
                let shape = Shape::Boolean(value);
                target.columns.push_shape(column, shape, raw)
            }
            Value::String { has_escapes } if !target.as_json[column] => {
                let text = unquoted(raw, has_escapes, record)?;
                target.columns.push(column, &text, None, line)
            }
            _ => target.columns.push(column, raw, None, line),
        };
        if fits {
            return Ok(true);
        }
        match &look.said {
            Some(said) => Err(said.misfit(record.place, &look.name)),
            None if self.is_known => Err(changed(record)),
            None => Ok(false),
        }
    }
}

impl Source for JsonFile {
    fn schema(&self) -> SchemaRef {
        let fields: Vec<_> = self.looks.iter().map(|look| look.field(false)).collect();
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

    fn absent_is_null(&self) -> bool {
        true
    }

    fn read(
        &mut self,
        schema: Option<&SchemaRef>,
        sink: &mut Sink<'_>,
    ) -> Result<Read, IngestError> {
        if !self.is_known {
            self.looks = self.looks.iter().map(Look::anew).collect();
        }
        let records = Records::new(self.text.open()?, self.layout);
        // A batch has at least one column.
        let schema = schema.filter(|schema| !schema.fields().is_empty());
        let read = self.walk(records, u64::MAX, schema, sink)?;
        self.is_known = true;
        if self.rows == 0 {
            return Err(no_rows("the file has"));
        }
        if self.looks.is_empty() {
            return Err(IngestError::bad(
                Place::default(),
                "every object of the file is empty",
                "give the objects at least one key",
            ));
        }
        if let Some(schema) = &self.schema {
            let names: Vec<_> = self.looks.iter().map(|look| look.name.clone()).collect();
            schema.check(&names)?;
        }
        Ok(read)
    }

    fn columns(&self) -> Vec<ColumnReport> {
        let spellings = ["null".to_owned(), String::new()];
        let looks = self.looks.iter();
        looks.map(|look| look.report(false, &spellings)).collect()
    }
}

/// Where values go.
struct Target {
    columns: Columns,
    /// For each look its column, if it is wanted.
    wanted: Vec<Option<usize>>,
    /// For each column whether it holds JSON text.
    as_json: Vec<bool>,
    /// Columns that the file does not have.
    absent: Vec<usize>,
}

impl Target {
    fn new(schema: &SchemaRef, looks: &[Look]) -> Result<Self, IngestError> {
        let wanted: Vec<_> = looks
            .iter()
            .map(|look| schema.index_of(&look.name).ok())
            .collect();
        let all = 0..schema.fields().len();
        Ok(Self {
            columns: Columns::new(schema, looks)?,
            absent: all.filter(|at| !wanted.contains(&Some(*at))).collect(),
            as_json: schema.fields().iter().map(|field| is_json(field)).collect(),
            wanted,
        })
    }

    fn push_null(&mut self, look: usize) {
        if let Some(column) = self.wanted[look] {
            self.columns.push_null(column);
        }
    }

    fn end_row(&mut self) -> Result<Option<arrow::array::RecordBatch>, IngestError> {
        for column in &self.absent {
            self.columns.push_null(*column);
        }
        self.columns.end_row()
    }
}

fn twice(key: &str, record: &Record<'_>) -> IngestError {
    IngestError::bad(
        record.place,
        format!("key `{key}` appears twice in one object"),
        "rename one of the two",
    )
}

fn changed(record: &Record<'_>) -> IngestError {
    IngestError::bad(
        record.place,
        "the object is another than before",
        "do not change the file while it is read",
    )
}

fn observe(
    profile: &mut Profile,
    value: Value,
    raw: &str,
    record: &Record<'_>,
) -> Result<(), IngestError> {
    let line = record.place.line.unwrap_or(1);
    match value {
        Value::Null => {}
        Value::Boolean(_) => profile.observe_boolean(line),
        Value::Nested => profile.observe_nested(line),
        Value::Number(shape) => profile.observe_shape(shape, raw, line),
        Value::String { has_escapes } => {
            unquoted(raw, has_escapes, record)?;
            profile.observe_string(line);
        }
    }
    Ok(())
}

/// A string without its quotes and escapes.
fn unquoted<'a>(
    raw: &'a str,
    has_escapes: bool,
    record: &Record<'_>,
) -> Result<Cow<'a, str>, IngestError> {
    if !has_escapes {
        return Ok(Cow::Borrowed(&raw[1..raw.len() - 1]));
    }
    unescaped(raw).ok_or_else(|| {
        IngestError::bad(
            record.place,
            "a string of this object has an escape that is no character",
            "write surrogate pairs whole, as in `\\ud83d\\ude00`",
        )
    })
}

#[cfg(test)]
mod tests;
