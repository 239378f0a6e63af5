//! Whole columns through the detector: what must be found under clear, opaque and misleading names,
//! and what must not.

use boathouse_sdk::Pii;
use boathouse_sdk::pii::{Column, Finding, Scope, Table};

use crate::{Detector, THRESHOLD};

const EMAILS: &[&str] = &[
    "ann@example.com",
    "bob.b@mail.example.org",
    "c+d@sub.example.co.uk",
    "jörg@müller.de",
];
const PHONES: &[&str] = &[
    "+49 30 1234567",
    "+33 1 23 45 67 89",
    "(415) 555-2671",
    "020 7946 0958",
];
const PEOPLE: &[&str] = &[
    "Maria Garcia",
    "John Smith",
    "Zoë Müller",
    "Kenji Tanaka",
    "Anna Kowalska",
];
const GIVEN: &[&str] = &[
    "Maria", "John", "Fatima", "Kenji", "Giulia", "Pavel", "Ngozi", "Zoë",
];
const CARDS: &[&str] = &[
    "4111111111111111",
    "5500 0000 0000 0004",
    "378282246310005",
    "6011-1111-1111-1117",
    "3530111333300000",
];
const IBANS: &[&str] = &[
    "DE89 3704 0044 0532 0130 00",
    "DE75512108001245126199",
    "DE02120300000000202051",
];
const SSNS: &[&str] = &["536-22-8726", "219-45-1234", "001-01-0001", "772-31-9999"];
const ADDRESSES_OF_MACHINES: &[&str] = &[
    "203.0.113.95",
    "2001:db8::8a2e:370:7334",
    "192.168.17.4",
    "10.1.2.3",
];
const URLS: &[&str] = &[
    "https://example.com/a",
    "http://b.example.org",
    "www.example.net/x?y=z",
];
const BIRTHDAYS: &[&str] = &[
    "1985-03-12",
    "1942-11-02",
    "1999-07-30",
    "1967-01-01",
    "2003-05-17",
    "1958-09-09",
    "1979-12-24",
    "1988-02-14",
    "1951-06-21",
    "1993-10-08",
    "1974-04-30",
];
const STREETS: &[&str] = &[
    "221B Baker Street",
    "Hauptstraße 12, 10115 Berlin",
    "12 rue de la Paix",
    "5 Elm Avenue",
];
const VERSIONS: &[&str] = &["1.2.3.4", "2.0.0.1", "10.0.1.2", "3.14.1.0", "12.3.4.5"];

fn column(name: &str, declared: &str, values: &[&str]) -> Column {
    Column::new(name, declared).with_values(values.iter().map(|value| (*value, 1)))
}

fn detect(columns: Vec<Column>) -> Vec<Finding> {
    let table = Table {
        name: "table".to_owned(),
        columns,
        ..Table::default()
    };
    let findings = Detector::detect(&table).expect("always answers");
    for finding in &findings {
        let evidence = finding.evidence;
        assert!(
            (THRESHOLD..1.0).contains(&finding.confidence),
            "{finding:?}"
        );
        assert!((0.0..=1.0).contains(&evidence.name_evidence), "{finding:?}");
        assert!(evidence.matched <= evidence.tested, "{finding:?}");
        assert!(evidence.checksum_passed <= evidence.matched, "{finding:?}");
    }
    findings
}

/// The kinds found in a column of text that stands alone; `~` marks those of some values only.
fn found(name: &str, declared: &str, values: &[&str]) -> String {
    let findings = detect(vec![column(name, declared, values)]);
    let kinds = findings.iter().map(|finding| match finding.scope {
        Scope::WholeColumn => finding.kind.clone(),
        Scope::SomeValues => format!("~{}", finding.kind),
    });
    kinds.collect::<Vec<_>>().join(" ")
}

fn check(name: &str, values: &[&str], expected: &str) {
    assert_eq!(
        found(name, "Utf8", values),
        expected,
        "{name}: {:?}",
        values.first()
    );
}

fn check_typed(name: &str, declared: &str, values: &[&str], expected: &str) {
    assert_eq!(
        found(name, declared, values),
        expected,
        "{name}: {declared}"
    );
}

