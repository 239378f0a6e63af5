//! The worker: ends killed runs, then posts what is new, for as long as the host runs.
//!
//! At the start, and whenever a bucket turns up, every log of the bucket is looked at once: for runs that were
//! killed, and for events that an earlier process did not get rid of. From then on the worker is told. One event
//! is under way at a time, so those of a run arrive in their order. When the endpoint is away everything waits;
//! when it refuses an event, only the dataset of that event does.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use boathouse_ingest::{IngestError, Lineage, Recorded, RunEvent};
use boathouse_storage::Bucket;
use boathouse_types::BucketName;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{
    cursor::Posted,
    endpoint::{Answer, Endpoint},
    lag::Place,
};
use crate::app::App;

/// The first wait after a failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Time between two looks for buckets that have not been looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often an event is offered to an endpoint that refuses it.
const MOST_TRIES: u32 = 5;
/// Events that are posted before it is noted that they are; a kill posts at most these again.
const NOTE_EVERY: usize = 32;

/// Starts the worker; it ends with the host.
pub(super) fn start(app: &Arc<App>) {
    let (this, background) = (Arc::clone(app), app.tasks.background());
    let stopping = background.stopping();
    background.spawn(async move {
        let mut worker = Worker {
            hears: this.lineage.take_hears(),
            ..Worker::default()
        };
        stopping.run_until_cancelled(worker.run(&this)).await;
    });
}

/// Why a round ended before everything was posted.
enum Stuck {
    /// The endpoint is away: nothing else can be posted either.
    Away(String),
    /// Something about this dataset.
    Here(String),
}

impl From<IngestError> for Stuck {
    fn from(error: IngestError) -> Self {
        Self::Here(crate::problem::chain(&error))
    }
}

#[derive(Default)]
struct Worker {
    hears: Option<UnboundedReceiver<Recorded>>,
    /// Buckets whose logs were all looked at.
    seen: BTreeSet<BucketName>,
    /// Datasets with something new.
    fresh: BTreeSet<Place>,
    /// What is known to be posted, so that a bucket that takes no note does not make it be posted twice.
    posted: BTreeMap<Place, Posted>,
    /// Events that were refused, and how often.
    refused: BTreeMap<String, u32>,
    /// Rounds in a row that did not post everything.
    failures: u32,
}

impl Worker {
    async fn run(&mut self, app: &App) {
        loop {
            self.look_at_buckets(app).await;
            match self.round(app).await {
                true => self.failures = 0,
                false => self.failures = self.failures.saturating_add(1),
            }
            self.rest(app).await;
        }
    }

