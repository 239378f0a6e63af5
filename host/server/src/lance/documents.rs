//! Documents with vectors of their own, appended to an index.
//!
//! They become part of the index as appended rows do: vectors in Parquet, rows in the table, one commit. Each stands for a
//! row of the dataset that the index covers, whose columns its hits show. The dataset is not changed by that: a rebuild
//! makes the vectors of its texts again, and of documents that it does not have there are none then.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use boathouse_models::{NoVector, Vectored};
use boathouse_vector::table::VectorTable;

use super::{
    FoldKind, LanceAppend, LanceAppended, LanceDocument, OnDuplicate, OptimizeWish, optimize,
    table_of,
};
use crate::{
    app::App,
    indexes::{LiveIndex, append, check_embedder, no_vector},
    problem::Problem,
};

/// Most documents of one request.
const MOST: usize = 10_000;
/// Ids that a refusal names.
const NAMED: usize = 5;

/// Appends documents; searches find them when this returns.
///
/// # Errors
/// 404; 409 without a table, for ids that are there unless they are to be replaced, and while the index is moved; 422 for
/// documents that there cannot be.
pub(crate) async fn append(
    app: &Arc<App>,
    name: &str,
    wish: LanceAppend,
    optimize: bool,
) -> Result<LanceAppended, Problem> {
    let index = app.indexes.get(name)?;
    check_kind(&index)?;
    check(&wish.documents)?;
    let _growing = index.growing().await;
    let index = app.indexes.in_step(&index.meta.name).await?;
    table_of(&index)?;
    let wish = Arc::new(wish);
    let (searched, wanted) = (Arc::clone(&index), Arc::clone(&wish));
    let placed = tokio::task::spawn_blocking(move || placed(&searched, &wanted));
    let (rows, replaced) = placed.await.map_err(|error| Problem::internal(&error))??;
    let made = embedded(app, &index, &wish.documents).await?;
    let searched = Arc::clone(&index);
    let table = tokio::task::spawn_blocking(move || table(&searched, &wish, &rows, made));
    let vectors = table.await.map_err(|error| Problem::internal(&error))??;
    let appended = vectors.len() as u64;
    let next = append::add(&app.indexes, &index, vectors).await?;
    let version = table_of(&next)?.version;
    let optimizing = optimize.then(|| {
        let fold = FoldKind::default();
        optimize::start(app, &next.meta.name, OptimizeWish { fold }).id
    });
    if optimizing.is_none() {
        append::merge::when_due(app, &next);
    }
    Ok(LanceAppended {
        appended,
        replaced: replaced as u64,
        version,
        documents: next.documents() as u64,
        optimizing,
    })
}

/// That the index is one of documents that can be replaced by their ids, each with one vector.
fn check_kind(index: &LiveIndex) -> Result<(), Problem> {
    let name = &index.meta.name;
    table_of(index)?;
    let why = if index.meta.id_column.is_none() {
        "has no id column: its documents are the rows of the dataset"
    } else if index.meta.chunk.is_some() {
        "cuts texts into pieces, of which each has a vector"
    } else {
        return Ok(());
    };
    Err(Problem::conflict(
        "appends_by_dataset",
        format!(
            "index `{name}` {why}; append rows to dataset `{}`, which become searchable by themselves",
            index.meta.dataset
        ),
    ))
}

fn check(documents: &[LanceDocument]) -> Result<(), Problem> {
    let wrong = |code: &str, why: String| Err(Problem::field("documents", code, why));
    if documents.is_empty() || documents.len() > MOST {
        let many = documents.len();
        return wrong(
            "too_many_documents",
            format!("are {many} and must be 1 to {MOST}; send more in several requests"),
        );
    }
    let mut seen = BTreeSet::new();
    for (at, document) in documents.iter().enumerate() {
        if document.id.is_empty() {
            return wrong("no_ids", format!("number {at} has an empty id"));
        }
        if !seen.insert(document.id.as_str()) {
            return wrong(
                "duplicate_id",
                format!("`{}` stands there twice", document.id.escape_debug()),
            );
        }
        if document.text.is_some() == document.vector.is_some() {
            return wrong(
                "text_or_vector",
                format!("number {at}: give either `text` or `vector`"),
            );
        }
    }
    Ok(())
}

