//! What is believed of one measure all over the space: a Gaussian process over the journal.
//!
//! A measure (recall, distances, seconds of building) is taken on a scale where knobs act almost linearly
//! in their logarithms. The process is a straight plane with slopes that are known beforehand up to an
//! error, plus two smooth deviations from it: one that all configurations of a build share, one that they
//! do not (Rasmussen and Williams, *Gaussian Processes for Machine Learning*, 2006, chapter 2 and, for the
//! plane inside the covariance, section 2.7). The prior slopes make a journal of one trial worth something;
//! with knobs of other names they are 0 and the data alone speak.
//!
//! How large the deviations and the noise are is chosen from a few scales by the likelihood of the data.
//! Nothing here draws numbers, so equal journals give equal beliefs. Work is cubic in the number of points;
//! callers bring at most some 160.

/// The slope of a measure along one axis, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Slope {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
}

/// What is known of a measure before any trial.
#[derive(Debug, Clone)]
pub(crate) struct Prior {
    /// One per axis.
    pub(crate) slopes: Vec<Slope>,
    /// Which axes make a build.
    pub(crate) build_axes: Vec<bool>,
    /// Usual size of the deviation that a build's configurations share.
    pub(crate) of_builds: f64,
    /// Usual size of the deviation of a single configuration.
    pub(crate) of_all: f64,
    /// Scales that the noise of a point may have, times what the point says itself.
    pub(crate) noise_scales: &'static [f64],
}

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(crate) at: Vec<f64>,
    pub(crate) value: f64,
    /// Standard deviation of its noise, above 0.
    pub(crate) noise: f64,
}

/// A belief: mean and standard deviation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Belief {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
}

/// Standard deviation of the plane's height: nothing is known.
const HEIGHT: f64 = 10.0;
/// Length over which deviations stay alike, in factors of e.
const LENGTH: f64 = 1.0;
/// Scales of the deviations that are tried.
const SCALES: [f64; 4] = [0.25, 0.5, 1.0, 2.0];

/// Beliefs after the points.
pub(crate) struct Surface {
    prior: Prior,
    scale: f64,
    points: Vec<Vec<f64>>,
    /// Lower triangle of the Cholesky factor of the points' covariance, row after row.
    factor: Vec<Vec<f64>>,
    /// The factor's solution for the points' values less their prior mean.
    weights: Vec<f64>,
}

impl Surface {
    /// Learns from points; without any, the prior alone. A likelihood that is no number loses.
    pub(crate) fn of(prior: &Prior, points: &[Point]) -> Self {
        let mut best: Option<(f64, Self)> = None;
        for scale in SCALES {
            for &noise in prior.noise_scales {
                let Some((likelihood, surface)) = Self::with(prior, points, scale, noise) else {
                    continue;
                };
                if best.as_ref().is_none_or(|(most, _)| likelihood > *most) {
                    best = Some((likelihood, surface));
                }
            }
        }
        match best {
            Some((_, surface)) => surface,
            None => Self::unlearned(prior),
        }
    }

    fn unlearned(prior: &Prior) -> Self {
        Self {
            prior: prior.clone(),
            scale: 1.0,
            points: Vec::new(),
            factor: Vec::new(),
            weights: Vec::new(),
        }
    }

    /// The surface at given scales with its log likelihood, constants aside; none when the covariance
    /// cannot be factored.
    fn with(prior: &Prior, points: &[Point], scale: f64, noise: f64) -> Option<(f64, Self)> {
        let mut surface = Self::unlearned(prior);
        surface.scale = scale;
        surface.points = points.iter().map(|point| point.at.clone()).collect();
        let covariance = |row: usize, column: usize| {
            let own = match row == column {
                true => (noise * points[row].noise).powi(2),
                false => 0.0,
            };
            surface.covariance(&points[row].at, &points[column].at) + own
        };
        let factor = cholesky(points.len(), covariance)?;
        let rest = points
            .iter()
            .map(|point| point.value - surface.plane(&point.at));
        let half = forward(&factor, rest.collect());
        let fit: f64 = half.iter().map(|value| value * value).sum();
        let volume: f64 = (0..factor.len()).map(|row| factor[row][row].ln()).sum();
        let likelihood = -0.5 * fit - volume;
        surface.weights = backward(&factor, half);
        surface.factor = factor;
        likelihood.is_finite().then_some((likelihood, surface))
    }

