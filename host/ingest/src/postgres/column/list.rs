//! Arrays, and what else is a list of values.
//!
//! An array of the server carries its own dimensions; the column has some for all. Lists keep their ends and one
//! column of all items. Only a whole value is null, never a list inside one.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, ListArray, NullBufferBuilder},
    buffer::OffsetBuffer,
    datatypes::FieldRef,
    error::ArrowError,
};

use super::{Column, Fault, Remark, Tally, nested::Cursor};
use crate::postgres::kind::Kind;

/// Most dimensions of an array at the server.
const MAX_DEPTH: usize = 6;

/// Ends of lists within the array of their items.
pub(super) struct Offsets(Vec<i32>);

impl Offsets {
    pub(super) fn new() -> Self {
        Self(vec![0])
    }

    /// One more list of so many items.
    pub(super) fn push(&mut self, items: usize) -> Result<(), Fault> {
        let last = self.0.last().copied().unwrap_or(0);
        let items = i32::try_from(items).map_err(|_| Fault::Damaged)?;
        self.0.push(last.checked_add(items).ok_or(Fault::Damaged)?);
        Ok(())
    }

    pub(super) fn push_empty(&mut self) {
        self.0.push(self.0.last().copied().unwrap_or(0));
    }

    pub(super) fn held(&self) -> usize {
        size_of_val(self.0.as_slice())
    }

    pub(super) fn finish(&mut self) -> OffsetBuffer<i32> {
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
            levels: (0..depth)
                .rev()
                .map(|inner| (level(inner), Offsets::new()))
                .collect(),
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
        if !self.is_array {
            return self.push_ranges(cursor, tally);
        }
        let Some(count) = self.shape(&mut cursor, tally)? else {
            self.push_null();
            return Ok(());
        };
        for _ in 0..count {
            self.items.push(cursor.cell()?, tally)?;
        }
        cursor.end()?;
        self.nulls.append_non_null();
        Ok(())
    }

    /// Takes a multirange. It stands for all that is in its ranges, so without one of them it is null, over items that
    /// nobody sees.
    fn push_ranges(&mut self, mut cursor: Cursor<'_>, tally: &mut Tally) -> Result<(), Fault> {
        let count = cursor.count(5)?;
        self.levels[0].1.push(count)?;
        let items = &mut self.items;
        let is_whole = tally.whole(|tally| {
            for _ in 0..count {
                items.push(cursor.cell()?, tally)?;
            }
            cursor.end()
        })?;
        match is_whole {
            true => self.nulls.append_non_null(),
            false => self.nulls.append_null(),
        }
        Ok(())
    }

    /// Reads an array's head, makes its lists, and tells how many elements follow; none if it has other
    /// dimensions than the column and becomes null.
    fn shape(
        &mut self,
        cursor: &mut Cursor<'_>,
        tally: &mut Tally,
    ) -> Result<Option<usize>, Fault> {
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

    pub(super) fn held(&self) -> usize {
        let ends = self.levels.iter().map(|(_, offsets)| offsets.held());
        ends.sum::<usize>() + self.items.held()
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
