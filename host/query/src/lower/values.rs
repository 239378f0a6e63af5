//! Values that are written out, and names of types.
//!
//! A number with a point is a decimal and not a float, so that `fee = 0.1` means that very number; where it is compared
//! with a float it becomes one. `DATE '...'` and `TIMESTAMP '...'` are read here, once.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};
use datafusion_common::ScalarValue;
use sqlparser::ast::{
    DataType as SqlType, ExactNumberInfo, TimezoneInfo, TypedString, Value, ValueWithSpan,
};

use super::place_of;
use crate::{
    error::{Place, QueryError},
    kind::Part,
    moments::read,
    names::shortened,
};

/// A literal.
pub(super) fn literal(written: &ValueWithSpan) -> Result<Part, QueryError> {
    let place = place_of(written);
    let value = match &written.value {
        Value::Number(digits, _) => number(digits, place)?,
        Value::SingleQuotedString(text) => return Ok(text_value(text, place)),
        Value::Boolean(truth) => ScalarValue::Boolean(Some(*truth)),
        Value::Null => ScalarValue::Null,
        _ => return Err(strange(place)),
    };
    Ok(Part::value(value, place))
}

/// A literal behind a minus.
pub(super) fn negative(written: &ValueWithSpan) -> Result<Part, QueryError> {
    let place = place_of(written);
    match &written.value {
        Value::Number(digits, _) => Ok(Part::value(number(&format!("-{digits}"), place)?, place)),
        Value::Null => literal(written),
        _ => Err(QueryError::WrongType {
            detail: "`-` stands before something that is no number".to_owned(),
            place,
            cure: "write the number without quotes".to_owned(),
        }),
    }
}

/// A text as a value.
pub(super) fn text(text: &str, place: Place) -> Part {
    text_value(text, place)
}

fn text_value(text: &str, place: Place) -> Part {
    Part::value(ScalarValue::Utf8(Some(text.to_owned())), place)
}

/// A literal with its type before it, as in `DATE '2026-01-31'`.
pub(super) fn typed(typed: &TypedString) -> Result<Part, QueryError> {
    let place = place_of(&typed.value);
    let Value::SingleQuotedString(text) = &typed.value.value else {
        return Err(strange(place));
    };
    read(text, &data_type(&typed.data_type)?, place)
}

fn strange(place: Place) -> QueryError {
    QueryError::Unsupported {
        what: "a value that is written this way".to_owned(),
        place,
        cure: "write numbers as they are, texts in single quotes, TRUE, FALSE or NULL".to_owned(),
    }
}

/// A number, in the narrowest of the types of whole numbers, decimals and floats that holds it as it is written.
fn number(digits: &str, place: Place) -> Result<ScalarValue, QueryError> {
    if let Ok(whole) = digits.parse::<i64>() {
        return Ok(ScalarValue::Int64(Some(whole)));
    }
    if let Ok(whole) = digits.parse::<u64>() {
        return Ok(ScalarValue::UInt64(Some(whole)));
    }
    if let Some(decimal) = decimal(digits) {
        return Ok(decimal);
    }
    match digits.parse::<f64>() {
        Ok(float) if float.is_finite() => Ok(ScalarValue::Float64(Some(float))),
        _ => Err(QueryError::WrongType {
            detail: format!("`{}` is no number", shortened(digits)),
            place,
            cure: "write it like 12, 0.5 or 1e6".to_owned(),
        }),
    }
}

fn decimal(digits: &str) -> Option<ScalarValue> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let precision = all.trim_start_matches('-').len();
    if precision > usize::from(DECIMAL128_MAX_PRECISION) {
        return None;
    }
    let scale = i8::try_from(fraction.len()).ok()?;
    let precision = u8::try_from(precision).ok()?;
    Some(ScalarValue::Decimal128(
        Some(all.parse().ok()?),
        precision,
        scale,
    ))
}

/// The type that a name means. All whole numbers have 64 bits here, all floats are double.
pub(super) fn data_type(named: &SqlType) -> Result<DataType, QueryError> {
    let without_zone =
        |zone: &TimezoneInfo| matches!(zone, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone);
    let zone = |zone: &TimezoneInfo| (!without_zone(zone)).then(|| "UTC".into());
    Ok(match named {
        SqlType::Boolean | SqlType::Bool => DataType::Boolean,
        SqlType::SmallInt(_) | SqlType::Int(_) | SqlType::Integer(_) | SqlType::BigInt(_) => {
            DataType::Int64
        }
        SqlType::Real | SqlType::Float(_) | SqlType::Double(_) | SqlType::DoublePrecision => {
            DataType::Float64
        }
        SqlType::Decimal(info) | SqlType::Numeric(info) | SqlType::Dec(info) => decimals(info)?,
        SqlType::Varchar(None) | SqlType::Char(None) | SqlType::Text | SqlType::String(None) => {
            DataType::Utf8
        }
        SqlType::Date => DataType::Date32,
        SqlType::Timestamp(_, of) => DataType::Timestamp(TimeUnit::Microsecond, zone(of)),
        SqlType::Time(_, of) if without_zone(of) => DataType::Time64(TimeUnit::Microsecond),
        other => return Err(no_type(&other.to_string())),
    })
}

fn decimals(info: &ExactNumberInfo) -> Result<DataType, QueryError> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => (38, 10),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=DECIMAL128_MAX_PRECISION), Ok(scale))
            if (0..=precision as i8).contains(&scale) =>
        {
            Ok(DataType::Decimal128(precision, scale))
        }
        _ => Err(no_type(&format!("DECIMAL({precision},{scale})"))),
    }
}

fn no_type(name: &str) -> QueryError {
    QueryError::Unsupported {
        what: format!("the type `{}`", shortened(name)),
        place: Place::default(),
        cure:
            "convert to BOOLEAN, BIGINT, DOUBLE, DECIMAL(38, 2), VARCHAR, DATE, TIME or TIMESTAMP"
                .to_owned(),
    }
}
