//! A Lance table follows its index: what is appended, deleted or replaced there is so here, with one commit of the manifest.
//!
//! The rows go into the table first, which makes versions of it that no manifest names. Then the manifest names the last
//! of them together with the new rows. Whatever ends this in between leaves versions that nobody reads, and the next change
//! begins with the named one again ([`super::room::Seat::stand`]). Another host that changes the table at the same time is
//! found out by the numbers of versions: they would not follow one another.
//!
//! A table that cannot be followed because it is gone, foreign or damaged is let go: what is appended must not depend on a
//! second form of it. A bucket that fails makes the change fail, as it fails everything.

use std::ops::Range;

use boathouse_lance_host::{Error, Rows};
use boathouse_types::VectorBackend;
use boathouse_vector::table::VectorTable;
use tokio::sync::OwnedMutexGuard;

use super::{
    LanceMeta,
    room::{Room, Seat},
};
use crate::{
    indexes::{IndexMeta, Indexes, LiveIndex},
    problem::{Problem, chain},
};

/// Documents that are removed at once.
const AT_ONCE: usize = 10_000;

/// What changes of the rows of an index.
#[derive(Default)]
pub(crate) struct Change {
    /// Documents all of whose rows go, before others come.
    pub(crate) gone: Vec<String>,
    /// Rows that come.
    pub(crate) added: Rows,
}

/// What a manifest is to say of the table once a change of rows is committed. The table is held until this is dropped.
pub(crate) struct Followed {
    basis: Option<LanceMeta>,
    next: Option<LanceMeta>,
    _held: Option<OwnedMutexGuard<()>>,
}

impl Followed {
    /// Of an index without a table.
    fn nothing() -> Self {
        Self {
            basis: None,
            next: None,
            _held: None,
        }
    }

    /// A manifest with what it is to say of the table; none when it says something else of it by now.
    pub(crate) fn onto(&self, now: IndexMeta) -> Option<IndexMeta> {
        if now.lance != self.basis {
            return None;
        }
        let vector_backend = match &self.next {
            Some(_) => now.vector_backend,
            None => VectorBackend::Parquet,
        };
        Some(IndexMeta {
            lance: self.next.clone(),
            vector_backend,
            ..now
        })
    }
}

/// Some rows of vectors as a table takes them: those that `keep` accepts by number.
pub(crate) fn rows_of(
    vectors: &VectorTable,
    range: Range<usize>,
    keep: impl Fn(usize) -> bool,
) -> Rows {
    let mut rows = Rows::default();
    let spans = vectors.spans();
    for at in range.filter(|at| keep(*at)) {
        let span = spans.get(at).map(|span| (span.start, span.end));
        let (id, row) = (vectors.doc_ids().get(at), vectors.rows()[at]);
        rows.push(id, row, span, vectors.vector(at));
    }
    rows
}

impl Room {
    /// Brings a change into the table of an index, if it has one.
    ///
    /// # Errors
    /// 409 when somebody else changes the index or its table; the bucket's failure. What was brought in then is undone by
    /// the next change.
    pub(crate) async fn follow(
        &self,
        indexes: &Indexes,
        index: &LiveIndex,
        change: Change,
    ) -> Result<Followed, Problem> {
        let Some(named) = now(indexes, index) else {
            return Ok(Followed::nothing());
        };
        let seat = match self.seat(index.bucket(), &named.path, None).await {
            Ok(seat) => seat,
            Err(error) => return let_go(index, named, error),
        };
        let held = seat.hold().await;
        // Who held it before may have committed another version.
        let Some(named) = now(indexes, index).filter(|now| now.path == named.path) else {
            return Err(changed(index));
        };
        match written(&seat, &named, change).await {
            Ok(Some(version)) => Ok(Followed {
                next: Some(LanceMeta {
                    version,
                    ..named.clone()
                }),
                basis: Some(named),
                _held: Some(held),
            }),
            Ok(None) => Err(changed(index)),
            Err(error) => let_go(index, named, error),
        }
    }
}

/// The table of an index as the one in service has it. Whether there still is one is for the commit to say.
fn now(indexes: &Indexes, index: &LiveIndex) -> Option<LanceMeta> {
    match indexes.get(index.meta.name.as_str()) {
        Ok(newest) => newest.meta.lance.clone(),
        Err(_) => index.meta.lance.clone(),
    }
}

/// Writes a change; none when somebody else wrote too.
async fn written(seat: &Seat, named: &LanceMeta, change: Change) -> Result<Option<u64>, Error> {
    let mut at = seat.stand(named.version).await?;
    for gone in change.gone.chunks(AT_ONCE) {
        seat.table.delete(gone).await?;
        let now = seat.table.now().version();
        // Where nothing was to go there need not be another version.
        if now != at && now != at + 1 {
            return Ok(None);
        }
        at = now;
    }
    if !change.added.is_empty() {
        let now = seat.table.append(change.added).await?;
        if now != at + 1 {
            return Ok(None);
        }
        at = now;
    }
    Ok(Some(at))
}

/// Whether a table that fails like this will never work again.
pub(super) fn is_lost(error: &Error) -> bool {
    matches!(
        error,
        Error::NoTable | Error::NoVersion | Error::ForeignTable { .. } | Error::Damaged(_)
    )
}

/// Goes on without a table that is lost.
fn let_go(index: &LiveIndex, named: LanceMeta, error: Error) -> Result<Followed, Problem> {
    if !is_lost(&error) {
        return Err(error.into());
    }
    let (index, path) = (&index.meta.name, &named.path);
    tracing::warn!(%index, path, cause = %chain(&error), "the Lance table of an index cannot be used any more; the index serves from its graph, and a migration makes the table anew");
    Ok(Followed {
        basis: Some(named),
        next: None,
        _held: None,
    })
}

pub(super) fn changed(index: &LiveIndex) -> Problem {
    Problem::conflict(
        "changed_meanwhile",
        format!(
            "the Lance table of index `{}` was changed by somebody else just now; try again",
            index.meta.name
        ),
    )
}
