//! The Extism crate as a peer of P5 and P6.
//!
//! It answers a line of JSON with a line of JSON, as the other sides do. The guest is compiled once, with
//! a compilation cache on disk. A fresh call makes an instance of it, calls and drops it; a kept one calls
//! the instance that is there. The question is handed over as text; what JSON costs the host's side is
//! measured by the bench and added there.

use std::{
    fs,
    io::{BufRead as _, Write as _},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result};
use extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Ask {
    /// Compile the guest, with its cache in a folder, and answer a question once.
    Prepare {
        guest: PathBuf,
        cache: PathBuf,
        question: String,
    },
    /// Answer the question so often.
    Run { calls: u32, fresh: bool },
    /// Compile so often, which after `Prepare` means to load from the cache.
    Load { loads: u32 },
}

struct Peer {
    guest: PathBuf,
    cache: PathBuf,
    compiled: CompiledPlugin,
    kept: Plugin,
    question: String,
}

impl Peer {
    fn prepare(guest: PathBuf, cache: &Path, question: String) -> Result<(Self, Value)> {
        fs::create_dir_all(cache)?;
        let settings = cache.join("cache.toml");
        let folder = serde_json::to_string(&cache.canonicalize()?)?;
        fs::write(&settings, format!("[cache]\ndirectory = {folder}\n"))?;
        let compiled = compile(&guest, &settings)?;
        let mut kept = Plugin::new_from_compiled(&compiled)?;
        let verdicts = serde_json::from_str(kept.call("evaluate", question.as_str())?)?;
        let peer = Self {
            guest,
            cache: settings,
            compiled,
            kept,
            question,
        };
        Ok((peer, json!({ "verdicts": Value::clone(&verdicts) })))
    }

    fn run(&mut self, calls: u32, fresh: bool) -> Result<Value> {
        let start = Instant::now();
        for _ in 0..calls {
            let question = self.question.as_str();
            if fresh {
                let mut plugin = Plugin::new_from_compiled(&self.compiled)?;
                plugin.call::<_, &[u8]>("evaluate", question)?;
            } else {
                self.kept.call::<_, &[u8]>("evaluate", question)?;
            }
        }
        Ok(json!({ "seconds": start.elapsed().as_secs_f64() }))
    }

    fn load(&self, loads: u32) -> Result<Value> {
        let start = Instant::now();
        for _ in 0..loads {
            drop(compile(&self.guest, &self.cache)?);
        }
        Ok(json!({ "seconds": start.elapsed().as_secs_f64() }))
    }
}

fn compile(guest: &Path, cache: &Path) -> Result<CompiledPlugin> {
    PluginBuilder::new(Manifest::new([Wasm::data(fs::read(guest)?)]))
        .with_cache_config(cache)
        .compile()
}

fn main() -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", json!({ "name": "Extism 1.30.0 (crate)" }))?;
    out.flush()?;
    let mut peer = None;
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&mut peer, &line?);
        let said = answer.unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        writeln!(out, "{said}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(peer: &mut Option<Peer>, line: &str) -> Result<Value> {
    let ready = "`prepare` comes first";
    match serde_json::from_str(line)? {
        Ask::Prepare {
            guest,
            cache,
            question,
        } => {
            let (prepared, answer) = Peer::prepare(guest, &cache, question)?;
            *peer = Some(prepared);
            Ok(answer)
        }
        Ask::Run { calls, fresh } => peer.as_mut().context(ready)?.run(calls, fresh),
        Ask::Load { loads } => peer.as_ref().context(ready)?.load(loads),
    }
}
