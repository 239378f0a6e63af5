//! `boathouse index recall`: what searches really got, with a small plot of the last day.

use serde_json::Value;

use crate::{
    cli::{
        CliError, Output,
        output::{cell, table},
    },
    client::Client,
};

/// Columns of the plot; a day has four times as many steps.
const WIDTH: usize = 72;
/// Heights of a column, lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Milliseconds of the day that the plot shows.
const DAY: f64 = 86_400_000.0;

/// Columns of the table of configurations.
const SUBJECT: [(&str, &str); 9] = [
    ("m", "/config/m"),
    ("ef_construction", "/config/ef_construction"),
    ("ef_search", "/config/ef_search"),
    ("vectors", "/data_version"),
    ("serves", "/serves"),
    ("recall", "/recall"),
    ("low", "/interval/low"),
    ("high", "/interval/high"),
    ("samples", "/samples"),
];

pub(super) async fn show(client: &Client, output: &Output, name: &str) -> Result<(), CliError> {
    let view: Value = client
        .get(&format!("/vectors/indexes/{name}/recall"))
        .await?;
    output.result(&view, |view| {
        println!("{}", headline(view));
        if let Some(plot) = plot(view) {
            println!("{plot}");
        }
        if view["configurations"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
        {
            println!("{}", table(&view["configurations"], &SUBJECT));
        }
        println!("{}", drift(view));
        println!("{}", counts(view));
    });
    Ok(())
}

/// The recall of what serves, and what that means.
fn headline(view: &Value) -> String {
    let (index, floor) = (cell(view.get("index")), cell(view.get("floor")));
    let serving = &view["serving"];
    if serving.is_null() {
        return format!(
            "{index}: no search of what serves has been judged yet; the floor is {floor}"
        );
    }
    let state = match &view["alarm"] {
        Value::Null => String::new(),
        alarm => format!("; surely below it since {}", cell(alarm.get("since"))),
    };
    format!(
        "{index}: recall {} ({} to {}) over {} searches; the floor is {floor}{state}",
        cell(serving.get("recall")),
        cell(serving.pointer("/interval/low")),
        cell(serving.pointer("/interval/high")),
        cell(serving.get("samples")),
    )
}

fn drift(view: &Value) -> String {
    let drift = &view["drift"];
    let said = match drift["drifted"].as_bool() {
        None => return "drift: not enough searches to tell".to_owned(),
        Some(true) => "live queries differ from the evaluation set",
        Some(false) => "live queries are like those of the evaluation set",
    };
    let (statistic, p) = (
        cell(drift.get("statistic")),
        drift["p_value"].as_f64().unwrap_or(1.0),
    );
    format!("drift: {said} (D = {statistic}, p = {p:.1e})")
}

fn counts(view: &Value) -> String {
    let of = |name: &str| cell(view.pointer(&format!("/counts/{name}")));
    format!(
        "of {} searches {} were judged, {} dropped; {} recent queries are kept",
        of("searches"),
        of("judged"),
        of("dropped"),
        of("kept_queries")
    )
}

/// The last day as a row of bars between the lowest point and 1; none without a point.
fn plot(view: &Value) -> Option<String> {
    let points: Vec<(i64, f64, f64)> = view["history"]
        .as_array()?
        .iter()
        .filter_map(point)
        .collect();
    let newest = points.iter().map(|(at, ..)| *at).max()?;
    let mut columns = [(0.0, 0.0); WIDTH];
    for (at, recall, samples) in points {
        let age = (newest - at) as f64 / DAY * WIDTH as f64;
        let column = WIDTH - 1 - (age as usize).min(WIDTH - 1);
        columns[column].0 += recall * samples;
        columns[column].1 += samples;
    }
    let means = || columns.iter().filter(|(_, samples)| *samples > 0.0);
    let lowest = means()
        .map(|(sum, samples)| sum / samples)
        .fold(1.0, f64::min);
    let bar = |(sum, samples): &(f64, f64)| match *samples > 0.0 {
        true => BARS[height(sum / samples, lowest)],
        false => ' ',
    };
    let bars: String = columns.iter().map(bar).collect();
    Some(format!("24 h  {bars}  {lowest:.3} to 1"))
}

/// Which bar stands for a recall between the lowest one and 1.
fn height(recall: f64, lowest: f64) -> usize {
    let top = BARS.len() - 1;
    match 1.0 - lowest > 0.0 {
        true => (((recall - lowest) / (1.0 - lowest) * top as f64).round() as usize).min(top),
        false => top,
    }
}

/// Time in milliseconds, recall and samples of a point.
fn point(point: &Value) -> Option<(i64, f64, f64)> {
    let at = chrono::DateTime::parse_from_rfc3339(point["at"].as_str()?).ok()?;
    Some((
        at.timestamp_millis(),
        point["recall"].as_f64()?,
        point["samples"].as_f64()?,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_day_is_a_row_of_bars() {
        let history = json!([
            {"at": "2026-01-01T00:00:00Z", "recall": 0.5, "samples": 10},
            {"at": "2026-01-01T11:50:00Z", "recall": 0.75, "samples": 4},
            {"at": "2026-01-01T23:50:00Z", "recall": 0.9, "samples": 1},
            {"at": "2026-01-01T23:55:00Z", "recall": 1.0, "samples": 3}
        ]);
        let shown = plot(&json!({"history": history})).expect("a plot");
        let bars: Vec<char> = shown.chars().skip("24 h  ".len()).take(WIDTH).collect();
        assert_eq!((bars[0], bars[WIDTH - 1]), ('▁', '█'), "{shown}");
        assert_eq!(bars.iter().filter(|bar| **bar != ' ').count(), 3, "{shown}");
        assert!(shown.ends_with("0.500 to 1"), "{shown}");
        let perfect =
            json!({"history": [{"at": "2026-01-01T00:00:00Z", "recall": 1.0, "samples": 1}]});
        assert!(plot(&perfect).expect("a plot").contains('█'));
        assert_eq!(plot(&json!({"history": []})), None);
    }

    #[test]
    fn a_headline_says_what_is_known() {
        let nothing = json!({"index": "notes", "floor": 0.95, "serving": null});
        assert!(headline(&nothing).contains("no search of what serves"));
        let interval = json!({"low": 0.7, "high": 0.85});
        let serving = json!({"recall": 0.8, "interval": interval, "samples": 60});
        let low = json!({"index": "notes", "floor": 0.95, "serving": serving,
            "alarm": {"since": "2026-01-01T00:00:00Z"}});
        let said = headline(&low);
        assert!(
            said.contains("recall 0.800 (0.700 to 0.850) over 60"),
            "{said}"
        );
        assert!(said.contains("below it since 2026"), "{said}");
        assert!(drift(&low).contains("not enough"));
    }
}
