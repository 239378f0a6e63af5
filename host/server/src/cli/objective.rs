//! What is wanted of an index, and how it is to begin, as options of the command line.
//!
//! An option that is left out leaves what there is: the objective that an index has, or what the host begins with.

use clap::Args;
use serde_json::{Value, json};

/// What a good configuration is. Without a group of clap's, whose name would be that of the command.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(crate) struct Objective {
    /// Least recall, 0 to 1.
    #[arg(long, value_name = "SHARE")]
    recall_floor: Option<f64>,
    /// Most microseconds that 95 of 100 searches may take.
    #[arg(long, value_name = "MICROSECONDS")]
    p95_budget_us: Option<f64>,
    /// Most bytes that vectors and graph may take.
    #[arg(long, value_name = "BYTES")]
    memory_cap_bytes: Option<u64>,
    /// A weight for the scoring plugin, as `latency=0.1`; may be given again. They replace those that there are.
    #[arg(long = "weight", value_name = "NAME=NUMBER", value_parser = weight)]
    weights: Vec<(String, f64)>,
}

/// What is to be another than it is.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(crate) struct Change {
    #[command(flatten)]
    wanted: Objective,
    /// Bounds and weights to take away: `p95-budget`, `memory-cap` or `weights`; may be given again.
    #[arg(long = "without", value_name = "WHAT", value_parser = ["p95-budget", "memory-cap", "weights"])]
    without: Vec<String>,
}

/// The configuration that an index begins with; that of the host when left out.
#[derive(Debug, Default, Args)]
pub(crate) struct FirstConfig {
    /// Neighbours kept per node and layer, 16 when left out. Takes --ef-construction and --ef-search too.
    #[arg(long, requires = "ef_construction")]
    m: Option<u32>,
    /// Candidates looked at while building. Takes --ef-search too.
    #[arg(long, requires = "ef_search")]
    ef_construction: Option<u32>,
    /// Candidates kept while searching. Takes --ef-construction too.
    #[arg(long, requires = "ef_construction")]
    ef_search: Option<u32>,
}

fn weight(text: &str) -> Result<(String, f64), String> {
    let (name, number) = text.split_once('=').ok_or("write it as NAME=NUMBER")?;
    let number: f64 = number
        .parse()
        .map_err(|_| format!("`{number}` is not a number"))?;
    match number.is_finite() {
        true => Ok((name.to_owned(), number)),
        false => Err("the weight must be finite".to_owned()),
    }
}

impl Objective {
    /// An objective with what is said here in place of what it has.
    pub(crate) fn over(&self, before: &Value) -> Value {
        let mut after = match before.is_object() {
            true => before.clone(),
            false => json!({}),
        };
        if let Some(floor) = self.recall_floor {
            after["recall_floor"] = floor.into();
        }
        if let Some(budget) = self.p95_budget_us {
            after["p95_budget_us"] = budget.into();
        }
        if let Some(cap) = self.memory_cap_bytes {
            after["memory_cap_bytes"] = cap.into();
        }
        if !self.weights.is_empty() {
            after["weights"] = json!(self.weights);
        }
        after
    }

    /// Whether nothing is said.
    pub(crate) fn is_empty(&self) -> bool {
        self.recall_floor.is_none()
            && self.p95_budget_us.is_none()
            && self.memory_cap_bytes.is_none()
            && self.weights.is_empty()
    }
}

impl Change {
    /// An objective without what is taken away, and with what is said here in place of what it has.
    pub(crate) fn over(&self, before: &Value) -> Value {
        let mut left = match before.is_object() {
            true => before.clone(),
            false => json!({}),
        };
        for what in &self.without {
            left[bound(what)] = match what.as_str() {
                "weights" => json!([]),
                _ => Value::Null,
            };
        }
        self.wanted.over(&left)
    }

    /// Whether nothing is said.
    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.without.is_empty()
    }
}

fn bound(what: &str) -> &'static str {
    match what {
        "p95-budget" => "p95_budget_us",
        "memory-cap" => "memory_cap_bytes",
        _ => "weights",
    }
}

impl FirstConfig {
    /// The configuration; none when it is left to the host.
    pub(crate) fn body(&self) -> Option<Value> {
        let (ef_construction, ef_search) = (self.ef_construction?, self.ef_search?);
        let mut config = json!({"ef_construction": ef_construction, "ef_search": ef_search});
        if let Some(m) = self.m {
            config["m"] = m.into();
        }
        Some(config)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        change: Change,
        #[command(flatten)]
        config: FirstConfig,
    }

    /// What `index create` takes.
    #[derive(Debug, Parser)]
    struct First {
        #[command(flatten)]
        objective: Objective,
    }

    fn line(options: &[&str]) -> Result<Line, clap::Error> {
        Line::try_parse_from(std::iter::once("boathouse").chain(options.iter().copied()))
    }

    #[test]
    fn what_is_left_out_stays_and_what_is_taken_away_goes() {
        let before =
            json!({"recall_floor": 0.9, "p95_budget_us": 500.0, "weights": [["latency", 0.2]]});
        let said = line(&["--recall-floor", "0.97"]).unwrap().change;
        assert!(!said.is_empty());
        let after =
            json!({"recall_floor": 0.97, "p95_budget_us": 500.0, "weights": [["latency", 0.2]]});
        assert_eq!(said.over(&before), after);
        let options = [
            "--without",
            "p95-budget",
            "--weight",
            "recall=1",
            "--weight",
            "latency=0.5",
        ];
        let said = line(&options).unwrap().change;
        let after = json!({"recall_floor": 0.9, "p95_budget_us": null, "weights": [["recall", 1.0], ["latency", 0.5]]});
        assert_eq!(said.over(&before), after);
        let nothing = line(&[]).unwrap();
        assert!(nothing.change.is_empty() && nothing.config.body().is_none());
        assert_eq!(nothing.change.over(&Value::Null), json!({}));
    }

    #[test]
    fn where_there_is_nothing_yet_nothing_can_be_taken_away() {
        let first = |options: &[&str]| {
            First::try_parse_from(std::iter::once("boathouse").chain(options.iter().copied()))
        };
        let said = first(&["--weight", "latency=0.1"]).unwrap().objective;
        assert_eq!(
            said.over(&Value::Null),
            json!({"weights": [["latency", 0.1]]})
        );
        assert!(first(&["--without", "weights"]).is_err());
    }

    #[test]
    fn weights_and_configurations_are_whole_or_refused() {
        for options in [
            ["--weight", "latency"],
            ["--weight", "latency=fast"],
            ["--weight", "latency=inf"],
            ["--without", "recall"],
            ["--m", "8"],
            ["--ef-search", "30"],
        ] {
            assert!(line(&options).is_err(), "{options:?}");
        }
        let config = line(&["--ef-construction", "100", "--ef-search", "40"]).unwrap();
        let body = json!({"ef_construction": 100, "ef_search": 40});
        assert_eq!(config.config.body(), Some(body));
    }
}
