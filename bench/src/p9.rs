//! P9: Lance through the host, over HTTP, against pylance of the same release: migrate, build, search, document by id,
//! append.
//!
//! A release build of `boathouse serve` takes in the glosses and embeds them itself; before anything is timed its vectors
//! are compared to the bit with those that the truth is made of. pylance reads the same Parquet objects. A task's time is
//! that which its client waits. A search of ours is by its text, which the host embeds; pylance is given the vector. An
//! append of ours embeds the texts and commits the rows in Parquet too.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    Options,
    client::Client,
    compare::median,
    data::{self, Collection, Split, Texts},
    host::Host,
    lance::{APPENDED, Course, NPROBES, Plan, REFINE_FACTOR, Side, peer},
    ours::lance::{Did, Read, Searched},
    p1::K,
    process,
};

/// The index, and its dataset.
const NAME: &str = "glosses";
/// How often a task is looked at.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) fn run(options: Options) -> Result<()> {
    let rows = options.rows(100_000, 5_000);
    let threads = std::thread::available_parallelism()?.get();
    let (split, texts) = Split::of_texts(rows, data::queries(options.quick))?;
    let truth = split.truth(K, threads)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let host = Host::start("p9-host")?;
    runtime.block_on(fill(&host, &texts.base))?;
    let sources = objects(host.folder())?;
    let [source] = sources.as_slice() else {
        anyhow::bail!("the vectors are in {} objects", sources.len());
    };
    let folder = process::emptied("p9")?;
    let rewritten = (source.clone(), folder.join("rewritten.parquet"));
    let mut peer = peer(&split, sources.clone(), folder.join("theirs"), threads)?;
    let mut ours = Hosted {
        client: runtime.block_on(Client::connect(host.address()?))?,
        home: home(source)?,
        host: &host,
        runtime: &runtime,
        texts: &texts,
        has_table: false,
    };
    let course = Course {
        id: "P9",
        of: format!(
            "Lance through the host, {rows} {}",
            Collection::Texts.describe()
        ),
        split: &split,
        truth: &truth,
        plan: Plan::of(&split),
        options,
        peer: peer.process.name().to_owned(),
        rewritten,
        seed: Value::Null,
    };
    course.run(&mut ours, &mut peer)?;
    drop(peer);
    fs::remove_dir_all(&folder).context("the folder of p9")
}

/// Takes the texts in and indexes them.
async fn fill(host: &Host, texts: &[String]) -> Result<()> {
    let mut table = String::from("id,text\n");
    for (id, text) in texts.iter().enumerate() {
        table += &format!("{id},\"{}\"\n", text.replace('"', "\"\""));
    }
    let upload = host.post(&format!("/ingest/file?dataset={NAME}&format=csv"));
    host.task(upload.body(table)).await?;
    let index = json!({
        "name": NAME, "dataset": NAME, "text_column": "text", "id_column": "id", "metric": "cosine",
    });
    host.task(host.post("/vectors/indexes").json(&index))
        .await?;
    Ok(())
}

/// The host's own Parquet objects of the index.
fn objects(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_parquet = path.extension().is_some_and(|kind| kind == "parquet");
        if path.is_dir() {
            found.extend(objects(&path)?);
        } else if is_parquet
            && path
                .parent()
                .is_some_and(|at| at.ends_with(format!("indexes/{NAME}/vectors")))
        {
            found.push(path);
        }
    }
    // A copy in `rescue` is none of the index.
    found.retain(|path| !path.components().any(|part| part.as_os_str() == "rescue"));
    Ok(found)
}

/// The folder of the index that an object of it is in.
fn home(object: &Path) -> Result<PathBuf> {
    let home = object.parent().and_then(Path::parent);
    Ok(home.context("the folder of the index")?.to_owned())
}

/// The host as a side.
struct Hosted<'a> {
    host: &'a Host,
    runtime: &'a Runtime,
    client: Client,
    texts: &'a Texts,
    /// The folder of the index.
    home: PathBuf,
    has_table: bool,
}

impl Hosted<'_> {
    /// What a task takes, as its client sees it.
    fn task(&self, path: &str, body: &Value) -> Result<Did> {
        let before = process::folder_bytes(&self.home)?;
        let request = self.host.post(&format!("/vectors/lance/{path}/{NAME}"));
        let start = Instant::now();
        self.runtime
            .block_on(self.host.task_watched(request.json(body), LOOK))?;
        self.did(start, before)
    }

    fn did(&self, start: Instant, before: u64) -> Result<Did> {
        let seconds = start.elapsed().as_secs_f64();
        Ok(Did {
            seconds,
            synced_seconds: seconds,
            bytes: process::folder_bytes(&self.home)?.saturating_sub(before),
        })
    }
}

impl Side for Hosted<'_> {
    fn migrate(&mut self) -> Result<Did> {
        let again = std::mem::replace(&mut self.has_table, true);
        self.task("migrate", &json!({ "again": again }))
    }

    fn index(&mut self, plan: Plan) -> Result<Did> {
        let (partitions, sub_vectors) = (plan.partitions, plan.sub_vectors);
        let wish =
            json!({ "kind": "ivf_pq", "partitions": partitions, "sub_vectors": sub_vectors });
        self.task("index", &wish)
    }

    fn search(&mut self, most: usize) -> Result<Searched> {
        let path = format!("/vectors/lance/search/{NAME}");
        let (mut times, mut answers) = (Vec::new(), Vec::new());
        for text in self.texts.queries.iter().take(most) {
            let body = json!({
                "text": text, "k": K, "nprobes": NPROBES, "refine_factor": REFINE_FACTOR, "with": [],
            });
            let body = body.to_string();
            let start = Instant::now();
            let answer = self.runtime.block_on(self.client.post(&path, &body))?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
            let answer: Value = serde_json::from_slice(&answer)?;
            let hits = answer["hits"].as_array().context("hits")?;
            let row = |hit: &Value| -> Result<u32> {
                let id = hit["id"].as_str().context("an id")?;
                Ok(id.parse()?)
            };
            answers.push(hits.iter().map(row).collect::<Result<Vec<u32>>>()?);
        }
        Ok(Searched {
            p50_us: median(&times),
            answers,
        })
    }

    fn documents(&mut self, ids: &[String]) -> Result<Read> {
        let mut times = Vec::new();
        for id in ids {
            let path = format!("/vectors/lance/doc/{NAME}/{id}?with=&vector=true");
            let start = Instant::now();
            // One that is not there is an error.
            self.runtime.block_on(self.client.get(&path))?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        Ok(Read {
            p50_us: median(&times),
            found: ids.len(),
        })
    }

    fn append(&mut self, name: &str) -> Result<Did> {
        let texts = self.texts.queries.iter().take(APPENDED).enumerate();
        let documents = texts
            .map(|(at, text)| json!({ "id": format!("{name}-{at}"), "row": at, "text": text }));
        let documents: Vec<Value> = documents.collect();
        let body = json!({ "documents": documents }).to_string();
        let before = process::folder_bytes(&self.home)?;
        let path = format!("/vectors/lance/append/{NAME}");
        let start = Instant::now();
        let answer = self.runtime.block_on(self.client.post(&path, &body))?;
        let did = self.did(start, before)?;
        let answer: Value = serde_json::from_slice(&answer)?;
        ensure!(
            answer["appended"].as_u64() == Some(APPENDED as u64),
            "{answer}"
        );
        Ok(did)
    }
}
