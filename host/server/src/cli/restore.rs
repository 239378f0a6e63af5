//! `boathouse restore`: buckets made whole again from their copies in `rescue`.
//!
//! It works on the buckets themselves and takes the data folder for that, so no host runs meanwhile. What a
//! bucket still has stays as it is, but for damaged manifests of which there is a sound copy. A mark in the data folder keeps a host from starting on what was
//! restored in part only; running the command again goes on where it was cut off.
//!
//! What the mirror left out does not come back: unless it keeps everything, rows and vectors. The command
//! says of which datasets and indexes, and ends with code 3.

use std::{collections::BTreeMap, path::Path};

use boathouse_storage::{BackendConfig, Bucket, BucketConfig, Restored, StorageError, restore};
use boathouse_types::BucketName;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::{
    buckets::{MARK, catalogue, gone},
    cli::{CliError, Output, output::table},
    config::{Config, Environment},
    host::{FolderLock, RESTORING},
    problem::chain,
};

/// What to restore.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Restore this bucket only; all that `rescue` holds copies of when left out.
    #[arg(long, value_name = "NAME")]
    bucket: Option<BucketName>,
    /// Say what would be copied, and what would not come back; change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What became of one bucket.
#[derive(Debug, Serialize)]
struct Outcome {
    name: BucketName,
    #[serde(flatten)]
    restored: Restored,
    /// Datasets whose files are gone, with the number of files.
    datasets_gone: BTreeMap<String, usize>,
    /// Indexes whose vectors are gone.
    indexes_gone: Vec<String>,
}

/// Restores, prints what was done, and tells by its result whether everything is back.
pub(crate) async fn run(
    config: &Config,
    environment: &Environment,
    output: &Output,
    arguments: Arguments,
) -> Result<(), CliError> {
    let data = &config.server.data;
    let _held = FolderLock::take(data)?;
    let configured = config.all_buckets();
    let rescue = find(&configured, &BucketName::rescue())?;
    let rescue = opened(rescue, environment)?;
    let work = Work {
        rescue,
        environment,
        dry_run: arguments.dry_run,
    };
    if !arguments.dry_run {
        note(data, true)?;
    }
    let outcomes = work.all(&configured, arguments.bucket.as_ref()).await?;
    if !arguments.dry_run {
        note(data, false)?;
    }
    report(output, &outcomes, arguments.dry_run);
    if outcomes.iter().all(Outcome::is_whole) {
        return Ok(());
    }
    Err(CliError::Incomplete)
}

/// Notes in the data folder that a restoration runs, or that it has ended.
fn note(data: &Path, runs: bool) -> Result<(), CliError> {
    let path = data.join(RESTORING);
    let done = match runs {
        true => std::fs::write(&path, "run `boathouse restore` again\n"),
        false => std::fs::remove_file(&path),
    };
    done.map_err(|source| CliError::Io {
        what: format!("write {}", path.display()),
        source,
    })
}

fn opened(config: &BucketConfig, environment: &Environment) -> Result<Bucket, CliError> {
    Bucket::open(config, &|name| environment.get(name).cloned()).map_err(failed)
}

fn failed(error: StorageError) -> CliError {
    CliError::Failed(chain(&error))
}

fn find<'a>(buckets: &'a [BucketConfig], name: &BucketName) -> Result<&'a BucketConfig, CliError> {
    buckets
        .iter()
        .find(|bucket| bucket.name == *name)
        .ok_or_else(|| {
            CliError::Usage(format!(
                "there is no bucket `{name}`; put it into the configuration"
            ))
        })
}

