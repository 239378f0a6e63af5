//! Evaluation sets of an index, as the routes offer them, and the one that trials use.
//!
//! What is wanted is checked, and texts are embedded, before anything is begun: a wish that cannot be granted is refused at
//! once, also while the index is busy.
//!
//! A set knows which model its queries are of. When an index is embedded anew by another one, queries that were given
//! mean nothing any more, and others are drawn in their place.

use boathouse_storage::StorageError;
use boathouse_tuning::{EvalSet, EvalSetName, EvalSource, EvalSpec, TuningError};
use boathouse_types::{Dimension, IndexName};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    indexes::{LiveIndex, check_embedder},
    live,
    problem::Problem,
    tasks::TaskContext,
    tune::has_documents,
};

/// Name of the evaluation set that trials use unless they name another.
pub(crate) const DEFAULT_SET: &str = "default";
/// The name by which the journal tells of recent queries of clients, which nobody stored.
pub(crate) const LIVE_SET: &str = "live";

/// A wish for an evaluation set.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvalSetSpec {
    /// The index.
    pub index: IndexName,
    /// Name of the set; `default`, which trials use unless they name another, when left out.
    pub name: Option<String>,
    /// Neighbours per query, 1 to 1,000.
    #[serde(default = "ten")]
    pub k: u32,
    /// How many rows to draw as queries, every second one perturbed.
    pub queries: Option<usize>,
    /// Seed of the draw.
    #[serde(default)]
    pub seed: u64,
    /// Queries in words, instead of drawn ones.
    pub texts: Option<Vec<String>>,
    /// Queries as vectors, instead of drawn ones.
    pub vectors: Option<Vec<Vec<f32>>>,
    /// Queries of recent searches, instead of drawn ones; the set keeps them in the bucket.
    #[serde(default)]
    pub live: bool,
}

fn ten() -> u32 {
    10
}

/// An evaluation set as clients see it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct EvalSetView {
    /// The index.
    pub index: IndexName,
    /// Name of the set.
    pub name: String,
    /// Neighbours per query.
    pub k: u32,
    /// Number of queries.
    pub queries: usize,
    /// Seed of the draw.
    pub seed: u64,
    /// Where its queries come from: `drawn` from the index, or `given` as texts, vectors or recent searches.
    pub source: &'static str,
    /// Version of the vectors that the answers are for.
    pub data_version: String,
    /// What is different from what was asked for, when it was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl EvalSetView {
    fn of(set: &EvalSet) -> Self {
        Self {
            index: set.index.clone(),
            name: set.name.as_str().to_owned(),
            k: set.k,
            queries: set.queries.len(),
            seed: set.seed,
            source: match set.queries.iter().any(|query| query.held_out.is_some()) {
                true => "drawn",
                false => "given",
            },
            data_version: set.data_version.clone(),
            note: None,
        }
    }
}

/// The evaluation sets of an index.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct EvalSetList {
    /// Those that can be used, in the order of their names.
    pub evalsets: Vec<EvalSetView>,
    /// Those that cannot be read; make them anew or delete them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<UnreadableSet>,
}

/// An evaluation set that cannot be read.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct UnreadableSet {
    /// Its name.
    pub name: String,
    /// Why.
    pub detail: String,
}

/// An evaluation set that can be made.
pub(crate) struct EvalSetPlan {
    name: EvalSetName,
    spec: EvalSpec,
}

/// Checks a wish for an evaluation set before any work is done for it.
///
/// # Errors
/// 422 for what cannot be made; 409 `no_documents`, when there are no recent searches, or the host has another model than
/// the index.
pub(crate) async fn plan_evalset(
    app: &App,
    index: &LiveIndex,
    wish: EvalSetSpec,
) -> Result<EvalSetPlan, Problem> {
    let name = EvalSetName::new(wish.name.as_deref().unwrap_or(DEFAULT_SET))?;
    has_documents(index)?;
    let (k, seed) = (wish.k, wish.seed);
    let source = source(app, index, wish).await?;
    let (spec, data) = (EvalSpec { k, seed, source }, index.data.clone());
    // There may be very many queries to look at.
    let checked = tokio::task::spawn_blocking(move || spec.check(&data).map(|()| spec));
    let spec = checked.await.map_err(|error| Problem::internal(&error))??;
    Ok(EvalSetPlan { name, spec })
}

/// Makes and stores an evaluation set.
///
/// # Errors
/// The bucket's failure, or somebody asked to stop.
pub(crate) async fn make_evalset(
    index: &LiveIndex,
    plan: EvalSetPlan,
    task: &TaskContext,
) -> Result<EvalSetView, Problem> {
    task.progress("finding exact neighbours", 0, None, "queries");
    let wanted = match &plan.spec.source {
        EvalSource::Drawn { queries } => *queries,
        EvalSource::Given(vectors) => vectors.len(),
    };
    let set = made(index, plan.name, plan.spec, &task.cancellation()).await?;
    index.tuner.eval_sets().save(&set).await?;
    let (has, view) = (set.queries.len(), EvalSetView::of(&set));
    Ok(EvalSetView {
        note: (has < wanted).then(|| {
            format!("{wanted} queries were asked for; the index has {has} vectors, of which each is a query")
        }),
        ..view
    })
}

