//! Names of sources by the conventions of OpenLineage (its page "Naming"): a namespace that tells the authority,
//! and a name within it. Both together are the URI of the data source, with what a URI cannot hold percent-encoded
//! (RFC 3986, section 3.3).
//!
//! | source | namespace | name |
//! |---|---|---|
//! | Postgres | `postgres://{host}:{port}` | `{database}.{schema}.{table}` |
//! | MySQL, MariaDB | `mysql://{host}:{port}` | `{database}.{table}` |
//! | a query of either | as above | `{database}.query.{digest}` |
//! | file, watched folder | `file` | its path, or what an upload is called |
//! | file in a bucket | `boathouse://{bucket}` | its path there |
//! | dataset | `boathouse://{bucket}` | `{dataset}` |
//!
//! Who reads a database knows its names and says them in the [`SourceInfo`]. Whatever comes from outside is shown
//! without credentials.

use crate::{SourceInfo, redact_dsn};

/// How a file is labelled that lies in a bucket, and one that lies on the host's machine.
const IN_BUCKET: &str = "bucket:";
const ON_HOST: &str = "file:";

/// A source as an event names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uri: String,
}

impl Named {
    fn new(namespace: String, name: String) -> Self {
        Self {
            uri: uri(&namespace, &name),
            namespace,
            name,
        }
    }
}

/// The names of a source, without credentials.
pub(super) fn of(source: &SourceInfo) -> Named {
    let is_file = matches!(source.system.as_str(), "file" | "watcher");
    if is_file && source.namespace.is_none() {
        let (namespace, name) = of_file(&source.label);
        return Named::new(redact_dsn(&namespace), redact_dsn(name));
    }
    let namespace = source.namespace.as_deref().unwrap_or(&source.system);
    let name = source.name.as_deref().unwrap_or(&source.label);
    Named::new(redact_dsn(namespace), redact_dsn(name))
}

/// The names of a dataset in its bucket.
pub(super) fn of_dataset(bucket: &str, dataset: &str) -> Named {
    Named::new(in_bucket(bucket), dataset.to_owned())
}

fn of_file(label: &str) -> (String, &str) {
    let place = label.strip_prefix(IN_BUCKET);
    if let Some((bucket, path)) = place.and_then(|place| place.split_once('/')) {
        return (in_bucket(bucket), path);
    }
    let path = label.strip_prefix(ON_HOST);
    let path = path.filter(|path| path.starts_with('/')).unwrap_or(label);
    ("file".to_owned(), path)
}

fn in_bucket(bucket: &str) -> String {
    format!("boathouse://{bucket}")
}

fn uri(namespace: &str, name: &str) -> String {
    let path = percent_encoded(name);
    match (namespace.contains("://"), path.starts_with('/')) {
        (true, _) => format!("{namespace}/{path}"),
        (false, true) => format!("{namespace}://{path}"),
        (false, false) => format!("{namespace}:{path}"),
    }
}

/// A text as the path of a URI.
fn percent_encoded(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => path.push(char::from(byte)),
            _ if b"-._~/:@!$&'()*+,;=".contains(&byte) => path.push(char::from(byte)),
            _ => path += &format!("%{byte:02X}"),
        }
    }
    path
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
        let watched = SourceInfo::new("watcher", "/srv/in/a b.csv");
        let uri = "file:///srv/in/a%20b.csv";
        check(&watched, "file", "/srv/in/a b.csv", uri);
        let there = SourceInfo::new("file", "file:/srv/in/a.csv");
        check(&there, "file", "/srv/in/a.csv", "file:///srv/in/a.csv");
        let object = SourceInfo::new("file", "bucket:far/in/*.csv");
        let uri = "boathouse://far/in/*.csv";
        check(&object, "boathouse://far", "in/*.csv", uri);
        let table = SourceInfo {
            namespace: Some("postgres://db:5432".to_owned()),
            name: Some("shop.public.orders".to_owned()),
            ..SourceInfo::new("postgres", "orders")
        };
        let uri = "postgres://db:5432/shop.public.orders";
        check(&table, "postgres://db:5432", "shop.public.orders", uri);
    }

    #[test]
    fn every_uri_is_one_and_holds_its_authority_once() {
        let table = SourceInfo {
            namespace: Some("mysql://db:3306".to_owned()),
            name: Some("shop.Über größe?#1".to_owned()),
            ..SourceInfo::new("mysql", "db:3306/shop: Über größe?#1")
        };
        let shown = of(&table).uri;
        let expected = "mysql://db:3306/shop.%C3%9Cber%20gr%C3%B6%C3%9Fe%3F%231";
        assert_eq!(shown, expected);
        assert_eq!(
            of_dataset("primary", "people").uri,
            "boathouse://primary/people"
        );
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
