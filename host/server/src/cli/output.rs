//! What commands print: JSON for scripts, tables and bars for people.

use std::{cell::Cell, time::Duration};

use comfy_table::{Table, presets};
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::tasks::{IngestPace, Progress, TaskView};

/// Where results go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read it.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints a result: as it is with `--json`, else as `text` shows it.
    pub(crate) fn result(self, value: &Value, text: impl FnOnce(&Value)) {
        if self.json {
            println!("{value:#}");
        } else {
            text(value);
        }
    }

    /// A bar for long work, on standard error. Where that is no terminal there is a line a trial instead; with
    /// `--json` there is neither.
    pub(crate) fn bar(self) -> Bar {
        let bar = if self.json {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        Bar {
            plain: !self.json && bar.is_hidden(),
            bar,
            told: Cell::new(0),
        }
    }
}

/// A progress bar that follows a task.
pub(crate) struct Bar {
    bar: ProgressBar,
    /// Lines instead of a bar.
    plain: bool,
    /// Trials that lines have told of.
    told: Cell<u64>,
}

impl Bar {
    /// Shows where the task is.
    pub(crate) fn follow(&self, task: &TaskView) {
        let progress = &task.progress;
        if self.plain {
            return self.tell(progress);
        }
        // An ingest says itself how fast it is; its stages would confuse the bar.
        let own_pace = match progress.ingest {
            Some(_) => "",
            None => " {per_sec} ETA {eta}",
        };
        if let Some(total) = progress.total {
            self.bar.set_length(total);
            self.bar.set_style(style(&format!(
                "{{spinner}} {{msg}} {{wide_bar}} {{human_pos}}/{{human_len}}{own_pace}"
            )));
        } else {
            let own_pace = own_pace.trim_end_matches(" ETA {eta}");
            let template = format!("{{spinner}} {{msg}} {{human_pos}}{own_pace}");
            self.bar.set_style(style(&template));
        }
        self.bar.set_position(progress.done);
        let pace = progress.ingest.as_ref().map_or(String::new(), paced);
        self.bar
            .set_message(format!("{} ({}{pace})", progress.stage, progress.unit));
        self.bar.tick();
    }

    /// Trials are few and each takes long.
    fn tell(&self, progress: &Progress) {
        if progress.unit == "trials" && progress.done > self.told.get() {
            self.told.set(progress.done);
            match progress.total {
                Some(total) => eprintln!("{}: {} of {total}", progress.unit, progress.done),
                None => eprintln!("{}: {}", progress.unit, progress.done),
            }
        }
    }

    /// Takes the bar away.
    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

/// How fast an ingest is and when its source has been read, as far as that is known.
fn paced(pace: &IngestPace) -> String {
    let rows = pace.rows_per_second;
    let rows = rows.map(|rows| format!("; {} rows/s", HumanCount(rows.round() as u64)));
    let left = pace.eta_seconds.map(Duration::from_secs);
    let left = left.map(|left| format!(", {} left", HumanDuration(left)));
    rows.unwrap_or_default() + &left.unwrap_or_default()
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A table of a JSON list: one column per `(title, JSON pointer)`.
pub(crate) fn table(rows: &Value, columns: &[(&str, &str)]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(columns.iter().map(|(title, _)| *title));
    for row in rows.as_array().into_iter().flatten() {
        table.add_row(
            columns
                .iter()
                .map(|(_, pointer)| cell(row.pointer(pointer))),
        );
    }
    table
}

/// A JSON value without quotes; absent ones as a dash.
pub(crate) fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => match number.as_f64() {
            Some(float) if number.is_f64() => format!("{float:.3}"),
            _ => number.to_string(),
        },
        Some(other) => other.to_string(),
    }
}

/// A number of things, whose name is given in the singular.
pub(crate) fn counted(number: Option<&Value>, thing: &str) -> String {
    let plural = if number == Some(&Value::from(1)) {
        ""
    } else {
        "s"
    };
    format!("{} {thing}{plural}", cell(number))
}
