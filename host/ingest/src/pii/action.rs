//! What can be done with a column that holds personal data, and how it is written.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::IngestError;

/// Most characters at the end of a value that a mask may show.
const MAX_KEPT: u8 = 64;

/// What happens to a column that holds personal data; as text `tag`, `mask`, `mask:4`, `hash`, `drop` or
/// `refuse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Action {
    /// Nothing but the finding: the values stay.
    Tag,
    /// Every character becomes `*`, but for the last ones of a value that is long enough.
    Mask {
        /// Characters that stay at the end; never more than half of the value.
        keep_last: u8,
    },
    /// The value becomes its keyed hash.
    Hash,
    /// The column is left out.
    Drop,
    /// The ingest is refused.
    Refuse,
}

impl Action {
    /// Whether values are changed or left out by it.
    #[must_use]
    pub fn transforms(self) -> bool {
        matches!(self, Self::Mask { .. } | Self::Hash | Self::Drop)
    }

    /// Whether the rows would be in clear if nobody looked for personal data.
    pub(crate) fn protects(self) -> bool {
        self != Self::Tag
    }

    /// How much it hides, to choose where several kinds are found in one column.
    pub(crate) fn strictness(self) -> u16 {
        match self {
            Self::Tag => 0,
            Self::Mask { keep_last } => 1 + u16::from(u8::MAX - keep_last),
            Self::Hash => 300,
            Self::Drop => 301,
            Self::Refuse => 302,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag => f.write_str("tag"),
            Self::Mask { keep_last: 0 } => f.write_str("mask"),
            Self::Mask { keep_last } => write!(f, "mask:{keep_last}"),
            Self::Hash => f.write_str("hash"),
            Self::Drop => f.write_str("drop"),
            Self::Refuse => f.write_str("refuse"),
        }
    }
}

impl FromStr for Action {
    type Err = IngestError;

    fn from_str(text: &str) -> Result<Self, IngestError> {
        let kept = |digits: &str| digits.parse().ok().filter(|kept| *kept <= MAX_KEPT);
        match text.split_once(':') {
            None => match text {
                "tag" => Some(Self::Tag),
                "mask" => Some(Self::Mask { keep_last: 0 }),
                "hash" => Some(Self::Hash),
                "drop" => Some(Self::Drop),
                "refuse" => Some(Self::Refuse),
                _ => None,
            },
            Some(("mask", digits)) => kept(digits).map(|keep_last| Self::Mask { keep_last }),
            Some(_) => None,
        }
        .ok_or_else(|| IngestError::BadPolicy {
            problem: "there is no such action".to_owned(),
            cure: format!(
                "write `tag`, `mask`, `mask:N` with N up to {MAX_KEPT}, `hash`, `drop` or `refuse`"
            ),
        })
    }
}

impl TryFrom<String> for Action {
    type Error = IngestError;

    fn try_from(text: String) -> Result<Self, IngestError> {
        text.parse()
    }
}

impl From<Action> for String {
    fn from(action: Action) -> Self {
        action.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_keep_their_text() {
        for text in ["tag", "mask", "mask:4", "mask:64", "hash", "drop", "refuse"] {
            assert_eq!(text.parse::<Action>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_action_is_refused_with_the_cure() {
        for text in [
            "", "Mask", "mask:", "mask:-1", "mask:65", "mask:x", "hash:4", "keep",
        ] {
            let error = text.parse::<Action>().unwrap_err().to_string();
            assert!(error.contains("mask:N"), "{error}");
        }
    }

    #[test]
    fn what_hides_more_wins() {
        let order = ["tag", "mask:64", "mask:1", "mask", "hash", "drop", "refuse"];
        let ranks = order.map(|text| text.parse::<Action>().unwrap().strictness());
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
    }
}
