//! Values as the server sends them become the values that Arrow shows, and bytes that no server sends an error.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use proptest::prelude::*;

use super::*;
use crate::postgres::numeric::tests::sent;

/// A length and bytes; none is a null.
fn cell(bytes: Option<&[u8]>) -> Vec<u8> {
    match bytes {
        None => (-1_i32).to_be_bytes().to_vec(),
        Some(bytes) => [&length(bytes.len())[..], bytes].concat(),
    }
}

fn length(of: usize) -> [u8; 4] {
    i32::try_from(of).unwrap().to_be_bytes()
}

/// An array of int4 as the server sends it; dimensions are (size, lower bound).
fn array(dimensions: &[(i32, i32)], items: &[Option<i32>]) -> Vec<u8> {
    let mut bytes = length(dimensions.len()).to_vec();
    bytes.extend([1_i32, 23].map(i32::to_be_bytes).concat());
    for (size, lower) in dimensions {
        bytes.extend([*size, *lower].map(i32::to_be_bytes).concat());
    }
    for item in items {
        let item = item.map(i32::to_be_bytes);
        bytes.extend(cell(item.as_ref().map(|item| &item[..])));
    }
    bytes
}

fn list(item: Kind, depth: usize) -> Kind {
    Kind::List {
        item: Box::new(item),
        depth,
    }
}

/// What cells of a kind become, as text, and what was met.
fn read(
    kind: &Kind,
    policy: ValuePolicy,
    cells: &[Option<&[u8]>],
) -> Result<(Vec<String>, Tally), Fault> {
    let mut column = Column::new(kind);
    let mut tally = Tally::of(policy);
    for cell in cells {
        column.push(*cell, &mut tally)?;
    }
    let array = column.finish().unwrap();
    assert_eq!(array.data_type(), &kind.data_type());
    let options = FormatOptions::new().with_null("~");
    let shown = crate::zone::in_utc(&array).unwrap();
    let shown = ArrayFormatter::try_new(&shown, &options).unwrap();
    let texts = (0..array.len()).map(|row| shown.value(row).to_string());
    Ok((texts.collect(), tally))
}

#[track_caller]
fn check(kind: &Kind, cells: &[Option<&[u8]>], expected: &[&str]) {
    let (texts, _) = read(kind, ValuePolicy::Error, cells).unwrap();
    assert_eq!(texts, expected, "{kind:?}");
}

/// A value without a form: an error by one policy, a null that is counted by the other.
#[track_caller]
fn check_no_form(kind: &Kind, cell: &[u8], what: &'static str) {
    let refused = read(kind, ValuePolicy::Error, &[Some(cell)]).unwrap_err();
    assert_eq!(refused, Fault::NoForm(what));
    let (texts, tally) = read(kind, ValuePolicy::Null, &[Some(cell), Some(cell)]).unwrap();
    assert_eq!(texts, ["~", "~"]);
    assert_eq!(tally.nulled, BTreeMap::from([((0, what), 2)]));
}

#[test]
fn numbers_keep_their_width() {
    check(
        &Kind::Bool { bit: false },
        &[Some(&[1]), Some(&[0]), None],
        &["true", "false", "~"],
    );
    check(
        &Kind::Bool { bit: true },
        &[Some(&[0, 0, 0, 1, 0x80])],
        &["true"],
    );
    check(
        &Kind::Int2 { wide: false },
        &[Some(&[0x80, 0]), None],
        &["-32768", "~"],
    );
    check(
        &Kind::Int2 { wide: true },
        &[Some(&[0x7f, 0xff])],
        &["32767"],
    );
    check(
        &Kind::Int4,
        &[Some(&i32::MIN.to_be_bytes())],
        &["-2147483648"],
    );
    check(
        &Kind::Int8,
        &[Some(&i64::MAX.to_be_bytes())],
        &["9223372036854775807"],
    );
    check(
        &Kind::Oid,
        &[Some(&u32::MAX.to_be_bytes())],
        &["4294967295"],
    );
    check(
        &Kind::Float4 { wide: false },
        &[Some(&f32::NAN.to_be_bytes())],
        &["NaN"],
    );
    check(
        &Kind::Float8,
        &[Some(&f64::NEG_INFINITY.to_be_bytes())],
        &["-inf"],
    );
    check(
        &Kind::Money { scale: 2 },
        &[Some(&(-1234_i64).to_be_bytes())],
        &["-12.34"],
    );
}

