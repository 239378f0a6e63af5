//! What a dataset holds, from its Parquet files alone.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
};

use arrow::{
    array::{Array, ArrayRef, AsArray as _, RecordBatch},
    datatypes::{
        DataType, DurationMicrosecondType, Field, Float64Type, TimeUnit, TimestampMicrosecondType,
    },
    temporal_conversions::timestamp_us_to_datetime,
    util::display::{ArrayFormatter, FormatOptions},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{ColumnSummary, Summary};

/// All digits, as the servers are asked for.
const TIMESTAMP: &str = "%Y-%m-%d %H:%M:%S%.6f";

/// Sums up the files of a folder.
pub(super) fn summary(folder: &Path) -> Summary {
    let batches: Vec<RecordBatch> = fs::read_dir(folder)
        .expect("a folder")
        .flat_map(|file| {
            let file = File::open(file.expect("an entry").path()).expect("a file");
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
            let batches = reader.build().expect("a reader");
            batches.map(|batch| batch.expect("rows"))
        })
        .collect();
    let schema = files_schema(folder);
    let texts: Vec<Vec<Option<String>>> = schema
        .iter()
        .enumerate()
        .map(|(at, field)| {
            batches
                .iter()
                .flat_map(|batch| texts(field, batch.column(at)))
                .collect()
        })
        .collect();
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let digests = (0..rows).map(|row| digest(texts.iter().map(|column| column[row].as_deref())));
    Summary {
        rows: rows as u64,
        digest: digests.sum::<i128>().to_string(),
        columns: schema
            .iter()
            .zip(&texts)
            .map(|(field, texts)| column(field, texts))
            .collect(),
    }
}

/// Of any file: they are all of one schema, and there is at least one.
fn files_schema(folder: &Path) -> Vec<Field> {
    let file = fs::read_dir(folder)
        .expect("a folder")
        .next()
        .expect("a file");
    let file = File::open(file.expect("an entry").path()).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    reader
        .schema()
        .fields()
        .iter()
        .map(|field| (**field).clone())
        .collect()
}

fn column(field: &Field, texts: &[Option<String>]) -> ColumnSummary {
    let distinct: BTreeSet<&str> = texts.iter().flatten().map(String::as_str).collect();
    let scale = match field.data_type() {
        kind if kind.is_integer() => Some(0),
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => Some(*scale as usize),
        _ => None,
    };
    let values = texts.iter().flatten().count();
    ColumnSummary {
        name: field.name().clone(),
        values: values as u64,
        distinct: distinct.len() as u64,
        least: distinct.first().map(ToString::to_string),
        greatest: distinct.last().map(ToString::to_string),
        sum: scale.filter(|_| values > 0).map(|scale| sum(texts, scale)),
    }
}

/// Of numbers that have all the same digits after the point.
fn sum(texts: &[Option<String>], scale: usize) -> String {
    let whole = |text: &String| text.replace('.', "").parse::<i128>().expect("a number");
    let sum: i128 = texts.iter().flatten().map(whole).sum();
    let sign = if sum < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", sum.unsigned_abs(), width = scale + 1);
    let (before, after) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{before}{point}{after}")
}

/// The first sixty bits of the hash of a row.
fn digest<'a>(row: impl Iterator<Item = Option<&'a str>>) -> i128 {
    let row: Vec<&str> = row.map(|text| text.unwrap_or("\u{1e}")).collect();
    let hash = Sha256::digest(row.join("\u{1f}"));
    let first: [u8; 8] = hash[..8].try_into().expect("eight bytes");
    i128::from(u64::from_be_bytes(first) >> 4)
}

fn texts(field: &Field, column: &ArrayRef) -> Vec<Option<String>> {
    let is_uuid = field
        .metadata()
        .get("ARROW:extension:name")
        .is_some_and(|name| name == "arrow.uuid");
    let text = |row: usize| {
        let text = text(column, row);
        if is_uuid { hyphened(&text) } else { text }
    };
    (0..column.len())
        .map(|row| column.is_valid(row).then(|| text(row)))
        .collect()
}

/// A value that is not null.
fn text(column: &ArrayRef, row: usize) -> String {
    match column.data_type() {
        DataType::List(_) => json(column, row).to_string(),
        DataType::Struct(_) => {
            let fields = column.as_struct().columns().iter();
            fields
                .map(|field| text(field, row))
                .collect::<Vec<_>>()
                .join(" ")
        }
        DataType::Duration(_) => column
            .as_primitive::<DurationMicrosecondType>()
            .value(row)
            .to_string(),
        // Servers write whole numbers without a point.
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        // With a zone or without one; the zone is UTC.
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let at = column.as_primitive::<TimestampMicrosecondType>().value(row);
            let at = timestamp_us_to_datetime(at).expect("a year of the calendar");
            at.format(TIMESTAMP).to_string()
        }
        _ => {
            let options = FormatOptions::new().with_time_format(Some("%H:%M:%S%.6f"));
            let texts = ArrayFormatter::try_new(column, &options).expect("a type that has a text");
            texts.value(row).to_string()
        }
    }
}

/// A value as an element of a list.
fn json(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            (0..items.len()).map(|at| json(&items, at)).collect()
        }
        kind if kind.is_integer() => text(column, row)
            .parse()
            .map(|number: i64| number.into())
            .expect("a number"),
        _ => text(column, row).into(),
    }
}

fn hyphened(digits: &str) -> String {
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts.map(|part| &digits[part]).join("-")
}
