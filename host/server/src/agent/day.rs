//! A day of the agent's life by a clock of its own: real indexes, real trials of some milliseconds, and judges that
//! do what they should not.
//!
//! Load comes and goes by a seed; rows are appended; a proposer leaves the bounds, fails, repeats itself and hangs; a
//! scorer lies; the host restarts; clients begin to ask for something else. What must hold is looked at after every pass.
//! When it does not, the day so far is printed.

use std::{cell::Cell, collections::BTreeSet};

use boathouse_types::Timestamp;

use super::{
    events::Happened,
    queue::Reason,
    tuning::{self, later},
};

mod drift;
mod empty;
mod hours;
mod judges;
mod world;

use judges::Mode;
use world::{Day, FLOOR, MINUTE, PER_HOUR, ends};

/// Minutes of a day.
const DAY: i64 = 24 * 60;
/// Looks in which the scorer lies.
const LIES: usize = 4;
/// Trials that are put forward in a look at most.
const DUELS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day() {
    let mut day = Day::begin().await;
    let poor = day.served();
    assert!(
        day.recall() < FLOOR,
        "the day begins with a poor configuration"
    );
    day.app.agent.wake(&day.name(), Reason::Recall).await;
    day.until(60).await;
    assert_ne!(day.served(), poor, "another configuration serves");
    assert!(
        day.recall() >= FLOOR,
        "recall is restored: {}",
        day.recall()
    );

    a_bad_proposer(&mut day).await;
    a_restart_in_a_full_hour(&mut day).await;
    load_in_the_middle_of_a_trial(&mut day).await;
    a_lying_scorer(&mut day).await;
    growth(&mut day).await;
    a_person_stops_it(&mut day).await;
    let asked = drift::clients_ask_for_something_else(&mut day).await;

    day.until(DAY).await;
    let recall = drift::recall(&day, &asked);
    assert!(
        recall >= FLOOR,
        "what clients ask, at the end of the day: {recall}"
    );
    assert!(
        day.recall() >= FLOOR,
        "at the end of the day: {}",
        day.recall()
    );
    let peaks = day.peaks_over();
    assert!(peaks > 5, "there was load: {peaks}");
    assert!(day.trials().await.len() > 20, "and there were trials");
}

/// Out of bounds, failing, and the same again and again: nothing of it runs on for ever, and nothing is promoted.
async fn a_bad_proposer(day: &mut Day) {
    for mode in [Mode::OutOfBounds, Mode::Fails, Mode::Repeats] {
        day.ask().await;
        day.set(mode);
        let (before, looks, serves) = (day.trials().await.len(), day.looks(), day.served());
        day.until_looked(looks).await;
        let tried = day.trials().await.len() - before;
        let refused = day.count(Happened::Refused);
        if mode == Mode::Repeats {
            assert!((1..=PER_HOUR).contains(&tried), "{mode:?}: {tried} trials");
        } else {
            assert_eq!((tried, refused), (0, 3), "{mode:?}");
            assert_eq!(day.served(), serves, "{mode:?}");
            let memory = day.app.agent.memory.load().await.expect("memory");
            let look = memory.last_look(&day.name()).expect("a look");
            let said = "the last 3 proposals failed: ";
            assert!(look.detail.contains(said), "{mode:?}: {}", look.detail);
        }
        day.set(Mode::Good);
    }
}

/// What was used up before a restart is used up after it.
async fn a_restart_in_a_full_hour(day: &mut Day) {
    day.ask().await;
    day.set(Mode::Repeats);
    day.until_full().await;
    day.restart().await;
    let memory = day.app.agent.memory.load().await.expect("memory");
    let now = day.now();
    assert_eq!(
        memory.trials_in_hour(now) as usize,
        PER_HOUR,
        "the hour is full still"
    );
    let opens_at = memory.room_at(PER_HOUR as u32, now).expect("full");
    let before = day.trials().await.len();
    day.enqueue().await;
    day.until_time(later(opens_at, -1)).await;
    assert_eq!(day.trials().await.len(), before, "not one more");
    day.set(Mode::Good);
}

/// A trial that hangs is given up when clients come, and leaves nothing.
async fn load_in_the_middle_of_a_trial(day: &mut Day) {
    day.without_peaks();
    day.ask().await;
    day.set(Mode::Hangs);
    let before = day.trials().await.len();
    day.until_asked_and_busy().await;
    assert_eq!(day.count(Happened::Yielded), 1);
    assert_eq!(day.trials().await.len(), before, "no line in the journal");
    let entry = day.app.agent.queue.entries().await.expect("queue");
    assert!(entry.contains_key(&day.name()), "it goes on later");
    day.set(Mode::Good);
    let looks = day.looks();
    day.until_looked(looks).await;
    day.with_peaks();
}

