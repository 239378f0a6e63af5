//! From passages to the question that a model is asked, and from its answer to the documents that it cites.
//!
//! The question goes with numbered sources, as many as fit into the context of the model; a passage is cut before it is
//! left out. How many tokens a text has only the model knows: three bytes a token is fewer than English, code and most
//! other texts need, so what is counted to fit does. Marks such as `[2]` in the answer lead back to the sources; those of
//! no source are passed over.
//!
//! What stands in a document is data: it is told from the instructions by its place only, and a model may still follow what
//! a document tells it to do. So an answer is never more than words.

use boathouse_types::IndexName;
use serde::Serialize;
use serde_json::Value;

use super::search::ProfileHit;
use crate::problem::Problem;

/// Tokens that a model is loaded for when neither the profile nor the server says.
const USUAL_CONTEXT: u64 = 4_096;
/// Bytes of a text that are counted as a token.
const BYTES_A_TOKEN: usize = 3;
/// The least of a passage that is worth a number, in bytes.
const LEAST_PASSAGE: usize = 40;
/// Bytes around a passage: its number, spaces and line ends.
const AROUND: usize = 12;
const INSTRUCTIONS: &str = "Answer the question from the numbered sources below and from nothing else. After each \
     statement name its sources in square brackets, as in [1] or [2][3]. If the sources do not hold the answer, say so.";

/// A passage that a model is to answer from.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Source {
    /// Its number in the question, from 1.
    pub number: usize,
    /// The index in which it was found.
    pub index: IndexName,
    /// The document.
    pub id: String,
    /// Row of the dataset.
    pub row: u64,
    /// As in a search.
    pub score: f32,
    /// What the model reads of it.
    pub text: String,
}

/// A question that fits into a model's context.
#[derive(Debug, PartialEq)]
pub(super) struct Question {
    pub(super) text: String,
    pub(super) sources: Vec<Source>,
}

/// What is to be fitted in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Tokens of the model's context; none when it is not known.
    pub(super) context: Option<u64>,
    /// Tokens of the longest answer; none when it is not said.
    pub(super) answer: Option<u64>,
    /// Bytes that go along with every question.
    pub(super) system: usize,
}

impl Room {
    /// Bytes for question and sources.
    fn bytes(self) -> usize {
        let context = self.context.unwrap_or(USUAL_CONTEXT);
        // A model goes on until its context is full unless it is told otherwise; a quarter is left for that.
        let answer = self.answer.unwrap_or(context / 4);
        let tokens = usize::try_from(context.saturating_sub(answer)).unwrap_or(usize::MAX);
        tokens
            .saturating_mul(BYTES_A_TOKEN)
            .saturating_sub(self.system + INSTRUCTIONS.len() + 3 * AROUND)
    }
}

/// A passage that was found, with its text.
pub(super) struct Passage {
    pub(super) hit: ProfileHit,
    pub(super) text: String,
}

impl Passage {
    /// The text of a hit, of which only the piece counts that was found where texts are cut.
    pub(super) fn of(hit: ProfileHit, text_column: &str) -> Self {
        let text = match hit.hit.columns.get(text_column) {
            Some(Value::String(text)) => text.trim(),
            _ => "",
        };
        let text = match (&hit.hit.chunk, hit.hit.columns.get(text_column)) {
            (Some(chunk), Some(Value::String(whole))) => {
                let (start, end) = (chunk.start as usize, chunk.end as usize);
                let piece = whole.chars().skip(start).take(end.saturating_sub(start));
                piece.collect::<String>().trim().to_owned()
            }
            _ => text.to_owned(),
        };
        Self { hit, text }
    }
}

/// Puts a question together. Passages without text are left out, and so are those for which there is no room any more.
///
/// # Errors
/// 422 `prompt_too_long` when the question alone does not fit.
pub(super) fn question(
    asked: &str,
    passages: Vec<Passage>,
    room: Room,
) -> Result<Question, Problem> {
    let bytes = room.bytes();
    let mut left = bytes.checked_sub(asked.len()).ok_or_else(|| {
        Problem::field(
            "question",
            "prompt_too_long",
            format!(
                "has {} bytes, and there is room for {bytes} in the context of the model; ask in fewer words, or raise `num_ctx` in the options of the profile",
                asked.len()
            ),
        )
    })?;
    let mut sources: Vec<Source> = Vec::new();
    let mut waiting = passages.iter().filter(|one| !one.text.is_empty()).count();
    for Passage { hit, text } in passages {
        if text.is_empty() {
            continue;
        }
        // What an earlier passage does not need is there for the later ones.
        let share = (left / waiting).saturating_sub(AROUND);
        waiting -= 1;
        if share < LEAST_PASSAGE.min(text.len()) {
            continue;
        }
        let text = start_of(&text, share);
        left -= text.len() + AROUND;
        sources.push(Source {
            number: sources.len() + 1,
            index: hit.index,
            id: hit.hit.id,
            row: hit.hit.row,
            score: hit.hit.score,
            text,
        });
    }
    let mut text = format!("{INSTRUCTIONS}\n\nSources:\n");
    for source in &sources {
        text += &format!("[{}] {}\n", source.number, source.text);
    }
    if sources.is_empty() {
        text += "(none)\n";
    }
    text += &format!("\nQuestion: {asked}");
    Ok(Question { text, sources })
}

