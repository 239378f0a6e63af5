//! What a model profile is: a model that answers, what it may search, and how.
//!
//! A profile is checked when it is made and when it is changed, against what there is then. What it names may go later;
//! whoever uses it finds out and says so. Which models the server has is not asked: a profile may be made before its model
//! is pulled.

use std::collections::BTreeSet;

use boathouse_models::{ModelName, Occupant, ProfileId, RunOptions};
use boathouse_types::{BucketName, DatasetName, IndexConfig, IndexName, Timestamp, VectorBackend};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{app::App, problem::Problem};

/// Indexes, and datasets, that a profile may name.
const MOST_NAMES: usize = 256;
/// Longest system prompt, in bytes.
const MOST_SYSTEM: usize = 32 << 10;
/// Longest options, in bytes of JSON.
const MOST_OPTIONS: usize = 4 << 10;
/// Largest context that may be asked for, in tokens.
const MOST_CONTEXT: u64 = 4 << 20;

/// A model profile, as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Profile {
    /// Its id.
    pub id: ProfileId,
    /// The model that answers.
    pub ollama_name: ModelName,
    /// The model that embeds, which is loaded along; none when nothing of the profile needs one.
    #[serde(default)]
    pub embed_model: Option<ModelName>,
    /// Its indexes; when it names none, those on its datasets.
    #[serde(default)]
    pub indexes: BTreeSet<IndexName>,
    /// Its datasets.
    #[serde(default)]
    pub datasets: BTreeSet<DatasetName>,
    /// The bucket in which indexes are made for it, which is made itself when the profile is activated.
    #[serde(default)]
    pub bucket: Option<BucketName>,
    /// The engine of indexes that are made for it. Its searches are answered by what serves each index.
    #[serde(default)]
    pub vector_backend: Option<VectorBackend>,
    /// The first configuration of indexes made for it; its `ef_search` is that of the profile's searches.
    #[serde(default)]
    pub hnsw_config: Option<IndexConfig>,
    /// How its model is told to answer.
    #[serde(default)]
    pub system_prompt: Option<String>,
    /// How its model is loaded, `num_ctx` for example: the same with every question.
    #[serde(default, skip_serializing_if = "RunOptions::is_empty")]
    pub options: RunOptions,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// A profile that is wanted.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileSpec {
    /// Its id: 1 to 63 lower-case letters, digits, `-` and `_`, not `active`.
    pub id: ProfileId,
    /// The model that answers, by its name at the model server.
    pub ollama_name: ModelName,
    /// The model that embeds, which is loaded along.
    pub embed_model: Option<ModelName>,
    /// Its indexes; when it names none, those on its datasets.
    #[serde(default)]
    pub indexes: BTreeSet<IndexName>,
    /// Its datasets.
    #[serde(default)]
    pub datasets: BTreeSet<DatasetName>,
    /// The bucket in which indexes are made for it.
    pub bucket: Option<BucketName>,
    /// The engine of indexes that are made for it: `parquet`, or `lance`.
    pub vector_backend: Option<VectorBackend>,
    /// The first configuration of indexes made for it; its `ef_search` is that of the profile's searches.
    pub hnsw_config: Option<IndexConfig>,
    /// How its model is told to answer.
    pub system_prompt: Option<String>,
    /// How its model is loaded, `num_ctx` for example.
    #[serde(default)]
    pub options: RunOptions,
}

/// A change of a profile: what is left out stays, `null` takes away.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileChange {
    /// The model that answers; not while the profile is active.
    pub ollama_name: Option<ModelName>,
    /// The model that embeds; not while the profile is active.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub embed_model: Option<Option<ModelName>>,
    /// All of its indexes.
    pub indexes: Option<BTreeSet<IndexName>>,
    /// All of its datasets.
    pub datasets: Option<BTreeSet<DatasetName>>,
    /// The bucket in which indexes are made for it.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub bucket: Option<Option<BucketName>>,
    /// The engine of indexes that are made for it.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<VectorBackend>)]
    pub vector_backend: Option<Option<VectorBackend>>,
    /// The first configuration of indexes made for it, and the `ef_search` of its searches.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<IndexConfig>)]
    pub hnsw_config: Option<Option<IndexConfig>>,
    /// How its model is told to answer.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub system_prompt: Option<Option<String>>,
    /// How its model is loaded; not while the profile is active.
    pub options: Option<RunOptions>,
}

