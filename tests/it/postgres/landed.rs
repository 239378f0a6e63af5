//! The rows of a dataset, from its Parquet files, in the forms in which a server prints values.

use std::{
    fs::{self, File},
    path::Path,
};

use arrow::{
    array::{Array, AsArray as _, RecordBatch},
    compute::{concat_batches, sort_to_indices, take_record_batch},
    datatypes::{DataType, Field, Float32Type, Float64Type, Int32Type, Int64Type},
    util::display::array_value_to_string,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Number, Value};

/// All rows of the dataset `d`, in the order of the first column.
pub(super) fn rows(data: &Path) -> RecordBatch {
    let folder = data.join("primary/datasets/d/data");
    let files = fs::read_dir(folder).expect("a folder");
    let batches: Vec<RecordBatch> = files
        .flat_map(|file| {
            let file = File::open(file.expect("an entry").path()).expect("a file");
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
            let empty = RecordBatch::new_empty(builder.schema().clone());
            let read = builder
                .build()
                .expect("a reader")
                .map(|batch| batch.expect("rows"));
            std::iter::once(empty).chain(read).collect::<Vec<_>>()
        })
        .collect();
    let all = concat_batches(batches[0].schema_ref(), &batches).expect("one schema");
    let order = sort_to_indices(all.column(0), None, None).expect("an order");
    take_record_batch(&all, &order).expect("rows")
}

/// A value as the server prints it; none is a null. Lists, structs and maps are JSON.
pub(super) fn text(field: &Field, array: &dyn Array, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    let shown = || array_value_to_string(array, row).expect("a text");
    let source_type = field
        .metadata()
        .get("boathouse.source_type")
        .map_or("", String::as_str);
    Some(match field.data_type() {
        DataType::Boolean => match (array.as_boolean().value(row), source_type) {
            (true, "bit(1)") => "1".to_owned(),
            (false, "bit(1)") => "0".to_owned(),
            (value, _) => value.to_string()[..1].to_owned(),
        },
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).to_string(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Binary => hex(array.as_binary::<i32>().value(row), "\\x"),
        DataType::FixedSizeBinary(16) => uuid(array.as_fixed_size_binary().value(row)),
        DataType::Date32 => shown().trim_start_matches('+').to_owned(),
        DataType::Time64(_) => trimmed(&shown()),
        DataType::Timestamp(_, zone) => timestamp(&array.slice(row, 1), zone.is_some()),
        DataType::Struct(fields) if fields[0].name() == "months" => {
            let parts = array.as_struct();
            let months = parts.column(0).as_primitive::<Int32Type>().value(row);
            let days = parts.column(1).as_primitive::<Int32Type>().value(row);
            let micros = parts.column(2).as_primitive::<Int64Type>().value(row);
            format!("{months} {days} {micros}")
        }
        DataType::List(_)
        | DataType::FixedSizeList(..)
        | DataType::Struct(_)
        | DataType::Map(..) => json(field, array, row).to_string(),
        _ => shown(),
    })
}

/// A value as JSON, as `to_json` of the server has it.
fn json(field: &Field, array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match field.data_type() {
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::List(item) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|at| json(item, &items, at)).collect()
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let entries = fields.iter().zip(columns);
            let entry = |(field, column): (&std::sync::Arc<Field>, &arrow::array::ArrayRef)| {
                (field.name().clone(), json(field, column, row))
            };
            entries.map(entry).collect::<Map<_, _>>().into()
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
            let field = &entries.fields()[1];
            let entry = |at| (keys.value(at).to_owned(), json(field, values, at));
            (0..keys.len()).map(entry).collect::<Map<_, _>>().into()
        }
        kind => {
            let text = text(field, array, row).expect("no null");
            let is_number = kind.is_integer() || kind.is_floating();
            let number = is_number.then(|| text.parse::<Number>());
            number
                .and_then(Result::ok)
                .map_or(Value::String(text), Value::Number)
        }
    }
}

fn hex(bytes: &[u8], before: &str) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    before.to_owned() + &digits.collect::<String>()
}

fn uuid(bytes: &[u8]) -> String {
    let digits = hex(bytes, "");
    let parts = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ];
    parts.join("-")
}

/// Without the zeros at the end of a fraction.
fn trimmed(time: &str) -> String {
    match time.contains('.') {
        true => time.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => time.to_owned(),
    }
}

fn timestamp(one: &dyn Array, has_zone: bool) -> String {
    // Arrow shows named zones only with a copy of their rules; the moment is in UTC whatever the zone.
    let naive = arrow::compute::cast(
        one,
        &DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None),
    );
    let shown = array_value_to_string(&naive.expect("a cast"), 0).expect("a text");
    let shown = trimmed(&shown.replace('T', " "));
    let zone = if has_zone { "+00" } else { "" };
    format!("{}{zone}", shown.trim_start_matches('+'))
}
