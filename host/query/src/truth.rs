//! A condition as it is computed: `AND` and `OR` look at no row that is decided already.
//!
//! What stands behind `AND` is computed for the rows only for which nothing before it is false, what stands behind `OR`
//! for those for which nothing before it is true. So a condition guards what is written after it:
//! `n <> 0 AND 10 / n > 2` has an answer for every row. Three values are kept apart, as `NOT` turns them round: a null
//! decides nothing, and what follows it is computed. Chains are found below `NOT` and below tests like `IS NOT TRUE`, but not
//! inside what compares or computes: `(a AND b) = c`, `coalesce(a AND b, c)`.
//!
//! Only where something can go wrong is a chain taken apart for that; all else DataFusion computes as a whole, by
//! columns.

use std::sync::Arc;

use arrow::{
    array::{Array as _, BooleanArray, RecordBatch},
    compute::{and_kleene, filter_record_batch, not, or_kleene},
    datatypes::DataType,
};
use datafusion_common::{
    DFSchema, DataFusionError, cast::as_boolean_array, tree_node::TreeNode as _,
};
use datafusion_expr::{Expr, Operator};
use datafusion_physical_expr::PhysicalExpr;

use crate::{
    compute::{computed, is_arithmetic},
    numbers,
};

/// What computes a condition.
#[derive(Debug)]
pub(crate) enum Truth {
    /// Computed for all rows that there are.
    Whole(Arc<dyn PhysicalExpr>),
    /// The opposite.
    Not(Box<Self>),
    /// What a test like `IS NOT TRUE` makes of true, of false and of null.
    Test { inner: Box<Self>, said: [bool; 3] },
    /// Conditions of which each is computed where those before leave the answer open.
    Chain {
        /// The answer that one of them gives for all: false of `AND`, true of `OR`.
        decides: bool,
        first: Box<Self>,
        rest: Vec<Self>,
    },
}

impl Truth {
    /// Takes apart what can go wrong.
    ///
    /// # Errors
    /// What DataFusion cannot compute.
    pub(crate) fn of(condition: &Expr, schema: &DFSchema) -> Result<Self, DataFusionError> {
        if !can_fail(condition)? {
            return Ok(Self::Whole(computed(condition, schema)?));
        }
        match (condition, chain(condition)) {
            (_, Some(op)) => {
                let mut links = Vec::new();
                collect(condition, op, &mut links);
                let links = links.into_iter().map(|link| Self::of(link, schema));
                let mut links = links.collect::<Result<Vec<_>, _>>()?.into_iter();
                match links.next() {
                    Some(first) => Ok(Self::Chain {
                        decides: op == Operator::Or,
                        first: Box::new(first),
                        rest: links.collect(),
                    }),
                    None => Ok(Self::Whole(computed(condition, schema)?)),
                }
            }
            (Expr::Not(inner), _) => Ok(Self::Not(Box::new(Self::of(inner, schema)?))),
            _ => match test(condition) {
                Some((inner, said)) => Ok(Self::Test {
                    inner: Box::new(Self::of(inner, schema)?),
                    said,
                }),
                None => Ok(Self::Whole(computed(condition, schema)?)),
            },
        }
    }

    /// For each row whether it is so; null where that is not known.
    ///
    /// # Errors
    /// What went wrong for a row that was left open.
    pub(crate) fn answers(&self, batch: &RecordBatch) -> Result<BooleanArray, DataFusionError> {
        match self {
            Self::Whole(computed) => whole(computed, batch),
            Self::Not(inner) => Ok(not(&inner.answers(batch)?)?),
            Self::Test { inner, said } => {
                let of = |value: Option<bool>| match value {
                    Some(true) => said[0],
                    Some(false) => said[1],
                    None => said[2],
                };
                let answers = inner.answers(batch)?;
                Ok(answers.iter().map(|value| Some(of(value))).collect())
            }
            Self::Chain {
                decides,
                first,
                rest,
            } => {
                let mut so_far = first.answers(batch)?;
                for link in rest {
                    let open = open(&so_far, *decides);
                    let said = match open.true_count() {
                        0 => return Ok(so_far),
                        all if all == batch.num_rows() => link.answers(batch)?,
                        _ => spread(&open, &link.answers(&filter_record_batch(batch, &open)?)?),
                    };
                    so_far = match decides {
                        true => or_kleene(&so_far, &said)?,
                        false => and_kleene(&so_far, &said)?,
                    };
                }
                Ok(so_far)
            }
        }
    }

