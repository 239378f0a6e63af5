//! `boathouse lance`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    cli::{
        CliError, Output,
        output::{cell, counted, table},
        search::hits,
        task::awaited,
    },
    client::Client,
    url::encode,
};

/// What to do with indexes in Lance tables.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the Lance table of an index, of its vectors in Parquet; one that was cut off goes on.
    Migrate {
        /// Name of the index.
        name: String,
        /// Make a new table in the place of the one that is there.
        #[arg(long)]
        again: bool,
    },
    /// Build the index over the vectors of a table, and B-trees over ids and rows.
    Index {
        /// Name of the index.
        name: String,
        /// `ivf_pq` or `ivf_hnsw_sq`.
        #[arg(long, default_value = "ivf_pq")]
        kind: String,
        /// Partitions; derived from the number of rows when left out.
        #[arg(long)]
        partitions: Option<u32>,
        /// For `ivf_pq`: codes of a vector, a divisor of its components.
        #[arg(long)]
        sub_vectors: Option<u32>,
        /// For `ivf_hnsw_sq`: links of a row.
        #[arg(long)]
        m: Option<u32>,
        /// For `ivf_hnsw_sq`: candidates kept while the graph is built.
        #[arg(long)]
        ef_construction: Option<u32>,
    },
    /// Put a table in order: take rows into its indexes, put small files together, remove old versions.
    Optimize {
        /// Name of the index.
        name: String,
        /// `append`, `merge` or `retrain`.
        #[arg(long, default_value = "merge")]
        fold: String,
    },
    /// Search a table, whether or not it serves.
    Search {
        /// Name of the index.
        name: String,
        /// What to look for, in words.
        text: String,
        /// How many hits.
        #[arg(short, long, default_value_t = 10)]
        k: usize,
        /// Partitions that are searched.
        #[arg(long)]
        nprobes: Option<u32>,
        /// So many times `k` candidates are compared by their exact vectors.
        #[arg(long)]
        refine_factor: Option<u32>,
        /// Candidates kept while a graph is walked; for `ivf_hnsw_sq`.
        #[arg(long)]
        ef: Option<u32>,
        /// Compare with every row.
        #[arg(long)]
        exact: bool,
        /// Search only rows for which this condition in SQL is true.
        #[arg(long, value_name = "CONDITION", allow_hyphen_values = true)]
        filter: Option<String>,
        /// Columns of the dataset to show; all when left out.
        #[arg(long = "with", value_delimiter = ',')]
        with: Option<Vec<String>>,
    },
    /// Show a document of a table by its id.
    Doc {
        /// Name of the index.
        name: String,
        /// Id of the document.
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
    /// Append documents with texts or vectors from a file.
    Append {
        /// Name of the index.
        name: String,
        /// JSON: a list of `{"id", "row", "text"}` or `{"id", "row", "vector"}`.
        file: PathBuf,
        /// Replace documents whose ids are there, instead of refusing them all.
        #[arg(long)]
        replace: bool,
        /// Take the rows into the indexes of the table then.
        #[arg(long)]
        optimize: bool,
    },
    /// Show figures of a table.
    Stats {
        /// Name of the index.
        name: String,
    },
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    let (part, name) = command.route();
    let path = format!("/vectors/lance/{part}/{name}");
    match &command {
        Command::Migrate { .. } => {
            let task = client.post(&path, &command.body()).await?;
            output.result(&awaited(client, output, &task).await?, migrated);
        }
        Command::Index { .. } => {
            let task = client.post(&path, &command.body()).await?;
            output.result(&awaited(client, output, &task).await?, |result| {
                figures(&result["stats"]);
            });
        }
        Command::Optimize { .. } => {
            let task = client.post(&path, &command.body()).await?;
            output.result(&awaited(client, output, &task).await?, |result| {
                let removed = counted(result.pointer("/removed/versions"), "old version");
                println!("in order; {removed} removed");
            });
        }
        Command::Search { .. } => {
            let answer: Value = client.post(&path, &command.body()).await?;
            output.result(&answer, |answer| {
                hits(answer);
                if answer.pointer("/lance/exact") == Some(&Value::Bool(true)) {
                    println!("every row was compared");
                }
            });
        }
        Command::Doc { id, .. } => {
            let found: Value = client.get(&format!("{path}/{}", encode(id))).await?;
            output.result(&found, document);
        }
        Command::Append {
            file,
            replace,
            optimize,
            ..
        } => {
            let body = documents(file, *replace)?;
            let path = format!("{path}?optimize={optimize}");
            let answer: Value = client.post(&path, &body).await?;
            output.result(&answer, |answer| {
                let appended = counted(answer.get("appended"), "document");
                let replaced = cell(answer.get("replaced"));
                println!("{appended} appended, of which {replaced} replaced another one");
            });
        }
        Command::Stats { .. } => {
            let stats: Value = client.get(&path).await?;
            output.result(&stats, figures);
        }
    }
    Ok(())
}

