//! Lance tables of vectors, behind a firewall.
//!
//! Lance brings versions of its own of everything below it: Arrow, DataFusion, object_store. This crate is the only one
//! that names any of them, and its interface has none of their types: vectors are `Vec<f32>`, names are `String`s, errors
//! are its own. So Lance and the host can move to other versions each by itself. `tests` proves it by reading every public
//! line of these files.
//!
//! | file | holds |
//! |---|---|
//! | `host.rs` | [`Lance`]: threads, caches, places; tables are made and opened here |
//! | `table.rs` | [`Table`]: what changes a table, one change at a time |
//! | `snapshot.rs`, `lookup.rs` | [`Snapshot`]: one version of it, which is all that is ever read |
//! | `index.rs`, `versions.rs`, `migrate.rs` | changes of a kind each |
//! | `objects.rs`, `bridge.rs`, `place.rs` | buckets of the host as Lance's stores |
//! | `rows.rs`, `columns.rs`, `error.rs`, `workers.rs` | rows, rows in Arrow, errors, threads |
//!
//! What it deliberately does not do: it opens no URL from outside, reads no environment (Lance reads a few variables of
//! its own, `LANCE_*`, for thread counts and timeouts), keeps no credentials, and never deletes a table; who owns the
//! bucket does.

mod bridge;
mod columns;
mod error;
mod host;
mod index;
mod lookup;
mod migrate;
mod objects;
mod place;
mod rows;
mod snapshot;
mod table;
mod versions;
mod workers;

pub use crate::{
    error::{Cause, Error},
    host::{Lance, Limits},
    index::{Built, Fold, Kind},
    migrate::{Migration, SourceError},
    objects::{Answer, Listing, ObjectBytes, ObjectError, ObjectInfo, Objects, Part, Put, Upload},
    place::{Location, Place},
    rows::{Among, Document, Effort, Found, Hit, Metric, Query, Rows, Shape, Span},
    snapshot::{At, IndexStats, Snapshot, Stats},
    table::Table,
    versions::{Removed, Retention, Version},
};

#[cfg(test)]
mod tests;
