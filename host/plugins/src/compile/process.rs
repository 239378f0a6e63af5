//! The host's side of compiling in a process of its own: start it, feed it, bound it, and read what it says.
//!
//! The process gets the order and the component on standard input, answers with sealed code on standard
//! output, and with one line of JSON on standard error when it cannot. It gets no environment, and its
//! standard input stays open as long as the host wants the answer: a process that loses its host ends by
//! itself. One that takes too long is killed; dropping the future kills it too.

use std::{ffi::OsString, io, path::PathBuf, process::ExitStatus, process::Stdio};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
};

use super::{CompileError, sealed::HEADER};
use crate::{Allocation, CompileLimits, PluginHostConfig, error::Complaint, shape::one_line};

/// Bytes of standard error that are read.
const SAID: u64 = 64 << 10;
/// Most threads of one compilation: each costs address space, and the host serves meanwhile.
const MOST_THREADS: usize = 8;
/// What Rust's standard library says when an allocation fails, before it aborts.
const OUT_OF_MEMORY: &str = "memory allocation of ";
/// Signal of the kernel when memory is short, and of a person who wants an end.
const SIGKILL: i32 = 9;

/// The program that compiles, and how it is asked to.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

/// First line on standard input.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// What the host's engine was built from.
    pub(super) config: PluginHostConfig,
    /// How the host lays out guest memory; code depends on it.
    pub(super) allocation: Allocation,
    /// Bytes of the component that follow.
    pub(super) bytes: u64,
}

/// The line on standard error of a process that cannot answer.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "failure", content = "what", rename_all = "snake_case")]
pub(super) enum Failure {
    /// The component does not compile.
    Component(String),
    /// Compiling takes more memory than it may.
    Memory,
    /// Something other than the component is wrong.
    Host(String),
}

/// What a process left.
struct Left {
    status: ExitStatus,
    answer: Vec<u8>,
    said: String,
}

/// The cure for a component that takes too much to compile.
fn smaller(limit: &str) -> String {
    format!("make it smaller, split huge functions, or raise compile.{limit}")
}

/// Lets a process compile a component. Gives header and code, unchecked.
pub(super) async fn compile(
    program: &Program,
    config: &PluginHostConfig,
    allocation: Allocation,
    component: &[u8],
) -> Result<Vec<u8>, CompileError> {
    let limits = &config.compile;
    let order = Order {
        config: config.clone(),
        allocation,
        bytes: component.len() as u64,
    };
    let mut order = serde_json::to_vec(&order)
        .map_err(|error| CompileError::Host(format!("the compiler cannot be asked: {error}")))?;
    order.push(b'\n');
    let mut child = start(program, limits).map_err(|error| {
        let path = program.path.display();
        CompileError::Host(format!("the compiler {path} does not start: {error}"))
    })?;
    let ended = tokio::time::timeout(
        limits.deadline(),
        converse(&mut child, &order, component, limits),
    )
    .await;
    match ended {
        Ok(Ok(left)) => left.outcome(limits),
        Ok(Err(error)) => Err(CompileError::Host(format!(
            "the compiler cannot be talked to: {error}"
        ))),
        Err(_late) => {
            // Kills and reaps; that it may have ended meanwhile is no trouble.
            let _ended = child.kill().await;
            let most = limits.deadline_ms;
            Err(CompileError::Refused(Complaint::new(
                format!("it compiles longer than {most} ms"),
                smaller("deadline_ms"),
            )))
        }
    }
}

