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
    #[arg(long, value_name = "CONDITION", allow_hyphen_values = true)]
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
        if answer["hits"].as_array().is_some_and(Vec::is_empty) {
            println!("nothing was found");
        }
        if let Some(matching) = answer.pointer("/filter/matching") {
            println!("the filter lets {matching} documents through");
        }
    });
    Ok(())
}

/// Prints hits with their columns, in the order that the answer gives.
pub(crate) fn hits(answer: &Value) {
    let order = answer["columns"].as_array().into_iter().flatten();
    let order: Vec<&str> = order.filter_map(Value::as_str).collect();
    for hit in answer["hits"].as_array().into_iter().flatten() {
        println!(
            "{:>7}  {}{}",
            cell(hit.pointer("/score")),
            cell(hit.pointer("/id")),
            piece(hit)
        );
        let mut columns: Vec<_> = hit["columns"].as_object().into_iter().flatten().collect();
        columns.sort_by_key(|(name, _)| order.iter().position(|ordered| ordered == *name));
        for (name, value) in columns {
            println!("         {name}: {}", shortened(&exact(value), 160));
        }
    }
}

/// A value of a row, with every digit of a number.
fn exact(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        other => cell(Some(other)),
    }
}

/// Which piece of its text a hit was found by, in an index that cuts texts.
fn piece(hit: &Value) -> String {
    match (hit.pointer("/chunk/start"), hit.pointer("/chunk/end")) {
        (Some(start), Some(end)) => format!("  characters {start} to {end}"),
        _ => String::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_shown_with_all_its_digits() {
        for (value, shown) in [
            (json!(132.714_285), "132.714285"),
            (json!(1.5), "1.5"),
            (json!(0.300_000_000_000_000_04), "0.30000000000000004"),
            (json!(7), "7"),
            (json!("text"), "text"),
            (Value::Null, "-"),
        ] {
            assert_eq!(exact(&value), shown);
        }
    }
}
