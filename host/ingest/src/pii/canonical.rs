//! The text of a value that is masked or hashed: one text a value, whatever the type of its column.
//!
//! | type | text |
//! |---|---|
//! | text | as it is, neither trimmed nor normalised |
//! | whole numbers | decimal digits: `42` |
//! | decimals, floats | without an exponent and without zeros at the end of the fraction: `42`, `-1.5`; `NaN`, `inf` |
//! | booleans | `true`, `false` |
//! | dates, times | ISO 8601, `2024-01-31`, `2024-01-31T10:00:00`; with a zone in UTC: `2024-01-31T10:00:00Z` |
//! | UUIDs | lower case with hyphens |
//! | bytes | lower-case hexadecimal |
//! | lists, structs, maps and the rest | Arrow's text of the whole value |
//!
//! So the number 42 of one table and the text `42` of another are one value, as are the decimals 1.50 and 1.5;
//! the text `1.50` is another. A null has no text.

use std::fmt::{Display, Write as _};

use arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, AsArray, LargeStringArray, LargeStringBuilder,
        PrimitiveArray,
    },
    compute::cast,
    datatypes::{DataType, Field, Float16Type, Float32Type, Float64Type},
    error::ArrowError,
    util::display::{ArrayFormatter, FormatOptions},
};

use crate::{uuid, zone::in_utc};

/// The texts of a column's values.
pub(super) fn texts(field: &Field, array: &ArrayRef) -> Result<LargeStringArray, ArrowError> {
    if let Some(texts) = uuid::is_uuid(field).then(|| uuid::texts(array)).flatten() {
        return Ok(texts);
    }
    let texts = match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            cast(array, &DataType::LargeUtf8)?
                .as_string::<i64>()
                .clone()
        }
        DataType::Dictionary(_, values) => texts(field, &cast(array, values)?)?,
        DataType::Float16 => floats(array.as_primitive::<Float16Type>()),
        DataType::Float32 => floats(array.as_primitive::<Float32Type>()),
        DataType::Float64 => floats(array.as_primitive::<Float64Type>()),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => shown(array, |text| shortened(text))?,
        _ => shown(&in_utc(array)?, |text| text)?,
    };
    Ok(texts)
}

/// Arrow's text of each value, through `change`.
fn shown(array: &ArrayRef, change: impl Fn(&str) -> &str) -> Result<LargeStringArray, ArrowError> {
    // A value that has no text, such as a time out of range, gets one that says so.
    let options = FormatOptions::new().with_display_error(true);
    let formatter = ArrayFormatter::try_new(array, &options)?;
    let nulls = array.logical_nulls();
    let mut builder = LargeStringBuilder::new();
    let mut text = String::new();
    for row in 0..array.len() {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            builder.append_null();
            continue;
        }
        text.clear();
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", formatter.value(row));
        builder.append_value(change(&text));
    }
    Ok(builder.finish())
}

/// Rust writes floats without an exponent, as short as reads back the same, and whole ones without a point.
fn floats<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> LargeStringArray
where
    T::Native: Display,
{
    let text = |value: T::Native| match value.to_string() {
        zero if zero == "-0" => "0".to_owned(),
        text => text,
    };
    array.iter().map(|value| value.map(text)).collect()
}

/// A decimal without zeros at the end of its fraction, and zero without a sign.
fn shortened(text: &str) -> &str {
    let short = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    };
    if short == "-0" { "0" } else { short }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{
            BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
            FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array, Int64Array, ListArray,
            NullArray, StringArray, StringViewArray, TimestampMicrosecondArray, UInt64Array,
        },
        datatypes::{Int32Type, Int64Type},
    };

    use super::*;

    #[track_caller]
    fn check(array: impl Array + 'static, expected: &[Option<&str>]) {
        let array: ArrayRef = Arc::new(array);
        let field = Field::new("c", array.data_type().clone(), true);
        let texts = texts(&field, &array).unwrap();
        assert_eq!(texts.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn one_value_has_one_text_in_every_type() {
        let fortytwo = &[Some("42"), None];
        check(StringArray::from(vec![Some("42"), None]), fortytwo);
        check(StringViewArray::from(vec![Some("42"), None]), fortytwo);
        check(Int8Array::from(vec![Some(42), None]), fortytwo);
        check(Int64Array::from(vec![Some(42), None]), fortytwo);
        check(UInt64Array::from(vec![Some(42), None]), fortytwo);
        check(Float32Array::from(vec![Some(42.0), None]), fortytwo);
        check(Float64Array::from(vec![Some(42.0), None]), fortytwo);
        let decimal = Decimal128Array::from(vec![Some(4_200), None]);
        check(decimal.with_precision_and_scale(10, 2).unwrap(), fortytwo);
        let dictionary: DictionaryArray<Int32Type> = vec![Some("42"), None].into_iter().collect();
        check(dictionary, fortytwo);
    }

    #[test]
    fn numbers_have_no_exponent_and_no_zeros_at_the_end() {
        let floats = [1.5, -0.0, 1e21, 0.1, f64::NAN, f64::INFINITY];
        let expected = ["1.5", "0", "1000000000000000000000", "0.1", "NaN", "inf"];
        check(Float64Array::from(floats.to_vec()), &expected.map(Some));
        check(Float32Array::from(vec![0.1]), &[Some("0.1")]);
        let decimals = Decimal128Array::from(vec![150, -150, 0, 1_000, i128::from(i64::MIN)]);
        let decimals = decimals.with_precision_and_scale(38, 2).unwrap();
        let expected = ["1.5", "-1.5", "0", "10", "-92233720368547758.08"];
        check(decimals, &expected.map(Some));
        let whole = Decimal128Array::from(vec![100]);
        check(
            whole.with_precision_and_scale(5, 0).unwrap(),
            &[Some("100")],
        );
    }

    #[test]
    fn text_stays_as_it_is() {
        let texts = [" a", "1.50", "", "É", "-0"];
        check(StringArray::from(texts.to_vec()), &texts.map(Some));
    }

    #[test]
    fn times_are_iso_8601_and_bytes_hexadecimal() {
        check(Date32Array::from(vec![19_753]), &[Some("2024-01-31")]);
        let times = TimestampMicrosecondArray::from(vec![1_706_695_200_000_000]);
        check(times.clone(), &[Some("2024-01-31T10:00:00")]);
        let zoned = times.with_timezone("Europe/Berlin");
        check(zoned, &[Some("2024-01-31T10:00:00Z")]);
        check(BooleanArray::from(vec![true]), &[Some("true")]);
        check(BinaryArray::from(vec![&b"\x01\xff"[..]]), &[Some("01ff")]);
        check(NullArray::new(2), &[None, None]);
        let list = vec![Some(vec![Some(1), None]), None];
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>(list);
        check(list, &[Some("[1, ]"), None]);
    }

    #[test]
    fn a_uuid_has_the_text_that_tables_of_text_hold() {
        let bytes: Vec<u8> = (0..16).collect();
        let array: ArrayRef =
            Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap());
        let plain = Field::new("c", array.data_type().clone(), true);
        let uuid = plain
            .clone()
            .with_metadata([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())].into());
        let text = |field: &Field| texts(field, &array).unwrap().value(0).to_owned();
        assert_eq!(text(&uuid), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(text(&plain), "000102030405060708090a0b0c0d0e0f");
    }
}