    /// Waits until there is something to do.
    async fn rest(&mut self, app: &App) {
        let wait = match self.failures {
            0 => LOOK_EVERY,
            failures => LONGEST_WAIT.min(FIRST_WAIT * 2_u32.saturating_pow(failures - 1)),
        };
        let wait = tokio::time::sleep(wait);
        tokio::pin!(wait);
        loop {
            let heard = async {
                match &mut self.hears {
                    Some(hears) => hears.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut wait => return,
                Some(recorded) = heard => self.note(app, recorded),
            }
            // What is new waits with the rest while the endpoint is away.
            if self.failures == 0 {
                return;
            }
        }
    }

    fn note(&mut self, app: &App, recorded: Recorded) {
        let place = (recorded.bucket, recorded.dataset);
        app.lineage.lag.heard(place.clone(), recorded.at);
        self.fresh.insert(place);
    }

    fn listen(&mut self, app: &App) {
        while let Some(Ok(recorded)) = self.hears.as_mut().map(UnboundedReceiver::try_recv) {
            self.note(app, recorded);
        }
    }

    /// Looks at all logs of buckets that are new here.
    async fn look_at_buckets(&mut self, app: &App) {
        for bucket in app.buckets.list() {
            if self.seen.contains(bucket.name()) {
                continue;
            }
            match self.look_at(app, &bucket).await {
                Ok(()) => drop(self.seen.insert(bucket.name().clone())),
                Err(error) => {
                    tracing::warn!(bucket = %bucket.name(), %error, "lineage of the bucket is looked at later");
                }
            }
        }
    }

    async fn look_at(&mut self, app: &App, bucket: &Bucket) -> Result<(), IngestError> {
        for dataset in Lineage::datasets(bucket).await? {
            let lineage = Lineage::new(bucket.clone(), dataset.clone(), Arc::clone(&app.clock))
                .written_by(&app.lineage.writer);
            let origin = &app.lineage.origin;
            match lineage.end_killed_runs(origin, &app.datasets).await {
                Ok(0) => {}
                Ok(runs) => tracing::info!(%dataset, runs, "runs that were killed have their end"),
                Err(
                    error @ IngestError::Storage(boathouse_storage::StorageError::NewerFormat {
                        ..
                    }),
                ) => {
                    tracing::error!(%dataset, %error, "the lineage of a dataset cannot be read");
                    continue;
                }
                Err(error) => return Err(error),
            }
            if app.lineage.endpoint.is_some() {
                self.fresh.insert((bucket.name().clone(), dataset));
            }
        }
        Ok(())
    }

    /// Posts what is new of every dataset; tells whether that is all of it.
    async fn round(&mut self, app: &App) -> bool {
        let Some(endpoint) = &app.lineage.endpoint else {
            return true;
        };
        self.listen(app);
        let mut all = true;
        for place in self.fresh.clone() {
            // Taken out before the log is read: what is recorded from now on puts it in again.
            self.fresh.remove(&place);
            let outcome = self.post(app, endpoint, &place).await;
            let Err(stuck) = outcome else { continue };
            all = false;
            self.fresh.insert(place.clone());
            let (Stuck::Away(why) | Stuck::Here(why)) = &stuck;
            tracing::warn!(dataset = %place.1, why, "lineage waits to be posted");
            app.lineage.lag.failed(why.clone());
            if matches!(stuck, Stuck::Away(_)) {
                break;
            }
        }
        all
    }

    /// Posts what is new of one dataset.
    async fn post(&mut self, app: &App, endpoint: &Endpoint, place: &Place) -> Result<(), Stuck> {
        let (name, dataset) = place;
        let Ok(bucket) = app.buckets.get(name) else {
            // Removed meanwhile; it is looked at again when it is back.
            self.seen.remove(name);
            app.lineage.lag.counted(place, 0, None);
            return Ok(());
        };
        let mut posted = match self.posted.remove(place) {
            Some(posted) => posted,
            None => Posted::load(&bucket, dataset, endpoint.shown()).await?,
        };
        let outcome = self
            .post_from(app, endpoint, place, &bucket, &mut posted)
            .await;
        let noted = posted.save(&bucket, dataset).await;
        self.posted.insert(place.clone(), posted);
        outcome?;
        noted.map_err(|error| IngestError::from(error).into())
    }

    async fn post_from(
        &mut self,
        app: &App,
        endpoint: &Endpoint,
        place: &Place,
        bucket: &Bucket,
        posted: &mut Posted,
    ) -> Result<(), Stuck> {
        let lag = &app.lineage.lag;
        let log = Lineage::new(bucket.clone(), place.1.clone(), Arc::clone(&app.clock));
        let mut events: VecDeque<RunEvent> = log.read().await?.into();
        events.retain(|event| !posted.has(event));
        let next = |events: &VecDeque<RunEvent>| events.front().map(|event| event.event_time);
        lag.counted(place, events.len() as u64, next(&events));
        let mut done = 0;
        while let Some(event) = events.pop_front() {
            let (left, behind) = (events.len() as u64, next(&events));
            match endpoint.post(&event).await {
                Answer::Taken => lag.taken(place, left, behind),
                Answer::Away(why) => return Err(Stuck::Away(why)),
                Answer::Refused(why) => {
                    self.refused(&event, why)?;
                    lag.gave_up(place, left, behind);
                }
            }
            posted.add(&event);
            done += 1;
            if done % NOTE_EVERY == 0 {
                let noted = posted.save(bucket, &place.1).await;
                noted.map_err(IngestError::from)?;
            }
        }
        posted.settle();
        Ok(())
    }

    /// Counts a refusal; passes only once the event is to be given up.
    fn refused(&mut self, event: &RunEvent, why: String) -> Result<(), Stuck> {
        let key = event.key();
        let tries = self.refused.entry(key.clone()).or_default();
        *tries += 1;
        if *tries < MOST_TRIES {
            return Err(Stuck::Here(why));
        }
        self.refused.remove(&key);
        // The next event begins with the shortest wait.
        self.failures = 0;
        tracing::error!(
            event = key,
            why,
            "the endpoint does not take an event of the lineage; it is not offered again"
        );
        Ok(())
    }
}
