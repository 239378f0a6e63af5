//! The host's side, for native unit tests of plugin logic: its answers, and input in a line
//! ([`journal`], [`context`], [`table`]).
//!
//! State is per thread, so tests that run side by side do not see each other. It exists on native
//! targets only: inside a component the real host answers.

use std::cell::{Cell, RefCell};
use std::time::Duration;

mod samples;

pub use samples::{context, journal, table};

use crate::Level;

thread_local! {
    static SETTINGS: RefCell<Vec<(String, String)>> = const { RefCell::new(Vec::new()) };
    static DEADLINE: Cell<Duration> = const { Cell::new(Duration::from_secs(2)) };
    static LOG: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// Runs `body` while [`host::settings`](crate::host::settings) answers these; afterwards, also when
/// `body` panics, it answers what it did before.
pub fn with_settings<'a, T>(
    settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: impl FnOnce() -> T,
) -> T {
    struct Restore(Vec<(String, String)>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SETTINGS.replace(std::mem::take(&mut self.0));
        }
    }
    let settings = settings.into_iter();
    let owned = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let _restore = Restore(SETTINGS.replace(owned.collect()));
    body()
}

/// Runs `body` while [`host::deadline`](crate::host::deadline) answers this; afterwards, also when
/// `body` panics, it answers what it did before.
pub fn with_deadline<T>(deadline: Duration, body: impl FnOnce() -> T) -> T {
    struct Restore(Duration);
    impl Drop for Restore {
        fn drop(&mut self) {
            DEADLINE.set(self.0);
        }
    }
    let _restore = Restore(DEADLINE.replace(deadline));
    body()
}

/// Takes the lines that were logged on this thread since the last call.
#[must_use]
pub fn take_log() -> Vec<(Level, String)> {
    LOG.take()
}

pub(crate) fn log(level: Level, message: &str) {
    LOG.with_borrow_mut(|lines| lines.push((level, message.to_owned())));
}

pub(crate) fn settings() -> Vec<(String, String)> {
    SETTINGS.with_borrow(Clone::clone)
}

pub(crate) fn deadline() -> Duration {
    DEADLINE.get()
}
