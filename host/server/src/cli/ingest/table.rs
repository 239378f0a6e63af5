//! `boathouse ingest db` and `boathouse ingest mysql`.
//!
//! The connection text comes from a variable, a file or standard input, never from an argument, which every
//! user of the machine could read in the list of processes. It goes to the host in the body of the request.

use std::{io::Read as _, num::NonZeroUsize, path::PathBuf};

use boathouse_ingest::{IngestMode, TlsMode, TypeMode, ValuePolicy};
use serde_json::{Value, json};

use crate::{
    cli::{
        CliError, Output,
        ingest::report,
        output::{cell, counted},
        task::awaited,
    },
    client::Client,
    config::Environment,
    tasks::TaskView,
};

/// A database as a source.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Take a table or query of PostgreSQL in.
    Db(Arguments),
    /// Take a table or query of MySQL or MariaDB in.
    Mysql(Arguments),
}

/// What to read and where to put it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    dsn: DsnFrom,
    /// Name of the dataset.
    #[arg(long)]
    dataset: String,
    /// `replace` or `append`; `append` when left out with `--job`, else `replace`.
    #[arg(long, value_parser = IngestMode::NAMES)]
    mode: Option<String>,
    /// Bucket of a new dataset; `primary` when left out.
    #[arg(long)]
    bucket: Option<String>,
    /// `exact` or `portable`.
    #[arg(long, default_value = "exact", value_parser = TypeMode::NAMES)]
    types: String,
    /// What happens to a value that its type cannot hold: `error` or `null`.
    #[arg(long, default_value = "error", value_parser = ValuePolicy::NAMES)]
    out_of_range: String,
    /// Most connections that read side by side, 1 to 16.
    #[arg(long, default_value = "4")]
    parallel: NonZeroUsize,
    /// `disable`, `prefer`, `require` or `verify-full`.
    #[arg(long, default_value = "prefer", value_parser = TlsMode::NAMES)]
    tls: String,
    #[command(flatten)]
    job: JobArguments,
}

/// A table or a query.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The table or view, `table` or `schema.table`.
    #[arg(long)]
    table: Option<String>,
    /// One `SELECT`.
    #[arg(long)]
    query: Option<String>,
}

/// Where the connection text is.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct DsnFrom {
    /// Variable that holds the connection text.
    #[arg(long, value_name = "NAME")]
    dsn_env: Option<String>,
    /// File that holds the connection text.
    #[arg(long, value_name = "PATH")]
    dsn_file: Option<PathBuf>,
    /// Read the connection text from standard input.
    #[arg(long)]
    dsn_stdin: bool,
}

/// A job, which brings only what is new.
#[derive(Debug, clap::Args)]
struct JobArguments {
    /// Name of the job: only what is new since its last run comes in.
    #[arg(long, requires = "cursor")]
    job: Option<String>,
    /// The column that grows, for example `updated_at`; `column` in a request.
    #[arg(
        long,
        visible_alias = "column",
        requires = "job",
        value_name = "COLUMN"
    )]
    cursor: Option<String>,
    /// A column that tells rows apart which are equal in the cursor, for example the primary key.
    #[arg(long, requires = "job", value_name = "COLUMN")]
    key: Option<String>,
    /// How old rows must be to come in: for times seconds before the server's clock, for numbers below the greatest.
    #[arg(long, requires = "job", default_value = "0")]
    lag: u64,
}

pub(super) async fn run(
    client: &Client,
    output: &Output,
    environment: &Environment,
    command: Command,
) -> Result<(), CliError> {
    let (path, arguments) = match command {
        Command::Db(arguments) => ("/ingest/db", arguments),
        Command::Mysql(arguments) => ("/ingest/mysql", arguments),
    };
    let body = arguments.body(environment)?;
    let task: TaskView = client.post(path, &body).await?;
    output.result(&awaited(client, output, &task).await?, show);
    Ok(())
}

/// Prints what came in, and what was found out on the way.
fn show(value: &Value) {
    let table = value.pointer("/table");
    if table.and_then(|table| table.pointer("/up_to_date")) == Some(&Value::Bool(true)) {
        println!(
            "dataset {} version {} is up to date: nothing is new",
            cell(value.pointer("/dataset")),
            cell(value.pointer("/version")),
        );
        return;
    }
    report(value);
    let list = |name: &str| table.and_then(|table| table.pointer(name)?.as_array());
    for nulled in list("/nulled").into_iter().flatten() {
        println!(
            "  {} of column {} became null: {}",
            counted(nulled.pointer("/values"), "value"),
            cell(nulled.pointer("/column")),
            cell(nulled.pointer("/what")),
        );
    }
    for note in list("/notes").into_iter().flatten() {
        println!("  {}", cell(Some(note)));
    }
}

impl Arguments {
    /// The body of the request, with the connection text in it.
    fn body(self, environment: &Environment) -> Result<Value, CliError> {
        let mut body = json!({
            "dsn": self.dsn.read(environment)?,
            "dataset": self.dataset,
            "types": self.types,
            "out_of_range": self.out_of_range,
            "parallel": self.parallel,
            "tls": self.tls,
        });
        let job = self.job.job.map(|name| {
            json!({
                "name": name,
                "column": self.job.cursor,
                "key": self.job.key,
                "lag": self.job.lag,
            })
        });
        let given = [
            ("table", self.source.table.map(Value::from)),
            ("query", self.source.query.map(Value::from)),
            ("mode", self.mode.map(Value::from)),
            ("bucket", self.bucket.map(Value::from)),
            ("job", job),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                body[name] = value;
            }
        }
        Ok(body)
    }
}

impl DsnFrom {
    fn read(self, environment: &Environment) -> Result<String, CliError> {
        if let Some(name) = self.dsn_env {
            let text = environment.get(&name).cloned();
            return text.ok_or_else(|| {
                CliError::Usage(format!("--dsn-env: there is no variable `{name}`"))
            });
        }
        let mut text = String::new();
        let (what, read) = match self.dsn_file {
            Some(path) => {
                let read = std::fs::read_to_string(&path).map(|read| text = read);
                (format!("read {}", path.display()), read)
            }
            None => {
                let read = std::io::stdin().read_to_string(&mut text);
                ("read standard input".to_owned(), read.map(drop))
            }
        };
        read.map_err(|source| CliError::Io { what, source })?;
        Ok(text.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        _command: Command,
    }

    fn parse(more: &[&str]) -> Result<Cli, String> {
        let fixed = [
            "ingest",
            "db",
            "--table",
            "t",
            "--dataset",
            "d",
            "--dsn-stdin",
        ];
        let arguments = fixed.iter().chain(more);
        Cli::try_parse_from(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn a_word_that_is_none_is_told_with_those_that_are() {
        for (flag, names) in [
            ("--mode", &IngestMode::NAMES[..]),
            ("--types", &TypeMode::NAMES[..]),
            ("--out-of-range", &ValuePolicy::NAMES[..]),
            ("--tls", &TlsMode::NAMES[..]),
        ] {
            for name in names {
                parse(&[flag, name]).expect("taken");
            }
            let told = parse(&[flag, "maybe"]).expect_err("refused");
            let words = [&["maybe", flag][..], names].concat();
            assert!(words.iter().all(|word| told.contains(word)), "{told}");
        }
    }
}
