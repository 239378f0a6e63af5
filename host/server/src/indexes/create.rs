//! How an index comes to be: read the text, embed it, store the vectors, build the graph, commit.
//!
//! Nothing is visible before the manifest is committed; objects of a build that ended early are left
//! without a manifest that names them and are deleted where that is still possible.
//!
//! Another host on the same buckets may have an index of the name, or be building one, without this one
//! knowing. What lives is left alone, and of two builds the first to commit on top of what both have found
//! wins. So nothing that another build may just have stored is taken away here: vectors have names of their
//! own, graphs are told by what they were built from, and what is left over of either is garbage.

use std::{collections::HashSet, sync::Arc};

use arrow::{
    array::{Array as _, AsArray as _, RecordBatch, StringArray},
    compute::cast,
    datatypes::DataType,
};
use boathouse_ingest::Dataset;
use boathouse_models::StaticEmbedder;
use boathouse_storage::Bucket;
use boathouse_types::{IndexName, Metric, VectorBackend};
use boathouse_vector::{
    VectorSet,
    table::{self, VectorTable},
};
use bytes::Bytes;
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::{
    IndexMeta, IndexSpec, LiveIndex,
    objects::{forget_copies, manifest, sweep_records},
    standing::{lives_in, next_generation},
};
use crate::{app::App, problem::Problem, tasks::TaskContext};

/// A wish that was checked against what there is.
pub(crate) struct Plan {
    spec: IndexSpec,
    dataset: Dataset,
    bucket: Bucket,
}

