//! Searches with a filter over real HTTP: what they find, which way they are found, and what is said of filters that
//! cannot be used. What a condition means for rows of every kind is tested in `host/query`; here it is how it comes to
//! the rows.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, ListArray, RecordBatch, StringArray,
        TimestampMicrosecondArray, UInt32Array,
    },
    datatypes::Int32Type,
};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::support::{Host, check_problem, ids, passages, run, sentences};

const SEARCH: &str = "/vectors/indexes/notes/search";

/// A host with an index on sentences, which have ids.
async fn world() -> Host {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    let spec =
        json!({"name": "notes", "dataset": "notes", "text_column": "text", "id_column": "id"});
    host.done("/vectors/indexes", &spec).await;
    host
}

async fn filtered(host: &Host, filter: &str, k: usize) -> Value {
    let body = json!({"text": "baking bread", "k": k, "filter": filter});
    host.search("notes", &body).await
}

#[tokio::test]
async fn only_rows_that_match_are_found_and_counted() {
    let host = world().await;
    let check = async |filter: &str, k: usize, expected: &[&str], matching: u64| {
        let answer = filtered(&host, filter, k).await;
        let found: BTreeSet<String> = ids(&answer).into_iter().collect();
        let expected: BTreeSet<String> = expected.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(found, expected, "{filter}");
        assert_eq!(answer["filter"]["matching"], matching, "{filter}: {answer}");
    };
    check("id = 's1-0'", 10, &["s1-0"], 1).await;
    // What is guarded by a condition before it is not computed for rows that have no answer.
    check("id LIKE 'x%' AND CAST(id AS BIGINT) = 1", 10, &[], 0).await;
    let guarded = "id = 's2-1' AND (id LIKE 's%' OR CAST(id AS BIGINT) = 1)";
    check(guarded, 10, &["s2-1"], 1).await;
    check("ID IN ('s1-0', 's2-1', 'nobody')", 10, &["s1-0", "s2-1"], 2).await;
    check(
        "text LIKE 'Nobody%' AND id <> 's0-5'",
        4,
        &["s1-5", "s2-5", "s3-5", "s4-5"],
        4,
    )
    .await;
    check("text = 'nothing is like this'", 10, &[], 0).await;
    check("1 = 2", 10, &[], 0).await;
    check("id IS NULL", 10, &[], 0).await;
    check(
        "starts_with(id, 's4') AND length(text) > 50",
        10,
        &["s4-2", "s4-4"],
        2,
    )
    .await;

    let all = host
        .search("notes", &json!({"text": "baking bread", "k": 30}))
        .await;
    for everything in ["1 = 1", "id IS NOT NULL", " TRUE "] {
        let answer = filtered(&host, everything, 30).await;
        assert_eq!(answer["hits"], all["hits"], "{everything}");
        assert_eq!(answer["filter"], json!({"matching": 30, "plan": "exact"}));
    }
    assert_eq!(all["filter"], Value::Null);
    // More than there are is all that there are.
    let over = filtered(&host, "1 = 1", 31).await;
    assert_eq!(over["hits"], all["hits"]);

    let shown = run(&[
        "search",
        "notes",
        "bread",
        "--filter",
        "id = 's1-0'",
        "--url",
        &host.url,
    ]);
    let told = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        told.contains("s1-0") && told.contains("lets 1 documents through"),
        "{told}"
    );
}

/// Checks that a search with a filter is refused with a code and words.
async fn check_refused(host: &Host, filter: &str, code: &str, words: &[&str]) {
    let body = json!({"text": "bread", "k": 3, "filter": filter});
    let answer = host.post(SEARCH, &body).await;
    let field = &answer.1["errors"][0]["field"];
    assert_eq!(field, "filter", "{filter}: {}", answer.1);
    check_problem(answer, 422, code, words);
}

