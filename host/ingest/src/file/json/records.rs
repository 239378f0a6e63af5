//! Cuts a JSON file into its objects and those into their members, counting lines and columns.
//!
//! Memory is one object. A line is an object; in an array, an object ends where its members do. One that is not
//! whole in the window, or not sound, is found by matching brackets outside strings. What is wrong with it is for
//! serde_json to say; its errors are moved to the place in the file by [`explain`].

use super::{
    super::text::{More, Window},
    fields::{self, Field, Keys},
};
use crate::{IngestError, error::Place};

/// How objects stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::file) enum Layout {
    /// One a line.
    Lines,
    /// In one array.
    Array,
}

/// One object.
pub(super) struct Record<'a> {
    /// Its text.
    pub(super) text: &'a str,
    /// Its members, in its order.
    pub(super) fields: &'a [Field],
    /// Where it begins.
    pub(super) place: Place,
}

/// Puts the parser's error about an object, whose place counts from `start`, into the file's terms.
fn explain(text: &str, start: Place) -> IngestError {
    let (place, problem) = match fields::judge(text) {
        Ok(()) => (start, "it is not cut off where it should be".to_owned()),
        Err(error) => (place_in(start, &error), error.to_string()),
    };
    let problem = problem.split(" at line ").next().unwrap_or("bad syntax");
    IngestError::bad(
        place,
        format!("this is no JSON object: {problem}"),
        "correct the syntax; a file holds one object a line, or one array of objects",
    )
}

fn place_in(start: Place, error: &serde_json::Error) -> Place {
    let (line, column) = (error.line() as u64, error.column() as u64);
    let (first_line, first_column) = (start.line.unwrap_or(1), start.column.unwrap_or(1));
    match line {
        0 | 1 => Place::at(first_line, first_column + column.saturating_sub(1)),
        _ => Place::at(first_line + line - 1, column),
    }
}

/// The objects of a file, one after another.
pub(super) struct Records {
    window: Window,
    layout: Layout,
    /// Where the window begins, each from 1.
    line: u64,
    column: u64,
    /// What is passed over before the next object.
    length: usize,
    /// Of the object.
    fields: Vec<Field>,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Before the bracket of the array.
    Start,
    /// After it: an object or the end.
    First,
    /// After an object: a comma or the end.
    After,
    /// After a comma: an object.
    Next,
    /// After the end.
    Over,
}

impl Records {
    /// Begins at the start of a text.
    pub(super) fn new(window: Window, layout: Layout) -> Self {
        Self {
            window,
            layout,
            line: 1,
            column: 1,
            length: 0,
            fields: Vec::new(),
            state: State::Start,
        }
    }