#[test]
fn numerics_become_decimals_texts_or_floats() {
    let decimal = |precision, scale| Kind::Decimal { precision, scale };
    check(
        &decimal(10, 2),
        &[Some(&sent("-12345678.90")), None],
        &["-12345678.90", "~"],
    );
    check(
        &decimal(60, 10),
        &[Some(&sent("1234567890123456789012345678901234567890.5"))],
        &["1234567890123456789012345678901234567890.5000000000"],
    );
    check(
        &Kind::Text(Form::Numeric),
        &[Some(&sent("1.10")), Some(&sent("NaN"))],
        &["1.10", "NaN"],
    );
    check(
        &Kind::NumericFloat,
        &[Some(&sent("0.1")), Some(&sent("-Infinity"))],
        &["0.1", "-inf"],
    );
    for word in ["NaN", "Infinity"] {
        check_no_form(&decimal(10, 2), &sent(word), "NaN or infinite numbers");
        check_no_form(&decimal(60, 2), &sent(word), "NaN or infinite numbers");
    }
}

#[test]
fn times_keep_their_microseconds() {
    let days = |days: i32| days.to_be_bytes();
    let micros = |micros: i64| micros.to_be_bytes();
    let stamp = Kind::Timestamp { zoned: false };
    check(
        &Kind::Date,
        &[Some(&days(0)), Some(&days(-730_119))],
        &["2000-01-01", "0001-01-01"],
    );
    check(
        &Kind::Time,
        &[Some(&micros(86_399_999_999))],
        &["23:59:59.999999"],
    );
    check(
        &stamp,
        &[Some(&micros(-1))],
        &["1999-12-31T23:59:59.999999"],
    );
    check(
        &Kind::Timestamp { zoned: true },
        &[Some(&micros(0))],
        &["2000-01-01T00:00:00Z"],
    );
    check_no_form(&Kind::Date, &days(i32::MAX), "infinite dates");
    check_no_form(&Kind::Date, &days(i32::MIN), "infinite dates");
    check_no_form(&Kind::Date, &days(-730_120), "dates before Christ");
    check_no_form(&Kind::Date, &days(2_145_031_948), "dates out of range");
    check_no_form(&stamp, &micros(i64::MAX), "infinite times");
    check_no_form(
        &stamp,
        &micros(-63_082_281_600_000_001),
        "times before Christ",
    );
    check_no_form(
        &stamp,
        &micros(9_223_371_331_199_999_999),
        "times out of range",
    );
    check_no_form(&Kind::Time, &micros(86_400_000_000), "times of 24:00:00");
    let mut interval = micros(3).to_vec();
    interval.extend([2_i32, -1].map(i32::to_be_bytes).concat());
    check(
        &Kind::Interval,
        &[Some(&interval), None],
        &["{months: -1, days: 2, microseconds: 3}", "~"],
    );
    let endless = [&micros(i64::MAX)[..], &days(i32::MAX), &days(i32::MAX)].concat();
    check_no_form(&Kind::Interval, &endless, "infinite intervals");
}

