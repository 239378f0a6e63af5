//! What the command promises: whole projects with their names in them, nothing overwritten.

use std::collections::BTreeSet;

use toml::Table;

use super::*;

const LANGUAGES: [Language; 3] = [Language::Rust, Language::Python, Language::Js];

fn arguments(folder: &Path, lang: Language, kind: PluginKind, name: Option<&str>) -> Arguments {
    Arguments {
        kind,
        lang,
        name: name.map(str::to_owned),
        folder: folder.to_owned(),
    }
}

fn make(folder: &Path, name: Option<&str>) -> Result<(), CliError> {
    let arguments = arguments(folder, Language::Js, PluginKind::Scoring, name);
    run(&Output::new(true), arguments)
}

#[test]
fn every_language_and_kind_makes_a_project_with_its_name_in_it() {
    let name = Name::parse("blue/fast").expect("a name");
    for lang in LANGUAGES {
        for kind in PluginKind::ALL {
            let files = templates::project(lang, kind);
            let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
            assert_eq!(paths.len(), files.len(), "{lang:?} {kind}: a path twice");
            assert!(paths.contains("README.md") && paths.contains(".gitignore"));
            let mut named = 0;
            for file in &files {
                let text = name.fill_in(file.text, kind);
                let brace = text.contains("{{") && text.contains("}}");
                let code = file.path.starts_with("sdk/src") || file.path.ends_with(".wit");
                assert!(
                    code || !brace,
                    "{lang:?} {kind}: {} has a placeholder",
                    file.path
                );
                named += usize::from(text.contains("blue/fast"));
            }
            assert!(
                named >= 2,
                "{lang:?} {kind}: README and describe name the plugin"
            );
        }
    }
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let inside = folder.path().join("a/Taste of Salt");
    make(&inside, None).expect("a new folder, and its parents");
    let logic = std::fs::read_to_string(inside.join("plugin.js")).expect("the logic");
    assert!(logic.contains("name: 'my-team/taste-of-salt'"), "{logic}");

    let again = make(&inside, None).expect_err("it is not empty");
    assert!(again.to_string().contains("not empty"), "{again}");
    let file = inside.join("plugin.js");
    assert!(matches!(make(&file, Some("a/b")), Err(CliError::Io { .. })));

    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).expect("folder");
    make(&empty, Some("a/b")).expect("an empty folder");
}

#[test]
fn names_are_checked_and_the_cure_is_named() {
    for bad in ["", "a", "a/", "/b", "a/b/c", "A/b", "a/-b", "a/b_c", "a/ä"] {
        let refused = Name::parse(bad).expect_err(bad).to_string();
        assert!(refused.contains("team/name"), "{refused}");
    }
    let long = "x".repeat(NAME_BYTES + 1);
    assert!(Name::parse(&format!("a/{long}")).is_err());
    assert_eq!(Name::parse("a/b-1").expect("a name").to_string(), "a/b-1");
    for nameless in ["/", "..", "---", "名"] {
        let refused = Name::of_folder(Path::new(nameless)).expect_err(nameless);
        assert!(refused.to_string().contains("--name"), "{refused}");
    }
}

/// The manifest of the SDK inside a project stands for itself; what it says twice has to agree.
#[test]
fn the_sdk_in_a_project_has_the_manifest_of_the_workspace() {
    let read = |path: &str| -> Table {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(path);
        let text = std::fs::read_to_string(path).expect("manifest");
        text.parse().expect("toml")
    };
    let files = templates::project(Language::Rust, PluginKind::Pii);
    let vendored = files.iter().find(|file| file.path == "sdk/Cargo.toml");
    let name = Name::parse("a/b").expect("a name");
    let vendored = name.fill_in(vendored.expect("a manifest").text, PluginKind::Pii);
    let vendored: Table = vendored.parse().expect("toml");
    let (workspace, sdk) = (
        &read("Cargo.toml")["workspace"],
        read("sdk/rust/Cargo.toml"),
    );

    for key in ["version", "edition", "rust-version", "license"] {
        assert_eq!(vendored["package"][key], workspace["package"][key], "{key}");
    }
    assert_eq!(
        vendored["package"]["description"],
        sdk["package"]["description"]
    );
    assert_eq!(vendored["features"], sdk["features"]);
    let wasm = "cfg(target_family = \"wasm\")";
    for (ours, theirs) in [
        (&sdk["dependencies"], &vendored["dependencies"]),
        (
            &sdk["target"][wasm]["dependencies"],
            &vendored["target"][wasm]["dependencies"],
        ),
    ] {
        let names = |table: &toml::Value| -> Vec<String> {
            table.as_table().expect("table").keys().cloned().collect()
        };
        assert_eq!(names(ours), names(theirs));
        for name in names(ours) {
            assert_eq!(theirs[&name], workspace["dependencies"][&name], "{name}");
        }
    }
}
