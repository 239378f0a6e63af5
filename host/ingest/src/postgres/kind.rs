//! How the values of a type are sent, and the Arrow type that they become.
//!
//! A [`Kind`] is the meeting point: `types.rs` finds the kind of a server's type, this file says what the kind
//! looks like in Arrow, `column.rs` decodes its bytes. Kinds nest as the server's types do. A type without a kind
//! is read as the server's own text.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, FieldRef, Fields, TimeUnit,
};

use super::text::Form;

const EXTENSION: &str = "ARROW:extension:name";
const EXTENSION_METADATA: &str = "ARROW:extension:metadata";

/// How values are sent, and what they become.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// `bool`, or `bit(1)`.
    Bool {
        /// Sent as a string of bits.
        bit: bool,
    },
    /// A whole number of 2 bytes; in the portable mapping as Int32.
    Int2 {
        /// As Int32.
        wide: bool,
    },
    /// A whole number of 4 bytes.
    Int4,
    /// A whole number of 8 bytes.
    Int8,
    /// A number of 4 bytes without sign.
    Oid,
    /// A float of 4 bytes; in the portable mapping as Float64.
    Float4 {
        /// As Float64.
        wide: bool,
    },
    /// A float of 8 bytes.
    Float8,
    /// `numeric` as a decimal.
    Decimal {
        /// Digits, at most 76.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// `numeric` as Float64, of the portable mapping.
    NumericFloat,
    /// `money`.
    Money {
        /// Digits after the point in the server's locale.
        scale: u8,
    },
    /// Anything that becomes text.
    Text(Form),
    /// `bytea`.
    Bytes,
    /// `date`.
    Date,
    /// `time`.
    Time,
    /// `timestamp`.
    Timestamp {
        /// `timestamptz`.
        zoned: bool,
    },
    /// `interval`.
    Interval,
    /// `uuid`.
    Uuid,
    /// `hstore`.
    Hstore,
    /// pgvector's `vector` and `halfvec`.
    Vector {
        /// Sent as floats of 2 bytes.
        half: bool,
        /// Its dimension, where the column has one.
        dimension: Option<u16>,
    },
    /// `geometry` and `geography` of PostGIS.
    Geometry {
        /// The reference system, where the column has one.
        srid: Option<u32>,
    },
    /// An array.
    List {
        /// Of its elements.
        item: Box<Kind>,
        /// Its dimensions, at least 1.
        depth: usize,
    },
    /// A composite type.
    Struct(Vec<(String, Kind)>),
    /// A range.
    Range(Box<Kind>),
    /// A multirange.
    Multirange(Box<Kind>),
}

impl Kind {
    /// The kind of `numeric` with a type modifier, or without one.
    pub(super) fn numeric(modifier: i32) -> Self {
        let Some(bits) = modifier.checked_sub(4).filter(|bits| *bits >= 0) else {
            return Self::Text(Form::Numeric);
        };
        let precision = (bits >> 16) & 0xffff;
        // Eleven bits with a sign, since version 15; before, scales went to 1,000 without one.
        let scale = ((bits & 0x7ff) ^ 1024) - 1024;
        // Digits before the point that a negative scale adds; digits that a scale above the precision needs.
        let digits = (precision + (-scale).max(0)).max(scale);
        match (u8::try_from(digits), u8::try_from(scale.max(0))) {
            (Ok(precision), Ok(scale)) if precision <= DECIMAL256_MAX_PRECISION => {
                Self::Decimal { precision, scale }
            }
            _ => Self::Text(Form::Numeric),
        }
    }

    /// Its counterpart in the portable mapping; none: read it as the server's text.
    pub(super) fn portable(&self) -> Option<Self> {
        let kind = match self {
            Self::Int2 { .. } => Self::Int2 { wide: true },
            Self::Float4 { .. } => Self::Float4 { wide: true },
            Self::Decimal { .. } | Self::Text(Form::Numeric) => Self::NumericFloat,
            Self::Bool { bit: true } => Self::Text(Form::Bits),
            Self::Bool { bit: false } | Self::Int4 | Self::Int8 | Self::Float8 | Self::Text(_) => {
                self.clone()
            }
            _ => return None,
        };
        Some(kind)
    }

