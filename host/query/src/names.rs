//! Which column a name means.
//!
//! A name in double quotes means the column that is called exactly so. Without quotes it means that too; where there is
//! none, the one whose name differs in case only, if there is just one.

use arrow::datatypes::Schema;
use datafusion_common::utils::datafusion_strsim::levenshtein;
use sqlparser::ast::Ident;

use crate::error::{Place, QueryError};

/// Names that an error lists.
const LISTED: usize = 40;
/// Characters of a name that an error repeats.
const REPEATED: usize = 64;

/// The position of the column that a name means.
///
/// # Errors
/// [`QueryError::UnknownColumn`], [`QueryError::AmbiguousColumn`].
pub(crate) fn resolve(schema: &Schema, ident: &Ident) -> Result<usize, QueryError> {
    if let Ok(exact) = schema.index_of(&ident.value) {
        return Ok(exact);
    }
    let fields = schema.fields().iter().enumerate();
    let wanted = ident.value.to_lowercase();
    let alike: Vec<(usize, &str)> = fields
        .map(|(at, field)| (at, field.name().as_str()))
        .filter(|(_, name)| ident.quote_style.is_none() && name.to_lowercase() == wanted)
        .collect();
    let place = Place::of(ident.span);
    match alike.as_slice() {
        [(at, _)] => Ok(*at),
        [] => Err(QueryError::UnknownColumn {
            name: shortened(&ident.value),
            place,
            hint: hint(schema, &wanted),
            known: known(schema),
        }),
        several => Err(QueryError::AmbiguousColumn {
            name: shortened(&ident.value),
            place,
            candidates: listed(several.iter().map(|(_, name)| *name)),
        }),
    }
}

/// A name of the text as errors repeat it.
pub(crate) fn shortened(name: &str) -> String {
    let told: String = name.chars().take(REPEATED).collect();
    let more = if told.len() < name.len() { "…" } else { "" };
    format!("{}{more}", told.escape_debug())
}

fn hint(schema: &Schema, wanted: &str) -> String {
    // A name that shares little with any is no slip.
    let most = wanted.chars().take(REPEATED).count().div_ceil(3);
    let wanted: String = wanted.chars().take(REPEATED).collect();
    let names = schema.fields().iter().map(|field| field.name());
    let nearest = names.min_by_key(|name| levenshtein(&name.to_lowercase(), &wanted));
    match nearest {
        Some(name) if levenshtein(&name.to_lowercase(), &wanted) <= most => {
            format!(" did you mean `{name}`?")
        }
        _ => String::new(),
    }
}

fn known(schema: &Schema) -> String {
    let fields = schema.fields();
    let names = listed(
        fields
            .iter()
            .take(LISTED)
            .map(|field| field.name().as_str()),
    );
    match fields.len().saturating_sub(LISTED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
