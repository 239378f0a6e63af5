//! An evaluation set made ready for trials on the vectors at hand.
//!
//! Queries are prepared (normalised, padded) once, and exact search is timed once, for all trials. The
//! set must be of the same version as the vectors: truth about other vectors would be a lie. Queries are kept in
//! a random order, always the same for as many, so that the first of them stand for all.

mod sample;

use std::{ops::Range, sync::Arc, time::Instant};

use boathouse_types::TableConfig;
use boathouse_vector::{HnswGraph, Neighbor, Query, Scratch, SearchOutcome, exact_top_k};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use tokio_util::sync::CancellationToken;

use sample::Kept;
pub(crate) use sample::sample_version;

use crate::{
    Contender, EvalSet, IndexData, TableSearch, TuningError,
    basis::Basis,
    blocking::{alive, blocking},
    evalset::{own, prepare},
    reach::out_of_reach,
};

/// Queries on which exact search is timed.
const BRUTE_FORCE_QUERIES: usize = 20;
/// Seed of the order in which queries are asked.
const ORDER: u64 = 0;

/// Vectors with queries whose exact answers are known.
#[derive(Debug)]
pub struct Evaluation {
    data: IndexData,
    /// Identity of the set.
    evalset: String,
    k: usize,
    queries: Vec<PreparedQuery>,
    brute_force_latency_us: f64,
    sample: Kept,
}

/// One query, ready to be asked and judged.
#[derive(Debug)]
pub(crate) struct PreparedQuery {
    query: Query,
    /// The vectors of the document that it came from, which are no answers; empty for one from outside.
    own: Range<u32>,
    truth: Vec<u32>,
    /// Distance of the farthest true neighbour.
    radius: f32,
}

impl Evaluation {
    /// Prepares `set` for trials on `data`.
    ///
    /// # Errors
    /// [`TuningError::Stale`] when the set is for other vectors; [`TuningError::Unfit`] when it is
    /// of another index or shape; [`TuningError::Cancelled`].
    pub async fn prepare(
        data: &IndexData,
        set: EvalSet,
        cancel: &CancellationToken,
    ) -> Result<Arc<Self>, TuningError> {
        set.check_fits(data)?;
        let data = data.clone();
        blocking(cancel, move |stop| {
            let evalset = set.identity();
            let mut queries = Vec::with_capacity(set.queries.len());
            for query in set.queries {
                alive(stop)?;
                let prepared = prepare(&data.vectors, &query.vector)?;
                let farthest = query.truth.last();
                let radius = farthest.map_or(f32::NEG_INFINITY, |row| {
                    data.vectors.distance(&prepared, *row)
                });
                queries.push(PreparedQuery {
                    query: prepared,
                    own: own(&data, query.held_out),
                    truth: query.truth,
                    radius,
                });
            }
            queries.shuffle(&mut ChaCha8Rng::seed_from_u64(ORDER));
            let k = set.k as usize;
            let brute_force_latency_us = time_exact_search(&data, &queries, k, stop)?;
            Ok(Arc::new(Self {
                data,
                evalset,
                k,
                queries,
                brute_force_latency_us,
                sample: Kept::default(),
            }))
        })
        .await
    }

    /// The vectors.
    #[must_use]
    pub fn data(&self) -> &IndexData {
        &self.data
    }

    /// Identity of the evaluation set, as [`EvalSet::identity`] gives it.
    #[must_use]
    pub fn evalset(&self) -> &str {
        &self.evalset
    }

