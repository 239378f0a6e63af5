//! `boathouse index`.

use clap::{ArgGroup, Subcommand};
use serde_json::{Value, json};

use crate::{
    cli::{
        CliError, Output,
        objective::{Change, FirstConfig, Objective},
        output::{cell, counted, table},
        recall,
        task::awaited,
    },
    client::Client,
};

/// What to do with indexes.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Embed a text column and build an index on it.
    Create {
        /// Name of the index.
        name: String,
        /// Dataset.
        #[arg(long)]
        dataset: String,
        /// Text column to embed.
        #[arg(long)]
        text: String,
        /// Column that identifies a row; the row's number when left out.
        #[arg(long)]
        id: Option<String>,
        /// `cosine`, `l2` or `dot`.
        #[arg(long, default_value = "cosine")]
        metric: String,
        /// Bucket to keep it in.
        #[arg(long)]
        bucket: Option<String>,
        /// `static`, or `ollama:MODEL` for a model of the model server; `static` when left out.
        #[arg(long)]
        embedder: Option<String>,
        /// The profile that it is made for, which says what is left out: bucket, embedder, first configuration.
        #[arg(long, value_name = "ID")]
        profile: Option<String>,
        /// What happens to rows that are appended to the dataset: `auto` or `manual`.
        #[arg(long)]
        appends: Option<String>,
        /// Engine that serves it: `parquet` or `lance`.
        #[arg(long)]
        backend: Option<String>,
        #[command(flatten)]
        wish: Box<Wish>,
        /// Cut longer texts into pieces of at most so many characters, with a vector each.
        #[arg(long, value_name = "CHARACTERS")]
        chunk: Option<u32>,
        /// Characters that a piece has in common with the one before.
        #[arg(long, value_name = "CHARACTERS", requires = "chunk")]
        overlap: Option<u32>,
    },
    /// List indexes.
    List,
    /// Show one index and what serves it.
    Show {
        /// Name of the index.
        name: String,
    },
    /// Move an index to another bucket; searches go on meanwhile.
    Move {
        /// Name of the index.
        name: String,
        /// Bucket that it is to live in.
        #[arg(long, value_name = "BUCKET")]
        to: String,
    },
    /// Bring an index up to date with its dataset; a replaced dataset takes a rebuild. Objects of it that are damaged or
    /// gone from its bucket are made good, also when it is not served for that.
    Refresh {
        /// Name of the index.
        name: String,
    },
    /// Say what happens to rows that are appended to the dataset.
    Appends {
        /// Name of the index.
        name: String,
        /// `auto` or `manual`.
        policy: String,
    },
    /// Let another engine serve an index; searches go on meanwhile.
    Backend {
        /// Name of the index.
        name: String,
        /// `parquet`, or `lance` once there is a Lance table.
        engine: String,
    },
    /// Change what is wanted of an index; what is left out stays as it is.
    Objective {
        /// Name of the index.
        name: String,
        #[command(flatten)]
        wanted: Box<Change>,
    },
    /// Show the recall that searches really got.
    Recall {
        /// Name of the index.
        name: String,
    },
    /// Delete documents of an index, by ids or by a filter; their rows stay in the dataset.
    #[command(group(ArgGroup::new("which").required(true).args(["ids", "filter"])))]
    DeleteDocs {
        /// Name of the index.
        name: String,
        /// Ids of the documents. Those that begin with a hyphen and are no numbers stand after `--`.
        #[arg(allow_negative_numbers = true)]
        ids: Vec<String>,
        /// Those whose rows match a condition in SQL, instead.
        #[arg(long, value_name = "CONDITION", allow_hyphen_values = true)]
        filter: Option<String>,
    },
    /// Delete an index, its journal and its evaluation sets.
    Delete {
        /// Name of the index.
        name: String,
    },
}

/// What a new index is to be.
#[derive(Debug, clap::Args)]
pub(crate) struct Wish {
    #[command(flatten)]
    objective: Objective,
    #[command(flatten)]
    config: FirstConfig,
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::Create { .. } => {
            let task = client.post("/vectors/indexes", &command.body()).await?;
            output.result(&awaited(client, output, &task).await?, summary);
        }
        Command::List => {
            let list: Value = client.get("/vectors/indexes").await?;
            output.result(&list, all);
        }
        Command::Show { name } => {
            let index: Value = client.get(&format!("/vectors/indexes/{name}")).await?;
            output.result(&index, summary);
        }
        Command::Move { name, to } => {
            let path = format!("/vectors/indexes/{name}");
            let task = client.patch(&path, &json!({"bucket": to})).await?;
            output.result(&awaited(client, output, &task).await?, |index| {
                summary(index);
                if index["move"]["left_behind"] == true {
                    println!("what is left in the old bucket goes when that answers");
                }
            });
        }
        Command::Refresh { name } => {
            let path = format!("/vectors/indexes/{name}/refresh");
            let task = client.post(&path, &json!({})).await?;
            output.result(&awaited(client, output, &task).await?, |index| {
                summary(index);
                if index["mended_objects"].as_u64() > Some(0) {
                    let objects = counted(index.get("mended_objects"), "object");
                    println!("{objects} in its bucket, gone or damaged before, made good");
                }
            });
        }
        Command::Appends { name, policy } => {
            change(client, output, &name, &json!({"appends": policy})).await?;
        }
        Command::Backend { name, engine } => {
            change(client, output, &name, &json!({"vector_backend": engine})).await?;
        }
        Command::Objective { name, wanted } => {
            let path = format!("/vectors/indexes/{name}");
            let mut index: Value = client.get(&path).await?;
            if !wanted.is_empty() {
                let objective = wanted.over(&index["objective"]);
                index = client
                    .patch(&path, &json!({"objective": objective}))
                    .await?;
            }
            output.result(&index, wanted_of);
        }
        Command::Recall { name } => recall::show(client, output, &name).await?,
        Command::DeleteDocs { name, ids, filter } => {
            let body = match filter {
                Some(filter) => json!({"filter": filter}),
                None => json!({"ids": ids}),
            };
            let path = format!("/vectors/indexes/{name}/documents");
            let answer: Value = client.delete_with(&path, &body).await?;
            output.result(&answer, deleted);
        }
        Command::Delete { name } => {
            client.delete(&format!("/vectors/indexes/{name}")).await?;
            output.result(&Value::Null, |_| println!("deleted"));
        }
    }
    Ok(())
}

