//! `boathouse agent`.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    cli::{
        CliError, Output,
        output::{cell, table},
    },
    client::Client,
};

/// What to do with the agent, which keeps indexes up to date.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what waits for it.
    Show,
    /// Put an index into its queue.
    Enqueue {
        /// Name of the index.
        name: String,
    },
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::Show => {
            let agent: Value = client.get("/vectors/agent").await?;
            output.result(&agent, |agent| {
                println!("{}", cell(agent.get("detail")));
                let columns = [
                    ("index", "/index"),
                    ("dataset", "/dataset"),
                    ("reasons", "/words"),
                    ("appended rows", "/appends/detail"),
                ];
                println!("{}", table(&in_words(&agent["queue"]), &columns));
            });
        }
        Command::Enqueue { name } => {
            let path = format!("/vectors/agent/enqueue/{name}");
            let entry: Value = client.post(&path, &json!({})).await?;
            output.result(&entry, |entry| {
                println!("{}", cell(entry.pointer("/appends/detail")));
            });
        }
    }
    Ok(())
}

/// The queue with its reasons as a text: `appended (3), asked (1)`.
fn in_words(queue: &Value) -> Value {
    let mut queue = queue.clone();
    for entry in queue.as_array_mut().into_iter().flatten() {
        let reasons = entry["reasons"].as_array().into_iter().flatten();
        let words = reasons.map(|noted| {
            let (reason, count) = (cell(noted.get("reason")), cell(noted.get("count")));
            format!("{reason} ({count})")
        });
        let words: Vec<String> = words.collect();
        entry["words"] = words.join(", ").into();
    }
    queue
}
