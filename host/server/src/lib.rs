//! The leaf of the house: configuration, HTTP, command line, jobs, and the glue between the rooms.
//!
//! The rooms below do not know each other. Here plugins become the judges that `tuning` and `ingest`
//! ask for ([`adapters`]), datasets become indexes ([`indexes`]), and long work becomes tasks
//! ([`tasks`]). A [`host::Host`] is all of it, running. Nothing here measures, searches or parses: that is
//! the rooms' work.

pub mod adapters;
pub mod agent;
pub mod app;
pub mod auth;
pub mod buckets;
pub mod cli;
pub mod client;
pub mod config;
mod console;
mod demo;
mod extract;
pub mod gc;
pub mod host;
pub mod http;
pub mod indexes;
mod ingested;
pub mod lance;
pub mod lineage;
mod listener;
pub mod live;
pub mod load;
mod log;
mod metrics;
pub mod models;
pub mod pii;
pub mod plugins;
pub mod problem;
pub mod promotion;
pub mod replay;
mod request_id;
mod system;
pub mod tasks;
mod tls;
pub mod tune;
mod url;
pub mod watcher;
