//! What the name of a column says about what it holds.
//!
//! A name is cut into tokens (`billingEmail-Address2` is `billing email address 2`), folded, and
//! compared by whole tokens, so that `scenario` never contains `cena` and `customer` never `us`.
//! The head of an English compound comes last: `email_verified` is a flag, `card_type` a type. So
//! the rightmost phrase of a kind is taken, and what follows it decides whether it still is the
//! head: numbering and qualifiers leave it, a measure or a flag turns it round, anything unknown
//! halves it. A word in front that makes a flag or a count (`is`, `num`) turns it round as well.

use crate::fold::fold_char;

/// Words that speak for or against a kind.
pub(crate) struct Terms {
    /// Phrases of folded tokens with their strength in -1..=1. The longest that ends rightmost wins.
    pub(crate) phrases: &'static [(&'static str, f64)],
    /// Phrases that count only when nothing but qualifiers stands beside them, such as a bare
    /// `name`; with other words beside them they speak against the kind.
    pub(crate) alone: &'static [(&'static str, f64)],
}

/// Evidence of an `alone` phrase that has company, as in `product_name`.
const IN_COMPANY: f64 = -0.6;

/// What remains of a phrase that is followed by a word nobody knows.
const UNKNOWN_TAIL: f64 = 0.5;

/// Words behind a phrase that leave it the head.
const QUALIFIERS: [&str; 44] = [
    "alt",
    "alternate",
    "clean",
    "cleaned",
    "col",
    "column",
    "current",
    "field",
    "full",
    "home",
    "latest",
    "main",
    "new",
    "no",
    "nr",
    "num",
    "number",
    "numbers",
    "numero",
    "nummer",
    "old",
    "orig",
    "original",
    "personal",
    "plain",
    "preferred",
    "previous",
    "primary",
    "private",
    "raw",
    "secondary",
    "str",
    "string",
    "text",
    "txt",
    "value",
    "values",
    "val",
    "work",
    "list",
    "a",
    "b",
    "x",
    "y",
];

/// Words behind a phrase that make the column a property of the thing instead of the thing.
const TURNING_TAILS: [&str; 92] = [
    "active",
    "address",
    "age",
    "agent",
    "allowed",
    "approved",
    "at",
    "available",
    "blocked",
    "body",
    "bounced",
    "brand",
    "category",
    "changed",
    "channel",
    "class",
    "client",
    "code",
    "color",
    "confirmed",
    "consent",
    "count",
    "country",
    "created",
    "currency",
    "date",
    "deleted",
    "domain",
    "email",
    "enabled",
    "error",
    "expiry",
    "flag",
    "format",
    "frequency",
    "gender",
    "group",
    "hash",
    "hashed",
    "id",
    "ids",
    "index",
    "ip",
    "issuer",
    "key",
    "kind",
    "label",
    "language",
    "length",
    "level",
    "link",
    "mail",
    "masked",
    "model",
    "network",
    "notification",
    "notifications",
    "opened",
    "opt",
    "optin",
    "phone",
    "policy",
    "position",
    "provider",
    "rank",
    "rating",
    "role",
    "salt",
    "score",
    "seen",
    "sent",
    "since",
    "size",
    "source",
    "state",
    "status",
    "subject",
    "subscribed",
    "team",
    "template",
    "time",
    "timestamp",
    "tld",
    "token",
    "total",
    "type",
    "updated",
    "url",
    "valid",
    "verified",
    "version",
    "weight",
];

/// Words in front of a phrase that make a flag, a count or a measure of it.
const TURNING_HEADS: [&str; 26] = [
    "allow", "avg", "can", "count", "days", "disable", "enable", "has", "hide", "is", "max", "md5",
    "min", "n", "nb", "needs", "num", "pct", "send", "sha1", "sha256", "should", "show", "sum",
    "total", "use",
];

/// The folded tokens of a column's name.
#[derive(Debug)]
pub(crate) struct Header {
    tokens: Vec<String>,
}

