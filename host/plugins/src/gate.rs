//! Bounds how many calls run and how many wait.
//!
//! A pool of instances that is full gives an error, and a queue without a bound hides overload until
//! nothing answers in time. So a call either gets one of a fixed number of places (running or waiting)
//! at once, or is turned away at once; and whoever waits does so for a bounded time.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places to run and to wait.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
    patience: Duration,
}

/// The right to run a call. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Admission {
    _place: OwnedSemaphorePermit,
    _running: OwnedSemaphorePermit,
}

/// Why a call is turned away.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// Every place is taken.
    Full,
    /// Its turn did not come in time.
    Waited,
}

impl Gate {
    /// A gate for `running` calls at once and `waiting` more in the queue, each for `patience` at most.
    pub(crate) fn new(running: u32, waiting: u32, patience: Duration) -> Self {
        let places = |n: u32| usize::try_from(n).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places(running) + places(waiting))),
            running: Arc::new(Semaphore::new(places(running))),
            patience,
        }
    }

    /// Waits for its turn, first come first served, when there is a place to wait.
    pub(crate) async fn enter(&self) -> Result<Admission, TurnedAway> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| TurnedAway::Full)?;
        let free = Arc::clone(&self.running).try_acquire_owned();
        let running = match free {
            Ok(running) => running,
            Err(_) => {
                tokio::time::timeout(self.patience, Arc::clone(&self.running).acquire_owned())
                    .await
                    .map_err(|_| TurnedAway::Waited)?
                    .map_err(|_| TurnedAway::Full)?
            }
        };
        Ok(Admission {
            _place: place,
            _running: running,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Poll};

    use super::*;

    #[tokio::test]
    async fn one_runs_one_waits_the_third_is_turned_away() {
        let gate = Gate::new(1, 1, Duration::from_secs(600));
        let first = gate.enter().await.expect("free");
        let mut second = pin!(gate.enter());
        std::future::poll_fn(|cx| {
            assert!(second.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert_eq!(gate.enter().await.err(), Some(TurnedAway::Full));
        drop(first);
        assert!(second.await.is_ok());
        assert!(gate.enter().await.is_ok());
    }

    #[tokio::test]
    async fn whoever_waits_too_long_is_turned_away_and_leaves_its_place() {
        let gate = Gate::new(1, 1, Duration::from_millis(5));
        let first = gate.enter().await.expect("free");
        assert_eq!(gate.enter().await.err(), Some(TurnedAway::Waited));
        assert_eq!(gate.enter().await.err(), Some(TurnedAway::Waited));
        drop(first);
        assert!(gate.enter().await.is_ok());
    }
}
