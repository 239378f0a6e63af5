//! Who makes a request, and what that one may do.
//!
//! A [`Caller`] is made by the layer that every request passes; handlers take it as an argument. What a
//! route asks for as a whole has been checked when the handler runs; the handler itself asks only about
//! names that stand in a body or a query string, or that it lists.

use std::collections::BTreeSet;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use boathouse_types::{DatasetName, IndexName};

use super::Scope;
use crate::problem::Problem;

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    name: String,
    scopes: BTreeSet<Scope>,
    reach: Reach,
}

/// Which datasets and indexes a caller may touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    #[default]
    All,
    /// Those that are named. Where no index is named, those on the named datasets.
    Only {
        /// Datasets.
        datasets: BTreeSet<DatasetName>,
        /// Indexes.
        indexes: BTreeSet<IndexName>,
    },
}

impl Caller {
    /// A caller with a name for the records, scopes and reach.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        scopes: impl IntoIterator<Item = Scope>,
        reach: Reach,
    ) -> Self {
        Self {
            name: name.into(),
            scopes: scopes.into_iter().collect(),
            reach,
        }
    }

    /// Anybody, where no key is asked for: may do everything.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::new("anonymous", [Scope::Admin], Reach::All)
    }

    /// Whoever may read the data folder of the host: may do everything.
    #[must_use]
    pub fn owner() -> Self {
        Self::new("owner", [Scope::Admin], Reach::All)
    }

    /// Somebody without a key, on a route that asks for none.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new("nobody", [], Reach::default())
    }

    /// The name for records: `anonymous`, `owner`, or the name and id of a key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the caller has a scope.
    #[must_use]
    pub fn has(&self, scope: &Scope) -> bool {
        self.scopes.contains(scope) || self.scopes.contains(&Scope::Admin)
    }

    /// The scopes, as they were given.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.iter()
    }

    /// Whether the caller may touch some datasets and indexes only.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        self.reach != Reach::All
    }

    /// The datasets and indexes within reach.
    #[must_use]
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// That the caller may upload, activate and roll back the plugins of a team.
    ///
    /// # Errors
    /// 403 `scope_missing`.
    pub fn may_write_plugins(&self, team: &str) -> Result<(), Problem> {
        match Scope::plugins_of(team) {
            Some(scope) if self.has(&scope) => Ok(()),
            Some(scope) => Err(scope_missing(&[scope])),
            None => Err(Problem::unprocessable(
                "bad_name",
                format!(
                    "`{}` is not a team's name: use lower-case letters, digits and hyphens",
                    team.chars().take(80).collect::<String>().escape_debug()
                ),
            )),
        }
    }

    /// That a dataset is within reach.
    ///
    /// # Errors
    /// 403 `forbidden`, whether or not there is such a dataset.
    pub fn may_use_dataset(&self, name: &str) -> Result<(), Problem> {
        if self.reaches_dataset(name) {
            return Ok(());
        }
        Err(out_of_reach("dataset", name))
    }

    /// That an index is within reach; `on` is the dataset that it is built on, when that is known.
    ///
    /// # Errors
    /// 403 `forbidden`, whether or not there is such an index.
    pub fn may_use_index(&self, name: &str, on: Option<&DatasetName>) -> Result<(), Problem> {
        if self.reaches_index(name, on) {
            return Ok(());
        }
        Err(out_of_reach("index", name))
    }

    /// Whether a dataset is within reach.
    #[must_use]
    pub fn reaches_dataset(&self, name: &str) -> bool {
        match &self.reach {
            Reach::All => true,
            Reach::Only { datasets, .. } => datasets.contains(name),
        }
    }

    /// Whether an index is within reach; see [`Self::may_use_index`].
    #[must_use]
    pub fn reaches_index(&self, name: &str, on: Option<&DatasetName>) -> bool {
        match &self.reach {
            Reach::All => true,
            Reach::Only { datasets, indexes } if indexes.is_empty() => {
                on.is_some_and(|dataset| datasets.contains(dataset))
            }
            Reach::Only { indexes, .. } => indexes.contains(name),
        }
    }
}

/// 403 that names the scopes of which one would do.
pub(super) fn scope_missing(wanted: &[Scope]) -> Problem {
    let wanted: Vec<String> = wanted.iter().map(|scope| format!("`{scope}`")).collect();
    Problem::new(
        StatusCode::FORBIDDEN,
        "scope_missing",
        format!(
            "this key does not have the scope {}; use one that does, or have one made by whoever has the scope `admin` or may read the data folder (`boathouse key create --data DIR`)",
            wanted.join(" or ")
        ),
    )
}

fn out_of_reach(what: &str, name: &str) -> Problem {
    let shown: String = name.chars().take(80).collect();
    Problem::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        format!(
            "this key does not reach {what} `{}`; `GET /auth/me` lists what it reaches",
            shown.escape_debug()
        ),
    )
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// The caller that the layer found; without the layer there is none, and nothing is allowed.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "key_needed",
                "nobody looked at who makes this request",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(name: &str) -> DatasetName {
        DatasetName::new(name).expect("name")
    }

    fn only(datasets: &[&str], indexes: &[&str]) -> Caller {
        let reach = Reach::Only {
            datasets: datasets.iter().map(|name| dataset(name)).collect(),
            indexes: indexes
                .iter()
                .map(|name| IndexName::new(*name).expect("name"))
                .collect(),
        };
        Caller::new("k", [Scope::Read], reach)
    }

    #[test]
    fn admin_contains_every_scope_and_nothing_else_contains_another() {
        let team = |name| Scope::plugins_of(name).expect("team");
        let all = [
            Scope::Read,
            Scope::Search,
            Scope::Ingest,
            Scope::Tune,
            Scope::Models,
            Scope::Storage,
            team("a"),
            team("b"),
            Scope::Admin,
        ];
        for held in &all {
            let caller = Caller::new("k", [held.clone()], Reach::All);
            for asked in &all {
                let expected = held == asked || *held == Scope::Admin;
                assert_eq!(caller.has(asked), expected, "{held} has {asked}");
            }
        }
    }

    #[test]
    fn a_team_writes_its_own_plugins_only() {
        let caller = Caller::new("k", Scope::plugins_of("acme"), Reach::All);
        assert!(caller.may_write_plugins("acme").is_ok());
        let refused = caller.may_write_plugins("other").expect_err("other team");
        assert_eq!((refused.status, &*refused.code), (403, "scope_missing"));
        assert!(refused.detail.contains("plugins:write:other"), "{refused}");
        assert!(Caller::anonymous().may_write_plugins("other").is_ok());
        assert!(Caller::anonymous().may_write_plugins("../x").is_err());
    }

    #[test]
    fn named_datasets_bring_the_indexes_on_them_unless_indexes_are_named_too() {
        let on = |name| Some(dataset(name));
        let caller = only(&["a"], &[]);
        assert!(caller.reaches_dataset("a") && !caller.reaches_dataset("b"));
        assert!(caller.reaches_index("x", on("a").as_ref()));
        assert!(!caller.reaches_index("x", on("b").as_ref()));
        assert!(!caller.reaches_index("x", None), "its dataset is unknown");
        let caller = only(&["a"], &["x"]);
        assert!(caller.reaches_index("x", None));
        assert!(!caller.reaches_index("y", on("a").as_ref()));
        let caller = only(&[], &["x"]);
        assert!(caller.reaches_index("x", on("b").as_ref()) && !caller.reaches_dataset("b"));
        assert!(Caller::anonymous().reaches_index("x", None));
    }
}
