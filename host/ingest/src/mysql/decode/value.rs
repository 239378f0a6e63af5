//! Single values of the driver, as numbers, bytes and texts.
//!
//! The calendar is the proleptic Gregorian one, at the server as in Arrow. A date with a zero in it stands for
//! no day, and `0000-00-00` for none at all; `ALLOW_INVALID_DATES` lets days like the 31st of February in.

use std::fmt::Write as _;

use arrow::datatypes::i256;
use chrono::{Datelike, NaiveDate};
use mysql_async::Value;

use crate::mysql::columns::Kind;

/// What has no place in a column's type, for a sentence; never the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mysql) struct Unfit(pub(in crate::mysql) &'static str);

impl Unfit {
    pub(super) const SHAPE: Self = Self("values of another type");
    const ZERO_DATES: Self = Self("zero dates");
    const NO_DAYS: Self = Self("dates that no calendar has");
    const NO_FLAGS: Self = Self("numbers other than 0 and 1");
    const TOO_BIG: Self = Self("numbers out of range");
    const NOT_UTF8: Self = Self("invalid UTF-8");
    const NO_GEOMETRY: Self = Self("geometries that are not well formed");
}

const DAY_SECONDS: i64 = 86_400;
const SECOND: i64 = 1_000_000;

/// An integer that has to fit.
pub(super) fn integer<N: TryFrom<i64> + TryFrom<u64>>(value: &Value) -> Result<N, Unfit> {
    match value {
        Value::Int(number) => N::try_from(*number).map_err(|_| Unfit::TOO_BIG),
        Value::UInt(number) => N::try_from(*number).map_err(|_| Unfit::TOO_BIG),
        _ => Err(Unfit::SHAPE),
    }
}

/// 0 or 1, as a number or a bit.
pub(super) fn flag(value: &Value) -> Result<bool, Unfit> {
    let number = match value {
        Value::Bytes(_) => bits(value)?,
        _ => integer::<u64>(value).map_err(|_| Unfit::NO_FLAGS)?,
    };
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Unfit::NO_FLAGS),
    }
}

/// The bits of a `bit(n)`, the first one the highest.
pub(super) fn bits(value: &Value) -> Result<u64, Unfit> {
    match bytes(value)? {
        bytes if bytes.len() <= 8 => Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))),
        _ => Err(Unfit::SHAPE),
    }
}

pub(super) fn float(value: &Value) -> Result<f32, Unfit> {
    match value {
        Value::Float(number) => Ok(*number),
        _ => Err(Unfit::SHAPE),
    }
}

/// Also of a float and of a decimal, whose digits are given as text.
pub(super) fn double(value: &Value) -> Result<f64, Unfit> {
    match value {
        Value::Double(number) => Ok(*number),
        Value::Float(number) => Ok(f64::from(*number)),
        _ => text(value)?.parse().map_err(|_| Unfit::SHAPE),
    }
}

/// The digits of a decimal without its point, as many after it as the scale says.
pub(super) fn decimal128(value: &Value, precision: u8, scale: i8) -> Result<i128, Unfit> {
    let (is_negative, digits) = digits(value, precision, scale)?;
    let number = digits.fold(0_i128, |number, digit| {
        number * 10 + i128::from(digit - b'0')
    });
    Ok(if is_negative { -number } else { number })
}

/// As [`decimal128`], of more digits.
pub(super) fn decimal256(value: &Value, precision: u8, scale: i8) -> Result<i256, Unfit> {
    let (is_negative, digits) = digits(value, precision, scale)?;
    let sign = if is_negative { "-0" } else { "0" };
    let text: String = sign.chars().chain(digits.map(char::from)).collect();
    i256::from_string(&text).ok_or(Unfit::SHAPE)
}

/// Whether a decimal is below zero, and its digits, at most as many as the precision says.
fn digits(
    value: &Value,
    precision: u8,
    scale: i8,
) -> Result<(bool, impl Iterator<Item = u8>), Unfit> {
    let text = text(value)?;
    let number = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err(Unfit::SHAPE);
    }
    let scale = usize::try_from(scale).map_err(|_| Unfit::SHAPE)?;
    let whole = whole.trim_start_matches('0');
    if fraction.len() > scale || whole.len() + scale > usize::from(precision) {
        return Err(Unfit::TOO_BIG);
    }
    let zeros = std::iter::repeat_n(b'0', scale - fraction.len());
    let digits = whole.bytes().chain(fraction.bytes()).chain(zeros);
    Ok((number.len() < text.len(), digits))
}

/// Days since 1970-01-01.
pub(super) fn date(value: &Value) -> Result<i32, Unfit> {
    match value {
        Value::Date(year, month, day, ..) => day_number(*year, *month, *day),
        _ => Err(Unfit::SHAPE),
    }
}

