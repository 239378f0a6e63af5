//! The audit log: every change and every refusal, by whom and when, in the primary bucket.
//!
//! A request hands its line over and goes on; lines reach the bucket within about a second, those about
//! keys and plugins before their answer goes out. What a bucket that hangs may cost is bounded: a request
//! waits [`PATIENCE`] at most, and beyond [`MOST_WAITING`] lines in memory further ones are counted
//! instead of kept. Equal refusals are one line and, per [`WINDOW_MILLIS`], one more with their number, so
//! that nobody without a key can fill the bucket.
//!
//! A process that is killed loses the lines of its last second, those about keys and plugins excepted.
//! Nothing here is ever deleted.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use boathouse_storage::{AppendLog, Bucket, StorageError, time_ordered_id};
use boathouse_types::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

const PREFIX: &str = "audit/log";
/// How often lines are written when there are any.
const EVERY: Duration = Duration::from_secs(1);
/// How long a request waits for its line to be written.
const PATIENCE: Duration = Duration::from_secs(2);
/// Lines that wait for a bucket.
const MOST_WAITING: u64 = 10_000;
/// How long equal refusals are counted before they become a line.
const WINDOW_MILLIS: i64 = 60_000;
/// Kinds of refusals that are told apart at a time.
const MOST_KINDS: usize = 1_000;
/// Files of the log that are left apart, and flushes between two looks at their number.
const FILES: u64 = 256;

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditLine {
    /// Its place in the log; later lines have greater ids.
    pub id: String,
    /// When the request ended.
    pub at: Timestamp,
    /// Who: `anonymous`, `owner`, the name and id of a key, or `unknown`.
    pub caller: String,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub from: Option<IpAddr>,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Status of the answer; missing when the client went away first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Code of the problem, of refusals before the route was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The request, as in the log of the process.
    pub request_id: String,
    /// How many equal ones this line stands for.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub times: u64,
}

fn one() -> u64 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_one(times: &u64) -> bool {
    *times == 1
}

/// A request, as far as the audit log tells of it.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) caller: String,
    pub(super) from: Option<IpAddr>,
    pub(super) method: String,
    /// The pattern of the route, by which refusals are equal.
    pub(super) route: String,
    pub(super) path: String,
    pub(super) status: Option<u16>,
    pub(super) code: Option<String>,
    pub(super) request_id: String,
}

/// Part of the log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AuditPage {
    /// Oldest first.
    lines: Vec<AuditLine>,
    /// `after` of the next page; missing when there is nothing yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// Lines that could not be kept since the host started, because the bucket did not take them.
    lost: u64,
}

/// By what refusals are equal.
type Kind = (String, Option<IpAddr>, String, String, Option<String>);

/// Refusals of the present window.
struct Window {
    since: Timestamp,
    /// The first of its kind, which has its line, and how many followed.
    kinds: BTreeMap<Kind, (Event, u64)>,
    /// Refusals of further kinds.
    others: u64,
}

/// The log and what waits for it.
pub struct Audit {
    log: AppendLog<AuditLine>,
    primary: Bucket,
    clock: Arc<dyn Clock>,
    handed_over: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
    flushes: AtomicU64,
    window: Mutex<Window>,
}

impl Audit {
    pub(super) fn open(primary: &Bucket, clock: Arc<dyn Clock>) -> Self {
        let window = Window {
            since: clock.now(),
            kinds: BTreeMap::new(),
            others: 0,
        };
        // Buffered without bound: the bound is `MOST_WAITING`, so that no request ever flushes for others.
        let log = AppendLog::new(primary.clone(), PREFIX, Arc::clone(&clock))
            .with_flush_threshold(usize::MAX);
        Self {
            log,
            primary: primary.clone(),
            clock,
            handed_over: AtomicU64::new(0),
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            window: Mutex::new(window),
        }
    }

    /// Takes a line over.
    pub(super) fn note(&self, event: Event) {
        self.push(event, 1);
    }

    /// Takes the line of a refusal over, or counts it when there was an equal one lately.
    pub(super) fn refused(&self, event: Event) {
        let kind = (
            event.caller.clone(),
            event.from,
            event.method.clone(),
            event.route.clone(),
            event.code.clone(),
        );
        let mut window = self.window();
        if let Some((_, more)) = window.kinds.get_mut(&kind) {
            *more += 1;
        } else if window.kinds.len() < MOST_KINDS {
            window.kinds.insert(kind, (event.clone(), 0));
            drop(window);
            self.push(event, 1);
        } else {
            window.others += 1;
        }
    }

