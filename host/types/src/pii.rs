//! Samples of columns that are put to personal-data detectors, and what they find.

use serde::{Deserialize, Serialize};

/// A table as a detector sees it.
#[derive(Debug, Clone, Default)]
pub struct TableSample {
    /// Name of the dataset.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnSample>,
}

/// A column with a sample of its distinct values.
#[derive(Debug, Clone, Default)]
pub struct ColumnSample {
    /// Name of the column.
    pub name: String,
    /// Arrow's name of its type.
    pub declared_type: String,
    /// Rows of the table.
    pub rows: u64,
    /// Rows in which this column is null.
    pub nulls: u64,
    /// Distinct values as text, each with how often it was seen.
    pub values: Vec<(String, u32)>,
}

/// How much of a column a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The column holds this kind of data.
    WholeColumn,
    /// Some of its values do.
    SomeValues,
}

/// What a finding rests on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Evidence {
    /// Distinct values that were looked at.
    pub tested: u32,
    /// Of these, how many have the shape of the kind.
    pub matched: u32,
    /// Of the matched, how many pass the kind's checksum.
    pub checksum_passed: u32,
    /// How strongly the column's name points to the kind, in 0..=1.
    pub name_evidence: f64,
}

/// A detector's word on one column. It never contains a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    /// Position of the column in the table.
    pub column: u32,
    /// Entity kind in snake_case, for example `email`.
    pub kind: String,
    /// ISO 3166-1 alpha-2, where the kind has a country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// How much of the column it is about.
    pub scope: Scope,
    /// In 0..=1.
    pub confidence: f64,
    /// What it rests on.
    pub evidence: Evidence,
}
