//! The OpenAPI document in the tree is the one that the routes give.

use expect_test::expect_file;

use crate::support::Host;

/// `UPDATE_EXPECT=1 cargo test openapi` writes it anew.
#[tokio::test]
async fn the_snapshot_is_what_the_host_serves() {
    let document = boathouse_server::http::openapi();
    let text = format!("{}\n", document.to_pretty_json().expect("json"));
    expect_file!["../../docs/openapi.json"].assert_eq(&text);
    let host = Host::fresh();
    let served = host.read("/openapi.json").await;
    assert_eq!(
        served,
        serde_json::from_str::<serde_json::Value>(&text).expect("json")
    );
}
