//! Which Arrow type a column of a MySQL or MariaDB server gets.
//!
//! The server tells the type of each column of a result with its length, sign, scale and character set; the
//! catalogue adds what the wire does not tell (the type in the server's words, labels of an enum, what is a
//! UUID, what is JSON). In `exact` mode every value of the type has its place, except those that a policy
//! decides on: zero dates, other numbers than 0 and 1 in a `tinyint(1)`, geometries that are not well formed.
//! A `tinyint(1)` counts as Boolean when it is signed and a column of a table: an unsigned one, or the result
//! of a computation, is a number.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, TimeUnit};
use mysql_async::{
    Column as WireColumn,
    consts::{ColumnFlags, ColumnType},
};

use super::catalog::Origin;
use crate::{IngestError, TypeMode, ValuePolicy, dataset::SOURCE_TYPE};

/// Number of the character set whose texts are bytes.
const BINARY_CHARSET: u16 = 63;

const EXTENSION: &str = "ARROW:extension:name";
const ENUM_LABELS: &str = "boathouse.enum_labels";

/// What values of a column are at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `tinyint(1)`.
    Flag,
    /// `bit(n)`.
    Bits,
    /// Of 8, 16, 24, 32 or 64 bits; `year` is one of 16.
    Integer {
        bits: u8,
        unsigned: bool,
    },
    /// 4 bytes.
    Float,
    /// 8 bytes.
    Double,
    /// Digits in all, and after the point.
    Decimal {
        precision: u8,
        scale: i8,
    },
    Date,
    /// With so many digits of a second's fraction.
    DateTime {
        digits: u8,
    },
    /// As `DateTime`, a moment of UTC.
    Timestamp {
        digits: u8,
    },
    /// As `DateTime`, beyond 24 hours and negative, too.
    Time {
        digits: u8,
    },
    Text,
    Json,
    Enum,
    Set,
    Bytes,
    Geometry,
    Uuid,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) data_type: DataType,
    /// The type on the wire, which the rows have to have, too.
    pub(super) wire: ColumnType,
    /// Whether a value can be longer than a row may be.
    pub(super) is_long: bool,
    /// Whether the source may have nulls.
    pub(super) nullable: bool,
    /// Which mapping gave it its Arrow type.
    pub(super) types: TypeMode,
    source_type: String,
    labels: Vec<String>,
}

impl Column {
    /// The column that the server describes; `origin` is the column of a table that it shows, if it does.
    pub(super) fn new(wire: &WireColumn, origin: Option<&Origin>, types: TypeMode) -> Self {
        let kind = kind(wire, origin);
        let flags = wire.flags();
        Self {
            name: wire.name_str().into_owned(),
            kind,
            data_type: match types {
                TypeMode::Exact => exact(kind, wire),
                TypeMode::Portable => portable(kind, wire),
            },
            wire: wire.column_type(),
            is_long: wire.column_length() > 0xFF_FFFF * 4,
            nullable: !flags.contains(ColumnFlags::NOT_NULL_FLAG),
            source_type: match origin {
                Some(origin) => origin.column_type.clone(),
                None => computed_type(kind),
            },
            labels: origin.map(Origin::labels).unwrap_or_default(),
            types,
        }
    }

    /// As a field of a schema.
    pub(super) fn field(&self, policy: ValuePolicy) -> Field {
        let widened = policy == ValuePolicy::Null && self.may_not_fit();
        let mut metadata = HashMap::from([(SOURCE_TYPE.to_owned(), self.source_type.clone())]);
        if !self.labels.is_empty() {
            let labels = serde_json::Value::from(self.labels.clone()).to_string();
            metadata.insert(ENUM_LABELS.to_owned(), labels);
        }
        if let Some(extension) = self.extension() {
            metadata.insert(EXTENSION.to_owned(), extension.to_owned());
        }
        Field::new(&self.name, self.data_type.clone(), self.nullable || widened)
            .with_metadata(metadata)
    }

