//! Builders of columns that take the driver's values.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, ListBuilder,
        PrimitiveBuilder, StringBuilder,
    },
    datatypes::{
        ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Decimal256Type,
        DurationMicrosecondType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
        Int64Type, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};
use mysql_async::Value;

use super::value::{
    Unfit, bits, date, decimal128, decimal256, double, duration, flag, float, geometry, integer,
    moment, set, text, uuid, write,
};
use crate::mysql::columns::{Column, Kind};

/// A column in the making.
pub(super) trait Cells: Send {
    /// Adds a value that is there. One that has no place is not added.
    fn push(&mut self, value: &Value) -> Result<(), Unfit>;

    /// Adds a null.
    fn push_null(&mut self);

    /// The column so far; empty afterwards.
    fn finish(&mut self) -> ArrayRef;
}

/// An empty column.
pub(super) fn cells(column: &Column) -> Box<dyn Cells> {
    let of = &column.data_type;
    match of {
        DataType::Boolean => Box::new(Flags(BooleanBuilder::new())),
        DataType::Int8 => numbers::<Int8Type>(of, integer),
        DataType::Int16 => numbers::<Int16Type>(of, integer),
        DataType::Int32 => numbers::<Int32Type>(of, integer),
        DataType::Int64 => numbers::<Int64Type>(of, integer),
        DataType::UInt8 => numbers::<UInt8Type>(of, integer),
        DataType::UInt16 => numbers::<UInt16Type>(of, integer),
        DataType::UInt32 => numbers::<UInt32Type>(of, integer),
        DataType::UInt64 if column.kind == Kind::Bits => numbers::<UInt64Type>(of, bits),
        DataType::UInt64 => numbers::<UInt64Type>(of, integer),
        DataType::Float32 => numbers::<Float32Type>(of, float),
        DataType::Float64 => numbers::<Float64Type>(of, double),
        DataType::Decimal128(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            numbers::<Decimal128Type>(of, move |value| decimal128(value, precision, scale))
        }
        DataType::Decimal256(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            numbers::<Decimal256Type>(of, move |value| decimal256(value, precision, scale))
        }
        DataType::Date32 => numbers::<Date32Type>(of, date),
        DataType::Timestamp(..) => numbers::<TimestampMicrosecondType>(of, moment),
        DataType::Duration(_) => numbers::<DurationMicrosecondType>(of, duration),
        DataType::Binary if column.kind == Kind::Geometry => blobs(geometry),
        DataType::Binary => blobs(super::value::bytes),
        DataType::FixedSizeBinary(_) => Box::new(Uuids(FixedSizeBinaryBuilder::new(16))),
        DataType::List(_) => Box::new(Sets(empty_sets())),
        _ => Box::new(Texts {
            cells: StringBuilder::new(),
            kind: column.kind,
            written: String::new(),
        }),
    }
}

struct Numbers<T: ArrowPrimitiveType, F> {
    cells: PrimitiveBuilder<T>,
    read: F,
}

fn numbers<T: ArrowPrimitiveType>(
    data_type: &DataType,
    read: impl Fn(&Value) -> Result<T::Native, Unfit> + Send + 'static,
) -> Box<dyn Cells> {
    let cells = PrimitiveBuilder::<T>::new().with_data_type(data_type.clone());
    Box::new(Numbers { cells, read })
}

impl<T, F> Cells for Numbers<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(&Value) -> Result<T::Native, Unfit> + Send,
{
    fn push(&mut self, value: &Value) -> Result<(), Unfit> {
        self.cells.append_value((self.read)(value)?);
        Ok(())
    }

    fn push_null(&mut self) {
        self.cells.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.cells.finish())
    }
}

struct Flags(BooleanBuilder);

impl Cells for Flags {
    fn push(&mut self, value: &Value) -> Result<(), Unfit> {
        self.0.append_value(flag(value)?);
        Ok(())
    }

    fn push_null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

struct Blobs<F> {
    cells: BinaryBuilder,
    read: F,
}

fn blobs(read: impl Fn(&Value) -> Result<&[u8], Unfit> + Send + 'static) -> Box<dyn Cells> {
    let cells = BinaryBuilder::new();
    Box::new(Blobs { cells, read })
}

impl<F: Fn(&Value) -> Result<&[u8], Unfit> + Send> Cells for Blobs<F> {
    fn push(&mut self, value: &Value) -> Result<(), Unfit> {
        self.cells.append_value((self.read)(value)?);
        Ok(())
    }

    fn push_null(&mut self) {
        self.cells.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.cells.finish())
    }
}

struct Uuids(FixedSizeBinaryBuilder);

impl Cells for Uuids {
    fn push(&mut self, value: &Value) -> Result<(), Unfit> {
        // The only error of the builder is another length than 16 bytes.
        self.0.append_value(uuid(value)?).map_err(|_| Unfit::SHAPE)
    }

    fn push_null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

struct Sets(ListBuilder<StringBuilder>);

fn empty_sets() -> ListBuilder<StringBuilder> {
    let member = Field::new_list_field(DataType::Utf8, false);
    ListBuilder::new(StringBuilder::new()).with_field(member)
}

impl Cells for Sets {
    fn push(&mut self, value: &Value) -> Result<(), Unfit> {
        for member in set(value)? {
            self.0.values().append_value(member);
        }
        self.0.append(true);
        Ok(())
    }

    fn push_null(&mut self) {
        self.0.append(false);
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

struct Texts {
    cells: StringBuilder,
    kind: Kind,
    written: String,
}

impl Cells for Texts {
    fn push(&mut self, value: &Value) -> Result<(), Unfit> {
        match self.kind {
            Kind::Text | Kind::Json | Kind::Enum | Kind::Set | Kind::Uuid => {
                self.cells.append_value(text(value)?);
            }
            kind => {
                self.written.clear();
                write(value, kind, &mut self.written)?;
                self.cells.append_value(&self.written);
            }
        }
        Ok(())
    }

    fn push_null(&mut self) {
        self.cells.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.cells.finish())
    }
}
