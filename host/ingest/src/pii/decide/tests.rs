//! Who wins over whom, what appends follow, and what depends on findings.

use arrow::datatypes::{DataType, Field};

use super::*;
use crate::{ColumnFinding, FindingSource, detect::tests::finding, pii::HashKey};

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("mail", DataType::Utf8, true),
        Field::new("phone", DataType::Int64, true),
    ])
}

fn found(columns: &[(u32, &str, f64)]) -> Detection {
    let detector = boathouse_types::PluginRef {
        name: "x/pii".to_owned(),
        version: "1.0.0".to_owned(),
    };
    let findings = columns
        .iter()
        .map(|(column, kind, confidence)| ColumnFinding {
            column: schema().field(*column as usize).name().clone(),
            finding: finding(*column, kind, *confidence),
            detector: detector.clone(),
            sources: vec![FindingSource {
                detector: detector.clone(),
                finding: finding(*column, kind, *confidence),
            }],
        });
    Detection {
        findings: findings.collect(),
        asked: vec![detector.clone()],
        failures: Vec::new(),
    }
}

fn actions(all: &[(&str, &str)]) -> std::collections::BTreeMap<String, Action> {
    all.iter()
        .map(|(kind, action)| ((*kind).to_owned(), action.parse().unwrap()))
        .collect()
}

fn in_force(config: &[(&str, &str)], policy: &str) -> InForce {
    InForce {
        dataset: DatasetName::new("d").unwrap(),
        policy: serde_json::from_str(policy).unwrap(),
        rules: PiiRules {
            kinds: actions(config),
            key: Some(Arc::new(HashKey::new(&[7; 32]).unwrap())),
            ..PiiRules::default()
        },
        on_failure: None,
        earlier: None,
    }
}

fn done(in_force: &InForce, detection: &Detection) -> Vec<(String, String, DecidedBy)> {
    let decided = in_force.decide(&schema(), detection).unwrap();
    let line = |one: Treatment| (one.column, one.action.to_string(), one.decided_by);
    decided.into_iter().map(line).collect()
}

fn line(column: &str, action: &str, by: DecidedBy) -> (String, String, DecidedBy) {
    (column.to_owned(), action.to_owned(), by)
}

#[test]
fn a_column_wins_over_the_dataset_over_the_configuration() {
    let both = found(&[(1, "email", 0.9), (2, "phone", 0.9)]);
    let config = [("email", "drop"), ("phone", "drop")];
    assert_eq!(done(&in_force(&[], "{}"), &both), []);
    assert_eq!(
        done(&in_force(&config, "{}"), &both),
        [
            line("mail", "drop", DecidedBy::Config),
            line("phone", "drop", DecidedBy::Config)
        ]
    );
    let policy = r#"{"kinds":{"email":"hash","phone":"tag"}}"#;
    assert_eq!(
        done(&in_force(&config, policy), &both),
        [line("mail", "hash", DecidedBy::Dataset)]
    );
    let policy = r#"{"kinds":{"email":"hash"},"columns":{"mail":{"action":"keep"},"phone":{"kind":"none"},"id":{"kind":"email"}}}"#;
    assert_eq!(
        done(&in_force(&config, policy), &both),
        [
            line("id", "hash", DecidedBy::Column),
            line("mail", "tag", DecidedBy::Column),
            line("phone", "tag", DecidedBy::Column)
        ]
    );
}

#[test]
fn of_several_kinds_the_action_that_hides_most_is_taken_above_the_least_confidence() {
    let config = [("email", "mask:4"), ("phone", "hash"), ("name", "drop")];
    let several = found(&[(1, "email", 0.9), (1, "phone", 0.6), (1, "name", 0.4)]);
    assert_eq!(
        done(&in_force(&config, "{}"), &several),
        [line("mail", "hash", DecidedBy::Config)]
    );
}

#[test]
fn a_refusal_names_columns_and_kinds() {
    let in_force = in_force(&[("email", "refuse")], "{}");
    let error = in_force
        .decide(&schema(), &found(&[(1, "email", 0.9)]))
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`mail`") && text.contains("email"), "{text}");
    assert_eq!(in_force.rules.counts.refused(), 1);
}

fn continuing(before: &InForce, detection: &Detection, after: InForce) -> InForce {
    let columns = schema();
    let treatments = before.decide(&columns, detection).unwrap();
    let columns = columns.fields().iter().filter_map(|field| {
        let action = treatments.iter().find(|one| one.column == *field.name());
        let text = Field::new(field.name(), DataType::Utf8, true);
        match action.map(|one| one.action) {
            Some(Action::Drop) => None,
            Some(Action::Hash | Action::Mask { .. }) => Some(ColumnInfo::of(&text)),
            _ => Some(ColumnInfo::of(field)),
        }
    });
    InForce {
        earlier: Some((treatments.clone(), columns.collect())),
        ..after
    }
}

