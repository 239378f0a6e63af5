//! How good approximate answers are: recall of one query, and its mean over many with an interval.

use boathouse_types::Interval;

use crate::exact::Neighbor;

/// Half width of a normal interval of 95 %, in standard errors.
const Z: f64 = 1.959_964;

/// Share of the true nearest rows that were found, in 0..=1.
///
/// Only the first `truth.len()` of `found` count, so that a longer answer is no advantage. With an
/// empty truth there is nothing to miss and the recall is 1. A row as near as the last true one but
/// not among them (a tie) counts as missed.
#[must_use]
pub fn recall_at_k(found: &[Neighbor], truth: &[u32]) -> f64 {
    if truth.is_empty() {
        return 1.0;
    }
    let mut rows: Vec<u32> = found.iter().take(truth.len()).map(|n| n.row).collect();
    rows.sort_unstable();
    rows.dedup();
    let hits = truth.iter().filter(|row| rows.binary_search(row).is_ok());
    hits.count() as f64 / truth.len() as f64
}

/// Mean of values in 0..=1, one a query, and its 95 % confidence interval within 0..=1.
///
/// The interval is the normal one, mean ± 1.96 s/√n, taken after one imagined query of value 0 joins
/// the sample for the lower bound and one of value 1 for the upper. Without that a sample of all ones
/// has no spread and would claim certainty; with it, n perfect queries give a lower bound of about
/// 1 - 2.96/n, which is the rule of three (J. Hanley and A. Lippman-Hand, "If nothing goes wrong, is
/// everything all right?", JAMA 249, 1983), and the bound moves without a jump when one of them is
/// less than perfect. Queries, not neighbours, are what is independent, so k does not enter.
///
/// No value at all gives a mean of 0 and the interval 0..=1.
#[must_use]
pub fn mean_with_interval(values: &[f64]) -> (f64, Interval) {
    if values.is_empty() {
        return (
            0.0,
            Interval {
                low: 0.0,
                high: 1.0,
            },
        );
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let (low_mean, low_half) = normal_interval_with(values, 0.0);
    let (high_mean, high_half) = normal_interval_with(values, 1.0);
    let interval = Interval {
        low: (low_mean - low_half).clamp(0.0, 1.0),
        high: (high_mean + high_half).clamp(0.0, 1.0),
    };
    (mean, interval)
}

/// The lower bound that [`mean_with_interval`] gives of so many ones: no other values of that number give a higher one.
///
/// Of n ones and the imagined 0 the mean is n / (n + 1) and the standard error 1 / (n + 1).
#[must_use]
pub fn surest_low(values: u64) -> f64 {
    let n = values as f64;
    ((n - Z) / (n + 1.0)).max(0.0)
}

/// How many values there have to be for a lower bound this high; none for 1 and above, which no number of values gives.
#[must_use]
pub fn values_for_low(low: f64) -> Option<u64> {
    if low >= 1.0 {
        return None;
    }
    let least = ((low + Z) / (1.0 - low)).ceil().max(1.0) as u64;
    // What was rounded may be one short.
    Some(least.saturating_add(u64::from(surest_low(least) < low)))
}

/// Centre and half width of the normal interval of the values and one more.
fn normal_interval_with(values: &[f64], imagined: f64) -> (f64, f64) {
    let all = || values.iter().copied().chain([imagined]);
    let n = values.len() as f64 + 1.0;
    let mean = all().sum::<f64>() / n;
    let variance = all().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, Z * (variance / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_counts_each_true_row_once() {
        let found = |rows: &[u32]| -> Vec<Neighbor> {
            rows.iter()
                .map(|&row| Neighbor { row, distance: 0.0 })
                .collect()
        };
        let check = |rows: &[u32], truth: &[u32], expected: f64| {
            assert_eq!(
                recall_at_k(&found(rows), truth),
                expected,
                "{rows:?} of {truth:?}"
            );
        };
        check(&[1, 2, 3, 4], &[4, 3, 2, 1], 1.0);
        check(&[1, 2, 9, 8], &[1, 2, 3, 4], 0.5);
        check(&[1, 1, 1, 1], &[1, 2, 3, 4], 0.25);
        check(&[9, 8, 1, 2], &[1, 2], 0.0);
        check(&[], &[1], 0.0);
        check(&[5], &[], 1.0);
    }

    #[test]
    fn perfect_samples_keep_a_doubt_as_by_the_rule_of_three() {
        for n in [100_usize, 1_000, 10_000] {
            let (mean, interval) = mean_with_interval(&vec![1.0; n]);
            assert_eq!(mean, 1.0);
            assert_eq!(interval.high, 1.0);
            let doubt = (1.0 - interval.low) * n as f64;
            assert!((2.8..3.0).contains(&doubt), "{doubt}");
        }
    }

    #[test]
    fn the_surest_bound_is_that_of_a_perfect_sample() {
        for n in [1_usize, 2, 10, 300, 5_000] {
            let (_, interval) = mean_with_interval(&vec![1.0; n]);
            let bound = surest_low(n as u64);
            assert!((bound - interval.low).abs() < 1e-9, "{n}: {bound}");
        }
        for low in [0.5, 0.95, 0.99, 0.999, 0.999_9] {
            let needed = values_for_low(low).unwrap();
            assert!(surest_low(needed) >= low, "{low}");
            assert!(surest_low(needed - 1) < low, "{low}: {needed} are too many");
        }
        assert_eq!((surest_low(0), values_for_low(1.0)), (0.0, None));
        assert_eq!(values_for_low(0.0), Some(2));
    }

    #[test]
    fn one_imperfect_query_does_not_raise_the_lower_bound() {
        let mut values = vec![1.0; 1_000];
        let (_, perfect) = mean_with_interval(&values);
        values[0] = 0.9;
        let (_, imperfect) = mean_with_interval(&values);
        assert!(imperfect.low < perfect.low);
    }

    #[test]
    fn agrees_with_the_normal_interval_where_that_is_sound() {
        let values: Vec<f64> = (0..2_000).map(|i| f64::from(i % 11) / 10.0).collect();
        let (mean, interval) = mean_with_interval(&values);
        assert!((mean - 0.5).abs() < 0.001);
        // Standard deviation 0.3162 over 2,000 queries.
        assert!((mean - interval.low - 0.013_86).abs() < 6e-4);
        assert!((interval.high - mean - 0.013_86).abs() < 6e-4);
    }

    #[test]
    fn tiny_samples_say_little() {
        assert_eq!(
            mean_with_interval(&[]).1,
            Interval {
                low: 0.0,
                high: 1.0
            }
        );
        assert_eq!(
            mean_with_interval(&[1.0]).1,
            Interval {
                low: 0.0,
                high: 1.0
            }
        );
        assert_eq!(mean_with_interval(&[0.0; 50]).1.low, 0.0);
    }
}
