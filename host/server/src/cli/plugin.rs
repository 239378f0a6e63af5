//! `boathouse plugin`: a plugin's life from its folder to its service, and back.
//!
//! `new`, `check` and `bench` need no host and no data folder; the latter two run the sandbox in this
//! process, with the limits of the configuration. Everything else asks a host. Kind and name are read off the file or asked
//! of the host where a command leaves them out, so that people rarely type them.

use std::path::PathBuf;

use boathouse_types::PluginKind;
use clap::Subcommand;

use crate::{
    cli::{CliError, Output},
    client::Client,
    config::Config,
};

mod bench;
mod check;
mod inputs;
mod life;
mod local;
mod new;
mod push;
mod replay;
mod show;

pub(super) use local::refusal;

/// What to do with plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a project for a plugin that builds, with a test.
    New(new::Arguments),
    /// Run a host's upload checks on a component, without a host.
    Check {
        /// The component.
        file: PathBuf,
        /// Its kind, where it is not to be read off its exports.
        #[arg(long, value_parser = local::kind)]
        kind: Option<PluginKind>,
    },
    /// Time a component's calls and show what memory they take, without a host.
    Bench(bench::Arguments),
    /// Run a component over the real journal of an index and compare it with what is recorded.
    Replay(replay::Arguments),
    /// Upload a component.
    Push(push::Arguments),
    /// Run a version beside what serves and compare the two.
    Shadow(life::Shadow),
    /// Let a version serve.
    Activate(life::Activate),
    /// Let the versions serve again that served before.
    Rollback {
        /// `team/name`.
        name: String,
        /// Its kind, where the name alone does not tell.
        #[arg(long, value_parser = local::kind)]
        kind: Option<PluginKind>,
    },
    /// Take a plugin out of the places that it overrides, or out of the set of detectors.
    Deactivate {
        /// `team/name`.
        name: String,
        /// Its kind, where the name alone does not tell.
        #[arg(long, value_parser = local::kind)]
        kind: Option<PluginKind>,
    },
    /// Delete a version that does not serve.
    Delete {
        /// `team/name`.
        name: String,
        /// The version.
        version: String,
        /// Its kind, where the name alone does not tell.
        #[arg(long, value_parser = local::kind)]
        kind: Option<PluginKind>,
    },
    /// List plugins and their versions.
    List,
    /// Show what happened to plugins.
    Events(show::Events),
}

impl Command {
    /// Whether it runs without a host.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::New(_) | Self::Check { .. } | Self::Bench(_))
    }
}

/// Runs a command that needs no host.
pub(crate) async fn run_local(
    config: &Config,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::New(arguments) => new::run(output, arguments),
        Command::Check { file, kind } => check::run(config, output, &file, kind).await,
        Command::Bench(arguments) => bench::run(config, output, arguments).await,
        _ => Ok(()),
    }
}

/// Runs a command that asks a host.
pub(crate) async fn run(
    client: &Client,
    config: &Config,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::New(_) | Command::Check { .. } | Command::Bench(_) => {
            run_local(config, output, command).await
        }
        Command::Replay(arguments) => replay::run(client, config, output, arguments).await,
        Command::Push(arguments) => push::run(client, config, output, arguments).await,
        Command::Shadow(arguments) => life::shadow(client, output, arguments).await,
        Command::Activate(arguments) => life::activate(client, output, arguments).await,
        Command::Rollback { name, kind } => {
            life::change(client, output, &name, kind, "rollback").await
        }
        Command::Deactivate { name, kind } => {
            life::change(client, output, &name, kind, "deactivate").await
        }
        Command::Delete {
            name,
            version,
            kind,
        } => life::delete(client, output, &name, &version, kind).await,
        Command::List => show::list(client, output).await,
        Command::Events(arguments) => show::events(client, output, arguments).await,
    }
}