#[test]
fn an_append_does_what_was_done_before_and_says_where_the_policy_differs() {
    let all = found(&[(1, "email", 0.9), (2, "phone", 0.9)]);
    let first = in_force(&[("email", "hash"), ("phone", "drop")], "{}");
    let next = continuing(&first, &all, in_force(&[("email", "mask")], "{}"));
    let decided = next.decide(&schema(), &found(&[])).unwrap();
    let lines: Vec<_> = decided
        .iter()
        .map(|one| (one.column.as_str(), one.action, one.decided_by))
        .collect();
    assert_eq!(
        lines,
        [
            ("mail", Action::Hash, DecidedBy::EarlierVersion),
            ("phone", Action::Drop, DecidedBy::EarlierVersion)
        ]
    );
    assert!(decided.iter().all(|one| one.note.is_some()));
    assert!(!decided.iter().any(|one| one.earlier_rows_in_clear));
    next.check_key().unwrap();
    let without = Schema::new(schema().fields()[..2].to_vec());
    let decided = next.decide(&without, &all).unwrap();
    assert_eq!(decided.len(), 2, "what was left out stays on record");
}

#[test]
fn another_key_cannot_continue_hashes() {
    let first = in_force(&[("email", "hash")], "{}");
    let mut next = continuing(&first, &found(&[(1, "email", 0.9)]), in_force(&[], "{}"));
    next.rules.key = Some(Arc::new(HashKey::new(&[8; 32]).unwrap()));
    assert!(matches!(
        next.check_key(),
        Err(IngestError::HashKeyDiffers { .. })
    ));
    next.rules.key = None;
    let error = next.check_key().unwrap_err().to_string();
    assert!(error.contains(first.rules.key.unwrap().id()), "{error}");
}

#[test]
fn a_new_action_on_rows_in_clear_is_told_or_refused_by_type() {
    let all = found(&[(1, "email", 0.9)]);
    let clear = in_force(&[], "{}");
    let next = continuing(&clear, &all, in_force(&[("email", "hash")], "{}"));
    let decided = next.decide(&schema(), &all).unwrap();
    assert!(decided[0].earlier_rows_in_clear, "{decided:?}");
    assert!(
        decided[0]
            .note
            .as_ref()
            .is_some_and(|note| note.contains("replace"))
    );
    for (kind, action, column) in [("email", "drop", 1), ("phone", "mask", 2)] {
        let next = continuing(&clear, &all, in_force(&[(kind, action)], "{}"));
        let refused = next.decide(&schema(), &found(&[(column, kind, 0.9)]));
        assert!(
            matches!(refused, Err(IngestError::InClear { .. })),
            "{action}"
        );
    }
}

#[test]
fn findings_are_needed_where_some_kind_may_not_come_in_as_it_is() {
    use OnDetectorFailure::{Refuse, TagUnknown};
    let check = |config: &[(&str, &str)], policy: &str, expected| {
        assert_eq!(
            in_force(config, policy).on_failure(),
            expected,
            "{config:?} {policy}"
        );
    };
    check(&[], "{}", TagUnknown);
    check(&[("email", "tag")], "{}", TagUnknown);
    check(&[("email", "mask")], "{}", Refuse);
    check(&[("email", "refuse")], "{}", Refuse);
    check(&[], r#"{"kinds":{"email":"drop"}}"#, Refuse);
    check(
        &[("email", "mask")],
        r#"{"kinds":{"email":"tag"}}"#,
        TagUnknown,
    );
    check(&[], r#"{"columns":{"mail":{"action":"drop"}}}"#, TagUnknown);
    let mut said = in_force(&[("email", "mask")], "{}");
    said.on_failure = Some(TagUnknown);
    assert_eq!(
        said.on_failure(),
        TagUnknown,
        "the configuration may say otherwise"
    );
}

#[test]
fn a_scan_tells_what_the_policies_would_do_and_was_not_done() {
    let all = found(&[(1, "email", 0.9), (2, "phone", 0.9)]);
    let first = in_force(&[("email", "hash")], "{}");
    let treatments = first.decide(&schema(), &all).unwrap();
    let now = in_force(&[("email", "hash"), ("phone", "refuse")], "{}");
    let columns = ColumnInfo::all(&schema());
    let wanting = now.wanting(&columns, &treatments, &all);
    let lines: Vec<_> = wanting
        .iter()
        .map(|one| (one.column.as_str(), one.action))
        .collect();
    assert_eq!(lines, [("phone", Action::Refuse)]);
}
