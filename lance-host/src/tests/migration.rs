//! Migrations: whole, cut off, of another source.

use super::{SHAPE, at, documents, found, lance, places, thorough};
use crate::{Error, Lance, Place, Rows, SourceError, Table};

/// Bytes of ten vectors of the sample's shape.
const TEN_ROWS: usize = 10 * SHAPE.dimension * 4;

async fn empty(lance: &Lance, place: &Place) -> Table {
    let made = lance.open_or_create(&at(place), SHAPE).await;
    made.expect("a table")
}

/// Rows `0..to` in pieces of seven.
fn source(to: u64) -> impl Iterator<Item = Result<Rows, SourceError>> + Send + 'static {
    let pieces = (0..to).step_by(7);
    pieces.map(move |from| Ok(documents(from, (from + 7).min(to))))
}

#[tokio::test]
async fn all_rows_arrive_and_are_verified() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = empty(&lance, &place).await;
        let migration = table.migrate(source(100)).await.expect("migrated");
        assert_eq!((migration.rows, migration.found), (100, 0));
        assert_eq!(migration.version, table.now().version());
        let digest = table.now().digest().await.expect("digest");
        assert_eq!(digest, migration.digest);
        assert_eq!(found(&table, thorough(77)).await[0], 77);
        // Once more, and there is nothing to do.
        let again = table.migrate(source(100)).await.expect("migrated");
        assert_eq!((again.rows, again.found), (100, 100));
        assert_eq!(again.version, migration.version);
    }
}

#[tokio::test]
async fn one_that_was_cut_off_goes_on_where_it_was() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = empty(&lance, &place).await;
        let broken: SourceError = "the disk is gone".into();
        let cut = source(49).chain(std::iter::once(Err(broken)));
        let failed = table.migrate_by(cut, TEN_ROWS).await;
        let Err(Error::Source(error)) = failed else {
            panic!("{failed:?}");
        };
        assert_eq!(error.to_string(), "the disk is gone");
        let kept = table.now().rows().await.expect("rows");
        assert_eq!(kept, 42, "whole portions of two pieces each");
        let migration = table.migrate_by(source(100), TEN_ROWS).await;
        let migration = migration.expect("migrated");
        assert_eq!((migration.rows, migration.found), (100, kept));
        let whole = empty(&lance, &places(&lance)[1].0).await;
        let whole = whole.migrate(source(100)).await.expect("migrated");
        assert_eq!(migration.digest, whole.digest);
    }
}

#[tokio::test]
async fn a_source_that_panics_is_not_taken_for_one_that_ended() {
    let lance = lance();
    let (place, _) = &places(&lance)[1];
    let table = empty(&lance, place).await;
    let panics = source(14).chain(std::iter::once_with(|| panic!("no more rows")));
    let failed = table.migrate(panics).await;
    assert!(matches!(failed, Err(Error::Source(_))), "{failed:?}");
}

#[tokio::test]
async fn rows_of_another_source_are_found_out() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = empty(&lance, &place).await;
        table.append(documents(500, 510)).await.expect("append");
        let mixed = table.migrate(source(100)).await;
        assert!(matches!(mixed, Err(Error::NotVerified { .. })), "{mixed:?}");
        let fewer = table.migrate(source(8)).await;
        assert!(matches!(fewer, Err(Error::NotVerified { .. })), "{fewer:?}");
    }
}

#[tokio::test]
async fn rows_that_do_not_fit_end_it() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = empty(&lance, &place).await;
        let mut odd = Rows::default();
        odd.push("odd", 0, None, &[1.0]);
        let bad = source(14).chain(std::iter::once(Ok(odd)));
        let refused = table.migrate(bad).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
        assert_eq!(table.now().rows().await.expect("rows"), 0);
    }
}
