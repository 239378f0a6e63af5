//! Searching an index: a query in words or as a vector, hits with the columns of their rows.
//!
//! A search is answered by the index as it was when the search began: base, tail, what is deleted and version of the
//! dataset. With a filter it is about the rows that the filter lets through (`filter.rs`). Who asks for more hits than
//! there are documents gets them all: how many those are changes with every deletion. Where texts are cut into pieces a
//! hit is a document by its nearest piece (`documents.rs`).
//!
//! The graph of the index answers, or its Lance table (`backend.rs`).

use std::sync::Arc;

use boathouse_ingest::IngestError;
use boathouse_models::{Embedder, NoVector, StaticEmbedder, Vectored};
use boathouse_types::{BucketName, DatasetName, IndexConfig, Metric, VectorBackend};
use boathouse_vector::Span;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[cfg(feature = "lance")]
use super::backend::Backend as _;
use super::{
    LiveIndex,
    backend::{self, Effort, Found, LanceView, Nearest, Query, Wish},
    check_embedder,
    filter::{self, FilterView},
};
#[cfg(feature = "lance")]
use crate::lance::LanceSearch;
use crate::{app::App, problem::Problem};

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
    /// Candidates kept while the graph is searched, instead of what the served configuration says; a Lance table has none.
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
    /// The configuration that answered; that of the graph, which stands by, when a Lance table answered.
    pub config: IndexConfig,
    /// The engine that answered.
    pub backend: VectorBackend,
    /// Version of the vectors that were searched.
    pub index_version: String,
    /// Distance computations that it took; none when a Lance table answered, which does not count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distances: Option<u64>,
    /// What of the Lance table answered, when it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lance: Option<LanceView>,
    /// What the filter did, when there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterView>,
    /// Microseconds for the filter, embedding and the index, without the columns.
    pub took_us: u64,
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
    let config = index.serving().config();
    let config = IndexConfig {
        ef_search: request.ef_search.unwrap_or(config.ef_search),
        ..config
    };
    let wish = wish(app, index, &request, (config.ef_search, Effort::default())).await?;
    let (found, backend) = backend::search(app, index, &wish).await?;
    let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let shown = Shown {
        config,
        backend,
        columns: request.with,
        took_us,
    };
    answer(app, index, found, shown).await
}

/// Answers a search by the Lance table of an index, whether or not that serves.
///
/// # Errors
/// As [`search`]; 409 without a table.
#[cfg(feature = "lance")]
pub(crate) async fn search_table(
    app: &App,
    index: &Arc<LiveIndex>,
    request: LanceSearch,
) -> Result<SearchAnswer, Problem> {
    let effort = Effort {
        nprobes: request.nprobes,
        refine_factor: request.refine_factor,
        ef: request.ef,
        exact: request.exact,
    };
    let request = SearchRequest {
        text: request.text,
        vector: request.vector,
        k: request.k.unwrap_or_else(ten),
        ef_search: None,
        with: request.with,
        filter: request.filter,
    };
    check(app, &request)?;
    let started = std::time::Instant::now();
    let table = backend::Table::of(app, index).await?;
    let request = in_numbers(app, index, request).await?;
    let config = index.serving().config();
    let wish = wish(app, index, &request, (config.ef_search, effort)).await?;
    let found = table.search(&wish).await?;
    let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let shown = Shown {
        config,
        backend: VectorBackend::Lance,
        columns: request.with,
        took_us,
    };
    answer(app, index, found, shown).await
}

/// What is to be looked for, with what the filter lets through.
async fn wish(
    app: &App,
    index: &Arc<LiveIndex>,
    request: &SearchRequest,
    (ef_search, effort): (u32, Effort),
) -> Result<Arc<Wish>, Problem> {
    let selection = match &request.filter {
        Some(text) => Some(filter::select(app, index, text).await?),
        None => None,
    };
    let query = match (&request.vector, &request.text) {
        (Some(vector), _) => Query::Vector(vector.clone()),
        (None, text) => Query::Text(text.clone().unwrap_or_default()),
    };
    Ok(Arc::new(Wish {
        query,
        k: request.k,
        ef_search,
        effort,
        selection,
    }))
}

/// What an answer shows besides what was found.
struct Shown {
    config: IndexConfig,
    backend: VectorBackend,
    columns: Option<Vec<String>>,
    took_us: u64,
}

async fn answer(
    app: &App,
    index: &LiveIndex,
    found: Found,
    shown: Shown,
) -> Result<SearchAnswer, Problem> {
    let (hits, columns) = hits(app, index, found.nearest, shown.columns).await?;
    let filter = found.filtered;
    let filter = filter.map(|(plan, matching)| FilterView { matching, plan });
    Ok(SearchAnswer {
        hits,
        columns,
        config: shown.config,
        backend: shown.backend,
        index_version: version(index),
        distances: found.distances,
        lance: found.lance,
        filter,
        took_us: shown.took_us,
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
pub(super) fn embed_query(embedder: &StaticEmbedder, text: &str) -> Result<Vec<f32>, Problem> {
    only_one(Embedder::embed_each(embedder, &[text])?)
}

/// The vector of the only text that there is.
fn only_one(mut made: Vec<Vectored>) -> Result<Vec<f32>, Problem> {
    let made = made.pop().unwrap_or(Err(NoVector::Empty));
    made.map_err(|missing| no_vector(missing, "text"))
}

/// 422: there is no vector of a text, which stands in a field.
pub(crate) fn no_vector(missing: NoVector, field: &str) -> Problem {
    match missing {
        NoVector::Empty => Problem::field(
            field,
            "no_known_word",
            "holds no word that the embedder knows; write it in other words",
        ),
        NoVector::Rejected(reason) => Problem::field(
            field,
            "cannot_embed",
            format!("the embedder makes no vector of it: {reason}"),
        ),
    }
}

/// What was found, with the columns of its rows and their names in order.
async fn hits(
    app: &App,
    index: &LiveIndex,
    found: Vec<Nearest>,
    columns: Option<Vec<String>>,
) -> Result<(Vec<Hit>, Vec<String>), Problem> {
    let rows: Vec<u64> = found.iter().map(|found| found.row).collect();
    let (values, names) = values(app, index, &rows, columns).await?;
    let hit = |(found, columns): (Nearest, Value)| Hit {
        id: found.id,
        score: match index.meta.metric {
            Metric::Cosine | Metric::Dot => 1.0 - found.distance,
            Metric::L2 => 1.0 / (1.0 + found.distance),
        },
        distance: found.distance,
        row: found.row,
        chunk: found.span.map(Chunk::from),
        columns: match columns {
            Value::Object(columns) => columns,
            _ => Map::new(),
        },
    };
    Ok((found.into_iter().zip(values).map(hit).collect(), names))
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
