//! Types that a caller says for the columns of a text, instead of letting them be found, and types that the columns
//! of a dataset have which a text continues.
//!
//! A schema is a list `name:type, name:type` (names with a colon or comma in double quotes, doubled inside), a
//! JSON object of names and types, or a JSON array of `{"name": …, "type": …}`. Types go by their Arrow names or
//! by those that databases use. Columns that it leaves out get the type that suits them.

use std::{fmt, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde_json::Value;

use super::{look::is_json, profile, said::is_readable};
use crate::{
    IngestError,
    error::Place,
    pii,
    uuid::{self, is_uuid},
};

/// Digits of a `Decimal128` and of a `Decimal256` at most.
const DECIMAL128_DIGITS: u8 = 38;
const DECIMAL256_DIGITS: u8 = 76;

/// What a caller says about columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSchema {
    columns: Vec<(String, SaidType)>,
}

/// A type that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SaidType {
    /// The Arrow type.
    pub(super) data_type: DataType,
    /// What its values are beyond that.
    pub(super) meaning: Meaning,
    /// Who says it.
    pub(super) said_by: SaidBy,
}

/// What the values of a type are that stands for more than one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Themselves.
    Plain,
    /// Texts that are JSON.
    Json,
    /// Sixteen bytes that are a UUID.
    Uuid,
}

/// Who says a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SaidBy {
    /// The caller.
    Caller,
    /// The dataset that the text continues.
    Dataset,
}

impl FileSchema {
    /// Reads a schema.
    ///
    /// # Errors
    /// [`IngestError::BadOption`] with the column.
    pub fn parse(text: &str) -> Result<Self, IngestError> {
        let pairs = match text.trim_start().as_bytes().first() {
            Some(b'{' | b'[') => json_pairs(text)?,
            _ => listed_pairs(text)?,
        };
        let mut schema = Self::default();
        for (name, said) in pairs {
            if schema.get(&name).is_some() {
                return Err(bad(format!("column `{name}` appears twice"), "say it once"));
            }
            let Some(said) = SaidType::parse(&said) else {
                return Err(bad(
                    format!("column `{name}` has the unknown type `{said}`"),
                    TYPES,
                ));
            };
            schema.columns.push((name, said));
        }
        match schema.columns.is_empty() {
            true => Err(bad("it has no columns", "write `name:type, name:type`")),
            false => Ok(schema),
        }
    }

    /// The schema as it is for a text that continues a dataset: a column of which the caller says nothing is read as
    /// the dataset has it, unless what is found there would do, or it becomes text anyway.
    pub(super) fn continuing(said: Option<&Self>, existing: &Schema) -> Option<Self> {
        let mut schema = said.cloned().unwrap_or_default();
        for field in existing.fields() {
            let follows = schema.get(field.name()).is_none() && !pii::takes_any_type(field);
            if let Some(said) = SaidType::of(field).filter(|_| follows) {
                schema.columns.push((field.name().clone(), said));
            }
        }
        (!schema.columns.is_empty()).then_some(schema)
    }

    /// The type of a column, if it is said.
    pub(super) fn get(&self, name: &str) -> Option<&SaidType> {
        let found = self.columns.iter().find(|(known, _)| known == name);
        found.map(|(_, said)| said)
    }

    /// The names that the caller says, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let of_caller = |(_, said): &&(String, SaidType)| said.said_by == SaidBy::Caller;
        let columns = self.columns.iter().filter(of_caller);
        columns.map(|(name, _)| name.as_str())
    }

    /// An error when it names a column that a file lacks.
    pub(super) fn check(&self, known: &[String]) -> Result<(), IngestError> {
        let missing = |name: &&str| !known.iter().any(|column| column == name);
        match self.names().find(missing) {
            None => Ok(()),
            Some(name) => Err(bad(
                format!("the file has no column `{name}`"),
                "name columns as the file does",
            )),
        }
    }
}

const TYPES: &str = "types are int8 to int64, uint8 to uint64, float32, float64, bool, utf8, binary, date, time, \
timestamp[s|ms|us|ns], timestamp[us, UTC], decimal(p, s), uuid and json";

fn bad(problem: impl fmt::Display, cure: &str) -> IngestError {
    IngestError::BadOption {
        option: "schema",
        problem: problem.to_string(),
        cure: cure.to_owned(),
    }
}

