//! An index in service.
//!
//! Where it lives does not change while it serves: when it moves, another one with the same vectors and
//! the same graph takes its place, and this one is retired. Who still holds it searches it as before; who
//! wants to change it is told to look again. So it is when its appended rows are merged into a new base.
//!
//! When rows are appended, another one with a longer tail takes its place too, in the same [`Seat`]: what serves
//! and who may change it are shared, so trials and promotions notice nothing. The rights on an index, in the
//! order in which they are taken: `growing` (bring rows in), `merging` (make a new base), the turn and the switch
//! ([`turns`]), `writing` (commit the manifest).

mod turns;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use boathouse_storage::Bucket;
use boathouse_tuning::{BuildOrigin, IndexData, Promotion, Served, Tuner, TunerOptions};
use boathouse_types::{BucketName, IndexConfig, Trial, VectorBackend};
use boathouse_vector::{DocIds, DocRows, Frozen, HnswGraph, Spans};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

pub use turns::{Sole, Turn};

use super::{
    Behind, IndexMeta, IndexView, Segment, ServingView,
    damage::Faults,
    frozen,
    ledger::{self, Lost},
    locked,
    meta::Counts,
    pace::Pace,
    standing::Found,
    tail::{Part, Tail},
    tombstones::Tombstones,
};
use crate::{
    live::{self, Traffic},
    models::Embedders,
    problem::Problem,
};

/// What answers searches at this moment.
pub struct Serving {
    /// The graph.
    pub graph: Arc<HnswGraph>,
    /// Its id.
    pub build_id: String,
    /// The configuration, and the trial behind it.
    pub served: Served,
    origin: &'static str,
}

impl Serving {
    /// The configuration of the graph.
    #[must_use]
    pub fn config(&self) -> IndexConfig {
        // What serves as a graph is one of a graph: `obtain` and `ready` take nothing else.
        self.served.config.graph().copied().unwrap_or_default()
    }

    /// The same graph, serving a configuration that differs in what is stored of it only.
    pub(super) fn serving(self, served: Served) -> Self {
        Self { served, ..self }
    }
}

/// An index in service, with everything that tunes it.
pub struct LiveIndex {
    /// What is stored of it.
    pub meta: IndexMeta,
    /// The vectors of its base, which the graph leads to and trials measure.
    pub data: IndexData,
    /// Document id of each vector of the base.
    pub doc_ids: DocIds,
    /// Row of the dataset of each vector of the base.
    pub rows: DocRows,
    /// The piece of a text that each stands for; none when texts are not cut.
    pub(super) spans: Option<Spans>,
    /// Documents of the base.
    pub(super) base_documents: usize,
    /// What was appended since the base was made, and which rows are hidden.
    pub(super) tail: Tail,
    /// What was deleted.
    pub(super) tombstones: Arc<Tombstones>,
    /// Its journal, graphs, promotions and evaluation sets.
    pub tuner: Tuner,
    seat: Arc<Seat>,
    bucket: Bucket,
}

/// What an index has as long as it serves one base from one bucket, however its tail grows.
struct Seat {
    turn: Arc<Mutex<()>>,
    switch: Arc<Mutex<()>>,
    writing: Arc<Mutex<()>>,
    /// Another one took its place, or it was deleted.
    retired: AtomicBool,
    moving_to: ArcSwapOption<BucketName>,
    serving: ArcSwap<Serving>,
    /// What served before, for a way back that takes no time.
    previous: ArcSwapOption<Serving>,
    upkeep: Arc<Upkeep>,
}

/// What goes along from seat to seat.
#[derive(Default)]
struct Upkeep {
    growing: Arc<Mutex<()>>,
    merging: Arc<Mutex<()>>,
    behind: ArcSwapOption<Behind>,
    /// What is wrong with its objects, as far as somebody has found out.
    faults: std::sync::Mutex<Faults>,
    /// What is not known of its promotions.
    lost: std::sync::Mutex<Lost>,
    traffic: Traffic,
    pace: Pace,
}

/// The right to do one more thing to an index that only one may do at a time.
pub(crate) type Hold = OwnedMutexGuard<()>;

/// A base: vectors, where they came from, and the graph over them.
pub(super) struct Base {
    pub(super) data: IndexData,
    pub(super) doc_ids: DocIds,
    pub(super) rows: DocRows,
    pub(super) spans: Option<Spans>,
    pub(super) serving: Arc<Serving>,
}

