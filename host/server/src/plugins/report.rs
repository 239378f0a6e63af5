//! The report of a component's checks, at rest.
//!
//! ```text
//! {"format":"boathouse/report","format_version":1,"kind":"scoring",...}
//! ```
//!
//! The fields after the first two are those of the report that a client gets. A report without them is of
//! version 1: the first ones had none. What cannot be read is as good as no report, because the checks can
//! be run again; one of a later release is refused by name.

use boathouse_plugins::CheckReport;
use boathouse_storage::StorageError;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

const FORMAT: &str = "boathouse/report";
const FORMAT_VERSION: u64 = 1;

#[derive(Serialize)]
struct Stamped<'a> {
    format: &'static str,
    format_version: u64,
    #[serde(flatten)]
    report: &'a CheckReport,
}

/// The bytes of a report.
///
/// # Errors
/// [`StorageError::Unencodable`], for which there is no reason.
pub(super) fn encode(report: &CheckReport) -> Result<Bytes, StorageError> {
    let stamped = Stamped {
        format: FORMAT,
        format_version: FORMAT_VERSION,
        report,
    };
    Ok(serde_json::to_vec(&stamped)?.into())
}

/// The report in bytes; none when there is none.
///
/// # Errors
/// [`StorageError::NewerFormat`].
pub(super) fn decode(path: &str, bytes: &[u8]) -> Result<Option<CheckReport>, StorageError> {
    #[derive(Deserialize)]
    struct Stamp {
        format: String,
        format_version: u64,
    }
    match serde_json::from_slice::<Stamp>(bytes) {
        Ok(stamp) if stamp.format == FORMAT && stamp.format_version > FORMAT_VERSION => {
            Err(StorageError::NewerFormat {
                path: path.to_owned(),
                format: FORMAT,
                found: stamp.format_version,
                supported: FORMAT_VERSION,
            })
        }
        _ => Ok(serde_json::from_slice(bytes).ok()),
    }
}

#[cfg(test)]
mod tests {
    use boathouse_plugins::{Check, CheckName, CheckOutcome};
    use boathouse_types::PluginKind;

    use super::*;

    fn report() -> CheckReport {
        CheckReport {
            kind: PluginKind::Scoring,
            name: Some("a/x".to_owned()),
            version: Some("1.0.0".to_owned()),
            digest: "ab".to_owned(),
            bytes: 7,
            passed: true,
            checks: vec![Check {
                name: CheckName::Size,
                outcome: CheckOutcome::Passed,
                detail: None,
                cure: None,
                ms: 1,
            }],
            description: None,
        }
    }

    #[test]
    fn what_is_written_is_read_and_so_are_the_first_ones() {
        let bytes = encode(&report()).expect("json");
        assert!(bytes.starts_with(br#"{"format":"boathouse/report","format_version":1,"#));
        assert_eq!(decode("p", &bytes).expect("known"), Some(report()));
        let first = serde_json::to_vec(&report()).expect("json");
        assert_eq!(decode("p", &first).expect("known"), Some(report()));
    }

    #[test]
    fn a_newer_one_is_refused_by_name_and_a_torn_one_is_none() {
        let text = String::from_utf8(encode(&report()).expect("json").into()).expect("text");
        let newer = text.replace("\"format_version\":1", "\"format_version\":2");
        let error = decode("plugins/reports/ab.json", newer.as_bytes()).expect_err("newer");
        let message = error.to_string();
        for word in ["plugins/reports/ab.json", "boathouse/report", "version 2"] {
            assert!(message.contains(word), "{message}");
        }
        assert_eq!(decode("p", &text.as_bytes()[..40]).expect("torn"), None);
    }
}
