//! Geometries of PostGIS as well-known binary.
//!
//! PostGIS sends EWKB: well-known binary whose type number carries flags for a third and fourth coordinate and
//! for a reference system that follows. The ISO form (SQL/MM part 3, OGC 06-103r4) says the coordinates by adding
//! 1,000 and 2,000 to the type and has no place for the reference system, which is the column's. Only heads of
//! geometries change; coordinates stay the bytes they are.

use super::column::Fault;

const HAS_Z: u32 = 0x8000_0000;
const HAS_M: u32 = 0x4000_0000;
const HAS_SRID: u32 = 0x2000_0000;

/// Deepest nesting of collections.
const MAX_DEPTH: usize = 32;

/// Writes a geometry in the ISO form and returns its reference system, if it names one.
pub(super) fn to_wkb(ewkb: &[u8], out: &mut Vec<u8>) -> Result<Option<u32>, Fault> {
    let mut reader = Reader {
        rest: ewkb,
        little: false,
    };
    let srid = reader.geometry(out, 0).ok_or(Fault::Damaged)?;
    match reader.rest.is_empty() {
        true => Ok(srid),
        false => Err(Fault::Damaged),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    little: bool,
}

impl Reader<'_> {
    fn copy(&mut self, bytes: usize, out: &mut Vec<u8>) -> Option<()> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        out.extend(taken);
        self.rest = rest;
        Some(())
    }

    fn number(&mut self) -> Option<u32> {
        let (taken, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        let bytes = taken.try_into().ok()?;
        Some(if self.little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        match self.little {
            true => out.extend(number.to_le_bytes()),
            false => out.extend(number.to_be_bytes()),
        }
    }

    /// Copies a count and says it.
    fn count(&mut self, out: &mut Vec<u8>) -> Option<u32> {
        let count = self.number()?;
        self.put(count, out);
        Some(count)
    }

    fn points(&mut self, coordinates: usize, out: &mut Vec<u8>) -> Option<()> {
        let count = usize::try_from(self.count(out)?).ok()?;
        self.copy(count.checked_mul(coordinates * 8)?, out)
    }

    fn geometry(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<Option<u32>> {
        self.little = match self.rest.first()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        self.copy(1, out)?;
        let head = self.number()?;
        let srid = if head & HAS_SRID == 0 {
            None
        } else {
            Some(self.number()?)
        };
        let (z, m) = (u32::from(head & HAS_Z != 0), u32::from(head & HAS_M != 0));
        let kind = head & !(HAS_Z | HAS_M | HAS_SRID);
        self.put(kind + 1_000 * z + 2_000 * m, out);
        let coordinates = 2 + usize::try_from(z + m).ok()?;
        match kind {
            // A point.
            1 => self.copy(coordinates * 8, out)?,
            // A line, a curve.
            2 | 8 => self.points(coordinates, out)?,
            // A polygon, a triangle: rings of points.
            3 | 17 => {
                for _ in 0..self.count(out)? {
                    self.points(coordinates, out)?;
                }
            }
            // Everything that is made of geometries.
            4..=7 | 9..=12 | 15 | 16 if depth < MAX_DEPTH => {
                for _ in 0..self.count(out)? {
                    self.geometry(out, depth + 1)?;
                }
            }
            _ => return None,
        }
        Some(srid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(little: bool, kind: u32) -> Vec<u8> {
        let kind = if little {
            kind.to_le_bytes()
        } else {
            kind.to_be_bytes()
        };
        [&[u8::from(little)][..], &kind].concat()
    }

    fn point(little: bool, kind: u32, srid: Option<u32>, coordinates: &[f64]) -> Vec<u8> {
        let mut bytes = head(little, kind);
        bytes.extend(srid.into_iter().flat_map(u32::to_le_bytes));
        for coordinate in coordinates {
            bytes.extend(if little {
                coordinate.to_le_bytes()
            } else {
                coordinate.to_be_bytes()
            });
        }
        bytes
    }

    fn check(ewkb: &[u8], srid: Option<u32>, wkb: &[u8]) {
        let mut out = Vec::new();
        assert_eq!(to_wkb(ewkb, &mut out), Ok(srid));
        assert_eq!(out, wkb);
    }

    #[test]
    fn heads_change_and_coordinates_stay() {
        let plain = point(false, 1, None, &[1.0, 2.0]);
        check(&plain, None, &plain);
        check(
            &point(true, 1 | HAS_SRID, Some(4326), &[1.0, 2.0]),
            Some(4326),
            &point(true, 1, None, &[1.0, 2.0]),
        );
        check(
            &point(true, 1 | HAS_Z | HAS_M, None, &[1.0, 2.0, 3.0, 4.0]),
            None,
            &point(true, 3001, None, &[1.0, 2.0, 3.0, 4.0]),
        );
    }

    #[test]
    fn collections_are_followed_to_their_members() {
        let two = |kind: u32, inner: u32| {
            let mut bytes = head(true, kind);
            bytes.extend(2_u32.to_le_bytes());
            for _ in 0..2 {
                bytes.extend(point(true, inner, None, &[1.0, 2.0, 3.0]));
            }
            bytes
        };
        check(&two(7 | HAS_Z, 1 | HAS_Z), None, &two(1007, 1001));
        let mut polygon = head(true, 3);
        polygon.extend(1_u32.to_le_bytes());
        polygon.extend(2_u32.to_le_bytes());
        polygon.extend([0; 32]);
        check(&polygon, None, &polygon);
    }

    #[test]
    fn damage_is_told() {
        let deep: Vec<u8> = (0..40)
            .flat_map(|_| [head(true, 7), 1_u32.to_le_bytes().to_vec()].concat())
            .collect();
        let mut long = point(true, 1, None, &[1.0, 2.0]);
        long.push(0);
        for ewkb in [vec![], vec![2], head(true, 99), head(true, 1), deep, long] {
            assert_eq!(
                to_wkb(&ewkb, &mut Vec::new()),
                Err(Fault::Damaged),
                "{ewkb:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(mut ewkb in prop::collection::vec(any::<u8>(), 0..60), kind in 0_u8..20) {
            if let Some(first) = ewkb.get_mut(1) {
                *first = kind;
            }
            let _ = to_wkb(&ewkb, &mut Vec::new());
        }
    }
}
