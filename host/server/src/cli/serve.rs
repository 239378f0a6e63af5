//! `boathouse serve`.

use std::io::Write as _;

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::CliError,
    config::{Config, Environment},
    host::Host,
};

/// Serves until SIGINT or SIGTERM.
pub(crate) async fn run(config: Config, environment: &Environment) -> Result<(), CliError> {
    let host = Host::start(config, environment).await?;
    announce(&host)?;
    interrupted().await?;
    host.stop().await;
    Ok(())
}

/// Prints the address on standard output: whoever started the host waits for this line.
pub(crate) fn announce(host: &Host) -> Result<(), CliError> {
    let mut out = std::io::stdout();
    writeln!(out, "listening on {}", host.url())
        .and_then(|()| out.flush())
        .map_err(|source| CliError::Io {
            what: "write to standard output".to_owned(),
            source,
        })
}

/// Waits for SIGINT or SIGTERM.
pub(crate) async fn interrupted() -> Result<(), CliError> {
    let listen = |kind| {
        signal(kind).map_err(|source| CliError::Io {
            what: "listen for signals".to_owned(),
            source,
        })
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
