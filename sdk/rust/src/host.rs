//! What the host offers to every plugin: a log, the operator's settings and the deadline. There is
//! nothing else.
//!
//! Natively all are served by [`testing`](crate::testing): settings are empty until a test gives some,
//! the deadline is two seconds until a test sets another, and log lines are kept for the test to read.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::Error;

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Works, but somebody should look.
    Warn,
    /// Does not work.
    Error,
}

/// Writes a line to the host's log. The host drops text beyond its limit per call.
pub fn log(level: Level, message: &str) {
    backend::log(level, message);
}

/// The settings that the operator gave this plugin.
#[must_use]
pub fn settings() -> Settings {
    Settings(backend::settings())
}

/// Wall-clock time that a call may take; a call that takes longer is stopped and gives no answer.
///
/// The same in every call until the operator changes it. Time stands still inside a plugin, so this is
/// no countdown: a plugin that searches decides by it how much to search. Part of the contract since
/// version 1.1.
#[must_use]
pub fn deadline() -> Duration {
    backend::deadline()
}

/// Settings by name, in the order of the configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(Vec<(String, String)>);

impl Settings {
    /// The last value given for a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut newest_first = self.0.iter().rev();
        newest_first
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value given for a name, parsed; none when the setting is absent.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] names the setting and its value when it does not parse.
    pub fn parse<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match text.trim().parse() {
            Ok(value) => Ok(Some(value)),
            Err(cause) => Err(Error::invalid_input(format!(
                "setting `{name}` is `{text}`: {cause}"
            ))),
        }
    }

    /// Names and values in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Settings {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

#[cfg(not(target_family = "wasm"))]
use crate::testing as backend;
#[cfg(target_family = "wasm")]
use crate::wasm as backend;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{take_log, with_deadline, with_settings};

    #[test]
    fn settings_are_parsed_and_the_last_one_wins() {
        with_settings([("epsilon", "0.5"), ("epsilon", " 0.1 ")], || {
            assert_eq!(settings().parse("epsilon"), Ok(Some(0.1)));
            assert_eq!(settings().parse::<u32>("absent"), Ok(None));
            assert_eq!(settings().iter().count(), 2);
        });
        assert_eq!(settings(), Settings::default());
    }

    #[test]
    fn a_bad_setting_is_named() {
        with_settings([("epsilon", "often")], || {
            let refused = settings()
                .parse::<f64>("epsilon")
                .expect_err("not a number");
            let text = refused.to_string();
            assert!(text.contains("`epsilon` is `often`"), "{text}");
        });
    }

    #[test]
    fn a_test_sets_the_deadline_for_its_body_only() {
        let usual = deadline();
        let short = Duration::from_millis(7);
        assert_eq!(with_deadline(short, deadline), short);
        assert_eq!(deadline(), usual);
    }

    #[test]
    fn log_lines_can_be_read_by_a_test() {
        log(Level::Info, "first");
        log(Level::Warn, "second");
        let expected = [(Level::Info, "first"), (Level::Warn, "second")];
        let expected = expected.map(|(level, text)| (level, text.to_owned()));
        assert_eq!(take_log(), expected);
        assert!(take_log().is_empty());
    }
}
