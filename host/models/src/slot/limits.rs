//! Every bound of the slot, and what follows from them for who waits.

use std::time::Duration;

/// How long the parts of a change may take, and how many changes may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotLimits {
    /// Different changes that may wait for their turn; requests for the same change wait together and count once.
    pub queue: usize,
    /// How long answers that are under way may go on before a change.
    pub drain: Duration,
    /// How long they have to stop once they are told to.
    pub stop: Duration,
    /// Until a model that was unloaded is not listed any more.
    pub unload: Duration,
    /// Until its memory is free on the GPU after that.
    pub memory: Duration,
    /// The longest pause between two looks while something is waited for; the first ones are shorter.
    pub look: Duration,
    /// How long models stay after their last request, so that they go when this host dies.
    pub keep_alive: Duration,
    /// Between two comparisons with what is in memory.
    pub reconcile: Duration,
}

impl Default for SlotLimits {
    fn default() -> Self {
        Self {
            queue: 8,
            drain: Duration::from_secs(30),
            stop: Duration::from_secs(5),
            unload: Duration::from_secs(30),
            memory: Duration::from_secs(10),
            look: Duration::from_millis(50),
            keep_alive: Duration::from_secs(300),
            reconcile: Duration::from_secs(5),
        }
    }
}

impl SlotLimits {
    /// The longest that one change takes, where a load and a short answer of the server take at most so long. At worst
    /// answers are drained to the end, a model and its embedder are unloaded, two others do not load, are unloaded in
    /// their turn, and the former two are loaded again.
    #[must_use]
    pub fn longest_turn(&self, load: Duration, short: Duration) -> Duration {
        // Unloads are asked for one after the other, four models at most, and waited for together; a look is one
        // more deadline of an unload.
        let unload = 4 * short + self.unload + self.memory;
        let look = self.unload + short;
        self.drain + self.stop + 2 * unload + 4 * load + 4 * look
    }

    /// The longest that a request waits whose change is admitted to the queue: everybody before it has one turn.
    #[must_use]
    pub fn longest_wait(&self, load: Duration, short: Duration) -> Duration {
        let turns = u32::try_from(self.queue)
            .unwrap_or(u32::MAX)
            .saturating_add(2);
        self.longest_turn(load, short).saturating_mul(turns)
    }
}