    /// Waits until what was taken over so far is in the bucket, but not for long.
    pub(super) async fn settled(&self) {
        match tokio::time::timeout(PATIENCE, self.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the audit log cannot be written"),
            Err(_) => tracing::error!("the audit log takes too long to be written"),
        }
    }

    /// Writes lines as they come, until the host stops.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if self.clock.now().millis() - self.window().since.millis() >= WINDOW_MILLIS {
                self.close_window();
            }
            if self.waiting() == 0 {
                continue;
            }
            if let Err(error) = self.flush().await {
                tracing::error!(%error, "the audit log cannot be written");
            }
            self.tidy().await;
        }
    }

    /// Writes what is left; for the end of the host.
    pub(crate) async fn close(&self) {
        self.close_window();
        if self.waiting() > 0 {
            self.settled().await;
        }
    }

    /// At most `limit` lines: those that follow the line `after`, or the newest.
    ///
    /// # Errors
    /// The bucket cannot be read.
    pub(crate) async fn read(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<AuditPage, StorageError> {
        let mut lines = self.log.read_all().await?.records;
        lines.sort_by(|a, b| a.id.cmp(&b.id));
        let lines: Vec<AuditLine> = match after {
            Some(after) => {
                let from = lines.partition_point(|line| line.id.as_str() <= after);
                lines.into_iter().skip(from).take(limit).collect()
            }
            None => {
                let from = lines.len().saturating_sub(limit);
                lines.split_off(from)
            }
        };
        Ok(AuditPage {
            next: lines
                .last()
                .map(|line| line.id.clone())
                .or_else(|| after.map(str::to_owned)),
            lines,
            lost: self.lost.load(Ordering::Relaxed),
        })
    }

    /// Lines that are not in the bucket yet.
    fn waiting(&self) -> u64 {
        let written = self.written.load(Ordering::SeqCst);
        self.handed_over.load(Ordering::SeqCst) - written
    }

    fn push(&self, event: Event, times: u64) {
        if self.waiting() >= MOST_WAITING {
            if self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::error!("the audit log loses lines: the primary bucket does not take them");
            }
            return;
        }
        let line = AuditLine {
            id: time_ordered_id(&*self.clock),
            at: self.clock.now(),
            caller: event.caller,
            from: event.from,
            method: event.method,
            path: event.path,
            status: event.status,
            code: event.code,
            request_id: event.request_id,
            times,
        };
        self.handed_over.fetch_add(1, Ordering::SeqCst);
        // The buffer has no bound, so this is over at once.
        match futures::FutureExt::now_or_never(self.log.append(line)) {
            Some(Ok(())) => {}
            _ => tracing::error!("a line of the audit log could not be kept"),
        }
    }

    async fn flush(&self) -> Result<(), StorageError> {
        let handed_over = self.handed_over.load(Ordering::SeqCst);
        self.log.flush().await?;
        self.written.fetch_max(handed_over, Ordering::SeqCst);
        Ok(())
    }

    /// Turns the counted refusals into lines and starts a new window.
    fn close_window(&self) {
        let (kinds, others) = {
            let mut window = self.window();
            window.since = self.clock.now();
            let kinds = std::mem::take(&mut window.kinds);
            (kinds, std::mem::take(&mut window.others))
        };
        for (event, more) in kinds.into_values().filter(|(_, more)| *more > 0) {
            self.push(event, more);
        }
        if others > 0 {
            let event = Event {
                caller: "various".to_owned(),
                from: None,
                method: "various".to_owned(),
                route: String::new(),
                path: "various".to_owned(),
                status: None,
                code: Some("refused".to_owned()),
                request_id: String::new(),
            };
            self.push(event, others);
        }
    }

    /// Merges the files of the log when they have become many.
    async fn tidy(&self) {
        if !self
            .flushes
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(FILES)
        {
            return;
        }
        let many = match self.primary.list(PREFIX).await {
            Ok(files) => files.len() as u64 > FILES,
            Err(_) => false,
        };
        if many && let Err(error) = self.log.compact().await {
            tracing::warn!(%error, "the files of the audit log could not be merged");
        }
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::{BucketName, ManualClock};
    use object_store::{
        memory::InMemory,
        throttle::{ThrottleConfig, ThrottledStore},
    };

    use super::*;

    fn house() -> (Audit, Bucket, Arc<ManualClock>) {
        let primary = Bucket::memory(BucketName::primary());
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let audit = Audit::open(&primary, Arc::clone(&clock) as Arc<dyn Clock>);
        (audit, primary, clock)
    }

    fn event(path: &str) -> Event {
        Event {
            caller: "k (1)".to_owned(),
            from: None,
            method: "POST".to_owned(),
            route: path.to_owned(),
            path: path.to_owned(),
            status: Some(200),
            code: None,
            request_id: "r".to_owned(),
        }
    }

    async fn lines(audit: &Audit) -> Vec<(String, u64)> {
        let page = audit.read(None, 100_000).await.expect("read");
        let line = |line: AuditLine| (line.path, line.times);
        page.lines.into_iter().map(line).collect()
    }

    #[tokio::test]
    async fn a_line_is_in_the_bucket_once_it_is_settled() {
        let (audit, primary, clock) = house();
        audit.note(event("/a"));
        assert!(primary.list(PREFIX).await.expect("listed").is_empty());
        assert_eq!(lines(&audit).await, [("/a".to_owned(), 1)], "but readable");
        audit.settled().await;
        assert_eq!(audit.waiting(), 0);
        let next = Audit::open(&primary, clock);
        assert_eq!(lines(&next).await, [("/a".to_owned(), 1)]);
    }

    #[tokio::test]
    async fn pages_follow_each_other_and_the_newest_come_without_a_cursor() {
        let (audit, ..) = house();
        for at in 0..5 {
            audit.note(event(&format!("/{at}")));
        }
        let paths = |page: &AuditPage| -> Vec<String> {
            page.lines.iter().map(|line| line.path.clone()).collect()
        };
        let newest = audit.read(None, 2).await.expect("read");
        assert_eq!(paths(&newest), ["/3", "/4"]);
        let first = audit.read(Some(""), 3).await.expect("read");
        assert_eq!(paths(&first), ["/0", "/1", "/2"]);
        let second = audit.read(first.next.as_deref(), 3).await.expect("read");
        assert_eq!(paths(&second), ["/3", "/4"]);
        let none = audit.read(second.next.as_deref(), 3).await.expect("read");
        assert!(none.lines.is_empty() && none.next == second.next);
    }

    #[tokio::test]
    async fn equal_refusals_are_one_line_and_a_number() {
        let (audit, ..) = house();
        for _ in 0..1_000 {
            audit.refused(event("/x"));
        }
        assert_eq!(lines(&audit).await, [("/x".to_owned(), 1)]);
        audit.close_window();
        let both = [("/x".to_owned(), 1), ("/x".to_owned(), 999)];
        assert_eq!(lines(&audit).await, both);
        audit.refused(event("/x"));
        assert_eq!(lines(&audit).await.len(), 3, "a new window");
    }

    #[tokio::test]
    async fn a_flood_of_different_refusals_is_bounded() {
        let (audit, ..) = house();
        for at in 0..MOST_KINDS + 500 {
            audit.refused(event(&format!("/{at}")));
        }
        assert_eq!(lines(&audit).await.len(), MOST_KINDS);
        audit.close_window();
        let last = lines(&audit).await.pop().expect("a line");
        assert_eq!(last, ("various".to_owned(), 500));
    }

    #[tokio::test]
    async fn a_bucket_that_hangs_holds_no_request_for_long() {
        let hanging = ThrottleConfig {
            wait_put_per_call: Duration::from_secs(86_400),
            ..ThrottleConfig::default()
        };
        let store = Arc::new(ThrottledStore::new(InMemory::new(), hanging));
        let primary = Bucket::memory(BucketName::primary()).with_store(store);
        let audit = Audit::open(&primary, Arc::new(ManualClock::at(0)));
        audit.note(event("/a"));
        let settled = tokio::time::timeout(PATIENCE * 20, audit.settled()).await;
        assert!(settled.is_ok(), "it gave up waiting");
        audit.note(event("/b"));
        assert_eq!(audit.waiting(), 2, "both lines wait for the bucket");
        assert_eq!(lines(&audit).await.len(), 2);
    }

    #[tokio::test]
    async fn lines_that_nobody_takes_are_counted_and_not_kept() {
        let (audit, ..) = house();
        for _ in 0..MOST_WAITING + 7 {
            audit.note(event("/a"));
        }
        let page = audit.read(None, 1).await.expect("read");
        assert_eq!(page.lost, 7);
        audit.settled().await;
        audit.note(event("/b"));
        assert_eq!(audit.waiting(), 1, "it goes on once the bucket takes them");
    }
}
