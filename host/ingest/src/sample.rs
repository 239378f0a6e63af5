//! A sample of every column, drawn while its rows stream past.
//!
//! Per column: the first values, then a uniform reservoir over all later ones (Algorithm L: Li, "Reservoir-
//! Sampling Algorithms of Time Complexity O(n(1+log(N/n)))", ACM TOMS 1994), nulls passed over, so that a
//! sparse column is sampled as well as a full one. Only chosen values are turned into text. The draw is
//! seeded, so the same table gives the same sample.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
};

use arrow::{
    array::{Array, ArrayRef, RecordBatch},
    datatypes::{FieldRef, Schema},
    error::ArrowError,
    util::display::{ArrayFormatter, FormatOptions},
};
use boathouse_types::{ColumnSample, TableSample};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::uuid;

/// Values taken from the start of a column, and from the rest of it: together the 1,000 distinct values
/// that a detector may see at most.
const FIRST: u64 = 500;
const LATER: usize = 500;

/// Longest text of a value, in bytes; longer ones are cut at a character.
const VALUE_BYTES: usize = 256;

/// The sample of a table in the making.
pub(crate) struct Sampler {
    columns: Vec<Column>,
    rows: u64,
}

struct Column {
    field: FieldRef,
    nulls: u64,
    /// Values seen, nulls not counted.
    seen: u64,
    first: Vec<String>,
    later: Vec<String>,
    /// The next value to take into the reservoir, counted as `seen` is.
    next: u64,
    /// Algorithm L's running weight.
    weight: f64,
    chance: ChaCha8Rng,
}

impl Sampler {
    /// A sampler for tables of this schema.
    pub(crate) fn new(schema: &Schema, seed: u64) -> Self {
        let columns = schema.fields().iter().zip(0..).map(|(field, at)| Column {
            field: FieldRef::clone(field),
            nulls: 0,
            seen: 0,
            first: Vec::new(),
            later: Vec::new(),
            next: FIRST,
            weight: 1.0,
            chance: ChaCha8Rng::seed_from_u64(seed ^ at),
        });
        Self {
            columns: columns.collect(),
            rows: 0,
        }
    }

    /// Looks at the next rows.
    pub(crate) fn observe(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.rows += batch.num_rows() as u64;
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            column.observe(array)?;
        }
        Ok(())
    }

    /// The sample.
    pub(crate) fn finish(self, name: &str) -> TableSample {
        let rows = self.rows;
        TableSample {
            name: name.to_owned(),
            columns: self
                .columns
                .into_iter()
                .map(|column| column.finish(rows))
                .collect(),
        }
    }
}

impl Column {
    fn observe(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        let null_count = nulls.as_ref().map_or(0, |nulls| nulls.null_count());
        let present = (array.len() - null_count) as u64;
        self.nulls += null_count as u64;
        let end = self.seen + present;
        if self.seen < FIRST || self.next < end {
            let options = FormatOptions::new().with_display_error(true);
            let array = uuid::showable(&self.field, array)?;
            let formatter = ArrayFormatter::try_new(&array, &options)?;
            match nulls {
                None => self.choose(0..array.len(), end, &formatter),
                Some(nulls) => self.choose(nulls.valid_indices(), end, &formatter),
            }
        }
        self.seen = end;
        Ok(())
    }

    /// Walks the positions of values by skipping to those that are chosen.
    fn choose(
        &mut self,
        mut positions: impl Iterator<Item = usize>,
        end: u64,
        formatter: &ArrayFormatter<'_>,
    ) {
        let mut at = self.seen;
        while at < end {
            let target = if at < FIRST { at } else { self.next };
            let skip = usize::try_from(target.saturating_sub(at)).unwrap_or(usize::MAX);
            if target >= end {
                return;
            }
            let Some(position) = positions.nth(skip) else {
                return;
            };
            self.take(target, shown(formatter, position));
            at = target + 1;
        }
    }

    fn take(&mut self, at: u64, value: String) {
        if at < FIRST {
            self.first.push(value);
            return;
        }
        if self.later.len() < LATER {
            self.later.push(value);
        } else {
            let slot = self.chance.random_range(0..LATER);
            self.later[slot] = value;
        }
        let gap = match self.later.len() {
            LATER => self.gap(),
            _ => 0,
        };
        self.next = at.saturating_add(gap).saturating_add(1);
    }

    /// Draws how many values to pass over, as Algorithm L does.
    fn gap(&mut self) -> u64 {
        self.weight *= (self.uniform().ln() / LATER as f64).exp();
        // A float beyond the range of u64 becomes its greatest value: nothing more is taken.
        (self.uniform().ln() / (1.0 - self.weight).ln()).floor() as u64
    }

