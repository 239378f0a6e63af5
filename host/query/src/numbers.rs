//! Numbers: the types in which they compare, and in which they are computed with.
//!
//! What is asked about is a number and not how a column stores it. So where there is a float everything is a double, and
//! arithmetic on whole numbers has 64 bits however narrow a column is, or 20 digits where one is unsigned and as wide
//! already. Doubles compare by value: zero is zero whatever its sign is, and what is no number (NaN) equals itself and is
//! greater than any other, on every machine alike.

use std::sync::{Arc, LazyLock};

use arrow::{
    array::AsArray as _,
    datatypes::{DataType, Float64Type},
};
use datafusion_common::{DataFusionError, ScalarValue, exec_err, utils::take_function_args};
use datafusion_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, expr::ScalarFunction,
};

use crate::kind::{Part, value_type};

/// The type in which some numbers compare.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Numbers {
    /// There is a float among them.
    Doubles,
    /// Whole numbers and decimals, of which DataFusion makes decimals that are wide enough.
    Exact,
}

impl Numbers {
    /// The type in which parts compare, of which each is a number or `NULL`.
    pub(crate) fn of(parts: &[&Part]) -> Self {
        match parts.iter().any(|part| is_float(part)) {
            true => Self::Doubles,
            false => Self::Exact,
        }
    }

    /// One of the parts, in that type.
    pub(crate) fn apply(self, part: Part) -> Part {
        match self {
            Self::Doubles if is_float(&part) => by_value(double(part)),
            Self::Doubles => double(part),
            Self::Exact => wide(part),
        }
    }
}

/// Two numbers as they are computed with.
pub(crate) fn operands(left: Part, op: Operator, right: Part) -> (Part, Part) {
    if is_float(&left) || is_float(&right) {
        return (double(left), double(right));
    }
    if is_decimal(&left) || is_decimal(&right) {
        return (wide(left), wide(right));
    }
    let to = match (op, is_widest(&left) || is_widest(&right)) {
        (_, false) => DataType::Int64,
        // What is left of a division of whole numbers is a whole number.
        (Operator::Divide | Operator::Modulo, true) if is_natural(&left) && is_natural(&right) => {
            DataType::UInt64
        }
        (_, true) => DataType::Decimal128(20, 0),
    };
    (left.cast(&to), right.cast(&to))
}

fn is_float(part: &Part) -> bool {
    value_type(&part.data_type).is_floating()
}

fn is_decimal(part: &Part) -> bool {
    value_type(&part.data_type).is_decimal()
}

fn is_widest(part: &Part) -> bool {
    *value_type(&part.data_type) == DataType::UInt64
}

/// Whether it cannot be less than zero.
fn is_natural(part: &Part) -> bool {
    value_type(&part.data_type).is_unsigned_integer()
        || matches!(part.literal(), Some(ScalarValue::Int64(Some(0..))))
}

/// As a double; of a decimal that is written out the nearest one.
fn double(part: Part) -> Part {
    if let Some(ScalarValue::Decimal128(Some(digits), _, scale)) = part.literal()
        && let Ok(nearest) = format!("{digits}e{}", -i16::from(*scale)).parse()
    {
        return Part::value(ScalarValue::Float64(Some(nearest)), part.place);
    }
    part.cast(&DataType::Float64)
}

/// A narrow decimal as a wide one. Of a narrow one and a whole number DataFusion makes whole numbers.
fn wide(part: Part) -> Part {
    match *value_type(&part.data_type) {
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            part.cast(&DataType::Decimal128(precision, scale))
        }
        _ => part,
    }
}

/// A double as one that compares by value. Arrow compares the bits, in which there are two zeros and many of what is no
/// number, some of them less than any other.
fn by_value(part: Part) -> Part {
    static BY_VALUE: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(ByValue::new())));
    let call = ScalarFunction::new_udf(Arc::clone(&BY_VALUE), vec![part.expr]);
    Part {
        expr: Expr::ScalarFunction(call),
        ..part
    }
}

/// The name of the function that makes a double compare by value; it has an answer for every one.
pub(crate) const NAME: &str = "by_value";

/// What [`by_value`] calls.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ByValue {
    signature: Signature,
}

impl ByValue {
    fn new() -> Self {
        Self {
            signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for ByValue {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let [doubles] = take_function_args(self.name(), call.args)?;
        match doubles {
            ColumnarValue::Scalar(ScalarValue::Float64(double)) => Ok(ColumnarValue::Scalar(
                ScalarValue::Float64(double.map(plain)),
            )),
            ColumnarValue::Array(array) => match array.as_primitive_opt::<Float64Type>() {
                Some(doubles) => Ok(ColumnarValue::Array(Arc::new(
                    doubles.unary::<_, Float64Type>(plain),
                ))),
                None => exec_err!("{} takes doubles", self.name()),
            },
            ColumnarValue::Scalar(_) => exec_err!("{} takes doubles", self.name()),
        }
    }
}

/// Of all that have the same value always the same one.
fn plain(double: f64) -> f64 {
    // Of a zero with a minus and one without the sum is the one without.
    if double.is_nan() {
        f64::NAN
    } else {
        double + 0.0
    }
}
