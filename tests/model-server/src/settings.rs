//! What a double is like, and which faults it can have.

use std::time::Duration;

/// What a model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Answers in words.
    Answers,
    /// Makes vectors of so many components.
    Embeds(usize),
}

/// A model on the server's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its name, tag included.
    pub name: String,
    /// What it can do.
    pub kind: Kind,
    /// Bytes that it takes in memory.
    pub bytes: u64,
    /// Bytes of these that fit on the GPU.
    pub gpu_bytes: u64,
    /// What tells its content.
    pub digest: String,
}

impl Model {
    /// A model that is wholly on the GPU.
    #[must_use]
    pub fn new(name: &str, kind: Kind, bytes: u64) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            bytes,
            gpu_bytes: bytes,
            digest: format!("sha256:{name}"),
        }
    }
}

/// What the server is like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Models on its disk.
    pub models: Vec<Model>,
    /// How long a load takes.
    pub load: Duration,
    /// How long an idle model stays listed after it was told to go.
    pub unload: Duration,
    /// How long its memory stays taken after that.
    pub give_back: Duration,
    /// How long a model stays when nobody says.
    pub keep_alive: Duration,
    /// Between two words of an answer.
    pub word: Duration,
    /// Words of an answer.
    pub words: usize,
    /// What an answer says, word by word, in the place of counted words.
    pub says: Vec<String>,
    /// Whether the list of resident models hangs while a model loads.
    pub list_hangs: bool,
    /// Memory of the GPU in bytes.
    pub gpu_bytes: u64,
    /// How many requests may wait for a model.
    pub queue: usize,
    /// Models whose loads fail.
    pub broken: Vec<String>,
    /// Texts that hold such a word fail their batch with a status.
    pub refused: Vec<(String, u16)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            models: Vec::new(),
            load: Duration::from_millis(800),
            unload: Duration::from_millis(200),
            give_back: Duration::from_millis(700),
            keep_alive: Duration::from_secs(300),
            word: Duration::from_millis(50),
            words: 5,
            says: Vec::new(),
            list_hangs: true,
            gpu_bytes: 24_000_000_000,
            queue: 512,
            broken: Vec::new(),
            refused: Vec::new(),
        }
    }
}

/// A part of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `api/generate`, loads and unloads included.
    Generate,
    /// `api/embed`.
    Embed,
    /// `api/ps`.
    Resident,
    /// `api/tags`.
    Models,
}

/// What goes wrong once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This status, with a text.
    Status(u16, String),
    /// So many words come, then the connection breaks.
    CutAfter(usize),
    /// So many words come, then a line that tells of an error.
    ErrorAfter(usize),
    /// Nothing comes for so long; then all is well.
    Hangs(Duration),
    /// A body that is no JSON.
    Garbage,
}
