//! What can go wrong with a plugin, by what the caller can do about it.
//!
//! Each variant that concerns a plugin names it (`team/name@version`, or `component <digest>` before
//! it has told its name). Text that stems from a guest is bounded and escaped before it gets here.

use serde::{Deserialize, Serialize};

/// A plugin could not be loaded, or did not give a usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// The configuration cannot work; correct it.
    #[error("plugin configuration: {what}")]
    Config {
        /// Which value, and what it may be.
        what: String,
    },
    /// The host itself failed; nothing is known against the plugin.
    #[error("plugin host: {what}")]
    Host {
        /// What failed.
        what: String,
    },
    /// The component cannot be loaded; its author has to change it.
    #[error("{plugin} refused: {what}; {cure}")]
    Refused {
        /// Which component.
        plugin: String,
        /// What is wrong with it.
        what: String,
        /// What its author can do.
        cure: String,
    },
    /// The plugin is of another kind than the call; ask one of the right kind.
    #[error("{plugin} is a {is} plugin and cannot be asked as {asked}")]
    WrongKind {
        /// Which plugin.
        plugin: String,
        /// Its kind.
        is: boathouse_types::PluginKind,
        /// The kind that the call needs.
        asked: boathouse_types::PluginKind,
    },
    /// The host's question does not fit the contract; the plugin was not called.
    #[error("question for {plugin}: {what}")]
    BadQuestion {
        /// Which plugin.
        plugin: String,
        /// What does not fit.
        what: String,
    },
    /// The plugin answered with a declared error; it is healthy.
    #[error("{plugin} declined: {why}: {text}")]
    Declined {
        /// Which plugin.
        plugin: String,
        /// The declared reason.
        why: Declined,
        /// The plugin's own words.
        text: String,
    },
    /// The call took longer than its deadline and was stopped.
    #[error("{plugin} was stopped at its deadline of {deadline_ms} ms{log}")]
    Deadline {
        /// Which plugin.
        plugin: String,
        /// The limit.
        deadline_ms: u32,
        /// The last lines of its log.
        log: LogTail,
    },
    /// The call wanted more of something than it may have.
    #[error("{plugin} exceeded its limit: {limit}{log}")]
    Limit {
        /// Which plugin.
        plugin: String,
        /// The limit and its value.
        limit: String,
        /// The last lines of its log.
        log: LogTail,
    },
    /// The guest crashed.
    #[error("{plugin} crashed: {what}{log}")]
    Trap {
        /// Which plugin.
        plugin: String,
        /// The trap.
        what: String,
        /// The last lines of its log.
        log: LogTail,
    },
    /// The answer breaks the contract and was thrown away whole.
    #[error("{plugin} gave a bad answer: {what}")]
    BadAnswer {
        /// Which plugin.
        plugin: String,
        /// Which rule it breaks.
        what: String,
    },
    /// Too many calls are running and waiting; try again later.
    #[error("{plugin} was not called: {what}, try again later")]
    Overloaded {
        /// Which plugin.
        plugin: String,
        /// What is full, or how long the call waited.
        what: String,
    },
}

/// What is wrong with a component, and what its author can do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) what: String,
    pub(crate) cure: String,
}

impl Complaint {
    pub(crate) fn new(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            cure: cure.into(),
        }
    }

    /// The refusal of a component over it.
    pub(crate) fn of(self, plugin: &str) -> PluginError {
        PluginError::Refused {
            plugin: plugin.to_owned(),
            what: self.what,
            cure: self.cure,
        }
    }
}

/// The declared reasons of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declined {
    /// The input contradicts itself or the contract.
    InvalidInput,
    /// The input is valid and the guest does not handle it.
    Unsupported,
    /// Anything else.
    Other,
}

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::InvalidInput => "invalid input",
            Self::Unsupported => "unsupported",
            Self::Other => "other",
        })
    }
}

/// The last lines that a guest logged, escaped and bounded; empty when it logged nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogTail(pub(crate) Vec<String>);

