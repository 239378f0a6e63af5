//! Compiling plugins in a process of its own, with the real program as that process: what it makes is used
//! and kept, and a component that costs too much is stopped without a trace in the host.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use boathouse_bundle::PARETO;
use boathouse_plugins::{Compiling, PluginError, PluginHost, PluginHostConfig};
use boathouse_types::{Objective, PluginKind};
use serde_json::json;

use crate::support::program;

/// A host that compiles with the given program.
fn host(program: &Path, cache: &Path, change: impl FnOnce(&mut PluginHostConfig)) -> PluginHost {
    let mut config = PluginHostConfig::default();
    change(&mut config);
    let compiling = Compiling::Child {
        program: program.to_owned(),
        cache: cache.to_owned(),
    };
    PluginHost::new(config, compiling).expect("host")
}

/// A component with one function so huge that compiling it takes many seconds and hundreds of megabytes.
fn bomb() -> Vec<u8> {
    let mut body = String::from("(local.get 0)");
    for step in 0..200_000 {
        body.push_str(&format!(
            "(i32.rotl (i32.const {step})) (i32.xor (local.get 0))"
        ));
    }
    let text = format!("(component (core module (func (param i32) (result i32) {body})))");
    wat::parse_str(text).expect("component")
}

async fn refusal(host: &PluginHost, bytes: &[u8]) -> String {
    match host.load(PluginKind::Scoring, bytes).await {
        Err(PluginError::Refused { what, .. }) => what,
        other => panic!("not refused: {other:?}"),
    }
}

/// The bundled scoring plugin loads and can be asked.
async fn assert_answers(host: &PluginHost) {
    let plugin = host.load(PluginKind::Scoring, PARETO.bytes).await;
    let plugin = plugin.expect("loads");
    let verdicts = plugin.evaluate(&[], &Objective::default()).await;
    assert_eq!(verdicts, Ok(Vec::new()));
}

#[tokio::test]
async fn a_plugin_is_compiled_by_the_program_once_and_kept_for_the_next_start() {
    let folder = tempfile::tempdir().expect("folder");
    let first = host(&program(), folder.path(), |_| ());
    assert_answers(&first).await;
    let kept = fs::read_dir(folder.path()).expect("cache").count();
    assert_eq!(kept, 1);

    // Nobody could compile it again.
    let next = host(Path::new("/no/such/program"), folder.path(), |_| ());
    assert_answers(&next).await;
}

#[tokio::test]
async fn a_component_bomb_is_stopped_at_the_bound_on_memory() {
    let folder = tempfile::tempdir().expect("folder");
    let host = host(&program(), folder.path(), |config| {
        config.compile.memory_bytes = 64 << 20;
    });
    assert_eq!(
        refusal(&host, &bomb()).await,
        "compiling it takes more than 67108864 bytes of memory"
    );
    assert_answers(&host).await;
}

#[tokio::test]
async fn a_component_bomb_is_stopped_at_the_deadline() {
    let folder = tempfile::tempdir().expect("folder");
    let host = host(&program(), folder.path(), |config| {
        config.compile.deadline_ms = 300;
    });
    assert_eq!(
        refusal(&host, &bomb()).await,
        "it compiles longer than 300 ms"
    );
    assert_eq!(fs::read_dir(folder.path()).expect("cache").count(), 0);
}

#[test]
fn the_compiling_process_ends_with_its_host_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let bomb = bomb();
    let order = json!({ "config": {}, "allocation": "on_demand", "bytes": bomb.len() });
    let mut child = Command::new(program())
        .arg("compile-plugin")
        .env_clear()
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("standard input");
    writeln!(input, "{order}").expect("the order is taken");
    input.write_all(&bomb).expect("the component is taken");
    // What a host that was killed does to its pipes.
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty(), "it did not go on to the end");
    let left = fs::read_dir(folder.path()).expect("folder").count();
    assert_eq!(left, 0, "it touched its folder");
}
