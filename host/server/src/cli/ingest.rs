//! `boathouse ingest`.

mod table;

use std::path::Path;

use serde_json::Value;

use crate::{
    cli::{
        CliError, Output,
        output::{cell, counted},
        pii::{show_failures, show_treatments, show_unmet},
        task::awaited,
    },
    client::Client,
    config::Environment,
    url::query,
};

/// A file, or a database by its subcommand.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Source {
    #[command(subcommand)]
    table: Option<table::Command>,
    #[command(flatten)]
    file: Option<Arguments>,
}

/// Takes a file or a table in.
pub(crate) async fn from(
    client: &Client,
    output: &Output,
    environment: &Environment,
    source: Source,
) -> Result<(), CliError> {
    match source {
        Source {
            table: Some(command),
            ..
        } => table::run(client, output, environment, command).await,
        Source {
            file: Some(file), ..
        } => run(client, output, file).await,
        Source { .. } => Err(CliError::Usage(
            "name a file, or `db` or `mysql`".to_owned(),
        )),
    }
}

/// What to take in and where to put it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A file on this machine, sent to the host, `-` for standard input; or `bucket:{name}/{path}`, of which the last part may hold one `*`;
    /// or `file:{absolute path}` on the host's machine. CSV, JSON (lines or an array), Parquet or Arrow IPC,
    /// compressed or not.
    file: String,
    /// Name of the dataset.
    #[arg(long)]
    dataset: String,
    /// `csv`, `json`, `jsonl`, `parquet` or `arrow`; told from the content and the file's name when left out.
    #[arg(long)]
    format: Option<String>,
    /// `replace` or `append`.
    #[arg(long, default_value = "replace", value_parser = ["replace", "append"])]
    mode: String,
    /// Bucket of a new dataset; `primary` when left out.
    #[arg(long)]
    bucket: Option<String>,
    /// `none`, `gzip`, `zstd`, `bzip2` or `lz4`; told from the content when left out.
    #[arg(long)]
    compression: Option<String>,
    /// Encoding of a text without a byte order mark, for example `windows-1252`.
    #[arg(long)]
    encoding: Option<String>,
    /// Of CSV: one character, or `tab`, `comma`, `semicolon`, `pipe`, `space`.
    #[arg(long)]
    delimiter: Option<String>,
    /// Of CSV: one character, or `none`.
    #[arg(long)]
    quote: Option<String>,
    /// Of CSV: a character that stands before quotes inside quotes, or `none`.
    #[arg(long)]
    escape: Option<String>,
    /// Of CSV: whether the first line names the columns: `yes` or `no`.
    #[arg(long)]
    header: Option<String>,
    /// Of CSV: a character with which lines begin that are passed over.
    #[arg(long)]
    comment: Option<String>,
    /// Of CSV: lines before the table.
    #[arg(long)]
    skip_lines: Option<u64>,
    /// Of CSV: spellings of null, separated by commas; an empty one stands for empty fields.
    #[arg(long)]
    null: Option<String>,
    /// Types of columns of a text: `name:type,name:type`, or JSON.
    #[arg(long)]
    schema: Option<String>,
}

impl Arguments {
    /// The query of the request, without where the file is.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let said = [
            ("format", &self.format),
            ("bucket", &self.bucket),
            ("compression", &self.compression),
            ("encoding", &self.encoding),
            ("delimiter", &self.delimiter),
            ("quote", &self.quote),
            ("escape", &self.escape),
            ("header", &self.header),
            ("comment", &self.comment),
            ("null", &self.null),
            ("schema", &self.schema),
        ];
        let mut parameters = vec![
            ("dataset", self.dataset.clone()),
            ("mode", self.mode.clone()),
        ];
        parameters.extend(
            said.into_iter()
                .filter_map(|(name, value)| Some((name, value.clone()?))),
        );
        parameters.extend(
            self.skip_lines
                .map(|lines| ("skip_lines", lines.to_string())),
        );
        parameters
    }
}

