//! Both layouts, compressed and not, and what becomes of types.

use std::{io::Write, sync::Arc};

use arrow::{
    array::{
        ArrayRef, DictionaryArray, Int32Array, RunArray, StringArray, StringViewArray, StructArray,
        UnionArray,
    },
    datatypes::{DataType, Field, Int32Type, Schema, UnionFields},
    ipc::{
        CompressionType,
        writer::{FileWriter, IpcWriteOptions, StreamWriter},
    },
};

use super::*;
use crate::{decoded::tests::MOST_BYTES, testing::shown};

fn batch() -> RecordBatch {
    let words = DictionaryArray::<Int32Type>::from_iter([Some("x"), None, Some("x")]);
    let runs = RunArray::try_new(
        &Int32Array::from(vec![2, 3]),
        &StringArray::from(vec![Some("r"), None]),
    );
    let views = StringViewArray::from(vec!["short", "a text that is longer than a view", ""]);
    let inner: ArrayRef = Arc::new(words.clone());
    let nested = StructArray::from(vec![(
        Arc::new(Field::new("w", inner.data_type().clone(), true)),
        inner,
    )]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "n",
            Arc::new(Int32Array::from(vec![Some(1), None, Some(3)])),
        ),
        ("w", Arc::new(words)),
        ("r", Arc::new(runs.unwrap())),
        ("v", Arc::new(views)),
        ("s", Arc::new(nested)),
    ];
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn written(
    has_footer: bool,
    compression: Option<CompressionType>,
    batches: &[RecordBatch],
) -> Vec<u8> {
    let options = IpcWriteOptions::default()
        .try_with_compression(compression)
        .unwrap();
    let schema = batches[0].schema();
    let mut bytes = Vec::new();
    if has_footer {
        let mut writer = FileWriter::try_new_with_options(&mut bytes, &schema, options).unwrap();
        batches
            .iter()
            .for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
    } else {
        let mut writer = StreamWriter::try_new_with_options(&mut bytes, &schema, options).unwrap();
        batches
            .iter()
            .for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
    }
    bytes
}

fn table(bytes: &[u8]) -> Result<(SchemaRef, Vec<String>), String> {
    assert!(is_arrow(bytes));
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let has_footer = ArrowFile::has_footer(bytes);
    let text = |error: IngestError| error.to_string();
    let mut file = ArrowFile::open(file, has_footer, &Watch::default()).map_err(text)?;
    let schema = file.schema();
    let mut batches = Vec::new();
    let read = file.read(Some(&schema), &mut |batch| {
        batches.push(batch);
        Ok(())
    });
    read.map_err(text)?;
    assert_eq!(
        file.rows(),
        batches
            .iter()
            .map(|batch| batch.num_rows() as u64)
            .sum::<u64>()
    );
    Ok((schema, shown(&batches)))
}

#[test]
fn files_and_streams_give_plain_types() {
    let ways = [
        None,
        Some(CompressionType::LZ4_FRAME),
        Some(CompressionType::ZSTD),
    ];
    for (has_footer, way) in ways.into_iter().flat_map(|way| [(true, way), (false, way)]) {
        let (schema, lines) = table(&written(has_footer, way, &[batch(), batch()])).unwrap();
        let types: Vec<_> = schema
            .fields()
            .iter()
            .map(|f| f.data_type().to_string())
            .collect();
        assert_eq!(
            types[..4],
            ["Int32", "Utf8", "Utf8", "Utf8"],
            "{has_footer} {way:?}"
        );
        assert_eq!(types[4], "Struct(\"w\": Utf8)");
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[1], "1|x|r|short|{w: x}");
        assert_eq!(lines[6], "3|x|~||{w: x}");
    }
}

#[test]
fn a_long_text_that_a_dictionary_holds_once_comes_in_small_batches() {
    let text = "x".repeat(300_000);
    let words = DictionaryArray::<Int32Type>::from_iter(vec![Some(text.as_str()); 2_000]);
    let words: ArrayRef = Arc::new(words);
    let batch = RecordBatch::try_from_iter([("w", words)]).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&written(true, None, &[batch])).unwrap();
    let mut file = ArrowFile::open(file, true, &Watch::default()).unwrap();
    let (schema, mut rows, mut most) = (file.schema(), 0, 0);
    let read = file.read(Some(&schema), &mut |batch| {
        rows += batch.num_rows();
        most = most.max(batch.get_array_memory_size());
        Ok(())
    });
    assert_eq!((read.unwrap(), rows), (Read::All, 2_000));
    assert!(most < MOST_BYTES, "{most}");
}

#[test]
fn metadata_of_extensions_stays() {
    let field = Field::new("j", DataType::Utf8, true)
        .with_metadata([("ARROW:extension:name".to_owned(), "arrow.json".to_owned())].into());
    let column: ArrayRef = Arc::new(StringArray::from(vec!["{}"]));
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field.clone()])), vec![column]);
    let (schema, _) = table(&written(false, None, &[batch.unwrap()])).unwrap();
    assert_eq!(schema.field(0), &field);
}

#[test]
fn what_is_not_sound_is_refused() {
    for has_footer in [true, false] {
        let whole = written(has_footer, None, &[batch()]);
        for length in [8, whole.len() / 2, whole.len() * 3 / 4] {
            let message = table(&whole[..length]).unwrap_err();
            assert!(
                message.contains("Arrow"),
                "{length} of {}: {message}",
                whole.len()
            );
        }
        let none = written(
            has_footer,
            None,
            &[batch().project(&[0]).unwrap().slice(0, 0)],
        );
        assert!(
            table(&none)
                .unwrap_err()
                .starts_with("the file has no rows")
        );
    }
}

#[test]
fn types_that_datasets_do_not_hold_are_named() {
    let fields: UnionFields = [(0, Arc::new(Field::new("a", DataType::Int32, true)))]
        .into_iter()
        .collect();
    let values: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let union = UnionArray::try_new(fields, vec![0].into(), None, vec![values]).unwrap();
    let column: ArrayRef = Arc::new(union);
    let batch = RecordBatch::try_from_iter([("u", column)]).unwrap();
    let message = table(&written(true, None, &[batch])).unwrap_err();
    assert!(
        message.starts_with("column `u` is of the type Union"),
        "{message}"
    );
}
