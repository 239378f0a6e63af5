//! Which of two states of a log's file is the sounder one, whatever its records are.
//!
//! A file is written once and whole, so of two states at most one is what was written. What a record is only its reader
//! knows; that it is JSON holds for all of them. So lines that are no JSON are damage, and so is an end that is missing:
//! where one state is how the other one begins, the longer one was written. Other differences show nothing.

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::read::faults;

/// Whether the other state of a file shows that this one was damaged.
pub(crate) fn is_sounder(path: &str, other: &Bytes, this: &Bytes) -> bool {
    let is_json = |line: &[u8]| serde_json::from_slice::<IgnoredAny>(line).ok();
    let of = |bytes| faults(path, bytes, &is_json);
    let (others, own) = (of(other), of(this));
    others < own || (others == own && is_cut_off(this, other))
}

/// Whether a state is the beginning of another one.
fn is_cut_off(this: &Bytes, other: &Bytes) -> bool {
    this.len() < other.len() && other.starts_with(this)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "{\"format\":\"boathouse/log\",\"format_version\":1}\n";

    fn check(this: &str, other: &str, expected: bool) {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let found = is_sounder("log/x.jsonl", &bytes(other), &bytes(this));
        assert_eq!(found, expected, "{other:?} for {this:?}");
    }

    #[test]
    fn lines_that_are_no_records_and_missing_ends_are_damage() {
        let whole = format!("{HEAD}{{\"n\":1}}\n2\n");
        check(&whole, &whole, false);
        for damaged in [
            whole.replace("{\"n\":1}", "{\"n\"~1}"),
            whole.replace("1}\n2", "1}"),
            whole.replace("\"format_version\"", "\"format_versiom\""),
            whole[..whole.len() - 4].to_owned(),
            whole[..whole.len() - 2].to_owned(),
            HEAD.to_owned(),
            String::new(),
        ] {
            check(&damaged, &whole, true);
            check(&whole, &damaged, false);
        }
    }

    #[test]
    fn other_differences_show_nothing() {
        check("1\n2\n", "1\n3\n", false);
        check("1\nnot json\n", "1\nnot jsom\n", false);
        // A newer program may have written it.
        let newer = HEAD.replace("\"format_version\":1", "\"format_version\":9");
        check(&newer, "1\nnot json\n", false);
        check("1\n", &newer, false);
    }
}
