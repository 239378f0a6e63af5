//! An index in its Lance table, at the version that the manifest names.
//!
//! Filters: which rows match is known (`filter.rs`). Where they are not too many the table is told their numbers and
//! looks among them alone, by its B-tree over rows. Among many the search goes over everything, and what does not match is
//! passed over, for twice as many candidates again and again until there are enough; where that ends without, the table is
//! told the numbers after all. So there are as many hits as asked for whenever so many match.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use boathouse_lance_host::{self as lance, Among, Snapshot};
use boathouse_models::StaticEmbedder;
use boathouse_vector::Span;

use super::{Backend, Effort, Found, LanceView, Nearest, Piece, Query, Wish};
use crate::{
    app::App,
    indexes::{
        Indexes, LiveIndex, check_embedder, filter::FilterPlan, search::embed_query, tail::Kept,
    },
    lance::{LanceIndex, table_of},
    problem::Problem,
};

/// Partitions that are searched, and candidates for each hit that are compared exactly, when nobody says anything.
pub(crate) const NPROBES: usize = 20;
pub(crate) const REFINE_FACTOR: u32 = 10;
/// Most candidates of one search, which is Lance's own bound.
const MOST: usize = 100_000;
/// Rows whose numbers a table is told, at most, unless there is no other way.
const TOLD: usize = 20_000;

/// An index and what it takes to search it.
pub(in crate::indexes) struct Table {
    index: Arc<LiveIndex>,
    indexes: Arc<Indexes>,
    embedder: Arc<StaticEmbedder>,
    snapshot: Snapshot,
    made: Option<LanceIndex>,
}

/// Documents that were found by their nearest vectors.
struct Documents {
    hits: Vec<lance::Hit>,
    /// In the end every row was compared.
    exact: bool,
}

/// The rows that a filter lets through.
struct Matching {
    rows: Vec<u64>,
    vectors: usize,
    documents: usize,
}

impl Table {
    /// # Errors
    /// 409 without a table; what keeps it from being opened.
    pub(in crate::indexes) async fn of(app: &App, index: &Arc<LiveIndex>) -> Result<Self, Problem> {
        let table = table_of(index)?;
        let snapshot = app.indexes.lance.snapshot(index.bucket(), table).await?;
        Ok(Self {
            index: Arc::clone(index),
            indexes: Arc::clone(&app.indexes),
            embedder: app.models.embedders.built_in(),
            made: table.index,
            snapshot,
        })
    }

    /// The vector to look for, and the rows to look among.
    async fn prepared(&self, wish: &Arc<Wish>) -> Result<(Vec<f32>, Option<Matching>), Problem> {
        let (index, wish) = (Arc::clone(&self.index), Arc::clone(wish));
        let embedder = Arc::clone(&self.embedder);
        // Held while it computes, and not while the table is read.
        let desk = self.indexes.desks.sit_down().await?;
        let prepared = tokio::task::spawn_blocking(move || {
            let _desk = desk;
            let vector = match &wish.query {
                Query::Vector(vector) => vector.clone(),
                Query::Text(text) => {
                    check_embedder(&*embedder, &index.meta)?;
                    embed_query(&embedder, text)?
                }
            };
            let checked = index.data.vectors.prepare_query(&vector);
            checked.map_err(|error| Problem::from(error).about("vector"))?;
            let selection = wish.selection.as_ref();
            let kept = selection.map(|selection| selection.kept(&index));
            Ok((vector, kept.map(|kept| Matching::of(&index, &kept))))
        });
        prepared.await.map_err(|error| Problem::internal(&error))?
    }

    /// That the table can be searched like this for so many documents.
    fn check(&self, asked: Effort, k: usize) -> Result<(), Problem> {
        let wrong = |field: &str, why: &str| Err(Problem::field(field, "out_of_bounds", why));
        let is_graph = matches!(self.made, Some(LanceIndex::IvfHnswSq { .. }));
        if asked.nprobes == Some(0) {
            return wrong("nprobes", "must be at least 1");
        }
        if asked.ef.is_some() && !is_graph {
            return wrong("ef", "is for tables whose index is `ivf_hnsw_sq`");
        }
        if asked.ef.is_some_and(|ef| ef == 0 || ef > MOST) {
            return wrong("ef", "must be 1 to 100000");
        }
        let compared = |factor: u32| k.saturating_mul(factor as usize);
        match asked.refine_factor {
            Some(factor) if factor == 0 || compared(factor) > MOST => wrong(
                "refine_factor",
                "must be at least 1, and times `k` at most 100000",
            ),
            _ => Ok(()),
        }
    }

    /// How the table is searched for so many vectors: as it was asked for, with our own word on the rest, as far as so many
    /// may be compared at once.
    fn effort(&self, asked: Effort, k: usize) -> Effort {
        if asked.exact || self.made.is_none() {
            return Effort {
                exact: true,
                ..Effort::default()
            };
        }
        let times = |many: usize| u32::try_from(many / k.max(1)).unwrap_or(u32::MAX).max(1);
        let wanted = asked.refine_factor.unwrap_or_else(|| {
            let fits = asked.ef.map_or(REFINE_FACTOR, times);
            REFINE_FACTOR.min(fits)
        });
        let refine_factor = wanted.min(times(MOST));
        let compared = k.saturating_mul(refine_factor as usize);
        Effort {
            nprobes: Some(asked.nprobes.unwrap_or(NPROBES)),
            refine_factor: Some(refine_factor),
            ef: asked.ef.map(|ef| ef.max(compared)),
            exact: false,
        }
    }

