//! Plugins that decide which columns of a table hold personal data.
//!
//! The contract packs the sampled values of a column into one buffer, so that a table crosses into
//! the component in a few bulk copies; [`Column::values`] hides that. A finding never contains a
//! value.

use crate::{Description, Error, Extra};

/// A personal-data detector. Called once per table at ingest.
pub trait Pii {
    /// What the plugin says of itself.
    fn describe() -> Description;

    /// Looks at every column; at most one finding per column and kind.
    ///
    /// # Errors
    ///
    /// Whatever keeps the plugin from looking; then the table counts as not examined by it.
    fn detect(table: &Table) -> Result<Vec<Finding>, Error>;
}

/// A table with a sample of each column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Name of the dataset.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Further facts.
    pub extra: Extra,
}

/// A column with a sample of its distinct values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name of the column.
    pub name: String,
    /// Arrow's name of its type, for example `Utf8` or `Int64`.
    pub declared_type: String,
    /// Rows of the table.
    pub rows: u64,
    /// Rows in which this column is null.
    pub nulls: u64,
    /// Further facts.
    pub extra: Extra,
    packed: Packed,
}

impl Column {
    /// A column without values, rows or nulls; for tests, since inside a component the host fills
    /// the table.
    #[must_use]
    pub fn new(name: &str, declared_type: &str) -> Self {
        Self {
            name: name.to_owned(),
            declared_type: declared_type.to_owned(),
            rows: 0,
            nulls: 0,
            extra: Extra::new(),
            packed: Packed::default(),
        }
    }

    /// The same column with further distinct values, each with how often it was seen; these counts
    /// are added to `rows`.
    ///
    /// # Panics
    ///
    /// When the values together pass 4 GiB, which is more than a component can hold.
    #[must_use]
    pub fn with_values<'a>(mut self, values: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        for (value, count) in values {
            self.rows += u64::from(count);
            self.packed.push(value, count);
        }
        self
    }

    /// The sampled distinct values, each with how often it was seen.
    pub fn values(&self) -> impl ExactSizeIterator<Item = (&str, u32)> {
        let Packed {
            text,
            offsets,
            counts,
        } = &self.packed;
        let spans = offsets.windows(2).zip(counts);
        spans.map(|(span, &count)| (&text[span[0] as usize..span[1] as usize], count))
    }

    /// Number of sampled distinct values.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.packed.counts.len()
    }

    /// Puts packed values in, after checking that they are whole.
    #[cfg(any(test, all(target_family = "wasm", feature = "pii")))]
    pub(crate) fn with_packed(
        mut self,
        text: String,
        offsets: Vec<u32>,
        counts: Vec<u32>,
    ) -> Result<Self, Error> {
        let packed = Packed {
            text,
            offsets,
            counts,
        };
        if let Some(fault) = packed.fault() {
            let name = &self.name;
            return Err(Error::invalid_input(format!("column `{name}`: {fault}")));
        }
        self.packed = packed;
        Ok(self)
    }
}

/// Values one after another, with one offset more than there are values, the first being 0.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Packed {
    text: String,
    offsets: Vec<u32>,
    counts: Vec<u32>,
}

impl Default for Packed {
    fn default() -> Self {
        Self {
            text: String::new(),
            offsets: vec![0],
            counts: Vec::new(),
        }
    }
}

impl Packed {
    fn push(&mut self, value: &str, count: u32) {
        self.text.push_str(value);
        let end = u32::try_from(self.text.len());
        assert!(end.is_ok(), "sampled values of one column stay under 4 GiB");
        self.offsets.extend(end);
        self.counts.push(count);
    }

    #[cfg(any(test, all(target_family = "wasm", feature = "pii")))]
    fn fault(&self) -> Option<&'static str> {
        let end = self.offsets.last().map(|&end| end as usize);
        if self.offsets.first() != Some(&0) || end != Some(self.text.len()) {
            return Some("offsets do not span the values");
        }
        if self.offsets.len() != self.counts.len() + 1 {
            return Some("there is not one count per value");
        }
        if !self.offsets.is_sorted() {
            return Some("offsets run backwards");
        }
        let mut starts = self.offsets.iter();
        let whole = starts.all(|&start| self.text.is_char_boundary(start as usize));
        (!whole).then_some("an offset splits a character")
    }
}

/// How much of a column a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The column holds this kind of data.
    WholeColumn,
    /// Some of its values do, for example an email inside free text.
    SomeValues,
}

