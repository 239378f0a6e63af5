//! Which kind a type of the server is.
//!
//! Built-in types are known by their numbers, which never change; types of extensions by name and extension;
//! domains, arrays, composites, ranges and enums by what the server's catalogue says about them, as deep as they
//! go. A type that none of this explains has no kind, nor has one that is made of such a type: it is read as text.

use std::collections::{BTreeSet, HashMap};

use super::{
    failure::Failure,
    kind::Kind,
    session::{Session, get},
    text::Form,
};

/// The type `xml`.
pub(super) const XML: u32 = 142;

const MONEY: u32 = 790;

/// Deepest nesting of types that is followed.
const MAX_DEPTH: usize = 16;

/// Everything about some types; `$1` is their numbers. Multiranges came with version 14.
const TYPES: &str = "
    SELECT t.oid, t.typname::text, e.extname::text, t.typtype::text,
        CASE WHEN el.typarray = t.oid THEN t.typelem ELSE 0::oid END,
        t.typbasetype, t.typtypmod, t.typndims, coalesce(r.rngsubtype, 0::oid), {MULTIRANGE},
        ARRAY(SELECT l.enumlabel::text FROM pg_catalog.pg_enum l
              WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder),
        ARRAY(SELECT a.attname::text FROM {ATTRIBUTES}), ARRAY(SELECT a.atttypid FROM {ATTRIBUTES}),
        ARRAY(SELECT a.atttypmod FROM {ATTRIBUTES}), ARRAY(SELECT a.attndims::int4 FROM {ATTRIBUTES})
    FROM pg_catalog.pg_type t
    LEFT JOIN pg_catalog.pg_type el ON el.oid = t.typelem
    LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
    LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid
        AND d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::regclass
    LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
    WHERE t.oid = ANY($1)";

const ATTRIBUTES: &str =
    "pg_catalog.pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid
        AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

const MULTIRANGE: &str = "coalesce((SELECT m.rngtypid FROM pg_catalog.pg_range m
            WHERE m.rngmultitypid = t.oid), 0::oid)";

/// A type with the modifier that a column, a domain or a field gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Typed {
    /// Its number.
    pub(super) oid: u32,
    /// Its modifier, or -1.
    pub(super) modifier: i32,
    /// Dimensions that are declared, which the server does not hold anyone to; 0 if none.
    pub(super) depth: i32,
}

/// What the catalogue says about types.
#[derive(Debug, Default)]
pub(super) struct Types {
    known: HashMap<u32, Shape>,
    money_scale: u8,
}

#[derive(Debug, Clone)]
enum Shape {
    Base { name: String, extension: String },
    Array(u32),
    Domain(Typed),
    Enum(Vec<String>),
    Composite(Vec<(String, Typed)>),
    Range(u32),
    Multirange(u32),
    Other,
}

impl Shape {
    fn of(row: &tokio_postgres::Row) -> Result<(u32, Self), Failure> {
        let oid: u32 = get(row, 0)?;
        let kind: String = get(row, 3)?;
        let number = |at| get::<u32>(row, at);
        let shape = match kind.as_str() {
            "b" if number(4)? != 0 => Self::Array(number(4)?),
            "b" => Self::Base {
                name: get(row, 1)?,
                extension: get::<Option<String>>(row, 2)?.unwrap_or_default(),
            },
            "d" => Self::Domain(Typed {
                oid: number(5)?,
                modifier: get(row, 6)?,
                depth: get(row, 7)?,
            }),
            "e" => Self::Enum(get(row, 10)?),
            "r" => Self::Range(number(8)?),
            "m" => Self::Multirange(number(9)?),
            "c" => {
                let names: Vec<String> = get(row, 11)?;
                let oids: Vec<u32> = get(row, 12)?;
                let modifiers: Vec<i32> = get(row, 13)?;
                let depths: Vec<i32> = get(row, 14)?;
                let typed = oids.into_iter().zip(modifiers).zip(depths);
                let typed = typed.map(|((oid, modifier), depth)| Typed {
                    oid,
                    modifier,
                    depth,
                });
                Self::Composite(names.into_iter().zip(typed).collect())
            }
            _ => Self::Other,
        };
        Ok((oid, shape))
    }

    /// The types that it is made of.
    fn parts(&self) -> Vec<u32> {
        match self {
            Self::Array(part) | Self::Range(part) | Self::Multirange(part) => vec![*part],
            Self::Domain(base) => vec![base.oid],
            Self::Composite(fields) => fields.iter().map(|(_, typed)| typed.oid).collect(),
            Self::Base { .. } | Self::Enum(_) | Self::Other => Vec::new(),
        }
    }
}

