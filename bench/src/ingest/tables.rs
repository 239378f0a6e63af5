//! P8: tables of PostgreSQL and MariaDB into Parquet, against ConnectorX with pyarrow, and DuckDB.
//!
//! Two tables on a private server of each kind: `narrow`, sixteen columns in the manner of TPC-H's lineitem, and
//! `wide`, ten columns of text. All sides read all columns, over as many connections as there are cores, and
//! write Parquet with zstd.

use anyhow::Result;
use boathouse_db_server::{MariaDb, Postgres, Product, Server};

use super::{Place, Work, threads};
use crate::{Options, ours::ingest::Ask};

/// Text of the columns of text; long enough for every stretch that is taken of it.
pub(super) const WORDS: &str = "the quiet harbour wakes before the sun and the first boats leave with nets that were \
    mended through the night while gulls follow the wake and someone on the pier counts the lanterns again before \
    writing a line into the book that has been kept since the old lighthouse burned down on a windless evening in late \
    autumn when nobody expected weather at all and every door along the water stood open to let the smell of bread out";

pub(crate) fn run(options: Options) -> Result<()> {
    let rows = options.rows(1_000_000, 20_000);
    let postgres = Postgres::start_with(&["shared_buffers=256MB"])?;
    postgres.execute(&filled(include_str!("../tables/postgres.sql"), rows, rows))?;
    measure(options, &postgres, "postgres", rows)?;
    drop(postgres);
    let mariadb = MariaDb::start_with(&["innodb-buffer-pool-size=768M"])?;
    mariadb.execute("CREATE DATABASE bench;")?;
    let script = filled(include_str!("../tables/mariadb.sql"), rows, rows);
    mariadb.execute_in("bench", &script)?;
    measure(options, &mariadb, "bench", rows)
}

/// A script of statements with what it leaves open.
pub(super) fn filled(script: &str, narrow: usize, wide: usize) -> String {
    let text = |column: usize| {
        let start = format!("1 + seq * {} % 300", 7919 + column);
        let words = format!("SUBSTR('{WORDS}', {start}, 20 + seq * {column} % 60)");
        format!("IF((seq + {column}) % 17 > 0, CONCAT({words}, seq * {column}), NULL)")
    };
    let texts: Vec<_> = (1..=10).map(text).collect();
    script
        .replace("{texts}", &texts.join(", "))
        .replace("{words}", WORDS)
        .replace("{narrow}", &narrow.to_string())
        .replace("{wide}", &wide.to_string())
}

fn measure<P: Product>(
    options: Options,
    server: &Server<P>,
    database: &str,
    rows: usize,
) -> Result<()> {
    let place = Place::new()?;
    for (table, key) in [("narrow", "l_orderkey"), ("wide", "id")] {
        let work = Work {
            id: "P8",
            what: format!("{} to Parquet, {table} table", P::NAME),
            rows,
            ask: Ask::Table {
                dsn: server.dsn(database),
                table: table.to_owned(),
                key: key.to_owned(),
                out: place.out(),
                threads: threads()?,
            },
            peers: &["connectorx_peer.py", "duckdb_peer.py"],
            rate: 1.0,
            memory: 0.25,
        };
        work.measure(options)?;
    }
    Ok(())
}
