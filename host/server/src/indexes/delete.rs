//! Deleting documents of an index.
//!
//! The ids go into an object of tombstones (`tombstones.rs`), and one commit of the manifest names it: then the
//! documents are hidden at once, and whatever ends this earlier has changed nothing. Their vectors go with the next merge.
//! Doing it again does no more, as a document that is not there cannot be deleted.
//!
//! Deleted is what the index shows at that moment: rows of the dataset that it does not cover yet are not among it. The
//! dataset keeps its rows; whoever appends a row with the id of a deleted document brings that back.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use boathouse_types::IndexName;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    Deletion, IndexMeta, Indexes, LiveIndex, create::forget, filter, objects::fresh_tombstones,
};
use crate::{app::App, lance::Change, problem::Problem};

/// Most documents of one request.
const MAX_IDS: usize = 10_000;
/// Most documents that a filter may delete at once.
const MAX_MATCHING: usize = 1_000_000;
/// How often the index may have become another while the documents are looked up.
const ROUNDS: usize = 16;
/// Objects of tombstones; a deletion beyond puts them together.
const MAX_OBJECTS: usize = 8;

/// Which documents are to go: those with these ids, or those whose rows match.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteDocuments {
    /// Their ids; a number counts as its text.
    #[serde(default, deserialize_with = "texts")]
    #[schema(value_type = Option<Vec<DocumentId>>)]
    pub ids: Option<Vec<String>>,
    /// A condition in SQL over the columns of the dataset; instead of `ids`.
    pub filter: Option<String>,
}

/// How the id of a document may be written.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(untagged, expecting = "an id is a text or a number")]
enum DocumentId {
    Text(String),
    #[schema(value_type = f64)]
    Number(serde_json::Number),
}

/// What was deleted.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DeletedDocuments {
    /// How many documents.
    pub deleted: u64,
    /// The ids of which there is no document, each once; also those that were deleted before.
    pub unknown: Vec<String>,
    /// How many documents are left.
    pub documents: u64,
}

/// Which documents of an index are to go, and which wishes are about none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) ids: Vec<String>,
    pub(super) unknown: Vec<String>,
}

/// Deletes documents; they are hidden when this returns.
///
/// # Errors
/// 404, 422 for a request that says nothing or too much, 409 while the index is being moved, or the bucket fails; then
/// it may be done again.
pub(crate) async fn delete(
    app: &Arc<App>,
    name: &str,
    request: DeleteDocuments,
) -> Result<DeletedDocuments, Problem> {
    let name = app.indexes.get(name)?.meta.name.clone();
    check(&request)?;
    for _ in 0..ROUNDS {
        let index = app.indexes.in_step(&name).await?;
        let chosen = choose(app, &index, &request).await?;
        let left = match chosen.ids.is_empty() {
            true => index,
            false => match land(&app.indexes, &index, &chosen.ids).await {
                Ok(left) => left,
                Err(problem) if problem.code == "changed_meanwhile" => continue,
                Err(problem) => return Err(problem),
            },
        };
        super::append::merge::when_due(app, &left);
        return Ok(DeletedDocuments {
            deleted: chosen.ids.len() as u64,
            unknown: chosen.unknown,
            documents: left.documents() as u64,
        });
    }
    Err(changing(&name))
}

/// Ids as texts, also those that are written as numbers.
fn texts<'de, D: Deserializer<'de>>(given: D) -> Result<Option<Vec<String>>, D::Error> {
    let ids = Option::<Vec<DocumentId>>::deserialize(given)?;
    let text = |id| match id {
        DocumentId::Text(text) => text,
        DocumentId::Number(number) => number.to_string(),
    };
    Ok(ids.map(|ids| ids.into_iter().map(text).collect()))
}

fn changing(name: &IndexName) -> Problem {
    Problem::conflict(
        "changed_meanwhile",
        format!("index `{name}` changes faster than documents can be looked up; try again"),
    )
}

