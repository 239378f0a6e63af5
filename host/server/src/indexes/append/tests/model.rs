//! An index that lives: rows are appended, documents deleted, tails merged and hosts started anew, in any order, and
//! after each step it has to be what a plain list says.

use std::collections::BTreeMap;

use boathouse_vector::Scratch;

use super::*;
use crate::indexes::tail::{RowMask, Wanted};

/// Steps of one life.
const STEPS: usize = 250;
/// Ids that rows may have.
const IDS: u64 = 100;

/// What an index should be.
struct Model {
    /// The row of the dataset that each document is.
    shown: BTreeMap<String, u64>,
    /// Ids that were deleted and did not come back.
    deleted: BTreeSet<String>,
    version: u64,
    rows: u64,
    skipped: u64,
}

/// The index and what it should be, with numbers that look like chance.
struct Life {
    bucket: Bucket,
    indexes: Indexes,
    model: Model,
    seed: u64,
    state: u64,
    step: usize,
}

impl Model {
    /// As an index is that was just built.
    fn fresh() -> Self {
        let rows = u64::from(ROWS + TAIL);
        let shown = (0..rows).map(|row| (format!("doc-{row}"), row));
        Self {
            shown: shown.collect(),
            deleted: BTreeSet::new(),
            version: 2,
            rows,
            skipped: 0,
        }
    }
}

impl Life {
    async fn begin(seed: u64) -> Self {
        let bucket = memory("primary");
        build(&bucket, "first").await;
        let indexes = opened(&[&bucket]).await;
        // Rows have ids of their own, so that a later one replaces earlier ones.
        let with_ids = |now: &IndexMeta| {
            Some(IndexMeta {
                id_column: Some("id".to_owned()),
                ..now.clone()
            })
        };
        indexes.commit(&only(&indexes), with_ids).await.unwrap();
        Self {
            bucket,
            indexes,
            model: Model::fresh(),
            seed,
            state: seed,
            step: 0,
        }
    }

    /// A number below a bound (splitmix64).
    fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    async fn append(&mut self) {
        let (mut table, skipped) = (vectors(0..0), self.below(3));
        let mut latest = BTreeMap::new();
        for _ in 0..self.below(5) {
            let id = format!("doc-{}", self.below(IDS));
            latest.insert(id, self.model.rows);
            self.model.rows += 1;
        }
        // Of the rows without text behind them some have an id.
        let mut emptied = BTreeSet::new();
        for _ in 0..self.below(skipped + 1) {
            let id = format!("doc-{}", self.below(IDS));
            latest.remove(&id);
            emptied.insert(id);
        }
        for (id, row) in &latest {
            let number = u16::try_from(row % 1_000).unwrap();
            let one = vectors(number..number + 1);
            table.push(id, *row, one.vectors().next().unwrap()).unwrap();
        }
        self.model.rows += skipped;
        self.model.skipped += skipped;
        self.model.version += 1;
        let added = Added {
            table,
            dataset_version: self.model.version,
            rows: self.model.rows,
            skipped,
            emptied: emptied.clone(),
        };
        land(&self.indexes, &only(&self.indexes), added)
            .await
            .unwrap();
        for id in emptied {
            if self.model.shown.remove(&id).is_some() {
                self.model.deleted.insert(id);
            }
        }
        self.model.deleted.retain(|id| !latest.contains_key(id));
        self.model.shown.extend(latest);
    }

    async fn delete(&mut self) {
        let many = 1 + self.below(6);
        let wanted: BTreeSet<String> = (0..many)
            .map(|_| format!("doc-{}", self.below(IDS + 20)))
            .collect();
        let index = only(&self.indexes);
        let chosen = index.choose(&wanted);
        let known = |id: &&String| self.model.shown.contains_key(*id);
        let (ids, unknown): (Vec<_>, Vec<_>) = wanted.iter().partition(known);
        assert_eq!(chosen.ids.iter().collect::<Vec<_>>(), ids, "{}", self.at());
        assert_eq!(
            chosen.unknown.iter().collect::<Vec<_>>(),
            unknown,
            "{}",
            self.at()
        );
        if chosen.ids.is_empty() {
            return;
        }
        delete::land(&self.indexes, &index, &chosen.ids)
            .await
            .unwrap();
        for id in chosen.ids {
            self.model.shown.remove(&id);
            self.model.deleted.insert(id);
        }
    }

