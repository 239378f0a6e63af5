//! Searching an index: a query in words or as a vector, hits with the columns of their rows.
//!
//! A search is answered by the index as it was when the search began: base, tail, what is deleted and version of the
//! dataset. With a filter it is about the rows that the filter lets through (`filter.rs`). Who asks for more hits than
//! there are documents gets them all: how many those are changes with every deletion. Where texts are cut into pieces a
//! hit is a document by its nearest piece (`documents.rs`).
//!
//! What needs the processor is done at a desk (`desks.rs`).

use std::sync::Arc;

use boathouse_ingest::IngestError;
use boathouse_models::{Embedder, NoVector, StaticEmbedder, Vectored};
use boathouse_types::{BucketName, DatasetName, IndexConfig, Metric, VectorBackend};
use boathouse_vector::{Scratch, Span};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    LiveIndex, Serving, check_embedder,
    filter::{self, FilterView},
    tail::{Kept, Match, Wanted},
};
use crate::{
    app::App,
    live::{Live, Seen},
    problem::Problem,
};

/// A search.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// What to look for, in words.
    pub text: Option<String>,
    /// What to look for, as a vector; instead of `text`.
    pub vector: Option<Vec<f32>>,
    /// How many hits, at most: 1 to `vectors.max_k`. There are fewer when the index has fewer documents.
    #[serde(default = "ten")]
    pub k: usize,
    /// Candidates kept while searching, instead of what the served configuration says.
    pub ef_search: Option<u32>,
    /// Columns of the dataset to return; all when left out, none when the list is empty.
    pub with: Option<Vec<String>>,
    /// A condition in SQL over the columns of the dataset; only rows for which it is true are searched.
    pub filter: Option<String>,
}

fn ten() -> usize {
    10
}

/// What a search found.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SearchAnswer {
    /// Nearest first.
    pub hits: Vec<Hit>,
    /// The columns of the hits in the order that was asked for, else in that of the dataset.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The configuration that answered.
    pub config: IndexConfig,
    /// The engine that answered.
    pub backend: VectorBackend,
    /// Version of the vectors that were searched.
    pub index_version: String,
    /// Distance computations that it took.
    pub distances: u64,
    /// What the filter did, when there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterView>,
    /// Microseconds for the filter, embedding and the index, without the columns.
    pub took_us: u64,
}

/// What was found, and how.
struct Found {
    matches: Vec<Match>,
    distances: u64,
    filter: Option<FilterView>,
}

/// One hit.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Hit {
    /// Document id.
    pub id: String,
    /// Greater is better: cosine similarity, inner product, or 1 / (1 + squared distance).
    pub score: f32,
    /// Smaller is nearer, as the index's metric has it.
    pub distance: f32,
    /// Row of the dataset.
    pub row: u64,
    /// The piece of its text that is nearest, in an index that cuts texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk: Option<Chunk>,
    /// Columns of that row.
    #[schema(value_type = Object)]
    pub columns: Map<String, Value>,
}

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Chunk {
    /// Its first character (Unicode scalar value), counted from 0.
    pub start: u32,
    /// The character behind its last one.
    pub end: u32,
}

impl From<Span> for Chunk {
    fn from(span: Span) -> Self {
        let Span { start, end } = span;
        Self { start, end }
    }
}

/// Answers a search.
///
/// # Errors
/// 422 for a request that cannot be answered; the bucket's failure when columns cannot be read.
pub async fn search(
    app: &App,
    index: &Arc<LiveIndex>,
    request: SearchRequest,
) -> Result<SearchAnswer, Problem> {
    check(app, &request)?;
    let started = std::time::Instant::now();
    let request = in_numbers(app, index, request).await?;
    let serving = index.serving();
    let columns = request.with.clone();
    let config = IndexConfig {
        ef_search: request.ef_search.unwrap_or(serving.served.config.ef_search),
        ..serving.served.config
    };
    let selection = match &request.filter {
        Some(text) => Some(filter::select(app, index, text).await?),
        None => None,
    };
    let found = {
        let (index, embedder) = (Arc::clone(index), app.models.embedders.built_in());
        let live = Arc::clone(&app.live);
        let mut desk = app.indexes.desks.sit_down().await?;
        let found = tokio::task::spawn_blocking(move || {
            let kept = selection.map(|selection| selection.kept(&index));
            let judged = (&*embedder, &*live);
            let kept = kept.as_deref();
            let scratch = &mut desk.scratch;
            find(
                (&index, kept),
                (&serving, scratch),
                judged,
                &request,
                config.ef_search,
            )
        });
        found.await.map_err(|error| Problem::internal(&error))??
    };
    let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let (hits, columns) = hits(app, index, &found.matches, columns).await?;
    Ok(SearchAnswer {
        hits,
        columns,
        config,
        backend: index.meta.vector_backend,
        index_version: version(index),
        distances: found.distances,
        filter: found.filter,
        took_us,
    })
}

