//! `boathouse plugin check`: what a host would say to an upload.

use std::path::Path;

use boathouse_plugins::{CheckReport, Expected};
use boathouse_types::PluginKind;
use serde_json::Value;

use super::local::{Component, Sandbox};
use crate::{
    cli::{CliError, Output, cell},
    config::Config,
};

pub(super) async fn run(
    config: &Config,
    output: &Output,
    file: &Path,
    kind: Option<PluginKind>,
) -> Result<(), CliError> {
    let component = Component::read(file, kind).await?;
    let report = report(config, component, &Expected::default()).await?;
    output.result(&value(&report), print);
    if report.passed {
        return Ok(());
    }
    Err(CliError::Failed(format!(
        "{} does not pass the checks",
        file.display()
    )))
}

/// Runs the checks.
pub(super) async fn report(
    config: &Config,
    component: Component,
    expected: &Expected,
) -> Result<CheckReport, CliError> {
    let Component { bytes, kind } = component;
    let sandbox = Sandbox::new(config)?;
    Ok(sandbox.host.check(kind, bytes, expected).await?.report)
}

/// A report as JSON.
pub(super) fn value(report: &CheckReport) -> Value {
    serde_json::to_value(report).unwrap_or_default()
}

/// Prints a report, each cure below what it cures.
pub(super) fn print(report: &Value) {
    let text = |key: &str| cell(report.get(key));
    println!(
        "{} {} {}, {} bytes, sha-256 {}",
        text("kind"),
        text("name"),
        text("version"),
        text("bytes"),
        text("digest")
    );
    for check in report["checks"].as_array().into_iter().flatten() {
        let of = |key: &str| cell(check.get(key));
        println!("{:>14}  {:<8}{:>6} ms", of("name"), of("outcome"), of("ms"));
        for (key, before) in [("detail", ""), ("cure", "cure: ")] {
            if let Some(text) = check[key].as_str() {
                println!("{:>16}{before}{text}", "");
            }
        }
    }
}