    /// The error that it holds values for which its Arrow type has none.
    pub(super) fn lacks(&self, what: &str) -> IngestError {
        let other = match (self.types, self.kind) {
            (TypeMode::Exact, Kind::Date | Kind::DateTime { .. } | Kind::Timestamp { .. }) => {
                Some("`types` to `portable`, which has dates and times as text")
            }
            (TypeMode::Portable, Kind::Integer { .. }) => {
                Some("`types` to `exact`, which has every number")
            }
            _ => None,
        };
        IngestError::lacks(&self.name, what, self.types, &self.data_type, other)
    }

    /// The server's name of its type, without lengths and labels.
    pub(super) fn type_name(&self) -> &str {
        let end = self.source_type.find('(');
        &self.source_type[..end.unwrap_or(self.source_type.len())]
    }

    fn extension(&self) -> Option<&'static str> {
        if self.types == TypeMode::Portable {
            return None;
        }
        match self.kind {
            Kind::Json => Some("arrow.json"),
            Kind::Uuid => Some("arrow.uuid"),
            Kind::Geometry => Some("geoarrow.wkb"),
            _ => None,
        }
    }

    /// Whether some value of the source has no place in the Arrow type.
    fn may_not_fit(&self) -> bool {
        match self.kind {
            Kind::Flag | Kind::Geometry => true,
            Kind::Date | Kind::DateTime { .. } | Kind::Timestamp { .. } => {
                self.types == TypeMode::Exact
            }
            Kind::Integer { bits: 64, unsigned } => unsigned && self.types == TypeMode::Portable,
            _ => false,
        }
    }
}

fn kind(wire: &WireColumn, origin: Option<&Origin>) -> Kind {
    use ColumnType as T;
    let flags = wire.flags();
    let unsigned = flags.contains(ColumnFlags::UNSIGNED_FLAG);
    let integer = |bits| Kind::Integer { bits, unsigned };
    // 31 and more: the source does not say.
    let digits = wire.decimals().min(6);
    match wire.column_type() {
        T::MYSQL_TYPE_TINY if origin.is_some_and(Origin::is_flag) => Kind::Flag,
        T::MYSQL_TYPE_TINY => integer(8),
        T::MYSQL_TYPE_SHORT => integer(16),
        T::MYSQL_TYPE_YEAR => Kind::Integer {
            bits: 16,
            unsigned: false,
        },
        T::MYSQL_TYPE_INT24 => integer(24),
        T::MYSQL_TYPE_LONG => integer(32),
        T::MYSQL_TYPE_LONGLONG => integer(64),
        T::MYSQL_TYPE_FLOAT => Kind::Float,
        T::MYSQL_TYPE_DOUBLE => Kind::Double,
        T::MYSQL_TYPE_DECIMAL | T::MYSQL_TYPE_NEWDECIMAL => decimal(wire, unsigned),
        T::MYSQL_TYPE_BIT => Kind::Bits,
        T::MYSQL_TYPE_DATE | T::MYSQL_TYPE_NEWDATE => Kind::Date,
        T::MYSQL_TYPE_DATETIME | T::MYSQL_TYPE_DATETIME2 => Kind::DateTime { digits },
        T::MYSQL_TYPE_TIMESTAMP | T::MYSQL_TYPE_TIMESTAMP2 => Kind::Timestamp { digits },
        T::MYSQL_TYPE_TIME | T::MYSQL_TYPE_TIME2 => Kind::Time { digits },
        T::MYSQL_TYPE_JSON => Kind::Json,
        T::MYSQL_TYPE_GEOMETRY => Kind::Geometry,
        T::MYSQL_TYPE_ENUM => Kind::Enum,
        T::MYSQL_TYPE_SET => Kind::Set,
        _ if flags.contains(ColumnFlags::ENUM_FLAG) => Kind::Enum,
        _ if flags.contains(ColumnFlags::SET_FLAG) => Kind::Set,
        _ if origin.is_some_and(Origin::is_uuid) => Kind::Uuid,
        _ if origin.is_some_and(|origin| origin.is_json) => Kind::Json,
        T::MYSQL_TYPE_NULL => Kind::Text,
        _ if wire.character_set() == BINARY_CHARSET => Kind::Bytes,
        _ => Kind::Text,
    }
}

