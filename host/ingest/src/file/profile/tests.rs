//! The rules of the module, one line each.

use super::*;

fn profile(values: &[&str]) -> Profile {
    let mut profile = Profile::default();
    for value in values {
        profile.observe(value, 1);
    }
    profile
}

fn check(values: &[&str], expected: &str) {
    let found = profile(values).data_type(true).to_string();
    assert_eq!(found, expected, "for {values:?}");
}

#[test]
fn numbers_keep_their_value() {
    check(&["1", "-2", "0"], "Int64");
    check(&["9223372036854775807"], "Int64");
    check(&["1", "9223372036854775808"], "Utf8");
    check(&["100000000000000000000"], "Utf8");
    check(&["12.50", "3.99"], "Decimal128(38, 2)");
    check(&["12.5", "3.9"], "Float64");
    check(&["12", "3.50"], "Float64");
    check(&["1e5", "2.5E-3"], "Float64");
    check(&["0.1234567890123456789", "1"], "Decimal128(38, 19)");
    check(&["9007199254740993", "0.5"], "Decimal128(38, 1)");
    check(&["0.30000000000000004", "1.5"], "Float64");
    check(&["1e400"], "Utf8");
    check(&["1e9999999999"], "Utf8");
    check(&["-0", "1"], "Float64");
}

#[test]
fn what_only_looks_like_a_number_stays_text() {
    for text in [
        "007", "+49", "1,5", " 1", "1 ", "0x10", "1.", ".5", "NaN", "inf", "-", "1e", "1_000", "٣",
    ] {
        check(&[text], "Utf8");
    }
    check(&["1", "x"], "Utf8");
    check(&["1", "true"], "Utf8");
    check(&[], "Utf8");
}

#[test]
fn truth_values_dates_and_times() {
    check(&["true", "False", "TRUE"], "Boolean");
    check(&["tRue"], "Utf8");
    check(&["2024-02-29", "0001-01-01"], "Date32");
    check(&["2023-02-29"], "Utf8");
    check(&["2024-02-29", "2024-02-29 10:00"], "Utf8");
    check(
        &["2024-02-29 10:00", "2024-02-29T10:00:01.5"],
        "Timestamp(µs)",
    );
    check(
        &["2024-02-29T10:00:00Z", "2024-02-29 10:00:00+02"],
        "Timestamp(µs, \"UTC\")",
    );
    check(&["2024-02-29T10:00:00Z", "2024-02-29T10:00:00"], "Utf8");
    for text in [
        "2024-02-29T24:00:00",
        "2024-02-29T10:00:60",
        "2024-02-29T10:00:00.1234567",
        "2024-02-29T10:00:00+2",
        "2024-1-1",
        "2024-02-29T",
        "2024-02-29T10:0é",
    ] {
        check(&[text], "Utf8");
    }
    assert_eq!(classify("1970-01-02"), Shape::Date(1));
    assert_eq!(
        classify("1970-01-01T02:00:00.000001+02:00"),
        Shape::Zoned(1)
    );
    assert_eq!(classify("1969-12-31 23:59:59.9999990"), Shape::Naive(-1));
}

#[test]
fn a_column_fits_wider_types_of_a_dataset() {
    let decimal = DataType::Decimal128(38, 2);
    assert!(profile(&["1", "2"]).fits(&DataType::Float64));
    assert!(profile(&["1", "2.5"]).fits(&decimal));
    assert!(!profile(&["1", "2.555"]).fits(&decimal));
    assert!(profile(&["1", "2"]).fits(&DataType::Utf8));
    assert!(profile(&[]).fits(&DataType::Date32));
    assert!(!profile(&["x"]).fits(&DataType::Int64));
    assert!(!profile(&["9007199254740993"]).fits(&DataType::Float64));
    assert!(!profile(&["1"]).fits(&DataType::Int32));
}

#[test]
fn short_ways_give_what_the_long_ones_do() {
    for text in [
        "0",
        "-0",
        "-0.0",
        "1.5",
        "-12.25",
        "999999999999999",
        "123456789012345678",
        "0.1",
        "0.3",
        "99999999999.9999",
        "0.000000000000001",
        "1e5",
        "9223372036854775807",
    ] {
        let Shape::Number(number) = classify(text) else {
            panic!("{text} is a number");
        };
        let double: f64 = text.parse().unwrap();
        if let Some(short) = number.double() {
            assert_eq!(short.to_bits(), double.to_bits(), "{text}");
        }
        assert_eq!(
            number.integer(),
            text.parse().ok().filter(|_| text != "-0"),
            "{text}"
        );
        if let Some(short) = number.unscaled(16) {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let long: i128 = format!("{whole}{fraction:0<16}").parse().unwrap();
            assert_eq!(short, long, "{text}");
        }
    }
    let Shape::Number(number) = classify("0.75") else {
        panic!("a number");
    };
    assert_eq!(
        (number.double(), number.unscaled(2), number.unscaled(1)),
        (Some(0.75), Some(75), None)
    );
}
