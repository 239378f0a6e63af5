//! `boathouse audit`: who changed what, and who was refused.

use serde_json::Value;

use crate::{
    cli::{CliError, Output, output::table},
    client::Client,
    url::query,
};

/// Which part of the log.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many lines, the newest; 1 to 1,000.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Lines that follow this one, by its id, instead of the newest.
    #[arg(long, value_name = "ID")]
    after: Option<String>,
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    arguments: Arguments,
) -> Result<(), CliError> {
    let limit = arguments.limit.to_string();
    let mut parameters = vec![("limit", limit.as_str())];
    parameters.extend(arguments.after.as_deref().map(|after| ("after", after)));
    let page: Value = client
        .get(&format!("/audit?{}", query(&parameters)))
        .await?;
    output.result(&page, |page| {
        let columns = [
            ("at", "/at"),
            ("caller", "/caller"),
            ("from", "/from"),
            ("method", "/method"),
            ("path", "/path"),
            ("status", "/status"),
            ("code", "/code"),
            ("times", "/times"),
        ];
        println!("{}", table(&page["lines"], &columns));
    });
    Ok(())
}
