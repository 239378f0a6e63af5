//! `boathouse bucket`.
//!
//! A relative `--local` path is taken from the folder that the command runs in and sent as an absolute one:
//! the folder lies on the machine of the host.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};
use serde_json::Value;

use crate::{
    cli::{CliError, Output, output::table},
    client::Client,
    http::BucketSpec,
    url,
};

/// What to do with buckets.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a bucket: a folder, or a bucket of S3 or a compatible store.
    Add(Add),
    /// List buckets: where they are, how they are, and how far their copies are behind.
    List,
    /// Remove a bucket in which nothing lives. No data is deleted.
    Remove {
        /// Name of the bucket.
        name: String,
        /// Remove one that does not answer although what lives there cannot be seen.
        #[arg(long)]
        unseen: bool,
    },
}

/// The bucket that is wanted.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("place").required(true).args(["local", "s3"]))]
pub(crate) struct Add {
    /// Name: lower-case letters, digits and hyphens.
    name: String,
    /// Folder on the machine of the host; made when it is missing.
    #[arg(long, value_name = "PATH")]
    local: Option<PathBuf>,
    /// The service's name of the bucket.
    #[arg(long, value_name = "BUCKET")]
    s3: Option<String>,
    /// URL of the service; AWS when left out.
    #[arg(long, value_name = "URL", conflicts_with = "local")]
    endpoint: Option<String>,
    /// Region; us-east-1 when left out.
    #[arg(long, conflicts_with = "local")]
    region: Option<String>,
    /// Folder inside the bucket that becomes the root.
    #[arg(long, conflicts_with = "local")]
    prefix: Option<String>,
    /// Where the host finds the access key: env:NAME or file:/absolute/path.
    #[arg(
        long,
        value_name = "REFERENCE",
        conflicts_with = "local",
        requires = "secret_access_key"
    )]
    access_key_id: Option<String>,
    /// Where the host finds the secret key: env:NAME or file:/absolute/path.
    #[arg(
        long,
        value_name = "REFERENCE",
        conflicts_with = "local",
        requires = "access_key_id"
    )]
    secret_access_key: Option<String>,
    /// Take an endpoint that is not encrypted.
    #[arg(long, conflicts_with = "local")]
    allow_http: bool,
}

pub(crate) async fn run(
    client: &Client,
    output: &Output,
    command: Command,
) -> Result<(), CliError> {
    match command {
        Command::Add(add) => {
            let made: Value = client.post("/storage/buckets", &spec(add)?).await?;
            output.result(&made, |made| show(std::slice::from_ref(made)));
        }
        Command::List => {
            let list: Value = client.get("/storage/buckets").await?;
            output.result(&list, |list| {
                show(list["buckets"].as_array().map_or(&[], Vec::as_slice));
            });
        }
        Command::Remove { name, unseen } => {
            let mut path = format!("/storage/buckets/{}", url::encode(&name));
            if unseen {
                path += "?unseen=true";
            }
            client.delete(&path).await?;
            output.result(&Value::Null, |_| {
                println!("removed; its data is where it was")
            });
        }
    }
    Ok(())
}

fn spec(add: Add) -> Result<BucketSpec, CliError> {
    let root = add.local.as_deref().map(absolute).transpose()?;
    Ok(BucketSpec {
        backend: if root.is_some() { "local" } else { "s3" },
        name: add.name,
        root,
        bucket: add.s3,
        endpoint: add.endpoint,
        region: add.region,
        prefix: add.prefix,
        access_key_id: add.access_key_id,
        secret_access_key: add.secret_access_key,
        allow_http: add.allow_http.then_some(true),
    })
}

/// A path as the host takes it: absolute, and without the `..` that it refuses.
fn absolute(path: &Path) -> Result<String, CliError> {
    let unusable = |source| CliError::Io {
        what: format!("make {} an absolute path", path.display()),
        source,
    };
    let whole = std::path::absolute(path).map_err(unusable)?;
    // Where it is there already, links and `..` are followed; where not, the host says what is wrong.
    let whole = whole.canonicalize().unwrap_or(whole);
    let text = whole.into_os_string().into_string();
    text.map_err(|_| CliError::Usage("the path must be UTF-8".to_owned()))
}

fn show(buckets: &[Value]) {
    let rows: Vec<Value> = buckets.iter().map(row).collect();
    let columns = [
        ("name", "/name"),
        ("place", "/place"),
        ("origin", "/origin"),
        ("health", "/health/state"),
        ("datasets", "/holds/datasets"),
        ("indexes", "/holds/indexes"),
        ("objects", "/objects"),
        ("bytes", "/bytes"),
        ("to copy", "/mirror/objects"),
    ];
    println!("{}", table(&Value::from(rows), &columns));
    for bucket in buckets {
        if let Some(detail) = bucket["health"]["detail"].as_str() {
            println!("{}: {detail}", bucket["name"].as_str().unwrap_or_default());
        }
    }
}

/// A bucket with its place as one text.
fn row(bucket: &Value) -> Value {
    let location = &bucket["location"];
    let part = |key: &str| location[key].as_str().unwrap_or_default();
    let place = match bucket["backend"].as_str() {
        Some("local") => part("root").to_owned(),
        Some("s3") => {
            let place = format!("s3://{}/{}", part("bucket"), part("prefix"));
            match part("endpoint") {
                "" => place,
                endpoint => format!("{place} at {endpoint}"),
            }
        }
        other => other.unwrap_or_default().to_owned(),
    };
    let mut row = bucket.clone();
    row["place"] = place.into();
    row
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn body(arguments: &[&str]) -> Result<Value, String> {
        let line = ["bucket", "add"].iter().chain(arguments);
        let parsed = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        let Command::Add(add) = parsed.command else {
            return Err("not an addition".to_owned());
        };
        let spec = spec(add).map_err(|error| error.to_string())?;
        serde_json::to_value(spec).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_become_the_body_of_the_request() {
        assert_eq!(
            body(&["disk", "--local", "/srv/disk"]).expect("a body"),
            json!({"name": "disk", "backend": "local", "root": "/srv/disk"})
        );
        let far = [
            "far",
            "--s3",
            "b",
            "--endpoint",
            "http://h:1",
            "--region",
            "eu",
            "--prefix",
            "p",
            "--access-key-id",
            "env:ID",
            "--secret-access-key",
            "file:/run/key",
            "--allow-http",
        ];
        assert_eq!(
            body(&far).expect("a body"),
            json!({
                "name": "far", "backend": "s3", "bucket": "b", "endpoint": "http://h:1",
                "region": "eu", "prefix": "p", "access_key_id": "env:ID",
                "secret_access_key": "file:/run/key", "allow_http": true
            })
        );
        let relative = body(&["disk", "--local", "some/folder"]).expect("a body");
        let root = relative["root"].as_str().expect("a root");
        assert!(
            root.starts_with('/') && root.ends_with("some/folder"),
            "{root}"
        );
    }

    #[test]
    fn a_bucket_lies_in_exactly_one_place() {
        for bad in [
            &["x"][..],
            &["x", "--local", "/a", "--s3", "b"],
            &["x", "--local", "/a", "--region", "eu"],
            &["x", "--s3", "b", "--access-key-id", "env:ID"],
        ] {
            assert!(body(bad).is_err(), "{bad:?}");
        }
    }
}
