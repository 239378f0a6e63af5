//! A scoring plugin that leans on everything that makes programs differ from run to run: rounding in
//! sums, the order of a hash map, transcendental functions, the bits of a NaN, the clock, entropy and
//! addresses. All of it goes into the scores and, word by word, into the reasons.
//!
//! On a host that keeps its promise the answer is equal to the bit wherever and whenever it is given.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::hint::black_box;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use boathouse_sdk::{Description, Error, Objective, Scoring, Trial, Trials, Verdict};

/// The plugin.
#[derive(Debug, Clone, Copy)]
pub struct Floats;

impl Scoring for Floats {
    fn describe() -> Description {
        let summary = "Rounding, hash order, NaN bits, clock and entropy, all in one answer.";
        Description::new("test/floats", "1.0.0", summary).reads(["recall", "latency_p95_us"])
    }

    fn evaluate(trials: &Trials, objective: &Objective) -> Result<Vec<Verdict>, Error> {
        let started = Instant::now();
        let judge = |trial: Trial<'_>| {
            let (sum, order) = sum_in_hash_order(&trial);
            let (time, chance) = (time(started), chance());
            let score = sum + objective.recall_floor.sqrt() + time as f64 + chance as f64 * 1e-20;
            let address = std::ptr::from_ref(&score) as usize;
            let nan = nan_bits(trial.recall);
            Verdict {
                feasible: nan.is_multiple_of(2),
                front: u32::try_from(chance % 7).unwrap_or(0),
                score,
                reason: Some(format!(
                    "score {:016x}, order {order}, nan {nan:016x}, time {time}, chance {chance:016x}, address {address:x}",
                    score.to_bits(),
                )),
            }
        };
        Ok(trials.iter().map(judge).collect())
    }
}

boathouse_sdk::export_scoring!(Floats);

/// Adds up numbers of very different size in the order of a hash map, which decides the rounding; the
/// second value is that order.
fn sum_in_hash_order(trial: &Trial<'_>) -> (f64, String) {
    let terms = [
        ("sine", trial.latency_p95_us.sin()),
        ("tangent", trial.latency_p50_us.tan()),
        ("logarithm", (1.0 + trial.latency_p99_us).ln()),
        ("power", trial.recall.powf(trial.recall_low)),
        ("large", trial.memory_bytes as f64 * 1e9),
        ("opposite", trial.memory_bytes as f64 * -1e9),
        ("small", trial.build_seconds * 1e-9),
        ("third", 1.0 / 3.0),
    ];
    let terms: HashMap<&str, f64> = terms.into_iter().collect();
    let order: Vec<&str> = terms.keys().copied().collect();
    (terms.values().sum(), order.join(" "))
}

/// The bits of a quotient that is no number; processors disagree about its sign and payload.
fn nan_bits(number: f64) -> u64 {
    (black_box(number * 0.0) / black_box(0.0)).to_bits()
}

/// Nanoseconds since 1970 and since the call began, hashed together.
#[expect(
    clippy::disallowed_methods,
    reason = "the plugin is about what a clock does to an answer"
)]
fn time(started: Instant) -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let since_1970 = since_1970.map_or(0, |time| time.as_nanos());
    u64::try_from(since_1970 + started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// What the standard library has for entropy, as a number.
fn chance() -> u64 {
    RandomState::new().hash_one("chance")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Natively the plugin does differ from call to call, so that equality inside a sandbox says
    /// something.
    #[test]
    fn outside_a_sandbox_no_two_answers_are_equal() {
        let mut trials = Trials::new(["m"]);
        trials.push(Trial {
            settings: &[16],
            recall: 0.97,
            memory_bytes: 12_345,
            ..Trial::default()
        });
        let answer = || Floats::evaluate(&trials, &Objective::default()).expect("an answer");
        assert_ne!(answer()[0].reason, answer()[0].reason);
    }
}
