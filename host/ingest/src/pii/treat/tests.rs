//! What becomes of values, and what stays as it was: rows, order, nulls, row groups.

use std::collections::HashMap;

use arrow::{
    array::{Array as _, AsArray as _, BooleanArray, Int64Array, ListArray, StringArray},
    datatypes::Int64Type,
};
use parquet::file::{reader::FileReader as _, serialized_reader::SerializedFileReader};
use proptest::prelude::*;

use super::*;
use crate::{pii::DecidedBy, spool::Spool};

fn key() -> Arc<HashKey> {
    Arc::new(HashKey::new(&[7; 32]).unwrap())
}

fn treatment(column: &str, action: Action) -> Treatment {
    Treatment {
        column: column.to_owned(),
        position: 0,
        kind: None,
        action,
        key_id: None,
        decided_by: DecidedBy::Dataset,
        earlier_rows_in_clear: false,
        note: None,
    }
}

fn table(columns: &[(&str, ArrayRef)]) -> SpooledTable {
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, array)| {
            let metadata = HashMap::from([
                (SOURCE_TYPE.to_owned(), "varchar(20)".to_owned()),
                ("boathouse.enum_labels".to_owned(), "Zyx,Wvu".to_owned()),
            ]);
            Field::new(*name, array.data_type().clone(), true).with_metadata(metadata)
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let mut spool = Spool::one_of(1, None, &schema).unwrap();
    spool.write(&batch).unwrap();
    spool.finish("t").unwrap()
}

fn apply(table: &SpooledTable, treatments: &[Treatment]) -> Result<SpooledTable, IngestError> {
    Recipe::of(&table.schema, treatments, Some(key()))?.apply(table, None, &Watch::default())
}

fn rows(table: &SpooledTable) -> RecordBatch {
    let batches: Vec<_> = reader(&table.file)
        .unwrap()
        .build()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    arrow::compute::concat_batches(&table.schema, &batches).unwrap()
}

fn bytes(table: &SpooledTable) -> Vec<u8> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = table.file.try_clone().unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_mask_shows_the_end_of_long_values_only() {
    let check = |text: &str, keep: usize, expected: &str| {
        assert_eq!(masked(text, keep), expected, "{text} {keep}");
    };
    check("4111111111111111", 4, "************1111");
    check("1234", 4, "****");
    check("12345", 4, "***45");
    check("", 4, "");
    check("secret", 0, "******");
    check("äöüß€", 2, "***ß€");
}

#[test]
fn a_masked_truth_value_is_either() {
    let flags = BooleanArray::from(vec![Some(true), Some(false), None]);
    let before = table(&[("flag", Arc::new(flags))]);
    let treatments = [treatment("flag", Action::Mask { keep_last: 4 })];
    let batch = rows(&apply(&before, &treatments).unwrap());
    let masked: Vec<_> = batch.column(0).as_string::<i32>().iter().collect();
    assert_eq!(masked, [Some("*****"), Some("*****"), None]);
}

#[test]
fn columns_are_masked_hashed_and_left_out_and_others_stay() {
    let mail: ArrayRef = Arc::new(StringArray::from(vec![Some("ann@x.org"), None, Some("")]));
    let phone: ArrayRef = Arc::new(Int64Array::from(vec![Some(491701234567), Some(12), None]));
    let before = table(&[
        ("mail", Arc::clone(&mail)),
        ("phone", phone),
        ("name", Arc::clone(&mail)),
        ("n", Arc::new(Int64Array::from(vec![1, 2, 3]))),
    ]);
    let treatments = [
        treatment("mail", Action::Hash),
        treatment("phone", Action::Mask { keep_last: 4 }),
        treatment("name", Action::Drop),
        treatment("n", Action::Tag),
    ];
    let after = apply(&before, &treatments).unwrap();
    let batch = rows(&after);
    let names: Vec<_> = batch
        .schema_ref()
        .fields()
        .iter()
        .map(|f| f.name())
        .collect();
    assert_eq!(names, ["mail", "phone", "n"]);
    let hash = |text: &str| Some(key().hash(text));
    let texts = |at: usize| -> Vec<Option<String>> {
        let column = batch.column(at).as_string::<i32>();
        column.iter().map(|text| text.map(str::to_owned)).collect()
    };
    assert_eq!(texts(0), [hash("ann@x.org"), None, hash("")]);
    assert_eq!(
        texts(1),
        [Some("********4567".to_owned()), Some("**".to_owned()), None]
    );
    assert_eq!(
        batch.column(2).as_primitive::<Int64Type>().values(),
        &[1, 2, 3]
    );
    assert_eq!(after.rows, 3);
}