/// Whatever the scorer says, nothing below the floor serves, and nobody who has lost to what serves meets it again.
async fn a_lying_scorer(day: &mut Day) {
    let (mut serves, mut lost) = (day.served(), BTreeSet::new());
    for _ in 0..LIES {
        day.ask().await;
        day.set(Mode::Lies);
        let (looks, before) = (day.looks(), day.lost().len());
        day.until_looked(looks).await;
        let now = day.served();
        if now == serves {
            let lately = day.lost().split_off(before);
            assert!(lately.len() <= DUELS, "{lately:?}");
            for trial in lately {
                assert!(lost.insert(trial.clone()), "{trial} has lost before");
            }
        } else {
            (serves, lost) = (now, BTreeSet::new());
        }
        day.set(Mode::Good);
    }
    assert!(!lost.is_empty(), "what is put forward for a lie loses");
    let floor_missed = day
        .trials()
        .await
        .iter()
        .any(|trial| trial.metrics.recall_at_k < FLOOR);
    assert!(floor_missed, "there was something bad to promote");
    assert!(day.recall() >= FLOOR, "{} after {serves:?}", day.recall());
    day.set(Mode::Good);
}

/// After many rows have come the graph is another one: it is measured, and serves what it should.
async fn growth(day: &mut Day) {
    let before = day.index().data.data_version.clone();
    day.append(world::GROWTH).await;
    let after = day.index().data.data_version.clone();
    assert_ne!(before, after, "the rows are merged");
    let looks = day.looks();
    day.until_looked(looks).await;
    let trials = day.trials().await;
    let measured = trials
        .iter()
        .filter(|trial| trial.data_version.as_ref() == Some(&after));
    let configs: BTreeSet<_> = measured.map(|trial| trial.config.to_string()).collect();
    assert!(
        configs.contains(&boathouse_types::Configuration::from(day.served()).to_string()),
        "what serves was measured"
    );
    assert!(day.recall() >= FLOOR, "after growth: {}", day.recall());
}

/// Who stops the agent has stopped it, also after a restart.
async fn a_person_stops_it(day: &mut Day) {
    super::switch(&day.app, false, "ada")
        .await
        .expect("stopped");
    day.restart().await;
    day.ask().await;
    let before = day.trials().await.len();
    day.minutes(90).await;
    assert_eq!(day.trials().await.len(), before);
    super::switch(&day.app, true, "ada").await.expect("started");
    day.minutes(90).await;
    assert!(day.trials().await.len() > before, "it goes on");
}

impl Day {
    /// Lives on for some minutes.
    async fn minutes(&mut self, minutes: i64) {
        let end = later(self.now(), minutes * MINUTE);
        self.until_time(end).await;
    }

    /// Lives on until a minute of the day.
    async fn until(&mut self, minute: i64) {
        let end = later(Timestamp::from_millis(world::START), minute * MINUTE);
        self.until_time(end).await;
    }

    /// Lives on until a time.
    async fn until_time(&mut self, end: Timestamp) {
        while self.now() < end {
            self.pass(end).await;
        }
    }

    /// Lives on until the agent has looked at the index once more.
    async fn until_looked(&mut self, before: usize) {
        let latest = later(self.now(), 5 * 60 * MINUTE);
        while self.looks() == before {
            assert!(self.now() < latest, "it is never looked at");
            self.pass(latest).await;
        }
    }

    /// Lives on until no trial may begin within this hour.
    async fn until_full(&mut self) {
        let latest = later(self.now(), 5 * 60 * MINUTE);
        let most = PER_HOUR as u32;
        while self
            .app
            .agent
            .memory
            .known()
            .room_at(most, self.now())
            .is_none()
        {
            assert!(self.now() < latest, "the hour is never full");
            self.pass(latest).await;
        }
    }

    /// Lives on until the proposer hangs, and has clients come then.
    async fn until_asked_and_busy(&mut self) {
        let latest = later(self.now(), 5 * 60 * MINUTE);
        loop {
            assert!(self.now() < latest, "the proposer is never asked");
            self.come_and_go().await;
            let (app, around) = (self.app.clone(), self.around.clone());
            let (hanging, came) = (self.hanging.clone(), Cell::new(false));
            // They stay until the pass ends, which it does not without them.
            let clients = async {
                hanging.asked.notified().await;
                came.set(true);
                let _clients: Vec<_> = (0..10).map(|_| app.load.enter()).collect();
                std::future::pending::<()>().await;
            };
            let until = tokio::select! {
                until = ends(tuning::pass(&app, &around)) => until.expect("a pass"),
                () = clients => unreachable!("they stay"),
            };
            let came = came.get();
            self.settle(until, latest).await;
            if came {
                return;
            }
        }
    }
}
