//! Long texts in pieces: where they are cut.
//!
//! An embedder sees a few hundred words of a text and says one thing of all of them. With [`Chunking`] a longer text is
//! cut into pieces of at most so many characters (Unicode scalar values), each of which becomes a vector. A piece begins
//! a fixed number of characters before the end of the one before, so that a sentence which is cut stands whole in one of
//! the two. A cut is made before the last whitespace in the second half of a piece, where there is one, and after the
//! last character that fits otherwise.
//!
//! Invariants: the same text is cut alike at any time; together the pieces are the whole text; none is empty, none is
//! longer than asked for; each begins behind the beginning of the one before and ends behind its end.
//!
//! Absent here: sentences, paragraphs and tokens of a model, which depend on language and model.

use boathouse_vector::Span;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// Lengths of pieces that may be asked for, in characters.
const CHARACTERS: std::ops::RangeInclusive<u32> = 50..=100_000;

/// How long texts are cut into pieces, of which each gets a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Chunking {
    /// Most characters of a piece, 50 to 100,000.
    pub characters: u32,
    /// Characters that a piece has in common with the one before; less than half of `characters`.
    #[serde(default)]
    pub overlap: u32,
}

/// A text to embed: a piece of one, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    /// Where it stands; none for a text that is not to be cut.
    pub(super) span: Option<Span>,
}

impl Chunking {
    /// That pieces can be cut like this.
    ///
    /// # Errors
    /// 422 that says what is allowed.
    pub(super) fn check(self) -> Result<(), Problem> {
        let Self {
            characters,
            overlap,
        } = self;
        let (least, most) = (*CHARACTERS.start(), *CHARACTERS.end());
        if !CHARACTERS.contains(&characters) {
            return Err(Problem::field(
                "chunk",
                "out_of_bounds",
                format!("characters is {characters} and must be {least} to {most}"),
            ));
        }
        if overlap >= characters.div_ceil(2) {
            return Err(Problem::field(
                "chunk",
                "out_of_bounds",
                format!(
                    "overlap is {overlap} and must be less than half of characters, which is {characters}"
                ),
            ));
        }
        Ok(())
    }

    /// Adds the pieces of a text.
    fn cut<'a>(self, text: &'a str, to: &mut Vec<Piece<'a>>) {
        let most = self.characters as usize;
        // Where each character begins, and the end. A column of texts holds fewer bytes than 32 bits can count.
        let mut places: Vec<u32> = text.char_indices().map(|(at, _)| at as u32).collect();
        let count = places.len();
        places.push(text.len() as u32);
        let mut start = 0;
        while start < count {
            let end = match count - start <= most {
                true => count,
                false => self.end(text, &places, start),
            };
            to.push(Piece {
                text: &text[places[start] as usize..places[end] as usize],
                span: Some(Span {
                    start: start as u32,
                    end: end as u32,
                }),
            });
            if end == count {
                return;
            }
            start = end - self.overlap as usize;
        }
    }

    /// Where a piece that begins at a character ends, in a text that goes on behind it.
    fn end(self, text: &str, places: &[u32], start: usize) -> usize {
        let most = self.characters as usize;
        let is_space = |at: &usize| {
            let rest = &text[places[*at] as usize..];
            rest.starts_with(char::is_whitespace)
        };
        let half = start + most.div_ceil(2);
        let mut second_half = (half..=start + most).rev();
        second_half.find(is_space).unwrap_or(start + most)
    }
}

