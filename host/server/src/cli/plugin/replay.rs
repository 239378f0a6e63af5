//! `boathouse plugin replay`: a component over the real journal of an index, before it is uploaded.
//!
//! The journal is asked of a host; the component runs here. A proposer is asked what was asked then, and
//! its proposals stand beside the recorded ones; a scoring plugin scores the whole journal, and its winner
//! stands beside the host's. A detector has no journal: upload it and run it as a shadow, so that no value
//! leaves the host.

use std::path::PathBuf;

use boathouse_plugins::{Plugin, Proposed};
use boathouse_tuning::{Replay, settings_of};
use boathouse_types::{Objective, PluginKind, Trial, VectorBackend};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::local;
use crate::{
    cli::{CliError, Output, cell, output::table},
    client::Client,
    config::Config,
};

/// Trials of a scored journal that are shown.
const SHOWN: usize = 10;

/// What to replay.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The component.
    file: PathBuf,
    /// The index.
    #[arg(long)]
    index: String,
    /// Its kind, where it is not to be read off its exports.
    #[arg(long, value_parser = local::kind)]
    kind: Option<PluginKind>,
    /// Most proposed trials to ask about again, newest first.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

pub(super) async fn run(
    client: &Client,
    config: &Config,
    output: &Output,
    arguments: Arguments,
) -> Result<(), CliError> {
    let component = local::Component::read(&arguments.file, arguments.kind).await?;
    if component.kind == PluginKind::Pii {
        return Err(CliError::Failed(
            "a detector has no journal to replay; upload it with `plugin push` and compare it with `plugin shadow`"
                .to_owned(),
        ));
    }
    let plugin = component.load(config).await?;
    let trials = journal(client, &arguments.index).await?;
    if trials.is_empty() {
        return Err(CliError::Failed(format!(
            "index `{}` has no trials yet; run some with `boathouse tune run`",
            arguments.index
        )));
    }
    if component.kind == PluginKind::Proposer {
        propose(&plugin, output, Replay::of(trials), arguments.limit).await
    } else {
        score(client, &plugin, output, &arguments.index, trials).await
    }
}

/// The whole journal of an index.
async fn journal(client: &Client, index: &str) -> Result<Vec<Trial>, CliError> {
    let text = client
        .text(&format!("/vectors/trials/{index}?format=jsonl"))
        .await?;
    let trials: Result<_, _> = text.lines().map(serde_json::from_str).collect();
    trials.map_err(|error| {
        CliError::Failed(format!(
            "the host's journal of `{index}` cannot be read by this version: {error}"
        ))
    })
}

/// One question asked again.
#[derive(Debug, Serialize)]
struct Asked {
    trial: String,
    recorded: Option<Vec<u32>>,
    proposed: Option<Proposed>,
    equal: bool,
    failed: Option<String>,
}

async fn propose(
    plugin: &Plugin,
    output: &Output,
    replay: Replay,
    limit: usize,
) -> Result<(), CliError> {
    let mut rows = Vec::new();
    let mut silent = 0_u64;
    for at in replay.proposed().take(limit) {
        let Some(question) = replay.question(at) else {
            silent += 1;
            continue;
        };
        let trial = &replay.trials()[at];
        let recorded = settings_of(&trial.config, &question.context);
        let answer = plugin.propose(&question.context).await;
        let proposed = answer.as_ref().ok().map(Proposed::from);
        rows.push(Asked {
            trial: trial.id.clone(),
            equal: proposed
                .as_ref()
                .is_some_and(|proposed| proposed.settings() == recorded.as_deref()),
            recorded,
            proposed,
            failed: answer.err().map(|error| error.to_string()),
        });
    }
    let equal = rows.iter().filter(|row| row.equal).count();
    let result = json!({"plugin": plugin.identity(), "asked": rows.len(), "equal": equal,
        "without_question": silent, "trials": rows});
    output.result(&result, |result| {
        println!(
            "{equal} of {} proposals are as recorded; {silent} trials do not say what was asked",
            cell(result.get("asked"))
        );
        let columns = [
            ("trial", "/trial"),
            ("recorded", "/recorded"),
            ("proposed", "/proposed/settings"),
            ("why", "/proposed/reason"),
            ("failed", "/failed"),
        ];
        println!("{}", table(&result["trials"], &columns));
    });
    Ok(())
}

async fn score(
    client: &Client,
    plugin: &Plugin,
    output: &Output,
    index: &str,
    trials: Vec<Trial>,
) -> Result<(), CliError> {
    let view: Value = client.get(&format!("/vectors/indexes/{index}")).await?;
    let objective: Objective = serde_json::from_value(view["objective"].clone())
        .map_err(|error| CliError::Failed(format!("the objective of `{index}`: {error}")))?;
    let best: Value = client
        .get(&format!("/vectors/trials/{index}/best?metric=pareto"))
        .await?;
    // Graphs and tables do not compare.
    let mut trials = trials;
    let scored = match best["trial"]["backend"].as_str() {
        Some("lance") => VectorBackend::Lance,
        _ => VectorBackend::Parquet,
    };
    trials.retain(|trial| trial.config.backend() == scored);
    let verdicts = plugin.evaluate(&trials, &objective).await?;
    let mut rows: Vec<_> = trials.iter().zip(&verdicts).collect();
    rows.sort_by(|a, b| {
        let order = b.1.feasible.cmp(&a.1.feasible);
        order.then_with(|| b.1.score.total_cmp(&a.1.score))
    });
    let rows: Vec<Value> = rows
        .into_iter()
        .map(|(trial, verdict)| {
            json!({"trial": trial.id, "config": trial.config,
            "configuration": trial.config.to_string(), "verdict": verdict})
        })
        .collect();
    let result = json!({"plugin": plugin.identity(), "winner_recorded": best["trial"]["id"],
        "scored_by": best["scored_by"], "same_winner": rows.first().map(|row| &row["trial"]) == Some(&best["trial"]["id"]),
        "trials": rows});
    output.result(&result, |result| {
        println!(
            "the host chooses {} by {}; the same trial comes first here: {}",
            cell(result.get("winner_recorded")),
            cell(result.pointer("/scored_by/name")),
            cell(result.get("same_winner"))
        );
        let first: Vec<Value> = rows.iter().take(SHOWN).cloned().collect();
        let columns = [
            ("trial", "/trial"),
            ("score", "/verdict/score"),
            ("feasible", "/verdict/feasible"),
            ("front", "/verdict/front"),
            ("configuration", "/configuration"),
        ];
        println!("{}", table(&Value::from(first), &columns));
    });
    Ok(())
}
