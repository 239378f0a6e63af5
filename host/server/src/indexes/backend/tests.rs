//! One suite that every engine of an index passes: the graph, a Lance table without an index, and tables with one.

use axum::{body::Body, http::Request};
use boathouse_vector::exact_top_k;
use serde_json::{Value, json};

use super::*;
use crate::indexes::{
    filter,
    testing::{Quiet, succeeded},
};

/// Rows of the dataset at the beginning.
const ROWS: usize = 320;

/// Two engines that are equal but for how they search.
#[derive(Debug, Clone, Copy)]
enum Engine {
    Graph,
    Table(&'static str),
}

const ENGINES: [Engine; 4] = [
    Engine::Graph,
    Engine::Table(""),
    Engine::Table(r#"{"kind": "ivf_pq", "partitions": 4, "sub_vectors": 16}"#),
    Engine::Table(r#"{"kind": "ivf_hnsw_sq", "partitions": 2, "m": 12, "ef_construction": 60}"#),
];

/// An index and the engine that is looked at.
struct World {
    quiet: Quiet,
    engine: Engine,
}

/// Lines `id,text,year` of some rows; what they are about depends on the number alone.
fn lines(rows: std::ops::Range<usize>) -> String {
    const THINGS: [&str; 8] = [
        "bread", "river", "engine", "music", "winter", "garden", "school", "ship",
    ];
    const DEEDS: [&str; 5] = ["repair", "history", "price", "colour", "journey"];
    let line = |row: usize| {
        let (thing, deed) = (THINGS[row % 8], DEEDS[row / 8 % 5]);
        format!("d{row},{thing} {deed} number {row},{}\n", 1900 + row % 50)
    };
    rows.map(line).collect()
}

impl World {
    async fn new(engine: Engine) -> Self {
        let quiet = Quiet::open().await;
        let csv = format!("id,text,year\n{}", lines(0..ROWS));
        quiet.ingest("notes", "replace", csv).await;
        quiet.index("notes").await;
        let world = Self { quiet, engine };
        if let Engine::Table(kind) = engine {
            world.run("/vectors/lance/migrate/notes", "").await;
            if !kind.is_empty() {
                world.run("/vectors/lance/index/notes", kind).await;
            }
        }
        world
    }

    /// A request whose task succeeds.
    async fn run(&self, path: &str, body: &'static str) {
        let request = Request::post(path).header("content-type", "application/json");
        succeeded(&self.quiet.ended(request, Body::from(body)).await);
    }

    fn index(&self) -> Arc<LiveIndex> {
        self.quiet.app.indexes.get("notes").unwrap()
    }

    async fn backend(&self) -> Box<dyn Backend> {
        let (app, index) = (&self.quiet.app, self.index());
        match self.engine {
            Engine::Graph => Box::new(Graph::of(app, &index)),
            Engine::Table(_) => Box::new(Table::of(app, &index).await.unwrap()),
        }
    }

    async fn append(&self, csv: String) {
        let csv = format!("id,text,year\n{csv}");
        self.quiet.ingest("notes", "append", csv).await;
        self.run("/vectors/indexes/notes/refresh", "").await;
    }

    async fn delete(&self, ids: &[&str]) {
        let request = serde_json::from_value(json!({"ids": ids})).unwrap();
        let deleted = crate::indexes::delete::delete(&self.quiet.app, "notes", request).await;
        assert_eq!(deleted.unwrap().deleted, ids.len() as u64);
    }

    /// Searches as thoroughly as each engine can, so that what is found does not depend on chance.
    async fn search(&self, query: Query, k: usize, filter: Option<&str>) -> Found {
        let index = self.index();
        let selection = match filter {
            Some(text) => Some(filter::select(&self.quiet.app, &index, text).await.unwrap()),
            None => None,
        };
        let wish = Arc::new(Wish {
            query,
            k,
            ef_search: 2_000,
            effort: Effort {
                refine_factor: Some(50),
                ..Effort::default()
            },
            selection,
        });
        let found = self.backend().await.search(&wish).await.unwrap();
        let distances = found.nearest.windows(2);
        for pair in distances {
            assert!(pair[0].distance <= pair[1].distance, "{:?}", found.nearest);
        }
        found
    }

    /// Ids of the documents nearest to that of a row.
    async fn near(&self, row: u32, k: usize, filter: Option<&str>) -> Vec<String> {
        let vector = self.index().data.vectors.row(row).to_vec();
        let found = self.search(Query::Vector(vector), k, filter).await;
        found.nearest.into_iter().map(|found| found.id).collect()
    }

    /// The same by comparing all vectors of the base.
    fn exactly(&self, row: u32, k: usize) -> Vec<String> {
        let index = self.index();
        let vectors = &index.data.vectors;
        let found = exact_top_k(vectors, &vectors.row_query(row), k, |_| true);
        let ids = found.iter().map(|one| index.doc_ids.get(one.row as usize));
        ids.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn the_nearest_come_first_and_as_many_as_are_asked_for() {
    for engine in ENGINES {
        let world = World::new(engine).await;
        let mut agreed = 0;
        for row in [0, 7, 100, 319] {
            let (found, exact) = (world.near(row, 10, None).await, world.exactly(row, 10));
            assert_eq!(found[0], format!("d{row}"), "{engine:?}");
            assert_eq!(found.len(), 10, "{engine:?}");
            agreed += found.iter().filter(|id| exact.contains(id)).count();
        }
        // Of equal distances either may come.
        assert!(agreed >= 38, "{engine:?} found {agreed} of 40");
        let all = world.near(3, 10_000, None).await;
        assert_eq!(all.len(), ROWS, "{engine:?}");
        let words = world.search(Query::Text("bread price number 16".to_owned()), 1, None);
        assert_eq!(words.await.nearest[0].id, "d16", "{engine:?}");
    }
}

#[tokio::test]
async fn distances_are_those_of_the_graph() {
    let graph = World::new(Engine::Graph).await;
    let vector = graph.index().data.vectors.row(11).to_vec();
    let wanted = graph.search(Query::Vector(vector.clone()), 5, None).await;
    for engine in &ENGINES[1..] {
        let world = World::new(*engine).await;
        let found = world.search(Query::Vector(vector.clone()), 5, None).await;
        for (one, other) in found.nearest.iter().zip(&wanted.nearest) {
            assert!(
                (one.distance - other.distance).abs() < 1e-5,
                "{one:?} {other:?}"
            );
        }
        assert!(found.lance.is_some() && found.distances.is_none());
    }
}

#[tokio::test]
async fn a_filter_lets_through_what_matches_and_nothing_else() {
    for engine in ENGINES {
        let world = World::new(engine).await;
        let found = world.near(5, 10, Some("year < 1910")).await;
        assert_eq!(found.len(), 10, "{engine:?}");
        let year = |id: &String| id[1..].parse::<usize>().unwrap() % 50;
        assert!(
            found.iter().all(|id| year(id) < 10),
            "{engine:?}: {found:?}"
        );
        // Fewer than asked for: all of them, wherever they are.
        let mut few = world
            .near(5, 50, Some("id in ('d9', 'd200', 'd311')"))
            .await;
        few.sort();
        assert_eq!(few, ["d200", "d311", "d9"], "{engine:?}");
        let none = world.near(5, 10, Some("year > 2000")).await;
        assert!(none.is_empty(), "{engine:?}");
        let vector = world.index().data.vectors.row(5).to_vec();
        let found = world
            .search(Query::Vector(vector), 3, Some("year < 1910"))
            .await;
        assert_eq!(found.filtered.unwrap().1, 70, "{engine:?}");
    }
}

#[tokio::test]
async fn what_is_deleted_is_gone_at_once() {
    for engine in ENGINES {
        let world = World::new(engine).await;
        world.delete(&["d7", "d300"]).await;
        let all = world.near(7, 10_000, None).await;
        assert_eq!(all.len(), ROWS - 2, "{engine:?}");
        assert!(!all.contains(&"d7".to_owned()), "{engine:?}");
        let filtered = world.near(7, 10, Some("id in ('d7', 'd8')")).await;
        assert_eq!(filtered, ["d8"], "{engine:?}");
        let backend = world.backend().await;
        assert!(
            backend.document("d7").await.unwrap().is_empty(),
            "{engine:?}"
        );
        assert_eq!(backend.document("d8").await.unwrap().len(), 1, "{engine:?}");
    }
}

#[tokio::test]
async fn appended_rows_are_found_at_once_and_replace_those_of_their_ids() {
    for engine in ENGINES {
        let world = World::new(engine).await;
        let again = "d5,completely different words about volcanoes,1999\n";
        world.append(lines(320..330) + again).await;
        let found = world
            .search(Query::Text("volcanoes".to_owned()), 1, None)
            .await;
        let first = &found.nearest[0];
        assert_eq!((first.id.as_str(), first.row), ("d5", 330), "{engine:?}");
        let words = format!("{} number 325", "ship history");
        let found = world
            .search(Query::Text(words), 3, Some("id = 'd325'"))
            .await;
        assert_eq!(found.nearest[0].row, 325, "{engine:?}");
        let all = world.near(0, 10_000, None).await;
        assert_eq!(all.len(), ROWS + 10, "{engine:?}");
        let pieces = world.backend().await.document("d5").await.unwrap();
        assert_eq!((pieces.len(), pieces[0].row), (1, 330), "{engine:?}");
    }
}

#[tokio::test]
async fn a_document_of_several_pieces_is_one_hit_by_its_nearest() {
    for engine in [Engine::Graph, Engine::Table("")] {
        let quiet = Quiet::open().await;
        let long =
            "the river runs through the valley and the old mill stands beside it. ".repeat(6);
        let csv = format!("id,text\na,{long} volcanoes erupt\nb,a short note about bread\n");
        quiet.ingest("notes", "replace", csv).await;
        let spec = json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id", "chunk": {"characters": 100, "overlap": 0}});
        succeeded(&quiet.built(&spec).await);
        let world = World { quiet, engine };
        if matches!(engine, Engine::Table(_)) {
            world.run("/vectors/lance/migrate/notes", "").await;
        }
        let found = world
            .search(Query::Text("volcanoes".to_owned()), 10, None)
            .await;
        let ids: Vec<_> = found.nearest.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, ["a", "b"], "{engine:?}");
        let span = found.nearest[0].span.unwrap();
        assert!(span.start > 300, "{engine:?}: {span:?}");
        let pieces = world.backend().await.document("a").await.unwrap();
        let starts: Vec<_> = pieces
            .iter()
            .map(|piece| piece.span.unwrap().start)
            .collect();
        assert!(
            starts.len() > 3 && starts.is_sorted(),
            "{engine:?}: {starts:?}"
        );
    }
}

#[tokio::test]
async fn the_serving_engine_is_switched_while_searches_run() {
    let world = World::new(Engine::Table("")).await;
    let app = Arc::clone(&world.quiet.app);
    let vector = world.index().data.vectors.row(9).to_vec();
    let asked = json!({"vector": vector, "k": 1, "with": []});
    let ask = async || {
        let request = serde_json::from_value(asked.clone()).unwrap();
        let index = app.indexes.get("notes").unwrap();
        let answer = crate::indexes::search(&app, &index, request).await.unwrap();
        let ids: Vec<String> = answer.hits.into_iter().map(|hit| hit.id).collect();
        (answer.backend, ids)
    };
    let (before, ids) = ask().await;
    assert_eq!(before, VectorBackend::Parquet);
    for backend in [
        VectorBackend::Lance,
        VectorBackend::Parquet,
        VectorBackend::Lance,
    ] {
        let (set, asked) = tokio::join!(set(&app, "notes", backend), ask());
        assert_eq!(set.unwrap().vector_backend, backend);
        assert_eq!(asked.1, ids, "whichever answered");
        assert_eq!(ask().await, (backend, ids.clone()));
    }
}

#[tokio::test]
async fn without_a_table_the_graph_goes_on_and_says_what_to_do() {
    let world = World::new(Engine::Graph).await;
    let refused = set(&world.quiet.app, "notes", VectorBackend::Lance).await;
    let refused = refused.unwrap_err();
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (409, "no_lance_table")
    );
    assert!(
        refused.detail.contains("/vectors/lance/migrate/notes"),
        "{refused}"
    );
    let view: Value = serde_json::to_value(world.index().view()).unwrap();
    assert_eq!(view["vector_backend"], "parquet");
}