/// Microseconds since 1970-01-01 00:00:00.
pub(super) fn moment(value: &Value) -> Result<i64, Unfit> {
    let Value::Date(year, month, day, hour, minute, second, micros) = value else {
        return Err(Unfit::SHAPE);
    };
    let days = i64::from(day_number(*year, *month, *day)?);
    let seconds = clock(i64::from(*hour), *minute, *second) + days * DAY_SECONDS;
    Ok(seconds * SECOND + i64::from(*micros))
}

/// Microseconds.
pub(super) fn duration(value: &Value) -> Result<i64, Unfit> {
    let Value::Time(negative, days, hours, minutes, seconds, micros) = value else {
        return Err(Unfit::SHAPE);
    };
    let seconds = clock(i64::from(*hours), *minutes, *seconds) + i64::from(*days) * DAY_SECONDS;
    let length = seconds * SECOND + i64::from(*micros);
    Ok(if *negative { -length } else { length })
}

fn clock(hours: i64, minutes: u8, seconds: u8) -> i64 {
    (hours * 60 + i64::from(minutes)) * 60 + i64::from(seconds)
}

fn day_number(year: u16, month: u8, day: u8) -> Result<i32, Unfit> {
    if month == 0 || day == 0 {
        return Err(Unfit::ZERO_DATES);
    }
    let first = NaiveDate::default().num_days_from_ce();
    NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(day))
        .map(|date| date.num_days_from_ce() - first)
        .ok_or(Unfit::NO_DAYS)
}

pub(super) fn bytes(value: &Value) -> Result<&[u8], Unfit> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(Unfit::SHAPE),
    }
}

pub(super) fn text(value: &Value) -> Result<&str, Unfit> {
    std::str::from_utf8(bytes(value)?).map_err(|_| Unfit::NOT_UTF8)
}

/// Well-known binary, which the server puts after 4 bytes for the reference system.
pub(super) fn geometry(value: &Value) -> Result<&[u8], Unfit> {
    match bytes(value)?.split_at_checked(4) {
        Some((_, geometry)) if geometry.len() >= 5 => Ok(geometry),
        _ => Err(Unfit::NO_GEOMETRY),
    }
}

/// The members of a set; none of them can have a comma in it.
pub(super) fn set(value: &Value) -> Result<impl Iterator<Item = &str>, Unfit> {
    Ok(text(value)?.split(',').filter(|member| !member.is_empty()))
}

/// The bytes of a UUID in its usual text.
pub(super) fn uuid(value: &Value) -> Result<[u8; 16], Unfit> {
    let mut digits = text(value)?.bytes().filter(|byte| *byte != b'-');
    let mut digit = || {
        let digit = char::from(digits.next()?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        let pair = digit().zip(digit()).ok_or(Unfit::SHAPE)?;
        *byte = pair.0 << 4 | pair.1;
    }
    Ok(uuid)
}

/// Writes what has no text of its own on the wire as the server would write it; bytes as hexadecimal digits,
/// as `HEX()` does, and bits as a number.
pub(super) fn write(value: &Value, kind: Kind, out: &mut String) -> Result<(), Unfit> {
    match (value, kind) {
        (Value::Date(year, month, day, ..), Kind::Date) => {
            put(out, format_args!("{year:04}-{month:02}-{day:02}"));
        }
        (
            Value::Date(year, month, day, hour, minute, second, micros),
            Kind::DateTime { digits } | Kind::Timestamp { digits },
        ) => {
            put(
                out,
                format_args!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
            );
            put_fraction(out, *micros, digits);
        }
        (Value::Time(negative, days, hours, minutes, seconds, micros), Kind::Time { digits }) => {
            let sign = if *negative { "-" } else { "" };
            let hours = u64::from(*days) * 24 + u64::from(*hours);
            put(
                out,
                format_args!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
            );
            put_fraction(out, *micros, digits);
        }
        (Value::Bytes(_), Kind::Bits) => put(out, format_args!("{}", bits(value)?)),
        (Value::Bytes(_), Kind::Geometry) => put_hex(out, geometry(value)?),
        (Value::Bytes(bytes), _) => put_hex(out, bytes),
        _ => return Err(Unfit::SHAPE),
    }
    Ok(())
}

fn put_fraction(out: &mut String, micros: u32, digits: u8) {
    if digits > 0 {
        let fraction = format!("{micros:06}");
        let shown = fraction.get(..usize::from(digits)).unwrap_or(&fraction);
        put(out, format_args!(".{shown}"));
    }
}

fn put_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        put(out, format_args!("{byte:02X}"));
    }
}