fn json_pairs(text: &str) -> Result<Vec<(String, String)>, IngestError> {
    const CURE: &str = "write `{\"name\": \"type\"}` or `[{\"name\": …, \"type\": …}]`";
    // As pairs, since a map would forget the order and keys that appear twice.
    if let Ok(Pairs(pairs)) = serde_json::from_str(text) {
        return Ok(pairs);
    }
    let Ok(columns) = serde_json::from_str::<Vec<Value>>(text) else {
        return Err(bad("it is no JSON object or array of columns", CURE));
    };
    let pair = |column: &Value| {
        let part = |key: &str| column.get(key)?.as_str().map(str::to_owned);
        Some((part("name")?, part("type")?))
    };
    let pairs: Option<Vec<_>> = columns.iter().map(pair).collect();
    pairs.ok_or_else(|| bad("a column of it has no `name` and `type`", CURE))
}

struct Pairs(Vec<(String, String)>);

impl<'de> serde::Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> serde::de::Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of names and types")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

fn listed_pairs(text: &str) -> Result<Vec<(String, String)>, IngestError> {
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = listed_name(rest)?;
        let end = end_of_type(after);
        pairs.push((name, after[..end].trim().to_owned()));
        rest = after.get(end + 1..).unwrap_or_default().trim_start();
    }
    Ok(pairs)
}

/// A name before its colon, and what follows it.
fn listed_name(text: &str) -> Result<(String, &str), IngestError> {
    let cure = "write `name:type, name:type`";
    let Some(quoted) = text.strip_prefix('"') else {
        let Some((name, after)) = text.split_once(':') else {
            return Err(bad("a column has no type", cure));
        };
        return Ok((name.trim().to_owned(), after));
    };
    let mut name = String::new();
    let mut rest = quoted;
    while let Some((part, after)) = rest.split_once('"') {
        name.push_str(part);
        if let Some(more) = after.strip_prefix('"') {
            name.push('"');
            rest = more;
            continue;
        }
        return match after.trim_start().strip_prefix(':') {
            Some(after) => Ok((name, after)),
            None => Err(bad(format!("column `{name}` has no type"), cure)),
        };
    }
    Err(bad("a quote is opened and never closed", cure))
}

/// Where the comma stands that ends a type, outside brackets.
fn end_of_type(text: &str) -> usize {
    let mut depth = 0_i32;
    let end = text.bytes().position(|byte| {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            _ => {}
        }
        byte == b',' && depth <= 0
    });
    end.unwrap_or(text.len())
}

impl SaidType {
    /// The error for a value that the type cannot hold.
    pub(super) fn misfit(&self, place: Place, column: &str) -> IngestError {
        let name = match self.meaning {
            Meaning::Json => "JSON".to_owned(),
            Meaning::Uuid => "UUID".to_owned(),
            Meaning::Plain => self.data_type.to_string(),
        };
        let (as_which, cure) = match self.said_by {
            SaidBy::Caller => ("", "correct it, or say another type for the column"),
            SaidBy::Dataset => (
                ", as the dataset has it",
                "correct it, or ingest with mode `replace`",
            ),
        };
        let problem = format!("the value of `{column}` is no {name}{as_which}");
        IngestError::bad(place, problem, cure)
    }