#[test]
fn arrays_keep_nulls_and_dimensions() {
    check(
        &list(Kind::Int4, 1),
        &[
            Some(&array(&[(2, 1)], &[Some(1), None])),
            None,
            Some(&array(&[], &[])),
        ],
        &["[1, ~]", "~", "[]"],
    );
    let two = list(Kind::Int4, 2);
    let square = array(
        &[(2, 1), (3, 1)],
        &[Some(1), Some(2), Some(3), Some(4), None, Some(6)],
    );
    check(
        &two,
        &[Some(&square), Some(&array(&[], &[]))],
        &["[[1, 2, 3], [4, ~, 6]]", "[]"],
    );
    check_no_form(
        &two,
        &array(&[(1, 1)], &[Some(1)]),
        "arrays of other dimensions",
    );
    check_no_form(&list(Kind::Int4, 1), &square, "arrays of other dimensions");
    let moved = array(&[(1, 0)], &[Some(7)]);
    let (texts, tally) = read(&list(Kind::Int4, 1), ValuePolicy::Error, &[Some(&moved)]).unwrap();
    assert_eq!(texts, ["[7]"]);
    assert_eq!(tally.noted, BTreeMap::from([((0, Remark::LowerBound), 1)]));
}

#[test]
fn remarks_are_in_the_singular_for_one_value() {
    assert!(
        Remark::LowerBound
            .told(1, "a")
            .starts_with("1 array of `a` does not")
    );
    assert!(
        Remark::LowerBound
            .told(2, "a")
            .starts_with("2 arrays of `a` do not")
    );
    let told = Remark::Srid(4326).told(1, "g");
    assert_eq!(told, "1 geometry of `g` is of reference system 4326");
    let told = Remark::Srid(4326).told(3, "g");
    assert_eq!(told, "3 geometries of `g` are of reference system 4326");
}

#[test]
fn composites_and_ranges_become_structs() {
    let fields = vec![
        ("a".to_owned(), Kind::Int4),
        ("b".to_owned(), Kind::Text(Form::Plain)),
    ];
    let mut row = length(2).to_vec();
    row.extend(length(23));
    row.extend(cell(Some(&7_i32.to_be_bytes())));
    row.extend(length(25));
    row.extend(cell(None));
    check(
        &Kind::Struct(fields),
        &[Some(&row), None],
        &["{a: 7, b: ~}", "~"],
    );
    let range = Kind::Range(Box::new(Kind::Int4));
    let bounded = [
        &[0x02][..],
        &cell(Some(&length(1))),
        &cell(Some(&length(5))),
    ]
    .concat();
    let above = [&[0x12][..], &cell(Some(&length(1)))].concat();
    check(
        &range,
        &[Some(&bounded), Some(&above), Some(&[0x01]), None],
        &[
            "{lower: 1, upper: 5, lower_inclusive: true, upper_inclusive: false, empty: false}",
            "{lower: 1, upper: ~, lower_inclusive: true, upper_inclusive: false, empty: false}",
            "{lower: ~, upper: ~, lower_inclusive: false, upper_inclusive: false, empty: true}",
            "~",
        ],
    );
    let several = [&length(2)[..], &cell(Some(&bounded)), &cell(Some(&above))].concat();
    let (texts, _) = read(
        &Kind::Multirange(Box::new(Kind::Int4)),
        ValuePolicy::Error,
        &[Some(&several)],
    )
    .unwrap();
    assert!(texts[0].starts_with("[{lower: 1, upper: 5,"), "{texts:?}");
}

/// A range of dates as the server sends it.
fn dates(lower: i32, upper: i32) -> Vec<u8> {
    let bound = |days: i32| cell(Some(&days.to_be_bytes()));
    [&[0x02][..], &bound(lower), &bound(upper)].concat()
}