/// Adds what is to be embedded of a text: nothing of an empty one that would be cut.
pub(super) fn pieces<'a>(chunking: Option<Chunking>, text: &'a str, to: &mut Vec<Piece<'a>>) {
    match chunking {
        Some(chunking) => chunking.cut(text, to),
        None => to.push(Piece { text, span: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunking(characters: u32, overlap: u32) -> Chunking {
        Chunking {
            characters,
            overlap,
        }
    }

    fn cut(chunking: Chunking, text: &str) -> Vec<Piece<'_>> {
        let mut all = Vec::new();
        pieces(Some(chunking), text, &mut all);
        all
    }

    /// Texts of so many characters that look like chance, of one, two, three and four bytes and of whitespace.
    fn text(seed: u64, characters: usize) -> String {
        let alphabet: Vec<char> = "aaabcdé漢🛶 \n\u{3000}".chars().collect();
        // Of every third text, no character is whitespace.
        let words = alphabet.len() - if seed.is_multiple_of(3) { 3 } else { 0 };
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        (0..characters).map(|_| alphabet[next() % words]).collect()
    }

    /// All that is promised of the pieces of a text.
    fn check(chunking: Chunking, text: &str) {
        let found = cut(chunking, text);
        let characters: Vec<char> = text.chars().collect();
        let bounds = |piece: &Piece<'_>| {
            let span = piece.span.expect("a piece");
            (span.start as usize, span.end as usize)
        };
        let mut end_before = 0;
        for (at, piece) in found.iter().enumerate() {
            let (start, end) = bounds(piece);
            let own: String = characters[start..end].iter().collect();
            assert_eq!(piece.text, own, "the span is the text");
            assert!(start < end && end - start <= chunking.characters as usize);
            assert!(end > end_before);
            if at > 0 {
                assert_eq!(start, end_before - chunking.overlap as usize);
                assert!(start > bounds(&found[at - 1]).0);
            } else {
                assert_eq!(start, 0);
            }
            if end < characters.len() {
                check_cut(chunking, &characters, (start, end));
            }
            end_before = end;
        }
        assert_eq!(end_before, characters.len(), "the whole text");
        assert_eq!(found, cut(chunking, text));
    }

    /// That a cut is where it is to be.
    fn check_cut(chunking: Chunking, characters: &[char], (start, end): (usize, usize)) {
        let most = start + chunking.characters as usize;
        let half = start + chunking.characters.div_ceil(2) as usize;
        let is_space = |at: usize| characters[at].is_whitespace();
        let last = (half..=most).rev().find(|at| is_space(*at));
        assert_eq!(end, last.unwrap_or(most));
    }

    #[test]
    fn whatever_the_text_its_pieces_are_as_promised() {
        for seed in 0..300 {
            let length = [0, 1, 49, 50, 51, 99, 100, 101, 500, 1_234][seed as usize % 10];
            let text = text(seed, length);
            for (characters, overlap) in [(50, 0), (50, 24), (51, 25), (99, 13), (1_000, 100)] {
                check(chunking(characters, overlap), &text);
            }
        }
    }

    #[test]
    fn a_text_that_fits_stays_whole() {
        let text = text(1, 50);
        let whole = cut(chunking(50, 10), &text);
        let span = Span { start: 0, end: 50 };
        let expected = Piece {
            text: &text,
            span: Some(span),
        };
        assert_eq!(whole, [expected]);
        assert!(cut(chunking(50, 10), "").is_empty());
        let mut uncut = Vec::new();
        pieces(None, "", &mut uncut);
        assert_eq!(
            uncut,
            [Piece {
                text: "",
                span: None
            }]
        );
    }

    #[test]
    fn a_cut_is_made_between_words() {
        let text = "ships in the harbour and bread in the oven, ".repeat(3);
        let found = cut(chunking(50, 8), &text);
        let texts: Vec<&str> = found.iter().map(|piece| piece.text).collect();
        assert_eq!(
            texts[..2],
            [
                "ships in the harbour and bread in the oven, ships",
                "n, ships in the harbour and bread in the oven,"
            ]
        );
    }

    #[test]
    fn what_cannot_be_cut_is_refused_with_what_can() {
        for (characters, overlap, words) in [
            (49, 0, "50 to 100000"),
            (100_001, 0, "50 to 100000"),
            (50, 25, "less than half"),
            (51, 26, "less than half"),
            (100_000, u32::MAX, "less than half"),
        ] {
            let refused = chunking(characters, overlap).check().unwrap_err();
            assert_eq!(refused.status, 422);
            let said = format!("{refused:?}");
            assert!(said.contains(words), "{said}");
        }
        for (characters, overlap) in [(50, 24), (51, 25), (100_000, 0)] {
            assert!(chunking(characters, overlap).check().is_ok());
        }
    }

    #[test]
    fn fields_that_are_not_known_are_refused_and_overlap_may_be_missing() {
        let read = |text: &str| serde_json::from_str::<Chunking>(text);
        assert_eq!(read(r#"{"characters": 800}"#).unwrap(), chunking(800, 0));
        assert!(read(r#"{"characters": 800, "tokens": 1}"#).is_err());
        assert!(read(r#"{"overlap": 1}"#).is_err());
    }
}