    /// Another host merges.
    async fn merge(&mut self) {
        merged(opened(&[&self.bucket]).await).await.unwrap();
        self.restart().await;
    }

    async fn restart(&mut self) {
        self.indexes = opened(&[&self.bucket]).await;
    }

    fn at(&self) -> String {
        format!("seed {}, step {}", self.seed, self.step)
    }

    /// That the index is what the list says, by its counts, by what it shows and by what it finds.
    fn check(&mut self) {
        let index = only(&self.indexes);
        let at = self.at();
        let view = index.view();
        let model = &self.model;
        assert_eq!(view.vectors as usize, model.shown.len(), "{at}");
        assert_eq!(view.deleted as usize, model.deleted.len(), "{at}");
        assert_eq!(
            (view.rows, view.dataset_version),
            (model.rows, model.version),
            "{at}"
        );
        assert_eq!(view.skipped_rows, model.skipped, "{at}");
        let rest = view.rows - view.vectors - view.skipped_rows - view.deleted;
        assert_eq!(view.superseded_rows, rest, "{at}");
        let ids: Vec<&String> = model.shown.keys().collect();
        assert_eq!(everything(&index).iter().collect::<Vec<_>>(), ids, "{at}");

        let mut matching = RowMask::default();
        let divisor = self.below(6) + 1;
        let mut expected = BTreeSet::new();
        for row in (0..self.model.rows).filter(|row| row % divisor == 0) {
            matching.add(row as usize);
        }
        for (id, row) in self
            .model
            .shown
            .iter()
            .filter(|(_, row)| *row % divisor == 0)
        {
            expected.insert((id.clone(), *row));
        }
        self.check_found(&index, &matching, &expected);
    }

    /// That a search with a filter finds `k` rows that match whenever there are so many, nearest first.
    fn check_found(
        &mut self,
        index: &LiveIndex,
        matching: &RowMask,
        expected: &BTreeSet<(String, u64)>,
    ) {
        let kept = index.tail.kept(&index.rows, matching);
        let at = self.at();
        assert_eq!(kept.len(), expected.len(), "{at}");
        let number = u16::try_from(self.below(900)).unwrap();
        let query = vectors(number..number + 1);
        let query = query.vectors().next().unwrap();
        let set = &index.data.vectors;
        let query = set.prepare_query(query).unwrap();
        for k in [expected.len(), expected.len() + 5, 3] {
            let wanted = Wanted {
                query: &query,
                k,
                ef: 1 + self.below(40) as usize,
            };
            let (serving, mut scratch) = (index.serving(), Scratch::default());
            let (found, ..) =
                index
                    .tail
                    .nearest_kept(set, &serving.graph, &wanted, &kept, &mut scratch);
            assert_eq!(found.len(), k.min(expected.len()), "{at}");
            assert!(found.is_sorted_by(|a, b| a.distance <= b.distance), "{at}");
            let found: BTreeSet<(String, u64)> = found
                .iter()
                .map(|found| index.document(found))
                .map(|(id, row)| (id.to_owned(), row))
                .collect();
            assert!(found.is_subset(expected), "{at}");
            assert_eq!(
                found.len(),
                k.min(expected.len()),
                "{at}: a row is there twice"
            );
        }
    }
}

async fn live(seed: u64) {
    let mut life = Life::begin(seed).await;
    for step in 0..STEPS {
        life.step = step;
        match life.below(20) {
            0..8 => life.append().await,
            8..16 => life.delete().await,
            16..18 => life.merge().await,
            _ => life.restart().await,
        }
        life.check();
    }
    // Nothing is left of a deletion that the manifest does not name, but for what was put together.
    let named = only(&life.indexes).meta.deletions.len();
    assert!(named <= 8, "{named}");
}

#[tokio::test]
async fn whatever_happens_an_index_is_what_a_plain_list_says() {
    for seed in [1, 2, 3] {
        live(seed).await;
    }
}

