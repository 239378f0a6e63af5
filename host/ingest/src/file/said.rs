//! Texts into columns whose types a caller has said.
//!
//! What is said is trusted as far as it is exact: an integer may have a plus or leading zeros, a truth value may
//! be `1` or `no`, a time without a zone is taken for UTC where the type has that zone. A decimal never goes
//! through a float and may end in more zeros than its scale, no other digits. A text for a float gives the
//! nearest one. `binary` is the bytes of the text itself.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder,
        LargeStringBuilder, PrimitiveBuilder, StringBuilder,
    },
    datatypes::{
        ArrowNativeType, DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type,
        Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType,
        Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
        TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
    },
};
use serde::de::IgnoredAny;

use super::{
    moment::{self, Moment},
    schema::Meaning,
};
use crate::uuid;

/// A column in the making.
pub(super) trait SaidColumn: Send {
    /// Adds a value; false when it has none in the column's type.
    fn push(&mut self, text: &str) -> bool;

    /// Adds a null.
    fn push_null(&mut self);

    /// The values so far; the next begin a new array.
    fn finish(&mut self) -> ArrayRef;
}

/// Whether texts can be turned into a type.
pub(super) fn is_readable(data_type: &DataType, meaning: Meaning) -> bool {
    let is_utc = |zone: &Arc<str>| zone.as_ref() == "UTC";
    match data_type {
        DataType::Timestamp(_, Some(zone)) if !is_utc(zone) => false,
        _ => column(data_type, meaning).is_some(),
    }
}

/// An empty column of a type, if texts can be turned into it.
pub(super) fn column(data_type: &DataType, meaning: Meaning) -> Option<Box<dyn SaidColumn>> {
    use DataType as T;
    let parsed = data_type.clone();
    Some(match data_type {
        T::Utf8 if meaning == Meaning::Json => Box::new(Json(StringBuilder::new())),
        T::FixedSizeBinary(uuid::WIDTH) if meaning == Meaning::Uuid => {
            Box::new(FixedSizeBinaryBuilder::new(uuid::WIDTH))
        }
        T::Utf8 => Box::new(StringBuilder::new()),
        T::LargeUtf8 => Box::new(LargeStringBuilder::new()),
        T::Binary => Box::new(BinaryBuilder::new()),
        T::Boolean => Box::new(BooleanBuilder::new()),
        T::Int8 => numbers::<Int8Type>(parsed, integer),
        T::Int16 => numbers::<Int16Type>(parsed, integer),
        T::Int32 => numbers::<Int32Type>(parsed, integer),
        T::Int64 => numbers::<Int64Type>(parsed, integer),
        T::UInt8 => numbers::<UInt8Type>(parsed, integer),
        T::UInt16 => numbers::<UInt16Type>(parsed, integer),
        T::UInt32 => numbers::<UInt32Type>(parsed, integer),
        T::UInt64 => numbers::<UInt64Type>(parsed, integer),
        T::Float32 => numbers::<Float32Type>(parsed, |text| {
            let value: f32 = text.parse().ok()?;
            (value.is_finite() || !has_digit(text)).then_some(value)
        }),
        T::Float64 => numbers::<Float64Type>(parsed, |text| {
            let value: f64 = text.parse().ok()?;
            (value.is_finite() || !has_digit(text)).then_some(value)
        }),
        T::Decimal128(digits, scale) => {
            let (digits, scale) = (*digits, usize::try_from(*scale).ok()?);
            numbers::<Decimal128Type>(parsed, move |text| {
                decimal_digits(text, digits, scale)?.parse().ok()
            })
        }
        T::Decimal256(digits, scale) => {
            let (digits, scale) = (*digits, usize::try_from(*scale).ok()?);
            numbers::<Decimal256Type>(parsed, move |text| {
                i256::from_string(&decimal_digits(text, digits, scale)?)
            })
        }
        T::Date32 => numbers::<Date32Type>(parsed, |text| match moment::read(text.as_bytes())? {
            Moment::Date(days) => Some(days),
            _ => None,
        }),
        T::Time32(_) | T::Time64(_) => times(data_type)?,
        T::Timestamp(unit, zone) => timestamps(parsed, *unit, zone.is_some()),
        _ => return None,
    })
}

fn times(data_type: &DataType) -> Option<Box<dyn SaidColumn>> {
    let parsed = data_type.clone();
    Some(match data_type {
        DataType::Time32(TimeUnit::Second) => {
            numbers::<Time32SecondType>(parsed, |text| i32::try_from(time(text, 1)?).ok())
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            numbers::<Time32MillisecondType>(parsed, |text| i32::try_from(time(text, 1_000)?).ok())
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            numbers::<Time64MicrosecondType>(parsed, |text| time(text, 1_000_000))
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            numbers::<Time64NanosecondType>(parsed, |text| time(text, 1_000_000_000))
        }
        _ => return None,
    })
}

