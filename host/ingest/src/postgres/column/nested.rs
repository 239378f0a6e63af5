//! Columns whose values are made of a fixed set of values: intervals, composites and ranges.
//!
//! Each keeps the children as columns of their own, one slot a value also where the value is null, and puts the
//! Arrow array together at the end. Here too is the walk over a cell's bytes, which holds the counts that a server
//! claims against the bytes that are there before anything is made of them.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanBuilder, Int32Builder, Int64Builder, NullBufferBuilder, StructArray},
    datatypes::Fields,
    error::ArrowError,
};

use super::{
    Column, Fault, Tally, fixed,
    held::{bits, numbers},
};
use crate::postgres::kind::{Kind, interval_fields, range_fields, struct_fields};

/// A walk over the bytes of a cell.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(Fault::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn int(&mut self) -> Result<i32, Fault> {
        Ok(i32::from_be_bytes(fixed(self.take(4)?)?))
    }

    /// A number of things that each take at least so many bytes.
    pub(super) fn count(&mut self, bytes_each: usize) -> Result<usize, Fault> {
        let count = usize::try_from(self.int()?).map_err(|_| Fault::Damaged)?;
        match count <= self.0.len() / bytes_each {
            true => Ok(count),
            false => Err(Fault::Damaged),
        }
    }

    /// A length and so many bytes, or a null.
    pub(super) fn cell(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        match self.int()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| Fault::Damaged)?;
                self.take(length).map(Some)
            }
        }
    }

    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(Fault::Damaged),
        }
    }
}

/// `interval`: its parts do not turn into each other, so they stay apart.
pub(in crate::postgres) struct Interval {
    months: Int32Builder,
    days: Int32Builder,
    micros: Int64Builder,
    nulls: NullBufferBuilder,
}

impl Default for Interval {
    fn default() -> Self {
        Self {
            months: Int32Builder::new(),
            days: Int32Builder::new(),
            micros: Int64Builder::new(),
            nulls: NullBufferBuilder::new(0),
        }
    }
}

impl Interval {
    pub(super) fn push(&mut self, cell: &[u8], tally: &mut Tally) -> Result<(), Fault> {
        let mut cursor = Cursor(cell);
        let micros = i64::from_be_bytes(fixed(cursor.take(8)?)?);
        let (days, months) = (cursor.int()?, cursor.int()?);
        cursor.end()?;
        let parts = (micros, days, months);
        if parts == (i64::MAX, i32::MAX, i32::MAX) || parts == (i64::MIN, i32::MIN, i32::MIN) {
            tally.no_form("infinite intervals")?;
            self.push_null();
            return Ok(());
        }
        self.months.append_value(months);
        self.days.append_value(days);
        self.micros.append_value(micros);
        self.nulls.append_non_null();
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        self.months.append_null();
        self.days.append_null();
        self.micros.append_null();
        self.nulls.append_null();
    }

    pub(super) fn held(&self) -> usize {
        numbers(&self.months) + numbers(&self.days) + numbers(&self.micros)
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let parts: Vec<ArrayRef> = vec![
            Arc::new(self.months.finish()),
            Arc::new(self.days.finish()),
            Arc::new(self.micros.finish()),
        ];
        structs(interval_fields(), parts, &mut self.nulls)
    }
}

fn structs(
    fields: Fields,
    parts: Vec<ArrayRef>,
    nulls: &mut NullBufferBuilder,
) -> Result<ArrayRef, ArrowError> {
    let array = StructArray::try_new(fields, parts, nulls.finish())?;
    Ok(Arc::new(array))
}

/// Composites.
pub(in crate::postgres) struct Struct {
    fields: Fields,
    columns: Vec<Column>,
    nulls: NullBufferBuilder,
}

impl Struct {
    pub(super) fn new(fields: &[(String, Kind)]) -> Self {
        Self {
            fields: struct_fields(fields),
            columns: fields.iter().map(|(_, kind)| Column::new(kind)).collect(),
            nulls: NullBufferBuilder::new(0),
        }
    }

