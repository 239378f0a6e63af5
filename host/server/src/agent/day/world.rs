//! The world of the day: a host without loops in a folder of its own, clients that come by a seed, and what must
//! hold after every pass of the agent.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, http::Request};
use boathouse_types::{Clock, IndexConfig, IndexName, ManualClock, Timestamp, Trial};
use boathouse_vector::{Scratch, exact_top_k, recall_at_k};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tower::ServiceExt as _;

use super::{
    super::{AgentConfig, errands, events::Happened, tuning, tuning::Surroundings},
    judges::{Bench, Hanging, Mode},
};
use crate::{
    app::App,
    config::{Config, Environment},
    http,
    indexes::LiveIndex,
    tasks::TaskState,
};

pub(super) const START: i64 = 1_800_000_000_000;
pub(super) const MINUTE: i64 = 60_000;
/// Recall that the owner of the index wants.
pub(super) const FLOOR: f64 = 0.9;
/// Trials that may begin in an hour.
pub(super) const PER_HOUR: usize = 6;
/// Rows at the beginning of the day, and those that come.
const ROWS: usize = 1_200;
pub(super) const GROWTH: usize = 1_500;
/// What rows and questions are made of.
pub(super) const WORDS: &str = "river mountain bread winter garden music doctor engine paper market \
    teacher ocean window horse castle bridge forest coffee letter island summer knife \
    planet village soldier camera carpet desert farmer glass hotel kitchen lawyer metal \
    novel orange pencil queen rocket school temple uncle valley wagon yellow zebra";
/// How long a step takes by the clock of the day.
const STEP: i64 = 7_000;

/// A day.
pub(super) struct Day {
    folder: TempDir,
    clock: Arc<ManualClock>,
    pub(super) app: Arc<App>,
    pub(super) around: Arc<Surroundings>,
    pub(super) hanging: Arc<Hanging>,
    bench: Bench,
    seed: u64,
    rows: usize,
    peak: Option<Peak>,
    /// When clients come next; none while they are kept away.
    next_peak: Option<i64>,
    peaks: usize,
    /// Starts of trials.
    starts: Vec<i64>,
    /// Number of the last event that was looked at.
    seen: u64,
    /// Events since the judges changed.
    lately: Vec<Happened>,
    /// Looks that have ended since the host began.
    looks: usize,
    story: Vec<String>,
}

/// Clients at work, until they are sent away.
struct Peak {
    until: i64,
    send_away: oneshot::Sender<()>,
    gone: oneshot::Receiver<()>,
}

impl Drop for Day {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the day so far:\n{}", self.story.join("\n"));
        }
    }
}

/// What must not take for ever, so that the day so far is printed where it would.
pub(super) async fn ends<T>(what: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(Duration::from_secs(300), what).await;
    ended.expect("a pass ends within minutes")
}

async fn open(folder: &TempDir, clock: &Arc<ManualClock>) -> Arc<App> {
    let mut config = Config::default();
    config.server.data = folder.path().to_owned();
    config.vectors.eval_queries = 100;
    config.vectors.threads = 1;
    config.vectors.live_recall_share = 1.0;
    config.agent = AgentConfig {
        enabled: true,
        max_trials_per_hour: u32::try_from(PER_HOUR).expect("small"),
        wake_interval_secs: 4 * 60 * 60,
        ..AgentConfig::default()
    };
    let clock: Arc<dyn Clock> = clock.clone();
    let app = App::open_with(config, &Environment::default(), clock).await;
    app.expect("opened")
}

