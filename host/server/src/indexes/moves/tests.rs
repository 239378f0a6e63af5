//! A move that ends at any operation, and what the next start makes of it.

use boathouse_faults::{Last, Plan};
use boathouse_storage::Bucket;
use boathouse_tuning::Tuner;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Indexes, LiveIndex, delete,
        standing::{Found, settle},
        testing::{
            Impression, add_trial, build, copy_of, faulty, hits, impression, memory, name,
            objects_in, opened, options, promote,
        },
    },
    course::{Copied, Course},
};
use crate::problem::Problem;

/// An index in one bucket, and another bucket.
struct World {
    from: Bucket,
    to: Bucket,
    expected: Impression,
}

impl World {
    async fn new() -> Self {
        let (from, to) = (memory("primary"), memory("cold"));
        build(&from, "first").await;
        let indexes = opened(&[&from, &to]).await;
        let expected = impression(&only(&indexes)).await;
        Self { from, to, expected }
    }

    async fn again(&self) -> Self {
        let indexes = opened(&[&self.from]).await;
        Self {
            from: copy_of(&self.from, "primary").await,
            to: copy_of(&self.to, "cold").await,
            expected: impression(&only(&indexes)).await,
        }
    }

    /// What a host finds when it starts now: the index once, with everything.
    async fn check(&self, when: &str) -> Found {
        let indexes = opened(&[&self.from, &self.to]).await;
        let index = only(&indexes);
        assert_eq!(impression(&index).await, self.expected, "{when}");
        assert_eq!(indexes.broken(), [], "{when}");
        let home = if index.meta.bucket == *self.from.name() {
            &self.from
        } else {
            &self.to
        };
        Found::confirm(home, &name()).await.unwrap().unwrap()
    }

    /// Does what the worker of a host does after its start, and checks that one side has everything and
    /// the other nothing but a mark.
    async fn check_settled(&self, when: &str) -> Found {
        let home = self.check(when).await;
        if home.meta.moving_to.is_some() {
            let course = Course {
                index: home.meta.clone(),
                from: self.from.clone(),
                to: self.to.clone(),
            };
            let arrived = course.travel(&CancellationToken::new(), &|_| ()).await;
            assert_eq!(arrived.unwrap().meta.bucket, *self.to.name(), "{when}");
        }
        let buckets = [self.from.clone(), self.to.clone()];
        settle(&buckets, &name()).await.unwrap();
        let home = self.check(when).await;
        let other = if home.meta.bucket == *self.from.name() {
            &self.to
        } else {
            &self.from
        };
        assert_eq!(objects_in(other).await, [""; 0], "left over {when}");
        let mark = Found::confirm(other, &name()).await.unwrap();
        assert!(mark.is_none_or(|mark| mark.meta.deleted), "{when}");
        assert_eq!(home.meta.moving_to, None, "{when}");
        assert_eq!(home.meta.withdrawn_from, None, "{when}");
        home
    }
}

fn only(indexes: &Indexes) -> std::sync::Arc<LiveIndex> {
    let list = indexes.list();
    assert_eq!(list.len(), 1, "{:?}", indexes.broken());
    list[0].clone()
}

/// A whole move, as a task makes it.
async fn move_it(from: &Bucket, to: &Bucket) -> Result<(), Problem> {
    let course = declared(from, to).await?;
    course.travel(&CancellationToken::new(), &|_| ()).await?;
    Ok(settle(&[from.clone(), to.clone()], &name()).await?)
}

async fn declared(from: &Bucket, to: &Bucket) -> Result<Course, Problem> {
    let index = Found::confirm(from, &name()).await?;
    let index = index.ok_or_else(|| Problem::not_found("unknown_index", "gone"))?;
    let (course, home) = Course::plan(&index.meta, from, to).await?;
    home.replace(&course.index).await?;
    Ok(course)
}

