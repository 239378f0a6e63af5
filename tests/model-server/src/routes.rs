//! The protocol over the memory: what a request asks for, and what is answered when.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{self, Instant};

use crate::{
    Call, Double, Fault, Kind, Route,
    memory::{Obstacle, no_options, with_tag},
};

/// How often a request that waits for a model looks again; Ollama does so too.
const LOOK: Duration = Duration::from_millis(10);
/// What a broken answer fails with.
const BROKEN: &str = "the connection breaks";

pub(crate) fn router(double: Double) -> Router {
    Router::new()
        .route("/api/version", get(version))
        .route("/api/tags", get(tags))
        .route("/api/ps", get(ps))
        .route("/api/generate", post(generate))
        .route("/api/embed", post(embed))
        .layer(from_fn_with_state(double.clone(), unless_away))
        .with_state(double)
}

/// Nothing but a connection that breaks, while the server is away.
async fn unless_away(State(double): State<Double>, request: Request, next: Next) -> Response {
    let is_away = double.memory().down;
    if is_away {
        return broken();
    }
    next.run(request).await
}

#[derive(Debug, Deserialize)]
struct GenerateBody {
    model: String,
    #[serde(default)]
    prompt: String,
    #[serde(default)]
    system: String,
    options: Option<Value>,
    keep_alive: Option<Value>,
    #[serde(default = "yes")]
    stream: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
struct EmbedBody {
    model: String,
    #[serde(default)]
    input: Value,
    options: Option<Value>,
    keep_alive: Option<Value>,
}

/// The use of a model by a request, which ends with this value.
struct Use {
    double: Double,
    runner: u64,
    /// The life of the server in which it began.
    life: u64,
}

impl Use {
    /// Whether the server has died or gone since.
    fn is_over(&self) -> bool {
        self.double.memory().life != self.life
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.double.memory().end(self.runner, Instant::now());
    }
}

/// One less waits when this ends.
struct Waiting(Double);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.memory().waiting -= 1;
    }
}

async fn version() -> Json<Value> {
    Json(json!({"version": "0.0.0-double"}))
}

async fn tags(State(double): State<Double>) -> Response {
    if let Some(answer) = meet(&double, Route::Models).await {
        return answer;
    }
    let memory = double.memory();
    let models = memory.settings.models.iter().map(|model| {
        let can = match model.kind {
            Kind::Answers => "completion",
            Kind::Embeds(_) => "embedding",
        };
        json!({
            "name": model.name, "model": model.name, "size": model.bytes,
            "digest": model.digest, "capabilities": [can],
        })
    });
    Json(json!({"models": models.collect::<Vec<_>>()})).into_response()
}

async fn ps(State(double): State<Double>) -> Response {
    if let Some(answer) = meet(&double, Route::Resident).await {
        return answer;
    }
    let life = double.memory().life;
    loop {
        let until = double.memory().list_hangs_until(Instant::now());
        let Some(until) = until else { break };
        time::sleep_until(until).await;
        if double.memory().life != life {
            return broken();
        }
    }
    let mut memory = double.memory();
    let now = Instant::now();
    let models = memory.listed(now).iter().map(|runner| {
        json!({
            "name": runner.model.name, "model": runner.model.name, "size": runner.model.bytes,
            "size_vram": runner.model.gpu_bytes, "digest": runner.model.digest,
            "expires_at": format!("in {} s", runner.expires_at().duration_since(now).as_secs()),
            "context_length": 4096,
        })
    });
    Json(json!({"models": models.collect::<Vec<_>>()})).into_response()
}

