//! A host under test, and how tests talk to it.

pub(crate) mod db;
pub(crate) mod models;
pub(crate) mod s3;

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a test waits for anything before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// File of a data folder that gets the log of a host, when a test has put it there.
pub(crate) const LOG: &str = "host.log";

/// The program under test, which cargo builds before it runs tests.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().expect("path of the test binary");
    let folder = test.parent().and_then(Path::parent).expect("target folder");
    let program = folder.join("boathouse");
    assert!(
        program.exists(),
        "{} is missing: run the whole suite with `cargo test`, or `cargo build` first",
        program.display()
    );
    program
}

/// Says loudly that a test could not be run here, and fails it where that is not allowed.
pub(crate) fn skip(what: &str, why: &str) {
    // Not `eprintln!`, which the test harness swallows when the test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED {what}: {why}");
    assert!(
        std::env::var_os("BOATHOUSE_TESTS_NO_SKIP").is_none(),
        "{what} was skipped ({why}) and BOATHOUSE_TESTS_NO_SKIP is set"
    );
}

/// As [`skip`], for a tool that `tests/run` installs: `BOATHOUSE_TESTS_WITHOUT` names, separated by spaces,
/// what this machine cannot have, and that is no failure.
pub(crate) fn lacking(tool: &str, what: &str, why: &str) {
    let without = std::env::var_os("BOATHOUSE_TESTS_WITHOUT").unwrap_or_default();
    let without = without.to_string_lossy();
    if without.split(' ').any(|name| name == tool) {
        let _ = writeln!(std::io::stderr(), "SKIPPED {what}: {why}");
    } else {
        skip(what, why);
    }
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(program())
        .args(arguments)
        .output()
        .expect("the program runs")
}

/// A running host; killed when dropped.
pub(crate) struct Host {
    child: Child,
    pub(crate) url: String,
    pub(crate) data: PathBuf,
    /// Keeps the folder until the end of the test.
    _folder: Option<TempDir>,
    http: reqwest::Client,
}