/// A text takes whatever is written to it.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(text: &str) -> Value {
        Value::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn integers_have_to_fit() {
        assert_eq!(integer::<u64>(&Value::UInt(u64::MAX)), Ok(u64::MAX));
        assert_eq!(integer::<i64>(&Value::Int(i64::MIN)), Ok(i64::MIN));
        assert_eq!(integer::<i64>(&Value::UInt(1 << 63)), Err(Unfit::TOO_BIG));
        assert_eq!(integer::<u8>(&Value::Int(-1)), Err(Unfit::TOO_BIG));
        assert_eq!(integer::<i32>(&bytes_of("1")), Err(Unfit::SHAPE));
    }

    #[test]
    fn only_0_and_1_are_flags() {
        assert_eq!(flag(&Value::Int(1)), Ok(true));
        assert_eq!(flag(&Value::Bytes(vec![0])), Ok(false));
        for other in [Value::Int(2), Value::Int(-1), Value::Bytes(vec![2])] {
            assert_eq!(flag(&other), Err(Unfit::NO_FLAGS));
        }
    }

    #[test]
    fn bits_count_from_the_highest() {
        assert_eq!(bits(&Value::Bytes(vec![1, 0])), Ok(256));
        assert_eq!(bits(&Value::Bytes(vec![255; 8])), Ok(u64::MAX));
        assert_eq!(bits(&Value::Bytes(vec![0; 9])), Err(Unfit::SHAPE));
    }

    #[test]
    fn decimals_keep_every_digit() {
        let check = |text: &str, expected| {
            assert_eq!(decimal128(&bytes_of(text), 10, 2), expected, "{text}")
        };
        check("0.00", Ok(0));
        check("-0.01", Ok(-1));
        check("12345678.90", Ok(1_234_567_890));
        check("5", Ok(500));
        check("123456789.00", Err(Unfit::TOO_BIG));
        check("1.001", Err(Unfit::TOO_BIG));
        for wrong in ["", "-", ".", "1e5", "+1", "1.-1"] {
            check(wrong, Err(Unfit::SHAPE));
        }
        let nines = "9".repeat(35) + "." + &"9".repeat(30);
        let expected = i256::from_string(&"9".repeat(65)).unwrap();
        assert_eq!(decimal256(&bytes_of(&nines), 65, 30), Ok(expected));
        let negative = i256::from_string(&("-".to_owned() + &"9".repeat(65))).unwrap();
        assert_eq!(
            decimal256(&bytes_of(&format!("-{nines}")), 65, 30),
            Ok(negative)
        );
    }

    #[test]
    fn days_are_counted_and_those_that_are_none_are_not() {
        let day = |year, month, day| date(&Value::Date(year, month, day, 0, 0, 0, 0));
        assert_eq!(day(1970, 1, 1), Ok(0));
        assert_eq!(day(9999, 12, 31), Ok(2_932_896));
        assert_eq!(day(1000, 1, 1), Ok(-354_285));
        assert_eq!(day(0, 0, 0), Err(Unfit::ZERO_DATES));
        assert_eq!(day(2021, 2, 0), Err(Unfit::ZERO_DATES));
        assert_eq!(day(2021, 2, 29), Err(Unfit::NO_DAYS));
        let last = Value::Date(1969, 12, 31, 23, 59, 59, 999_999);
        assert_eq!(moment(&last), Ok(-1));
    }

    #[test]
    fn lengths_go_beyond_a_day_and_below_zero() {
        let most = |negative| Value::Time(negative, 34, 22, 59, 59, 999_999);
        assert_eq!(duration(&most(false)), Ok(3_020_399_999_999));
        assert_eq!(duration(&most(true)), Ok(-3_020_399_999_999));
    }

    #[test]
    fn what_the_older_types_hold_as_text_is_the_text_of_the_server() {
        let check = |value: Value, kind, expected: &str| {
            let mut out = String::new();
            write(&value, kind, &mut out).unwrap();
            assert_eq!(out, expected);
        };
        check(Value::Date(0, 0, 0, 0, 0, 0, 0), Kind::Date, "0000-00-00");
        let moment = Value::Date(2021, 2, 3, 4, 5, 6, 70_000);
        check(
            moment.clone(),
            Kind::DateTime { digits: 3 },
            "2021-02-03 04:05:06.070",
        );
        check(moment, Kind::Timestamp { digits: 0 }, "2021-02-03 04:05:06");
        let length = Value::Time(true, 34, 22, 59, 59, 1);
        check(length, Kind::Time { digits: 6 }, "-838:59:59.000001");
        check(Value::Bytes(vec![0, 171]), Kind::Bytes, "00AB");
        check(Value::Bytes(vec![1, 0]), Kind::Bits, "256");
    }

    #[test]
    fn uuids_sets_and_geometries_are_taken_apart() {
        let value = bytes_of("00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(uuid(&value).unwrap()[..3], [0, 0x11, 0x22]);
        assert_eq!(uuid(&bytes_of("0011")), Err(Unfit::SHAPE));
        let value = bytes_of("x,z");
        assert_eq!(set(&value).unwrap().collect::<Vec<_>>(), ["x", "z"]);
        assert_eq!(set(&bytes_of("")).unwrap().count(), 0);
        let point = Value::Bytes([vec![230, 16, 0, 0], vec![1; 21]].concat());
        assert_eq!(geometry(&point).unwrap(), [1; 21]);
        assert_eq!(geometry(&Value::Bytes(vec![0; 4])), Err(Unfit::NO_GEOMETRY));
        assert_eq!(text(&Value::Bytes(vec![255])), Err(Unfit::NOT_UTF8));
    }
}
