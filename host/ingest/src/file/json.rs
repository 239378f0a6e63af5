//! JSON: an array of objects, or one object a line.
//!
//! Columns are the keys of all objects, in the order of first sight; a missing key is null, as `null` is.
//! Strings stay text, also those that look like dates. Numbers follow the rules of [`super::profile`];
//! numbers mixed with strings or truth values widen to text. Objects and arrays inside a row are kept as
//! JSON text, exactly as written, and so is every other value of such a column; the field is marked with
//! `arrow.json`. A key twice in one object is an error. Records are read one by one, also out of an array.

mod records;

use std::{borrow::Cow, collections::HashMap, fmt, sync::Arc};

use arrow::datatypes::{DataType, Schema, SchemaRef};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

pub(super) use self::records::Layout;
use self::records::{Record, Records};
use super::{
    columns::Columns,
    look::{Look, is_json},
    options::FileOptions,
    profile::Profile,
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
    positions: HashMap<String, usize>,
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
            positions: HashMap::new(),
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
            && let Some(record) = records.next()?
        {
            rows += 1;
            for (order, (key, value)) in fields(&record)?.0.into_iter().enumerate() {
                let at = self.position(order, &key, &record)?;
                if at == seen_in.len() {
                    seen_in.push(0);
                    // All objects before lacked the key.
                    self.looks[at].observe_nulls(MISSING, rows - 1);
                    target = None;
                }
                if seen_in[at] == rows {
                    return Err(twice(&key, &record));
                }
                seen_in[at] = rows;
                if !self.take(at, value.get(), &record, target.as_mut())? {
                    target = None;
                }
            }
            let missing = seen_in.iter().enumerate().filter(|(_, row)| **row != rows);
            for (at, _) in missing {
                if !self.is_known {
                    self.looks[at].observe_nulls(MISSING, 1);
                }
                if let Some(target) = &mut target {
                    target.push_null(at);
                }
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

    /// The column of a key, which most often stands where it stood in the object before.
    fn position(
        &mut self,
        order: usize,
        key: &str,
        record: &Record<'_>,
    ) -> Result<usize, IngestError> {
        if self.looks.get(order).is_some_and(|look| look.name == key) {
            return Ok(order);
        }
        if let Some(at) = self.positions.get(key) {
            return Ok(*at);
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
        let at = self.looks.len();
        self.positions.insert(key.to_owned(), at);
        self.looks
            .push(Look::new(key.to_owned(), self.schema.as_ref()));
        Ok(at)
    }

    /// Looks at a value and puts it into its column; false when it does not fit there.
    fn take(
        &mut self,
        at: usize,
        raw: &str,
        record: &Record<'_>,
        target: Option<&mut Target>,
    ) -> Result<bool, IngestError> {
        let look = &mut self.looks[at];
        if raw == "null" {
            if !self.is_known {
                look.observe_nulls(NULL, 1);
            }
            if let Some(target) = target {
                target.push_null(at);
            }
            return Ok(true);
        }
        // Numbers are looked at on their way into the column, which reads them anyway.
        let is_number = matches!(raw.as_bytes().first(), Some(b'-' | b'0'..=b'9'));
        let target = target.and_then(|target| {
            let column = target.wanted.get(at).copied().flatten()?;
            Some((target, column))
        });
        let is_seen = self.is_known || (is_number && target.is_some());
        if !is_seen {
            observe(&mut look.profile, raw, record)?;
        }
        let Some((target, column)) = target else {
            return Ok(true);
        };
        let text = text_of(raw, target.as_json[column], record)?;
        let profile = (is_number && !self.is_known).then_some(&mut look.profile);
        let line = record.place.line.unwrap_or(1);
        if target.columns.push(column, &text, profile, line) {
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

fn observe(profile: &mut Profile, raw: &str, record: &Record<'_>) -> Result<(), IngestError> {
    let line = record.place.line.unwrap_or(1);
    match raw.as_bytes().first() {
        Some(b't' | b'f') => profile.observe_boolean(line),
        Some(b'{' | b'[') => profile.observe_nested(line),
        Some(b'"') => {
            // Only escapes can still be wrong: half a surrogate pair.
            unquote(raw, record)?;
            profile.observe_string(line);
        }
        _ => profile.observe_number(raw, line),
    }
    Ok(())
}

/// A value as the text of its column.
fn text_of<'a>(
    raw: &'a str,
    as_json: bool,
    record: &Record<'_>,
) -> Result<Cow<'a, str>, IngestError> {
    match raw.as_bytes().first() {
        Some(b'"') if !as_json => unquote(raw, record),
        _ => Ok(Cow::Borrowed(raw)),
    }
}

/// A string without its quotes and escapes.
fn unquote<'a>(raw: &'a str, record: &Record<'_>) -> Result<Cow<'a, str>, IngestError> {
    let plain = raw
        .strip_prefix('"')
        .and_then(|raw| raw.strip_suffix('"'))
        .filter(|plain| memchr::memchr(b'\\', plain.as_bytes()).is_none());
    if let Some(plain) = plain {
        return Ok(Cow::Borrowed(plain));
    }
    serde_json::from_str::<Unescaped<'_>>(raw)
        .map(|text| text.0)
        .map_err(|_| {
            IngestError::bad(
                record.place,
                "a string of this object has an escape that is no character",
                "write surrogate pairs whole, as in `\\ud83d\\ude00`",
            )
        })
}

/// The keys and raw values of an object, in its order.
fn fields<'a>(record: &Record<'a>) -> Result<Fields<'a>, IngestError> {
    serde_json::from_str(record.text).map_err(|error| record.explain(&error))
}

#[derive(Deserialize)]
struct Unescaped<'a>(#[serde(borrow)] Cow<'a, str>);

struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((key, value)) = map.next_entry::<Unescaped<'de>, &'de RawValue>()? {
                    fields.push((key.0, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests;
