//! Names of sources by the conventions of OpenLineage (its page "Naming"): a namespace that tells the authority,
//! and a name within it.
//!
//! | source | namespace | name |
//! |---|---|---|
//! | Postgres | `postgres://{host}:{port}` | `{database}.{schema}.{table}` |
//! | MySQL, MariaDB | `mysql://{host}:{port}` | `{database}.{table}` |
//! | file, watched folder | `file` | its path, or what an upload is called |
//!
//! Who reads a database knows its names and says them in the [`SourceInfo`]; a query has none, it goes by its
//! label. Whatever comes from outside is shown without credentials.

use crate::{SourceInfo, redact_dsn};

/// A source as an event names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uri: String,
}

/// The names of a source, without credentials.
pub(super) fn of(source: &SourceInfo) -> Named {
    let is_file = matches!(source.system.as_str(), "file" | "watcher");
    let system = if is_file { "file" } else { &source.system };
    let namespace = redact_dsn(source.namespace.as_deref().unwrap_or(system));
    let name = redact_dsn(source.name.as_deref().unwrap_or(&source.label));
    let uri = match namespace.contains("://") {
        true => format!("{namespace}/{name}"),
        false => format!("{namespace}:{name}"),
    };
    Named {
        namespace,
        name,
        uri,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &SourceInfo, namespace: &str, name: &str, uri: &str) {
        let expected = Named {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uri: uri.to_owned(),
        };
        assert_eq!(of(source), expected);
    }

    #[test]
    fn a_source_is_named_by_its_authority_or_else_by_its_system() {
        let upload = SourceInfo::new("file", "people.csv");
        check(&upload, "file", "people.csv", "file:people.csv");
        let watched = SourceInfo::new("watcher", "/srv/in/a.csv");
        check(&watched, "file", "/srv/in/a.csv", "file:/srv/in/a.csv");
        let table = SourceInfo {
            namespace: Some("postgres://db:5432".to_owned()),
            name: Some("shop.public.orders".to_owned()),
            ..SourceInfo::new("postgres", "orders")
        };
        let uri = "postgres://db:5432/shop.public.orders";
        check(&table, "postgres://db:5432", "shop.public.orders", uri);
    }

    #[test]
    fn credentials_are_not_shown() {
        let source = SourceInfo {
            namespace: Some("mysql://me:hunter2@db:3306".to_owned()),
            ..SourceInfo::new("mysql", "from mysql://me:hunter2@db/shop")
        };
        let shown = format!("{:?}", of(&source));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
