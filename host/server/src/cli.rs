//! The command line.
//!
//! Every command but `serve` is a client over HTTP. It talks to the host at `--url`; without one, to
//! the host that holds the data folder; without that either, it starts a host in this process on a
//! port of its own for as long as the command runs. So there is one way in, whatever is used.
//!
//! `restore` and what works on files alone need no host.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 done in part, 130 interrupted.

use std::{io::IsTerminal as _, net::IpAddr, path::PathBuf, process::ExitCode};

use boathouse_plugins::PluginError;
use clap::{Parser, Subcommand};

use crate::{
    auth::signature::SignatureError,
    client::ClientError,
    config::{Config, ConfigError, Environment, LogFormat, Overrides},
    host::StartError,
    problem,
};

mod agent;
mod audit;
mod bucket;
mod config;
mod connection;
mod dataset;
mod gc;
mod index;
mod ingest;
mod job;
mod key;
mod lance;
mod lineage;
mod objective;
mod output;
mod pii;
mod plugin;
mod profile;
mod recall;
mod restore;
mod search;
pub(crate) mod serve;
mod task;
mod tune;
mod watch;

pub(crate) use connection::Connection;
pub(crate) use output::{Output, cell};
pub(crate) use search::shortened;

/// Self-tuning vector lakehouse with pluggable judgement.
#[derive(Debug, Parser)]
#[command(name = "boathouse", version, arg_required_else_help = true)]
struct Cli {
    /// Configuration file.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    target: connection::Target,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the host and serve until interrupted.
    Serve {
        /// Address to listen on; beyond loopback only with a key that has the scope `admin`.
        #[arg(long)]
        bind: Option<IpAddr>,
        /// Port; 0 picks a free one.
        #[arg(long)]
        port: Option<u16>,
    },
    /// Run the whole chain on a table that comes with the binary.
    Demo(crate::demo::Arguments),
    /// Take a file, or a table of a database, in as a dataset.
    Ingest(Box<ingest::Source>),
    /// Jobs: what they bring from databases, and when they did last.
    #[command(subcommand)]
    Job(job::Command),
    /// Watched folders: how each is, and what became of its files.
    #[command(subcommand)]
    Watch(watch::Command),
    /// Datasets.
    #[command(subcommand)]
    Dataset(dataset::Command),
    /// Personal data: policies and scans.
    #[command(subcommand)]
    Pii(pii::Command),
    /// Show where rows came from, failed runs included.
    Lineage(lineage::Arguments),
    /// Vector indexes.
    #[command(subcommand)]
    Index(index::Command),
    /// Indexes in Lance tables.
    #[command(subcommand)]
    Lance(lance::Command),
    /// The agent, which keeps indexes up to date and tunes them.
    #[command(subcommand)]
    Agent(agent::Command),
    /// Model profiles, and the GPU slot that they share.
    #[command(subcommand)]
    Profile(profile::Command),
    /// Search an index.
    Search(search::Arguments),
    /// Trials, tuning and promotion.
    #[command(subcommand)]
    Tune(tune::Command),
    /// Long work: what is under way, and how to stop it.
    #[command(subcommand)]
    Task(task::Command),
    /// Plugins.
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Keys, and key pairs that sign plugins.
    #[command(subcommand)]
    Key(key::Command),
    /// Show who changed what, and who was refused.
    Audit(audit::Arguments),
    /// Buckets.
    #[command(subcommand)]
    Bucket(bucket::Command),
    /// Bring back what the bucket `rescue` holds copies of, while no host runs.
    Restore(restore::Arguments),
    /// Remove what nobody refers to any more.
    Gc(gc::Arguments),
    /// Configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Compile one plugin for the host that started this process.
    #[command(hide = true)]
    CompilePlugin,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check file, variables and flags, and say what is wrong.
    Check,
    /// Print the configuration in force.
    Show,
}

/// A command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error("{0}")]
    Failed(String),
    #[error(
        "interrupted, and the host goes on with {kind} `{subject}`: `boathouse task wait {id}` waits for it, `boathouse task cancel {id}` stops it"
    )]
    Interrupted {
        kind: String,
        subject: String,
        id: String,
    },
    #[error("interrupted; the host of this command stops, and {kind} `{subject}` with it")]
    Stopped { kind: String, subject: String },
    #[error("what is listed above cannot be brought back: `rescue` holds no copies of it")]
    Incomplete,
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("cannot {what}")]
    Io {
        what: String,
        source: std::io::Error,
    },
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main(environment: &Environment) -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::CompilePlugin) {
        return boathouse_plugins::compile_child();
    }
    match run(cli, environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", problem::chain(&error));
            ExitCode::from(match error {
                CliError::Usage(_) | CliError::Config(_) => 2,
                CliError::Incomplete => 3,
                CliError::Interrupted { .. } | CliError::Stopped { .. } => 130,
                _ => 1,
            })
        }
    }
}

