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

use std::io::Write as _;

use arrow::datatypes::{DataType, TimeUnit};

use super::moment::{self, Moment};
use super::report::TextReason;

/// Most digits of a `Decimal128`.
pub(super) const DECIMAL_DIGITS: u8 = 38;

/// Digits that every double keeps, and exponents far from its limits: `f64::DIGITS` and a margin.
const SAFE_DIGITS: usize = 15;

/// Digits that fit an integer of 64 bits whatever they are.
const EXACT_DIGITS: usize = 18;

/// Powers of ten up to the greatest one that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
const SAFE_EXPONENT: i32 = 290;

/// Room for a double in the notation of `{:e}`: 17 digits, sign, point, exponent.
const PRINTED_BYTES: usize = 32;

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
    /// All its digits as one integer, if there are few and no exponent.
    mantissa: Option<i64>,
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
    /// Where the first integer of more than 64 bits stands.
    beyond_line: Option<u64>,
    /// The value that made the column text.
    turned: Option<TextReason>,
}

/// Spellings of null in other programs, as a hint only: a caller has to say which of them mean it.
const NULL_LIKE: [&str; 12] = [
    "NULL", "null", "Null", "\\N", "NA", "N/A", "n/a", "NaN", "nan", "None", "-", "?",
];

const NUMBER: u8 = 1;
const BOOLEAN: u8 = 2;
const DATE: u8 = 4;
const NAIVE: u8 = 8;
const ZONED: u8 = 16;
const TEXT: u8 = 32;
const NESTED: u8 = 64;

impl Profile {
    /// Takes a text of a format in which everything is text; `line` is where it stands.
    pub(super) fn observe(&mut self, text: &str, line: u64) {
        if !self.is_text() {
            self.observe_shape(classify(text), text, line);
        }
    }

    /// Takes a text of a format that tells texts from numbers.
    pub(super) fn observe_string(&mut self, line: u64) {
        self.observe_kind(TEXT, "", line);
    }

    /// Takes a truth value.
    pub(super) fn observe_boolean(&mut self, line: u64) {
        self.observe_kind(BOOLEAN, "", line);
    }

    /// Takes an object or array.
    pub(super) fn observe_nested(&mut self, line: u64) {
        self.observe_kind(NESTED, "", line);
    }

    /// Whether nothing that follows can change that the column is text: it holds a text or a mixture.
    pub(super) fn is_text(&self) -> bool {
        self.kinds & TEXT != 0 || self.kinds.count_ones() > 1
    }

    /// Whether there was any value.
    pub(super) fn is_empty(&self) -> bool {
        self.kinds == 0
    }

    /// Whether the values of both are of the same kind.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        self.kinds == other.kinds
    }

    /// Why the column is text, if its type says so.
    pub(super) fn text_reason(&self) -> Option<TextReason> {
        self.turned.clone().or_else(|| {
            let line = self.beyond_line?;
            let is_text = self.number_type(true) == DataType::Utf8;
            is_text.then_some(TextReason {
                line,
                expected: None,
                null_like: None,
                beyond_64_bits: true,
            })
        })
    }

    /// Whether some value was an object or array, which makes the column one of JSON texts.
    pub(super) fn is_json(&self) -> bool {
        self.kinds & NESTED != 0
    }

    /// Takes what a text reads as.
    pub(super) fn observe_shape(&mut self, shape: Shape, text: &str, line: u64) {
        let kind = match shape {
            Shape::Number(number) => {
                self.observe_digits(number, text, line);
                NUMBER
            }
            Shape::Boolean(_) => BOOLEAN,
            Shape::Date(_) => DATE,
            Shape::Naive(_) => NAIVE,
            Shape::Zoned(_) => ZONED,
            Shape::Text => TEXT,
        };
        self.observe_kind(kind, text, line);
    }

    fn observe_kind(&mut self, kind: u8, text: &str, line: u64) {
        let before = self.kinds;
        self.kinds |= kind;
        if self.is_text() && self.turned.is_none() {
            self.turned = Some(TextReason {
                line,
                expected: kind_name(before).map(str::to_owned),
                null_like: NULL_LIKE
                    .iter()
                    .find(|one| **one == text)
                    .map(|one| (*one).to_owned()),
                beyond_64_bits: false,
            });
        }
    }

    fn observe_digits(&mut self, number: Number, text: &str, line: u64) {
        self.not_integer |= number.integer.is_none();
        if number.beyond && !self.beyond {
            self.beyond = true;
            self.beyond_line = Some(line);
        }
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

/// What values of a kind are called.
fn kind_name(kind: u8) -> Option<&'static str> {
    match kind {
        NUMBER => Some("numbers"),
        BOOLEAN => Some("truth values"),
        DATE => Some("dates"),
        NAIVE => Some("times without a zone"),
        ZONED => Some("times with a zone"),
        _ => None,
    }
}