    /// Computes each part on no rows, which tells what is wrong whatever the rows are.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn try_on(&self, nothing: &RecordBatch) -> Result<(), DataFusionError> {
        match self {
            Self::Whole(computed) => whole(computed, nothing).map(drop),
            Self::Not(inner) | Self::Test { inner, .. } => inner.try_on(nothing),
            Self::Chain { first, rest, .. } => {
                first.try_on(nothing)?;
                rest.iter().try_for_each(|link| link.try_on(nothing))
            }
        }
    }
}

/// Whether a condition has parts that may have no answer for a value.
fn can_fail(condition: &Expr) -> Result<bool, DataFusionError> {
    condition.exists(|part| {
        Ok(match part {
            Expr::BinaryExpr(binary) => is_arithmetic(binary.op),
            Expr::ScalarFunction(call) => call.func.name() != numbers::NAME,
            Expr::Cast(_) | Expr::Negative(_) => true,
            _ => false,
        })
    })
}

/// The condition that a test of truth is about, and what the test makes of true, of false and of null.
fn test(condition: &Expr) -> Option<(&Expr, [bool; 3])> {
    Some(match condition {
        Expr::IsTrue(inner) => (inner, [true, false, false]),
        Expr::IsNotTrue(inner) => (inner, [false, true, true]),
        Expr::IsFalse(inner) => (inner, [false, true, false]),
        Expr::IsNotFalse(inner) => (inner, [true, false, true]),
        Expr::IsUnknown(inner) => (inner, [false, false, true]),
        Expr::IsNotUnknown(inner) => (inner, [true, true, false]),
        _ => return None,
    })
}

/// What a condition is a chain of.
fn chain(condition: &Expr) -> Option<Operator> {
    match condition {
        Expr::BinaryExpr(binary) => match binary.op {
            op @ (Operator::And | Operator::Or) => Some(op),
            _ => None,
        },
        _ => None,
    }
}

/// The links of a chain, in the order in which they are written.
fn collect<'a>(condition: &'a Expr, op: Operator, links: &mut Vec<&'a Expr>) {
    match condition {
        Expr::BinaryExpr(binary) if binary.op == op => {
            collect(&binary.left, op, links);
            collect(&binary.right, op, links);
        }
        link => links.push(link),
    }
}

fn whole(
    computed: &Arc<dyn PhysicalExpr>,
    batch: &RecordBatch,
) -> Result<BooleanArray, DataFusionError> {
    let answers = computed.evaluate(batch)?.into_array(batch.num_rows())?;
    match answers.data_type() {
        DataType::Null => Ok(BooleanArray::new_null(answers.len())),
        _ => as_boolean_array(&answers).cloned(),
    }
}

/// The rows that are not decided yet.
fn open(so_far: &BooleanArray, decides: bool) -> BooleanArray {
    let open: Vec<bool> = so_far.iter().map(|truth| truth != Some(decides)).collect();
    BooleanArray::from(open)
}

/// What was said of the open rows, at their places; nothing of the others.
fn spread(open: &BooleanArray, said: &BooleanArray) -> BooleanArray {
    let mut said = said.iter();
    let spread: Vec<Option<bool>> = open
        .values()
        .iter()
        .map(|is_open| match is_open {
            true => said.next().flatten(),
            false => None,
        })
        .collect();
    BooleanArray::from(spread)
}