/// What a finding rests on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Evidence {
    /// Distinct values that were looked at.
    pub tested: u32,
    /// Of these, how many have the shape of the kind.
    pub matched: u32,
    /// Of the matched, how many pass the kind's checksum; 0 for kinds without one.
    pub checksum_passed: u32,
    /// How strongly the column's name points to the kind, in 0..=1.
    pub name_evidence: f64,
}

impl Evidence {
    /// Counts how many of a column's sampled values have the shape of a kind.
    #[must_use]
    pub fn of(column: &Column, shape: impl Fn(&str) -> bool) -> Self {
        let matched = column.values().filter(|(value, _)| shape(value)).count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            tested: count(column.distinct()),
            matched: count(matched),
            ..Self::default()
        }
    }

    /// Matched values among the tested, in 0..=1; 0 when nothing was tested.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.matched) / f64::from(self.tested.max(1))
    }
}

/// The word on one column and one kind of data.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Position of the column in the table.
    pub column: u32,
    /// Entity kind in snake_case, for example `email`, `person_name`, `credit_card`, `iban`.
    pub kind: String,
    /// ISO 3166-1 alpha-2, where the kind has a country.
    pub country: Option<String>,
    /// How much of the column it is about.
    pub scope: Scope,
    /// In 0..=1.
    pub confidence: f64,
    /// What it rests on.
    pub evidence: Evidence,
    /// Further facts.
    pub extra: Extra,
}

impl Finding {
    /// The whole column holds this kind of data, in no particular country.
    #[must_use]
    pub fn whole_column(column: u32, kind: &str, confidence: f64, evidence: Evidence) -> Self {
        Self {
            column,
            kind: kind.to_owned(),
            country: None,
            scope: Scope::WholeColumn,
            confidence,
            evidence,
            extra: Extra::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(text: &str, offsets: &[u32], counts: &[u32]) -> Result<Vec<(String, u32)>, Error> {
        let column = Column::new("c", "Utf8");
        let column = column.with_packed(text.to_owned(), offsets.to_vec(), counts.to_vec())?;
        let values = column.values();
        Ok(values
            .map(|(value, count)| (value.to_owned(), count))
            .collect())
    }

    #[test]
    fn values_come_back_as_they_went_in() {
        let values = [("Zoë", 2), ("", 1), ("名", 3)];
        let column = Column::new("name", "Utf8").with_values(values);
        assert_eq!(column.values().collect::<Vec<_>>(), values);
        assert_eq!((column.values().len(), column.distinct()), (3, 3));
        assert_eq!(column.rows, 6);
        assert_eq!(Column::new("name", "Utf8").values().count(), 0);
    }

    #[test]
    fn evidence_counts_distinct_values() {
        let column = Column::new("c", "Utf8").with_values([("a1", 9), ("b", 1), ("c2", 1)]);
        let evidence = Evidence::of(&column, |value| value.len() == 2);
        assert_eq!((evidence.tested, evidence.matched), (3, 2));
        assert!((evidence.share() - 2.0 / 3.0).abs() < 1e-12);
        let empty = Evidence::of(&Column::new("c", "Utf8"), |_| true);
        assert_eq!((empty.tested, empty.share()), (0, 0.0));
    }

    #[test]
    fn packed_values_are_whole_or_refused_by_column() {
        let one = |value: &str, count| (value.to_owned(), count);
        assert_eq!(unpack("", &[0], &[]), Ok(Vec::new()));
        assert_eq!(
            unpack("aé", &[0, 1, 3], &[4, 5]),
            Ok(vec![one("a", 4), one("é", 5)])
        );

        let check = |text: &str, offsets: &[u32], counts: &[u32], fault: &str| {
            let refused = unpack(text, offsets, counts).expect_err(fault).to_string();
            assert_eq!(refused, format!("invalid input: column `c`: {fault}"));
        };
        check("ab", &[], &[], "offsets do not span the values");
        check("ab", &[0, 1], &[1], "offsets do not span the values");
        check("ab", &[0, 9], &[1], "offsets do not span the values");
        check("ab", &[1, 2], &[1], "offsets do not span the values");
        check("ab", &[0, 2], &[1, 1], "there is not one count per value");
        check("ab", &[0, 5, 2], &[1, 1], "offsets run backwards");
        check("é", &[0, 1, 2], &[1, 1], "an offset splits a character");
    }
}
