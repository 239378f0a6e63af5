//! Where log lines go: to standard error, and on their way there without credentials.
//!
//! What is logged comes from many rooms and from crates that know nothing of secrets: errors that quote an
//! address, fields, headers. So every line is looked at here once more, whatever was done before.

use std::io::{self, Write};

use boathouse_ingest::redact_dsn;
use tracing_subscriber::EnvFilter;

/// Crates that log what they send to databases and get from them: values of the data. Only what they warn of
/// is logged, whatever level is asked for.
const SEES_VALUES: [&str; 3] = ["tokio_postgres", "mysql_async", "mysql_common"];

/// Crates that log the statements and paths of what they do; what they warn of is enough unless it is asked for by name.
const CHATTY: [&str; 7] = [
    "lance",
    "lance_core",
    "lance_encoding",
    "lance_file",
    "lance_index",
    "lance_io",
    "lance_table",
];

/// A filter without the lines of crates that see values.
///
/// # Errors
/// When the words are no filter.
pub(crate) fn filter(words: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    // What is said first gives way to the words.
    let quiet = CHATTY.map(|name| format!("{name}=warn")).join(",");
    let filter = EnvFilter::try_new(format!("{quiet},{words}"))?;
    SEES_VALUES.iter().try_fold(filter, |filter, name| {
        Ok(filter.add_directive(format!("{name}=warn").parse()?))
    })
}

/// Takes whole lines and passes them on without credentials.
pub(crate) struct Redacted<W>(W);

/// For the subscriber, which writes one event at a time.
pub(crate) fn to_standard_error() -> Redacted<io::Stderr> {
    Redacted(io::stderr())
}

impl<W: Write> Write for Redacted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = redact_dsn(&String::from_utf8_lossy(bytes));
        self.0.write_all(line.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_field_and_no_message_shows_credentials() {
        for json in [false, true] {
            let lines = Lines::default();
            let target = lines.clone();
            let builder = tracing_subscriber::fmt().with_writer(move || Redacted(target.clone()));
            let emit = || {
                let error = io::Error::other("cannot reach postgres://me:hunter2@db:5432/shop");
                tracing::error!(%error, url = "s3://KEY:hunter2@bucket", "password=hunter2 is wrong");
                tracing::info!(dataset = "shop", "rows have landed");
            };
            match json {
                true => tracing::subscriber::with_default(builder.json().finish(), emit),
                false => tracing::subscriber::with_default(builder.finish(), emit),
            }
            let written = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
            let written = String::from_utf8_lossy(&written);
            assert!(!written.contains("hunter2"), "{written}");
            assert!(written.contains("@db:5432/shop"), "{written}");
            assert!(written.contains("rows have landed"), "{written}");
        }
    }
}