/// Whether texts without a said type can be turned into this type at all.
pub(super) fn supported(data_type: &DataType) -> bool {
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

/// Reads a text that is a number and nothing else.
fn number(text: &[u8]) -> Option<Number> {
    match leading_number(text)? {
        (Shape::Number(number), length) if length == text.len() => Some(number),
        _ => None,
    }
}

/// Reads `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`, the grammar of JSON, at the start of a text, and
/// tells how long it is. With an exponent beyond reason it is only a text.
#[inline]
pub(super) fn leading_number(text: &[u8]) -> Option<(Shape, usize)> {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let mut magnitude = 0_u64;
    let (whole, rest) = take_digits(unsigned, &mut magnitude);
    if whole == 0 || (whole > 1 && unsigned[0] == b'0') {
        return None;
    }
    let (scale, rest) = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let (digits, rest) = take_digits(fraction, &mut magnitude);
            (Some(digits).filter(|count| *count > 0)?, rest)
        }
        None => (0, rest),
    };
    let (exponent, rest) = match rest {
        [b'e' | b'E', tail @ ..] => {
            let (exponent, rest) = exponent(tail)?;
            (Some(exponent), rest)
        }
        _ => (None, rest),
    };
    let length = text.len() - rest.len();
    let text = &text[..length];
    let plain = exponent.is_none();
    let Some(exponent) = exponent.unwrap_or(Some(0)) else {
        return Some((Shape::Text, length));
    };
    let is_negative = text[0] == b'-';
    let mantissa = (whole + scale <= EXACT_DIGITS)
        .then(|| i64::try_from(magnitude).ok())
        .flatten()
        .map(|digits| if is_negative { -digits } else { digits });
    let is_integer = plain && scale == 0 && text != b"-0";
    let integer = match mantissa {
        _ if !is_integer => None,
        Some(value) => Some(value),
        None => std::str::from_utf8(text).ok()?.parse().ok(),
    };
    let number = Number {
        integer,
        mantissa: mantissa.filter(|_| plain && (magnitude > 0 || !is_negative)),
        beyond: is_integer && integer.is_none(),
        plain,
        whole,
        scale,
        short: whole + scale <= SAFE_DIGITS && exponent.abs() <= SAFE_EXPONENT,
    };
    Some((Shape::Number(number), length))
}

