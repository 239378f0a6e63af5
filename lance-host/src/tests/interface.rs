//! The firewall: nothing public names a type that is not the standard library's or this crate's.

use std::{collections::BTreeSet, fs, path::Path};

/// Crates whose types may be named in public lines: none but the standard library and this one.
const OURS: [&str; 4] = ["std", "crate", "self", "super"];

/// The files of the crate, without tests.
fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let entries = fs::read_dir(folder).expect("sources");
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("entry").path()) {
        let name = path.file_name().expect("name").to_string_lossy();
        if path.is_file() && name != "tests.rs" {
            let text = fs::read_to_string(&path).expect("text");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            files.push((name.into_owned(), code.to_owned()));
        }
    }
    assert!(files.len() > 12, "{files:?}");
    files
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// Types and traits that a file imports from other crates.
fn foreign(code: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for import in code.split("\nuse ").skip(1) {
        let import = import.split(';').next().unwrap_or_default();
        let from = words(import).next().unwrap_or_default();
        if !OURS.contains(&from) {
            names.extend(words(import).filter(|word| word.starts_with(char::is_uppercase)));
        }
    }
    names
}

/// What of a file the world can see: items, fields and methods that are `pub`, up to their bodies, and every line of
/// public traits and enums.
fn public(code: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let mut within = false;
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let opens = line.starts_with("pub trait ") || line.starts_with("pub enum ");
        within = (within || opens) && line != "}";
        let text = line.trim_start();
        let said = text.starts_with("//") || text.starts_with("#[");
        let shown = text.starts_with("pub ") && !text.starts_with("pub use");
        if said || !(within || shown) {
            continue;
        }
        let mut item = text.to_owned();
        while !within && (!item.ends_with(['{', '}', ';', ',']) || open(&item)) {
            match lines.next() {
                Some(more) => item.push_str(more.trim()),
                None => break,
            }
        }
        seen.push(item);
    }
    seen
}

/// Whether a bracket is open, as within the arguments of a function.
fn open(item: &str) -> bool {
    let count = |c: char| item.matches(c).count();
    count('(') > count(')') || count('<') > count('>')
}

#[test]
fn nothing_public_names_a_foreign_type() {
    let mut items = 0;
    for (file, code) in files() {
        let foreign = foreign(&code);
        for item in public(&code) {
            items += 1;
            let named: Vec<_> = words(&item).filter(|word| foreign.contains(word)).collect();
            assert!(named.is_empty(), "{file}: `{item}` names {named:?}");
            for name in ["lance::", "object_store::", "chrono::", "bytes::", "url::"] {
                assert!(!item.contains(name), "{file}: `{item}` names {name}");
            }
        }
    }
    assert!(items > 80, "only {items} public items were found");
}

#[test]
fn a_foreign_type_would_be_seen() {
    let code = "//! x\nuse std::fmt;\nuse lance::{\n    Dataset,\n    Error as Lance,\n};\n\
        pub struct A(Dataset);\npub fn b(\n    x: u8,\n    y: &Dataset,\n) -> u8 {\n\
        pub enum C {\n    D(Dataset),\n}\nfn e(_: Dataset) {}\n";
    let foreign = foreign(code);
    assert!(foreign.contains("Dataset") && !foreign.contains("fmt"));
    let public = public(code);
    let caught = |item: &&String| words(item).any(|word| foreign.contains(word));
    let caught: Vec<_> = public.iter().filter(caught).collect();
    assert_eq!(caught.len(), 3, "{public:?}");
}

#[test]
fn conversions_from_foreign_types_are_not_public() {
    for (file, code) in files() {
        let converts = [
            "impl From<lance",
            "impl From<object_store",
            "impl From<Arrow",
        ];
        for conversion in converts {
            assert!(!code.contains(conversion), "{file}: {conversion}");
        }
    }
}
