//! The moment with which an hour, a day, a week, a month, a quarter or a year begins, in any year.
//!
//! DataFusion's `date_trunc` goes by way of nanoseconds, of which 64 bits hold the years 1677 to 2262, and 9999-12-31 is
//! what many tables say for "never". Here it is reckoned in days. Only moments without a zone are truncated here: where
//! a day begins in a zone is DataFusion's to say, and so is all that is shorter than a second.
//!
//! Days to years and months and back: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2014). Years begin in
//! March there, so that a leap day is the last of its year; an era is the 400 years after which the calendar repeats.

use std::sync::Arc;

use arrow::{
    array::TimestampMicrosecondArray,
    datatypes::{DataType, TimeUnit},
};
use datafusion_common::{
    DataFusionError, cast::as_timestamp_microsecond_array, utils::take_function_args,
};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::kind::{Part, value_type};

const MICROS_OF_A_SECOND: i64 = 1_000_000;
const MICROS_OF_A_DAY: i64 = 86_400 * MICROS_OF_A_SECOND;
const DAYS_OF_AN_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;
/// In which moments are truncated.
const MOMENT: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// What begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Span {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// A function that gives the beginning of the span that a moment lies in.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Beginning {
    span: Span,
    signature: Signature,
}

/// What truncates this moment to that unit, and what it is given; none where DataFusion does it as well.
pub(crate) fn truncating(unit: &Part, moment: &Part) -> Option<(Arc<ScalarUDF>, Part)> {
    let is_ours = matches!(
        value_type(&moment.data_type),
        DataType::Date32
            | DataType::Date64
            | DataType::Timestamp(
                TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond,
                None
            )
    );
    let span = match unit.literal_text()?.to_lowercase().as_str() {
        "second" => Span::Second,
        "minute" => Span::Minute,
        "hour" => Span::Hour,
        "day" => Span::Day,
        "week" => Span::Week,
        "month" => Span::Month,
        "quarter" => Span::Quarter,
        "year" => Span::Year,
        _ => return None,
    };
    let function = || {
        Arc::new(ScalarUDF::new_from_impl(Beginning {
            span,
            signature: Signature::any(1, Volatility::Immutable),
        }))
    };
    is_ours.then(|| (function(), moment.clone().cast(&MOMENT)))
}

impl ScalarUDFImpl for Beginning {
    fn name(&self) -> &'static str {
        "date_trunc"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(MOMENT)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let rows = args.number_rows;
        let [moments] = take_function_args(self.name(), args.args)?;
        let moments = moments.into_array(rows)?;
        let moments = as_timestamp_microsecond_array(&moments)?;
        let begun: TimestampMicrosecondArray = moments.unary(|moment| self.span.begin(moment));
        Ok(ColumnarValue::Array(Arc::new(begun)))
    }
}

impl Span {
    /// When the span began that a moment lies in; both in microseconds. What began before the first microsecond that
    /// there is begins with that.
    fn begin(self, moment: i64) -> i64 {
        let whole = |micros: i64| moment.div_euclid(micros).saturating_mul(micros);
        let day = moment.div_euclid(MICROS_OF_A_DAY);
        let (year, month) = month_of(day);
        let begun = match self {
            Self::Second => return whole(MICROS_OF_A_SECOND),
            Self::Minute => return whole(60 * MICROS_OF_A_SECOND),
            Self::Hour => return whole(3_600 * MICROS_OF_A_SECOND),
            Self::Day => day,
            // The first day that is counted was a Thursday; weeks begin on Mondays.
            Self::Week => day - (day + 3).rem_euclid(7),
            Self::Month => first_day(year, month),
            Self::Quarter => first_day(year, month - (month - 1) % 3),
            Self::Year => first_day(year, 1),
        };
        begun.saturating_mul(MICROS_OF_A_DAY)
    }
}

/// Year and month, 1 to 12, of a day, which is counted from 1970-01-01.
fn month_of(day: i64) -> (i64, i64) {
    let day = day + EPOCH;
    let (era, of_era) = (
        day.div_euclid(DAYS_OF_AN_ERA),
        day.rem_euclid(DAYS_OF_AN_ERA),
    );
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let since_march = (5 * of_year + 2) / 153;
    let month = (since_march + 2) % 12 + 1;
    (era * 400 + year + i64::from(month <= 2), month)
}

/// The first day of a month.
fn first_day(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * DAYS_OF_AN_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_agree_over_all_eras() {
        assert_eq!((month_of(0), first_day(1970, 1)), ((1970, 1), 0));
        assert_eq!((month_of(-1), first_day(1969, 12)), ((1969, 12), -31));
        assert_eq!((month_of(11_016), first_day(2000, 3)), ((2000, 2), 11_017));
        assert_eq!(
            (month_of(2_932_896), first_day(10_000, 1)),
            ((9_999, 12), 2_932_897)
        );
        for day in (-900_000..3_000_000).step_by(13) {
            let (year, month) = month_of(day);
            let next = match month {
                12 => first_day(year + 1, 1),
                _ => first_day(year, month + 1),
            };
            assert!((1..=12).contains(&month));
            assert!((first_day(year, month)..next).contains(&day), "{day}");
            assert!(
                (28..=31).contains(&(next - first_day(year, month))),
                "{day}"
            );
        }
    }

    #[test]
    fn spans_begin_where_the_calendar_says() {
        let noon = |day: i64| day * MICROS_OF_A_DAY + MICROS_OF_A_DAY / 2;
        // 2024-11-20, a Wednesday; 1969-12-31, one too; the last day of 9999, a Friday.
        for (day, begins) in [
            (20_047, [20_047, 20_045, 20_028, 19_997, 19_723]),
            (-1, [-1, -3, -31, -92, -365]),
            (
                2_932_896,
                [2_932_896, 2_932_892, 2_932_866, 2_932_805, 2_932_532],
            ),
        ] {
            let spans = [
                Span::Day,
                Span::Week,
                Span::Month,
                Span::Quarter,
                Span::Year,
            ];
            for (span, begin) in spans.into_iter().zip(begins) {
                assert_eq!(
                    span.begin(noon(day)),
                    begin * MICROS_OF_A_DAY,
                    "{span:?} of {day}"
                );
            }
        }
        for (span, begin) in [
            (Span::Second, -1),
            (Span::Minute, -60),
            (Span::Hour, -3_600),
        ] {
            assert_eq!(span.begin(-1), begin * MICROS_OF_A_SECOND, "{span:?}");
        }
        for span in [Span::Second, Span::Hour, Span::Day, Span::Week, Span::Year] {
            assert!(
                span.begin(i64::MIN) <= span.begin(i64::MAX),
                "the ends are computed too"
            );
        }
    }
}
