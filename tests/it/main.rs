//! Integration tests: one binary, so that everything links once.
//!
//! Each test starts the real `boathouse` program on a port and a data folder of its own and talks to it
//! over HTTP. `tidy` looks at the tree instead. A test that needs something this machine lacks says so on
//! standard error and passes; with `BOATHOUSE_TESTS_NO_SKIP` set it fails.

mod access;
mod agent;
mod altered;
mod append;
mod bad_input;
mod buckets;
mod chain;
mod chunks;
mod cli;
mod compile;
mod contract;
mod determinism;
mod files;
mod filters;
mod formats;
mod gc;
mod guests;
mod hostile;
mod lance;
mod lineage;
mod living;
mod models;
mod moves;
mod mysql;
mod objective;
mod openapi;
mod packages;
mod pii;
mod plugin_cli;
mod plugins;
mod postgres;
mod promotion;
mod recall;
mod replay;
mod rescue;
mod restart;
mod s3;
mod samples;
mod scaffold;
mod shadow;
mod support;
mod swap;
mod table;
mod tidy;
mod trials;
mod watcher;
