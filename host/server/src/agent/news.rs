//! What the agent hears of datasets, and what it finds out itself.
//!
//! Whatever brings rows in tells [`heard`] once they have landed, and [`compare`] finds what nobody told of. Both note
//! in the queue which indexes are behind their dataset, and nudge those that may have rows to get. [`look`] only finds
//! out how far they are behind, so that a host that has just started says so in its first answer.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use boathouse_ingest::{DatasetManifest, IngestMode};
use boathouse_types::{DatasetName, IndexName};
use futures::future::join_all;

use super::queue::{Entries, Reason, Wish};
use crate::{
    app::App,
    indexes::{Behind, LiveIndex},
};

/// Datasets that a look reads at the same time.
const AT_ONCE: usize = 16;
/// How long a look waits for datasets, so that one in a store that does not answer holds up no start.
const PATIENCE: Duration = Duration::from_secs(10);

/// Rows of a dataset have landed: every index on it is noted, also one that was quicker, and looked at soon.
pub(crate) async fn heard(app: &App, dataset: &DatasetName, mode: IngestMode) {
    let landed = match mode {
        IngestMode::Append => Reason::Appended,
        IngestMode::Replace => Reason::Replaced,
    };
    let names = app.indexes.on(dataset);
    if names.is_empty() {
        return;
    }
    match app.datasets.get(dataset).await {
        Ok(manifest) => note(app, &manifest, &names, Some(landed)).await,
        // The next comparison finds it.
        Err(error) => tracing::warn!(%dataset, %error, "the agent cannot look at a dataset"),
    }
    for name in &names {
        app.agent.nudge(name);
    }
}

/// Notes the indexes among these that are behind a dataset and those that are being built on it; the others too,
/// when rows have `landed` just now.
async fn note(app: &App, dataset: &DatasetManifest, names: &[IndexName], landed: Option<Reason>) {
    let mut wishes = Vec::new();
    for name in names {
        let live = app.indexes.get(name.as_str()).ok();
        let behind = live.as_deref().map(|index| {
            let behind = Behind::of(dataset, &index.meta);
            index.note_behind(behind);
            behind
        });
        let newest = dataset.latest().map(|newest| newest.version);
        let reason = match (behind, landed) {
            (Some(Some(behind)), _) if behind.replaced => Reason::Replaced,
            (Some(None), None) => continue,
            (Some(None), Some(landed)) => landed,
            _ => Reason::Appended,
        };
        wishes.push(Wish::new(name, &dataset.name, reason, newest));
    }
    if let Err(error) = app.agent.queue.add(&wishes).await {
        tracing::warn!(dataset = %dataset.name, %error, "the agent's queue cannot be written; what waits is found again by comparing");
    }
}

/// Finds out how far every index is behind its dataset, and changes nothing else. Of a dataset that does not answer in
/// time, [`compare`] finds it.
pub(crate) async fn look(app: &App) {
    let indexes = app.indexes.list();
    let datasets: BTreeSet<_> = indexes.iter().map(|index| &index.meta.dataset).collect();
    let datasets: Vec<&DatasetName> = datasets.into_iter().collect();
    let looks = async {
        for some in datasets.chunks(AT_ONCE) {
            let looks = some.iter().map(|&name| look_at(app, name));
            join_all(looks).await;
        }
    };
    if tokio::time::timeout(PATIENCE, looks).await.is_err() {
        tracing::warn!("datasets answer too slowly to tell how far indexes are behind them");
    }
}

async fn look_at(app: &App, dataset: &DatasetName) {
    let manifest = match app.datasets.get(dataset).await {
        Ok(manifest) => manifest,
        Err(error) => {
            return tracing::warn!(%dataset, %error, "how far indexes are behind a dataset cannot be told");
        }
    };
    for index in app.indexes.list() {
        if index.meta.dataset == *dataset {
            index.note_behind(Behind::of(&manifest, &index.meta));
        }
    }
}

/// Finds every index that is behind its dataset, also one that nobody told of, and every tail that is long; forgets
/// those that are gone.
pub(super) async fn compare(app: &Arc<App>) {
    let indexes = app.indexes.list();
    let datasets: BTreeSet<_> = indexes.iter().map(|index| &index.meta.dataset).collect();
    let queued = match app.agent.queue.entries().await {
        Ok(queued) => queued,
        Err(error) => {
            tracing::warn!(%error, "the agent's queue cannot be read");
            return nudge_all(app, &indexes);
        }
    };
    for dataset in datasets {
        let Ok(manifest) = app.datasets.get(dataset).await else {
            continue;
        };
        let newest = manifest.latest().map(|newest| newest.version);
        let is_news = |name: &IndexName| {
            let entry = queued.get(name);
            entry.is_none_or(|entry| entry.newest() < newest)
        };
        let on = indexes
            .iter()
            .filter(|index| index.meta.dataset == *dataset);
        let names: Vec<IndexName> = on.map(|index| index.meta.name.clone()).collect();
        let (news, known): (Vec<_>, Vec<_>) = names.into_iter().partition(is_news);
        note(app, &manifest, &news, None).await;
        for name in known {
            if let Ok(index) = app.indexes.get(name.as_str()) {
                index.note_behind(Behind::of(&manifest, &index.meta));
            }
        }
    }
    forget_gone(app, &queued).await;
    nudge_all(app, &indexes);
}

/// Forgets indexes that wait or were looked at, and that no bucket has any more.
async fn forget_gone(app: &App, queued: &Entries) {
    let memory = match app.agent.memory.load().await {
        Ok(memory) => memory,
        Err(error) => return tracing::warn!(%error, "the agent's memory cannot be read"),
    };
    let names: BTreeSet<&IndexName> = queued.keys().chain(memory.indexes()).collect();
    for name in names {
        // A bucket that does not answer may have it.
        if app.bucket_table.unhealthy().is_empty() && app.indexes.is_gone(name).await {
            app.agent.forget(name).await;
        }
    }
}

fn nudge_all(app: &App, indexes: &[Arc<LiveIndex>]) {
    for index in indexes {
        app.agent.nudge(&index.meta.name);
    }
}