impl Seat {
    fn new(serving: Arc<Serving>, upkeep: Arc<Upkeep>) -> Arc<Self> {
        Arc::new(Self {
            turn: Arc::default(),
            switch: Arc::default(),
            writing: Arc::default(),
            retired: AtomicBool::new(false),
            moving_to: ArcSwapOption::empty(),
            serving: ArcSwap::new(serving),
            previous: ArcSwapOption::empty(),
            upkeep,
        })
    }
}

impl LiveIndex {
    /// Opens a stored index. The graph is read, and built anew only when it is missing or damaged.
    ///
    /// # Errors
    /// When the bucket fails or holds damaged vectors.
    pub(crate) async fn open(found: &Found, options: TunerOptions) -> Result<Self, Problem> {
        let (meta, uncancelled) = (found.meta.clone(), CancellationToken::new());
        let frozen = frozen::base(&found.bucket, &meta, options.files.as_ref()).await?;
        let base = Self::assemble(&found.bucket, meta, frozen, options, &uncancelled);
        let base = base.await?;
        match base.meta.grown.is_some() || !base.meta.deletions.is_empty() {
            true => base.grown(found.meta.clone()).await,
            false => Ok(base),
        }
    }

    /// Puts an index together from the parts of its base and obtains the graph that is to serve.
    ///
    /// # Errors
    /// When the bucket fails or the graph cannot be built.
    pub(crate) async fn assemble(
        bucket: &Bucket,
        meta: IndexMeta,
        frozen: Frozen,
        options: TunerOptions,
        cancel: &CancellationToken,
    ) -> Result<Self, Problem> {
        let data = IndexData {
            index: meta.name.clone(),
            // Who measures the table says so.
            backend: VectorBackend::Parquet,
            data_version: meta.data_version.clone(),
            rows: frozen.spans.is_some().then(|| frozen.rows.clone()),
            vectors: frozen.vectors,
        };
        let tuner = Tuner::open(bucket, &meta.name, options);
        let (served, lost) = ledger::served(bucket, &tuner, &meta).await?;
        let serving = obtain(&tuner, &data, served, cancel).await?;
        let assembled = Self {
            doc_ids: frozen.doc_ids,
            rows: frozen.rows,
            spans: frozen.spans,
            base_documents: data.documents(),
            tail: Tail::default(),
            tombstones: Arc::default(),
            seat: Seat::new(Arc::new(serving), Arc::default()),
            bucket: bucket.clone(),
            meta,
            data,
            tuner,
        };
        assembled.note_lost(lost);
        Ok(assembled)
    }

    /// The same index at another place, as its manifest there has it: what is in memory is not read again. What
    /// cannot be read stays as it is here, until the manifest is looked at the next time.
    pub(super) async fn moved(&self, home: &Found) -> Self {
        let kept = self.at(home);
        if kept.is_as(&home.meta) {
            return kept;
        }
        // Another host has changed it before it was moved.
        let read = match kept.data.data_version == home.meta.data_version {
            true => kept.grown(home.meta.clone()).await,
            false => Self::open(home, self.tuner.options().clone()).await,
        };
        read.unwrap_or_else(|problem| {
            let index = &home.meta.name;
            tracing::warn!(%index, %problem, "what another host changed of a moved index is not in service yet");
            kept
        })
    }

    /// The same index at another place, with everything that this one has in memory. Nothing is read.
    fn at(&self, home: &Found) -> Self {
        let options = self.tuner.options().clone();
        let seat = Seat::new(self.serving(), Arc::clone(&self.seat.upkeep));
        seat.previous.store(self.seat.previous.load_full());
        Self {
            meta: home.meta.clone(),
            data: self.data.clone(),
            doc_ids: self.doc_ids.clone(),
            rows: self.rows.clone(),
            spans: self.spans.clone(),
            base_documents: self.base_documents,
            tail: self.tail.clone(),
            tombstones: Arc::clone(&self.tombstones),
            tuner: Tuner::open(&home.bucket, &home.meta.name, options),
            seat,
            bucket: home.bucket.clone(),
        }
    }

