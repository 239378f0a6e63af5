//! What the bytes of a component tell before anything compiles them: size, preamble, whether they are
//! well-formed, and the names of what is imported and exported.
//!
//! Everything here is cheap next to compiling, and none of it runs code of the guest. Names are held
//! against the worlds; types are the linker's to compare, once there is something to link. Precompiled
//! code is never accepted: loading it runs it.

use boathouse_types::PluginKind;
use wasmtime::{
    component::{Component, types::ComponentItem},
    wasmparser::{
        BinaryReaderError, ComponentExternalKind, ComponentTypeRef, Parser, Payload, Validator,
        WasmFeatures,
    },
};

use crate::{Limits, error::Complaint, guest};

/// How an author gets a component from Rust, Python or JavaScript.
const BUILD: &str = "build with `cargo build --release --target wasm32-wasip2`, componentize-py or componentize-js (jco)";
/// Characters of a list of names that a message shows.
const SHOWN: usize = 400;

/// The names at a component's surface.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    imports: Vec<String>,
    functions: Vec<String>,
}

/// The kind of plugin that these bytes export the function of; none for what is no such component.
///
/// Bytes that are damaged further on may still show a kind: checking them is [`PluginHost::check`]'s.
///
/// [`PluginHost::check`]: crate::PluginHost::check
#[must_use]
pub fn kind_of(bytes: &[u8]) -> Option<PluginKind> {
    check_preamble(bytes).ok()?;
    Shape::names(bytes).ok()?.kind()
}

/// Refuses more bytes than a component may have.
pub(crate) fn check_size(bytes: &[u8], limits: &Limits) -> Result<(), Complaint> {
    let most = limits.component_bytes;
    if bytes.len() as u64 <= most {
        return Ok(());
    }
    Err(Complaint::new(
        format!("it has {} bytes, {most} are the most", bytes.len()),
        "strip it and build it for size (`strip = true`, `opt-level = \"s\"`), or raise component_bytes",
    ))
}

/// Refuses what does not begin as a component does.
pub(crate) fn check_preamble(bytes: &[u8]) -> Result<(), Complaint> {
    match (bytes.get(..4), bytes.get(4..8)) {
        (Some(b"\0asm"), Some([0x0d, 0, 1, 0])) => Ok(()),
        (Some(b"\0asm"), Some([1, 0, 0, 0])) => Err(Complaint::new(
            "it is a core module and not a component",
            BUILD,
        )),
        (Some(b"\0asm"), Some(_)) => Err(Complaint::new(
            "it is a component of another version of the format",
            "build with a current toolchain",
        )),
        (Some(b"\x7fELF"), _) => Err(Complaint::new(
            "it is machine code and not WebAssembly",
            "hand in the component itself, the host compiles it; precompiled code is never loaded",
        )),
        _ => Err(Complaint::new("it is not WebAssembly", BUILD)),
    }
}