    /// The type of a column of a dataset, where no type that is found in a text fits it and texts can be read as it.
    /// Truth values are among them, as databases write `t` and `f`. Bytes are left out: a text does not say how it
    /// means them.
    fn of(field: &Field) -> Option<Self> {
        let meaning = match (is_json(field), is_uuid(field)) {
            (true, _) => Meaning::Json,
            (_, true) => Meaning::Uuid,
            _ => Meaning::Plain,
        };
        let data_type = field.data_type();
        let is_found = meaning == Meaning::Plain
            && profile::supported(data_type)
            && *data_type != DataType::Boolean;
        let follows =
            !is_found && *data_type != DataType::Binary && is_readable(data_type, meaning);
        follows.then(|| Self {
            data_type: data_type.clone(),
            meaning,
            said_by: SaidBy::Dataset,
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_lowercase();
        let (name, parameters) = match lower.find(['(', '[']) {
            Some(at) => {
                let inner = lower[at + 1..].strip_suffix([')', ']'])?;
                (lower[..at].trim_end(), inner)
            }
            None => (lower.as_str(), ""),
        };
        let parameters: Vec<&str> = parameters
            .split(',')
            .map(|one| one.trim().trim_matches('"'))
            .filter(|one| !one.is_empty())
            .collect();
        let data_type = match (name, parameters.as_slice()) {
            ("json" | "jsonb", []) => DataType::Utf8,
            ("uuid", []) => DataType::FixedSizeBinary(uuid::WIDTH),
            ("decimal" | "numeric" | "decimal128" | "decimal256", given) => decimal(name, given)?,
            ("timestamp" | "datetime", given) => timestamp(given)?,
            ("timestamptz" | "timestamp with time zone", []) => utc(TimeUnit::Microsecond),
            ("time" | "time64" | "time32", given) => time(given)?,
            ("varchar" | "char", [length]) if length.parse::<u32>().is_ok() => DataType::Utf8,
            (plain, []) => plain_type(plain)?,
            _ => return None,
        };
        Some(Self {
            data_type,
            meaning: match name {
                "json" | "jsonb" => Meaning::Json,
                "uuid" => Meaning::Uuid,
                _ => Meaning::Plain,
            },
            said_by: SaidBy::Caller,
        })
    }
}

fn plain_type(name: &str) -> Option<DataType> {
    Some(match name {
        "int8" | "tinyint" => DataType::Int8,
        "int16" | "smallint" => DataType::Int16,
        "int32" | "int" | "integer" => DataType::Int32,
        "int64" | "bigint" | "long" => DataType::Int64,
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "float32" | "float" | "real" => DataType::Float32,
        "float64" | "double" | "double precision" => DataType::Float64,
        "bool" | "boolean" => DataType::Boolean,
        "utf8" | "string" | "text" | "varchar" | "str" | "char" => DataType::Utf8,
        "largeutf8" | "large_utf8" | "large_string" => DataType::LargeUtf8,
        "binary" | "blob" | "bytea" | "bytes" => DataType::Binary,
        "date" | "date32" => DataType::Date32,
        _ => return None,
    })
}

fn decimal(name: &str, parameters: &[&str]) -> Option<DataType> {
    let (digits, scale) = match parameters {
        [] => (DECIMAL128_DIGITS, 0),
        [digits] => (digits.parse().ok()?, 0),
        [digits, scale] => (digits.parse().ok()?, scale.parse().ok()?),
        _ => return None,
    };
    let most = match name {
        "decimal128" => DECIMAL128_DIGITS,
        _ => DECIMAL256_DIGITS,
    };
    let is_possible =
        (1..=most).contains(&digits) && u8::try_from(scale).is_ok_and(|s| s <= digits);
    is_possible.then(
        || match digits <= DECIMAL128_DIGITS && name != "decimal256" {
            true => DataType::Decimal128(digits, scale),
            false => DataType::Decimal256(digits, scale),
        },
    )
}

fn timestamp(parameters: &[&str]) -> Option<DataType> {
    let (unit, zone) = match parameters {
        [] => (TimeUnit::Microsecond, None),
        ["utc"] => (TimeUnit::Microsecond, Some("utc")),
        [one] => (unit(one)?, None),
        [one, zone] => (unit(one)?, Some(*zone)),
        _ => return None,
    };
    match zone.map(|zone| zone.trim_start_matches("tz=")) {
        None | Some("none") => Some(DataType::Timestamp(unit, None)),
        Some("utc" | "z" | "+00:00" | "etc/utc") => Some(utc(unit)),
        Some(_) => None,
    }
}

fn time(parameters: &[&str]) -> Option<DataType> {
    let unit = match parameters {
        [] => TimeUnit::Microsecond,
        [one] => unit(one)?,
        _ => return None,
    };
    Some(match unit {
        TimeUnit::Second | TimeUnit::Millisecond => DataType::Time32(unit),
        TimeUnit::Microsecond | TimeUnit::Nanosecond => DataType::Time64(unit),
    })
}

fn utc(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, Some(Arc::from("UTC")))
}

fn unit(name: &str) -> Option<TimeUnit> {
    Some(match name {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" | "µs" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, String> {
        let schema = FileSchema::parse(text).map_err(|error| error.to_string())?;
        let columns = schema.columns.iter();
        let columns: Vec<_> = columns
            .map(|(name, said)| {
                format!(
                    "{name}={}{}",
                    said.data_type,
                    ["", "+"][usize::from(said.meaning == Meaning::Json)]
                )
            })
            .collect();
        Ok(columns.join(" "))
    }

    #[test]
    fn all_three_notations_say_the_same() {
        let expected = Ok("a=Int64 b, \"x\"=Decimal128(10, 2) c=Utf8+".to_owned());
        for text in [
            "a:int64, \"b, \"\"x\"\"\" : DECIMAL(10, 2),c:json",
            r#"{"a": "bigint", "b, \"x\"": "numeric(10,2)", "c": "jsonb"}"#,
            r#"[{"name":"a","type":"Int64"},{"name":"b, \"x\"","type":"Decimal128(10, 2)"},{"name":"c","type":"json"}]"#,
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn types_have_many_names() {
        for (said, expected) in [
            ("timestamp", "Timestamp(µs)"),
            ("Timestamp[ns]", "Timestamp(ns)"),
            ("timestamp[us, UTC]", "Timestamp(µs, \"UTC\")"),
            ("Timestamp(µs, \"UTC\")", "Timestamp(µs, \"UTC\")"),
            ("timestamp[ms, tz=UTC]", "Timestamp(ms, \"UTC\")"),
            ("timestamp with time zone", "Timestamp(µs, \"UTC\")"),
            ("time[ms]", "Time32(ms)"),
            ("time", "Time64(µs)"),
            ("varchar(20)", "Utf8"),
            ("decimal(40,3)", "Decimal256(40, 3)"),
            ("double precision", "Float64"),
            ("uint8", "UInt8"),
            ("uuid", "FixedSizeBinary(16)"),
        ] {
            assert_eq!(shown(&format!("x:{said}")), Ok(format!("x={expected}")));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, expected) in [
            ("", "it has no columns"),
            ("a", "a column has no type"),
            ("a:int64,a:utf8", "column `a` appears twice"),
            ("a:int63", "column `a` has the unknown type `int63`"),
            ("a:decimal(3,4)", "column `a` has the unknown type"),
            ("a:decimal(77,0)", "column `a` has the unknown type"),
            (
                "a:timestamp[us, Europe/Berlin]",
                "column `a` has the unknown type",
            ),
            ("\"a:int", "a quote is opened"),
            ("{\"a\": 1}", "it is no JSON"),
            ("[{\"name\": \"a\"}]", "a column of it has no `name`"),
            (
                "{\"a\":\"int8\",\"a\":\"int8\"}",
                "column `a` appears twice",
            ),
        ] {
            let message = shown(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
    #[test]
    fn a_continued_schema_says_what_would_not_be_found() {
        let uuid = ("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned());
        let existing = Schema::new(vec![
            Field::new("plain", DataType::Int64, true),
            Field::new("narrow", DataType::Int16, true),
            Field::new("truth", DataType::Boolean, true),
            Field::new("said", DataType::Float32, true),
            Field::new("bytes", DataType::Binary, true),
            Field::new("sixteen", DataType::FixedSizeBinary(16), true),
            Field::new("id", DataType::FixedSizeBinary(16), true).with_metadata([uuid].into()),
        ]);
        let own = FileSchema::parse("said:float64").unwrap();
        let schema = FileSchema::continuing(Some(&own), &existing).unwrap();
        let names: Vec<_> = schema.columns.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["said", "narrow", "truth", "id"]);
        assert_eq!(schema.get("said").unwrap().data_type, DataType::Float64);
        assert_eq!(schema.names().collect::<Vec<_>>(), ["said"]);
        schema.check(&["said".to_owned()]).unwrap();
        let plain = Schema::new(vec![Field::new("plain", DataType::Int64, true)]);
        assert_eq!(FileSchema::continuing(None, &plain), None);
        let misfit = |name: &str| schema.get(name).unwrap().misfit(Place::line(3), name);
        assert_eq!(
            misfit("narrow").to_string(),
            "line 3: the value of `narrow` is no Int16, as the dataset has it; correct it, or ingest with mode `replace`"
        );
        assert!(misfit("id").to_string().contains("is no UUID"));
    }
}
