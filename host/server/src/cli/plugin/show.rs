//! Commands that only look: the list, the audit log, a comparison.

use clap::Args;
use serde_json::{Value, json};

use crate::{
    cli::{CliError, Output, cell, output::table},
    client::Client,
};

/// Which events.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only events after this number.
    #[arg(long, default_value_t = 0)]
    after: u64,
    /// Go on showing events as they come, until interrupted.
    #[arg(long)]
    follow: bool,
}

pub(super) async fn list(client: &Client, output: &Output) -> Result<(), CliError> {
    let list: Value = client.get("/plugins").await?;
    output.result(&list, all);
    Ok(())
}

fn all(list: &Value) {
    let mut plugins = list["plugins"].clone();
    for plugin in plugins.as_array_mut().into_iter().flatten() {
        plugin["serves"] = places(plugin).into();
        plugin["failed"] = failed(plugin).into();
    }
    let columns = [
        ("kind", "/kind"),
        ("name", "/name"),
        ("version", "/version"),
        ("state", "/state"),
        ("serves", "/serves"),
        ("calls", "/stats/calls"),
        ("failed", "/failed"),
        ("digest", "/short_digest"),
        ("summary", "/summary"),
    ];
    println!("{}", table(&plugins, &columns));
}

/// Where a version serves: `host, index notes`.
fn places(plugin: &Value) -> String {
    let places = plugin["places"].as_array().into_iter().flatten();
    let names = places.map(|serving| match &serving["place"] {
        Value::Object(place) => {
            let parts = place
                .iter()
                .map(|(kind, name)| format!("{kind} {}", cell(Some(name))));
            parts.collect::<Vec<_>>().join(" ")
        }
        place => cell(Some(place)),
    });
    match names.collect::<Vec<_>>() {
        names if names.is_empty() => "-".to_owned(),
        names => names.join(", "),
    }
}

/// How many calls failed, for what: `3 (trap 2, timeout 1)`.
fn failed(plugin: &Value) -> String {
    let causes = plugin["stats"]["failures"].as_object();
    let causes: Vec<_> = causes.into_iter().flatten().collect();
    let sum: u64 = causes
        .iter()
        .filter_map(|(_, number)| number.as_u64())
        .sum();
    let told = causes
        .iter()
        .map(|(cause, number)| format!("{cause} {number}"));
    match causes.is_empty() {
        true => sum.to_string(),
        false => format!("{sum} ({})", told.collect::<Vec<_>>().join(", ")),
    }
}

pub(super) async fn events(
    client: &Client,
    output: &Output,
    arguments: Events,
) -> Result<(), CliError> {
    let Events { after, follow } = arguments;
    if follow {
        let show = |event: &Value| {
            if output.is_json() {
                println!("{event}");
            } else {
                println!("{}", line(event));
            }
        };
        return Ok(client.follow("/plugins/events", after, show).await?);
    }
    let mut all = Vec::new();
    let mut next = Some(after);
    while let Some(after) = next {
        let mut page: Value = client
            .get(&format!("/plugins/events?after={after}"))
            .await?;
        next = page["next"].as_u64();
        if let Some(events) = page["events"].as_array_mut() {
            all.append(events);
        }
    }
    let events = json!({ "events": all });
    output.result(&events, |events| {
        for event in events["events"].as_array().into_iter().flatten() {
            println!("{}", line(event));
        }
    });
    Ok(())
}

/// An event on one line.
fn line(event: &Value) -> String {
    let of = |key: &str| cell(event.get(key));
    let detail = event["detail"]
        .as_str()
        .map_or_else(String::new, |detail| format!(": {detail}"));
    format!(
        "{:>6}  {}  {:<14}  {} {} {} by {}{detail}",
        of("seq"),
        of("at"),
        of("event"),
        of("kind"),
        of("name"),
        of("version"),
        of("by")
    )
}