/// A set for the vectors of an index, with the model that these are of.
async fn made(
    index: &LiveIndex,
    name: EvalSetName,
    spec: EvalSpec,
    cancel: &CancellationToken,
) -> Result<EvalSet, Problem> {
    let set = EvalSet::make(name, &index.data, spec, cancel).await?;
    Ok(EvalSet {
        embedder_digest: Some(index.meta.embedder_digest.clone()),
        ..set
    })
}

async fn source(app: &App, index: &LiveIndex, wish: EvalSetSpec) -> Result<EvalSource, Problem> {
    match (wish.queries, wish.texts, wish.vectors) {
        (None, None, None) if wish.live => live_source(index),
        _ if wish.live => Err(one_source()),
        (queries, None, None) => Ok(EvalSource::Drawn {
            queries: queries.unwrap_or(app.config.vectors.eval_queries),
        }),
        (None, None, Some(vectors)) => Ok(EvalSource::Given(vectors)),
        (None, Some(texts), None) => {
            let (embedders, name) = (&app.models.embedders, &index.meta.embedder);
            check_embedder(&*embedders.of(name).await?, &index.meta)?;
            let made = embedders.embed_each(name, texts).await?.into_iter();
            let made = made.enumerate().map(|(position, vector)| {
                vector.map_err(|missing| Problem::from(missing.at(position)))
            });
            Ok(EvalSource::Given(made.collect::<Result<_, _>>()?))
        }
        _ => Err(one_source()),
    }
}

fn one_source() -> Problem {
    Problem::unprocessable(
        "one_source",
        "give one of `queries`, `texts`, `vectors` and `live`",
    )
}

/// The queries of recent searches.
fn live_source(index: &LiveIndex) -> Result<EvalSource, Problem> {
    let queries = live::recent_queries(index);
    if queries.is_empty() {
        return Err(Problem::conflict(
            "no_live_queries",
            "nobody has searched this index since the host started; leave `live` out",
        ));
    }
    Ok(EvalSource::Given(queries))
}

