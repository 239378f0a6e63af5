//! The `boathouse` binary: reads arguments and environment, and hands over to the library.

use std::{
    backtrace::Backtrace,
    panic::{self, PanicHookInfo},
    process::ExitCode,
};

use boathouse_server::cli;

fn main() -> ExitCode {
    watch_panics();
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    cli::main(&environment)
}

/// Ends the program without a word when nobody reads its output any more, as in `boathouse ... | head`:
/// Rust programs get an error in place of the signal that ends others, and `print!` panics on it.
///
/// Other panics are reported with their place. Their message is too where it is a constant; one that was
/// formatted may quote what was being read, and values of data have no business in a log.
fn watch_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        if text.starts_with("failed printing to stdout") {
            std::process::exit(0);
        }
        match panic.payload().is::<String>() {
            true => report(panic),
            false => usual(panic),
        }
    }));
}

fn report(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let place = panic.location().map(ToString::to_string);
    eprintln!(
        "thread '{name}' panicked at {}: its message may quote data and is withheld\n{}",
        place.as_deref().unwrap_or("an unknown place"),
        Backtrace::capture()
    );
}
