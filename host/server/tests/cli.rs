//! The binary starts and explains itself. (That this test exists also makes `cargo test` build the
//! binary, which the integration tests run.)

use std::process::Command;

#[test]
fn the_binary_explains_itself() {
    let output = Command::new(env!("CARGO_BIN_EXE_boathouse"))
        .arg("--help")
        .output()
        .expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    for command in [
        "serve", "demo", "ingest", "index", "search", "tune", "plugin", "config",
    ] {
        assert!(text.contains(command), "`{command}` is missing in:\n{text}");
    }
}
