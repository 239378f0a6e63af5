//! Desks at which searches are computed: as many as the processor can keep busy, each with its own scratch.
//!
//! A scratch grows with the largest index that was searched on it, four bytes a row, and is kept for the next search.
//! Were there one for each thread of the blocking pool, of which there are hundreds, a burst of searches would fill the
//! memory and leave it filled. So a search waits for a desk, in the order in which searches came, and however many
//! come at once there are never more scratches than desks.
//!
//! Absent here: what a search reads from buckets, which waits for no desk.

use std::{
    sync::{Arc, Mutex},
    thread,
};

use boathouse_vector::Scratch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::locked;
use crate::problem::Problem;

/// Desks for each core: a search that waits for a page of a mapped file leaves its core to another one.
const DESKS_PER_CORE: usize = 2;

/// All desks of a host.
pub(super) struct Desks {
    free: Arc<Semaphore>,
    scratches: Arc<Mutex<Vec<Scratch>>>,
}

/// A desk; the next search gets it when this is dropped.
pub(super) struct Desk {
    pub(super) scratch: Scratch,
    scratches: Arc<Mutex<Vec<Scratch>>>,
    _place: OwnedSemaphorePermit,
}

impl Default for Desks {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::new(cores * DESKS_PER_CORE)
    }
}

impl Desks {
    fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            scratches: Arc::default(),
        }
    }

    /// Waits for a desk.
    ///
    /// # Errors
    /// None that can happen: nobody takes desks away.
    pub(super) async fn sit_down(&self) -> Result<Desk, Problem> {
        let place = Arc::clone(&self.free).acquire_owned().await;
        let place = place.map_err(|error| Problem::internal(&error))?;
        let scratch = locked(&self.scratches).pop().unwrap_or_default();
        Ok(Desk {
            scratch,
            scratches: Arc::clone(&self.scratches),
            _place: place,
        })
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What a panic has left of it is of no use to anybody.
        if !thread::panicking() {
            locked(&self.scratches).push(std::mem::take(&mut self.scratch));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn who_comes_when_all_desks_are_taken_waits_for_one() {
        let desks = Desks::new(2);
        let first = desks.sit_down().await.unwrap();
        let second = desks.sit_down().await.unwrap();
        let mut third = Box::pin(desks.sit_down());
        let mut fourth = Box::pin(desks.sit_down());
        assert!(poll!(&mut third).is_pending() && poll!(&mut fourth).is_pending());
        drop(first);
        let third = third.await.unwrap();
        assert!(poll!(&mut fourth).is_pending());
        drop((second, third));
        drop(fourth.await.unwrap());
        assert_eq!(locked(&desks.scratches).len(), 2, "one a desk");
        let _again = desks.sit_down().await.unwrap();
        assert_eq!(locked(&desks.scratches).len(), 1, "it is used again");
    }

    #[tokio::test]
    async fn a_search_that_panics_leaves_its_desk_and_no_scratch() {
        let desks = Desks::new(1);
        let desk = desks.sit_down().await.unwrap();
        let died = tokio::task::spawn_blocking(move || {
            let _desk = desk;
            panic!("on purpose");
        });
        assert!(died.await.is_err());
        assert!(locked(&desks.scratches).is_empty());
        desks.sit_down().await.unwrap();
    }
}