/// Counts the digits at the start and lets a number grow by them, which says nothing any more beyond
/// [`EXACT_DIGITS`].
fn take_digits<'a>(text: &'a [u8], magnitude: &mut u64) -> (usize, &'a [u8]) {
    let mut count = 0;
    while let Some(digit) = text.get(count).map(|byte| byte.wrapping_sub(b'0'))
        && digit <= 9
    {
        *magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    (count, &text[count..])
}

/// Reads an exponent, none when it is beyond reason, and tells what follows it.
fn exponent(text: &[u8]) -> Option<(Option<i32>, &[u8])> {
    let digits = text
        .strip_prefix(b"+")
        .or(text.strip_prefix(b"-"))
        .unwrap_or(text);
    let (count, rest) = take_digits(digits, &mut 0);
    let written = text.get(..text.len() - rest.len())?;
    let value = std::str::from_utf8(written).ok()?.parse().ok();
    (count > 0).then_some((value, rest))
}

/// Whether the nearest double, printed as shortly as possible, has the digits of this text.
fn is_double(text: &str) -> bool {
    let Ok(value) = text.parse::<f64>() else {
        return false;
    };
    let mut printed = [0; PRINTED_BYTES];
    let mut rest = &mut printed[..];
    if !value.is_finite() || write!(rest, "{value:e}").is_err() {
        return false;
    }
    let left = rest.len();
    let printed = &printed[..PRINTED_BYTES - left];
    same_digits(text.as_bytes(), printed)
}

/// Whether two numbers are equal digit by digit, wherever their points and exponents stand.
fn same_digits(one: &[u8], other: &[u8]) -> bool {
    let (one, other) = (Significant::of(one), Significant::of(other));
    one.power == other.power && one.digits().eq(other.digits())
}

/// A number's digits without zeros at either end, and the power of ten of the last one.
struct Significant<'a> {
    mantissa: &'a [u8],
    /// Digits to pass over at the start, and to take.
    zeros: usize,
    count: usize,
    power: i64,
}

impl<'a> Significant<'a> {
    fn of(text: &'a [u8]) -> Self {
        let end = memchr::memchr2(b'e', b'E', text).unwrap_or(text.len());
        let (mantissa, exponent) = text.split_at(end);
        let exponent = exponent.get(1..).unwrap_or_default();
        let exponent = std::str::from_utf8(exponent).ok();
        let exponent: i64 = exponent.and_then(|e| e.parse().ok()).unwrap_or(0);
        let fraction = memchr::memchr(b'.', mantissa).map_or(0, |at| mantissa.len() - at - 1);
        let digits = || mantissa.iter().filter(|b| b.is_ascii_digit());
        let all = digits().count();
        let zeros = digits().take_while(|b| **b == b'0').count();
        let last = digits().rev().take_while(|b| **b == b'0').count();
        let count = all.saturating_sub(zeros + last);
        let power = exponent - fraction as i64 + last as i64;
        Self {
            mantissa,
            zeros,
            count,
            power: if count == 0 { 0 } else { power },
        }
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        let digits = self.mantissa.iter().copied().filter(u8::is_ascii_digit);
        digits.skip(self.zeros).take(self.count)
    }
}

/// Reads an ISO date, or date and time of at most microseconds.
fn moment(text: &[u8]) -> Option<Shape> {
    match moment::read(text)? {
        Moment::Date(days) => Some(Shape::Date(days)),
        Moment::Naive(time) => time.exactly(moment::MICROS).map(Shape::Naive),
        Moment::Zoned(time) => time.exactly(moment::MICROS).map(Shape::Zoned),
    }
}

impl Number {
    /// Its value when it is an integer of 64 bits.
    pub(super) fn integer(&self) -> Option<i64> {
        self.integer
    }

    /// The nearest double, where one division finds it: both of its operands are exact, so its only rounding is
    /// the right one (W. D. Clinger, "How to Read Floating Point Numbers Accurately", PLDI 1990).
    pub(super) fn double(&self) -> Option<f64> {
        let mantissa = self
            .mantissa
            .filter(|_| self.whole + self.scale <= SAFE_DIGITS)?;
        let power = EXACT_POWERS.get(self.scale)?;
        Some(mantissa as f64 / power)
    }

    /// Its value times ten to the scale, where that is short.
    pub(super) fn unscaled(&self, scale: usize) -> Option<i128> {
        let missing = u32::try_from(scale.checked_sub(self.scale)?).ok()?;
        let power = 10_i128.checked_pow(missing)?;
        i128::from(self.mantissa?).checked_mul(power)
    }
}

#[cfg(test)]
mod tests;
