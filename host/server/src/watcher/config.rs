//! `[[watch]]`: which folder goes into which dataset, and how.

use std::path::{Component, Path, PathBuf};

use boathouse_ingest::{FileFormat, FileOptions, IngestMode, OptionWords};
use boathouse_types::{BucketName, DatasetName};
use serde::{Deserialize, Serialize};

/// Folder inside a watched one for files that were taken.
pub(super) const DONE: &str = "done";
/// Folder inside a watched one for files that could not be taken.
pub(super) const FAILED: &str = "failed";

/// `[[watch]]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchConfig {
    /// The folder. One that is missing is waited for.
    pub folder: PathBuf,
    /// The dataset, made with the first file.
    pub dataset: DatasetName,
    /// Whether the rows of a file follow those there are, or replace them.
    #[serde(default = "append")]
    pub mode: IngestMode,
    /// Where a new dataset goes; the primary bucket when left out.
    pub bucket: Option<BucketName>,
    /// Format of the files; told from name and content when left out.
    pub format: Option<FileFormat>,
    /// Seconds for which size and time of a file must not have changed.
    #[serde(default = "five")]
    pub stable_secs: u64,
    /// Seconds between two looks.
    #[serde(default = "five")]
    pub every_secs: u64,
    /// What happens to a file that was taken.
    #[serde(default)]
    pub after: AfterIngest,
    /// How the files are to be read, as an upload says it.
    #[serde(default)]
    pub options: OptionWords,
}

/// What happens to a file that was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AfterIngest {
    /// It goes to `done/`.
    #[default]
    Move,
    /// It stays. With mode `replace` only the newest file of the folder counts.
    Keep,
    /// It is deleted.
    Delete,
}

fn append() -> IngestMode {
    IngestMode::Append
}

fn five() -> u64 {
    5
}

/// That folders can be watched together, beside the data folder.
///
/// # Errors
/// What is wrong and what to do.
pub(crate) fn check(watched: &[WatchConfig], data: &Path) -> Result<(), String> {
    let data = place(data);
    let mut known: Vec<PathBuf> = Vec::new();
    for watch in watched {
        let shown = watch.folder.display();
        if watch.every_secs == 0 {
            return Err(format!("every_secs of folder {shown} must be at least 1"));
        }
        FileOptions::parse(&watch.options)
            .map_err(|error| format!("options of folder {shown}: {error}"))?;
        let folder = place(&watch.folder);
        if folder.starts_with(&data) {
            return Err(format!(
                "folder {shown} lies in server.data, where the host keeps its own files: watch another one"
            ));
        }
        if known.contains(&folder) {
            return Err(format!(
                "folder {shown} is watched twice: a file can go into one dataset only"
            ));
        }
        known.push(folder);
    }
    let own = |folder: &&PathBuf| {
        let name = folder.file_name().unwrap_or_default();
        let parent = folder.parent().map(Path::to_owned).unwrap_or_default();
        (name == DONE || name == FAILED) && known.contains(&parent)
    };
    match known.iter().find(own) {
        Some(folder) => Err(format!(
            "folder {} is where files of a watched folder end up: watch another one",
            folder.display()
        )),
        None => Ok(()),
    }
}

/// Where a path leads, links followed as far as it exists.
fn place(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut missing = Vec::new();
    for at in absolute.ancestors() {
        if let Ok(real) = at.canonicalize() {
            return missing.into_iter().rev().fold(real, join);
        }
        missing.extend(at.components().next_back());
    }
    absolute
}

fn join(mut path: PathBuf, part: Component<'_>) -> PathBuf {
    match part {
        Component::ParentDir => drop(path.pop()),
        part => path.push(part),
    }
    path
}