fn start(program: &Program, limits: &CompileLimits) -> io::Result<Child> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let at_once = usize::try_from(limits.at_once).unwrap_or(usize::MAX);
    let threads = processors.div_ceil(at_once).clamp(1, MOST_THREADS);
    Command::new(&program.path)
        .args(&program.arguments)
        .env_clear()
        .env("RAYON_NUM_THREADS", threads.to_string())
        // Each further arena of glibc reserves 64 MiB of the address space that is bounded.
        .env("MALLOC_ARENA_MAX", "2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Puts the question, and waits for the answer and the end.
async fn converse(
    child: &mut Child,
    order: &[u8],
    component: &[u8],
    limits: &CompileLimits,
) -> io::Result<Left> {
    let gone = || io::Error::other("it has no pipes");
    let mut input = child.stdin.take().ok_or_else(gone)?;
    let output = child.stdout.take().ok_or_else(gone)?;
    let errors = child.stderr.take().ok_or_else(gone)?;
    let feed = async {
        // A process that ended early says why by itself, so that a broken pipe is no error here.
        let _written = input.write_all(order).await;
        let _written = input.write_all(component).await;
        let _written = input.flush().await;
    };
    let most = limits.memory_bytes.saturating_add(HEADER as u64);
    let ((), answer, said) = tokio::join!(feed, read(output, most), read(errors, SAID));
    let status = child.wait().await?;
    // Only now: without its input the process would have ended.
    drop(input);
    Ok(Left {
        status,
        answer: answer?,
        said: String::from_utf8_lossy(&said?).into_owned(),
    })
}

async fn read(from: impl AsyncRead + Unpin, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

impl Left {
    fn outcome(self, limits: &CompileLimits) -> Result<Vec<u8>, CompileError> {
        if self.status.success() {
            return Ok(self.answer);
        }
        if self.said.contains(OUT_OF_MEMORY) {
            return Err(too_much_memory(limits));
        }
        let last = self.said.lines().rev().find(|line| !line.is_empty());
        let failure = last.and_then(|line| serde_json::from_str(line).ok());
        match failure {
            Some(Failure::Memory) => Err(too_much_memory(limits)),
            Some(Failure::Component(what)) => Err(CompileError::Refused(does_not_compile(&what))),
            Some(Failure::Host(what)) => Err(CompileError::Host(what)),
            None => Err(self.crash()),
        }
    }

    /// An end without a word: the component's doing when the compiler crashed, else the host's.
    fn crash(&self) -> CompileError {
        let Self { status, said, .. } = self;
        let said = one_line(&said.trim());
        if !crashed(*status) {
            return CompileError::Host(format!("the compiler ended with {status}: {said}"));
        }
        tracing::warn!(%status, said, "the compiler of plugins crashed");
        CompileError::Refused(Complaint::new(
            format!("the compiler crashed on it ({status})"),
            "build it with a current toolchain; if that does not help, its machine code cannot be made",
        ))
    }
}

/// A signal other than that of a kill from outside, or a panic.
fn crashed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    const PANIC: i32 = 101;
    match status.signal() {
        Some(signal) => signal != SIGKILL,
        None => status.code() == Some(PANIC),
    }
}

fn too_much_memory(limits: &CompileLimits) -> CompileError {
    CompileError::Refused(Complaint::new(
        format!(
            "compiling it takes more than {} bytes of memory",
            limits.memory_bytes
        ),
        smaller("memory_bytes"),
    ))
}

/// The complaint over a component that the engine does not take.
pub(super) fn does_not_compile(why: &dyn std::fmt::Display) -> Complaint {
    Complaint::new(
        format!("it does not compile: {}", one_line(why)),
        "check that the file is complete (`wasm-tools validate FILE`) and within the limits on memories, tables and instances",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a compiler that does this; `$0` is no part of it.
    async fn from_shell(
        script: &str,
        change: impl FnOnce(&mut CompileLimits),
    ) -> Result<Vec<u8>, CompileError> {
        let program = Program {
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
        };
        let mut config = PluginHostConfig::default();
        change(&mut config.compile);
        compile(&program, &config, Allocation::OnDemand, b"component").await
    }

    fn refused(outcome: Result<Vec<u8>, CompileError>) -> Complaint {
        match outcome {
            Err(CompileError::Refused(complaint)) => complaint,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn hosts(outcome: Result<Vec<u8>, CompileError>) -> String {
        match outcome {
            Err(CompileError::Host(what)) => what,
            other => panic!("not the host's: {other:?}"),
        }
    }

    #[tokio::test]
    async fn order_and_component_arrive_and_the_answer_comes_back() {
        let answer = from_shell("read -r order; printf %s \"$order\"; head -c 9", |_| ()).await;
        let answer = String::from_utf8(answer.expect("answers")).expect("text");
        let order = answer.strip_suffix("component").expect("the component");
        let order: Order = serde_json::from_str(order).expect("an order");
        assert_eq!((order.bytes, order.allocation), (9, Allocation::OnDemand));
        assert_eq!(order.config, PluginHostConfig::default());
    }

    #[tokio::test]
    async fn a_hanging_compiler_is_killed_at_the_deadline() {
        let outcome = from_shell("exec /bin/sleep 600", |limits| limits.deadline_ms = 20).await;
        let complaint = refused(outcome);
        assert_eq!(complaint.what, "it compiles longer than 20 ms");
        assert!(complaint.cure.contains("compile.deadline_ms"));
    }

    #[tokio::test]
    async fn running_out_of_memory_is_told() {
        let abort = "echo 'memory allocation of 123 bytes failed' >&2; kill -ABRT $$";
        let declared = r#"echo '{"failure":"memory"}' >&2; exit 1"#;
        for script in [abort, declared] {
            let complaint = refused(from_shell(script, |l| l.memory_bytes = 100 << 20).await);
            assert_eq!(
                complaint.what,
                "compiling it takes more than 104857600 bytes of memory"
            );
            assert!(complaint.cure.contains("compile.memory_bytes"));
        }
    }

    #[tokio::test]
    async fn a_crash_is_the_components_and_a_kill_the_hosts() {
        for script in ["kill -SEGV $$", "kill -ABRT $$", "exit 101"] {
            let complaint = refused(from_shell(script, |_| ()).await);
            assert!(complaint.what.starts_with("the compiler crashed on it"));
        }
        for script in ["kill -KILL $$", "exit 2", "exit 127"] {
            let what = hosts(from_shell(script, |_| ()).await);
            assert!(what.starts_with("the compiler ended with"), "{what}");
        }
    }

    #[tokio::test]
    async fn declared_failures_are_told_apart() {
        let script =
            r#"echo noise >&2; echo '{"failure":"component","what":"no magic"}' >&2; exit 1"#;
        let complaint = refused(from_shell(script, |_| ()).await);
        assert_eq!(complaint.what, "it does not compile: no magic");
        let script = r#"echo '{"failure":"host","what":"no engine"}' >&2; exit 1"#;
        assert_eq!(hosts(from_shell(script, |_| ()).await), "no engine");
    }

    #[tokio::test]
    async fn a_missing_program_is_the_hosts_trouble() {
        let program = Program {
            path: "/no/such/program".into(),
            arguments: Vec::new(),
        };
        let config = PluginHostConfig::default();
        let what = hosts(compile(&program, &config, Allocation::OnDemand, b"x").await);
        assert!(what.starts_with("the compiler /no/such/program does not start"));
    }

    #[tokio::test]
    async fn a_talkative_compiler_does_not_stall() {
        let script = "head -c 300000 /dev/zero >&2; head -c 200000 /dev/zero; exit 0";
        let answer = from_shell(script, |_| ()).await.expect("ends");
        assert_eq!(answer.len(), 200_000);
    }

    #[tokio::test]
    async fn the_environment_stays_behind() {
        let answer = from_shell("/usr/bin/env", |_| ()).await.expect("ends");
        let text = String::from_utf8(answer).expect("text");
        let names: Vec<&str> = text
            .lines()
            .filter_map(|l| Some(l.split_once('=')?.0))
            .collect();
        assert!(names.contains(&"RAYON_NUM_THREADS"), "{text}");
        assert!(!names.contains(&"HOME"), "{text}");
    }
}