    /// Uniform in the open interval (0, 1).
    fn uniform(&mut self) -> f64 {
        self.chance.random::<f64>().max(f64::MIN_POSITIVE)
    }

    fn finish(self, rows: u64) -> ColumnSample {
        let mut values: Vec<(String, u32)> = Vec::new();
        let mut positions = HashMap::new();
        for value in self.first.into_iter().chain(self.later) {
            match positions.get(&value) {
                Some(at) => {
                    let (_, count): &mut (String, u32) = &mut values[*at];
                    *count += 1;
                }
                None => {
                    positions.insert(value.clone(), values.len());
                    values.push((value, 1));
                }
            }
        }
        ColumnSample {
            name: self.field.name().clone(),
            declared_type: self.field.data_type().to_string(),
            rows,
            nulls: self.nulls,
            values,
        }
    }
}

/// One sample of tables that have the same columns, as if it had been drawn from all their rows.
///
/// A sampled value stands for the rows of its table that were not drawn. Of all values, those stay that a
/// systematic draw takes with chances by these rows (Madow, "On the theory of systematic sampling II", Annals
/// of Mathematical Statistics 1949), so that a small table has a small say.
pub(crate) fn merged(samples: &[&TableSample], seed: u64) -> TableSample {
    let Some((first, rest)) = samples.split_first() else {
        return TableSample::default();
    };
    let mut all = (*first).clone();
    if rest.is_empty() {
        return all;
    }
    for (at, column) in all.columns.iter_mut().enumerate() {
        let same: Vec<_> = samples
            .iter()
            .filter_map(|sample| sample.columns.get(at))
            .collect();
        *column = merged_column(&same, seed ^ at as u64);
    }
    all
}

fn merged_column(samples: &[&ColumnSample], seed: u64) -> ColumnSample {
    let mut column = ColumnSample::default();
    let mut weights: Vec<f64> = Vec::new();
    let mut positions = HashMap::new();
    for sample in samples {
        column.name.clone_from(&sample.name);
        column.declared_type.clone_from(&sample.declared_type);
        column.rows += sample.rows;
        column.nulls += sample.nulls;
        let drawn: u64 = sample
            .values
            .iter()
            .map(|(_, count)| u64::from(*count))
            .sum();
        let stands_for = (sample.rows - sample.nulls) as f64 / drawn.max(1) as f64;
        for (value, count) in &sample.values {
            let at = *positions.entry(value).or_insert_with(|| {
                column.values.push((value.clone(), 0));
                weights.push(0.0);
                weights.len() - 1
            });
            column.values[at].1 += count;
            weights[at] += stands_for * f64::from(*count);
        }
    }
    thin_out(&mut column.values, &weights, seed);
    column
}

/// Keeps as many values as a detector may see, drawn by weight, in their order.
fn thin_out(values: &mut Vec<(String, u32)>, weights: &[f64], seed: u64) {
    let most = FIRST as usize + LATER;
    if values.len() <= most {
        return;
    }
    let (mut stays, step) = certain(weights, most);
    // One value for each step along the weights of those that are not certain, from a random start.
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut next = step * chance.random::<f64>();
    let mut passed = 0.0;
    for (stays, weight) in stays.iter_mut().zip(weights).filter(|(stays, _)| !**stays) {
        passed += weight;
        if passed > next {
            *stays = true;
            next += step;
        }
    }
    let mut stays = stays.into_iter();
    values.retain(|_| stays.next().unwrap_or(false));
    values.truncate(most);
}

/// Marks values whose weight is so great that they are drawn in any case, and gives the weight for which one
/// of the others is drawn.
fn certain(weights: &[f64], most: usize) -> (Vec<bool>, f64) {
    let mut stays = vec![false; weights.len()];
    let mut total: f64 = weights.iter().sum();
    let mut left = most;
    loop {
        let step = total / left as f64;
        let mut found = false;
        for (stays, weight) in stays.iter_mut().zip(weights) {
            if !*stays && *weight >= step && left > 1 {
                (*stays, found) = (true, true);
                total -= weight;
                left -= 1;
            }
        }
        if !found {
            return (stays, step);
        }
    }
}

/// A value as text, cut at a character. What is cut off is never in memory as text: values may be long, and many.
fn shown(formatter: &ArrayFormatter<'_>, position: usize) -> String {
    let mut start = Start(String::new());
    // It ends early by an error.
    let _ = write!(start, "{}", formatter.value(position));
    start.0.shrink_to_fit();
    start.0
}

/// The first bytes of what is written, which ends with an error when there are more.
struct Start(String);

