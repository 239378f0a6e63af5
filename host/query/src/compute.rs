//! From a lowered condition to what computes it.
//!
//! DataFusion gives both sides of everything one type, and what is constant is computed once. That is all the
//! rewriting there is. Its simplifier is left out: it takes conversions off columns, which makes another question of
//! `CAST(fee AS BIGINT) = 2`, and it repeats parts, which makes a short text a large tree. A conversion that is written is
//! computed for every row.
//!
//! Arithmetic that leaves the range of its type is an error, and never wraps around.

use std::sync::Arc;

use arrow::{
    array::{RecordBatch, RecordBatchOptions},
    datatypes::Schema,
};
use datafusion_common::{
    DFSchema, DataFusionError, ScalarValue,
    tree_node::{Transformed, TransformedResult as _, TreeNode as _, TreeNodeRecursion},
};
use datafusion_expr::{
    Case, ColumnarValue, Expr, Operator, execution_props::ExecutionProps, expr::ScalarFunction,
};
use datafusion_optimizer::analyzer::type_coercion::TypeCoercionRewriter;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr, expressions::BinaryExpr};

use crate::functions::COALESCE;

/// A condition with one type on both sides of everything, and what is constant computed.
///
/// # Errors
/// Types that do not go together, and values that cannot be converted.
pub(crate) fn settled(condition: Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
    let typed = condition.rewrite(&mut TypeCoercionRewriter::new(schema));
    let (row, properties) = (one_row()?, properties());
    let settled = typed.data()?.transform_up(|part| match part {
        Expr::ScalarFunction(call) if call.func.name() == COALESCE => {
            Ok(Transformed::yes(first_known(call)))
        }
        part if is_constant(&part)? => constant(part, &row, &properties),
        part => Ok(Transformed::no(part)),
    });
    Ok(match settled.data()? {
        // Of no type, which no row has an answer of.
        Expr::Literal(value, _) if value.is_null() => {
            Expr::Literal(ScalarValue::Boolean(None), None)
        }
        other => other,
    })
}

/// What computes a condition.
///
/// # Errors
/// What DataFusion cannot compute.
pub(crate) fn computed(
    condition: &Expr,
    schema: &DFSchema,
) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    physical(condition, schema, &properties())
}

fn physical(
    part: &Expr,
    schema: &DFSchema,
    properties: &ExecutionProps,
) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let computed = create_physical_expr(part, schema, properties)?;
    let checked = computed.transform_up(|part| {
        Ok(match part.downcast_ref::<BinaryExpr>() {
            Some(binary) if is_arithmetic(*binary.op()) => {
                let checked = binary.clone().with_fail_on_overflow(true);
                Transformed::yes(Arc::new(checked) as Arc<dyn PhysicalExpr>)
            }
            _ => Transformed::no(part),
        })
    });
    checked.data()
}

pub(crate) fn is_arithmetic(op: Operator) -> bool {
    matches!(
        op,
        Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo
    )
}

/// Each function of a condition asks for these; made once for all.
fn properties() -> ExecutionProps {
    let mut properties = ExecutionProps::new();
    properties.config_options = Some(Arc::default());
    properties
}

fn one_row() -> Result<RecordBatch, DataFusionError> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let nothing = Arc::new(Schema::empty());
    Ok(RecordBatch::try_new_with_options(
        nothing,
        Vec::new(),
        &options,
    )?)
}

/// Whether a part is computed from values only.
fn is_constant(part: &Expr) -> Result<bool, DataFusionError> {
    let mut constant = !matches!(part, Expr::Literal(..) | Expr::Column(_));
    part.apply_children(|child| {
        constant &= matches!(child, Expr::Literal(..));
        Ok(match constant {
            true => TreeNodeRecursion::Continue,
            false => TreeNodeRecursion::Stop,
        })
    })?;
    Ok(constant)
}

/// The value of a constant part. One without a value, such as a division by zero, stays what it is, as it may stand where
/// no row comes to; a value that cannot be converted is said at once.
fn constant(
    part: Expr,
    row: &RecordBatch,
    properties: &ExecutionProps,
) -> Result<Transformed<Expr>, DataFusionError> {
    let computed = physical(&part, &DFSchema::empty(), properties)
        .and_then(|computed| computed.evaluate(row))
        .and_then(|value| match value {
            ColumnarValue::Scalar(value) => Ok(value),
            ColumnarValue::Array(values) => ScalarValue::try_from_array(&values, 0),
        });
    match computed {
        Ok(value) => Ok(Transformed::yes(Expr::Literal(value, None))),
        Err(error) if matches!(part, Expr::Cast(_)) => Err(error),
        Err(_) => Ok(Transformed::no(part)),
    }
}

/// `coalesce`, which DataFusion has as a sort of `CASE` only. Each argument but the last stands in it twice.
fn first_known(call: ScalarFunction) -> Expr {
    let mut arguments = call.args;
    let last = arguments.pop().unwrap_or_default();
    if arguments.is_empty() {
        return last;
    }
    let branch = |argument: Expr| (Box::new(argument.clone().is_not_null()), Box::new(argument));
    let branches = arguments.into_iter().map(branch).collect();
    Expr::Case(Case::new(None, branches, Some(Box::new(last))))
}
