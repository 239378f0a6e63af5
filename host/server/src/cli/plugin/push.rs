//! `boathouse plugin push`: a component checked here, then uploaded.
//!
//! The checks run here first, because they are the same as the host's and their report is at hand at
//! once; the name is the one that the component gives itself.

use std::path::PathBuf;

use boathouse_plugins::Expected;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{check, local};
use crate::{
    auth::signature,
    cli::{CliError, Output, cell},
    client::{Client, ClientError},
    config::Config,
};

/// What to upload.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The component.
    file: PathBuf,
    /// The version that it must have; the one that it gives itself when left out.
    #[arg(long)]
    version: Option<String>,
    /// Sign it with the team's ed25519 key in this file.
    #[arg(long, value_name = "KEYFILE")]
    sign: Option<PathBuf>,
}

pub(super) async fn run(
    client: &Client,
    config: &Config,
    output: &Output,
    arguments: Arguments,
) -> Result<(), CliError> {
    let component = local::Component::read(&arguments.file, None).await?;
    let (kind, bytes) = (component.kind, component.bytes.clone());
    let expected = Expected {
        name: None,
        version: arguments.version,
    };
    let report = check::report(config, component, &expected).await?;
    let (true, Some(name), Some(version)) = (report.passed, &report.name, &report.version) else {
        output.result(&check::value(&report), check::print);
        return Err(CliError::Failed(format!(
            "{} does not pass the checks and was not uploaded",
            arguments.file.display()
        )));
    };
    let signature = match &arguments.sign {
        Some(key) => Some(signature::sign_file(&arguments.file, key)?),
        None => None,
    };
    let header = signature::HEADER;
    let headers: Vec<_> = signature
        .iter()
        .map(|signature| (header.as_str(), signature.as_str()))
        .collect();
    let path = format!("/plugins/{kind}/{name}/versions?version={version}");
    let sent = client
        .exchange(Method::POST, &path, &headers, Some(bytes))
        .await;
    let answer = sent.inspect_err(|error| {
        if let ClientError::Refused(problem) = error {
            for wrong in &problem.errors {
                eprintln!("{:>14}  {}", wrong.field, wrong.detail);
            }
        }
    })?;
    output.result(&answer, |answer| said(answer, name, version));
    Ok(())
}

fn said(answer: &Value, name: &str, version: &str) {
    let state = answer.pointer("/version/state").or(answer.get("state"));
    println!("{name} {version} is there, state {}", cell(state));
    println!("next: boathouse plugin shadow {name} {version}");
}
