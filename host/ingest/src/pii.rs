//! Policies for personal data: what happens to the columns that hold it, before their rows reach a bucket.
//!
//! Detectors say which columns hold what (`detect.rs`). A [`PiiPolicy`] of the dataset and the [`PiiRules`] of
//! the host say what follows: an [`Action`] for each kind, and a person's own word on single columns, which
//! wins. [`InForce`] brings them together with what earlier versions of the dataset did, and decides
//! ([`Treatment`]). Columns that are masked, hashed or dropped are rewritten in the nameless local files
//! (`treat.rs`), so that no object of a bucket ever holds what was there before.
//!
//! Invariants: where a policy asks for something that depends on findings, the lack of an answer refuses the
//! ingest unless the configuration says otherwise; an append does to a column what was done to its earlier
//! rows; two hashes in one column are of one key; nothing that is said about a column quotes a value.
//!
//! Not here: where a policy is stored (`catalog/policy.rs`) and scans of stored versions
//! (`catalog/scans.rs`). A column's name is no value: whoever writes personal data into names shows it.

mod action;
mod append;
mod canonical;
mod counts;
mod decide;
mod key;
mod policy;
mod treat;

pub use self::{
    action::Action,
    counts::PiiCounts,
    decide::{DecidedBy, Treatment},
    key::{HashKey, MIN_KEY_BYTES},
    policy::{ColumnRule, PiiPolicy, PiiRules, StoredPolicy},
};
pub(crate) use self::{
    append::{continued, continues, is_dropped, takes_any_type},
    decide::InForce,
    treat::treat,
};

/// Field metadata under which stands what was done to a column's values.
pub(crate) const TREATED: &str = "boathouse.treated";

#[cfg(test)]
mod tests;
