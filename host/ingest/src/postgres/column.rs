//! A column in the making: cells as the server sends them become an Arrow array.
//!
//! Bytes from the server are not trusted: every length is checked before it is used, and what does not fit is a
//! [`Fault`], never a panic. A cell of a fixed width is appended without an allocation. A value that its Arrow
//! type does not have falls under the run's policy and is counted in the [`Tally`].

mod extension;
mod held;
mod list;
mod nested;

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
        Decimal256Builder, FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int16Builder,
        Int32Builder, Int64Builder, StringBuilder, Time64MicrosecondBuilder,
        TimestampMicrosecondBuilder, UInt32Builder,
    },
    datatypes::{DECIMAL128_MAX_PRECISION, i256},
    error::ArrowError,
};

use crate::ValuePolicy;

use super::{
    geometry,
    kind::Kind,
    numeric::{Numeric, Wide},
    text::{self, Form},
};
use extension::{Map, Vector};
use list::List;
use nested::{Interval, Range, Struct};

/// Days from 1970-01-01 to 2000-01-01, where the server's count begins.
const EPOCH_DAYS: i32 = 10_957;
const DAY_MICROS: i64 = 86_400_000_000;

/// Dates that every reader knows: from the first day after Christ to what Arrow can show, both in days of 1970.
const FIRST_DAY: i32 = -719_162;
const LAST_DAY: i32 = 95_026_236;

/// Why a cell was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not as its type is sent.
    Damaged,
    /// It is a text that is not UTF-8.
    NotUtf8,
    /// The Arrow type has no such value, and the policy is to fail.
    NoForm(&'static str),
}

/// What was met on the way, by column.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// What becomes of values that their type does not have.
    pub(super) policy: ValuePolicy,
    /// The column whose cells come now.
    pub(super) column: usize,
    /// Values that became null.
    pub(super) nulled: BTreeMap<(usize, &'static str), u64>,
    /// Values that came whole but for something that their type does not say.
    pub(super) noted: BTreeMap<(usize, Remark), u64>,
}

/// Something about a value that its Arrow type does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Remark {
    /// An array does not begin at 1.
    LowerBound,
    /// A geometry is of this reference system.
    Srid(u32),
}

impl Remark {
    /// As a clause about so many values of a column.
    pub(super) fn told(self, values: u64, column: &str) -> String {
        match (self, values) {
            (Self::LowerBound, 1) => format!(
                "1 array of `{column}` does not begin at 1; its elements are there, its bounds are not"
            ),
            (Self::LowerBound, _) => format!(
                "{values} arrays of `{column}` do not begin at 1; their elements are there, their bounds are not"
            ),
            (Self::Srid(srid), 1) => {
                format!("1 geometry of `{column}` is of reference system {srid}")
            }
            (Self::Srid(srid), _) => {
                format!("{values} geometries of `{column}` are of reference system {srid}")
            }
        }
    }
}