/// The length of a decimal counts its digits, its point if there is one, and its sign if it may have one.
fn decimal(wire: &WireColumn, unsigned: bool) -> Kind {
    let scale = wire.decimals().min(38);
    let marks = u32::from(scale > 0) + u32::from(!unsigned);
    let digits = wire.column_length().saturating_sub(marks).clamp(1, 65);
    let precision = u8::try_from(digits).unwrap_or(65).max(scale);
    Kind::Decimal {
        precision,
        scale: i8::try_from(scale).unwrap_or(38),
    }
}

fn exact(kind: Kind, wire: &WireColumn) -> DataType {
    let moment =
        |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    match kind {
        Kind::Flag => DataType::Boolean,
        Kind::Bits => bits(wire),
        Kind::Integer {
            bits: 8,
            unsigned: false,
        } => DataType::Int8,
        Kind::Integer {
            bits: 16,
            unsigned: false,
        } => DataType::Int16,
        Kind::Integer {
            bits: 24 | 32,
            unsigned: false,
        } => DataType::Int32,
        Kind::Integer {
            unsigned: false, ..
        } => DataType::Int64,
        Kind::Integer {
            bits: 8,
            unsigned: true,
        } => DataType::UInt8,
        Kind::Integer {
            bits: 16,
            unsigned: true,
        } => DataType::UInt16,
        Kind::Integer {
            bits: 24 | 32,
            unsigned: true,
        } => DataType::UInt32,
        Kind::Integer { unsigned: true, .. } => DataType::UInt64,
        Kind::Float => DataType::Float32,
        Kind::Double => DataType::Float64,
        Kind::Decimal { precision, scale } if precision <= 38 => {
            DataType::Decimal128(precision, scale)
        }
        Kind::Decimal { precision, scale } => DataType::Decimal256(precision, scale),
        Kind::Date => DataType::Date32,
        Kind::DateTime { .. } => moment(None),
        Kind::Timestamp { .. } => moment(Some("UTC")),
        Kind::Time { .. } => DataType::Duration(TimeUnit::Microsecond),
        Kind::Text | Kind::Json | Kind::Enum => DataType::Utf8,
        Kind::Set => DataType::new_list(DataType::Utf8, false),
        Kind::Bytes | Kind::Geometry => DataType::Binary,
        Kind::Uuid => DataType::FixedSizeBinary(16),
    }
}

fn portable(kind: Kind, wire: &WireColumn) -> DataType {
    match kind {
        Kind::Flag => DataType::Boolean,
        Kind::Bits if bits(wire) == DataType::Boolean => DataType::Boolean,
        Kind::Integer { bits: 64, .. }
        | Kind::Integer {
            bits: 32,
            unsigned: true,
        } => DataType::Int64,
        Kind::Integer { .. } => DataType::Int32,
        Kind::Float | Kind::Double | Kind::Decimal { .. } => DataType::Float64,
        _ => DataType::Utf8,
    }
}

fn bits(wire: &WireColumn) -> DataType {
    match wire.column_length() {
        1 => DataType::Boolean,
        _ => DataType::UInt64,
    }
}

