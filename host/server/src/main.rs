//! The `boathouse` binary: reads arguments and environment, and hands over to the library.

use std::process::ExitCode;

use boathouse_server::cli;

fn main() -> ExitCode {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    cli::main(&environment)
}
