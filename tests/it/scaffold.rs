//! What `plugin new` writes: it builds with the stock tools of its language, passes its own test and a host's
//! checks, and serves. The scripts under `examples/` are run here too, as anybody would run them.
//!
//! Cargo is always there. The tools of Python and JavaScript are used where they are found: on the path, or
//! where `tests/run` puts them.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::support::{Host, lacking, program, run, sentences};

/// What the outer cargo says about itself, which an inner one must not hear.
const LEAKING: [&str; 11] = [
    "CARGO_BUILD_",
    "CARGO_CFG_",
    "CARGO_ENCODED_",
    "CARGO_FEATURE_",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_RESOLVER_",
    "CARGO_TARGET_",
    "CARGO_UNSTABLE_",
    "RUSTC_",
    "RUSTFLAGS",
];

/// Held while a project is built and its component is compiled: cargo builds all of them to one place, and two
/// interpreters at once would only make each other late.
static ALONE: Mutex<()> = Mutex::const_new(());

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("workspace").to_owned()
}

/// A folder of the target folder, which outlives the test so that builds are reused.
fn kept(name: &str) -> PathBuf {
    let program = program();
    let target = program.ancestors().nth(2).expect("target folder");
    target.join(name)
}

/// The path with the folders where `tests/run` installs tools.
fn search_path() -> OsString {
    let tools = kept("guest-tools");
    let own = ["python/bin", "js/node_modules/.bin"].map(|folder| tools.join(folder));
    let given = std::env::var_os("PATH").unwrap_or_default();
    let all = own.into_iter().chain(std::env::split_paths(&given));
    std::env::join_paths(all).expect("a path")
}

/// A command in a folder, with the tools on its path and a cargo that is free of the outer one.
fn command(program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        if LEAKING.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&key);
        }
    }
    command
        .current_dir(folder)
        .env("PATH", search_path())
        .env("CARGO_TARGET_DIR", kept("scaffolds"))
        // The guests of this workspace need the same crates, so they have been fetched.
        .env("CARGO_NET_OFFLINE", "true");
    command
}

/// Runs a command that must succeed and returns what it printed.
#[track_caller]
fn succeed(command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout);
    assert!(
        output.status.success(),
        "{command:?}\n{said}\n{}",
        text(&output.stderr)
    );
    said
}

/// Whether the tools of a language are here; says loudly when they are not.
fn has(what: &str, tools: &[&str]) -> bool {
    let path = search_path();
    let found = |tool: &&str| std::env::split_paths(&path).any(|folder| folder.join(tool).exists());
    let Some(missing) = tools.iter().find(|tool| !found(tool)) else {
        return true;
    };
    let why = format!("`{missing}` is not on the path");
    lacking(what, &format!("plugins with {what}"), &why);
    false
}

/// A project made by `plugin new`, in a folder that lives as long.
struct Project {
    folder: TempDir,
    kind: &'static str,
    name: String,
}

impl Project {
    fn new(lang: &str, kind: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let at = folder.path().display().to_string();
        let name = format!("tests/{lang}-{kind}");
        let arguments = ["--kind", kind, "--lang", lang, "--name", &name, &at];
        let made = run(&[&["plugin", "new"], &arguments[..]].concat());
        check_success(&made);
        Self { folder, kind, name }
    }

    fn command(&self, program: &str) -> Command {
        command(program, self.folder.path())
    }

    /// Tests and builds with cargo, as README.md of the project says.
    fn cargo(&self) -> PathBuf {
        succeed(self.command(env!("CARGO")).arg("test"));
        let build = ["build", "--release", "--target", "wasm32-wasip2"];
        succeed(self.command(env!("CARGO")).args(build));
        kept("scaffolds").join("wasm32-wasip2/release/plugin.wasm")
    }

    /// Uploads a component to a host, activates it and has it score the trials of `notes`.
    async fn serves(&self, host: &Host, component: &Path) {
        let bytes = std::fs::read(component).expect("a component");
        let plugin = format!("/plugins/{}/{}", self.kind, self.name);
        let (status, body) = host.post_raw(&format!("{plugin}/versions"), bytes).await;
        assert_eq!(status, 201, "{body}");
        let activate = format!("{plugin}/versions/0.1.0/activate");
        let (status, body) = host.post(&activate, &json!({})).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(scorer(host).await, self.name);
    }
}

