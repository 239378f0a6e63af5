//! Cuts an object into its keys and values, in one pass and without allocating.
//!
//! The grammar is RFC 8259's, whole; what stands inside an object or array of the row is left to serde_json, and so
//! is the word on what is wrong with a text that is none ([`judge`]). Keys most often come in the order of the
//! columns, so each is first compared with the one that should follow.

use std::{borrow::Cow, collections::HashMap, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::super::{
    bytes::Stops,
    profile::{self, Shape},
};

/// Where the plain part of a string ends.
const STRING_STOPS: Stops<2> = Stops::new([b'"', b'\\'], 0x20);

/// A member of an object.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// The column of its key, if that is known.
    pub(super) column: Option<usize>,
    /// Where its key stands, with quotes.
    pub(super) key: Range<usize>,
    /// Where its value stands, a string with quotes.
    pub(super) raw: Range<usize>,
    /// What its value is.
    pub(super) value: Value,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// `null`.
    Null,
    /// A truth value.
    Boolean(bool),
    /// A number; its shape is a text's when its exponent is beyond reason.
    Number(Shape),
    /// A string.
    String {
        /// Whether it has escapes, which can still be wrong: half a surrogate pair.
        has_escapes: bool,
    },
    /// An object or array.
    Nested,
}

/// The keys that are known, in the order of their columns.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// As they are written, with quotes.
    quoted: Vec<String>,
    positions: HashMap<String, usize>,
}

impl Keys {
    /// Adds the key of the next column.
    pub(super) fn add(&mut self, key: &str) {
        self.positions.insert(key.to_owned(), self.quoted.len());
        // As serde_json escapes it; other spellings of the same key are found by its name.
        self.quoted.push(serde_json::Value::from(key).to_string());
    }

    /// The column of a key.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        self.positions.get(key).copied()
    }
}

/// Cuts the object at the start of `text` into `fields`, blanks before it allowed; gives where it ends. None: there
/// is no whole and sound one.
pub(super) fn cut(text: &str, keys: &Keys, fields: &mut Vec<Field>) -> Option<usize> {
    fields.clear();
    let mut cursor = Cursor { text, at: 0 };
    cursor.pass_blanks();
    cursor.pass(b'{')?;
    cursor.pass_blanks();
    if cursor.pass(b'}').is_some() {
        return Some(cursor.at);
    }
    let mut next = 0;
    loop {
        let (column, key) = cursor.key(keys, next)?;
        next = column.map_or(next, |column| column + 1);
        cursor.pass_blanks();
        cursor.pass(b':')?;
        cursor.pass_blanks();
        let start = cursor.at;
        let value = cursor.value()?;
        fields.push(Field {
            column,
            key,
            raw: start..cursor.at,
            value,
        });
        cursor.pass_blanks();
        if cursor.pass(b',').is_none() {
            cursor.pass(b'}')?;
            return Some(cursor.at);
        }
        cursor.pass_blanks();
    }
}

/// A place in a text.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &[u8] {
        &self.text.as_bytes()[self.at..]
    }

    #[inline]
    fn pass_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.rest().first() {
            self.at += 1;
        }
    }

    #[inline]
    fn pass(&mut self, byte: u8) -> Option<()> {
        (self.rest().first() == Some(&byte)).then(|| self.at += 1)
    }

    /// Passes a key, most often that of column `next`; tells its column, if it is known, and where it stands.
    #[inline]
    fn key(&mut self, keys: &Keys, next: usize) -> Option<(Option<usize>, Range<usize>)> {
        let start = self.at;
        if let Some(key) = keys.quoted.get(next)
            && self.rest().starts_with(key.as_bytes())
        {
            self.at += key.len();
            return Some((Some(next), start..self.at));
        }
        let has_escapes = self.string()?;
        let column = match has_escapes {
            true => keys.find(&unescaped(&self.text[start..self.at])?),
            false => keys.find(&self.text[start + 1..self.at - 1]),
        };
        Some((column, start..self.at))
    }

    #[inline]
    fn value(&mut self) -> Option<Value> {
        match self.rest().first()? {
            b'"' => self
                .string()
                .map(|has_escapes| Value::String { has_escapes }),
            b'-' | b'0'..=b'9' => {
                let (shape, length) = profile::leading_number(self.rest())?;
                self.at += length;
                Some(Value::Number(shape))
            }
            b't' => self.word("true", Value::Boolean(true)),
            b'f' => self.word("false", Value::Boolean(false)),
            b'n' => self.word("null", Value::Null),
            b'{' | b'[' => self.nested(),
            _ => None,
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        self.rest().starts_with(word.as_bytes()).then(|| {
            self.at += word.len();
            value
        })
    }

    /// Passes a string; tells whether it has escapes.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        self.pass(b'"')?;
        let mut has_escapes = false;
        loop {
            self.at += STRING_STOPS.before(self.rest());
            match self.rest() {
                [b'"', ..] => {
                    self.at += 1;
                    return Some(has_escapes);
                }
                [b'\\', escape @ ..] => {
                    self.at += escape_length(escape)?;
                    has_escapes = true;
                }
                // A control character, or the end of the text.
                _ => return None,
            }
        }
    }

    fn nested(&mut self) -> Option<Value> {
        let rest = &self.text[self.at..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(Value::Nested)
    }
}