#[tokio::test]
async fn an_index_whose_documents_are_all_deleted_lives_on() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = opened(&[&bucket]).await;
    let all = everything(&only(&indexes));
    let empty = delete::land(&indexes, &only(&indexes), &all).await.unwrap();
    assert_eq!(
        (empty.vectors(), empty.view().deleted),
        (0, u64::from(ROWS + TAIL))
    );
    // There is nothing that a base could be made of.
    merged(indexes).await.unwrap();
    let indexes = opened(&[&bucket]).await;
    let after = only(&indexes);
    assert_eq!(
        (after.vectors(), &after.meta.data_version),
        (0, &empty.meta.data_version)
    );
    let again = land(&indexes, &after, added()).await.unwrap();
    assert_eq!(everything(&again), ["doc-64", "doc-65", "doc-66"]);
    assert_eq!(again.view().deleted, u64::from(ROWS + TAIL));
}

#[tokio::test]
async fn a_deletion_during_a_merge_is_kept() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = opened(&[&bucket]).await;
    let index = only(&indexes);
    // The merge began with what was there before.
    delete::land(&indexes, &index, &["doc-5".to_owned(), "doc-62".to_owned()])
        .await
        .unwrap();
    as_task(|task| async move { merge::merge(&indexes, &index, &task).await })
        .await
        .unwrap();
    let indexes = opened(&[&bucket]).await;
    let after = only(&indexes);
    let expected = documents(ROWS + TAIL);
    let expected: Vec<String> = expected
        .into_iter()
        .filter(|id| id != "doc-5" && id != "doc-62")
        .collect();
    assert_eq!(everything(&after), expected);
    assert_eq!((after.view().deleted, after.tail.parts().len()), (2, 0));
}

#[tokio::test]
async fn a_deletion_that_ends_at_any_operation_is_there_whole_or_not_at_all() {
    let origin = memory("primary");
    build(&origin, "first").await;
    let gone = ["doc-1".to_owned(), "doc-61".to_owned()];
    let all = usize::from(ROWS + TAIL);
    let mut at = 0;
    loop {
        let mut met = false;
        for plan in plans(at) {
            let bucket = copy_of(&origin, "primary").await;
            let (view, store) = faulty(&bucket, Plan::Never);
            let indexes = opened(&[&view]).await;
            store.follow(plan);
            let landed = delete::land(&indexes, &only(&indexes), &gone).await;
            met |= store.stopped();
            let when = format!("{plan:?}: {:?}", landed.as_ref().err());
            store.follow(Plan::Never);
            let reopened = opened(&[&bucket]).await;
            let left = everything(&only(&reopened)).len();
            assert!(
                left == all - 2 || (landed.is_err() && left == all),
                "{when}"
            );
            // The host goes on, or another one starts.
            for indexes in [&indexes, &reopened] {
                let index = indexes.in_step(&name()).await.unwrap();
                let again = index.choose(&gone.iter().cloned().collect());
                if !again.ids.is_empty() {
                    delete::land(indexes, &index, &again.ids).await.unwrap();
                }
                assert_eq!(everything(&only(indexes)).len(), all - 2, "{when}");
            }
            let after = opened(&[&bucket]).await;
            assert_eq!(everything(&only(&after)).len(), all - 2, "{when}");
        }
        if !met {
            break;
        }
        at += 1;
    }
    assert!(at > 2, "{at} operations");
}

#[tokio::test]
async fn many_deletions_are_put_together_and_hide_what_they_hid() {
    let bucket = memory("primary");
    build(&bucket, "first").await;
    let indexes = opened(&[&bucket]).await;
    for row in 0..20 {
        let index = only(&indexes);
        assert!(index.meta.deletions.len() <= 8);
        delete::land(&indexes, &index, &[format!("doc-{row}")])
            .await
            .unwrap();
    }
    let expected: Vec<String> = documents(ROWS + TAIL)
        .into_iter()
        .filter(|id| id[4..].parse::<u16>().unwrap() >= 20)
        .collect();
    assert_eq!(everything(&only(&indexes)), expected);
    let reopened = opened(&[&bucket]).await;
    assert_eq!(everything(&only(&reopened)), expected);
    let meta = &only(&reopened).meta;
    let told: u64 = meta.deletions.iter().map(|deletion| deletion.ids).sum();
    assert_eq!(told, 20);
}
