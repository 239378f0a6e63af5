//! The binary form of `COPY`: rows as they come off the wire.
//!
//! A head, then rows of a count of fields and each field's length and bytes, then a count of -1 ("COPY", File
//! Formats, Binary Format, in PostgreSQL's documentation). A row mostly comes as one message, but nothing here
//! relies on that: bytes may be cut anywhere. A row is handed on only when it is there whole and every length in
//! it is sound; one that is longer than the guard's limit is refused.

use super::guard::MESSAGE_LIMIT;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Signature, flags, length of the extension.
const HEAD: usize = SIGNATURE.len() + 8;

/// Bits of the flags that a reader must know to go on; none is known here.
const CRITICAL_FLAGS: u32 = 0xffff_0000;

/// What came is not the binary form of `COPY`, or ended too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("what the server sent is not in the binary form of COPY")]
    Form,
    #[error("the server sent rows with another number of columns than it announced")]
    Columns,
    #[error("a row is longer than 64 MiB")]
    TooLong,
    #[error("the server stopped in the middle")]
    Early,
}

/// The fields of a row, one after the other.
pub(super) struct Cells<'a>(&'a [u8]);

#[cfg(test)]
impl<'a> Cells<'a> {
    /// The fields that these bytes are.
    pub(super) fn of(row: &'a [u8]) -> Self {
        Self(row)
    }
}

impl<'a> Iterator for Cells<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.0.split_first_chunk()?;
        match usize::try_from(i32::from_be_bytes(*length)) {
            // The lengths were looked at when the row was found to be whole.
            Ok(length) => {
                let (cell, rest) = rest.split_at_checked(length)?;
                self.0 = rest;
                Some(Some(cell))
            }
            Err(_) => {
                self.0 = rest;
                Some(None)
            }
        }
    }
}

/// Finds the rows in what comes.
pub(super) struct CopyReader {
    columns: usize,
    state: State,
    /// The beginning of what is not whole yet.
    rest: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Rows,
    Ended,
}

/// What stands at the start of some bytes.
enum Found {
    /// Not yet enough of them.
    Part,
    /// Something to pass over.
    Skip(usize),
    /// A row: where its fields are, and how long it is.
    Row(usize),
    /// The end.
    End,
}

impl CopyReader {
    /// A reader of rows of so many columns.
    pub(super) fn new(columns: usize) -> Self {
        Self {
            columns,
            state: State::Head,
            rest: Vec::new(),
        }
    }

    /// Takes the next bytes and hands on the rows that are whole with them.
    pub(super) fn feed<E: From<Malformed>>(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(Cells<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.rest.is_empty() {
            let used = self.walk(bytes, &mut take)?;
            self.rest.extend(&bytes[used..]);
        } else {
            let mut all = std::mem::take(&mut self.rest);
            all.extend(bytes);
            let used = self.walk(&all, &mut take)?;
            all.drain(..used);
            self.rest = all;
        }
        match self.rest.len() > MESSAGE_LIMIT {
            true => Err(Malformed::TooLong.into()),
            false => Ok(()),
        }
    }

    /// Checks that all has come.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        match self.state {
            State::Ended => Ok(()),
            _ => Err(Malformed::Early),
        }
    }

    /// Hands on whole rows and tells how many bytes they took.
    fn walk<E: From<Malformed>>(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(Cells<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut used = 0;
        while used < bytes.len() {
            let ahead = &bytes[used..];
            match self.find(ahead)? {
                Found::Part => break,
                Found::Skip(length) => {
                    self.state = State::Rows;
                    used += length;
                }
                Found::Row(length) => {
                    take(Cells(&ahead[2..length]))?;
                    used += length;
                }
                Found::End => {
                    self.state = State::Ended;
                    used += 2;
                }
            }
        }
        Ok(used)
    }

    fn find(&self, ahead: &[u8]) -> Result<Found, Malformed> {
        match self.state {
            State::Head => find_head(ahead),
            State::Rows => self.find_row(ahead),
            State::Ended => Err(Malformed::Form),
        }
    }

    fn find_row(&self, ahead: &[u8]) -> Result<Found, Malformed> {
        let Some((count, mut rest)) = ahead.split_first_chunk() else {
            return Ok(Found::Part);
        };
        match i16::from_be_bytes(*count) {
            -1 => return Ok(Found::End),
            count if usize::try_from(count) == Ok(self.columns) => {}
            count if count < 0 => return Err(Malformed::Form),
            _ => return Err(Malformed::Columns),
        }
        for _ in 0..self.columns {
            let Some((length, after)) = rest.split_first_chunk() else {
                return Ok(Found::Part);
            };
            rest = match i32::from_be_bytes(*length) {
                -1 => after,
                length => {
                    let length = usize::try_from(length).map_err(|_| Malformed::Form)?;
                    if length > MESSAGE_LIMIT {
                        return Err(Malformed::TooLong);
                    }
                    match after.get(length..) {
                        Some(after) => after,
                        None => return Ok(Found::Part),
                    }
                }
            };
        }
        Ok(Found::Row(ahead.len() - rest.len()))
    }
}

