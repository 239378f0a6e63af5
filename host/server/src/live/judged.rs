//! What judged samples of one index add up to: recall by configuration, the alarm, drift.
//!
//! Recall is kept apart by *subject*: the base that was searched and the configuration that searched it, with the
//! `ef_search` of the request. Rows that are appended change no subject, as they are compared one by one. What
//! serves at present is one of the subjects, and it alone can raise the alarm; when another configuration takes over,
//! the alarm ends with the one that it was about.
//!
//! The alarm is raised when recall is surely below the floor, and cleared when the mean is at or above it. Between the
//! two lies half an interval, so it does not flicker. Whether it is to be raised is looked at again and again for as
//! long as an index serves, and each look is a chance to be wrong: so it is looked at after every [`LEAST`] samples
//! only, and what is sure is sure at 99.9 % ([`Estimate::is_surely_below`]). The ten looks of a window raise a false
//! alarm about a recall exactly at the floor in at most half a percent of all cases (Bonferroni's inequality; one side
//! of each interval counts).

use boathouse_types::{IndexConfig, Timestamp};

use super::{
    drift::Distances,
    view::{Alarm, SubjectView},
    window::{Estimate, History, Window},
};

/// Fewest samples that can raise the alarm, and new ones between two looks whether it is to be raised.
pub(super) const LEAST: u64 = 50;
/// Subjects that are remembered.
const SUBJECTS: usize = 8;
/// Milliseconds after which somebody is told again of an alarm that stays: an hour.
const AGAIN: i64 = 3_600_000;

/// What searched, and what was searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    /// Version of the base.
    pub(super) data_version: String,
    /// The configuration, with the `ef_search` that was used.
    pub(super) config: IndexConfig,
}

/// Somebody is to hear of the recall of what serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Call {
    /// It has fallen below the floor.
    Raised(Estimate),
    /// It is still below the floor.
    Again(Estimate),
    /// It is back.
    Cleared(Estimate),
}

/// Everything that was judged.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Searches that were judged.
    pub(super) count: u64,
    /// How often the alarm was raised.
    pub(super) breaches: u64,
    pub(super) history: History,
    pub(super) distances: Distances,
    /// Least recently judged first.
    subjects: Vec<(Subject, Window)>,
    alarm: Option<Standing>,
}

#[derive(Debug)]
struct Standing {
    subject: Subject,
    since: Timestamp,
    told: Timestamp,
}

impl Judged {
    /// Adds the recall of a search. `serving` is what serves at present, `floor` what it is to reach.
    pub(super) fn add(
        &mut self,
        now: Timestamp,
        (subject, recall): (Subject, f64),
        serving: &Subject,
        floor: f64,
    ) -> Option<Call> {
        self.count += 1;
        self.history.add(now, recall);
        let concerns_serving = subject == *serving;
        let window = self.window(subject, serving);
        window.add(now, recall);
        let is_look = window.added().is_multiple_of(LEAST);
        if self
            .alarm
            .as_ref()
            .is_some_and(|alarm| alarm.subject != *serving)
        {
            self.alarm = None;
        }
        if !concerns_serving {
            return None;
        }
        let estimate = self.estimate(serving, now)?;
        let is_low = is_look && estimate.samples >= LEAST && estimate.is_surely_below(floor);
        match &mut self.alarm {
            None if is_low => {
                self.breaches += 1;
                self.alarm = Some(Standing {
                    subject: serving.clone(),
                    since: now,
                    told: now,
                });
                Some(Call::Raised(estimate))
            }
            Some(_) if estimate.recall >= floor => {
                self.alarm = None;
                Some(Call::Cleared(estimate))
            }
            Some(alarm) if now.millis() - alarm.told.millis() >= AGAIN => {
                alarm.told = now;
                Some(Call::Again(estimate))
            }
            _ => None,
        }
    }

    /// The window of a subject, which becomes the most recently judged. Another one is forgotten for it where there are
    /// too many, but never that of what serves.
    fn window(&mut self, subject: Subject, serving: &Subject) -> &mut Window {
        let known = self
            .subjects
            .iter()
            .position(|(known, _)| *known == subject);
        let entry = match known {
            Some(at) => self.subjects.remove(at),
            None => (subject, Window::default()),
        };
        if self.subjects.len() == SUBJECTS {
            let oldest = self.subjects.iter().position(|(known, _)| known != serving);
            self.subjects.remove(oldest.unwrap_or(0));
        }
        &mut self.subjects.push_mut(entry).1
    }

    /// What is known of the recall of a subject.
    pub(super) fn estimate(&self, subject: &Subject, now: Timestamp) -> Option<Estimate> {
        let mut known = self.subjects.iter();
        let (_, window) = known.find(|(known, _)| known == subject)?;
        window.estimate(now)
    }

    /// The alarm about what serves.
    pub(super) fn alarm(&self, serving: &Subject) -> Option<Alarm> {
        let alarm = self.alarm.as_ref()?;
        (alarm.subject == *serving).then_some(Alarm { since: alarm.since })
    }

