//! What a guest says on the side: the `log` import, stdout and stderr, in one bounded buffer.
//!
//! Text beyond the limit is dropped without an error, since printing too much is no reason to fail.
//! Lines are escaped when they are taken out: a guest must not write control sequences to a terminal
//! or forge lines of the host's log.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use crate::{LogTail, bindings::host::Level};

/// Lines that an error quotes.
const TAIL_LINES: usize = 5;
/// Characters of a line that are kept.
const LINE_CHARS: usize = 240;
/// Bytes that a guest may write to stdout or stderr at once; it repeats for more.
const WRITE_BYTES: usize = 64 << 10;

/// The log of one call. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct GuestLog(Arc<Mutex<Buffer>>);

#[derive(Debug)]
struct Buffer {
    plugin: String,
    /// Lines are kept and not passed on to the host's log.
    quiet: bool,
    /// Bytes that are still taken.
    left: usize,
    /// The last lines, escaped.
    lines: VecDeque<String>,
    /// What was printed since the last line break.
    partial: Vec<u8>,
}

impl GuestLog {
    /// An empty log that takes `bytes`.
    pub(crate) fn new(plugin: &str, bytes: u32) -> Self {
        Self(Arc::new(Mutex::new(Buffer {
            plugin: plugin.to_owned(),
            quiet: false,
            left: usize::try_from(bytes).unwrap_or(usize::MAX),
            lines: VecDeque::new(),
            partial: Vec::new(),
        })))
    }

    /// Passes nothing on to the host's log from now on: the guest sees values that may not stand there.
    pub(crate) fn keep_quiet(&self) {
        self.buffer().quiet = true;
    }

    /// Takes a line from the `log` import.
    pub(crate) fn line(&self, level: Level, message: &str) {
        let mut buffer = self.buffer();
        if let Some(text) = buffer.take(message.as_bytes()) {
            let text = escaped(text);
            buffer.push(level, text);
        }
    }

    /// The last lines, with what was printed and not yet ended by a line break.
    pub(crate) fn tail(&self) -> LogTail {
        let mut buffer = self.buffer();
        buffer.end_line();
        LogTail(buffer.lines.iter().cloned().collect())
    }

    fn print(&self, bytes: &[u8]) {
        let mut buffer = self.buffer();
        let Some(taken) = buffer.take(bytes) else {
            return;
        };
        for part in taken.split_inclusive(|byte| *byte == b'\n') {
            buffer.partial.extend_from_slice(part);
            if part.ends_with(b"\n") {
                buffer.end_line();
            }
        }
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// As much of the bytes as still fits; none when the log is full.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let taken = &bytes[..bytes.len().min(self.left)];
        // A line costs at least one byte, so that empty lines are bounded too.
        let cost = taken.len().max(1);
        if self.left < cost {
            return None;
        }
        self.left -= cost;
        Some(taken)
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.partial);
        let text = escaped(line.strip_suffix(b"\n").unwrap_or(&line));
        if !text.is_empty() {
            self.push(Level::Info, text);
        }
    }

    fn push(&mut self, level: Level, text: String) {
        let plugin = self.plugin.as_str();
        match level {
            _ if self.quiet => {}
            Level::Debug => tracing::debug!(plugin, "{text}"),
            Level::Info => tracing::info!(plugin, "{text}"),
            Level::Warn => tracing::warn!(plugin, "{text}"),
            Level::Error => tracing::error!(plugin, "{text}"),
        }
        if self.lines.len() == TAIL_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(text);
    }
}

/// The text without control characters and without its further part.
fn escaped(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .trim_end()
        .chars()
        .take(LINE_CHARS)
        .flat_map(|c| {
            let (control, plain) = match c.is_control() {
                true => (Some(c.escape_default()), None),
                false => (None, Some(c)),
            };
            control.into_iter().flatten().chain(plain)
        })
        .collect()
}

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// Asked for by later versions of WASI only, which are not linked.
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

#[async_trait]
impl Pollable for GuestLog {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestLog {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.print(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_log_calls_end_up_in_order() {
        let log = GuestLog::new("t/p@1.0.0", 1_000);
        log.print(b"one\ntw");
        log.print(b"o\n\n");
        log.line(Level::Warn, "three");
        log.print(b"no line break");
        assert_eq!(log.tail().lines(), ["one", "two", "three", "no line break"]);
    }

    #[test]
    fn a_flood_is_dropped_and_the_tail_stays_short() {
        let log = GuestLog::new("t/p@1.0.0", 100);
        for _ in 0..1_000 {
            log.line(Level::Info, "0123456789");
            log.line(Level::Info, "");
            log.print(b"\n");
        }
        assert_eq!(log.buffer().left, 0);
        assert!(log.tail().lines().len() <= TAIL_LINES);
    }

    #[test]
    fn control_characters_and_broken_utf8_come_out_harmless() {
        let log = GuestLog::new("t/p@1.0.0", 1_000);
        log.line(Level::Info, "\u{1b}[2Jline\nforged");
        log.print(b"\xff\xfe\n");
        assert_eq!(
            log.tail().lines(),
            ["\\u{1b}[2Jline\\nforged", "\u{fffd}\u{fffd}"]
        );
    }

    #[test]
    fn a_long_line_is_cut() {
        let log = GuestLog::new("t/p@1.0.0", 10_000);
        log.line(Level::Info, &"é".repeat(4_000));
        assert_eq!(log.tail().lines()[0].chars().count(), LINE_CHARS);
    }
}
