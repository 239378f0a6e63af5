//! The `boathouse` binary: reads arguments and environment, and hands over to the library.

use std::{panic, process::ExitCode};

use boathouse_server::cli;

fn main() -> ExitCode {
    end_with_the_reader();
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    cli::main(&environment)
}

/// Ends the program without a word when nobody reads its output any more, as in `boathouse ... | head`.
///
/// Rust programs get an error in place of the signal that ends others, and `print!` panics on it.
fn end_with_the_reader() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        if text.starts_with("failed printing to stdout") {
            std::process::exit(0);
        }
        usual(panic);
    }));
}
