//! Which Arrow type a column of texts can have without any value changing.
//!
//! The whole column decides, never a sample. Empty columns are text. The rules, in order:
//!
//! - integers without leading zeros or plus, all within 64 bits: `Int64`; one beyond makes the column text;
//! - plain decimals that all have the same 2 to 4 digits after the point (money, rates; CSV only, as JSON
//!   writers drop trailing zeros): `Decimal128(38, s)`;
//! - other numbers, when each is what its nearest double prints as: `Float64`;
//! - other plain decimals of up to 38 digits: `Decimal128(38, s)` with the longest fraction, so that a
//!   decimal stays a decimal;
//! - `true`/`false` (also capitalised): `Boolean`; ISO dates: `Date32`; ISO date and time of up to
//!   microseconds: `Timestamp(µs)`, with a zone `Timestamp(µs, UTC)`;
//! - everything else, and every mixture: `Utf8`, as written. `NaN`, `inf` and numbers with blanks are text.

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{NaiveDate, NaiveTime};

/// Most digits of a `Decimal128`.
pub(super) const DECIMAL_DIGITS: u8 = 38;

/// Digits that every double keeps, and exponents far from its limits: `f64::DIGITS` and a margin.
const SAFE_DIGITS: usize = 15;
const SAFE_EXPONENT: i32 = 290;

/// Days from 0001-01-01, day 1 of the common era, to 1970-01-01.
const EPOCH_FROM_CE: i32 = 719_163;

/// What one text reads as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// A JSON-like number.
    Number(Number),
    /// A truth value.
    Boolean(bool),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01, no zone.
    Naive(i64),
    /// Microseconds since 1970-01-01 in UTC.
    Zoned(i64),
    /// Anything else.
    Text,
}

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number {
    /// Its value when it is an integer of 64 bits.
    integer: Option<i64>,
    /// An integer, but larger.
    beyond: bool,
    /// Without an exponent.
    plain: bool,
    /// Digits before the point.
    whole: usize,
    /// Digits after it.
    scale: usize,
    /// Short enough that a double holds it for certain.
    short: bool,
}

/// Everything that the choice of a column's type needs to know.
#[derive(Debug, Clone, Default)]
pub(super) struct Profile {
    kinds: u8,
    not_integer: bool,
    beyond: bool,
    not_plain: bool,
    not_double: bool,
    whole: usize,
    scale: usize,
    /// The fraction digits of the first number; `mixed_scale` when another differs.
    first_scale: Option<usize>,
    mixed_scale: bool,
}

const NUMBER: u8 = 1;
const BOOLEAN: u8 = 2;
const DATE: u8 = 4;
const NAIVE: u8 = 8;
const ZONED: u8 = 16;
const TEXT: u8 = 32;
const NESTED: u8 = 64;

impl Profile {
    /// Takes a text of a format in which everything is text.
    pub(super) fn observe(&mut self, text: &str) {
        // A mixture is text whatever follows.
        if self.kinds & TEXT == 0 && self.kinds.count_ones() < 2 {
            self.observe_shape(classify(text), text);
        }
    }

    /// Takes a number of a format that has numbers.
    pub(super) fn observe_number(&mut self, text: &str) {
        match number(text.as_bytes()) {
            Some(found) => self.observe_shape(Shape::Number(found), text),
            None => self.observe_string(),
        }
    }

    /// Takes a text of a format that tells texts from numbers.
    pub(super) fn observe_string(&mut self) {
        self.kinds |= TEXT;
    }

    /// Takes a truth value.
    pub(super) fn observe_boolean(&mut self) {
        self.kinds |= BOOLEAN;
    }

    /// Takes an object or array.
    pub(super) fn observe_nested(&mut self) {
        self.kinds |= NESTED;
    }

    /// Whether some value was an object or array, which makes the column one of JSON texts.
    pub(super) fn is_json(&self) -> bool {
        self.kinds & NESTED != 0
    }

    fn observe_shape(&mut self, shape: Shape, text: &str) {
        self.kinds |= match shape {
            Shape::Number(number) => {
                self.observe_digits(number, text);
                NUMBER
            }
            Shape::Boolean(_) => BOOLEAN,
            Shape::Date(_) => DATE,
            Shape::Naive(_) => NAIVE,
            Shape::Zoned(_) => ZONED,
            Shape::Text => TEXT,
        };
    }

