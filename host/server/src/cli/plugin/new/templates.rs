//! The files that projects are made of, embedded from `sdk/` and `wit/`.
//!
//! A project is what its language has in common, the logic of its kind, the SDK and the contract. A
//! template stands under the path that it gets in the project, but for the names that would mean
//! something in this repository: `Cargo.toml.in` and `gitignore`.

use boathouse_types::PluginKind;

use super::Language;

/// A file of a project.
pub(super) struct File {
    /// Where it goes, relative to the project's folder, with `/`.
    pub(super) path: String,
    /// What is in it; templates have placeholders in double braces.
    pub(super) text: &'static str,
}

/// Files below one folder of the repository, by their path there.
struct Folder {
    /// Where they go in the project.
    to: &'static str,
    files: &'static [(&'static str, &'static str)],
}

/// Embeds files of the folder `from`.
macro_rules! folder {
    ($from:literal => $to:literal: $($path:literal),+ $(,)?) => {
        Folder {
            to: $to,
            files: &[$((
                $path,
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../", $from, "/", $path)),
            )),+],
        }
    };
}

/// All files of a project.
pub(super) fn project(language: Language, kind: PluginKind) -> Vec<File> {
    let folders = match (language, kind) {
        (Language::Rust, PluginKind::Proposer) => [&RUST, &RUST_PROPOSER, &RUST_SDK, &RUST_WIT],
        (Language::Rust, PluginKind::Scoring) => [&RUST, &RUST_SCORING, &RUST_SDK, &RUST_WIT],
        (Language::Rust, PluginKind::Pii) => [&RUST, &RUST_PII, &RUST_SDK, &RUST_WIT],
        (Language::Python, PluginKind::Proposer) => [&PYTHON, &PYTHON_PROPOSER, &PYTHON_SDK, &WIT],
        (Language::Python, PluginKind::Scoring) => [&PYTHON, &PYTHON_SCORING, &PYTHON_SDK, &WIT],
        (Language::Python, PluginKind::Pii) => [&PYTHON, &PYTHON_PII, &PYTHON_SDK, &WIT],
        (Language::Js, PluginKind::Proposer) => [&JS, &JS_PROPOSER, &JS_SDK, &WIT],
        (Language::Js, PluginKind::Scoring) => [&JS, &JS_SCORING, &JS_SDK, &WIT],
        (Language::Js, PluginKind::Pii) => [&JS, &JS_PII, &JS_SDK, &WIT],
    };
    let files = folders.into_iter().flat_map(|folder| {
        folder.files.iter().map(|(path, text)| File {
            path: format!("{}{}", folder.to, in_project(path)),
            text,
        })
    });
    files.collect()
}

/// A template's path without what keeps it from meaning something in this repository.
fn in_project(path: &str) -> String {
    let path = path.strip_suffix(".in").unwrap_or(path);
    path.replace("gitignore", ".gitignore")
}

static RUST: Folder = folder!("sdk/templates/rust/common" => "":
    "Cargo.toml.in", "README.md", "gitignore", "sdk/Cargo.toml.in",
);
static RUST_PROPOSER: Folder = folder!("sdk/templates/rust/proposer" => "": "src/lib.rs");
static RUST_SCORING: Folder = folder!("sdk/templates/rust/scoring" => "": "src/lib.rs");
static RUST_PII: Folder = folder!("sdk/templates/rust/pii" => "": "src/lib.rs");
static RUST_SDK: Folder = folder!("sdk/rust" => "sdk/":
    "LICENSE", "README.md",
    "src/chance.rs", "src/describe.rs", "src/error.rs", "src/export.rs", "src/host.rs", "src/lib.rs",
    "src/pii.rs", "src/proposer.rs", "src/scoring.rs", "src/scoring/fronts.rs", "src/testing.rs",
    "src/testing/samples.rs", "src/trials.rs", "src/wasm.rs", "src/wasm/pii.rs", "src/wasm/proposer.rs",
    "src/wasm/scoring.rs",
);
static RUST_WIT: Folder = folder!("wit/v1" => "sdk/wit/":
    "pii.wit", "proposer.wit", "scoring.wit", "types.wit",
);

