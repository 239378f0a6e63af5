//! A profile searches its own indexes, and no other.
//!
//! Which these are is told by the profile, and nobody learns from a refusal whether another index exists. One search goes
//! through one index or through all of its own, one after the other; what they find is merged by score where scores mean
//! the same, and by rank where they do not.

use std::{cmp::Ordering, sync::Arc};

use axum::http::StatusCode;
use boathouse_models::ProfileId;
use boathouse_types::{IndexConfig, IndexName, VectorBackend};
use serde::{Deserialize, Serialize};

use super::{activate::provision, profile::Profile};
use crate::{
    app::App,
    auth::{Caller, reach},
    indexes::{
        self, FilterView, Hit, IndexSpec, LanceView, LiveIndex, SearchAnswer, SearchRequest,
    },
    problem::Problem,
};

/// A search of a profile.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileSearch {
    /// One of its indexes; all of them when left out.
    pub index: Option<String>,
    /// What to look for, in words.
    pub text: Option<String>,
    /// What to look for, as a vector; instead of `text`.
    pub vector: Option<Vec<f32>>,
    /// How many hits, at most, of all indexes together: 1 to `vectors.max_k`.
    #[serde(default = "ten")]
    pub k: usize,
    /// Candidates kept while searching, instead of what the profile or the index says.
    pub ef_search: Option<u32>,
    /// Columns of the datasets to return; all when left out, none when the list is empty.
    pub with: Option<Vec<String>>,
    /// A condition in SQL over the columns of the datasets.
    pub filter: Option<String>,
}

fn ten() -> usize {
    10
}

/// What a search of a profile found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProfileSearchAnswer {
    /// The profile.
    pub profile: ProfileId,
    /// Best first.
    pub hits: Vec<ProfileHit>,
    /// How hits of several indexes were put in order.
    pub merged_by: MergedBy,
    /// The indexes that were searched, by name.
    pub searched: Vec<SearchedIndex>,
    /// Indexes that the profile names and that are not there any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<IndexName>,
}

/// A hit with where it was found.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ProfileHit {
    /// The index.
    pub index: IndexName,
    /// What was found.
    #[serde(flatten)]
    pub hit: Hit,
}

/// How hits of several indexes are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MergedBy {
    /// By score: all indexes have the same model and metric.
    Score,
    /// By rank within each index, as their scores mean different things.
    Rank,
}

/// An index that was searched.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SearchedIndex {
    /// Its name.
    pub index: IndexName,
    /// The engine that answered.
    pub backend: VectorBackend,
    /// The configuration that answered; that of the graph, which stands by, when a Lance table answered.
    pub config: IndexConfig,
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

/// The indexes of a profile.
pub(super) struct Own {
    /// Those that serve, by name.
    pub(super) indexes: Vec<Arc<LiveIndex>>,
    /// Those that it names and that are not there.
    pub(super) missing: Vec<IndexName>,
}

/// What an index found.
struct Part {
    index: Arc<LiveIndex>,
    answer: SearchAnswer,
}

/// The indexes of a profile, as they are now.
pub(super) fn own(app: &App, profile: &Profile) -> Own {
    let mut indexes = app.indexes.list();
    indexes.retain(|index| profile.owns(&index.meta.name, Some(&index.meta.dataset)));
    let serves = |name: &&IndexName| indexes.iter().any(|index| index.meta.name == **name);
    let missing = profile.indexes.iter().filter(|name| !serves(name));
    Own {
        missing: missing.cloned().collect(),
        indexes,
    }
}

/// The indexes that a profile is to look into for a caller: the one that is named, or all of its own.
///
/// # Errors
/// 403 `out_of_profile` for an index of somebody else, `forbidden` for one that the caller's key does not reach; 404 for
/// one of its own that is not there.
pub(super) fn within(
    app: &App,
    caller: &Caller,
    profile: &Profile,
    index: Option<&str>,
) -> Result<Own, Problem> {
    let own = match index {
        None => own(app, profile),
        Some(name) => Own {
            indexes: vec![one(app, profile, name)?],
            missing: Vec::new(),
        },
    };
    for index in &own.indexes {
        reach::may_use_index(app, caller, index.meta.name.as_str())?;
    }
    match own.indexes.is_empty() {
        true => Err(Problem::not_found(
            "unknown_index",
            format!("profile `{}` has no index that serves", profile.id),
        )),
        false => Ok(own),
    }
}

