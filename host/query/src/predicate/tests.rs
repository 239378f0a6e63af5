//! What a predicate means for rows, what is refused and how that is said, and that no text brings the parser down.

use arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
        Int64Array, LargeStringArray, ListArray, StringArray, Time64MicrosecondArray,
        TimestampMicrosecondArray, UInt64Array,
    },
    datatypes::{DataType, Field, Int32Type, Int64Type},
};
use proptest::prelude::*;

use super::*;

mod extremes;
mod guards;

/// Three rows and a row of nulls, with a column of every kind.
fn rows() -> RecordBatch {
    let columns = [numbers(), texts(), moments(), names()]
        .into_iter()
        .flatten();
    let columns = columns.map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn whole(numbers: [i64; 3]) -> ArrayRef {
    let numbers = numbers.into_iter().map(Some).chain([None]);
    Arc::new(numbers.collect::<Int64Array>())
}

fn numbers() -> Vec<(&'static str, ArrayRef)> {
    let fee = Decimal128Array::from(vec![Some(10), Some(250), Some(99_999), None]);
    vec![
        ("n", whole([1, 2, 30])),
        (
            "big",
            Arc::new(UInt64Array::from(vec![
                Some(1),
                Some(u64::MAX),
                Some(0),
                None,
            ])),
        ),
        (
            "x",
            Arc::new(Float64Array::from(vec![
                Some(0.1),
                Some(2.5),
                Some(f64::NAN),
                None,
            ])),
        ),
        (
            "fee",
            Arc::new(fee.with_precision_and_scale(38, 2).unwrap()),
        ),
        (
            "open",
            Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(false),
                Some(true),
                None,
            ])),
        ),
    ]
}

fn texts() -> Vec<(&'static str, ArrayRef)> {
    let title = [Some("Ann's boat"), Some("50% off"), Some(""), None];
    let kind = [Some("old"), Some("new"), Some("old"), None];
    let kind = kind.into_iter().collect::<DictionaryArray<Int32Type>>();
    vec![
        ("title", Arc::new(StringArray::from(title.to_vec()))),
        (
            "long",
            Arc::new(LargeStringArray::from(vec![
                Some("a"),
                Some("b"),
                Some("ß"),
                None,
            ])),
        ),
        ("kind", Arc::new(kind)),
    ]
}

fn moments() -> Vec<(&'static str, ArrayRef)> {
    let days = [Some(20_000), Some(20_001), Some(20_002), None];
    let micros = days.map(|day| day.map(|day| i64::from(day) * 86_400_000_000));
    let at = TimestampMicrosecondArray::from(micros.to_vec());
    let clock = [Some(0), Some(43_200_000_000), Some(1), None];
    vec![
        ("day", Arc::new(Date32Array::from(days.to_vec()))),
        ("at", Arc::new(at.clone())),
        ("seen", Arc::new(at.with_timezone("UTC"))),
        (
            "clock",
            Arc::new(Time64MicrosecondArray::from(clock.to_vec())),
        ),
    ]
}

/// Columns whose names are what is asked about, and two that cannot be.
fn names() -> Vec<(&'static str, ArrayRef)> {
    let lists = [Some(vec![Some(1)]), None, Some(vec![]), None];
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
    vec![
        ("tags", Arc::new(lists)),
        ("Two Words", whole([7, 8, 9])),
        ("CamelCase", whole([7, 8, 9])),
        ("größe", whole([7, 8, 9])),
        ("Case", whole([1, 1, 1])),
        ("case", whole([2, 2, 2])),
        ("nothing", arrow::array::new_null_array(&DataType::Null, 4)),
    ]
}

fn matching(text: &str) -> Result<Vec<usize>, QueryError> {
    let rows = rows();
    let found = Predicate::parse(text, rows.schema_ref())?.evaluate(&rows)?;
    assert_eq!((found.len(), found.null_count()), (4, 0), "{text}");
    Ok((0..4).filter(|row| found.value(*row)).collect())
}

