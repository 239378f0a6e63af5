//! What commands print: JSON for scripts, tables and bars for people.

use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::tasks::TaskView;

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

    /// A bar for long work, on standard error; hidden with `--json` and when nobody looks.
    pub(crate) fn bar(self) -> Bar {
        let bar = if self.json {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        Bar(bar)
    }
}

/// A progress bar that follows a task.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// Shows where the task is.
    pub(crate) fn follow(&self, task: &TaskView) {
        let progress = &task.progress;
        match progress.total {
            Some(total) => {
                self.0.set_length(total);
                self.0.set_style(style(
                    "{spinner} {msg} {wide_bar} {human_pos}/{human_len} {per_sec} ETA {eta}",
                ));
            }
            None => self
                .0
                .set_style(style("{spinner} {msg} {human_pos} {per_sec}")),
        }
        self.0.set_position(progress.done);
        self.0
            .set_message(format!("{} ({})", progress.stage, progress.unit));
        self.0.tick();
    }

    /// Takes the bar away.
    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
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
