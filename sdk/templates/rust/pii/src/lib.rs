//! `{{name}}`: decides which columns hold personal data.
//!
//! As an example it knows one kind that no general detector can: the numbers that your company gives its people, an
//! `E` with six digits. A column is reported when most of its values look like one.

use boathouse_sdk::pii::{Evidence, Finding, Table};
use boathouse_sdk::{Description, Error, Pii};

struct Plugin;

impl Pii for Plugin {
    fn describe() -> Description {
        let summary = "Finds columns with employee numbers.";
        Description::new("{{name}}", env!("CARGO_PKG_VERSION"), summary).reads(["name", "values"])
    }

    fn detect(table: &Table) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        for (at, column) in (0..).zip(&table.columns) {
            let mut evidence = Evidence::of(column, is_employee_number);
            let named = column.name.to_lowercase().contains("employee");
            evidence.name_evidence = if named { 1.0 } else { 0.0 };
            if evidence.matched >= 3 && evidence.share() >= 0.5 {
                let confidence = if named { 0.99 } else { 0.9 } * evidence.share();
                findings.push(Finding::whole_column(
                    at,
                    "employee_number",
                    confidence,
                    evidence,
                ));
            }
        }
        Ok(findings)
    }
}

boathouse_sdk::export_pii!(Plugin);

fn is_employee_number(value: &str) -> bool {
    let digits = value.strip_prefix('E');
    digits.is_some_and(|rest| rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use boathouse_sdk::testing::table;

    #[test]
    fn employee_numbers_are_found_and_order_numbers_are_not() {
        let table = table(&[
            ("order", &["E12", "X000123", "E1234567", "000123"]),
            ("employee", &["E000123", "E000124", "E999999", "unknown"]),
        ]);
        let findings = Plugin::detect(&table).expect("findings");
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].column, findings[0].evidence.matched), (1, 3));
        assert!((0.0..=1.0).contains(&findings[0].confidence));
    }
}
