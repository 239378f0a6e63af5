//! The plugins that ship with Boathouse, as component bytes.
//!
//! The build script compiles them from the sibling crates, so the bytes always match the sources of
//! this workspace. They are plugins like any other: the host uploads them through the same checks at
//! first start. Nothing here runs or inspects them.

/// A plugin that ships with the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bundled {
    /// `proposer`, `scoring` or `pii`.
    pub kind: &'static str,
    /// `team/name`, as the component describes itself.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

/// Proposes the next configuration near the champion, now and then anywhere within bounds.
pub const EPSILON_GREEDY: Bundled = Bundled {
    kind: "proposer",
    name: "boathouse/epsilon-greedy",
    bytes: include_bytes!(concat!(env!("OUT_DIR"), "/epsilon-greedy.wasm")),
};

/// Proposes what a model of the journal expects to gain most a second; an alternative that serves once it is
/// activated.
pub const SURROGATE: Bundled = Bundled {
    kind: "proposer",
    name: "boathouse/surrogate",
    bytes: include_bytes!(concat!(env!("OUT_DIR"), "/surrogate.wasm")),
};

/// Scores trials by recall less latency, and sorts them into Pareto fronts.
pub const PARETO: Bundled = Bundled {
    kind: "scoring",
    name: "boathouse/pareto",
    bytes: include_bytes!(concat!(env!("OUT_DIR"), "/pareto.wasm")),
};

/// Finds personal data in columns.
pub const PII: Bundled = Bundled {
    kind: "pii",
    name: "boathouse/pii",
    bytes: include_bytes!(concat!(env!("OUT_DIR"), "/pii.wasm")),
};

/// All of them. The first of a kind is the plugin of the house: it serves until another one is activated, and
/// answers for those that are suspended.
pub const ALL: [Bundled; 4] = [EPSILON_GREEDY, PARETO, PII, SURROGATE];

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::{ComponentTypeRef, Parser, Payload};

    const KIB: usize = 1024;

    /// Names of what a component imports and exports, each sorted; types aside, which are no demand
    /// on the host.
    fn surface(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
        let (mut imports, mut exports) = (Vec::new(), Vec::new());
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.expect("well-formed") {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(section) if depth == 0 => {
                    let items = section.into_iter().map(|item| item.expect("import"));
                    let items = items.filter(|item| !matches!(item.ty, ComponentTypeRef::Type(_)));
                    imports.extend(items.map(|item| item.name.name.to_owned()));
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    let items = section.into_iter().map(|item| item.expect("export"));
                    exports.extend(items.map(|item| item.name.name.to_owned()));
                }
                _ => {}
            }
        }
        imports.sort();
        exports.sort();
        (imports, exports)
    }

    #[track_caller]
    fn check(plugin: Bundled, most_bytes: usize, functions: [&str; 2]) {
        let Bundled { name, bytes, .. } = plugin;
        // Magic, version 13, layer 1: a component. A core module has version 1 and layer 0.
        assert!(
            bytes.starts_with(b"\0asm\x0d\0\x01\0"),
            "{name} is no component"
        );
        assert!(bytes.len() < most_bytes, "{name} has {} bytes", bytes.len());
        let (imports, exports) = surface(bytes);
        println!("{name}: {} bytes, imports {imports:#?}", bytes.len());
        let allowed =
            |name: &&String| name.starts_with("boathouse:plugin/") || name.starts_with("wasi:");
        assert_eq!(imports.iter().find(|name| !allowed(name)), None, "{name}");
        assert_eq!(exports, functions, "{name}");
    }

    #[test]
    fn each_plugin_is_a_small_component_that_exports_its_world() {
        check(EPSILON_GREEDY, 300 * KIB, ["describe", "propose"]);
        check(SURROGATE, 300 * KIB, ["describe", "propose"]);
        check(PARETO, 300 * KIB, ["describe", "evaluate"]);
        check(PII, 3 * KIB * KIB, ["describe", "detect"]);
    }

    #[test]
    fn each_kind_has_its_plugin_of_the_house_first() {
        let first = |kind: &str| ALL.iter().find(|plugin| plugin.kind == kind);
        for house in [EPSILON_GREEDY, PARETO, PII] {
            assert_eq!(first(house.kind), Some(&house));
        }
    }
}