impl Tally {
    /// An empty one of a policy.
    pub(super) fn of(policy: ValuePolicy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// Meets a value that has no form: an error, or one more that becomes null.
    fn no_form(&mut self, what: &'static str) -> Result<(), Fault> {
        match self.policy {
            ValuePolicy::Error => Err(Fault::NoForm(what)),
            ValuePolicy::Null => {
                *self.nulled.entry((self.column, what)).or_default() += 1;
                Ok(())
            }
        }
    }

    /// Meets the parts of a value that is worth nothing without one of them: whether all of them are there. If not,
    /// the value counts as one that has no form.
    fn whole(&mut self, parts: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<bool, Fault> {
        let mut met = Self {
            column: self.column,
            ..Self::of(self.policy)
        };
        parts(&mut met)?;
        let lost = met.nulled.keys().next().map(|(_, what)| *what);
        match lost {
            None => self.add(met),
            Some(what) => self.no_form(what)?,
        }
        Ok(lost.is_none())
    }

    fn remark(&mut self, remark: Remark) {
        *self.noted.entry((self.column, remark)).or_default() += 1;
    }

    /// Adds what was met elsewhere.
    pub(super) fn add(&mut self, other: Self) {
        for (key, count) in other.nulled {
            *self.nulled.entry(key).or_default() += count;
        }
        for (key, count) in other.noted {
            *self.noted.entry(key).or_default() += count;
        }
    }
}

/// An array in the making.
pub(super) enum Column {
    Bool(BooleanBuilder, IsBit),
    Int16(Int16Builder),
    Int32(Int32Builder),
    WideInt16(Int32Builder),
    Int64(Int64Builder),
    UInt32(UInt32Builder),
    Float32(Float32Builder),
    WideFloat32(Float64Builder),
    Float64(Float64Builder),
    NumericFloat(Float64Builder, String),
    Decimal128(Decimal128Builder, u8),
    Decimal256(Decimal256Builder, u8),
    Money(Decimal128Builder),
    Text(StringBuilder, Form, String),
    Bytes(BinaryBuilder),
    Geometry(BinaryBuilder, Option<u32>, Vec<u8>),
    Uuid(FixedSizeBinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(Box<Interval>),
    List(Box<List>),
    Struct(Box<Struct>),
    Range(Box<Range>),
    Map(Box<Map>),
    Vector(Box<Vector>),
}

/// Whether a boolean is sent as a string of one bit.
type IsBit = bool;

impl Column {
    /// An empty column of a kind.
    pub(super) fn new(kind: &Kind) -> Self {
        match kind {
            Kind::Bool { bit } => Self::Bool(BooleanBuilder::new(), *bit),
            Kind::Int2 { wide: false } => Self::Int16(Int16Builder::new()),
            Kind::Int2 { wide: true } => Self::WideInt16(Int32Builder::new()),
            Kind::Int4 => Self::Int32(Int32Builder::new()),
            Kind::Int8 => Self::Int64(Int64Builder::new()),
            Kind::Oid => Self::UInt32(UInt32Builder::new()),
            Kind::Float4 { wide: false } => Self::Float32(Float32Builder::new()),
            Kind::Float4 { wide: true } => Self::WideFloat32(Float64Builder::new()),
            Kind::Float8 => Self::Float64(Float64Builder::new()),
            Kind::NumericFloat => Self::NumericFloat(Float64Builder::new(), String::new()),
            Kind::Decimal { precision, scale } if *precision <= DECIMAL128_MAX_PRECISION => {
                let values = Decimal128Builder::new().with_data_type(kind.data_type());
                Self::Decimal128(values, *scale)
            }
            Kind::Decimal { scale, .. } => {
                let values = Decimal256Builder::new().with_data_type(kind.data_type());
                Self::Decimal256(values, *scale)
            }
            Kind::Money { .. } => {
                Self::Money(Decimal128Builder::new().with_data_type(kind.data_type()))
            }
            Kind::Text(form) => Self::Text(StringBuilder::new(), *form, String::new()),
            Kind::Bytes => Self::Bytes(BinaryBuilder::new()),
            Kind::Geometry { srid } => Self::Geometry(BinaryBuilder::new(), *srid, Vec::new()),
            Kind::Uuid => Self::Uuid(FixedSizeBinaryBuilder::new(16)),
            Kind::Date => Self::Date(Date32Builder::new()),
            Kind::Time => Self::Time(Time64MicrosecondBuilder::new()),
            Kind::Timestamp { .. } => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(kind.data_type()))
            }
            Kind::Interval => Self::Interval(Box::default()),
            Kind::List { item, depth } => Self::List(Box::new(List::array(item, *depth))),
            Kind::Multirange(bound) => Self::List(Box::new(List::multirange(bound))),
            Kind::Struct(fields) => Self::Struct(Box::new(Struct::new(fields))),
            Kind::Range(bound) => Self::Range(Box::new(Range::new(bound))),
            Kind::Hstore => Self::Map(Box::default()),
            Kind::Vector { half, dimension } => {
                Self::Vector(Box::new(Vector::new(*half, *dimension)))
            }
        }
    }

    /// Takes the next cell.
    pub(super) fn push(&mut self, cell: Option<&[u8]>, tally: &mut Tally) -> Result<(), Fault> {
        let Some(cell) = cell else {
            self.push_null();
            return Ok(());
        };
        match self {
            Self::Int32(values) => values.append_value(i32::from_be_bytes(fixed(cell)?)),
            Self::Int64(values) => values.append_value(i64::from_be_bytes(fixed(cell)?)),
            Self::Text(values, form, scratch) => values.append_value(form.text(cell, scratch)?),
            Self::Float64(values) => values.append_value(f64::from_be_bytes(fixed(cell)?)),
            Self::Int16(values) => values.append_value(i16::from_be_bytes(fixed(cell)?)),
            Self::WideInt16(values) => {
                values.append_value(i16::from_be_bytes(fixed(cell)?).into());
            }
            Self::UInt32(values) => values.append_value(u32::from_be_bytes(fixed(cell)?)),
            Self::Float32(values) => values.append_value(f32::from_be_bytes(fixed(cell)?)),
            Self::WideFloat32(values) => {
                values.append_value(f32::from_be_bytes(fixed(cell)?).into());
            }
            Self::Bool(values, is_bit) => values.append_value(boolean(cell, *is_bit)?),
            Self::NumericFloat(values, scratch) => values.append_value(float(cell, scratch)?),
            Self::Decimal128(values, scale) => {
                values.append_option(decimal::<i128>(cell, *scale, tally)?);
            }
            Self::Decimal256(values, scale) => {
                values.append_option(decimal::<i256>(cell, *scale, tally)?);
            }
            Self::Money(values) => values.append_value(i64::from_be_bytes(fixed(cell)?).into()),
            Self::Bytes(values) => values.append_value(cell),
            Self::Geometry(values, srid, wkb) => {
                wkb.clear();
                let own = geometry::to_wkb(cell, wkb)?;
                if let Some(own) = own.filter(|own| Some(*own) != *srid) {
                    tally.remark(Remark::Srid(own));
                }
                values.append_value(wkb);
            }
            Self::Uuid(values) => {
                values
                    .append_value(fixed::<16>(cell)?)
                    .map_err(|_| Fault::Damaged)?;
            }
            Self::Date(values) => values.append_option(date(cell, tally)?),
            Self::Time(values) => values.append_option(time(cell, tally)?),
            Self::Timestamp(values) => values.append_option(timestamp(cell, tally)?),
            Self::Interval(values) => values.push(cell, tally)?,
            Self::List(lists) => lists.push(cell, tally)?,
            Self::Struct(fields) => fields.push(cell, tally)?,
            Self::Range(bounds) => bounds.push(cell, tally)?,
            Self::Map(entries) => entries.push(cell)?,
            Self::Vector(vectors) => vectors.push(cell)?,
        }
        Ok(())
    }

    /// Takes a null.
    pub(super) fn push_null(&mut self) {
        match self {
            Self::Bool(values, _) => values.append_null(),
            Self::Int16(values) => values.append_null(),
            Self::Int32(values) | Self::WideInt16(values) => values.append_null(),
            Self::Int64(values) => values.append_null(),
            Self::UInt32(values) => values.append_null(),
            Self::Float32(values) => values.append_null(),
            Self::Float64(values) | Self::WideFloat32(values) | Self::NumericFloat(values, _) => {
                values.append_null()
            }
            Self::Decimal128(values, _) | Self::Money(values) => values.append_null(),
            Self::Decimal256(values, _) => values.append_null(),
            Self::Text(values, ..) => values.append_null(),
            Self::Bytes(values) | Self::Geometry(values, ..) => values.append_null(),
            Self::Uuid(values) => values.append_null(),
            Self::Date(values) => values.append_null(),
            Self::Time(values) => values.append_null(),
            Self::Timestamp(values) => values.append_null(),
            Self::Interval(values) => values.push_null(),
            Self::List(lists) => lists.push_null(),
            Self::Struct(fields) => fields.push_null(),
            Self::Range(bounds) => bounds.push_null(),
            Self::Map(entries) => entries.push_null(),
            Self::Vector(vectors) => vectors.push_null(),
        }
    }

    /// The array, after which the column is empty again.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let array: ArrayRef = match self {
            Self::Bool(values, _) => Arc::new(values.finish()),
            Self::Int16(values) => Arc::new(values.finish()),
            Self::Int32(values) | Self::WideInt16(values) => Arc::new(values.finish()),
            Self::Int64(values) => Arc::new(values.finish()),
            Self::UInt32(values) => Arc::new(values.finish()),
            Self::Float32(values) => Arc::new(values.finish()),
            Self::Float64(values) | Self::WideFloat32(values) | Self::NumericFloat(values, _) => {
                Arc::new(values.finish())
            }
            Self::Decimal128(values, _) | Self::Money(values) => Arc::new(values.finish()),
            Self::Decimal256(values, _) => Arc::new(values.finish()),
            Self::Text(values, ..) => Arc::new(values.finish()),
            Self::Bytes(values) | Self::Geometry(values, ..) => Arc::new(values.finish()),
            Self::Uuid(values) => Arc::new(values.finish()),
            Self::Date(values) => Arc::new(values.finish()),
            Self::Time(values) => Arc::new(values.finish()),
            Self::Timestamp(values) => Arc::new(values.finish()),
            Self::Interval(values) => values.finish()?,
            Self::List(lists) => lists.finish()?,
            Self::Struct(fields) => fields.finish()?,
            Self::Range(bounds) => bounds.finish()?,
            Self::Map(entries) => entries.finish()?,
            Self::Vector(vectors) => vectors.finish()?,
        };
        Ok(array)
    }
}

