//! Dialects, types and, above all, bad files.

use std::io::Write;

use super::*;
use crate::{
    file::{compress::Stored, options::OptionWords},
    testing::shown,
    watch::Watch,
};

fn words(change: impl FnOnce(&mut OptionWords)) -> FileOptions {
    let mut words = OptionWords::default();
    change(&mut words);
    FileOptions::parse(&words).unwrap()
}

fn stored(bytes: &[u8], options: &FileOptions, watch: &Watch) -> Result<CsvFile, IngestError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let stored = Stored::new(file, None, u64::MAX, watch)?;
    CsvFile::open(Text::new(stored, options.encoding)?, options)
}

/// Looks through the whole file.
fn open_as(bytes: &[u8], options: &FileOptions) -> Result<CsvFile, IngestError> {
    let mut csv = stored(bytes, options, &Watch::default())?;
    csv.read(None, &mut |_| Ok(()))?;
    Ok(csv)
}

fn open(bytes: &[u8]) -> Result<CsvFile, IngestError> {
    open_as(bytes, &FileOptions::default())
}

fn table_as(bytes: &[u8], options: &FileOptions) -> Vec<String> {
    let mut csv = open_as(bytes, options).unwrap();
    let mut batches = Vec::new();
    let schema = csv.schema();
    let read = csv.read(Some(&schema), &mut |batch| {
        batches.push(batch);
        Ok(())
    });
    assert_eq!(read.unwrap(), Read::All);
    shown(&batches)
}

fn table(bytes: &[u8]) -> Vec<String> {
    table_as(bytes, &FileOptions::default())
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
        let start = Start { text, is_all: true };
        let found = start.dialect(&FileOptions::default().csv).delimiter;
        assert_eq!(char::from(found), delimiter, "for {text:?}");
    }
    assert_eq!(open(b"text\nHello\n").unwrap().looks[0].name, "text");
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
fn a_quote_counts_at_the_start_of_a_field_only() {
    for (text, expected) in [
        ("x,\"a\"\"b\"\n", "x|a\"b"),
        ("x,a\"b\n", "x|a\"b"),
        ("x,\"a\"b\"c\n", "x|ab\"c"),
        ("x,\"\"\"\"\n", "x|\""),
        ("x,\"a\r\nb\"\n", "x|a\r\nb"),
    ] {
        let lines = table(format!("k,v\n{text}").as_bytes());
        assert_eq!(lines[1], expected, "for {text:?}");
    }
    refused(b"k,v\nx,\"a\"\"\n", "line 2: a quote is opened here");
}

#[test]
fn cancel_stops_the_work() {
    let watch = Watch::default();
    watch.cancel.cancel();
    let error = stored(b"a\n1\n", &FileOptions::default(), &watch).err();
    assert!(matches!(error, Some(IngestError::Cancelled)));
}

#[test]
fn the_dialect_is_found_and_told() {
    for (text, expected) in [
        ("a,b\nx,'1,2'\ny,'3,4'\n", (Some('\''), None, true)),
        ("a,b\nx,O'Neil\ny,d'Or\n", (Some('"'), None, true)),
        ("a,b\n1,\"x \\\"y\\\" z\"\n", (Some('"'), Some('\\'), true)),
        ("a,b\n1,\"C:\\\"\n", (Some('"'), None, true)),
        ("1,2.5,x\n2,3.5,y\n", (Some('"'), None, false)),
        ("Ada,1\nBo,2\n", (Some('"'), None, false)),
        ("who,2019,2020\nAda,1,2\n", (Some('"'), None, true)),
        ("0,1,2\n5,6,7\n", (Some('"'), None, true)),
        ("2024-01-01,x\n2024-01-02,y\n", (Some('"'), None, false)),
        ("a,b\nx,y\n", (Some('"'), None, true)),
    ] {
        let told = open(text.as_bytes()).unwrap().dialect();
        assert_eq!((told.quote, told.escape, told.header), expected, "{text:?}");
    }
    let lines = table(b"a,b\n1,\"x \\\"y\\\" z\"\n");
    assert_eq!(lines[1], "1|x \"y\" z");
    let lines = table(b"1,x\n2,y\n");
    assert_eq!(lines, ["column_1|column_2", "1|x", "2|y"]);
}