/// Repeatable digits without a pattern.
fn digits(count: usize, length: usize) -> Vec<String> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + u8::try_from(state % 10).expect("a digit"))
    };
    (0..count)
        .map(|_| (0..length).map(|_| next()).collect())
        .collect()
}

fn borrowed(values: &[String]) -> Vec<&str> {
    values.iter().map(String::as_str).collect()
}

#[test]
fn clear_names() {
    check("email", EMAILS, "email");
    check("customerEmailAddress", EMAILS, "email");
    check("phone", PHONES, "phone");
    check("Téléphone", PHONES, "phone");
    check("full_name", PEOPLE, "person_name");
    check("first_name", GIVEN, "person_name");
    check("name", PEOPLE, "person_name");
    check("credit_card_number", CARDS, "credit_card");
    check("iban", IBANS, "iban");
    check("ssn", SSNS, "us_ssn");
    check("ip_address", ADDRESSES_OF_MACHINES, "ip_address");
    check("homepage", URLS, "url");
    check("date_of_birth", BIRTHDAYS, "date_of_birth");
    check("geburtsdatum", BIRTHDAYS, "date_of_birth");
    check("street", STREETS, "postal_address");
    check("billing_address", STREETS, "postal_address");
}

#[test]
fn opaque_names() {
    check("c7", EMAILS, "email");
    check("c7", PHONES, "phone");
    check("c7", PEOPLE, "person_name");
    check("c7", CARDS, "credit_card");
    check("c7", IBANS, "iban");
    check("c7", SSNS, "us_ssn");
    check("c7", ADDRESSES_OF_MACHINES, "ip_address");
    check("c7", URLS, "url");
    check("c7", STREETS, "postal_address");
    check("c7", BIRTHDAYS, "");
}

#[test]
fn misleading_names() {
    check("phone", EMAILS, "email");
    check("email", PHONES, "phone");
    check("email_verified", EMAILS, "email");
    check("iban", CARDS, "credit_card");
    check("version", ADDRESSES_OF_MACHINES, "ip_address");
    check("order_id", EMAILS, "email");
    check("company", IBANS, "iban");
    check("email", &["true", "false"], "");
    check("ssn", &["red", "green", "blue"], "");
    check("first_name", &["12", "15", "19"], "");
    check("credit_card", &["visa", "mastercard", "amex"], "");
}

#[test]
fn weak_forms_need_the_name() {
    let numbers = ["4155552671", "2125550123", "6465559876", "3035554444"];
    check("phone", &numbers, "phone");
    check_typed("mobile_number", "Int64", &numbers, "phone");
    check_typed("c7", "Int64", &numbers, "");
    check_typed("order_id", "Int64", &numbers, "");
    check(
        "c7",
        &["536228726", "219451234", "001010001", "772319999"],
        "",
    );
    check(
        "ssn",
        &["536228726", "219451234", "001010001", "772319999"],
        "us_ssn",
    );
    check(
        "vorname",
        &["Xabier", "Ainhoa", "Eneko", "Garazi"],
        "person_name",
    );
    check("c7", &["Xabier", "Ainhoa", "Eneko", "Garazi"], "");
    check("ip", &["8.8.8.8", "1.1.1.1", "9.9.9.9"], "ip_address");
}

#[test]
fn harmless_columns() {
    check("email_verified", &["true", "false"], "");
    check("email_count", &["1", "2", "3"], "");
    check("phone_type", &["home", "work", "mobile"], "");
    check("card_type", &["Visa", "Mastercard", "Amex"], "");
    check("ip_allowed", &["yes", "no"], "");
    check("version", VERSIONS, "");
    check("c7", VERSIONS, "");
    check(
        "created_at",
        &[
            "2024-01-15 10:30:00",
            "2024-01-16 11:00:00",
            "2023-05-05 00:00:01",
        ],
        "",
    );
    check(
        "order_id",
        &["ORD-2024-0001", "ORD-2024-0002", "ORD-2024-0003"],
        "",
    );
    check(
        "id",
        &[
            "550e8400-e29b-41d4-a716-446655440000",
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        ],
        "",
    );
    check(
        "sha1",
        &[
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
        ],
        "",
    );
}