fn check(app: &App, request: &SearchRequest) -> Result<(), Problem> {
    let (k, most) = (request.k, app.config.vectors.max_k);
    if k == 0 || k > most {
        return Err(Problem::field(
            "k",
            "k_out_of_range",
            format!("is {k} and must be 1 to {most}"),
        ));
    }
    if request.ef_search.is_some_and(|ef| ef == 0 || ef > 100_000) {
        return Err(Problem::field(
            "ef_search",
            "out_of_bounds",
            "must be 1 to 100000",
        ));
    }
    match (&request.text, &request.vector) {
        (Some(_), None) | (None, Some(_)) => Ok(()),
        _ => Err(Problem::unprocessable(
            "text_or_vector",
            "give either `text` or `vector`",
        )),
    }
}

fn find(
    (index, kept): (&Arc<LiveIndex>, Option<&Kept>),
    (serving, scratch): (&Serving, &mut Scratch),
    (embedder, live): (&StaticEmbedder, &Live),
    request: &SearchRequest,
    ef: u32,
) -> Result<Found, Problem> {
    let vector = match (&request.vector, &request.text) {
        (Some(vector), _) => vector.clone(),
        (None, text) => {
            check_embedder(embedder, &index.meta)?;
            embed_query(embedder, text.as_deref().unwrap_or_default())?
        }
    };
    let query = index.data.vectors.prepare_query(&vector);
    let query = query.map_err(|error| Problem::from(error).about("vector"))?;
    // Who looks for more than there are would look everywhere once more before he gives up.
    let k = request.k.min(index.documents().max(1));
    let wanted = Wanted {
        query: &query,
        k,
        ef: ef as usize,
    };
    let found = documents((index, kept), (serving, scratch), &wanted);
    let seen = Seen {
        index,
        serving,
        vector: &vector,
        k,
        ef,
        filtered: kept.is_some(),
    };
    live.observe(&seen, || {
        found.matches.iter().map(|one| one.distance).collect()
    });
    Ok(found)
}

/// The nearest documents, with all that it took to find them.
fn documents(
    (index, kept): (&LiveIndex, Option<&Kept>),
    (serving, scratch): (&Serving, &mut Scratch),
    wanted: &Wanted<'_>,
) -> Found {
    let (mut distances, mut filter) = (0, None);
    let all = kept.map_or_else(|| index.vectors(), Kept::len);
    // As above, of what the filter leaves.
    let k = kept.map_or(wanted.k, |kept| wanted.k.min(kept.documents().max(1)));
    let matches = index.by_document(k, all, |k| {
        let wanted = Wanted { k, ..*wanted };
        let found = vectors((index, kept), (serving, &mut *scratch), &wanted);
        distances += found.distances;
        filter = found.filter;
        found.matches
    });
    Found {
        matches,
        distances,
        filter,
    }
}

/// The nearest vectors.
fn vectors(
    (index, kept): (&LiveIndex, Option<&Kept>),
    (serving, scratch): (&Serving, &mut Scratch),
    wanted: &Wanted<'_>,
) -> Found {
    let (base, graph) = (&index.data.vectors, &serving.graph);
    let tail = &index.tail;
    let Some(kept) = kept else {
        let (matches, distances) = tail.nearest(base, graph, wanted, scratch);
        return Found {
            matches,
            distances,
            filter: None,
        };
    };
    let (matches, distances, plan) = tail.nearest_kept(base, graph, wanted, kept, scratch);
    let matching = kept.documents() as u64;
    Found {
        matches,
        distances,
        filter: Some(FilterView { matching, plan }),
    }
}

/// The version of the vectors that are searched: that of the base, and of the dataset where rows were appended.
fn version(index: &LiveIndex) -> String {
    let meta = &index.meta;
    match &meta.grown {
        Some(grown) => format!("{}+{}", meta.data_version, grown.dataset_version),
        None => meta.data_version.clone(),
    }
}

/// The request with a vector in the place of its text where a model server has to make that: who waits for a server
/// sits at no desk.
async fn in_numbers(
    app: &App,
    index: &LiveIndex,
    request: SearchRequest,
) -> Result<SearchRequest, Problem> {
    let embedders = &app.models.embedders;
    let Some(text) = &request.text else {
        return Ok(request);
    };
    if embedders.is_built_in(&index.meta.embedder) {
        return Ok(request);
    }
    let name = &index.meta.embedder;
    check_embedder(&*embedders.of(name).await?, &index.meta)?;
    let made = embedders.embed_each(name, vec![text.clone()]).await?;
    Ok(SearchRequest {
        text: None,
        vector: Some(only_one(made)?),
        ..request
    })
}

