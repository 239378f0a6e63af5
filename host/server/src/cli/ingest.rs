//! `boathouse ingest`.

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    cli::{CliError, Output, output::cell},
    client::Client,
    url::query,
};

/// What to take in and where to put it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file: CSV, JSON (lines or an array) or Parquet.
    file: PathBuf,
    /// Name of the dataset.
    #[arg(long)]
    dataset: String,
    /// `csv`, `json`, `jsonl` or `parquet`; told from the file's name when left out.
    #[arg(long)]
    format: Option<String>,
    /// `replace` or `append`.
    #[arg(long, default_value = "replace")]
    mode: String,
    /// Bucket of a new dataset; `primary` when left out.
    #[arg(long)]
    bucket: Option<String>,
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    arguments: Arguments,
) -> Result<(), CliError> {
    let label = arguments
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut parameters = vec![
        ("dataset", arguments.dataset.as_str()),
        ("mode", &arguments.mode),
        ("label", &label),
    ];
    if let Some(format) = &arguments.format {
        parameters.push(("format", format));
    }
    if let Some(bucket) = &arguments.bucket {
        parameters.push(("bucket", bucket));
    }
    let path = format!("/ingest/file?{}", query(&parameters));
    let task = client.post_file(&path, &arguments.file).await?;
    let bar = output.bar();
    let ended = client.wait(&task, |view| bar.follow(view)).await;
    bar.done();
    output.result(&ended?, report);
    Ok(())
}

/// Prints rows, columns and findings of an ingest.
pub(crate) fn report(value: &Value) {
    println!(
        "dataset {} version {}: {} rows, {} bytes of Parquet",
        cell(value.pointer("/dataset")),
        cell(value.pointer("/version")),
        cell(value.pointer("/rows")),
        cell(value.pointer("/bytes")),
    );
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
}
