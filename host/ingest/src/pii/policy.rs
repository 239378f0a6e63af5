//! What is said about personal data: by the configuration for every dataset, by a person for one.

use std::{collections::BTreeMap, sync::Arc};

use boathouse_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Action, HashKey, PiiCounts};
use crate::IngestError;

/// The kind by which a person says that a column holds no personal data.
const NONE: &str = "none";
/// The action by which a person says that a column stays as it is.
const KEEP: &str = "keep";
/// Most kinds and most columns that a policy may name.
const MAX_ENTRIES: usize = 2_000;
/// Longest name of a kind, in bytes, as detectors may give it.
const KIND_BYTES: usize = 64;

/// What holds for every dataset of a host.
#[derive(Debug, Clone)]
pub struct PiiRules {
    /// What happens to a kind of personal data, where the dataset's own policy says nothing.
    pub kinds: BTreeMap<String, Action>,
    /// Findings below it have no consequence, in 0..=1.
    pub min_confidence: f64,
    /// The key of hashed columns.
    pub key: Option<Arc<HashKey>>,
    /// What policies have done.
    pub counts: Arc<PiiCounts>,
}

impl Default for PiiRules {
    fn default() -> Self {
        Self {
            kinds: BTreeMap::new(),
            min_confidence: 0.5,
            key: None,
            counts: Arc::default(),
        }
    }
}

/// What a person says about personal data in one dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PiiPolicy {
    /// What happens to columns of a kind, for example `{"email": "mask:4"}`.
    #[schema(value_type = BTreeMap<String, String>)]
    pub kinds: BTreeMap<String, Action>,
    /// What holds for single columns, whatever is found there.
    pub columns: BTreeMap<String, ColumnRule>,
}

/// A person's word on a column. As JSON `{"action": "drop"}`, `{"action": "keep"}`, `{"kind": "email"}` or
/// `{"kind": "none"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RuleFields", into = "RuleFields")]
pub enum ColumnRule {
    /// This happens to it.
    Action(Action),
    /// It stays as it is, also if it holds personal data.
    Keep,
    /// It holds this kind of personal data.
    Kind(String),
    /// It holds no personal data.
    NotPersonal,
}

/// The written form of [`ColumnRule`].
#[derive(Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
struct RuleFields {
    /// `keep`, or an action.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    /// `none`, or the kind of personal data that it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

/// A policy as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPolicy {
    /// What it says.
    pub policy: PiiPolicy,
    /// Since when.
    pub changed_at: Timestamp,
    /// Who said so.
    pub changed_by: String,
}

impl PiiRules {
    /// Whether the rules can be carried out.
    ///
    /// # Errors
    /// [`IngestError::BadPolicy`].
    pub fn check(&self) -> Result<(), IngestError> {
        if !(0.0..=1.0).contains(&self.min_confidence) {
            return Err(bad("a confidence is out of range", "say 0 to 1"));
        }
        check_kinds(&self.kinds)?;
        self.needs_key(self.kinds.values().copied())
    }

    /// That a key is there if one of these actions asks for it.
    fn needs_key(&self, mut actions: impl Iterator<Item = Action>) -> Result<(), IngestError> {
        match self.key.is_none() && actions.any(|action| action == Action::Hash) {
            true => Err(bad(
                "`hash` needs a key and there is none",
                "set `hash_key` in `[ingest.pii]`",
            )),
            false => Ok(()),
        }
    }
}

impl PiiPolicy {
    /// Whether the policy can be carried out under these rules.
    ///
    /// # Errors
    /// [`IngestError::BadPolicy`].
    pub fn check(&self, rules: &PiiRules) -> Result<(), IngestError> {
        if self.kinds.len().max(self.columns.len()) > MAX_ENTRIES {
            return Err(bad(
                format!("a policy names at most {MAX_ENTRIES} kinds and as many columns"),
                "leave out those for which the default holds",
            ));
        }
        check_kinds(&self.kinds)?;
        let kinds = self.kinds.values().copied();
        let columns = self.columns.values().filter_map(|rule| match rule {
            ColumnRule::Action(action) => Some(*action),
            _ => None,
        });
        rules.needs_key(kinds.chain(columns))
    }
}

fn check_kinds(kinds: &BTreeMap<String, Action>) -> Result<(), IngestError> {
    match kinds.keys().find(|kind| !is_kind(kind)) {
        Some(_) => Err(no_kind()),
        None => Ok(()),
    }
}

/// Whether a text can be what detectors call a kind.
fn is_kind(text: &str) -> bool {
    let word = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    !text.is_empty() && text.len() <= KIND_BYTES && text.bytes().all(word)
}

