//! Times with a zone, shown in UTC.
//!
//! Arrow formats named zones only with a copy of the zone database compiled in. A zone does not change the
//! moment, only how it is shown, so for showing every zone becomes the offset `+00:00`.

use std::sync::Arc;

use arrow::{
    array::ArrayRef,
    compute::cast,
    datatypes::{DataType, Field, FieldRef},
    error::ArrowError,
};

/// The same values with every zone, also inside lists and structs, as `+00:00`.
pub(crate) fn in_utc(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let shown = shown_type(array.data_type());
    match shown == *array.data_type() {
        true => Ok(Arc::clone(array)),
        false => cast(array, &shown),
    }
}

fn shown_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("+00:00".into())),
        DataType::List(item) => DataType::List(shown_field(item)),
        DataType::LargeList(item) => DataType::LargeList(shown_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(shown_field(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(shown_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(shown_field(entries), *sorted),
        other => other.clone(),
    }
}

fn shown_field(field: &FieldRef) -> FieldRef {
    let shown = shown_type(field.data_type());
    Arc::new(Field::clone(field).with_data_type(shown))
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{Array, StructArray, TimestampMicrosecondArray},
        util::display::array_value_to_string,
    };

    use super::*;

    #[test]
    fn moments_stay_and_show_in_utc() {
        let times =
            TimestampMicrosecondArray::from(vec![Some(0), None]).with_timezone("Europe/Berlin");
        let field = Arc::new(Field::new("at", times.data_type().clone(), true));
        let nested = StructArray::from(vec![(field, Arc::new(times) as ArrayRef)]);
        let shown = in_utc(&(Arc::new(nested) as ArrayRef)).unwrap();
        assert_eq!(
            array_value_to_string(&shown, 0).unwrap(),
            "{at: 1970-01-01T00:00:00Z}"
        );
    }
}
