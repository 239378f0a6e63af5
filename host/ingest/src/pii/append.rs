//! How an append follows what was done to the columns of earlier rows.
//!
//! A source is compared with its dataset before anything is done to its columns. So the schema that it has
//! to follow is not quite that of the dataset: columns that were left out are there again, and a column that
//! became text may come in any type.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::{Action, TREATED, Treatment};

/// The schema that a source has to follow to continue rows that were treated in this way.
pub(super) fn before(schema: &Schema, treatments: &[Treatment]) -> SchemaRef {
    let transforming = || treatments.iter().filter(|one| one.action.transforms());
    let mut fields: Vec<FieldRef> = schema
        .fields()
        .iter()
        .map(
            |field| match transforming().find(|one| one.column == *field.name()) {
                Some(one) => Arc::new(free(field.name(), one.action)),
                None => Arc::clone(field),
            },
        )
        .collect();
    for dropped in transforming().filter(|one| one.action == Action::Drop) {
        let at = (dropped.position as usize).min(fields.len());
        fields.insert(at, Arc::new(free(&dropped.column, Action::Drop)));
    }
    Arc::new(Schema::new(fields))
}

/// Whether a column of a dataset continues with values of any type, as they become text or are left out.
pub(crate) fn takes_any_type(existing: &Field) -> bool {
    existing.metadata().contains_key(TREATED)
}

/// Whether a column of a dataset is left out of it, so that a source need not have it.
pub(crate) fn is_dropped(existing: &Field) -> bool {
    existing
        .metadata()
        .get(TREATED)
        .is_some_and(|action| *action == Action::Drop.to_string())
}

/// As what a source's column is read to continue a column of a dataset; none for one that is left out of the
/// dataset and that the source has not. The types are compared before.
pub(crate) fn continued(existing: &FieldRef, own: Option<&Field>) -> Option<FieldRef> {
    match own {
        Some(own) if takes_any_type(existing) => Some(Arc::new(own.clone())),
        None if is_dropped(existing) => None,
        _ => {
            let nullable = existing.is_nullable() || own.is_none_or(Field::is_nullable);
            let field = existing.as_ref().clone().with_nullable(nullable);
            Some(Arc::new(field))
        }
    }
}

/// Whether rows that were treated in the one way may follow rows that were treated in the other. Nothing that
/// is treated there may be in clear here, and what is treated here only has to know it.
pub(crate) fn continues(earlier: &[Treatment], later: &[Treatment]) -> bool {
    fn of<'a>(all: &'a [Treatment], column: &str) -> Option<&'a Treatment> {
        all.iter()
            .find(|one| one.column == column && one.action.transforms())
    }
    let same = |a: &Treatment, b: &Treatment| a.action == b.action && a.key_id == b.key_id;
    let transforming = |one: &&Treatment| one.action.transforms();
    let followed = earlier
        .iter()
        .filter(transforming)
        .all(|one| of(later, &one.column).is_some_and(|other| same(one, other)));
    let known = later
        .iter()
        .filter(transforming)
        .all(|one| one.earlier_rows_in_clear || of(earlier, &one.column).is_some());
    followed && known
}

fn free(name: &str, action: Action) -> Field {
    let treated = (TREATED.to_owned(), action.to_string());
    Field::new(name, DataType::Utf8, true).with_metadata([treated].into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::DecidedBy;

    fn treatment(column: &str, position: u32, action: Action) -> Treatment {
        Treatment {
            column: column.to_owned(),
            position,
            kind: None,
            action,
            key_id: (action == Action::Hash).then(|| "a1".to_owned()),
            decided_by: DecidedBy::Dataset,
            earlier_rows_in_clear: false,
            note: None,
        }
    }

    #[test]
    fn what_was_left_out_is_asked_for_again_in_its_place() {
        let schema = Schema::new(vec![
            Field::new("b", DataType::Utf8, false),
            Field::new("c", DataType::Int64, false),
        ]);
        let done = [
            treatment("a", 0, Action::Drop),
            treatment("b", 1, Action::Hash),
            treatment("d", 3, Action::Drop),
            treatment("c", 2, Action::Tag),
        ];
        let before = before(&schema, &done);
        let names: Vec<_> = before.fields().iter().map(|field| field.name()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        let free: Vec<_> = before.fields().iter().map(|f| takes_any_type(f)).collect();
        assert_eq!(free, [true, true, false, true]);
        let dropped: Vec<_> = before.fields().iter().map(|f| is_dropped(f)).collect();
        assert_eq!(dropped, [true, false, false, true]);
    }

    #[test]
    fn rows_in_clear_do_not_follow_treated_ones() {
        let hashed = [treatment("a", 0, Action::Hash)];
        let masked = [treatment("a", 0, Action::Mask { keep_last: 4 })];
        let tagged = [treatment("a", 0, Action::Tag)];
        let other_key = [Treatment {
            key_id: Some("b2".to_owned()),
            ..treatment("a", 0, Action::Hash)
        }];
        assert!(continues(&hashed, &hashed));
        let knowing = [Treatment {
            earlier_rows_in_clear: true,
            ..treatment("a", 0, Action::Hash)
        }];
        assert!(continues(&[], &knowing) && continues(&tagged, &knowing));
        assert!(!continues(&[], &hashed));
        assert!(continues(&tagged, &[]));
        for other in [&masked[..], &tagged, &other_key, &[]] {
            assert!(!continues(&hashed, other));
        }
    }
}