/// The server's name of the type of something that is computed.
fn computed_type(kind: Kind) -> String {
    let sign = |unsigned| if unsigned { " unsigned" } else { "" };
    match kind {
        Kind::Flag
        | Kind::Integer {
            bits: 8,
            unsigned: false,
        } => "tinyint".to_owned(),
        Kind::Integer { bits, unsigned } => {
            let name = match bits {
                8 => "tinyint",
                16 => "smallint",
                24 => "mediumint",
                32 => "int",
                _ => "bigint",
            };
            format!("{name}{}", sign(unsigned))
        }
        Kind::Bits => "bit".to_owned(),
        Kind::Float => "float".to_owned(),
        Kind::Double => "double".to_owned(),
        Kind::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        Kind::Date => "date".to_owned(),
        Kind::DateTime { digits: 0 } => "datetime".to_owned(),
        Kind::DateTime { digits } => format!("datetime({digits})"),
        Kind::Timestamp { digits: 0 } => "timestamp".to_owned(),
        Kind::Timestamp { digits } => format!("timestamp({digits})"),
        Kind::Time { digits: 0 } => "time".to_owned(),
        Kind::Time { digits } => format!("time({digits})"),
        Kind::Text | Kind::Uuid => "text".to_owned(),
        Kind::Json => "json".to_owned(),
        Kind::Enum => "enum".to_owned(),
        Kind::Set => "set".to_owned(),
        Kind::Bytes => "blob".to_owned(),
        Kind::Geometry => "geometry".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(column_type: ColumnType, length: u32, flags: ColumnFlags) -> WireColumn {
        WireColumn::new(column_type)
            .with_name(b"a")
            .with_column_length(length)
            .with_flags(flags)
    }

    fn check(wire: &WireColumn, source: Option<&str>, expected: DataType, older: DataType) {
        let origin = source.map(Origin::of_type);
        let of = |types| Column::new(wire, origin.as_ref(), types).data_type;
        assert_eq!(
            (of(TypeMode::Exact), of(TypeMode::Portable)),
            (expected, older),
            "{source:?}"
        );
    }

    #[test]
    fn integers_keep_width_and_sign() {
        use ColumnType as T;
        use DataType as D;
        let (signed, unsigned) = (ColumnFlags::empty(), ColumnFlags::UNSIGNED_FLAG);
        check(
            &wire(T::MYSQL_TYPE_TINY, 4, signed),
            None,
            D::Int8,
            D::Int32,
        );
        check(
            &wire(T::MYSQL_TYPE_TINY, 3, unsigned),
            None,
            D::UInt8,
            D::Int32,
        );
        check(
            &wire(T::MYSQL_TYPE_INT24, 9, signed),
            None,
            D::Int32,
            D::Int32,
        );
        check(
            &wire(T::MYSQL_TYPE_LONG, 10, unsigned),
            None,
            D::UInt32,
            D::Int64,
        );
        check(
            &wire(T::MYSQL_TYPE_LONGLONG, 20, unsigned),
            None,
            D::UInt64,
            D::Int64,
        );
        check(
            &wire(T::MYSQL_TYPE_YEAR, 4, unsigned),
            Some("year(4)"),
            D::Int16,
            D::Int32,
        );
    }

    #[test]
    fn only_a_signed_column_of_a_table_is_a_flag() {
        use DataType as D;
        let signed = wire(ColumnType::MYSQL_TYPE_TINY, 1, ColumnFlags::empty());
        check(&signed, Some("tinyint(1)"), D::Boolean, D::Boolean);
        check(&signed, None, D::Int8, D::Int32);
        let unsigned = wire(ColumnType::MYSQL_TYPE_TINY, 1, ColumnFlags::UNSIGNED_FLAG);
        check(&unsigned, Some("tinyint(1) unsigned"), D::UInt8, D::Int32);
        let bit = wire(ColumnType::MYSQL_TYPE_BIT, 1, ColumnFlags::UNSIGNED_FLAG);
        check(&bit, Some("bit(1)"), D::Boolean, D::Boolean);
        let bits = wire(ColumnType::MYSQL_TYPE_BIT, 64, ColumnFlags::UNSIGNED_FLAG);
        check(&bits, Some("bit(64)"), D::UInt64, D::Utf8);
    }

    #[test]
    fn decimals_have_their_digits_and_are_never_floats_when_exact() {
        use DataType as D;
        let decimal = |length, scale, flags| {
            wire(ColumnType::MYSQL_TYPE_NEWDECIMAL, length, flags).with_decimals(scale)
        };
        let (signed, unsigned) = (ColumnFlags::empty(), ColumnFlags::UNSIGNED_FLAG);
        check(
            &decimal(12, 2, signed),
            None,
            D::Decimal128(10, 2),
            D::Float64,
        );
        check(
            &decimal(67, 30, signed),
            None,
            D::Decimal256(65, 30),
            D::Float64,
        );
        check(
            &decimal(38, 0, unsigned),
            None,
            D::Decimal128(38, 0),
            D::Float64,
        );
        check(
            &decimal(39, 0, signed),
            None,
            D::Decimal128(38, 0),
            D::Float64,
        );
    }

    #[test]
    fn what_the_wire_calls_a_string_is_told_apart() {
        use DataType as D;
        let string = |flags| wire(ColumnType::MYSQL_TYPE_STRING, 20, flags).with_character_set(45);
        let plain = string(ColumnFlags::empty());
        check(&plain, Some("char(20)"), D::Utf8, D::Utf8);
        check(
            &plain.clone().with_character_set(63),
            Some("binary(20)"),
            D::Binary,
            D::Utf8,
        );
        check(&plain, Some("uuid"), D::FixedSizeBinary(16), D::Utf8);
        check(
            &string(ColumnFlags::ENUM_FLAG),
            Some("enum('a')"),
            D::Utf8,
            D::Utf8,
        );
        let set = D::new_list(D::Utf8, false);
        check(
            &string(ColumnFlags::SET_FLAG),
            Some("set('a')"),
            set,
            D::Utf8,
        );
    }

    #[test]
    fn a_field_keeps_type_labels_and_nullability() {
        let flags = ColumnFlags::ENUM_FLAG | ColumnFlags::NOT_NULL_FLAG;
        let origin = Origin::of_type("enum('a','it''s')");
        let column = Column::new(
            &wire(ColumnType::MYSQL_TYPE_STRING, 4, flags),
            Some(&origin),
            TypeMode::Exact,
        );
        let field = column.field(ValuePolicy::Null);
        assert!(!field.is_nullable());
        assert_eq!(field.metadata()[SOURCE_TYPE], "enum('a','it''s')");
        assert_eq!(field.metadata()[ENUM_LABELS], r#"["a","it's"]"#);
    }

    #[test]
    fn a_value_without_a_place_is_told_with_what_to_set() {
        let date = wire(ColumnType::MYSQL_TYPE_DATE, 10, ColumnFlags::empty());
        let column = Column::new(&date, None, TypeMode::Exact);
        assert_eq!(
            column.lacks("zero dates").to_string(),
            "column `a`: it holds zero dates, for which a Date32 column has no value (`types` = `exact`); set \
             `out_of_range` to `null` to have null in their place, or `types` to `portable`, which has dates and \
             times as text; or turn them into something else by a query, or correct them at the source"
        );
        let flags = ColumnFlags::UNSIGNED_FLAG;
        let number = wire(ColumnType::MYSQL_TYPE_LONGLONG, 20, flags);
        let told = |types| {
            Column::new(&number, None, types)
                .lacks("numbers")
                .to_string()
        };
        assert!(told(TypeMode::Portable).contains("or `types` to `exact`"));
        assert!(!told(TypeMode::Exact).contains("or `types` to"));
    }

    #[test]
    fn a_column_with_zero_dates_becomes_nullable_where_they_become_null() {
        let date = wire(ColumnType::MYSQL_TYPE_DATE, 10, ColumnFlags::NOT_NULL_FLAG);
        let column = Column::new(&date, None, TypeMode::Exact);
        assert!(!column.field(ValuePolicy::Error).is_nullable());
        assert!(column.field(ValuePolicy::Null).is_nullable());
    }
}