/// Checks a wish before any work is done for it.
///
/// # Errors
/// 404 or 422, naming what does not fit.
pub(crate) async fn plan(app: &App, spec: IndexSpec) -> Result<Plan, Problem> {
    if spec.vector_backend == VectorBackend::Lance {
        return Err(Problem::field(
            "vector_backend",
            "no_such_backend",
            "this host serves `parquet` only",
        ));
    }
    let embedder = spec.embedder.as_deref().unwrap_or("static");
    if embedder != app.embedder.name() {
        return Err(Problem::field(
            "embedder",
            "unknown_embedder",
            format!(
                "`{}` is not known; this host has `{}`",
                embedder.escape_debug(),
                app.embedder.name()
            ),
        ));
    }
    let objective = &spec.objective;
    if !(0.0..=1.0).contains(&objective.recall_floor) {
        return Err(Problem::field(
            "objective",
            "out_of_bounds",
            "recall_floor must be 0 to 1",
        ));
    }
    if let Some(config) = &spec.config {
        boathouse_tuning::check_config(config)?;
    }
    let bucket = app.bucket_table.get(&spec.home())?;
    let dataset = app.datasets.open(&spec.dataset, None).await?;
    check_columns(&spec, &dataset)?;
    Ok(Plan {
        spec,
        dataset,
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
    let Embedded { table, skipped } = embed(app, &plan, task).await?;
    task.progress("storing vectors", 0, Some(table.len() as u64), "vectors");
    let Encoded {
        table,
        vectors,
        bytes,
        digest,
    } = encode(table, plan.spec.metric).await?;
    let name = &plan.spec.name;
    let path = format!(
        "indexes/{name}/vectors/{}.parquet",
        uuid::Uuid::now_v7().simple()
    );
    app.indexes.quiet(name).await;
    let version = vacant(app, &plan).await?;
    // What an index of this name may have left when it was deleted must not become part of this one.
    sweep_records(&plan.bucket, name).await?;
    if version > 0 {
        forget_copies(&app.bucket_table.rescue(), &plan.bucket, name).await;
    }
    let home_generation = next_generation(&app.buckets.list(), name).await;
    plan.bucket.put(&path, bytes).await?;
    let meta = IndexMeta {
        name: name.clone(),
        dataset: plan.spec.dataset.clone(),
        dataset_version: plan.dataset.version().version,
        text_column: plan.spec.text_column.clone(),
        id_column: plan.spec.id_column.clone(),
        embedder: app.embedder.name().to_owned(),
        embedder_digest: app.embedder.model_digest().to_owned(),
        dimension: table.dimension(),
        metric: plan.spec.metric,
        bucket: plan.bucket.name().clone(),
        home_generation,
        moving_to: None,
        moved_to: None,
        withdrawn_from: None,
        vector_backend: plan.spec.vector_backend,
        config: plan
            .spec
            .config
            .unwrap_or(app.config.vectors.default_config),
        objective: plan.spec.objective.clone(),
        vectors_path: path.clone(),
        data_version: digest.chars().take(16).collect(),
        vectors: table.len() as u64,
        skipped_rows: skipped,
        created_at: app.clock.now(),
        deleted: false,
    };
    let finished = finish(app, &plan, (meta, version), vectors, &table, task).await;
    if finished.is_err() {
        forget(&plan.bucket, name, &path).await;
    }
    finished
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

/// Takes away the vectors that a failed build has stored, unless its commit happened after all or that is
/// unknown.
async fn forget(bucket: &Bucket, name: &IndexName, vectors_path: &str) {
    let found = manifest(&bucket.without_rescue(), name).load().await;
    let forgotten = match found {
        Ok(Some(found)) if found.value.vectors_path == vectors_path => Ok(()),
        Ok(_) => bucket.delete(vectors_path).await,
        Err(error) => Err(error),
    };
    if let Err(error) = forgotten {
        tracing::warn!(index = %name, %error, "vectors of a build that failed may be left over");
    }
}

/// Builds the graph, then commits the manifest, which makes the index visible.
async fn finish(
    app: &App,
    plan: &Plan,
    (meta, version): (IndexMeta, u64),
    vectors: Arc<VectorSet>,
    table: &VectorTable,
    task: &TaskContext,
) -> Result<LiveIndex, Problem> {
    task.progress("building the graph", 0, Some(meta.vectors), "vectors");
    let options = app.tuner_options();
    let cancel = task.cancellation();
    let live =
        LiveIndex::assemble(&plan.bucket, meta.clone(), vectors, table, options, &cancel).await?;
    if cancel.is_cancelled() {
        return Err(Problem::cancelled());
    }
    let manifest = manifest(&plan.bucket, &meta.name);
    manifest.commit(version, &meta).await?;
    task.progress("serving", meta.vectors, Some(meta.vectors), "vectors");
    Ok(live)
}

/// Text turned into vectors.
struct Embedded {
    table: VectorTable,
    skipped: u64,
}

/// Reads and embeds the dataset, batch by batch.
async fn embed(app: &App, plan: &Plan, task: &TaskContext) -> Result<Embedded, Problem> {
    let spec = &plan.spec;
    let mut columns = vec![spec.text_column.as_str()];
    columns.extend(
        spec.id_column
            .as_deref()
            .filter(|id| *id != spec.text_column),
    );
    let id_column = columns.len() - 1;
    let mut batches = plan.dataset.scan(&columns)?;
    let mut work = Embedding::new(&app.embedder, spec.id_column.is_some());
    while let Some(batch) = batches.try_next().await? {
        if task.cancellation().is_cancelled() {
            return Err(Problem::cancelled());
        }
        let embedder = Arc::clone(&app.embedder);
        let worked = tokio::task::spawn_blocking(move || {
            work.add(&embedder, &batch, id_column).map(|()| work)
        });
        work = worked.await.map_err(|error| Problem::internal(&error))??;
        task.progress(
            "embedding",
            work.row,
            Some(plan.dataset.version().rows),
            "texts",
        );
    }
    work.finish(&spec.text_column)
}

/// The state of embedding one dataset.
struct Embedding {
    table: VectorTable,
    /// Ids seen so far, when they come from a column.
    ids: Option<HashSet<String>>,
    /// Rows read so far.
    row: u64,
    skipped: u64,
}

impl Embedding {
    fn new(embedder: &StaticEmbedder, own_ids: bool) -> Self {
        Self {
            table: VectorTable::new(embedder.dimension()),
            ids: own_ids.then(HashSet::new),
            row: 0,
            skipped: 0,
        }
    }

    /// Embeds the rows of a batch that have text.
    fn add(
        &mut self,
        embedder: &StaticEmbedder,
        batch: &RecordBatch,
        id_column: usize,
    ) -> Result<(), Problem> {
        let texts = as_text(batch, 0)?;
        let ids = as_text(batch, id_column)?;
        let given: Vec<&str> = texts.iter().map(Option::unwrap_or_default).collect();
        for (at, vector) in embedder.embed_each(&given).into_iter().enumerate() {
            let Some(vector) = vector else {
                self.skipped += 1;
                continue;
            };
            let row = self.row + at as u64;
            let id = self.id(&ids, at, row)?;
            self.table.push(id, row, &vector)?;
        }
        self.row += batch.num_rows() as u64;
        Ok(())
    }

    fn id(&mut self, ids: &StringArray, at: usize, row: u64) -> Result<String, Problem> {
        let Some(seen) = &mut self.ids else {
            return Ok(row.to_string());
        };
        if ids.is_null(at) {
            return Err(Problem::field(
                "id_column",
                "null_id",
                format!("row {row} has no id; choose a column without nulls"),
            ));
        }
        let id = ids.value(at).to_owned();
        if !seen.insert(id.clone()) {
            return Err(Problem::field(
                "id_column",
                "duplicate_id",
                format!(
                    "two rows have the same id, the second is row {row}; choose a column that identifies a row"
                ),
            ));
        }
        Ok(id)
    }

    fn finish(self, column: &str) -> Result<Embedded, Problem> {
        if self.table.is_empty() {
            return Err(Problem::field(
                "text_column",
                "empty_text_column",
                format!(
                    "column `{column}` holds no text to embed in any of {} rows; choose another",
                    self.row
                ),
            ));
        }
        Ok(Embedded {
            table: self.table,
            skipped: self.skipped,
        })
    }
}

/// Whether Arrow's name of a type is one of text.
fn is_text(data_type: &str) -> bool {
    matches!(data_type, "Utf8" | "LargeUtf8" | "Utf8View")
        || (data_type.starts_with("Dictionary(") && data_type.ends_with("Utf8)"))
}

/// A column as text, whatever its type.
fn as_text(batch: &RecordBatch, column: usize) -> Result<StringArray, Problem> {
    let text = cast(batch.column(column), &DataType::Utf8).map_err(|error| {
        Problem::field(
            "id_column",
            "no_id",
            format!("cannot identify rows ({error}); choose a number or text"),
        )
    })?;
    Ok(text.as_string::<i32>().clone())
}

/// Vectors in the forms in which they are searched and stored.
struct Encoded {
    table: VectorTable,
    vectors: Arc<VectorSet>,
    bytes: Bytes,
    /// SHA-256 of the bytes, in hex.
    digest: String,
}

async fn encode(table: VectorTable, metric: Metric) -> Result<Encoded, Problem> {
    let encoded = tokio::task::spawn_blocking(move || {
        let vectors = Arc::new(table.to_set(metric)?);
        let bytes = Bytes::from(table::write(&table)?);
        let digest = format!("{:x}", Sha256::digest(&bytes));
        Ok::<_, Problem>(Encoded {
            table,
            vectors,
            bytes,
            digest,
        })
    });
    encoded.await.map_err(|error| Problem::internal(&error))?
}
