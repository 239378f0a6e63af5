//! The journal of trials as plugins see it, and the objective it is judged by.
//!
//! The journal is a struct of arrays, as in the contract: a plugin that looks at three columns of a
//! thousand rows reads three slices. [`Trials::iter`] offers the same data row by row. Every column
//! has exactly [`Trials::len`] entries; the crate checks it where a journal enters the component.

use crate::Extra;

/// A journal of trials, oldest first, one entry per trial in every column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trials {
    pub(crate) count: usize,
    /// Names of the knobs, for example `m`, `ef_construction`, `ef_search`.
    pub knobs: Vec<String>,
    /// Values of the knobs, row by row: [`Trials::len`] times the number of knobs.
    pub settings: Vec<u32>,
    /// recall@k, in 0..=1.
    pub recall: Vec<f64>,
    /// Lower end of the 95 % confidence interval of recall.
    pub recall_low: Vec<f64>,
    /// Upper end of the 95 % confidence interval of recall.
    pub recall_high: Vec<f64>,
    /// Median search latency in microseconds, one thread.
    pub latency_p50_us: Vec<f64>,
    /// 95th percentile of search latency in microseconds.
    pub latency_p95_us: Vec<f64>,
    /// 99th percentile of search latency in microseconds.
    pub latency_p99_us: Vec<f64>,
    /// Distance computations per query, mean.
    pub distances: Vec<f64>,
    /// Bytes of vectors and graph in memory.
    pub memory_bytes: Vec<u64>,
    /// Seconds spent building the graph; 0 when the trial reused one.
    pub build_seconds: Vec<f64>,
    /// Further measures by name, one value per row.
    pub measures: Vec<(String, Vec<f64>)>,
}

/// One row of [`Trials`]; units as there.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Trial<'a> {
    /// One value per knob, in the order of [`Trials::knobs`].
    pub settings: &'a [u32],
    /// recall@k.
    pub recall: f64,
    /// Lower end of its interval.
    pub recall_low: f64,
    /// Upper end of its interval.
    pub recall_high: f64,
    /// Median latency.
    pub latency_p50_us: f64,
    /// 95th percentile of latency.
    pub latency_p95_us: f64,
    /// 99th percentile of latency.
    pub latency_p99_us: f64,
    /// Distance computations per query.
    pub distances: f64,
    /// Bytes in memory.
    pub memory_bytes: u64,
    /// Seconds of building.
    pub build_seconds: f64,
}

impl Trials {
    /// An empty journal over these knobs.
    #[must_use]
    pub fn new<'a>(knobs: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            knobs: knobs.into_iter().map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    /// Number of trials.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing has been tried yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The knob values of a row; none when there is no such row.
    #[must_use]
    pub fn settings_of(&self, row: usize) -> Option<&[u32]> {
        let width = self.knobs.len();
        let start = row.checked_mul(width)?;
        (row < self.count).then(|| self.settings.get(start..start + width))?
    }

    /// Whether a configuration has been tried; `settings` has one value per knob.
    #[must_use]
    pub fn contains(&self, settings: &[u32]) -> bool {
        self.iter().any(|trial| trial.settings == settings)
    }

    /// The trials, row by row, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Trial<'_>> {
        let width = self.knobs.len();
        (0..self.count).map(move |row| Trial {
            settings: &self.settings[row * width..(row + 1) * width],
            recall: self.recall[row],
            recall_low: self.recall_low[row],
            recall_high: self.recall_high[row],
            latency_p50_us: self.latency_p50_us[row],
            latency_p95_us: self.latency_p95_us[row],
            latency_p99_us: self.latency_p99_us[row],
            distances: self.distances[row],
            memory_bytes: self.memory_bytes[row],
            build_seconds: self.build_seconds[row],
        })
    }

    /// Appends a row; for tests, since inside a component the host fills the journal.
    ///
    /// # Panics
    ///
    /// When the row has another number of settings than the journal has knobs, or when the journal
    /// has further measures, which a row does not carry.
    pub fn push(&mut self, trial: Trial<'_>) {
        let widths = (trial.settings.len(), self.measures.len());
        assert_eq!(
            widths,
            (self.knobs.len(), 0),
            "one setting per knob, no measures"
        );
        self.count += 1;
        self.settings.extend_from_slice(trial.settings);
        self.recall.push(trial.recall);
        self.recall_low.push(trial.recall_low);
        self.recall_high.push(trial.recall_high);
        self.latency_p50_us.push(trial.latency_p50_us);
        self.latency_p95_us.push(trial.latency_p95_us);
        self.latency_p99_us.push(trial.latency_p99_us);
        self.distances.push(trial.distances);
        self.memory_bytes.push(trial.memory_bytes);
        self.build_seconds.push(trial.build_seconds);
    }

    /// Refuses a journal in which a column has another length than the journal has rows.
    #[cfg(any(test, target_family = "wasm"))]
    pub(crate) fn check(&self) -> Result<(), crate::Error> {
        let columns = [
            ("recall", self.recall.len()),
            ("recall_low", self.recall_low.len()),
            ("recall_high", self.recall_high.len()),
            ("latency_p50_us", self.latency_p50_us.len()),
            ("latency_p95_us", self.latency_p95_us.len()),
            ("latency_p99_us", self.latency_p99_us.len()),
            ("distances", self.distances.len()),
            ("memory_bytes", self.memory_bytes.len()),
            ("build_seconds", self.build_seconds.len()),
        ];
        let measures = self.measures.iter();
        let measures = measures.map(|(name, values)| (name.as_str(), values.len()));
        let mut lengths = columns.into_iter().chain(measures);
        if let Some((name, length)) = lengths.find(|&(_, length)| length != self.count) {
            let count = self.count;
            return Err(crate::Error::invalid_input(format!(
                "column `{name}` has {length} entries for {count} trials"
            )));
        }
        if self.count.checked_mul(self.knobs.len()) != Some(self.settings.len()) {
            let (settings, count, knobs) = (self.settings.len(), self.count, self.knobs.len());
            return Err(crate::Error::invalid_input(format!(
                "{settings} settings for {count} trials of {knobs} knobs"
            )));
        }
        Ok(())
    }
}