/// Changes an index and shows what it is then.
async fn change(
    client: &Client,
    output: &Output,
    name: &str,
    change: &Value,
) -> Result<(), CliError> {
    let path = format!("/vectors/indexes/{name}");
    let index: Value = client.patch(&path, change).await?;
    output.result(&index, summary);
    Ok(())
}

impl Command {
    /// The body of a request to create an index.
    fn body(&self) -> Value {
        let Self::Create {
            name,
            dataset,
            text,
            id,
            metric,
            bucket,
            embedder,
            profile,
            appends,
            backend,
            wish,
            chunk,
            overlap,
        } = self
        else {
            return Value::Null;
        };
        let mut body =
            json!({"name": name, "dataset": dataset, "text_column": text, "metric": metric});
        let texts = [
            ("id_column", id),
            ("bucket", bucket),
            ("embedder", embedder),
            ("profile", profile),
            ("appends", appends),
            ("vector_backend", backend),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                body[key] = value.as_str().into();
            }
        }
        if let Some(characters) = chunk {
            body["chunk"] = json!({"characters": characters, "overlap": overlap.unwrap_or(0)});
        }
        if !wish.objective.is_empty() {
            body["objective"] = wish.objective.over(&Value::Null);
        }
        if let Some(config) = wish.config.body() {
            body["config"] = config;
        }
        body
    }
}

/// Prints a list of indexes.
fn all(list: &Value) {
    let columns = [
        ("name", "/name"),
        ("dataset", "/dataset"),
        ("text", "/text_column"),
        ("vectors", "/vectors"),
        ("bucket", "/bucket"),
        ("m", "/serving/config/m"),
        ("ef_construction", "/serving/config/ef_construction"),
        ("ef_search", "/serving/config/ef_search"),
    ];
    println!("{}", table(&list["indexes"], &columns));
    for broken in list["broken"].as_array().into_iter().flatten() {
        let (name, why) = (cell(broken.get("name")), cell(broken.get("why")));
        println!("{name} is not served: {why}");
    }
}

fn deleted(answer: &Value) {
    let deleted = counted(answer.get("deleted"), "document");
    println!("{deleted} deleted, {} left", cell(answer.get("documents")));
    for id in answer["unknown"].as_array().into_iter().flatten() {
        println!("not there: {}", cell(Some(id)));
    }
}

/// Prints what is wanted of an index.
fn wanted_of(index: &Value) {
    let rows = [
        ("index", "/name"),
        ("recall, at least", "/objective/recall_floor"),
        ("p95 µs, at most", "/objective/p95_budget_us"),
        ("bytes, at most", "/objective/memory_cap_bytes"),
    ];
    for (title, pointer) in rows {
        println!("{title:>20}  {}", cell(index.pointer(pointer)));
    }
    let weights = index["objective"]["weights"].as_array();
    for weight in weights.into_iter().flatten() {
        let (name, number) = (cell(weight.get(0)), cell(weight.get(1)));
        println!("{:>20}  {name} {number}", "weight");
    }
}

fn summary(index: &Value) {
    let rows = [
        ("index", "/name"),
        ("dataset", "/dataset"),
        ("text column", "/text_column"),
        ("embedder", "/embedder"),
        ("dimension", "/dimension"),
        ("metric", "/metric"),
        ("vectors", "/vectors"),
        ("documents", "/documents"),
        ("characters a piece", "/chunk/characters"),
        ("overlap", "/chunk/overlap"),
        ("embedded", "/embeddings/embedded"),
        ("reused", "/embeddings/reused"),
        ("beside the graph", "/tail_vectors"),
        ("rows left out", "/skipped_rows"),
        ("deleted", "/deleted"),
        ("dataset version", "/dataset_version"),
        ("rows behind", "/behind/rows"),
        ("rows replaced", "/behind/replaced"),
        ("appended rows", "/appends"),
        ("bucket", "/bucket"),
        ("served from", "/vector_backend"),
        ("Lance table", "/lance/path"),
        ("m", "/serving/config/m"),
        ("ef_construction", "/serving/config/ef_construction"),
        ("ef_search", "/serving/config/ef_search"),
        ("serves since trial", "/serving/trial"),
    ];
    for (title, pointer) in rows {
        println!("{title:>20}  {}", cell(index.pointer(pointer)));
    }
}
