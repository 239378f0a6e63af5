//! The slot against a model server that has its own time and faults: each promise by itself, then random histories
//! (`machine.rs`), then the same course over a double and over a real server (`conformance.rs`).

mod changes;
mod conformance;
mod failures;
mod machine;
mod memory;
mod turns;
mod world;