async fn run(client: &Client, output: &Output, arguments: Arguments) -> Result<(), CliError> {
    let mut parameters = arguments.parameters();
    let is_there = ["bucket:", "file:"]
        .iter()
        .any(|kind| arguments.file.starts_with(kind));
    let path = |parameters: &[(&'static str, String)]| {
        let parameters: Vec<_> = parameters
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        format!("/ingest/file?{}", query(&parameters))
    };
    let task = match is_there {
        true => {
            parameters.push(("from", arguments.file.clone()));
            client.post_bytes(&path(&parameters), b"").await?
        }
        false => {
            let file = match arguments.file.as_str() {
                "-" => Path::new("/dev/stdin"),
                file => Path::new(file),
            };
            let label = file.file_name().unwrap_or_default().to_string_lossy();
            parameters.push(("label", label.into_owned()));
            client.post_file(&path(&parameters), file).await?
        }
    };
    output.result(&awaited(client, output, &task).await?, report);
    Ok(())
}

/// Prints rows, columns, findings and treatments of an ingest.
pub(crate) fn report(value: &Value) {
    println!(
        "dataset {} version {}: {}, {} bytes of Parquet",
        cell(value.pointer("/dataset")),
        cell(value.pointer("/version")),
        counted(value.pointer("/rows"), "row"),
        cell(value.pointer("/bytes")),
    );
    show_reading(&value["file"]);
    let findings = value.pointer("/findings").and_then(Value::as_array);
    for finding in findings.into_iter().flatten() {
        println!(
            "  personal data: {} looks like {} (confidence {}, {}; {} of {} values match)",
            cell(finding.pointer("/column")),
            cell(finding.pointer("/kind")),
            cell(finding.pointer("/confidence")),
            cell(finding.pointer("/scope")),
            cell(finding.pointer("/evidence/matched")),
            cell(finding.pointer("/evidence/tested")),
        );
    }
    show_failures(value);
    show_treatments(&value["treatments"]);
    show_unmet(value);
}

/// Prints how a text was read, as far as it was found out rather than said.
fn show_reading(file: &Value) {
    if let Some(note) = file["note"].as_str() {
        println!("  {note}");
    }
    if let Some(dialect) = file.get("dialect") {
        let has_header = dialect["header"] == true;
        println!(
            "  read as CSV, delimiter {}, {}",
            dialect["delimiter"],
            if has_header {
                "with a header"
            } else {
                "without a header"
            },
        );
    }
    for column in file["columns"].as_array().into_iter().flatten() {
        if let Some(told) = text_because(column).filter(|_| column["said"] == false) {
            println!("  {told}");
        }
    }
}

/// Why a column is text, where that may come as a surprise.
fn text_because(column: &Value) -> Option<String> {
    let reason = column.get("text_because")?;
    let (name, line) = (cell(column.get("name")), &reason["line"]);
    if reason["beyond_64_bits"] == true {
        return Some(format!(
            "column {name} is text because line {line} has a whole number beyond 64 bits; say --schema '{name}:decimal(38,0)' to have numbers"
        ));
    }
    let expected = reason["expected"].as_str()?;
    let null = reason["null_like"].as_str().map_or(String::new(), |word| {
        format!("; if `{word}` means null there, say --null {word},")
    });
    Some(format!(
        "column {name} is text because of line {line}; before it are {expected}{null}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_column_of_text_is_explained() {
        let told = |reason: Value| text_because(&json!({"name": "n", "text_because": reason}));
        assert_eq!(told(json!({"line": 2})), None);
        let mixed = told(json!({"line": 3, "expected": "numbers", "null_like": "NA"}));
        assert_eq!(
            mixed.expect("a reason"),
            "column n is text because of line 3; before it are numbers; if `NA` means null there, say --null NA,"
        );
        let large = told(json!({"line": 2, "beyond_64_bits": true})).expect("a reason");
        assert!(large.contains("beyond 64 bits") && large.contains("decimal(38,0)"));
    }
}