#[test]
fn harmless_words() {
    check("name", &["libfoo-dev", "python3-bar", "gcc", "zlib1g"], "");
    check(
        "name",
        &["Red Apple", "Green Pear", "Blue Plum", "Sweet Corn"],
        "",
    );
    check("color", &["Red", "Green", "Brown", "Black", "White"], "");
    check(
        "company",
        &["Smith Ltd", "Garcia Group", "Miller & Sons", "Jones Inc"],
        "",
    );
    check("month", &["April", "May", "June", "August", "January"], "");
    check(
        "depends",
        &[
            "libc6 (>= 2.34)",
            "python3:any, foo",
            "bar | baz (<< 1.2.3.4)",
        ],
        "",
    );
    check(
        "git",
        &["git@github.com:org/repo.git", "git@gitlab.com:org/repo.git"],
        "",
    );
    check("duration", &["00:10:30", "01:00:00"], "");
}

#[test]
fn harmless_types_and_numbers() {
    check_typed("email", "Boolean", &["true", "false"], "");
    check_typed("price", "Float64", &["12.5", "99.99", "4155552671.0"], "");
    check_typed("year", "Int32", &["1985", "1999", "2003"], "");
    check_typed(
        "size",
        "Int64",
        &["123456789", "536228726", "772319999"],
        "",
    );
    check_typed("installed_size", "UInt64", &["4111", "5500"], "");
    check_typed(
        "epoch",
        "Int64",
        &["1700000000", "1700000100", "1699999999"],
        "",
    );
    check_typed("released", "Date32", BIRTHDAYS, "");
    check_typed(
        "order_date",
        "Date32",
        &["2024-01-01", "2024-02-01", "2023-03-01"],
        "",
    );
    check_typed(
        "updated_at",
        "Timestamp(Microsecond, None)",
        &["2024-01-01T10:00:00", "2024-02-01T00:00:00"],
        "",
    );
    check_typed(
        "birth_date",
        "Timestamp(Microsecond, None)",
        &["1985-03-12T00:00:00", "1990-04-01T00:00:00"],
        "date_of_birth",
    );
    check_typed("dob", "Date32", BIRTHDAYS, "date_of_birth");
    check_typed(
        "dob",
        "Int32",
        &["19850312", "19421102", "19990730"],
        "date_of_birth",
    );
    check_typed(
        "card_number",
        "Int64",
        &["4111111111111111", "5500000000000004", "378282246310005"],
        "credit_card",
    );
}

#[test]
fn random_digits_are_no_cards() {
    for length in [9, 10, 12, 13, 14, 15, 16, 19] {
        let values = digits(500, length);
        for declared in ["Utf8", "Int64"] {
            for name in ["id", "c7", "order_id", "tracking_number"] {
                check_typed(name, declared, &borrowed(&values), "");
            }
        }
    }
    let ids: Vec<String> = (0..300_u64)
        .map(|index| (4_000_000_000_000_000 + index).to_string())
        .collect();
    check("c7", &borrowed(&ids), "");
}

#[test]
fn test_cards_under_a_clear_name() {
    let wrong = ["4111111111111112", "5500000000000005", "378282246310006"];
    check("credit_card_number", &wrong, "credit_card");
    check("c7", &wrong, "");
    check("c7", &["4111111111111111"], "");
    check("c7", &["4111111111111111", "1234", "5678"], "");
}

#[test]
fn mail_and_name_together() {
    let maintainers = [
        "Matthias Klose <doko@debian.org>",
        "Debian Python Team <team+python@tracker.debian.org>",
        "Maria Garcia <maria@example.org>",
    ];
    check("maintainer", &maintainers, "~email ~person_name");
    check("maintainer", &maintainers[..2], "~email ~person_name");
    check("c7", &maintainers[1..2], "~email");
    check("author", &["Smith, John", "Garcia, Maria"], "person_name");
}

