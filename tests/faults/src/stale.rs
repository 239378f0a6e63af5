//! What listings showed some changes ago, told from the present listing and what each change undid.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::TryStreamExt;
use object_store::{ListResult, ObjectMeta, ObjectStoreExt, Result, path::Path};

use crate::{FaultyStore, Plan};

/// The last changes, newest first: each path with what was there before.
pub(crate) type History = VecDeque<(Path, Option<ObjectMeta>)>;

impl FaultyStore {
    /// Runs an operation that changes `path`.
    pub(crate) async fn change<T>(
        &self,
        path: &Path,
        operation: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Plan::StaleListings { behind } = self.state.plan() else {
            return self.run(operation).await;
        };
        let mut history = self.state.history.lock().await;
        let before = self.inner.head(path).await.ok();
        let result = self.run(operation).await;
        if result.is_ok() {
            history.push_front((path.clone(), before));
            history.truncate(behind);
        }
        result
    }

    /// The objects under `prefix` as they were before the changes in the history.
    pub(crate) async fn stale(&self, prefix: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        let history = self.state.history.lock().await;
        let listed: Vec<_> = self.inner.list(prefix).try_collect().await?;
        let mut objects: BTreeMap<_, _> = listed
            .into_iter()
            .map(|meta| (meta.location.clone(), meta))
            .collect();
        let root = Path::default();
        let prefix = prefix.unwrap_or(&root);
        for (path, before) in history.iter() {
            if path == prefix || !path.prefix_matches(prefix) {
                continue;
            }
            match before {
                Some(meta) => objects.insert(path.clone(), meta.clone()),
                None => objects.remove(path),
            };
        }
        Ok(objects.into_values().collect())
    }

    /// As [`Self::stale`], one level only.
    pub(crate) async fn stale_level(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let root = Path::default();
        let above = prefix.unwrap_or(&root);
        let mut folders = BTreeSet::new();
        let mut objects = Vec::new();
        for meta in self.stale(prefix).await? {
            let mut below = meta.location.prefix_match(above).into_iter().flatten();
            let (first, second) = (below.next(), below.next());
            match (first, second) {
                (Some(folder), Some(_)) => {
                    folders.insert(above.clone().join(folder));
                }
                _ => objects.push(meta.clone()),
            }
        }
        Ok(ListResult {
            common_prefixes: folders.into_iter().collect(),
            objects,
        })
    }
}