#[track_caller]
fn check_success(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// A host that takes the components of interpreters, also where their 20 seconds of compiling take long
/// because everything else is compiled too; with an index `notes` that has two trials.
async fn stage() -> (Host, TempDir) {
    let folder = tempfile::tempdir().expect("folder");
    let config = "[plugins.sandbox.compile]\ndeadline_ms = 600000\n";
    std::fs::write(folder.path().join("boathouse.toml"), config).expect("written");
    let host = Host::on(folder.path());
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let two = json!({"max_trials": 2});
    let (status, report) = host.post("/vectors/autotune/notes", &two).await;
    assert_eq!(status, 200, "{report}");
    (host, folder)
}

/// The name of the plugin that scores the trials of `notes`.
async fn scorer(host: &Host) -> String {
    let best = host.read("/vectors/trials/notes/best?metric=pareto").await;
    let name = best["scored_by"]["name"].as_str();
    name.unwrap_or_else(|| panic!("nobody scored: {best}"))
        .to_owned()
}

#[test]
fn rust_scaffolds_of_the_other_kinds_pass_their_tests_and_the_checks() {
    let _alone = ALONE.blocking_lock();
    for kind in ["proposer", "pii"] {
        let project = Project::new("rust", kind);
        let component = project.cargo().display().to_string();
        let checked = run(&["--json", "plugin", "check", &component]);
        check_success(&checked);
        let report: Value = serde_json::from_slice(&checked.stdout).expect("json");
        assert_eq!(report["kind"], kind, "{report}");
        assert_eq!(report["name"], project.name, "{report}");
    }
}

#[tokio::test]
async fn a_plugin_from_zero_serves_as_the_example_shows() {
    let _alone = ALONE.lock().await;
    let (host, _data) = stage().await;
    let folder = tempfile::tempdir().expect("folder");
    let project = folder.path().join("hasty");
    let said = succeed(
        command(root().join("examples/plugin.sh"), folder.path())
            .arg(&project)
            .arg("notes")
            .env("BOATHOUSE", program())
            .env("BOATHOUSE_URL", &host.url),
    );
    assert!(said.contains("test result: ok. 1 passed"), "{said}");
    assert!(said.contains("my-team/hasty"), "{said}");
    let plugin = host.read("/plugins/scoring/my-team/hasty").await;
    assert_eq!(plugin["versions"][0]["state"], "retired", "{plugin}");
    assert_eq!(scorer(&host).await, "boathouse/pareto");
}

#[tokio::test]
async fn a_python_scaffold_serves() {
    if !has("python", &["python3", "componentize-py"]) {
        return;
    }
    let _alone = ALONE.lock().await;
    let project = Project::new("python", "scoring");
    succeed(project.command("python3").args(["-m", "unittest"]));
    succeed(project.command("componentize-py").args([
        "-d",
        "wit",
        "-w",
        "scoring",
        "componentize",
        "--stub-wasi",
        "component",
        "-o",
        "plugin.wasm",
    ]));
    let (host, _data) = stage().await;
    let component = project.folder.path().join("plugin.wasm");
    project.serves(&host, &component).await;
}

#[tokio::test]
async fn a_javascript_scaffold_serves() {
    if !has("js", &["npm", "componentize-js"]) {
        return;
    }
    let _alone = ALONE.lock().await;
    let project = Project::new("js", "scoring");
    succeed(project.command("npm").arg("test"));
    succeed(project.command("npm").args(["run", "build"]));
    let (host, _data) = stage().await;
    let component = project.folder.path().join("plugin.wasm");
    project.serves(&host, &component).await;
}

#[test]
fn sdk_and_scaffolds_of_python_pass_their_tests() {
    if !has("python", &["python3"]) {
        return;
    }
    let unittest = ["-B", "-m", "unittest"];
    succeed(command("python3", &root().join("sdk/python")).args(unittest));
    for kind in ["proposer", "pii"] {
        let project = Project::new("python", kind);
        succeed(project.command("python3").args(unittest));
    }
}

#[test]
fn sdk_and_scaffolds_of_javascript_pass_their_tests() {
    if !has("js", &["node"]) {
        return;
    }
    succeed(command("node", &root().join("sdk/js")).arg("--test"));
    for kind in ["proposer", "pii"] {
        let project = Project::new("js", kind);
        succeed(project.command("node").arg("--test"));
    }
}

#[test]
fn the_sdk_is_packed_with_its_contract_and_its_licence() {
    let mut cargo = command(env!("CARGO"), &root());
    let list = [
        "package",
        "--list",
        "--allow-dirty",
        "--package",
        "boathouse-sdk",
    ];
    let packed = succeed(cargo.args(list));
    let packed: Vec<&str> = packed.lines().collect();
    for file in [
        "LICENSE",
        "README.md",
        "src/lib.rs",
        "wit/scoring.wit",
        "wit/types.wit",
    ] {
        assert!(packed.contains(&file), "{file} is missing in {packed:?}");
    }
}

#[tokio::test]
async fn a_client_session_runs_as_the_example_shows() {
    if !has("curl", &["curl"]) {
        return;
    }
    let host = Host::fresh();
    let said = succeed(
        command(root().join("examples/session.sh"), &root()).env("BOATHOUSE_URL", &host.url),
    );
    for expected in ["\"hits\"", "\"scored_by\"", "Bread from the oven"] {
        assert!(
            said.contains(expected),
            "`{expected}` is missing in:\n{said}"
        );
    }
}

#[tokio::test]
async fn the_proposer_is_swapped_by_one_call_as_the_example_shows() {
    if !has("curl", &["curl"]) {
        return;
    }
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let mut example = command(root().join("examples/surrogate.sh"), &root());
    let said = succeed(example.arg("notes").env("BOATHOUSE_URL", &host.url));
    for expected in [
        "\"name\":\"boathouse/surrogate\"",
        "\"reason\":\"baseline",
        "== what served before",
    ] {
        assert!(
            said.contains(expected),
            "`{expected}` is missing in:\n{said}"
        );
    }
}
