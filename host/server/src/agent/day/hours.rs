//! Single hours of such days, each with one thing that happens.

use std::sync::Arc;

use boathouse_storage::Bucket;
use boathouse_tuning::EvalSetName;
use boathouse_types::{BucketName, Clock, DatasetName, IndexName};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::{
        events::Happened,
        memory::{Look, Memory, Outcome},
        news,
        queue::{Reason, Wish},
        tuning::{self, later},
        view,
    },
    world::{Day, GROWTH, MINUTE},
};
use crate::{app::App, load::Searching, tune};

/// A day without clients of its own.
async fn quiet_day() -> Day {
    let mut day = Day::begin().await;
    day.without_peaks();
    day
}

/// Lives on until something happens once more.
async fn until(day: &mut Day, event: Happened) {
    let (before, latest) = (day.count(event), later(day.now(), 60 * MINUTE));
    while day.count(event) == before {
        assert!(day.now() < latest, "it never happens: {event:?}");
        day.pass(latest).await;
    }
}

/// One pass.
async fn once(day: &mut Day) {
    let latest = later(day.now(), MINUTE);
    day.pass(latest).await;
}

/// More clients than the agent bears.
fn clients(app: &App) -> Vec<Searching<'_>> {
    (0..10).map(|_| app.load.enter()).collect()
}