fn timestamps(data_type: DataType, unit: TimeUnit, is_utc: bool) -> Box<dyn SaidColumn> {
    let read = move |a_second| move |text: &str| timestamp(text, a_second, is_utc);
    match unit {
        TimeUnit::Second => numbers::<TimestampSecondType>(data_type, read(1)),
        TimeUnit::Millisecond => numbers::<TimestampMillisecondType>(data_type, read(1_000)),
        TimeUnit::Microsecond => numbers::<TimestampMicrosecondType>(data_type, read(1_000_000)),
        TimeUnit::Nanosecond => numbers::<TimestampNanosecondType>(data_type, read(1_000_000_000)),
    }
}

fn time(text: &str, a_second: i64) -> Option<i64> {
    moment::time_of_day(text.as_bytes())?.exactly(a_second)
}

/// A date alone is its midnight.
fn timestamp(text: &str, a_second: i64, is_utc: bool) -> Option<i64> {
    match moment::read(text.as_bytes())? {
        Moment::Date(days) => (i64::from(days) * 24 * 60 * 60).checked_mul(a_second),
        Moment::Naive(instant) => instant.exactly(a_second),
        Moment::Zoned(instant) if is_utc => instant.exactly(a_second),
        Moment::Zoned(_) => None,
    }
}

/// Digits with an optional sign.
fn integer<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.parse().ok()
}

/// Tells a number that is too large from `inf` and `NaN` as such.
fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// The digits of a plain decimal times ten to the scale, with its sign.
fn decimal_digits(text: &str, digits: u8, scale: usize) -> Option<String> {
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let (kept, finer) = fraction.split_at_checked(scale).unwrap_or((fraction, ""));
    let is_number = !(whole.is_empty() && fraction.is_empty())
        && whole
            .bytes()
            .chain(fraction.bytes())
            .all(|b| b.is_ascii_digit());
    if !is_number || finer.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() + scale > usize::from(digits) {
        return None;
    }
    Some(format!("{sign}{whole}{kept:0<scale$}"))
        .filter(|text| has_digit(text))
        .or(Some("0".to_owned()))
}

fn truth(text: &str) -> Option<bool> {
    let is = |spellings: &[&str]| spellings.iter().any(|one| one.eq_ignore_ascii_case(text));
    if is(&["true", "t", "yes", "y", "1"]) {
        return Some(true);
    }
    is(&["false", "f", "no", "n", "0"]).then_some(false)
}

fn numbers<T: ArrowPrimitiveType>(
    data_type: DataType,
    read: impl Fn(&str) -> Option<T::Native> + Send + 'static,
) -> Box<dyn SaidColumn>
where
    T::Native: ArrowNativeType,
{
    let builder = PrimitiveBuilder::<T>::new().with_data_type(data_type);
    Box::new(Numbers { builder, read })
}

struct Numbers<T: ArrowPrimitiveType, F> {
    builder: PrimitiveBuilder<T>,
    read: F,
}

impl<T, F> SaidColumn for Numbers<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(&str) -> Option<T::Native> + Send,
{
    fn push(&mut self, text: &str) -> bool {
        let value = (self.read)(text);
        if let Some(value) = value {
            self.builder.append_value(value);
        }
        value.is_some()
    }

    fn push_null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}

impl SaidColumn for BooleanBuilder {
    fn push(&mut self, text: &str) -> bool {
        let value = truth(text);
        if let Some(value) = value {
            self.append_value(value);
        }
        value.is_some()
    }

    fn push_null(&mut self) {
        self.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(Self::finish(self))
    }
}

impl SaidColumn for FixedSizeBinaryBuilder {
    fn push(&mut self, text: &str) -> bool {
        uuid::parse(text).is_some_and(|bytes| self.append_value(bytes).is_ok())
    }

    fn push_null(&mut self) {
        self.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(Self::finish(self))
    }
}

/// Texts that are JSON, kept as they are written.
struct Json(StringBuilder);

impl SaidColumn for Json {
    fn push(&mut self, text: &str) -> bool {
        let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
        is_json && self.0.push(text)
    }

    fn push_null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

macro_rules! kept_as_written {
    ($($builder:ty),*) => {$(
        impl SaidColumn for $builder {
            fn push(&mut self, text: &str) -> bool {
                self.append_value(text);
                true
            }

            fn push_null(&mut self) {
                self.append_null();
            }

            fn finish(&mut self) -> ArrayRef {
                Arc::new(Self::finish(self))
            }
        }
    )*};
}

kept_as_written!(StringBuilder, LargeStringBuilder, BinaryBuilder);

#[cfg(test)]
mod tests {
    use arrow::util::display::{ArrayFormatter, FormatOptions};

