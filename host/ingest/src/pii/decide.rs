//! What happens to each column of a run: findings, policies and what earlier versions did, brought together.
//!
//! A person's word on a column wins over what the dataset's policy says of a kind, which wins over what the
//! configuration says; where nobody says anything a finding is only kept. Where several kinds are found in a
//! column, the action that hides most is taken. A finding counts for the whole column, also when it is about
//! some of its values: a sample cannot tell which rows.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use boathouse_types::{DatasetName, TableSample};
use serde::{Deserialize, Serialize};

use super::{Action, ColumnRule, PiiPolicy, PiiRules, append};
use crate::{
    ColumnInfo, Detection, IngestContext, IngestError, IngestMode, OnDetectorFailure, PiiDetector,
    catalog::Home, detect,
};

/// What stands for a column of which a person says that it holds no personal data.
const NOT_PERSONAL: &str = "none";

/// What was done to a column of a version, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Treatment {
    /// Name of the column.
    pub column: String,
    /// Its position at the source, from 0.
    pub position: u32,
    /// The kind of personal data that it holds, if that was found or said; `none` if a person says that it
    /// holds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What was done.
    #[schema(value_type = String)]
    pub action: Action,
    /// Id of the key, for hashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Who decided so.
    pub decided_by: DecidedBy,
    /// Rows of earlier versions, which this version shows too, hold the column's values in clear.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub earlier_rows_in_clear: bool,
    /// What a person should know about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Who decided what happens to a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// A person, for this column.
    Column,
    /// The dataset's policy, for the kind.
    Dataset,
    /// The configuration, for the kind.
    Config,
    /// Nobody: the default.
    Default,
    /// What was done to the rows that these follow.
    EarlierVersion,
}

/// Everything that decides about the columns of one run.
#[derive(Debug)]
pub(crate) struct InForce {
    dataset: DatasetName,
    policy: PiiPolicy,
    rules: PiiRules,
    on_failure: Option<OnDetectorFailure>,
    /// What an append continues: what was done there, and the columns there are.
    earlier: Option<(Vec<Treatment>, Vec<ColumnInfo>)>,
}

/// What the policies want for a column.
struct Wish {
    kind: Option<String>,
    action: Action,
    decided_by: DecidedBy,
}

impl InForce {
    /// What is in force for a run, or why it cannot be carried out at all.
    pub(crate) async fn load(
        context: &IngestContext,
        dataset: &DatasetName,
        mode: IngestMode,
        home: &Home,
    ) -> Result<Self, IngestError> {
        let latest = home.dataset().and_then(|manifest| manifest.latest());
        let continued = latest.filter(|_| mode == IngestMode::Append);
        let this = Self {
            on_failure: context.on_detector_failure,
            earlier: continued.map(|one| (one.treatments.clone(), one.columns.clone())),
            ..Self::for_scan(context, dataset).await?
        };
        this.policy.check(&this.rules)?;
        this.check_key()?;
        let refuses = this.on_failure() == OnDetectorFailure::Refuse;
        if context.detectors.is_empty() && refuses && this.needs_findings() {
            this.rules.counts.count_refusal();
            return Err(IngestError::NoDetector);
        }
        Ok(this)
    }

    /// What is in force where nothing is going to be changed: what cannot be answered is kept as such.
    pub(crate) async fn for_scan(
        context: &IngestContext,
        dataset: &DatasetName,
    ) -> Result<Self, IngestError> {
        let stored = context.datasets.pii_policy(dataset).await?;
        Ok(Self {
            dataset: dataset.clone(),
            policy: stored.map(|found| found.value.policy).unwrap_or_default(),
            rules: context.pii.clone(),
            on_failure: Some(OnDetectorFailure::TagUnknown),
            earlier: None,
        })
    }

    /// Asks the detectors about a table.
    pub(crate) async fn ask(
        &self,
        detectors: &[Arc<dyn PiiDetector>],
        sample: &TableSample,
    ) -> Result<Detection, IngestError> {
        let counts = &self.rules.counts;
        if detectors.is_empty() {
            tracing::warn!(
                dataset = %self.dataset,
                "no personal-data detector is active, so nobody looks at the rows: their findings are incomplete"
            );
            counts.count_unexamined();
        }
        let answer = detect::ask(detectors, self.on_failure(), sample).await;
        match &answer {
            Ok(detection) => counts.count_unanswered(detection.failures.len()),
            Err(error) => {
                tracing::warn!(dataset = %self.dataset, %error, "an ingest is refused");
                counts.count_unanswered(1);
                counts.count_refusal();
            }
        }
        answer
    }