impl Day {
    /// A host with an index that is configured badly.
    pub(super) async fn begin() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let clock = Arc::new(ManualClock::at(START));
        let bench = Bench::new();
        let mut day = Self {
            app: open(&folder, &clock).await,
            around: Arc::new(bench.surroundings()),
            hanging: Arc::clone(&bench.hanging),
            seed: 7,
            rows: 0,
            peak: None,
            next_peak: None,
            peaks: 0,
            starts: Vec::new(),
            seen: 0,
            lately: Vec::new(),
            looks: 0,
            story: Vec::new(),
            folder,
            clock,
            bench,
        };
        day.append(ROWS).await;
        let spec = json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id",
            "config": {"m": 2, "ef_construction": 2, "ef_search": 1}, "objective": {"recall_floor": FLOOR}});
        day.done("/vectors/indexes", spec.to_string()).await;
        day.with_peaks();
        day
    }

    /// Ends the host and begins another one on the same folder.
    pub(super) async fn restart(&mut self) {
        self.end_peak().await;
        self.app.tasks.stop().await;
        self.app = open(&self.folder, &self.clock).await;
        self.seen = 0;
        self.tell("the host has restarted");
    }

    pub(super) fn name(&self) -> IndexName {
        IndexName::new("notes").expect("a name")
    }

    pub(super) fn index(&self) -> Arc<LiveIndex> {
        self.app.indexes.get("notes").expect("it serves")
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn served(&self) -> IndexConfig {
        self.index().serving().config()
    }

    pub(super) async fn trials(&self) -> Vec<Trial> {
        let journal = self.index().tuner.journal().read().await;
        journal.expect("a journal").trials
    }

    pub(super) fn looks(&self) -> usize {
        self.looks
    }

    /// Trials that were put forward and lost since the host began, in that order.
    pub(super) fn lost(&self) -> Vec<String> {
        let tasks = self.app.tasks.list().into_iter().rev();
        let lost = tasks.filter(|task| task.result["outcome"] == "lost");
        lost.filter_map(|task| Some(task.result["trial"].as_str()?.to_owned()))
            .collect()
    }

    pub(super) fn peaks_over(&self) -> usize {
        self.peaks
    }

    /// How often something happened since the judges changed.
    pub(super) fn count(&self, event: Happened) -> usize {
        self.lately.iter().filter(|known| **known == event).count()
    }

    pub(super) fn set(&mut self, mode: Mode) {
        self.tell(&format!("the judges: {mode:?}"));
        self.lately.clear();
        self.bench.set(mode);
    }

    pub(super) fn with_peaks(&mut self) {
        self.next_peak = Some(self.now().millis() + 20 * MINUTE);
    }

    pub(super) fn without_peaks(&mut self) {
        self.next_peak = None;
    }

    /// Mean recall at 10 of what serves over some rows of the base.
    pub(super) fn recall(&self) -> f64 {
        let index = self.index();
        let set = &index.data.vectors;
        let rows = u32::try_from(set.len()).expect("few rows");
        self.recall_of((0..rows).step_by(9).map(|row| set.row(row)))
    }

    /// Mean recall at 10 of what serves over some queries.
    pub(super) fn recall_of<'a>(&self, queries: impl Iterator<Item = &'a [f32]>) -> f64 {
        let recalls: Vec<f64> = queries.map(|query| self.recall_for(query)).collect();
        recalls.iter().sum::<f64>() / recalls.len() as f64
    }

    /// Recall at 10 of what serves for a query, against exact search over the base.
    pub(super) fn recall_for(&self, query: &[f32]) -> f64 {
        let (index, mut scratch) = (self.index(), Scratch::default());
        let (serving, set) = (index.serving(), &index.data.vectors);
        let ef = serving.config().ef_search as usize;
        let query = set.prepare_query(query).expect("a query");
        let found = serving.graph.search(set, &query, 10, ef, &mut scratch);
        let truth = exact_top_k(set, &query, 10, |_| true);
        let truth: Vec<u32> = truth.iter().map(|one| one.row).collect();
        recall_at_k(&found.neighbors, &truth)
    }

    /// Somebody asks for a look, once nothing waits any more.
    pub(super) async fn ask(&mut self) {
        self.until_idle().await;
        self.enqueue().await;
    }

    /// Lives on until nothing waits any more.
    pub(super) async fn until_idle(&mut self) {
        let latest = tuning::later(self.now(), 5 * 60 * MINUTE);
        while self.app.agent.memory.known().is_enabled(true)
            && !self.app.agent.queue.known().is_empty()
        {
            assert!(self.now() < latest, "something waits for ever");
            self.pass(latest).await;
        }
    }

    /// Somebody asks for a look.
    pub(super) async fn enqueue(&mut self) {
        self.tell("somebody asks");
        self.app.agent.ask(&self.index()).await.expect("asked");
    }

    /// Rows come, and what follows from them ends.
    pub(super) async fn append(&mut self, rows: usize) {
        let mut text = "id,text\n".to_owned();
        for row in self.rows..self.rows + rows {
            text += &format!("row-{row},{}\n", self.sentence());
        }
        self.rows += rows;
        self.done("/ingest/file?dataset=notes&mode=append", text)
            .await;
        errands::carry_due(&self.app).await;
        for task in self.app.tasks.list() {
            let ended = self.app.tasks.wait(&task.id).await.expect("a task");
            let is_fine = matches!(ended.state, TaskState::Succeeded | TaskState::Cancelled);
            assert!(is_fine, "{ended:?}");
        }
        self.tell(&format!("{rows} rows have come"));
    }

    /// One pass, with clients who come or go before it and what must hold after it.
    pub(super) async fn pass(&mut self, end: Timestamp) {
        self.come_and_go().await;
        let until = ends(tuning::pass(&self.app, &self.around)).await;
        self.settle(until.expect("a pass"), end).await;
    }

    /// What must hold after a pass; then time goes on.
    pub(super) async fn settle(&mut self, until: Timestamp, end: Timestamp) {
        self.watch().await;
        let now = self.now().millis();
        let until = until.millis().max(now + 1).min(end.millis());
        let step = if until == now + 1 { STEP } else { until - now };
        self.clock.advance(step.min((end.millis() - now).max(1)));
    }

    /// Looks at what happened.
    async fn watch(&mut self) {
        for event in self.app.agent.events_after(self.seen, usize::MAX).events {
            self.seen = event.seq;
            self.lately.push(event.event);
            self.tell(&format!("{}: {}", event.event.as_str(), event.detail));
            match event.event {
                Happened::Proposed => {
                    assert!(self.peak.is_none(), "a trial begins while clients search");
                    self.started(event.at.millis());
                }
                Happened::Trial => assert!(self.peak.is_none(), "a trial ends during load"),
                Happened::Promoted => self.check_promotions().await,
                _ => {}
            }
            let is_look = [Happened::Promoted, Happened::Kept, Happened::Failed];
            self.looks += usize::from(is_look.contains(&event.event));
        }
    }

    /// Never more than the rate in any hour.
    fn started(&mut self, at: i64) {
        self.starts.push(at);
        let hour = self
            .starts
            .iter()
            .filter(|start| at - **start <= 60 * MINUTE);
        assert!(hour.count() <= PER_HOUR, "too many trials within an hour");
    }

    /// Nothing was ever promoted whose recall is not surely at the floor.
    async fn check_promotions(&mut self) {
        let trials = self.trials().await;
        let history = self.index().tuner.promotions().history().await;
        for promotion in history.expect("promotions") {
            let id = promotion.served.trial.expect("a trial");
            let trial = trials
                .iter()
                .find(|trial| trial.id == id)
                .expect("on record");
            let surely = trial.metrics.recall_interval.expect("an interval").low;
            assert!(surely >= FLOOR, "{id} serves with {surely}");
        }
    }

    /// Clients come and go by the seed.
    pub(super) async fn come_and_go(&mut self) {
        let now = self.now().millis();
        if self.peak.as_ref().is_some_and(|peak| peak.until <= now) {
            self.end_peak().await;
        }
        if self.peak.is_none() && self.next_peak.is_some_and(|at| at <= now) {
            let until = now + self.draw(12, 1) * MINUTE;
            self.peak = Some(self.clients(until).await);
            self.next_peak = Some(until + self.draw(90, 20) * MINUTE);
            self.tell("clients come");
        }
    }

    async fn clients(&self, until: i64) -> Peak {
        let (send_away, away) = oneshot::channel();
        let (are_gone, gone) = oneshot::channel();
        let (are_there, there) = oneshot::channel();
        let app = Arc::clone(&self.app);
        self.app.tasks.background().spawn(async move {
            let clients: Vec<_> = (0..10).map(|_| app.load.enter()).collect();
            let _ = are_there.send(());
            let _ = away.await;
            drop(clients);
            let _ = are_gone.send(());
        });
        there.await.expect("clients");
        Peak {
            until,
            send_away,
            gone,
        }
    }

    pub(super) async fn end_peak(&mut self) {
        if let Some(peak) = self.peak.take() {
            let _ = peak.send_away.send(());
            peak.gone.await.expect("clients");
            self.peaks += 1;
            self.tell("clients go");
        }
    }

    /// Posts, and waits for the task to succeed.
    pub(super) async fn done(&self, path: &str, body: String) {
        let kind = match path.starts_with("/ingest") {
            true => "text/csv",
            false => "application/json",
        };
        let request = Request::post(path).header("content-type", kind);
        let request = request.body(Body::from(body)).expect("a request");
        let answer = http::router(Arc::clone(&self.app)).oneshot(request).await;
        let answer = answer.expect("an answer");
        let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
        let task: Value = serde_json::from_slice(&bytes.expect("a body")).expect("json");
        let id = task["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{path}: {task}"));
        let ended = self.app.tasks.wait(id).await.expect("a task");
        assert_eq!(ended.state, TaskState::Succeeded, "{path}: {ended:?}");
    }

    /// A number of `values` from `least` on, by the seed.
    fn draw(&mut self, values: u64, least: i64) -> i64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        least + i64::try_from((self.seed >> 33) % values).expect("small")
    }

    fn sentence(&mut self) -> String {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        let drawn: Vec<&str> = (0..7)
            .map(|_| words[self.draw(words.len() as u64, 0) as usize])
            .collect();
        drawn.join(" ")
    }

    fn tell(&mut self, what: &str) {
        let minutes = (self.now().millis() - START) / MINUTE;
        self.story
            .push(format!("{:02}:{:02} {what}", minutes / 60, minutes % 60));
    }
}
