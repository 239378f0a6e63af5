//! Builds plugins of this workspace into components with a nested cargo; a library for build scripts.
//!
//! The nested build has a target folder of its own, since the outer cargo holds the lock of the
//! shared one, and an environment without what the outer cargo (or `cargo clippy`) set for the host:
//! flags, wrappers, the facts of the calling package. It takes the workspace's lock file as it is. When
//! nothing changed it compiles nothing, and the calling script runs again only when a file changes that
//! went into a guest.
//!
//! It prints what cargo should watch and otherwise says nothing; that the bytes are a component that
//! the host accepts is for tests to find out.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "guest";

/// Variables of the outer build that would change the inner one.
const LEAKING: [&str; 17] = [
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "CLIPPY_ARGS",
    "DEBUG",
    "HOST",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTC_LINKER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "TARGET",
];
const LEAKING_PREFIXES: [&str; 7] = [
    "CARGO_CFG_",
    "CARGO_FEATURE_",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_RESOLVER_",
    "CARGO_UNSTABLE_",
    "DEP_",
];

/// A plugin to build.
#[derive(Debug, Clone, Copy)]
pub struct Guest<'a> {
    /// Name of its package.
    pub package: &'a str,
    /// Features that it is built with; empty for those that are on by default.
    pub features: &'a [&'a str],
    /// File name of the component in `OUT_DIR`.
    pub file: &'a str,
    /// Arguments for its linker.
    pub link: &'a [&'a str],
}

