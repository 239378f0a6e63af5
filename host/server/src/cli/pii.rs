//! `boathouse pii`: policies for personal data, and looking for it again.

use std::path::PathBuf;

use boathouse_ingest::{Action, ColumnRule};
use clap::Subcommand;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{
    cli::{CliError, Output, cell, output::table, task::awaited},
    client::{Client, ClientError},
};

/// What a key is told that can neither read nor change a policy.
const NEEDS_ADMIN: &str = "changing a policy takes a key with the scope `admin`, which this one does not have; use one that does, or have one made by whoever may read the data folder (`boathouse key create --admin --data DIR`)";

/// What to do about personal data.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask the detectors of today about the stored rows of a dataset; changes no row.
    Scan {
        /// Name of the dataset.
        dataset: String,
        /// The version, the newest when left out.
        #[arg(long)]
        version: Option<u64>,
    },
    /// What happens to personal data in a dataset from the next ingest on.
    #[command(subcommand)]
    Policy(PolicyCommand),
}

/// What to do with a policy.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show it, with what the configuration says.
    Show {
        /// Name of the dataset.
        dataset: String,
    },
    /// Change what is named and keep the rest; the dataset need not be there yet. Takes the scope `admin`, as it can
    /// open what the configuration closes.
    Set(Changes),
}

/// Changes of a policy.
#[derive(Debug, clap::Args)]
pub(crate) struct Changes {
    /// Name of the dataset.
    dataset: String,
    /// `KIND=ACTION`, for example `email=hash`, `phone=mask:4`; `KIND=` takes back what was said.
    #[arg(long = "kind", value_name = "KIND=ACTION")]
    kinds: Vec<String>,
    /// `COLUMN=ACTION`, where the action may be `keep`, or `COLUMN=kind:KIND`, where the kind may be `none`;
    /// `COLUMN=` takes back what was said.
    #[arg(long = "column", value_name = "COLUMN=RULE")]
    columns: Vec<String>,
    /// A JSON file with the whole policy, `{"kinds": {...}, "columns": {...}}`, in place of the one there is.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kinds", "columns"])]
    file: Option<PathBuf>,
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::Scan { dataset, version } => {
            let body = version.map_or_else(|| json!({}), |version| json!({"version": version}));
            let task = client
                .post(&format!("/datasets/{dataset}/pii/scan"), &body)
                .await?;
            output.result(&awaited(client, output, &task).await?, show_scan);
        }
        Command::Policy(PolicyCommand::Show { dataset }) => {
            let policy: Value = client.get(&path(&dataset)).await?;
            output.result(&policy, show_policy);
        }
        Command::Policy(PolicyCommand::Set(changes)) => {
            let body = match &changes.file {
                Some(file) => read(file)?,
                None => changed(before(client, &changes.dataset).await?, &changes)?,
            };
            let policy: Value = client.put(&path(&changes.dataset), &body).await?;
            output.result(&policy, show_policy);
        }
    }
    Ok(())
}

/// The policy that is to be changed. A key that may not read it may not change it either, and that takes more: it is
/// told of that at once.
async fn before(client: &Client, dataset: &str) -> Result<Value, CliError> {
    match client.get(&path(dataset)).await {
        Err(ClientError::Refused(problem)) if problem.code == "scope_missing" => {
            Err(CliError::Failed(NEEDS_ADMIN.to_owned()))
        }
        answer => Ok(answer?),
    }
}

fn path(dataset: &str) -> String {
    format!("/datasets/{dataset}/pii/policy")
}

fn read(file: &PathBuf) -> Result<Value, CliError> {
    let text = std::fs::read_to_string(file).map_err(|source| CliError::Io {
        what: format!("read {}", file.display()),
        source,
    })?;
    serde_json::from_str(&text)
        .map_err(|error| CliError::Usage(format!("{} is no JSON: {error}", file.display())))
}

/// The policy that was read, with changes; its generation goes along, so that nobody's change is lost.
fn changed(policy: Value, changes: &Changes) -> Result<Value, CliError> {
    if changes.kinds.is_empty() && changes.columns.is_empty() {
        return Err(CliError::Usage(
            "say what to change with --kind, --column or --file".to_owned(),
        ));
    }
    let entries = |name: &str| policy[name].as_object().cloned().unwrap_or_default();
    let mut kinds = entries("kinds");
    for change in &changes.kinds {
        let (kind, action) = halves(change)?;
        put::<Action>(&mut kinds, "--kind", kind, action, |action| json!(action))?;
    }
    let mut columns = entries("columns");
    for change in &changes.columns {
        let (column, rule) = halves(change)?;
        put::<ColumnRule>(&mut columns, "--column", column, rule, |rule| {
            match rule.strip_prefix("kind:") {
                Some(kind) => json!({"kind": kind}),
                None => json!({"action": rule}),
            }
        })?;
    }
    Ok(json!({"kinds": kinds, "columns": columns, "generation": policy["generation"]}))
}

/// The last `=` parts a name from what is said about it, as names of columns may hold one.
fn halves(change: &str) -> Result<(&str, &str), CliError> {
    change
        .rsplit_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| CliError::Usage(format!("`{change}` is not of the form NAME=...")))
}