    /// The mean at a place; costs one pass over the points.
    pub(crate) fn mean(&self, at: &[f64]) -> f64 {
        let known = self.points.iter().zip(&self.weights);
        let learned: f64 = known
            .map(|(point, weight)| weight * self.covariance(point, at))
            .sum();
        self.plane(at) + learned
    }

    /// Mean and deviation at a place, without the noise of a measurement.
    pub(crate) fn at(&self, at: &[f64]) -> Belief {
        let towards = self.points.iter().map(|point| self.covariance(point, at));
        let explained = forward(&self.factor, towards.collect());
        let explained: f64 = explained.iter().map(|value| value * value).sum();
        let left = self.covariance(at, at) - explained;
        Belief {
            mean: self.mean(at),
            deviation: left.max(1e-12).sqrt(),
        }
    }

    fn plane(&self, at: &[f64]) -> f64 {
        let slopes = self.prior.slopes.iter().zip(at);
        slopes.map(|(slope, at)| slope.mean * at).sum()
    }

    fn covariance(&self, a: &[f64], b: &[f64]) -> f64 {
        let (mut plane, mut apart, mut builds_apart) = (HEIGHT * HEIGHT, 0.0, 0.0);
        for (axis, slope) in self.prior.slopes.iter().enumerate() {
            // Slopes are about the usual size of a knob, so that the plane's height stays free.
            let (a, b) = (a[axis] - CENTRE, b[axis] - CENTRE);
            plane += slope.deviation * slope.deviation * a * b;
            let square = (a - b) * (a - b);
            apart += square;
            if self.prior.build_axes[axis] {
                builds_apart += square;
            }
        }
        let alike = |apart: f64| (-0.5 * apart / (LENGTH * LENGTH)).exp();
        let of_builds = (self.scale * self.prior.of_builds).powi(2) * alike(builds_apart);
        let of_all = (self.scale * self.prior.of_all).powi(2) * alike(apart);
        plane + of_builds + of_all
    }
}

/// Logarithm of the usual size of a knob.
const CENTRE: f64 = 3.5;

/// The lower factor of a positive definite matrix, given by its lower triangle; none when it is not.
fn cholesky(size: usize, matrix: impl Fn(usize, usize) -> f64) -> Option<Vec<Vec<f64>>> {
    let mut factor: Vec<Vec<f64>> = Vec::with_capacity(size);
    for row in 0..size {
        let mut line = Vec::with_capacity(row + 1);
        for column in 0..row {
            let above: &Vec<f64> = &factor[column];
            let known: f64 = line
                .iter()
                .zip(above)
                .map(|(a, b): (&f64, &f64)| a * b)
                .sum();
            line.push((matrix(row, column) - known) / above[column]);
        }
        let known: f64 = line.iter().map(|value| value * value).sum();
        let square = matrix(row, row) - known;
        // Written so that a NaN is refused.
        if !(square > 0.0 && square.is_finite()) {
            return None;
        }
        line.push(square.sqrt());
        factor.push(line);
    }
    Some(factor)
}

/// Solves `factor * x = right`.
fn forward(factor: &[Vec<f64>], mut right: Vec<f64>) -> Vec<f64> {
    for row in 0..factor.len() {
        let known: f64 = factor[row][..row]
            .iter()
            .zip(&right)
            .map(|(a, b)| a * b)
            .sum();
        right[row] = (right[row] - known) / factor[row][row];
    }
    right
}

/// Solves `transpose(factor) * x = right`.
fn backward(factor: &[Vec<f64>], mut right: Vec<f64>) -> Vec<f64> {
    for row in (0..factor.len()).rev() {
        right[row] /= factor[row][row];
        let value = right[row];
        for (column, entry) in factor[row][..row].iter().enumerate() {
            right[column] -= entry * value;
        }
    }
    right
}

