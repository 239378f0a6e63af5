//! What is in the memory of the double, as a function of time.
//!
//! Nothing happens by itself: every look first brings the state up to the moment. So a load goes on when its request has
//! gone, a keep-alive runs out without a timer, and the same requests at the same moments always meet the same state.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{Fault, Kind, Model, Route, Settings};

/// A request that came.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Which part of the protocol.
    pub route: Route,
    /// Which model it named.
    pub model: String,
    /// Whether it asked that the model goes.
    pub unloads: bool,
    /// Texts that were to be embedded.
    pub texts: usize,
    /// What it asked a model, empty where it asked nothing.
    pub prompt: String,
    /// How the model was told to answer.
    pub system: String,
    /// Options that it carried.
    pub options: Value,
}

/// A model in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Its name.
    pub model: String,
    /// Whether it answers in words.
    pub answers: bool,
    /// Whether it is still being loaded.
    pub loading: bool,
    /// Whether it was loaded by somebody else.
    pub foreign: bool,
    /// Requests that use it.
    pub busy: usize,
}

/// A model in memory, or on its way there.
#[derive(Debug)]
pub(crate) struct Runner {
    /// Tells it from an earlier one of the same model.
    id: u64,
    pub(crate) model: Model,
    pub(crate) options: Value,
    pub(crate) loaded_at: Instant,
    /// After the last request it stays for so long.
    pub(crate) keep: Duration,
    idle_since: Instant,
    pub(crate) busy: usize,
    pub(crate) foreign: bool,
}

impl Runner {
    pub(crate) fn is_loaded(&self, now: Instant) -> bool {
        self.loaded_at <= now
    }

    /// When its time is over if nobody comes.
    pub(crate) fn expires_at(&self) -> Instant {
        self.idle_since.max(self.loaded_at) + self.keep
    }
}

/// Why there is no model.
pub(crate) enum Obstacle {
    /// Nothing of that name on disk.
    Missing,
    /// It does not load.
    Broken,
    /// Look again later.
    Wait,
}

/// The state of the server.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) settings: Settings,
    pub(crate) faults: Vec<(Route, Fault)>,
    pub(crate) calls: Vec<Call>,
    pub(crate) down: bool,
    /// Grows when answers that are under way have to break off.
    pub(crate) life: u64,
    pub(crate) waiting: usize,
    pub(crate) most_answering: usize,
    pub(crate) loads: usize,
    runners: Vec<Runner>,
    next_id: u64,
    /// Bytes that are given back at a moment.
    leaving: Vec<(u64, Instant)>,
}