/// Builds guests into `OUT_DIR`. `root` is the workspace, relative to the package whose build script
/// calls.
///
/// # Errors
/// When a guest does not build, or the target is missing and cannot be installed; the text says what
/// to do.
pub fn build(root: &str, guests: &[Guest<'_>]) -> Result<()> {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = package.join(root).canonicalize()?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    // Beside the `OUT_DIR`s of this package and not inside one: `cargo build` and `cargo clippy` give
    // it different ones, and share the guests, as packages do.
    let folder = out.join("../../boathouse-guests");
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;

    ensure_target()?;
    let mut inputs = BTreeSet::from(
        ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"].map(|file| root.join(file)),
    );
    // Naming any file ends cargo's habit of watching the whole package, build script and all.
    inputs.insert(package.join("build.rs"));
    for guest in guests {
        let built = build_one(&root, &folder, guest)?;
        publish(&built.component, &out.join(guest.file))?;
        inputs.extend(built.inputs);
    }
    for input in inputs {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    Ok(())
}

struct Built {
    component: PathBuf,
    inputs: Vec<PathBuf>,
}

/// Builds one guest. `cargo rustc` because a guest is also an ordinary library, and whole-program
/// optimisation needs the component alone.
fn build_one(root: &Path, folder: &Path, guest: &Guest<'_>) -> Result<Built> {
    let name = guest.package;
    let mut cargo = Command::new(variable("CARGO")?);
    for (key, _) in env::vars_os().filter(|(key, _)| leaks(key)) {
        cargo.env_remove(key);
    }
    cargo
        .current_dir(root)
        .args(["rustc", "--lib", "--crate-type=cdylib", "--locked"])
        .args(["--profile", PROFILE, "--target", TARGET, "--package", name])
        .env("CARGO_TARGET_DIR", folder)
        .env("CARGO_BUILD_BUILD_DIR", folder)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+simd128");
    if !guest.features.is_empty() {
        cargo.arg("--no-default-features");
        cargo.args(["--features", &guest.features.join(",")]);
    }
    // Behind the dashes they are for this one crate, so that guests share what they depend on.
    cargo.arg("--");
    cargo.args(guest.link.iter().map(|link| format!("-Clink-arg={link}")));
    let status = cargo.status().context("cargo does not start")?;
    ensure!(
        status.success(),
        "the guest `{name}` does not build; see the errors above"
    );

    let stem = folder
        .join(TARGET)
        .join(PROFILE)
        .join(name.replace('-', "_"));
    let list = stem.with_extension("d");
    let list =
        fs::read_to_string(&list).with_context(|| format!("{} is missing", list.display()))?;
    Ok(Built {
        component: stem.with_extension("wasm"),
        inputs: sources(dependencies(&list), root, folder),
    })
}

/// What a person may change of a guest, from what rustc read: the source files, without what the build
/// itself made; their manifests, which are no input of rustc; and all of a package that has a build
/// script, for only that script knows what it reads.
fn sources(read: Vec<PathBuf>, root: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut sources: Vec<PathBuf> = read
        .into_iter()
        .filter(|file| !file.starts_with(folder))
        .collect();
    let manifests: BTreeSet<PathBuf> = sources
        .iter()
        .filter_map(|file| manifest_above(file, root))
        .collect();
    for manifest in manifests {
        let package = manifest.parent().filter(|it| it.join("build.rs").is_file());
        sources.extend(package.map(Path::to_owned));
        sources.push(manifest);
    }
    sources
}

fn leaks(key: &OsStr) -> bool {
    let Some(key) = key.to_str() else {
        return false;
    };
    LEAKING.contains(&key)
        || LEAKING_PREFIXES
            .iter()
            .any(|prefix| key.starts_with(prefix))
}

/// The files that a `.d` file (make's syntax: `product: input input ...`) lists as inputs.
fn dependencies(list: &str) -> Vec<PathBuf> {
    let mut inputs = Vec::new();
    for line in list.lines() {
        let Some((_, files)) = line.split_once(": ") else {
            continue;
        };
        // A space inside a file name is escaped; no file name holds a line break.
        let files = files.replace("\\ ", "\n");
        inputs.extend(
            files
                .split(' ')
                .map(|file| PathBuf::from(file.replace('\n', " "))),
        );
    }
    inputs
}

/// The nearest manifest above a source file, inside the workspace.
fn manifest_above(file: &Path, root: &Path) -> Option<PathBuf> {
    let folders = file.ancestors().skip(1);
    let mut manifests = folders
        .take_while(|folder| folder.starts_with(root))
        .map(|folder| folder.join("Cargo.toml"));
    manifests.find(|manifest| manifest.is_file())
}

/// Copies a component to where the calling package includes it, unless it is there already.
fn publish(component: &Path, target: &Path) -> Result<()> {
    let bytes =
        fs::read(component).with_context(|| format!("{} is missing", component.display()))?;
    if fs::read(target).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    fs::write(target, bytes).with_context(|| format!("cannot write {}", target.display()))
}

/// Installs the guests' target through rustup when it is missing.
fn ensure_target() -> Result<()> {
    if target_is_installed()? {
        return Ok(());
    }
    let command = format!("rustup target add {TARGET}");
    let outcome = Command::new("rustup")
        .args(["target", "add", TARGET])
        .status();
    if outcome.as_ref().is_ok_and(|status| status.success()) && target_is_installed()? {
        return Ok(());
    }
    let cause = match outcome {
        Ok(status) => format!("it ended with {status}"),
        Err(error) => format!("rustup does not start: {error}"),
    };
    bail!(
        "plugins need the target {TARGET}, which is not installed, and `{command}` did not help \
         ({cause}); run `{command}` in this folder with a connection to the network, then build again"
    )
}

fn target_is_installed() -> Result<bool> {
    let rustc = variable("RUSTC")?;
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("rustc does not start")?;
    let folder = String::from_utf8(output.stdout)?;
    // A libdir that exists but is empty is what an interrupted installation leaves behind.
    let mut files = fs::read_dir(folder.trim()).into_iter().flatten().flatten();
    Ok(output.status.success()
        && files.any(|file| file.file_name().to_string_lossy().starts_with("libstd-")))
}

fn variable(name: &str) -> Result<OsString> {
    env::var_os(name).with_context(|| format!("cargo does not set {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_dependencies_is_read_with_spaces_in_names() {
        let list = "/t/a.wasm: /s/a.rs /s/with\\ space.rs\n\n/s/a.rs:\n";
        let expected = ["/s/a.rs", "/s/with space.rs"].map(PathBuf::from);
        assert_eq!(dependencies(list), expected);
    }

    #[test]
    fn what_is_watched_is_what_people_write() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root.canonicalize().expect("workspace");
        let folder = root.join("target/guests");
        let read = [
            root.join("tests/guests/evil/src/lib.rs"),
            root.join("plugins/bundle/src/lib.rs"),
            folder.join("made.rs"),
        ];
        let watched = sources(read.to_vec(), &root, &folder);
        let expected = [
            "tests/guests/evil/src/lib.rs",
            "plugins/bundle/src/lib.rs",
            // It has a build script.
            "plugins/bundle",
            "plugins/bundle/Cargo.toml",
            "tests/guests/evil/Cargo.toml",
        ];
        assert_eq!(watched, expected.map(|file| root.join(file)));
    }

    #[test]
    fn what_the_outer_build_set_does_not_reach_the_inner_one() {
        for leaking in [
            "RUSTFLAGS",
            "CARGO_PKG_NAME",
            "CARGO_FEATURE_PII",
            "OUT_DIR",
        ] {
            assert!(leaks(OsStr::new(leaking)), "{leaking}");
        }
        for kept in ["CARGO_MAKEFLAGS", "PATH", "CARGO_HOME", "RUSTUP_TOOLCHAIN"] {
            assert!(!leaks(OsStr::new(kept)), "{kept}");
        }
    }

    #[test]
    fn the_manifest_of_a_source_file_is_the_nearest_one_inside_the_workspace() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = package.join("../..").canonicalize().expect("workspace");
        let manifest = manifest_above(&root.join("tools/guest-build/src/lib.rs"), &root);
        assert_eq!(manifest, Some(root.join("tools/guest-build/Cargo.toml")));
        assert_eq!(manifest_above(Path::new("/elsewhere/lib.rs"), &root), None);
    }
}
