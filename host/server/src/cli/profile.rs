//! `boathouse profile`: model profiles, and the GPU slot that they share.

use std::io::Write as _;

use clap::{Args, Subcommand};
use indicatif::HumanBytes;
use serde_json::{Map, Value, json};

use crate::{
    cli::{
        CliError, Output,
        objective::FirstConfig,
        output::{cell, table},
        shortened,
        task::awaited,
    },
    client::Client,
    url,
};

/// What to do with profiles.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a profile: a model that answers, and what it may search.
    Create {
        /// Its id: lower-case letters, digits, `-` and `_`.
        id: String,
        /// The model that answers, by its name at the model server.
        #[arg(long, value_name = "MODEL")]
        model: String,
        #[command(flatten)]
        fields: Box<Fields>,
    },
    /// List profiles.
    List,
    /// Show one profile.
    Show {
        /// Its id.
        id: String,
    },
    /// Change a profile; what is left out stays.
    Change {
        /// Its id.
        id: String,
        /// The model that answers; not while the profile is active.
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
        #[command(flatten)]
        fields: Box<Fields>,
        /// Take a field away: embed_model, bucket, vector_backend, hnsw_config or system_prompt. May be repeated.
        #[arg(long = "without", value_name = "FIELD")]
        without: Vec<String>,
    },
    /// Delete a profile; its indexes and its bucket stay.
    Delete {
        /// Its id.
        id: String,
    },
    /// Give the GPU slot to a profile.
    Activate {
        /// Its id.
        id: String,
    },
    /// Take the GPU slot from a profile.
    Deactivate {
        /// Its id.
        id: String,
    },
    /// Show who holds the GPU slot, and what it is doing.
    Active,
    /// Search the indexes of a profile.
    Search(Search),
    /// Ask the model of a profile, which answers from the profile's indexes.
    Ask(Ask),
    /// Show a document of a profile.
    Doc {
        /// The profile.
        id: String,
        /// One of its indexes.
        index: String,
        /// Id of the document.
        document: String,
    },
    /// Show the memory of the GPUs and the models in it.
    Vram,
    /// Bring a model into memory.
    Preload {
        /// Its name.
        model: String,
    },
    /// Take a model out of memory.
    Unload {
        /// Its name.
        model: String,
    },
}

/// What there is to say about a profile.
#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// The model that embeds, which is loaded along.
    #[arg(long, value_name = "MODEL")]
    embed_model: Option<String>,
    /// One of its indexes. May be repeated.
    #[arg(long = "index", value_name = "NAME")]
    indexes: Vec<String>,
    /// One of its datasets. May be repeated.
    #[arg(long = "dataset", value_name = "NAME")]
    datasets: Vec<String>,
    /// The bucket in which indexes are made for it; made when the profile is activated.
    #[arg(long)]
    bucket: Option<String>,
    /// The engine of indexes that are made for it: parquet, or lance.
    #[arg(long, value_name = "ENGINE")]
    vector_backend: Option<String>,
    /// First configuration of indexes that are made for it; its ef_search is that of the profile's searches.
    #[command(flatten)]
    hnsw_config: FirstConfig,
    /// How its model is told to answer.
    #[arg(long, value_name = "TEXT")]
    system_prompt: Option<String>,
    /// How its model is loaded, `num_ctx=8192` for example. May be repeated; all of them take the place of those before.
    #[arg(long = "option", value_name = "NAME=VALUE")]
    options: Vec<String>,
}

/// What to look for.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// The profile.
    id: String,
    /// What to look for, in words.
    text: String,
    /// One of its indexes; all of them when left out.
    #[arg(long)]
    index: Option<String>,
    /// How many hits.
    #[arg(short, long, default_value_t = 10)]
    k: usize,
    /// Search only rows for which this condition in SQL is true.
    #[arg(long, value_name = "CONDITION", allow_hyphen_values = true)]
    filter: Option<String>,
    /// Columns of the datasets to show; all when left out.
    #[arg(long = "with", value_delimiter = ',')]
    with: Option<Vec<String>>,
}

