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

use super::{Bounds, TuneBounds};
use crate::TuningError;

/// The knobs of a graph, and those of a table.
const NAMES: [&str; 7] = [
    "m",
    "ef_construction",
    "ef_search",
    "partitions",
    "sub_vectors",
    "nprobes",
    "refine_factor",
];

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

/// Bounds as they are written: some knobs of a space, which [`Self::within`] is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WrittenBounds(Vec<Knob>);

impl WrittenBounds {
    /// The bounds that are meant, in a space; knobs that were not written are as they are there.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] for a knob of another space, and for bounds that cannot be.
    pub fn within(self, mut space: Bounds) -> Result<Bounds, TuningError> {
        for knob in self.0 {
            let name = knob.name.clone();
            let is_one = match &mut space {
                Bounds::Graph(bounds) => bounds.put(knob),
                Bounds::Table(bounds) => bounds.put(knob),
            };
            if !is_one {
                let (what, names) = match &space {
                    Bounds::Graph(_) => ("a graph", &NAMES[..3]),
                    Bounds::Table(_) => ("a Lance table", &NAMES[3..]),
                };
                return Err(TuningError::InvalidInput(format!(
                    "`{name}` is no knob of {what}, which has {}",
                    listed(names)
                )));
            }
        }
        space.validate()?;
        Ok(space)
    }

    fn put(&mut self, name: &str, written: &Written) -> Result<(), String> {
        if !NAMES.contains(&name) {
            let other: String = name.chars().take(40).collect();
            return Err(format!(
                "there is no knob `{other}`; a graph has {}, a Lance table has {}",
                listed(&NAMES[..3]),
                listed(&NAMES[3..])
            ));
        }
        if self.0.iter().any(|knob| knob.name == name) {
            return Err(format!("knob `{name}` is there twice"));
        }
        self.0.push(Knob {
            name: name.to_owned(),
            min: written.min,
            max: written.max,
            step: written.step,
        });
        Ok(())
    }
}

/// Names for people: `a`, `b` and `c`.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

impl<'de> Deserialize<'de> for WrittenBounds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// The bounds of a graph.
impl<'de> Deserialize<'de> for TuneBounds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = WrittenBounds::deserialize(deserializer)?;
        let graph = written.within(Self::default().into());
        match graph.map_err(Error::custom)? {
            Bounds::Graph(bounds) => Ok(bounds),
            Bounds::Table(_) => Err(Error::custom("the bounds of a table")),
        }
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = WrittenBounds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("knobs by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WrittenBounds, A::Error> {
        let mut bounds = WrittenBounds::default();
        while let Some((name, knob)) = map.next_entry::<String, Written>()? {
            if knob.name.as_ref().is_some_and(|own| *own != name) {
                let own = knob.name.unwrap_or_default();
                return Err(Error::custom(format!("knob `{name}` is named `{own}`")));
            }
            bounds.put(&name, &knob).map_err(Error::custom)?;
        }
        Ok(bounds)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<WrittenBounds, A::Error> {
        let mut bounds = WrittenBounds::default();
        while let Some(knob) = list.next_element::<Written>()? {
            let Some(name) = &knob.name else {
                return Err(Error::custom("a knob of a list needs its `name`"));
            };
            bounds.put(name, &knob).map_err(Error::custom)?;
        }
        Ok(bounds)
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::Dimension;

    use super::*;
    use crate::TableBounds;

    fn read(text: &str) -> Result<TuneBounds, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_knob_of_the_other_space_is_named() {
        let space = || TableBounds::for_vectors(600, Dimension::new(384).unwrap());
        let within = |text: &str| {
            let written: WrittenBounds = serde_json::from_str(text).unwrap();
            written.within(Bounds::Table(space()))
        };
        let Ok(Bounds::Table(bounds)) = within(r#"{"nprobes": {"min": 5, "max": 9}}"#) else {
            panic!("not the bounds of a table");
        };
        assert_eq!((bounds.nprobes.min, bounds.nprobes.max), (5, 9));
        assert_eq!(bounds.partitions, space().partitions);
        let said = within(r#"{"m": {"min": 4, "max": 8}}"#)
            .unwrap_err()
            .to_string();
        assert!(said.contains("`m` is no knob of a Lance table"), "{said}");
        let said = read(r#"{"nprobes": {"min": 4, "max": 8}}"#)
            .unwrap_err()
            .to_string();
        assert!(said.contains("`nprobes` is no knob of a graph"), "{said}");
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
