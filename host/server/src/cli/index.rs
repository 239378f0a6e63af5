//! `boathouse index`.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    cli::{
        CliError, Output,
        output::{cell, table},
        recall,
    },
    client::Client,
    tasks::TaskView,
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
        /// What happens to rows that are appended to the dataset: `auto` or `manual`.
        #[arg(long)]
        appends: Option<String>,
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
    /// Bring an index up to date with its dataset; a replaced dataset takes a rebuild.
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
    /// Show the recall that searches really got.
    Recall {
        /// Name of the index.
        name: String,
    },
    /// Delete documents of an index; their rows stay in the dataset.
    DeleteDocs {
        /// Name of the index.
        name: String,
        /// Ids of the documents.
        #[arg(required_unless_present = "filter")]
        ids: Vec<String>,
        /// Those whose rows match a condition in SQL, instead.
        #[arg(long, value_name = "CONDITION", conflicts_with = "ids")]
        filter: Option<String>,
    },
    /// Delete an index, its journal and its evaluation sets.
    Delete {
        /// Name of the index.
        name: String,
    },
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::Create { .. } => {
            let task = client.post("/vectors/indexes", &command.body()).await?;
            output.result(&followed(client, output, &task).await?, summary);
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
            output.result(&followed(client, output, &task).await?, |index| {
                summary(index);
                if index["move"]["left_behind"] == true {
                    println!("what is left in the old bucket goes when that answers");
                }
            });
        }
        Command::Refresh { name } => {
            let path = format!("/vectors/indexes/{name}/refresh");
            let task = client.post(&path, &json!({})).await?;
            output.result(&followed(client, output, &task).await?, summary);
        }
        Command::Appends { name, policy } => {
            let path = format!("/vectors/indexes/{name}");
            let index: Value = client.patch(&path, &json!({"appends": policy})).await?;
            output.result(&index, summary);
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
            appends,
        } = self
        else {
            return Value::Null;
        };
        let mut body =
            json!({"name": name, "dataset": dataset, "text_column": text, "metric": metric});
        for (key, value) in [("id_column", id), ("bucket", bucket), ("appends", appends)] {
            if let Some(value) = value {
                body[key] = value.as_str().into();
            }
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
}

/// The result of a task, whose progress is shown until it ends.
async fn followed(client: &Client, output: &Output, task: &TaskView) -> Result<Value, CliError> {
    let bar = output.bar();
    let ended = client.wait(task, |view| bar.follow(view)).await;
    bar.done();
    Ok(ended?)
}

fn deleted(answer: &Value) {
    let count = |pointer| cell(answer.pointer(pointer));
    println!(
        "{} documents deleted, {} left",
        count("/deleted"),
        count("/vectors")
    );
    for id in answer["unknown"].as_array().into_iter().flatten() {
        println!("not there: {}", cell(Some(id)));
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
        ("beside the graph", "/tail_vectors"),
        ("rows without text", "/skipped_rows"),
        ("deleted", "/deleted"),
        ("dataset version", "/dataset_version"),
        ("rows behind", "/behind/rows"),
        ("rows replaced", "/behind/replaced"),
        ("appended rows", "/appends"),
        ("bucket", "/bucket"),
        ("m", "/serving/config/m"),
        ("ef_construction", "/serving/config/ef_construction"),
        ("ef_search", "/serving/config/ef_search"),
        ("serves since trial", "/serving/trial"),
    ];
    for (title, pointer) in rows {
        println!("{title:>20}  {}", cell(index.pointer(pointer)));
    }
}
