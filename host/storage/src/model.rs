//! Random histories against a plain model in memory.
//!
//! A history mixes appends by several writers (durable and buffered, singly and at once), flushes,
//! compactions, commits and prunings of a document, puts and deletions of objects, restarts, turns of the
//! mirror, and faults of the home and of the rescue. The model knows what was acknowledged and what only
//! may have happened; after every reading the two are compared. At the end all is switched on again and
//! compared once more, and so is a new bucket that was restored from the rescue.
//!
//! The seed decides everything. A failure prints it with the history up to there.

mod world;

use std::{
    fmt::{self, Write as _},
    panic::AssertUnwindSafe,
};

use boathouse_faults::{Last, Plan};
use futures::FutureExt;

use self::world::World;

/// Histories that are tried, and how many operations each has.
const SEEDS: u64 = 80;
const OPERATIONS: usize = 150;

/// SplitMix64 (Steele, Lea, Flood, 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    /// Appends so many records at once.
    Append {
        writer: usize,
        records: u32,
    },
    Flush {
        writer: usize,
    },
    Compact {
        writer: usize,
    },
    /// Gives a writer up and opens another; what it had buffered is gone.
    Reopen {
        writer: usize,
    },
    ReadLog,
    Change,
    Prune,
    ReadDocument,
    Put {
        object: usize,
    },
    Delete {
        object: usize,
    },
    ReadObject {
        object: usize,
    },
    /// Lets the mirror work until it is level or fails.
    Mirror,
    Home(Plan),
    Rescue(Plan),
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

fn draw(chance: &mut Chance) -> Operation {
    let writer = chance.below(world::WRITERS);
    let object = chance.below(world::OBJECTS);
    match chance.below(100) {
        0..25 => Operation::Append {
            writer,
            records: 1 + chance.below(3) as u32,
        },
        25..31 => Operation::Flush { writer },
        31..41 => Operation::Compact { writer },
        41..44 => Operation::Reopen { writer },
        44..50 => Operation::ReadLog,
        50..58 => Operation::Change,
        58..60 => Operation::Prune,
        60..63 => Operation::ReadDocument,
        63..68 => Operation::Put { object },
        68..71 => Operation::Delete { object },
        71..74 => Operation::ReadObject { object },
        74..80 => Operation::Mirror,
        80..97 => Operation::Home(draw_plan(chance)),
        _ => Operation::Rescue(draw_plan(chance)),
    }
}

/// Most faults are met by the next operation or the one after it, and the store works again soon.
fn draw_plan(chance: &mut Chance) -> Plan {
    let at = chance.below(20);
    let last = Last::BOTH[chance.below(2)];
    match chance.below(12) {
        0..2 => Plan::Stop { at, last },
        2..5 => Plan::Stall { at },
        5..6 => Plan::StaleListings { behind: at % 6 },
        6..8 => Plan::Never,
        _ => Plan::FailOnce { at, last },
    }
}

#[tokio::test]
async fn random_histories_agree_with_a_plain_model() {
    for seed in 0..SEEDS {
        let mut history = String::new();
        let ran = AssertUnwindSafe(run(seed, &mut history))
            .catch_unwind()
            .await;
        if let Err(panic) = ran {
            let said = panic.downcast_ref::<String>().map_or("", String::as_str);
            panic!("seed {seed}: {said}\n{history}");
        }
    }
}

async fn run(seed: u64, history: &mut String) {
    let mut chance = Chance(seed);
    let mut world = World::new();
    for number in 0..OPERATIONS {
        let operation = draw(&mut chance);
        writeln!(history, "{number:4} {operation}").unwrap();
        world.run(operation).await;
    }
    history.push_str("     all on again\n");
    world.end().await;
}
