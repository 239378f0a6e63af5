//! Whether a version may still be asked: failures in a row, and the suspension that the third one brings.
//!
//! What counts is what the plugin itself did wrong: a crash, a deadline, a limit, an answer that breaks the
//! contract. A declared error is an answer. That the host had no capacity, or failed itself, says nothing.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use boathouse_plugins::{Cause, PluginError};

/// Failures in a row that suspend a version.
pub(crate) const TOLERATED: u32 = 3;

/// How the calls of one version go, at all its places together.
#[derive(Debug, Default)]
pub(crate) struct Health {
    in_a_row: AtomicU32,
    suspended: AtomicBool,
}

/// What a call says about the version that was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// It works.
    Sound,
    /// It does not.
    Failing,
    /// Nothing.
    Nothing,
}

impl Says {
    /// What the end of a call says; none for an answer.
    pub(crate) fn of(failure: Option<&PluginError>) -> Self {
        match failure.map(PluginError::cause) {
            None | Some(Cause::Declined) => Self::Sound,
            Some(Cause::Deadline | Cause::Limit | Cause::Trap | Cause::BadAnswer) => Self::Failing,
            Some(_) => Self::Nothing,
        }
    }
}

impl Health {
    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::SeqCst)
    }

    /// Notes how a call went; true for the one call that brings the suspension.
    pub(crate) fn note(&self, says: Says) -> bool {
        match says {
            Says::Nothing => false,
            Says::Sound => {
                self.in_a_row.store(0, Ordering::SeqCst);
                false
            }
            Says::Failing => {
                let failures = self
                    .in_a_row
                    .fetch_add(1, Ordering::SeqCst)
                    .saturating_add(1);
                failures >= TOLERATED && !self.suspended.swap(true, Ordering::SeqCst)
            }
        }
    }

    pub(crate) fn suspend(&self) {
        self.suspended.store(true, Ordering::SeqCst);
    }

    /// Starts over.
    pub(crate) fn reinstate(&self) {
        self.in_a_row.store(0, Ordering::SeqCst);
        self.suspended.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(calls: &[Says], suspended: bool) {
        let health = Health::default();
        let brought = calls.iter().filter(|says| health.note(**says)).count();
        assert_eq!(health.is_suspended(), suspended, "{calls:?}");
        assert_eq!(
            brought,
            usize::from(suspended),
            "one call brings it: {calls:?}"
        );
    }

    #[test]
    fn three_failures_in_a_row_suspend_and_nothing_else_does() {
        use Says::{Failing, Nothing, Sound};
        check(&[Failing, Failing], false);
        check(&[Failing, Failing, Failing], true);
        check(
            &[Failing, Failing, Failing, Failing, Failing, Failing],
            true,
        );
        check(&[Failing, Failing, Sound, Failing, Failing], false);
        check(&[Failing, Nothing, Failing, Nothing, Failing], true);
        check(&[Nothing; 9], false);
    }

    #[test]
    fn a_reinstated_version_has_three_tries_again() {
        let health = Health::default();
        health.suspend();
        assert!(health.is_suspended());
        health.reinstate();
        assert!(!health.note(Says::Failing) && !health.note(Says::Failing));
        assert!(!health.is_suspended());
        assert!(health.note(Says::Failing));
    }

    #[test]
    fn only_the_plugins_own_doing_counts() {
        let plugin = || "a/x@1.0.0".to_owned();
        let says = |error| Says::of(Some(&error));
        assert_eq!(Says::of(None), Says::Sound);
        let bad = PluginError::BadAnswer {
            plugin: plugin(),
            what: "NaN".to_owned(),
        };
        assert_eq!(says(bad), Says::Failing);
        let host = PluginError::Host {
            what: "no memory".to_owned(),
        };
        assert_eq!(says(host), Says::Nothing);
        let declined = PluginError::Declined {
            plugin: plugin(),
            why: boathouse_plugins::Declined::Unsupported,
            text: String::new(),
        };
        assert_eq!(says(declined), Says::Sound);
    }
}