fn no_kind() -> IngestError {
    bad(
        "a kind of personal data is not in snake_case",
        "name one as findings do, for example `email` or `credit_card`",
    )
}

fn bad(problem: impl Into<String>, cure: impl Into<String>) -> IngestError {
    IngestError::BadPolicy {
        problem: problem.into(),
        cure: cure.into(),
    }
}

impl TryFrom<RuleFields> for ColumnRule {
    type Error = IngestError;

    fn try_from(fields: RuleFields) -> Result<Self, IngestError> {
        match (fields.action.as_deref(), fields.kind) {
            (Some(KEEP), None) => Ok(Self::Keep),
            (Some(action), None) => action.parse().map(Self::Action),
            (None, Some(kind)) if kind == NONE => Ok(Self::NotPersonal),
            (None, Some(kind)) if is_kind(&kind) => Ok(Self::Kind(kind)),
            (None, Some(_)) => Err(no_kind()),
            _ => Err(bad(
                "a column has neither one action nor one kind",
                "write `{\"action\": \"...\"}` or `{\"kind\": \"...\"}`",
            )),
        }
    }
}

impl From<ColumnRule> for RuleFields {
    fn from(rule: ColumnRule) -> Self {
        let action = |text: String| Self {
            action: Some(text),
            kind: None,
        };
        let kind = |text: String| Self {
            action: None,
            kind: Some(text),
        };
        match rule {
            ColumnRule::Action(named) => action(named.to_string()),
            ColumnRule::Keep => action(KEEP.to_owned()),
            ColumnRule::Kind(named) => kind(named),
            ColumnRule::NotPersonal => kind(NONE.to_owned()),
        }
    }
}

impl utoipa::PartialSchema for ColumnRule {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        RuleFields::schema()
    }
}

impl utoipa::ToSchema for ColumnRule {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_reads_and_writes_itself() {
        let text = r#"{"kinds":{"email":"mask:4"},"columns":{"a":{"action":"drop"},"b":{"action":"keep"},"c":{"kind":"email"},"d":{"kind":"none"}}}"#;
        let policy: PiiPolicy = serde_json::from_str(text).unwrap();
        assert_eq!(policy.columns["a"], ColumnRule::Action(Action::Drop));
        assert_eq!(policy.columns["d"], ColumnRule::NotPersonal);
        assert_eq!(serde_json::to_string(&policy).unwrap(), text);
        assert_eq!(
            serde_json::from_str::<PiiPolicy>("{}").unwrap(),
            PiiPolicy::default()
        );
    }

    #[test]
    fn mistakes_are_refused() {
        for text in [
            r#"{"kind":{}}"#,
            r#"{"kinds":{"email":"masc"}}"#,
            r#"{"columns":{"a":{}}}"#,
            r#"{"columns":{"a":{"action":"drop","kind":"email"}}}"#,
            r#"{"columns":{"a":{"action":"drop","keep_last":4}}}"#,
            r#"{"columns":{"a":{"kind":"E-Mail"}}}"#,
            r#"{"columns":{"a":{"kind":""}}}"#,
        ] {
            assert!(serde_json::from_str::<PiiPolicy>(text).is_err(), "{text}");
        }
        let policy = PiiPolicy {
            kinds: [("E-Mail".to_owned(), Action::Drop)].into(),
            ..PiiPolicy::default()
        };
        assert!(policy.check(&PiiRules::default()).is_err());
    }

    #[test]
    fn hash_needs_a_key_wherever_it_is_said() {
        let keyed = PiiRules {
            key: Some(Arc::new(HashKey::new(&[7; 32]).unwrap())),
            ..PiiRules::default()
        };
        let by_kind = PiiPolicy {
            kinds: [("email".to_owned(), Action::Hash)].into(),
            ..PiiPolicy::default()
        };
        let by_column = PiiPolicy {
            columns: [("a".to_owned(), ColumnRule::Action(Action::Hash))].into(),
            ..PiiPolicy::default()
        };
        for policy in [by_kind, by_column] {
            let error = policy.check(&PiiRules::default()).unwrap_err().to_string();
            assert!(error.contains("hash_key"), "{error}");
            policy.check(&keyed).unwrap();
        }
        let rules = PiiRules {
            kinds: [("email".to_owned(), Action::Hash)].into(),
            ..PiiRules::default()
        };
        assert!(rules.check().is_err());
        let odd = PiiRules {
            min_confidence: f64::NAN,
            ..PiiRules::default()
        };
        assert!(odd.check().is_err());
    }
}
