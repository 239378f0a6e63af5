//! Graphs cut down from one with a larger `m`: what a trial may measure instead of a build of its own.
//!
//! A derived graph has an identity of its own, which names what it was made of, so that nobody takes it for the
//! build of its configuration. It stays in memory only: what is to serve is built.

use std::{sync::Arc, time::Instant};

use boathouse_types::IndexConfig;
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{BuildOrigin, Builds, Built, build_id, go_on};
use crate::{IndexData, TuningError, blocking::blocking, journal::hex};

/// Largest `m` of a configuration.
const MAX_M: u32 = 128;

impl Builds {
    /// The graph of a configuration for a trial: as it is where there is one, else cut down from the build that
    /// is nearest above it in `m` and else the same, else built.
    ///
    /// # Errors
    /// As [`Self::obtain`].
    pub(crate) async fn obtain_or_derive(
        &self,
        data: &IndexData,
        config: &IndexConfig,
        cancel: &CancellationToken,
    ) -> Result<Built, TuningError> {
        self.check(data, config)?;
        if self.has(data, config).await? {
            return self.obtain(data, config, cancel).await;
        }
        match self.larger(data, config).await? {
            Some(parent) => self.derive(data, config, &parent, cancel).await,
            None => self.obtain(data, config, cancel).await,
        }
    }

    /// Whether a trial of this configuration would have to build.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(crate) async fn must_build(
        &self,
        data: &IndexData,
        config: &IndexConfig,
    ) -> Result<bool, TuningError> {
        Ok(!self.has(data, config).await? && self.larger(data, config).await?.is_none())
    }

    /// The configuration of the build at hand that has the next larger `m` and is else the same.
    async fn larger(
        &self,
        data: &IndexData,
        config: &IndexConfig,
    ) -> Result<Option<IndexConfig>, TuningError> {
        let stored = self.bucket.list(&self.prefix()).await?;
        let is_at_hand = |id: &str| {
            let path = self.path(id);
            stored.iter().any(|object| object.path == path) || self.is_in_memory(id)
        };
        let mut larger = (config.m + 1..=MAX_M).map(|m| IndexConfig { m, ..*config });
        Ok(larger.find(|larger| is_at_hand(&build_id(&data.data_version, larger))))
    }

    fn is_in_memory(&self, id: &str) -> bool {
        let memory = self.lock();
        memory
            .iter()
            .any(|(known, slot)| known == id && slot.initialized())
    }

    async fn derive(
        &self,
        data: &IndexData,
        config: &IndexConfig,
        parent: &IndexConfig,
        cancel: &CancellationToken,
    ) -> Result<Built, TuningError> {
        let parent_id = build_id(&data.data_version, parent);
        let id = derived_id(&parent_id, config.m);
        let slot = self.slot(&id);
        let mut origin = BuildOrigin::Memory;
        // Boxed, so that callers can prove that their own futures are `Send`.
        let made: BoxFuture<'_, Result<_, TuningError>> = Box::pin(async {
            let large = self.obtain(data, parent, cancel).await?.graph;
            let (vectors, m, threads) = (Arc::clone(&data.vectors), config.m, self.threads);
            let derived = blocking(cancel, move |stop| {
                let started = Instant::now();
                let graph = large.derive(&vectors, m, threads, &|_| go_on(stop))?;
                Ok((Arc::new(graph), started.elapsed().as_secs_f64()))
            });
            let (graph, secs) = derived.await?;
            origin = BuildOrigin::Derived { secs };
            Ok(graph)
        });
        let graph = slot.get_or_try_init(|| made).await?;
        Ok(Built {
            graph: Arc::clone(graph),
            build_id: id,
            origin,
            derived_from: Some(parent_id),
        })
    }
}

/// Identity of a graph cut down from another: 16 hexadecimal digits, as of any.
fn derived_id(parent: &str, m: u32) -> String {
    let mut digest = Sha256::new();
    digest.update(b"boathouse derived graph 1\0");
    digest.update(m.to_le_bytes());
    digest.update(parent.as_bytes());
    hex(&digest.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{clustered, index_name, memory_bucket};

    fn config(m: u32) -> IndexConfig {
        IndexConfig {
            m,
            ef_construction: 20,
            ..IndexConfig::default()
        }
    }

    #[tokio::test]
    async fn a_smaller_m_is_cut_from_the_next_larger_build_and_not_stored() {
        let (bucket, data) = (memory_bucket(), clustered(300));
        let builds = Builds::new(&bucket, &index_name(), 1);
        let cancel = CancellationToken::new();
        let get = |m| {
            let (builds, data, cancel) = (builds.clone(), data.clone(), cancel.clone());
            async move {
                builds
                    .obtain_or_derive(&data, &config(m), &cancel)
                    .await
                    .unwrap()
            }
        };
        assert!(builds.must_build(&data, &config(16)).await.unwrap());
        assert_eq!(get(16).await.derived_from, None, "there is nothing to cut");
        let twelve = get(12).await;
        assert!(matches!(twelve.origin, BuildOrigin::Derived { .. }));
        assert_eq!(twelve.graph.m(), 12);
        let sixteen = build_id(&data.data_version, &config(16));
        assert_eq!(twelve.derived_from.as_ref(), Some(&sixteen));
        let eight = get(8).await;
        assert_eq!(eight.derived_from, Some(sixteen), "never from what was cut");
        assert_ne!(eight.build_id, build_id(&data.data_version, &config(8)));
        assert_eq!(get(8).await.origin, BuildOrigin::Memory);
        assert!(!builds.must_build(&data, &config(8)).await.unwrap());
        assert_eq!(bucket.list("indexes").await.unwrap().len(), 1);
        let other = IndexConfig {
            ef_construction: 21,
            ..config(8)
        };
        assert!(builds.must_build(&data, &other).await.unwrap());
        let real = builds.obtain(&data, &config(8), &cancel).await.unwrap();
        assert!(matches!(real.origin, BuildOrigin::Built { .. }));
        assert_eq!(get(8).await.derived_from, None, "the real one is preferred");
    }
}