#[test]
fn a_range_with_a_bound_that_has_no_form_is_null_and_never_without_that_bound() {
    let range = Kind::Range(Box::new(Kind::Date));
    check_no_form(&range, &dates(0, i32::MAX), "infinite dates");
    check_no_form(&range, &dates(-800_000, 0), "dates before Christ");
    // Both bounds are of one value.
    check_no_form(&range, &dates(i32::MIN, i32::MAX), "infinite dates");
    let (good, bad) = (dates(0, 1), dates(0, i32::MAX));
    let shown = "{lower: 2000-01-01, upper: 2000-01-02, lower_inclusive: true, upper_inclusive: false, empty: false}";
    check(&range, &[Some(&good)], &[shown]);
    let several = |ranges: &[&[u8]]| {
        let cells = ranges.iter().flat_map(|range| cell(Some(range)));
        [length(ranges.len()).to_vec(), cells.collect()].concat()
    };
    let multirange = Kind::Multirange(Box::new(Kind::Date));
    let (whole, broken) = (several(&[&good]), several(&[&good, &bad, &bad]));
    check_no_form(&multirange, &broken, "infinite dates");
    let cells = [Some(&whole[..]), Some(&broken), Some(&whole)];
    let (texts, _) = read(&multirange, ValuePolicy::Null, &cells).unwrap();
    let list = format!("[{shown}]");
    assert_eq!(texts, [list.as_str(), "~", &list]);
    // In an array and in a composite it is the range that is null.
    let mut row = length(1).to_vec();
    row.extend(length(3912));
    row.extend(cell(Some(&bad)));
    let fields = Kind::Struct(vec![("r".to_owned(), range)]);
    let (texts, tally) = read(&fields, ValuePolicy::Null, &[Some(&row)]).unwrap();
    assert_eq!(texts, ["{r: ~}"]);
    assert_eq!(tally.nulled, BTreeMap::from([((0, "infinite dates"), 1)]));
}

#[test]
fn a_column_of_ranges_may_hold_nulls_where_bounds_may_have_no_form() {
    let lacks = |bound: Kind| {
        let ranges = [
            Kind::Range(Box::new(bound.clone())),
            Kind::Multirange(Box::new(bound)),
        ];
        ranges.map(|kind| kind.lacks_values())
    };
    assert_eq!(lacks(Kind::Date), [true; 2]);
    assert_eq!(lacks(Kind::Int4), [false; 2]);
    let within = Kind::Struct(vec![("d".to_owned(), Kind::Date)]);
    assert_eq!(lacks(within), [true; 2]);
}

#[test]
fn extensions_types_are_read() {
    let mut map = length(2).to_vec();
    for text in [Some(&b"a"[..]), Some(b"1"), Some(b"b"), None] {
        map.extend(cell(text));
    }
    check(&Kind::Hstore, &[Some(&map), None], &["{a: 1, b: ~}", "~"]);
    let vector = |half, dimension| Kind::Vector { half, dimension };
    let single = [
        &[0, 2, 0, 0][..],
        &1.5_f32.to_be_bytes(),
        &(-2_f32).to_be_bytes(),
    ]
    .concat();
    check(
        &vector(false, Some(2)),
        &[None, Some(&single)],
        &["~", "[1.5, -2.0]"],
    );
    check(
        &vector(false, None),
        &[Some(&single), None],
        &["[1.5, -2.0]", "~"],
    );
    check(
        &vector(true, Some(1)),
        &[Some(&[0, 1, 0, 0, 0x3e, 0])],
        &["[1.5]"],
    );
    let mut point = vec![1];
    point.extend(0x2000_0001_u32.to_le_bytes());
    point.extend(4326_u32.to_le_bytes());
    point.extend([0; 16]);
    let plain = Kind::Geometry { srid: None };
    let (texts, tally) = read(&plain, ValuePolicy::Error, &[Some(&point)]).unwrap();
    assert_eq!(texts[0], format!("0101000000{}", "0".repeat(32)));
    assert_eq!(tally.noted, BTreeMap::from([((0, Remark::Srid(4326)), 1)]));
    let known = Kind::Geometry { srid: Some(4326) };
    assert!(
        read(&known, ValuePolicy::Error, &[Some(&point)])
            .unwrap()
            .1
            .noted
            .is_empty()
    );
}

#[test]
fn a_column_is_empty_again_when_it_was_finished() {
    for kind in kinds() {
        let mut column = Column::new(&kind);
        for _ in 0..2 {
            column.push_null();
            assert_eq!(column.finish().unwrap().len(), 1, "{kind:?}");
        }
    }
}

