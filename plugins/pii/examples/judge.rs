//! Judges tables outside of WebAssembly, for evaluation and for fitting weights.
//!
//! Reads a table a line as JSON from standard input, `{"name", "columns": [{"name", "type", "values":
//! [[text, count], ...]}]}`, and writes a line for each. By default that is the findings; with `evidence`
//! it is what speaks for each kind that a whole column could be; with `speed` it reads all tables first, then
//! judges them many times and prints how many values it judged, to be divided by the processor time.

use std::io::{self, BufRead, Write};

use boathouse_pii::{Detector, evidence_names, kind_names, weigh};
use boathouse_sdk::Pii;
use boathouse_sdk::pii::{Column, Scope, Table};
use serde::Deserialize;
use serde_json::json;

/// How often `speed` judges all tables.
const ROUNDS: u32 = 20;

#[derive(Deserialize)]
struct TableLine {
    name: String,
    columns: Vec<ColumnLine>,
}

#[derive(Deserialize)]
struct ColumnLine {
    name: String,
    r#type: String,
    values: Vec<(String, u32)>,
}

impl TableLine {
    fn table(&self) -> Table {
        let columns = self.columns.iter().map(|column| {
            let values = column
                .values
                .iter()
                .map(|(text, count)| (text.as_str(), *count));
            Column::new(&column.name, &column.r#type).with_values(values)
        });
        Table {
            name: self.name.clone(),
            columns: columns.collect(),
            ..Table::default()
        }
    }
}

fn main() -> io::Result<()> {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let mut out = io::BufWriter::new(io::stdout().lock());
    if mode == "evidence" {
        let kinds: Vec<&str> = kind_names().collect();
        writeln!(
            out,
            "{}",
            json!({"evidence": evidence_names(), "kinds": kinds})
        )?;
    }
    let mut tables = Vec::new();
    for line in io::stdin().lock().lines() {
        let line: TableLine = serde_json::from_str(&line?)?;
        let table = line.table();
        match mode.as_str() {
            "evidence" => writeln!(out, "{}", evidence(&table))?,
            "speed" => tables.push(table),
            _ => writeln!(out, "{}", findings(&table)?)?,
        }
    }
    if mode == "speed" {
        writeln!(out, "{} values", judge_often(&tables, ROUNDS))?;
    }
    Ok(())
}

fn findings(table: &Table) -> io::Result<serde_json::Value> {
    let found = Detector::detect(table).map_err(io::Error::other)?;
    let found = found.iter().map(|finding| {
        json!({
            "column": finding.column,
            "kind": finding.kind,
            "country": finding.country,
            "whole": finding.scope == Scope::WholeColumn,
            "confidence": finding.confidence,
        })
    });
    Ok(found.collect())
}

fn evidence(table: &Table) -> serde_json::Value {
    let weighed = weigh(table);
    let weighed = weighed
        .iter()
        .map(|weighed| json!([weighed.column, weighed.kind, weighed.evidence]));
    weighed.collect()
}

/// Judges all tables as often as asked; the caller divides by the processor time that it took.
fn judge_often(tables: &[Table], rounds: u32) -> usize {
    for _ in 0..rounds {
        for table in tables {
            std::hint::black_box(Detector::detect(table).ok());
        }
    }
    let columns = tables.iter().flat_map(|table| &table.columns);
    columns.map(Column::distinct).sum::<usize>() * rounds as usize
}