    pub(super) fn push(&mut self, cell: &[u8], tally: &mut Tally) -> Result<(), Fault> {
        let mut cursor = Cursor(cell);
        if cursor.count(8)? != self.columns.len() {
            return Err(Fault::Damaged);
        }
        for column in &mut self.columns {
            let _type = cursor.int()?;
            column.push(cursor.cell()?, tally)?;
        }
        cursor.end()?;
        self.nulls.append_non_null();
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        for column in &mut self.columns {
            column.push_null();
        }
        self.nulls.append_null();
    }

    pub(super) fn held(&self) -> usize {
        self.columns.iter().map(Column::held).sum()
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let parts: Result<Vec<_>, _> = self.columns.iter_mut().map(Column::finish).collect();
        structs(self.fields.clone(), parts?, &mut self.nulls)
    }
}

/// Bits of a range's first byte (`src/include/utils/rangetypes.h` of PostgreSQL).
const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;

/// Ranges. A bound that is null is infinite, unless the range is empty; so a range with a bound that its type cannot
/// hold is null as a whole.
pub(in crate::postgres) struct Range {
    fields: Fields,
    lower: Column,
    upper: Column,
    lower_inclusive: BooleanBuilder,
    upper_inclusive: BooleanBuilder,
    empty: BooleanBuilder,
    nulls: NullBufferBuilder,
}

impl Range {
    pub(super) fn new(bound: &Kind) -> Self {
        Self {
            fields: range_fields(bound),
            lower: Column::new(bound),
            upper: Column::new(bound),
            lower_inclusive: BooleanBuilder::new(),
            upper_inclusive: BooleanBuilder::new(),
            empty: BooleanBuilder::new(),
            nulls: NullBufferBuilder::new(0),
        }
    }

    pub(super) fn push(&mut self, cell: &[u8], tally: &mut Tally) -> Result<(), Fault> {
        let mut cursor = Cursor(cell);
        let flags = cursor.take(1)?[0];
        let bounds = [
            (&mut self.lower, LOWER_INFINITE),
            (&mut self.upper, UPPER_INFINITE),
        ];
        let is_whole = tally.whole(|tally| {
            for (column, infinite) in bounds {
                match flags & (EMPTY | infinite) {
                    0 => column.push(cursor.cell()?, tally)?,
                    _ => column.push_null(),
                }
            }
            Ok(())
        })?;
        cursor.end()?;
        match is_whole {
            true => self.push_flags(flags),
            false => self.push_no_flags(),
        }
        Ok(())
    }

    fn push_flags(&mut self, flags: u8) {
        self.lower_inclusive
            .append_value(flags & LOWER_INCLUSIVE != 0);
        self.upper_inclusive
            .append_value(flags & UPPER_INCLUSIVE != 0);
        self.empty.append_value(flags & EMPTY != 0);
        self.nulls.append_non_null();
    }

    pub(super) fn push_null(&mut self) {
        self.lower.push_null();
        self.upper.push_null();
        self.push_no_flags();
    }

    /// Makes a null of what has its bounds.
    fn push_no_flags(&mut self) {
        for flag in [
            &mut self.lower_inclusive,
            &mut self.upper_inclusive,
            &mut self.empty,
        ] {
            flag.append_null();
        }
        self.nulls.append_null();
    }

    pub(super) fn held(&self) -> usize {
        let flags = [&self.lower_inclusive, &self.upper_inclusive, &self.empty];
        self.lower.held() + self.upper.held() + flags.into_iter().map(bits).sum::<usize>()
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let parts: Vec<ArrayRef> = vec![
            self.lower.finish()?,
            self.upper.finish()?,
            Arc::new(self.lower_inclusive.finish()),
            Arc::new(self.upper_inclusive.finish()),
            Arc::new(self.empty.finish()),
        ];
        structs(self.fields.clone(), parts, &mut self.nulls)
    }
}