#[test]
fn wrong_lengths_are_told() {
    for (kind, cell) in [
        (Kind::Int4, &[0, 0, 0][..]),
        (Kind::Int8, &[0; 9]),
        (Kind::Bool { bit: false }, &[2]),
        (Kind::Bool { bit: true }, &[0, 0, 0, 2, 0]),
        (Kind::Uuid, &[0; 15]),
        (Kind::Date, &[]),
        (Kind::Time, &[0xff; 8]),
        (list(Kind::Int4, 1), &array(&[(2, 1)], &[Some(1)])),
        (list(Kind::Int4, 1), &array(&[(i32::MAX, 1)], &[])),
        (list(Kind::Int4, 1), &array(&[(0, 1)], &[])),
        (
            list(Kind::Int4, 2),
            &array(&[(i32::MAX, 1), (i32::MAX, 1)], &[]),
        ),
        (list(Kind::Int4, 1), &[0x7f; 12]),
        (Kind::Range(Box::new(Kind::Int4)), &[0x02]),
        (Kind::Range(Box::new(Kind::Int4)), &[0x01, 0]),
        (Kind::Hstore, &[0x7f, 0xff, 0xff, 0xff]),
        (
            Kind::Vector {
                half: false,
                dimension: Some(3),
            },
            &[0, 1, 0, 0, 0, 0, 0, 0],
        ),
        (
            Kind::Vector {
                half: false,
                dimension: None,
            },
            &[0xff, 0xff, 0, 0],
        ),
    ] {
        let refused = read(&kind, ValuePolicy::Null, &[Some(cell)]).map(|(texts, _)| texts);
        assert_eq!(refused, Err(Fault::Damaged), "{kind:?} {cell:?}");
    }
    let text = read(
        &Kind::Text(Form::Plain),
        ValuePolicy::Null,
        &[Some(&[0xc3])],
    );
    assert_eq!(text.map(|(texts, _)| texts), Err(Fault::NotUtf8));
}

/// Every kind, nested ones over something.
fn kinds() -> Vec<Kind> {
    let fields = vec![
        ("a".to_owned(), Kind::Int4),
        ("b".to_owned(), list(Kind::Date, 1)),
    ];
    vec![
        Kind::Bool { bit: true },
        Kind::Int2 { wide: true },
        Kind::Float4 { wide: true },
        Kind::Decimal {
            precision: 20,
            scale: 4,
        },
        Kind::Decimal {
            precision: 60,
            scale: 4,
        },
        Kind::NumericFloat,
        Kind::Money { scale: 2 },
        Kind::Text(Form::Numeric),
        Kind::Text(Form::TimeTz),
        Kind::Text(Form::Bits),
        Kind::Text(Form::Network),
        Kind::Bytes,
        Kind::Date,
        Kind::Time,
        Kind::Timestamp { zoned: true },
        Kind::Interval,
        Kind::Uuid,
        Kind::Hstore,
        Kind::Vector {
            half: true,
            dimension: Some(2),
        },
        Kind::Vector {
            half: false,
            dimension: None,
        },
        Kind::Geometry { srid: None },
        list(Kind::Text(Form::Plain), 1),
        list(list(Kind::Int4, 1), 2),
        Kind::Struct(fields),
        Kind::Range(Box::new(Kind::Decimal {
            precision: 10,
            scale: 2,
        })),
        Kind::Multirange(Box::new(Kind::Int4)),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_taken(
        bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(4), Just(255), any::<u8>()], 0..80),
        null in any::<bool>(),
    ) {
        let policy = if null { ValuePolicy::Null } else { ValuePolicy::Error };
        for kind in kinds() {
            let mut column = Column::new(&kind);
            let mut tally = Tally::of(policy);
            if column.push(Some(&bytes), &mut tally).is_ok() {
                column.push_null();
                let array = column.finish();
                prop_assert!(array.is_ok_and(|array| array.len() == 2), "{:?}", kind);
            }
        }
    }
}
