//! Non-dominated sorting of trials by recall (more is better), p95 latency and memory (less is).
//!
//! A trial dominates another when it is at least as good in all three and better in one. Front 0 is
//! what nobody dominates, front 1 what nobody dominates once front 0 is taken away, and so on.
//!
//! The sort is the efficient non-dominated sort with binary search over fronts (Zhang, Tian, Cheng
//! and Jin, 2015, ENS-BS): taken best recall first, a trial can only be dominated by those before
//! it, and if front f holds a dominator then so does every front before f. Since recall is settled
//! by the order, domination is a question in the plane of latency and memory, and each front
//! answers it by binary search in its staircase of least memory per latency. That makes
//! O(n log^2 n) comparisons, all between integers.

/// The front of every trial, in the order of the input. The columns have equal lengths and hold
/// finite numbers.
pub(crate) fn sort(recall: &[f64], p95_us: &[f64], memory: &[u64]) -> Vec<u32> {
    let measured = recall.iter().zip(p95_us).zip(memory);
    let mut points: Vec<Point> = (0..)
        .zip(measured)
        .map(|(row, ((&recall, &p95), &memory))| Point {
            recall_loss: !ordered(recall),
            p95: ordered(p95),
            memory,
            row,
        })
        .collect();
    points.sort_unstable();

    let mut ranks = vec![0; points.len()];
    let mut fronts: Vec<Staircase> = Vec::new();
    let mut previous: Option<(&Point, u32)> = None;
    for point in &points {
        let front = match previous {
            // Equal points do not dominate each other.
            Some((same, front)) if same.measures() == point.measures() => front,
            _ => {
                let front = fronts.partition_point(|front| front.dominates(point));
                if front == fronts.len() {
                    fronts.push(Staircase::default());
                }
                fronts[front].insert(point);
                front as u32
            }
        };
        ranks[point.row as usize] = front;
        previous = Some((point, front));
    }
    ranks
}

/// A trial with each measure as an integer that is smaller when better; ordered by recall first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    recall_loss: u64,
    p95: u64,
    memory: u64,
    row: u32,
}

impl Point {
    fn measures(&self) -> (u64, u64, u64) {
        (self.recall_loss, self.p95, self.memory)
    }
}

/// An integer that is ordered as the number is; both zeros give the same.
fn ordered(number: f64) -> u64 {
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 0 {
        bits | 1 << 63
    } else {
        !bits
    }
}

/// The lower left edge of a front: latency rises along it and memory falls.
#[derive(Default)]
struct Staircase {
    steps: Vec<(u64, u64)>,
}

impl Staircase {
    /// Whether a member is at least as good as the point, whose recall is no better than any
    /// member's and which equals no member.
    fn dominates(&self, point: &Point) -> bool {
        let faster = self.steps.partition_point(|&(p95, _)| p95 <= point.p95);
        faster > 0 && self.steps[faster - 1].1 <= point.memory
    }

    /// Adds a point that no member dominates, and drops the steps that it covers.
    fn insert(&mut self, point: &Point) {
        let start = self.steps.partition_point(|&(p95, _)| p95 < point.p95);
        let covered = self.steps[start..].partition_point(|&(_, memory)| memory >= point.memory);
        self.steps
            .splice(start..start + covered, [(point.p95, point.memory)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, peeled front by front.
    fn by_definition(recall: &[f64], p95: &[f64], memory: &[u64]) -> Vec<u32> {
        let dominates = |a: usize, b: usize| {
            let no_worse = recall[a] >= recall[b] && p95[a] <= p95[b] && memory[a] <= memory[b];
            no_worse && (recall[a], p95[a], memory[a]) != (recall[b], p95[b], memory[b])
        };
        let mut ranks = vec![None; recall.len()];
        for front in 0.. {
            let left: Vec<usize> = (0..ranks.len())
                .filter(|&row| ranks[row].is_none())
                .collect();
            if left.is_empty() {
                break;
            }
            for &row in &left {
                if !left.iter().any(|&other| dominates(other, row)) {
                    ranks[row] = Some(front);
                }
            }
        }
        ranks.into_iter().flatten().collect()
    }

    #[test]
    fn nothing_and_one_and_equals() {
        assert_eq!(sort(&[], &[], &[]), Vec::<u32>::new());
        assert_eq!(sort(&[0.9], &[1.0], &[1]), [0]);
        assert_eq!(
            sort(&[0.9, 0.9, 0.8], &[1.0, 1.0, 1.0], &[1, 1, 1]),
            [0, 0, 1]
        );
        assert_eq!(sort(&[0.0, -0.0], &[-0.0, 0.0], &[1, 1]), [0, 0]);
    }

    #[test]
    fn one_better_measure_is_enough_to_stay_on_the_front() {
        let fronts = sort(
            &[0.99, 0.90, 0.80, 0.80],
            &[900.0, 300.0, 400.0, 500.0],
            &[9, 9, 5, 9],
        );
        assert_eq!(fronts, [0, 0, 0, 1]);
    }

    #[test]
    fn a_chain_has_as_many_fronts_as_trials() {
        let recall: Vec<f64> = (0..1000).map(|row| 1.0 - f64::from(row) / 1000.0).collect();
        let p95: Vec<f64> = (0..1000).map(f64::from).collect();
        let memory: Vec<u64> = (0..1000).collect();
        assert_eq!(
            sort(&recall, &p95, &memory),
            (0..1000).collect::<Vec<u32>>()
        );
    }

    #[test]
    fn agrees_with_the_definition_on_crowded_and_sparse_journals() {
        let mut state = 7_u64;
        let mut draw = |bound: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        for levels in [2, 4, 50, 1 << 30] {
            for length in [1, 2, 17, 120] {
                let recall: Vec<f64> = (0..length).map(|_| draw(levels) as f64 - 1.0).collect();
                let p95: Vec<f64> = (0..length).map(|_| draw(levels) as f64).collect();
                let memory: Vec<u64> = (0..length).map(|_| draw(levels)).collect();
                let expected = by_definition(&recall, &p95, &memory);
                assert_eq!(
                    sort(&recall, &p95, &memory),
                    expected,
                    "{levels} levels, {length} trials"
                );
            }
        }
    }
}