#[test]
fn free_text() {
    let prose = |every: usize, piece: &str| -> Vec<String> {
        let text = |index: usize| match index % every {
            0 => format!("note {index}: {piece} as agreed"),
            _ => format!("note {index}: nothing to see here"),
        };
        (0..100).map(text).collect()
    };
    check(
        "notes",
        &borrowed(&prose(4, "write to ann@example.com")),
        "~email",
    );
    check(
        "notes",
        &borrowed(&prose(20, "write to ann@example.com")),
        "~email",
    );
    check(
        "notes",
        &borrowed(&prose(4, "see https://example.com/x")),
        "~url",
    );
    check(
        "notes",
        &borrowed(&prose(25, "see https://example.com/x")),
        "",
    );
    check(
        "notes",
        &borrowed(&prose(4, "paid with 4111 1111 1111 1111")),
        "~credit_card",
    );
    check(
        "notes",
        &borrowed(&prose(4, "call +49 30 1234567")),
        "~phone",
    );
    check(
        "notes",
        &borrowed(&prose(4, "from 203.0.113.95")),
        "~ip_address",
    );
    check("notes", &borrowed(&prose(100, "nothing")), "");
}

#[test]
fn people_next_door_speak_for_a_birthday() {
    let both = detect(vec![
        column("c1", "Utf8", PEOPLE),
        column("c2", "Date32", BIRTHDAYS),
    ]);
    let kinds: Vec<_> = both
        .iter()
        .map(|finding| (finding.column, finding.kind.as_str()))
        .collect();
    assert_eq!(kinds, [(0, "person_name"), (1, "date_of_birth")]);
    let narrow = [
        "1999-01-01",
        "1999-02-01",
        "1999-03-01",
        "1999-04-01",
        "2000-05-01",
    ];
    let narrow = detect(vec![
        column("c1", "Utf8", PEOPLE),
        column("c2", "Date32", &narrow),
    ]);
    assert_eq!(
        narrow.len(),
        1,
        "years of one school class are years of anything"
    );
}

#[test]
fn evidence_is_counted() {
    let mixed = column(
        "iban",
        "Utf8",
        &[
            "DE89370400440532013000",
            "DE75512108001245126199",
            "DE00512108001245126199",
            "n/a",
            "",
            "lost",
        ],
    );
    let findings = detect(vec![column("x", "Int64", &[]), mixed]);
    assert_eq!(findings.len(), 1);
    let finding = &findings[0];
    assert_eq!((finding.column, finding.kind.as_str()), (1, "iban"));
    assert_eq!(finding.country.as_deref(), Some("DE"));
    let evidence = finding.evidence;
    assert_eq!(
        (evidence.tested, evidence.matched, evidence.checksum_passed),
        (4, 3, 2)
    );
    assert!((evidence.name_evidence - 1.0).abs() < 1e-12);
}

#[test]
fn strange_columns() {
    assert_eq!(detect(Vec::new()), Vec::new());
    for name in ["", "email", "💧", "\u{0}\n", "c7"] {
        check(name, &[], "");
        check(name, &["", " ", "N/A", "null"], "");
    }
    check("email", &["ann@example.com"], "email");
    check("c7", &["ann@example.com"], "email");
    check(
        "c7",
        &["\u{0}\u{1}", "💧💧", "\u{feff}", "ß", "ﷺ", "e\u{301}"],
        "",
    );
    let mut nothing = Column::new("email", "Utf8");
    (nothing.rows, nothing.nulls) = (1_000_000, 1_000_000);
    assert_eq!(detect(vec![nothing]), Vec::new());
}

#[test]
fn a_megabyte_in_one_value() {
    for unit in [
        "a", "@", "1", "a@b.co ", "+", "1.", ":", "é", "Maria ", "4111-", "<", "http://",
    ] {
        let long = unit.repeat((1 << 20) / unit.len());
        detect(vec![column("c7", "Utf8", &[&long])]);
    }
}

#[test]
fn soup_of_every_alphabet() {
    let pieces = [
        "0", "9", "A", "z", "é", "李", " ", "-", ".", "@", ":", "/", "+", "(", ")", ",", "0x",
        "1.", "::", "eyJ", "DE89", "bc1", "\u{301}", "\u{a0}", "\u{3000}", "💧", "'", "O'", "ul.",
        "@a.b", "+49", "19", "http://",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |range: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % range
    };
    let soup: Vec<String> = (0..4_000)
        .map(|_| (0..=next(24)).map(|_| pieces[next(pieces.len())]).collect())
        .collect();
    for (values, name) in soup.chunks(100).zip(soup.iter().cycle()) {
        for declared in ["Utf8", "Int64", "Float64", "Date32"] {
            detect(vec![column(name, declared, &borrowed(values))]);
        }
    }
}