impl Shape {
    /// Reads and validates a whole component.
    ///
    /// Every proposal is let through; compiling refuses those that the engine has switched off.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Complaint> {
        let read = || {
            Validator::new_with_features(WasmFeatures::all()).validate_all(bytes)?;
            Self::names(bytes)
        };
        read().map_err(|error: BinaryReaderError| {
            Complaint::new(
                format!("it is not a whole, valid component: {}", one_line(&error)),
                "check that the file is complete (`wasm-tools validate FILE`) and build it again",
            )
        })
    }

    /// The same of what is compiled already.
    pub(crate) fn of(component: &Component) -> Self {
        let ty = component.component_type();
        let engine = component.engine();
        let functions = ty
            .exports(engine)
            .filter(|(_, export)| matches!(export.ty, ComponentItem::ComponentFunc(_)));
        Self {
            imports: ty
                .imports(engine)
                .map(|(name, _)| name.to_owned())
                .collect(),
            functions: functions.map(|(name, _)| name.to_owned()).collect(),
        }
    }

    fn names(bytes: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut shape = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports {
                        let import = import?;
                        // Types are named as imports too; they ask for nothing.
                        if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                            shape.imports.push(import.name.name.to_owned());
                        }
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports {
                        let export = export?;
                        if export.kind == ComponentExternalKind::Func {
                            shape.functions.push(export.name.name.to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(shape)
    }

    /// Refuses imports that no guest gets, by name.
    pub(crate) fn check_imports(&self) -> Result<(), Complaint> {
        let foreign: Vec<&str> = self
            .imports
            .iter()
            .map(String::as_str)
            .filter(|name| {
                let interface = name.split_once('@').map_or(*name, |(name, _)| name);
                !guest::IMPORTS.contains(&interface)
            })
            .collect();
        if foreign.is_empty() {
            return Ok(());
        }
        let cure = if foreign.iter().any(|name| name.starts_with("wasi:http")) {
            "a plugin gets no network: build without HTTP (`--disable http` for componentize-js)"
        } else {
            "a plugin may import boathouse:plugin/host and what its standard library needs of WASI 0.2"
        };
        Err(Complaint::new(
            format!("it imports {}", quoted(&foreign)),
            cure,
        ))
    }

    /// Refuses a component that lacks a function of the world, by name.
    pub(crate) fn check_exports(&self, kind: PluginKind) -> Result<(), Complaint> {
        let missing: Vec<&str> = ["describe", question(kind)]
            .into_iter()
            .filter(|name| !self.exports(name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut what = format!(
            "it does not export {}, which the world `{kind}` needs",
            quoted(&missing)
        );
        let mut cure = "export every function of that world with its exact type".to_owned();
        if let Some(other) = self.kind().filter(|other| *other != kind) {
            what.push_str(&format!("; it has the exports of the world `{other}`"));
            cure.push_str(&format!(", or use it as the {other} plugin that it is"));
        }
        Err(Complaint::new(what, cure))
    }

    fn kind(&self) -> Option<PluginKind> {
        PluginKind::ALL
            .into_iter()
            .find(|kind| self.exports(question(*kind)))
    }

    fn exports(&self, function: &str) -> bool {
        self.functions.iter().any(|name| name == function)
    }
}

/// The function that a world exports besides `describe`.
fn question(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Proposer => "propose",
        PluginKind::Scoring => "evaluate",
        PluginKind::Pii => "detect",
    }
}

/// Names in backquotes, on one bounded line: some stem from the component.
fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    one_line(&names.join(", "))
}

/// An error, or a name out of a component, on one bounded line.
pub(crate) fn one_line(text: &dyn std::fmt::Display) -> String {
    format!("{text:#}")
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestGuest;

    fn shape(text: &str) -> Shape {
        Shape::read(&wat::parse_str(text).expect("component")).expect("valid")
    }

    fn assert_complaint(result: Result<(), Complaint>, what: &str, cure: &str) {
        let complaint = result.expect_err("refused");
        assert!(complaint.what.contains(what), "{complaint:?}");
        assert!(complaint.cure.contains(cure), "{complaint:?}");
    }

    #[test]
    fn names_are_read_at_the_surface_only() {
        let shape = shape(
            r#"(component
                (import "outer" (func $f))
                (type $u u32) (import "named" (type (eq $u)))
                (component (import "inner" (func)))
                (core module (import "core" "thing" (func)))
                (export "describe" (func $f))
                (type $t u32) (export "evaluate" (type $t)))"#,
        );
        assert_eq!(shape.imports, ["outer"]);
        assert_eq!(shape.functions, ["describe"]);
    }

    #[test]
    fn the_same_is_read_from_bytes_and_from_what_they_compile_to() {
        let bytes = TestGuest::default().component();
        let engine = wasmtime::Engine::default();
        let component = Component::from_binary(&engine, &bytes).expect("compiles");
        assert_eq!(Shape::read(&bytes), Ok(Shape::of(&component)));
    }

    #[test]
    fn the_kind_is_what_is_exported() {
        for kind in PluginKind::ALL {
            let guest = TestGuest {
                world: kind,
                ..TestGuest::default()
            };
            assert_eq!(kind_of(&guest.component()), Some(kind));
        }
        assert_eq!(kind_of(b"\0asm\x0d\0\x01\0"), None);
        assert_eq!(kind_of(b"text"), None);
    }

    #[test]
    fn each_missing_function_is_named() {
        let empty = shape("(component)");
        assert_complaint(
            empty.check_exports(PluginKind::Proposer),
            "does not export `describe`, `propose`, which the world `proposer` needs",
            "export every",
        );
        let guest = TestGuest {
            world: PluginKind::Pii,
            ..TestGuest::default()
        };
        let detector = Shape::read(&guest.component()).expect("valid");
        assert_complaint(
            detector.check_exports(PluginKind::Scoring),
            "does not export `evaluate`, which the world `scoring` needs; it has the exports of the world `pii`",
            "use it as the pii plugin",
        );
    }

    #[test]
    fn damaged_bytes_are_no_whole_component() {
        let bytes = TestGuest::default().component();
        for length in [8, bytes.len() / 2, bytes.len() - 1] {
            let read = Shape::read(&bytes[..length]);
            // A component may be empty, and the preamble alone is one.
            assert_eq!(read.is_ok(), length == 8, "{read:?}");
        }
    }

    #[test]
    fn what_is_no_component_is_told_how_each_language_makes_one() {
        for bytes in [&b""[..], b"\0as", b"(component)", b"\0asm\x01\0\0\0"] {
            for toolchain in ["--target wasm32-wasip2", "componentize-py", "jco"] {
                assert_complaint(check_preamble(bytes), "it is", toolchain);
            }
        }
    }

    #[test]
    fn machine_code_is_refused_by_its_preamble() {
        assert_complaint(
            check_preamble(b"\x7fELF\x02\x01\x01"),
            "machine code",
            "the host compiles it",
        );
    }

    #[test]
    fn names_from_a_component_cannot_forge_lines() {
        let hostile = format!("a\n\u{1b}[2J{}", "x".repeat(1_000));
        let shown = quoted(&[&hostile]);
        assert_eq!(shown.chars().count(), SHOWN);
        assert!(!shown.chars().any(char::is_control));
    }
}
