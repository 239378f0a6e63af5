//! How an index comes to be: read the text, embed it, store the vectors, build the graph, commit.
//!
//! Nothing is visible before the manifest is committed; objects of a build that ended early are left
//! without a manifest that names them and are deleted where that is still possible.
//!
//! Another host on the same buckets may have an index of the name, or be building one, without this one
//! knowing. What lives is left alone, and of two builds the first to commit on top of what both have found
//! wins. So nothing that another build may just have stored is taken away here: vectors have names of their
//! own, graphs are told by what they were built from, and what is left over of either is garbage.

use std::sync::Arc;

use boathouse_ingest::Dataset;
use boathouse_models::Embedder;
use boathouse_storage::Bucket;
use boathouse_types::{IndexName, VectorBackend};
use boathouse_vector::Frozen;

use super::{
    Embeddings, IndexMeta, IndexSpec, LiveIndex,
    embed::{Embedded, Encoded, Ids, Known, Source, embed, encode, forget_parts, is_text},
    frozen, objective,
    objects::{forget_copies, forget_versions, fresh_path, manifest, sweep_records},
    standing::{lives_in, next_generation},
};
use crate::{app::App, problem::Problem, tasks::TaskContext};

/// A wish that was checked against what there is.
pub(crate) struct Plan {
    spec: IndexSpec,
    /// Who makes the vectors.
    embedder: Arc<dyn Embedder>,
    dataset: Dataset,
    /// What the id column promises.
    ids: Ids,
    bucket: Bucket,
}

/// Checks a wish before any work is done for it.
///
/// # Errors
/// 404 or 422, naming what does not fit; 503 when its model server does not answer.
pub(crate) async fn plan(app: &App, spec: IndexSpec) -> Result<Plan, Problem> {
    if spec.vector_backend == Some(VectorBackend::Lance) && !cfg!(feature = "lance") {
        return Err(Problem::field(
            "vector_backend",
            "no_such_backend",
            "this host was built without Lance and serves `parquet` only",
        ));
    }
    objective::check(app, &spec.name, &spec.objective).await?;
    if let Some(config) = &spec.config {
        boathouse_tuning::check_config(config)?;
    }
    if let Some(chunk) = spec.chunk {
        chunk.check()?;
    }
    let bucket = app.bucket_table.get(&spec.home())?;
    let dataset = app.datasets.open(&spec.dataset, None).await?;
    check_columns(&spec, &dataset)?;
    let ids = match spec.id_column {
        Some(_) => {
            let manifest = app.datasets.get(&spec.dataset).await?;
            Ids::of(&manifest, dataset.version().version)
        }
        None => Ids::Numbers,
    };
    // Last, as a model server may have to load the model for it.
    let embedder = spec.embedder.as_deref().unwrap_or("static");
    let embedder = app.models.embedders.of(embedder).await?;
    Ok(Plan {
        spec,
        embedder,
        dataset,
        ids,
        bucket,
    })
}

/// The columns are there, and the text column holds text.
fn check_columns(spec: &IndexSpec, dataset: &Dataset) -> Result<(), Problem> {
    let version = dataset.version();
    for (field, column) in [
        ("text_column", Some(&spec.text_column)),
        ("id_column", spec.id_column.as_ref()),
    ] {
        let Some(column) = column else { continue };
        let found = version.columns.iter().find(|known| known.name == *column);
        let Some(found) = found else {
            let known: Vec<_> = version
                .columns
                .iter()
                .map(|known| known.name.as_str())
                .collect();
            return Err(Problem::field(
                field,
                "unknown_column",
                format!(
                    "dataset `{}` has no column `{}`; it has {}",
                    spec.dataset,
                    column.escape_debug(),
                    known.join(", ")
                ),
            ));
        };
        if field == "text_column" && !is_text(&found.data_type) {
            return Err(Problem::field(
                field,
                "not_text",
                format!(
                    "column `{column}` is {}, not text; choose a text column",
                    found.data_type
                ),
            ));
        }
    }
    Ok(())
}

/// Builds what was planned, up to the commit.
///
/// # Errors
/// What went wrong; nothing of the index is visible then.
pub(crate) async fn build(app: &App, plan: Plan, task: &TaskContext) -> Result<LiveIndex, Problem> {
    let source = Source {
        index: &plan.spec.name,
        dataset: &plan.dataset,
        from: 0,
        text: &plan.spec.text_column,
        id: plan.spec.id_column.as_deref(),
        ids: plan.ids.clone(),
        chunk: plan.spec.chunk,
        known: Known::new(plan.embedder.dimension()),
        embedder: Arc::clone(&plan.embedder),
    };
    let Embedded {
        table,
        skipped,
        superseded,
        embeddings,
        ..
    } = embed(app, source, task).await?.not_empty(&plan.spec)?;
    task.progress("storing vectors", 0, Some(table.len() as u64), "vectors");
    let Encoded {
        frozen,
        bytes,
        digest,
    } = encode(table, plan.spec.metric).await?;
    let name = &plan.spec.name;
    let path = fresh_path(name);
    app.indexes.quiet(name).await;
    let version = vacant(app, &plan).await?;
    // What an index of this name may have left when it was deleted must not become part of this one.
    sweep_records(&plan.bucket, name).await?;
    if version > 0 {
        forget_copies(&app.bucket_table.rescue(), &plan.bucket, name).await;
    }
    let home_generation = next_generation(&app.buckets.list(), name).await;
    let length = bytes.len() as u64;
    plan.bucket.put(&path, bytes).await?;
    let made = Made {
        path: &path,
        bytes: length,
        digest: &digest,
        frozen: &frozen,
        skipped,
        superseded,
        embeddings,
    };
    let meta = plan.described(app, &made, home_generation);
    let finished = finish(app, &plan, (meta, version), frozen, task).await;
    match finished.is_ok() {
        true => {
            forget_versions(&plan.bucket, name).await;
            forget_parts(app, name).await;
        }
        false => forget(&plan.bucket, name, &path).await,
    }
    finished
}