    /// All subjects, the most recently judged first.
    pub(super) fn subjects(&self, serving: &Subject, now: Timestamp) -> Vec<SubjectView> {
        let known = self.subjects.iter().rev();
        let view = |(subject, window): &(Subject, Window)| {
            Some(SubjectView {
                data_version: subject.data_version.clone(),
                config: subject.config,
                serves: subject == serving,
                estimate: window.estimate(now)?,
                last_at: window.newest()?,
            })
        };
        known.filter_map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{draw, is_below};

    const FLOOR: f64 = 0.9;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + seconds * 1_000)
    }

    fn subject(ef_search: u32) -> Subject {
        Subject {
            data_version: "v1".to_owned(),
            config: IndexConfig {
                ef_search,
                ..IndexConfig::default()
            },
        }
    }

    /// Samples of what serves, one a second from `from` on; what was called and after how many.
    fn feed(judged: &mut Judged, from: i64, recalls: &[f64]) -> Vec<(usize, Call)> {
        let serving = subject(30);
        let add = |(number, recall): (usize, &f64)| {
            let now = at(from + number as i64);
            let call = judged.add(now, (serving.clone(), *recall), &serving, FLOOR);
            call.map(|call| (number + 1, call))
        };
        recalls.iter().enumerate().filter_map(add).collect()
    }

    #[test]
    fn the_alarm_needs_samples_and_the_whole_interval_below_the_floor() {
        let mut judged = Judged::default();
        let calls = feed(&mut judged, 0, &[0.5; 60]);
        assert_eq!(calls.len(), 1);
        let (after, Call::Raised(estimate)) = calls[0] else {
            panic!("{calls:?}");
        };
        assert_eq!((after, estimate.samples), (LEAST as usize, LEAST));
        assert!(estimate.interval.high < FLOOR);
        assert_eq!(judged.alarm(&subject(30)), Some(Alarm { since: at(49) }));
        assert_eq!(judged.breaches, 1);

        // A mean below the floor is not enough when the interval reaches over it.
        let mut judged = Judged::default();
        let close: Vec<f64> = (0..100).map(|at| [0.78, 1.0][at % 2]).collect();
        assert_eq!(feed(&mut judged, 0, &close), []);
        assert_eq!(judged.alarm(&subject(30)), None);
    }

    #[test]
    fn the_alarm_stays_until_the_mean_is_back_and_is_repeated_hourly() {
        let mut judged = Judged::default();
        assert_eq!(feed(&mut judged, 0, &[0.85; 100]).len(), 1);
        // 200 samples: the interval reaches over the floor long before the mean does.
        let calls = feed(&mut judged, 100, &[0.94; 200]);
        let [(after, Call::Cleared(estimate))] = calls[..] else {
            panic!("{calls:?}");
        };
        assert!(
            estimate.recall >= FLOOR && after > 100,
            "{after}: {estimate:?}"
        );
        assert_eq!(judged.alarm(&subject(30)), None);

        let mut judged = Judged::default();
        feed(&mut judged, 0, &[0.5; 60]);
        assert_eq!(feed(&mut judged, 3_600, &[0.5; 40]), []);
        let calls = feed(&mut judged, 3_649, &[0.5; 10]);
        assert!(matches!(calls[..], [(1, Call::Again(_))]), "{calls:?}");
        assert_eq!(judged.breaches, 1);
    }

    #[test]
    fn only_what_serves_raises_the_alarm_and_takes_it_along() {
        let mut judged = Judged::default();
        let (serving, other) = (subject(30), subject(1));
        for second in 0..100 {
            let call = judged.add(at(second), (other.clone(), 0.1), &serving, FLOOR);
            assert_eq!(call, None, "somebody asked for ef_search 1");
        }
        assert_eq!(judged.estimate(&serving, at(100)), None);
        assert_eq!(feed(&mut judged, 100, &[0.5; 60]).len(), 1);
        assert!(judged.alarm(&serving).is_some());
        // Another configuration serves: what is late of the old one changes nothing.
        assert_eq!(judged.alarm(&other), None);
        let call = judged.add(at(200), (serving.clone(), 0.5), &other, FLOOR);
        assert_eq!((call, judged.alarm(&serving)), (None, None));
        let shown = judged.subjects(&other, at(200));
        let serves: Vec<_> = shown
            .iter()
            .map(|one| (one.config.ef_search, one.serves))
            .collect();
        assert_eq!(serves, [(30, false), (1, true)]);
        assert_eq!(judged.count, 161);
    }

    #[test]
    fn subjects_that_nobody_asks_for_any_more_are_forgotten() {
        let mut judged = Judged::default();
        let serving = subject(30);
        for ef in 0..100 {
            judged.add(at(ef.into()), (subject(ef), 1.0), &serving, FLOOR);
            judged.add(at(ef.into()), (serving.clone(), 1.0), &serving, FLOOR);
        }
        let shown = judged.subjects(&serving, at(100));
        assert_eq!(shown.len(), SUBJECTS);
        assert_eq!(shown[0].config.ef_search, 30);
        assert!(shown[0].estimate.samples >= 100);
    }

    #[test]
    fn others_never_push_out_what_serves() {
        let mut judged = Judged::default();
        let serving = subject(30);
        assert_eq!(feed(&mut judged, 0, &[0.5; 60]).len(), 1);
        for ef in 100..200 {
            judged.add(at(60), (subject(ef), 1.0), &serving, FLOOR);
        }
        let kept = judged.estimate(&serving, at(60)).unwrap();
        assert_eq!((kept.samples, kept.recall), (60, 0.5));
        assert_eq!(judged.subjects(&serving, at(60)).len(), SUBJECTS);
        assert!(judged.alarm(&serving).is_some());
    }

    /// Recall exactly at the floor is no alarm, however often it is looked at.
    #[test]
    fn repeated_looks_rarely_raise_a_false_alarm() {
        let serving = subject(30);
        let raised = (0..100_u64).filter(|run| {
            let mut judged = Judged::default();
            for sample in 0..500 {
                // Of five queries one is answered half: 0.9 on average.
                let is_half = is_below(draw(run * 1_000 + sample), 0.2);
                let recall = if is_half { 0.5 } else { 1.0 };
                judged.add(at(0), (serving.clone(), recall), &serving, FLOOR);
            }
            judged.breaches > 0
        });
        assert!(raised.count() <= 1);
    }
}