fn run(cli: Cli, environment: &Environment) -> Result<(), CliError> {
    let is_local = matches!(
        cli.command,
        Command::Serve { .. } | Command::Demo(_) | Command::Restore(_)
    );
    if cli.target.url.is_some() && is_local {
        return Err(CliError::Usage(
            "`serve`, `demo` and `restore` work on a data folder of this machine; leave out --url"
                .to_owned(),
        ));
    }
    let mut flags = Overrides {
        data: cli.data.clone(),
        ..Overrides::default()
    };
    if let Command::Serve { bind, port } = &cli.command {
        flags.bind = *bind;
        flags.port = *port;
    }
    let config = Config::load(cli.config.as_deref(), environment, &flags)?;
    start_logging(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Io {
            what: "start the runtime".to_owned(),
            source,
        })?;
    runtime.block_on(dispatch(cli, config, environment))
}

async fn dispatch(cli: Cli, config: Config, environment: &Environment) -> Result<(), CliError> {
    let output = Output::new(cli.json);
    match cli.command {
        Command::Serve { .. } => return serve::run(config, environment).await,
        Command::Demo(arguments) => return crate::demo::run(arguments, config, environment).await,
        Command::Config(ConfigCommand::Check) => return config::check(&config).await,
        Command::Config(ConfigCommand::Show) => return show(&config),
        Command::Restore(arguments) => {
            return restore::run(&config, environment, &output, arguments).await;
        }
        Command::Plugin(command) if command.is_local() => {
            return plugin::run_local(&config, &output, command).await;
        }
        Command::Key(ref command) => {
            if let Some(done) = key::offline(command, output) {
                return done;
            }
        }
        _ => {}
    }
    let connection = Connection::open(&cli.target, config.clone(), environment).await?;
    let client = connection.client();
    let outcome = match cli.command {
        Command::Ingest(source) => ingest::from(client, &output, environment, *source).await,
        Command::Job(command) => job::run(client, &output, command).await,
        Command::Watch(command) => watch::run(client, &output, command).await,
        Command::Dataset(command) => dataset::run(client, &output, command).await,
        Command::Pii(command) => pii::run(client, &output, command).await,
        Command::Lineage(arguments) => lineage::run(client, &output, arguments).await,
        Command::Index(command) => index::run(client, &output, command).await,
        Command::Lance(command) => lance::run(client, &output, command).await,
        Command::Agent(command) => agent::run(client, &output, command).await,
        Command::Profile(command) => profile::run(client, &output, command).await,
        Command::Search(arguments) => search::run(client, &output, arguments).await,
        Command::Tune(command) => tune::run(client, &output, command).await,
        Command::Task(command) => task::run(client, &output, command).await,
        Command::Key(command) => key::run(client, &output, command).await,
        Command::Audit(arguments) => audit::run(client, &output, arguments).await,
        Command::Bucket(command) => bucket::run(client, &output, command).await,
        Command::Gc(arguments) => gc::run(client, &output, arguments).await,
        Command::Plugin(command) => plugin::run(client, &config, &output, command).await,
        Command::Serve { .. }
        | Command::Demo(_)
        | Command::Config(_)
        | Command::Restore(_)
        | Command::CompilePlugin => Ok(()),
    };
    let outcome = match outcome {
        // Its tasks end with the host that ran for this command.
        Err(CliError::Interrupted { kind, subject, .. }) if connection.has_own_host() => {
            Err(CliError::Stopped { kind, subject })
        }
        outcome => outcome,
    };
    connection.close().await;
    outcome
}

fn show(config: &Config) -> Result<(), CliError> {
    let text =
        toml::to_string_pretty(config).map_err(|error| CliError::Usage(error.to_string()))?;
    print!("{text}");
    Ok(())
}

/// Sends log lines to standard error, so that standard output stays for answers.
fn start_logging(config: &Config) -> Result<(), CliError> {
    let filter = crate::log::filter(&config.telemetry.log)
        .map_err(|error| CliError::Usage(format!("telemetry.log: {error}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(crate::log::to_standard_error);
    // A file, or another program, gets no colours.
    let builder = match std::io::stderr().is_terminal() {
        true => builder,
        false => builder.with_ansi(false),
    };
    let _already_set = match config.telemetry.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}
