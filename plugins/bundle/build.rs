//! Builds the bundled plugins into components with a nested cargo.
//!
//! The nested build has a target folder of its own, since the outer cargo holds the lock of the
//! shared one, and an environment without what the outer cargo (or `cargo clippy`) set for the host:
//! flags, wrappers, the facts of this package. It takes the workspace's lock file as it is. When
//! nothing changed it compiles nothing, and this script runs again only when a file changes that went
//! into a guest.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "guest";

/// Crate of each guest, and the file name of its component in `OUT_DIR`.
const GUESTS: [(&str, &str); 3] = [
    ("boathouse-proposer", "epsilon-greedy.wasm"),
    ("boathouse-scoring", "pareto.wasm"),
    ("boathouse-pii", "pii.wasm"),
];

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

fn main() -> Result<()> {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = package.join("../..").canonicalize()?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    // Beside the `OUT_DIR`s of this package and not inside one: `cargo build` and `cargo clippy` give
    // it different ones, and share the guests.
    let folder = out.join("../../boathouse-guests");
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;

    ensure_target()?;
    let mut inputs = BTreeSet::from(
        [
            "Cargo.toml",
            "Cargo.lock",
            "rust-toolchain.toml",
            "sdk/rust/Cargo.toml",
        ]
        .map(|file| root.join(file)),
    );
    inputs.insert(package.join("build.rs"));
    for (name, file) in GUESTS {
        let built = build(&root, &folder, name)?;
        publish(&built.component, &out.join(file))?;
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
fn build(root: &Path, folder: &Path, name: &str) -> Result<Built> {
    let mut cargo = Command::new(variable("CARGO")?);
    for (key, _) in env::vars_os().filter(|(key, _)| leaks(key)) {
        cargo.env_remove(key);
    }
    let status = cargo
        .current_dir(root)
        .args(["rustc", "--lib", "--crate-type=cdylib", "--locked"])
        .args(["--profile", PROFILE, "--target", TARGET, "--package", name])
        .env("CARGO_TARGET_DIR", folder)
        .env("CARGO_BUILD_BUILD_DIR", folder)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+simd128")
        .status()
        .context("cargo does not start")?;
    ensure!(
        status.success(),
        "the guest `{name}` does not build; see the errors above"
    );

    let stem = folder
        .join(TARGET)
        .join(PROFILE)
        .join(name.replace('-', "_"));
    let mut inputs = dependencies(&stem.with_extension("d"))?;
    // Manifests are no input of rustc, so the list of dependencies leaves them out.
    let manifests = inputs.iter().filter_map(|file| manifest_above(file, root));
    inputs.extend(manifests.collect::<BTreeSet<_>>());
    Ok(Built {
        component: stem.with_extension("wasm"),
        inputs,
    })
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
fn dependencies(list: &Path) -> Result<Vec<PathBuf>> {
    let text =
        fs::read_to_string(list).with_context(|| format!("{} is missing", list.display()))?;
    let mut inputs = Vec::new();
    for line in text.lines() {
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
    Ok(inputs)
}

/// The nearest manifest above a source file, inside the workspace.
fn manifest_above(file: &Path, root: &Path) -> Option<PathBuf> {
    let folders = file.ancestors().skip(1);
    let mut manifests = folders
        .take_while(|folder| folder.starts_with(root))
        .map(|folder| folder.join("Cargo.toml"));
    manifests.find(|manifest| manifest.is_file())
}

/// Copies a component to where `lib.rs` includes it, unless it is there already.
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
        "the bundled plugins need the target {TARGET}, which is not installed, and \
         `{command}` did not help ({cause}); run `{command}` in this folder with a \
         connection to the network, then build again"
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

fn variable(name: &str) -> Result<std::ffi::OsString> {
    env::var_os(name).with_context(|| format!("cargo does not set {name}"))
}
