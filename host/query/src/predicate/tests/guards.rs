//! What is told of a row that a condition has no answer for, and that a condition written before keeps it away.

use super::*;

#[test]
fn a_row_without_an_answer_is_told_without_its_value() {
    let check = |text: &str, why: &str| {
        let told = matching(text).unwrap_err();
        assert!(
            matches!(told, QueryError::NoAnswer { .. }),
            "{text}: {told:?}"
        );
        let told = told.to_string();
        assert!(
            told.contains(why) && !told.contains("boat"),
            "{text}: {told}"
        );
    };
    check("10 / (n - 2) > 0", "a division by zero");
    check("CAST(title AS BIGINT) = 1", "TRY_CAST");
}

/// Rows are 1, 2, 30 and a null.
#[test]
fn a_condition_guards_what_is_written_after_it() {
    check(&[
        ("n <> 2 AND 10 / (n - 2) < 5", &[0, 2]),
        ("n = 2 OR 10 / (n - 2) < -5", &[0, 1]),
        ("n > 0 AND n <> 2 AND x < 1 AND 10 / (n - 2) < 5", &[0]),
        ("NOT (n = 2 OR 10 / (n - 2) >= 5)", &[0, 2]),
        ("n = 2 OR (n <> 2 AND 10 / (n - 2) < -5)", &[0, 1]),
        ("title = '' AND n <> 30 AND CAST(title AS BIGINT) = 1", &[]),
        // A null decides nothing: what follows is computed, and `false` has the last word under `NOT`.
        ("NOT (n = 2 AND 1 / coalesce(n, 1) = 7)", &[0, 1, 2, 3]),
        ("NOT NOT (n <> 2 AND 10 / (n - 2) < 5)", &[0, 2]),
        ("(n <> 2 AND 10 / (n - 2) < 5) IS TRUE", &[0, 2]),
        ("(n <> 2 AND 10 / (n - 2) < 5) IS NOT TRUE", &[1, 3]),
        ("(n <> 2 AND 10 / (n - 2) < 5) IS FALSE", &[1]),
        ("(n <> 2 AND 10 / (n - 2) < 5) IS NOT FALSE", &[0, 2, 3]),
        ("(n <> 2 AND 10 / (n - 2) < 5) IS UNKNOWN", &[3]),
        ("(n <> 2 AND 10 / (n - 2) < 5) IS NOT UNKNOWN", &[0, 1, 2]),
    ]);
    for text in [
        "10 / (n - 2) < 5 AND n <> 2",
        "n <> 1 AND 10 / (n - 2) < 5",
        "n = 1 OR 10 / (n - 2) < 5",
    ] {
        let told = matching(text).unwrap_err().to_string();
        assert!(
            told.contains("a division by zero; leave such rows out"),
            "{text}: {told}"
        );
    }
}
