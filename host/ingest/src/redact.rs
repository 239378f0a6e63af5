//! Takes credentials out of texts: connection strings, messages that quote them, labels.
//!
//! Three forms are covered, wherever in the text they stand: `scheme://user:secret@host`,
//! `user:secret@host` without a scheme, and `password=secret` in the key=value forms of libpq, ODBC,
//! ADO and URL queries (also `"password": "secret"`). Passwords may hold `@`, `:`, `/`, quotes and
//! blanks. Where a text is ambiguous the longer reading wins: hiding too much of a message is a
//! nuisance, hiding too little is a leak. User names go with the secret. Redacting twice changes
//! nothing.

use std::ops::Range;

/// What stands where a credential stood.
const HIDDEN: &str = "***";

/// Last words of key names whose value is a secret, in lower case without separators.
const SECRET_KEYS: [&str; 10] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
];

/// The text with every credential replaced by `***`.
#[must_use]
pub fn redact_dsn(text: &str) -> String {
    let mut spans = Vec::new();
    address_spans(text, &mut spans);
    key_spans(text, &mut spans);
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

/// Finds what stands before the `@` of addresses.
fn address_spans(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(skip) = text[at..].find(|c: char| !is_break(c)) {
        let start = at + skip;
        let word = &text[start..start + word_end(&text[start..])];
        let (span, used) = match word.find("://") {
            Some(colon) => url_span(&text[start..], word, colon + 3),
            None => (bare_span(word), word.len()),
        };
        spans.extend(span.map(|span| start + span.start..start + span.end));
        at = start + used;
    }
}

fn is_break(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`')
}

fn word_end(text: &str) -> usize {
    text.find(is_break).unwrap_or(text.len())
}

/// The credentials of the URL in `word`, with which `text` begins, and how far it was read.
fn url_span(text: &str, word: &str, host: usize) -> (Option<Range<usize>>, usize) {
    if let Some(at) = word[host..].rfind('@') {
        return (Some(host..host + at), word.len());
    }
    if !looks_like_credentials(&word[host..]) {
        return (None, word.len());
    }
    // A blank or a quote inside the password: read on, in this line, to the word that holds the `@`.
    let line = text.split('\n').next().unwrap_or(text);
    let Some(first) = line[host..].find('@').map(|at| host + at) else {
        return (None, word.len());
    };
    let end = first + word_end(&line[first..]);
    let at = line[first..end].rfind('@').map_or(first, |at| first + at);
    (Some(host..at), end)
}

/// Whether the authority of a URL without `@` reads `name:something`, where something is no port.
fn looks_like_credentials(word: &str) -> bool {
    let authority = word.split(['/', '?', '#']).next().unwrap_or(word);
    if authority.starts_with('[') {
        return false;
    }
    authority.split_once(':').is_some_and(|(_, port)| {
        port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit() || b == b',')
    })
}

/// What stands before the `@` of `user:secret@host` without a scheme.
fn bare_span(word: &str) -> Option<Range<usize>> {
    let at = word.rfind('@')?;
    word[..at].contains(':').then_some(0..at)
}

/// Finds the values of keys that name a secret.
fn key_spans(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(mark) = text[at..].find(['=', ':']).map(|mark| at + mark) {
        let key = text[..mark].trim_end();
        at = mark + 1;
        let secret = match text.as_bytes()[mark] {
            b'=' => names_secret(key),
            // Only the JSON form: `token: unexpected` in a message is no secret.
            _ => key.strip_suffix('"').is_some_and(names_secret),
        };
        if secret {
            let value = text[at..].trim_start_matches([' ', '\t']);
            let start = text.len() - value.len();
            at = start + secret_length(value);
            if at > start {
                spans.push(start..at);
            }
        }
    }
}

/// Whether the word at the end of `text` is the name of a secret.
fn names_secret(text: &str) -> bool {
    let key: String = text
        .chars()
        .rev()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let key: String = key.chars().rev().collect();
    key == "pass" || SECRET_KEYS.iter().any(|end| key.ends_with(end))
}

/// How many bytes of `value` belong to a secret: a quoted text, or all up to a blank, and beyond the
/// blank while the next separator is the `;` of the ODBC form.
fn secret_length(value: &str) -> usize {
    if let Some(rest) = value.strip_prefix(HIDDEN)
        && rest
            .chars()
            .next()
            .is_none_or(|c| c.is_whitespace() || ";&,})]".contains(c))
    {
        return HIDDEN.len();
    }
    let quoted = match value.chars().next() {
        Some(quote @ ('\'' | '"')) => quoted_length(value, quote),
        Some('{') => quoted_length(value, '}'),
        _ => 0,
    };
    let mut escaped = false;
    let plain = value[quoted..]
        .find(|c: char| {
            let ends = c.is_whitespace() && (!escaped || c == '\n');
            escaped = c == '\\' && !escaped;
            ends
        })
        .map_or(value.len(), |at| quoted + at);
    if quoted > 0 {
        // After a closing quote, a separator ends the value even without a blank.
        let tail = &value[quoted..plain];
        return quoted
            + tail
                .find([';', '&', ',', '}', ')', ']'])
                .unwrap_or(tail.len());
    }
    let line = value[plain..]
        .find('\n')
        .map_or(value.len(), |at| plain + at);
    match value[plain..line].find([';', '=']) {
        Some(at) if value.as_bytes()[plain + at] == b';' => plain + at,
        _ => plain,
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(input: &str, expected: &str) {
        assert_eq!(redact_dsn(input), expected, "for {input}");
    }

    #[test]
    fn addresses_lose_their_credentials() {
        check("postgres://u:p@h:5432/db", "postgres://***@h:5432/db");
        check("mysql://u:p%40ss@h/db", "mysql://***@h/db");
        check("postgres://u:p@ss:w/rd@h/db", "postgres://***@h/db");
        check("mongodb+srv://u:a b@h/db x", "mongodb+srv://***@h/db x");
        check("x://u:p\"q@h", "x://***@h");
        check("x://u:1/2@h", "x://***@h");
        check("x://u:p://q@h", "x://***@h");
        check("x://h/d?sslpassword=a@b", "x://***");
        check("password=Q:@z user=u", "*** user=u");
        check("s3://token@bucket/key", "s3://***@bucket/key");
        check("a://u:p@h,b://u:q@i", "a://***@i");
        check(
            "cannot reach 'pg://u:p@h/d': refused",
            "cannot reach 'pg://***@h/d': refused",
        );
        check("u:p@tcp(h:3306)/db", "***@tcp(h:3306)/db");
        check("jdbc:oracle:thin:scott/tiger@//h:1521/x", "***@//h:1521/x");
    }

    #[test]
    fn keys_lose_their_values() {
        check("host=h password=s dbname=d", "host=h password=*** dbname=d");
        check("password = 'it\\'s odd' user=u", "password = *** user=u");
        check("password='it''s' user=u", "password=*** user=u");
        check("password=a\\ b user=u", "password=*** user=u");
        check(
            "Server=h;Pwd=my pass;Database=d",
            "Server=h;Pwd=***;Database=d",
        );
        check("PWD={a;b};Server=h", "PWD=***;Server=h");
        check("PGPASSWORD=s psql", "PGPASSWORD=*** psql");
        check(
            "{\"password\": \"s\", \"a\": 1}",
            "{\"password\": ***, \"a\": 1}",
        );
        check("x://h/d?sslpassword=s", "x://h/d?sslpassword=***");
    }

    #[test]
    fn harmless_texts_stay() {
        for text in [
            "",
            "plain",
            "http://host:8080/a/b?c=d",
            "http://[::1]:80/",
            "write to someone@example.org",
            "unexpected token: }",
            "a=b c = d",
            "speeches.csv",
            "s3://bucket/key.parquet",
            "C:\\folder\\file.csv",
        ] {
            check(text, text);
        }
    }

    proptest! {
        #[test]
        fn no_url_leaks_and_twice_is_once(
            before in "[a-z \n]{0,12}",
            scheme in "[a-z][a-z0-9+.-]{0,8}",
            user in "[a-z]{1,8}",
            odd in "[@:/?#%&=;!$*()+,a-z]{0,10}",
            after in "( [a-z ]{0,12})?",
        ) {
            let secret = format!("Q{odd}7Z");
            let text = format!("{before} {scheme}://{user}:{secret}@host/db{after}");
            let shown = redact_dsn(&text);
            prop_assert!(!shown.contains(&secret) && !shown.contains("7Z"), "{}", shown);
            prop_assert!(shown.contains("@host/db"), "{}", shown);
            prop_assert_eq!(redact_dsn(&shown), shown);
        }

        #[test]
        fn no_key_leaks(
            key in "(password|PASSWORD|pwd|sslpassword|aws_secret_access_key|api_token)",
            odd in "[@:/?#%&=;!$*()+,a-z]{0,10}",
        ) {
            let secret = format!("Q{odd}7Z");
            for text in [
                format!("host=h {key}={secret} user=u"),
                format!("host=h {key} = '{secret}' user=u"),
            ] {
                let shown = redact_dsn(&text);
                prop_assert!(!shown.contains("7Z"), "{}", shown);
                prop_assert!(shown.starts_with("host=h ") && shown.ends_with(" user=u"), "{}", shown);
            }
        }

        #[test]
        fn any_text_is_taken(text in "\\PC*") {
            let once = redact_dsn(&text);
            prop_assert_eq!(redact_dsn(&once), once);
        }
    }
}
