//! What can be compared with what.
//!
//! DataFusion finds a common type for much: of a text and a number it makes two of the same and compares those. Whoever
//! writes `year = '2020'` about a column of texts that look like numbers would get an answer to another question, or an
//! error at the first row that is no number. So kinds are kept apart here, and a text is taken for a date or a time only
//! where it is written out in the predicate.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::{Expr, ExprSchemable as _, expr::Cast, lit};

use crate::{
    error::{Place, QueryError},
    names::shortened,
};

/// Types that compare with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The type of `NULL`, which goes with any.
    Null,
    Truth,
    Number,
    Text,
    /// A date, or a date with a time.
    Moment,
    /// A time of day.
    Time,
    /// Lists, structures, bytes and the like: nothing can be said about them.
    Other,
}

impl Kind {
    pub(crate) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Truth,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Self::Moment,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Dictionary(_, value) => Self::of(value),
            other if other.is_numeric() => Self::Number,
            other if other.is_string() => Self::Text,
            _ => Self::Other,
        }
    }

    /// How it is called in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Truth => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Moment => "a date or timestamp",
            Self::Time => "a time of day",
            Self::Other => "neither number, text nor date",
        }
    }

    fn fits(self, other: Self) -> bool {
        self == other || self == Self::Null || other == Self::Null
    }
}

/// A part of a predicate, its type, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) expr: Expr,
    pub(crate) data_type: DataType,
    pub(crate) place: Place,
}

impl Part {
    /// A part whose type DataFusion tells.
    ///
    /// # Errors
    /// [`QueryError::WrongType`].
    pub(crate) fn new(expr: Expr, schema: &DFSchema, place: Place) -> Result<Self, QueryError> {
        let data_type = expr.get_type(schema);
        let data_type = data_type.map_err(|error| unfit(&error, place))?;
        Ok(Self {
            expr,
            data_type,
            place,
        })
    }

    /// A value that is written out.
    pub(crate) fn value(value: ScalarValue, place: Place) -> Self {
        Self {
            data_type: value.data_type(),
            expr: lit(value),
            place,
        }
    }

    /// A condition.
    pub(crate) fn condition(expr: Expr, place: Place) -> Self {
        Self {
            expr,
            data_type: DataType::Boolean,
            place,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind::of(&self.data_type)
    }

    /// That it is of a kind, or `NULL`.
    ///
    /// # Errors
    /// [`QueryError::WrongType`].
    pub(crate) fn expect(self, kind: Kind, whose: &str) -> Result<Self, QueryError> {
        if kind.fits(self.kind()) {
            return Ok(self);
        }
        Err(QueryError::WrongType {
            detail: format!(
                "{whose} needs {} and gets {}",
                kind.name(),
                self.kind().name()
            ),
            place: self.place,
            cure: cure(kind).to_owned(),
        })
    }

    fn as_text_value(&self) -> Option<&str> {
        match &self.expr {
            Expr::Literal(value, _) => value.try_as_str().flatten(),
            _ => None,
        }
    }

    /// A text that is written out, as a value of the type with which it is compared.
    fn read_as(self, data_type: &DataType) -> Result<Self, QueryError> {
        match self.as_text_value() {
            Some(text) => read(text, data_type, self.place),
            None => Ok(self),
        }
    }
}

/// A text that is written out, as a value of a type.
///
/// # Errors
/// [`QueryError::WrongType`].
pub(crate) fn read(text: &str, data_type: &DataType, place: Place) -> Result<Part, QueryError> {
    let written = ScalarValue::Utf8(Some(text.to_owned()));
    match written.cast_to(data_type) {
        Ok(value) if !value.is_null() => Ok(Part::value(value, place)),
        _ => Err(QueryError::WrongType {
            detail: format!("`{}` is not {}", shortened(text), Kind::of(data_type).name()),
            place,
            cure: "write it like '2026-01-31' or '2026-01-31T12:00:00Z', a time of day like '12:00:00'"
                .to_owned(),
        }),
    }
}

/// Two parts as they compare with each other; texts that are written out become dates or times where needed.
///
/// # Errors
/// [`QueryError::WrongType`].
pub(crate) fn alike(left: Part, right: Part) -> Result<(Part, Part), QueryError> {
    let (left, right) = match (left.kind(), right.kind()) {
        (Kind::Moment | Kind::Time, Kind::Text) => {
            let right = right.read_as(&of_value(&left.data_type))?;
            (left, right)
        }
        (Kind::Text, Kind::Moment | Kind::Time) => {
            let left = left.read_as(&of_value(&right.data_type))?;
            (left, right)
        }
        _ => (left, right),
    };
    let (a, b) = (left.kind(), right.kind());
    if a.fits(b) {
        return Ok(same_numbers(left, right));
    }
    Err(QueryError::WrongType {
        detail: format!("{} is compared with {}", a.name(), b.name()),
        place: right.place,
        cure: match (a, b) {
            (Kind::Number, Kind::Text) if right.as_text_value().is_some() => {
                "write the number without quotes".to_owned()
            }
            _ => "compare like with like, or convert one side, as in `TRY_CAST(x AS BIGINT)`"
                .to_owned(),
        },
    })
}

/// Of a float and a decimal two floats. DataFusion makes two decimals of them, which not every float can become.
pub(crate) fn same_numbers(left: Part, right: Part) -> (Part, Part) {
    match (left.data_type.is_floating(), right.data_type.is_floating()) {
        (true, false) if right.data_type.is_decimal() => (left, float(right)),
        (false, true) if left.data_type.is_decimal() => (float(left), right),
        _ => (left, right),
    }
}

fn float(part: Part) -> Part {
    Part {
        expr: Expr::Cast(Cast::new(Box::new(part.expr), DataType::Float64)),
        data_type: DataType::Float64,
        place: part.place,
    }
}

/// The type in which a value is read that is compared with this one. A date may be compared with a time of that day.
fn of_value(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Dictionary(_, value) => of_value(value),
        other => other.clone(),
    }
}

fn cure(kind: Kind) -> &'static str {
    match kind {
        Kind::Truth => "compare it with something, as in `year >= 2020`",
        Kind::Number => "use a column of numbers, or convert with `TRY_CAST(x AS DOUBLE)`",
        Kind::Text => "use a column of text, or convert with `CAST(x AS VARCHAR)`",
        _ => "use a column of dates, or convert with `TRY_CAST(x AS TIMESTAMP)`",
    }
}

/// What DataFusion says about types that do not go together.
pub(crate) fn unfit(error: &datafusion_common::DataFusionError, place: Place) -> QueryError {
    let told = error.find_root().message().into_owned();
    let first = told.lines().next().unwrap_or_default();
    QueryError::WrongType {
        detail: format!("the types do not go together: {first}"),
        place,
        cure: "compare like with like, or convert with `TRY_CAST`".to_owned(),
    }
}
