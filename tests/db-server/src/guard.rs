//! A server as the child of a shell that outlives nobody.
//!
//! The shell waits for its standard input, which this process holds. A line there, or its end, which comes with
//! the end of this process too, kills the server and all its children. At the end without a line the shell also
//! removes the folder. Signals to the whole group of processes do not end it before that.
//!
//! The server's standard error is read to its end by a thread of ours, so nothing here polls: a line of it says that
//! the server is ready, and its end that every process of the server is gone.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, BufReader, Write as _},
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{Product, home::Home};

/// Stopped before it is killed, so that it does not fork in between. Children that a server left behind would hold
/// its memory and serve on.
const SHELL: &str = r#"
    trap '' HUP INT TERM
    folder=$1
    shift
    "$@" </dev/null & server=$!
    exec >/dev/null 2>&1
    read -r word
    kill -STOP $server
    kill -9 $server $(cat /proc/$server/task/*/children)
    wait $server
    [ "$word" = keep ] || rm -rf "$folder"
"#;
/// How long a server may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(240);
/// Lines of the log that are kept for the message about a failed start.
const LINES: usize = 30;

/// A server and the shell around it, which end with this value.
#[derive(Debug)]
pub(crate) struct Running {
    shell: Child,
    /// Reads the log to its end, and returns its last lines.
    log: Option<JoinHandle<Vec<String>>>,
}

impl Running {
    /// Starts a server and waits until it is ready.
    pub(crate) fn start<P: Product>(home: &Home, server: &Command) -> io::Result<Self> {
        let mut shell = home.command("sh".as_ref());
        shell.args(["-c", SHELL, "sh"]).arg(home.path(""));
        shell.arg(server.get_program()).args(server.get_args());
        shell.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut shell = shell.stdout(Stdio::null()).spawn()?;
        let (ready, is_ready) = mpsc::channel();
        let log = shell.stderr.take();
        let log = log.map(|log| thread::spawn(|| follow(log, P::READY, ready)));
        let running = Self { shell, log };
        let problem = match is_ready.recv_timeout(PATIENCE) {
            Ok(()) => return Ok(running),
            Err(RecvTimeoutError::Timeout) => "does not get ready",
            Err(RecvTimeoutError::Disconnected) => "has ended",
        };
        let said = running.kill().join("\n");
        Err(io::Error::other(format!("{} {problem}: {said}", P::NAME)))
    }

    /// Ends the server and keeps its folder. Returns the last lines of its log.
    pub(crate) fn kill(mut self) -> Vec<String> {
        if let Some(input) = &mut self.shell.stdin {
            let _ = input.write_all(b"keep\n");
        }
        self.end()
    }

    fn end(&mut self) -> Vec<String> {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
        let log = self.log.take().map(JoinHandle::join);
        log.and_then(Result::ok).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads a log to its end. The sender goes before that, so the receiver learns of an early end too.
fn follow(log: ChildStderr, words: &str, ready: Sender<()>) -> Vec<String> {
    let mut lines = VecDeque::new();
    let mut ready = Some(ready);
    for line in BufReader::new(log).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains(words)
            && let Some(ready) = ready.take()
        {
            let _ = ready.send(());
        }
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
    lines.into()
}
