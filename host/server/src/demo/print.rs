//! What the demo shows of each step.

use std::{path::Path, time::Duration};

use serde_json::Value;

use crate::{
    cli::{cell, shortened},
    problem::Problem,
};

/// A heading.
pub(super) fn step(number: usize, text: &str) {
    println!("{}{number}. {text}", if number == 1 { "" } else { "\n" });
}

fn number(value: &Value, pointer: &str) -> f64 {
    value
        .pointer(pointer)
        .and_then(Value::as_f64)
        .unwrap_or(f64::NAN)
}

/// A count per second.
fn rate(count: f64, took: Duration) -> f64 {
    count / took.as_secs_f64().max(1e-9)
}

pub(super) fn ingested(report: &Value, bytes: usize, took: Duration) {
    println!(
        "   {} rows, {:.1} MB of CSV to {:.1} MB of Parquet in {:.2} s ({:.0} rows/s), version {}",
        cell(report.pointer("/rows")),
        bytes as f64 / 1e6,
        number(report, "/bytes") / 1e6,
        took.as_secs_f64(),
        rate(number(report, "/rows"), took),
        cell(report.pointer("/version")),
    );
}

pub(super) fn findings(report: &Value) {
    let findings = report.pointer("/findings").and_then(Value::as_array);
    println!(
        "   {:<16} {:<16} {:>10}  {:<12} evidence",
        "column", "kind", "confidence", "scope"
    );
    for finding in findings.into_iter().flatten() {
        println!(
            "   {:<16} {:<16} {:>10.2}  {:<12} {} of {} sampled values match",
            cell(finding.pointer("/column")),
            cell(finding.pointer("/kind")),
            number(finding, "/confidence"),
            cell(finding.pointer("/scope")),
            cell(finding.pointer("/evidence/matched")),
            cell(finding.pointer("/evidence/tested")),
        );
    }
}

pub(super) fn indexed(index: &Value, took: Duration) {
    println!(
        "   {} vectors of {} dimensions in {:.2} s ({:.0} texts/s with the graph), {:.1} MB in memory",
        cell(index.pointer("/vectors")),
        cell(index.pointer("/dimension")),
        took.as_secs_f64(),
        rate(number(index, "/vectors"), took),
        number(index, "/serving/memory_bytes") / 1e6,
    );
}

pub(super) fn evaluated(set: &Value, took: Duration) {
    println!(
        "   {} queries, {} exact neighbours each, in {:.2} s",
        cell(set.pointer("/queries")),
        cell(set.pointer("/k")),
        took.as_secs_f64()
    );
}

pub(super) fn trial_header() {
    println!(
        "   {:>3} {:>3} {:>7} {:>6}  {:>7} {:>15}  {:>6} {:>6} {:>7} {:>7}  why",
        "#",
        "m",
        "ef_cons",
        "ef",
        "recall",
        "95 % interval",
        "p50 µs",
        "p95 µs",
        "dist/q",
        "build s"
    );
}

pub(super) fn trial(trial: &Value) {
    println!(
        "   {:>3} {:>3} {:>7} {:>6}  {:>7.4} {:>7.4}-{:<7.4}  {:>6.0} {:>6.0} {:>7.0} {:>7.2}  {}",
        number_of(trial),
        cell(trial.pointer("/config/m")),
        cell(trial.pointer("/config/ef_construction")),
        cell(trial.pointer("/config/ef_search")),
        number(trial, "/metrics/recall_at_k"),
        number(trial, "/metrics/recall_interval/low"),
        number(trial, "/metrics/recall_interval/high"),
        number(trial, "/metrics/search_latency_p50_us"),
        number(trial, "/metrics/search_latency_p95_us"),
        number(trial, "/metrics/distances_per_query"),
        number(trial, "/metrics/build_time_secs"),
        cell(trial.pointer("/reason")),
    );
}

/// The place of a trial in the journal, from its id (`t0007-...`).
fn number_of(trial: &Value) -> String {
    let id = cell(trial.pointer("/id"));
    let number = id.split('-').next().unwrap_or_default();
    number.trim_start_matches(['t', '0']).to_owned()
}

/// What took over, and why.
pub(super) fn promoted(promotion: &Value) {
    if let Some(evidence) = promotion.get("evidence") {
        compared(evidence);
    }
    println!("   {}", cell(promotion.get("reason")));
}

/// Why nothing took over.
pub(super) fn kept(problem: &Problem) {
    if let Some(evidence) = &problem.evidence {
        compared(evidence);
    }
    println!("   the default serves on: {}", problem.detail);
}

/// Both sides of a duel.
fn compared(evidence: &Value) {
    println!(
        "   both asked in turns, {} queries, {} of them of clients:",
        cell(evidence.get("queries")),
        cell(evidence.get("live_queries"))
    );
    comparison(&evidence["champion"], &evidence["challenger"]);
}

fn comparison(default: &Value, champion: &Value) {
    println!(
        "   {:<10} {:>3} {:>7} {:>4}  {:>7}  {:>6} {:>6}  {:>9}",
        "", "m", "ef_cons", "ef", "recall", "p50 µs", "p95 µs", "memory MB"
    );
    for (name, trial) in [("default", default), ("best", champion)] {
        println!(
            "   {name:<10} {:>3} {:>7} {:>4}  {:>7.4}  {:>6.0} {:>6.0}  {:>9.2}",
            cell(trial.pointer("/config/m")),
            cell(trial.pointer("/config/ef_construction")),
            cell(trial.pointer("/config/ef_search")),
            number(trial, "/metrics/recall_at_k"),
            number(trial, "/metrics/search_latency_p50_us"),
            number(trial, "/metrics/search_latency_p95_us"),
            number(trial, "/metrics/memory_bytes") / 1e6,
        );
    }
}

pub(super) fn answer(text: &str, answer: &Value, took: Duration) {
    println!(
        "   “{text}”: {:.1} ms over HTTP, {} µs in the index, {} distances",
        took.as_secs_f64() * 1e3,
        cell(answer.pointer("/took_us")),
        cell(answer.pointer("/distances")),
    );
    for hit in answer["hits"].as_array().into_iter().flatten() {
        println!(
            "     {:.3}  {} {}: {}",
            number(hit, "/score"),
            cell(hit.pointer("/columns/year")),
            cell(hit.pointer("/columns/president")),
            shortened(&cell(hit.pointer("/columns/passage")), 110),
        );
    }
}

/// What to try next.
pub(super) fn next(folder: &Path, index: &str, url: Option<String>) {
    let folder = folder.display();
    println!("\nTry next:");
    match url {
        Some(url) => println!(
            "  curl -s {url}/vectors/indexes/{index}/search -H 'content-type: application/json' \\\n    -d '{{\"text\": \"women at work\", \"k\": 3}}'"
        ),
        None => {
            println!(
                "  boathouse search {index} \"women at work\" -k 3 --with year,president,passage --data {folder}"
            );
            println!("  boathouse tune journal {index} --data {folder}");
            println!("  boathouse plugin list --data {folder}");
            println!("  boathouse serve --data {folder}");
        }
    }
}
