//! UUIDs: sixteen bytes whose field says what they are, by Arrow's list of canonical extension types.
//!
//! They are read in any of the ways in which databases write them, and shown in one: lower case with hyphens. Those
//! inside lists and structs are shown as bytes.

use std::{fmt::Write as _, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, LargeStringArray},
    datatypes::{DataType, Field},
    error::ArrowError,
};

use crate::zone::in_utc;

/// Bytes of one.
pub(crate) const BYTES: usize = 16;
/// Bytes of one, as Arrow counts.
pub(crate) const WIDTH: i32 = 16;

/// Key and value of the metadata by which a field says that it holds UUIDs.
pub(crate) const MARK: (&str, &str) = ("ARROW:extension:name", "arrow.uuid");

/// Whether a field holds UUIDs.
pub(crate) fn is_uuid(field: &Field) -> bool {
    let (key, name) = MARK;
    let extension = field.metadata().get(key);
    *field.data_type() == DataType::FixedSizeBinary(WIDTH)
        && extension.is_some_and(|found| found == name)
}

/// The bytes of one: 32 hexadecimal digits, in braces or not, with hyphens between groups of four or more.
pub(crate) fn parse(text: &str) -> Option<[u8; BYTES]> {
    let bare = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    };
    let mut bytes = [0; BYTES];
    let mut count = 0;
    for group in bare.split('-') {
        if group.is_empty() || group.len() % 4 != 0 {
            return None;
        }
        let (pairs, _) = group.as_bytes().as_chunks::<2>();
        for [high, low] in pairs {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let byte = digit(*high)? << 4 | digit(*low)?;
            *bytes.get_mut(count)? = u8::try_from(byte).ok()?;
            count += 1;
        }
    }
    (count == BYTES).then_some(bytes)
}

/// Each as text; none where the array is not of sixteen bytes.
pub(crate) fn texts(array: &ArrayRef) -> Option<LargeStringArray> {
    let text = |bytes: &[u8]| {
        let mut text = String::with_capacity(36);
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    };
    let array = array.as_fixed_size_binary_opt()?;
    let texts = array.iter().map(|value| value.map(text));
    (array.value_length() == WIDTH).then(|| texts.collect())
}

/// The values of a field as people see them: UUIDs as text, times in UTC, others as they are.
pub(crate) fn showable(field: &Field, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match is_uuid(field).then(|| texts(array)).flatten() {
        Some(texts) => Ok(Arc::new(texts)),
        None => in_utc(array),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, FixedSizeBinaryArray};

    use super::*;

    const BYTES_OF_ONE: [u8; BYTES] = [
        0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a,
        0x11,
    ];

    #[test]
    fn every_spelling_is_read() {
        for text in [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        ] {
            assert_eq!(parse(text), Some(BYTES_OF_ONE), "{text}");
        }
        for text in [
            "",
            "{}",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1100",
            "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "é0eebc9-9c0b-4ef8-bb6d-6bb9bd380a11",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn they_are_shown_as_text_only_where_the_field_says_so() {
        let values = [Some(BYTES_OF_ONE), None].into_iter();
        let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, WIDTH).unwrap();
        let array: ArrayRef = Arc::new(array);
        let plain = Field::new("c", array.data_type().clone(), true);
        let marked = [(MARK.0.to_owned(), MARK.1.to_owned())];
        let uuid = plain.clone().with_metadata(marked.into());
        let shown = showable(&uuid, &array).unwrap();
        let shown: Vec<_> = shown.as_string::<i64>().iter().collect();
        assert_eq!(shown, [Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), None]);
        assert_eq!(&showable(&plain, &array).unwrap(), &array);
    }
}