/// How long an escape is, given what follows its backslash.
fn escape_length(escape: &[u8]) -> Option<usize> {
    match escape {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(2),
        [b'u', digits @ ..] => {
            let is_code = digits.get(..4)?.iter().all(u8::is_ascii_hexdigit);
            is_code.then_some(6)
        }
        _ => None,
    }
}

/// A string without quotes and escapes; none when an escape is no character.
pub(super) fn unescaped(raw: &str) -> Option<Cow<'_, str>> {
    let text = serde_json::from_str::<Unescaped<'_>>(raw);
    text.ok().map(|text| text.0)
}

/// What is wrong with a text that is not one object.
pub(super) fn judge(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<Sound>(text).map(|Sound| ())
}

#[derive(Deserialize)]
struct Unescaped<'a>(#[serde(borrow)] Cow<'a, str>);

/// An object, of which nothing is kept.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Sound;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sound, A::Error> {
                while map.next_entry::<Unescaped<'de>, &'de RawValue>()?.is_some() {}
                Ok(Sound)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known(keys: &[&str]) -> Keys {
        let mut known = Keys::default();
        keys.iter().for_each(|key| known.add(key));
        known
    }

    /// Whether the text is one object, with nothing but blanks behind it.
    fn is_object(text: &str, keys: &Keys) -> bool {
        let end = cut(text, keys, &mut Vec::new());
        end.is_some_and(|end| text[end..].trim_matches([' ', '\t', '\r', '\n']).is_empty())
    }

    /// What stands in an object, as `column:raw`, an unknown column as `?`.
    fn shown(text: &str, keys: &Keys) -> Vec<String> {
        let mut fields = Vec::new();
        cut(text, keys, &mut fields).unwrap();
        let shown = fields.iter().map(|field| {
            let column = field.column.map_or("?".to_owned(), |at| at.to_string());
            format!("{column}:{}", &text[field.raw.clone()])
        });
        shown.collect()
    }

    #[test]
    fn keys_are_found_in_any_order_and_spelling() {
        let keys = known(&["a", "b", "c", "d\"é"]);
        let text =
            r#" {"a":1, "c" : "x\"}", "d\"\u00e9":[{"q":"]"} ], "b":null, "é":-0.5e3 } tail"#;
        let expected = [
            "0:1",
            r#"2:"x\"}""#,
            r#"3:[{"q":"]"} ]"#,
            "1:null",
            "?:-0.5e3",
        ];
        assert_eq!(shown(text, &keys), expected);
        assert_eq!(shown(r#"{"d\"é":true}"#, &keys), ["3:true"]);
        assert_eq!(shown("{ }", &keys), Vec::<String>::new());
        // The beginning of a key is not the key, and a backslash in a name is no escape.
        assert_eq!(shown(r#"{"ab":1}"#, &keys), ["?:1"]);
        assert_eq!(shown(r#"{"a\\b":1}"#, &known(&["a\\b"])), ["0:1"]);
        assert_eq!(shown(r#"{"a\b":1}"#, &known(&["a\\b"])), ["?:1"]);
    }

    #[test]
    fn what_is_no_object_is_none_to_both() {
        for text in [
            "",
            "{",
            "[]",
            "{]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":1,}",
            "{,}",
            "{a:1}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":1e}",
            "{\"a\":+1}",
            "{\"a\":-}",
            "{\"a\":tru}",
            "{\"a\":nulll}",
            "{\"a\":\"\t\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":\"\\u12",
            "{\"a\":[1,]}",
            "{\"a\":{\"b\"}}",
            "{\"a\":1}{}",
            "{\"\\ud800\":1}",
            "{\"a\":NaN}",
            "{\u{b}\"a\":1}",
        ] {
            assert!(judge(text).is_err(), "{text}");
            assert!(!is_object(text, &known(&["a"])), "{text}");
        }
    }

    proptest! {
        /// Objects that are sound, and such with a byte changed: both sides agree on every one.
        #[test]
        fn an_object_is_one_to_both(
            text in r#"\{("(a|b|\\"|\\u00e9|é)": ?(-?[0-9]{1,3}(\.[0-9]{1,2})?(e-?[0-9]{1,2})?|"[a-z\\"/ ]{0,12}"|true|null|\[1, ?\{"a":2\}\])(, ?|\})){1,4}"#,
            place in any::<prop::sample::Index>(),
            byte in "[ -~\t\n]",
        ) {
            let keys = known(&["a", "b"]);
            let text = format!("{}}}", text.trim_end_matches([',', ' ', '}']));
            prop_assert_eq!(is_object(&text, &keys), judge(&text).is_ok(), "{}", text);
            let characters: Vec<char> = text.chars().collect();
            let at = place.index(characters.len());
            let changed: String = characters[..at].iter().collect::<String>()
                + &byte
                + &characters[at + 1..].iter().collect::<String>();
            prop_assert_eq!(is_object(&changed, &keys), judge(&changed).is_ok(), "{}", changed);
        }
    }
}
