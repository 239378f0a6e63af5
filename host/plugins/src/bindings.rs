//! Rust types and calls generated from the contract in `wit/v1`.
//!
//! The three worlds share one set of types, that of the proposer's expansion. Nothing here leaves the
//! crate: the rest of it sees `question` on the way in and `answer` on the way out.

pub(crate) mod proposer {
    //! World `proposer`, and the interfaces `types` and `host` for all worlds.
    wasmtime::component::bindgen!({
        path: "../../wit/v1",
        world: "proposer",
    });
}

pub(crate) mod scoring {
    //! World `scoring`.
    wasmtime::component::bindgen!({
        path: "../../wit/v1",
        world: "scoring",
        with: {
            "boathouse:plugin/types": crate::bindings::proposer::boathouse::plugin::types,
            "boathouse:plugin/host": crate::bindings::proposer::boathouse::plugin::host,
        },
    });
}

pub(crate) mod pii {
    //! World `pii`.
    wasmtime::component::bindgen!({
        path: "../../wit/v1",
        world: "pii",
        with: {
            "boathouse:plugin/types": crate::bindings::proposer::boathouse::plugin::types,
            "boathouse:plugin/host": crate::bindings::proposer::boathouse::plugin::host,
        },
    });
}

pub(crate) use proposer::boathouse::plugin::{host, types};
