//! Components whose compilation is the attack. Compiling happens in a process that can be ended.
//!
//! On hosts of their own: one attack is about the host's configuration, the other about memory that
//! other tests should not be measured with.

use expect_test::expect;

use super::{install, memory, upload::refused};
use crate::{
    guests::{MARKED_1, bomb},
    support::Host,
};

/// The uploads of this file go there.
const PLUGIN: &str = "scoring/test/marked";

#[tokio::test]
async fn a_component_that_takes_too_much_memory_to_compile_is_refused() {
    // Half of what is usual, so that it does not hang on how many threads the compiler has.
    let host = Host::fresh();
    let config = "[plugins.sandbox.compile]\nmemory_bytes = 1073741824\n";
    std::fs::write(host.data.join("boathouse.toml"), config).expect("written");
    let host = host.kill_and_restart();
    let before = memory(&host);
    let told = refused(&host, PLUGIN, bomb::strapped_to(MARKED_1)).await;
    expect![[r#"
        422 check_failed
        compile: compiling it takes more than 1073741824 bytes of memory; make it smaller, split huge functions, or raise compile.memory_bytes
    "#]].assert_eq(&told);
    if let (Some(before), Some(after)) = (before, memory(&host)) {
        let grown = after.saturating_sub(before);
        assert!(
            grown < super::LEFT_BEHIND,
            "the host has grown by {grown} bytes"
        );
    }
    serves_on(&host).await;
}

#[tokio::test]
async fn a_component_that_takes_too_long_to_compile_is_refused() {
    // The host's own plugins are compiled at its first start; the second finds them compiled, so its
    // deadline may be short.
    let host = Host::fresh();
    let config = "[plugins.sandbox.compile]\ndeadline_ms = 500\nmemory_bytes = 17179869184\n";
    std::fs::write(host.data.join("boathouse.toml"), config).expect("written");
    let host = host.kill_and_restart();
    let told = refused(&host, PLUGIN, bomb::strapped_to(MARKED_1)).await;
    expect![[r#"
        422 check_failed
        compile: it compiles longer than 500 ms; make it smaller, split huge functions, or raise compile.deadline_ms
    "#]].assert_eq(&told);
    assert_eq!(host.read("/readyz").await["ready"], true);
}

/// The host is ready and compiles what is honest.
async fn serves_on(host: &Host) {
    assert_eq!(host.read("/readyz").await["ready"], true);
    install(host, PLUGIN, MARKED_1).await;
}