    /// Its Arrow type.
    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Bool { .. } => DataType::Boolean,
            Self::Int2 { wide: false } => DataType::Int16,
            Self::Int2 { wide: true } | Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Oid => DataType::UInt32,
            Self::Float4 { wide: false } => DataType::Float32,
            Self::Float4 { wide: true } | Self::Float8 | Self::NumericFloat => DataType::Float64,
            Self::Decimal { precision, scale } if *precision <= DECIMAL128_MAX_PRECISION => {
                DataType::Decimal128(*precision, scale.cast_signed())
            }
            Self::Decimal { precision, scale } => {
                DataType::Decimal256(*precision, scale.cast_signed())
            }
            Self::Money { scale } => DataType::Decimal128(19, scale.cast_signed()),
            Self::Text(_) => DataType::Utf8,
            Self::Bytes | Self::Geometry { .. } => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp { zoned } => {
                DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| "UTC".into()))
            }
            Self::Interval => DataType::Struct(interval_fields()),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Hstore => DataType::Map(entries_field(), false),
            Self::Vector { half, dimension } => {
                let item = vector_item(*half);
                match dimension {
                    Some(dimension) => DataType::FixedSizeList(item, i32::from(*dimension)),
                    None => DataType::List(item),
                }
            }
            Self::List { item, depth } => {
                (0..*depth)
                    .fold(
                        (item.data_type(), item.metadata()),
                        |(inner, metadata), _| {
                            let field = Field::new("item", inner, true).with_metadata(metadata);
                            (DataType::List(Arc::new(field)), HashMap::new())
                        },
                    )
                    .0
            }
            Self::Struct(fields) => DataType::Struct(struct_fields(fields)),
            Self::Range(bound) => DataType::Struct(range_fields(bound)),
            Self::Multirange(bound) => {
                let range = DataType::Struct(range_fields(bound));
                DataType::List(Arc::new(Field::new("item", range, true)))
            }
        }
    }

    /// What a field of this kind says beside its type.
    pub(super) fn metadata(&self) -> HashMap<String, String> {
        let entry = |key: &str, value: String| (key.to_owned(), value);
        match self {
            Self::Uuid => HashMap::from([entry(EXTENSION, "arrow.uuid".to_owned())]),
            Self::Text(Form::Json | Form::Jsonb) => {
                HashMap::from([entry(EXTENSION, "arrow.json".to_owned())])
            }
            Self::Geometry { srid } => {
                let mut said = HashMap::from([entry(EXTENSION, "geoarrow.wkb".to_owned())]);
                if let Some(srid) = srid {
                    let crs = format!("{{\"crs\":\"{srid}\",\"crs_type\":\"srid\"}}");
                    said.insert(EXTENSION_METADATA.to_owned(), crs);
                }
                said
            }
            _ => HashMap::new(),
        }
    }

    /// A field that may hold nulls.
    pub(super) fn field(&self, name: &str) -> FieldRef {
        Arc::new(Field::new(name, self.data_type(), true).with_metadata(self.metadata()))
    }

    /// Whether the server's type has values that the Arrow type has not.
    pub(super) fn lacks_values(&self) -> bool {
        match self {
            Self::Decimal { .. }
            | Self::Date
            | Self::Time
            | Self::Timestamp { .. }
            | Self::Interval => true,
            // An array of other dimensions.
            Self::List { .. } => true,
            // A range is null where a bound lacks a value.
            Self::Range(bound) | Self::Multirange(bound) => bound.may_lose(),
            _ => false,
        }
    }

    /// Whether something in a value can become null.
    fn may_lose(&self) -> bool {
        match self {
            Self::Struct(fields) => fields.iter().any(|(_, kind)| kind.may_lose()),
            kind => kind.lacks_values(),
        }
    }

    /// Whether a value may be of any length.
    pub(super) fn is_long(&self) -> bool {
        matches!(
            self,
            Self::Text(_)
                | Self::Bytes
                | Self::Hstore
                | Self::Vector { .. }
                | Self::Geometry { .. }
                | Self::List { .. }
                | Self::Struct(_)
                | Self::Multirange(_)
        )
    }
}