impl Types {
    /// Asks the catalogue about types and all that they are made of.
    pub(super) async fn load(session: &mut Session, oids: &[u32]) -> Result<Self, Failure> {
        let multirange = if session.version >= 140_000 {
            MULTIRANGE
        } else {
            "0::oid"
        };
        let sql = TYPES
            .replace("{MULTIRANGE}", multirange)
            .replace("{ATTRIBUTES}", ATTRIBUTES);
        let mut types = Self::default();
        let mut wanted: BTreeSet<u32> = oids.iter().copied().collect();
        while !wanted.is_empty() {
            let asked: Vec<u32> = wanted.iter().copied().collect();
            for row in session.query(&sql, &[&asked]).await? {
                let (oid, shape) = Shape::of(&row)?;
                types.known.insert(oid, shape);
            }
            // Numbers without an entry are not asked about twice.
            for oid in asked {
                types.known.entry(oid).or_insert(Shape::Other);
            }
            let parts = types.known.values().flat_map(Shape::parts);
            wanted = parts.filter(|oid| !types.known.contains_key(oid)).collect();
        }
        if types.known.contains_key(&MONEY) {
            let scale = "SELECT pg_catalog.scale(0::money::numeric)::int4";
            let row = session.query_one(scale, &[]).await?;
            types.money_scale = u8::try_from(get::<i32>(&row, 0)?).unwrap_or(2);
        }
        Ok(types)
    }

    /// What a domain is over, as deep as domains go; anything else as it is.
    pub(super) fn base(&self, typed: Typed) -> Typed {
        let mut base = typed;
        for _ in 0..MAX_DEPTH {
            match self.known.get(&base.oid) {
                Some(Shape::Domain(over)) => base = *over,
                _ => break,
            }
        }
        base
    }

    /// Whether values of a type are arrays.
    pub(super) fn is_array(&self, typed: Typed) -> bool {
        matches!(self.known.get(&self.base(typed).oid), Some(Shape::Array(_)))
    }

    /// Labels of an enum, in their order.
    pub(super) fn labels(&self, typed: Typed) -> Option<&[String]> {
        match self.known.get(&self.base(typed).oid) {
            Some(Shape::Enum(labels)) => Some(labels),
            _ => None,
        }
    }

    /// Digits after the point of `money`, if there is any in these types.
    pub(super) fn money_scale(&self) -> Option<u8> {
        self.known.contains_key(&MONEY).then_some(self.money_scale)
    }

    /// The kind of a type.
    pub(super) fn kind(&self, typed: Typed) -> Option<Kind> {
        self.kind_at(typed, MAX_DEPTH)
    }

    fn kind_at(&self, typed: Typed, left: usize) -> Option<Kind> {
        let left = left.checked_sub(1)?;
        let typed = self.base(typed);
        let plain = |oid| Typed {
            oid,
            modifier: -1,
            depth: 0,
        };
        match self.known.get(&typed.oid)? {
            Shape::Base { name, extension } => self.base_kind(typed, name, extension),
            Shape::Array(item) => {
                let item = Typed {
                    modifier: typed.modifier,
                    ..plain(*item)
                };
                Some(Kind::List {
                    item: Box::new(self.kind_at(item, left)?),
                    depth: usize::try_from(typed.depth).unwrap_or(0).max(1),
                })
            }
            Shape::Enum(_) => Some(Kind::Text(Form::Plain)),
            Shape::Composite(fields) => {
                let kinds = fields
                    .iter()
                    .map(|(name, typed)| Some((name.clone(), self.kind_at(*typed, left)?)));
                kinds
                    .collect::<Option<Vec<_>>>()
                    .filter(|kinds| !kinds.is_empty())
                    .map(Kind::Struct)
            }
            Shape::Range(bound) => Some(Kind::Range(Box::new(self.kind_at(plain(*bound), left)?))),
            Shape::Multirange(range) => match self.kind_at(plain(*range), left)? {
                Kind::Range(bound) => Some(Kind::Multirange(bound)),
                _ => None,
            },
            Shape::Domain(_) | Shape::Other => None,
        }
    }

