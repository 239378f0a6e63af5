//! The profiles of a host: one small document in `primary`, `models/profiles`, changed by conditional commits.
//!
//! Whoever changes something decides on what the bucket itself says. Searches and answers go by what was read last, which
//! is at most a minute old: so long may another host that shares the `primary` go by a profile that was changed here.

use std::{collections::BTreeMap, sync::Arc};

use boathouse_models::ProfileId;
use boathouse_storage::{Bucket, StorageError};
use serde::{Deserialize, Serialize};

use super::profile::Profile;
use crate::{agent::ledger::Ledger, problem::Problem};

/// Where the document is.
const PREFIX: &str = "models/profiles";
/// Profiles that there may be.
const MOST: usize = 1_000;

/// All profiles by their ids.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Document {
    profiles: BTreeMap<ProfileId, Profile>,
}

/// The profiles of a host.
pub(crate) struct Profiles {
    ledger: Ledger<Document>,
}

impl Profiles {
    /// The profiles in a bucket; nothing is read yet.
    pub(super) fn new(primary: &Bucket) -> Self {
        Self {
            ledger: Ledger::new(primary, PREFIX),
        }
    }

    /// Reads all of them.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(crate) async fn list(&self) -> Result<Vec<Profile>, StorageError> {
        let document = self.ledger.load().await?;
        Ok(document.profiles.values().cloned().collect())
    }

    /// How many there were when they were read last.
    pub(crate) fn count(&self) -> usize {
        self.ledger.known().profiles.len()
    }

    /// A profile as it was read last; the bucket is asked only for one that was not there then.
    ///
    /// # Errors
    /// 404 `unknown_profile`; when the bucket fails.
    pub(crate) async fn get(&self, id: &ProfileId) -> Result<Profile, Problem> {
        if let Some(known) = self.ledger.known().profiles.get(id) {
            return Ok(known.clone());
        }
        self.read(id).await
    }

    /// A profile as the bucket has it.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn read(&self, id: &ProfileId) -> Result<Profile, Problem> {
        let document: Arc<Document> = self.ledger.load().await?;
        document
            .profiles
            .get(id)
            .cloned()
            .ok_or_else(|| unknown(id))
    }

    /// Enters a profile.
    ///
    /// # Errors
    /// 409 `profile_exists`, `too_many_profiles`; when the bucket fails.
    pub(super) async fn add(&self, profile: &Profile) -> Result<(), Problem> {
        self.ledger
            .change(|document| {
                let (id, all) = (&profile.id, &mut document.profiles);
                if all.contains_key(id) {
                    return Err(Problem::conflict(
                        "profile_exists",
                        format!(
                            "there is a profile `{id}` already; change it or choose another id"
                        ),
                    ));
                }
                if all.len() >= MOST {
                    return Err(Problem::conflict(
                        "too_many_profiles",
                        format!("there are {MOST} profiles; delete one first"),
                    ));
                }
                all.insert(id.clone(), profile.clone());
                Ok(())
            })
            .await?
    }

    /// Puts a profile in the place of `before`, of the same id.
    ///
    /// # Errors
    /// 404; 409 `changed_meanwhile` when somebody else has changed it; when the bucket fails.
    pub(super) async fn replace(&self, before: &Profile, after: &Profile) -> Result<(), Problem> {
        self.ledger
            .change(|document| {
                let known = document.profiles.get_mut(&after.id);
                let known = known.ok_or_else(|| unknown(&after.id))?;
                if *known != *before {
                    return Err(Problem::conflict(
                        "changed_meanwhile",
                        format!(
                            "profile `{}` was changed by somebody else; try again",
                            after.id
                        ),
                    ));
                }
                *known = after.clone();
                Ok(())
            })
            .await?
    }

    /// Strikes a profile out.
    ///
    /// # Errors
    /// 404; when the bucket fails.
    pub(super) async fn remove(&self, id: &ProfileId) -> Result<(), Problem> {
        let struck = self
            .ledger
            .change(|document| document.profiles.remove(id).is_some());
        match struck.await? {
            true => Ok(()),
            false => Err(unknown(id)),
        }
    }
}

fn unknown(id: &ProfileId) -> Problem {
    Problem::not_found(
        "unknown_profile",
        format!(
            "there is no profile `{id}`; `GET /vectors/profile` (`boathouse profile list`) lists them"
        ),
    )
}

#[cfg(test)]
mod tests {
    use boathouse_types::{BucketName, Timestamp};

    use super::{super::profile::ProfileSpec, *};

    fn profile(id: &str) -> Profile {
        let spec = serde_json::json!({"id": id, "ollama_name": "llama3", "indexes": ["contracts"]});
        let spec: ProfileSpec = serde_json::from_value(spec).expect("a profile");
        spec.into_profile(Timestamp::from_millis(1))
    }

    fn code<T: std::fmt::Debug>(refused: Result<T, Problem>) -> String {
        refused.expect_err("refused").code
    }

    #[tokio::test]
    async fn profiles_last_and_of_two_changes_on_one_state_the_first_counts() {
        let primary = Bucket::memory(BucketName::primary());
        let (here, there) = (Profiles::new(&primary), Profiles::new(&primary));
        let lawyers = profile("lawyers");
        here.add(&lawyers).await.expect("added");
        assert_eq!(code(there.add(&lawyers).await), "profile_exists");
        assert_eq!(there.get(&lawyers.id).await.expect("known"), lawyers);
        let changed = |prompt: &str| Profile {
            system_prompt: Some(prompt.to_owned()),
            ..lawyers.clone()
        };
        there
            .replace(&lawyers, &changed("one"))
            .await
            .expect("first");
        let late = here.replace(&lawyers, &changed("two")).await;
        assert_eq!(code(late), "changed_meanwhile");
        assert_eq!(here.read(&lawyers.id).await.expect("read"), changed("one"));
        there.remove(&lawyers.id).await.expect("removed");
        assert_eq!(code(here.remove(&lawyers.id).await), "unknown_profile");
        assert_eq!(here.list().await.expect("listed"), []);
    }
}
