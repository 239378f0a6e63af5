//! Indexes in Lance tables: a second form of the vectors of an index, which may serve in the place of its graph.
//!
//! The vectors in Parquet are what an index is; a Lance table is made of them (`migrate.rs`) and follows them row by row
//! from then on (`follow.rs`). It lies in a folder of the index in its bucket and is reached by way of the bucket's own
//! store (`objects.rs`), so credentials, copies and durable writes are those of everything else.
//!
//! ```text
//! indexes/{name}/manifest/...        names the folder of the table and a version of it
//! indexes/{name}/lance/{id}/...      the table; what it holds inside is Lance's affair
//! ```
//!
//! Invariants:
//! - What the manifest names is a version of the table that holds exactly the rows that the index searches. Every search
//!   is of that version. A table that has gone on without a manifest (a crash, a commit that failed) is put back to it
//!   before the next change.
//! - One commit of the manifest names rows and table together, so neither is ever ahead of the other.
//! - Indexes of a table are built while it changes (`work.rs`); the table changes for one at a time.
//! - A table that is lost or damaged is let go: the index serves from its graph, and says so.
//!
//! The crate behind it can be left out of a build (feature `lance`). Then the routes say so, and an index that had a table
//! lets go of it with the next change of its rows.

mod config;
mod wire;

#[cfg(feature = "lance")]
mod documents;
#[cfg(feature = "lance")]
mod follow;
#[cfg(feature = "lance")]
mod migrate;
#[cfg(feature = "lance")]
mod objects;
#[cfg(feature = "lance")]
mod optimize;
#[cfg(feature = "lance")]
mod room;
#[cfg(feature = "lance")]
mod scratch;
#[cfg(test)]
#[cfg(feature = "lance")]
mod tests;
#[cfg(feature = "lance")]
mod trials;
#[cfg(feature = "lance")]
mod work;

#[cfg(not(feature = "lance"))]
mod absent;

pub use config::LanceConfig;
pub use wire::{
    DocumentView, FoldKind, IndexWish, LanceAppend, LanceAppended, LanceDocument, LanceIndex,
    LanceIndexKind, LanceIndexStats, LanceMeta, LanceSearch, LanceStats, MigrateWish, OnDuplicate,
    OptimizeWish, PieceView,
};

#[cfg(feature = "lance")]
pub(crate) use {
    documents::append,
    follow::{Change, rows_of},
    migrate::{adopt, start_migration},
    optimize::{start_optimize, when_due},
    room::Room,
    scratch::tables,
    trials::config_of_table,
    work::{check_ready, start_index, stats},
};

#[cfg(feature = "lance")]
pub(crate) use crate::indexes::{document_of_table, search_table};

#[cfg(not(feature = "lance"))]
pub(crate) use absent::{
    Change, Room, adopt, append, check_ready, config_of_table, document_of_table, rows_of,
    search_table, start_index, start_migration, start_optimize, stats, tables, when_due,
};

use crate::{indexes::LiveIndex, problem::Problem};

/// The table of an index.
///
/// # Errors
/// 409 `no_lance_table`.
pub(crate) fn table_of(index: &LiveIndex) -> Result<&LanceMeta, Problem> {
    let name = &index.meta.name;
    index.meta.lance.as_ref().ok_or_else(|| {
        Problem::conflict(
            "no_lance_table",
            format!(
                "index `{name}` has no Lance table; `POST /vectors/lance/migrate/{name}` (`boathouse lance migrate {name}`) makes one"
            ),
        )
    })
}
