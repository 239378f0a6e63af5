//! A condition over the rows of a schema.

use std::{fmt, sync::Arc};

use arrow::{
    array::{Array as _, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions},
    compute::prep_null_mask_filter,
    datatypes::{Schema, SchemaRef},
    error::ArrowError,
};
use datafusion_common::{DFSchema, DataFusionError, ScalarValue, cast::as_boolean_array};
use datafusion_expr::{Expr, execution_props::ExecutionProps, simplify::SimplifyContext};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};

use crate::{
    error::{Place, QueryError},
    kind::unfit,
    lower::Lowering,
    syntax,
};

/// A condition that was checked against a schema; cheap to clone.
///
/// Rows for which it is neither true nor false, as a column is null, do not match.
#[derive(Clone)]
pub struct Predicate {
    columns: Vec<String>,
    computed: Arc<dyn PhysicalExpr>,
}

impl Predicate {
    /// Parses a condition over the columns of a schema.
    ///
    /// # Errors
    /// Every [`QueryError`] but [`QueryError::NoAnswer`].
    pub fn parse(text: &str, schema: &Schema) -> Result<Self, QueryError> {
        let sql = syntax::parse(text)?;
        let typed = DFSchema::try_from(schema.clone()).map_err(|error| unfit(&error, NOWHERE))?;
        let typed = Arc::new(typed);
        let lowering = Lowering {
            schema,
            typed: &typed,
        };
        let condition = lowering.condition(&sql)?;
        let condition = simplified(condition, &typed).map_err(|error| unfit(&error, NOWHERE))?;
        let used = used(&condition, schema)?;
        let computed = computed(&condition, &used).map_err(|error| unfit(&error, NOWHERE))?;
        let names = used.fields().iter().map(|field| field.name().clone());
        Ok(Self {
            columns: names.collect(),
            computed,
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
        let answers = self.answers(batch).map_err(|error| no_answer(&error))?;
        let truths = as_boolean_array(&answers).map_err(|error| no_answer(&error))?;
        Ok(match truths.null_count() {
            0 => truths.clone(),
            _ => prep_null_mask_filter(truths),
        })
    }

    fn answers(&self, batch: &RecordBatch) -> Result<ArrayRef, DataFusionError> {
        let schema = batch.schema_ref();
        let places = self.columns.iter().map(|name| schema.index_of(name));
        let places = places.collect::<Result<Vec<_>, ArrowError>>()?;
        let fields: Vec<_> = places.iter().map(|at| schema.field(*at).clone()).collect();
        let columns = places.iter().map(|at| Arc::clone(batch.column(*at)));
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let used = Arc::new(Schema::new(fields));
        let used = RecordBatch::try_new_with_options(used, columns.collect(), &rows)?;
        self.computed.evaluate(&used)?.into_array(batch.num_rows())
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

/// With one type on both sides of everything, and what is constant computed.
fn simplified(condition: Expr, schema: &Arc<DFSchema>) -> Result<Expr, DataFusionError> {
    let context = SimplifyContext::builder().with_schema(Arc::clone(schema));
    let simplifier = ExprSimplifier::new(context.build());
    let simple = simplifier.simplify(simplifier.coerce(condition, schema)?)?;
    Ok(match simple {
        // Of no type, which no row has an answer of.
        Expr::Literal(value, _) if value.is_null() => {
            Expr::Literal(ScalarValue::Boolean(None), None)
        }
        other => other,
    })
}

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
fn computed(condition: &Expr, used: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let schema = DFSchema::try_from(Arc::clone(used))?;
    let computed = create_physical_expr(condition, &schema, &ExecutionProps::new())?;
    let nothing = RecordBatch::new_empty(Arc::clone(used));
    as_boolean_array(&computed.evaluate(&nothing)?.into_array(0)?)?;
    Ok(computed)
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
        _ => "a value that cannot be computed with",
    };
    QueryError::NoAnswer { why }
}

#[cfg(test)]
mod tests;
