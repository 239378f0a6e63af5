//! How bounds are written: knobs by their names, in any order, and only those that are meant.
//!
//! Either an object, `{"ef_search": {"min": 10, "max": 40}}`, or a list whose knobs name themselves,
//! `[{"name": "ef_search", "min": 10, "max": 40}]`. A knob that is left out is as by default. Of a knob its
//! `step` alone may be left out, and is 1 then. A knob that there is not, or that is there twice, is refused by its name.

use std::fmt;

use boathouse_types::Knob;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

use super::TuneBounds;

/// A knob as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    min: u32,
    max: u32,
    #[serde(default = "one")]
    step: u32,
}

fn one() -> u32 {
    1
}

impl<'de> Deserialize<'de> for TuneBounds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = TuneBounds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("knobs by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TuneBounds, A::Error> {
        let mut bounds = Bounds::default();
        while let Some((name, knob)) = map.next_entry::<String, Written>()? {
            if knob.name.as_ref().is_some_and(|own| *own != name) {
                let own = knob.name.unwrap_or_default();
                return Err(Error::custom(format!("knob `{name}` is named `{own}`")));
            }
            bounds.put(&name, &knob).map_err(Error::custom)?;
        }
        Ok(bounds.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<TuneBounds, A::Error> {
        let mut bounds = Bounds::default();
        while let Some(knob) = list.next_element::<Written>()? {
            let Some(name) = &knob.name else {
                return Err(Error::custom("a knob of a list needs its `name`"));
            };
            bounds.put(name, &knob).map_err(Error::custom)?;
        }
        Ok(bounds.into())
    }
}

/// The knobs that were written so far.
#[derive(Default)]
struct Bounds {
    m: Option<Knob>,
    ef_construction: Option<Knob>,
    ef_search: Option<Knob>,
}

impl Bounds {
    fn put(&mut self, name: &str, written: &Written) -> Result<(), String> {
        let place = match name {
            "m" => &mut self.m,
            "ef_construction" => &mut self.ef_construction,
            "ef_search" => &mut self.ef_search,
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(format!(
                    "there is no knob `{other}`; the knobs are `m`, `ef_construction` and `ef_search`"
                ));
            }
        };
        let knob = Knob {
            name: name.to_owned(),
            min: written.min,
            max: written.max,
            step: written.step,
        };
        match place.replace(knob) {
            None => Ok(()),
            Some(_) => Err(format!("knob `{name}` is there twice")),
        }
    }
}

impl From<Bounds> for TuneBounds {
    fn from(written: Bounds) -> Self {
        let default = Self::default();
        Self {
            m: written.m.unwrap_or(default.m),
            ef_construction: written.ef_construction.unwrap_or(default.ef_construction),
            ef_search: written.ef_search.unwrap_or(default.ef_search),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TuneBounds, serde_json::Error> {
        serde_json::from_str(text)
    }

    fn narrow() -> TuneBounds {
        let mut bounds = TuneBounds::default();
        (
            bounds.ef_search.min,
            bounds.ef_search.max,
            bounds.ef_search.step,
        ) = (10, 40, 10);
        (bounds.m.min, bounds.m.max, bounds.m.step) = (4, 4, 1);
        bounds
    }

    #[test]
    fn knobs_are_known_by_name_whatever_their_order_and_number() {
        for text in [
            r#"{"ef_search": {"min": 10, "max": 40, "step": 10}, "m": {"min": 4, "max": 4}}"#,
            r#"{"m": {"name": "m", "min": 4, "max": 4, "step": 1},
                "ef_search": {"name": "ef_search", "min": 10, "max": 40, "step": 10}}"#,
            r#"[{"name": "ef_search", "min": 10, "max": 40, "step": 10}, {"name": "m", "min": 4, "max": 4}]"#,
        ] {
            assert_eq!(read(text).unwrap(), narrow(), "{text}");
        }
        for nothing in ["{}", "[]"] {
            assert_eq!(read(nothing).unwrap(), TuneBounds::default());
        }
        let stored = serde_json::to_string(&narrow()).unwrap();
        assert_eq!(
            read(&stored).unwrap(),
            narrow(),
            "what is written reads back"
        );
    }

    #[test]
    fn what_is_no_knob_or_there_twice_is_named() {
        for (text, said) in [
            (r#"{"M": {"min": 4, "max": 8}}"#, "there is no knob `M`"),
            (r#"[{"min": 4, "max": 8}]"#, "needs its `name`"),
            (
                r#"[{"name": "ef", "min": 4, "max": 8}]"#,
                "there is no knob `ef`",
            ),
            (
                r#"{"m": {"name": "ef_search", "min": 4, "max": 8}}"#,
                "knob `m` is named `ef_search`",
            ),
            (
                r#"[{"name": "m", "min": 4, "max": 8}, {"name": "m", "min": 8, "max": 9}]"#,
                "knob `m` is there twice",
            ),
            (
                r#"{"m": {"min": 4, "max": 8}, "m": {"min": 4, "max": 8}}"#,
                "knob `m` is there twice",
            ),
            (r#"{"m": {"min": 4}}"#, "max"),
            (r#"{"m": {"min": 4, "max": 8, "stp": 1}}"#, "stp"),
            ("7", "knobs by their names"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
