//! `boathouse key`: keys of a host, and key pairs that sign plugins.
//!
//! Making a key needs the right to: on the machine of the host the data folder is enough. A pair for
//! signing never meets a host; both commands about it work on files alone.

use std::{
    collections::BTreeSet,
    fmt::Display,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    auth::{KeySpec, Scope, signature, write_private},
    cli::{CliError, Output, output::table},
    client::Client,
};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key; it is shown this once.
    Create(Create),
    /// List keys, without their secrets.
    List,
    /// Revoke a key.
    Revoke {
        /// Its id, the middle part of its text.
        id: String,
    },
    /// Show who the host takes this command for, and what that one may do.
    Me,
    /// Make a key pair that signs plugins; prints the public half.
    GenerateSigning {
        /// Write the private half to this new file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a file; prints what belongs into the header x-boathouse-signature.
    Sign {
        /// The file, for example a plugin.
        file: PathBuf,
        /// The private half of the pair.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
}

/// The key that is wanted.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What the key is for.
    #[arg(default_value = "unnamed")]
    name: String,
    /// A scope: read, search, ingest, tune, models, storage, plugins:write:TEAM or admin. May be repeated.
    #[arg(
        long = "scope",
        value_name = "SCOPE",
        required_unless_present = "admin"
    )]
    scopes: Vec<Scope>,
    /// The scope `admin`, which contains all.
    #[arg(long)]
    admin: bool,
    /// Days until it expires; never when left out.
    #[arg(long, value_name = "DAYS")]
    expires_in_days: Option<u32>,
    /// Keep it to this dataset. May be repeated.
    #[arg(long = "dataset", value_name = "NAME")]
    datasets: Vec<String>,
    /// Keep it to this index. May be repeated.
    #[arg(long = "index", value_name = "NAME")]
    indexes: Vec<String>,
    /// Write it to this new file instead of printing it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs a command that needs no host; none when it needs one.
pub(crate) fn offline(command: &Command, output: Output) -> Option<Result<(), CliError>> {
    match command {
        Command::GenerateSigning { out } => Some(generate(out, output)),
        Command::Sign { file, key } => Some(sign(file, key, output)),
        _ => None,
    }
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::Create(create) => make(client, *output, create).await?,
        Command::List => {
            let list: Value = client.get("/auth/keys").await?;
            output.result(&list, all);
        }
        Command::Revoke { id } => {
            let path = format!("/auth/keys/{}", crate::url::encode(&id));
            client.delete(&path).await?;
            output.result(&Value::Null, |_| println!("revoked"));
        }
        Command::Me => {
            let me: Value = client.get("/auth/me").await?;
            output.result(&me, |me| println!("{me:#}"));
        }
        Command::GenerateSigning { .. } | Command::Sign { .. } => {}
    }
    Ok(())
}

fn all(list: &Value) {
    let mut keys = list["keys"].clone();
    for key in keys.as_array_mut().into_iter().flatten() {
        key["allows"] = words(&key["scopes"]).into();
        key["reaches"] = reach(key).into();
    }
    let columns = [
        ("id", "/id"),
        ("name", "/name"),
        ("scopes", "/allows"),
        ("reaches", "/reaches"),
        ("made", "/created_at"),
        ("by", "/created_by"),
        ("last used", "/last_used_at"),
        ("expires", "/expires_at"),
        ("expired", "/expired"),
    ];
    println!("{}", table(&keys, &columns));
}

/// What a key is kept to.
fn reach(key: &Value) -> String {
    let named = |what: &str| key[what].is_array().then(|| words(&key[what]));
    match (named("datasets"), named("indexes")) {
        (None, None) => "everything".to_owned(),
        (Some(datasets), None) => format!("datasets {datasets} and the indexes on them"),
        (None, Some(indexes)) => format!("indexes {indexes}"),
        (Some(datasets), Some(indexes)) => format!("datasets {datasets}, indexes {indexes}"),
    }
}

fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten();
    let words: Vec<&str> = words.filter_map(Value::as_str).collect();
    words.join(" ")
}

async fn make(client: &Client, output: Output, create: Create) -> Result<(), CliError> {
    let out = create.out.clone();
    let made: Value = client.post("/auth/keys", &spec(create)?).await?;
    let key = made["key"].as_str().unwrap_or_default();
    if let Some(out) = &out {
        write_private(out, &format!("{key}\n")).map_err(|source| CliError::Io {
            what: format!(
                "write the key to {}; revoke it and try again",
                out.display()
            ),
            source,
        })?;
    }
    let shown = match &out {
        // It stays in the file alone.
        Some(_) => with_key(&made, Value::Null),
        None => made.clone(),
    };
    output.result(&shown, |_| match &out {
        Some(out) => println!("the key is in {}", out.display()),
        None => {
            println!("{key}");
            eprintln!("keep it: it is not shown again");
        }
    });
    if made["first"] == true {
        eprintln!(
            "it is the first key of this host: from now on every request shows one, but for commands with --data DIR on its machine"
        );
    }
    Ok(())
}

fn with_key(made: &Value, key: Value) -> Value {
    let mut made = made.clone();
    made["key"] = key;
    made
}

fn spec(create: Create) -> Result<KeySpec, CliError> {
    let admin = create.admin.then_some(Scope::Admin);
    Ok(KeySpec {
        name: create.name,
        scopes: create.scopes.into_iter().chain(admin).collect(),
        expires_in_days: create.expires_in_days,
        datasets: names(&create.datasets)?,
        indexes: names(&create.indexes)?,
    })
}

/// Names as they were given; none when there are none.
fn names<T: FromStr<Err: Display> + Ord>(
    texts: &[String],
) -> Result<Option<BTreeSet<T>>, CliError> {
    let names: Result<BTreeSet<T>, _> = texts.iter().map(|text| text.parse()).collect();
    let names = names.map_err(|error| CliError::Usage(error.to_string()))?;
    Ok((!names.is_empty()).then_some(names))
}

fn generate(out: &Path, output: Output) -> Result<(), CliError> {
    let public = signature::generate(out)?;
    let answer = json!({"public_key": public.to_string(), "private_key_file": out});
    output.result(&answer, |_| {
        println!("{public}");
        eprintln!(
            "the private half is in {}; the line above belongs into the host's configuration, `[auth.teams.TEAM] public_key`",
            out.display()
        );
    });
    Ok(())
}

fn sign(file: &Path, key: &Path, output: Output) -> Result<(), CliError> {
    let signature = signature::sign_file(file, key)?;
    output.result(&json!({"signature": signature}), |_| {
        println!("{signature}")
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_is_kept_to_is_told() {
        for (key, told) in [
            (json!({}), "everything"),
            (
                json!({"datasets": ["a", "b"]}),
                "datasets a b and the indexes on them",
            ),
            (json!({"indexes": ["x"]}), "indexes x"),
            (
                json!({"datasets": ["a"], "indexes": ["x"]}),
                "datasets a, indexes x",
            ),
        ] {
            assert_eq!(reach(&key), told, "{key}");
        }
    }
}