/// What stands in the body, `null` among it.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl ProfileSpec {
    /// As it is kept.
    pub(super) fn into_profile(self, now: Timestamp) -> Profile {
        Profile {
            id: self.id,
            ollama_name: self.ollama_name,
            embed_model: self.embed_model,
            indexes: self.indexes,
            datasets: self.datasets,
            bucket: self.bucket,
            vector_backend: self.vector_backend,
            hnsw_config: self.hnsw_config,
            system_prompt: self.system_prompt,
            options: self.options,
            created_at: now,
            changed_at: now,
        }
    }
}

impl ProfileChange {
    /// What becomes of a profile.
    pub(super) fn applied_to(&self, profile: &Profile, now: Timestamp) -> Profile {
        fn or<T: Clone>(given: &Option<T>, before: &T) -> T {
            given.as_ref().unwrap_or(before).clone()
        }
        Profile {
            id: profile.id.clone(),
            ollama_name: or(&self.ollama_name, &profile.ollama_name),
            embed_model: or(&self.embed_model, &profile.embed_model),
            indexes: or(&self.indexes, &profile.indexes),
            datasets: or(&self.datasets, &profile.datasets),
            bucket: or(&self.bucket, &profile.bucket),
            vector_backend: or(&self.vector_backend, &profile.vector_backend),
            hnsw_config: or(&self.hnsw_config, &profile.hnsw_config),
            system_prompt: or(&self.system_prompt, &profile.system_prompt),
            options: or(&self.options, &profile.options),
            created_at: profile.created_at,
            changed_at: now,
        }
    }
}

impl Profile {
    /// What it asks of the GPU slot.
    pub(super) fn occupant(&self) -> Occupant {
        Occupant {
            profile: self.id.clone(),
            model: self.ollama_name.clone(),
            embedder: self.embed_model.clone(),
            options: self.options.clone(),
        }
    }

    /// Whether an index is one of its own; `on` is the dataset that it is built on, when there is such an index.
    #[must_use]
    pub fn owns(&self, index: &IndexName, on: Option<&DatasetName>) -> bool {
        match self.indexes.is_empty() {
            true => on.is_some_and(|dataset| self.datasets.contains(dataset)),
            false => self.indexes.contains(index),
        }
    }

    /// That it can be: what it names is there, and what it says is within bounds.
    ///
    /// # Errors
    /// 422, naming the field.
    pub(super) async fn check(&self, app: &App) -> Result<(), Problem> {
        if self.indexes.is_empty() && self.datasets.is_empty() {
            return Err(Problem::unprocessable(
                "empty_profile",
                "name `indexes` or `datasets` that the profile is to search",
            ));
        }
        self.check_sizes()?;
        self.check_engine()?;
        if let Some(config) = &self.hnsw_config {
            boathouse_tuning::check_config(config)
                .map_err(|error| Problem::from(error).about("hnsw_config"))?;
        }
        if self.bucket.as_ref() == Some(&BucketName::rescue()) {
            let why = "nothing lives in `rescue`; choose another name";
            return Err(Problem::field("bucket", "bad_bucket", why));
        }
        self.check_names(app).await
    }

    fn check_sizes(&self) -> Result<(), Problem> {
        let names = [
            ("indexes", self.indexes.len()),
            ("datasets", self.datasets.len()),
        ];
        if let Some((field, _)) = names.into_iter().find(|(_, count)| *count > MOST_NAMES) {
            let why = format!("names more than {MOST_NAMES}");
            return Err(Problem::field(field, "too_many_names", why));
        }
        let system = self.system_prompt.as_deref().unwrap_or_default();
        if system.len() > MOST_SYSTEM {
            let why = format!("is longer than {MOST_SYSTEM} bytes");
            return Err(Problem::field("system_prompt", "prompt_too_long", why));
        }
        let bad = |why: &str| Err(Problem::field("options", "bad_options", why));
        let size = serde_json::to_vec(&self.options).map_or(usize::MAX, |text| text.len());
        if size > MOST_OPTIONS {
            return bad("are longer than 4096 bytes");
        }
        match self.options.0.get("num_ctx").map(serde_json::Value::as_u64) {
            None | Some(Some(1..=MOST_CONTEXT)) => Ok(()),
            Some(_) => bad("`num_ctx` is a number of tokens, 1 to 4194304"),
        }
    }