fn primary(day: &Day) -> Bucket {
    let primary = day.app.buckets.get(&BucketName::primary());
    primary.expect("there is always a primary")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_at_work_lets_go_of_what_is_not_measured_any_more() {
    let mut day = quiet_day().await;
    let (app, name) = (Arc::clone(&day.app), day.name());
    let holds_vectors = || app.agent.tuning.holds_vectors(&name);
    day.enqueue().await;
    until(&mut day, Happened::Trial).await;
    assert_eq!(holds_vectors(), Some(true), "the next step follows at once");
    // Somebody makes another evaluation set meanwhile.
    let spec = json!({"index": "notes", "seed": 9, "queries": 40});
    day.done("/vectors/evalsets", spec.to_string()).await;
    until(&mut day, Happened::Trial).await;
    let (sets, set) = (
        day.index().tuner.eval_sets().clone(),
        EvalSetName::new("default"),
    );
    let stored = sets.load(&set.expect("a name")).await;
    let identity = stored.expect("a set").identity();
    let newest = day.trials().await.pop().expect("a trial");
    assert_eq!(newest.evalset, Some(identity), "it counts at once");
    let clients = clients(&app);
    once(&mut day).await;
    assert_eq!(holds_vectors(), Some(false), "it waits, and keeps nothing");
    // Rows come until there is another graph.
    day.append(GROWTH).await;
    once(&mut day).await;
    assert_eq!(holds_vectors(), None, "nothing is left to go on with");
    drop(clients);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_has_run_comes_first() {
    let mut day = quiet_day().await;
    let app = Arc::clone(&day.app);
    day.enqueue().await;
    let person = app.agent.make_way();
    once(&mut day).await;
    let gates = app.agent.tuning.gates(&app, &day.around);
    let closed: Vec<_> = gates.iter().filter(|gate| !gate.open).collect();
    assert!(
        closed.len() == 1 && closed[0].gate.as_str() == "lane",
        "{closed:?}"
    );
    assert_eq!(day.count(Happened::Proposed), 0);
    drop(person);
    until(&mut day, Happened::Trial).await;
    let host = Arc::clone(&app);
    let looked = app.tasks.run("test", "notes", |task| async move {
        let index = host.indexes.get("notes")?;
        let is_first = || host.agent.persons.are_at_work();
        let wish = (index.serving().config().into(), None);
        let set = tune::wanted_set(&index, None).await?;
        let mut trial = Box::pin(tune::run_trial(&host, &index, wish, &set, &task));
        assert!(futures::poll!(&mut trial).is_pending() && is_first());
        drop(trial);
        assert!(!is_first());
        let request = tune::autotune_request(&host, &index, tune::AutotuneSpec::default())?;
        let mut trials = Box::pin(tune::autotune(&host, &index, request, &set, &task));
        assert!(futures::poll!(&mut trials).is_pending() && is_first());
        drop(trials);
        assert!(!is_first());
        Ok(Value::Null)
    });
    looked.await.expect("both make the agent wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_read_is_read_again() {
    let mut day = quiet_day().await;
    let (app, primary) = (Arc::clone(&day.app), primary(&day));
    day.enqueue().await;
    let path = "agent/state/00000000000000000001.json";
    let newer = json!({"format": "boathouse/manifest", "format_version": 99});
    let newer = Bytes::from(newer.to_string());
    primary.put_new(path, newer).await.expect("stored");
    let failed = tuning::pass(&app, &day.around).await;
    assert!(failed.is_err(), "{failed:?}");
    primary.delete(path).await.expect("deleted");
    let clock: Arc<dyn Clock> = Arc::clone(&app.clock);
    let other = Memory::new(&primary, &clock);
    other.switch(false, true, "ada").await.expect("stored");
    once(&mut day).await;
    assert!(!app.agent.memory.known().is_enabled(true), "it was read");
    assert_eq!(day.count(Happened::Proposed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_beside_a_measured_graph_are_settled_behind_closed_gates() {
    let mut day = quiet_day().await;
    let (app, name) = (Arc::clone(&day.app), day.name());
    let look = Look {
        at: day.now(),
        reasons: vec![Reason::Asked],
        trials: 1,
        data_version: day.index().data.data_version.clone(),
        outcome: Outcome::Kept,
        detail: "nothing is better".to_owned(),
    };
    app.agent.memory.looked(&name, &look).await.expect("stored");
    day.append(3).await;
    let queued = app.agent.queue.entries().await.expect("a queue");
    assert_eq!(queued[&name].reasons[0].reason, Reason::Appended);
    let clients = clients(&app);
    once(&mut day).await;
    assert!(app.agent.queue.known().is_empty(), "nothing is to be tried");
    day.enqueue().await;
    once(&mut day).await;
    assert!(!app.agent.queue.known().is_empty(), "who asks waits");
    drop(clients);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_gone_is_forgotten() {
    let day = quiet_day().await;
    let (app, gone) = (
        Arc::clone(&day.app),
        IndexName::new("gone").expect("a name"),
    );
    let dataset = DatasetName::new("notes").expect("a name");
    let wish = Wish::new(&gone, &dataset, Reason::Asked, None);
    app.agent.queue.add(&[wish]).await.expect("stored");
    let look = Look {
        at: day.now(),
        reasons: vec![Reason::Asked],
        trials: 1,
        data_version: "v".to_owned(),
        outcome: Outcome::Kept,
        detail: "nothing is better".to_owned(),
    };
    app.agent.memory.looked(&gone, &look).await.expect("stored");
    app.agent.ask(&day.index()).await.expect("asked");
    let entry = view::entry(&app, &gone).await.expect("an entry");
    assert!(entry.tuning.contains("no index of that name"), "{entry:?}");
    news::compare(&app).await;
    let queued = app.agent.queue.known();
    assert_eq!(queued.keys().collect::<Vec<_>>(), [&day.name()]);
    assert_eq!(app.agent.memory.known().last_look(&gone), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_fails_says_how_far_it_was() {
    let mut day = quiet_day().await;
    let (app, name, primary) = (Arc::clone(&day.app), day.name(), primary(&day));
    day.enqueue().await;
    until(&mut day, Happened::Trial).await;
    let path = "_evalsets/notes/default.json";
    let broken = Bytes::from_static(b"torn");
    primary.put(path, broken).await.expect("stored");
    until(&mut day, Happened::Failed).await;
    let memory = app.agent.memory.known();
    let look = memory.last_look(&name).expect("a look");
    assert_eq!((look.outcome, look.trials), (Outcome::Failed, 1));
    assert_eq!(look.reasons, [Reason::Asked]);
}
