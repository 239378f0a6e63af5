//! The JSON of the model server's protocol (Ollama's HTTP API, as of its sources of August 2026), and what is made of it.
//!
//! Answers are read tolerantly: fields that are not known are passed over, those that some versions lack are optional.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::ModelName;

/// Options of a model's run, such as `num_ctx`. A model server loads a model anew when they differ from those that it
/// was loaded with, so the same go with every request to a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct RunOptions(pub Map<String, Value>);

impl RunOptions {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How long a model stays in memory after its last request; zero unloads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive(pub Duration);

impl KeepAlive {
    /// Out of memory at once.
    pub const UNLOAD: Self = Self(Duration::ZERO);
}

/// As a duration with its unit: a text of digits alone is refused by the server.
impl Serialize for KeepAlive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_millis() {
            0 => serializer.serialize_u64(0),
            millis if millis % 1_000 == 0 => {
                serializer.collect_str(&format_args!("{}s", millis / 1_000))
            }
            millis => serializer.collect_str(&format_args!("{millis}ms")),
        }
    }
}

/// `POST api/generate`.
#[derive(Debug, Serialize)]
pub(super) struct GenerateBody<'a> {
    pub(super) model: &'a ModelName,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) prompt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) system: Option<&'a str>,
    #[serde(skip_serializing_if = "RunOptions::is_empty")]
    pub(super) options: &'a RunOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keep_alive: Option<KeepAlive>,
    pub(super) stream: bool,
}

/// `POST api/embed`.
#[derive(Debug, Serialize)]
pub(super) struct EmbedBody<'a> {
    pub(super) model: &'a ModelName,
    pub(super) input: &'a [&'a str],
    /// Texts that are too long are cut, not refused.
    pub(super) truncate: bool,
    #[serde(skip_serializing_if = "RunOptions::is_empty")]
    pub(super) options: &'a RunOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keep_alive: Option<KeepAlive>,
}

/// Answer of `api/embed`.
#[derive(Debug, Deserialize)]
pub(super) struct EmbedAnswer {
    #[serde(default)]
    pub(super) embeddings: Vec<Vec<f32>>,
}

/// A line of `api/generate`, or its only one.
#[derive(Debug, Deserialize)]
pub(super) struct GenerateLine {
    #[serde(default)]
    pub(super) response: String,
    #[serde(default)]
    pub(super) done: bool,
    pub(super) done_reason: Option<String>,
    pub(super) prompt_eval_count: Option<u64>,
    pub(super) eval_count: Option<u64>,
    /// Nanoseconds.
    pub(super) load_duration: Option<u64>,
    /// Nanoseconds.
    pub(super) total_duration: Option<u64>,
    /// In the place of everything else, also in the middle of an answer.
    pub(super) error: Option<String>,
}

/// What a refusal says.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) error: String,
}

/// Answer of `api/version`.
#[derive(Debug, Deserialize)]
pub(super) struct VersionAnswer {
    pub(super) version: String,
}

/// Answer of `api/ps`.
#[derive(Debug, Deserialize)]
pub(super) struct PsAnswer {
    #[serde(default)]
    pub(super) models: Vec<PsModel>,
}

/// An entry of `api/ps`.
#[derive(Debug, Deserialize)]
pub(super) struct PsModel {
    name: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    size_vram: u64,
    #[serde(default)]
    digest: String,
    expires_at: Option<String>,
    context_length: Option<u64>,
}

/// Answer of `api/tags`.
#[derive(Debug, Deserialize)]
pub(super) struct TagsAnswer {
    #[serde(default)]
    pub(super) models: Vec<TagsModel>,
}

/// An entry of `api/tags`.
#[derive(Debug, Deserialize)]
pub(super) struct TagsModel {
    name: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    capabilities: Vec<String>,
}

/// A model in the memory of the model server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Resident {
    /// Its name, tag included.
    pub name: String,
    /// Bytes that it takes, wherever they are.
    pub size_bytes: u64,
    /// Bytes of these that are on a GPU.
    pub vram_bytes: u64,
    /// What tells its content from others'.
    pub digest: String,
    /// When the server will unload it by its own clock, RFC 3339.
    pub expires_at: Option<String>,
    /// Tokens that it is loaded for.
    pub context_length: Option<u64>,
}

impl Resident {
    /// Whether it is this model.
    #[must_use]
    pub fn is(&self, model: &ModelName) -> bool {
        self.name == model.as_str()
    }

    /// Whether all of it is on a GPU; none where the server tells no size.
    #[must_use]
    pub fn wholly_on_gpu(&self) -> Option<bool> {
        (self.size_bytes > 0).then_some(self.vram_bytes >= self.size_bytes)
    }
}

impl From<PsModel> for Resident {
    fn from(model: PsModel) -> Self {
        Self {
            name: canonical(model.name),
            size_bytes: model.size,
            vram_bytes: model.size_vram,
            digest: model.digest,
            expires_at: model.expires_at,
            context_length: model.context_length,
        }
    }
}

/// A model that the model server has on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct KnownModel {
    /// Its name, tag included.
    pub name: String,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// What tells its content from others'.
    pub digest: String,
    /// What it can do, such as `completion` and `embedding`; empty where the server does not tell.
    pub capabilities: Vec<String>,
}

impl KnownModel {
    /// Whether it is this model.
    #[must_use]
    pub fn is(&self, model: &ModelName) -> bool {
        self.name == model.as_str()
    }

    /// Whether it makes embeddings; none where the server does not tell.
    #[must_use]
    pub fn embeds(&self) -> Option<bool> {
        self.can("embedding")
    }

    /// Whether it answers in words; none where the server does not tell.
    #[must_use]
    pub fn answers(&self) -> Option<bool> {
        self.can("completion")
    }

    fn can(&self, what: &str) -> Option<bool> {
        let told = !self.capabilities.is_empty();
        told.then(|| self.capabilities.iter().any(|one| one == what))
    }
}

impl From<TagsModel> for KnownModel {
    fn from(model: TagsModel) -> Self {
        Self {
            name: canonical(model.name),
            size_bytes: model.size,
            digest: model.digest,
            capabilities: model.capabilities,
        }
    }
}

/// The spelling by which names are compared; a name that is none of ours stays as it is.
fn canonical(name: String) -> String {
    ModelName::new(&name).map_or(name, String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alive_has_its_unit_unless_it_is_zero() {
        let check = |millis, expected: Value| {
            let keep = KeepAlive(Duration::from_millis(millis));
            assert_eq!(serde_json::to_value(keep).unwrap(), expected);
        };
        check(0, 0.into());
        check(300_000, "300s".into());
        check(1_500, "1500ms".into());
    }

    #[test]
    fn what_the_server_does_not_tell_is_not_known() {
        let model: TagsModel = serde_json::from_str(r#"{"name": "a"}"#).unwrap();
        let model = KnownModel::from(model);
        assert_eq!((model.embeds(), model.answers()), (None, None));
        assert!(model.is(&ModelName::new("a").unwrap()));
        let model: PsModel = serde_json::from_str(r#"{"name": "a:b", "unknown": 1}"#).unwrap();
        assert_eq!(Resident::from(model).wholly_on_gpu(), None);
    }
}