    use super::*;
    use crate::file::schema::FileSchema;

    /// What a text becomes in a type; `~` when it does not fit.
    fn read(said: &str, text: &str) -> String {
        let schema = FileSchema::parse(&format!("x:{said}")).unwrap();
        let said = schema.get("x").unwrap();
        let mut column = column(&said.data_type, said.meaning).unwrap();
        if !column.push(text) {
            return "~".to_owned();
        }
        let array = column.finish();
        assert_eq!((array.len(), array.data_type()), (1, &said.data_type));
        let options = FormatOptions::new();
        let array = crate::zone::in_utc(&array).unwrap();
        ArrayFormatter::try_new(&array, &options)
            .unwrap()
            .value(0)
            .to_string()
    }

    #[test]
    fn values_are_exact_or_refused() {
        for (said, text, expected) in [
            ("int8", "127", "127"),
            ("int8", "128", "~"),
            ("int32", "+007", "7"),
            ("uint64", "18446744073709551615", "18446744073709551615"),
            ("uint8", "-1", "~"),
            ("int64", "1.0", "~"),
            ("float64", "1e400", "~"),
            ("float64", "nan", "NaN"),
            ("float32", "3e38", "3e38"),
            ("float32", "4e38", "~"),
            ("decimal(5,2)", "999.99", "999.99"),
            ("decimal(5,2)", "-0.5", "-0.50"),
            ("decimal(5,2)", ".5", "0.50"),
            ("decimal(5,2)", "1.2300", "1.23"),
            ("decimal(5,2)", "1.234", "~"),
            ("decimal(5,2)", "1000", "~"),
            ("decimal(5,2)", "1e2", "~"),
            ("decimal(2,2)", "0", "0.00"),
            ("decimal(1,0)", "0", "0"),
            ("decimal(5,2)", ".", "~"),
            ("decimal(5,2)", "é.1", "~"),
            (
                "decimal(38,0)",
                "99999999999999999999999999999999999999",
                "99999999999999999999999999999999999999",
            ),
            (
                "decimal(60,1)",
                "12345678901234567890123456789012345678901234567890.5",
                "12345678901234567890123456789012345678901234567890.5",
            ),
            ("bool", "Yes", "true"),
            ("bool", "0", "false"),
            ("bool", "2", "~"),
            ("date", "2024-02-29", "2024-02-29"),
            ("date", "2024-02-29 10:00", "~"),
            ("time[ms]", "10:00:00.5", "10:00:00.500"),
            ("time[s]", "10:00:00.5", "~"),
            ("timestamp[s]", "2024-02-29", "2024-02-29T00:00:00"),
            (
                "timestamp[ns]",
                "2024-02-29 10:00:00.123456789",
                "2024-02-29T10:00:00.123456789",
            ),
            ("timestamp[us]", "2024-02-29 10:00:00.123456789", "~"),
            ("timestamp[us]", "2024-02-29T10:00:00Z", "~"),
            (
                "timestamp[us, UTC]",
                "2024-02-29T10:00:00+02:00",
                "2024-02-29T08:00:00Z",
            ),
            (
                "timestamp[us, UTC]",
                "2024-02-29T10:00:00",
                "2024-02-29T10:00:00Z",
            ),
            ("timestamp[ns]", "9999-01-01", "~"),
        ] {
            assert_eq!(read(said, text), expected, "{text} as {said}");
        }
    }

    #[test]
    fn texts_bytes_and_ids_are_exact_or_refused() {
        for (said, text, expected) in [
            ("json", "{\"a\": [1]}", "{\"a\": [1]}"),
            ("json", "{\"a\"", "~"),
            ("binary", "é", "c3a9"),
            ("utf8", "007", "007"),
            (
                "uuid",
                "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}",
                "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            ),
            (
                "uuid",
                "a0eebc999c0b4ef8bb6d6bb9bd380a11",
                "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            ),
            ("uuid", "a0eebc999c0b4ef8bb6d6bb9bd380a1", "~"),
            ("uuid", "a0eebc99-9c0b4ef8-bb6d-6bb9bd380a11-00", "~"),
            ("uuid", "{a0eebc999c0b4ef8bb6d6bb9bd380a11", "~"),
            ("uuid", "g0eebc999c0b4ef8bb6d6bb9bd380a11", "~"),
        ] {
            assert_eq!(read(said, text), expected, "{text} as {said}");
        }
    }
}
