//! The rows of one part, from the server to where they are taken.
//!
//! Rows come by the binary protocol, one at a time; none is held beyond the batch that it goes into. While a
//! batch waits to be taken, the server waits, too. A part that is given up leaves its session busy, which ends it
//! at the server when it is dropped.

use futures::StreamExt;
use mysql_async::{Conn, Error, Params, Row, Statement, prelude::Queryable};

use super::{
    address::MAX_ROW_BYTES,
    decode::{Batch, Plan},
    fault::{fault, is_giant, lost, refused},
    session::Session,
};
use crate::{IngestError, table::PartSink};

/// Reads the rows of a statement.
pub(super) async fn read(
    session: &mut Session,
    sql: &str,
    plan: &Plan,
    rows: &mut dyn PartSink,
) -> Result<(), IngestError> {
    let statement = session.prepare(sql).await?;
    check_columns(&statement, plan)?;
    pump(session.begin()?, &statement, plan, rows).await?;
    session.end();
    Ok(())
}

/// The columns are those of the plan, unless the table was changed since.
fn check_columns(statement: &Statement, plan: &Plan) -> Result<(), IngestError> {
    let columns = statement.columns();
    let same = columns.len() == plan.columns.len()
        && columns
            .iter()
            .zip(&plan.columns)
            .all(|(found, planned)| found.column_type() == planned.wire);
    match same {
        true => Ok(()),
        false => Err(lost(
            "the columns of the table were changed while it was read",
        )),
    }
}

async fn pump(
    conn: &mut Conn,
    statement: &Statement,
    plan: &Plan,
    sink: &mut dyn PartSink,
) -> Result<(), IngestError> {
    let broken = |error| broken(error, plan);
    let mut result = conn
        .exec_iter(statement, Params::Empty)
        .await
        .map_err(broken)?;
    let Some(mut rows) = result.stream::<Row>().await.map_err(broken)? else {
        return Err(lost("the statement gave no rows and no end"));
    };
    let mut batch = Batch::new(plan);
    while let Some(row) = rows.next().await {
        let row = row.map_err(broken)?;
        batch.push(|at| row.as_ref(at))?;
        // It may be long, and the wait for the sink too.
        drop(row);
        if batch.is_full() {
            give(&mut batch, sink).await?;
        }
    }
    match batch.is_empty() {
        true => Ok(()),
        false => give(&mut batch, sink).await,
    }
}

async fn give(batch: &mut Batch<'_>, sink: &mut dyn PartSink) -> Result<(), IngestError> {
    let (rows, bytes) = batch.take()?;
    sink.received(bytes);
    sink.write(rows).await
}

/// An error while rows came.
fn broken(error: Error, plan: &Plan) -> IngestError {
    if !is_giant(&error) {
        return fault(error);
    }
    let long = plan.columns.iter().filter(|column| column.is_long);
    let names: Vec<&str> = long.map(|column| column.name.as_str()).collect();
    if names.is_empty() {
        return refused("a row is longer than a connection takes: select fewer columns");
    }
    IngestError::Value {
        column: names.join("`, `"),
        problem: format!(
            "a row is longer than {} MiB, or than the server's `max_allowed_packet`",
            MAX_ROW_BYTES >> 20
        ),
        cure: "leave the column out by a query, or shorten its values there with LEFT()".to_owned(),
    }
}