    /// That this host has the engine.
    fn check_engine(&self) -> Result<(), Problem> {
        match self.vector_backend {
            Some(VectorBackend::Lance) if !cfg!(feature = "lance") => Err(Problem::field(
                "vector_backend",
                "no_such_backend",
                "this host was built without Lance and serves `parquet` only",
            )),
            _ => Ok(()),
        }
    }

    async fn check_names(&self, app: &App) -> Result<(), Problem> {
        if let Some(unknown) = self.indexes.iter().find(|name| !app.indexes.knows(name)) {
            let why = format!("there is no index `{unknown}`; `GET /vectors/indexes` lists them");
            return Err(Problem::field("indexes", "unknown_index", why));
        }
        for name in &self.datasets {
            app.datasets
                .get(name)
                .await
                .map_err(|error| Problem::from(error).about("datasets"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(indexes: &[&str], datasets: &[&str]) -> Profile {
        let spec = serde_json::json!({
            "id": "lawyers", "ollama_name": "llama3", "indexes": indexes, "datasets": datasets,
            "system_prompt": "Be brief.", "options": {"num_ctx": 8192},
        });
        let spec: ProfileSpec = serde_json::from_value(spec).expect("a profile");
        spec.into_profile(Timestamp::from_millis(1))
    }

    #[test]
    fn its_indexes_are_those_it_names_else_those_on_its_datasets() {
        let owns = |profile: &Profile, index: &str, on: Option<&str>| {
            let on = on.map(|on| DatasetName::new(on).expect("a name"));
            profile.owns(&IndexName::new(index).expect("a name"), on.as_ref())
        };
        let named = profile(&["contracts"], &["letters"]);
        assert!(owns(&named, "contracts", None));
        assert!(!owns(&named, "mail", Some("letters")));
        let on = profile(&[], &["letters"]);
        assert!(owns(&on, "mail", Some("letters")));
        assert!(!owns(&on, "mail", Some("bills")) && !owns(&on, "mail", None));
    }

    #[test]
    fn a_change_keeps_what_it_leaves_out_and_takes_away_what_is_null() {
        let change = |text: &str| {
            let change: ProfileChange = serde_json::from_str(text).expect("a change");
            change.applied_to(&profile(&["contracts"], &[]), Timestamp::from_millis(2))
        };
        let same = change("{}");
        assert_eq!(same.system_prompt.as_deref(), Some("Be brief."));
        assert_eq!((same.created_at.millis(), same.changed_at.millis()), (1, 2));
        assert_eq!(change(r#"{"system_prompt": null}"#).system_prompt, None);
        let other =
            change(r#"{"ollama_name": "phi", "embed_model": "e5", "datasets": ["letters"]}"#);
        assert_eq!(other.ollama_name.as_str(), "phi:latest");
        assert_eq!(
            other.embed_model.map(String::from).as_deref(),
            Some("e5:latest")
        );
        assert_eq!((other.indexes.len(), other.datasets.len()), (1, 1));
        for wrong in [r#"{"id": "x"}"#, r#"{"ollama_name": "a b"}"#] {
            assert!(
                serde_json::from_str::<ProfileChange>(wrong).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_with_its_field() {
        let good = profile(&["contracts"], &[]);
        assert!(good.check_sizes().is_ok() && good.check_engine().is_ok());
        let refused = |change: &dyn Fn(&mut Profile)| {
            let mut bad = good.clone();
            change(&mut bad);
            let checked = bad.check_sizes().and_then(|()| bad.check_engine());
            let problem = checked.expect_err("out of bounds");
            (problem.code, problem.errors[0].field.clone())
        };
        let told = |code: &str, field: &str| (code.to_owned(), field.to_owned());
        let long = refused(&|bad| bad.system_prompt = Some("x".repeat(MOST_SYSTEM + 1)));
        assert_eq!(long, told("prompt_too_long", "system_prompt"));
        for context in [serde_json::json!(0), serde_json::json!("many")] {
            let bad = refused(&|bad| {
                bad.options.0.insert("num_ctx".to_owned(), context.clone());
            });
            assert_eq!(bad, told("bad_options", "options"));
        }
        let mut on_lance = good.clone();
        on_lance.vector_backend = Some(VectorBackend::Lance);
        assert_eq!(on_lance.check_engine().is_ok(), cfg!(feature = "lance"));
    }
}
