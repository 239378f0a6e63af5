//! Rows of a document by the B-tree over documents, without a plan.
//!
//! Lance plans a filtered scan anew each time, which takes longer than what is then read. Here the parts of the B-tree say
//! where the rows are, and these are read. What was deleted is left out by the read, what is of a file that a part does not
//! cover any more here. Where the B-tree does not cover every file, or the table's rows have ids that are not addresses, it
//! is for the scan to answer.

use std::sync::Arc;

use lance::{
    Dataset,
    dataset::ProjectionRequest,
    deps::{arrow_array::RecordBatch, datafusion::scalar::ScalarValue},
    index::{DatasetIndexExt, DatasetIndexInternalExt},
};
use lance_index::{
    metrics::NoOpMetricsCollector,
    scalar::{SargableQuery, SearchResult},
};
use lance_table::format::IndexMetadata;

use crate::{columns::DOC_ID, snapshot::uncovered_rows};

/// Where a row is: its file's place in the order of the table, and the row's address.
type Found = (usize, u64);

/// Columns of the rows of a document, in the order in which they were added; none when the B-tree cannot tell.
pub(crate) async fn document(
    dataset: &Arc<Dataset>,
    doc_id: &str,
    columns: &[&str],
) -> lance::Result<Option<RecordBatch>> {
    let parts = dataset.load_indices_by_name(DOC_ID).await?;
    let covers_all = uncovered_rows(dataset, &parts.iter().collect::<Vec<_>>()) == 0;
    if parts.is_empty() || !covers_all || dataset.manifest().uses_stable_row_ids() {
        return Ok(None);
    }
    let wanted = SargableQuery::Equals(ScalarValue::Utf8(Some(doc_id.to_owned())));
    let mut rows = Vec::new();
    for part in &parts {
        let Some(found) = in_part(dataset, part, &wanted).await? else {
            return Ok(None);
        };
        rows.extend(found);
    }
    rows.sort_unstable();
    rows.dedup();
    let rows: Vec<u64> = rows.into_iter().map(|(_, address)| address).collect();
    let columns = ProjectionRequest::from_columns(columns, dataset.schema());
    dataset
        .take_builder(&rows, columns)?
        .execute()
        .await
        .map(Some)
}

/// The rows that a part of the B-tree knows and that are still there; none when it cannot tell.
async fn in_part(
    dataset: &Dataset,
    part: &IndexMetadata,
    wanted: &SargableQuery,
) -> lance::Result<Option<Vec<Found>>> {
    let index = dataset
        .open_scalar_index(DOC_ID, &part.uuid, &NoOpMetricsCollector)
        .await?;
    let SearchResult::Exact(found) = index.search(wanted, &NoOpMetricsCollector).await? else {
        return Ok(None);
    };
    let found = found.true_rows();
    let Some(addresses) = found.row_addrs() else {
        return Ok(None);
    };
    let covers = |file: u32| {
        let covers = part.fragment_bitmap.as_ref();
        covers.is_some_and(|covers| covers.contains(file))
    };
    let place = |file: u32| {
        let mut files = dataset.iter_fragments();
        files.position(|one| one.id == u64::from(file))
    };
    let found = addresses.filter_map(|address| {
        let file = address.fragment_id();
        let place = place(file).filter(|_| covers(file))?;
        Some((place, u64::from(address)))
    });
    Ok(Some(found.collect()))
}