    /// The same base, in the same seat, with the tail that `meta` tells; parts that are not in memory are read.
    ///
    /// # Errors
    /// When the bucket fails or holds damaged vectors.
    pub(super) async fn grown(&self, meta: IndexMeta) -> Result<Self, Problem> {
        let base = (self.doc_ids.clone(), self.rows.clone());
        let (tail, tombstones) = self.tail_of(&meta, base).await?;
        Ok(Self {
            data: self.data.clone(),
            doc_ids: self.doc_ids.clone(),
            rows: self.rows.clone(),
            spans: self.spans.clone(),
            base_documents: self.base_documents,
            tuner: self.tuner.clone(),
            seat: Arc::clone(&self.seat),
            bucket: self.bucket.clone(),
            tail,
            tombstones,
            meta,
        })
    }

    /// The same index on another base, in a seat of its own.
    ///
    /// # Errors
    /// As [`Self::grown`].
    pub(super) async fn on(&self, base: Base, meta: IndexMeta) -> Result<Self, Problem> {
        let documents = (base.doc_ids.clone(), base.rows.clone());
        let (tail, tombstones) = self.tail_of(&meta, documents).await?;
        Ok(Self {
            tail,
            tombstones,
            base_documents: base.data.documents(),
            data: base.data,
            doc_ids: base.doc_ids,
            rows: base.rows,
            spans: base.spans,
            tuner: self.tuner.clone(),
            seat: Seat::new(base.serving, Arc::clone(&self.seat.upkeep)),
            bucket: self.bucket.clone(),
            meta,
        })
    }

    async fn tail_of(
        &self,
        meta: &IndexMeta,
        (ids, rows): (DocIds, DocRows),
    ) -> Result<(Tail, Arc<Tombstones>), Problem> {
        let mut parts = Vec::with_capacity(meta.segments().len());
        for segment in meta.segments() {
            let known = self.tail.parts().iter();
            let known = known.clone().find(|part| part.path == segment.path);
            parts.push(match known {
                Some(part) => Arc::clone(part),
                None => Arc::new(self.part(segment).await?),
            });
        }
        let known = &self.tombstones;
        let tombstones = Tombstones::load(known, &self.bucket, &meta.name, &meta.deletions).await?;
        let unique = meta.id_column.is_none();
        let made = tokio::task::spawn_blocking(move || {
            let tail = Tail::behind((&ids, &rows), parts, unique, &tombstones);
            (tail, tombstones)
        });
        made.await.map_err(|error| Problem::internal(&error))
    }

    async fn part(&self, segment: &Segment) -> Result<Part, Problem> {
        let files = self.tuner.options().files.as_ref();
        let frozen = frozen::segment(&self.bucket, &self.meta, segment, files).await?;
        Ok(Part::new(&segment.path, frozen))
    }

    /// Whether a trial measured the vectors that the graph leads to. Trials of older journals do not say which
    /// they measured: there was one base then.
    #[must_use]
    pub fn is_measured_by(&self, trial: &Trial) -> bool {
        match &trial.data_version {
            Some(version) => *version == self.data.data_version,
            None => self.meta.first_vectors_path.is_none(),
        }
    }

    /// Whether this is what a manifest says, vectors, deletions and all.
    pub(super) fn is_as(&self, meta: &IndexMeta) -> bool {
        let parts = self.tail.parts().iter().map(|part| part.path.as_str());
        self.meta == *meta
            && self.data.data_version == meta.data_version
            && parts.eq(meta.segments().iter().map(|segment| segment.path.as_str()))
            && self.tombstones.are(&meta.deletions)
    }

