//! What there is of Lance in a host that was built without it: clear words, and indexes that let go of their tables.

use std::{ops::Range, path::Path, sync::Arc};

use axum::http::StatusCode;
use boathouse_tuning::TableBuilds;
use boathouse_types::{TableConfig, VectorBackend};
use boathouse_vector::table::VectorTable;

use super::{
    DocumentView, IndexWish, LanceAppend, LanceAppended, LanceConfig, LanceMeta, LanceSearch,
    LanceStats, MigrateWish, OptimizeWish,
};
use crate::{
    app::App,
    indexes::{IndexMeta, Indexes, LiveIndex, SearchAnswer},
    problem::Problem,
    tasks::{TaskContext, TaskView},
};

fn not_built() -> Problem {
    Problem::new(
        StatusCode::NOT_IMPLEMENTED,
        "lance_not_built",
        "this host was built without Lance (feature `lance` of `boathouse-server`); its graph serves every index",
    )
}

/// No tables.
#[derive(Default)]
pub(crate) struct Room;

impl Room {
    pub(crate) fn new(_config: LanceConfig) -> Self {
        Self
    }

    #[expect(clippy::unused_async, reason = "with Lance it makes the table")]
    pub(crate) async fn remake(
        &self,
        _index: &LiveIndex,
        _vectors: &VectorTable,
        _task: &TaskContext,
    ) -> Result<Option<LanceMeta>, Problem> {
        Ok(None)
    }

    #[expect(clippy::unused_async, reason = "with Lance it changes the table")]
    pub(crate) async fn without(
        &self,
        _index: &LiveIndex,
        table: LanceMeta,
        _gone: &[String],
    ) -> Result<LanceMeta, Problem> {
        Ok(table)
    }

    #[expect(clippy::unused_async, reason = "with Lance it waits for the table")]
    pub(crate) async fn follow(
        &self,
        indexes: &Indexes,
        index: &LiveIndex,
        _change: Change,
    ) -> Result<Followed, Problem> {
        let newest = indexes.get(index.meta.name.as_str());
        let named = newest.map_or_else(|_| index.meta.lance.clone(), |one| one.meta.lance.clone());
        Ok(Followed(named))
    }
}

/// What changes of the rows of an index: of no interest.
#[derive(Default)]
pub(crate) struct Change {
    pub(crate) gone: Vec<String>,
    pub(crate) added: (),
}

/// The table that is let go.
pub(crate) struct Followed(Option<LanceMeta>);

impl Followed {
    pub(crate) fn onto(&self, now: IndexMeta) -> Option<IndexMeta> {
        if now.lance != self.0 {
            return None;
        }
        Some(IndexMeta {
            lance: None,
            vector_backend: VectorBackend::Parquet,
            ..now
        })
    }
}

pub(crate) fn rows_of(_: &VectorTable, _: Range<usize>, _: impl Fn(usize) -> bool) {}

#[expect(clippy::unused_async, reason = "with Lance it looks at the index")]
pub(crate) async fn start_migration(
    _: &Arc<App>,
    _: &str,
    _: MigrateWish,
) -> Result<TaskView, Problem> {
    Err(not_built())
}

#[expect(clippy::unused_async, reason = "with Lance it migrates")]
pub(crate) async fn adopt(_: &Arc<App>, _: &str, _: &TaskContext) -> Result<(), Problem> {
    Err(not_built())
}

#[expect(clippy::unused_async, reason = "with Lance it looks at the table")]
pub(crate) async fn start_index(_: &Arc<App>, _: &str, _: IndexWish) -> Result<TaskView, Problem> {
    Err(not_built())
}

#[expect(clippy::unused_async, reason = "with Lance it looks at the table")]
pub(crate) async fn start_optimize(
    _: &Arc<App>,
    _: &str,
    _: OptimizeWish,
) -> Result<TaskView, Problem> {
    Err(not_built())
}

#[expect(clippy::unused_async, reason = "with Lance it appends")]
pub(crate) async fn append(
    _: &Arc<App>,
    _: &str,
    _: LanceAppend,
    _: bool,
) -> Result<LanceAppended, Problem> {
    Err(not_built())
}

#[expect(clippy::unused_async, reason = "with Lance it reads")]
pub(crate) async fn stats(_: &App, _: &LiveIndex) -> Result<LanceStats, Problem> {
    Err(not_built())
}

#[expect(clippy::unused_async, reason = "with Lance it opens the table")]
pub(crate) async fn check_ready(_: &App, _: &LiveIndex) -> Result<(), Problem> {
    Err(not_built())
}

#[expect(clippy::unused_async, reason = "with Lance it searches")]
pub(crate) async fn search_table(
    _: &App,
    _: &Arc<LiveIndex>,
    _: LanceSearch,
) -> Result<SearchAnswer, Problem> {
    Err(not_built())
}

#[expect(clippy::unused_async, reason = "with Lance it reads")]
pub(crate) async fn document_of_table(
    _: &App,
    _: &Arc<LiveIndex>,
    _: &str,
    _: (Option<Vec<String>>, bool),
) -> Result<DocumentView, Problem> {
    Err(not_built())
}

pub(crate) fn when_due(_: &Arc<App>, _: &Arc<LiveIndex>) {}

pub(crate) fn tables(_: &LanceConfig, _: &Path) -> Option<Arc<dyn TableBuilds>> {
    None
}

pub(crate) fn config_of_table(_: &LiveIndex) -> Result<TableConfig, Problem> {
    Err(not_built())
}
