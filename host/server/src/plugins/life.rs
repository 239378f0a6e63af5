//! What clients may do to a version that is stored: let it serve, go back, take it out, run it beside what
//! serves, delete it.
//!
//! Each step runs to its end even when its client goes away half-way, and answers when every call that
//! began before it has ended. A step that would change nothing answers like one that did.

use std::{sync::Arc, time::Instant};

use boathouse_plugins::Drain;
use boathouse_types::{DatasetName, IndexName, PluginKind, PluginRef};
use futures::future::join_all;
use serde::{Deserialize, Serialize};

use super::{
    Registry,
    edit::{Edit, Moved},
    name::{Place, PluginId},
    view::etag,
};
use crate::problem::Problem;

/// Most places of one activation.
const MOST_PLACES: usize = 1_000;

/// Who wants a change, and of what.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Name for the audit log.
    pub by: String,
    /// The revision that the plugins of the kind must be at, when that matters.
    pub expected: Option<u64>,
}

/// Where a version should serve; without any place, as the default of its kind or in the set of detectors.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ActivateSpec {
    /// Indexes, for a proposer or a scoring plugin.
    pub indexes: Option<Vec<IndexName>>,
    /// Datasets, for a detector.
    pub datasets: Option<Vec<DatasetName>>,
}

/// A change of what serves.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Switched {
    /// What serves now; nothing when the plugin left its places to what serves everywhere.
    pub active: Option<PluginRef>,
    /// What served before; nothing when nothing changed, or no plugin belonged to the place.
    pub replaced: Option<PluginRef>,
    /// Every place that changed.
    pub places: Vec<SwitchedPlace>,
    /// How long the last call took to end that had begun before, in milliseconds.
    pub drained_ms: u64,
    /// For `If-Match`.
    pub etag: String,
}

/// A place at which something else serves now.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SwitchedPlace {
    /// The place.
    pub place: Place,
    /// What served there.
    pub replaced: Option<PluginRef>,
    /// What serves there.
    pub active: Option<PluginRef>,
}

impl ActivateSpec {
    /// The places that are meant, each once.
    ///
    /// # Errors
    /// 422 `wrong_place` for places that the kind does not serve at, for none in a list, for too many.
    pub fn places(self, kind: PluginKind) -> Result<Vec<Place>, Problem> {
        let wrong = |field, detail: String| Err(Problem::field(field, "wrong_place", detail));
        let (field, mut places): (_, Vec<Place>) = match (self.indexes, self.datasets, kind) {
            (None, None, _) => return Ok(vec![Place::Host]),
            (Some(_), Some(_), _) => {
                return wrong("datasets", "give either `indexes` or `datasets`".to_owned());
            }
            (Some(_), None, PluginKind::Pii) => {
                return wrong(
                    "indexes",
                    "a detector serves datasets; give `datasets`".to_owned(),
                );
            }
            (None, Some(_), PluginKind::Proposer | PluginKind::Scoring) => {
                return wrong(
                    "datasets",
                    format!("a {kind} plugin serves indexes; give `indexes`"),
                );
            }
            (Some(names), None, _) => ("indexes", names.into_iter().map(Place::Index).collect()),
            (None, Some(names), _) => ("datasets", names.into_iter().map(Place::Dataset).collect()),
        };
        places.sort();
        places.dedup();
        if places.is_empty() || places.len() > MOST_PLACES {
            return wrong(
                field,
                format!("name 1 to {MOST_PLACES}, or leave the field out"),
            );
        }
        Ok(places)
    }
}

impl Registry {
    /// Lets a version serve.
    ///
    /// # Errors
    /// 404 for an unknown version; 422 `check_failed` when it was never checked and does not pass; 422
    /// `settings_declined` when it declines its settings; 412; why it does not load.
    pub async fn activate(
        self: &Arc<Self>,
        id: PluginId,
        version: String,
        places: Vec<Place>,
        wish: Wish,
    ) -> Result<Switched, Problem> {
        let registry = Arc::clone(self);
        let work = async move {
            registry.check_stored(&id, &version).await?;
            // Loaded here, so that others need not wait for it to take their turn.
            let plugin = registry.loaded(&id, &version).await?;
            registry.check_settings(&plugin).await?;
            let plugin = plugin.identity().clone();
            let health = registry.health(id.kind(), &plugin);
            let was_suspended = health.is_suspended();
            let step = |edit: &mut Edit| {
                edit.catalogue().named(&id, &version)?;
                Ok(edit.activate(&plugin, &places))
            };
            let changed = registry
                .change(id.kind(), &wish.by, wish.expected, step)
                .await?;
            if was_suspended {
                health.reinstate();
            }
            Ok(switched(
                Some(plugin),
                changed.outcome,
                changed.revision,
                changed.drains,
            )
            .await)
        };
        self.background.settle(work).await
    }

    /// Lets serve what served before, wherever the plugin serves.
    ///
    /// # Errors
    /// 404 for an unknown plugin; 409 `no_previous`; 412; why the version before does not load.
    pub async fn roll_back(
        self: &Arc<Self>,
        id: PluginId,
        wish: Wish,
    ) -> Result<Switched, Problem> {
        self.leave(id, wish, Edit::roll_back).await
    }

    /// Takes a plugin out of the set of detectors and of every index and dataset.
    ///
    /// # Errors
    /// 404 for an unknown plugin; 409 `is_default` or `not_active`; 412.
    pub async fn deactivate(
        self: &Arc<Self>,
        id: PluginId,
        wish: Wish,
    ) -> Result<Switched, Problem> {
        self.leave(id, wish, Edit::deactivate).await
    }

