//! `boathouse plugin bench`: what a component's calls cost on this machine.
//!
//! Each question is put until its share of the time is over, one call at a time. Times are what a caller
//! feels: a fresh instance, the guest, and the conversions on both sides; the question without items shows
//! what remains of that when there is nothing to do.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use boathouse_plugins::{Latency, Plugin, PluginError};
use boathouse_types::{Objective, PluginKind};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::{inputs, local};
use crate::{
    cli::{CliError, Output, cell},
    config::Config,
};

/// Fewest and most calls per question.
const CALLS: std::ops::RangeInclusive<usize> = 3..=500;

/// What to time.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The component.
    file: PathBuf,
    /// Its kind, where it is not to be read off its exports.
    #[arg(long, value_parser = local::kind)]
    kind: Option<PluginKind>,
    /// Seconds per question.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| (0.0..=600.0).contains(seconds))
        .ok_or_else(|| "must be 0 to 600".to_owned())
}

/// The figures of a component.
#[derive(Debug, Serialize)]
struct Figures {
    kind: PluginKind,
    name: String,
    version: String,
    component_bytes: usize,
    /// Compiling, and asking it what it is.
    load_ms: u64,
    /// Median of the question without items: what an instance costs before it does anything.
    start_us: u64,
    /// Most linear memory that one call has held.
    peak_memory_bytes: u64,
    questions: Vec<Timed>,
}

/// One question, put over and over.
#[derive(Debug, Serialize)]
struct Timed {
    /// For example `1000 trials`.
    question: String,
    /// Trials of its journal, or columns of its table.
    items: usize,
    calls: u64,
    p50_us: u64,
    p95_us: u64,
    /// Median time by item; none without items.
    per_item_us: Option<f64>,
    /// Why it was not answered; the others are unaffected.
    failed: Option<String>,
}

pub(super) async fn run(
    config: &Config,
    output: &Output,
    arguments: Arguments,
) -> Result<(), CliError> {
    let component = local::Component::read(&arguments.file, arguments.kind).await?;
    let began = Instant::now();
    let plugin = component.load(config).await?;
    let load_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let time = Duration::from_secs_f64(arguments.seconds);
    let (unit, sizes) = match component.kind {
        PluginKind::Pii => ("columns", [0, 1, 10, 100]),
        PluginKind::Scoring | PluginKind::Proposer => ("trials", [0, 10, 100, 1_000]),
    };
    let mut questions = Vec::new();
    for items in sizes {
        questions.push(put(&plugin, items, unit, time).await);
    }
    let figures = Figures {
        kind: component.kind,
        name: plugin.identity().name.clone(),
        version: plugin.identity().version.clone(),
        component_bytes: component.bytes.len(),
        load_ms,
        start_us: questions.first().map_or(0, |empty| empty.p50_us),
        peak_memory_bytes: plugin.stats().peak_memory_bytes,
        questions,
    };
    output.result(&serde_json::to_value(&figures).unwrap_or_default(), print);
    Ok(())
}

/// Puts a question of a size until the time is over.
async fn put(plugin: &Plugin, items: usize, unit: &str, time: Duration) -> Timed {
    let mut failed = None;
    let mut took = Vec::new();
    let question = Question::of(plugin.kind(), items);
    let began = Instant::now();
    while took.len() < *CALLS.start() || (began.elapsed() < time && took.len() < *CALLS.end()) {
        let call = Instant::now();
        if let Err(error) = question.put(plugin).await {
            failed = Some(error.to_string());
            break;
        }
        took.push(call.elapsed());
    }
    let latency = Latency::of(&took);
    let answered = latency.calls > 0 && items > 0;
    Timed {
        question: match plugin.kind() {
            PluginKind::Pii => format!("{items} {unit} of {} values", inputs::VALUES),
            _ => format!("{items} {unit}"),
        },
        items,
        calls: latency.calls,
        p50_us: latency.p50_us,
        p95_us: latency.p95_us,
        per_item_us: answered.then(|| latency.p50_us as f64 / items as f64),
        failed,
    }
}

/// A question, made once and put often.
enum Question {
    Proposal(boathouse_types::ProposalContext),
    Scoring(Vec<boathouse_types::Trial>),
    Detection(boathouse_types::TableSample),
}

impl Question {
    fn of(kind: PluginKind, items: usize) -> Self {
        match kind {
            PluginKind::Proposer => Self::Proposal(inputs::context(items)),
            PluginKind::Scoring => Self::Scoring(inputs::journal(items)),
            PluginKind::Pii => Self::Detection(inputs::table(items)),
        }
    }

    async fn put(&self, plugin: &Plugin) -> Result<(), PluginError> {
        match self {
            Self::Proposal(context) => plugin.propose(context).await.map(drop),
            Self::Scoring(trials) => {
                let objective = Objective::default();
                plugin.evaluate(trials, &objective).await.map(drop)
            }
            Self::Detection(table) => plugin.detect(table).await.map(drop),
        }
    }
}

fn print(figures: &Value) {
    let text = |key: &str| cell(figures.get(key));
    println!("{} {} {}", text("kind"), text("name"), text("version"));
    println!("{:>16}  {}", "component bytes", text("component_bytes"));
    println!("{:>16}  {} ms", "compile and load", text("load_ms"));
    println!(
        "{:>16}  {} µs (a question without items)",
        "instance start",
        text("start_us")
    );
    println!(
        "{:>16}  {} bytes in a call",
        "peak memory",
        text("peak_memory_bytes")
    );
    let columns = [
        ("question", "/question"),
        ("calls", "/calls"),
        ("p50 µs", "/p50_us"),
        ("p95 µs", "/p95_us"),
        ("µs per item", "/per_item_us"),
        ("failed", "/failed"),
    ];
    println!(
        "{}",
        crate::cli::output::table(&figures["questions"], &columns)
    );
}