impl Memory {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            faults: Vec::new(),
            calls: Vec::new(),
            down: false,
            life: 0,
            waiting: 0,
            most_answering: 0,
            loads: 0,
            runners: Vec::new(),
            next_id: 0,
            leaving: Vec::new(),
        }
    }

    pub(crate) fn restart(&mut self, now: Instant) {
        self.bring_up_to(now);
        self.runners.clear();
        self.leaving.clear();
        self.life += 1;
    }

    /// The fault that a request meets.
    pub(crate) fn fault(&mut self, route: Route) -> Option<Fault> {
        let at = self.faults.iter().position(|(on, _)| *on == route)?;
        Some(self.faults.remove(at).1)
    }

    pub(crate) fn model(&self, name: &str) -> Option<&Model> {
        let wanted = with_tag(name);
        self.settings.models.iter().find(|one| one.name == wanted)
    }

    pub(crate) fn load_foreign(&mut self, name: &str, now: Instant) {
        self.bring_up_to(now);
        let Some(model) = self.model(name).cloned() else {
            return;
        };
        if self.runners.iter().all(|one| one.model.name != model.name) {
            let keep = self.settings.keep_alive;
            self.add_runner(model, no_options(), now, keep);
            if let Some(runner) = self.runners.last_mut() {
                runner.foreign = true;
            }
        }
    }

    /// Lets a request use a model, whose number it gets: loads it where it is not, and says to look again while it
    /// is not there.
    pub(crate) fn begin(
        &mut self,
        name: &str,
        options: &Value,
        keep: Option<Duration>,
        now: Instant,
    ) -> Result<u64, Obstacle> {
        self.bring_up_to(now);
        let model = self.model(name).cloned().ok_or(Obstacle::Missing)?;
        let at = self
            .runners
            .iter()
            .position(|one| one.model.name == model.name);
        let Some(at) = at else {
            self.start_load(model, options.clone(), keep, now)?;
            return Err(Obstacle::Wait);
        };
        let broken = self.settings.broken.contains(&model.name);
        let runner = &mut self.runners[at];
        if !runner.is_loaded(now) {
            return Err(Obstacle::Wait);
        }
        if broken {
            self.runners.remove(at);
            return Err(Obstacle::Broken);
        }
        if runner.options != *options && matches!(runner.model.kind, Kind::Answers) {
            // Loaded for other options: it is loaded anew when nobody uses it.
            if runner.busy == 0 {
                self.drop_runner(at, now);
            }
            return Err(Obstacle::Wait);
        }
        runner.busy += 1;
        if let Some(keep) = keep {
            runner.keep = keep;
        }
        Ok(runner.id)
    }

    /// A request has ended that used a model by its number.
    pub(crate) fn end(&mut self, id: u64, now: Instant) {
        if let Some(runner) = self.runners.iter_mut().find(|one| one.id == id) {
            runner.busy = runner.busy.saturating_sub(1);
            runner.idle_since = now;
        }
        self.bring_up_to(now);
    }

    /// Marks a model that is to go.
    pub(crate) fn expire(&mut self, name: &str, now: Instant) {
        self.bring_up_to(now);
        let wanted = with_tag(name);
        let delay = self.settings.unload;
        if let Some(runner) = self.runners.iter_mut().find(|one| one.model.name == wanted) {
            // Who asks once more does not prolong the stay of one that is leaving.
            if runner.busy > 0 || now + delay < runner.expires_at() {
                runner.keep = delay;
                runner.idle_since = now;
            }
        }
    }

    /// The models that are in memory or on their way there.
    pub(crate) fn listed(&mut self, now: Instant) -> &[Runner] {
        self.bring_up_to(now);
        &self.runners
    }

    /// Until when the list hangs.
    pub(crate) fn list_hangs_until(&mut self, now: Instant) -> Option<Instant> {
        self.bring_up_to(now);
        let loading = self.runners.iter().map(|one| one.loaded_at);
        let latest = loading.filter(|at| *at > now).max();
        latest.filter(|_| self.settings.list_hangs)
    }

    pub(crate) fn holds(&mut self, now: Instant) -> Vec<Holding> {
        self.bring_up_to(now);
        let holdings = self.runners.iter().map(|one| Holding {
            model: one.model.name.clone(),
            answers: matches!(one.model.kind, Kind::Answers),
            loading: !one.is_loaded(now),
            foreign: one.foreign,
            busy: one.busy,
        });
        holdings.collect()
    }

    pub(crate) fn used_bytes(&mut self, now: Instant) -> u64 {
        self.bring_up_to(now);
        self.held_bytes() + self.leaving.iter().map(|(bytes, _)| bytes).sum::<u64>()
    }

    /// Begins a load, after idle models have made room.
    fn start_load(
        &mut self,
        model: Model,
        options: Value,
        keep: Option<Duration>,
        now: Instant,
    ) -> Result<(), Obstacle> {
        let room = self.settings.gpu_bytes;
        if model.gpu_bytes > room {
            return Err(Obstacle::Broken);
        }
        while self.held_bytes() + model.gpu_bytes > room {
            let idle = |one: &Runner| one.busy == 0 && one.is_loaded(now);
            let at = self.runners.iter().position(idle);
            self.drop_runner(at.ok_or(Obstacle::Wait)?, now);
        }
        if self.used_bytes(now) + model.gpu_bytes > room {
            return Err(Obstacle::Wait);
        }
        let keep = keep.unwrap_or(self.settings.keep_alive);
        self.add_runner(model, options, now + self.settings.load, keep);
        self.loads += 1;
        let ours = |one: &&Runner| !one.foreign && matches!(one.model.kind, Kind::Answers);
        let answering = self.runners.iter().filter(ours).count();
        self.most_answering = self.most_answering.max(answering);
        Ok(())
    }

    fn add_runner(&mut self, model: Model, options: Value, loaded_at: Instant, keep: Duration) {
        self.next_id += 1;
        self.runners.push(Runner {
            id: self.next_id,
            model,
            options,
            loaded_at,
            keep,
            idle_since: loaded_at,
            busy: 0,
            foreign: false,
        });
    }

    fn held_bytes(&self) -> u64 {
        self.runners.iter().map(|one| one.model.gpu_bytes).sum()
    }

    fn drop_runner(&mut self, at: usize, now: Instant) {
        let gone = self.runners.remove(at);
        let given_back = now + self.settings.give_back;
        self.leaving.push((gone.model.gpu_bytes, given_back));
    }

    /// Lets go what time has ended.
    fn bring_up_to(&mut self, now: Instant) {
        while let Some(at) = self
            .runners
            .iter()
            .position(|one| one.busy == 0 && one.expires_at() <= now)
        {
            let ended = self.runners[at].expires_at();
            self.drop_runner(at, ended);
        }
        self.leaving.retain(|(_, until)| *until > now);
    }
}

pub(crate) fn no_options() -> Value {
    Value::Object(Map::new())
}

pub(crate) fn with_tag(name: &str) -> String {
    if name.contains(':') {
        return name.to_owned();
    }
    format!("{name}:latest")
}