impl fmt::Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.floor_char_boundary(VALUE_BYTES - self.0.len());
        self.0.push_str(&text[..end]);
        match end == text.len() {
            true => Ok(()),
            false => Err(fmt::Error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{Int64Array, StringArray},
        datatypes::{DataType, Field},
    };

    use super::*;

    fn sample(batches: &[ArrayRef]) -> ColumnSample {
        let field = Field::new("c", batches[0].data_type().clone(), true);
        let schema = Arc::new(Schema::new(vec![field]));
        let mut sampler = Sampler::new(&schema, 7);
        for array in batches {
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(array)]).unwrap();
            sampler.observe(&batch).unwrap();
        }
        sampler.finish("t").columns.remove(0)
    }

    fn numbers(range: std::ops::Range<i64>) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(range))
    }

    #[test]
    fn a_short_column_is_taken_whole_with_counts() {
        let texts = [Some("a"), None, Some("b"), Some("a"), Some("")];
        let column = sample(&[Arc::new(StringArray::from(texts.to_vec()))]);
        assert_eq!((column.rows, column.nulls), (5, 1));
        let expected = [("a".to_owned(), 2), ("b".to_owned(), 1), (String::new(), 1)];
        assert_eq!(column.values, expected);
        assert_eq!(column.declared_type, "Utf8");
    }

    #[test]
    fn a_long_column_is_sampled_from_start_and_everywhere() {
        let batches: Vec<_> = (0..100)
            .map(|at| numbers(at * 1_000..at * 1_000 + 1_000))
            .collect();
        let column = sample(&batches);
        assert_eq!(column.values.len(), 1_000);
        let values: Vec<i64> = column
            .values
            .iter()
            .map(|(v, _)| v.parse().unwrap())
            .collect();
        assert!((0..500).all(|first| values.contains(&first)));
        let mean = values[500..].iter().sum::<i64>() / 500;
        // The mean of 500 uniform values has a standard error of 1,290; this is eight of them.
        assert!((40_000..60_000).contains(&mean), "{mean}");
        assert_eq!(sample(&batches).values, column.values, "the draw is seeded");
    }

    #[test]
    fn values_between_nulls_are_all_met() {
        let sparse =
            Int64Array::from_iter((0..100_000).map(|at| (at % 1_000 == 999).then_some(at)));
        let column = sample(&[Arc::new(sparse)]);
        assert_eq!((column.values.len(), column.nulls), (100, 99_900));
        for length in [499, 500, 501, 999, 1_000, 1_001] {
            let column = sample(&[numbers(0..length / 2), numbers(length / 2..length)]);
            assert_eq!(column.values.len() as i64, length.min(1_000), "of {length}");
        }
    }

    fn table(column: ColumnSample) -> TableSample {
        TableSample {
            name: "t".to_owned(),
            columns: vec![column],
        }
    }

    #[test]
    fn parts_of_a_table_have_a_say_by_their_rows() {
        let parts = [
            table(sample(&[numbers(0..90_000)])),
            table(sample(&[numbers(90_000..100_000)])),
            table(sample(&[numbers(0..10)])),
        ];
        let parts: Vec<_> = parts.iter().collect();
        let all = merged(&parts, 7).columns.remove(0);
        assert_eq!((all.rows, all.nulls, all.values.len()), (100_010, 0, 1_000));
        let values = all.values.iter().map(|(value, _)| value.parse::<i64>());
        let of_second = values.filter(|v| *v.as_ref().unwrap() >= 90_000).count();
        // A tenth of the rows; the draw is off by one value at most.
        assert!((99..=101).contains(&of_second), "{of_second}");
        assert_eq!(merged(&parts, 7).columns[0].values, all.values, "seeded");
    }

    #[test]
    fn equal_values_of_parts_are_one_value() {
        let parts = [0..600, 300..900, 900..901].map(|range| table(sample(&[numbers(range)])));
        let parts: Vec<_> = parts.iter().collect();
        let all = merged(&parts, 7).columns.remove(0);
        assert_eq!(all.values.len(), 901);
        let twice = all.values.iter().filter(|(_, count)| *count == 2).count();
        assert_eq!((twice, all.rows), (300, 1_201));
        let alone = merged(&parts[..1], 7);
        assert_eq!(alone.columns[0].values, parts[0].columns[0].values);
        assert!(merged(&[], 7).columns.is_empty());
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let column = sample(&[Arc::new(StringArray::from(vec![
            "é".repeat(200),
            "x".to_owned() + &"é".repeat(200),
        ]))]);
        let lengths: Vec<_> = column.values.iter().map(|(value, _)| value.len()).collect();
        assert_eq!(lengths, [256, 255]);
        assert_eq!(DataType::Utf8.to_string(), column.declared_type);
    }
}
