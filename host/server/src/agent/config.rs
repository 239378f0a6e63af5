//! `[agent]`: when the agent tunes, how much, and for what it makes way.

use boathouse_types::Objective;
use serde::{Deserialize, Serialize};

/// `[agent]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// Whether indexes are tuned by themselves, until somebody starts or stops the agent.
    pub enabled: bool,
    /// Most trials that start in any hour; at least 1.
    pub max_trials_per_hour: u32,
    /// Seconds after a look at an index in which it is left alone.
    pub cooldown_secs: u32,
    /// Seconds after which an index is looked at though nothing has happened; 0: never.
    pub wake_interval_secs: u32,
    /// Recall that the agent wants at least, where an index's own objective asks for less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_recall: Option<f64>,
    /// 95th percentile of search latency that it accepts at most, in microseconds, where an index's own objective
    /// accepts more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_budget_us: Option<f64>,
    /// Bytes of vectors and graph that it accepts at most, where an index's own objective accepts more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_cap_bytes: Option<u64>,
    /// Searches begun in a second above which it makes way.
    pub pause_above_qps: f64,
    /// Searches under way at once above which it makes way.
    pub pause_above_in_flight: u32,
    /// 95th percentile of the time that searches take, in microseconds, above which it makes way; unset: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_above_p95_us: Option<f64>,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            max_trials_per_hour: 12,
            cooldown_secs: 600,
            wake_interval_secs: 3_600,
            min_recall: None,
            p95_budget_us: None,
            memory_cap_bytes: None,
            pause_above_qps: 50.0,
            pause_above_in_flight: 4,
            pause_above_p95_us: None,
        }
    }
}

impl AgentConfig {
    /// Says which key makes no sense.
    ///
    /// # Errors
    /// The key and what it must be.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let checks = [
            (
                "agent.max_trials_per_hour",
                self.max_trials_per_hour > 0,
                "must be at least 1; `enabled = false` switches the agent off",
            ),
            (
                "agent.min_recall",
                self.min_recall
                    .is_none_or(|recall| recall > 0.0 && recall <= 1.0),
                "must be greater than 0 and at most 1",
            ),
            (
                "agent.p95_budget_us",
                self.p95_budget_us.is_none_or(positive),
                "must be greater than 0",
            ),
            (
                "agent.memory_cap_bytes",
                self.memory_cap_bytes != Some(0),
                "must be at least 1",
            ),
            (
                "agent.pause_above_qps",
                positive(self.pause_above_qps),
                "must be greater than 0",
            ),
            (
                "agent.pause_above_p95_us",
                self.pause_above_p95_us.is_none_or(positive),
                "must be greater than 0",
            ),
        ];
        let wrong = checks.into_iter().find(|(_, is_fine, _)| !is_fine);
        wrong.map_or(Ok(()), |(key, _, must)| Err((key, must)))
    }

    /// What the agent wants of an index: its own objective, and no less than what is configured here.
    pub(crate) fn tightened(&self, own: &Objective) -> Objective {
        let least = |own: Option<f64>, here: Option<f64>| match (own, here) {
            (Some(own), Some(here)) => Some(own.min(here)),
            (own, here) => own.or(here),
        };
        Objective {
            recall_floor: own.recall_floor.max(self.min_recall.unwrap_or(0.0)),
            p95_budget_us: least(own.p95_budget_us, self.p95_budget_us),
            memory_cap_bytes: match (own.memory_cap_bytes, self.memory_cap_bytes) {
                (Some(own), Some(here)) => Some(own.min(here)),
                (own, here) => own.or(here),
            },
            weights: own.weights.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_named() {
        type Change = fn(&mut AgentConfig);
        assert_eq!(AgentConfig::default().check(), Ok(()));
        let wrong: [(&str, Change); 7] = [
            ("max_trials_per_hour", |c| c.max_trials_per_hour = 0),
            ("min_recall", |c| c.min_recall = Some(1.01)),
            ("min_recall", |c| c.min_recall = Some(f64::NAN)),
            ("p95_budget_us", |c| c.p95_budget_us = Some(0.0)),
            ("memory_cap_bytes", |c| c.memory_cap_bytes = Some(0)),
            ("pause_above_qps", |c| c.pause_above_qps = f64::INFINITY),
            ("pause_above_p95_us", |c| c.pause_above_p95_us = Some(-1.0)),
        ];
        for (key, change) in wrong {
            let mut config = AgentConfig::default();
            change(&mut config);
            let (place, _) = config.check().expect_err(key);
            assert_eq!(place, format!("agent.{key}"));
        }
    }

    #[test]
    fn the_stricter_of_two_wishes_holds() {
        let own = Objective {
            recall_floor: 0.9,
            p95_budget_us: Some(500.0),
            memory_cap_bytes: None,
            weights: vec![("recall".to_owned(), 1.0)],
        };
        let lax = AgentConfig {
            min_recall: Some(0.5),
            p95_budget_us: Some(900.0),
            ..AgentConfig::default()
        };
        assert_eq!(lax.tightened(&own), own);
        let strict = AgentConfig {
            min_recall: Some(0.97),
            p95_budget_us: Some(100.0),
            memory_cap_bytes: Some(7),
            ..AgentConfig::default()
        };
        let wanted = Objective {
            recall_floor: 0.97,
            p95_budget_us: Some(100.0),
            memory_cap_bytes: Some(7),
            weights: own.weights.clone(),
        };
        assert_eq!(strict.tightened(&own), wanted);
    }
}