/// Fields of an interval: its parts do not turn into each other.
pub(super) fn interval_fields() -> Fields {
    Fields::from(vec![
        Field::new("months", DataType::Int32, true),
        Field::new("days", DataType::Int32, true),
        Field::new("microseconds", DataType::Int64, true),
    ])
}

/// Fields of a range; a bound that is null is infinite.
pub(super) fn range_fields(bound: &Kind) -> Fields {
    let flag = |name: &str| Arc::new(Field::new(name, DataType::Boolean, true));
    Fields::from(vec![
        bound.field("lower"),
        bound.field("upper"),
        flag("lower_inclusive"),
        flag("upper_inclusive"),
        flag("empty"),
    ])
}

/// Fields of a composite type.
pub(super) fn struct_fields(fields: &[(String, Kind)]) -> Fields {
    fields.iter().map(|(name, kind)| kind.field(name)).collect()
}

/// Key and value of a map.
pub(super) fn entry_fields() -> Fields {
    Fields::from(vec![
        Field::new("keys", DataType::Utf8, false),
        Field::new("values", DataType::Utf8, true),
    ])
}

/// The entries of a map.
pub(super) fn entries_field() -> FieldRef {
    Arc::new(Field::new(
        "entries",
        DataType::Struct(entry_fields()),
        false,
    ))
}

/// A coordinate of a vector.
pub(super) fn vector_item(half: bool) -> FieldRef {
    let float = if half {
        DataType::Float16
    } else {
        DataType::Float32
    };
    Arc::new(Field::new("item", float, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modifier(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    #[test]
    fn decimals_take_every_precision_that_arrow_has() {
        for (precision, scale, expected) in [
            (10, 2, DataType::Decimal128(10, 2)),
            (38, 38, DataType::Decimal128(38, 38)),
            (39, 0, DataType::Decimal256(39, 0)),
            (76, 10, DataType::Decimal256(76, 10)),
            (77, 0, DataType::Utf8),
            (1000, 900, DataType::Utf8),
            (5, -2, DataType::Decimal128(7, 0)),
            (3, -1000, DataType::Utf8),
            (3, 5, DataType::Decimal128(5, 5)),
        ] {
            let kind = Kind::numeric(modifier(precision, scale));
            assert_eq!(kind.data_type(), expected, "numeric({precision},{scale})");
        }
        assert_eq!(Kind::numeric(-1), Kind::Text(Form::Numeric));
    }

    #[test]
    fn extensions_stand_at_every_depth() {
        let list = Kind::List {
            item: Box::new(Kind::Uuid),
            depth: 2,
        };
        let DataType::List(outer) = list.data_type() else {
            panic!("no list");
        };
        assert!(outer.metadata().is_empty());
        let DataType::List(inner) = outer.data_type() else {
            panic!("not nested");
        };
        assert_eq!(inner.metadata()[EXTENSION], "arrow.uuid");
        assert_eq!(Kind::Uuid.field("u").metadata()[EXTENSION], "arrow.uuid");
    }

    #[test]
    fn the_portable_mapping_knows_five_types() {
        for (kind, expected) in [
            (Kind::Int2 { wide: false }, Some(DataType::Int32)),
            (Kind::Int8, Some(DataType::Int64)),
            (Kind::numeric(modifier(10, 2)), Some(DataType::Float64)),
            (Kind::numeric(-1), Some(DataType::Float64)),
            (Kind::Float4 { wide: false }, Some(DataType::Float64)),
            (Kind::Bool { bit: false }, Some(DataType::Boolean)),
            (Kind::Text(Form::Network), Some(DataType::Utf8)),
            (Kind::Date, None),
            (Kind::Money { scale: 2 }, None),
            (Kind::Bytes, None),
        ] {
            let portable = kind.portable().map(|kind| kind.data_type());
            assert_eq!(portable, expected, "{kind:?}");
        }
    }
}
