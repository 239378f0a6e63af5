//! A side of a comparison: a process that answers a line of JSON with a line of JSON.
//!
//! The first line that it says is a greeting with its name and version. An answer with `error` is the
//! failure of that one question. All sides are started with the same environment, in which pools of
//! threads that nobody sized have one thread; what is to run on more is told so in its question, or, where there is
//! no other way to tell it, is started with more.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The folder of the bench in the checkout that this binary was built from.
pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file that `bench/setup` prepares.
pub(crate) fn data(name: &str) -> Result<PathBuf> {
    let path = folder().join("data").join(name);
    if !path.is_file() {
        bail!("bench/data/{name} is missing: run bench/setup");
    }
    Ok(path)
}

/// A folder of `bench/data`, made anew.
pub(crate) fn emptied(name: &str) -> Result<PathBuf> {
    let path = folder().join("data").join(name);
    if path.exists() {
        fs::remove_dir_all(&path)?;
    }
    fs::create_dir_all(&path)?;
    Ok(path)
}

/// Bytes of all files below a folder.
pub(crate) fn folder_bytes(path: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            folder_bytes(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}

/// A field of a process's memory, in bytes: `VmRSS` now, `VmHWM` at its peak.
pub(crate) fn memory(pid: u32, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let line = line.with_context(|| format!("no {field} in the process's status"))?;
    let kilobytes = line.trim_matches(|c: char| !c.is_ascii_digit());
    Ok(kilobytes.parse::<u64>()? * 1024)
}

/// A running side; it ends with this value.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// A service of this binary.
    pub(crate) fn ours(service: &str) -> Result<Self> {
        Self::ours_on(service, 1)
    }

    /// The same with pools of so many threads.
    pub(crate) fn ours_on(service: &str, threads: usize) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([crate::ours::COMMAND, service]);
        Self::start(command, threads)
    }

    /// A script in `bench/python`, run by the virtual environment that `bench/setup` makes.
    pub(crate) fn peer(script: &str) -> Result<Self> {
        Self::peer_on(script, 1)
    }

    /// The same with pools of so many threads.
    pub(crate) fn peer_on(script: &str, threads: usize) -> Result<Self> {
        let python = folder().join(".venv/bin/python");
        if !python.exists() {
            bail!("bench/.venv is missing: run bench/setup");
        }
        let mut command = Command::new(python);
        command.arg(folder().join("python").join(script));
        Self::start(command, threads)
    }

    /// A program that `bench/setup` builds into `bench/data`.
    pub(crate) fn built(program: &str) -> Result<Self> {
        Self::start(Command::new(data(program)?), 1)
    }

    fn start(mut command: Command, threads: usize) -> Result<Self> {
        for pool in [
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
            "RAYON_NUM_THREADS",
        ] {
            command.env(pool, threads.to_string());
        }
        let mut child = command
            .env("TOKENIZERS_PARALLELISM", "false")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?} does not start"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.context("a child without stdout")?;
        let mut process = Self {
            name: format!("{command:?}"),
            child,
            input,
            output: BufReader::new(output),
        };
        let greeting = process.hear()?;
        process.name = serde_json::from_value(greeting["name"].clone())?;
        Ok(process)
    }

    /// Name and version.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Puts a question and waits for the answer.
    pub(crate) fn ask<Answer: DeserializeOwned>(
        &mut self,
        question: &impl Serialize,
    ) -> Result<Answer> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        let input = self.input.as_mut().context("a child without stdin")?;
        input.write_all(&line)?;
        input.flush()?;
        let answer = self.hear()?;
        if let Some(error) = answer["error"].as_str() {
            bail!("{}: {error}", self.name);
        }
        serde_json::from_value(answer)
            .with_context(|| format!("{} gave another answer than expected", self.name))
    }

    fn hear(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("{} ended; its last words are above", self.name);
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input is the end of its work. A failure to wait leaves nothing to do.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// The other end: answers questions from stdin until there are no more.
pub(crate) fn serve<Question: DeserializeOwned>(
    name: &str,
    mut answer: impl FnMut(Question) -> Result<Value>,
) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", json!({ "name": name }))?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let answered = serde_json::from_str(&line?)
            .map_err(anyhow::Error::from)
            .and_then(&mut answer);
        let said = answered.unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        writeln!(out, "{said}")?;
        out.flush()?;
    }
    Ok(())
}