/// The bytes of a cell that has so many.
fn fixed<const N: usize>(cell: &[u8]) -> Result<[u8; N], Fault> {
    cell.try_into().map_err(|_| Fault::Damaged)
}

fn boolean(cell: &[u8], is_bit: IsBit) -> Result<bool, Fault> {
    match (is_bit, cell, text::bits(cell)) {
        (false, [byte @ (0 | 1)], _) => Ok(*byte == 1),
        (true, _, Some((1, [byte]))) => Ok(byte & 0x80 != 0),
        _ => Err(Fault::Damaged),
    }
}

fn decimal<N: Wide>(cell: &[u8], scale: u8, tally: &mut Tally) -> Result<Option<N>, Fault> {
    match Numeric::parse(cell)? {
        Numeric::Finite(number) => number.scaled(scale).map(Some).ok_or(Fault::Damaged),
        Numeric::Special(_) => {
            tally.no_form("NaN or infinite numbers")?;
            Ok(None)
        }
    }
}

/// The nearest float.
fn float(cell: &[u8], scratch: &mut String) -> Result<f64, Fault> {
    match Numeric::parse(cell)? {
        Numeric::Special("NaN") => Ok(f64::NAN),
        Numeric::Special(word) if word.starts_with('-') => Ok(f64::NEG_INFINITY),
        Numeric::Special(_) => Ok(f64::INFINITY),
        Numeric::Finite(number) => {
            scratch.clear();
            number.write(scratch);
            scratch.parse().map_err(|_| Fault::Damaged)
        }
    }
}

