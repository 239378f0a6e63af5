//! Secrets: keys and tokens that open something.
//!
//! Issuers give their tokens a fixed beginning so that scanners find them; the beginnings, alphabets and
//! lengths here are those that they publish. What has no such beginning is a secret by its name and its
//! randomness: twenty characters or more of several classes in disorder are fair, fewer are weak, since
//! hashes and ids look alike. Fields in one text (`cell=3,node=A7`) are no disorder.

use super::{Grade, Match};
use crate::value::{Class, Value};

/// Beginnings of tokens with the fewest characters that follow.
const PREFIXES: [(&str, usize); 34] = [
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghu_", 30),
    ("ghs_", 30),
    ("ghr_", 30),
    ("github_pat_", 40),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("xoxa-", 20),
    ("xoxs-", 20),
    ("xapp-", 20),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("pk_live_", 16),
    ("pk_test_", 16),
    ("whsec_", 16),
    ("sk-", 32),
    ("SG.", 40),
    ("npm_", 30),
    ("pypi-", 40),
    ("dop_v1_", 40),
    ("hf_", 30),
    ("ya29.", 20),
    ("EAAC", 40),
    ("shpat_", 30),
    ("shpss_", 30),
    ("AGE-SECRET-KEY-1", 40),
    ("hvs.", 20),
    ("bh_", 24),
];

/// Fewest characters of a random string.
const RANDOM: usize = 20;

pub(crate) fn secret(value: &Value<'_>) -> Option<Match> {
    let text = value.text;
    if text.len() < 8 {
        return None;
    }
    if value.count(Class::Dash) >= 10
        && text.contains("-----BEGIN ")
        && text.contains("PRIVATE KEY")
    {
        return Some(Match::whole(Grade::Strong));
    }
    if value.count(Class::Space) == 0 {
        if is_token(text) || is_password_hash(text) {
            return Some(Match::whole(Grade::Strong));
        }
        return random(value).map(Match::whole);
    }
    let mut pieces = value.pieces(20);
    let found = pieces.any(|piece| {
        let piece = piece.trim_matches(['`', ':', '.']);
        is_token(piece) || is_password_hash(piece)
    });
    found.then_some(Match::within(Grade::Strong))
}

fn is_token(text: &str) -> bool {
    let known = |(prefix, least): &(&str, usize)| {
        let alike = prefix.as_bytes().first() == text.as_bytes().first();
        let rest = alike.then(|| text.strip_prefix(prefix)).flatten();
        rest.is_some_and(|rest| {
            let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.=".contains(&byte);
            rest.len() >= *least
                && rest.bytes().all(alphabet)
                && rest.bytes().any(|b| b.is_ascii_digit())
        })
    };
    text.len() > 16 && may_begin(text) && (PREFIXES.iter().any(known) || is_jwt(text))
}

/// Whether the first two bytes are those of some token.
fn may_begin(text: &str) -> bool {
    match text.as_bytes() {
        [b'A', second, ..] => b"KSIG".contains(second),
        [b'g', second, ..] => b"hil".contains(second),
        [b's', second, ..] => b"kh".contains(second),
        [b'h', second, ..] => b"fv".contains(second),
        [b'p', second, ..] => b"ky".contains(second),
        [b'x', second, ..] => b"oa".contains(second),
        [first, second, ..] => matches!(
            [*first, *second],
            [b'r', b'k']
                | [b'w', b'h']
                | [b'S', b'G']
                | [b'n', b'p']
                | [b'd', b'o']
                | [b'y', b'a']
                | [b'E', b'A']
                | [b'b', b'h']
                | [b'e', b'y']
        ),
        _ => false,
    }
}

/// Two parts of JSON in base64, which begins with `eyJ`, and a signature.
fn is_jwt(text: &str) -> bool {
    let mut parts = text.split('.');
    let json =
        |part: Option<&str>| part.is_some_and(|part| part.starts_with("eyJ") && part.len() >= 8);
    json(parts.next()) && json(parts.next()) && parts.next().is_some() && parts.next().is_none()
}

/// The beginnings of modular password hashes.
fn is_password_hash(text: &str) -> bool {
    let known = [
        "$2a$",
        "$2b$",
        "$2y$",
        "$argon2",
        "$6$",
        "$5$",
        "$1$",
        "pbkdf2_sha256$",
        "scrypt:",
    ];
    let possible = matches!(text.as_bytes(), [b'$' | b'p' | b's', ..]);
    text.len() >= 30 && possible && known.iter().any(|prefix| text.starts_with(prefix))
}

/// Characters of three classes in disorder.
fn random(value: &Value<'_>) -> Option<Grade> {
    let bytes = value.text.as_bytes();
    let classes = [Class::Upper, Class::Lower, Class::Digit].map(|class| value.count(class));
    let plain = value.count(Class::High) + value.count(Class::Dot) + value.count(Class::At);
    if bytes.len() < 8 || plain > 0 || classes.contains(&0) {
        return None;
    }
    let kind = |byte: &u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    let changes = bytes
        .windows(2)
        .filter(|pair| kind(&pair[0]) != kind(&pair[1]))
        .count();
    let disorder = changes * 5 >= bytes.len() * 2;
    // Base64 has marks that tokens seldom have.
    let marks = value.count(Class::Plus) + value.count(Class::Slash);
    let fields = value.text.trim_end_matches('=').contains([',', '=', ';']);
    let fair = bytes.len() >= RANDOM && !fields && (marks == 0 || bytes.len() == 40);
    disorder.then_some(if fair { Grade::Fair } else { Grade::Weak })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_passes_the_quick_look() {
        for (prefix, _) in PREFIXES {
            assert!(may_begin(prefix), "{prefix}");
        }
        assert!(may_begin("eyJ"));
    }

    #[test]
    fn tokens_are_known_by_their_beginning() {
        let check = |text: &str, expected: Option<Match>| {
            assert_eq!(
                secret(&Value::new(text).expect("has text")),
                expected,
                "{text}"
            );
        };
        let strong = Some(Match::whole(Grade::Strong));
        // Put together here so that scanners of source code do not take them for real ones.
        check(&format!("AKIA{}", "IOSFODNN7EXAMPLE"), strong);
        check(&format!("ghp_{}", "a1B2c3D4e5".repeat(4)), strong);
        check(
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
            strong,
        );
        check("-----BEGIN RSA PRIVATE KEY-----\nMIIE", strong);
        check(
            "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUV12",
            strong,
        );
        check(
            &format!("the key is ghp_{}", "a1B2c3D4e5".repeat(4)),
            Some(Match::within(Grade::Strong)),
        );
        check("x7Gh2Kp9Qw4Zt6Rb1cD3", Some(Match::whole(Grade::Fair)));
        check("x7Gh2Kp9Qw4Zt6Rb1", Some(Match::whole(Grade::Weak)));
        check("Kx=1,Mz=A7,Ty=3,Bq=9", Some(Match::whole(Grade::Weak)));
        for other in [
            "hello world this is text",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "550e8400-e29b-41d4-a716-446655440000",
            "AKIA",
            "version-1.2.3",
            "eyJ.eyJ.x",
            "sk-learn",
        ] {
            check(other, None);
        }
    }
}
