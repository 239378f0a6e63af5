//! What is compared with what, and in what type.
//!
//! DataFusion finds a common type for much: of a text and a number it makes two of the same and compares those. Whoever
//! writes `year = '2020'` about a column of texts that look like numbers would get an answer to another question, or an
//! error at the first row that is no number. So kinds are kept apart here, and a text is taken for a date or a time only
//! where it is written out in the predicate.
//!
//! The type is found for everything that is compared together, such as the whole list behind `IN`, so that each part is
//! converted once and all are compared alike.

use crate::{
    error::QueryError,
    kind::{Kind, Part},
    moments::{self, Moments},
    numbers::Numbers,
};

/// The type in which some parts compare.
#[derive(Debug)]
pub(crate) enum Common {
    /// Texts, true and false.
    AsTheyAre,
    Numbers(Numbers),
    Moments(Moments),
    Times,
}

impl Common {
    /// The type in which parts compare; texts that are written out become dates or times where needed.
    ///
    /// # Errors
    /// [`QueryError::WrongType`].
    pub(crate) fn of(parts: &[&Part]) -> Result<Self, QueryError> {
        let mut kinds = parts.iter().map(|part| part.kind());
        let moment = kinds.find(|kind| matches!(kind, Kind::Moment | Kind::Time));
        let kind = |part: &Part| match moment {
            Some(moment) if part.literal_text().is_some() => moment,
            _ => part.kind(),
        };
        let mut known = parts
            .iter()
            .copied()
            .filter(|part| part.kind() != Kind::Null);
        let Some(first) = known.next() else {
            return Ok(Self::AsTheyAre);
        };
        if let Some(other) = known.find(|other| kind(other) != kind(first)) {
            return Err(different(first, other));
        }
        Ok(match kind(first) {
            Kind::Number => Self::Numbers(Numbers::of(parts)),
            Kind::Moment => Self::Moments(Moments::of(parts)?),
            Kind::Time => Self::Times,
            _ => Self::AsTheyAre,
        })
    }

    /// One of the parts, in that type.
    ///
    /// # Errors
    /// [`QueryError::WrongType`].
    pub(crate) fn apply(&self, part: Part) -> Result<Part, QueryError> {
        match self {
            Self::AsTheyAre => Ok(part),
            Self::Numbers(numbers) => Ok(numbers.apply(part)),
            Self::Moments(moments) => moments.apply(part),
            Self::Times => moments::time(part),
        }
    }
}

fn different(left: &Part, right: &Part) -> QueryError {
    let (a, b) = (left.kind(), right.kind());
    QueryError::WrongType {
        detail: format!("{} is compared with {}", a.name(), b.name()),
        place: right.place,
        cure: match (a, b) {
            (Kind::Number, Kind::Text) if right.literal_text().is_some() => {
                "write the number without quotes"
            }
            _ => "compare like with like, or convert one side, as in `TRY_CAST(x AS BIGINT)`",
        }
        .to_owned(),
    }
}
