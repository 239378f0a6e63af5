//! `boathouse tune`.

mod bound;
mod knobs;
mod outcome;
mod trials;

use bound::{Bound, bound};
use clap::Subcommand;
use serde_json::{Value, json};
use trials::trials;

use crate::{
    cli::{
        CliError, Output,
        output::{cell, counted, table},
        task::awaited,
    },
    client::{Client, ClientError},
};

/// What to do with trials.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an evaluation set: queries with their exact neighbours, drawn from the index when nothing else is said.
    Evalset {
        /// Name of the index.
        index: String,
        /// Number of queries to draw.
        #[arg(long)]
        queries: Option<usize>,
        /// A query in words, instead of drawn ones; may be given again.
        #[arg(long = "text", value_name = "WORDS", conflicts_with = "queries")]
        texts: Vec<String>,
        /// The queries of recent searches, instead of drawn ones.
        #[arg(long, conflicts_with_all = ["queries", "texts"])]
        live: bool,
        /// Name of the set; trials use `default` unless they name another.
        #[arg(long, default_value = "default")]
        name: String,
        /// Neighbours per query.
        #[arg(short, long, default_value_t = 10)]
        k: usize,
    },
    /// List the evaluation sets of an index.
    Evalsets {
        /// Name of the index.
        index: String,
    },
    /// Delete an evaluation set; the next trial makes `default` anew.
    DeleteEvalset {
        /// Name of the index.
        index: String,
        /// Name of the set.
        name: String,
    },
    /// Run one configuration.
    Trial {
        /// Name of the index.
        index: String,
        #[command(flatten)]
        tried: knobs::Tried,
    },
    /// Try configurations until a limit is reached.
    Run {
        /// Name of the index.
        index: String,
        /// `proposer`, `grid` or `halving`; the last one for graphs.
        #[arg(long, default_value = "proposer")]
        strategy: String,
        /// What is tuned: `parquet` (the graph) or `lance` (a Lance table); what serves when left out.
        #[arg(long)]
        backend: Option<String>,
        /// Most trials.
        #[arg(long)]
        max_trials: Option<u32>,
        /// Most seconds.
        #[arg(long)]
        max_seconds: Option<u64>,
        /// What may be tried of a knob, as `ef_search=10..40:10` or `m=16`; may be given again, for another one. What is
        /// recommended lies within these.
        #[arg(long = "bound", value_name = "KNOB=MIN..MAX:STEP", value_parser = bound)]
        bounds: Vec<Bound>,
        /// A note for the journal, on every trial of the run.
        #[arg(long)]
        note: Option<String>,
        /// Evaluation set to measure with; `default` when left out.
        #[arg(long, value_name = "NAME")]
        evalset: Option<String>,
    },
    /// Show the journal.
    Journal {
        /// Name of the index.
        index: String,
        /// Only so many of the newest trials.
        #[arg(long)]
        limit: Option<u64>,
    },
    /// Show the best trial.
    Best {
        /// Name of the index.
        index: String,
        /// `pareto`, `recall` or `latency`.
        #[arg(long, default_value = "pareto")]
        metric: String,
        /// Of trials of `parquet` (the graph) or of `lance` (a Lance table); of what serves when left out.
        #[arg(long)]
        backend: Option<String>,
        /// Among trials with this evaluation set; `default` when left out.
        #[arg(long, value_name = "NAME")]
        evalset: Option<String>,
    },
    /// Serve the configuration of a trial if it is better than what serves.
    Promote {
        /// Name of the index.
        index: String,
        /// Id of the trial.
        trial: String,
        /// Why, for the history; the host's own words when left out.
        #[arg(long)]
        reason: Option<String>,
        /// Promote it without a comparison.
        #[arg(long)]
        force: bool,
        /// With --force: even if its recall is surely below the floor.
        #[arg(long, requires = "force")]
        below_floor: bool,
    },
    /// Serve what served before.
    Rollback {
        /// Name of the index.
        index: String,
    },
    /// Show promotions.
    History {
        /// Name of the index.
        index: String,
    },
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::Evalset {
            index,
            queries,
            texts,
            live,
            name,
            k,
        } => {
            let set = json!({"index": index, "name": name, "k": k, "live": live});
            evalset(client, output, set, queries.map(Value::from), texts).await
        }
        Command::Evalsets { index } => evalsets(client, output, &index).await,
        Command::DeleteEvalset { index, name } => {
            delete_evalset(client, output, &index, &name).await
        }
        Command::Trial { index, tried } => trial(client, output, &index, &json!(tried)).await,
        Command::Run {
            index,
            strategy,
            backend,
            max_trials,
            max_seconds,
            bounds,
            note,
            evalset,
        } => {
            // Empty bounds are bounds too.
            let bounds = (!bounds.is_empty()).then_some(bounds);
            let body = json!({"strategy": strategy, "backend": backend, "max_trials": max_trials, "max_seconds": max_seconds,
                "bounds": bounds, "note": note, "evalset": evalset});
            autotune(client, output, &index, &body).await
        }
        Command::Journal { index, limit } => {
            let journal = journal(client, &index, limit).await?;
            output.result(&journal, all_trials);
            Ok(())
        }
        Command::Best {
            index,
            metric,
            backend,
            evalset,
        } => best(client, output, (&index, &metric), (backend, evalset)).await,
        Command::Promote {
            index,
            trial,
            reason,
            force,
            below_floor,
        } => {
            let body = json!({"trial": trial, "reason": reason, "force": force, "below_floor": below_floor});
            promote(client, output, &index, &body).await
        }
        Command::Rollback { index } => rollback(client, output, &index).await,
        Command::History { index } => history(client, output, &index).await,
    }
}