    /// The rules of the host.
    pub(crate) fn rules(&self) -> &PiiRules {
        &self.rules
    }

    /// The schema that an append follows, given that of the dataset.
    pub(crate) fn before(&self, schema: &Schema) -> SchemaRef {
        append::before(schema, self.treated())
    }

    /// What happens when a detector fails: where a policy depends on findings, nothing goes on without.
    pub(crate) fn on_failure(&self) -> OnDetectorFailure {
        let unsaid = match self.needs_findings() {
            true => OnDetectorFailure::Refuse,
            false => OnDetectorFailure::TagUnknown,
        };
        self.on_failure.unwrap_or(unsaid)
    }

    /// Decides about every column of a source, in its order. Columns that stay as they are and about which
    /// no person said anything are left out.
    pub(crate) fn decide(
        &self,
        schema: &Schema,
        detection: &Detection,
    ) -> Result<Vec<Treatment>, IngestError> {
        let mut treatments = Vec::new();
        let mut refused = Vec::new();
        for (field, position) in schema.fields().iter().zip(0..) {
            let name = field.name();
            let wish = self.wish(name, position, detection);
            if let Some(wish) = wish.iter().find(|wish| wish.action == Action::Refuse) {
                let kind = wish.kind.as_deref().unwrap_or("personal data");
                refused.push(format!("column `{name}` holds {kind}"));
                continue;
            }
            treatments.extend(match self.earlier_of(name) {
                Some(earlier) => Some(follow(earlier, wish, position)),
                None => self.begin(name, position, wish)?,
            });
        }
        if !refused.is_empty() {
            self.rules.counts.count_refusal();
            return Err(IngestError::PersonalData {
                dataset: self.dataset.clone(),
                columns: refused.join(", "),
            });
        }
        let is_absent = |one: &&Treatment| schema.index_of(&one.column).is_err();
        let left_out = self
            .treated()
            .iter()
            .filter(|one| one.action == Action::Drop);
        treatments.extend(left_out.filter(is_absent).cloned());
        treatments.sort_by_key(|one| one.position);
        Ok(treatments)
    }

    /// What the policies want that was not done: `done` says what was, to these columns.
    pub(crate) fn wanting(
        &self,
        columns: &[ColumnInfo],
        done: &[Treatment],
        detection: &Detection,
    ) -> Vec<Treatment> {
        let is_done = |column: &str| {
            done.iter()
                .any(|one| one.column == column && one.action.transforms())
        };
        let open = columns
            .iter()
            .zip(0..)
            .filter(|(column, _)| !is_done(&column.name));
        open.filter_map(|(column, position)| {
            let wish = self.wish(&column.name, position, detection)?;
            wish.action.protects().then(|| Treatment {
                column: column.name.clone(),
                position,
                key_id: self.key_id(wish.action),
                kind: wish.kind,
                action: wish.action,
                decided_by: wish.decided_by,
                earlier_rows_in_clear: true,
                note: None,
            })
        })
        .collect()
    }

    /// Whether some kind of personal data must not come in as it is, so that somebody has to look for it.
    fn needs_findings(&self) -> bool {
        let own = self.policy.kinds.values();
        let general = self.rules.kinds.iter();
        let general = general.filter(|(kind, _)| !self.policy.kinds.contains_key(*kind));
        own.chain(general.map(|(_, action)| action))
            .any(|action| action.protects())
    }

    /// That hashes are of the key that earlier ones are of.
    fn check_key(&self) -> Result<(), IngestError> {
        let own = self.rules.key.as_ref().map(|key| key.id());
        let other = self
            .treated()
            .iter()
            .find(|one| one.action == Action::Hash && one.key_id.as_deref() != own);
        match other {
            None => Ok(()),
            Some(one) => Err(IngestError::HashKeyDiffers {
                dataset: self.dataset.clone(),
                column: one.column.clone(),
                key_id: one.key_id.clone().unwrap_or_default(),
            }),
        }
    }

    fn treated(&self) -> &[Treatment] {
        self.earlier.as_ref().map_or(&[], |(treated, _)| treated)
    }

