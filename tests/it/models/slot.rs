//! The slot over HTTP: what a change reports, who joins, who waits, who is refused, and what is true after a kill.

use std::time::Duration;

use boathouse_model_server::{Route, Settings};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    check_problem,
    models::{Answering, World, settings},
    run,
};

fn state(name: &str) -> impl Fn(&Value) -> bool {
    move |slot| slot["state"] == name
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_tells_what_left_and_what_came() {
    let world = World::with_indexes(settings(), "").await;
    world.profiles().await;
    let first = world.activate("sailors").await;
    assert_eq!(
        (&first["model_before"], &first["model_after"]),
        (&Value::Null, &json!("a:latest")),
        "{first}"
    );
    assert_eq!(first["loaded"], json!(["a:latest", "e:latest"]));
    assert_eq!(first["loaded_bytes"], 11_u64 << 30);
    assert_eq!(first["wholly_on_gpu"], true);
    assert_eq!(first["warmed"][0]["index"], "ships");
    assert_eq!(first["warmed"][0]["problem"], Value::Null, "{first}");
    let slot = world.slot(state("ready")).await;
    assert_eq!(slot["holder"]["profile"], "sailors", "{slot}");
    assert_eq!(slot["model_server"], world.url());

    // Its own once more: nothing leaves.
    let again = world.activate("sailors").await;
    assert_eq!(
        (&again["unloaded"], &again["model_before"]),
        (&json!([]), &json!("a:latest"))
    );
    // Another one: the model leaves, the embedder that both have stays.
    let other = world.activate("bakers").await;
    assert_eq!(
        (
            &other["model_before"],
            &other["model_after"],
            &other["unloaded"]
        ),
        (&json!("a:latest"), &json!("b:latest"), &json!(["a:latest"])),
        "{other}"
    );
    assert_eq!(other["freed_bytes"], 10_u64 << 30);
    let total = other["total_ms"].as_u64().expect("a number");
    assert!(
        total >= other["unload_ms"].as_u64().expect("a number"),
        "{other}"
    );
    assert_eq!(world.holds(), ["b:latest", "e:latest"]);
    assert_eq!(world.double().most_answering(), 1, "never two at once");
    let unloads = world
        .double()
        .calls()
        .into_iter()
        .filter(|call| call.unloads);
    assert!(unloads.into_iter().all(|call| call.model == "a:latest"));
    check_active(&world).await;
}

/// What may be done to the active profile `bakers`, and what not.
async fn check_active(world: &World) {
    let host = &world.host;
    let refused = host
        .post("/vectors/profile/sailors/deactivate", &json!({}))
        .await;
    check_problem(refused, 409, "slot_held", &["bakers"]);
    for (method, code) in [("delete", "profile_active"), ("patch", "profile_active")] {
        let path = "/vectors/profile/bakers";
        let refused = match method {
            "delete" => host.delete(path).await,
            _ => host.patch(path, &json!({"ollama_name": "a"})).await,
        };
        check_problem(refused, 409, code, &["bakers"]);
    }
    let (status, _) = host
        .patch(
            "/vectors/profile/bakers",
            &json!({"system_prompt": "Be brief."}),
        )
        .await;
    assert_eq!(status, 200, "that is not loaded");
    let (status, report) = host
        .post("/vectors/profile/bakers/deactivate", &json!({}))
        .await;
    assert_eq!(
        (status, &report["model_after"]),
        (200, &Value::Null),
        "{report}"
    );
    assert_eq!(world.holds(), [""; 0]);
    let (status, report) = host
        .post("/vectors/profile/bakers/deactivate", &json!({}))
        .await;
    assert_eq!(
        (status, &report["unloaded"]),
        (200, &json!([])),
        "nothing to do"
    );
    assert_eq!(host.delete("/vectors/profile/bakers").await.0, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_come_and_go_by_their_names() {
    let world = World::with_indexes(settings(), "").await;
    world.profiles().await;
    let host = &world.host;
    let named = |model: &str| json!({"model": model});
    let (status, report) = host.post("/admin/preload", &named("b")).await;
    assert_eq!(
        (status, &report["loaded"]),
        (200, &json!(["b:latest"])),
        "{report}"
    );
    let vram = host.read("/admin/vram").await;
    let model = &vram["models"][0];
    assert_eq!(
        (&model["name"], &model["used_as"]),
        (&json!("b:latest"), &json!("other")),
        "{vram}"
    );
    assert_eq!(vram["models_bytes"], 9_u64 << 30);
    assert!(
        vram["gpus"].is_array() && vram["history"].is_array(),
        "{vram}"
    );
    world.activate("sailors").await;
    assert_eq!(world.holds(), ["a:latest", "e:latest"], "it made room");
    let refused = host.post("/admin/preload", &named("b")).await;
    check_problem(refused, 409, "slot_occupied", &["a:latest", "b:latest"]);
    let refused = host.post("/admin/unload", &named("e")).await;
    check_problem(refused, 409, "model_in_use", &["sailors"]);
    let (status, report) = host.post("/admin/unload", &named("a")).await;
    assert_eq!(
        (status, &report["model_before"]),
        (200, &json!("a:latest")),
        "{report}"
    );
    world.slot(state("empty")).await;
    // What somebody else has loaded is shown, stays through a change, and goes when it is told to.
    world.double().load_foreign("b:latest");
    let (status, report) = host.post("/admin/unload", &named("b")).await;
    assert_eq!(
        (status, &report["unloaded"]),
        (200, &json!(["b:latest"])),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_the_same_waits_together_and_too_many_are_refused() {
    let slow = Settings {
        load: Duration::from_secs(3_600),
        ..settings()
    };
    let world = World::with_indexes(slow, "").await;
    world.profiles().await;
    for n in 0..12 {
        let body = json!({"id": format!("p{n}"), "ollama_name": "a", "indexes": ["ships"]});
        world.profile(&body).await;
    }
    let start = |id: String| {
        let (host, path) = (&world.host, format!("/vectors/profile/{id}/activate"));
        async move { host.open(&path, &json!({})).await }
    };
    let mut first = Box::pin(join_all([
        start("sailors".to_owned()),
        start("sailors".to_owned()),
    ]));
    let loading = |slot: &Value| slot["next"] == "sailors" && slot["state"] == "loading";
    tokio::select! {
        _ = &mut first => panic!("a load takes an hour"),
        _ = world.slot(loading) => {}
    }
    // Who asks it now is told that it is on its way.
    let early = world
        .host
        .post(
            "/vectors/profile/sailors/ask",
            &json!({"question": "what ship?"}),
        )
        .await;
    check_problem(early, 409, "slot_changing", &["try again"]);
    let shown = run(&["--url", &world.host.url, "profile", "active"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("on its way: profile sailors"), "{shown}");
    // One is under way for both, so eight others may wait.
    let mut others: Vec<_> = (0..12).map(|n| Box::pin(start(format!("p{n}")))).collect();
    let mut refused = 0;
    while refused < 4 {
        let (answer, _, left) = tokio::select! {
            _ = &mut first => panic!("a load takes an hour"),
            ended = futures::future::select_all(others) => ended,
        };
        assert_eq!(answer.status().as_u16(), 429);
        assert!(answer.headers().contains_key("retry-after"));
        let problem: Value = answer.json().await.expect("json");
        assert_eq!(problem["code"], "slot_queue_full", "{problem}");
        (others, refused) = (left, refused + 1);
    }
    let slot = world.host.read("/vectors/profile/active").await;
    assert_eq!(slot["waiting"], 8, "{slot}");
    let loads = world.double().calls().into_iter();
    let loads = loads.filter(|call| call.route == Route::Generate && !call.unloads);
    assert!(loads.count() <= 1, "both wait for one load");
    // Whoever leaves takes the wish back, and the last one the change.
    drop(others);
    drop(first);
    // The load that was begun takes its hour at the server; one that starts anew forgets it.
    world.double().restart();
    let slot = world
        .slot(|slot| slot["waiting"] == 0 && slot["next"].is_null())
        .await;
    assert_eq!(slot["holder"], Value::Null, "{slot}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_that_is_cancelled_is_taken_back() {
    let world = World::with_indexes(settings(), "").await;
    world.profiles().await;
    world.activate("sailors").await;
    world
        .double()
        .set(|settings| settings.load = Duration::from_secs(3_600));
    let host = &world.host;
    let task = {
        let request = reqwest::Client::new()
            .post(format!("{}/vectors/profile/bakers/activate", host.url))
            .header("prefer", "respond-async");
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 202);
        answer.json::<Value>().await.expect("json")
    };
    assert_eq!(
        (&task["kind"], &task["subject"]),
        (&json!("activate"), &json!("bakers"))
    );
    // Its model is on the way, and that of the other has left.
    world.slot(state("loading")).await;
    world
        .double()
        .set(|settings| settings.load = Duration::from_millis(10));
    let path = format!("/tasks/{}/cancel", task["id"].as_str().expect("an id"));
    host.post(&path, &json!({})).await;
    let ended = host.ended(&task).await;
    assert_eq!(ended["state"], "cancelled", "{ended}");
    // The load that was begun takes its hour at the server; a server that starts anew forgets it.
    world.double().restart();
    let back =
        |slot: &Value| slot["next"].is_null() && slot["waiting"] == 0 && slot["state"] != "loading";
    let slot = world.slot(back).await;
    assert_ne!(slot["holder"]["profile"], "bakers", "{slot}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_waits_for_an_answer_and_the_agent_for_both() {
    let slow = Settings {
        word: Duration::from_millis(20),
        words: 100,
        ..settings()
    };
    let world = World::with_indexes(slow, "[agent]\nenabled = true\n").await;
    world.profiles().await;
    let host = &world.host;
    let gate = |agent: &Value| {
        let gates = agent["gates"].as_array().expect("gates");
        let slot = gates.iter().find(|gate| gate["gate"] == "slot");
        slot.expect("a gate").clone()
    };
    let open = gate(&host.read("/vectors/agent/status").await);
    assert_eq!(open["open"], true, "{open}");
    world.activate("sailors").await;
    let mut answer = Answering::begin(host, "sailors", &json!({"question": "what ship?"})).await;
    assert_eq!(answer.next().await.expect("sources").0, "sources");
    assert_eq!(host.read("/vectors/profile/active").await["answers"], 1);
    let closed = gate(&host.read("/vectors/agent/status").await);
    assert_eq!(closed["open"], false, "{closed}");
    assert!(
        closed["detail"]
            .to_string()
            .contains("an answer of profile `sailors`"),
        "{closed}"
    );

    let mut change = Box::pin(world.activate("bakers"));
    tokio::select! {
        report = &mut change => panic!("it did not wait: {report}"),
        _ = world.slot(state("draining")) => {}
    }
    let closed = gate(&host.read("/vectors/agent/status").await);
    assert!(
        closed["detail"]
            .to_string()
            .contains("a change of the GPU slot"),
        "{closed}"
    );
    let told = async {
        let mut last = None;
        while let Some(event) = answer.next().await {
            last = Some(event.0);
        }
        last
    };
    let (report, last) = tokio::join!(change, told);
    assert_eq!(
        last.as_deref(),
        Some("end"),
        "the answer went on to its end"
    );
    assert_eq!(
        (&report["drained"], &report["stopped"]),
        (&json!(1), &json!(0)),
        "{report}"
    );
    assert_eq!(report["model_after"], "b:latest");
    let open = gate(&host.read("/vectors/agent/status").await);
    assert_eq!(open["open"], true, "{open}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_takes_too_long_is_told_to_stop() {
    let endless = Settings {
        words: usize::MAX,
        ..settings()
    };
    let world = World::with_indexes(endless, "drain_secs = 0\n").await;
    world.profiles().await;
    world.activate("sailors").await;
    let mut answer =
        Answering::begin(&world.host, "sailors", &json!({"question": "what ship?"})).await;
    answer.next().await.expect("sources");
    let told = async {
        loop {
            match answer.next().await.expect("an end") {
                (name, _) if name == "token" => {}
                last => return last,
            }
        }
    };
    let (report, (name, problem)) = tokio::join!(world.activate("bakers"), told);
    assert_eq!(
        (name.as_str(), &problem["code"]),
        ("error", &json!("answer_stopped")),
        "{problem}"
    );
    assert_eq!(report["stopped"], 1, "{report}");
    assert_eq!(world.holds(), ["b:latest", "e:latest"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_the_slot_is_what_is_in_memory() {
    let mut world = World::with_indexes(settings(), "").await;
    world.profiles().await;
    world.activate("sailors").await;
    world.host = world.host.kill_and_restart();
    let slot = world.slot(state("ready")).await;
    assert_eq!(slot["holder"]["profile"], "sailors", "{slot}");
    // Another change knows what is its own, and leaves nothing behind.
    world.activate("bakers").await;
    assert_eq!(world.holds(), ["b:latest", "e:latest"]);

    // Killed while a model is on its way: the next host finds it in its record.
    world
        .double()
        .set(|settings| settings.load = Duration::from_millis(500));
    let path = "/vectors/profile/sailors/activate";
    let mut change = Box::pin(async { world.host.open(path, &json!({})).await });
    tokio::select! {
        _ = &mut change => panic!("a load takes half a second"),
        _ = world.slot(state("loading")) => {}
    }
    drop(change);
    world.host = world.host.kill_and_restart();
    let rests = |slot: &Value| slot["seen_at"].is_string() && slot["next"].is_null();
    world.slot(rests).await;
    world.activate("bakers").await;
    assert_eq!(world.holds(), ["b:latest", "e:latest"]);
    assert_eq!(world.double().most_answering(), 1, "never two at once");

    // A model server that starts anew has nothing, and the slot says so.
    world.double().restart();
    let lost = world.slot(state("empty")).await;
    assert_eq!(lost["holder"], Value::Null);
    assert!(
        lost["last_error"].to_string().contains("b:latest"),
        "{lost}"
    );
    let refused = world
        .host
        .post(
            "/vectors/profile/bakers/ask",
            &json!({"question": "what bread?"}),
        )
        .await;
    check_problem(refused, 409, "profile_not_active", &["bakers", "activate"]);
    let metrics = world.host.read("/metrics").await;
    let metrics = metrics.as_str().expect("text");
    assert!(
        metrics.contains(r#"boathouse_slot_state{state="empty"} 1"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"boathouse_slot_changes_total{outcome="done"} 1"#),
        "{metrics}"
    );
}
