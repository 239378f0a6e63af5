//! Dialects, types and, above all, bad files.

use std::io::Write;

use super::*;
use crate::testing::shown;

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn open(bytes: &[u8]) -> Result<CsvFile, IngestError> {
    CsvFile::open(file(bytes), &Watch::default())
}

fn table(bytes: &[u8]) -> Vec<String> {
    let mut csv = open(bytes).unwrap();
    let mut batches = Vec::new();
    let schema = csv.schema();
    csv.read(&schema, &mut |batch| {
        batches.push(batch);
        Ok(())
    })
    .unwrap();
    shown(&batches)
}

fn refused(bytes: &[u8], expected: &str) {
    let message = open(bytes)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(
        message.starts_with(expected),
        "{message:?} for {:?}",
        String::from_utf8_lossy(bytes)
    );
}

#[test]
fn values_of_all_kinds_are_read() {
    let lines = table(
        b"\xEF\xBB\xBFid, name ,born,price,zip\r\n1,\"a \"\"b\"\"\",2000-01-02,1.50,007\r\n\r\n2,,,2.25,123\r\n",
    );
    let expected = [
        "id|name|born|price|zip",
        "1|a \"b\"|2000-01-02|1.50|007",
        "2|~|~|2.25|123",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_delimiter_is_found() {
    for (text, delimiter) in [
        ("a,b\n1;x,2\n", ','),
        ("a;b\n1,5;2\n", ';'),
        ("a\tb\n1,2\t3\n", '\t'),
        ("a|b\n1|2\n", '|'),
        ("text\nHello, world\n", ','),
        ("a;b\n\"1\n,,,\";2\n", ';'),
        ("a,b\n1,2\n3\n4,5\n", ','),
    ] {
        let found = sniff(text.as_bytes());
        assert_eq!(char::from(found), delimiter, "for {text:?}");
    }
    assert_eq!(open(b"text\nHello\n").unwrap().header, ["text"]);
}

#[test]
fn bad_files_are_refused_with_place_and_cure() {
    refused(b"", "the file is empty");
    refused(b"\n \n", "the file is empty");
    refused(b"a,b\n", "the file has a header but no rows; add");
    refused(
        b"a,b,a\n1,2,3\n",
        "line 1, column 3: column `a` appears twice in the header, first as field 1; rename",
    );
    refused(
        b"a,,c\n1,2,3\n",
        "line 1, column 2: this column has no name",
    );
    refused(
        b"a,b\n1,2\n3\n",
        "line 3, column 2: the record has 1 fields, the header has 2; quote",
    );
    refused(
        b"a,b\r\n1,2\r\n\r\n3,4,5\r\n",
        "line 4, column 3: the record has 3 fields",
    );
    refused(
        b"\na,b\n\"x\ny\",2\n3\n",
        "line 5, column 2: the record has 1 fields",
    );
    refused(
        b"a,b\n1,2\n3,\"open\n5,6\n",
        "line 3: a quote is opened here and never closed; close",
    );
    refused(
        b"\xFF\xFEa\0,\0",
        "the text is UTF-16, not UTF-8; convert the file to UTF-8",
    );
    refused(b"a,b\n1,\0\n", "the file holds zero bytes");
}

#[test]
fn wrong_encoding_is_named_by_line_field_and_byte() {
    refused(
        b"a,b\n1,x\n\n2,caf\xE9\n",
        "line 4, column 2, byte 14: the text is not valid UTF-8; convert the file to UTF-8",
    );
    refused(
        b"a\xFF,b\n1,x\n",
        "line 1, column 1, byte 1: the text is not valid UTF-8",
    );
    refused(
        b"a,b\n\"1\n2\",\xE9\n",
        "line 3, column 2, byte 10: the text is not valid UTF-8",
    );
}

#[test]
fn errors_never_quote_a_value() {
    let message = open(b"a,b\n1,2\nsecret\n").err().unwrap().to_string();
    assert!(!message.contains("secret"), "{message}");
}

#[test]
fn quotes_are_followed_as_the_reader_does() {
    assert_eq!(open_quote(b"1,\"a\"\"b\"\n", b','), None);
    assert_eq!(open_quote(b"1,a\"b\n", b','), None);
    assert_eq!(open_quote(b"1,\"a\"b\"c\n", b','), None);
    assert_eq!(open_quote(b"1,\"a\"\"\n", b','), Some(2));
}

#[test]
fn cancel_stops_the_survey() {
    let watch = Watch::default();
    watch.cancel.cancel();
    let error = CsvFile::open(file(b"a\n1\n"), &watch).err().unwrap();
    assert!(matches!(error, IngestError::Cancelled));
}
