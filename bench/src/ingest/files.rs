//! Files of CSV and of JSON lines into Parquet, against DuckDB and pyarrow.
//!
//! One table in the manner of TPC-H's lineitem. Ours guesses the types from the first records and reads again only
//! where they deceived; DuckDB decides by a sample, pyarrow by the first block. Peers use all cores. A file is in the cache of the disk for all sides.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::Result;

use super::{Place, Work, tables::WORDS, threads};
use crate::{Options, ours::ingest::Ask};

/// Names of the columns, and whether their values are texts.
const COLUMNS: [(&str, bool); 12] = [
    ("orderkey", false),
    ("partkey", false),
    ("linenumber", false),
    ("quantity", false),
    ("extendedprice", false),
    ("discount", false),
    ("returnflag", true),
    ("shipdate", true),
    ("receiptdate", true),
    ("shipinstruct", true),
    ("shipmode", true),
    ("comment", true),
];

pub(crate) fn run(options: Options) -> Result<()> {
    let rows = options.rows(5_000_000, 50_000);
    let place = Place::new()?;
    for (format, rows) in [("csv", rows), ("json", rows / 2)] {
        measure(options, &place, format, rows)?;
    }
    Ok(())
}

fn measure(options: Options, place: &Place, format: &str, rows: usize) -> Result<()> {
    let path = place.0.join(format!("table.{format}"));
    write(&path, format == "json", rows)?;
    let megabytes = fs::metadata(&path)?.len() / 1_000_000;
    let work = Work {
        id: "files",
        what: format!("{format} file of {megabytes} MB to Parquet"),
        rows,
        ask: Ask::File {
            path: path.clone(),
            format: format.to_owned(),
            out: place.out(),
            threads: threads()?,
        },
        peers: &["duckdb_peer.py", "pyarrow_peer.py"],
        rate: 0.8,
        memory: 0.5,
    };
    work.measure(options)?;
    Ok(fs::remove_file(path)?)
}

fn write(path: &Path, is_json: bool, rows: usize) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    if !is_json {
        let names = COLUMNS.map(|(name, _)| name);
        writeln!(out, "{}", names.join(","))?;
    }
    for row in 0..rows {
        let values = values(row);
        if is_json {
            let fields = COLUMNS.iter().zip(&values).map(|((name, is_text), value)| {
                let quote = if *is_text { "\"" } else { "" };
                format!("\"{name}\":{quote}{value}{quote}")
            });
            writeln!(out, "{{{}}}", fields.collect::<Vec<_>>().join(","))?;
        } else {
            writeln!(out, "{}", values.join(","))?;
        }
    }
    Ok(out.flush()?)
}

fn values(row: usize) -> [String; 12] {
    let cents = |value: usize| format!("{}.{:02}", value / 100, value % 100);
    let day = |step: usize| {
        let day = row * step % 2_500;
        let (year, month) = (1992 + day / 365, 1 + day / 31 % 12);
        format!("{year}-{month:02}-{:02}", 1 + day % 28)
    };
    let shipments = [
        "DELIVER IN PERSON",
        "COLLECT COD",
        "NONE",
        "TAKE BACK RETURN",
    ];
    let modes = ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"];
    let start = row * 7_919 % 300;
    [
        (row / 4 + 1).to_string(),
        (1 + row * 7_919 % 200_000).to_string(),
        (1 + row % 4).to_string(),
        (1 + row % 50).to_string(),
        cents(90_000 + row * 7_919 % 10_000_000),
        cents(row % 11),
        ["A", "N", "R"][row % 3].to_owned(),
        day(31),
        day(41),
        shipments[row % 4].to_owned(),
        modes[row % 7].to_owned(),
        WORDS[start..start + 10 + row % 34].to_owned(),
    ]
}
