//! Scoring plugins written in WebAssembly text, down to the bytes that they answer with.
//!
//! For what no compiler emits: text that is no UTF-8, an answer at an odd address, a table that grows.
//! A [`Raw`] is honest until a question carries its order ([`ORDER`], as the memory cap), so that it
//! passes an upload's checks; then it runs its instructions. It can be built against any release of the
//! contract.
//!
//! Memory: the description at 1024, the answer at 2048, texts at 4096, room for a test's own data from
//! 8192 on; what the host passes in goes to 65536 and beyond. An honest answer has one verdict a trial,
//! all of them read from untouched memory: infeasible, front 0, score 0.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The memory cap that makes a raw plugin attack: it spells `raw`.
pub(crate) const ORDER: u64 = 0x72_6177;

/// The part of WASI that hands out handles, as far as a test needs it.
const WASI: [(&str, &str); 2] = [
    (
        "io.wit",
        "package wasi:io@0.2.0; interface poll { resource pollable; }",
    ),
    (
        "clocks.wit",
        "package wasi:clocks@0.2.0;
        interface monotonic-clock {
            use wasi:io/poll@0.2.0.{pollable};
            subscribe-duration: func(when: u64) -> pollable;
        }",
    ),
];

/// A plugin to be, `raw/<name>` 1.0.0.
pub(crate) struct Raw<'a> {
    /// Second part of its name.
    pub(crate) name: &'static str,
    /// Folder of the contract, below `wit` unless it is absolute.
    pub(crate) contract: &'a str,
    /// Kind that it claims to be: 0 proposer, 1 scoring, 2 pii.
    pub(crate) claims: u32,
    /// Further imports of the core module.
    pub(crate) imports: &'a str,
    /// Instructions at every call; the question is at the address in local 0.
    pub(crate) always: &'static str,
    /// Instructions once it is ordered to attack.
    pub(crate) attack: &'static str,
    /// Further fields of the core module.
    pub(crate) fields: &'static str,
}

impl Default for Raw<'_> {
    fn default() -> Self {
        Self {
            name: "honest",
            contract: "v1",
            claims: 1,
            imports: "",
            always: "",
            attack: "",
            fields: "",
        }
    }
}

impl Raw<'_> {
    /// The component.
    pub(crate) fn component(&self) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../wit")
            .join(self.contract);
        let mut resolve = Resolve::default();
        let (contract, _) = resolve.push_path(folder).expect("the contract parses");
        let version = resolve.packages[contract].name.version.clone();
        let version = version.expect("the contract has a version").to_string();
        for (file, text) in WASI {
            resolve.push_str(file, text).expect("WASI parses");
        }
        let world = format!(
            "package test:raw;
            world guest {{
                include boathouse:plugin/scoring@{version};
                import wasi:clocks/monotonic-clock@0.2.0;
            }}"
        );
        let package = resolve.push_str("raw.wit", &world).expect("a world");
        let world = resolve.select_world(&[package], None).expect("one world");
        let mut module = wat::parse_str(self.text(&version)).expect("WebAssembly text");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .expect("metadata");
        ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .and_then(|encoder| encoder.encode())
            .expect("the module fits the world")
    }

    fn text(&self, version: &str) -> String {
        let name = format!("raw/{}", self.name);
        let length = u32::try_from(name.len()).expect("a short name");
        // name, version, kind, summary, reads, deterministic, extra
        let description = [
            4096,
            length,
            4096 + length,
            5,
            self.claims,
            4096,
            length,
            0,
            0,
            1,
            0,
            0,
        ];
        format!(
            r#"(module
              (import "boathouse:plugin/host@{version}" "log" (func $log (param i32 i32 i32)))
              (import "boathouse:plugin/host@{version}" "settings" (func $settings (param i32)))
              (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration"
                (func $wait (param i64) (result i32)))
              {imports}
              (memory (export "memory") 4)
              (global $next (mut i32) (i32.const 65536))
              (data (i32.const 1024) "{description}")
              (data (i32.const 4096) "{name}1.0.0")
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next
                  (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (local.get 3))))
              {fields}
              (func (export "describe") (result i32) (i32.const 1024))
              (func (export "evaluate") (param i32) (result i32)
                {always}
                {lists}
                (if (i64.eq (i64.load offset=136 (local.get 0)) (i64.const {ORDER})) (then {attack}))
                (i32.const 2048)))"#,
            description = words(&description),
            lists = Self::honest(),
            fields = self.fields,
            imports = self.imports,
            always = self.always,
            attack = self.attack,
        )
    }

    /// Makes each list of the answer as long as there are trials; they lie in untouched memory.
    fn honest() -> String {
        [(2052, 32_768), (2060, 40_960), (2068, 49_152)]
            .map(|(list, at)| {
                format!(
                    "(i32.store (i32.const {list}) (i32.const {at}))
                     (i32.store (i32.const {}) (i32.load (local.get 0)))",
                    list + 4
                )
            })
            .concat()
    }
}

/// 32-bit words as the bytes of a data segment.
fn words(words: &[u32]) -> String {
    words
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .map(|byte| format!("\\{byte:02x}"))
        .collect()
}