impl Command {
    /// The part of its route behind `/vectors/lance/`, and the index.
    fn route(&self) -> (&'static str, &str) {
        match self {
            Self::Migrate { name, .. } => ("migrate", name),
            Self::Index { name, .. } => ("index", name),
            Self::Optimize { name, .. } => ("optimize", name),
            Self::Search { name, .. } => ("search", name),
            Self::Doc { name, .. } => ("doc", name),
            Self::Append { name, .. } => ("append", name),
            Self::Stats { name } => ("stats", name),
        }
    }

    /// The body of its request.
    fn body(&self) -> Value {
        match self {
            Self::Migrate { again, .. } => json!({"again": again}),
            Self::Index {
                kind,
                partitions,
                sub_vectors,
                m,
                ef_construction,
                ..
            } => given(
                json!({"kind": kind}),
                [
                    ("partitions", partitions),
                    ("sub_vectors", sub_vectors),
                    ("m", m),
                    ("ef_construction", ef_construction),
                ],
            ),
            Self::Optimize { fold, .. } => json!({"fold": fold}),
            Self::Search {
                text,
                k,
                nprobes,
                refine_factor,
                ef,
                exact,
                filter,
                with,
                ..
            } => {
                let mut body = json!({"text": text, "k": k, "exact": exact});
                if let Some(filter) = filter {
                    body["filter"] = filter.as_str().into();
                }
                if let Some(columns) = with {
                    body["with"] = columns.as_slice().into();
                }
                let numbers = [
                    ("nprobes", nprobes),
                    ("refine_factor", refine_factor),
                    ("ef", ef),
                ];
                given(body, numbers)
            }
            Self::Doc { .. } | Self::Append { .. } | Self::Stats { .. } => Value::Null,
        }
    }
}

/// A body with those numbers that were given.
fn given<const N: usize>(mut body: Value, numbers: [(&str, &Option<u32>); N]) -> Value {
    for (key, number) in numbers {
        if let Some(number) = number {
            body[key] = (*number).into();
        }
    }
    body
}

/// The body of an append, with the documents of a file.
fn documents(file: &PathBuf, replace: bool) -> Result<Value, CliError> {
    let text = std::fs::read(file).map_err(|source| CliError::Io {
        what: format!("read {}", file.display()),
        source,
    })?;
    let documents: Value = serde_json::from_slice(&text)
        .map_err(|error| CliError::Usage(format!("{}: {error}", file.display())))?;
    let on_duplicate = if replace { "replace" } else { "refuse" };
    Ok(json!({"documents": documents, "on_duplicate": on_duplicate}))
}

fn migrated(index: &Value) {
    let rows = counted(index.pointer("/migration/rows"), "vector");
    let found = cell(index.pointer("/migration/found"));
    println!(
        "{rows} in table {}, of which {found} were there already; the digest is that of the source",
        cell(index.pointer("/lance/path"))
    );
}

fn document(found: &Value) {
    println!("row {}", cell(found.get("row")));
    for (name, value) in found["columns"].as_object().into_iter().flatten() {
        println!("{name}: {}", cell(Some(value)));
    }
}

fn figures(stats: &Value) {
    let rows = [
        ("table", "/path"),
        ("serves", "/serves"),
        ("version", "/version"),
        ("versions", "/versions"),
        ("rows", "/rows"),
        ("beside the index", "/unindexed_rows"),
        ("deleted rows", "/deleted_rows"),
        ("fragments", "/fragments"),
        ("bytes", "/bytes"),
    ];
    for (title, pointer) in rows {
        println!("{title:>20}  {}", cell(stats.pointer(pointer)));
    }
    let columns = [
        ("index", "/name"),
        ("kind", "/kind"),
        ("parts", "/parts"),
        ("rows", "/rows"),
        ("bytes", "/bytes"),
    ];
    println!("{}", table(&stats["indexes"], &columns));
}