/// The vector of a text. Blocks.
fn embed_query(embedder: &dyn Embedder, text: &str) -> Result<Vec<f32>, Problem> {
    only_one(embedder.embed_each(&[text])?)
}

/// The vector of the only text that there is.
fn only_one(mut made: Vec<Vectored>) -> Result<Vec<f32>, Problem> {
    made.pop()
        .unwrap_or(Err(NoVector::Empty))
        .map_err(|missing| match missing {
            NoVector::Empty => Problem::field(
                "text",
                "no_known_word",
                "holds no word that the embedder knows; write it in other words",
            ),
            NoVector::Rejected(reason) => Problem::field(
                "text",
                "cannot_embed",
                format!("the embedder makes no vector of it: {reason}"),
            ),
        })
}

/// What was found, with the columns of its rows and their names in order.
async fn hits(
    app: &App,
    index: &LiveIndex,
    matches: &[Match],
    columns: Option<Vec<String>>,
) -> Result<(Vec<Hit>, Vec<String>), Problem> {
    let documents: Vec<(&str, u64)> = matches.iter().map(|found| index.document(found)).collect();
    let rows: Vec<u64> = documents.iter().map(|(_, row)| *row).collect();
    let (values, names) = values(app, index, &rows, columns).await?;
    let hit = |((found, (id, row)), columns): ((&Match, (&str, u64)), Value)| Hit {
        id: id.to_owned(),
        score: match index.meta.metric {
            Metric::Cosine | Metric::Dot => 1.0 - found.distance,
            Metric::L2 => 1.0 / (1.0 + found.distance),
        },
        distance: found.distance,
        row,
        chunk: index.span(found).map(Chunk::from),
        columns: match columns {
            Value::Object(columns) => columns,
            _ => Map::new(),
        },
    };
    let found = matches.iter().zip(documents);
    Ok((found.zip(values).map(hit).collect(), names))
}

/// The columns of rows, and their names in order. When none are wanted the dataset is not asked, so a bucket that fails
/// is no obstacle.
pub(super) async fn values(
    app: &App,
    index: &LiveIndex,
    rows: &[u64],
    columns: Option<Vec<String>>,
) -> Result<(Vec<Value>, Vec<String>), Problem> {
    if columns.as_ref().is_some_and(Vec::is_empty) {
        return Ok((vec![Value::Object(Map::new()); rows.len()], Vec::new()));
    }
    let (name, version) = (&index.meta.dataset, Some(index.meta.covered_version()));
    let dataset = app.datasets.open(name, version).await;
    let dataset = dataset.map_err(|error| unread(app, name, None, COLUMNS, error))?;
    let wanted: Vec<&str> = columns.iter().flatten().map(String::as_str).collect();
    let values = dataset.take(rows, &wanted).await;
    let values =
        values.map_err(|error| unread(app, name, Some(dataset.bucket().name()), COLUMNS, error))?;
    let all = || {
        let all = dataset.version().columns.iter();
        all.map(|column| column.name.clone()).collect()
    };
    Ok((values, columns.unwrap_or_else(all)))
}

/// What cannot be done without the columns of hits, and the way around it.
const COLUMNS: (&str, &str) = (
    "the columns of the hits cannot be read",
    "search with `\"with\": []`, which answers without columns",
);

/// Why the rows of a dataset cannot be read. When a bucket is out of use or an object is damaged, that names it, what
/// cannot be done then, and the way around.
pub(super) fn unread(
    app: &App,
    dataset: &DatasetName,
    bucket: Option<&BucketName>,
    (what, around): (&str, &str),
    error: IngestError,
) -> Problem {
    let out = app.bucket_table.unhealthy();
    // A dataset whose bucket was out of use since the start of the host cannot be found.
    let unseen = matches!(error, IngestError::DatasetNotFound(_)) && !out.is_empty();
    let problem = match unseen {
        true => Problem::storage(&error),
        false => Problem::from(error),
    };
    match problem.code.as_str() {
        "storage_unavailable" => {}
        "damaged_object" => {
            let detail = format!("{what}: {}; until then {around}", problem.detail);
            return Problem { detail, ..problem };
        }
        _ => return problem,
    }
    let out: Vec<&str> = out.iter().map(BucketName::as_str).collect();
    let place = match (bucket, out.as_slice()) {
        (Some(bucket), _) => format!("bucket `{bucket}`"),
        (None, []) => "its bucket".to_owned(),
        (None, out) => format!("bucket `{}`", out.join("` or `")),
    };
    let detail = format!(
        "{what}: {place}, in which dataset `{dataset}` lives, fails or is out of use; see `GET /readyz` and try again when it is back, or {around}"
    );
    Problem { detail, ..problem }
}
