//! `boathouse dataset`.

use clap::Subcommand;
use serde_json::Value;

use crate::{
    cli::{
        CliError, Output,
        output::{cell, table},
        pii::{show_failures, show_treatments},
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
    /// Print some of its rows, the first ones when nothing else is said.
    Rows {
        /// Name of the dataset.
        name: String,
        /// How many.
        #[arg(long, default_value_t = 10)]
        limit: usize,
        /// Number of the first one, from 0.
        #[arg(long, default_value_t = 0)]
        offset: u64,
        /// As of this version; the newest when left out.
        #[arg(long)]
        version: Option<u64>,
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
                for broken in list["broken"].as_array().into_iter().flatten() {
                    let (name, why) = (cell(broken.get("name")), cell(broken.get("why")));
                    println!("{name} is not to be believed: {why}");
                }
            });
        }
        Command::Show { name } => {
            let dataset: Value = client.get(&format!("/datasets/{name}")).await?;
            output.result(&dataset, show);
        }
        Command::Rows {
            name,
            limit,
            offset,
            version,
        } => {
            let version = version.map_or_else(String::new, |version| format!("&version={version}"));
            let path = format!("/datasets/{name}/rows?limit={limit}&offset={offset}{version}");
            let page: Value = client.get(&path).await?;
            output.result(&page, |page| {
                for row in page["rows"].as_array().into_iter().flatten() {
                    println!("{}", in_order(row, &page["columns"]));
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

/// A row as JSON with its columns in the order of the dataset, which an object in memory does not keep.
fn in_order(row: &Value, columns: &Value) -> String {
    let names = columns.as_array().into_iter().flatten();
    let names = names.filter_map(|column| column.get("name"));
    let fields = names.filter_map(|name| {
        let value = row.get(name.as_str()?)?;
        Some(format!("{name}:{value}"))
    });
    let fields: Vec<String> = fields.collect();
    format!("{{{}}}", fields.join(","))
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
    show_failures(dataset);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_keeps_the_order_of_its_columns() {
        let columns = json!([{"name": "b"}, {"name": "a\"c"}, {"name": "gone"}]);
        let row = json!({"a\"c": [1, "x"], "b": 0.30000000000000004});
        let shown = in_order(&row, &columns);
        assert_eq!(shown, r#"{"b":0.30000000000000004,"a\"c":[1,"x"]}"#);
        assert!(serde_json::from_str::<Value>(&shown).is_ok());
    }
}