fn date(cell: &[u8], tally: &mut Tally) -> Result<Option<i32>, Fault> {
    let days = i32::from_be_bytes(fixed(cell)?);
    let what = match days.checked_add(EPOCH_DAYS) {
        _ if days == i32::MAX || days == i32::MIN => "infinite dates",
        Some(day) if day < FIRST_DAY => "dates before Christ",
        Some(day) if day <= LAST_DAY => return Ok(Some(day)),
        _ => "dates out of range",
    };
    tally.no_form(what)?;
    Ok(None)
}

fn timestamp(cell: &[u8], tally: &mut Tally) -> Result<Option<i64>, Fault> {
    let micros = i64::from_be_bytes(fixed(cell)?);
    let what = match micros.checked_add(i64::from(EPOCH_DAYS) * DAY_MICROS) {
        _ if micros == i64::MAX || micros == i64::MIN => "infinite times",
        Some(moment) if moment < i64::from(FIRST_DAY) * DAY_MICROS => "times before Christ",
        Some(moment) if moment < (i64::from(LAST_DAY) + 1) * DAY_MICROS => return Ok(Some(moment)),
        _ => "times out of range",
    };
    tally.no_form(what)?;
    Ok(None)
}

fn time(cell: &[u8], tally: &mut Tally) -> Result<Option<i64>, Fault> {
    match i64::from_be_bytes(fixed(cell)?) {
        micros @ 0..DAY_MICROS => Ok(Some(micros)),
        DAY_MICROS => {
            tally.no_form("times of 24:00:00")?;
            Ok(None)
        }
        _ => Err(Fault::Damaged),
    }
}

#[cfg(test)]
mod tests;