fn find_head(ahead: &[u8]) -> Result<Found, Malformed> {
    let known = ahead.len().min(SIGNATURE.len());
    if ahead[..known] != SIGNATURE[..known] {
        return Err(Malformed::Form);
    }
    let Some((flags, rest)) = ahead
        .get(SIGNATURE.len()..)
        .and_then(<[u8]>::split_first_chunk)
    else {
        return Ok(Found::Part);
    };
    if u32::from_be_bytes(*flags) & CRITICAL_FLAGS != 0 {
        return Err(Malformed::Form);
    }
    let Some((extension, rest)) = rest.split_first_chunk() else {
        return Ok(Found::Part);
    };
    let extension = usize::try_from(i32::from_be_bytes(*extension)).map_err(|_| Malformed::Form)?;
    match rest.len() < extension {
        true => Ok(Found::Part),
        false => Ok(Found::Skip(HEAD + extension)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Rows = Vec<Vec<Option<Vec<u8>>>>;

    fn encoded(rows: &Rows) -> Vec<u8> {
        let mut bytes = [&SIGNATURE[..], &[0; 8]].concat();
        for row in rows {
            bytes.extend(i16::try_from(row.len()).unwrap().to_be_bytes());
            for cell in row {
                let length = cell
                    .as_ref()
                    .map_or(-1, |cell| i32::try_from(cell.len()).unwrap());
                bytes.extend(length.to_be_bytes());
                bytes.extend(cell.iter().flatten());
            }
        }
        bytes.extend([0xff, 0xff]);
        bytes
    }

    fn read<'a>(
        columns: usize,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Rows, Malformed> {
        let mut reader = CopyReader::new(columns);
        let mut rows = Rows::new();
        for piece in pieces {
            reader.feed(piece, |cells| {
                rows.push(cells.map(|cell| cell.map(<[u8]>::to_vec)).collect());
                Ok::<_, Malformed>(())
            })?;
        }
        reader.end()?;
        Ok(rows)
    }

    fn check_refused(columns: usize, bytes: &[u8], expected: Malformed) {
        assert_eq!(read(columns, [bytes]), Err(expected), "{bytes:?}");
    }

    #[test]
    fn what_is_not_copy_is_refused() {
        let good = encoded(&vec![vec![Some(b"a".to_vec()), None]]);
        check_refused(2, b"PGCOPX", Malformed::Form);
        check_refused(2, &good[..good.len() - 2], Malformed::Early);
        check_refused(2, &good[..good.len() - 3], Malformed::Early);
        check_refused(2, b"", Malformed::Early);
        check_refused(3, &good, Malformed::Columns);
        check_refused(2, &[&good[..], b"x"].concat(), Malformed::Form);
        let mut with_oids = good.clone();
        with_oids[12] = 1;
        check_refused(2, &with_oids, Malformed::Form);
        let head = &good[..HEAD];
        check_refused(
            1,
            &[head, &[0, 1, 0xff, 0xff, 0xff, 0xfe]].concat(),
            Malformed::Form,
        );
        check_refused(
            1,
            &[head, &[0, 1, 0x7f, 0, 0, 0]].concat(),
            Malformed::TooLong,
        );
        check_refused(1, &[head, &[0x80, 0]].concat(), Malformed::Form);
    }

    #[test]
    fn an_extension_of_the_head_is_passed_over() {
        let mut bytes = encoded(&vec![vec![None]]);
        bytes[HEAD - 1] = 3;
        bytes.splice(HEAD..HEAD, *b"ext");
        assert_eq!(read(1, [&bytes[..]]), Ok(vec![vec![None]]));
    }

    #[test]
    fn a_row_in_pieces_without_end_is_refused() {
        let mut reader = CopyReader::new(2);
        let head = encoded(&vec![])[..HEAD].to_vec();
        let cell = [&[0, 2][..], &(60_u32 << 20).to_be_bytes()].concat();
        let piece = vec![0; 16 << 20];
        let nothing = |_: Cells<'_>| Ok::<_, Malformed>(());
        reader.feed(&[head, cell].concat(), nothing).unwrap();
        let mut fed = (0..8).map(|_| reader.feed(&piece, nothing));
        assert!(fed.any(|fed| fed.is_err()));
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            rows in prop::collection::vec(
                prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..9)), 3), 0..6),
            cut in 1_usize..30,
        ) {
            let bytes = encoded(&rows);
            prop_assert_eq!(read(3, bytes.chunks(cut)), Ok(rows));
        }

        #[test]
        fn any_bytes_are_taken(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            columns in 0_usize..4,
            cut in 1_usize..50,
            with_head in any::<bool>(),
        ) {
            let head = encoded(&vec![])[..HEAD].to_vec();
            let bytes = if with_head { [head, bytes].concat() } else { bytes };
            let _ = read(columns, bytes.chunks(cut));
        }

        #[test]
        fn a_changed_byte_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in 1_usize..50) {
            let row = vec![Some(vec![1; 20]), None, Some(vec![])];
            let mut bytes = encoded(&vec![row.clone(), row]);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = read(3, bytes.chunks(cut));
        }
    }
}
