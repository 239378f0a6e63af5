//! Values of the driver become batches, and what a batch holds is the same after Parquet.

use arrow::{array::AsArray, datatypes::Schema};
use bytes::Bytes;
use mysql_async::{
    Column as WireColumn,
    consts::{ColumnFlags, ColumnType},
};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};

use super::*;
use crate::{TypeMode, mysql::catalog::Origin};

/// A column by its type on the wire, its length there and its type in the catalogue.
type Described = (ColumnType, u32, &'static str);

fn plan(columns: &[Described], policy: ValuePolicy) -> Plan {
    let columns: Vec<_> = columns
        .iter()
        .map(|(column_type, length, origin)| {
            let wire = WireColumn::new(*column_type)
                .with_name(origin.as_bytes())
                .with_column_length(*length)
                .with_character_set(45)
                .with_flags(ColumnFlags::NOT_NULL_FLAG);
            Column::new(&wire, Some(&Origin::of_type(origin)), TypeMode::Exact)
        })
        .collect();
    let fields: Vec<_> = columns.iter().map(|column| column.field(policy)).collect();
    Plan::new(columns, Arc::new(Schema::new(fields)), policy)
}

fn push(batch: &mut Batch<'_>, values: &[Value]) -> Result<(), IngestError> {
    batch.push(|at| values.get(at))
}

fn text(text: &str) -> Value {
    Value::Bytes(text.as_bytes().to_vec())
}

#[test]
fn types_that_parquet_lacks_come_back_from_it_as_they_were() {
    let plan = plan(
        &[
            (ColumnType::MYSQL_TYPE_TIME, 17, "time(6)"),
            (ColumnType::MYSQL_TYPE_STRING, 36, "uuid"),
            (ColumnType::MYSQL_TYPE_SET, 3, "set('x','y')"),
            (ColumnType::MYSQL_TYPE_TIMESTAMP, 19, "timestamp"),
            (ColumnType::MYSQL_TYPE_NEWDECIMAL, 67, "decimal(65,0)"),
            (ColumnType::MYSQL_TYPE_LONGLONG, 20, "bigint(20) unsigned"),
        ],
        ValuePolicy::Error,
    );
    let mut batch = Batch::new(&plan);
    let values = [
        Value::Time(true, 34, 22, 59, 59, 999_999),
        text("00112233-4455-6677-8899-aabbccddeeff"),
        text("x,y"),
        Value::Date(2038, 1, 19, 3, 14, 7, 0),
        text(&"9".repeat(65)),
        Value::Int(i64::MAX),
    ];
    push(&mut batch, &values).unwrap();
    let (rows, bytes) = batch.take().unwrap();
    assert_eq!(bytes, 3 * 8 + 36 + 3 + 65);
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    let back: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    assert_eq!(back, [rows]);
}

#[test]
fn a_value_that_does_not_fit_ends_the_ingest_without_being_said() {
    let plan = plan(
        &[(ColumnType::MYSQL_TYPE_TINY, 1, "tinyint(1)")],
        ValuePolicy::Error,
    );
    let mut batch = Batch::new(&plan);
    push(&mut batch, &[Value::Int(1)]).unwrap();
    let said = push(&mut batch, &[Value::Int(77)]).unwrap_err().to_string();
    assert!(
        said.starts_with("column `tinyint(1)`: it holds numbers other than 0 and 1"),
        "{said}"
    );
    assert!(!said.contains("77"), "{said}");
}

#[test]
fn by_the_other_policy_it_becomes_null_and_is_counted_by_kind() {
    let columns = [(ColumnType::MYSQL_TYPE_DATE, 10, "date")];
    let plan = plan(&columns, ValuePolicy::Null);
    let mut batch = Batch::new(&plan);
    for (year, month, day) in [(0, 0, 0), (2021, 0, 0), (2021, 2, 30), (1970, 1, 2)] {
        push(&mut batch, &[Value::Date(year, month, day, 0, 0, 0, 0)]).unwrap();
    }
    push(&mut batch, &[Value::NULL]).unwrap();
    let (rows, _) = batch.take().unwrap();
    let dates: Vec<_> = rows
        .column(0)
        .as_primitive::<arrow::datatypes::Date32Type>()
        .iter()
        .collect();
    assert_eq!(dates, [None, None, None, Some(1), None]);
    let nulled: Vec<_> = plan
        .nulled()
        .into_iter()
        .map(|nulled| (nulled.what, nulled.values))
        .collect();
    let expected = [
        ("dates that no calendar has".to_owned(), 1),
        ("zero dates".to_owned(), 2),
    ];
    assert_eq!(nulled, expected);
}

#[test]
fn batches_end_by_rows_and_by_bytes() {
    let rows_until_full = |value: &Value| {
        let plan = plan(
            &[(ColumnType::MYSQL_TYPE_BLOB, 65_535, "text")],
            ValuePolicy::Error,
        );
        let mut batch = Batch::new(&plan);
        let mut rows = 0;
        while !batch.is_full() {
            push(&mut batch, std::slice::from_ref(value)).unwrap();
            rows += 1;
        }
        assert_eq!(batch.take().unwrap().0.num_rows(), rows);
        assert!(batch.is_empty() && !batch.is_full());
        rows
    };
    assert_eq!(rows_until_full(&text("a")), BATCH_ROWS);
    assert_eq!(rows_until_full(&text(&"a".repeat(1 << 20))), 4);
}