/// A move that is cancelled after so many copies, and undone.
async fn turn_around(from: &Bucket, to: &Bucket, after: u64) -> Result<(), Problem> {
    let course = declared(from, to).await?;
    let cancel = CancellationToken::new();
    let tell = |copied: Copied| {
        if copied.objects >= after {
            cancel.cancel();
        }
    };
    let stopped = course.travel(&cancel, &tell).await.unwrap_err();
    if stopped.code != "cancelled" {
        return Err(stopped);
    }
    course.withdraw().await?;
    Ok(settle(&[from.clone(), to.clone()], &name()).await?)
}

/// Every plan that ends something at operation `at`.
fn plans(at: usize) -> [Plan; 2] {
    Last::BOTH.map(|last| Plan::Stop { at, last })
}

/// Which store misbehaves.
#[derive(Debug, Clone, Copy)]
enum Side {
    From,
    To,
}

/// The world with one store that follows a plan, and whether the plan was met.
async fn with_fault(
    world: &World,
    side: Side,
    plan: Plan,
    work: impl AsyncFn(&Bucket, &Bucket) -> Result<(), Problem>,
) -> bool {
    let (bucket, store) = match side {
        Side::From => faulty(&world.from, plan),
        Side::To => faulty(&world.to, plan),
    };
    let done = match side {
        Side::From => work(&bucket, &world.to).await,
        Side::To => work(&world.from, &bucket).await,
    };
    assert!(store.stopped() || done.is_ok(), "{plan:?}: {done:?}");
    store.stopped()
}

#[tokio::test]
async fn a_move_takes_everything_along_and_leaves_a_mark() {
    let world = World::new().await;
    move_it(&world.from, &world.to).await.unwrap();
    let home = world.check_settled("after the move").await;
    assert_eq!(home.meta.bucket, *world.to.name());
    assert_eq!(home.meta.home_generation, 1);
    let mark = Found::confirm(&world.from, &name()).await.unwrap().unwrap();
    assert_eq!(mark.meta.moved_to.as_ref(), Some(world.to.name()));

    move_it(&world.to, &world.from).await.unwrap();
    let home = world.check_settled("after the move back").await;
    assert_eq!(home.meta.bucket, *world.from.name());
    assert_eq!(home.meta.home_generation, 2);
}

#[tokio::test]
async fn a_kill_at_any_operation_of_a_move_loses_and_doubles_nothing() {
    let world = World::new().await;
    for side in [Side::From, Side::To] {
        let mut at = 0;
        loop {
            let mut met = false;
            for plan in plans(at) {
                let world = world.again().await;
                met |= with_fault(&world, side, plan, move_it).await;
                world.check_settled(&format!("{side:?} {plan:?}")).await;
            }
            if !met {
                break;
            }
            at += 1;
        }
        assert!(at > 10, "{side:?}: {at} operations");
    }
}

#[tokio::test]
async fn a_kill_at_any_operation_of_giving_up_loses_and_doubles_nothing() {
    let world = World::new().await;
    for side in [Side::From, Side::To] {
        let mut at = 0;
        loop {
            let mut met = false;
            for plan in plans(at) {
                let world = world.again().await;
                let work = async |from: &Bucket, to: &Bucket| turn_around(from, to, 2).await;
                met |= with_fault(&world, side, plan, work).await;
                world.check_settled(&format!("{side:?} {plan:?}")).await;
            }
            if !met {
                break;
            }
            at += 1;
        }
        assert!(at > 10, "{side:?}: {at} operations");
    }
}

