//! Types of extensions: maps of `hstore`, vectors of pgvector.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, FixedSizeListArray, Float16Builder, Float32Builder, ListArray, MapArray,
        NullBufferBuilder, StringBuilder, StructArray,
    },
    datatypes::{ArrowPrimitiveType, FieldRef, Float16Type},
    error::ArrowError,
};

use super::{
    Fault, fixed,
    held::{long, numbers},
    list::Offsets,
    nested::Cursor,
};
use crate::postgres::kind::{entries_field, entry_fields, vector_item};

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
            self.keys
                .append_value(utf8(cursor.cell()?.ok_or(Fault::Damaged)?)?);
            self.values
                .append_option(cursor.cell()?.map(utf8).transpose()?);
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

    pub(super) fn held(&self) -> usize {
        self.offsets.held() + long(&self.keys) + long(&self.values)
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let parts: Vec<ArrayRef> =
            vec![Arc::new(self.keys.finish()), Arc::new(self.values.finish())];
        let entries = StructArray::try_new(entry_fields(), parts, None)?;
        let (offsets, nulls) = (self.offsets.finish(), self.nulls.finish());
        Ok(Arc::new(MapArray::try_new(
            entries_field(),
            offsets,
            entries,
            nulls,
            false,
        )?))
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
                    floats
                        .append_value(<Float16Type as ArrowPrimitiveType>::Native::from_bits(bits));
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

    pub(super) fn held(&self) -> usize {
        let floats = match &self.floats {
            Floats::Single(floats) => numbers(floats),
            Floats::Half(floats) => numbers(floats),
        };
        self.offsets.held() + floats
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let floats: ArrayRef = match &mut self.floats {
            Floats::Single(floats) => Arc::new(floats.finish()),
            Floats::Half(floats) => Arc::new(floats.finish()),
        };
        let (item, nulls) = (Arc::clone(&self.item), self.nulls.finish());
        let offsets = self.offsets.finish();
        Ok(match self.dimension {
            Some(size) => Arc::new(FixedSizeListArray::try_new(
                item,
                size.into(),
                floats,
                nulls,
            )?),
            None => Arc::new(ListArray::try_new(item, offsets, floats, nulls)?),
        })
    }
}