    fn observe_digits(&mut self, number: Number, text: &str) {
        self.not_integer |= number.integer.is_none();
        self.beyond |= number.beyond;
        self.not_plain |= !number.plain;
        self.whole = self.whole.max(number.whole);
        self.scale = self.scale.max(number.scale);
        let first = *self.first_scale.get_or_insert(number.scale);
        self.mixed_scale |= first != number.scale;
        self.not_double = self.not_double || !(number.short || is_double(text));
    }

    /// The column's type by the rules of this module; `money` switches the rule for CSV on.
    pub(super) fn data_type(&self, money: bool) -> DataType {
        match self.kinds {
            NUMBER => self.number_type(money),
            BOOLEAN => DataType::Boolean,
            DATE => DataType::Date32,
            NAIVE => DataType::Timestamp(TimeUnit::Microsecond, None),
            ZONED => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            _ => DataType::Utf8,
        }
    }

    fn number_type(&self, money: bool) -> DataType {
        let decimal = u8::try_from(self.scale)
            .ok()
            .filter(|scale| self.fits_decimal(DECIMAL_DIGITS, *scale))
            .and_then(|scale| {
                Some(DataType::Decimal128(
                    DECIMAL_DIGITS,
                    i8::try_from(scale).ok()?,
                ))
            });
        match decimal {
            _ if self.beyond => DataType::Utf8,
            _ if !self.not_integer => DataType::Int64,
            Some(decimal) if money && !self.mixed_scale && (2..=4).contains(&self.scale) => decimal,
            _ if !self.not_double => DataType::Float64,
            Some(decimal) => decimal,
            None => DataType::Utf8,
        }
    }

    fn fits_decimal(&self, digits: u8, scale: u8) -> bool {
        !self.not_plain
            && self.scale <= usize::from(scale)
            && self.whole + usize::from(scale) <= usize::from(digits)
    }

    /// Whether every value can be had in this type, which a dataset already has.
    pub(super) fn fits(&self, data_type: &DataType) -> bool {
        if self.kinds == 0 || *data_type == DataType::Utf8 {
            return supported(data_type);
        }
        match data_type {
            DataType::Int64 => self.kinds == NUMBER && !self.not_integer,
            DataType::Float64 => self.kinds == NUMBER && !self.not_double,
            DataType::Decimal128(digits, scale) => {
                self.kinds == NUMBER
                    && u8::try_from(*scale).is_ok_and(|scale| self.fits_decimal(*digits, scale))
            }
            other => self.data_type(true) == *other,
        }
    }
}

/// Whether texts can be turned into this type at all.
fn supported(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            zone.as_ref().is_none_or(|zone| zone.as_ref() == "UTC")
        }
        DataType::Decimal128(_, scale) => *scale >= 0,
        DataType::Utf8
        | DataType::Int64
        | DataType::Float64
        | DataType::Boolean
        | DataType::Date32 => true,
        _ => false,
    }
}

/// Reads one text.
pub(super) fn classify(text: &str) -> Shape {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b'0'..=b'9' | b'-') => number(bytes)
            .map(Shape::Number)
            .or_else(|| moment(bytes))
            .unwrap_or(Shape::Text),
        Some(b't' | b'T' | b'f' | b'F') => boolean(text).map_or(Shape::Text, Shape::Boolean),
        _ => Shape::Text,
    }
}

/// Reads a truth value.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Reads `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`, the grammar of JSON.
fn number(text: &[u8]) -> Option<Number> {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = split_digits(unsigned);
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return None;
    }
    let (scale, rest) = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let (digits, rest) = split_digits(fraction);
            (Some(digits.len()).filter(|count| *count > 0)?, rest)
        }
        None => (0, rest),
    };
    let exponent = match rest {
        [] => None,
        [b'e' | b'E', tail @ ..] => Some(exponent(tail)?),
        _ => return None,
    };
    let plain = exponent.is_none();
    let whole_number = plain && scale == 0 && text != b"-0";
    let integer = whole_number.then(|| std::str::from_utf8(text).ok()?.parse().ok());
    Some(Number {
        integer: integer.flatten(),
        beyond: integer == Some(None),
        plain,
        whole: whole.len(),
        scale,
        short: whole.len() + scale <= SAFE_DIGITS && exponent.unwrap_or(0).abs() <= SAFE_EXPONENT,
    })
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
    text.split_at(count)
}