    /// The next object; none at the end of the file. `keys` are those that are known.
    pub(super) fn next(&mut self, keys: &Keys) -> Result<Option<Record<'_>>, IngestError> {
        self.pass(self.length);
        self.length = match self.layout {
            Layout::Lines => self.find_line()?,
            Layout::Array => self.find_element(keys)?,
        };
        let text = &self.window.rest()[..self.length];
        if text.is_empty() {
            return Ok(None);
        }
        let place = Place::at(self.line, self.column);
        let is_cut = self.layout == Layout::Array && !self.fields.is_empty();
        if !is_cut && fields::cut(text, keys, &mut self.fields) != Some(text.len()) {
            return Err(explain(text, place));
        }
        Ok(Some(Record {
            text,
            fields: &self.fields,
            place,
        }))
    }

    /// Moves to the next line that is not blank; gives its length without its end, 0 at the end of the file.
    fn find_line(&mut self) -> Result<usize, IngestError> {
        loop {
            let rest = self.window.rest();
            let blank = rest.len() - rest.trim_ascii_start().len();
            // Blanks within the line stay, as columns count from its start.
            let blank = memchr::memrchr(b'\n', &rest.as_bytes()[..blank]).map_or(0, |at| at + 1);
            self.pass(blank);
            let rest = self.window.rest();
            if let Some(end) = memchr::memchr(b'\n', rest.as_bytes()) {
                let kept = rest[..end].trim_ascii_end().len();
                if kept > 0 {
                    return Ok(kept);
                }
            }
            if self.widen()? == More::End {
                return Ok(self.window.rest().trim_ascii_end().len());
            }
        }
    }

    /// Moves to the next object of the array; gives its length, 0 at the end of the file.
    fn find_element(&mut self, keys: &Keys) -> Result<usize, IngestError> {
        loop {
            let Some(next) = self.skip_blank()? else {
                return match self.state {
                    State::Over => Ok(0),
                    State::Start => {
                        Err(self.wrong("the file is empty", "write an array of objects"))
                    }
                    State::Next => Err(self.not_an_object()),
                    State::First | State::After => Err(self.wrong(
                        "the file ends inside the array",
                        "close the array with `]`; the file may have been cut off",
                    )),
                };
            };
            match (self.state, next) {
                (State::Start, b'[') => self.step(State::First),
                (State::First | State::After, b']') => self.step(State::Over),
                (State::First | State::Next, b'{') => return self.find_end(keys),
                (State::After, b',') => self.step(State::Next),
                (State::Start | State::First | State::Next, _) => return Err(self.not_an_object()),
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

    /// The length of the object that begins here, whose members are cut where it is sound.
    fn find_end(&mut self, keys: &Keys) -> Result<usize, IngestError> {
        self.state = State::After;
        if let Some(length) = fields::cut(self.window.rest(), keys, &mut self.fields) {
            return Ok(length);
        }
        self.fields.clear();
        let mut nesting = Nesting::default();
        let mut seen = 0;
        loop {
            let rest = self.window.rest().as_bytes();
            if let Some(end) = nesting.end(&rest[seen..]) {
                return Ok(seen + end + 1);
            }
            seen = rest.len();
            if self.widen()? == More::End {
                return Err(IngestError::bad(
                    Place::at(self.line, self.column),
                    "the object that begins here is not closed",
                    "close its brackets and quotes; the file may have been cut off",
                ));
            }
        }
    }

    /// Passes blanks; gives the next byte without taking it.
    fn skip_blank(&mut self) -> Result<Option<u8>, IngestError> {
        loop {
            let rest = self.window.rest();
            let text = rest.trim_start_matches([' ', '\t', '\r', '\n']);
            let (blank, next) = (rest.len() - text.len(), text.bytes().next());
            self.pass(blank);
            if next.is_some() || self.widen()? == More::End {
                return Ok(next);
            }
        }
    }

    fn widen(&mut self) -> Result<More, IngestError> {
        match self.window.more(self.line)? {
            More::NotText => Err(self.window.not_text(self.line, None)),
            more => Ok(more),
        }
    }

    fn step(&mut self, state: State) {
        self.state = state;
        self.pass(1);
    }

    /// Passes over text and counts its lines and columns.
    fn pass(&mut self, bytes: usize) {
        let passed = &self.window.rest().as_bytes()[..bytes];
        match memchr::memrchr(b'\n', passed) {
            Some(last) => {
                self.line += memchr::memchr_iter(b'\n', passed).count() as u64;
                self.column = (bytes - last) as u64;
            }
            None => self.column += bytes as u64,
        }
        self.window.take(bytes);
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

/// Brackets that are open, outside strings.
#[derive(Default)]
struct Nesting {
    depth: u64,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// Takes bytes; gives where the outermost bracket closes, if it does among them.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string {
                if std::mem::take(&mut self.escaped) {
                    at += 1;
                    continue;
                }
                at += memchr::memchr2(b'"', b'\\', &bytes[at..])?;
                match bytes[at] {
                    b'\\' => self.escaped = true,
                    _ => self.in_string = false,
                }
            } else {
                match bytes[at] {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => {
                        self.depth = self.depth.saturating_sub(1);
                        if self.depth == 0 {
                            return Some(at);
                        }
                    }
                    _ => {}
                }
            }
            at += 1;
        }
        None
    }
}
