//! Cuts a JSON file into its objects without parsing them, counting lines and columns.
//!
//! Memory is one object. A line is an object; in an array, objects are found by matching brackets outside
//! strings. Whether an object is sound inside is for the parser to say; its errors are moved to the place
//! in the file by [`Record::explain`].

use std::{
    fs::File,
    io::{BufRead, BufReader},
};

use super::super::meter::{BOM, Metered, not_utf8, read_range};
use crate::{IngestError, error::Place, watch::Watch};

const READ_BUFFER: usize = 256 << 10;

/// How objects stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::file) enum Layout {
    /// One a line.
    Lines,
    /// In one array.
    Array,
}

/// One object, unparsed.
pub(super) struct Record<'a> {
    /// Its text.
    pub(super) text: &'a str,
    /// Where it begins.
    pub(super) place: Place,
}

impl Record<'_> {
    /// Puts a parser's error, whose place counts from the record, into the file's terms.
    pub(super) fn explain(&self, error: &serde_json::Error) -> IngestError {
        let (line, column) = (error.line() as u64, error.column() as u64);
        let first_line = self.place.line.unwrap_or(1);
        let first_column = self.place.column.unwrap_or(1);
        let place = match line {
            0 | 1 => Place::at(first_line, first_column + column.saturating_sub(1)),
            _ => Place::at(first_line + line - 1, column),
        };
        let text = error.to_string();
        let problem = text.split(" at line ").next().unwrap_or("bad syntax");
        IngestError::bad(
            place,
            format!("this is no JSON object: {problem}"),
            "correct the syntax; a file holds one object a line, or one array of objects",
        )
    }
}

/// The objects of a file, one after another.
pub(super) struct Records {
    input: BufReader<Metered>,
    layout: Layout,
    /// Where the next byte stands, each from 1; the byte from 0.
    line: u64,
    column: u64,
    byte: u64,
    state: State,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Before the bracket of the array.
    Start,
    /// After it: an object or the end.
    First,
    /// After an object: a comma or the end.
    After,
    /// After the end.
    Over,
}

impl Records {
    /// Begins at the start of the file.
    pub(super) fn open(file: &File, layout: Layout, watch: &Watch) -> Result<Self, IngestError> {
        let head = read_range(file, 0, BOM.len() as u64).map_err(IngestError::Spool)?;
        let start = if head == BOM { BOM.len() as u64 } else { 0 };
        let file = file.try_clone().map_err(IngestError::Spool)?;
        let metered = Metered::new(file, start, watch).map_err(IngestError::Spool)?;
        Ok(Self {
            input: BufReader::with_capacity(READ_BUFFER, metered),
            layout,
            line: 1,
            column: 1,
            byte: start,
            state: State::Start,
            buffer: Vec::new(),
        })
    }

    /// The next object; none at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>, IngestError> {
        self.buffer.clear();
        self.input.get_mut().begin_record();
        let (place, byte) = match self.layout {
            Layout::Lines => match self.next_line()? {
                Some(found) => found,
                None => return Ok(None),
            },
            Layout::Array => match self.next_element()? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        match std::str::from_utf8(&self.buffer) {
            Ok(text) => Ok(Some(Record { text, place })),
            Err(_) => Err(not_utf8(&self.buffer, byte, place.line.unwrap_or(1), None)),
        }
    }

    fn next_line(&mut self) -> Result<Option<(Place, u64)>, IngestError> {
        loop {
            self.buffer.clear();
            let (line, byte) = (self.line, self.byte);
            let count = match self.input.read_until(b'\n', &mut self.buffer) {
                Ok(count) => count,
                Err(error) => return Err(self.input.get_ref().explain(error, line)),
            };
            if count == 0 {
                return Ok(None);
            }
            self.line += 1;
            self.byte += count as u64;
            // Without its break, so that an error at its end is still in this line.
            let kept = self.buffer.trim_ascii_end().len();
            self.buffer.truncate(kept);
            if !self.buffer.is_empty() {
                return Ok(Some((Place::at(line, 1), byte)));
            }
            self.input.get_mut().begin_record();
        }
    }

