//! An index over real HTTP for a while of its life: rows appended with and without text, documents deleted, filters,
//! refreshes, restarts and a replaced dataset, in an order that a seed decides. The measure is a plain list of rows,
//! kept by the rules that docs/search.md tells.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Value, json};

use crate::support::{Host, ids, run, sentences};

/// Steps of one life, most of which are searches.
const STEPS: usize = 300;
const QUERY: &str = "ships in the harbour";
const KINDS: [&str; 3] = ["note", "letter", "book"];
const INDEX: &str = "/vectors/indexes/notes";

/// A document as a list has it.
#[derive(Clone)]
struct Document {
    n: i64,
    /// None is a null in the dataset.
    kind: Option<&'static str>,
    /// Empty: the row is no document, and there is none of its id any more.
    text: String,
}

/// Whether a filter lets a document through.
type Matches = Box<dyn Fn(&Document) -> bool>;

/// The host, and what its index should be.
struct Life {
    host: Host,
    shown: BTreeMap<String, Document>,
    deleted: BTreeSet<String>,
    /// What is in the dataset and not in the index, because that was not refreshed.
    replaced: Option<BTreeMap<String, Document>>,
    /// The distance of each text to the query, as it was seen first.
    distances: BTreeMap<String, f64>,
    state: u64,
    at: String,
}

impl Life {
    async fn begin(seed: u64) -> Self {
        let mut life = Self {
            host: Host::fresh(),
            shown: BTreeMap::new(),
            deleted: BTreeSet::new(),
            replaced: None,
            distances: BTreeMap::new(),
            state: seed,
            at: String::new(),
        };
        let rows = life.documents(25, 0);
        life.shown = rows.clone().into_iter().collect();
        life.ingest(&rows, "replace").await;
        let spec =
            json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id"});
        life.host.done("/vectors/indexes", &spec).await;
        life
    }

    /// A number below a bound (splitmix64).
    fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Rows for one version of the dataset, in which no id stands twice; of ten so many have no text.
    fn documents(&mut self, count: u64, empty: u64) -> Vec<(String, Document)> {
        let sentences = sentences();
        let texts: Vec<&str> = sentences
            .lines()
            .skip(1)
            .filter_map(|line| Some(line.split_once(',')?.1))
            .collect();
        let mut rows = BTreeMap::new();
        while (rows.len() as u64) < count {
            let text = match self.below(10) < empty {
                true => String::new(),
                false => texts[self.below(texts.len() as u64) as usize].to_owned(),
            };
            let kind = KINDS.get(self.below(4) as usize).copied();
            let n = self.below(20) as i64 - 10;
            rows.insert(format!("d{}", self.below(40)), Document { n, kind, text });
        }
        rows.into_iter().collect()
    }

    async fn ingest(&self, rows: &[(String, Document)], mode: &str) {
        let mut csv = "id,n,kind,text\n".to_owned();
        for (id, row) in rows {
            writeln!(
                csv,
                "{id},{},{},{}",
                row.n,
                row.kind.unwrap_or_default(),
                row.text
            )
            .expect("written");
        }
        let ended = self
            .host
            .upload(&format!("dataset=notes&format=csv&mode={mode}"), csv)
            .await;
        assert_eq!(ended["state"], "succeeded", "{}: {ended}", self.at);
    }

    async fn append(&mut self) {
        let count = 1 + self.below(4);
        let rows = self.documents(count, 2);
        self.ingest(&rows, "append").await;
        if let Some(replaced) = &mut self.replaced {
            for (id, document) in rows {
                match document.text.is_empty() {
                    true => replaced.remove(&id),
                    false => replaced.insert(id, document),
                };
            }
            return;
        }
        self.host
            .until(INDEX, |view| view["behind"].is_null())
            .await;
        for (id, document) in rows {
            if !document.text.is_empty() {
                self.deleted.remove(&id);
                self.shown.insert(id, document);
            } else if self.shown.remove(&id).is_some() {
                self.deleted.insert(id);
            }
        }
    }

    /// Other rows in place of all; the index keeps what it has until it is refreshed.
    async fn replace(&mut self) {
        let rows = self.documents(20, 1);
        self.ingest(&rows, "replace").await;
        let rows = rows.into_iter();
        self.replaced = Some(rows.filter(|(_, row)| !row.text.is_empty()).collect());
    }

    async fn refresh(&mut self) {
        self.host
            .done(&format!("{INDEX}/refresh"), &json!({}))
            .await;
        if let Some(replaced) = self.replaced.take() {
            self.shown = replaced;
            self.deleted.clear();
        }
    }

