//! `boathouse watch`: the folders whose files become rows.
//!
//! Which they are stands in the configuration of the host (`[[watch]]`); nothing here changes them.

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
    /// List the watched folders, each with its state and counts since the host started.
    List,
    /// Show one folder with the files that wait and what went wrong last.
    Show {
        /// The folder, as the configuration names it.
        folder: String,
    },
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    let list: Value = client.get("/ingest/watch").await?;
    match command {
        Command::List => output.result(&list, all),
        Command::Show { folder } => {
            let mut folders = list["folders"].as_array().into_iter().flatten();
            let found = folders.find(|one| one["folder"] == json!(folder));
            let found = found.ok_or_else(|| {
                CliError::Failed(format!(
                    "the host watches no folder `{folder}`: `boathouse watch list` has those there are"
                ))
            })?;
            output.result(found, show);
        }
    }
    Ok(())
}

fn all(list: &Value) {
    let columns = [
        ("folder", "/folder"),
        ("dataset", "/dataset"),
        ("state", "/state"),
        ("waiting", "/waiting_files"),
        ("ingested", "/ingested"),
        ("duplicates", "/duplicates"),
        ("failed", "/failed"),
        ("last file", "/last_file/name"),
        ("last error", "/last_error/message"),
    ];
    println!("{}", table(&list["folders"], &columns));
}

fn show(folder: &Value) {
    let rows = [
        ("folder", "/folder"),
        ("dataset", "/dataset"),
        ("mode", "/mode"),
        ("after", "/after"),
        ("state", "/state"),
        ("working on", "/working_on"),
        ("ingested", "/ingested"),
        ("duplicates", "/duplicates"),
        ("failed", "/failed"),
        ("last file", "/last_file/name"),
        ("became", "/last_file/outcome"),
        ("at", "/last_file/at"),
        ("last error", "/last_error/message"),
        ("of file", "/last_error/file"),
        ("at", "/last_error/at"),
        ("waiting", "/waiting_files"),
    ];
    for (title, pointer) in rows {
        println!("{title:>10}  {}", cell(folder.pointer(pointer)));
    }
    for name in folder["waiting"].as_array().into_iter().flatten() {
        println!("{:>10}  {}", "", cell(Some(name)));
    }
}
