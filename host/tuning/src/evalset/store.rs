//! Evaluation sets at rest: one JSON object each, `_evalsets/{index}/{name}.json`.
//!
//! ```text
//! {"format": "boathouse-evalset", "version": 1, "digest": "<sha256 of all that follows>",
//!  "name", "index", "data_version", "vectors", "dimension", "metric", "k", "seed", "embedder_digest",
//!  "queries": [{"vector": "<8 hexadecimal digits per component: the bits of the f32>",
//!               "held_out": 7, "truth": [3, 1, 4]}]}
//! ```
//! Vectors are stored as bits so that they come back exactly and in less room than decimals take. Sets of older
//! hosts have no `embedder_digest`. A newer version, another digest or an impossible value is refused with the object named.

use boathouse_storage::{Bucket, StorageError};
use boathouse_types::{Dimension, IndexName, Metric};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{EvalQuery, EvalSet, EvalSetName};
use crate::{TuningError, blocking::blocking, journal::hex};

const FORMAT: &str = "boathouse-evalset";
const VERSION: u32 = 1;

/// The evaluation sets of one index.
#[derive(Debug, Clone)]
pub struct EvalSets {
    bucket: Bucket,
    index: IndexName,
}

impl EvalSets {
    /// The sets of `index` in `bucket`; nothing is read or written yet.
    #[must_use]
    pub fn new(bucket: &Bucket, index: &IndexName) -> Self {
        Self {
            bucket: bucket.clone(),
            index: index.clone(),
        }
    }

    /// Stores a set, replacing one of the same name.
    ///
    /// # Errors
    /// When the set is of another index, or the bucket fails.
    pub async fn save(&self, set: &EvalSet) -> Result<(), TuningError> {
        if set.index != self.index {
            return Err(TuningError::InvalidInput(format!(
                "evaluation set `{}` is for index `{}`, not `{}`",
                set.name, set.index, self.index
            )));
        }
        let (path, set) = (self.path(&set.name), set.clone());
        let bytes = blocking(&CancellationToken::new(), move |_| encode(&set)).await?;
        self.bucket.put(&path, Bytes::from(bytes)).await?;
        Ok(())
    }

    /// Reads a set.
    ///
    /// # Errors
    /// [`TuningError::NotFound`]; [`TuningError::Damaged`] when the object is not what was written;
    /// [`StorageError::NewerFormat`] when a later release wrote it; or the bucket fails.
    pub async fn load(&self, name: &EvalSetName) -> Result<EvalSet, TuningError> {
        let path = self.path(name);
        let bytes = match self.bucket.get(&path).await {
            Ok(bytes) => bytes,
            Err(StorageError::NotFound { .. }) => {
                return Err(TuningError::NotFound {
                    what: "evaluation set",
                    name: name.to_string(),
                    index: self.index.clone(),
                });
            }
            Err(error) => return Err(error.into()),
        };
        let (name, index) = (name.clone(), self.index.clone());
        blocking(&CancellationToken::new(), move |_| {
            check_version(&path, &bytes)?;
            decode(&bytes)
                .and_then(|set| {
                    let right = set.name == name && set.index == index;
                    right
                        .then_some(set)
                        .ok_or_else(|| "it is another set's object".to_owned())
                })
                .map_err(|detail| TuningError::Damaged { path, detail })
        })
        .await
    }

