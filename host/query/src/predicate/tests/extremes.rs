//! What a predicate means where types are narrow, values are far out, and texts are finer than a column; and that a short
//! text makes no large tree.

use arrow::{
    array::{
        Decimal64Array, Float32Array, Int16Array, TimestampMillisecondArray,
        TimestampNanosecondArray, UInt8Array,
    },
    datatypes::TimeUnit,
};

use super::*;

const DAY: i64 = 86_400_000_000;
/// 2024-10-05 and 9999-12-31 in days since 1970.
const DAYS: [i32; 2] = [2_932_896, 20_001];

/// Two rows, the first of them at the ends of what there is.
fn far_out() -> RecordBatch {
    let micros = DAYS.map(|day| i64::from(day) * DAY);
    let today = micros[1];
    let fee = Decimal128Array::from(vec![250, 200]);
    let small = Decimal64Array::from(vec![250, 200]);
    let minus_nan = f64::from_bits(f64::NAN.to_bits() | 1 << 63);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("short", Arc::new(Int16Array::from(vec![300, -300]))),
        ("byte", Arc::new(UInt8Array::from(vec![200, 3]))),
        ("long", Arc::new(Int64Array::from(vec![i64::MAX, 7]))),
        ("uint", Arc::new(UInt64Array::from(vec![u64::MAX, 7]))),
        ("x", Arc::new(Float64Array::from(vec![-0.0, minus_nan]))),
        (
            "single",
            Arc::new(Float32Array::from(vec![0.5, 16_777_216.0])),
        ),
        (
            "fee",
            Arc::new(fee.with_precision_and_scale(38, 2).unwrap()),
        ),
        (
            "small",
            Arc::new(small.with_precision_and_scale(9, 2).unwrap()),
        ),
        ("day", Arc::new(Date32Array::from(DAYS.to_vec()))),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from(micros.to_vec())),
        ),
        (
            "milli",
            Arc::new(TimestampMillisecondArray::from(vec![
                today / 1_000 + 500,
                today / 1_000,
            ])),
        ),
        (
            "nano",
            Arc::new(TimestampNanosecondArray::from(vec![
                today * 1_000 + 1,
                today * 1_000,
            ])),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn matching_far_out(text: &str) -> Result<Vec<usize>, QueryError> {
    let rows = far_out();
    let found = Predicate::parse(text, rows.schema_ref())?.evaluate(&rows)?;
    Ok((0..2).filter(|row| found.value(*row)).collect())
}

#[track_caller]
fn check_far_out(cases: &[(&str, &[usize])]) {
    for (text, expected) in cases {
        match matching_far_out(text) {
            Ok(found) => assert_eq!(found, *expected, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[track_caller]
fn check_far_out_refused(cases: &[(&str, &str)]) {
    for (text, word) in cases {
        let told = matching_far_out(text).unwrap_err().to_string();
        assert!(told.contains(word), "{text}: {told}");
    }
}

#[test]
fn a_date_that_nanoseconds_cannot_hold_spoils_no_filter() {
    check_far_out(&[
        ("day = '2024-10-05'", &[1]),
        ("day = '9999-12-31'", &[0]),
        ("date_trunc('year', day) = '9999-01-01'", &[0]),
        ("date_trunc('week', at) = '9999-12-27'", &[0]),
        ("date_trunc('month', milli) = '2024-10-01'", &[0, 1]),
        ("date_trunc('day', nano) = nano", &[1]),
        ("day > '2024-10-05T12:00:00'", &[0]),
        ("day <= '2024-10-05T12:00:00'", &[1]),
        ("'2024-10-05' < day", &[0]),
        ("day IN ('2024-10-05', '9999-12-31')", &[0, 1]),
        ("day IN ('2024-10-05T00:00:00', '2024-10-06')", &[1]),
        (
            "day BETWEEN '2024-01-01' AND '9999-12-31T00:00:00'",
            &[0, 1],
        ),
        ("coalesce(day, '2024-10-05') = '9999-12-31'", &[0]),
        ("at = '9999-12-31'", &[0]),
        ("at = DATE '9999-12-31'", &[0]),
        ("at > TIMESTAMP '2024-10-05 00:00:00'", &[0]),
        ("at = day", &[0, 1]),
        ("day >= at", &[0, 1]),
        ("nano < '9999-12-31'", &[0, 1]),
        ("nano < at", &[0]),
        ("nano < day", &[0]),
        ("milli < day", &[0]),
        ("day = '+10000-01-01'", &[]),
        ("at < '+10000-01-01'", &[0, 1]),
    ]);
}

#[test]
fn nothing_is_cut_off_a_time() {
    check_far_out(&[
        ("milli = '2024-10-05T00:00:00.5'", &[0]),
        ("milli = '2024-10-05T00:00:00.500001'", &[]),
        ("milli < '2024-10-05T00:00:00.500001'", &[0, 1]),
        ("milli < '2024-10-05T00:00:00.500'", &[1]),
        ("milli = nano", &[1]),
        ("milli = at", &[1]),
        ("nano = '2024-10-05T00:00:00.000000001'", &[0]),
        ("nano > '2024-10-05'", &[0]),
        ("nano > DATE '2024-10-05'", &[0]),
        ("nano > TIMESTAMP '2024-10-05 00:00:00'", &[0]),
        ("at = '2024-10-05T00:00:00.0000000000'", &[1]),
    ]);
    check_far_out_refused(&[
        (
            "at = '2024-10-05T00:00:00.0000001'",
            "the 6 that compare (at character 6)",
        ),
        (
            "nano = '2024-10-05T00:00:00.0000000001'",
            "the 9 that compare",
        ),
        (
            "day = DATE '2024-10-05T12:00:00'",
            "`2024-10-05T12:00:00` is not a date",
        ),
    ]);
    check(&[
        ("clock = '12:00:00.0000000'", &[1]),
        ("clock < '00:00:00.0000005'", &[0]),
        ("clock IN ('12:00:00', TIME '00:00:00')", &[0, 1]),
    ]);
    check_refused(&[("clock = '7'", &["`7` is not a time of day"])]);
}

#[test]
fn arithmetic_is_that_of_numbers_and_not_of_how_they_are_stored() {
    check_far_out(&[
        ("short * short = 90000", &[0, 1]),
        ("short + short = 600", &[0]),
        ("-short = 300", &[1]),
        ("byte + byte = 400", &[0]),
        ("byte - 201 < 0", &[0, 1]),
        ("-byte = -3", &[1]),
        ("short / byte = 1", &[0]),
        ("short % 7 = 6", &[0]),
        ("uint - 8 < 0", &[1]),
        ("uint + 1 > uint", &[0, 1]),
        ("uint - long > 0", &[0]),
        ("-uint = -7", &[1]),
        ("uint / 2 = 3", &[1]),
        ("uint % 2 = 1", &[0, 1]),
        ("fee * 2 = 5", &[0]),
        ("-fee < -2", &[0]),
        ("small + 1 = 3.5", &[0]),
        ("single + 1 = 16777217", &[1]),
    ]);
    for text in [
        "long + 1 > 0",
        "long * long > 0",
        "0 - long - 2 < 0",
        "uint * uint * uint > 0",
    ] {
        let told = matching_far_out(text).unwrap_err().to_string();
        assert!(told.contains("too large for its type"), "{text}: {told}");
    }
    for text in ["1 / 0 = 1", "9223372036854775807 + 1 > 0"] {
        let told = matching_far_out(text).unwrap_err();
        assert!(
            matches!(told, QueryError::NoAnswer { .. }),
            "{text}: {told}"
        );
    }
}

#[test]
fn a_conversion_that_is_written_is_computed() {
    check_far_out(&[
        ("CAST(fee AS BIGINT) = 2", &[0, 1]),
        ("CAST(fee AS BIGINT) IN (2, 7, 8, 9)", &[0, 1]),
        ("TRY_CAST(fee AS BIGINT) > 2", &[]),
        ("CAST(fee AS DECIMAL(38, 0)) = 3", &[0]),
        ("CAST(nano AS TIMESTAMP) = '2024-10-05'", &[0, 1]),
        ("CAST(milli AS DATE) = '2024-10-05'", &[0, 1]),
        ("fee = 2", &[1]),
        ("small = 2", &[1]),
        ("small > 2.25", &[0]),
        ("CAST(long AS VARCHAR) = '7'", &[1]),
        ("CAST(long AS VARCHAR) = '07'", &[]),
    ]);
}

#[test]
fn a_list_is_compared_like_a_value() {
    check_far_out(&[
        ("fee = 1e30", &[]),
        ("fee IN (1e30)", &[]),
        ("fee NOT IN (1e30)", &[0, 1]),
        ("fee IN (1e30, 2.5)", &[0]),
        ("coalesce(fee, 1e30) = 2.5", &[0]),
        ("coalesce(NULL, short, 1.5) = 300", &[0]),
        ("coalesce(1, 2) = 1", &[0, 1]),
        ("coalesce(fee) = 2.5", &[0]),
        ("short IN (300, 2.5)", &[0]),
        ("uint IN (18446744073709551615, -1)", &[0]),
        ("300 IN (short, byte)", &[0]),
        ("NULL IN (short, 1)", &[]),
    ]);
    check_far_out_refused(&[
        ("NULL IN (1, 'a')", "a number is compared with a text"),
        ("day IN ('2024-10-05', 7)", "is compared with a number"),
    ]);
}

#[test]
fn floats_compare_by_value() {
    check_far_out(&[
        ("x = 0", &[0]),
        ("x = -0e0", &[0]),
        ("x IN (0, 5)", &[0]),
        ("x >= 0", &[0, 1]),
        ("x < 0", &[]),
        ("x > 1e300", &[1]),
        ("x = x", &[0, 1]),
        ("x IS NOT DISTINCT FROM 0.0", &[0]),
        ("coalesce(x, 1) = 0", &[0]),
        ("single = 0.5", &[0]),
        ("single = 16777217", &[]),
    ]);
}

/// What `BETWEEN` and `coalesce` look at stands twice in what is computed, and what is converted is asked about twice.
#[test]
fn a_short_text_makes_no_large_tree() {
    let between = |levels| {
        format!(
            "n BETWEEN 1 AND 2{}",
            " BETWEEN FALSE AND TRUE".repeat(levels)
        )
    };
    assert_eq!(matching(&between(9)), Ok(vec![0, 1, 2]));
    let coalesce = |levels| {
        format!(
            "{}n{} = 0",
            "coalesce(".repeat(levels),
            ", 0)".repeat(levels)
        )
    };
    assert_eq!(matching(&coalesce(10)), Ok(vec![3]));
    let convert = |levels| {
        let converted = "::BIGINT IN (1)".repeat(levels);
        format!("length((n IN (1){converted})::VARCHAR) = 4")
    };
    assert_eq!(matching(&convert(7)), Ok(vec![0]));
    let numbers: Vec<String> = (0..3_000).map(|number| number.to_string()).collect();
    let list = |levels| {
        let between = " BETWEEN FALSE AND TRUE".repeat(levels);
        format!("n IN ({}){between}", numbers.join(","))
    };
    assert_eq!(matching(&list(1)), Ok(vec![0, 1, 2]));
    for text in [
        between(30),
        between(200),
        coalesce(14),
        convert(20),
        list(3),
    ] {
        let told = matching(&text).unwrap_err();
        assert!(
            matches!(told, QueryError::TooComplex { .. }),
            "{text}: {told}"
        );
    }
    let told = matching(&between(30)).unwrap_err().to_string();
    assert!(told.contains("more than 20000 parts"), "{told}");
}

#[test]
fn a_pattern_has_few_wildcards() {
    let pattern = |wildcards| "%a".repeat(wildcards);
    assert_eq!(
        matching(&format!("title LIKE '{}%'", pattern(31))),
        Ok(vec![])
    );
    for text in [
        format!("title LIKE '{}'", pattern(33)),
        format!("title NOT ILIKE '{}'", "_".repeat(33)),
        format!("title LIKE lower('{}')", pattern(4_000)),
        format!("title LIKE coalesce(title, '{}')", pattern(40)),
    ] {
        let told = matching(&text).unwrap_err().to_string();
        assert!(told.contains("more than 32 wildcards"), "{told}");
    }
    assert_eq!(
        matching(&format!("title = '{}'", "%".repeat(40))),
        Ok(vec![])
    );
}

/// A finer unit than microseconds is kept where every value allows for it.
#[test]
fn moments_agree_on_a_unit() {
    let place = Place::default();
    let part = |value| crate::kind::Part::value(value, place);
    let nano = part(datafusion_common::ScalarValue::TimestampNanosecond(
        Some(1),
        None,
    ));
    let far = part(datafusion_common::ScalarValue::Date32(Some(DAYS[0])));
    let text = part(datafusion_common::ScalarValue::from("2024-10-05"));
    let unit = |parts: &[&crate::kind::Part]| match crate::moments::Moments::of(parts) {
        Ok(crate::moments::Moments::Stamps(unit, None)) => Some(unit),
        _ => None,
    };
    assert_eq!(unit(&[&nano, &text]), Some(TimeUnit::Nanosecond));
    assert_eq!(unit(&[&nano, &far]), Some(TimeUnit::Microsecond));
    assert_eq!(unit(&[&far, &text]), None);
}

/// Of some words the parser keeps no count, and others it reads in two ways with all that follows.
#[test]
fn a_text_that_can_be_read_in_many_ways_is_given_up() {
    for piece in [
        "CASE - ",
        "NOT - ",
        "CASE (n, ",
        "OVERLAY(POSITION(",
        "CONVERT(CEIL(",
        "INTERVAL ",
        "INTERVAL CAST(",
        "n::ARRAY<",
        "CAST(n AS ARRAY<",
        "TABLE(n ",
        "STRUCT<",
        "EXISTS (",
        "MAP {",
        "PRIOR ",
        "n IS NOT ",
    ] {
        for times in [7, 15, 150, 240] {
            let text = piece.repeat(times);
            assert!(matching(&text).is_err(), "{text}");
            assert!(matching(&format!("{text}n")).is_err(), "{text}n");
        }
    }
    let told = matching(&"CASE - ".repeat(60)).unwrap_err().to_string();
    assert!(told.contains("read in too many ways"), "{told}");
    let told = matching(&"INTERVAL ".repeat(900)).unwrap_err().to_string();
    assert!(
        told.contains("`INTERVAL` and its like so often (at character 37)"),
        "{told}"
    );
    let told = matching(&["array = 1"; 4].join(" OR ")).unwrap_err();
    assert!(matches!(told, QueryError::UnknownColumn { .. }), "{told}");
}