    /// What a measurement rests on.
    pub(crate) fn basis(&self) -> Basis<'_> {
        Basis {
            backend: self.data.backend,
            data_version: Some(&self.data.data_version),
            evalset: Some(&self.evalset),
        }
    }

    /// The k of recall@k.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// Number of queries.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.queries.len()
    }

    /// Why no configuration can be shown to reach a floor of recall with these queries; none where one can.
    #[must_use]
    pub fn out_of_reach(&self, floor: f64) -> Option<String> {
        out_of_reach(self.queries.len() as u64, floor)
    }

    /// Median latency of exact search in microseconds, one thread.
    #[must_use]
    pub fn brute_force_latency_us(&self) -> f64 {
        self.brute_force_latency_us
    }

    pub(crate) fn prepared(&self) -> &[PreparedQuery] {
        &self.queries
    }

    /// What a search gives for the query at a place, asked as clients ask.
    ///
    /// # Errors
    /// The failure of a table's engine.
    pub(crate) fn ask(
        &self,
        at: usize,
        contender: &Contender,
        scratch: &mut Scratch,
    ) -> Result<SearchOutcome, TuningError> {
        match contender {
            Contender::Graph { graph, ef_search } => {
                Ok(self.ask_graph(at, graph, *ef_search as usize, scratch))
            }
            Contender::Table { table, config } => self.ask_table(at, table.as_ref(), config),
        }
    }

    /// As [`Self::ask_graph`]. A table cannot pass over the own document while it searches, so its vectors are asked for
    /// besides.
    fn ask_table(
        &self,
        at: usize,
        table: &dyn TableSearch,
        config: &TableConfig,
    ) -> Result<SearchOutcome, TuningError> {
        let (query, set) = (&self.queries[at], &self.data.vectors);
        let wanted = match self.data.rows {
            None => query.wanted(self.k),
            Some(_) => 2 * self.k + query.own.len(),
        };
        let rows = table.search(set.components(&query.query), wanted, config)?;
        let neighbor = |row: u32| Neighbor {
            row,
            distance: set.distance(&query.query, row),
        };
        let all = set.len() as u32;
        Ok(SearchOutcome {
            neighbors: rows
                .into_iter()
                .filter(|row| *row < all)
                .map(neighbor)
                .collect(),
            distances: 0,
        })
    }

    /// What a search of a graph gives for the query at a place, asked as clients ask.
    ///
    /// Where documents have several vectors, a search for k documents asks for 2 k vectors, and the own document is
    /// passed over: asking for its vectors besides would look at more candidates the longer it is.
    fn ask_graph(
        &self,
        at: usize,
        graph: &HnswGraph,
        ef_search: usize,
        scratch: &mut Scratch,
    ) -> SearchOutcome {
        let (query, set) = (&self.queries[at], &self.data.vectors);
        if self.data.rows.is_none() {
            let wanted = query.wanted(self.k);
            return graph.search(set, &query.query, wanted, ef_search, scratch);
        }
        let (wanted, own) = (2 * self.k, &query.own);
        match own.is_empty() {
            true => graph.search(set, &query.query, wanted, ef_search, scratch),
            false => {
                let keep = |row| !own.contains(&row);
                graph.search_filtered(set, &query.query, wanted, ef_search, scratch, keep)
            }
        }
    }
}

impl PreparedQuery {
    /// How many neighbours to ask for so that k are left once the own document is taken away.
    pub(crate) fn wanted(&self, k: usize) -> usize {
        k + self.own.len()
    }

    /// Share of the true neighbours that were found, in 0..=1. A row at the distance of the farthest
    /// true neighbour counts as true: rows with equal vectors are interchangeable.
    pub(crate) fn recall(&self, found: &[Neighbor]) -> f64 {
        let hits = found
            .iter()
            .filter(|neighbor| !self.own.contains(&neighbor.row))
            .take(self.truth.len())
            .filter(|neighbor| {
                neighbor.distance <= self.radius || self.truth.contains(&neighbor.row)
            })
            .count();
        hits as f64 / self.truth.len().max(1) as f64
    }
}