    fn base_kind(&self, typed: Typed, name: &str, extension: &str) -> Option<Kind> {
        let kind = match (typed.oid, extension, name) {
            (_, "citext", "citext") => Kind::Text(Form::Plain),
            (_, "hstore", "hstore") => Kind::Hstore,
            (_, "vector", "vector" | "halfvec") => Kind::Vector {
                half: name == "halfvec",
                dimension: u16::try_from(typed.modifier).ok().filter(|size| *size > 0),
            },
            (_, "postgis", "geometry" | "geography") => Kind::Geometry {
                srid: srid(typed.modifier),
            },
            (16, ..) => Kind::Bool { bit: false },
            (17, ..) => Kind::Bytes,
            (18, ..) => Kind::Text(Form::Char),
            (20, ..) => Kind::Int8,
            (21, ..) => Kind::Int2 { wide: false },
            (23, ..) => Kind::Int4,
            (26, ..) => Kind::Oid,
            // name, text, xml, unknown, bpchar, varchar
            (19 | 25 | XML | 705 | 1042 | 1043, ..) => Kind::Text(Form::Plain),
            (114, ..) => Kind::Text(Form::Json),
            (3802, ..) => Kind::Text(Form::Jsonb),
            (650 | 869, ..) => Kind::Text(Form::Network),
            (774 | 829, ..) => Kind::Text(Form::Mac),
            (700, ..) => Kind::Float4 { wide: false },
            (701, ..) => Kind::Float8,
            (MONEY, ..) => Kind::Money {
                scale: self.money_scale,
            },
            (1082, ..) => Kind::Date,
            (1083, ..) => Kind::Time,
            (1114, ..) => Kind::Timestamp { zoned: false },
            (1184, ..) => Kind::Timestamp { zoned: true },
            (1186, ..) => Kind::Interval,
            (1266, ..) => Kind::Text(Form::TimeTz),
            (1560, ..) if typed.modifier == 1 => Kind::Bool { bit: true },
            (1560 | 1562, ..) => Kind::Text(Form::Bits),
            (1700, ..) => Kind::numeric(typed.modifier),
            (2950, ..) => Kind::Uuid,
            _ => return None,
        };
        Some(kind)
    }
}

/// The reference system in the modifier of a PostGIS type (`TYPMOD_GET_SRID` of its `liblwgeom.h`).
fn srid(modifier: i32) -> Option<u32> {
    if modifier < 0 {
        return None;
    }
    let srid = ((modifier & 0x0FFF_FF00) - (modifier & 0x1000_0000)) >> 8;
    u32::try_from(srid).ok().filter(|srid| *srid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(oid: u32) -> Typed {
        Typed {
            oid,
            modifier: -1,
            depth: 0,
        }
    }

    fn types(shapes: Vec<(u32, Shape)>) -> Types {
        Types {
            known: shapes.into_iter().collect(),
            money_scale: 2,
        }
    }

    fn base(name: &str, extension: &str) -> Shape {
        Shape::Base {
            name: name.to_owned(),
            extension: extension.to_owned(),
        }
    }

    #[test]
    fn domains_and_arrays_are_followed() {
        let over = Typed {
            oid: 1700,
            modifier: ((10 << 16) | 2) + 4,
            depth: 0,
        };
        let types = types(vec![
            (1700, base("numeric", "")),
            (900, Shape::Domain(over)),
            (901, Shape::Domain(typed(900))),
            (902, Shape::Array(901)),
        ]);
        let decimal = Kind::Decimal {
            precision: 10,
            scale: 2,
        };
        assert_eq!(types.kind(typed(901)), Some(decimal.clone()));
        let declared = Typed {
            depth: 2,
            ..typed(902)
        };
        let list = Kind::List {
            item: Box::new(decimal),
            depth: 2,
        };
        assert_eq!(types.kind(declared), Some(list));
        assert!(types.is_array(declared) && !types.is_array(typed(901)));
    }

    #[test]
    fn what_holds_an_unknown_type_is_unknown_and_circles_end() {
        let types = types(vec![
            (23, base("int4", "")),
            (600, base("point", "")),
            (
                900,
                Shape::Composite(vec![
                    ("a".to_owned(), typed(23)),
                    ("b".to_owned(), typed(600)),
                ]),
            ),
            (901, Shape::Array(900)),
            (902, Shape::Range(600)),
            (903, Shape::Domain(typed(903))),
            (904, Shape::Array(904)),
            (905, Shape::Composite(Vec::new())),
        ]);
        for oid in [600, 900, 901, 902, 903, 904, 905, 999] {
            assert_eq!(types.kind(typed(oid)), None, "{oid}");
        }
    }

    #[test]
    fn types_of_extensions_are_known_only_as_theirs() {
        let types = types(vec![
            (900, base("vector", "vector")),
            (901, base("vector", "")),
            (902, base("geometry", "postgis")),
        ]);
        let sized = Typed {
            modifier: 3,
            ..typed(900)
        };
        let vector = Kind::Vector {
            half: false,
            dimension: Some(3),
        };
        assert_eq!(types.kind(sized), Some(vector));
        assert_eq!(types.kind(typed(901)), None);
        let point_4326 = Typed {
            modifier: (4326 << 8) | 4,
            ..typed(902)
        };
        assert_eq!(
            types.kind(point_4326),
            Some(Kind::Geometry { srid: Some(4326) })
        );
        assert_eq!(types.kind(typed(902)), Some(Kind::Geometry { srid: None }));
    }
}
