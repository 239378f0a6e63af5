//! Compiling once: shared flights, the cache, and what happens when code is damaged.
//!
//! The compiler process is played by a shell here; the real one is this crate's [`compile_child`], whose
//! body is tested beside it and which the program's tests run.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use tempfile::TempDir;

use super::*;
use crate::testing::TestGuest;

struct Setup {
    folder: TempDir,
    engine: Engine,
    compiler: Compiler,
    bytes: Bytes,
    digest: Digest,
}

fn setup() -> Setup {
    setup_with(&PluginHostConfig::default())
}

/// A compiler whose process answers with real code for one component and notes each time it runs.
fn setup_with(config: &PluginHostConfig) -> Setup {
    let folder = tempfile::tempdir().expect("folder");
    let (engine, allocation) = engine::build(config).expect("engine");
    let bytes = Bytes::from(TestGuest::default().component());
    let code = engine.precompile_component(&bytes).expect("compiles");
    let purpose = Purpose {
        compatibility: engine::compatibility(&engine),
        component: Digest::of(&bytes),
    };
    let answer = [sealed::header(purpose, &code), code].concat();
    fs::write(folder.path().join("answer"), answer).expect("answer");
    let here = folder.path().display();
    // The process gets no environment, and so no search path.
    let script =
        format!("PATH=/usr/bin:/bin; read -r order; echo run >>{here}/runs; cat {here}/answer");
    let mut compiler = Compiler::new(
        Compiling::Child {
            program: "/bin/sh".into(),
            cache: folder.path().join("cache"),
        },
        &engine,
        allocation,
        config,
    );
    play(&mut compiler, &script);
    Setup {
        digest: Digest::of(&bytes),
        folder,
        engine,
        compiler,
        bytes,
    }
}

/// Lets a shell play the compiler's process by a script.
fn play(compiler: &mut Compiler, script: &str) {
    let Way::Child(child) = &mut compiler.way else {
        panic!("not in a process of its own");
    };
    child.program.arguments = vec!["-c".into(), script.into()];
}

impl Setup {
    fn runs(&self) -> usize {
        let runs = fs::read_to_string(self.folder.path().join("runs"));
        runs.map_or(0, |text| text.lines().count())
    }

    async fn component(&self) -> Result<Component, CompileError> {
        self.compiler.component(self.digest, &self.bytes).await
    }

    fn kept(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("cache")).expect("cache");
        entries.map(|entry| entry.expect("entry").path()).collect()
    }
}

#[tokio::test]
async fn loads_at_the_same_time_share_one_compilation() {
    let setup = setup();
    let (a, b, c) = tokio::join!(setup.component(), setup.component(), setup.component());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(setup.runs(), 1);
}

#[tokio::test]
async fn no_more_components_are_compiled_at_once_than_allowed() {
    let mut config = PluginHostConfig::default();
    config.compile.at_once = 1;
    let mut setup = setup_with(&config);
    let runs = setup.folder.path().join("runs");
    let here = runs.display();
    // It counts for a while, so that another would begin meanwhile if it could.
    let script = format!(
        "echo begin >>{here}; n=0; while [ $n -lt 30000 ]; do n=$((n+1)); done; echo end >>{here}"
    );
    play(&mut setup.compiler, &script);
    let compile = async |bytes: &'static [u8]| {
        let (digest, bytes) = (Digest::of(bytes), Bytes::from_static(bytes));
        setup.compiler.component(digest, &bytes).await.map(drop)
    };
    let (a, b, c) = tokio::join!(compile(b"a"), compile(b"b"), compile(b"c"));
    assert!(a.is_err() && b.is_err() && c.is_err(), "it says nothing");
    let noted = fs::read_to_string(runs).expect("notes");
    assert_eq!(noted, "begin\nend\n".repeat(3));
}

#[tokio::test]
async fn later_loads_take_what_was_kept() {
    let setup = setup();
    for _ in 0..3 {
        assert!(setup.component().await.is_ok());
    }
    assert_eq!(setup.runs(), 1);
    assert_eq!(setup.kept().len(), 1);
}

#[tokio::test]
async fn what_is_kept_is_had_without_a_compilation() {
    let setup = setup();
    assert!(setup.compiler.kept(setup.digest).is_none());
    assert_eq!(setup.runs(), 0);
    assert!(setup.component().await.is_ok());
    assert!(setup.compiler.kept(setup.digest).is_some());
    let other = Digest::of(b"another component");
    assert!(setup.compiler.kept(other).is_none());
    assert_eq!(setup.runs(), 1);
}

#[tokio::test]
async fn damaged_code_is_made_again() {
    let setup = setup();
    assert!(setup.component().await.is_ok());
    let [file] = &setup.kept()[..] else {
        panic!("one file");
    };
    let mut damaged = fs::read(file).expect("file");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(file, damaged).expect("written");
    assert!(setup.component().await.is_ok());
    assert_eq!(setup.runs(), 2);
}

#[tokio::test]
async fn without_a_usable_folder_it_compiles_each_time() {
    let mut setup = setup();
    fs::write(setup.folder.path().join("file"), "x").expect("file");
    let opened = Cache::open(&setup.folder.path().join("file"), 0);
    assert!(opened.is_err());
    let Way::Child(child) = &mut setup.compiler.way else {
        panic!("not in a process of its own");
    };
    child.cache = None;
    assert!(setup.component().await.is_ok());
    assert!(setup.component().await.is_ok());
    assert_eq!(setup.runs(), 2);
}

#[tokio::test]
async fn a_torn_answer_is_the_hosts_trouble_and_is_not_kept() {
    let setup = setup();
    let answer = setup.folder.path().join("answer");
    let whole = fs::read(&answer).expect("answer");
    for length in [0, 50, whole.len() - 1] {
        fs::write(&answer, &whole[..length]).expect("written");
        let error = setup.component().await.err();
        assert!(
            matches!(&error, Some(CompileError::Host(what)) if what.contains("torn")),
            "{error:?}"
        );
    }
    assert!(setup.kept().is_empty());
    fs::write(&answer, whole).expect("written");
    assert!(setup.component().await.is_ok(), "the next load tries again");
}

#[tokio::test]
async fn code_for_another_component_is_not_taken() {
    let setup = setup();
    let other = Bytes::from_static(b"another component");
    let error = setup.compiler.component(Digest::of(&other), &other).await;
    assert!(
        matches!(&error, Err(CompileError::Host(what)) if what.contains("another component")),
        "{:?}",
        error.err()
    );
}

#[tokio::test]
async fn in_this_process_loads_share_too_and_keep_nothing() {
    let setup = setup();
    let compiler = Compiler::new(
        Compiling::InProcess,
        &setup.engine,
        Allocation::OnDemand,
        &PluginHostConfig::default(),
    );
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let flight = compiler.flight(a);
    assert!(Arc::ptr_eq(&flight, &compiler.flight(a)));
    assert!(!Arc::ptr_eq(&flight, &compiler.flight(b)));
    drop(flight);
    let first = compiler.component(setup.digest, &setup.bytes).await;
    assert!(first.is_ok());
    assert!(setup.kept().is_empty());
    let mode = fs::metadata(setup.folder.path().join("cache")).expect("cache");
    assert_eq!(mode.permissions().mode() & 0o777, 0o700);
}
