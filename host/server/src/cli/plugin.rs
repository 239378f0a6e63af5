//! `boathouse plugin`.

use clap::Subcommand;
use serde_json::Value;

use crate::{
    cli::{CliError, Output, output::table},
    client::Client,
};

/// What to do with plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List plugins with version, digest and calls.
    List,
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::List => {
            let list: Value = client.get("/plugins").await?;
            output.result(&list, |list| {
                let columns = [
                    ("kind", "/kind"),
                    ("name", "/name"),
                    ("version", "/version"),
                    ("state", "/state"),
                    ("calls", "/stats/calls"),
                    ("failed", "/stats/failures"),
                    ("digest", "/short_digest"),
                    ("summary", "/summary"),
                ];
                println!("{}", table(&list["plugins"], &columns));
            });
        }
    }
    Ok(())
}
