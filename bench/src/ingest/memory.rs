//! Memory of a host that takes in ten million rows of PostgreSQL.
//!
//! One `boathouse serve`, detectors and all, and one ingest over HTTP. The figure is how far the peak of the
//! process's resident memory lies above what it held beforehand; it must not depend on the rows.

use anyhow::{Result, ensure};
use boathouse_db_server::Postgres;
use serde_json::json;

use super::{tables::filled, threads};
use crate::{
    Options,
    compare::{Bar, Comparison, Row, round},
    host::Host,
    process::memory,
};

const MIB: f64 = 1_048_576.0;
/// Most growth, in MiB.
const BAR: f64 = 256.0;

pub(crate) fn run(options: Options) -> Result<()> {
    let rows = options.rows(10_000_000, 100_000);
    let server = Postgres::start_with(&["shared_buffers=256MB"])?;
    server.execute(&filled(include_str!("../tables/postgres.sql"), rows, 1))?;
    let host = Host::start("memory")?;
    let before = memory(host.pid(), "VmRSS")?;
    let wish = json!({
        "dataset": "narrow", "dsn": server.dsn("postgres"), "table": "narrow", "mode": "replace",
        "parallel": threads()?,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let task = runtime.block_on(host.task(host.post("/ingest/db").json(&wish)))?;
    ensure!(task["result"]["rows"] == rows, "{task}");
    let peak = memory(host.pid(), "VmHWM")?;
    let mut measured = Comparison::default();
    measured.push(peak.saturating_sub(before) as f64 / MIB, 1.0);
    Row {
        id: "memory",
        work: format!("a host ingests {rows} rows from PostgreSQL: growth at the peak"),
        peer: "one MiB",
        unit: "MiB",
        measured: &measured,
        bar: Bar::AtMost(BAR),
        detail: json!({
            "before_mib": round(before as f64 / MIB), "peak_mib": round(peak as f64 / MIB),
        }),
    }
    .print();
    Ok(())
}