#[test]
fn kinds_of_many_countries() {
    let columns = [
        (
            "cpf",
            &["111.444.777-35", "529.982.247-25", "390.533.447-05"][..],
            "national_id BR",
        ),
        (
            "c7",
            &["111.444.777-35", "529.982.247-25", "390.533.447-05"][..],
            "national_id BR",
        ),
        (
            "pesel",
            &["44051401359", "02070803628", "80111722002"][..],
            "national_id PL",
        ),
        (
            "nhs_number",
            &["943 476 5919", "956 680 9913", "980 155 5807"][..],
            "health_id GB",
        ),
        ("imei", &["490154203237518", "356938035643809"][..], "imei "),
        (
            "vin",
            &["1M8GDM9AXKP042788", "1HGCM82633A004352"][..],
            "vin ",
        ),
        (
            "wallet",
            &["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"][..],
            "crypto_wallet ",
        ),
        ("passport_no", &["C01X00T47", "123456789"][..], "passport "),
        ("order_no", &["C01X00T47", "123456789"][..], ""),
    ];
    for (name, values, expected) in columns {
        let found = detect(vec![column(name, "Utf8", values)]);
        let found = found.iter().map(|finding| {
            let country = finding.country.as_deref().unwrap_or_default();
            format!("{} {country}", finding.kind)
        });
        assert_eq!(found.collect::<Vec<_>>().join(", "), expected, "{name}");
    }
}

#[test]
fn phones_are_no_health_numbers() {
    let numbers: Vec<String> = digits(200, 9)
        .iter()
        .map(|rest| format!("4{rest}"))
        .collect();
    let found = found("phone", "Utf8", &borrowed(&numbers));
    assert!(
        !found.contains("health_id") && !found.contains("national_id"),
        "{found}"
    );
}

/// Whole numbers from `first` on, at uneven steps of up to `step`.
fn ascending(count: usize, first: u64, step: u64) -> Vec<String> {
    let steps = digits(count, 4);
    let steps = steps
        .iter()
        .map(|step| step.parse::<u64>().expect("digits"));
    let mut last = first;
    steps
        .map(|share| {
            last += 1 + step * share / 10_000;
            last.to_string()
        })
        .collect()
}

#[test]
fn clocks_are_no_numbers_of_people() {
    let names = ["unix_ts", "timestamp", "created_at", "c3", "value"];
    for count in [3, 5, 20, 300] {
        for first in [1_000_000_000, 1_612_000_000, 1_700_000_000, 1_709_000_000] {
            let seconds = ascending(count, first, 3_000_000 / count as u64);
            let millis: Vec<String> = seconds.iter().map(|time| format!("{time}123")).collect();
            for (name, declared) in names
                .into_iter()
                .flat_map(|name| [(name, "Int64"), (name, "Utf8")])
            {
                check_typed(name, declared, &borrowed(&seconds), "");
                check_typed(name, declared, &borrowed(&millis), "");
            }
        }
    }
    let mut never = ascending(99, 1_700_000_000, 100_000);
    never.push("0".to_owned());
    check_typed("c3", "Int64", &borrowed(&never), "");
}

#[test]
fn counters_whose_beginning_is_a_date_are_no_numbers_of_people() {
    for first in [3_004_000_000, 1_504_000_000, 101_700_000] {
        let values = ascending(200, first, 40_000);
        let values: Vec<String> = values.iter().map(|value| format!("{value:0>10}")).collect();
        check("c3", &borrowed(&values), "");
    }
    // Two digits a part: year, month, day, hour, minute, second.
    let stamps: Vec<String> = (1..=28).map(|day| format!("2403{day:02}101530")).collect();
    check("c3", &borrowed(&stamps), "");
}