async fn evalset(
    client: &Client,
    output: &Output,
    mut set: Value,
    queries: Option<Value>,
    texts: Vec<String>,
) -> Result<(), CliError> {
    if let Some(queries) = queries {
        set["queries"] = queries;
    }
    if !texts.is_empty() {
        set["texts"] = texts.into();
    }
    let task = client.post("/vectors/evalsets", &set).await?;
    output.result(&awaited(client, output, &task).await?, |set| {
        println!(
            "evaluation set {}: {} queries, k = {}",
            cell(set.pointer("/name")),
            cell(set.pointer("/queries")),
            cell(set.pointer("/k"))
        );
        if let Some(note) = set["note"].as_str() {
            println!("{note}");
        }
    });
    Ok(())
}

async fn evalsets(client: &Client, output: &Output, index: &str) -> Result<(), CliError> {
    let path = format!("/vectors/evalsets?index={index}");
    let list: Value = client.get(&path).await?;
    output.result(&list, all_evalsets);
    Ok(())
}

async fn delete_evalset(
    client: &Client,
    output: &Output,
    index: &str,
    name: &str,
) -> Result<(), CliError> {
    let path = format!("/vectors/evalsets/{index}/{name}");
    client.delete(&path).await?;
    output.result(&Value::Null, |_| println!("deleted"));
    Ok(())
}

/// Prints a list of evaluation sets, those that cannot be read below the others.
fn all_evalsets(list: &Value) {
    let columns = [
        ("name", "/name"),
        ("queries", "/queries"),
        ("k", "/k"),
        ("source", "/source"),
        ("seed", "/seed"),
        ("data version", "/data_version"),
    ];
    println!("{}", table(&list["evalsets"], &columns));
    for set in list["unreadable"].as_array().into_iter().flatten() {
        println!(
            "cannot be read: {}: {}",
            cell(set.get("name")),
            cell(set.get("detail"))
        );
    }
}

async fn best(
    client: &Client,
    output: &Output,
    (index, metric): (&str, &str),
    (backend, evalset): (Option<String>, Option<String>),
) -> Result<(), CliError> {
    let mut path = format!("/vectors/trials/{index}/best?metric={metric}");
    for (name, value) in [("evalset", evalset), ("backend", backend)] {
        if let Some(value) = value {
            path += &format!("&{name}={value}");
        }
    }
    let best: Value = client.get(&path).await?;
    output.result(&best, |best| {
        println!("{}", trials(&json!([best["trial"]])));
        println!("{}", cell(best.pointer("/reason")));
    });
    Ok(())
}

async fn trial(
    client: &Client,
    output: &Output,
    index: &str,
    body: &Value,
) -> Result<(), CliError> {
    let task = client
        .post(&format!("/vectors/trials/{index}"), body)
        .await?;
    output.result(&awaited(client, output, &task).await?, |report| {
        println!("{}", trials(&json!([report["trial"]])));
    });
    Ok(())
}

async fn autotune(
    client: &Client,
    output: &Output,
    index: &str,
    body: &Value,
) -> Result<(), CliError> {
    let path = format!("/vectors/autotune/{index}");
    let task = client.post_async(&path, body).await?;
    let report = awaited(client, output, &task).await?;
    output.result(&report, |report| {
        if !outcome::is_without_trials(report) {
            println!("{}", trials(&report["trials"]));
        }
        println!("{}", outcome::how_it_ended(report));
        for line in outcome::refusals(report) {
            println!("{line}");
        }
        println!("{}", outcome::recommended(report));
    });
    match report.pointer("/ended/why").and_then(Value::as_str) {
        Some("proposer_failed") => Err(CliError::Failed(format!(
            "the last three proposals failed: {}",
            cell(report.pointer("/ended/message"))
        ))),
        _ => Ok(()),
    }
}