/// As the task does it: an error turns the move around, and everything is tried once more.
async fn move_or_return(from: &Bucket, to: &Bucket) -> Result<(), Problem> {
    let course = match declared(from, to).await {
        Ok(course) => course,
        Err(_) => return Ok(()),
    };
    if course
        .travel(&CancellationToken::new(), &|_| ())
        .await
        .is_err()
        && course.arrival().await?.is_none()
        && course.withdraw().await.is_err()
    {
        course.withdraw().await?;
    }
    let buckets = [from.clone(), to.clone()];
    if settle(&buckets, &name()).await.is_err() {
        settle(&buckets, &name()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn one_failure_anywhere_ends_with_the_index_on_one_side() {
    let world = World::new().await;
    for side in [Side::From, Side::To] {
        let mut at = 0;
        loop {
            let mut met = false;
            for last in Last::BOTH {
                let (world, plan) = (world.again().await, Plan::FailOnce { at, last });
                met |= with_fault(&world, side, plan, move_or_return).await;
                world.check_settled(&format!("{side:?} {plan:?}")).await;
            }
            if !met {
                break;
            }
            at += 1;
        }
    }
}

#[tokio::test]
async fn a_move_that_is_given_up_leaves_the_index_where_it_was() {
    let world = World::new().await;
    for after in 1..6 {
        let world = world.again().await;
        turn_around(&world.from, &world.to, after).await.unwrap();
        assert_eq!(objects_in(&world.to).await, [""; 0], "after {after}");
        let home = world.check_settled(&format!("after {after}")).await;
        assert_eq!(home.meta.bucket, *world.from.name());
        move_it(&world.from, &world.to).await.unwrap();
        let home = world.check_settled("moved after all").await;
        assert_eq!(home.meta.bucket, *world.to.name());
    }
}

/// A tuner of another host, which knows of no move.
fn stranger(bucket: &Bucket) -> Tuner {
    Tuner::open(bucket, &name(), options())
}

#[tokio::test]
async fn what_another_host_adds_at_the_old_home_arrives() {
    let mut world = World::new().await;
    let course = declared(&world.from, &world.to).await.unwrap();
    let elsewhere = stranger(&world.from);
    course
        .travel(&CancellationToken::new(), &|_| ())
        .await
        .unwrap();
    add_trial(&elsewhere, "t3").await;
    settle(&[world.from.clone(), world.to.clone()], &name())
        .await
        .unwrap();
    world.expected.trials.push("t3".to_owned());
    world
        .check_settled("added before the old home was closed")
        .await;

    add_trial(&elsewhere, "t4").await;
    world.expected.trials.push("t4".to_owned());
    settle(&[world.from.clone(), world.to.clone()], &name())
        .await
        .unwrap();
    world
        .check_settled("added after the old home was closed")
        .await;

    // And it goes along when the index comes back to where that host believes it to be.
    add_trial(&elsewhere, "t5").await;
    world.expected.trials.push("t5".to_owned());
    move_it(&world.to, &world.from).await.unwrap();
    world.check_settled("moved back").await;
}

#[tokio::test]
async fn what_another_host_adds_while_a_move_is_given_up_stays() {
    let mut world = World::new().await;
    let course = declared(&world.from, &world.to).await.unwrap();
    course
        .travel(&CancellationToken::new(), &|_| ())
        .await
        .unwrap();
    // That host goes on where the index has arrived, this one gives up before it sees that.
    let there = stranger(&world.to);
    add_trial(&there, "t3").await;
    promote(&there, "t1").await;
    assert!(course.withdraw().await.unwrap());
    let indexes = opened(&[&world.from, &world.to]).await;
    assert_eq!(only(&indexes).meta.bucket, *world.from.name());
    settle(&[world.from.clone(), world.to.clone()], &name())
        .await
        .unwrap();
    world.expected = impression(&only(&opened(&[&world.from]).await)).await;
    assert_eq!(world.expected.trials, ["t1", "t2", "t3"]);
    let home = world.check_settled("given up").await;
    assert_eq!(home.meta.bucket, *world.from.name());
}

#[tokio::test]
async fn the_index_in_service_goes_along_with_its_vectors_and_its_turn() {
    let world = World::new().await;
    let indexes = opened(&[&world.from, &world.to]).await;
    let before = only(&indexes);
    let course = declared(&world.from, &world.to).await.unwrap();
    let home = course
        .travel(&CancellationToken::new(), &|_| ())
        .await
        .unwrap();
    let (after, turn) = indexes.rehome(&before, &home).await;
    assert!(std::ptr::eq(&*before.data.vectors, &*after.data.vectors));
    assert!(std::ptr::eq(
        &*before.serving().graph,
        &*after.serving().graph
    ));
    assert_eq!(hits(&before), hits(&after));
    assert_eq!(before.take_turn().unwrap_err().code, "index_busy");
    assert_eq!(after.take_turn().unwrap_err().code, "index_busy");
    drop(turn);
    settle(&[world.from.clone(), world.to.clone()], &name())
        .await
        .unwrap();
    let _turn = after.take_turn().unwrap();
    add_trial(&after.tuner, "t3").await;
    let stored = stranger(&world.to).journal().read().await.unwrap();
    assert_eq!(stored.trials.len(), 3);
    assert_eq!(indexes.in_bucket(world.to.name()), [name()]);
    assert_eq!(indexes.in_bucket(world.from.name()), []);
}

#[tokio::test]
async fn what_another_host_deleted_before_a_move_is_hidden_after_it() {
    for fails in [false, true] {
        let world = World::new().await;
        let (to, store) = faulty(&world.to, Plan::Never);
        let indexes = opened(&[&world.from, &to]).await;
        let before = only(&indexes);
        let elsewhere = opened(&[&world.from]).await;
        let gone = ["doc-7".to_owned()];
        let deleted = delete::land(&elsewhere, &only(&elsewhere), &gone).await;
        assert_eq!(deleted.unwrap().view().deleted, 1);
        let course = declared(&world.from, &to).await.unwrap();
        let home = course.travel(&CancellationToken::new(), &|_| ()).await;
        store.follow(if fails { Plan::DOWN } else { Plan::Never });
        let (mut after, turn) = indexes.rehome(&before, &home.unwrap()).await;
        drop(turn);
        store.follow(Plan::Never);
        if fails {
            assert_eq!(hits(&after), hits(&before), "it serves as it did");
            after = indexes.in_step(&name()).await.unwrap();
        }
        assert!(hits(&before).contains(&gone[0]) && !hits(&after).contains(&gone[0]));
        assert_eq!(after.view().deleted, 1);
        assert_eq!(after.meta.bucket, *to.name());
        assert!(std::ptr::eq(&*before.data.vectors, &*after.data.vectors));
    }
}

#[tokio::test]
async fn damaged_vectors_do_not_move() {
    let world = World::new().await;
    let index = Found::confirm(&world.from, &name()).await.unwrap().unwrap();
    let torn = world
        .from
        .get(&index.meta.vectors_path)
        .await
        .unwrap()
        .slice(1..);
    world
        .from
        .put(&index.meta.vectors_path, torn)
        .await
        .unwrap();
    let course = declared(&world.from, &world.to).await.unwrap();
    let refused = course.travel(&CancellationToken::new(), &|_| ()).await;
    assert_eq!(refused.unwrap_err().code, "damaged_object");
    assert!(course.withdraw().await.unwrap());
    settle(&[world.from.clone(), world.to.clone()], &name())
        .await
        .unwrap();
    assert_eq!(objects_in(&world.to).await, [""; 0]);
}

#[tokio::test]
async fn a_bucket_with_another_index_of_the_name_takes_no_move() {
    let world = World::new().await;
    build(&world.to, "second").await;
    let refused = move_it(&world.from, &world.to).await.unwrap_err();
    assert_eq!(refused.code, "index_exists");
    let home = Found::confirm(&world.from, &name()).await.unwrap().unwrap();
    assert_eq!((home.version, home.meta.moving_to), (1, None));
}

#[tokio::test]
async fn what_another_index_left_at_the_new_home_does_not_become_part_of_this_one() {
    let world = World::new().await;
    build(&world.to, "second").await;
    let second = Found::confirm(&world.to, &name()).await.unwrap().unwrap();
    second.bury(None).await.unwrap();
    move_it(&world.from, &world.to).await.unwrap();
    world.check_settled("moved over the remains").await;
    let orphan = "indexes/papers/graphs/00.graph";
    world.from.put(orphan, "x".into()).await.unwrap();
    let (from, expected) = (world.to, world.expected);
    let to = memory("third");
    to.put("_hnsw_trials/papers/odd.jsonl", "{}".into())
        .await
        .unwrap();
    move_it(&from, &to).await.unwrap();
    let world = World { from, to, expected };
    world.check_settled("moved over orphans").await;
}