#[test]
fn danish_numbers_are_found() {
    let serials = digits(40, 4);
    let births = (0..40).map(|n| (n * 7 % 31 + 1, n * 5 % 12 + 1, n * 13 % 100));
    let written = |mark: &str| -> Vec<String> {
        let pairs = births.clone().zip(&serials);
        pairs
            .map(|((day, month, year), serial)| {
                format!("{day:02}{month:02}{year:02}{mark}{serial}")
            })
            .collect()
    };
    check("cpr", &borrowed(&written("")), "national_id");
    check("c3", &borrowed(&written("")), "national_id");
    check("c3", &borrowed(&written("-")), "national_id");
    let findings = detect(vec![column("cpr", "Utf8", &borrowed(&written("-")))]);
    assert_eq!(findings[0].country.as_deref(), Some("DK"));
    assert_eq!(
        findings[0].evidence.checksum_passed, 0,
        "a date is no checksum"
    );
}

#[test]
fn articles_are_no_social_security_numbers() {
    let dashed = |digits: &String| format!("{}-{}-{}", &digits[..3], &digits[3..5], &digits[5..]);
    let articles: Vec<String> = digits(60, 9).iter().map(dashed).collect();
    let few = [
        "100-20-3000",
        "100-20-3001",
        "100-21-3000",
        "250-10-1000",
        "310-11-0042",
    ];
    for name in [
        "sku",
        "part_number",
        "PartNo",
        "order_id",
        "product_code",
        "item_no",
        "model",
        "invoice_number",
    ] {
        check(name, &borrowed(&articles), "");
        check(name, &borrowed(&articles[..20]), "");
        check(name, &few, "");
    }
}

#[test]
fn social_security_numbers_are_found_under_any_name_of_theirs() {
    let issued: Vec<String> = digits(60, 8)
        .iter()
        .map(|digits| format!("5{}-{}1-{}7", &digits[..2], &digits[2..3], &digits[3..6]))
        .collect();
    for name in ["ssn", "social_security_number", "c7", "x", "employee_ssn"] {
        check(name, &borrowed(&issued), "us_ssn");
        check(name, SSNS, "us_ssn");
    }
    check("order_id", &borrowed(&issued), "us_ssn");
}

#[test]
fn numbers_that_pass_by_chance_are_of_another_kind() {
    for count in [20, 60, 300] {
        let plots: Vec<String> = digits(count, 9)
            .iter()
            .map(|number| format!("{}-{}-{}", &number[..3], &number[3..6], &number[6..]))
            .collect();
        let entries: Vec<String> = digits(count * 3, 9)
            .iter()
            .map(|number| format!("{}-{}-{}", &number[..3], &number[3..5], &number[5..]))
            .collect();
        for name in ["apn", "plot", "c7"] {
            check(name, &borrowed(&plots), "");
            check(name, &borrowed(&entries), "");
        }
    }
}

/// Nine digits and the character that completes a sum weighted 10 to 2 to a multiple of eleven.
fn books(count: usize) -> Vec<String> {
    let complete = |body: &String| {
        let digits = body.bytes().map(|byte| usize::from(byte - b'0'));
        let sum: usize = digits.zip((2..=10).rev()).map(|(a, b)| a * b).sum();
        format!(
            "{body}{}",
            ["0", "X", "9", "8", "7", "6", "5", "4", "3", "2", "1"][sum % 11]
        )
    };
    digits(count, 9).iter().map(complete).collect()
}

#[test]
fn numbers_of_books_are_no_health_numbers() {
    for count in [3, 20, 200] {
        let all = books(count);
        let without_letters: Vec<String> = all
            .iter()
            .filter(|book| !book.ends_with('X'))
            .cloned()
            .collect();
        check("isbn10", &borrowed(&all), "");
        check("isbn", &borrowed(&without_letters), "");
        check("nhs_number", &borrowed(&without_letters), "health_id");
    }
    check("c7", &borrowed(&books(200)), "");
}

#[test]
fn stamps_are_no_numbers_of_people() {
    let nightly: Vec<String> = (0..60)
        .map(|n| {
            format!(
                "{}{:02}{:02}-{:02}30",
                22 + n % 3,
                n % 12 + 1,
                n % 28 + 1,
                n % 24
            )
        })
        .collect();
    let orders: Vec<String> = (0..60)
        .map(|n| {
            format!(
                "{}{:02}{:02}-{:04}",
                22 + n % 3,
                n % 12 + 1,
                n % 28 + 1,
                n * 163
            )
        })
        .collect();
    for name in ["nightly", "c7", "batch"] {
        check(name, &borrowed(&nightly), "");
        check(name, &borrowed(&nightly[..5]), "");
        check(name, &borrowed(&orders), "");
        check(name, &borrowed(&orders[..6]), "");
    }
}

