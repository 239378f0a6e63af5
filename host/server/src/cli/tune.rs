//! `boathouse tune`.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    cli::{
        CliError, Output,
        output::{cell, table},
    },
    client::{Client, ClientError},
};

/// What to do with trials.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an evaluation set: sampled queries with their exact neighbours.
    Evalset {
        /// Name of the index.
        index: String,
        /// Number of queries.
        #[arg(long)]
        queries: Option<usize>,
        /// Neighbours per query.
        #[arg(short, long, default_value_t = 10)]
        k: usize,
    },
    /// Run one configuration.
    Trial {
        /// Name of the index.
        index: String,
        /// Neighbours kept per node and layer.
        #[arg(long)]
        m: Option<u32>,
        /// Candidates looked at while building.
        #[arg(long)]
        ef_construction: Option<u32>,
        /// Candidates kept while searching.
        #[arg(long)]
        ef_search: Option<u32>,
        /// A note for the journal.
        #[arg(long)]
        note: Option<String>,
    },
    /// Try configurations until a limit is reached.
    Run {
        /// Name of the index.
        index: String,
        /// `proposer`, `grid` or `halving`.
        #[arg(long, default_value = "proposer")]
        strategy: String,
        /// Most trials.
        #[arg(long)]
        max_trials: Option<u32>,
        /// Most seconds.
        #[arg(long)]
        max_seconds: Option<u64>,
    },
    /// Show the journal.
    Journal {
        /// Name of the index.
        index: String,
    },
    /// Show the best trial.
    Best {
        /// Name of the index.
        index: String,
        /// `pareto`, `recall` or `latency`.
        #[arg(long, default_value = "pareto")]
        metric: String,
    },
    /// Serve the configuration of a trial if it is better than what serves.
    Promote {
        /// Name of the index.
        index: String,
        /// Id of the trial.
        trial: String,
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

/// Columns of a table of trials.
const TRIAL: [(&str, &str); 10] = [
    ("trial", "/id"),
    ("sample", "/sample"),
    ("m", "/config/m"),
    ("ef_construction", "/config/ef_construction"),
    ("ef_search", "/config/ef_search"),
    ("recall", "/metrics/recall_at_k"),
    ("p50 µs", "/metrics/search_latency_p50_us"),
    ("p95 µs", "/metrics/search_latency_p95_us"),
    ("build s", "/metrics/build_time_secs"),
    ("note", "/note"),
];

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::Evalset { index, queries, k } => evalset(client, output, &index, queries, k).await,
        Command::Trial {
            index,
            m,
            ef_construction,
            ef_search,
            note,
        } => {
            let body = json!({"m": m, "ef_construction": ef_construction, "ef_search": ef_search, "note": note});
            trial(client, output, &index, &body).await
        }
        Command::Run {
            index,
            strategy,
            max_trials,
            max_seconds,
        } => {
            let body =
                json!({"strategy": strategy, "max_trials": max_trials, "max_seconds": max_seconds});
            autotune(client, output, &index, &body).await
        }
        Command::Journal { index } => {
            let journal = whole_journal(client, &index).await?;
            output.result(&journal, |journal| {
                println!("{}", table(&journal["trials"], &TRIAL))
            });
            Ok(())
        }
        Command::Best { index, metric } => best(client, output, &index, &metric).await,
        Command::Promote {
            index,
            trial,
            force,
            below_floor,
        } => {
            let body = json!({"trial": trial, "force": force, "below_floor": below_floor});
            promote(client, output, &index, &body).await
        }
        Command::Rollback { index } => {
            let served: Value = client
                .post(&format!("/vectors/rollback/{index}"), &json!({}))
                .await?;
            output.result(&served, serves);
            Ok(())
        }
        Command::History { index } => {
            let history: Value = client.get(&format!("/vectors/promotions/{index}")).await?;
            output.result(&history, |history| {
                println!("{}", table(&history["promotions"], &PROMOTION))
            });
            Ok(())
        }
    }
}

async fn evalset(
    client: &Client,
    output: &Output,
    index: &str,
    queries: Option<usize>,
    k: usize,
) -> Result<(), CliError> {
    let mut body = json!({"index": index, "k": k});
    if let Some(queries) = queries {
        body["queries"] = queries.into();
    }
    let task = client.post("/vectors/evalsets", &body).await?;
    finish(client, output, &task, |set| {
        println!(
            "evaluation set {}: {} queries, k = {}",
            cell(set.pointer("/name")),
            cell(set.pointer("/queries")),
            cell(set.pointer("/k"))
        );
    })
    .await
}

async fn best(client: &Client, output: &Output, index: &str, metric: &str) -> Result<(), CliError> {
    let path = format!("/vectors/trials/{index}/best?metric={metric}");
    let best: Value = client.get(&path).await?;
    output.result(&best, |best| {
        println!("{}", table(&json!([best["trial"]]), &TRIAL));
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
    finish(client, output, &task, |report| {
        println!("{}", table(&json!([report["trial"]]), &TRIAL))
    })
    .await
}

async fn autotune(
    client: &Client,
    output: &Output,
    index: &str,
    body: &Value,
) -> Result<(), CliError> {
    let path = format!("/vectors/autotune/{index}");
    let task = client.post_async(&path, body).await?;
    finish(client, output, &task, |report| {
        println!("{}", table(&report["trials"], &TRIAL));
        println!("{}", cell(report.pointer("/recommendation/reason")));
    })
    .await
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
    let bar = output.bar();
    let ended = client.wait(&task, |view| bar.follow(view)).await;
    bar.done();
    if let Err(ClientError::Refused(problem)) = &ended
        && let (Some(evidence), false) = (&problem.evidence, output.is_json())
    {
        compared(evidence);
    }
    output.result(&ended?, |promoted| {
        if let Some(evidence) = promoted.pointer("/promotion/evidence") {
            compared(evidence);
        }
        serves(promoted);
        println!("{}", cell(promoted.pointer("/promotion/reason")));
    });
    Ok(())
}

/// Columns of a comparison of what serves and what is to serve.
const SIDE: [(&str, &str); 8] = [
    ("trial", "/trial"),
    ("m", "/config/m"),
    ("ef_construction", "/config/ef_construction"),
    ("ef_search", "/config/ef_search"),
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
    let sides = json!([evidence["champion"], evidence["challenger"]]);
    println!("{}", table(&sides, &SIDE));
}

/// All pages of a journal as one.
async fn whole_journal(client: &Client, index: &str) -> Result<Value, CliError> {
    let mut journal: Value = client
        .get(&format!("/vectors/trials/{index}?limit=1000"))
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
const PROMOTION: [(&str, &str); 8] = [
    ("at", "/at"),
    ("what", "/event"),
    ("trial", "/served/trial"),
    ("m", "/served/config/m"),
    ("ef_construction", "/served/config/ef_construction"),
    ("ef_search", "/served/config/ef_search"),
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

async fn finish(
    client: &Client,
    output: &Output,
    task: &crate::tasks::TaskView,
    text: impl FnOnce(&Value),
) -> Result<(), CliError> {
    let bar = output.bar();
    let ended = client.wait(task, |view| bar.follow(view)).await;
    bar.done();
    output.result(&ended?, text);
    Ok(())
}
