//! What so many queries can show of a recall, however good a configuration is.
//!
//! Recall counts by the lower bound of its interval, and that lies below 1 even when every query finds everything: at
//! 0.990 for 300 queries, at 0.997 for 1,000. A floor above it is out of reach for every configuration; more queries
//! bring it into reach, no trial does.

use boathouse_vector::{surest_low, values_for_low};

/// Why no configuration can be shown to reach a floor with so many queries; none where one can.
pub(crate) fn out_of_reach(queries: u64, floor: f64) -> Option<String> {
    let most = surest_low(queries);
    if most >= floor {
        return None;
    }
    let cure = match values_for_low(floor) {
        Some(needed) => format!(
            "make an evaluation set of at least {needed} queries (`POST /vectors/evalsets`), or lower the floor"
        ),
        None => "lower the floor below 1".to_owned(),
    };
    Some(format!(
        "{queries} queries can show a recall of {most:.4} at most, whatever serves: {cure}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_that_no_configuration_can_reach_is_told_with_the_cure() {
        assert_eq!(out_of_reach(300, 0.95), None);
        assert_eq!(out_of_reach(1_000, 0.997), None);
        let why = out_of_reach(300, 0.995).unwrap();
        assert!(
            why.contains("300 queries can show a recall of 0.9902"),
            "{why}"
        );
        let needed = values_for_low(0.995).unwrap();
        assert!(why.contains(&format!("at least {needed} queries")), "{why}");
        assert_eq!(out_of_reach(needed, 0.995), None, "the cure helps");
        assert!(out_of_reach(1_000_000, 1.0).unwrap().contains("below 1"));
    }
}