/// What to ask.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// The profile.
    id: String,
    /// The question.
    question: String,
    /// One of its indexes to look into; all of them when left out.
    #[arg(long)]
    index: Option<String>,
    /// How many passages to answer from.
    #[arg(short, long, default_value_t = 5)]
    k: usize,
    /// Look only at rows for which this condition in SQL is true.
    #[arg(long, value_name = "CONDITION", allow_hyphen_values = true)]
    filter: Option<String>,
    /// Activate the profile first when it is not active.
    #[arg(long)]
    activate: bool,
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::Create { id, model, fields } => {
            let mut body = fields.body()?;
            body.insert("id".to_owned(), id.into());
            body.insert("ollama_name".to_owned(), model.into());
            let made: Value = client.post("/vectors/profile", &body).await?;
            output.result(&made, profile);
        }
        Command::List => {
            let list: Value = client.get("/vectors/profile").await?;
            output.result(&list, all);
        }
        Command::Show { id } => {
            let shown: Value = client.get(&of(&id, "")).await?;
            output.result(&shown, profile);
        }
        Command::Change {
            id,
            model,
            fields,
            without,
        } => {
            let mut body = fields.body()?;
            body.extend(model.map(|model| ("ollama_name".to_owned(), model.into())));
            body.extend(without.into_iter().map(|field| (field, Value::Null)));
            let changed: Value = client.patch(&of(&id, ""), &body).await?;
            output.result(&changed, profile);
        }
        Command::Delete { id } => {
            client.delete(&of(&id, "")).await?;
            output.result(&Value::Null, |_| {
                println!("deleted; its indexes are where they were");
            });
        }
        Command::Activate { id } => {
            let task = client.post_async(&of(&id, "/activate"), &json!({})).await?;
            output.result(&awaited(client, output, &task).await?, activated);
        }
        Command::Deactivate { id } => {
            let report: Value = client.post(&of(&id, "/deactivate"), &json!({})).await?;
            output.result(&report, swapped);
        }
        Command::Active => {
            let slot: Value = client.get("/vectors/profile/active").await?;
            output.result(&slot, active);
        }
        Command::Search(wanted) => search(client, output, wanted).await?,
        Command::Ask(wanted) => ask(client, output, wanted).await?,
        Command::Doc {
            id,
            index,
            document,
        } => {
            let (index, document) = (url::encode(&index), url::encode(&document));
            let path = of(&id, &format!("/doc/{index}/{document}"));
            let found: Value = client.get(&path).await?;
            output.result(&found, |found| println!("{:#}", found["columns"]));
        }
        Command::Vram => {
            let vram: Value = client.get("/admin/vram").await?;
            output.result(&vram, memory);
        }
        Command::Preload { model } => by_name(client, output, "preload", &model).await?,
        Command::Unload { model } => by_name(client, output, "unload", &model).await?,
    }
    Ok(())
}

fn of(id: &str, rest: &str) -> String {
    format!("/vectors/profile/{}{rest}", url::encode(id))
}

impl Fields {
    /// Those that were given, as the host takes them.
    fn body(self) -> Result<Map<String, Value>, CliError> {
        let mut body = Map::new();
        let texts = [
            ("embed_model", self.embed_model),
            ("bucket", self.bucket),
            ("vector_backend", self.vector_backend),
            ("system_prompt", self.system_prompt),
        ];
        for (field, text) in texts {
            body.extend(text.map(|text| (field.to_owned(), text.into())));
        }
        for (field, names) in [("indexes", self.indexes), ("datasets", self.datasets)] {
            if !names.is_empty() {
                body.insert(field.to_owned(), names.into());
            }
        }
        if let Some(config) = self.hnsw_config.body() {
            body.insert("hnsw_config".to_owned(), config);
        }
        if !self.options.is_empty() {
            let options: Result<Map<String, Value>, CliError> =
                self.options.iter().map(|option| pair(option)).collect();
            body.insert("options".to_owned(), options?.into());
        }
        Ok(body)
    }
}