#[test]
fn what_was_said_about_values_goes_with_them() {
    let name: ArrayRef = Arc::new(StringArray::from(vec!["Zyxwvut"]));
    let before = table(&[("name", Arc::clone(&name)), ("kept", name)]);
    assert!(String::from_utf8_lossy(&bytes(&before)).contains("Zyx"));
    let both = [
        treatment("name", Action::Hash),
        treatment("kept", Action::Mask { keep_last: 0 }),
    ];
    let after = apply(&before, &both).unwrap();
    let stored = String::from_utf8_lossy(&bytes(&after)).into_owned();
    assert!(!stored.contains("Zyx"), "in file or metadata");
    let metadata = after.schema.field(0).metadata();
    assert_eq!(metadata[SOURCE_TYPE], "varchar(20)");
    assert_eq!(metadata[TREATED], "hash");
    assert_eq!(metadata.len(), 2);
    assert!(after.sample.columns.is_empty());
}

#[test]
fn a_table_whose_every_column_would_go_is_refused() {
    let before = table(&[("a", Arc::new(Int64Array::from(vec![1])))]);
    let gone = apply(&before, &[treatment("a", Action::Drop)]);
    assert!(matches!(gone, Err(IngestError::BadPolicy { .. })));
}

#[test]
fn nested_values_are_treated_as_one_text() {
    let lists = vec![Some(vec![Some(11), Some(22)]), None];
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
    let before = table(&[("l", Arc::new(lists))]);
    let after = apply(&before, &[treatment("l", Action::Mask { keep_last: 0 })]).unwrap();
    let batch = rows(&after);
    let texts: Vec<_> = batch.column(0).as_string::<i32>().iter().collect();
    assert_eq!(texts, [Some("********"), None]);
}

#[test]
fn row_groups_stay_as_they_were() {
    let mut spool = None;
    for group in 0..3_i64 {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(group * 10..group * 10 + 10));
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, false)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
        let file = tempfile::tempfile().unwrap();
        let (writer, _) = spool.get_or_insert_with(|| {
            let target = Sealing::new(file.try_clone().unwrap());
            (ArrowWriter::try_new(target, schema, None).unwrap(), file)
        });
        writer.write(&batch).unwrap();
        writer.flush().unwrap();
    }
    let (writer, file) = spool.unwrap();
    let (writer, _) = writer.into_serialized_writer().unwrap();
    let before = SpooledTable {
        seal: seal::finish(writer).unwrap(),
        schema: Arc::clone(reader(&file).unwrap().schema()),
        rows: 30,
        sample: TableSample::default(),
        file,
    };
    let after = apply(&before, &[treatment("a", Action::Hash)]).unwrap();
    let stored = SerializedFileReader::new(after.file.try_clone().unwrap()).unwrap();
    let sizes: Vec<_> = stored
        .metadata()
        .row_groups()
        .iter()
        .map(|g| g.num_rows())
        .collect();
    assert_eq!(sizes, [10, 10, 10]);
    assert_eq!(
        rows(&after).column(0).as_string::<i32>().value(29),
        key().hash("29")
    );
}

proptest! {
    #[test]
    fn hashes_are_equal_where_texts_are(a in ".{0,8}", b in ".{0,8}") {
        let key = key();
        prop_assert_eq!(key.hash(&a) == key.hash(&b), a == b);
        prop_assert_eq!(key.hash(&a).len(), 64);
    }

    #[test]
    fn a_mask_never_shows_more_than_the_end(text in "[a-zé日]{0,20}", keep in 0_usize..12) {
        let shown = masked(&text, keep);
        let (shown, text): (Vec<_>, Vec<_>) = (shown.chars().collect(), text.chars().collect());
        prop_assert_eq!(shown.len(), text.len());
        let clear = shown.iter().filter(|c| **c != '*').count();
        prop_assert!(clear <= keep && 2 * clear <= text.len());
        prop_assert!(text.len() > keep || clear == 0);
        let hidden = text.len() - clear;
        prop_assert!(shown[..hidden].iter().all(|c| *c == '*'));
        prop_assert_eq!(&shown[hidden..], &text[hidden..]);
    }

    #[test]
    fn rows_order_and_nulls_stay(values in proptest::collection::vec(proptest::option::of("[a-z]{0,6}"), 1..60)) {
        let column: ArrayRef = Arc::new(StringArray::from(values.clone()));
        let numbers = Int64Array::from_iter_values(0..values.len() as i64);
        let before = table(&[("t", column), ("n", Arc::new(numbers))]);
        let after = apply(&before, &[treatment("t", Action::Hash)]).unwrap();
        let batch = rows(&after);
        prop_assert_eq!(after.rows, values.len() as u64);
        let hashed: Vec<_> = batch.column(0).as_string::<i32>().iter().collect();
        let key = key();
        for (text, hashed) in values.iter().zip(hashed) {
            let expected = text.as_ref().map(|text| key.hash(text));
            prop_assert_eq!(expected.as_deref(), hashed);
        }
        let numbers = batch.column(1).as_primitive::<Int64Type>();
        prop_assert!(numbers.values().iter().copied().eq(0..values.len() as i64));
    }
}