/// Prints how a shadow compares with what serves.
pub(super) fn comparison(report: &Value) {
    let history = &report["history"];
    println!(
        "{} of {} questions about the past come out alike ({} ms)",
        cell(history.get("equal")),
        cell(history.get("compared")),
        cell(history.get("took_ms"))
    );
    for (title, side) in [("serves", "active"), ("shadow", "shadow")] {
        let of = |pointer: &str| cell(history[side].pointer(pointer));
        println!(
            "{title:>8}  p50 {} µs, p95 {} µs over {} calls, failures {}",
            of("/latency/p50_us"),
            of("/latency/p95_us"),
            of("/latency/calls"),
            of("/failures")
        );
    }
    for (kind, columns) in [
        (
            "scoring",
            &[
                ("index", "/index"),
                ("trials", "/difference/trials"),
                ("tau", "/difference/kendall_tau"),
                ("winner", "/winner_active"),
                ("shadow's winner", "/winner_shadow"),
                ("feasibility changed", "/difference/feasibility_changed"),
            ][..],
        ),
        (
            "proposer",
            &[
                ("index", "/index"),
                ("after", "/after"),
                ("recorded", "/recorded"),
                ("serves", "/difference/active/settings"),
                ("shadow", "/difference/shadow/settings"),
                ("alike", "/difference/equal"),
            ],
        ),
    ] {
        let rows = &history["differences"][kind];
        if rows.is_array() {
            println!("{}", table(rows, columns));
        }
    }
    for row in history["differences"]["pii"]
        .as_array()
        .into_iter()
        .flatten()
    {
        detection(row);
    }
    for left_out in history["left_out"].as_array().into_iter().flatten() {
        println!("left out: {}", cell(Some(left_out)));
    }
    live(&report["live"]);
}

/// Prints what two detectors found in one dataset.
fn detection(row: &Value) {
    let of = |pointer: &str| cell(row.pointer(pointer));
    println!(
        "{} version {}: {} findings alike",
        of("/dataset"),
        of("/version"),
        of("/difference/same")
    );
    for (title, confidence) in [
        ("added", "/confidence"),
        ("lost", "/confidence"),
        ("changed", "/shadow/confidence"),
    ] {
        let all = row["difference"][title].as_array();
        for found in all.into_iter().flatten() {
            let of = |pointer: &str| cell(found.pointer(pointer));
            let (column, kind) = (of("/column"), of("/kind"));
            println!("{title:>10}  {column}: {kind} {}", of(confidence));
        }
    }
}

fn live(live: &Value) {
    if live.is_null() {
        return;
    }
    let of = |key: &str| cell(live.get(key));
    println!(
        "live: {} answered, {} alike, {} different, failures {}, {} dropped",
        of("answered"),
        of("equal"),
        of("different"),
        of("failures"),
        of("dropped")
    );
    if let Some(stopped) = live["stopped"].as_str() {
        println!("live: stopped after {stopped}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plugin_tells_where_it_serves_and_how_it_fails() {
        let place = |place: Value| json!({"place": place, "since": "2026-01-01T00:00:00Z"});
        let both = json!({"places": [place(json!("host")), place(json!({"index": "notes"}))],
            "stats": {"failures": {"timeout": 1, "trap": 2}}});
        assert_eq!(places(&both), "host, index notes");
        assert_eq!(failed(&both), "3 (timeout 1, trap 2)");
        let idle = json!({"places": [], "stats": {"failures": {}}});
        assert_eq!((places(&idle).as_str(), failed(&idle).as_str()), ("-", "0"));
    }

    #[test]
    fn an_event_is_one_line() {
        let event = json!({"seq": 3, "at": "2026-01-01T00:00:00Z", "event": "activated",
            "kind": "scoring", "name": "a/b", "version": "1.0.0", "by": "ci", "detail": "the host"});
        let line = line(&event);
        assert!(line.contains("activated"), "{line}");
        assert!(
            line.ends_with("scoring a/b 1.0.0 by ci: the host"),
            "{line}"
        );
    }
}