    /// Names of all sets, in order.
    ///
    /// # Errors
    /// When the bucket fails.
    pub async fn list(&self) -> Result<Vec<EvalSetName>, TuningError> {
        let objects = self.bucket.list(&self.prefix()).await?;
        let mut names: Vec<EvalSetName> = objects
            .iter()
            .filter_map(|object| object.path.rsplit('/').next()?.strip_suffix(".json"))
            .filter_map(|name| EvalSetName::new(name).ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Deletes a set; one that is missing is fine.
    ///
    /// # Errors
    /// When the bucket fails.
    pub async fn delete(&self, name: &EvalSetName) -> Result<(), TuningError> {
        Ok(self.bucket.delete(&self.path(name)).await?)
    }

    fn prefix(&self) -> String {
        format!("_evalsets/{}", self.index)
    }

    fn path(&self, name: &EvalSetName) -> String {
        format!("{}/{name}.json", self.prefix())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    version: u32,
    digest: String,
    name: EvalSetName,
    index: IndexName,
    data_version: String,
    vectors: u64,
    dimension: Dimension,
    metric: Metric,
    k: u32,
    seed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    embedder_digest: Option<String>,
    queries: Vec<DocumentQuery>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentQuery {
    vector: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_out: Option<u32>,
    truth: Vec<u32>,
}

/// The part of a document that is read before the rest is believed.
#[derive(Deserialize)]
struct Header {
    format: String,
    version: u32,
}

fn encode(set: &EvalSet) -> Result<Vec<u8>, TuningError> {
    let query = |query: &EvalQuery| DocumentQuery {
        vector: bits_of(&query.vector),
        held_out: query.held_out,
        truth: query.truth.clone(),
    };
    let mut document = Document {
        format: FORMAT.to_owned(),
        version: VERSION,
        digest: String::new(),
        name: set.name.clone(),
        index: set.index.clone(),
        data_version: set.data_version.clone(),
        vectors: set.vectors,
        dimension: set.dimension,
        metric: set.metric,
        k: set.k,
        seed: set.seed,
        embedder_digest: set.embedder_digest.clone(),
        queries: set.queries.iter().map(query).collect(),
    };
    let unwritable = |error| TuningError::InvalidInput(format!("not an evaluation set: {error}"));
    document.digest = digest(&document).map_err(unwritable)?;
    serde_json::to_vec(&document).map_err(unwritable)
}

/// SHA-256 of the document's text with an empty digest.
fn digest(document: &Document) -> Result<String, serde_json::Error> {
    Ok(hex(&Sha256::digest(serde_json::to_vec(document)?)))
}

/// Refuses a newer version by name; what is no evaluation set at all is for [`decode`] to tell.
fn check_version(path: &str, bytes: &[u8]) -> Result<(), StorageError> {
    match serde_json::from_slice::<Header>(bytes) {
        Ok(header) if header.format == FORMAT && header.version > VERSION => {
            Err(StorageError::NewerFormat {
                path: path.to_owned(),
                format: FORMAT,
                found: header.version.into(),
                supported: VERSION.into(),
            })
        }
        _ => Ok(()),
    }
}

fn decode(bytes: &[u8]) -> Result<EvalSet, String> {
    let header: Header = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if header.format != FORMAT || header.version != VERSION {
        return Err(format!(
            "it is {} version {}, not {FORMAT} version {VERSION}",
            header.format.escape_debug().take(40).collect::<String>(),
            header.version
        ));
    }
    let mut document: Document =
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let written = std::mem::take(&mut document.digest);
    if digest(&document).map_err(|error| error.to_string())? != written {
        return Err("its digest does not match its content".to_owned());
    }
    let queries = document
        .queries
        .iter()
        .map(|query| checked(query, &document))
        .collect::<Option<Vec<_>>>()
        .filter(|queries| !queries.is_empty() && document.k > 0)
        .ok_or("a query has an impossible vector or answer")?;
    Ok(EvalSet {
        name: document.name,
        index: document.index,
        data_version: document.data_version,
        vectors: document.vectors,
        dimension: document.dimension,
        metric: document.metric,
        k: document.k,
        seed: document.seed,
        embedder_digest: document.embedder_digest,
        queries,
    })
}

/// A query whose components are finite and whose answers are distinct rows of the index.
fn checked(query: &DocumentQuery, document: &Document) -> Option<EvalQuery> {
    let vector = from_bits(&query.vector)?;
    let in_range = |row: &u32| u64::from(*row) < document.vectors;
    let mut rows = query.truth.clone();
    rows.sort_unstable();
    rows.dedup();
    let sound = vector.len() == document.dimension.get()
        && vector.iter().all(|component| component.is_finite())
        && !query.truth.is_empty()
        && query.truth.len() <= document.k as usize
        && rows.len() == query.truth.len()
        && rows.iter().chain(&query.held_out).all(in_range)
        && query.held_out.is_none_or(|own| !rows.contains(&own));
    sound.then(|| EvalQuery {
        vector,
        held_out: query.held_out,
        truth: query.truth.clone(),
    })
}

fn bits_of(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|component| component.to_bits().to_be_bytes())
        .collect();
    hex(&bytes)
}

fn from_bits(text: &str) -> Option<Vec<f32>> {
    text.as_bytes()
        .chunks(8)
        .map(|digits| {
            let digits = std::str::from_utf8(digits)
                .ok()
                .filter(|digits| digits.len() == 8)?;
            u32::from_str_radix(digits, 16).ok().map(f32::from_bits)
        })
        .collect()
}
