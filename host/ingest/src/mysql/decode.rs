//! From the rows of a MySQL or MariaDB server to Arrow: one row at a time, into builders, cut into batches.
//!
//! A batch ends at 8,192 rows or about 4 MiB. A value without a place in its column's type is an [`Unfit`]: by
//! the policy it ends the ingest, with the name of the column and never the value, or becomes null and is
//! counted. A value of another shape than the column's is unfit, too, so nothing here can panic or guess.

mod cells;
mod value;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use mysql_async::Value;

use self::cells::{Cells, cells};
pub(super) use self::value::Unfit;
use super::columns::Column;
use crate::{IngestError, NulledValues, ValuePolicy};

const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 4 << 20;

/// What a value without bytes of its own counts in a batch.
const FIXED_BYTES: usize = 8;

/// How rows become batches.
pub(super) struct Plan {
    pub(super) columns: Vec<Column>,
    pub(super) schema: SchemaRef,
    pub(super) policy: ValuePolicy,
    /// Values that became null, by column and kind.
    nulled: Mutex<BTreeMap<(usize, &'static str), u64>>,
}

impl Plan {
    /// A plan for these columns.
    pub(super) fn new(columns: Vec<Column>, schema: SchemaRef, policy: ValuePolicy) -> Self {
        Self {
            columns,
            schema,
            policy,
            nulled: Mutex::default(),
        }
    }

    /// What became null so far.
    pub(super) fn nulled(&self) -> Vec<NulledValues> {
        let nulled = self.nulled.lock().unwrap_or_else(PoisonError::into_inner);
        let report = |((at, what), values): (&(usize, &'static str), &u64)| NulledValues {
            column: self.columns[*at].name.clone(),
            values: *values,
            what: (*what).to_owned(),
        };
        nulled.iter().map(report).collect()
    }
}

/// Rows on their way into a batch.
pub(super) struct Batch<'p> {
    plan: &'p Plan,
    cells: Vec<Box<dyn Cells>>,
    rows: usize,
    bytes: usize,
}

impl<'p> Batch<'p> {
    /// An empty one.
    pub(super) fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            cells: plan.columns.iter().map(cells).collect(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Adds a row, whose values are asked for by place.
    pub(super) fn push<'v>(
        &mut self,
        row: impl Fn(usize) -> Option<&'v Value>,
    ) -> Result<(), IngestError> {
        for (at, cells) in self.cells.iter_mut().enumerate() {
            let value = row(at).unwrap_or(&Value::NULL);
            self.bytes += match value {
                Value::Bytes(bytes) => bytes.len(),
                _ => FIXED_BYTES,
            };
            if *value == Value::NULL {
                cells.push_null();
            } else if let Err(unfit) = cells.push(value) {
                self.plan.judge(at, unfit)?;
                cells.push_null();
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Whether it is time to give the rows on.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows, and about how many bytes they were on the wire; empty afterwards.
    pub(super) fn take(&mut self) -> Result<(RecordBatch, u64), IngestError> {
        let columns = self.cells.iter_mut().map(|cells| cells.finish()).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.plan.schema), columns)
            .map_err(|error| IngestError::arrow(&error))?;
        let bytes = std::mem::take(&mut self.bytes) as u64;
        self.rows = 0;
        Ok((batch, bytes))
    }
}

impl Plan {
    /// Whether a value that does not fit may become null.
    fn judge(&self, at: usize, unfit: Unfit) -> Result<(), IngestError> {
        match self.policy {
            ValuePolicy::Error => Err(self.columns[at].lacks(unfit.0)),
            ValuePolicy::Null => {
                let mut nulled = self.nulled.lock().unwrap_or_else(PoisonError::into_inner);
                *nulled.entry((at, unfit.0)).or_default() += 1;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