/// That a bucket is not another one under this name, which copies must not be mixed into.
async fn check_mark(home: &Bucket) -> Result<(), CliError> {
    let mark = match home.get(MARK).await {
        Ok(mark) => mark,
        Err(StorageError::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let mark: serde_json::Value = serde_json::from_slice(&mark).unwrap_or_default();
    match mark["name"].as_str() {
        Some(other) if other != home.name().as_str() => Err(CliError::Failed(format!(
            "the place of bucket `{}` is that of bucket `{}`, as its `{MARK}` says; correct the configuration",
            home.name(),
            other.escape_debug()
        ))),
        _ => Ok(()),
    }
}

struct Work<'a> {
    rescue: Bucket,
    environment: &'a Environment,
    dry_run: bool,
}

impl Work<'_> {
    /// Restores `only` or everything. The primary bucket comes first, as it tells of the others.
    async fn all(
        &self,
        configured: &[BucketConfig],
        only: Option<&BucketName>,
    ) -> Result<Vec<Outcome>, CliError> {
        let primary = find(configured, &BucketName::primary())?;
        let is_wanted = |name: &BucketName| only.is_none_or(|only| only == name);
        let mut outcomes = Vec::new();
        if is_wanted(&primary.name) {
            outcomes.extend(self.one(primary).await?);
        }
        let all = self.with_added(configured, primary).await?;
        if let Some(only) = only {
            find(&all, only)?;
        }
        let mut others = all.iter().filter(|bucket| is_wanted(&bucket.name));
        for bucket in others.by_ref() {
            if bucket.name != primary.name && bucket.name != *self.rescue.name() {
                outcomes.extend(self.one(bucket).await?);
            }
        }
        if outcomes.is_empty() {
            let what = only.map_or_else(
                || "any bucket".to_owned(),
                |name| format!("bucket `{name}`"),
            );
            return Err(CliError::Failed(format!(
                "`rescue` holds no copies of {what}"
            )));
        }
        Ok(outcomes)
    }

    /// The buckets of the configuration and those that were added while a host ran.
    async fn with_added(
        &self,
        configured: &[BucketConfig],
        primary: &BucketConfig,
    ) -> Result<Vec<BucketConfig>, CliError> {
        let mut all = configured.to_vec();
        let copy = self.rescue.within(primary.name.as_str()).map_err(failed)?;
        let found = match self.home(primary)? {
            Some(home) => match catalogue::load(&home).await {
                // Not mended by a dry run, nor when another bucket is restored.
                Err(StorageError::Damaged { .. }) => None,
                found => found.map_err(failed)?,
            },
            None => None,
        };
        let found = match found {
            Some(found) => Some(found),
            None => catalogue::load(&copy).await.map_err(failed)?,
        };
        for bucket in found.map(|found| found.buckets).unwrap_or_default() {
            if !all.iter().any(|known| known.name == bucket.name) {
                all.push(bucket);
            }
        }
        Ok(all)
    }

    /// Restores one bucket; none when `rescue` has no copies of it.
    async fn one(&self, config: &BucketConfig) -> Result<Option<Outcome>, CliError> {
        let copies = self.rescue.within(config.name.as_str()).map_err(failed)?;
        let copied = copies.list("").await.map_err(failed)?;
        if copied.is_empty() {
            return Ok(None);
        }
        // A dry run makes no folder: one that is not there is an empty bucket.
        let home = self.home(config)?;
        let home = home.unwrap_or_else(|| Bucket::memory(config.name.clone()));
        check_mark(&home).await?;
        let restored = restore(&self.rescue, &home, self.dry_run)
            .await
            .map_err(failed)?;
        let here = home.list("").await.map_err(failed)?;
        let paths = here.into_iter().chain(copied).map(|object| object.path);
        let gone = gone::look(&[&home, &copies], &paths.collect())
            .await
            .map_err(failed)?;
        let datasets = gone.datasets.iter();
        Ok(Some(Outcome {
            name: config.name.clone(),
            restored,
            datasets_gone: datasets
                .map(|(name, files)| (name.to_string(), files.len()))
                .collect(),
            indexes_gone: gone.indexes.keys().map(ToString::to_string).collect(),
        }))
    }

    /// A bucket to restore; none for a folder that is not there and is not to be made.
    fn home(&self, config: &BucketConfig) -> Result<Option<Bucket>, CliError> {
        if let (true, BackendConfig::Local { root }) = (self.dry_run, &config.backend)
            && !root.exists()
        {
            return Ok(None);
        }
        opened(config, self.environment).map(Some)
    }
}

impl Outcome {
    fn is_whole(&self) -> bool {
        self.datasets_gone.is_empty() && self.indexes_gone.is_empty()
    }
}

fn report(output: &Output, outcomes: &[Outcome], dry_run: bool) {
    let value = json!({"dry_run": dry_run, "buckets": outcomes});
    output.result(&value, |value| {
        if dry_run {
            println!("nothing was changed; this is what would be copied");
        }
        let columns = [
            ("bucket", "/name"),
            ("copied", "/copied"),
            ("bytes", "/bytes"),
            ("there already", "/kept"),
        ];
        println!("{}", table(&value["buckets"], &columns));
        outcomes.iter().for_each(print_losses);
    });
}

fn print_losses(outcome: &Outcome) {
    let bucket = &outcome.name;
    for (dataset, files) in &outcome.datasets_gone {
        println!(
            "dataset {dataset} in bucket {bucket}: {files} of its files have no copy; ingest it anew or delete it"
        );
    }
    for index in &outcome.indexes_gone {
        println!(
            "index {index} in bucket {bucket}: its vectors have no copy; delete it and build it anew"
        );
    }
}

#[cfg(test)]
mod tests;
