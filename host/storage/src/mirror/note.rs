//! Whether the rescue has answered a read, told to whoever started the work.

use std::cell::Cell;

tokio::task_local! {
    static ANSWERED: Cell<bool>;
}

/// Runs `work` and tells whether the rescue has answered a read within it. Only what runs in the same task
/// counts, not what `work` leaves to another one.
pub async fn noting_rescue<T>(work: impl Future<Output = T>) -> (T, bool) {
    let noted = async {
        let result = work.await;
        (result, ANSWERED.with(Cell::get))
    };
    let (result, answered) = ANSWERED.scope(Cell::new(false), noted).await;
    if answered {
        // One such call may be inside another.
        note();
    }
    (result, answered)
}

/// Called when the rescue has answered; without anybody who asked for it, nothing.
pub(super) fn note() {
    // Outside of any `noting_rescue` there is nobody to tell.
    let _ = ANSWERED.try_with(|answered| answered.set(true));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_told_to_all_who_asked_and_to_nobody_else() {
        note();
        let (inner, outer) = noting_rescue(async {
            let first = noting_rescue(async {}).await;
            let second = noting_rescue(async { note() }).await;
            (first.1, second.1)
        })
        .await;
        assert_eq!((inner, outer), ((false, true), true));
        assert!(!noting_rescue(async {}).await.1);
    }

    #[test]
    fn it_may_move_between_threads() {
        fn check(_: impl Send) {}
        check(noting_rescue(async {}));
    }
}