#[tokio::test]
async fn a_filter_that_cannot_be_used_says_what_is_wrong_and_where() {
    let host = world().await;
    let check = async |filter: &str, code: &str, words: &[&str]| {
        check_refused(&host, filter, code, words).await;
    };
    check("", "filter_syntax", &["not a condition in SQL"]).await;
    check("id = ", "filter_syntax", &["expected"]).await;
    check("id == = 1", "filter_syntax", &["at character"]).await;
    check(
        "id = 'x'; DROP TABLE notes",
        "filter_syntax",
        &["at character 9"],
    )
    .await;
    check(
        "txt LIKE '%a%'",
        "unknown_column",
        &["`txt` (at character 1)", "did you mean `text`?", "`id`"],
    )
    .await;
    check(
        "id = 5",
        "filter_type",
        &["a text is compared with a number"],
    )
    .await;
    check("text", "filter_type", &["needs true or false"]).await;
    check(
        "id IN (SELECT id FROM notes)",
        "filter_unsupported",
        &["a subquery"],
    )
    .await;
    check("random() > 0.5", "filter_unsupported", &["`random`"]).await;
    check("CAST(id AS BIGINT) = 1", "filter_no_answer", &["TRY_CAST"]).await;
    check("1 / 0 = 1", "filter_no_answer", &["division by zero"]).await;

    let unknown = host
        .post(SEARCH, &json!({"text": "bread", "filters": "1 = 1"}))
        .await;
    check_problem(unknown, 422, "bad_body", &[]);
}

#[tokio::test]
async fn a_filter_that_would_cost_too_much_is_refused_and_the_host_is_as_it_was() {
    let host = world().await;
    let check = async |filter: &str, code: &str, words: &[&str]| {
        check_refused(&host, filter, code, words).await;
    };
    check(&"(".repeat(900), "filter_too_complex", &["deep"]).await;
    check(&"NOT ".repeat(1_100), "filter_too_complex", &["1100 words"]).await;
    let between = " BETWEEN FALSE AND TRUE".repeat(30);
    check(
        &format!("id BETWEEN 'a' AND 'b'{between}"),
        "filter_too_complex",
        &["20000 parts"],
    )
    .await;
    check(&"CASE - ".repeat(60), "filter_too_complex", &["many ways"]).await;
    check(
        &"INTERVAL ".repeat(900),
        "filter_unsupported",
        &["`INTERVAL`"],
    )
    .await;
    check(
        &format!("id = '{}'", "x".repeat(100_000)),
        "filter_too_long",
        &["100007 bytes"],
    )
    .await;
    assert_eq!(ids(&filtered(&host, "id = 's1-0'", 1).await), ["s1-0"]);
}

/// A table with a column of every kind that ingest keeps.
fn table() -> Vec<u8> {
    let tags = [Some(vec![Some(1)]), None, Some(vec![])];
    let text = [
        "ships in the harbour",
        "baking bread at home",
        "an old bicycle",
    ];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(StringArray::from(text.to_vec()))),
        (
            "n",
            Arc::new(UInt32Array::from(vec![Some(1), Some(2), None])),
        ),
        (
            "fee",
            Arc::new(
                Decimal128Array::from(vec![Some(1050), Some(2), None])
                    .with_precision_and_scale(12, 2)
                    .expect("a decimal"),
            ),
        ),
        (
            "open",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![Some(20_000), Some(20_001), None])),
        ),
        (
            "until",
            Arc::new(Date32Array::from(vec![Some(2_932_896), Some(20_001), None])),
        ),
        (
            "at",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(0), Some(86_400_000_000), None])
                    .with_timezone("UTC"),
            ),
        ),
        (
            "tags",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(tags)),
        ),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    );
    let batch = batch.expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    bytes
}