fn exponent(text: &[u8]) -> Option<i32> {
    let digits = text
        .strip_prefix(b"+")
        .or(text.strip_prefix(b"-"))
        .unwrap_or(text);
    let (found, rest) = split_digits(digits);
    if found.is_empty() || !rest.is_empty() {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Whether the nearest double, printed as shortly as possible, has the digits of this text.
fn is_double(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|value| {
        value.is_finite() && significant(text) == significant(&format!("{value:e}"))
    })
}

/// Digits without zeros at either end, and the power of ten of the last one.
fn significant(text: &str) -> (String, i64) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = whole
        .chars()
        .chain(fraction.chars())
        .filter(char::is_ascii_digit)
        .collect();
    let kept = digits.trim_end_matches('0');
    let power = exponent.parse::<i64>().unwrap_or(0) - fraction.len() as i64
        + (digits.len() - kept.len()) as i64;
    let kept = kept.trim_start_matches('0').to_owned();
    let power = if kept.is_empty() { 0 } else { power };
    (kept, power)
}

/// Reads an ISO date, or date and time.
fn moment(text: &[u8]) -> Option<Shape> {
    let day = date(text.get(..10)?)?;
    if text.len() == 10 {
        use chrono::Datelike;
        return Some(Shape::Date(day.num_days_from_ce() - EPOCH_FROM_CE));
    }
    if !matches!(text[10], b'T' | b't' | b' ') {
        return None;
    }
    let (time, zone) = time(&text[11..])?;
    let micros = day.and_time(time).and_utc().timestamp_micros();
    match zone {
        [] => Some(Shape::Naive(micros)),
        _ => Some(Shape::Zoned(
            micros.checked_sub(offset_seconds(zone)? * 1_000_000)?,
        )),
    }
}

fn date(text: &[u8]) -> Option<NaiveDate> {
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let year = i32::try_from(fixed(&text[..4])?).ok()?;
    NaiveDate::from_ymd_opt(year, fixed(&text[5..7])?, fixed(&text[8..10])?)
}

/// Reads `HH:MM[:SS[.fraction]]`; what follows is the zone.
fn time(text: &[u8]) -> Option<(NaiveTime, &[u8])> {
    let hour = fixed(text.get(..2)?)?;
    let minute = fixed(text.get(2..)?.strip_prefix(b":")?.get(..2)?)?;
    let mut rest = &text[5..];
    let (mut second, mut micro) = (0, 0);
    if let Some(tail) = rest.strip_prefix(b":") {
        second = fixed(tail.get(..2)?)?;
        rest = &tail[2..];
        if let Some(tail) = rest.strip_prefix(b".") {
            let (digits, after) = split_digits(tail);
            micro = micros(digits)?;
            rest = after;
        }
    }
    Some((
        NaiveTime::from_hms_micro_opt(hour, minute, second, micro)?,
        rest,
    ))
}

/// A fraction of a second in microseconds, when it is no finer.
fn micros(digits: &[u8]) -> Option<u32> {
    let (kept, finer) = digits.split_at(digits.len().min(6));
    if kept.is_empty() || finer.iter().any(|b| *b != b'0') {
        return None;
    }
    Some(fixed(kept)? * 10_u32.pow(6 - u32::try_from(kept.len()).ok()?))
}

/// Reads `Z`, `±HH`, `±HHMM` or `±HH:MM`.
fn offset_seconds(zone: &[u8]) -> Option<i64> {
    let (sign, digits) = match zone {
        [b'Z' | b'z'] => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [_, _] => (fixed(digits)?, 0),
        [h @ .., b':', _, _] if h.len() == 2 => (fixed(h)?, fixed(&digits[3..])?),
        [_, _, _, _] => (fixed(&digits[..2])?, fixed(&digits[2..])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

/// A number of exactly these digits.
fn fixed(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

impl Number {
    /// Its value when it is an integer of 64 bits.
    pub(super) fn integer(&self) -> Option<i64> {
        self.integer
    }
}

#[cfg(test)]
mod tests;
