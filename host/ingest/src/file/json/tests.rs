//! Both layouts, widening, and bad files.

use std::io::Write;

use super::*;
use crate::{file::compress::Stored, testing::shown, watch::Watch};

fn started(text: &[u8], layout: Layout) -> Result<JsonFile, IngestError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text).unwrap();
    let stored = Stored::new(file, None, u64::MAX, &Watch::default())?;
    JsonFile::open(
        super::Text::new(stored, None)?,
        layout,
        &FileOptions::default(),
    )
}

fn open(text: &[u8], layout: Layout) -> Result<JsonFile, IngestError> {
    let mut json = started(text, layout)?;
    json.read(None, &mut |_| Ok(()))?;
    Ok(json)
}

fn table(text: &str, layout: Layout) -> Vec<String> {
    let mut json = open(text.as_bytes(), layout).unwrap();
    let schema = json.schema();
    let mut batches = Vec::new();
    let read = json.read(Some(&schema), &mut |batch| {
        batches.push(batch);
        Ok(())
    });
    assert_eq!(read.unwrap(), Read::All);
    shown(&batches)
}

fn refused(text: &[u8], layout: Layout, expected: &str) {
    let message = open(text, layout)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(
        message.starts_with(expected),
        "{message:?} for {:?}",
        String::from_utf8_lossy(text)
    );
}

#[test]
fn both_layouts_give_the_same_table() {
    let lines = "{\"z\": 1, \"a\": \"x \\u00e9 }\"}\n\n{\"a\": null, \"b\": true, \"z\": 2}\r\n";
    let array =
        "\u{feff} [\n{\"z\": 1, \"a\": \"x \\u00e9 }\"} , {\"a\": null,\n\"b\": true, \"z\": 2}]\n";
    let expected = ["z|a|b", "1|x é }|~", "2|~|true"];
    assert_eq!(table(lines, Layout::Lines), expected);
    assert_eq!(table(array, Layout::Array), expected);
}

#[test]
fn types_widen_without_loss() {
    let text = "\
{\"n\": 1, \"f\": 1.5, \"m\": 1, \"d\": 0.1234567890123456789, \"j\": {\"b\": [1, 2.0]}, \"s\": \"2024-01-01\"}
{\"n\": 2, \"f\": 2, \"m\": \"x\", \"d\": 1, \"j\": \"t\", \"s\": \"\"}
";
    let json = open(text.as_bytes(), Layout::Lines).unwrap();
    let types: Vec<_> = json
        .schema()
        .fields()
        .iter()
        .map(|f| f.data_type().to_string())
        .collect();
    assert_eq!(
        types,
        [
            "Int64",
            "Float64",
            "Utf8",
            "Decimal128(38, 19)",
            "Utf8",
            "Utf8"
        ]
    );
    assert!(is_json(json.schema().field(4)) && !is_json(json.schema().field(2)));
    let lines = table(text, Layout::Lines);
    assert_eq!(
        lines[1],
        "1|1.5|1|0.1234567890123456789|{\"b\": [1, 2.0]}|2024-01-01"
    );
    assert_eq!(lines[2], "2|2.0|x|1.0000000000000000000|\"t\"|");
}

#[test]
fn empty_objects_are_refused_by_whoever_reads_them_with_the_columns_of_the_start() {
    let mut json = started(b"{}\n{}\n", Layout::Lines).unwrap();
    let start = json.schema();
    let read = json.read(Some(&start), &mut |_| Ok(()));
    let refused = read.unwrap_err().to_string();
    assert!(refused.starts_with("every object"), "{refused}");
}

#[test]
fn bad_lines_are_named() {
    refused(b"", Layout::Lines, "the file has no rows");
    refused(
        b"{\"a\":1}\n{\"a\":}\n",
        Layout::Lines,
        "line 2, column 6: this is no JSON object: expected value; correct",
    );
    refused(
        b"{\"a\":1}\n[1]\n",
        Layout::Lines,
        "line 2, column 1: this is no JSON object",
    );
    refused(
        b"{\"a\":1}\n{\"a\":1} x\n",
        Layout::Lines,
        "line 2, column 9: this is no JSON object: trailing",
    );
    refused(b"{\n\"a\":1}", Layout::Lines, "line 1, column ");
    refused(
        b"{\"a\":1,\"a\":2}\n",
        Layout::Lines,
        "line 1, column 1: key `a` appears twice",
    );
    refused(
        b"{}\n{}\n",
        Layout::Lines,
        "every object of the file is empty",
    );
    refused(
        b"{\"\":1}\n",
        Layout::Lines,
        "line 1, column 1: a key of this object is empty",
    );
    refused(
        b"{\"a\":\"\\ud800\"}\n",
        Layout::Lines,
        "line 1, column 1: a string of this object has an escape",
    );
    refused(
        b"{\"a\":1}\n{\"a\":\"\xE9\"}\n",
        Layout::Lines,
        "line 2, byte 14: the text is not valid UTF-8",
    );
}

#[test]
fn bad_arrays_are_named() {
    refused(b"", Layout::Array, "line 1, column 1: the file is empty");
    refused(b"[]", Layout::Array, "the file has no rows");
    refused(
        b"{\"a\":1}",
        Layout::Array,
        "line 1, column 1: an object is missing here",
    );
    refused(
        b"[{\"a\":1},\n 2]",
        Layout::Array,
        "line 2, column 2: an object is missing here",
    );
    refused(
        b"[{\"a\":1},]",
        Layout::Array,
        "line 1, column 10: an object is missing here",
    );
    refused(
        b"[{\"a\":1}\n{\"a\":1}]",
        Layout::Array,
        "line 2, column 1: a comma or `]` is missing",
    );
    refused(
        b"[{\"a\":1}] x",
        Layout::Array,
        "line 1, column 11: something follows",
    );
    refused(
        b"[{\"a\":1}",
        Layout::Array,
        "line 1, column 9: the file ends inside the array",
    );
    refused(
        b"[{\"a\":1},\n{\"a\":\"x",
        Layout::Array,
        "line 2, column 1: the object that begins here is not closed",
    );
    refused(
        b"[{\"a\":1},\n {\"a\" 1}]",
        Layout::Array,
        "line 2, column 7: this is no JSON object: expected `:`",
    );
}

#[test]
fn a_key_that_shows_up_late_is_a_column_from_the_start() {
    let mut text = "{\"a\": 1}\n".repeat(3_000);
    text.push_str("{\"b\": \"x\", \"a\": null}\n");
    let mut json = started(text.as_bytes(), Layout::Lines).unwrap();
    let schema = json.schema();
    assert_eq!(
        json.read(Some(&schema), &mut |_| Ok(())).unwrap(),
        Read::Looked
    );
    let report = json.columns();
    let nulls: Vec<_> = report
        .iter()
        .map(|column| (column.nulls[0].spelling.as_str(), column.nulls[0].values))
        .collect();
    assert_eq!(nulls, [("null", 1), ("", 3_000)]);
    assert_eq!(table(&text, Layout::Lines)[3_001], "~|x");
}

#[test]
fn objects_that_go_over_blocks_are_read_whole() {
    let long = "é{[\\\"".repeat(60_000);
    let text = format!("[{{\"a\": \"{long}\"}},\n {{\"a\": \"x\"}}]");
    let lines = table(&text, Layout::Array);
    assert_eq!(lines[1], long.replace("\\\"", "\""));
    assert_eq!(lines[2], "x");
}