#[test]
fn everything_can_be_said_instead() {
    let options = words(|w| {
        w.delimiter = Some(":".to_owned());
        w.quote = Some("none".to_owned());
        w.header = Some("no".to_owned());
        w.null = Some("NA,\\N".to_owned());
        w.comment = Some("#".to_owned());
        w.skip_lines = Some(2);
        w.schema = Some("id:int16,name:utf8".to_owned());
    });
    let lines = table_as(b"made by x\n\"\n# no\n7:\"a\n# no\nNA:\n8:\\N\n", &options);
    assert_eq!(lines, ["id|name", "7|\"a", "~|", "8|~"]);
    let csv = open_as(b"\n\n1:x\nNA:y\n", &options).unwrap();
    let report = csv.columns();
    assert_eq!(
        (report[0].data_type.as_str(), report[0].said),
        ("Int16", true)
    );
    assert_eq!(report[0].nulls[0].spelling, "NA");
}

#[test]
fn encodings_are_decoded() {
    let utf16: Vec<u8> = "\u{feff}a;b\n1;é\n"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    assert_eq!(table(&utf16), ["a|b", "1|é"]);
    let options = words(|w| w.encoding = Some("windows-1252".to_owned()));
    assert_eq!(
        table_as(b"a,b\n1,caf\xE9 \x80\n", &options),
        ["a|b", "1|café €"]
    );
    let options = words(|w| w.encoding = Some("utf-16le".to_owned()));
    let cut: Vec<u8> = "a,b\n1,2\n3,x"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .chain([0])
        .collect();
    let error = open_as(&cut, &options).err().unwrap().to_string();
    assert!(
        error.starts_with("line 3, column 2, byte 22: the text is not valid UTF-16LE"),
        "{error}"
    );
}

#[test]
fn what_made_a_column_text_is_told_without_its_value() {
    let text = "n,m,d,t,big\n1,1,2024-01-01,x,99999999999999999999\n2,NULL,2024-13-01,y,1\n,,,,\n";
    let report = open(text.as_bytes()).unwrap().columns();
    let told: Vec<_> = report
        .iter()
        .map(|column| {
            let reason = column.text_because.clone();
            reason.map(|r| (r.line, r.expected, r.null_like, r.beyond_64_bits))
        })
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        told,
        [
            None,
            Some((3, some("numbers"), some("NULL"), false)),
            Some((3, some("dates"), None, false)),
            Some((2, None, None, false)),
            Some((2, None, None, true)),
        ]
    );
    assert!(report.iter().all(|column| column.nulls[0].values == 1));
}

#[test]
fn a_value_that_does_not_fit_a_said_type_is_named_by_its_place() {
    let options = words(|w| w.schema = Some("b:int8".to_owned()));
    let read = |bytes: &[u8]| {
        let mut csv = stored(bytes, &options, &Watch::default()).unwrap();
        let schema = csv.schema();
        csv.read(Some(&schema), &mut |_| Ok(()))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        read(b"a,b\n1,2\n\n3,secret\n"),
        "line 4, column 2: the value of `b` is no Int8; correct it, or say another type for the column"
    );
    let error = stored(b"a,c\n1,2\n", &options, &Watch::default())
        .err()
        .unwrap();
    assert!(
        matches!(
            error,
            IngestError::BadOption {
                option: "schema",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_guess_that_fails_is_noticed_and_what_follows_still_looked_at() {
    let mut text = "n,t\n".to_owned();
    for n in 0..2_000 {
        text.push_str(&format!("{n},a\n"));
    }
    text.push_str("x,b\n2.5,c\n");
    let mut csv = stored(text.as_bytes(), &FileOptions::default(), &Watch::default()).unwrap();
    let schema = csv.schema();
    assert_eq!(schema.field(0).data_type(), &DataType::Int64);
    let read = csv.read(Some(&schema), &mut |_| Ok(())).unwrap();
    assert_eq!(
        (read, csv.is_known(), csv.rows()),
        (Read::Looked, true, 2_002)
    );
    assert_eq!(csv.schema().field(0).data_type(), &DataType::Utf8);
    let reason = csv.columns()[0].text_because.clone().unwrap();
    assert_eq!(reason.line, 2_002);
}
