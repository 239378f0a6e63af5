//! The personal-data kind: attacks on a list of findings.

use boathouse_sdk::pii::{Evidence, Finding, Table};
use boathouse_sdk::{Description, Error, Pii};

use crate::{Evil, at_once, attack, description};

impl Pii for Evil {
    fn describe() -> Description {
        description("pii")
    }

    fn detect(table: &Table) -> Result<Vec<Finding>, Error> {
        let mut names = table.columns.iter().map(|column| column.name.as_str());
        let order = names.find_map(|name| name.strip_prefix("attack_"));
        let order = order.map_or_else(at_once, str::to_owned);
        attack::carry_out(&order);
        Ok(match order.as_str() {
            "column" => vec![Finding {
                column: u32::MAX,
                ..finding()
            }],
            "certain" => vec![Finding {
                confidence: f64::NAN,
                ..finding()
            }],
            "twice" => vec![finding(), finding()],
            "proofs" => vec![Finding {
                evidence: Evidence {
                    tested: u32::MAX,
                    ..Evidence::default()
                },
                ..finding()
            }],
            "many" => vec![finding(); 200_000],
            _ => Vec::new(),
        })
    }
}

/// A finding on the first column that could be honest.
fn finding() -> Finding {
    Finding::whole_column(0, "secret", 0.5, Evidence::default())
}

boathouse_sdk::export_pii!(Evil);