    fn next_element(&mut self) -> Result<Option<(Place, u64)>, IngestError> {
        loop {
            let Some(next) = self.skip_blank()? else {
                return match self.state {
                    State::Over => Ok(None),
                    State::Start => {
                        Err(self.wrong("the file is empty", "write an array of objects"))
                    }
                    _ => Err(self.wrong(
                        "the file ends inside the array",
                        "close the array with `]`; the file may have been cut off",
                    )),
                };
            };
            match (self.state, next) {
                (State::Start, b'[') => self.step(State::First),
                (State::First | State::After, b']') => self.step(State::Over),
                (State::First, b'{') => return self.element().map(Some),
                (State::After, b',') => {
                    self.bump(b',');
                    if self.skip_blank()? != Some(b'{') {
                        return Err(self.not_an_object());
                    }
                    return self.element().map(Some);
                }
                (State::Start | State::First, _) => return Err(self.not_an_object()),
                (State::After, _) => {
                    return Err(self.wrong(
                        "a comma or `]` is missing here",
                        "separate the objects of the array by commas",
                    ));
                }
                (State::Over, _) => {
                    return Err(self.wrong(
                        "something follows the end of the array",
                        "a file holds one array of objects, or one object a line",
                    ));
                }
            }
        }
    }

    /// Copies the object that begins here into the buffer.
    fn element(&mut self) -> Result<(Place, u64), IngestError> {
        let (place, byte) = (Place::at(self.line, self.column), self.byte);
        self.state = State::After;
        let mut nesting = Nesting::default();
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) => {
                    return Err(self.input.get_ref().explain(error, place.line.unwrap_or(1)));
                }
            };
            if chunk.is_empty() {
                return Err(IngestError::bad(
                    place,
                    "the object that begins here is not closed",
                    "close its brackets and quotes; the file may have been cut off",
                ));
            }
            let end = chunk.iter().position(|b| nesting.closes(*b));
            let taken = &chunk[..end.map_or(chunk.len(), |at| at + 1)];
            for value in taken {
                (self.line, self.column) = moved(self.line, self.column, *value);
            }
            self.buffer.extend_from_slice(taken);
            let used = taken.len();
            self.byte += used as u64;
            self.input.consume(used);
            if end.is_some() {
                return Ok((place, byte));
            }
        }
    }

    /// Passes blanks; gives the next byte without taking it.
    fn skip_blank(&mut self) -> Result<Option<u8>, IngestError> {
        loop {
            let next = match self.input.fill_buf() {
                Ok(chunk) => chunk.first().copied(),
                Err(error) => return Err(self.input.get_ref().explain(error, self.line)),
            };
            match next {
                Some(blank @ (b' ' | b'\t' | b'\r' | b'\n')) => self.bump(blank),
                other => return Ok(other),
            }
        }
    }

    fn step(&mut self, state: State) {
        self.state = state;
        self.bump(b'[');
    }

    fn bump(&mut self, byte: u8) {
        (self.line, self.column) = moved(self.line, self.column, byte);
        self.byte += 1;
        self.input.consume(1);
    }

    fn not_an_object(&self) -> IngestError {
        self.wrong(
            "an object is missing here",
            "a JSON file is one array of objects: `[{…}, {…}]`",
        )
    }

    fn wrong(&self, problem: &str, cure: &str) -> IngestError {
        IngestError::bad(Place::at(self.line, self.column), problem, cure)
    }
}

fn moved(line: u64, column: u64, byte: u8) -> (u64, u64) {
    match byte {
        b'\n' => (line + 1, 1),
        _ => (line, column + 1),
    }
}

/// Brackets that are open, outside strings.
#[derive(Default)]
struct Nesting {
    depth: u64,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// Takes a byte; true when it closes the outermost bracket.
    fn closes(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}