impl LogTail {
    /// The lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

impl std::fmt::Display for LogTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, "; its last log lines: {}", self.0.join(" | "))
    }
}

/// Why a call failed, for counting.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A declared error of the guest.
    Declined,
    /// The deadline.
    Deadline,
    /// A limit other than the deadline.
    Limit,
    /// A crash of the guest.
    Trap,
    /// An answer that breaks the contract.
    BadAnswer,
    /// No capacity to call.
    Overloaded,
    /// The host's own failure, or a question that could not be put.
    Host,
}

impl Cause {
    /// All causes, in the order of their discriminants.
    pub const ALL: [Self; 7] = [
        Self::Declined,
        Self::Deadline,
        Self::Limit,
        Self::Trap,
        Self::BadAnswer,
        Self::Overloaded,
        Self::Host,
    ];
}

impl PluginError {
    /// The cause that the error counts under.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Self::Declined { .. } => Cause::Declined,
            Self::Deadline { .. } => Cause::Deadline,
            Self::Limit { .. } => Cause::Limit,
            Self::Trap { .. } => Cause::Trap,
            Self::BadAnswer { .. } => Cause::BadAnswer,
            Self::Overloaded { .. } => Cause::Overloaded,
            Self::Config { .. }
            | Self::Host { .. }
            | Self::Refused { .. }
            | Self::WrongKind { .. }
            | Self::BadQuestion { .. } => Cause::Host,
        }
    }

    /// What went wrong, without which plugin.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Config { what }
            | Self::Host { what }
            | Self::Refused { what, .. }
            | Self::BadQuestion { what, .. }
            | Self::BadAnswer { what, .. } => what.clone(),
            Self::Overloaded { what, .. } => {
                format!("it was not called: {what}, try again later")
            }
            Self::WrongKind { is, asked, .. } => {
                format!("it is a {is} plugin and cannot be asked as {asked}")
            }
            Self::Declined { why, text, .. } => format!("it declined: {why}: {text}"),
            Self::Deadline {
                deadline_ms, log, ..
            } => format!("it was stopped at its deadline of {deadline_ms} ms{log}"),
            Self::Limit { limit, log, .. } => format!("it exceeded its limit: {limit}{log}"),
            Self::Trap { what, log, .. } => format!("it crashed: {what}{log}"),
        }
    }

    /// The error without anything that the guest said: what it was asked about may be quoted there.
    pub(crate) fn without_its_words(mut self) -> Self {
        match &mut self {
            Self::Declined { text, .. } => {
                "its words may quote the data and are not repeated".clone_into(text);
            }
            Self::Deadline { log, .. } | Self::Limit { log, .. } | Self::Trap { log, .. } => {
                *log = LogTail::default();
            }
            _ => {}
        }
        self
    }

    /// The host's own failure to run or wait for something.
    pub(crate) fn host(what: impl Into<String>) -> Self {
        Self::Host { what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_said_can_be_left_out() {
        let log = || LogTail(vec!["jane@example.org".to_owned()]);
        let plugin = || "t/p@1.0.0".to_owned();
        let errors = [
            PluginError::Declined {
                plugin: plugin(),
                why: Declined::Other,
                text: "jane@example.org".to_owned(),
            },
            PluginError::Deadline {
                plugin: plugin(),
                deadline_ms: 5,
                log: log(),
            },
            PluginError::Limit {
                plugin: plugin(),
                limit: "its stack".to_owned(),
                log: log(),
            },
            PluginError::Trap {
                plugin: plugin(),
                what: "unreachable".to_owned(),
                log: log(),
            },
        ];
        for error in errors {
            assert!(error.reason().contains("jane"));
            let cause = error.cause();
            let quiet = error.without_its_words();
            assert!(!quiet.to_string().contains("jane"), "{quiet}");
            assert!(!format!("{quiet:?}").contains("jane"), "{quiet:?}");
            assert_eq!(quiet.cause(), cause);
        }
    }
}
