//! `boathouse dataset`.

use clap::Subcommand;
use serde_json::Value;

use crate::{
    cli::{
        CliError, Output,
        output::{cell, table},
        pii::show_treatments,
    },
    client::Client,
};

/// What to do with datasets.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List datasets.
    List,
    /// Show columns, versions and findings of one.
    Show {
        /// Name of the dataset.
        name: String,
    },
    /// Print its first rows.
    Rows {
        /// Name of the dataset.
        name: String,
        /// How many.
        #[arg(long, default_value_t = 10)]
        limit: usize,
    },
    /// Delete it; refused while an index uses it.
    Delete {
        /// Name of the dataset.
        name: String,
    },
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::List => {
            let list: Value = client.get("/datasets").await?;
            output.result(&list, |list| {
                let columns = [
                    ("name", "/name"),
                    ("version", "/version"),
                    ("rows", "/rows"),
                    ("bytes", "/bytes"),
                    ("bucket", "/bucket"),
                ];
                println!("{}", table(&list["datasets"], &columns));
            });
        }
        Command::Show { name } => {
            let dataset: Value = client.get(&format!("/datasets/{name}")).await?;
            output.result(&dataset, show);
        }
        Command::Rows { name, limit } => {
            let page: Value = client
                .get(&format!("/datasets/{name}/rows?limit={limit}"))
                .await?;
            output.result(&page, |page| {
                for row in page["rows"].as_array().into_iter().flatten() {
                    println!("{row}");
                }
            });
        }
        Command::Delete { name } => {
            client.delete(&format!("/datasets/{name}")).await?;
            output.result(&Value::Null, |_| println!("deleted"));
        }
    }
    Ok(())
}

fn show(dataset: &Value) {
    for title in ["name", "version", "rows", "bytes", "bucket"] {
        println!("{title:>10}  {}", cell(dataset.get(title)));
    }
    let columns = [
        ("column", "/name"),
        ("type", "/data_type"),
        ("source type", "/source_type"),
        ("nullable", "/nullable"),
    ];
    println!("\n{}", table(&dataset["columns"], &columns));
    let columns = [
        ("personal data", "/column"),
        ("kind", "/kind"),
        ("confidence", "/confidence"),
        ("scope", "/scope"),
    ];
    println!("\n{}", table(&dataset["findings"], &columns));
    show_treatments(&dataset["treatments"]);
    let columns = [
        ("readable version", "/version"),
        ("mode", "/mode"),
        ("rows", "/rows"),
        ("made", "/created_at"),
        ("of", "/source/label"),
    ];
    println!("\n{}", table(&dataset["versions"], &columns));
}
