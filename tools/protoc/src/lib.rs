//! A protoc for build scripts, built by cargo alone.
//!
//! Lance's build scripts call `protoc`. The crate `protobuf-src` builds the C++ one with cmake, and an installed one would
//! be a program that the README's two commands do not bring. This crate has its name and its interface, and takes its
//! place by `[patch.crates-io]`; the compiler behind it is `protox`, in Rust.
//!
//! The program is the build script of this crate (`build.rs`): cargo builds it before anything that depends on it, and
//! for the machine that builds. It knows the options that prost-build passes and refuses all others.

use std::path::PathBuf;

/// The path of the program, for the variable `PROTOC`.
#[must_use]
pub fn protoc() -> PathBuf {
    PathBuf::from(env!("BOATHOUSE_PROTOC"))
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        process::{Command, Output},
    };

    use super::*;

    const GOOD: &str = r#"
        syntax = "proto3";
        package harbour;
        import "google/protobuf/empty.proto";
        message Mooring { optional string boat = 1; google.protobuf.Empty free = 2; }
    "#;

    /// Runs the program on a folder with the file `harbour.proto`, as prost-build does.
    fn compile(folder: &Path, text: &str, more: &[&str]) -> Output {
        std::fs::write(folder.join("harbour.proto"), text).expect("written");
        Command::new(protoc())
            .args(["--include_imports", "--include_source_info", "-o"])
            .arg(folder.join("set"))
            .arg("-I")
            .arg(folder)
            .args(more)
            .arg(folder.join("harbour.proto"))
            .output()
            .expect("the program runs")
    }

    #[test]
    fn a_file_and_what_it_imports_become_one_set() {
        let folder = tempfile::tempdir().expect("folder");
        let output = compile(
            folder.path(),
            GOOD,
            &["--experimental_allow_proto3_optional"],
        );
        assert!(output.status.success(), "{output:?}");
        let set = std::fs::read(folder.path().join("set")).expect("the set");
        let text = String::from_utf8_lossy(&set);
        assert!(text.contains("Mooring") && text.contains("google/protobuf/empty.proto"));
    }

    #[test]
    fn what_does_not_parse_is_said_and_fails() {
        let folder = tempfile::tempdir().expect("folder");
        let output = compile(folder.path(), "message {", &[]);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("harbour.proto"), "{said}");
    }

    #[test]
    fn an_option_that_it_does_not_know_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let output = compile(folder.path(), GOOD, &["--cpp_out=."]);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("--cpp_out=."), "{said}");
        assert!(!folder.path().join("set").exists());
    }
}
