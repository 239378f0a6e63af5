//! What measurements rest on. Recall and times compare only where the vectors and the queries are the same.

use boathouse_types::{Asked, Trial, VectorBackend};

/// What was measured, on which vectors, with which queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Basis<'a> {
    /// What is tuned: graphs and tables have other knobs.
    pub(crate) backend: VectorBackend,
    /// Version of the vectors; none for any.
    pub(crate) data_version: Option<&'a str>,
    /// Identity of the evaluation set; none for any. Lines of older hosts do not tell theirs and rest on any.
    pub(crate) evalset: Option<&'a str>,
}

impl<'a> Basis<'a> {
    /// Any vectors and queries.
    pub(crate) fn any(backend: VectorBackend) -> Self {
        Self {
            backend,
            data_version: None,
            evalset: None,
        }
    }

    /// What a line rests on.
    pub(crate) fn of(trial: &'a Trial) -> Self {
        Self {
            backend: trial.config.backend(),
            data_version: trial.data_version.as_deref(),
            evalset: trial.evalset.as_deref(),
        }
    }

    /// What the lines rest on that a question shows.
    pub(crate) fn asked(asked: &'a Asked) -> Self {
        Self {
            backend: asked.index.backend,
            data_version: asked.data_version.as_deref(),
            evalset: asked.evalset.as_deref(),
        }
    }

    /// What the newest line on a version of the vectors rests on.
    pub(crate) fn newest(
        journal: &'a [Trial],
        data_version: &'a str,
        backend: VectorBackend,
    ) -> Self {
        let on_version = |trial: &&Trial| {
            trial.data_version.as_deref() == Some(data_version) && trial.config.backend() == backend
        };
        let newest = journal.iter().rfind(on_version);
        Self {
            backend,
            data_version: Some(data_version),
            evalset: newest.and_then(|trial| trial.evalset.as_deref()),
        }
    }

    /// Whether a line rests on it.
    pub(crate) fn holds(&self, trial: &Trial) -> bool {
        let version = trial.data_version.as_deref();
        let set = trial.evalset.as_deref();
        trial.config.backend() == self.backend
            && self.data_version.is_none_or(|own| version == Some(own))
            && self
                .evalset
                .is_none_or(|own| set.is_none_or(|set| set == own))
    }
}

/// Leaves of trials on one version of the vectors, oldest first, those of the backend and with the queries of the newest:
/// recalls with others do not compare with its.
pub fn keep_newest_queries(trials: &mut Vec<Trial>) {
    let Some(last) = trials.last() else { return };
    let (backend, evalset) = (last.config.backend(), last.evalset.clone());
    let newest = Basis {
        backend,
        data_version: None,
        evalset: evalset.as_deref(),
    };
    trials.retain(|trial| newest.holds(trial));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trial;

    fn on(version: &str, evalset: Option<&str>) -> Trial {
        Trial {
            data_version: Some(version.to_owned()),
            evalset: evalset.map(ToOwned::to_owned),
            ..trial("t", 0.9, 100.0)
        }
    }

    #[test]
    fn vectors_and_queries_have_to_be_the_same_and_old_lines_rest_on_any_queries() {
        let old = on("v1", None);
        let (first, second) = (on("v1", Some("default@a")), on("v1", Some("default@b")));
        let basis = Basis::of(&first);
        assert!(basis.holds(&first) && basis.holds(&old));
        assert!(!basis.holds(&second));
        assert!(!basis.holds(&on("v2", Some("default@a"))));
        assert!(Basis::of(&old).holds(&first) && Basis::of(&old).holds(&second));
    }

    #[test]
    fn graphs_and_tables_do_not_compare() {
        let mut table = on("v1", Some("default@a"));
        table.config = crate::testing::table_config().into();
        let graph = on("v1", Some("default@a"));
        assert!(Basis::of(&table).holds(&table) && !Basis::of(&table).holds(&graph));
        let journal = [graph.clone(), table.clone()];
        let newest = Basis::newest(&journal, "v1", VectorBackend::Parquet);
        assert!(newest.holds(&graph) && !newest.holds(&table));
        let mut both = journal.to_vec();
        keep_newest_queries(&mut both);
        assert_eq!(both, [table]);
    }

    #[test]
    fn trials_with_other_queries_than_those_of_the_newest_go() {
        let (first, second) = (on("v1", Some("default@a")), on("v1", Some("default@b")));
        let old = on("v1", None);
        let mut mixed = vec![first.clone(), old.clone(), second.clone()];
        keep_newest_queries(&mut mixed);
        assert_eq!(mixed, [old.clone(), second]);
        let mut older = vec![first, old];
        keep_newest_queries(&mut older);
        assert_eq!(
            older.len(),
            2,
            "the newest does not say which queries it had"
        );
        keep_newest_queries(&mut Vec::new());
    }

    #[test]
    fn the_newest_line_of_a_version_says_which_queries_count() {
        let journal = [
            on("v1", Some("default@a")),
            on("v1", Some("default@b")),
            on("v2", Some("default@c")),
        ];
        let newest = Basis::newest(&journal, "v1", VectorBackend::Parquet);
        let shown: Vec<_> = journal.iter().map(|line| newest.holds(line)).collect();
        assert_eq!(shown, [false, true, false]);
        assert_eq!(
            Basis::newest(&[], "v1", VectorBackend::Parquet).evalset,
            None
        );
    }
}
