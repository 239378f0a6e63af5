//! `boathouse search`.

use serde_json::{Value, json};

use crate::{
    cli::{CliError, Output, output::cell},
    client::Client,
};

/// What to look for.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Name of the index.
    index: String,
    /// What to look for, in words.
    text: String,
    /// How many hits.
    #[arg(short, long, default_value_t = 10)]
    k: usize,
    /// Candidates kept while searching, instead of the champion's.
    #[arg(long)]
    ef_search: Option<u32>,
    /// Search only rows for which this condition in SQL is true, as in `--filter "year >= 2020"`.
    #[arg(long, value_name = "CONDITION")]
    filter: Option<String>,
    /// Columns of the dataset to show; all when left out.
    #[arg(long = "with", value_delimiter = ',')]
    with: Option<Vec<String>>,
    /// Show no columns; this also answers while the bucket of the dataset does not.
    #[arg(long, conflicts_with = "with")]
    no_columns: bool,
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    arguments: Arguments,
) -> Result<(), CliError> {
    let mut body = json!({"text": arguments.text, "k": arguments.k});
    if let Some(ef) = arguments.ef_search {
        body["ef_search"] = ef.into();
    }
    if let Some(filter) = arguments.filter {
        body["filter"] = filter.into();
    }
    if let Some(columns) = arguments.with {
        body["with"] = columns.into();
    }
    if arguments.no_columns {
        body["with"] = json!([]);
    }
    let path = format!("/vectors/indexes/{}/search", arguments.index);
    let answer: Value = client.post(&path, &body).await?;
    output.result(&answer, |answer| {
        hits(answer);
        if let Some(matching) = answer.pointer("/filter/matching") {
            println!("the filter lets {matching} documents through");
        }
    });
    Ok(())
}

/// Prints hits with their columns.
pub(crate) fn hits(answer: &Value) {
    for hit in answer["hits"].as_array().into_iter().flatten() {
        println!(
            "{:>7}  {}",
            cell(hit.pointer("/score")),
            cell(hit.pointer("/id"))
        );
        for (name, value) in hit["columns"].as_object().into_iter().flatten() {
            println!("         {name}: {}", shortened(&cell(Some(value)), 160));
        }
    }
}

/// At most `most` characters on one line.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
