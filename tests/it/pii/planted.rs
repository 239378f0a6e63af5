//! A table whose every column holds values that are found nowhere else, and the search for them.
//!
//! Files are searched as bytes, and the values of Parquet files besides, since pages are compressed.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

/// What every planted value has in it, by column.
const MARKS: [(&str, &str); 7] = [
    ("mail", "vexil"),
    ("mail", "quorum-planted"),
    ("phone", "4915170"),
    ("note", "Thistlewort"),
    ("code", "KXPLANT"),
    ("number", "731000000"),
    ("born", "1931-0"),
];

/// What is to happen to the columns whose kinds the detector does not decide.
pub(super) fn policy() -> Value {
    json!({"columns": {
        "note": {"action": "drop"},
        "code": {"action": "mask"},
        "number": {"action": "hash"},
        "born": {"action": "drop"},
        "phone": {"kind": "phone"},
    }})
}

/// One row, in the order of the columns of [`csv`].
fn row(number: usize) -> [String; 7] {
    [
        number.to_string(),
        format!("vexil{number}@quorum-planted.example"),
        format!("+4915170{:06}", number * 7 % 1_000_000),
        format!("Thistlewort ledger {number}"),
        format!("KXPLANT-{number:06}-ZQ"),
        (73_100_000_000 + number).to_string(),
        format!("1931-0{}-1{}", 1 + number % 9, number % 10),
    ]
}

const COLUMNS: [&str; 7] = ["id", "mail", "phone", "note", "code", "number", "born"];

/// So many rows as CSV.
pub(super) fn csv(rows: usize) -> String {
    let mut text = COLUMNS.join(",") + "\n";
    for number in 0..rows {
        text += &(row(number).join(",") + "\n");
    }
    text
}

/// So many rows as lines of JSON.
pub(super) fn json_lines(rows: usize) -> String {
    let mut text = String::new();
    for number in 0..rows {
        let [id, mail, phone, note, code, digits, born] = row(number);
        text += &format!(
            "{{\"id\":{id},\"mail\":\"{mail}\",\"phone\":\"{phone}\",\"note\":\"{note}\",\"code\":\"{code}\",\"number\":{digits},\"born\":\"{born}\"}}\n"
        );
    }
    text
}

/// The columns of which a text holds planted values.
pub(super) fn in_text(text: &str) -> Vec<&'static str> {
    let found = MARKS.iter().filter(|(_, mark)| text.contains(mark));
    found.map(|(column, _)| *column).collect()
}

/// Where planted values are in the files of a folder: `path: column`, each once.
pub(super) fn in_files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in files(folder) {
        // A file may go between the listing and the look.
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        if path
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            text += &parquet_text(&path);
        }
        let columns = in_text(&text);
        found.extend(
            columns
                .iter()
                .map(|column| format!("{}: {column}", path.display())),
        );
    }
    found.dedup();
    found
}

/// All files of a kind below a folder.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// All values of a Parquet file, and what its footer says of them.
fn parquet_text(path: &Path) -> String {
    let file = File::open(path).expect("opens");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    let mut text = format!("{:?}", builder.metadata());
    for batch in builder.build().expect("reads") {
        let batch = batch.expect("rows");
        for column in batch.columns() {
            let options = FormatOptions::new();
            let formatter = ArrayFormatter::try_new(column, &options).expect("shows");
            for row in 0..batch.num_rows() {
                text += &format!("{}\n", formatter.value(row));
            }
        }
    }
    text
}
