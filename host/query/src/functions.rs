//! The functions that a predicate may call.
//!
//! Each gives one value for one row, the same at any time, and none makes a text much longer than what it is given: so
//! neither the clock nor chance gets into an answer, and no predicate can fill the memory.

use std::sync::Arc;

use datafusion_common::DFSchema;
use datafusion_expr::{Expr, ScalarUDF, expr::ScalarFunction};
use datafusion_functions::{core, datetime, string, unicode};
use sqlparser::ast::{
    Expr as Sql, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectNamePart,
};

use crate::{
    calendar,
    common::Common,
    error::{Place, QueryError},
    kind::{Kind, Part},
    names::shortened,
};

/// What a function takes.
enum Takes {
    /// Arguments of these kinds; those behind the number may be left out.
    These(&'static [Kind], usize),
    /// One or more that compare with each other.
    Alike,
}

use Kind::{Moment, Number, Text};

/// The function that takes the first of several that is not null.
pub(crate) const COALESCE: &str = "coalesce";

/// All names, for messages.
const NAMES: &str = "lower, upper, trim, ltrim, rtrim, length, starts_with, ends_with, contains, strpos, substr, left, right, date_part, date_trunc and coalesce";

fn known(name: &str) -> Option<(Arc<ScalarUDF>, Takes)> {
    let text = |function| Some((function, Takes::These(&[Text], 1)));
    let texts = |function| Some((function, Takes::These(&[Text, Text], 2)));
    let counted = |function| Some((function, Takes::These(&[Text, Number], 2)));
    let moment = |function| Some((function, Takes::These(&[Text, Moment], 2)));
    match name {
        "lower" => text(string::lower()),
        "upper" => text(string::upper()),
        "trim" | "btrim" => text(string::btrim()),
        "ltrim" => text(string::ltrim()),
        "rtrim" => text(string::rtrim()),
        "length" | "char_length" | "character_length" => text(unicode::character_length()),
        "starts_with" => texts(string::starts_with()),
        "ends_with" => texts(string::ends_with()),
        "contains" => texts(string::contains()),
        "strpos" => texts(unicode::strpos()),
        "left" => counted(unicode::left()),
        "right" => counted(unicode::right()),
        "substr" | "substring" => {
            Some((unicode::substr(), Takes::These(&[Text, Number, Number], 2)))
        }
        "date_part" => moment(datetime::date_part()),
        "date_trunc" => moment(datetime::date_trunc()),
        COALESCE => Some((core::coalesce(), Takes::Alike)),
        _ => None,
    }
}

/// The name of a function, in lower case, and where it stands; only a plain call has one.
///
/// # Errors
/// [`QueryError::Unsupported`].
pub(crate) fn name(function: &Function) -> Result<(String, Place), QueryError> {
    let [ObjectNamePart::Identifier(ident)] = function.name.0.as_slice() else {
        return Err(unknown(&function.name.to_string(), Place::default()));
    };
    let place = Place::of(ident.span);
    let refused = |what: &str| {
        Err(QueryError::Unsupported {
            what: what.to_owned(),
            place,
            cure: format!("the functions are {NAMES}"),
        })
    };
    if function.over.is_some() {
        return refused("a window function");
    }
    let is_plain = function.filter.is_none()
        && function.within_group.is_empty()
        && function.null_treatment.is_none()
        && !function.uses_odbc_syntax
        && matches!(function.parameters, FunctionArguments::None);
    match is_plain {
        true => Ok((ident.value.to_lowercase(), place)),
        false => refused("a call with clauses of its own"),
    }
}

/// The arguments of a plain call.
///
/// # Errors
/// [`QueryError::Unsupported`].
pub(crate) fn arguments(function: &Function, place: Place) -> Result<Vec<&Sql>, QueryError> {
    let list = match &function.args {
        FunctionArguments::List(list)
            if list.duplicate_treatment.is_none() && list.clauses.is_empty() =>
        {
            &list.args
        }
        _ => return Err(unknown(&function.name.to_string(), place)),
    };
    let plain = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Ok(expr),
        _ => Err(unknown(&function.name.to_string(), place)),
    };
    list.iter().map(plain).collect()
}

/// A call.
///
/// # Errors
/// [`QueryError::Unsupported`] for a function that there is not, [`QueryError::WrongType`] for arguments that it does
/// not take.
pub(crate) fn call(
    name: &str,
    place: Place,
    arguments: Vec<Part>,
    schema: &DFSchema,
) -> Result<Part, QueryError> {
    let (function, takes) = known(name).ok_or_else(|| unknown(name, place))?;
    let arguments = match takes {
        Takes::These(kinds, needed) => these(name, place, arguments, kinds, needed)?,
        Takes::Alike => all_alike(name, place, arguments)?,
    };
    let ours = match arguments.as_slice() {
        [unit, moment] if name == "date_trunc" => calendar::truncating(unit, moment),
        _ => None,
    };
    let (function, arguments) = match ours {
        Some((ours, moment)) => (ours, vec![moment]),
        None => (function, arguments),
    };
    let arguments = arguments.into_iter().map(|part| part.expr).collect();
    let call = Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments));
    Part::new(call, schema, place)
}

fn these(
    name: &str,
    place: Place,
    arguments: Vec<Part>,
    kinds: &[Kind],
    needed: usize,
) -> Result<Vec<Part>, QueryError> {
    if !(needed..=kinds.len()).contains(&arguments.len()) {
        return Err(wrong_number(name, place, arguments.len(), needed));
    }
    let pairs = arguments.into_iter().zip(kinds);
    pairs
        .map(|(argument, kind)| argument.expect(*kind, name))
        .collect()
}

fn all_alike(name: &str, place: Place, arguments: Vec<Part>) -> Result<Vec<Part>, QueryError> {
    if arguments.is_empty() {
        return Err(wrong_number(name, place, 0, 1));
    }
    let common = Common::of(&arguments.iter().collect::<Vec<_>>())?;
    let arguments = arguments.into_iter();
    arguments.map(|argument| common.apply(argument)).collect()
}

fn wrong_number(name: &str, place: Place, given: usize, needed: usize) -> QueryError {
    QueryError::WrongType {
        detail: format!("`{name}` gets {given} arguments"),
        place,
        cure: format!("it needs {needed}"),
    }
}

fn unknown(name: &str, place: Place) -> QueryError {
    QueryError::Unsupported {
        what: format!("the function `{}`", shortened(name)),
        place,
        cure: format!("there are {NAMES}"),
    }
}
