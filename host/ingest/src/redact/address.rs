//! Credentials before the `@` of an address.
//!
//! A text is read word by word; a word ends at a blank or a quote. In a URL everything between `://` and the last
//! `@` of its word is hidden. A quote or a blank may belong to the password, then the `@` stands further on: when
//! the word has none and looks as if it needed one, the next `@` of the line ends the password; when a quote
//! follows the word at once, a later `@` that no blank separates from it does. A password that has an `@` and
//! after it a blank is not recognised whole, and `user:secret@host` with `://` in the password is taken for a URL.

use std::ops::Range;

/// Finds what stands before the `@` of addresses.
pub(super) fn find(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut next = Next {
        at_sign: Upcoming::of('@'),
        line_end: Upcoming::of('\n'),
    };
    let mut at = 0;
    while let Some(skip) = text[at..].find(|c: char| !is_break(c)) {
        let start = at + skip;
        let end = word_end(text, start);
        let (span, used) = match text[start..end].find("://") {
            Some(colon) => url(text, start + colon + 3..end, &mut next),
            None => (bare(text, start..end), end),
        };
        spans.extend(span);
        at = used;
    }
}

fn is_break(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`')
}

fn word_end(text: &str, from: usize) -> usize {
    text[from..]
        .find(is_break)
        .map_or(text.len(), |at| from + at)
}

/// Where a character comes next. It is looked for once, however often it is asked for.
struct Upcoming {
    wanted: char,
    known: Option<usize>,
}

struct Next {
    at_sign: Upcoming,
    line_end: Upcoming,
}

impl Upcoming {
    fn of(wanted: char) -> Self {
        Self {
            wanted,
            known: None,
        }
    }

    /// Its first place at `from` or behind, else the end of the text; `from` never goes back.
    fn from(&mut self, text: &str, from: usize) -> usize {
        match self.known {
            Some(known) if known >= from => known,
            _ => {
                let found = text[from..].find(self.wanted);
                let found = found.map_or(text.len(), |at| from + at);
                self.known = Some(found);
                found
            }
        }
    }
}

/// The credentials of a URL whose part behind `://` is `rest`, and how far the text was read.
fn url(text: &str, rest: Range<usize>, next: &mut Next) -> (Option<Range<usize>>, usize) {
    let Range { start, end } = rest;
    if let Some(at) = text[start..end].rfind('@') {
        let (at, used) = behind_quote(text, end).unwrap_or((start + at, end));
        return (Some(start..at), used);
    }
    if !needs_an_at_sign(&text[start..end]) {
        return (None, end);
    }
    // A blank or a quote inside the password: read on, in this line, to the word that holds the `@`.
    let first = next.at_sign.from(text, start);
    if first >= next.line_end.from(text, start) {
        return (None, end);
    }
    let end = word_end(text, first);
    let at = text[first..end].rfind('@').map_or(first, |at| first + at);
    (Some(start..at), end)
}

/// The last `@` behind a quote that ends a word, and where its word ends. A blank and the next URL are too far.
fn behind_quote(text: &str, quote: usize) -> Option<(usize, usize)> {
    let rest = &text[quote..];
    let first = rest.chars().next().filter(|c| !c.is_whitespace())?;
    let mut colon = false;
    let blank = rest
        .find(|c: char| {
            let is_url = colon && c == '/';
            colon = c == ':';
            c.is_whitespace() || is_url
        })
        .unwrap_or(rest.len());
    let at = rest[first.len_utf8()..blank].rfind('@')? + first.len_utf8();
    Some((quote + at, word_end(text, quote + at)))
}

/// Whether the authority of a URL without `@` reads `name:something`, where something is no port.
fn needs_an_at_sign(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let is_host = |host: &str| {
        let (name, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((name, port)) => (name, port.strip_prefix(':').unwrap_or(port)),
            None => host.split_once(':').unwrap_or((host, "0")),
        };
        !name.is_empty() && (port.is_empty() && host.ends_with(']') || is_port(port))
    };
    authority.contains(':') && !authority.split(',').all(is_host)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// What stands before the `@` of `user:secret@host` without a scheme.
fn bare(text: &str, word: Range<usize>) -> Option<Range<usize>> {
    let at = word.start + text[word.clone()].rfind('@')?;
    text[word.start..at].contains(':').then_some(word.start..at)
}