    async fn delete(&mut self) {
        let many = 1 + self.below(3);
        let wanted: BTreeSet<String> = (0..many).map(|_| format!("d{}", self.below(45))).collect();
        // Each twice: it is one document all the same.
        let asked: Vec<&String> = wanted.iter().chain(&wanted).collect();
        let answer = self.send_delete(&json!({"ids": asked})).await;
        let (gone, unknown): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|id| self.shown.contains_key(id));
        assert_eq!(answer["unknown"], json!(unknown), "{}", self.at);
        self.check_deleted(&answer, gone);
    }

    async fn delete_matching(&mut self) {
        let n = self.below(20) as i64 - 10;
        let answer = self
            .send_delete(&json!({"filter": format!("n = {n} AND kind <> 'book'")}))
            .await;
        let matches = |row: &Document| row.n == n && row.kind.is_some_and(|kind| kind != "book");
        let gone = self
            .shown
            .iter()
            .filter(|(_, row)| matches(row))
            .map(|(id, _)| id.clone());
        // Rows of before a replacement are not in the dataset's newest version, and still are in the index's.
        let gone = gone.collect();
        self.check_deleted(&answer, gone);
    }

    async fn send_delete(&self, body: &Value) -> Value {
        let (status, answer) = self.host.delete_documents("notes", body).await;
        assert_eq!(status, 200, "{}: {answer}", self.at);
        answer
    }

    fn check_deleted(&mut self, answer: &Value, gone: Vec<String>) {
        assert_eq!(answer["deleted"], gone.len(), "{}: {answer}", self.at);
        for id in gone {
            self.shown.remove(&id);
            self.deleted.insert(id);
        }
        assert_eq!(
            answer["documents"],
            self.shown.len(),
            "{}: {answer}",
            self.at
        );
    }

    /// A search with a filter, or without one, against the list.
    async fn search(&mut self) {
        let n = self.below(20) as i64 - 10;
        let (filter, matches): (Option<String>, Matches) = match self.below(6) {
            0 => (None, Box::new(|_| true)),
            1 => (Some(format!("n >= {n}")), Box::new(move |row| row.n >= n)),
            2 => (
                Some("kind IN ('note', 'book')".to_owned()),
                Box::new(|row| matches!(row.kind, Some("note" | "book"))),
            ),
            3 => (
                Some("kind IS NULL OR text LIKE '%bread%'".to_owned()),
                Box::new(|row| row.kind.is_none() || row.text.contains("bread")),
            ),
            4 => (
                Some(format!("NOT (n < {n} OR kind = 'letter')")),
                Box::new(move |row| row.n >= n && row.kind.is_some_and(|kind| kind != "letter")),
            ),
            _ => (Some("n > 1000".to_owned()), Box::new(|_| false)),
        };
        // More than there are is all that there are.
        let all = self.shown.len() + self.below(3) as usize * 5;
        let all = all.max(1);
        let expected: BTreeMap<&String, &Document> =
            self.shown.iter().filter(|(_, row)| matches(row)).collect();
        let mut body = json!({"text": QUERY, "k": all, "ef_search": 100_000});
        if let Some(filter) = &filter {
            body["filter"] = filter.as_str().into();
        }
        let answer = self.host.search("notes", &body).await;
        let found = ids(&answer);
        let at = format!("{} {filter:?}", self.at);
        assert_eq!(
            found.iter().collect::<BTreeSet<_>>(),
            expected.keys().copied().collect(),
            "{at}"
        );
        assert_eq!(
            found.len(),
            expected.len(),
            "{at}: a document is there twice"
        );
        match filter {
            Some(_) => assert_eq!(answer["filter"]["matching"], expected.len(), "{at}"),
            None => assert_eq!(answer["filter"], Value::Null, "{at}"),
        }
        let hits = answer["hits"].as_array().expect("hits").clone();
        let expected: BTreeMap<String, Document> = expected
            .into_iter()
            .map(|(id, row)| (id.clone(), row.clone()))
            .collect();
        self.check_hits(&hits, &expected, &at);
        // Of fewer hits those that are nearest.
        body["k"] = 3.into();
        let nearest = self.host.search("notes", &body).await;
        let distances = |hits: &[Value]| {
            hits.iter()
                .map(|hit| hit["distance"].clone())
                .collect::<Vec<_>>()
        };
        let few = nearest["hits"].as_array().expect("hits");
        assert_eq!(distances(few), distances(&hits[..few.len()]), "{at}");
        assert_eq!(few.len(), hits.len().min(3), "{at}");
    }

    fn check_hits(&mut self, hits: &[Value], expected: &BTreeMap<String, Document>, at: &str) {
        let distance = |hit: &Value| hit["distance"].as_f64().expect("a distance");
        assert!(hits.is_sorted_by_key(distance), "{at}");
        for hit in hits {
            let row = &expected[hit["id"].as_str().expect("an id")];
            assert_eq!(hit["columns"]["text"], *row.text, "{at}: {hit}");
            assert_eq!(
                (&hit["columns"]["n"], &hit["columns"]["kind"]),
                (&json!(row.n), &json!(row.kind)),
                "{at}"
            );
            let known = *self
                .distances
                .entry(row.text.clone())
                .or_insert(distance(hit));
            assert!((known - distance(hit)).abs() < 1e-6, "{at}: {hit}");
        }
    }

    async fn check_counts(&self) {
        let view = self.host.read(INDEX).await;
        let counts = [&view["vectors"], &view["deleted"]]
            .map(|count| count.as_u64().expect("a count") as usize);
        assert_eq!(
            counts,
            [self.shown.len(), self.deleted.len()],
            "{}",
            self.at
        );
        assert_eq!(
            view["behind"]["replaced"] == true,
            self.replaced.is_some(),
            "{}",
            self.at
        );
    }
}