    /// Whether both serve one base from one bucket.
    pub(super) fn shares_seat(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.seat, &other.seat)
    }

    /// Vectors that are searched.
    #[must_use]
    pub fn vectors(&self) -> usize {
        let counts = self.counts();
        (counts.base + counts.tail) as usize
    }

    fn counts(&self) -> Counts {
        Counts {
            documents: self.documents() as u64,
            base: (self.data.len() - self.tail.hidden_in_base()) as u64,
            tail: self.tail.vectors() as u64,
            deleted: self.tail.deleted() as u64,
        }
    }

    /// Waits for the right to commit its manifest. Whoever wants the turn too takes that first.
    pub(super) async fn writing(&self) -> Hold {
        Arc::clone(&self.seat.writing).lock_owned().await
    }

    /// Waits for the right to bring appended rows in.
    pub(crate) async fn growing(&self) -> Hold {
        Arc::clone(&self.seat.upkeep.growing).lock_owned().await
    }

    /// The right to bring appended rows in; none while somebody has it.
    pub(crate) fn try_growing(&self) -> Option<Hold> {
        let growing = Arc::clone(&self.seat.upkeep.growing);
        growing.try_lock_owned().ok()
    }

    /// The right to make a new base; none while somebody has it.
    pub(super) fn merging(&self) -> Option<Hold> {
        let merging = Arc::clone(&self.seat.upkeep.merging);
        merging.try_lock_owned().ok()
    }

    /// Waits for the right to make a new base.
    pub(super) async fn wait_to_merge(&self) -> Hold {
        Arc::clone(&self.seat.upkeep.merging).lock_owned().await
    }

    /// How far it was behind its dataset when somebody looked last.
    #[must_use]
    pub fn behind(&self) -> Option<Behind> {
        self.seat.upkeep.behind.load().as_deref().copied()
    }

    /// Keeps in mind how far it is behind its dataset.
    pub(crate) fn note_behind(&self, behind: Option<Behind>) {
        self.seat.upkeep.behind.store(behind.map(Arc::new));
    }

    /// What was found wrong with its objects, of earlier bases among them.
    pub(super) fn noted(&self) -> Faults {
        locked(&self.seat.upkeep.faults).clone()
    }

    /// Keeps what was found wrong with its objects; gives what was known before.
    pub(super) fn replace_faults(&self, found: Faults) -> Faults {
        std::mem::replace(&mut *locked(&self.seat.upkeep.faults), found)
    }

    /// The vectors of its base with their documents.
    pub(super) fn base_as_frozen(&self) -> Frozen {
        Frozen {
            vectors: Arc::clone(&self.data.vectors),
            doc_ids: self.doc_ids.clone(),
            rows: self.rows.clone(),
            spans: self.spans.clone(),
        }
    }

    /// The bucket that it lives in.
    #[must_use]
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The bucket that it is being moved to.
    #[must_use]
    pub fn moving_to(&self) -> Option<BucketName> {
        self.seat.moving_to.load_full().map(Arc::unwrap_or_clone)
    }

    pub(super) fn set_moving_to(&self, bucket: Option<&BucketName>) {
        self.seat.moving_to.store(bucket.cloned().map(Arc::new));
    }

    /// Nobody gets its turn any more.
    pub(super) fn retire(&self) {
        self.seat.retired.store(true, Ordering::Release);
    }

    /// Whether another one took its place, or it was deleted.
    pub(super) fn is_retired(&self) -> bool {
        self.seat.retired.load(Ordering::Acquire)
    }

    /// Graphs that are at hand: of what serves and of what served before.
    pub(super) fn graphs(&self) -> Vec<String> {
        let at_hand = [Some(self.serving()), self.seat.previous.load_full()];
        let at_hand = at_hand.iter().flatten();
        at_hand.map(|one| one.build_id.clone()).collect()
    }

    /// What serves now.
    #[must_use]
    pub fn serving(&self) -> Arc<Serving> {
        self.seat.serving.load_full()
    }

    /// Makes ready to serve a configuration: its graph is there when this returns. That of what serves and of what
    /// served before is at hand.
    ///
    /// # Errors
    /// When the graph cannot be obtained, or the work is cancelled.
    pub async fn ready(
        &self,
        served: Served,
        cancel: &CancellationToken,
    ) -> Result<Serving, Problem> {
        let at_hand = [Some(self.serving()), self.seat.previous.load_full()];
        let mut at_hand = at_hand.into_iter().flatten();
        let wanted = graph_config(&served)?;
        match at_hand.find(|kept| kept.config().same_build(&wanted)) {
            Some(kept) => Ok(Serving {
                graph: Arc::clone(&kept.graph),
                build_id: kept.build_id.clone(),
                served,
                origin: "memory",
            }),
            None => obtain(&self.tuner, &self.data, served, cancel).await,
        }
    }

    /// Serves from now on; searches under way finish on what they began with.
    pub fn serve(&self, serving: Serving, promotion: &Promotion) {
        debug_assert_eq!(serving.served.config, promotion.served.config);
        let before = self.seat.serving.swap(Arc::new(Serving {
            served: promotion.served.clone(),
            ..serving
        }));
        self.seat.previous.store(Some(before));
        // Whatever was lost, somebody has decided.
        self.note_lost(Lost::default());
    }

    /// Serves what was promoted last by the word of its home: it may have been opened from copies that were older.
    /// Whoever has the switch changes what serves himself.
    ///
    /// # Errors
    /// When the home fails, or the graph cannot be obtained.
    pub(super) async fn follow_promotions(&self) -> Result<(), Problem> {
        // Only a difference is worth the switch: nobody is to find it taken because somebody looked.
        if self.promoted_at_home().await?.is_none() {
            return Ok(());
        }
        let Ok(_switch) = self.take_switch() else {
            return Ok(());
        };
        // Whoever had the switch may have changed it since.
        if let Some(newest) = self.promoted_at_home().await? {
            let uncancelled = CancellationToken::new();
            let serving = self.ready(newest.served.clone(), &uncancelled).await?;
            self.serve(serving, &newest);
        }
        Ok(())
    }

    /// The newest promotion by the word of its home, when something else serves.
    async fn promoted_at_home(&self) -> Result<Option<Promotion>, Problem> {
        let home = self.bucket.without_rescue();
        let home = Tuner::open(&home, &self.meta.name, self.tuner.options().clone());
        let mut history = home.promotions().history().await?;
        history.retain(|one| one.served.config.backend() == VectorBackend::Parquet);
        let newest = history.pop();
        Ok(newest.filter(|newest| newest.served != self.serving().served))
    }

    /// Where it is kept what is not known of its promotions.
    pub(super) fn lost_cell(&self) -> &std::sync::Mutex<Lost> {
        &self.seat.upkeep.lost
    }

    /// Bytes of vectors and links that are mapped from local files.
    fn mapped_bytes(&self, graph: &HnswGraph) -> usize {
        let parts = self.tail.parts().iter().map(|part| &part.vectors);
        let sets = std::iter::once(&self.data.vectors).chain(parts);
        let mapped = sets.filter(|set| set.is_lent());
        let links = graph.is_lent().then(|| graph.memory_bytes());
        mapped.map(|set| set.memory_bytes()).sum::<usize>() + links.unwrap_or(0)
    }

    /// What is known of its searches.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.seat.upkeep.traffic
    }

    /// The view for clients of a host with these embedders.
    #[must_use]
    pub(crate) fn view_with(&self, embedders: &Embedders) -> IndexView {
        IndexView {
            embedder_changed: embedders.has_another(&self.meta),
            ..self.view()
        }
    }

    /// The view for clients.
    #[must_use]
    pub fn view(&self) -> IndexView {
        let serving = self.serving();
        let memory = self.data.vectors.memory_bytes()
            + self.tail.memory_bytes()
            + serving.graph.memory_bytes();
        let view = self.meta.view(
            self.counts(),
            self.behind(),
            self.moving_to(),
            ServingView {
                config: serving.config(),
                trial: serving.served.trial.clone(),
                build_id: serving.build_id.clone(),
                memory_bytes: memory as u64,
                mapped_bytes: self.mapped_bytes(&serving.graph) as u64,
                graph_origin: serving.origin,
            },
        );
        IndexView {
            live_recall: live::recall_of(self),
            ..view
        }
    }
}

/// The configuration of a graph that is to serve.
fn graph_config(served: &Served) -> Result<IndexConfig, Problem> {
    let config = served.config.graph().copied();
    config.ok_or_else(|| {
        let of = format!("`{}` is a configuration of a Lance table", served.config);
        Problem::unprocessable("not_of_backend", of)
    })
}

/// What serves a configuration over some vectors: its graph is read or built.
///
/// # Errors
/// When the bucket fails or the graph cannot be built.
pub(super) async fn obtain(
    tuner: &Tuner,
    data: &IndexData,
    served: Served,
    cancel: &CancellationToken,
) -> Result<Serving, Problem> {
    let (builds, config) = (tuner.builds(), &graph_config(&served)?);
    let built = builds.obtain(data, config, cancel).await?;
    let built = builds.keep(built, data, config, cancel).await?;
    Ok(Serving {
        graph: built.graph,
        build_id: built.build_id,
        served,
        origin: match built.origin {
            BuildOrigin::Built { .. } => "built",
            BuildOrigin::Derived { .. } => "derived",
            BuildOrigin::Mapped => "mapped",
            BuildOrigin::Stored => "stored",
            BuildOrigin::Memory => "memory",
        },
    })
}

#[cfg(test)]
mod tests;