/// What a good configuration is for the owner of the index.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// Least acceptable recall@k, in 0..=1.
    pub recall_floor: f64,
    /// Most acceptable 95th percentile of search latency, in microseconds.
    pub p95_budget_us: Option<f64>,
    /// Most memory that vectors and graph may take, in bytes.
    pub memory_cap_bytes: Option<u64>,
    /// Free weights, for scoring plugins that take them.
    pub weights: Vec<(String, f64)>,
    /// Further facts.
    pub extra: Extra,
}

impl Objective {
    /// Whether a trial meets every bound: the lower end of its recall's interval reaches the floor,
    /// p95 latency and memory keep within budget and cap where these are given.
    #[must_use]
    pub fn is_met_by(&self, trial: &Trial<'_>) -> bool {
        let fast = |budget| trial.latency_p95_us <= budget;
        let small = |cap| trial.memory_bytes <= cap;
        trial.recall_low >= self.recall_floor
            && self.p95_budget_us.is_none_or(fast)
            && self.memory_cap_bytes.is_none_or(small)
    }
}

impl Default for Objective {
    /// Recall of at least 0.95, no other bound.
    fn default() -> Self {
        Self {
            recall_floor: 0.95,
            p95_budget_us: None,
            memory_cap_bytes: None,
            weights: Vec::new(),
            extra: Extra::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Trials {
        let mut trials = Trials::new(["m", "ef_search"]);
        for ef_search in [30, 40] {
            trials.push(Trial {
                settings: &[16, ef_search],
                recall: 0.9,
                memory_bytes: 7,
                ..Trial::default()
            });
        }
        trials
    }

    #[test]
    fn rows_come_back_as_they_went_in() {
        let trials = journal();
        assert_eq!((trials.len(), trials.is_empty()), (2, false));
        let last = trials.iter().last().expect("two rows");
        assert_eq!((last.settings, last.memory_bytes), (&[16, 40][..], 7));
        assert_eq!(trials.settings_of(1), Some(&[16, 40][..]));
        assert_eq!(trials.settings_of(2), None);
        assert!(trials.contains(&[16, 30]) && !trials.contains(&[16, 31]));
        assert!(!Trials::default().contains(&[]));
    }

    #[test]
    fn an_objective_is_met_when_no_bound_is_broken() {
        let trial = Trial {
            recall: 0.97,
            recall_low: 0.95,
            latency_p95_us: 300.0,
            memory_bytes: 1000,
            ..Trial::default()
        };
        let all = Objective {
            p95_budget_us: Some(300.0),
            memory_cap_bytes: Some(1000),
            ..Objective::default()
        };
        assert!(Objective::default().is_met_by(&trial) && all.is_met_by(&trial));
        let worse = [
            Trial {
                recall_low: 0.949,
                ..trial
            },
            Trial {
                latency_p95_us: 301.0,
                ..trial
            },
            Trial {
                memory_bytes: 1001,
                ..trial
            },
        ];
        assert!(worse.iter().all(|trial| !all.is_met_by(trial)));
    }

    #[test]
    fn a_whole_journal_passes_the_check_and_a_torn_one_does_not() {
        assert_eq!(journal().check(), Ok(()));
        assert_eq!(Trials::default().check(), Ok(()));

        let mut short = journal();
        short.distances.pop();
        let refused = short.check().expect_err("one distance is missing");
        assert!(
            refused
                .to_string()
                .contains("`distances` has 1 entries for 2")
        );

        let mut narrow = journal();
        narrow.settings.pop();
        assert!(narrow.check().is_err());

        let mut measured = journal();
        measured.measures.push(("warmth".to_owned(), vec![1.0]));
        let refused = measured.check().expect_err("one value for two rows");
        assert!(refused.to_string().contains("`warmth`"));
    }

    #[test]
    #[should_panic(expected = "one setting per knob")]
    fn a_row_of_the_wrong_width_is_a_mistake_of_the_test() {
        journal().push(Trial::default());
    }
}
