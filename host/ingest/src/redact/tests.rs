//! Credentials of every form, in texts of every kind.

use proptest::{prelude::*, sample::select};

use super::*;

#[track_caller]
fn check(input: &str, expected: &str) {
    assert_eq!(redact_dsn(input), expected, "for {input}");
}

#[test]
fn addresses_lose_their_credentials() {
    check("postgres://u:p@h:5432/db", "postgres://***@h:5432/db");
    check("mysql://u:p%40ss@h/db", "mysql://***@h/db");
    check("postgres://u:p@ss:w/rd@h/db", "postgres://***@h/db");
    check(
        "postgres://u:p@[::1]:5432/db",
        "postgres://***@[::1]:5432/db",
    );
    check("postgres://u@h/db", "postgres://***@h/db");
    check("mongodb+srv://u:a b@h/db x", "mongodb+srv://***@h/db x");
    check("x://u:p\"q@h", "x://***@h");
    check("x://u:a@b\"c@h rest", "x://***@h rest");
    check("x://u:1/2@h", "x://***@h");
    check("x://u:p://q@h", "x://***@h");
    check("x://h/d?sslpassword=a@b", "x://***");
    check("password=Q:@z user=u", "*** user=u");
    check("s3://token@bucket/key", "s3://***@bucket/key");
    check("a://u:p@h,b://u:q@i", "a://***@i");
    check("['a://u:p@h','b://u:q@i']", "['a://***@h','b://***@i']");
    check("a://u:p@h to b://u:q@i", "a://***@h to b://***@i");
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
        "jdbc:postgresql://h/d?user=u&password=s x",
        "jdbc:postgresql://h/d?user=u&password=*** x",
    );
    check("x://h/d?sslpassword=s", "x://h/d?sslpassword=***");
    check(
        "https://b/k?X-Amz-Signature=ab12",
        "https://b/k?X-Amz-Signature=***",
    );
}

#[test]
fn documents_lose_their_values() {
    check(
        "{\"password\": \"s\", \"a\": 1}",
        "{\"password\": ***, \"a\": 1}",
    );
    check("{'pwd': 's', 'a': 1}", "{'pwd': ***, 'a': 1}");
    check(
        "Config { user: \"u\", password: Some(\"a \\\" b\"), db: None }",
        "Config { user: \"u\", password: ***, db: None }",
    );
    check(
        "Opts { pass: \"s\", port: 1 }",
        "Opts { pass: ***, port: 1 }",
    );
    let escaped = redact_dsn("log: {\\\"password\\\":\\\"hunter2\\\"}");
    assert!(!escaped.contains("hunter2"), "{escaped}");
}

#[test]
fn harmless_texts_stay() {
    for text in HARMLESS {
        check(text, text);
    }
    check("", "");
}

/// A reader that looked ahead for every word would not come to an end here.
#[test]
fn long_texts_of_the_worst_kind_are_read_once() {
    for worst in [
        "a://b:c ",
        "a://b@c\"",
        "pwd=a ",
        "\"pwd\":a ",
        "pwd: \"a",
        "= ",
        "x:",
    ] {
        let long = worst.repeat(200_000);
        let shown = redact_dsn(&long);
        assert_eq!(redact_dsn(&shown), shown);
    }
}

const HARMLESS: [&str; 14] = [
    "plain",
    "http://host:8080/a/b?c=d",
    "http://[::1]:80/",
    "postgres://one:5432,two:5433/db",
    "write to someone@example.org",
    "unexpected token: }",
    "expected token: \"}\"",
    "password authentication failed for user \"me\"",
    "a=b c = d",
    "speeches.csv",
    "s3://bucket/key.parquet",
    "C:\\folder\\file.csv",
    "design=x",
    "at 12:30, line 7: column 3",
];

/// A connection text around a secret. All that is not the secret is in lower case and has no 7.
fn dsn() -> impl Strategy<Value = (String, String)> {
    let secret = "[@:/?#%&=;!$*()+,.a-z]{0,10}".prop_map(|odd| format!("Q{odd}7Z"));
    let host = select(&["host", "db.example.org:5432", "[::1]:5432", "1.2.3.4"]);
    let scheme = "[a-z][a-z+.-]{0,8}";
    (secret, host, scheme, "[a-z]{1,8}", 0..10_usize).prop_map(
        |(secret, host, scheme, user, form)| {
            let encoded: String = secret
                .bytes()
                .map(|b| match b.is_ascii_alphanumeric() {
                    true => char::from(b).to_string(),
                    false => format!("%{b:02x}"),
                })
                .collect();
            let quoted = secret.replace('\'', "''");
            let text = match form {
                0 => format!("{scheme}://{user}:{secret}@{host}/db"),
                1 => format!("{scheme}://{user}:{encoded}@{host}/db?a=b"),
                2 => format!("{scheme}://{secret}@{host}/db"),
                // With `://` in it this is a URL of an odd scheme.
                3 => format!("{user}:{}@{host}", secret.replace("://", "::")),
                4 => format!("host={host} password={secret} user={user}"),
                5 => format!("host={host} password = '{quoted} {quoted}' user={user}"),
                6 => format!("server={host};pwd={{{secret}}};database=db"),
                7 => format!("jdbc:{scheme}://{host}/db?user={user}&sslpassword={encoded}"),
                8 => format!("{{\"host\": \"{host}\", \"password\": \"{secret}\"}}"),
                _ => format!("opts {{ pass: some, password: Some(\"{secret}\") }}"),
            };
            (text, secret)
        },
    )
}

proptest! {
    #[test]
    fn no_secret_survives_whatever_stands_around_it(
        before in "[a-z \n]{0,12}",
        parts in prop::collection::vec((dsn(), "[a-z \n]{0,12}"), 1..4),
    ) {
        let mut text = before;
        for ((dsn, _), after) in &parts {
            text += &format!(" {dsn} {after}");
        }
        let shown = redact_dsn(&text);
        for ((_, secret), _) in &parts {
            prop_assert!(!shown.contains(secret.as_str()), "{} of {}", shown, text);
        }
        prop_assert!(!shown.contains('Q') && !shown.contains("7Z"), "{} of {}", shown, text);
        prop_assert_eq!(redact_dsn(&shown), shown);
    }

    #[test]
    fn the_host_of_a_url_stays(
        scheme in "[a-z][a-z0-9+.-]{0,8}",
        user in "[a-z]{1,8}",
        odd in "[@:/?#%&=;!$*()+,a-z]{0,10}",
        after in "( [a-z ]{0,12})?",
    ) {
        let shown = redact_dsn(&format!("to {scheme}://{user}:Q{odd}7Z@host/db{after}"));
        prop_assert!(shown.starts_with("to "), "{}", shown);
        let kept = format!("@host/db{after}");
        prop_assert!(shown.ends_with(&kept), "{}", shown);
    }

    #[test]
    fn what_stands_around_a_key_stays(
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
    fn texts_without_credentials_stay(words in prop::collection::vec(select(&HARMLESS), 0..8)) {
        let text = words.join(" ");
        prop_assert_eq!(redact_dsn(&text), text);
    }

    #[test]
    fn any_text_is_taken(text in "\\PC*") {
        let once = redact_dsn(&text);
        prop_assert_eq!(redact_dsn(&once), once);
    }

    #[test]
    fn texts_of_signs_are_taken(text in "[ab@:/=;'\"{}*\\\\, \npwd]{0,40}") {
        let once = redact_dsn(&text);
        prop_assert_eq!(redact_dsn(&once), once);
    }
}
