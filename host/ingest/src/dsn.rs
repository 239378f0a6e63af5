//! Where a database is and how to get in: a text that never shows its secret.
//!
//! `Debug` and `Display` give the text as [`redact_dsn`] does, so whatever is logged, reported or kept holds no
//! credentials. Only a connector asks for the whole, and only to connect.

use std::fmt;

use crate::redact_dsn;

/// A connection text, for example `postgres://user:password@host/database`.
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn(String);

impl Dsn {
    /// Wraps a text; white space around it, such as the end of a line in a file, does not count.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The text with its secret.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_dsn(&self.0))
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_of_printing_shows_the_secret() {
        let dsn = Dsn::new("postgres://me:hunter2@db/shop\n");
        for shown in [format!("{dsn}"), format!("{dsn:?}")] {
            assert!(
                !shown.contains("hunter2") && shown.contains("db/shop"),
                "{shown}"
            );
        }
        assert_eq!(dsn.expose(), "postgres://me:hunter2@db/shop");
    }
}
