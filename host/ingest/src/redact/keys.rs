//! Values of keys that name a secret.
//!
//! `key=value` counts with every name in [`NAMES`], `"key": value` of JSON too. `key: "value"` and
//! `key: Some("value")`, as `Debug` prints them, count with the names of passwords only: `unexpected token: "}"`
//! is no secret. A value in quotes or braces ends with them, any other at a blank, and beyond the blank while the
//! next separator is the `;` of the ODBC form.

use std::ops::Range;

use super::HIDDEN;

/// Last words of key names whose value is a secret, in lower case without separators; passwords first.
const NAMES: [&str; 12] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "accountkey",
    "secretkey",
    "privatekey",
    "signature",
];
/// How many of [`NAMES`] are passwords.
const PASSWORDS: usize = 5;
/// Names that count only whole: as the end of another they mean nothing.
const WHOLE_NAMES: [&str; 2] = ["pass", "sig"];
/// What may follow a value; the text behind it is no longer the secret.
const SEPARATORS: [char; 6] = [';', '&', ',', '}', ')', ']'];

/// How a key and its value stand in a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `key=value`
    Equals,
    /// `"key": value`
    Json,
    /// `key: "value"`
    Debug,
}

/// Finds the values of keys that name a secret.
pub(super) fn find(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(mark) = text[at..].find(['=', ':']).map(|mark| at + mark) {
        let form = form(&text[at..mark], text.as_bytes()[mark]);
        at = mark + 1;
        let Some(form) = form else { continue };
        let value = text[at..].trim_start_matches([' ', '\t']);
        let start = text.len() - value.len();
        let (length, more) = match form {
            Form::Debug => (debug_length(value), 0),
            Form::Json => (length(value), 0),
            Form::Equals => (length(value), beyond_blanks(value)),
        };
        if length > 0 {
            spans.push(start..start + length + more);
            // What stands beyond a blank may be another key just as well.
            at = start + length;
        }
    }
}

/// The form of a value behind `mark`, if the text before it names a secret.
fn form(before: &str, mark: u8) -> Option<Form> {
    let key = before.trim_end();
    if mark == b'=' {
        return names_secret(key, &NAMES).then_some(Form::Equals);
    }
    match key.strip_suffix(['"', '\'']) {
        // A JSON text inside another one has a backslash before its quotes.
        Some(quoted) => names_secret(quoted.trim_end_matches('\\'), &NAMES).then_some(Form::Json),
        None => names_secret(key, &NAMES[..PASSWORDS]).then_some(Form::Debug),
    }
}

/// Whether the word at the end of `text` is the name of a secret.
fn names_secret(text: &str, names: &[&str]) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let from = text.rfind(|c| !is_name(c)).map_or(0, |at| {
        at + text[at..].chars().next().map_or(0, char::len_utf8)
    });
    let key: String = text[from..]
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    WHOLE_NAMES.contains(&key.as_str()) || names.iter().any(|end| key.ends_with(end))
}

/// How many bytes of `value` belong to a secret in quotes, with the `Some` around it; 0 without quotes.
fn debug_length(value: &str) -> usize {
    let inner = value.strip_prefix("Some(").unwrap_or(value);
    let some = value.len() - inner.len();
    match inner.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let end = some + quoted_length(inner, quote);
            end + usize::from(some > 0 && value[end..].starts_with(')'))
        }
        _ => 0,
    }
}

/// How many bytes of `value` belong to a secret, up to a blank.
fn length(value: &str) -> usize {
    if is_hidden(value) {
        return HIDDEN.len();
    }
    let quoted = match value.chars().next() {
        Some(quote @ ('\'' | '"')) => quoted_length(value, quote),
        Some('{') => quoted_length(value, '}'),
        _ => 0,
    };
    let plain = quoted + plain_length(&value[quoted..]);
    if quoted == 0 {
        return plain;
    }
    // After a closing quote, a separator ends the value even without a blank.
    let tail = &value[quoted..plain];
    quoted + tail.find(SEPARATORS).unwrap_or(tail.len())
}

/// Whether a secret stood here that is hidden already.
fn is_hidden(value: &str) -> bool {
    value.strip_prefix(HIDDEN).is_some_and(|rest| {
        let next = rest.chars().next();
        next.is_none_or(|c| c.is_whitespace() || SEPARATORS.contains(&c))
    })
}

/// How much of the text behind the first word of a value belongs to it in the ODBC form: all up to a `;`, unless
/// another key or a URL comes first. What stands in quotes or is hidden is whole by itself.
fn beyond_blanks(value: &str) -> usize {
    if is_hidden(value) || value.starts_with(['\'', '"', '{']) {
        return 0;
    }
    let text = &value[plain_length(value)..];
    match text.find([';', '=', '\n']) {
        Some(at) if text.as_bytes()[at] == b';' && !text[..at].contains("://") => at,
        _ => 0,
    }
}

/// Length of a text up to a blank that no backslash keeps in.
fn plain_length(value: &str) -> usize {
    let mut escaped = false;
    let end = value.find(|c: char| {
        let ends = c.is_whitespace() && (!escaped || c == '\n');
        escaped = c == '\\' && !escaped;
        ends
    });
    end.unwrap_or(value.len())
}

/// Length of a quoted text with its quotes, where a backslash or doubling keeps a quote inside; an
/// unclosed one runs to the end of the text.
fn quoted_length(value: &str, close: char) -> usize {
    let mut chars = value.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && close != '}' {
            chars.next();
        } else if c == close {
            match chars.peek() {
                Some((_, next)) if *next == close => {
                    chars.next();
                }
                _ => return at + c.len_utf8(),
            }
        }
    }
    value.len()
}