/// Distribution function of the standard normal, to 1.5e-7 (Abramowitz and Stegun 7.1.26).
pub(crate) fn normal_below(x: f64) -> f64 {
    let (z, t) = (x.abs() / std::f64::consts::SQRT_2, 1.0);
    let t: f64 = t / (1.0 + 0.327_591_1 * z);
    let series = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ];
    let sum = series.iter().fold(0.0, |sum, term| (sum + term) * t);
    let tail = 0.5 * sum * (-z * z).exp();
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// How far a normal value lies below `best` on average, counting nothing where it lies above: the expected
/// improvement (Jones, Schonlau and Welch 1998).
pub(crate) fn expected_gain(best: f64, belief: Belief) -> f64 {
    let gap = best - belief.mean;
    let u = gap / belief.deviation;
    let density = (-0.5 * u * u).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (gap * normal_below(u) + belief.deviation * density).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prior(axes: usize) -> Prior {
        let slope = Slope {
            mean: 0.0,
            deviation: 0.5,
        };
        let mut build_axes = vec![true; axes];
        build_axes[axes - 1] = false;
        Prior {
            slopes: vec![slope; axes],
            build_axes,
            of_builds: 0.3,
            of_all: 0.2,
            noise_scales: &[1.0],
        }
    }

    fn point(at: [f64; 2], value: f64) -> Point {
        Point {
            at: at.to_vec(),
            value,
            noise: 0.01,
        }
    }

    #[test]
    fn it_passes_through_what_was_measured_and_doubts_what_was_not() {
        let points = [
            point([2.0, 3.0], 1.0),
            point([2.0, 4.0], 2.0),
            point([4.0, 4.0], 2.5),
        ];
        let surface = Surface::of(&prior(2), &points);
        for Point { at, value, .. } in &points {
            let found = surface.at(at);
            assert!(
                (found.mean - value).abs() < 0.05 && found.deviation < 0.05,
                "{found:?}"
            );
            assert!((found.mean - surface.mean(at)).abs() < 1e-12);
        }
        let between = surface.at(&[2.0, 3.5]).deviation;
        let beyond = surface.at(&[2.0, 7.0]).deviation;
        assert!(
            between < 0.2 && beyond > 2.0 * between,
            "{between} {beyond}"
        );
    }

    #[test]
    fn a_plane_is_learned_and_continued() {
        let value = |at: [f64; 2]| 1.0 + 0.7 * at[0] - 0.2 * at[1];
        let places = [
            [1.0, 1.0],
            [1.0, 3.0],
            [3.0, 1.0],
            [3.0, 3.0],
            [2.0, 2.0],
            [2.5, 1.0],
        ];
        let points = places.map(|at| point(at, value(at)));
        let surface = Surface::of(&prior(2), &points);
        let far = surface.mean(&[5.0, 5.0]);
        assert!((far - value([5.0, 5.0])).abs() < 0.2, "{far}");
    }

    #[test]
    fn nothing_and_repeats_are_points_too() {
        let empty = Surface::of(&prior(2), &[]);
        assert!(empty.at(&[1.0, 1.0]).deviation > 5.0);
        let same = vec![point([1.0, 1.0], 2.0); 30];
        let found = Surface::of(&prior(2), &same).at(&[1.0, 1.0]);
        assert!((found.mean - 2.0).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn a_value_that_is_none_teaches_nothing() {
        let surface = Surface::of(&prior(2), &[point([1.0, 1.0], f64::NAN)]);
        assert!(surface.mean(&[1.0, 1.0]).is_finite());
    }

    #[test]
    fn the_normal_distribution_agrees_with_tables() {
        let check = |x: f64, expected: f64| {
            assert!(
                (normal_below(x) - expected).abs() < 1e-6,
                "{x}: {}",
                normal_below(x)
            );
        };
        check(0.0, 0.5);
        check(1.0, 0.841_344_7);
        check(-1.96, 0.024_997_9);
        check(8.0, 1.0);
        let sure = |mean| Belief {
            mean,
            deviation: 1e-9,
        };
        assert!((expected_gain(1.0, sure(0.7)) - 0.3).abs() < 1e-6);
        assert!(expected_gain(1.0, sure(1.3)) < 1e-9);
        let even = expected_gain(
            0.0,
            Belief {
                mean: 0.0,
                deviation: 1.0,
            },
        );
        assert!((even - 0.398_942).abs() < 1e-5, "{even}");
    }
}