static PYTHON: Folder = folder!("sdk/templates/python/common" => "":
    "README.md", "gitignore", "requirements.txt",
);
static PYTHON_PROPOSER: Folder = folder!("sdk/templates/python/proposer" => "":
    "component.py", "plugin.py", "test_plugin.py",
);
static PYTHON_SCORING: Folder = folder!("sdk/templates/python/scoring" => "":
    "component.py", "plugin.py", "test_plugin.py",
);
static PYTHON_PII: Folder = folder!("sdk/templates/python/pii" => "":
    "component.py", "plugin.py", "test_plugin.py",
);
static PYTHON_SDK: Folder = folder!("sdk/python" => "": "boathouse_sdk.py");

static JS: Folder =
    folder!("sdk/templates/js/common" => "": "README.md", "gitignore", "package.json");
static JS_PROPOSER: Folder =
    folder!("sdk/templates/js/proposer" => "": "plugin.js", "plugin.test.js");
static JS_SCORING: Folder =
    folder!("sdk/templates/js/scoring" => "": "plugin.js", "plugin.test.js");
static JS_PII: Folder = folder!("sdk/templates/js/pii" => "": "plugin.js", "plugin.test.js");
static JS_SDK: Folder = folder!("sdk/js" => "": "boathouse-sdk.js");

static WIT: Folder =
    folder!("wit/v1" => "wit/": "pii.wit", "proposer.wit", "scoring.wit", "types.wit");

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        path::{Path, PathBuf},
    };

    use super::*;

    /// Every file below a folder of the repository, relative to it.
    fn below(folder: &str) -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(folder);
        let mut open: Vec<PathBuf> = vec![root.clone()];
        let mut files = BTreeSet::new();
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).expect("folder") {
                let path = entry.expect("entry").path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let relative = path.strip_prefix(&root).expect("inside");
                    files.insert(relative.to_str().expect("text").replace('\\', "/"));
                }
            }
        }
        files
    }

    #[test]
    fn no_file_was_forgotten() {
        let check = |from: &str, folder: &Folder, left_out: &[&str]| {
            let embedded: BTreeSet<String> = folder
                .files
                .iter()
                .map(|(path, _)| (*path).to_owned())
                .collect();
            let left_out = left_out.iter().map(|&path| path.to_owned());
            let there: BTreeSet<String> = below(from)
                .into_iter()
                .filter(|path| !path.contains("__pycache__"))
                .collect();
            let known: BTreeSet<String> = embedded.into_iter().chain(left_out).collect();
            assert_eq!(there, known, "{from}");
        };
        check("wit/v1", &WIT, &[]);
        check("wit/v1", &RUST_WIT, &[]);
        check("sdk/rust/src", &sources_of_the_sdk(), &[]);
        check("sdk/python", &PYTHON_SDK, &["test_boathouse_sdk.py"]);
        check("sdk/js", &JS_SDK, &["boathouse-sdk.test.js"]);
        for (language, common, kinds) in [
            ("rust", &RUST, [&RUST_PROPOSER, &RUST_SCORING, &RUST_PII]),
            (
                "python",
                &PYTHON,
                [&PYTHON_PROPOSER, &PYTHON_SCORING, &PYTHON_PII],
            ),
            ("js", &JS, [&JS_PROPOSER, &JS_SCORING, &JS_PII]),
        ] {
            check(&format!("sdk/templates/{language}/common"), common, &[]);
            for (kind, folder) in PluginKind::ALL.into_iter().zip(kinds) {
                check(&format!("sdk/templates/{language}/{kind}"), folder, &[]);
            }
        }
    }

    /// What is embedded of `sdk/rust/src`, by its path there.
    fn sources_of_the_sdk() -> Folder {
        let sources = RUST_SDK.files.iter();
        let sources = sources.filter_map(|(path, text)| Some((path.strip_prefix("src/")?, *text)));
        Folder {
            to: "",
            files: sources.collect::<Vec<_>>().leak(),
        }
    }
}