#[tokio::test]
async fn an_index_is_at_any_time_what_a_plain_list_says() {
    let seed = 20_260_101;
    let mut life = Life::begin(seed).await;
    for step in 0..STEPS {
        life.at = format!("seed {seed}, step {step}");
        match life.below(100) {
            0..12 => life.append().await,
            12..26 => life.delete().await,
            26..32 => life.delete_matching().await,
            32..35 => life.refresh().await,
            35 => life.replace().await,
            36 | 37 => life.host = life.host.kill_and_restart(),
            _ => life.search().await,
        }
        if step % 5 == 0 {
            life.check_counts().await;
        }
    }
}

/// Whatever carries an index carries what was deleted from it: a move, a start, a collection of garbage.
#[tokio::test]
async fn what_was_deleted_stays_deleted_wherever_the_index_goes() {
    let cold = tempfile::tempdir().expect("folder");
    let config = format!(
        "[[buckets]]\nname = \"cold\"\nbackend = \"local\"\nroot = {:?}\n",
        cold.path()
    );
    let host = Host::configured(&config);
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let shown = run(&[
        "index",
        "delete-docs",
        "notes",
        "0",
        "7",
        "999",
        "--url",
        &host.url,
    ]);
    let told = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success(), "{shown:?}");
    assert!(
        told.contains("2 documents deleted, 28 left") && told.contains("not there: 999"),
        "{told}"
    );
    check_left(&host).await;
    let moved = run(&["index", "move", "notes", "--to", "cold", "--url", &host.url]);
    assert!(moved.status.success(), "{moved:?}");
    check_left(&host).await;
    let objects =
        std::fs::read_dir(cold.path().join("indexes/notes/tombstones")).expect("a folder");
    assert_eq!(objects.count(), 1);
    host.done("/storage/gc", &json!({"dry_run": false, "grace_hours": 0}))
        .await;
    let host = host.kill_and_restart();
    check_left(&host).await;
    let view = host.read(INDEX).await;
    assert_eq!(
        (&view["bucket"], &view["deleted"]),
        (&json!("cold"), &json!(2))
    );
    // An index of that name that is made anew has everything.
    let (status, body) = host.delete(INDEX).await;
    assert_eq!(status, 204, "{body}");
    assert_eq!(host.index("notes", "notes", "text").await["deleted"], 0);
}

#[tokio::test]
async fn an_index_without_documents_is_not_measured() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let all: Vec<u32> = (0..30).collect();
    let (status, gone) = host.delete_documents("notes", &json!({"ids": all})).await;
    assert_eq!((status, &gone["documents"]), (200, &json!(0)), "{gone}");
    let trial = json!({"ef_search": 40});
    let (status, problem) = host.post("/vectors/trials/notes", &trial).await;
    assert_eq!((status, &problem["code"]), (409, &json!("no_documents")));
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("append rows"), "{problem}");
}

async fn check_left(host: &Host) {
    let body = json!({"text": QUERY, "k": 1_000, "ef_search": 100_000, "with": []});
    let found: BTreeSet<String> = ids(&host.search("notes", &body).await)
        .into_iter()
        .collect();
    assert_eq!(found.len(), 28);
    assert!(!found.contains("0") && !found.contains("7"), "{found:?}");
}