impl Host {
    /// A host on a fresh folder.
    pub(crate) fn fresh() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let mut host = Self::on(folder.path());
        host._folder = Some(folder);
        host
    }

    /// A host on a fresh folder with a configuration.
    pub(crate) fn configured(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("boathouse.toml"), config).expect("written");
        let mut host = Self::on(folder.path());
        host._folder = Some(folder);
        host
    }

    /// A host on a folder that may hold data; its configuration is `boathouse.toml` there, if any. Its log goes
    /// to [`LOG`] there, if that exists.
    pub(crate) fn on(data: &Path) -> Self {
        let config = data.join("boathouse.toml");
        let log = File::options().append(true).open(data.join(LOG));
        let mut child = Command::new(program())
            .args(["serve", "--port", "0", "--data"])
            .arg(data)
            .args(config.exists().then_some("--config"))
            .args(config.exists().then_some(&config))
            .stdout(Stdio::piped())
            .stderr(log.map_or_else(|_| Stdio::inherit(), Stdio::from))
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("standard output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("unexpected {line:?}"))
            .to_owned();
        Self {
            child,
            url,
            data: data.to_owned(),
            _folder: None,
            http: reqwest::Client::new(),
        }
    }

    /// The same host, asked with a key from now on.
    pub(crate) fn with_key(mut self, key: &str) -> Self {
        let mut bearer: HeaderValue = format!("Bearer {key}").parse().expect("a key");
        bearer.set_sensitive(true);
        let headers = [(AUTHORIZATION, bearer)].into_iter().collect();
        let http = reqwest::Client::builder().default_headers(headers);
        self.http = http.build().expect("a client");
        self
    }

    /// The token of whoever may read the data folder, until the host stops.
    pub(crate) fn owner_token(&self) -> String {
        let token = std::fs::read_to_string(self.data.join("host.token"));
        token.expect("the owner's token")
    }

    /// Ends the process the hard way and starts another on the same folder.
    pub(crate) fn kill_and_restart(self) -> Self {
        self.kill_and(|_| {})
    }

    /// As [`Self::kill_and_restart`], doing something to the folder while nobody holds it.
    pub(crate) fn kill_and(mut self, meanwhile: impl FnOnce(&Path)) -> Self {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
        meanwhile(&self.data);
        let folder = self._folder.take();
        let mut next = Self::on(&self.data);
        next._folder = folder;
        next
    }

    /// The process under test.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let response = request.timeout(PATIENCE).send().await.expect("an answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        (status, body)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send(self.http.get(format!("{}{path}", self.url)))
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(self.http.post(format!("{}{path}", self.url)).json(body))
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(self.http.put(format!("{}{path}", self.url)).json(body))
            .await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(self.http.patch(format!("{}{path}", self.url)).json(body))
            .await
    }

    /// `POST` whose answer is read bit by bit, or not to its end.
    pub(crate) async fn open(&self, path: &str, body: &Value) -> reqwest::Response {
        let request = self.http.post(format!("{}{path}", self.url)).json(body);
        let request = request.timeout(PATIENCE);
        request.send().await.expect("an answer")
    }

    pub(crate) async fn post_raw(
        &self,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> (u16, Value) {
        self.send(self.http.post(format!("{}{path}", self.url)).body(body))
            .await
    }

    /// Sends files, by name and text, as a form.
    pub(crate) async fn post_form(&self, path: &str, files: &[(&str, &str)]) -> (u16, Value) {
        let part = |(name, text): &(&str, &str)| {
            format!(
                "--part\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\n{text}\r\n"
            )
        };
        let body = files.iter().map(part).collect::<String>() + "--part--\r\n";
        let request = self.http.post(format!("{}{path}", self.url));
        let kind = "multipart/form-data; boundary=part";
        self.send(request.header("content-type", kind).body(body))
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        self.send(self.http.delete(format!("{}{path}", self.url)))
            .await
    }

    /// Deletes documents of an index.
    pub(crate) async fn delete_documents(&self, index: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/vectors/indexes/{index}/documents", self.url);
        self.send(self.http.delete(url).json(body)).await
    }

    /// `GET` that must succeed.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// Waits until a task has ended and returns it.
    pub(crate) async fn ended(&self, task: &Value) -> Value {
        let path = format!("/tasks/{}", task["id"].as_str().expect("a task"));
        self.until(&path, |task| task["state"] != "running").await
    }

    /// Waits until what a path shows meets a condition.
    pub(crate) async fn until(&self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let view = self.read(path).await;
            if done(&view) {
                return view;
            }
            assert!(Instant::now() < deadline, "{path} never got there: {view}");
            tokio::task::yield_now().await;
        }
    }

    /// Starts a task that must be accepted.
    pub(crate) async fn start(&self, path: &str, body: &Value) -> Value {
        let (status, task) = self.post(path, body).await;
        assert_eq!(status, 202, "POST {path}: {task}");
        task
    }

    /// Runs a task that must succeed and returns its result.
    pub(crate) async fn done(&self, path: &str, body: &Value) -> Value {
        let task = self.start(path, body).await;
        let ended = self.ended(&task).await;
        assert_eq!(ended["state"], "succeeded", "POST {path}: {ended}");
        ended["result"].clone()
    }

    /// Sends a file's bytes and returns the ended task.
    pub(crate) async fn upload(&self, parameters: &str, bytes: impl Into<reqwest::Body>) -> Value {
        let (status, task) = self
            .post_raw(&format!("/ingest/file?{parameters}"), bytes)
            .await;
        assert_eq!(status, 202, "{task}");
        self.ended(&task).await
    }

    /// Ingests a CSV that must be good.
    pub(crate) async fn ingest(&self, dataset: &str, csv: impl Into<reqwest::Body>) -> Value {
        let ended = self
            .upload(&format!("dataset={dataset}&format=csv&mode=replace"), csv)
            .await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        ended["result"].clone()
    }

    /// Builds an index on a text column.
    pub(crate) async fn index(&self, name: &str, dataset: &str, column: &str) -> Value {
        let body = json!({"name": name, "dataset": dataset, "text_column": column});
        self.done("/vectors/indexes", &body).await
    }

    /// Searches and returns the answer.
    pub(crate) async fn search(&self, index: &str, body: &Value) -> Value {
        let path = format!("/vectors/indexes/{index}/search");
        let (status, answer) = self.post(&path, body).await;
        assert_eq!(status, 200, "{body}: {answer}");
        answer
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Checks that an answer is a problem document with a status, a code and words in its detail.
#[track_caller]
pub(crate) fn check_problem(
    (status, body): (u16, Value),
    expected: u16,
    code: &str,
    words: &[&str],
) {
    assert_eq!(
        (status, body["code"].as_str()),
        (expected, Some(code)),
        "{body}"
    );
    check_words(&body, words);
}

/// Checks that a task failed with a code and words in its detail.
#[track_caller]
pub(crate) fn check_failed(task: &Value, code: &str, words: &[&str]) {
    assert_eq!(
        (&task["state"], task["error"]["code"].as_str()),
        (&json!("failed"), Some(code)),
        "{task}"
    );
    check_words(&task["error"], words);
}

#[track_caller]
fn check_words(problem: &Value, words: &[&str]) {
    let detail = problem["detail"].as_str().unwrap_or_default();
    for word in words {
        assert!(detail.contains(word), "`{word}` is missing in: {detail}");
    }
}

/// Ids of the hits of an answer.
pub(crate) fn ids(answer: &Value) -> Vec<String> {
    let hits = answer["hits"].as_array().expect("hits");
    hits.iter()
        .map(|hit| hit["id"].as_str().expect("id").to_owned())
        .collect()
}

/// A CSV field in quotes.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// The demo's table: a few thousand passages.
pub(crate) fn passages() -> &'static str {
    include_str!("../../host/server/demo/requests.csv")
}

/// A small table of sentences about a few subjects: `id,text`.
pub(crate) fn sentences() -> String {
    let subjects = [
        "the harbour and its ships",
        "baking bread at home",
        "repairing an old bicycle",
        "growing tomatoes in a garden",
        "writing software that lasts",
    ];
    let verbs = [
        "We talked about",
        "A short note on",
        "Everything you need for",
        "My uncle knows all of",
        "They wrote a long book on",
        "Nobody likes",
    ];
    let mut csv = "id,text\n".to_owned();
    for (at, verb) in verbs.iter().enumerate() {
        for (subject_at, subject) in subjects.iter().enumerate() {
            csv += &format!("s{subject_at}-{at},{verb} {subject}\n");
        }
    }
    csv
}
