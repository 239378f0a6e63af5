//! Takes credentials out of texts: connection strings, messages that quote them, labels.
//!
//! Three forms are covered, wherever in the text they stand: `scheme://user:secret@host` and
//! `user:secret@host` without a scheme (`redact/address.rs`), and `password=secret` in the key=value forms of
//! libpq, ODBC, ADO, JDBC and URL queries, in JSON and in what `Debug` prints (`redact/keys.rs`). Passwords may
//! hold `@`, `:`, `/`, quotes and blanks. Where a text is ambiguous the longer reading wins: hiding too much of
//! a message is a nuisance, hiding too little is a leak. User names go with the secret. Redacting twice changes
//! nothing, and one reading takes time that is linear in the text.
//!
//! Not here: secrets that stand alone. A text has to say by its shape that there is one.

mod address;
mod keys;

use std::ops::Range;

/// What stands where a credential stood.
const HIDDEN: &str = "***";

/// The text with every credential replaced by `***`.
#[must_use]
pub fn redact_dsn(text: &str) -> String {
    let mut shown = text.to_owned();
    loop {
        let spans = find(&shown);
        if spans.iter().all(|span| &shown[span.clone()] == HIDDEN) {
            return shown;
        }
        // What is left may read as a credential only now, next to what is hidden. Every turn hides more, so there
        // is an end; one turn is nearly always enough.
        shown = hide(&shown, spans);
    }
}

fn find(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    address::find(text, &mut spans);
    keys::find(text, &mut spans);
    spans
}

fn hide(text: &str, mut spans: Vec<Range<usize>>) -> String {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut out = String::with_capacity(text.len());
    let mut shown_to = 0;
    for span in spans {
        if span.start >= shown_to {
            out.push_str(&text[shown_to..span.start]);
            out.push_str(HIDDEN);
        }
        shown_to = shown_to.max(span.end);
    }
    out.push_str(&text[shown_to..]);
    out
}

#[cfg(test)]
mod tests;
