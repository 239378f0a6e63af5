//! `boathouse plugin events --follow`: what happens at a host is printed as it happens, until somebody has
//! seen enough or the host stops.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use serde_json::Value;

use super::{files, path, text};
use crate::{
    guests::MARKED_1,
    support::{Host, program, run},
};

/// How long a follower may be silent before a test fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// A command that follows events; killed when dropped.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    /// Follows what comes after an event of this number.
    fn start(host: &Host, after: u64, more: &[&str]) -> Self {
        let after = after.to_string();
        let mut child = Command::new(program())
            .args(["--url", &host.url, "plugin", "events", "--follow"])
            .args(["--after", &after])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("standard output"));
        let (told, lines) = channel();
        std::thread::spawn(move || {
            let mut lines = out.lines().map_while(Result::ok);
            lines.try_for_each(|line| told.send(line))
        });
        Self { child, lines }
    }

    /// The next line.
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }

    /// The next event of one that was started with `--json`.
    fn event(&self) -> Value {
        serde_json::from_str(&self.line()).expect("one event a line")
    }

    /// Waits for the end, after which nothing more may come.
    fn end(mut self) -> ExitStatus {
        let ended = self.lines.recv_timeout(PATIENCE);
        assert_eq!(ended, Err(RecvTimeoutError::Disconnected), "still there");
        self.child.wait().expect("ended")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks a process to end, by a signal that a shell does not make its background jobs ignore.
fn terminate(pid: u32) {
    let kill = format!("kill -TERM {pid}");
    let sent = Command::new("sh").args(["-c", &kill]).status();
    assert!(sent.expect("a shell").success(), "{kill}");
}

/// Runs a command of `boathouse plugin` at a host, which must succeed.
#[track_caller]
fn done(host: &Host, arguments: &[&str]) {
    let output = run(&[&["--url", &host.url, "plugin"], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// The number of the newest event.
async fn newest(host: &Host) -> u64 {
    let page = host.read("/plugins/events?limit=1000").await;
    let events = page["events"].as_array().expect("events");
    let last = events.last().expect("the bundled plugins came in");
    last["seq"].as_u64().expect("a number")
}

#[tokio::test]
async fn an_upload_and_an_activation_are_told_as_they_happen() {
    let host = Host::fresh();
    let folder = files(&[("marked.wasm", MARKED_1)]);
    let newest = newest(&host).await;
    let people = Follower::start(&host, newest - 1, &[]);
    let scripts = Follower::start(&host, newest - 1, &["--json"]);
    // Both have caught up, so what comes now comes live.
    assert_eq!(scripts.event()["seq"], newest);
    assert!(people.line().contains("boathouse/"));

    done(&host, &["push", &path(&folder, "marked.wasm")]);
    for (at, happened) in (newest + 1..).zip(["uploaded", "checked"]) {
        let event = scripts.event();
        assert_eq!(
            (&event["seq"], &event["event"]),
            (&at.into(), &happened.into())
        );
        assert_eq!(event["name"], "test/marked", "{event}");
        let line = people.line();
        assert!(
            line.contains(happened) && line.contains("scoring test/marked 1.0.0"),
            "{line}"
        );
    }
    done(&host, &["activate", "test/marked", "1.0.0"]);
    let event = scripts.event();
    assert_eq!(
        (&event["event"], &event["version"]),
        (&"activated".into(), &"1.0.0".into())
    );
    let line = people.line();
    assert!(
        line.contains("activated") && line.contains("test/marked 1.0.0"),
        "{line}"
    );
}

#[tokio::test]
async fn following_ends_by_a_signal_or_with_the_host() {
    let host = Host::fresh();
    let [one, other] = [(); 2].map(|()| Follower::start(&host, 0, &["--json"]));
    let newest = newest(&host).await;
    for follower in [&one, &other] {
        while follower.event()["seq"] != newest {}
    }
    terminate(one.child.id());
    assert!(!one.end().success(), "it was cut off");

    // A host that is told to stop lets its followers go.
    terminate(host.pid());
    assert_eq!(other.end().code(), Some(0));
}
