//! A host beside a model server that belongs to the test.

use std::time::{Duration, Instant};

use boathouse_model_server::{Double, Kind, Model, Server, Settings};
use serde_json::{Value, json};

use super::{Host, PATIENCE};

/// Components of the vectors of the model that embeds.
const DIMENSION: usize = 32;

/// A model server with two models that answer, `a` and `b`, and one that embeds, `e`, and a host that asks it.
pub(crate) struct World {
    double: Double,
    /// None while it is away.
    _server: Option<Server>,
    port: u16,
    pub(crate) host: Host,
}

/// Events of an answer: their names and data.
pub(crate) type Events = Vec<(String, Value)>;

/// A server that is quick at everything.
pub(crate) fn settings() -> Settings {
    let model = |name: &str, kind, gigabytes: u64| Model::new(name, kind, gigabytes << 30);
    Settings {
        models: vec![
            model("a:latest", Kind::Answers, 10),
            model("b:latest", Kind::Answers, 9),
            model("e:latest", Kind::Embeds(DIMENSION), 1),
        ],
        load: Duration::from_millis(40),
        unload: Duration::from_millis(20),
        give_back: Duration::from_millis(20),
        word: Duration::from_millis(5),
        ..Settings::default()
    }
}

impl World {
    /// A host that asks a server like this, with further lines of configuration.
    pub(crate) async fn new(settings: Settings, config: &str) -> Self {
        let double = Double::new(settings);
        let server = Server::start(double.clone()).await.expect("a port");
        let models = format!("[models]\nollama_url = \"{}\"\n", server.url());
        Self {
            host: Host::configured(&format!("{models}{config}")),
            port: server.port(),
            _server: Some(server),
            double,
        }
    }

    /// Nobody listens at the server's port any more.
    pub(crate) fn go_away(&mut self) {
        self._server = None;
    }

    /// The server is back at its port, with what it had in memory.
    pub(crate) async fn come_back(&mut self) {
        let server = Server::start_at(self.double.clone(), self.port).await;
        self._server = Some(server.expect("its port"));
    }

    /// Where the server is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// With two datasets of sentences and an index of the built-in embedder on each: `ships` and `bread`.
    pub(crate) async fn with_indexes(settings: Settings, config: &str) -> Self {
        let world = Self::new(settings, config).await;
        for (name, csv) in [("ships", SHIPS), ("bread", BREAD)] {
            world.host.ingest(name, csv).await;
            let spec =
                json!({"name": name, "dataset": name, "text_column": "text", "id_column": "id"});
            world.host.done("/vectors/indexes", &spec).await;
        }
        world
    }

    pub(crate) fn double(&self) -> &Double {
        &self.double
    }

    /// Makes a profile that must be good.
    pub(crate) async fn profile(&self, body: &Value) -> Value {
        let (status, made) = self.host.post("/vectors/profile", body).await;
        assert_eq!(status, 201, "{made}");
        made
    }

    /// Two profiles: `sailors` with model `a` on `ships`, `bakers` with model `b` on `bread`; both have the embedder `e`.
    pub(crate) async fn profiles(&self) {
        for (id, model, index) in [("sailors", "a", "ships"), ("bakers", "b", "bread")] {
            let body = json!({"id": id, "ollama_name": model, "embed_model": "e", "indexes": [index],
                "datasets": [index]});
            self.profile(&body).await;
        }
    }

    /// Activates a profile, which must succeed.
    pub(crate) async fn activate(&self, id: &str) -> Value {
        let path = format!("/vectors/profile/{id}/activate");
        let (status, report) = self.host.post(&path, &json!({})).await;
        assert_eq!(status, 200, "{report}");
        report
    }

    /// The slot, once it meets a condition.
    pub(crate) async fn slot(&self, done: impl Fn(&Value) -> bool) -> Value {
        self.host.until("/vectors/profile/active", done).await
    }

    /// Asks a profile and reads the answer to its end.
    pub(crate) async fn ask(&self, id: &str, body: &Value) -> Events {
        let mut answer = Answering::begin(&self.host, id, body).await;
        let mut events = Events::new();
        while let Some(event) = answer.next().await {
            events.push(event);
        }
        events
    }

    /// Models that the server has in memory.
    pub(crate) fn holds(&self) -> Vec<String> {
        let mut holds: Vec<String> = self
            .double()
            .holds()
            .into_iter()
            .map(|one| one.model)
            .collect();
        holds.sort();
        holds
    }

    /// Waits until the server is as a condition says.
    pub(crate) async fn until(&self, what: &str, done: impl Fn(&Double) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self.double()) {
            assert!(
                Instant::now() < deadline,
                "{what}: {:?}",
                self.double().holds()
            );
            // A request of its own lets some time go by.
            self.host.read("/vectors/profile/active").await;
        }
    }
}

/// An answer that is being read.
pub(crate) struct Answering {
    response: reqwest::Response,
    read: String,
}

impl Answering {
    /// Asks; the answer must begin.
    pub(crate) async fn begin(host: &Host, id: &str, body: &Value) -> Self {
        let path = format!("/vectors/profile/{id}/ask");
        let response = host.open(&path, body).await;
        let status = response.status();
        if !status.is_success() {
            panic!("{status}: {}", response.text().await.expect("a body"));
        }
        let kind = response.headers().get("content-type");
        assert_eq!(kind.expect("a type"), "text/event-stream");
        Self {
            response,
            read: String::new(),
        }
    }

    /// The next event; none at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines.find_map(|line| line.strip_prefix(name).map(|it| it.trim().to_owned()))
                };
                let found = field("event:").zip(field("data:"));
                self.read = rest.to_owned();
                // A comment keeps the connection open and says nothing.
                let Some((name, data)) = found else { continue };
                return Some((name, serde_json::from_str(&data).expect("json")));
            }
            let bytes = self.response.chunk().await.expect("bytes")?;
            self.read += std::str::from_utf8(&bytes).expect("text");
        }
    }
}

/// Names of events.
pub(crate) fn names(events: &Events) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

/// The words of an answer.
pub(crate) fn words(events: &Events) -> String {
    let tokens = events.iter().filter(|(name, _)| name == "token");
    tokens
        .map(|(_, data)| data["text"].as_str().expect("text"))
        .collect()
}

const SHIPS: &str = "id,text\n\
    s1,ships in the harbour wait for wind\n\
    s2,a boat on the river carries timber\n\
    s3,the captain of the ship reads the stars\n\
    s4,sailors mend their nets and sails\n";

const BREAD: &str = "id,text\n\
    b1,bread from the oven smells of home\n\
    b2,flour and water and salt and time\n\
    b3,the baker rises before the sun\n\
    b4,a cake with apples and cinnamon\n";