/// The vectors of a new index.
struct Made<'a> {
    path: &'a str,
    /// Bytes of the object at that path.
    bytes: u64,
    /// SHA-256 of the object at that path, in hex.
    digest: &'a str,
    frozen: &'a Frozen,
    skipped: u64,
    superseded: u64,
    embeddings: Embeddings,
}

impl Plan {
    /// What is to be stored of the index.
    fn described(&self, app: &App, made: &Made<'_>, home_generation: u64) -> IndexMeta {
        let (spec, vectors) = (&self.spec, &made.frozen.vectors);
        IndexMeta {
            name: spec.name.clone(),
            dataset: spec.dataset.clone(),
            dataset_version: self.dataset.version().version,
            text_column: spec.text_column.clone(),
            id_column: spec.id_column.clone(),
            embedder: self.embedder.name().to_owned(),
            embedder_digest: self.embedder.model_digest().to_owned(),
            dimension: vectors.dimension(),
            metric: spec.metric,
            bucket: self.bucket.name().clone(),
            home_generation,
            moving_to: None,
            moved_to: None,
            withdrawn_from: None,
            // A Lance table takes over once it is there.
            vector_backend: VectorBackend::Parquet,
            config: spec.config.unwrap_or(app.config.vectors.default_config),
            objective: spec.objective.clone(),
            vectors_path: made.path.to_owned(),
            data_version: made.digest.chars().take(16).collect(),
            vectors_bytes: Some(made.bytes),
            vectors: vectors.len() as u64,
            documents: documents(made.frozen),
            chunk: spec.chunk,
            embeddings: Some(made.embeddings),
            skipped_rows: made.skipped,
            superseded_rows: made.superseded,
            created_at: app.clock.now(),
            deleted: false,
            appends: spec.appends,
            grown: None,
            deletions: Vec::new(),
            first_vectors_path: None,
            lance: None,
        }
    }
}

/// The number of documents, where one may have several vectors.
pub(super) fn documents(frozen: &Frozen) -> Option<u64> {
    let of_pieces = frozen.spans.is_some();
    of_pieces.then(|| frozen.rows.documents() as u64)
}

/// The version of the manifest at the index's home, 0 without one; no index of the name lives.
///
/// # Errors
/// 409 when one does that this host does not serve.
async fn vacant(app: &App, plan: &Plan) -> Result<u64, Problem> {
    let name = &plan.spec.name;
    // Before the others are asked: what is committed after this makes the commit on top of it fail.
    let found = manifest(&plan.bucket.without_rescue(), name).load().await?;
    if let Some(bucket) = lives_in(&app.buckets.list(), name).await {
        return Err(Problem::conflict(
            "index_exists",
            format!(
                "bucket `{bucket}` has an index `{name}` that another host made; start this host anew to serve it, or choose another name"
            ),
        ));
    }
    Ok(found.map_or(0, |found| found.version))
}

/// Takes away the object that a build, an append or a deletion has stored which failed, unless its commit happened
/// after all or that is unknown.
pub(super) async fn forget(bucket: &Bucket, name: &IndexName, path: &str) {
    let found = manifest(&bucket.without_rescue(), name).load().await;
    let names = |meta: &IndexMeta| meta.objects().any(|(known, _)| known == path);
    let forgotten = match found {
        Ok(Some(found)) if names(&found.value) => Ok(()),
        Ok(_) => bucket.delete(path).await,
        Err(error) => Err(error),
    };
    if let Err(error) = forgotten {
        tracing::warn!(index = %name, %error, "an object of a change that failed may be left over");
    }
}

/// Builds the graph, then commits the manifest, which makes the index visible.
async fn finish(
    app: &App,
    plan: &Plan,
    (meta, version): (IndexMeta, u64),
    frozen: Frozen,
    task: &TaskContext,
) -> Result<LiveIndex, Problem> {
    task.progress("building the graph", 0, Some(meta.vectors), "vectors");
    let options = app.tuner_options();
    let cancel = task.cancellation();
    let frozen = frozen::keep(
        &meta.name,
        &meta.data_version,
        frozen,
        options.files.as_ref(),
    )
    .await?;
    let live = LiveIndex::assemble(&plan.bucket, meta.clone(), frozen, options, &cancel).await?;
    if cancel.is_cancelled() {
        return Err(Problem::cancelled());
    }
    let manifest = manifest(&plan.bucket, &meta.name);
    manifest.commit(version, &meta).await?;
    task.progress("serving", meta.vectors, Some(meta.vectors), "vectors");
    Ok(live)
}
