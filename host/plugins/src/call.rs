//! One call: a fresh instance in a store of its own, asked once, its answer checked, and everything dropped.
//!
//! Whatever happens to the guest becomes a [`PluginError`] that says what explains most: the deadline, a
//! limit that was hit, then the crash itself. Time and memory are told for failed calls too. CPU-bound:
//! never to be run on an async thread.

use std::time::{Duration, Instant};

use wasmtime::{Engine, Trap, component::ResourceTableError};
use wasmtime_wasi::I32Exit;

use crate::{
    Limits, PluginError,
    answer::{Flaw, Untrusted},
    guest::{self, GuestState, Settings},
    inquiry::Inquiry,
    shape::one_line,
};

/// Everything about a call but the question.
pub(crate) struct Call<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) limits: &'a Limits,
    /// What messages call the plugin.
    pub(crate) label: &'a str,
    pub(crate) settings: &'a Settings,
}

/// A call that is over.
pub(crate) struct Ended<Answer> {
    pub(crate) answer: Result<Answer, PluginError>,
    pub(crate) took: Duration,
    /// Most linear memory that the guest held, in bytes.
    pub(crate) peak_memory: u64,
}

impl Call<'_> {
    /// Asks a fresh instance.
    pub(crate) fn run<I: Inquiry>(&self, inquiry: &I) -> Ended<I::Answer> {
        let started = Instant::now();
        let limits = self.limits;
        let mut store = guest::store(
            self.engine,
            limits,
            self.label,
            self.settings,
            inquiry.seed(),
        );
        if I::SEES_VALUES {
            store.data().log.keep_quiet();
        }
        let answer = match inquiry.put(&mut store) {
            Err(error) => Err(fault(&error, store.data(), self.label, limits)),
            Ok(Err(declared)) => {
                let (why, text) = Untrusted::new(declared).declined(limits);
                Err(PluginError::Declined {
                    plugin: self.label.to_owned(),
                    why,
                    text,
                })
            }
            Ok(Ok(said)) => inquiry
                .check(Untrusted::new(said), limits)
                .map_err(|Flaw(what)| PluginError::BadAnswer {
                    plugin: self.label.to_owned(),
                    what,
                }),
        };
        let peak_memory = store.data().limiter.peak_memory();
        drop(store);
        Ended {
            answer,
            took: started.elapsed(),
            peak_memory,
        }
    }
}

/// What a failed call means.
pub(crate) fn fault(
    error: &wasmtime::Error,
    state: &GuestState,
    plugin: &str,
    limits: &Limits,
) -> PluginError {
    tracing::debug!(plugin, "{error:?}");
    let plugin = plugin.to_owned();
    let log = state.log.tail();
    let trap = error.downcast_ref::<Trap>().copied();
    if trap == Some(Trap::Interrupt) {
        return PluginError::Deadline {
            plugin,
            deadline_ms: limits.deadline_ms,
            log,
        };
    }
    if let Some(limit) = limit_hit(error, trap, state, limits) {
        return PluginError::Limit { plugin, limit, log };
    }
    let what = match (trap, error.downcast_ref::<I32Exit>()) {
        (Some(trap), _) => trap.to_string(),
        (None, Some(_)) => "it tried to exit the process".to_owned(),
        (None, None) => one_line(&error.root_cause()),
    };
    PluginError::Trap { plugin, what, log }
}

fn limit_hit(
    error: &wasmtime::Error,
    trap: Option<Trap>,
    state: &GuestState,
    limits: &Limits,
) -> Option<String> {
    if trap == Some(Trap::StackOverflow) {
        return Some("its stack".to_owned());
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        return Some(format!("{} resource handles", limits.resource_handles));
    }
    // The engine does not export the type of this error; a test holds its text fast.
    if error
        .root_cause()
        .to_string()
        .contains("hostcalls has been exhausted")
    {
        return Some(format!(
            "{} bytes handed to the host at once",
            limits.hostcall_bytes
        ));
    }
    state.limiter.refused().map(str::to_owned)
}
