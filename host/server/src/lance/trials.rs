//! What there is to tune of a Lance table: the configuration that it has, as trials know it.

use boathouse_lance_host::{Error, Kind};
use boathouse_types::TableConfig;

use super::LanceIndex;
use crate::{
    indexes::{LiveIndex, NPROBES, REFINE_FACTOR},
    problem::Problem,
};

/// Rows that an `IVF_PQ` index learns from, at least.
const LEAST_ROWS: u64 = 256;

/// The configuration of the table of an index: of what serves, or would serve if a table were made and indexed now. An
/// index of another kind than `ivf_pq` has none, and what would be built instead stands for it.
///
/// # Errors
/// 422 `too_few_rows` where there can be no such index.
pub(crate) fn config_of_table(index: &LiveIndex) -> Result<TableConfig, Problem> {
    let (meta, rows) = (&index.meta, index.data.len() as u64);
    if rows < LEAST_ROWS {
        return Err(Problem::from(Error::TooFewRows {
            needed: LEAST_ROWS,
            found: rows,
        }));
    }
    let table = meta.lance.as_ref();
    let covered = table.map(|table| table.covered).filter(|rows| *rows > 0);
    let usual = Kind::usual_pq(covered.unwrap_or(rows), meta.dimension.get());
    let (partitions, sub_vectors) = match table.and_then(|table| table.index) {
        Some(LanceIndex::IvfPq {
            partitions,
            sub_vectors,
        }) => (
            partitions.unwrap_or(usual.0),
            sub_vectors.unwrap_or(usual.1),
        ),
        Some(LanceIndex::IvfHnswSq { .. }) | None => usual,
    };
    let number = |many: usize| u32::try_from(many).unwrap_or(u32::MAX);
    Ok(TableConfig {
        partitions: number(partitions),
        sub_vectors: number(sub_vectors),
        nprobes: number(NPROBES),
        refine_factor: REFINE_FACTOR,
    })
}
