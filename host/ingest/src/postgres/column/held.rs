//! How many bytes a column holds.
//!
//! What a value takes once it is decoded has little to do with its length on the wire: a null of a column of
//! vectors takes as much as a vector, a number of a few groups may be a text of 131,072 digits. So columns are
//! asked, not the wire. An answer costs no walk over the values.

use arrow::{
    array::{BooleanBuilder, GenericByteBuilder, PrimitiveBuilder},
    datatypes::{ArrowPrimitiveType, ByteArrayType},
};

use super::Column;

impl Column {
    /// Bytes of the values since the last array, without those that only say which are null.
    pub(in crate::postgres) fn held(&self) -> usize {
        match self {
            Self::Bool(values, _) => bits(values),
            Self::Int16(values) => numbers(values),
            Self::Int32(values) | Self::WideInt16(values) => numbers(values),
            Self::Int64(values) => numbers(values),
            Self::UInt32(values) => numbers(values),
            Self::Float32(values) => numbers(values),
            Self::Float64(values) | Self::WideFloat32(values) | Self::NumericFloat(values, _) => {
                numbers(values)
            }
            Self::Decimal128(values, _) | Self::Money(values) => numbers(values),
            Self::Decimal256(values, _) => numbers(values),
            Self::Text(values, ..) => long(values),
            Self::Bytes(values) | Self::Geometry(values, ..) => long(values),
            Self::Uuid(values) => values.values_slice().len(),
            Self::Date(values) => numbers(values),
            Self::Time(values) => numbers(values),
            Self::Timestamp(values) => numbers(values),
            Self::Interval(values) => values.held(),
            Self::List(lists) => lists.held(),
            Self::Struct(fields) => fields.held(),
            Self::Range(bounds) => bounds.held(),
            Self::Map(entries) => entries.held(),
            Self::Vector(vectors) => vectors.held(),
        }
    }
}

pub(super) fn bits(values: &BooleanBuilder) -> usize {
    values.values_slice().len()
}

pub(super) fn numbers<T: ArrowPrimitiveType>(values: &PrimitiveBuilder<T>) -> usize {
    size_of_val(values.values_slice())
}

/// Values of any length, with where each ends.
pub(super) fn long<T: ByteArrayType>(values: &GenericByteBuilder<T>) -> usize {
    values.values_slice().len() + size_of_val(values.offsets_slice())
}