/// `name=value`, with a value that is JSON or else a text.
fn pair(option: &str) -> Result<(String, Value), CliError> {
    let (name, value) = option
        .split_once('=')
        .ok_or_else(|| CliError::Usage(format!("write --option NAME=VALUE, not `{option}`")))?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

async fn by_name(
    client: &Client,
    output: &Output,
    what: &str,
    model: &str,
) -> Result<(), CliError> {
    let path = format!("/admin/{what}");
    let report: Value = client.post(&path, &json!({"model": model})).await?;
    output.result(&report, swapped);
    Ok(())
}

async fn search(client: &Client, output: &Output, wanted: Search) -> Result<(), CliError> {
    let mut body = json!({"text": wanted.text, "k": wanted.k});
    let given = [
        ("index", wanted.index.map(Value::from)),
        ("filter", wanted.filter.map(Value::from)),
        ("with", wanted.with.map(Value::from)),
    ];
    for (field, value) in given {
        if let Some(value) = value {
            body[field] = value;
        }
    }
    let answer: Value = client.post(&of(&wanted.id, "/search"), &body).await?;
    output.result(&answer, |answer| {
        let hits = answer["hits"].as_array().map_or(&[][..], Vec::as_slice);
        for hit in hits {
            let place = format!("{} {}", cell(hit.get("index")), cell(hit.get("id")));
            println!("{:>7}  {place}", cell(hit.get("score")));
            for (name, value) in hit["columns"].as_object().into_iter().flatten() {
                println!("         {name}: {}", shortened(&cell(Some(value)), 160));
            }
        }
        if hits.is_empty() {
            println!("nothing was found");
        }
    });
    Ok(())
}

/// Prints an answer word by word, then what it cites; with `--json` an event a line.
async fn ask(client: &Client, output: &Output, wanted: Ask) -> Result<(), CliError> {
    let mut body = json!({"question": wanted.question, "k": wanted.k, "activate": wanted.activate});
    if let Some(index) = wanted.index {
        body["index"] = index.into();
    }
    if let Some(filter) = wanted.filter {
        body["filter"] = filter.into();
    }
    let is_json = output.is_json();
    let (mut failed, mut shown) = (None, Shown::default());
    let path = of(&wanted.id, "/ask");
    let told = client.post_and_follow(&path, &body, |event| {
        if is_json {
            println!("{event}");
        } else {
            shown.tell(event);
        }
        if event.get("code").is_some() {
            failed = Some(cell(event.get("detail")));
        }
    });
    let told = told.await;
    shown.end_line();
    told?;
    match failed {
        Some(why) => Err(CliError::Failed(why)),
        None => Ok(()),
    }
}

/// What people have seen of an answer.
#[derive(Debug, Default)]
struct Shown {
    /// Passages that the model was to answer from.
    sources: usize,
    /// Whether words stand on a line that has not ended.
    in_line: bool,
}

impl Shown {
    fn tell(&mut self, event: &Value) {
        if let Some(sources) = event["sources"].as_array() {
            self.sources = sources.len();
        }
        if let Some(text) = event["text"].as_str() {
            print!("{text}");
            // A terminal that has gone is noticed by the next line.
            let _ = std::io::stdout().flush();
            self.in_line = true;
        }
        let Some(citations) = event["citations"].as_array() else {
            return;
        };
        self.end_line();
        for one in citations {
            let place = format!("{} {}", cell(one.get("index")), cell(one.get("id")));
            println!("[{}] {place}", cell(one.get("number")));
        }
        match (citations.len(), self.sources) {
            (_, 0) => println!("(no passage was found to answer from)"),
            (0, sources) => println!("(cites none of the {sources} passages that were found)"),
            _ => {}
        }
        if event["reason"] == "length" {
            println!("(cut off: the answer is as long as `num_predict` or the context lets it be)");
        }
    }

    /// Ends the line of words, if there is one.
    fn end_line(&mut self) {
        if std::mem::take(&mut self.in_line) {
            println!();
        }
    }
}

fn all(list: &Value) {
    let columns = [
        ("id", "/id"),
        ("model", "/ollama_name"),
        ("embeds", "/embed_model"),
        ("searches", "/searches"),
        ("datasets", "/reads"),
        ("bucket", "/bucket"),
    ];
    let mut profiles = list["profiles"].clone();
    for profile in profiles.as_array_mut().into_iter().flatten() {
        profile["searches"] = words(&profile["searches"]).into();
        profile["reads"] = words(&profile["datasets"]).into();
    }
    println!("{}", table(&profiles, &columns));
}

fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten();
    let words: Vec<&str> = words.filter_map(Value::as_str).collect();
    words.join(" ")
}

fn profile(profile: &Value) {
    println!("{profile:#}");
}

