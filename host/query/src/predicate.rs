//! A condition over the rows of a schema.

use std::{fmt, sync::Arc};

use arrow::{
    array::{Array as _, BooleanArray, RecordBatch, RecordBatchOptions},
    compute::prep_null_mask_filter,
    datatypes::{Schema, SchemaRef},
    error::ArrowError,
};
use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::Expr;

use crate::{
    compute,
    error::{Place, QueryError},
    kind::unfit,
    lower::Lowering,
    syntax,
    truth::Truth,
};

/// A condition that was checked against a schema; cheap to clone.
///
/// Rows for which it is neither true nor false, as a column is null, do not match.
#[derive(Clone)]
pub struct Predicate {
    columns: Vec<String>,
    computed: Arc<Truth>,
}

impl Predicate {
    /// Parses a condition over the columns of a schema.
    ///
    /// # Errors
    /// Every [`QueryError`]; [`QueryError::NoAnswer`] only where no row has an answer.
    pub fn parse(text: &str, schema: &Schema) -> Result<Self, QueryError> {
        let sql = syntax::parse(text)?;
        let typed = DFSchema::try_from(schema.clone()).map_err(|error| unfit(&error, NOWHERE))?;
        let condition = Lowering::new(schema, &typed).condition(&sql)?;
        let condition = compute::settled(condition, &typed);
        let condition = condition.map_err(|error| unfit(&error, NOWHERE))?;
        let used = used(&condition, schema)?;
        let computed = tried(&condition, &used).map_err(|error| unusable(&error))?;
        let names = used.fields().iter().map(|field| field.name().clone());
        Ok(Self {
            columns: names.collect(),
            computed: Arc::new(computed),
        })
    }

    /// The columns that it looks at, in the order of the schema; none when it says the same of every row.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// For each row of a batch, whether it matches; there are no nulls among the answers. The batch has
    /// [`Self::columns`] in any order, and may have others.
    ///
    /// # Errors
    /// [`QueryError::NoAnswer`].
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray, QueryError> {
        let truths = self.answers(batch).map_err(|error| no_answer(&error))?;
        Ok(match truths.null_count() {
            0 => truths,
            _ => prep_null_mask_filter(&truths),
        })
    }

    fn answers(&self, batch: &RecordBatch) -> Result<BooleanArray, DataFusionError> {
        let schema = batch.schema_ref();
        let places = self.columns.iter().map(|name| schema.index_of(name));
        let places = places.collect::<Result<Vec<_>, ArrowError>>()?;
        let fields: Vec<_> = places.iter().map(|at| schema.field(*at).clone()).collect();
        let columns = places.iter().map(|at| Arc::clone(batch.column(*at)));
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let used = Arc::new(Schema::new(fields));
        let used = RecordBatch::try_new_with_options(used, columns.collect(), &rows)?;
        self.computed.answers(&used)
    }
}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predicate")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

const NOWHERE: Place = Place {
    line: 0,
    character: 0,
};

/// The part of a schema that a condition looks at.
fn used(condition: &Expr, schema: &Schema) -> Result<SchemaRef, QueryError> {
    let names = condition.column_refs();
    let places: Vec<usize> = (0..schema.fields().len())
        .filter(|at| {
            names
                .iter()
                .any(|name| name.name == *schema.field(*at).name())
        })
        .collect();
    let used = schema.project(&places);
    used.map(Arc::new)
        .map_err(|error| unfit(&error.into(), NOWHERE))
}

/// The condition as it is computed. It is tried on no rows, which tells what is wrong whatever the rows are.
fn tried(condition: &Expr, used: &SchemaRef) -> Result<Truth, DataFusionError> {
    let schema = DFSchema::try_from(Arc::clone(used))?;
    let computed = Truth::of(condition, &schema)?;
    computed.try_on(&RecordBatch::new_empty(Arc::clone(used)))?;
    Ok(computed)
}

/// What is wrong with a condition that cannot be computed for no rows even.
fn unusable(error: &DataFusionError) -> QueryError {
    match error.find_root() {
        DataFusionError::ArrowError(cause, _)
            if matches!(
                cause.as_ref(),
                ArrowError::DivideByZero | ArrowError::ArithmeticOverflow(_)
            ) =>
        {
            no_answer(error)
        }
        _ => unfit(error, NOWHERE),
    }
}

/// Says what happened without the value that it happened with.
fn no_answer(error: &DataFusionError) -> QueryError {
    let why = match error.find_root() {
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::DivideByZero => "a division by zero",
            ArrowError::ArithmeticOverflow(_) => "a number that is too large for its type",
            ArrowError::CastError(_) | ArrowError::ParseError(_) => {
                "a value that cannot be converted, for which `TRY_CAST` gives NULL"
            }
            ArrowError::SchemaError(_) => "it does not have the columns",
            _ => "a value that cannot be computed with",
        },
        DataFusionError::Execution(told) if told.ends_with("out of range") => {
            "`date_trunc` in a zone of a moment outside the years 1678 to 2261"
        }
        _ => "a value that cannot be computed with",
    };
    QueryError::NoAnswer { why }
}

#[cfg(test)]
mod tests;
