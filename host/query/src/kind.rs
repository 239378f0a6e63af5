//! What a predicate is made of: parts, and what kind of value each has.
//!
//! Kinds are what compares with each other; types are how a value is stored. Which parts are compared with which, and in
//! what type, is for `common.rs`.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::{Expr, ExprSchemable as _, expr::Cast, lit};

use crate::error::{Place, QueryError};

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
            DataType::Dictionary(..) => Self::of(value_type(data_type)),
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

    /// The value, if it is written out.
    pub(crate) fn literal(&self) -> Option<&ScalarValue> {
        match &self.expr {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        }
    }

    /// The text, if it is one that is written out.
    pub(crate) fn literal_text(&self) -> Option<&str> {
        self.literal()?.try_as_str().flatten()
    }

    /// The same in another type.
    pub(crate) fn cast(self, data_type: &DataType) -> Self {
        if self.data_type == *data_type {
            return self;
        }
        Self {
            expr: Expr::Cast(Cast::new(Box::new(self.expr), data_type.clone())),
            data_type: data_type.clone(),
            place: self.place,
        }
    }
}

/// The type of the values, of a dictionary that of its own.
pub(crate) fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => value_type(value),
        other => other,
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
