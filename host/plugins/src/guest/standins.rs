//! Clock and entropy as a guest sees them: the same in every call.
//!
//! Standard libraries ask for both (hash maps for a seed, timers for an instant), and answers from
//! the machine would make equal inputs give different outputs. So time stands still at the epoch, a
//! wait is over at once (a real one would hold a thread past every deadline), and random bytes come
//! from a generator with the host's seed. None of it is fit for cryptography, nor needs to be.

use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::{
    async_trait,
    p2::{
        DynPollable, Pollable,
        bindings::{
            clocks::{monotonic_clock, wall_clock},
            random::{insecure, insecure_seed, random},
        },
        subscribe,
    },
};

use super::GuestState;

/// Most random bytes that a guest may ask for at once.
const RANDOM_BYTES: u64 = 1 << 20;

pub(super) fn add_to_linker(l: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    monotonic_clock::add_to_linker::<_, HasSelf<GuestState>>(l, |state| state)?;
    wall_clock::add_to_linker::<_, HasSelf<GuestState>>(l, |state| state)?;
    random::add_to_linker::<_, HasSelf<GuestState>>(l, |state| state)?;
    insecure::add_to_linker::<_, HasSelf<GuestState>>(l, |state| state)?;
    insecure_seed::add_to_linker::<_, HasSelf<GuestState>>(l, |state| state)
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
pub(super) struct Entropy(u64);

impl Entropy {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > RANDOM_BYTES {
            wasmtime::bail!("it asked for {len} random bytes at once, {RANDOM_BYTES} are the most");
        }
        let len = usize::try_from(len)?;
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len);
        Ok(bytes)
    }
}

impl random::Host for GuestState {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.entropy.bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.entropy.next())
    }
}

impl insecure::Host for GuestState {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.entropy.bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.entropy.next())
    }
}

impl insecure_seed::Host for GuestState {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.entropy.next(), self.entropy.next()))
    }
}

impl wall_clock::Host for GuestState {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime {
            seconds: 0,
            nanoseconds: 0,
        })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime {
            seconds: 1,
            nanoseconds: 0,
        })
    }
}

impl monotonic_clock::Host for GuestState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(0)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1_000_000_000)
    }

    fn subscribe_instant(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.no_wait()
    }

    fn subscribe_duration(&mut self, _nanos: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.no_wait()
    }
}

impl GuestState {
    fn no_wait(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        let over = self.table.push(Over)?;
        subscribe(&mut self.table, over)
    }
}

/// A wait that is over.
struct Over;

#[async_trait]
impl Pollable for Over {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use insecure::Host as _;
    use insecure_seed::Host as _;
    use monotonic_clock::Host as _;
    use random::Host as _;
    use wasmtime_wasi::p2::bindings::sync::io::poll::{Host as _, HostPollable as _};

    use super::*;
    use crate::{Limits, PluginHostConfig, engine, guest};

    fn state(seed: u64, limits: &Limits) -> wasmtime::Store<GuestState> {
        let (engine, _) = engine::build(&PluginHostConfig::default()).expect("engine");
        guest::store(&engine, limits, "t/p@1.0.0", &Arc::from([]), seed)
    }

    #[test]
    fn entropy_repeats_for_a_seed_and_differs_between_seeds() {
        let draw = |seed| {
            let mut store = state(seed, &Limits::default());
            let state = store.data_mut();
            (
                state.get_random_bytes(21).expect("bytes"),
                state.get_insecure_random_u64().expect("number"),
                state.insecure_seed().expect("seed"),
            )
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_eq!(draw(1).0.len(), 21);
    }

    #[test]
    fn random_bytes_are_bounded() {
        let mut store = state(1, &Limits::default());
        assert!(store.data_mut().get_random_bytes(u64::MAX).is_err());
        assert!(
            store
                .data_mut()
                .get_random_bytes(0)
                .is_ok_and(|b| b.is_empty())
        );
    }

    #[test]
    fn a_wait_of_centuries_is_over_at_once() {
        let mut store = state(1, &Limits::default());
        let state = store.data_mut();
        let wait = state.subscribe_duration(u64::MAX).expect("pollable");
        let rep = wait.rep();
        assert_eq!(state.table.poll(vec![wait]).expect("poll"), [0]);
        state
            .table
            .block(Resource::new_own(rep))
            .expect("does not block");
    }

    #[test]
    fn handles_run_out_at_the_limit() {
        let limits = Limits {
            resource_handles: 10,
            ..Limits::default()
        };
        let mut store = state(1, &limits);
        let taken = (0..100)
            .take_while(|_| store.data_mut().subscribe_duration(1).is_ok())
            .count();
        assert_eq!(taken, 5, "a pollable takes two handles");
    }
}