/// Says something about a name, if it can be meant as an `R`, or takes back what was said.
fn put<R: DeserializeOwned>(
    all: &mut Map<String, Value>,
    option: &str,
    name: &str,
    said: &str,
    value: impl Fn(&str) -> Value,
) -> Result<(), CliError> {
    if said.is_empty() {
        all.remove(name);
        return Ok(());
    }
    let value = value(said);
    R::deserialize(&value)
        .map_err(|error| CliError::Usage(format!("{option} `{name}={said}`: {error}")))?;
    all.insert(name.to_owned(), value);
    Ok(())
}

fn show_policy(policy: &Value) {
    let name = cell(policy.pointer("/dataset"));
    println!(
        "dataset {name}, generation {}",
        cell(policy.pointer("/generation"))
    );
    let entries = |name: &str| policy[name].as_object().cloned().unwrap_or_default();
    for (column, rule) in entries("columns") {
        let said = match rule["kind"].as_str() {
            Some("none") => "no personal data".to_owned(),
            Some(kind) => format!("holds {kind}"),
            None => cell(rule.get("action")),
        };
        println!("  column {column}: {said}");
    }
    let kinds = entries("kinds");
    for (kind, action) in &kinds {
        println!("  {kind}: {}", cell(Some(action)));
    }
    for (kind, action) in entries("inherited") {
        if !kinds.contains_key(&kind) {
            println!("  {kind}: {} (configuration)", cell(Some(&action)));
        }
    }
    println!("  everything else: tag");
    show_unmet(policy);
}

/// Prints what a policy names in vain.
pub(crate) fn show_unmet(value: &Value) {
    for column in value["unknown_columns"].as_array().into_iter().flatten() {
        let column = cell(Some(column));
        println!("  the policy names column {column}, which the newest version does not have");
    }
    for kind in value["unused_kinds"].as_array().into_iter().flatten() {
        let kind = cell(Some(kind));
        println!("  the policy names {kind}, which was found in no column of the newest version");
    }
}

/// Prints why findings are not complete: none found is not none there.
pub(crate) fn show_failures(value: &Value) {
    let failures = value["detector_failures"].as_array();
    for failure in failures.into_iter().flatten() {
        println!("incomplete: {}", cell(Some(failure)));
    }
}

fn show_scan(scan: &Value) {
    let columns = [
        ("personal data", "/column"),
        ("kind", "/kind"),
        ("confidence", "/confidence"),
        ("scope", "/scope"),
    ];
    println!("version {}", cell(scan.pointer("/version")));
    println!("{}", table(&scan["findings"], &columns));
    show_failures(scan);
    for column in scan["would_treat"].as_array().into_iter().flatten() {
        println!(
            "an ingest would {} column {}: ingest again with mode replace",
            cell(column.get("action")),
            cell(column.get("column")),
        );
    }
}

/// Prints what was done to columns of an ingest.
pub(crate) fn show_treatments(treatments: &Value) {
    for one in treatments.as_array().into_iter().flatten() {
        let (column, action) = (cell(one.get("column")), cell(one.get("action")));
        println!(
            "  policy: {column}: {action} (decided by {})",
            cell(one.get("decided_by"))
        );
        if let Some(note) = one["note"].as_str() {
            println!("    {note}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(kinds: &[&str], columns: &[&str]) -> Changes {
        let owned = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        Changes {
            dataset: "d".to_owned(),
            kinds: owned(kinds),
            columns: owned(columns),
            file: None,
        }
    }

    #[test]
    fn changes_keep_the_rest_and_name_the_generation() {
        let before = json!({
            "generation": 3,
            "kinds": {"email": "hash", "phone": "drop"},
            "columns": {"a": {"action": "keep"}},
            "inherited": {"iban": "drop"},
        });
        let wanted = changes(&["phone=", "name=mask:4"], &["a=kind:none", "b=c=drop"]);
        assert_eq!(
            changed(before, &wanted).expect("a policy"),
            json!({
                "generation": 3,
                "kinds": {"email": "hash", "name": "mask:4"},
                "columns": {"a": {"kind": "none"}, "b=c": {"action": "drop"}},
            })
        );
    }

    #[test]
    fn nothing_to_change_and_odd_forms_are_wrong_usage() {
        for wanted in [
            changes(&[], &[]),
            changes(&["email"], &[]),
            changes(&[], &["=drop"]),
            changes(&["email=blah"], &[]),
            changes(&[], &["a=kind:E-Mail"]),
        ] {
            assert!(matches!(
                changed(json!({}), &wanted),
                Err(CliError::Usage(_))
            ));
        }
    }
    #[test]
    fn a_rule_that_cannot_be_meant_is_told_in_the_words_of_the_command() {
        let refused = changed(json!({}), &changes(&[], &["x=blah"])).expect_err("no action");
        let text = refused.to_string();
        assert!(text.contains("--column `x=blah`") && text.contains("there is no such action"));
        assert!(!text.contains("line"), "{text}");
    }
}
