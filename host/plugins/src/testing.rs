//! Guests for tests, written in WebAssembly text and wrapped into components of a real world.
//!
//! The text has the core functions of the contract with the canonical ABI's plain layout, so that a
//! test can say exactly what a hostile guest does, down to the bytes that it returns.

use boathouse_types::{
    IndexConfig, IndexFacts, Knob, Metric, Objective, PluginKind, ProposalContext, Trial,
    TrialMetrics, VectorBackend,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where the test guests put the description.
const DESCRIPTION: u32 = 1024;
/// Where the test guests put their answer.
pub(crate) const ANSWER: u32 = 2048;
/// Where texts stand.
const TEXTS: u32 = 4096;

/// A guest to be. Its defaults make an honest scoring plugin that has nothing to say.
pub(crate) struct TestGuest {
    /// World to wrap it as.
    pub(crate) world: PluginKind,
    /// Kind that it claims to be: 0 proposer, 1 scoring, 2 pii.
    pub(crate) claims: u8,
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Instructions before `describe` returns.
    pub(crate) on_describe: &'static str,
    /// Instructions before the answer is returned.
    pub(crate) on_call: String,
    /// Bytes of the answer, as 32-bit words from [`ANSWER`] on.
    pub(crate) answer: Vec<u32>,
    /// Further imports of the core module.
    pub(crate) imports: &'static str,
    /// Further fields of the core module.
    pub(crate) fields: String,
}

impl Default for TestGuest {
    fn default() -> Self {
        Self {
            world: PluginKind::Scoring,
            claims: 1,
            name: "test/guest",
            version: "1.2.3",
            on_describe: "",
            on_call: String::new(),
            answer: vec![0; 11],
            imports: "",
            fields: String::new(),
        }
    }
}

impl TestGuest {
    /// A guest that runs these instructions when it is asked.
    pub(crate) fn that(on_call: &str) -> Self {
        Self {
            on_call: on_call.to_owned(),
            ..Self::default()
        }
    }

    /// A scoring guest that answers with these lists, given as (address, length).
    pub(crate) fn answering(
        feasible: (u32, u32),
        front: (u32, u32),
        score: (u32, u32),
        reasons: (u32, u32),
    ) -> Self {
        let lists = [feasible, front, score, reasons, (0, 0)];
        let words = lists.into_iter().flat_map(|(at, length)| [at, length]);
        Self {
            answer: std::iter::once(0).chain(words).collect(),
            ..Self::default()
        }
    }

    /// The component.
    pub(crate) fn component(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.text()).expect("the test's text is WebAssembly");
        let mut resolve = Resolve::default();
        let (package, _) = resolve
            .push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v1"))
            .expect("the contract parses");
        let world = resolve
            .select_world(&[package], Some(self.world.as_str()))
            .expect("a world per kind");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .expect("metadata");
        ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .and_then(|encoder| encoder.encode())
            .expect("the test's module fits the world")
    }

    fn text(&self) -> String {
        let function = match self.world {
            PluginKind::Proposer => "propose",
            PluginKind::Scoring => "evaluate",
            PluginKind::Pii => "detect",
        };
        let name = (TEXTS, self.name.len() as u32);
        let version = (TEXTS + name.1, self.version.len() as u32);
        // name, version, kind, summary, reads, deterministic, extra
        let description = [
            name.0,
            name.1,
            version.0,
            version.1,
            u32::from(self.claims),
            name.0,
            name.1,
            0,
            0,
            1,
            0,
            0,
        ];
        let params = match self.world {
            PluginKind::Pii => "(param i32 i32 i32 i32 i32 i32)",
            _ => "(param i32)",
        };
        format!(
            r#"(module
              (import "boathouse:plugin/host@1.0.0" "log" (func $log (param i32 i32 i32)))
              {imports}
              (memory (export "memory") 2)
              (global $next (mut i32) (i32.const 65536))
              (data (i32.const {DESCRIPTION}) "{description}")
              (data (i32.const {ANSWER}) "{answer}")
              (data (i32.const {TEXTS}) "{name}{version}")
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next
                  (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (local.get 3))))
              {fields}
              (func (export "describe") (result i32)
                {on_describe}
                (i32.const {DESCRIPTION}))
              (func (export "{function}") {params} (result i32)
                {on_call}
                (i32.const {ANSWER})))"#,
            description = words(&description),
            answer = words(&self.answer),
            name = self.name,
            version = self.version,
            imports = self.imports,
            fields = self.fields,
            on_describe = self.on_describe,
            on_call = self.on_call,
        )
    }
}

/// 32-bit words as the bytes of a data segment.
pub(crate) fn words(words: &[u32]) -> String {
    words
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .map(|byte| format!("\\{byte:02x}"))
        .collect()
}

/// A trial of the default configuration.
pub(crate) fn trial(recall: f64, p95_us: f64) -> Trial {
    Trial::of(
        format!("t-{recall}-{p95_us}"),
        IndexConfig::default(),
        TrialMetrics {
            build_time_secs: 1.0,
            search_latency_p50_us: p95_us / 2.0,
            search_latency_p95_us: p95_us,
            search_latency_p99_us: p95_us * 2.0,
            recall_at_k: recall,
            recall_interval: None,
            k: Some(10),
            memory_bytes: 1 << 20,
            vectors: 10_000,
            eval_queries: 100,
            brute_force_latency_us: 4_000.0,
            distances_per_query: None,
        },
    )
}

/// A journal of `count` different trials.
pub(crate) fn journal(count: u32) -> Vec<Trial> {
    (0..count)
        .map(|i| {
            let mut trial = trial(0.8 + 0.02 * f64::from(i % 10), 100.0 + 37.0 * f64::from(i));
            trial.config = IndexConfig {
                ef_search: 10 + i,
                ..IndexConfig::default()
            }
            .into();
            trial
        })
        .collect()
}

/// A context over a journal, with two knobs.
pub(crate) fn context(trials: Vec<Trial>, seed: u64) -> ProposalContext {
    let knob = |name: &str, min, max, step| Knob {
        name: name.to_owned(),
        min,
        max,
        step,
    };
    ProposalContext {
        index: IndexFacts {
            name: "speeches".to_owned(),
            backend: VectorBackend::Parquet,
            vectors: 10_000,
            dimension: 256,
            metric: Metric::Cosine,
        },
        knobs: vec![
            knob("m", 8, 64, 8),
            knob("ef_construction", 20, 400, 20),
            knob("ef_search", 10, 500, 10),
        ],
        objective: Objective::default(),
        champion: (!trials.is_empty()).then_some(0),
        trials,
        seed,
    }
}