    /// The nearest vectors.
    async fn nearest(
        &self,
        vector: &[f32],
        k: usize,
        asked: Effort,
        among: Among,
    ) -> Result<Vec<lance::Hit>, Problem> {
        let effort = self.effort(asked, k);
        let query = lance::Query {
            vector: vector.to_vec(),
            k,
            among,
            effort: lance::Effort {
                nprobes: effort.nprobes,
                refine_factor: effort.refine_factor,
                ef: effort.ef,
            },
            exact: effort.exact,
        };
        Ok(self.snapshot.search(query).await?.hits)
    }

    /// The nearest `k` documents among `all` vectors, each by its nearest one, of those rows that `keep` accepts; fewer
    /// when there are no more candidates.
    async fn documents(
        &self,
        (vector, mut asked): (&[f32], Effort),
        (k, all): (usize, usize),
        among: &Among,
        keep: impl Fn(u64) -> bool + Send,
    ) -> Result<Documents, Problem> {
        let (most, has_pieces) = (all.clamp(1, MOST), self.index.meta.chunk.is_some());
        let mut wanted = match self.index.meta.chunk {
            None => k.min(most),
            Some(_) => k.saturating_mul(2).min(most),
        };
        loop {
            let hits = self.nearest(vector, wanted, asked, among.clone());
            let hits = hits.await?;
            let (found, mut seen) = (hits.len(), HashSet::new());
            let first = hits.into_iter();
            // Documents of their own may stand for the same row of the dataset; pieces of a text are of one document.
            let is_first = |hit: &lance::Hit| !has_pieces || seen.insert(hit.row);
            let first = first.filter(|hit| keep(hit.row)).filter(is_first);
            let hits: Vec<_> = first.take(k).collect();
            let exact = self.effort(asked, wanted).exact;
            let is_over = hits.len() == k || (found == wanted && wanted == most);
            if is_over || (found < wanted && (exact || asked.nprobes.is_some())) {
                return Ok(Documents { hits, exact });
            }
            // The partitions that were searched hold no more, or there are not enough among so many.
            match found < wanted {
                true => asked.exact = true,
                false => wanted = wanted.saturating_mul(2).min(most),
            }
        }
    }

    /// The nearest documents that match.
    async fn matching(
        &self,
        (vector, asked): (&[f32], Effort),
        k: usize,
        matching: &Matching,
    ) -> Result<Documents, Problem> {
        let k = k.min(matching.documents.max(1));
        let all = self.index.vectors();
        if matching.rows.len() > TOLD && matching.rows.len() >= all / 20 {
            let rows: HashSet<u64> = matching.rows.iter().copied().collect();
            let keep = |row| rows.contains(&row);
            let found = self.documents((vector, asked), (k, all), &Among::All, keep);
            let found = found.await?;
            if found.hits.len() == k {
                return Ok(found);
            }
        }
        let among = Among::Rows(matching.rows.clone());
        let bound = (k, matching.vectors);
        self.documents((vector, asked), bound, &among, |_| true)
            .await
    }
}

#[async_trait]
impl Backend for Table {
    async fn search(&self, wish: &Arc<Wish>) -> Result<Found, Problem> {
        let (vector, matching) = self.prepared(wish).await?;
        let k = wish.k.min(self.index.documents().max(1));
        let asked = wish.effort;
        self.check(asked, k)?;
        let found = match &matching {
            Some(matching) => self.matching((&vector, asked), k, matching).await?,
            None => {
                let all = self.index.vectors();
                let all_rows = |_| true;
                self.documents((&vector, asked), (k, all), &Among::All, all_rows)
                    .await?
            }
        };
        let told = self.effort(
            Effort {
                exact: found.exact,
                ..asked
            },
            k,
        );
        let nearest = found.hits.into_iter().map(|hit| Nearest {
            span: span(hit.span),
            id: hit.doc_id,
            row: hit.row,
            distance: hit.distance,
        });
        let plan = match told.exact {
            true => FilterPlan::Exact,
            false => FilterPlan::Partitions,
        };
        Ok(Found {
            nearest: nearest.collect(),
            distances: None,
            filtered: matching.map(|matching| (plan, matching.documents as u64)),
            lance: Some(LanceView {
                version: self.snapshot.version(),
                exact: told.exact,
                nprobes: told.nprobes,
                refine_factor: told.refine_factor,
                ef: told.ef,
            }),
        })
    }

    async fn document(&self, id: &str) -> Result<Vec<Piece>, Problem> {
        let found = self.snapshot.document(id).await?.into_iter();
        let piece = |found: lance::Document| Piece {
            row: found.row,
            span: span(found.span),
            vector: Some(found.vector),
        };
        Ok(found.map(piece).collect())
    }
}

fn span(span: Option<lance::Span>) -> Option<Span> {
    span.map(|(start, end)| Span { start, end })
}

impl Matching {
    fn of(index: &LiveIndex, kept: &Kept) -> Self {
        let shown = index.shown().filter(|(part, row, _)| kept.has(*part, *row));
        let mut rows: Vec<u64> = shown
            .map(|(part, row, _)| index.row_at(part, row))
            .collect();
        rows.dedup();
        Self {
            rows,
            vectors: kept.len(),
            documents: kept.documents(),
        }
    }
}
