//! What is known of the columns of a text: names, types that were said, and what their values look like.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};

use super::{
    profile::Profile,
    report::{ColumnReport, NullSpelling},
    schema::{FileSchema, Meaning, SaidType},
};
use crate::uuid;

/// Field metadata that marks JSON text, by Arrow's list of canonical extension types.
const JSON_MARK: (&str, &str) = ("ARROW:extension:name", "arrow.json");

/// Whether a field holds JSON text.
pub(crate) fn is_json(field: &Field) -> bool {
    field
        .metadata()
        .get(JSON_MARK.0)
        .is_some_and(|name| name == JSON_MARK.1)
}

/// How nulls are spelled.
#[derive(Debug, Clone)]
pub(super) struct Nulls(Vec<String>);

impl Nulls {
    /// These spellings; none: the empty text.
    pub(super) fn new(said: Option<&Vec<String>>) -> Self {
        Self(said.cloned().unwrap_or_else(|| vec![String::new()]))
    }

    /// Which spelling a text is.
    pub(super) fn find(&self, text: &str) -> Option<usize> {
        self.0.iter().position(|spelling| spelling == text)
    }
}

/// A column of a text.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// Its name.
    pub(super) name: String,
    /// Its type, if that was said.
    pub(super) said: Option<SaidType>,
    /// What its values look like.
    pub(super) profile: Profile,
    /// How often each spelling of null occurs.
    nulls: Vec<u64>,
}

impl Look {
    /// A column of which nothing was seen.
    pub(super) fn new(name: String, schema: Option<&FileSchema>) -> Self {
        Self {
            said: schema.and_then(|schema| schema.get(&name)).cloned(),
            name,
            profile: Profile::default(),
            nulls: Vec::new(),
        }
    }

    /// The same column, of which nothing was seen.
    pub(super) fn anew(&self) -> Self {
        Self {
            name: self.name.clone(),
            said: self.said.clone(),
            profile: Profile::default(),
            nulls: Vec::new(),
        }
    }

    /// Counts nulls of a spelling.
    pub(super) fn observe_nulls(&mut self, spelling: usize, count: u64) {
        if self.nulls.len() <= spelling {
            self.nulls.resize(spelling + 1, 0);
        }
        self.nulls[spelling] += count;
    }

    /// The column as it looks; `money` is the rule of [`Profile::data_type`].
    pub(super) fn field(&self, money: bool) -> Field {
        let (data_type, meaning) = match &self.said {
            Some(said) => (said.data_type.clone(), said.meaning),
            None if self.profile.is_json() => (self.profile.data_type(money), Meaning::Json),
            None => (self.profile.data_type(money), Meaning::Plain),
        };
        let field = Field::new(&self.name, data_type, true);
        let (key, name) = match meaning {
            Meaning::Plain => return field,
            Meaning::Json => JSON_MARK,
            Meaning::Uuid => uuid::MARK,
        };
        field.with_metadata(HashMap::from([(key.to_owned(), name.to_owned())]))
    }

    /// Whether every value can be had in a type.
    pub(super) fn fits(&self, data_type: &DataType) -> bool {
        match &self.said {
            Some(said) => said.data_type == *data_type,
            None => self.profile.fits(data_type),
        }
    }

    /// What was found out; `spellings` are those of null, as they were counted.
    pub(super) fn report(&self, money: bool, spellings: &[String]) -> ColumnReport {
        let field = self.field(money);
        let is_found_text = self.said.is_none() && !is_json(&field);
        let counted = spellings.iter().zip(&self.nulls);
        ColumnReport {
            name: self.name.clone(),
            data_type: field.data_type().to_string(),
            said: self.said.is_some(),
            nulls: counted
                .filter(|(_, values)| **values > 0)
                .map(|(spelling, values)| NullSpelling {
                    spelling: spelling.clone(),
                    values: *values,
                })
                .collect(),
            text_because: self.profile.text_reason().filter(|_| is_found_text),
        }
    }
}

impl Nulls {
    /// The spellings.
    pub(super) fn spellings(&self) -> &[String] {
        &self.0
    }
}