fn active(slot: &Value) {
    let state = cell(slot.get("state"));
    match slot["holder"].get("profile") {
        Some(profile) => println!(
            "{state}: profile {} with {}, since {}",
            cell(Some(profile)),
            cell(slot.pointer("/holder/model")),
            cell(slot.get("since"))
        ),
        None => println!("{state}: no profile is active"),
    }
    if let Some(next) = slot["next"].as_str() {
        println!("on its way: profile {next}");
    }
    println!(
        "answers under way: {}, changes that wait: {}",
        cell(slot.get("answers")),
        cell(slot.get("waiting"))
    );
    println!("model server: {}", cell(slot.get("model_server")));
    for (what, field) in [("not seen", "server_error"), ("last error", "last_error")] {
        if let Some(why) = slot[field].as_str() {
            println!("{what}: {why}");
        }
    }
}

fn activated(report: &Value) {
    swapped(report);
    if let Some(bucket) = report["bucket_made"].as_str() {
        println!("made bucket {bucket}");
    }
    for index in report["warmed"].as_array().into_iter().flatten() {
        match index["problem"].as_str() {
            Some(why) => println!("{} is not warm: {why}", cell(index.get("index"))),
            None => println!(
                "warmed {} in {} ms",
                cell(index.get("index")),
                cell(index.get("took_ms"))
            ),
        }
    }
}

fn swapped(report: &Value) {
    println!(
        "the slot's model before: {}, now: {}",
        cell(report.get("model_before")),
        cell(report.get("model_after"))
    );
    let mut nothing = true;
    for (what, list, bytes, millis) in [
        ("unloaded", "unloaded", "freed_bytes", "unload_ms"),
        ("loaded", "loaded", "loaded_bytes", "load_ms"),
    ] {
        let models = words(&report[list]);
        if !models.is_empty() {
            nothing = false;
            println!(
                "{what} {models}: {} in {} ms",
                size(&report[bytes]),
                cell(report.get(millis))
            );
        }
    }
    if nothing {
        println!("nothing was loaded or unloaded");
    }
    if report["wholly_on_gpu"] == false {
        println!("the model is not wholly on the GPU, so it answers slowly");
    }
    if report["memory_returned"] == false {
        println!("the memory of what was unloaded was not seen to be free");
    }
}

/// Bytes, as people read them.
fn size(bytes: &Value) -> String {
    let bytes = bytes.as_u64().map(HumanBytes);
    bytes.map_or_else(|| cell(None), |bytes| bytes.to_string())
}

/// A list with some of its fields in bytes as people read them.
fn sized(list: &Value, fields: &[&str]) -> Value {
    let mut list = list.clone();
    for one in list.as_array_mut().into_iter().flatten() {
        for field in fields {
            one[*field] = size(&one[*field]).into();
        }
    }
    list
}

fn memory(vram: &Value) {
    let is_empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    if is_empty(&vram["gpus"]) {
        println!(
            "no GPU is seen: this machine has no NVIDIA driver, or the model server is on another"
        );
    } else {
        let gpus = [
            ("gpu", "/index"),
            ("name", "/name"),
            ("total", "/total_bytes"),
            ("used", "/used_bytes"),
            ("free", "/free_bytes"),
        ];
        let list = sized(&vram["gpus"], &["total_bytes", "used_bytes", "free_bytes"]);
        println!("{}", table(&list, &gpus));
    }
    if is_empty(&vram["models"]) {
        println!("the model server has no model in memory");
    } else {
        let models = [
            ("model", "/name"),
            ("for", "/used_as"),
            ("size", "/size_bytes"),
            ("on GPU", "/vram_bytes"),
        ];
        let list = sized(&vram["models"], &["size_bytes", "vram_bytes"]);
        println!("{}", table(&list, &models));
    }
    if let Some(why) = vram["server_error"].as_str() {
        println!("these were seen last: {why}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_numbers_truth_values_or_texts() {
        for (option, name, value) in [
            ("num_ctx=8192", "num_ctx", json!(8192)),
            ("use_mmap=true", "use_mmap", json!(true)),
            ("stop=a=b", "stop", json!("a=b")),
        ] {
            let read = pair(option).expect(option);
            assert_eq!(read, (name.to_owned(), value));
        }
        assert!(pair("num_ctx").is_err());
    }
}
