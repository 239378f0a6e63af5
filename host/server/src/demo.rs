//! `boathouse demo`: the whole chain on a table that comes with the binary, over HTTP, with figures.
//!
//! It needs nothing but the binary. It may be run again on the same folder: the table gets a new
//! version, and the demo's own index is built anew.

use std::{path::PathBuf, time::Instant};

use serde_json::{Value, json};

use crate::{
    cli::{CliError, serve},
    client::{Client, ClientError},
    config::{Config, Environment, ServerConfig},
    host::Host,
    url::query,
};

mod print;

/// The table: passages of public-domain speeches in invented requests of invented readers.
const TABLE: &[u8] = include_bytes!("../demo/requests.csv");
const DATASET: &str = "demo_requests";
const INDEX: &str = "demo_passages";
const FOLDER: &str = "boathouse-demo";
/// Trials of the demo's run, the default configuration included.
const TRIALS: u32 = 10;
const QUERIES: [&str; 3] = [
    "ships captured by pirates in the Mediterranean",
    "building a railway across the continent to the Pacific",
    "affordable health insurance for every family",
];

/// What the demo takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Go on serving afterwards.
    #[arg(long)]
    serve: bool,
    /// Port to serve on; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

/// Runs the demo in the configured data folder, or in `boathouse-demo` when none is.
pub(crate) async fn run(
    arguments: Arguments,
    mut config: Config,
    environment: &Environment,
) -> Result<(), CliError> {
    if config.server.data == ServerConfig::default().data {
        config.server.data = PathBuf::from(FOLDER);
    }
    config.server.port = arguments.port;
    let folder = config.server.data.clone();
    let host = Host::start(config, environment).await?;
    let client = host.client();
    let started = Instant::now();
    println!(
        "Boathouse demo in {}, host at {}\n",
        folder.display(),
        host.url()
    );
    let outcome = chain(&client).await;
    if outcome.is_ok() {
        println!("\nDone in {:.1} s.", started.elapsed().as_secs_f64());
        print::next(&folder, INDEX, arguments.serve.then(|| host.url()));
    }
    if outcome.is_ok() && arguments.serve {
        serve::announce(&host)?;
        serve::interrupted().await?;
    }
    host.stop().await;
    outcome.map_err(CliError::Client)
}

async fn chain(client: &Client) -> Result<(), ClientError> {
    ingest(client).await?;
    index(client).await?;
    evaluate(client).await?;
    let baseline = tune(client).await?;
    promote(client, &baseline).await?;
    search(client).await
}

/// Steps 1 and 2: the table goes in, its personal data is flagged.
async fn ingest(client: &Client) -> Result<(), ClientError> {
    print::step(
        1,
        "Ingest a table of passages asked for by readers (CSV to Parquet)",
    );
    let path = format!(
        "/ingest/file?{}",
        query(&[
            ("dataset", DATASET),
            ("format", "csv"),
            ("mode", "replace"),
            ("label", "requests.csv")
        ])
    );
    let started = Instant::now();
    let task = client.post_bytes(&path, TABLE).await?;
    let report = client.wait(&task, |_| {}).await?;
    print::ingested(&report, TABLE.len(), started.elapsed());
    print::step(2, "Personal data that the plugin boathouse/pii found in it");
    print::findings(&report);
    Ok(())
}

/// Step 3: the passages become vectors, the vectors a graph.
async fn index(client: &Client) -> Result<(), ClientError> {
    print::step(
        3,
        "Embed the column `passage` and build an index on it; its owner wants recall of at least 0.99",
    );
    match client.delete(&format!("/vectors/indexes/{INDEX}")).await {
        Ok(()) => println!("   (an index of an earlier demo was deleted)"),
        Err(ClientError::Refused(problem)) if problem.code == "unknown_index" => {}
        Err(error) => return Err(error),
    }
    let body = json!({
        "name": INDEX, "dataset": DATASET, "text_column": "passage", "id_column": "request_id",
        "objective": {"recall_floor": 0.99},
    });
    let started = Instant::now();
    let task = client.post("/vectors/indexes", &body).await?;
    let index = client.wait(&task, |_| {}).await?;
    print::indexed(&index, started.elapsed());
    Ok(())
}

/// Step 4: queries with exact answers.
async fn evaluate(client: &Client) -> Result<(), ClientError> {
    print::step(
        4,
        "Make an evaluation set: queries with their exact neighbours",
    );
    let started = Instant::now();
    let task = client
        .post("/vectors/evalsets", &json!({"index": INDEX}))
        .await?;
    let set = client.wait(&task, |_| {}).await?;
    print::evaluated(&set, started.elapsed());
    Ok(())
}

/// Step 5: trials, shown as they end. Gives the trial of the default configuration.
async fn tune(client: &Client) -> Result<Value, ClientError> {
    print::step(
        5,
        "Tune: boathouse/epsilon-greedy proposes, boathouse/pareto scores (both WebAssembly)",
    );
    let path = format!("/vectors/autotune/{INDEX}");
    let body = json!({"max_trials": TRIALS, "note": "demo"});
    let task = client.post_async(&path, &body).await?;
    print::trial_header();
    let mut shown = 0;
    loop {
        let view: crate::tasks::TaskView = client.get(&format!("/tasks/{}", task.id)).await?;
        let page: Value = client
            .get(&format!("/vectors/trials/{INDEX}?cursor={shown}"))
            .await?;
        let trials = page["trials"].as_array().cloned().unwrap_or_default();
        trials.iter().for_each(print::trial);
        shown += trials.len();
        if view.state != crate::tasks::TaskState::Running && trials.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let report = client.wait(&task, |_| {}).await?;
    println!(
        "   {}",
        report
            .pointer("/recommendation/reason")
            .and_then(Value::as_str)
            .unwrap_or_default()
    );
    Ok(report.pointer("/trials/0").cloned().unwrap_or_default())
}

/// Step 6: the best trial's configuration serves if it is better than the default on the same queries.
async fn promote(client: &Client, baseline: &Value) -> Result<(), ClientError> {
    print::step(6, "Promote the champion");
    let best: Value = client
        .get(&format!("/vectors/trials/{INDEX}/best?metric=pareto"))
        .await?;
    let champion = &best["trial"];
    if champion["id"] == baseline["id"] {
        println!("   no trial scores better than the default, which serves on");
        return Ok(());
    }
    let (path, body) = (
        format!("/vectors/promote/{INDEX}"),
        json!({"trial": champion["id"]}),
    );
    match client.post::<Value>(&path, &body).await {
        Ok(promoted) => print::promoted(&promoted["promotion"]),
        Err(ClientError::Refused(problem)) if problem.code == "not_better" => {
            print::kept(&problem);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Step 7: three searches.
async fn search(client: &Client) -> Result<(), ClientError> {
    print::step(7, "Search");
    for text in QUERIES {
        let body = json!({"text": text, "k": 3, "with": ["year", "president", "passage"]});
        let started = Instant::now();
        let answer: Value = client
            .post(&format!("/vectors/indexes/{INDEX}/search"), &body)
            .await?;
        print::answer(text, &answer, started.elapsed());
    }
    Ok(())
}
