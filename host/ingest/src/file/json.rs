//! JSON: an array of objects, or one object a line.
//!
//! Columns are the keys of all objects, in the order of first sight; a missing key is null, as `null` is.
//! Strings stay text, also those that look like dates. Numbers follow the rules of [`super::profile`];
//! numbers mixed with strings or truth values widen to text. Objects and arrays inside a row are kept as
//! JSON text, exactly as written, and so is every other value of such a column; the field is marked with
//! `arrow.json`. A key twice in one object is an error. Records are read one by one, also out of an array.

mod records;

use std::{borrow::Cow, collections::HashMap, fmt, fs::File, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

pub(super) use self::records::Layout;
use self::records::{Record, Records};
use super::{
    columns::Columns,
    meter::MAX_COLUMNS,
    profile::Profile,
    source::{Sink, Source, no_rows},
};
use crate::{IngestError, error::Place, watch::Watch};

/// Field metadata that marks JSON text, by Arrow's list of canonical extension types.
const JSON_FIELD: (&str, &str) = ("ARROW:extension:name", "arrow.json");

/// A JSON file that was looked through.
pub(super) struct JsonFile {
    file: File,
    watch: Watch,
    layout: Layout,
    names: Vec<String>,
    profiles: Vec<Profile>,
    rows: u64,
}

impl JsonFile {
    /// Looks through the whole file.
    pub(super) fn open(file: File, layout: Layout, watch: &Watch) -> Result<Self, IngestError> {
        let mut json = Self {
            file,
            watch: watch.clone(),
            layout,
            names: Vec::new(),
            profiles: Vec::new(),
            rows: 0,
        };
        json.survey()?;
        Ok(json)
    }

    fn survey(&mut self) -> Result<(), IngestError> {
        let mut positions = HashMap::new();
        // The row in which a column was last seen, to find a key twice in one object.
        let mut seen_in = Vec::new();
        let mut records = Records::open(&self.file, self.layout, &self.watch)?;
        while let Some(record) = records.next()? {
            self.rows += 1;
            for (key, value) in fields(&record)?.0 {
                let at = match positions.get(key.as_ref()) {
                    Some(at) => *at,
                    None => {
                        let at = self.add_column(&record, &key)?;
                        positions.insert(key.clone().into_owned(), at);
                        seen_in.push(0);
                        at
                    }
                };
                if seen_in[at] == self.rows {
                    return Err(IngestError::bad(
                        record.place,
                        format!("key `{key}` appears twice in one object"),
                        "rename one of the two",
                    ));
                }
                seen_in[at] = self.rows;
                observe(&mut self.profiles[at], value.get(), &record)?;
            }
        }
        if self.rows == 0 {
            return Err(no_rows("the file has"));
        }
        if self.names.is_empty() {
            return Err(IngestError::bad(
                Place::default(),
                "every object of the file is empty",
                "give the objects at least one key",
            ));
        }
        Ok(())
    }

    fn add_column(&mut self, record: &Record<'_>, key: &str) -> Result<usize, IngestError> {
        if key.trim().is_empty() {
            return Err(IngestError::bad(
                record.place,
                "a key of this object is empty",
                "name every key",
            ));
        }
        if self.names.len() == MAX_COLUMNS {
            return Err(IngestError::bad(
                record.place,
                format!("the objects have more than {MAX_COLUMNS} different keys"),
                "put values under fixed keys, for example {\"key\": …, \"value\": …}",
            ));
        }
        self.names.push(key.to_owned());
        self.profiles.push(Profile::default());
        Ok(self.names.len() - 1)
    }
}

impl Source for JsonFile {
    fn schema(&self) -> SchemaRef {
        let fields: Vec<_> = self
            .names
            .iter()
            .zip(&self.profiles)
            .map(|(name, profile)| {
                let field = Field::new(name, profile.data_type(false), true);
                match profile.is_json() {
                    true => field.with_metadata(HashMap::from([(
                        JSON_FIELD.0.to_owned(),
                        JSON_FIELD.1.to_owned(),
                    )])),
                    false => field,
                }
            })
            .collect();
        Arc::new(Schema::new(fields))
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn fits(&self, column: usize, data_type: &DataType) -> bool {
        self.profiles[column].fits(data_type)
    }

    fn absent_is_null(&self) -> bool {
        true
    }

    fn read(&mut self, schema: &SchemaRef, sink: &mut Sink<'_>) -> Result<(), IngestError> {
        let positions: HashMap<&str, usize> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| (field.name().as_str(), at))
            .collect();
        let as_json: Vec<bool> = schema.fields().iter().map(|field| is_json(field)).collect();
        let mut columns = Columns::new(schema)?;
        let mut records = Records::open(&self.file, self.layout, &self.watch)?;
        while let Some(record) = records.next()? {
            let mut row = vec![None; as_json.len()];
            for (key, value) in fields(&record)?.0 {
                if let Some(at) = positions.get(key.as_ref()) {
                    row[*at] = text_of(value.get(), as_json[*at], &record)?;
                }
            }
            for (at, text) in row.iter().enumerate() {
                if !columns.push(at, text.as_deref()) {
                    let field = schema.field(at);
                    return Err(IngestError::bad(
                        record.place,
                        format!(
                            "the value of `{}` is no {}",
                            field.name(),
                            field.data_type()
                        ),
                        "do not change the file while it is read",
                    ));
                }
            }
            if let Some(batch) = columns.end_row()? {
                sink(batch)?;
            }
        }
        columns.finish()?.map_or(Ok(()), sink)
    }
}

/// Whether a field holds JSON text.
pub(crate) fn is_json(field: &Field) -> bool {
    field
        .metadata()
        .get(JSON_FIELD.0)
        .is_some_and(|name| name == JSON_FIELD.1)
}

fn observe(profile: &mut Profile, raw: &str, record: &Record<'_>) -> Result<(), IngestError> {
    match raw.as_bytes().first() {
        Some(b'n') => {}
        Some(b't' | b'f') => profile.observe_boolean(),
        Some(b'{' | b'[') => profile.observe_nested(),
        Some(b'"') => {
            // Only escapes can still be wrong: half a surrogate pair.
            if raw.contains('\\') {
                unquote(raw, record)?;
            }
            profile.observe_string();
        }
        _ => profile.observe_number(raw),
    }
    Ok(())
}

/// A value as the text of its column; none for null.
fn text_of<'a>(
    raw: &'a str,
    as_json: bool,
    record: &Record<'_>,
) -> Result<Option<Cow<'a, str>>, IngestError> {
    Ok(match raw.as_bytes().first() {
        Some(b'n') => None,
        Some(b'"') if !as_json => Some(unquote(raw, record)?),
        _ => Some(Cow::Borrowed(raw)),
    })
}

/// A string without its quotes and escapes.
fn unquote<'a>(raw: &'a str, record: &Record<'_>) -> Result<Cow<'a, str>, IngestError> {
    serde_json::from_str::<Text<'_>>(raw)
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
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

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
                while let Some((key, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
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
