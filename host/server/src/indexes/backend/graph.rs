//! An index in memory: its base by the graph, and what is behind it one by one.
//!
//! What needs the processor is done at a desk (`desks.rs`), and the quick searches without another thread (`pace.rs`). Searches are looked at for live recall here, as it is the
//! graph's configuration that this judges.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use boathouse_models::StaticEmbedder;
use boathouse_vector::Scratch;

use super::{Backend, Found, Nearest, Piece, Query, Wish};
use crate::{
    app::App,
    indexes::{
        Indexes, LiveIndex, Serving, check_embedder,
        filter::FilterPlan,
        search::embed_query,
        tail::{Kept, Match, Wanted},
    },
    live::{Live, Seen},
    problem::Problem,
};

/// An index and what it takes to search it.
pub(in crate::indexes) struct Graph {
    index: Arc<LiveIndex>,
    indexes: Arc<Indexes>,
    embedder: Arc<StaticEmbedder>,
    live: Arc<Live>,
}

/// Vectors that were found, and how.
struct Vectors {
    matches: Vec<Match>,
    distances: u64,
    plan: Option<FilterPlan>,
}

impl Graph {
    pub(in crate::indexes) fn of(app: &App, index: &Arc<LiveIndex>) -> Self {
        Self {
            index: Arc::clone(index),
            indexes: Arc::clone(&app.indexes),
            embedder: app.models.embedders.built_in(),
            live: Arc::clone(&app.live),
        }
    }
}

#[async_trait]
impl Backend for Graph {
    async fn search(&self, wish: &Arc<Wish>) -> Result<Found, Problem> {
        let (index, wish) = (Arc::clone(&self.index), Arc::clone(wish));
        let (embedder, live) = (Arc::clone(&self.embedder), Arc::clone(&self.live));
        let serving = index.serving();
        let mut desk = self.indexes.desks.sit_down().await?;
        if is_quick(&index, &wish) {
            let judged = (&*embedder, &*live);
            return find((&index, None), (&serving, &mut desk.scratch), judged, &wish);
        }
        let found = tokio::task::spawn_blocking(move || {
            let selection = wish.selection.as_ref();
            let kept = selection.map(|selection| selection.kept(&index));
            let judged = (&*embedder, &*live);
            let kept = kept.as_deref();
            let scratch = &mut desk.scratch;
            find((&index, kept), (&serving, scratch), judged, &wish)
        });
        found.await.map_err(|error| Problem::internal(&error))?
    }

    async fn document(&self, id: &str) -> Result<Vec<Piece>, Problem> {
        let (index, id) = (Arc::clone(&self.index), id.to_owned());
        let found = tokio::task::spawn_blocking(move || index.pieces_of(&id));
        found.await.map_err(|error| Problem::internal(&error))
    }
}

/// Whether a search is over so soon that no thread of its own is woken for it; never one with a filter, which is looked
/// at row by row.
fn is_quick(index: &LiveIndex, wish: &Wish) -> bool {
    let text = match &wish.query {
        Query::Text(text) => Some(text.len()),
        Query::Vector(_) => None,
    };
    wish.selection.is_none() && index.pace().is_quick(candidates(wish), text)
}

fn candidates(wish: &Wish) -> usize {
    wish.k.max(wish.ef_search as usize)
}

fn find(
    (index, kept): (&Arc<LiveIndex>, Option<&Kept>),
    (serving, scratch): (&Serving, &mut Scratch),
    (embedder, live): (&StaticEmbedder, &Live),
    wish: &Wish,
) -> Result<Found, Problem> {
    let started = Instant::now();
    let vector = match &wish.query {
        Query::Vector(vector) => vector.clone(),
        Query::Text(text) => {
            check_embedder(embedder, &index.meta)?;
            embed_query(embedder, text)?
        }
    };
    let query = index.data.vectors.prepare_query(&vector);
    let query = query.map_err(|error| Problem::from(error).about("vector"))?;
    // Who looks for more than there are would look everywhere once more before he gives up.
    let k = wish.k.min(index.documents().max(1));
    let wanted = Wanted {
        query: &query,
        k,
        ef: wish.ef_search as usize,
    };
    let found = documents((index, kept), (serving, scratch), &wanted);
    let seen = Seen {
        index,
        serving,
        vector: &vector,
        k,
        ef: wish.ef_search,
        filtered: kept.is_some(),
    };
    live.observe(&seen, || {
        found.matches.iter().map(|one| one.distance).collect()
    });
    let nearest = found.matches.iter().map(|one| index.nearest(one));
    if kept.is_none() {
        index.pace().note(candidates(wish), started.elapsed());
    }
    Ok(Found {
        nearest: nearest.collect(),
        distances: Some(found.distances),
        filtered: kept
            .zip(found.plan)
            .map(|(kept, plan)| (plan, kept.documents() as u64)),
        lance: None,
    })
}

/// The nearest documents, with all that it took to find them.
fn documents(
    (index, kept): (&LiveIndex, Option<&Kept>),
    (serving, scratch): (&Serving, &mut Scratch),
    wanted: &Wanted<'_>,
) -> Vectors {
    let (mut distances, mut plan) = (0, None);
    let all = kept.map_or_else(|| index.vectors(), Kept::len);
    // As above, of what the filter leaves.
    let k = kept.map_or(wanted.k, |kept| wanted.k.min(kept.documents().max(1)));
    let matches = index.by_document(k, all, |k| {
        let wanted = Wanted { k, ..*wanted };
        let found = vectors((index, kept), (serving, &mut *scratch), &wanted);
        distances += found.distances;
        plan = found.plan;
        found.matches
    });
    Vectors {
        matches,
        distances,
        plan,
    }
}

/// The nearest vectors.
fn vectors(
    (index, kept): (&LiveIndex, Option<&Kept>),
    (serving, scratch): (&Serving, &mut Scratch),
    wanted: &Wanted<'_>,
) -> Vectors {
    let (base, graph) = (&index.data.vectors, &serving.graph);
    let tail = &index.tail;
    let Some(kept) = kept else {
        let (matches, distances) = tail.nearest(base, graph, wanted, scratch);
        return Vectors {
            matches,
            distances,
            plan: None,
        };
    };
    let (matches, distances, plan) = tail.nearest_kept(base, graph, wanted, kept, scratch);
    Vectors {
        matches,
        distances,
        plan: Some(plan),
    }
}

impl LiveIndex {
    /// The document of something that was found.
    fn nearest(&self, found: &Match) -> Nearest {
        let (id, row) = self.document(found);
        Nearest {
            id: id.to_owned(),
            row,
            span: self.span(found),
            distance: found.distance,
        }
    }

    /// The rows of a document that are searched.
    fn pieces_of(&self, id: &str) -> Vec<Piece> {
        let found = self.shown().filter(|(_, _, known)| *known == id);
        let piece = |(part, row, _)| {
            let found = Match {
                part,
                row: row as u32,
                distance: 0.0,
            };
            Piece {
                row: self.document(&found).1,
                span: self.span(&found),
                vector: None,
            }
        };
        found.map(piece).collect()
    }
}
