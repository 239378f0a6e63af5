//! `boathouse lineage`.

use clap::Args;
use serde_json::Value;

use crate::{
    cli::{CliError, Output, output::table},
    client::Client,
};

/// Whose lineage to show.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The dataset; all of them when left out.
    dataset: Option<String>,
    /// How many events at most, the newest first.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    arguments: Arguments,
) -> Result<(), CliError> {
    let of = arguments.dataset.map(|name| format!("/{name}"));
    let path = format!(
        "/lineage{}?order=newest&limit={}",
        of.unwrap_or_default(),
        arguments.limit
    );
    let page: Value = client.get(&path).await?;
    output.result(&page, |page| {
        let columns = [
            ("when", "/eventTime"),
            ("event", "/eventType"),
            ("job", "/job/name"),
            ("from", "/inputs/0/name"),
            ("version", "/run/facets/boathouse_ingest/version"),
            ("rows", "/outputs/0/outputFacets/outputStatistics/rowCount"),
            ("error", "/run/facets/errorMessage/message"),
        ];
        println!("{}", table(&page["events"], &columns));
    });
    Ok(())
}