    fn earlier_of(&self, column: &str) -> Option<&Treatment> {
        self.treated()
            .iter()
            .find(|one| one.column == column && one.action.transforms())
    }

    fn wish(&self, column: &str, position: u32, detection: &Detection) -> Option<Wish> {
        let found = detection
            .findings
            .iter()
            .filter(|found| found.finding.column == position)
            .filter(|found| found.finding.confidence >= self.rules.min_confidence)
            .map(|found| self.of_kind(&found.finding.kind))
            .max_by_key(|wish| wish.action.strictness());
        let said = |kind: Option<String>, action| Wish {
            kind,
            action,
            decided_by: DecidedBy::Column,
        };
        match self.policy.columns.get(column) {
            None => found,
            Some(ColumnRule::Action(action)) => {
                Some(said(found.and_then(|found| found.kind), *action))
            }
            Some(ColumnRule::Keep) => Some(said(found.and_then(|found| found.kind), Action::Tag)),
            Some(ColumnRule::NotPersonal) => Some(said(Some(NOT_PERSONAL.to_owned()), Action::Tag)),
            Some(ColumnRule::Kind(kind)) => Some(Wish {
                decided_by: DecidedBy::Column,
                ..self.of_kind(kind)
            }),
        }
    }

    fn of_kind(&self, kind: &str) -> Wish {
        let own = self.policy.kinds.get(kind);
        let own = own.map(|action| (*action, DecidedBy::Dataset));
        let general = self.rules.kinds.get(kind);
        let general = general.map(|action| (*action, DecidedBy::Config));
        let (action, decided_by) = own.or(general).unwrap_or((Action::Tag, DecidedBy::Default));
        Wish {
            kind: Some(kind.to_owned()),
            action,
            decided_by,
        }
    }

    /// What happens to a column that no earlier version treated.
    fn begin(
        &self,
        column: &str,
        position: u32,
        wish: Option<Wish>,
    ) -> Result<Option<Treatment>, IngestError> {
        let Some(wish) = wish else { return Ok(None) };
        if !wish.action.transforms() && wish.decided_by != DecidedBy::Column {
            return Ok(None);
        }
        let in_clear = wish.action.transforms() && self.is_in_clear(column, wish.action)?;
        let note = "earlier rows are in clear: ingest with mode `replace` to treat them too";
        Ok(Some(Treatment {
            column: column.to_owned(),
            position,
            key_id: self.key_id(wish.action),
            kind: wish.kind,
            action: wish.action,
            decided_by: wish.decided_by,
            earlier_rows_in_clear: in_clear,
            note: in_clear.then(|| note.to_owned()),
        }))
    }

    /// Whether earlier rows hold the column in clear; an error when treated rows cannot follow them.
    fn is_in_clear(&self, column: &str, action: Action) -> Result<bool, IngestError> {
        let columns = self.earlier.iter().flat_map(|(_, columns)| columns);
        let Some(existing) = columns.into_iter().find(|known| known.name == column) else {
            return Ok(false);
        };
        if action != Action::Drop && existing.data_type == "Utf8" {
            return Ok(true);
        }
        Err(IngestError::InClear {
            dataset: self.dataset.clone(),
            column: column.to_owned(),
            data_type: existing.data_type.clone(),
            action: action.to_string(),
        })
    }

    fn key_id(&self, action: Action) -> Option<String> {
        let key = self.rules.key.as_ref().filter(|_| action == Action::Hash);
        key.map(|key| key.id().to_owned())
    }
}

/// What happens to a column whose earlier rows were treated: the same.
fn follow(earlier: &Treatment, wish: Option<Wish>, position: u32) -> Treatment {
    let wished = wish.as_ref().map_or(Action::Tag, |wish| wish.action);
    let kind = wish.and_then(|wish| wish.kind);
    let note = (wished != earlier.action).then(|| {
        format!(
            "the policy now says `{wished}`; rows are treated as those before them: ingest with mode `replace` to change that"
        )
    });
    Treatment {
        position,
        kind: kind.or_else(|| earlier.kind.clone()),
        decided_by: DecidedBy::EarlierVersion,
        note: note.or_else(|| {
            earlier
                .note
                .clone()
                .filter(|_| earlier.earlier_rows_in_clear)
        }),
        ..earlier.clone()
    }
}

#[cfg(test)]
mod tests;
