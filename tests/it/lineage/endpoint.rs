//! An endpoint for lineage, spoken by hand so that it can also talk nonsense and hang.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It takes every event.
    Takes,
    /// It answers with this status.
    Fails(u16),
    /// It answers what is no HTTP.
    Garbage,
    /// It reads and says nothing.
    Hangs,
}

/// A listening endpoint; gone with the test's runtime.
pub(crate) struct Endpoint {
    address: std::net::SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    mood: Mood,
    taken: Vec<Value>,
    asked: u64,
    authorization: Option<String>,
}

impl Endpoint {
    pub(crate) async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            mood,
            taken: Vec::new(),
            asked: 0,
            authorization: None,
        }));
        let shared = Arc::clone(&state);
        #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/v1/lineage", self.address)
    }

    pub(crate) fn turn(&self, mood: Mood) {
        locked(&self.state).mood = mood;
    }

    /// Events it took, in the order in which they came.
    pub(crate) fn taken(&self) -> Vec<Value> {
        locked(&self.state).taken.clone()
    }

    pub(crate) fn authorization(&self) -> Option<String> {
        locked(&self.state).authorization.clone()
    }

    pub(crate) async fn until(&self, done: impl Fn(&[Value]) -> bool) {
        self.wait(|state| done(&state.taken)).await;
    }

    /// Waits until it was asked at all.
    pub(crate) async fn until_asked(&self) {
        self.wait(|state| state.asked > 0).await;
    }

    async fn wait(&self, done: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !done(&locked(&self.state)) {
            assert!(Instant::now() < deadline, "the endpoint never got there");
            tokio::task::yield_now().await;
        }
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request a connection.
async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let Some((head, body)) = request(&mut stream).await else {
        return;
    };
    let mood = {
        let mut state = locked(&state);
        state.asked += 1;
        let mut lines = head.lines();
        let key = lines.find_map(|line| line.strip_prefix("authorization: "));
        state.authorization = key.map(str::to_owned);
        if state.mood == Mood::Takes {
            state
                .taken
                .push(serde_json::from_slice(&body).expect("an event"));
        }
        state.mood
    };
    let answer = match mood {
        Mood::Takes => {
            "HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        Mood::Fails(status) => format!(
            "HTTP/1.1 {status} No\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        ),
        Mood::Garbage => "\u{1}no protocol of this world\r\n\r\n".to_owned(),
        Mood::Hangs => {
            let mut nothing = [0];
            // Until the other side gives up.
            let _ = stream.read(&mut nothing).await;
            return;
        }
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Head and body of a request, if it comes whole.
async fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .and_then(|length| length.parse::<usize>().ok())?;
            if bytes.len() >= end + 4 + length {
                // The case of a key counts.
                let head = String::from_utf8_lossy(&bytes[..end])
                    .replace("Authorization", "authorization");
                return Some((head, bytes[end + 4..end + 4 + length].to_vec()));
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