fn check(request: &DeleteDocuments) -> Result<(), Problem> {
    match (&request.ids, &request.filter) {
        (Some(ids), None) if ids.len() > MAX_IDS => Err(Problem::field(
            "ids",
            "too_many_ids",
            format!(
                "are {} and may be {MAX_IDS}; send them in several requests",
                ids.len()
            ),
        )),
        (Some(ids), None) if ids.is_empty() => Err(Problem::field(
            "ids",
            "no_ids",
            "is empty; name at least one document",
        )),
        (Some(_), None) | (None, Some(_)) => Ok(()),
        _ => Err(Problem::unprocessable(
            "ids_or_filter",
            "give either `ids` or `filter`",
        )),
    }
}

async fn choose(
    app: &App,
    index: &Arc<LiveIndex>,
    request: &DeleteDocuments,
) -> Result<Chosen, Problem> {
    let index = Arc::clone(index);
    let chosen = if let Some(text) = &request.filter {
        let selection = filter::select(app, &index, text).await?;
        tokio::task::spawn_blocking(move || {
            let kept = selection.kept(&index);
            let ids = index.shown_if(|part, row| kept.has(part, row));
            Chosen {
                ids: ids.map(str::to_owned).collect(),
                unknown: Vec::new(),
            }
        })
    } else {
        let wanted: BTreeSet<String> = request.ids.iter().flatten().cloned().collect();
        tokio::task::spawn_blocking(move || index.choose(&wanted))
    };
    let chosen = chosen.await.map_err(|error| Problem::internal(&error))?;
    match chosen.ids.len() {
        many if many > MAX_MATCHING => Err(Problem::field(
            "filter",
            "too_many_documents",
            format!("matches {many} documents and may match {MAX_MATCHING}; delete them in parts"),
        )),
        _ => Ok(chosen),
    }
}

/// Stores and commits tombstones; they hide when this returns.
pub(super) async fn land(
    indexes: &Indexes,
    index: &LiveIndex,
    ids: &[String],
) -> Result<Arc<LiveIndex>, Problem> {
    let meta = &index.meta;
    let buried = bury(index, ids.to_vec(), meta.covered_rows()).await?;
    let change = Change {
        gone: ids.to_vec(),
        ..Change::default()
    };
    let committed = match indexes.lance.follow(indexes, index, change).await {
        Err(problem) => Err(problem),
        Ok(followed) => {
            let commit = indexes.commit(index, |now| {
                // What the index covers says which rows are hidden.
                let same = now.covered_version() == meta.covered_version()
                    && now.covered_rows() == meta.covered_rows()
                    && now.deletions == meta.deletions;
                let deletions = buried.among(&now.deletions)?;
                let next = same.then(|| IndexMeta {
                    deletions,
                    ..now.clone()
                });
                followed.onto(next?)
            });
            commit.await
        }
    };
    if committed.is_err() {
        forget(index.bucket(), &meta.name, buried.path()).await;
    }
    committed
}

/// Tombstones that are stored and that no manifest names yet.
pub(super) struct Buried {
    ids: Arc<[String]>,
    deletion: Deletion,
    /// Those that these are together with.
    instead_of: Option<Vec<Deletion>>,
}

/// Stores tombstones of documents: rows below a number are hidden. When there are many objects already, the new one
/// holds what all of them do.
pub(super) async fn bury(
    index: &LiveIndex,
    ids: Vec<String>,
    below: u64,
) -> Result<Buried, Problem> {
    let (meta, known) = (&index.meta, Arc::clone(&index.tombstones));
    let together = meta.deletions.len() >= MAX_OBJECTS;
    let before = if together { known.len() } else { 0 };
    let count = ids.len() + before;
    let ids: Arc<[String]> = ids.into();
    let hidden = Arc::clone(&ids);
    let document = move || known.document(&hidden, below, together);
    Ok(Buried {
        ids,
        deletion: store(index, count, document).await?,
        instead_of: together.then(|| meta.deletions.clone()),
    })
}

/// Stores all tombstones of an index anew, as one object, from memory, and commits that: for when objects of them are
/// gone or damaged.
///
/// # Errors
/// 409 when the index is not what it was, or the bucket fails.
pub(super) async fn store_again(
    indexes: &Indexes,
    index: &LiveIndex,
) -> Result<Arc<LiveIndex>, Problem> {
    let (meta, known) = (&index.meta, Arc::clone(&index.tombstones));
    let count = known.len();
    let buried = Buried {
        // None that were not hidden before.
        ids: Arc::default(),
        deletion: store(index, count, move || known.document(&[], 0, true)).await?,
        instead_of: Some(meta.deletions.clone()),
    };
    let committed = indexes.commit(index, |now| {
        let deletions = buried.among(&now.deletions)?;
        Some(IndexMeta {
            deletions,
            ..now.clone()
        })
    });
    let committed = committed.await;
    if committed.is_err() {
        forget(index.bucket(), &meta.name, buried.path()).await;
    }
    committed
}