/// All of a text, or its first bytes with a mark that it goes on.
fn start_of(text: &str, most: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub(MARK.len()));
    format!("{}{MARK}", text[..end].trim_end())
}

/// The numbers of the sources that an answer cites, each once, in the order of their first marks.
pub(super) fn cited(answer: &str, sources: usize) -> Vec<usize> {
    let mut cited = Vec::new();
    for part in answer.split('[').skip(1) {
        let Some((inside, _)) = part.split_once(']') else {
            continue;
        };
        let numbers: Result<Vec<usize>, _> = inside
            .split([',', ';'])
            .map(|number| number.trim().parse())
            .collect();
        // A mark that holds anything else is a mark of something else.
        for number in numbers.into_iter().flatten() {
            if (1..=sources).contains(&number) && !cited.contains(&number) {
                cited.push(number);
            }
        }
    }
    cited
}

#[cfg(test)]
mod tests {
    use boathouse_types::IndexName;
    use serde_json::json;

    use super::*;
    use crate::indexes::{Chunk, Hit};

    fn passage(id: &str, text: &str, chunk: Option<Chunk>) -> Passage {
        let columns = json!({"body": text});
        let hit = Hit {
            id: id.to_owned(),
            score: 0.5,
            distance: 0.5,
            row: 7,
            chunk,
            columns: columns.as_object().expect("an object").clone(),
        };
        let index = IndexName::new("notes").expect("a name");
        Passage::of(ProfileHit { index, hit }, "body")
    }

    const ROOM: Room = Room {
        context: Some(4_096),
        answer: None,
        system: 100,
    };

    #[test]
    fn sources_are_numbered_and_lead_to_documents() {
        let passages = vec![
            passage("a", " Ships wait for wind. ", None),
            passage("b", "", None),
            passage("c", "Bread needs an oven.", None),
        ];
        let made = question("What needs an oven?", passages, ROOM).expect("it fits");
        let ids: Vec<_> = made
            .sources
            .iter()
            .map(|one| (one.number, &*one.id))
            .collect();
        assert_eq!(ids, [(1, "a"), (2, "c")]);
        let expected = "Sources:\n[1] Ships wait for wind.\n[2] Bread needs an oven.\n\nQuestion: What needs an oven?";
        assert!(made.text.ends_with(expected), "{}", made.text);
        let none = question("Why?", Vec::new(), ROOM).expect("it fits");
        assert!(none.text.contains("(none)") && none.sources.is_empty());
    }

    #[test]
    fn of_a_cut_text_the_piece_counts_that_was_found() {
        let chunk = Chunk { start: 4, end: 9 };
        let one = passage("a", "äöü oven and more", Some(chunk));
        assert_eq!(one.text, "oven");
    }

    #[test]
    fn what_is_asked_fits_into_the_context_whatever_is_found() {
        let long = "a ship waits for the wind from the west ".repeat(400);
        for context in [300, 700, 2_048, 8_192] {
            let room = Room {
                context: Some(context),
                ..ROOM
            };
            let passages = (0..10).map(|n| passage(&n.to_string(), &long, None));
            let made = question("Where is the wind?", passages.collect(), room).expect("it fits");
            let most = context as usize * 3 / 4 * BYTES_A_TOKEN;
            let bytes = made.text.len() + room.system;
            assert!(bytes <= most, "{bytes} of {most} at {context}");
            // Little is left over once there is room for all.
            assert!(
                context < 2_048 || bytes > most * 9 / 10,
                "{bytes} of {most}"
            );
            assert!(context < 2_048 || made.sources.len() == 10, "{context}");
        }
    }

    #[test]
    fn a_question_beyond_the_context_is_refused() {
        let asked = "why ".repeat(4_000);
        let refused = question(&asked, Vec::new(), ROOM).expect_err("too long");
        assert_eq!(refused.code, "prompt_too_long");
        assert!(refused.detail.contains("num_ctx"), "{refused}");
        let larger = Room {
            context: Some(32_768),
            ..ROOM
        };
        assert!(question(&asked, Vec::new(), larger).is_ok());
        let talks_much = Room {
            answer: Some(4_096),
            ..ROOM
        };
        assert!(question("Why?", Vec::new(), talks_much).is_err());
    }

    #[test]
    fn marks_lead_to_sources_and_other_brackets_do_not() {
        let check = |answer: &str, expected: &[usize]| {
            assert_eq!(cited(answer, 3), expected, "{answer:?}");
        };
        check("Bread [2]. Ships [1][3].", &[2, 1, 3]);
        check("Both [1, 3] and again [3]", &[1, 3]);
        check("[0] [4] [x] [1a] [] [ 2 ] [", &[2]);
        check("no marks", &[]);
        check("[[1]]", &[1]);
    }
}