#[tokio::test]
async fn columns_of_every_kind_can_be_asked_about() {
    let host = Host::fresh();
    let ended = host.upload("dataset=notes&format=parquet", table()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    host.index("notes", "notes", "text").await;
    let check = async |filter: &str, expected: &[&str]| {
        let body = json!({"text": "bread", "k": 3, "filter": filter});
        let (status, answer) = host.post(SEARCH, &body).await;
        assert_eq!(status, 200, "{filter}: {answer}");
        let mut found = ids(&answer);
        found.sort();
        assert_eq!(found, expected, "{filter}");
    };
    check("n >= 2", &["1"]).await;
    check("n IS NULL", &["2"]).await;
    check("fee = 10.5", &["0"]).await;
    check("fee < 0.03", &["1"]).await;
    check("open", &["0"]).await;
    check("NOT open", &["1"]).await;
    check("day >= '2024-10-05'", &["1"]).await;
    check("until = '2024-10-05'", &["1"]).await;
    check("until > '2024-10-05T12:00:00'", &["0"]).await;
    check("at < until", &["0", "1"]).await;
    check("CAST(fee AS BIGINT) = 10", &["0"]).await;
    check("fee IN (1e30, 0.02)", &["1"]).await;
    check("at < '1970-01-01T12:00:00Z'", &["0"]).await;
    check("at = TIMESTAMP '1970-01-02 00:00:00'", &["1"]).await;
    let (status, lists) = host
        .post(
            SEARCH,
            &json!({"text": "bread", "filter": "tags IS NULL", "k": 3}),
        )
        .await;
    // Whether ingest keeps a list or makes a text of it, an answer or a clear refusal.
    if status != 200 {
        check_problem((status, lists), 422, "filter_type", &["`tags`"]);
    }
}

/// On a table of some thousand rows the way depends on how many rows match, and what is found on how near they are.
#[tokio::test]
async fn few_rows_are_compared_and_among_many_the_graph_is_walked() {
    let host = Host::fresh();
    host.ingest("notes", passages()).await;
    host.index("notes", "notes", "passage").await;
    let rows = host.read("/vectors/indexes/notes").await["vectors"]
        .as_u64()
        .expect("a count");
    assert!(rows > 2_000, "{rows}");
    let search = async |filter: &str, ef: u32| {
        let body = json!({"text": "a letter to the library", "k": 10, "ef_search": ef, "filter": filter, "with": ["passage"]});
        host.search("notes", &body).await
    };
    let wide = search("length(passage) > 20", 16).await;
    assert_eq!(wide["filter"]["plan"], "traversal", "{}", wide["filter"]);
    assert!(
        wide["distances"].as_u64() < Some(rows / 2),
        "{}",
        wide["distances"]
    );
    let narrow = search("length(passage) % 97 = 0", 16).await;
    assert_eq!(narrow["filter"]["plan"], "exact", "{}", narrow["filter"]);
    assert_eq!(narrow["distances"], narrow["filter"]["matching"]);
    for (answer, holds) in [
        (&wide, (|length: usize| length > 20) as fn(usize) -> bool),
        (&narrow, |length: usize| length.is_multiple_of(97)),
    ] {
        let hits = answer["hits"].as_array().expect("hits");
        assert_eq!(hits.len(), 10);
        for hit in hits {
            let text = hit["columns"]["passage"].as_str().expect("a text");
            assert!(holds(text.chars().count()), "{hit}");
        }
    }
    // Those that the walk finds are nearly those that are nearest.
    let truth: BTreeSet<String> = ids(&search("length(passage) > 20", 100_000).await)
        .into_iter()
        .collect();
    let walked: BTreeSet<String> = ids(&search("length(passage) > 20", 100).await)
        .into_iter()
        .collect();
    assert!(
        truth.intersection(&walked).count() >= 9,
        "{truth:?} {walked:?}"
    );
}

#[tokio::test]
async fn appended_rows_are_filtered_like_others() {
    let host = world().await;
    let before = filtered(&host, "text LIKE '%bread%'", 10).await;
    let count = before["filter"]["matching"].as_u64().expect("a count");
    let ended = host
        .upload(
            "dataset=notes&format=csv&mode=append",
            "id,text\nnew-1,all about bread\ns1-0,no loaf here\n",
        )
        .await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    host.until("/vectors/indexes/notes", |view| {
        view["dataset_version"] == 2
    })
    .await;
    let after = filtered(&host, "text LIKE '%bread%'", 10).await;
    // One came, and one that was about bread was replaced by a row that is not.
    assert_eq!(after["filter"]["matching"], count);
    let found = ids(&after);
    assert!(
        found.contains(&"new-1".to_owned()) && !found.contains(&"s1-0".to_owned()),
        "{found:?}"
    );
}

/// Tables that are hardly any.
#[tokio::test]
async fn one_row_equal_rows_and_an_index_without_documents() {
    let host = Host::fresh();
    host.ingest("one", "id,text\na,a single row about bread\n")
        .await;
    host.index("one", "one", "text").await;
    let search = async |index: &str, filter: &str| {
        let path = format!("/vectors/indexes/{index}/search");
        host.post(&path, &json!({"text": "bread", "k": 1, "filter": filter}))
            .await
    };
    let (_, found) = search("one", "id = 'a'").await;
    assert_eq!(ids(&found), ["0"]);
    let (_, none) = search("one", "id = 'b'").await;
    assert_eq!(
        (&none["hits"], &none["filter"]["matching"]),
        (&json!([]), &json!(0))
    );

    let equal: String = (0..40)
        .map(|row| format!("{row},the same words\n"))
        .collect();
    host.ingest("equal", format!("id,text\n{equal}")).await;
    host.index("equal", "equal", "text").await;
    let body = json!({"text": "the same words", "k": 40, "filter": "id >= 10 AND id < 15"});
    let answer = host.search("equal", &body).await;
    assert_eq!(ids(&answer), ["10", "11", "12", "13", "14"]);

    // Nothing to embed: there is no index of it.
    host.ingest("empty", "id,text\na,\nb,\n").await;
    let spec = json!({"name": "empty", "dataset": "empty", "text_column": "text"});
    let task = host.start("/vectors/indexes", &spec).await;
    let ended = host.ended(&task).await;
    assert_eq!(ended["state"], "failed", "{ended}");

    // Everything deleted: a search finds nothing and says so.
    let (_, answer) = host
        .delete_documents("one", &json!({"filter": "TRUE"}))
        .await;
    assert_eq!(answer, json!({"deleted": 1, "unknown": [], "documents": 0}));
    let (status, found) = search("one", "1 = 1").await;
    assert_eq!(
        (status, &found["hits"], &found["filter"]["matching"]),
        (200, &json!([]), &json!(0))
    );
}

#[tokio::test]
async fn deletions_that_make_no_sense_are_refused() {
    let host = world().await;
    let check = async |body: Value, code: &str, words: &[&str]| {
        let answer = host.delete_documents("notes", &body).await;
        check_problem(answer, 422, code, words);
    };
    check(json!({}), "ids_or_filter", &["either"]).await;
    check(
        json!({"ids": ["a"], "filter": "1 = 1"}),
        "ids_or_filter",
        &["either"],
    )
    .await;
    check(json!({"ids": []}), "no_ids", &["empty"]).await;
    check(
        json!({"ids": vec!["x"; 10_001]}),
        "too_many_ids",
        &["10000"],
    )
    .await;
    check(json!({"ids": [true]}), "bad_body", &["a text or a number"]).await;
    check(
        json!({"filter": "nothing = 1"}),
        "unknown_column",
        &["`nothing`"],
    )
    .await;
    let (status, _) = host.delete_documents("none", &json!({"ids": ["a"]})).await;
    assert_eq!(status, 404);
    assert_eq!(host.read("/vectors/indexes/notes").await["vectors"], 30);
}
