//! The stamp in a file of rows: what it is, and in which version.
//!
//! Two entries of the Parquet footer, `boathouse.format` and `boathouse.format_version`. A file without them
//! is of version 1: the first files had none. A file that is ingested may carry any stamp; it is a source,
//! and its rows are written anew.

use boathouse_storage::StorageError;
use parquet::file::metadata::{FileMetaData, KeyValue};

use crate::IngestError;

const FORMAT_KEY: &str = "boathouse.format";
const VERSION_KEY: &str = "boathouse.format_version";
const FORMAT: &str = "boathouse/rows";
const VERSION: u64 = 1;

/// What is written into the footer.
pub(crate) fn stamp() -> Vec<KeyValue> {
    vec![
        KeyValue::new(FORMAT_KEY.to_owned(), FORMAT.to_owned()),
        KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_string()),
    ]
}

/// Refuses a file that is something else or newer than this program.
pub(crate) fn check(path: &str, footer: &FileMetaData) -> Result<(), IngestError> {
    let value = |key: &str| {
        let entries = footer.key_value_metadata().into_iter().flatten();
        let mut found = entries.filter(|entry| entry.key == key);
        found.next().and_then(|entry| entry.value.as_deref())
    };
    if let Some(other) = value(FORMAT_KEY).filter(|format| *format != FORMAT) {
        let shown: String = other.escape_debug().take(80).collect();
        let reason = format!("it is a `{shown}`, not a `{FORMAT}`");
        return Err(IngestError::damaged(path, reason));
    }
    match value(VERSION_KEY).map(str::parse) {
        None | Some(Ok(1..=VERSION)) => Ok(()),
        Some(Ok(found)) => Err(IngestError::Storage(StorageError::NewerFormat {
            path: path.to_owned(),
            format: FORMAT,
            found,
            supported: VERSION,
        })),
        Some(Err(_)) => Err(IngestError::damaged(
            path,
            "its format version is no number",
        )),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::{
        IngestError, IngestMode,
        testing::{World, dataset},
    };
    use boathouse_storage::StorageError;

    /// What a page of a dataset comes to whose only file says this in place of its stamp, and was sealed by nobody.
    async fn page(from: &str, to: &str) -> Result<usize, IngestError> {
        assert_eq!(from.len(), to.len(), "nothing may move");
        let world = World::new();
        let csv = "id,text\n1,a\n2,b\n";
        world
            .ingest(csv, "a.csv", IngestMode::Replace)
            .await
            .unwrap();
        world.unseal().await;
        let path = &world.paths("datasets/people/data").await[0];
        let mut bytes = world.bucket.get(path).await.unwrap().to_vec();
        let at = bytes
            .windows(from.len())
            .rposition(|w| w == from.as_bytes());
        let at = at.expect("the stamp stands in the footer");
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        world.bucket.put(path, Bytes::from(bytes)).await.unwrap();
        let open = world.context.datasets.open(&dataset(), None).await?;
        open.rows(0, 10).await.map(|page| page.rows.len())
    }

    /// The version's entry as it stands in the footer, with its value's length before the value.
    const VERSION: &str = "boathouse.format_version\u{18}\u{1}1";

    #[tokio::test]
    async fn a_newer_file_is_refused_by_name_and_an_unstamped_one_reads() {
        let newer = page(VERSION, "boathouse.format_version\u{18}\u{1}2").await;
        let Err(IngestError::Storage(StorageError::NewerFormat {
            path,
            format,
            found,
            ..
        })) = newer
        else {
            panic!("{newer:?}");
        };
        assert!(path.starts_with("datasets/people/data/"), "{path}");
        assert_eq!((format, found), ("boathouse/rows", 2));
        let unstamped = page(VERSION, "boathouse.format_versiox\u{18}\u{1}9").await;
        assert_eq!(unstamped.unwrap(), 2);
    }

    #[tokio::test]
    async fn another_format_and_a_version_that_is_no_number_are_refused() {
        for (from, to) in [
            (VERSION, "boathouse.format_version\u{18}\u{1}x"),
            ("boathouse/rows", "boathouse/cows"),
        ] {
            let error = page(from, to).await.unwrap_err();
            assert!(matches!(error, IngestError::Damaged { .. }), "{error}");
        }
    }
}
