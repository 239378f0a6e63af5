//! Dates, timestamps and times of day: reading them from a text, and the type in which they compare.
//!
//! A timestamp of 64 bits holds the years 1677 to 2262 in nanoseconds and any year in microseconds, and 9999-12-31 is what
//! many tables say for "never". So dates compare as dates where only dates are compared, and everything else by the
//! microsecond; by the nanosecond only where every column has them and every value is within their range. What is finer
//! than that is refused, and nothing is cut off. A time of day compares by the nanosecond, in which there is room for all.
//!
//! Absent here: sums of dates and spans of time.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::ScalarValue;

use crate::{
    error::{Place, QueryError},
    kind::{Kind, Part, value_type},
    names::shortened,
};

/// The type of the time of day.
const TIME: DataType = DataType::Time64(TimeUnit::Nanosecond);

/// The type in which some dates and timestamps compare.
#[derive(Debug)]
pub(crate) enum Moments {
    /// There are dates only.
    Dates,
    /// Timestamps of this unit; one without a zone, and a date, is in this zone.
    Stamps(TimeUnit, Option<Arc<str>>),
}

impl Moments {
    /// The type in which parts compare, of which each is a date, a timestamp, `NULL` or a text that is written out.
    ///
    /// # Errors
    /// [`QueryError::WrongType`] for a text that is neither date nor timestamp.
    pub(crate) fn of(parts: &[&Part]) -> Result<Self, QueryError> {
        let zone = parts.iter().find_map(|part| zone(part)).cloned();
        let finest = DataType::Timestamp(TimeUnit::Nanosecond, zone.clone());
        let (mut some, mut fine) = (false, true);
        for part in parts {
            let value = written(part, &zone)?;
            let data_type = value.as_ref().map(ScalarValue::data_type);
            let data_type = data_type.unwrap_or_else(|| value_type(&part.data_type).clone());
            some |= matches!(data_type, DataType::Timestamp(..));
            fine &= match value {
                Some(value) => value.cast_to(&finest).is_ok(),
                None => matches!(
                    data_type,
                    DataType::Timestamp(TimeUnit::Nanosecond, _) | DataType::Null
                ),
            };
        }
        Ok(match (some, fine) {
            (false, _) => Self::Dates,
            (true, true) => Self::Stamps(TimeUnit::Nanosecond, zone),
            (true, false) => Self::Stamps(TimeUnit::Microsecond, zone),
        })
    }

    /// One of the parts, in that type.
    ///
    /// # Errors
    /// [`QueryError::WrongType`] for a text that is finer than what it is compared with.
    pub(crate) fn apply(&self, part: Part) -> Result<Part, QueryError> {
        let place = part.place;
        match self {
            Self::Dates => Ok(match written(&part, &None)? {
                Some(value) => Part::value(value, place),
                None => part,
            }),
            Self::Stamps(unit, zone) => {
                let value = written(&part, zone)?;
                if *unit == TimeUnit::Microsecond
                    && matches!(value, Some(ScalarValue::TimestampNanosecond(Some(_), _)))
                {
                    return Err(too_fine(6, place));
                }
                let part = value.map_or(part, |value| Part::value(value, place));
                Ok(part.cast(&DataType::Timestamp(*unit, zone.clone())))
            }
        }
    }
}

/// A time of day, or a text that is one, as times of day compare.
///
/// # Errors
/// [`QueryError::WrongType`].
pub(crate) fn time(part: Part) -> Result<Part, QueryError> {
    match part.literal_text() {
        Some(text) => read(text, &TIME, part.place),
        None => Ok(part.cast(&TIME)),
    }
}

/// A text as a value of a type.
///
/// # Errors
/// [`QueryError::WrongType`].
pub(crate) fn read(text: &str, data_type: &DataType, place: Place) -> Result<Part, QueryError> {
    let value = match data_type {
        DataType::Date32 => date(text),
        DataType::Timestamp(_, zone) => stamp(text, zone),
        // Arrow takes a bare number for what the column stores.
        DataType::Time64(_) if !text.contains(':') => None,
        DataType::Time64(_) => fits(text, 9).then(|| converted(text, &TIME)).flatten(),
        other => converted(text, other),
    };
    match value {
        Some(value) => Ok(Part::value(value, place)),
        None if converted(text, data_type).is_some() && !fits(text, 9) => Err(too_fine(9, place)),
        None => Err(QueryError::WrongType {
            detail: format!("`{}` is not {}", shortened(text), called(data_type)),
            place,
            cure: "write it like '2026-01-31' or '2026-01-31T12:00:00Z', a time of day like '12:00:00'"
                .to_owned(),
        }),
    }
}

fn called(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Date32 => "a date",
        other => Kind::of(other).name(),
    }
}

fn zone(part: &Part) -> Option<&Arc<str>> {
    match value_type(&part.data_type) {
        DataType::Timestamp(_, zone) => zone.as_ref(),
        _ => None,
    }
}

/// The value of a part that is written out, a text read as a date or else a timestamp of a zone.
fn written(part: &Part, zone: &Option<Arc<str>>) -> Result<Option<ScalarValue>, QueryError> {
    let Some(text) = part.literal_text() else {
        return Ok(part.literal().cloned());
    };
    if let Some(date) = date(text) {
        return Ok(Some(date));
    }
    let stamp = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
    Ok(read(text, &stamp, part.place)?.literal().cloned())
}

/// A text as a date, if it is one without a time of day.
fn date(text: &str) -> Option<ScalarValue> {
    let bare = text.len() <= "2026-01-31".len() || text.starts_with(['+', '-']);
    bare.then(|| converted(text, &DataType::Date32)).flatten()
}

/// A text as a timestamp, in microseconds if it is not finer.
fn stamp(text: &str, zone: &Option<Arc<str>>) -> Option<ScalarValue> {
    let unit = match fits(text, 6) {
        true => TimeUnit::Microsecond,
        false if fits(text, 9) => TimeUnit::Nanosecond,
        false => return None,
    };
    converted(text, &DataType::Timestamp(unit, zone.clone()))
}

fn converted(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    let value = ScalarValue::Utf8(Some(text.to_owned())).cast_to(data_type);
    value.ok().filter(|value| !value.is_null())
}

/// Whether the seconds of a text have at most so many digits behind the point, zeros at the end left out.
fn fits(text: &str, digits: usize) -> bool {
    let behind = text.split_once('.').map_or("", |(_, behind)| behind);
    let end = behind.find(|letter: char| !letter.is_ascii_digit());
    let behind = &behind[..end.unwrap_or(behind.len())];
    behind.trim_end_matches('0').len() <= digits
}

fn too_fine(digits: usize, place: Place) -> QueryError {
    QueryError::WrongType {
        detail: format!("seconds are written with more digits than the {digits} that compare"),
        place,
        cure: "leave off the digits behind those".to_owned(),
    }
}
