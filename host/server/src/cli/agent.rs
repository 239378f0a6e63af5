//! `boathouse agent`.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    cli::{
        CliError, Output,
        output::{cell, counted, table},
    },
    client::Client,
};

/// What to do with the agent, which keeps indexes up to date and tunes them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what it does, what waits, and for what.
    #[command(alias = "show")]
    Status,
    /// Have indexes tuned by themselves, whatever the configuration says.
    Start,
    /// Have no index tuned by itself, whatever the configuration says.
    Stop,
    /// Put an index into its queue.
    Enqueue {
        /// Name of the index.
        name: String,
    },
    /// Show what it did.
    Events {
        /// Go on showing events as they come.
        #[arg(long)]
        follow: bool,
        /// Events after this number.
        #[arg(long, default_value_t = 0)]
        after: u64,
    },
    /// Ask proposers again what they were asked, and compare with the journal of an index.
    Replay {
        /// Name of the index.
        name: String,
        /// Most trials to ask about again, newest first.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::Status => {
            let agent: Value = client.get("/vectors/agent/status").await?;
            output.result(&agent, status);
        }
        Command::Start => switch(client, output, "start").await?,
        Command::Stop => switch(client, output, "stop").await?,
        Command::Enqueue { name } => {
            let path = format!("/vectors/agent/enqueue/{name}");
            let entry: Value = client.post(&path, &json!({})).await?;
            output.result(&entry, |entry| {
                println!("rows: {}", cell(entry.pointer("/appends/detail")));
                println!("tuning: {}", cell(entry.get("tuning")));
            });
        }
        Command::Events { follow, after } => events(client, output, follow, after).await?,
        Command::Replay { name, limit } => {
            let path = format!("/vectors/agent/replay/{name}?limit={limit}");
            let report: Value = client.get(&path).await?;
            output.result(&report, replayed);
        }
    }
    Ok(())
}

async fn switch(client: &Client, output: &Output, how: &str) -> Result<(), CliError> {
    let path = format!("/vectors/agent/{how}");
    let agent: Value = client.post(&path, &json!({})).await?;
    output.result(&agent, |agent| {
        let how = match agent["tuning"] == true {
            true => "on",
            false => "off",
        };
        println!("tuning is {how}: {}", cell(agent.get("detail")));
    });
    Ok(())
}

fn status(agent: &Value) {
    let how = match agent["tuning"] == true {
        true => "on",
        false => "off",
    };
    println!("tuning is {how}: {}", cell(agent.get("detail")));
    let trials = &agent["trials"];
    println!(
        "{} of {} trials in the last hour",
        cell(trials.get("in_last_hour")),
        cell(trials.get("most_per_hour"))
    );
    if trials["refused"].as_u64() > Some(0) {
        let refused = counted(trials.get("refused"), "proposal");
        println!("{refused} refused since the start: `boathouse agent events` says why");
    }
    let gates = [
        ("gate", "/gate"),
        ("open", "/open"),
        ("how it stands", "/detail"),
        ("opens", "/opens_at"),
    ];
    println!("{}", table(&agent["gates"], &gates));
    if agent["queue"]
        .as_array()
        .is_some_and(|queue| !queue.is_empty())
    {
        let queue = [
            ("waiting", "/index"),
            ("dataset", "/dataset"),
            ("reasons", "/words"),
            ("appended rows", "/appends/detail"),
            ("tuning", "/tuning"),
        ];
        println!("{}", table(&in_words(&agent["queue"]), &queue));
    }
    for index in agent["indexes"].as_array().into_iter().flatten() {
        println!("{}", cell(index.get("detail")));
    }
}

async fn events(
    client: &Client,
    output: &Output,
    follow: bool,
    after: u64,
) -> Result<(), CliError> {
    let is_json = output.is_json();
    let show = |event: &Value| match is_json {
        true => println!("{event}"),
        false => println!(
            "{:>6}  {}  {:12} {} {}",
            cell(event.get("seq")),
            cell(event.get("at")),
            cell(event.get("event")),
            cell(event.get("index")),
            cell(event.get("detail"))
        ),
    };
    if follow {
        let path = "/vectors/agent/events";
        return Ok(client.follow(path, after, show).await?);
    }
    let path = format!("/vectors/agent/events?format=json&after={after}");
    let page: Value = client.get(&path).await?;
    page["events"]
        .as_array()
        .into_iter()
        .flatten()
        .for_each(show);
    Ok(())
}

fn replayed(report: &Value) {
    println!(
        "{} of {} proposals are as recorded, {} are not, {} could not be asked for again",
        cell(report.get("equal")),
        cell(report.get("proposed")),
        cell(report.get("different")),
        cell(report.get("not_asked"))
    );
    let columns = [
        ("trial", "/trial"),
        ("by", "/proposed_by/name"),
        ("outcome", "/outcome"),
        ("recorded", "/recorded"),
        ("proposed", "/proposed/settings"),
        ("why", "/detail"),
    ];
    println!("{}", table(&report["trials"], &columns));
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
