//! What serves at one place, swapped while calls run.
//!
//! A [`Lease`] is taken for one call and keeps the plugin that it began with, so a call that began before
//! a swap ends on the old plugin, one that begins after it uses the new one, and none fails over it. The
//! lock is held to copy a pointer and never while a guest runs. Which plugin serves where, and why, is
//! not decided here.

use std::{
    ops::Deref,
    sync::{Arc, PoisonError, RwLock},
};

use boathouse_types::PluginRef;
use tokio::sync::oneshot;

use crate::Plugin;

/// A place that always has a plugin.
#[derive(Debug)]
pub struct Slot {
    serving: RwLock<Serving>,
}

/// What serves, and how its last lease is noticed.
#[derive(Debug)]
struct Serving {
    held: Arc<Held>,
    gone: oneshot::Receiver<()>,
}

/// A plugin with its leases; dropped with the last of them, which tells the receiver.
#[derive(Debug)]
struct Held {
    plugin: Plugin,
    _gone: oneshot::Sender<()>,
}

/// The plugin that serves, for one call. Keep it as long as the call, no longer: a swap waits for it. (A
/// guest whose caller went away runs on to its end or its deadline without a lease, and nobody gets its
/// answer.)
#[derive(Debug)]
pub struct Lease(Arc<Held>);

/// The leases that a swap left behind.
#[derive(Debug)]
pub struct Drain {
    replaced: PluginRef,
    gone: oneshot::Receiver<()>,
}

impl Serving {
    fn new(plugin: Plugin) -> Self {
        let (tell, gone) = oneshot::channel();
        Self {
            held: Arc::new(Held {
                plugin,
                _gone: tell,
            }),
            gone,
        }
    }
}

impl Slot {
    /// A place where this plugin serves.
    #[must_use]
    pub fn new(plugin: Plugin) -> Self {
        Self {
            serving: RwLock::new(Serving::new(plugin)),
        }
    }

    /// The plugin that serves now, for one call.
    #[must_use]
    pub fn lease(&self) -> Lease {
        let serving = self.serving.read().unwrap_or_else(PoisonError::into_inner);
        Lease(Arc::clone(&serving.held))
    }

    /// Lets another plugin serve. Every lease from here on is of that plugin.
    pub fn swap(&self, plugin: Plugin) -> Drain {
        let new = Serving::new(plugin);
        let old = {
            let mut serving = self.serving.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *serving, new)
        };
        Drain {
            replaced: old.held.plugin.identity().clone(),
            gone: old.gone,
        }
    }
}

impl Deref for Lease {
    type Target = Plugin;

    fn deref(&self) -> &Plugin {
        &self.0.plugin
    }
}

impl Drain {
    /// What served before the swap.
    #[must_use]
    pub fn replaced(&self) -> &PluginRef {
        &self.replaced
    }

    /// Waits until every call that began before the swap has ended.
    pub async fn done(self) {
        // The sender is dropped and never used: the error is the message.
        let _all_gone = self.gone.await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::atomic::{AtomicBool, Ordering::SeqCst},
        task::Poll,
    };

    use boathouse_types::Objective;

    use super::*;
    use crate::{Compiling, PluginHost, PluginHostConfig, testing::TestGuest};

    /// The same honest guest at two versions.
    async fn versions() -> (PluginHost, Plugin, Plugin) {
        let host = PluginHost::new(PluginHostConfig::default(), Compiling::InProcess);
        let host = host.expect("host");
        let mut plugins = Vec::new();
        for version in ["1.0.0", "2.0.0"] {
            let guest = TestGuest {
                version,
                ..TestGuest::default()
            };
            let plugin = host.load(guest.world, &guest.component()).await;
            plugins.push(plugin.expect("loads"));
        }
        let second = plugins.pop().expect("two");
        (host, plugins.pop().expect("two"), second)
    }

    #[tokio::test]
    async fn leases_keep_what_they_began_with_and_the_swap_waits_for_them() {
        let (_host, first, second) = versions().await;
        let slot = Slot::new(first);
        let (before, also_before) = (slot.lease(), slot.lease());
        let drain = slot.swap(second);
        assert_eq!(drain.replaced().version, "1.0.0");
        let after = slot.lease();
        assert_eq!(before.identity().version, "1.0.0");
        assert_eq!(after.identity().version, "2.0.0");

        let mut done = pin!(drain.done());
        let mut is_done = async || {
            std::future::poll_fn(|cx| Poll::Ready(done.as_mut().poll(cx).is_ready())).await
        };
        assert!(!is_done().await);
        drop(before);
        assert!(!is_done().await, "one lease is left");
        drop(also_before);
        assert!(is_done().await, "the new plugin's lease does not count");
        drop(after);
    }

    #[tokio::test]
    async fn a_swap_without_leases_is_done_at_once() {
        let (_host, first, second) = versions().await;
        let slot = Slot::new(first.clone());
        slot.swap(second).done().await;
        let drain = slot.swap(first);
        assert_eq!(drain.replaced().version, "2.0.0");
        drain.done().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_call_fails_while_plugins_are_swapped() {
        let (_host, first, second) = versions().await;
        let slot = Slot::new(first.clone());
        let stop = AtomicBool::new(false);
        let calls = async || {
            let mut calls = 0_u32;
            while !stop.load(SeqCst) {
                let lease = slot.lease();
                let verdicts = lease.evaluate(&[], &Objective::default()).await;
                assert_eq!(verdicts, Ok(Vec::new()));
                calls += 1;
            }
            calls
        };
        let swaps = async {
            for round in 0..50 {
                let next = [&second, &first][round % 2];
                slot.swap(next.clone()).done().await;
                assert_eq!(slot.lease().identity(), next.identity());
                tokio::task::yield_now().await;
            }
            stop.store(true, SeqCst);
        };
        let (a, b, c, ()) = tokio::join!(calls(), calls(), calls(), swaps);
        assert!(a > 0 && b > 0 && c > 0);
        let calls = first.stats().calls + second.stats().calls;
        assert_eq!(calls, u64::from(a + b + c));
    }
}
