//! `boathouse ingest`.

mod table;

use std::path::Path;

use serde_json::Value;

use crate::{
    cli::{CliError, Output, output::cell, pii::show_treatments},
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
    /// A file on this machine, sent to the host; or `bucket:{name}/{path}`, of which the last part may hold one `*`;
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
    #[arg(long, default_value = "replace")]
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
            let file = Path::new(&arguments.file);
            let label = file.file_name().unwrap_or_default().to_string_lossy();
            parameters.push(("label", label.into_owned()));
            client.post_file(&path(&parameters), file).await?
        }
    };
    let bar = output.bar();
    let ended = client.wait(&task, |view| bar.follow(view)).await;
    bar.done();
    output.result(&ended?, report);
    Ok(())
}

/// Prints rows, columns, findings and treatments of an ingest.
pub(crate) fn report(value: &Value) {
    println!(
        "dataset {} version {}: {} rows, {} bytes of Parquet",
        cell(value.pointer("/dataset")),
        cell(value.pointer("/version")),
        cell(value.pointer("/rows")),
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
    show_treatments(&value["treatments"]);
}

/// Prints how a text was read, as far as it was found out rather than said.
fn show_reading(file: &Value) {
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
        let Some(reason) = column
            .get("text_because")
            .filter(|_| column["said"] == false)
        else {
            continue;
        };
        let Some(expected) = reason["expected"].as_str() else {
            continue;
        };
        print!(
            "  column {} is text because of line {}; before it are {expected}",
            cell(column.pointer("/name")),
            reason["line"],
        );
        match reason["null_like"].as_str() {
            Some(spelling) => {
                println!("; if `{spelling}` means null there, say --null {spelling},")
            }
            None => println!(),
        }
    }
}