/// The rows of documents, in order, and how many of these replace another one.
fn placed(index: &LiveIndex, wish: &LanceAppend) -> Result<(Vec<u64>, usize), Problem> {
    let ids: BTreeSet<String> = wish.documents.iter().map(|one| one.id.clone()).collect();
    let there = index.rows_by_id(&ids);
    if !there.is_empty() && wish.on_duplicate == OnDuplicate::Refuse {
        let some: Vec<String> = there
            .keys()
            .take(NAMED)
            .map(|id| format!("`{id}`"))
            .collect();
        return Err(Problem::conflict(
            "document_exists",
            format!(
                "{} of the documents are there already, {} among them; `\"on_duplicate\": \"replace\"` replaces them",
                there.len(),
                some.join(", ")
            ),
        ));
    }
    let row_of = |document: &LanceDocument| {
        let known = there.get(document.id.as_str()).copied();
        row(index, document, known)
    };
    let rows: Result<Vec<u64>, Problem> = wish.documents.iter().map(row_of).collect();
    Ok((rows?, there.len()))
}

/// The vectors of those documents that come with a text, in order, made by the embedder of the index.
async fn embedded(
    app: &App,
    index: &LiveIndex,
    documents: &[LanceDocument],
) -> Result<VecDeque<Vectored>, Problem> {
    let texts = documents
        .iter()
        .filter_map(|document| match document.vector {
            Some(_) => None,
            None => document.text.clone(),
        });
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() {
        return Ok(VecDeque::new());
    }
    let (embedders, name) = (&app.models.embedders, &index.meta.embedder);
    check_embedder(&*embedders.of(name).await?, &index.meta)?;
    let made = embedders.embed_each(name, texts).await?;
    // Vectors of two models that had the name in turn must not be mixed.
    embedders.confirm(name).await?;
    check_embedder(&*embedders.of(name).await?, &index.meta)?;
    Ok(made.into())
}

/// Documents with their rows and vectors; `made` are those of texts, in order.
fn table(
    index: &LiveIndex,
    wish: &LanceAppend,
    rows: &[u64],
    mut made: VecDeque<Vectored>,
) -> Result<VectorTable, Problem> {
    let mut vectors = VectorTable::new(index.meta.dimension);
    for (at, (document, row)) in wish.documents.iter().zip(rows).enumerate() {
        let about = |problem: Problem| Problem {
            detail: format!("number {at}: {}", problem.detail),
            ..problem
        };
        let vector = match &document.vector {
            Some(vector) => vector.clone(),
            None => {
                let made = made.pop_front().unwrap_or(Err(NoVector::Empty));
                made.map_err(|missing| about(no_vector(missing, "documents")))?
            }
        };
        // Another dimension, components that are no numbers, a vector without a direction.
        let checked = index.data.vectors.prepare_query(&vector);
        checked.map_err(|error| about(Problem::from(error)).about("documents"))?;
        vectors.push(&document.id, *row, &vector)?;
    }
    Ok(vectors)
}

/// The row of a document, which the index covers and behind which it was not deleted.
fn row(index: &LiveIndex, document: &LanceDocument, there: Option<u64>) -> Result<u64, Problem> {
    let (id, covered) = (document.id.escape_debug(), index.meta.covered_rows());
    let wrong = |code: &str, why: String| Err(Problem::field("documents", code, why));
    let Some(row) = document.row.or(there) else {
        return wrong(
            "row_missing",
            format!("`{id}` is a new document; give the `row` of the dataset that it stands for"),
        );
    };
    if row >= covered {
        return wrong(
            "row_out_of_range",
            format!("`{id}` has row {row}, and the index covers {covered} rows, from 0 on"),
        );
    }
    if index.hides(&document.id, row) {
        return wrong(
            "deleted_document",
            format!(
                "`{id}` was deleted; append a row with its id to the dataset, which brings it back"
            ),
        );
    }
    Ok(row)
}
