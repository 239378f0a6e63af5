//! Columns whose values are made of values: intervals, arrays, composites, ranges, maps and vectors.
//!
//! Each keeps the children as columns of their own, one slot a value also where the value is null, and puts the
//! Arrow array together at the end. Counts that a server claims are held against the bytes that are there before
//! anything is made of them.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, FixedSizeListArray, Float16Builder, Float32Builder, Int32Builder,
        Int64Builder, ListArray, MapArray, NullBufferBuilder, StringBuilder, StructArray,
    },
    buffer::OffsetBuffer,
    datatypes::{ArrowPrimitiveType, FieldRef, Fields, Float16Type},
    error::ArrowError,
};

use super::{Column, Fault, Remark, Tally, fixed};
use crate::postgres::kind::{
    Kind, entries_field, entry_fields, interval_fields, range_fields, struct_fields, vector_item,
};

/// Most dimensions of an array at the server.
const MAX_DEPTH: usize = 6;

/// A walk over the bytes of a cell.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(Fault::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn int(&mut self) -> Result<i32, Fault> {
        Ok(i32::from_be_bytes(fixed(self.take(4)?)?))
    }

    /// A number of things that each take at least so many bytes.
    fn count(&mut self, bytes_each: usize) -> Result<usize, Fault> {
        let count = usize::try_from(self.int()?).map_err(|_| Fault::Damaged)?;
        match count <= self.0.len() / bytes_each {
            true => Ok(count),
            false => Err(Fault::Damaged),
        }
    }

    /// A length and so many bytes, or a null.
    fn cell(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        match self.int()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| Fault::Damaged)?;
                self.take(length).map(Some)
            }
        }
    }

    fn end(&self) -> Result<(), Fault> {
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

/// Ends of lists within the array of their items.
struct Offsets(Vec<i32>);

impl Offsets {
    fn new() -> Self {
        Self(vec![0])
    }

    /// One more list of so many items.
    fn push(&mut self, items: usize) -> Result<(), Fault> {
        let last = self.0.last().copied().unwrap_or(0);
        let items = i32::try_from(items).map_err(|_| Fault::Damaged)?;
        self.0.push(last.checked_add(items).ok_or(Fault::Damaged)?);
        Ok(())
    }

    fn push_empty(&mut self) {
        self.0.push(self.0.last().copied().unwrap_or(0));
    }

    fn finish(&mut self) -> OffsetBuffer<i32> {
        OffsetBuffer::new(std::mem::replace(&mut self.0, vec![0]).into())
    }
}

/// Arrays, and multiranges, which are lists of ranges.
pub(in crate::postgres) struct List {
    /// One a dimension, outermost first.
    levels: Vec<(FieldRef, Offsets)>,
    items: Column,
    nulls: NullBufferBuilder,
    is_array: bool,
}

impl List {
    pub(super) fn array(item: &Kind, depth: usize) -> Self {
        let level = |inner: usize| match inner {
            0 => item.field("item"),
            depth => {
                let item = Box::new(item.clone());
                Kind::List { item, depth }.field("item")
            }
        };
        Self {
            levels: (0..depth).rev().map(|inner| (level(inner), Offsets::new())).collect(),
            items: Column::new(item),
            nulls: NullBufferBuilder::new(0),
            is_array: true,
        }
    }

    pub(super) fn multirange(bound: &Kind) -> Self {
        let range = Kind::Range(Box::new(bound.clone()));
        Self {
            is_array: false,
            ..Self::array(&range, 1)
        }
    }

    pub(super) fn push(&mut self, cell: &[u8], tally: &mut Tally) -> Result<(), Fault> {
        let mut cursor = Cursor(cell);
        let count = match self.is_array {
            false => {
                let count = cursor.count(5)?;
                self.levels[0].1.push(count)?;
                count
            }
            true => match self.shape(&mut cursor, tally)? {
                Some(count) => count,
                None => {
                    self.push_null();
                    return Ok(());
                }
            },
        };
        for _ in 0..count {
            self.items.push(cursor.cell()?, tally)?;
        }
        cursor.end()?;
        self.nulls.append_non_null();
        Ok(())
    }

    /// Reads an array's head, makes its lists, and tells how many elements follow; none if it has other
    /// dimensions than the column and becomes null.
    fn shape(&mut self, cursor: &mut Cursor<'_>, tally: &mut Tally) -> Result<Option<usize>, Fault> {
        let depth = usize::try_from(cursor.int()?).map_err(|_| Fault::Damaged)?;
        let _has_nulls = cursor.int()?;
        let _element_type = cursor.int()?;
        if depth > MAX_DEPTH {
            return Err(Fault::Damaged);
        }
        if depth == 0 {
            self.levels[0].1.push_empty();
            return Ok(Some(0));
        }
        if depth != self.levels.len() {
            tally.no_form("arrays of other dimensions")?;
            return Ok(None);
        }
        let mut sizes = [0; MAX_DEPTH];
        let mut bounds_kept = true;
        for size in &mut sizes[..depth] {
            *size = usize::try_from(cursor.int()?).map_err(|_| Fault::Damaged)?;
            bounds_kept &= cursor.int()? == 1;
        }
        let elements = sizes[..depth]
            .iter()
            .try_fold(1_usize, |all, size| all.checked_mul(*size))
            .filter(|elements| *elements <= cursor.0.len() / 4)
            .ok_or(Fault::Damaged)?;
        // No dimension of an array is empty, so none of these is more than there are elements.
        if elements == 0 {
            return Err(Fault::Damaged);
        }
        if !bounds_kept {
            tally.remark(Remark::LowerBound);
        }
        let mut lists = 1;
        for ((_, offsets), size) in self.levels.iter_mut().zip(&sizes[..depth]) {
            for _ in 0..lists {
                offsets.push(*size)?;
            }
            lists *= size;
        }
        Ok(Some(elements))
    }

    pub(super) fn push_null(&mut self) {
        self.levels[0].1.push_empty();
        self.nulls.append_null();
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let mut array = self.items.finish()?;
        for (at, (field, offsets)) in self.levels.iter_mut().enumerate().rev() {
            // Only a whole value is null; lists within it are not.
            let nulls = if at == 0 { self.nulls.finish() } else { None };
            let field = Arc::clone(field);
            array = Arc::new(ListArray::try_new(field, offsets.finish(), array, nulls)?);
        }
        Ok(array)
    }
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

/// Ranges. A bound that is null is infinite, unless the range is empty.
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
        for (column, infinite) in [
            (&mut self.lower, LOWER_INFINITE),
            (&mut self.upper, UPPER_INFINITE),
        ] {
            match flags & (EMPTY | infinite) {
                0 => column.push(cursor.cell()?, tally)?,
                _ => column.push_null(),
            }
        }
        cursor.end()?;
        self.lower_inclusive.append_value(flags & LOWER_INCLUSIVE != 0);
        self.upper_inclusive.append_value(flags & UPPER_INCLUSIVE != 0);
        self.empty.append_value(flags & EMPTY != 0);
        self.nulls.append_non_null();
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        self.lower.push_null();
        self.upper.push_null();
        for flag in [&mut self.lower_inclusive, &mut self.upper_inclusive, &mut self.empty] {
            flag.append_null();
        }
        self.nulls.append_null();
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

/// `hstore`.
pub(in crate::postgres) struct Map {
    offsets: Offsets,
    keys: StringBuilder,
    values: StringBuilder,
    nulls: NullBufferBuilder,
}

impl Default for Map {
    fn default() -> Self {
        Self {
            offsets: Offsets::new(),
            keys: StringBuilder::new(),
            values: StringBuilder::new(),
            nulls: NullBufferBuilder::new(0),
        }
    }
}

impl Map {
    pub(super) fn push(&mut self, cell: &[u8]) -> Result<(), Fault> {
        let utf8 = |bytes| std::str::from_utf8(bytes).map_err(|_| Fault::NotUtf8);
        let mut cursor = Cursor(cell);
        let count = cursor.count(8)?;
        for _ in 0..count {
            self.keys.append_value(utf8(cursor.cell()?.ok_or(Fault::Damaged)?)?);
            self.values.append_option(cursor.cell()?.map(utf8).transpose()?);
        }
        cursor.end()?;
        self.offsets.push(count)?;
        self.nulls.append_non_null();
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        self.offsets.push_empty();
        self.nulls.append_null();
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let parts: Vec<ArrayRef> =
            vec![Arc::new(self.keys.finish()), Arc::new(self.values.finish())];
        let entries = StructArray::try_new(entry_fields(), parts, None)?;
        let (offsets, nulls) = (self.offsets.finish(), self.nulls.finish());
        Ok(Arc::new(MapArray::try_new(entries_field(), offsets, entries, nulls, false)?))
    }
}

/// Vectors of pgvector.
pub(in crate::postgres) struct Vector {
    item: FieldRef,
    floats: Floats,
    /// The dimension of all, or where each ends.
    dimension: Option<u16>,
    offsets: Offsets,
    nulls: NullBufferBuilder,
}

enum Floats {
    Single(Float32Builder),
    Half(Float16Builder),
}

impl Vector {
    pub(super) fn new(half: bool, dimension: Option<u16>) -> Self {
        Self {
            item: vector_item(half),
            floats: match half {
                true => Floats::Half(Float16Builder::new()),
                false => Floats::Single(Float32Builder::new()),
            },
            dimension,
            offsets: Offsets::new(),
            nulls: NullBufferBuilder::new(0),
        }
    }

    pub(super) fn push(&mut self, cell: &[u8]) -> Result<(), Fault> {
        let mut cursor = Cursor(cell);
        let dimension = u16::from_be_bytes(fixed(cursor.take(2)?)?);
        let _unused = cursor.take(2)?;
        if self.dimension.is_some_and(|of_all| of_all != dimension) {
            return Err(Fault::Damaged);
        }
        for _ in 0..dimension {
            match &mut self.floats {
                Floats::Single(floats) => {
                    floats.append_value(f32::from_be_bytes(fixed(cursor.take(4)?)?));
                }
                Floats::Half(floats) => {
                    let bits = u16::from_be_bytes(fixed(cursor.take(2)?)?);
                    floats.append_value(<Float16Type as ArrowPrimitiveType>::Native::from_bits(bits));
                }
            }
        }
        cursor.end()?;
        self.offsets.push(dimension.into())?;
        self.nulls.append_non_null();
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        // A list of fixed size has room for its items also where it is null.
        for _ in 0..self.dimension.unwrap_or(0) {
            match &mut self.floats {
                Floats::Single(floats) => floats.append_null(),
                Floats::Half(floats) => floats.append_null(),
            }
        }
        self.offsets.push_empty();
        self.nulls.append_null();
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let floats: ArrayRef = match &mut self.floats {
            Floats::Single(floats) => Arc::new(floats.finish()),
            Floats::Half(floats) => Arc::new(floats.finish()),
        };
        let (item, nulls) = (Arc::clone(&self.item), self.nulls.finish());
        let offsets = self.offsets.finish();
        Ok(match self.dimension {
            Some(size) => {
                Arc::new(FixedSizeListArray::try_new(item, size.into(), floats, nulls)?)
            }
            None => Arc::new(ListArray::try_new(item, offsets, floats, nulls)?),
        })
    }
}