    async fn leave(
        self: &Arc<Self>,
        id: PluginId,
        wish: Wish,
        step: fn(&mut Edit, &PluginId) -> Result<Vec<Moved>, Problem>,
    ) -> Result<Switched, Problem> {
        let registry = Arc::clone(self);
        let work = async move {
            let change = |edit: &mut Edit| {
                edit.catalogue().of(&id).map(drop)?;
                step(edit, &id)
            };
            let changed = registry
                .change(id.kind(), &wish.by, wish.expected, change)
                .await?;
            let moved = changed.outcome;
            let active = moved.iter().find_map(|moved| moved.to.clone());
            if let Some(plugin) = &active {
                registry.health(id.kind(), plugin).reinstate();
            }
            Ok(switched(active, moved, changed.revision, changed.drains).await)
        };
        self.background.settle(work).await
    }

    /// Runs a version beside what serves.
    ///
    /// # Errors
    /// 404 for an unknown version; 409 `version_in_use` when it serves; 412; why it does not load.
    pub async fn begin_shadow(
        self: &Arc<Self>,
        id: PluginId,
        version: String,
        wish: Wish,
    ) -> Result<(), Problem> {
        let registry = Arc::clone(self);
        let work = async move {
            registry.check_stored(&id, &version).await?;
            let plugin = registry.loaded(&id, &version).await?;
            let step = |edit: &mut Edit| {
                edit.catalogue().named(&id, &version)?;
                edit.begin_shadow(plugin.identity())
            };
            let changed = registry.change(id.kind(), &wish.by, wish.expected, step);
            changed.await.map(drop)
        };
        self.background.settle(work).await
    }

    /// Lets a version no longer run beside what serves.
    ///
    /// # Errors
    /// 404 for an unknown version; 409 `no_shadow` when it does not run; 412.
    pub async fn end_shadow(
        self: &Arc<Self>,
        id: PluginId,
        version: String,
        wish: Wish,
    ) -> Result<(), Problem> {
        let registry = Arc::clone(self);
        let work = async move {
            let step = |edit: &mut Edit| {
                let entry = edit.catalogue().named(&id, &version)?;
                if entry.shadow_since.is_none() {
                    return Err(Problem::conflict(
                        "no_shadow",
                        format!("version `{version}` of {id} runs beside nothing"),
                    ));
                }
                let plugin = entry.plugin();
                edit.end_shadow(&plugin);
                Ok(())
            };
            let changed = registry.change(id.kind(), &wish.by, wish.expected, step);
            changed.await.map(drop)
        };
        self.background.settle(work).await
    }

    /// Deletes a version and, when no other has them, its bytes.
    ///
    /// # Errors
    /// 404 for an unknown version; 409 `version_in_use` while it serves or runs as a shadow; 412.
    pub async fn delete(
        self: &Arc<Self>,
        id: PluginId,
        version: String,
        wish: Wish,
    ) -> Result<(), Problem> {
        let registry = Arc::clone(self);
        let work = async move {
            let step = |edit: &mut Edit| {
                let entry = edit.catalogue().named(&id, &version)?;
                let (plugin, digest) = (entry.plugin(), entry.digest.clone());
                edit.delete(&plugin)?;
                Ok(digest)
            };
            let _comings = registry.comings.lock().await;
            let changed = registry
                .change(id.kind(), &wish.by, wish.expected, step)
                .await?;
            registry.forget(&changed.outcome).await;
            Ok(())
        };
        self.background.settle(work).await
    }
}

/// Waits for the calls that began before, and tells.
async fn switched(
    active: Option<PluginRef>,
    moved: Vec<Moved>,
    revision: u64,
    drains: Vec<Drain>,
) -> Switched {
    let began = Instant::now();
    join_all(drains.into_iter().map(Drain::done)).await;
    let places: Vec<SwitchedPlace> = moved
        .into_iter()
        .map(|moved| SwitchedPlace {
            place: moved.place,
            replaced: moved.from,
            active: moved.to,
        })
        .collect();
    Switched {
        active,
        replaced: places.iter().find_map(|place| place.replaced.clone()),
        places,
        drained_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        etag: etag(revision),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_fit_the_kind_and_are_few() {
        let index = |name: &str| IndexName::new(name).expect("name");
        let dataset = |name: &str| DatasetName::new(name).expect("name");
        let spec = |indexes: Option<&[&str]>, datasets: Option<&[&str]>| ActivateSpec {
            indexes: indexes.map(|names| names.iter().map(|name| index(name)).collect()),
            datasets: datasets.map(|names| names.iter().map(|name| dataset(name)).collect()),
        };
        let (scoring, pii) = (PluginKind::Scoring, PluginKind::Pii);
        assert_eq!(spec(None, None).places(pii).expect("host"), [Place::Host]);
        let twice = spec(Some(&["b", "a", "b"]), None).places(scoring);
        assert_eq!(
            twice.expect("two"),
            [Place::Index(index("a")), Place::Index(index("b"))]
        );
        let one = spec(None, Some(&["d"])).places(pii);
        assert_eq!(one.expect("one"), [Place::Dataset(dataset("d"))]);
        for (spec, kind) in [
            (spec(Some(&["a"]), None), pii),
            (spec(None, Some(&["d"])), scoring),
            (spec(None, Some(&["d"])), PluginKind::Proposer),
            (spec(Some(&["a"]), Some(&["d"])), scoring),
            (spec(Some(&[]), None), scoring),
            (spec(None, Some(&[])), pii),
        ] {
            let problem = spec.places(kind).expect_err("refused");
            assert_eq!(
                (problem.status, problem.code.as_str()),
                (422, "wrong_place")
            );
        }
    }
}
