//! Watched folders: files that turn up in a folder become rows of a dataset.
//!
//! A folder is listed from time to time, which works on network folders too. A file is taken once it has not
//! changed for a while; it is copied to a nameless file first, so that what is ingested is what was digested,
//! whatever its writer still does. **A file counts once by its content:** the digest is committed with the rows,
//! in the version of the dataset itself, so a kill between the commit and the move of the file neither loses nor
//! doubles it; the next start finds the digest and only moves the file.
//!
//! A file that cannot be taken is moved to `failed/` with the reason beside it. What is no fault of the file (the
//! bucket fails, the disk is full) keeps it where it is, and those behind it too: they are tried again, less and
//! less often. Folders of one dataset take turns.
//!
//! Not here: notifications of the operating system, folders within folders, symbolic links, and anything that
//! HTTP does not do with a file as well (`http/ingest.rs`).

mod config;
mod file;
mod listing;
mod steady;
mod turn;
mod view;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use boathouse_types::DatasetName;
use tokio::sync::Mutex;

pub(crate) use config::check;
pub use config::{AfterIngest, WatchConfig};
pub(crate) use view::{WatchState, WatchView};

use self::{turn::Turns, view::Status};
use crate::app::App;

/// All watched folders.
pub(crate) struct Watcher {
    folders: Vec<Arc<Folder>>,
}

/// A watched folder.
struct Folder {
    config: WatchConfig,
    /// One file at a time goes into a dataset, from whichever folder.
    dataset: Arc<Mutex<()>>,
    status: Status,
}

impl Watcher {
    /// The folders of a configuration; touches none of them.
    pub(crate) fn new(watched: &[WatchConfig]) -> Self {
        let mut datasets: BTreeMap<&DatasetName, Arc<Mutex<()>>> = BTreeMap::new();
        let folders = watched.iter().map(|config| {
            let dataset = datasets.entry(&config.dataset).or_default();
            Arc::new(Folder {
                config: config.clone(),
                dataset: Arc::clone(dataset),
                status: Status::default(),
            })
        });
        Self {
            folders: folders.collect(),
        }
    }

    /// How each folder is.
    pub(crate) fn views(&self) -> Vec<WatchView> {
        let folders = self.folders.iter();
        folders
            .map(|folder| folder.status.view(&folder.config))
            .collect()
    }
}

/// Starts to watch; it ends with the host.
pub(crate) fn start(app: &Arc<App>) {
    for folder in &app.watcher.folders {
        let (app, folder) = (Arc::clone(app), Arc::clone(folder));
        let background = app.tasks.background();
        let stopping = background.stopping();
        background.spawn(async move {
            let mut turns = Turns::new(app, folder);
            stopping.run_until_cancelled(turns.run()).await;
        });
    }
}