/// Shows the comparison also when it was lost.
async fn promote(
    client: &Client,
    output: &Output,
    index: &str,
    body: &Value,
) -> Result<(), CliError> {
    let path = format!("/vectors/promote/{index}");
    let task = client.post_async(&path, body).await?;
    let ended = awaited(client, output, &task).await;
    if let Err(CliError::Client(ClientError::Refused(problem))) = &ended
        && let (Some(evidence), false) = (&problem.evidence, output.is_json())
    {
        compared(evidence);
    }
    output.result(&ended?, |promoted| {
        if let Some(evidence) = promoted.pointer("/promotion/evidence") {
            compared(evidence);
        }
        serves(promoted);
        if let Some(reason) = promoted["promotion"]["reason"].as_str() {
            println!("{reason}");
        }
    });
    Ok(())
}

/// Columns of a comparison of what serves and what is to serve.
const SIDE: [(&str, &str); 6] = [
    ("trial", "/trial"),
    ("configuration", "/configuration"),
    ("recall", "/metrics/recall_at_k"),
    ("p95 µs", "/metrics/search_latency_p95_us"),
    ("distances", "/metrics/distances_per_query"),
    ("misses", "/shortfall"),
];

/// What serves above what is to serve, on the same queries.
fn compared(evidence: &Value) {
    println!(
        "compared on {} queries, {} of them live:",
        cell(evidence.get("queries")),
        cell(evidence.get("live_queries"))
    );
    let mut sides = [evidence["champion"].clone(), evidence["challenger"].clone()];
    for side in &mut sides {
        side["configuration"] = knobs::in_words(&side["config"]).into();
    }
    let sides = json!(sides);
    println!("{}", table(&sides, &SIDE));
}

async fn rollback(client: &Client, output: &Output, index: &str) -> Result<(), CliError> {
    let path = format!("/vectors/rollback/{index}");
    let task = client.post_async(&path, &json!({})).await?;
    output.result(&awaited(client, output, &task).await?, serves);
    Ok(())
}

async fn history(client: &Client, output: &Output, index: &str) -> Result<(), CliError> {
    let history: Value = client.get(&format!("/vectors/promotions/{index}")).await?;
    output.result(&history, |history| {
        let mut promotions = history["promotions"].clone();
        for one in promotions.as_array_mut().into_iter().flatten() {
            one["configuration"] = knobs::in_words(&one["served"]["config"]).into();
        }
        println!("{}", table(&promotions, &PROMOTION));
        if let Some(lines @ 1..) = history["malformed"].as_u64() {
            println!(
                "{lines} lines of it do not read, so an earlier configuration may serve: promote the one that is to serve"
            );
        }
        for file in history["kept_aside"].as_array().into_iter().flatten() {
            println!(
                "a damaged file of it is kept as {}, so an earlier configuration may serve: promote the one that is to serve",
                cell(Some(file))
            );
        }
    });
    Ok(())
}

/// Prints the trials of a journal.
fn all_trials(journal: &Value) {
    println!("{}", trials(&journal["trials"]));
    if journal["malformed"].as_u64() > Some(0) {
        let lines = counted(journal.get("malformed"), "line");
        println!("{lines} of the journal could not be read and are left out");
    }
}

/// All pages of a journal as one, or as many of the newest trials as are wanted.
async fn journal(client: &Client, index: &str, newest: Option<u64>) -> Result<Value, CliError> {
    let from = match newest {
        None => 0,
        Some(newest) => {
            let path = format!("/vectors/trials/{index}?limit=1");
            let first: Value = client.get(&path).await?;
            let total = first["total"].as_u64().unwrap_or(0);
            total.saturating_sub(newest)
        }
    };
    let mut journal: Value = client
        .get(&format!("/vectors/trials/{index}?limit=1000&cursor={from}"))
        .await?;
    while let Some(next) = journal["next"].as_u64() {
        let mut page: Value = client
            .get(&format!("/vectors/trials/{index}?limit=1000&cursor={next}"))
            .await?;
        let more = page["trials"]
            .as_array_mut()
            .map(std::mem::take)
            .unwrap_or_default();
        if let Some(trials) = journal["trials"].as_array_mut() {
            trials.extend(more);
        }
        journal["next"] = page["next"].take();
    }
    Ok(journal)
}

/// Columns of a table of promotions.
const PROMOTION: [(&str, &str); 6] = [
    ("at", "/at"),
    ("what", "/event"),
    ("trial", "/served/trial"),
    ("configuration", "/configuration"),
    ("forced", "/forced"),
    ("by", "/by"),
];

fn serves(served: &Value) {
    println!(
        "serves m {} ef_construction {} ef_search {} (trial {})",
        cell(served.pointer("/serving/config/m")),
        cell(served.pointer("/serving/config/ef_construction")),
        cell(served.pointer("/serving/config/ef_search")),
        cell(served.pointer("/serving/trial")),
    );
}
