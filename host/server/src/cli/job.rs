//! `boathouse job`: the jobs that bring rows of databases again and again.
//!
//! A job is begun by `boathouse ingest db --job` or `mysql --job`; where it got to stands with its dataset, so it goes
//! with that, and begins anew with `--mode replace`. The host shows no position: it is a value of the data.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    cli::{
        CliError, Output,
        output::{cell, table},
    },
    client::Client,
};

/// What to look at.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the jobs, each with its dataset and its last run.
    List {
        /// Only those of this dataset.
        #[arg(long)]
        dataset: Option<String>,
    },
    /// Show the job of a name; each of them where several datasets have one.
    Show {
        /// Its name.
        name: String,
        /// Only the one of this dataset.
        #[arg(long)]
        dataset: Option<String>,
    },
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    let list: Value = client.get("/ingest/jobs").await?;
    match command {
        Command::List { dataset } => {
            let list = only(list, None, dataset.as_deref());
            output.result(&list, all);
        }
        Command::Show { name, dataset } => {
            let list = only(list, Some(&name), dataset.as_deref());
            if list["jobs"].as_array().is_none_or(Vec::is_empty) {
                let of =
                    dataset.map_or(String::new(), |dataset| format!(" of dataset `{dataset}`"));
                return Err(CliError::Failed(format!(
                    "there is no job `{name}`{of}: `boathouse job list` has those there are"
                )));
            }
            output.result(&list, each);
        }
    }
    Ok(())
}

/// The jobs of a name and of a dataset; none: of all.
fn only(mut list: Value, name: Option<&str>, dataset: Option<&str>) -> Value {
    let is =
        |value: &Value, wanted: Option<&str>| wanted.is_none_or(|wanted| *value == json!(wanted));
    if let Some(jobs) = list["jobs"].as_array_mut() {
        jobs.retain(|job| is(&job["job"], name) && is(&job["dataset"], dataset));
    }
    list
}

/// What is shown of a job: titles and JSON pointers.
const COLUMNS: [(&str, &str); 6] = [
    ("job", "/job"),
    ("dataset", "/dataset"),
    ("follows", "/column"),
    ("last version", "/last_version"),
    ("last run", "/last_run"),
    ("running since", "/running_since"),
];

fn all(list: &Value) {
    println!("{}", table(&list["jobs"], &COLUMNS));
}

fn each(list: &Value) {
    for job in list["jobs"].as_array().into_iter().flatten() {
        for (title, pointer) in COLUMNS {
            println!("{title:>13}  {}", cell(job.pointer(pointer)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_found_by_name_and_dataset() {
        let job = |name: &str, dataset: &str| json!({"job": name, "dataset": dataset});
        let list = json!({"jobs": [job("a", "x"), job("b", "x"), job("a", "y")]});
        let found = |name, dataset| only(list.clone(), name, dataset)["jobs"].clone();
        assert_eq!(found(None, None), list["jobs"]);
        assert_eq!(
            found(None, Some("x")),
            json!([job("a", "x"), job("b", "x")])
        );
        assert_eq!(
            found(Some("a"), None),
            json!([job("a", "x"), job("a", "y")])
        );
        assert_eq!(found(Some("a"), Some("y")), json!([job("a", "y")]));
        assert_eq!(found(Some("c"), None), json!([]));
    }
}
