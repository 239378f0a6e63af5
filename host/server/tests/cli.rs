//! The binary starts and explains itself. (That this test exists also makes `cargo test` build the
//! binary, which the integration tests run.)

use std::process::{Command, Stdio};

#[test]
fn the_binary_explains_itself() {
    let output = Command::new(env!("CARGO_BIN_EXE_boathouse"))
        .arg("--help")
        .output()
        .expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    for command in [
        "serve", "demo", "ingest", "index", "search", "tune", "plugin", "key", "config",
    ] {
        assert!(text.contains(command), "`{command}` is missing in:\n{text}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_boathouse"))
        .args(["config", "show"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