/// The evaluation sets of an index. One that cannot be read does not hide the others.
///
/// # Errors
/// The bucket's failure.
pub async fn evalsets(index: &LiveIndex) -> Result<EvalSetList, Problem> {
    let sets = index.tuner.eval_sets();
    let mut list = EvalSetList::default();
    for name in sets.list().await? {
        match sets.load(&name).await {
            Ok(set) => list.evalsets.push(EvalSetView::of(&set)),
            // Somebody deleted it just now.
            Err(TuningError::NotFound { .. }) => {}
            Err(
                error @ (TuningError::Damaged { .. }
                | TuningError::Storage(StorageError::NewerFormat { .. })),
            ) => list.unreadable.push(UnreadableSet {
                name: name.to_string(),
                detail: error.to_string(),
            }),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(list)
}

/// Deletes an evaluation set, also one that cannot be read. Whoever needs `default` makes it anew.
///
/// # Errors
/// 404 when there is none of that name; the bucket's failure.
pub(crate) async fn delete_evalset(index: &LiveIndex, name: &str) -> Result<(), Problem> {
    let (name, sets) = (EvalSetName::new(name)?, index.tuner.eval_sets());
    if !sets.list().await?.contains(&name) {
        return Err(no_such_set(index, &name));
    }
    Ok(sets.delete(&name).await?)
}

/// The name of the set that somebody wants trials to use: the default one, or one that is there.
///
/// # Errors
/// 422 for what is no name; 404 when there is none of that name; the bucket's failure.
pub(crate) async fn wanted_set(
    index: &LiveIndex,
    name: Option<&str>,
) -> Result<EvalSetName, Problem> {
    let name = EvalSetName::new(name.unwrap_or(DEFAULT_SET))?;
    // Whoever needs the default one makes it.
    if name.as_str() != DEFAULT_SET && !index.tuner.eval_sets().list().await?.contains(&name) {
        return Err(no_such_set(index, &name));
    }
    Ok(name)
}

fn no_such_set(index: &LiveIndex, name: &EvalSetName) -> Problem {
    Problem::not_found(
        "not_found",
        format!("index `{}` has no evaluation set `{name}`", index.meta.name),
    )
}

/// Identity of the queries that trials with a set on the vectors that serve are asked; none when that set is not there,
/// cannot be read, or is of other vectors, so that it is made anew.
///
/// # Errors
/// The bucket's failure.
pub(super) async fn present_queries(
    index: &LiveIndex,
    name: &EvalSetName,
) -> Result<Option<String>, Problem> {
    match index.tuner.eval_sets().load(name).await {
        Ok(set) if set.data_version == index.data.data_version => {
            let named = tokio::task::spawn_blocking(move || set.identity());
            let identity = named.await.map_err(|error| Problem::internal(&error))?;
            Ok(Some(identity))
        }
        Ok(_)
        | Err(
            TuningError::NotFound { .. }
            | TuningError::Damaged { .. }
            | TuningError::Storage(StorageError::NewerFormat { .. }),
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The default set, made when there is none, and made again with its own queries when there is a new base: trials
/// measure the graph, so rows that are appended beside it change nothing. Queries of another model are not asked again,
/// others are drawn. `telling` is called before it is made.
///
/// # Errors
/// The bucket's failure, a damaged set, or the index is too small for one.
pub(crate) async fn default_set(
    app: &App,
    index: &LiveIndex,
    cancel: &CancellationToken,
    telling: impl FnOnce(),
) -> Result<EvalSet, Problem> {
    let name = EvalSetName::new(DEFAULT_SET)?;
    let sets = index.tuner.eval_sets();
    let stored = match sets.load(&name).await {
        Ok(set) if set.data_version == index.data.data_version => return Ok(set),
        Ok(set) => Some(set),
        Err(TuningError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    telling();
    let spec = match stored {
        None => EvalSpec {
            source: EvalSource::Drawn {
                queries: app.config.vectors.eval_queries,
            },
            ..EvalSpec::default()
        },
        Some(set) => {
            let (model, dimension) = (&index.meta.embedder_digest, index.meta.dimension);
            let (spec, is_other) = spec_for(&set, model, dimension);
            if is_other {
                let (index, queries) = (&index.meta.name, set.queries.len());
                tracing::warn!(%index, queries, "the queries of the evaluation set are of another model: as many are drawn from the index; give them anew with POST /vectors/evalsets");
            }
            spec
        }
    };
    let set = made(index, name, spec, cancel).await?;
    sets.save(&set).await?;
    Ok(set)
}

/// The set of a name, made again with its own queries when there is a new base. The default one is made where there is
/// none. `telling` is called before it is made.
///
/// # Errors
/// As [`default_set`]; 404 when there is none of that name; 409 `unfit_evaluation_set` when its queries are of another
/// model: nobody asked for others in their place.
pub(super) async fn named_set(
    app: &App,
    index: &LiveIndex,
    name: &EvalSetName,
    cancel: &CancellationToken,
    telling: impl FnOnce(),
) -> Result<EvalSet, Problem> {
    if name.as_str() == DEFAULT_SET {
        return default_set(app, index, cancel, telling).await;
    }
    let sets = index.tuner.eval_sets();
    let stored = sets.load(name).await?;
    if stored.data_version == index.data.data_version {
        return Ok(stored);
    }
    let (model, dimension) = (&index.meta.embedder_digest, index.meta.dimension);
    let (spec, is_other) = spec_for(&stored, model, dimension);
    if is_other {
        let why = "its queries are of another model than the vectors".to_owned();
        let set = name.to_string();
        return Err(TuningError::Unfit { set, why }.into());
    }
    telling();
    let set = made(index, name.clone(), spec, cancel).await?;
    sets.save(&set).await?;
    Ok(set)
}

/// How a set is made again for vectors of this model and dimension, and whether its own were of another one. Queries
/// that another model embedded mean nothing here: as many are drawn instead.
fn spec_for(set: &EvalSet, embedder_digest: &str, dimension: Dimension) -> (EvalSpec, bool) {
    let of_other = |digest: &String| digest != embedder_digest;
    let is_other = set.embedder_digest.as_ref().is_some_and(of_other) || set.dimension != dimension;
    let spec = match is_other {
        true => EvalSpec {
            source: EvalSource::Drawn {
                queries: set.queries.len(),
            },
            ..set.spec()
        },
        false => set.spec(),
    };
    (spec, is_other)
}

#[cfg(test)]
mod tests {
    use boathouse_types::Metric;

    use super::*;

    fn given(embedder_digest: Option<&str>) -> EvalSet {
        let query = |component| boathouse_tuning::EvalQuery {
            vector: vec![component, 1.0],
            held_out: None,
            truth: vec![0],
        };
        EvalSet {
            name: EvalSetName::new(DEFAULT_SET).expect("a name"),
            index: IndexName::new("notes").expect("a name"),
            data_version: "v1".to_owned(),
            vectors: 9,
            dimension: Dimension::new(2).expect("a dimension"),
            metric: Metric::Cosine,
            k: 5,
            seed: 3,
            embedder_digest: embedder_digest.map(ToOwned::to_owned),
            queries: vec![query(0.5), query(2.0)],
        }
    }

    #[test]
    fn queries_of_another_model_are_not_asked_again() {
        let two = Dimension::new(2).expect("a dimension");
        let as_given = given(Some("one")).spec();
        assert!(matches!(as_given.source, EvalSource::Given(_)));
        assert_eq!(
            spec_for(&given(Some("one")), "one", two),
            (as_given.clone(), false)
        );
        // Sets of older hosts do not say of which model they are.
        assert_eq!(
            spec_for(&given(None), "one", two),
            (as_given.clone(), false)
        );
        let drawn = EvalSpec {
            source: EvalSource::Drawn { queries: 2 },
            ..as_given
        };
        assert_eq!(
            spec_for(&given(Some("one")), "another", two),
            (drawn.clone(), true)
        );
        let three = Dimension::new(3).expect("a dimension");
        assert_eq!(spec_for(&given(None), "one", three), (drawn, true));
    }
}