#[test]
fn tails_of_aircraft_are_no_postcodes() {
    let letters = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
    let tails: Vec<String> = digits(40, 3)
        .iter()
        .enumerate()
        .map(|(n, digits)| {
            [letters[n % 23], letters[n * 7 % 24]]
                .map(char::from)
                .iter()
                .collect::<String>()
                + digits
        })
        .map(|tail| format!("N{}{}", &tail[2..], &tail[..2]))
        .collect();
    check("tail", &borrowed(&tails), "");
    check("c7", &borrowed(&tails), "");
}

#[test]
fn numbers_of_eight_digits_have_lost_no_zero() {
    let applications: Vec<String> = digits(60, 7)
        .iter()
        .map(|rest| format!("1{rest}"))
        .collect();
    let findings = detect(vec![
        column("inventor_name", "Utf8", PEOPLE),
        column("appl", "Int64", &borrowed(&applications)),
    ]);
    let found: Vec<_> = findings
        .iter()
        .map(|finding| (finding.column, finding.kind.as_str()))
        .collect();
    assert_eq!(found, [(0, "person_name")]);
    check_typed("ssn", "Int64", &borrowed(&applications), "us_ssn");
}

#[test]
fn numbers_with_a_check_may_look_like_times() {
    let cedulas: Vec<String> = digits(20, 6)
        .iter()
        .map(|rest| {
            let body = format!("170{rest}");
            let digits = body.bytes().map(|byte| u32::from(byte - b'0'));
            let doubled = digits.zip([2, 1].into_iter().cycle()).map(|(a, b)| a * b);
            let sum: u32 = doubled.map(|n| if n > 9 { n - 9 } else { n }).sum();
            format!("{body}{}", (10 - sum % 10) % 10)
        })
        .collect();
    for name in ["c7", "cedula", "id_number"] {
        check(name, &borrowed(&cedulas), "national_id");
    }
    check("c7", &borrowed(&cedulas[..3]), "");
}

#[test]
fn ids_and_hashes_are_no_secrets() {
    let random = [
        "x7Gh2Kp9Qw4Zt6Rb1cD3aB",
        "B4kL9mN2pQ7rS1tV6wX3yZ",
        "q1W2e3R4t5Y6u7I8o9P0aS",
    ];
    check("track_id", &random, "");
    check("asset_hash", &random, "");
    check("c7", &random, "secret");
    check("api_key", &random, "secret");
    // Put together here so that scanners of source code do not take it for a real one.
    let token = format!("ghp_{}", "a1B2c3D4e5".repeat(4));
    check("track_id", &[&token], "secret");
    check("hash", &[&format!("see {token} there")], "~secret");
    let fields = [
        "SubNet=1,Context=ENB101,Cell=3",
        "SubNet=1,Context=ENB274,Cell=1",
    ];
    check("dn", &fields, "");
}

#[test]
fn places_need_people_beside_them() {
    let degrees = ["52.5200", "48.1351", "53.5511", "50.9375"];
    assert_eq!(found("latitude", "Float64", &degrees), "");
    let both = detect(vec![
        column("latitude", "Float64", &degrees),
        column("email", "Utf8", EMAILS),
    ]);
    let kinds: Vec<_> = both.iter().map(|finding| finding.kind.as_str()).collect();
    assert_eq!(kinds, ["coordinates", "email"]);
}

#[test]
fn the_same_table_gives_the_same_answer() {
    let table = || {
        vec![
            column("a", "Utf8", EMAILS),
            column("b", "Utf8", PEOPLE),
            column("c", "Utf8", CARDS),
        ]
    };
    assert_eq!(detect(table()), detect(table()));
}

#[test]
fn it_says_what_it_is() {
    let description = Detector::describe();
    assert_eq!(description.name, "boathouse/pii");
    assert!(description.deterministic);
}