async fn generate(State(double): State<Double>, body: Bytes) -> Response {
    let body: GenerateBody = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(error) => return refuse(400, &error.to_string()),
    };
    let keep = match keep_alive(body.keep_alive.as_ref()) {
        Ok(keep) => keep,
        Err(answer) => return answer,
    };
    let unloads = body.prompt.is_empty() && keep == Some(Duration::ZERO);
    let options = body.options.unwrap_or_else(no_options);
    note(
        &double,
        Call {
            unloads,
            prompt: body.prompt.clone(),
            system: body.system,
            options: options.clone(),
            ..Call::of(Route::Generate, &body.model)
        },
    );
    let fault = double.memory().fault(Route::Generate);
    if let Some(answer) = obey(fault.as_ref()).await {
        return answer;
    }
    let kind = double.memory().model(&body.model).map(|model| model.kind);
    match kind {
        None => return missing(&body.model),
        // Looked at before what the model can do.
        Some(_) if unloads => {
            double.memory().expire(&body.model, Instant::now());
            return done(&body.model, "unload");
        }
        Some(Kind::Embeds(_)) => {
            return refuse(400, &format!("{:?} does not support generate", body.model));
        }
        Some(Kind::Answers) => {}
    }
    let held = match hold(&double, &body.model, &options, keep).await {
        Ok(held) => held,
        Err(answer) => return answer,
    };
    if body.prompt.is_empty() {
        return done(&body.model, "load");
    }
    if body.stream {
        return words(held, &body.model, fault);
    }
    refuse(400, "this double answers only bit by bit")
}

async fn embed(State(double): State<Double>, body: Bytes) -> Response {
    let body: EmbedBody = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(error) => return refuse(400, &error.to_string()),
    };
    let keep = match keep_alive(body.keep_alive.as_ref()) {
        Ok(keep) => keep,
        Err(answer) => return answer,
    };
    let texts: Vec<String> = match &body.input {
        Value::String(text) => vec![text.clone()],
        Value::Array(texts) => texts
            .iter()
            .filter_map(Value::as_str)
            .map(ToOwned::to_owned)
            .collect(),
        _ => return refuse(400, "invalid input type"),
    };
    let options = body.options.unwrap_or_else(no_options);
    note(
        &double,
        Call {
            texts: texts.len(),
            options: options.clone(),
            ..Call::of(Route::Embed, &body.model)
        },
    );
    let fault = double.memory().fault(Route::Embed);
    if let Some(answer) = obey(fault.as_ref()).await {
        return answer;
    }
    let kind = double.memory().model(&body.model).map(|model| model.kind);
    let dimension = match kind {
        None => return missing(&body.model),
        Some(Kind::Answers) => return refuse(400, "this model does not support embeddings"),
        Some(Kind::Embeds(dimension)) => dimension,
    };
    let held = match hold(&double, &body.model, &options, keep).await {
        Ok(held) => held,
        Err(answer) => return answer,
    };
    let refused = double.memory().settings.refused.clone();
    for (word, status) in refused {
        if texts.iter().any(|text| text.contains(&word)) {
            return refuse(status, "the input length exceeds the context length");
        }
    }
    drop(held);
    let vectors: Vec<Vec<f32>> = texts.iter().map(|text| vector(text, dimension)).collect();
    Json(json!({"model": body.model, "embeddings": vectors})).into_response()
}

/// Waits for a model as the server's scheduler does.
async fn hold(
    double: &Double,
    model: &str,
    options: &Value,
    keep: Option<Duration>,
) -> Result<Use, Response> {
    let life = {
        let mut memory = double.memory();
        if memory.waiting >= memory.settings.queue {
            return Err(refuse(
                503,
                "server busy, please try again.  maximum pending requests exceeded",
            ));
        }
        memory.waiting += 1;
        memory.life
    };
    let _waiting = Waiting(double.clone());
    loop {
        let begun = {
            let mut memory = double.memory();
            if memory.life != life {
                return Err(broken());
            }
            memory.begin(model, options, keep, Instant::now())
        };
        match begun {
            Ok(runner) => {
                return Ok(Use {
                    double: double.clone(),
                    runner,
                    life,
                });
            }
            Err(Obstacle::Missing) => return Err(missing(model)),
            Err(Obstacle::Broken) => {
                return Err(refuse(500, "llama runner process has terminated"));
            }
            Err(Obstacle::Wait) => time::sleep(LOOK).await,
        }
    }
}

