//! Tables and queries of a real PostgreSQL, over HTTP.
//!
//! Values are compared with the text that the server itself prints, aggregates with those that it computes. What
//! goes wrong is made to go wrong at the server, or on the way to it by a proxy.

mod changes;
mod faults;
mod landed;
mod proxy;
mod requests;
mod tls;
mod values;

use boathouse_db_server::Product;
use serde_json::{Value, json};

use crate::support::{Host, check_failed, db::Database};

const ROUTE: &str = "/ingest/db";

/// Words of the password that all tests use, which may show nowhere.
const SECRET: &str = "sailor";

/// A wish to read a table or a query into the dataset `d`.
fn wish(dsn: &str, kind: &str, what: &str) -> Value {
    json!({"dsn": dsn, kind: what, "dataset": "d"})
}

/// Ingests and returns the result, which says nothing that it should not.
async fn ingest(host: &Host, wish: &Value) -> Value {
    let result = host.done(ROUTE, wish).await;
    assert!(!result.to_string().contains(SECRET), "{result}");
    result
}

/// Ingests what cannot be ingested: a code, words, no secret, and nothing to be seen afterwards.
async fn check_refused(host: &Host, wish: &Value, code: &str, words: &[&str]) {
    let (status, answer) = host.post(ROUTE, wish).await;
    let told = match status {
        202 => {
            let ended = host.ended(&answer).await;
            check_failed(&ended, code, words);
            ended
        }
        _ => {
            crate::support::check_problem((status, answer.clone()), 422, code, words);
            answer
        }
    };
    assert!(!told.to_string().contains(SECRET), "{told}");
    let (status, dataset) = host.get("/datasets/d").await;
    assert_eq!(status, 404, "{wish}: {dataset}");
}

/// What was found out about the source.
fn report(result: &Value) -> &Value {
    &result["table"]
}

/// What the server says to a query of one cell.
async fn cell<P: Product + Sync>(database: &Database<P>, sql: &str) -> String {
    database.execute(sql).await.trim_end().to_owned()
}