/// One of the indexes of a profile.
pub(super) fn one(app: &App, profile: &Profile, name: &str) -> Result<Arc<LiveIndex>, Problem> {
    let name = IndexName::new(name)?;
    let found = app.indexes.get(name.as_str());
    let on = found.as_ref().ok().map(|index| &index.meta.dataset);
    match profile.owns(&name, on) {
        true => found,
        false => Err(foreign(profile, &name)),
    }
}

/// 403: an index is not the profile's, whether or not there is one of that name.
fn foreign(profile: &Profile, index: &IndexName) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "out_of_profile",
        format!(
            "index `{index}` is none of profile `{0}`, which searches its own only; `GET /vectors/profile/{0}` (`boathouse profile show {0}`) lists them in `searches`",
            profile.id
        ),
    )
}

/// Answers a search of a profile.
///
/// # Errors
/// As [`within`], and as a search of each index.
pub(crate) async fn search(
    app: &App,
    caller: &Caller,
    id: &ProfileId,
    request: ProfileSearch,
) -> Result<ProfileSearchAnswer, Problem> {
    let profile = app.models.profiles.get(id).await?;
    let own = within(app, caller, &profile, request.index.as_deref())?;
    let _searching = app.load.enter();
    let wanted = |_: &LiveIndex| request.with.clone();
    let parts = parts(app, &profile, &own, &request, wanted).await?;
    let (k, missing) = (request.k, own.missing);
    let (hits, merged_by, searched) = merged(parts, k);
    Ok(ProfileSearchAnswer {
        profile: profile.id,
        hits,
        merged_by,
        searched,
        missing,
    })
}

/// The best hits of some of a profile's indexes, each with the column of its text.
pub(super) async fn passages(
    app: &App,
    profile: &Profile,
    own: &Own,
    request: &ProfileSearch,
) -> Result<Vec<ProfileHit>, Problem> {
    let _searching = app.load.enter();
    let text = |index: &LiveIndex| Some(vec![index.meta.text_column.clone()]);
    let parts = parts(app, profile, own, request, text).await?;
    Ok(merged(parts, request.k).0)
}

/// What each index finds, with the columns that are wanted of it.
async fn parts(
    app: &App,
    profile: &Profile,
    own: &Own,
    request: &ProfileSearch,
    columns: impl Fn(&LiveIndex) -> Option<Vec<String>>,
) -> Result<Vec<Part>, Problem> {
    let configured = profile.hnsw_config.map(|config| config.ef_search);
    let mut parts = Vec::with_capacity(own.indexes.len());
    for index in &own.indexes {
        let wanted = SearchRequest {
            text: request.text.clone(),
            vector: request.vector.clone(),
            k: request.k,
            ef_search: request.ef_search.or(configured),
            with: columns(index),
            filter: request.filter.clone(),
        };
        parts.push(Part {
            answer: indexes::search(app, index, wanted).await?,
            index: Arc::clone(index),
        });
    }
    Ok(parts)
}

/// Puts the hits of several indexes in one order and keeps the first `k`.
fn merged(parts: Vec<Part>, k: usize) -> (Vec<ProfileHit>, MergedBy, Vec<SearchedIndex>) {
    let means = |part: &Part| {
        let meta = &part.index.meta;
        (meta.embedder_digest.clone(), meta.metric)
    };
    let alike = parts.windows(2).all(|two| means(&two[0]) == means(&two[1]));
    let merged_by = match alike {
        true => MergedBy::Score,
        false => MergedBy::Rank,
    };
    let (mut ranked, mut searched) = (Vec::new(), Vec::with_capacity(parts.len()));
    for part in parts {
        let index = part.index.meta.name.clone();
        for (rank, hit) in part.answer.hits.into_iter().enumerate() {
            let index = index.clone();
            ranked.push((rank, ProfileHit { index, hit }));
        }
        searched.push(SearchedIndex {
            index,
            backend: part.answer.backend,
            config: part.answer.config,
            index_version: part.answer.index_version,
            distances: part.answer.distances,
            lance: part.answer.lance,
            filter: part.answer.filter,
            took_us: part.answer.took_us,
        });
    }
    (in_order(ranked, merged_by, k), merged_by, searched)
}