impl Header {
    /// Cuts a name at everything that is no letter or digit, between lower and upper case, before
    /// the last capital of a run (`IPAddress`), and between letters and digits.
    pub(crate) fn parse(name: &str) -> Self {
        let characters: Vec<char> = name.chars().take(256).collect();
        let mut tokens = vec![String::new()];
        for (index, &c) in characters.iter().enumerate() {
            let before = index.checked_sub(1).map(|before| characters[before]);
            let after = characters.get(index + 1).copied();
            if !c.is_alphanumeric() || before.is_some_and(|before| starts_token(before, c, after)) {
                tokens.push(String::new());
            }
            if let (true, Some(token)) = (c.is_alphanumeric(), tokens.last_mut()) {
                fold_char(c, |folded| token.push(folded));
            }
        }
        tokens.retain(|token| !token.is_empty());
        Self { tokens }
    }

    /// How much the name speaks for a kind: 1 names it, 0 is silent, -1 says it is something else.
    pub(crate) fn evidence(&self, terms: &Terms) -> f64 {
        for end in (1..=self.tokens.len()).rev() {
            let found = self.longest(terms.phrases, end);
            if let Some((start, strength)) = found {
                return self.in_context(start, end, strength);
            }
            if let Some((start, strength)) = self.longest(terms.alone, end) {
                let mut beside = self.tokens[..start].iter().chain(&self.tokens[end..]);
                return if beside.all(|token| is_qualifier(token)) {
                    strength
                } else {
                    IN_COMPANY
                };
            }
        }
        0.0
    }

    /// The longest phrase that ends before token `end`: where it starts, and its strength.
    fn longest(&self, phrases: &[(&str, f64)], end: usize) -> Option<(usize, f64)> {
        let starts = phrases.iter().filter_map(|(phrase, strength)| {
            let start = end.checked_sub(phrase.split(' ').count())?;
            let tokens = self.tokens[start..end].iter();
            tokens.eq(phrase.split(' ')).then_some((start, *strength))
        });
        starts.min_by_key(|&(start, _)| start)
    }

    /// The strength of a phrase between what stands before and behind it.
    fn in_context(&self, start: usize, end: usize, strength: f64) -> f64 {
        let turning = |token: &String, list: &[&str]| list.contains(&token.as_str());
        let tail = &self.tokens[end..];
        if strength <= 0.0 {
            return strength;
        }
        if tail.iter().any(|token| turning(token, &TURNING_TAILS))
            || self.tokens[..start]
                .iter()
                .any(|token| turning(token, &TURNING_HEADS))
        {
            return -1.0;
        }
        if tail.iter().all(|token| is_qualifier(token)) {
            strength
        } else {
            strength * UNKNOWN_TAIL
        }
    }
}

fn starts_token(before: char, c: char, after: Option<char>) -> bool {
    let climbs = before.is_lowercase() && c.is_uppercase();
    let last_capital =
        before.is_uppercase() && c.is_uppercase() && after.is_some_and(char::is_lowercase);
    let changes = before.is_alphanumeric() && before.is_numeric() != c.is_numeric();
    climbs || last_capital || changes
}

fn is_qualifier(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_digit()) || QUALIFIERS.contains(&token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_into_tokens() {
        let check = |name: &str, expected: &str| {
            assert_eq!(Header::parse(name).tokens.join(" "), expected, "{name}");
        };
        check("billingEmail-Address2", "billing email address 2");
        check("IPAddress", "ip address");
        check("customerID", "customer id");
        check("Téléphone portable", "telephone portable");
        check("__c7__", "c 7");
        check("PHONE", "phone");
        check("出生日期", "出生日期");
        check("", "");
        check("!?", "");
    }

    #[test]
    fn the_head_decides() {
        const TERMS: Terms = Terms {
            phrases: &[
                ("email", 1.0),
                ("email id", 0.7),
                ("mail server", -1.0),
                ("mail", 0.8),
            ],
            alone: &[("name", 0.4)],
        };
        let check = |name: &str, expected: f64| {
            let found = Header::parse(name).evidence(&TERMS);
            assert!(
                (found - expected).abs() < 1e-12,
                "{name}: {found} for {expected}"
            );
        };
        check("email", 1.0);
        check("customer_email", 1.0);
        check("email_2", 1.0);
        check("primaryEmailValue", 1.0);
        check("email_verified", -1.0);
        check("email_count", -1.0);
        check("is_email", -1.0);
        check("email_hash", -1.0);
        check("email_foo", 0.5);
        check("email_id", 0.7);
        check("mail_server", -1.0);
        check("emailing", 0.0);
        check("c7", 0.0);
        check("", 0.0);
        check("name", 0.4);
        check("name_1", 0.4);
        check("product_name", -0.6);
        check("name_of_thing", -0.6);
    }
}