fn time_exact_search(
    data: &IndexData,
    queries: &[PreparedQuery],
    k: usize,
    stop: &CancellationToken,
) -> Result<f64, TuningError> {
    let mut latencies = Vec::with_capacity(BRUTE_FORCE_QUERIES);
    for query in queries.iter().take(BRUTE_FORCE_QUERIES) {
        alive(stop)?;
        let started = Instant::now();
        let nearest = exact_top_k(&data.vectors, &query.query, query.wanted(k), |_| true);
        latencies.push(started.elapsed().as_secs_f64() * 1e6);
        std::hint::black_box(nearest);
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies.get(latencies.len() / 2).copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use boathouse_types::{IndexConfig, Metric};
    use boathouse_vector::BuildOptions;

    use super::*;
    use crate::{
        EvalSetName, EvalSource, EvalSpec,
        testing::{clustered, data_of, in_pieces},
    };

    async fn set_for(data: &IndexData, spec: EvalSpec) -> EvalSet {
        let name = EvalSetName::new("e").unwrap();
        EvalSet::make(name, data, spec, &CancellationToken::new())
            .await
            .unwrap()
    }

    fn neighbor(row: u32, distance: f32) -> Neighbor {
        Neighbor { row, distance }
    }

    #[tokio::test]
    async fn a_set_for_other_vectors_is_stale() {
        let data = clustered(60);
        let set = set_for(&data, EvalSpec::default()).await;
        let cancel = CancellationToken::new();
        let ready = Evaluation::prepare(&data, set.clone(), &cancel)
            .await
            .unwrap();
        assert_eq!((ready.queries(), ready.k()), (60, 10));
        assert!(ready.brute_force_latency_us() > 0.0);
        let newer = IndexData {
            data_version: "v2".to_owned(),
            ..data
        };
        let error = Evaluation::prepare(&newer, set.clone(), &cancel)
            .await
            .unwrap_err();
        assert!(matches!(error, TuningError::Stale { .. }), "{error}");
        let other = data_of(&[vec![1.0, 0.0], vec![0.0, 1.0]], Metric::Cosine);
        let error = Evaluation::prepare(&other, set, &cancel).await.unwrap_err();
        assert!(error.to_string().contains("16 components"), "{error}");
    }

    #[test]
    fn recall_drops_the_own_row_and_takes_equal_distances() {
        let data = data_of(&[vec![1.0, 0.0], vec![0.0, 1.0]], Metric::L2);
        let query = PreparedQuery {
            query: prepare(&data.vectors, &[1.0, 0.0]).unwrap(),
            own: 9..10,
            truth: vec![1, 2],
            radius: 0.5,
        };
        assert_eq!(query.wanted(2), 3);
        for (found, expected) in [
            (vec![], 0.0),
            (
                vec![neighbor(9, 0.0), neighbor(1, 0.1), neighbor(2, 0.5)],
                1.0,
            ),
            (vec![neighbor(1, 0.1), neighbor(7, 0.5)], 1.0),
            (
                vec![neighbor(9, 0.0), neighbor(1, 0.1), neighbor(7, 0.6)],
                0.5,
            ),
        ] {
            assert!((query.recall(&found) - expected).abs() < 1e-9, "{found:?}");
        }
    }

    #[tokio::test]
    async fn given_queries_ask_for_k() {
        let data = clustered(20);
        let source = EvalSource::Given(vec![vec![0.5; 16]]);
        let set = set_for(
            &data,
            EvalSpec {
                source,
                ..EvalSpec::default()
            },
        )
        .await;
        let ready = Evaluation::prepare(&data, set, &CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(ready.prepared()[0].wanted(ready.k()), 10);
    }

    /// 2,000 vectors, 40 of each document, with a graph over them and so many drawn queries for 5 neighbours.
    async fn of_pieces() -> (Arc<Evaluation>, HnswGraph) {
        let data = in_pieces(clustered(2_000), 40);
        let source = EvalSource::Drawn { queries: 30 };
        let spec = EvalSpec {
            k: 5,
            source,
            ..EvalSpec::default()
        };
        let config = IndexConfig {
            m: 8,
            ef_construction: 40,
            ..IndexConfig::default()
        };
        let options = BuildOptions::new(&config, 1);
        let graph = HnswGraph::build(&data.vectors, &options, &|_| ControlFlow::Continue(()));
        let set = set_for(&data, spec).await;
        let ready = Evaluation::prepare(&data, set, &CancellationToken::new()).await;
        (ready.unwrap(), graph.unwrap())
    }

    /// Documents of vectors, each once, in the order in which they come.
    fn documents(data: &IndexData, found: &[Neighbor]) -> Vec<Range<u32>> {
        let mut seen = Vec::new();
        for one in found {
            let document = data.document_of(one.row);
            if !seen.contains(&document) {
                seen.push(document);
            }
        }
        seen
    }

    /// The nearest documents but the own one, as a client gets them: it asks for one more, and the search asks for twice
    /// as many vectors, and twice as many again, until there are enough documents.
    fn searched(
        evaluation: &Evaluation,
        at: usize,
        graph: &HnswGraph,
        ef: usize,
    ) -> Vec<Range<u32>> {
        let (data, query) = (evaluation.data(), &evaluation.queries[at]);
        let (k, mut wanted) = (evaluation.k + 1, 2 * (evaluation.k + 1));
        loop {
            let scratch = &mut Scratch::default();
            let found = graph.search(&data.vectors, &query.query, wanted, ef, scratch);
            let mut found = documents(data, &found.neighbors);
            if found.len() >= k || wanted >= data.len() {
                found.truncate(k);
                found.retain(|document| *document != query.own);
                found.truncate(evaluation.k);
                return found;
            }
            wanted *= 2;
        }
    }

    #[tokio::test]
    async fn a_trial_on_pieces_finds_the_documents_that_a_search_finds() {
        let (evaluation, graph) = of_pieces().await;
        // So many candidates are every vector: both are exact.
        let every = evaluation.data().len();
        let mut complete = 0;
        for at in 0..evaluation.queries() {
            let found = evaluation.ask_graph(at, &graph, every, &mut Scratch::default());
            assert_eq!(found.neighbors.len(), 2 * evaluation.k, "query {at}");
            let query = &evaluation.queries[at];
            assert_eq!(query.own.len(), 40);
            let is_own = |found: &Neighbor| query.own.contains(&found.row);
            assert!(!found.neighbors.iter().any(is_own), "query {at}");
            assert!((query.recall(&found.neighbors) - 1.0).abs() < 1e-9);
            let expected = searched(&evaluation, at, &graph, every);
            assert_eq!(expected.len(), evaluation.k);
            let found = documents(evaluation.data(), &found.neighbors);
            let both = found.len().min(expected.len());
            assert_eq!(found[..both], expected[..both], "query {at}");
            complete += usize::from(both == evaluation.k);
        }
        assert!(complete > 20, "{complete} of 30 queries have all documents");
    }

    #[tokio::test]
    async fn a_trial_on_pieces_looks_at_no_more_for_a_long_document() {
        let (evaluation, graph) = of_pieces().await;
        let (mut asked, mut plain) = (0, 0);
        for at in 0..evaluation.queries() {
            let scratch = &mut Scratch::default();
            asked += evaluation.ask_graph(at, &graph, 10, scratch).distances;
            let query = &evaluation.queries[at];
            let wanted = query.wanted(evaluation.k);
            let vectors = &evaluation.data().vectors;
            let found = graph.search(vectors, &query.query, wanted, 10, scratch);
            plain += found.distances;
        }
        // The others would be at least the forty of the own document.
        assert!(asked < plain, "{asked} and {plain} distances");
    }
}