#[track_caller]
fn check(cases: &[(&str, &[usize])]) {
    for (text, expected) in cases {
        match matching(text) {
            Ok(found) => assert_eq!(found, *expected, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

/// That texts are refused with words in what is said.
#[track_caller]
fn check_refused(cases: &[(&str, &[&str])]) {
    for (text, words) in cases {
        let told = match matching(text) {
            Ok(found) => panic!("{text} finds {found:?}"),
            Err(error) => error.to_string(),
        };
        for word in *words {
            assert!(
                told.contains(word),
                "{text}: `{word}` is missing in: {told}"
            );
        }
        assert!(!told.contains('\n') && told.len() < 1_000, "{text}: {told}");
    }
}

#[test]
fn columns_of_every_kind_compare_with_values() {
    check(&[
        ("n = 2", &[1]),
        ("n <> 2", &[0, 2]),
        ("n < 2.5", &[0, 1]),
        ("n > -1 AND n < 30", &[0, 1]),
        ("n % 2 = 0", &[1, 2]),
        ("n * 2 + 1 >= 5", &[1, 2]),
        ("big = 18446744073709551615", &[1]),
        ("big > n", &[1]),
        ("x = 0.1", &[0]),
        ("x < 1e3 AND x > 0", &[0, 1]),
        ("fee = 0.10", &[0]),
        ("fee = 2.5", &[1]),
        ("fee BETWEEN 0.1 AND 2.5", &[0, 1]),
        ("fee > 2", &[1, 2]),
        ("fee > n", &[1, 2]),
        ("title = 'Ann''s boat'", &[0]),
        ("title > 'A'", &[0]),
        ("long = 'ß'", &[2]),
        ("long < 'b'", &[0]),
        ("kind = 'old'", &[0, 2]),
        ("open", &[0, 2]),
        ("open = FALSE", &[1]),
        ("NOT open", &[1]),
        ("day = '2024-10-05'", &[1]),
        ("day > DATE '2024-10-04'", &[1, 2]),
        ("day >= '2024-10-04T12:00:00'", &[1, 2]),
        ("at = '2024-10-05T00:00:00'", &[1]),
        ("at < '2024-10-05'", &[0]),
        ("seen >= '2024-10-05T02:00:00+02:00'", &[1, 2]),
        ("at >= day", &[0, 1, 2]),
        ("clock = '12:00:00'", &[1]),
        ("clock < TIME '00:00:01'", &[0, 2]),
    ]);
}

#[test]
fn conditions_combine_as_in_sql() {
    check(&[
        ("n IN (1, 30, 7)", &[0, 2]),
        ("n NOT IN (1, 30)", &[1]),
        ("kind IN ('new', 'newer')", &[1]),
        ("fee IN (0.1, 999.99)", &[0, 2]),
        ("day IN ('2024-10-04')", &[0]),
        ("n NOT BETWEEN 2 AND 29", &[0, 2]),
        ("title LIKE 'Ann%'", &[0]),
        ("title LIKE '__\\% off'", &[1]),
        ("title ILIKE 'ann%'", &[0]),
        ("title NOT LIKE '%o%'", &[2]),
        ("kind LIKE 'o_d'", &[0, 2]),
        ("n IS NULL", &[3]),
        ("n IS NOT NULL", &[0, 1, 2]),
        ("open IS TRUE", &[0, 2]),
        ("open IS NOT TRUE", &[1, 3]),
        ("open IS UNKNOWN", &[3]),
        ("n IS DISTINCT FROM 1", &[1, 2, 3]),
        ("n IS NOT DISTINCT FROM NULL", &[3]),
        ("(n = 1 OR n = 2) AND NOT (n = 2)", &[0]),
        ("n = 1 OR n = 2 AND n = 3", &[0]),
        ("-n < -1", &[1, 2]),
        ("1 = 1", &[0, 1, 2, 3]),
        ("TRUE", &[0, 1, 2, 3]),
        ("1 = 2", &[]),
        ("NULL", &[]),
        ("n = NULL", &[]),
        ("nothing IS NULL", &[0, 1, 2, 3]),
        ("CAST(n AS VARCHAR) = '30'", &[2]),
        ("TRY_CAST(title AS BIGINT) IS NULL", &[0, 1, 2, 3]),
        ("CAST(fee AS DOUBLE) > 2.4", &[1, 2]),
        ("CAST(at AS DATE) = day", &[0, 1, 2]),
    ]);
}

#[test]
fn functions_are_those_of_the_list() {
    check(&[
        ("lower(title) = 'ann''s boat'", &[0]),
        ("UPPER(kind) = 'OLD'", &[0, 2]),
        ("length(title) = 0", &[2]),
        ("starts_with(title, 'Ann')", &[0]),
        ("contains(title, '%')", &[1]),
        ("ends_with(long, 'b')", &[1]),
        ("trim('  a ') = long", &[0]),
        ("substr(title, 1, 2) = '50'", &[1]),
        ("left(title, 3) = 'Ann'", &[0]),
        ("strpos(title, 'boat') > 0", &[0]),
        ("coalesce(n, 0) = 0", &[3]),
        (
            "EXTRACT(year FROM at) = 2024 AND date_part('day', day) = 5",
            &[1],
        ),
        ("date_trunc('month', at) = '2024-10-01'", &[0, 1, 2]),
        ("date_trunc('MONTH', day) = DATE '2024-10-01'", &[0, 1, 2]),
        ("date_trunc('week', day) = '2024-09-30'", &[0, 1, 2]),
        (
            "date_trunc('month', seen) = '2024-10-01T00:00:00Z'",
            &[0, 1, 2],
        ),
        (
            "date_trunc('year', DATE '9999-12-31') = '9999-01-01' AND n = 1",
            &[0],
        ),
        ("date_trunc('hour', at) = at", &[0, 1, 2]),
    ]);
    check_refused(&[
        (
            "now() > at",
            &["the function `now` (at character 1)", "lower"],
        ),
        ("random() < 0.5", &["`random`"]),
        ("repeat(title, 1000000000) = 'x'", &["`repeat`"]),
        ("count(n) > 1", &["`count`"]),
        ("sum(n) OVER () > 1", &["a window function"]),
        ("count(DISTINCT n) > 1", &["`count`"]),
        ("lower(n) = 'a'", &["lower needs a text and gets a number"]),
        (
            "length(title, title) = 1",
            &["`length` gets 2 arguments", "it needs 1"],
        ),
        ("coalesce() = 1", &["`coalesce` gets 0 arguments"]),
        ("date_part('moon', at) = 1", &["moon"]),
        ("current_timestamp > at", &[]),
        ("title || 'a' = 'a'", &["the operator `||`"]),
    ]);
}

#[test]
fn names_mean_the_column_that_is_called_so() {
    check(&[
        ("N = 1", &[0]),
        ("\"n\" = 1", &[0]),
        ("\"Two Words\" = 7", &[0]),
        ("camelcase = 8", &[1]),
        ("\"CamelCase\" = 8", &[1]),
        ("größe = 9", &[2]),
        ("Größe = 9", &[2]),
        ("\"Case\" = 1", &[0, 1, 2]),
        ("\"case\" = 1", &[]),
    ]);
    check_refused(&[
        (
            "tilte = 'a'",
            &[
                "no column `tilte` (at character 1)",
                "did you mean `title`?",
                "`n`, `big`",
            ],
        ),
        (
            "n = 1\nAND\n  missing = 2",
            &["`missing` (at line 3, character 3)"],
        ),
        ("\"N\" = 1", &["no column `N`", "did you mean `n`?"]),
        ("CASE_ = 1", &["no column `CASE_`"]),
        ("people.n = 1", &["a name with a dot", "double quotes"]),
    ]);
    let rows = rows();
    let schema = rows.schema();
    // `CASE` begins an expression of its own in a predicate, so names are asked themselves.
    let either = crate::names::resolve(&schema, &sqlparser::ast::Ident::new("CaSe"));
    let told = either.unwrap_err().to_string();
    assert!(told.contains("any of `Case`, `case`"), "{told}");
    let looks_at = |text| {
        let predicate = Predicate::parse(text, &schema).unwrap();
        predicate.columns().join(",")
    };
    assert_eq!(looks_at("title IS NULL OR n = 1"), "n,title");
    assert_eq!(looks_at("1 = 1"), "");
}

#[test]
fn what_is_no_condition_is_refused_with_its_place() {
    check_refused(&[
        ("", &["not a condition in SQL"]),
        ("   ", &["not a condition in SQL"]),
        ("n =", &["expected", "EOF"]),
        ("n = = 1", &["(at character 5)"]),
        ("n = 1 n = 2", &["(at character 7)", "goes on with `n`"]),
        ("n = 1; DROP TABLE x", &["(at character 6)"]),
        ("title = 'open", &["nterminated"]),
        ("n IN ()", &[]),
        ("(n = 1", &["expected"]),
        ("n", &["a filter needs true or false and gets a number"]),
        ("title", &["gets a text"]),
        ("n AND open", &["AND needs true or false"]),
        ("NOT n", &["NOT needs true or false"]),
        ("n IN (SELECT 1)", &["a subquery"]),
        ("EXISTS (SELECT 1)", &["a subquery"]),
        ("n = (SELECT 1)", &["a subquery"]),
        ("CASE WHEN open THEN open ELSE open END", &["CASE"]),
        ("n = ?", &[]),
        ("n = $1", &[]),
        ("title SIMILAR TO 'a'", &["a regular expression"]),
        ("title LIKE 'a' ESCAPE 'x'", &["ESCAPE"]),
        (
            "at > TIMESTAMP '2024-01-01' - INTERVAL '1' DAY",
            &["`-` needs a number"],
        ),
        ("INTERVAL '1' DAY = 1", &["an interval"]),
        ("CAST(n AS JSON) = 1", &["the type `JSON`"]),
        (
            "CAST(n AS DECIMAL(99, 2)) = 1",
            &["the type `DECIMAL(99,2)`"],
        ),
        ("*", &[]),
    ]);
}

#[test]
fn kinds_are_not_mixed() {
    check_refused(&[
        (
            "n = '1'",
            &[
                "a number is compared with a text (at character 5)",
                "without quotes",
            ],
        ),
        ("title = 5", &["a text is compared with a number", "CAST"]),
        ("title > n", &["a text is compared with a number"]),
        ("open = 1", &["true or false is compared with a number"]),
        ("n LIKE '1%'", &["LIKE needs a text and gets a number"]),
        (
            "at > 'yesterday'",
            &[
                "`yesterday` is not a date or timestamp (at character 6)",
                "2026-01-31",
            ],
        ),
        ("DATE '2024-02-30' = day", &["`2024-02-30` is not a date"]),
        ("clock = 'noon'", &["`noon` is not a time of day"]),
        ("at = n", &["compared with"]),
        ("title + 1 = 2", &["`+` needs a number"]),
        ("-title = 'a'", &["`-` needs a number"]),
        ("n IN (1, 'a')", &["a number is compared with a text"]),
        ("title IN ('a', 1)", &["a list for a text needs a text"]),
        ("coalesce(n, 'a') = 1", &["compared with a text"]),
        (
            "tags = 1",
            &["column `tags` is List", "a filter can say nothing"],
        ),
        ("tags IS NULL", &["column `tags`"]),
    ]);
}

#[test]
fn a_text_has_its_limits() {
    let check = |text: String, word: &str| {
        let told = matching(&text).unwrap_err().to_string();
        assert!(told.contains(word), "{told}");
    };
    check(
        format!("title = '{}'", "a".repeat(20_000)),
        "20010 bytes and may have 16384",
    );
    check(
        format!("{}n = 1{}", "(".repeat(40), ")".repeat(40)),
        "nest more than 16 deep",
    );
    for times in [15, 16, 40] {
        check("NOT ".repeat(times) + "n = 1 + 1", "nest more than 16 deep");
        check("NOT (".repeat(times) + "open", "nest more than 16 deep");
    }
    check("NOT ".repeat(5) + "n = ", "not a condition in SQL");
    check(
        format!("n = 1{}", " + 1".repeat(400)),
        "nest more than 48 deep",
    );
    check(format!("n = 1{}", "+1".repeat(4_000)), "more than 1000");
    check("(".repeat(16_000), "more than 1000");
    check("- ".repeat(8_000) + "1 = 1", "more than 1000");
    check(format!("n = {}", "9".repeat(400)), "is no number");

    let many: Vec<String> = (0..1_500)
        .map(|number| format!("{}", number * 7 - 700))
        .collect();
    assert_eq!(matching(&format!("n IN ({})", many.join(","))), Ok(vec![]));
    let alternatives = vec!["n = 2"; 249].join(" OR ");
    assert_eq!(matching(&alternatives), Ok(vec![1]));
    let alternatives: Vec<String> = (0..249).map(|number| format!("n = {number}")).collect();
    assert_eq!(matching(&alternatives.join(" OR ")), Ok(vec![0, 1, 2]));
    let nested = format!("{}n = 2{}", "(".repeat(14), ")".repeat(14));
    assert_eq!(matching(&nested), Ok(vec![1]));
}

/// Calls and conversions are what the parser tries in several ways, each of which may try its parts again.
#[test]
fn nested_calls_that_end_nowhere_are_given_up_soon() {
    for piece in [
        "CAST(",
        "lower(",
        "EXTRACT(year FROM ",
        "n IN (",
        "CASE ",
        "TRIM(",
        "(",
        "NOT ",
        "DATE ",
        "n BETWEEN ",
        "[",
        "{",
        "ARRAY[",
    ] {
        for depth in [5, 15, 16, 17, 200] {
            let text = piece.repeat(depth);
            assert!(matching(&text).is_err(), "{text}");
            assert!(matching(&format!("{text}n")).is_err(), "{text}n");
        }
    }
}

#[test]
fn a_batch_may_have_other_columns_in_another_order_and_must_have_these() {
    let rows = rows();
    let predicate = Predicate::parse("n = 2 AND title LIKE '5%'", rows.schema_ref()).unwrap();
    let title = rows.schema().index_of("title").unwrap();
    let found = predicate
        .evaluate(&rows.project(&[1, title, 0]).unwrap())
        .unwrap();
    assert_eq!(found, BooleanArray::from(vec![false, true, false, false]));
    let missing = predicate
        .evaluate(&rows.project(&[0]).unwrap())
        .unwrap_err();
    assert!(
        missing.to_string().contains("does not have the columns"),
        "{missing}"
    );
    let always = Predicate::parse("1 = 1", rows.schema_ref()).unwrap();
    let none = RecordBatch::try_new_with_options(
        Arc::new(Schema::empty()),
        Vec::new(),
        &RecordBatchOptions::new().with_row_count(Some(3)),
    );
    assert_eq!(always.evaluate(&none.unwrap()).unwrap().true_count(), 3);
    let twice = Schema::new(vec![Field::new("a", DataType::Int64, true); 2]);
    assert!(Predicate::parse("a = 1", &twice).is_err());
}

/// Words of which predicates are made, and some of which they are not.
const WORDS: [&str; 46] = [
    "n",
    "title",
    "open",
    "at",
    "\"Two Words\"",
    "missing",
    "1",
    "2.5",
    "1e9",
    "'a'",
    "'2024-10-05'",
    "TRUE",
    "NULL",
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "LIKE",
    "ILIKE",
    "IS",
    "DISTINCT",
    "FROM",
    "CAST",
    "AS",
    "BIGINT",
    "DATE",
    "lower",
    "coalesce",
    "EXTRACT",
    "year",
    "CASE",
    "WHEN",
    "SELECT",
    "(",
    ")",
    ",",
    "=",
    "<>",
    "<",
    "+",
    "-",
    "*",
    "/",
    "%",
    "::",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever is written, there is an answer for every row or a clause that says what is wrong.
    #[test]
    fn no_text_brings_it_down(words in proptest::collection::vec(0..WORDS.len(), 0..60), blank in any::<bool>()) {
        let words: Vec<&str> = words.into_iter().map(|at| WORDS[at]).collect();
        let text = words.join(if blank { " " } else { "" });
        if let Err(error) = matching(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn neither_does_any_other_text(text in "\\PC{0,200}") {
        if let Err(error) = matching(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    /// Of a condition and its opposite each row matches one, or none where the answer is unknown.
    #[test]
    fn a_condition_and_its_opposite_share_no_row(a in -3i64..40, b in -3i64..40, at in 0..4usize) {
        let condition = [
            format!("n > {a} AND n < {b}"),
            format!("n IN ({a}, {b}, 2) OR title LIKE '%{a}%'"),
            format!("n BETWEEN {a} AND {b}"),
            format!("NOT (fee < {a} OR fee >= {b}.5)"),
        ][at].clone();
        let (yes, no) = (matching(&condition).unwrap(), matching(&format!("NOT ({condition})")).unwrap());
        prop_assert!(yes.iter().all(|row| !no.contains(row)));
        prop_assert_eq!(yes.len() + no.len(), 3);
    }
}
