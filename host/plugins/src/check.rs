//! All that a component has to show before it may serve: the checks of an upload.
//!
//! Checks that do not depend on each other all run, so that one report names everything that is wrong.
//! What would only repeat an earlier failure is left out and says so. In particular nothing is compiled
//! that could not be linked, and no guest runs that was not compiled. The golden questions run one
//! component at a time, beside the calls of plugins that serve and not in their queue.

mod conformance;
mod report;

use std::{sync::Arc, time::Instant};

use boathouse_types::PluginKind;
use bytes::Bytes;
use wasmtime::component::Component;

pub use report::{Check, CheckName, CheckOutcome, CheckReport};

use crate::{
    Plugin, PluginError,
    answer::Described,
    call::Call,
    compile::CompileError,
    component::{Guest, Misfit},
    digest::Digest,
    error::Complaint,
    guest::Settings,
    host::{self, Runtime},
    shape::{self, Shape},
};
use report::Progress;

/// What a component is handed in under; what is given has to be what it says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// `team/name`.
    pub name: Option<String>,
    /// Semantic version.
    pub version: Option<String>,
}

/// A component after all checks.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What was found.
    pub report: CheckReport,
    /// The plugin, ready to be asked, exactly when every check passed.
    pub plugin: Option<Plugin>,
}

/// A component under examination.
struct Examination {
    runtime: Arc<Runtime>,
    kind: PluginKind,
    bytes: Bytes,
    digest: Digest,
    progress: Progress,
    described: Option<Described>,
}

/// Runs all checks. An error is the host's trouble and says nothing of the component.
pub(crate) async fn run(
    runtime: Arc<Runtime>,
    kind: PluginKind,
    bytes: Bytes,
    expected: Expected,
) -> Result<Checked, PluginError> {
    let (mut examination, compilable) = {
        let runtime = Arc::clone(&runtime);
        host::blocking(move || Ok(Examination::begin(runtime, kind, bytes))).await?
    };
    if !compilable {
        return Ok(examination.end(None));
    }
    let Some(component) = examination.compile().await? else {
        return Ok(examination.end(None));
    };
    let turn = runtime.turn_to_load().await?;
    host::blocking(move || {
        let _turn = turn;
        let guest = examination.ask(&component, &expected);
        Ok(examination.end(guest))
    })
    .await
}

impl Examination {
    /// The checks of the bytes, and whether they are worth compiling.
    fn begin(runtime: Arc<Runtime>, kind: PluginKind, bytes: Bytes) -> (Self, bool) {
        let mut progress = Progress::default();
        let limits = runtime.config.limits.of(kind);
        let size = progress.run(CheckName::Size, || shape::check_size(&bytes, limits));
        let preamble = progress.run(CheckName::Preamble, || shape::check_preamble(&bytes));
        let shape = size
            .and(preamble)
            .and_then(|()| progress.run(CheckName::Parse, || Shape::read(&bytes)));
        let compilable = shape.is_some_and(|shape| {
            let imports = progress.run(CheckName::Imports, || shape.check_imports());
            let exports = progress.run(CheckName::Exports, || shape.check_exports(kind));
            imports.and(exports).is_some()
        });
        let examination = Self {
            digest: Digest::of(&bytes),
            runtime,
            kind,
            bytes,
            progress,
            described: None,
        };
        (examination, compilable)
    }

    async fn compile(&mut self) -> Result<Option<Component>, PluginError> {
        let started = Instant::now();
        let compiler = &self.runtime.compiler;
        let compiled = compiler.component(self.digest, &self.bytes).await;
        let took = started.elapsed();
        match compiled {
            Ok(component) => {
                self.progress.pass(CheckName::Compile, None, took);
                Ok(Some(component))
            }
            Err(CompileError::Refused(complaint)) => {
                self.progress.fail(CheckName::Compile, complaint, took);
                Ok(None)
            }
            Err(CompileError::Host(what)) => Err(PluginError::Host { what }),
        }
    }

    /// The checks of what was compiled: types, description, and golden questions. Gives the guest when
    /// it can be asked.
    fn ask(&mut self, component: &Component, expected: &Expected) -> Option<Guest> {
        let runtime = Arc::clone(&self.runtime);
        let limits = runtime.config.limits.of(self.kind);
        let started = Instant::now();
        let guest = match Guest::fit(self.kind, component, &runtime.linker, limits) {
            Ok(guest) => guest,
            Err(misfit) => {
                let name = match misfit {
                    Misfit::Needs(_) => CheckName::Compile,
                    Misfit::Imports(_) => CheckName::Imports,
                    Misfit::Exports(_) => CheckName::Exports,
                };
                let took = started.elapsed();
                self.progress.fail(name, misfit.complaint(), took);
                return None;
            }
        };
        let label = self.digest.nameless();
        self.describe(&guest, &label, expected);
        let deterministic = self
            .described
            .as_ref()
            .is_none_or(|said| said.deterministic);
        let call = Call {
            engine: &runtime.engine,
            limits,
            label: &label,
            settings: &Settings::from([]),
        };
        conformance::run(&guest, &call, deterministic, &mut self.progress);
        Some(guest)
    }

    /// What it says of itself, held against what it was handed in under.
    fn describe(&mut self, guest: &Guest, label: &str, expected: &Expected) {
        let started = Instant::now();
        let described = host::describe(&self.runtime, self.kind, guest, label);
        let complaint = match &described {
            Err(PluginError::Refused { what, cure, .. }) => Some(Complaint::new(what, cure)),
            Err(error) => Some(Complaint::new(
                error.reason(),
                "let `describe` return its constants and nothing else",
            )),
            Ok(said) => expected.contradiction(said),
        };
        let took = started.elapsed();
        match complaint {
            Some(complaint) => self.progress.fail(CheckName::Describe, complaint, took),
            None => self.progress.pass(CheckName::Describe, None, took),
        }
        self.described = described.ok();
    }

    /// The report, with a plugin that nobody has asked yet when all is well.
    fn end(self, guest: Option<Guest>) -> Checked {
        let checks = self.progress.finish();
        let passed = checks
            .iter()
            .all(|check| check.outcome == CheckOutcome::Passed);
        let described = self.described;
        let identity = described.as_ref().map(|said| said.identity.clone());
        let report = CheckReport {
            kind: self.kind,
            name: identity.as_ref().map(|identity| identity.name.clone()),
            version: identity.map(|identity| identity.version),
            digest: self.digest.to_string(),
            bytes: self.bytes.len() as u64,
            passed,
            checks,
            description: described.as_ref().map(Described::claims),
        };
        let plugin = guest
            .zip(described)
            .filter(|_| passed)
            .map(|(guest, said)| Plugin::new(self.runtime, guest, said, self.digest));
        Checked { report, plugin }
    }
}

impl Expected {
    fn contradiction(&self, said: &Described) -> Option<Complaint> {
        let facts = [
            ("name", &self.name, &said.identity.name),
            ("version", &self.version, &said.identity.version),
        ];
        let wrong: Vec<String> = facts
            .into_iter()
            .filter_map(|(what, expected, said)| {
                let expected = expected.as_ref().filter(|expected| *expected != said)?;
                Some(format!("its {what} is `{said}` and not `{expected}`"))
            })
            .collect();
        let cure =
            "hand it in under the name and version that its `describe` returns, or correct that";
        (!wrong.is_empty()).then(|| Complaint::new(wrong.join(", "), cure))
    }
}

#[cfg(test)]
mod tests;