/// Stores a document of tombstones, which has so many ids.
async fn store(
    index: &LiveIndex,
    ids: usize,
    document: impl FnOnce() -> Result<Bytes, Problem> + Send + 'static,
) -> Result<Deletion, Problem> {
    let encoded = tokio::task::spawn_blocking(move || {
        let bytes = document()?;
        Ok::<_, Problem>((format!("{:x}", Sha256::digest(&bytes)), bytes))
    });
    let (digest, bytes) = encoded.await.map_err(|error| Problem::internal(&error))??;
    let deletion = Deletion {
        path: fresh_tombstones(&index.meta.name),
        digest: digest.chars().take(16).collect(),
        ids: ids as u64,
        bytes: Some(bytes.len() as u64),
    };
    index.bucket().put(&deletion.path, bytes).await?;
    Ok(deletion)
}

impl Buried {
    pub(super) fn path(&self) -> &str {
        &self.deletion.path
    }

    /// The documents that they hide and that were not hidden before.
    pub(super) fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The deletions of a manifest that has these and gets the buried ones; none when others are among them than those
    /// which the buried ones stand for.
    pub(super) fn among(&self, now: &[Deletion]) -> Option<Vec<Deletion>> {
        match &self.instead_of {
            Some(known) if known != now => None,
            Some(_) => Some(vec![self.deletion.clone()]),
            None => Some([now, std::slice::from_ref(&self.deletion)].concat()),
        }
    }
}

impl LiveIndex {
    /// Which of these ids have a document.
    pub(super) fn choose(&self, wanted: &BTreeSet<String>) -> Chosen {
        let shown = self.shown_if(|_, _| true);
        let shown: HashSet<&str> = shown.filter(|id| wanted.contains(*id)).collect();
        let (ids, unknown) = wanted
            .iter()
            .cloned()
            .partition(|id| shown.contains(id.as_str()));
        Chosen { ids, unknown }
    }

    /// Ids of the documents that are searched and that `keep` accepts by part (none: the base) and row.
    fn shown_if(&self, keep: impl Fn(Option<usize>, usize) -> bool) -> impl Iterator<Item = &str> {
        let keep = Arc::new(keep);
        let in_base = Arc::clone(&keep);
        let base = self.doc_ids.iter().enumerate();
        // Of several vectors of a document the first stands for all.
        let shown = move |row| self.rows.begins(row) && !self.tail.hides(row);
        let base = base.filter(move |(row, _)| shown(*row) && in_base(None, *row));
        let parts = self
            .tail
            .parts()
            .iter()
            .enumerate()
            .flat_map(move |(at, part)| {
                let keep = Arc::clone(&keep);
                let rows = part.doc_ids.iter().enumerate();
                let shown = move |row| part.rows.begins(row) && !self.tail.hides_in(at, row);
                rows.filter(move |(row, _)| shown(*row) && keep(Some(at), *row))
            });
        base.chain(parts).map(|(_, id)| id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_may_be_written_as_a_number() {
        let read = |ids: serde_json::Value| {
            let request: Result<DeleteDocuments, _> = serde_json::from_value(json!({"ids": ids}));
            request.map(|request| request.ids.unwrap_or_default())
        };
        let given = json!([17, "17", -3, 1.5, u64::MAX, "a"]);
        let texts = ["17", "17", "-3", "1.5", "18446744073709551615", "a"];
        assert_eq!(read(given).unwrap(), texts);
        assert_eq!(read(json!(null)).unwrap(), [""; 0]);
        let refused = read(json!([true])).unwrap_err().to_string();
        assert!(refused.contains("a text or a number"), "{refused}");
        let neither: DeleteDocuments = serde_json::from_str(r#"{"filter": "TRUE"}"#).unwrap();
        assert!(neither.ids.is_none());
    }
}
