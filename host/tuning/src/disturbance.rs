//! How much the machine was busy with something else while it measured.
//!
//! Repeats that differ tell of noise that comes and goes; they do not tell of a neighbour that takes a share of
//! the core all the time. Linux does: `/proc/thread-self/schedstat` says for how long the measuring thread was
//! ready and had to wait for a core, `/proc/stat` which share of the cores' time was stolen by the machine under
//! a virtual one. Where there is no such file nothing is known, and nothing is claimed.

use std::{
    fs,
    time::{Duration, Instant},
};

/// Ticks over which a share is told: a tick is mostly ten milliseconds of one core.
const FEWEST_TICKS: u64 = 50;

/// The counters at the beginning of a measurement, which begins and ends on one thread.
#[derive(Debug)]
pub(crate) struct Watch {
    began: Instant,
    waited: Option<Duration>,
    ticks: Option<Ticks>,
}

/// What happened meanwhile, as shares of the time in 0..=1; none where the system does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Disturbance {
    /// The measuring thread was ready and had no core.
    pub(crate) waited: Option<f64>,
    /// The cores were taken away from this machine.
    pub(crate) stolen: Option<f64>,
}

/// Time of all cores since the start of the system, in ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ticks {
    all: u64,
    stolen: u64,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
            waited: waited(),
            ticks: ticks(),
        }
    }

    pub(crate) fn stop(&self) -> Disturbance {
        let wall = self.began.elapsed().as_secs_f64();
        let waiting = waited().zip(self.waited);
        let ticking = ticks().zip(self.ticks);
        Disturbance {
            waited: waiting.map(|(now, then)| share(now.saturating_sub(then).as_secs_f64(), wall)),
            stolen: ticking.and_then(|(now, then)| now.stolen_since(then)),
        }
    }
}

impl Ticks {
    /// The share that was stolen; none over so few ticks that a single one would be a great share of them.
    fn stolen_since(self, then: Self) -> Option<f64> {
        let all = self.all.saturating_sub(then.all);
        let stolen = self.stolen.saturating_sub(then.stolen) as f64;
        (all >= FEWEST_TICKS).then(|| share(stolen, all as f64))
    }
}

impl Disturbance {
    /// Why times are not to be believed where more than a share of the time was lost; none when they are, as
    /// far as is known.
    pub(crate) fn complaint(&self, bearable: f64) -> Option<String> {
        let over = |share: Option<f64>| share.filter(|share| *share > bearable);
        let percent = |share: f64| share * 100.0;
        let waited = over(self.waited).map(|share| {
            format!(
                "the measurement waited for a core {:.0} % of the time",
                percent(share)
            )
        });
        let stolen = over(self.stolen)
            .map(|share| format!("{:.0} % of the cores' time was stolen", percent(share)));
        match (waited, stolen) {
            (Some(waited), Some(stolen)) => Some(format!("{waited}, {stolen}")),
            (waited, stolen) => waited.or(stolen),
        }
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 {
        (part / whole).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

fn waited() -> Option<Duration> {
    parse_waited(&fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// The second of three numbers: nanoseconds of waiting.
fn parse_waited(schedstat: &str) -> Option<Duration> {
    let nanos = schedstat.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

fn ticks() -> Option<Ticks> {
    parse_ticks(&fs::read_to_string("/proc/stat").ok()?)
}

/// The line of all cores: user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in
/// user and nice already.
fn parse_ticks(stat: &str) -> Option<Ticks> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Option<Vec<u64>> = line
        .split_whitespace()
        .take(8)
        .map(|field| field.parse().ok())
        .collect();
    let fields = fields.filter(|fields| fields.len() == 8)?;
    Some(Ticks {
        all: fields.iter().sum(),
        stolen: fields[7],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_linux_are_read() {
        let stat = "cpu  10 20 30 40 50 60 70 80 5 5\ncpu0 1 2 3 4 5 6 7 8 0 0\n";
        assert_eq!(
            parse_ticks(stat),
            Some(Ticks {
                all: 360,
                stolen: 80
            })
        );
        assert_eq!(parse_ticks("cpu  1 2 3"), None, "no steal on an old system");
        assert_eq!(parse_ticks("intr 1"), None);
        assert_eq!(
            parse_waited("1493936 140969 2\n"),
            Some(Duration::from_nanos(140_969))
        );
        assert_eq!(parse_waited(""), None);
    }

    #[test]
    fn a_tick_of_a_short_measurement_is_no_theft() {
        let at = |all, stolen| Ticks { all, stolen };
        let began = at(1_000, 10);
        assert_eq!(at(1_000, 10).stolen_since(began), None);
        assert_eq!(at(1_001, 11).stolen_since(began), None, "one tick of one");
        assert_eq!(at(1_049, 30).stolen_since(began), None);
        assert_eq!(at(1_050, 20).stolen_since(began), Some(0.2));
    }

    #[test]
    fn only_what_is_known_and_large_is_complained_of() {
        let complaint = |waited, stolen| Disturbance { waited, stolen }.complaint(0.05);
        assert_eq!(complaint(None, None), None);
        assert_eq!(complaint(Some(0.04), Some(0.0)), None);
        assert!(complaint(Some(0.3), None).is_some_and(|why| why.contains("30 %")));
        assert!(complaint(Some(0.0), Some(0.2)).is_some_and(|why| why.contains("stolen")));
        assert!(complaint(Some(0.3), Some(0.2)).is_some_and(|why| why.contains(", 20 %")));
    }

    #[test]
    fn shares_stay_shares() {
        let found = Watch::start().stop();
        for share in [found.waited, found.stolen].into_iter().flatten() {
            assert!((0.0..=1.0).contains(&share));
        }
        assert!((share(3.0, 2.0) - 1.0).abs() < 1e-12 && share(1.0, 0.0).abs() < 1e-12);
    }
}