/// The best of hits, each with its rank in its own index.
fn in_order(
    mut ranked: Vec<(usize, ProfileHit)>,
    merged_by: MergedBy,
    k: usize,
) -> Vec<ProfileHit> {
    // Sorting is stable: what is equal stays in the order of the indexes.
    ranked.sort_by(|(rank, one), (other_rank, other)| {
        let by_rank = match merged_by {
            MergedBy::Score => Ordering::Equal,
            MergedBy::Rank => rank.cmp(other_rank),
        };
        by_rank.then_with(|| other.hit.score.total_cmp(&one.hit.score))
    });
    let hits = ranked.into_iter().map(|(_, hit)| hit);
    hits.take(k).collect()
}

/// Fills in what a wish for an index leaves to the profile that it is made for: bucket, embedder, engine and first
/// configuration. The bucket is there when this returns.
///
/// # Errors
/// 404 for an unknown profile; 403 `out_of_profile` for a dataset that is none of its own, or an index that it does not
/// name though it names some.
pub(crate) async fn for_profile(app: &Arc<App>, spec: IndexSpec) -> Result<IndexSpec, Problem> {
    let Some(id) = &spec.profile else {
        return Ok(spec);
    };
    let profile = app.models.profiles.get(id).await?;
    if !profile.datasets.contains(&spec.dataset) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "out_of_profile",
            format!(
                "dataset `{}` is none of profile `{id}`; name it in `datasets` of the profile first",
                spec.dataset
            ),
        ));
    }
    if !profile.owns(&spec.name, Some(&spec.dataset)) {
        return Err(foreign(&profile, &spec.name));
    }
    if spec.bucket.is_none() {
        provision(app, &profile).await?;
    }
    let embedder = profile.embed_model.as_ref();
    let embedder = embedder.map(|model| format!("ollama:{model}"));
    Ok(IndexSpec {
        bucket: spec.bucket.or(profile.bucket),
        embedder: spec.embedder.or(embedder),
        vector_backend: spec.vector_backend.or(profile.vector_backend),
        config: spec.config.or(profile.hnsw_config),
        ..spec
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hit of an index, by its rank and score.
    fn hit(index: &str, rank: usize, score: f32) -> (usize, ProfileHit) {
        let hit = Hit {
            id: format!("{index}{rank}"),
            score,
            distance: 1.0 - score,
            row: 0,
            chunk: None,
            columns: serde_json::Map::new(),
        };
        let index = IndexName::new(index).expect("a name");
        (rank, ProfileHit { index, hit })
    }

    fn check(merged_by: MergedBy, k: usize, expected: &[&str]) {
        let ranked = vec![
            hit("a", 0, 0.5),
            hit("a", 1, 0.4),
            hit("a", 2, 0.1),
            hit("b", 0, 7.0),
            hit("b", 1, 0.4),
        ];
        let found = in_order(ranked, merged_by, k);
        let found: Vec<&str> = found.iter().map(|found| found.hit.id.as_str()).collect();
        assert_eq!(found, expected, "{merged_by:?}");
    }

    #[test]
    fn hits_of_several_indexes_are_merged_by_what_can_be_compared() {
        check(MergedBy::Score, 4, &["b0", "a0", "a1", "b1"]);
        check(MergedBy::Rank, 5, &["b0", "a0", "a1", "b1", "a2"]);
        check(MergedBy::Rank, 1, &["b0"]);
    }
}