/// An answer word by word, which holds its model until it ends or nobody reads it any more.
fn words(held: Use, model: &str, fault: Option<Fault>) -> Response {
    let (pause, says, words) = {
        let memory = held.double.memory();
        let settings = &memory.settings;
        let says: Arc<[String]> = settings.says.iter().cloned().collect();
        let words = match says.is_empty() {
            true => settings.words,
            false => says.len(),
        };
        (settings.word, says, words)
    };
    let model = model.to_owned();
    let lines = stream::unfold(Some((held, 0)), move |state| {
        let (model, fault, says) = (model.clone(), fault.clone(), Arc::clone(&says));
        async move {
            let (held, count) = state?;
            time::sleep(pause).await;
            let breaks = matches!(fault, Some(Fault::CutAfter(at)) if at == count);
            if breaks || held.is_over() {
                return Some((Err(std::io::Error::other(BROKEN)), None));
            }
            if matches!(fault, Some(Fault::ErrorAfter(at)) if at == count) {
                return Some((Ok(line(&json!({"error": "an error in the middle"}))), None));
            }
            if count == words {
                let end = json!({
                    "model": model, "response": "", "done": true, "done_reason": "stop",
                    "prompt_eval_count": 3, "eval_count": words, "total_duration": 2_000_000,
                });
                return Some((Ok(line(&end)), None));
            }
            let word = says.get(count).cloned();
            let word = word.unwrap_or_else(|| format!("word{count} "));
            let word = json!({"model": model, "response": word, "done": false});
            Some((Ok(line(&word)), Some((held, count + 1))))
        }
    });
    Body::from_stream(lines).into_response()
}

fn line(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}

/// Meets a fault, if one waits on a route.
async fn meet(double: &Double, route: Route) -> Option<Response> {
    note(double, Call::of(route, ""));
    let fault = double.memory().fault(route);
    obey(fault.as_ref()).await
}

/// The answer that a fault stands for, if it is one from the start.
async fn obey(fault: Option<&Fault>) -> Option<Response> {
    match fault? {
        Fault::Status(status, text) => Some(refuse(*status, text)),
        Fault::Garbage => Some("<html>".into_response()),
        Fault::Hangs(time) => {
            time::sleep(*time).await;
            None
        }
        Fault::CutAfter(0) => Some(broken()),
        Fault::CutAfter(_) | Fault::ErrorAfter(_) => None,
    }
}

impl Call {
    /// A request of a route about a model, none when that is empty.
    fn of(route: Route, model: &str) -> Self {
        let model = match model.is_empty() {
            true => String::new(),
            false => with_tag(model),
        };
        Self {
            route,
            model,
            unloads: false,
            texts: 0,
            prompt: String::new(),
            system: String::new(),
            options: Value::Null,
        }
    }
}

fn note(double: &Double, call: Call) {
    double.memory().calls.push(call);
}

/// A status of success whose body breaks off at once.
fn broken() -> Response {
    let body = stream::iter([Err::<Bytes, _>(std::io::Error::other(BROKEN))]);
    Body::from_stream(body.boxed()).into_response()
}

fn refuse(status: u16, text: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({"error": text}))).into_response()
}

fn missing(model: &str) -> Response {
    refuse(404, &format!("model '{model}' not found"))
}

fn done(model: &str, reason: &str) -> Response {
    let body = json!({"model": model, "response": "", "done": true, "done_reason": reason});
    Json(body).into_response()
}

/// A number of seconds or a text such as `300s`, `1500ms` or `5m`; a number without its unit in a text is refused.
fn keep_alive(value: Option<&Value>) -> Result<Option<Duration>, Response> {
    let refused = || refuse(400, "time: missing unit in duration");
    let Some(value) = value else { return Ok(None) };
    if let Some(seconds) = value.as_f64() {
        return Ok(Some(Duration::from_secs_f64(seconds.max(0.0))));
    }
    let text = value.as_str().ok_or_else(refused)?;
    let unit = text.find(|letter: char| letter.is_ascii_alphabetic());
    let (number, unit) = text.split_at(unit.ok_or_else(refused)?);
    let number: u64 = number.parse().map_err(|_| refused())?;
    match unit {
        "ms" => Ok(Some(Duration::from_millis(number))),
        "s" => Ok(Some(Duration::from_secs(number))),
        "m" => Ok(Some(Duration::from_secs(number * 60))),
        _ => Err(refused()),
    }
}

/// A vector of length one that the text decides: its numbers come from FNV-1a of it and their places.
fn vector(text: &str, dimension: usize) -> Vec<f32> {
    let seed = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let raw = (1..=dimension as u64).map(|place| {
        let mixed = (seed ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let small = u16::try_from(mixed >> 48).unwrap_or_default();
        f32::from(small) / 65_535.0 - 0.5
    });
    let raw: Vec<f32> = raw.collect();
    let length = raw.iter().map(|one| one * one).sum::<f32>().sqrt();
    raw.iter().map(|one| one / length).collect()
}
