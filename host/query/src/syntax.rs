//! From text to the tree of an expression, within limits.
//!
//! The parser is sqlparser, which DataFusion uses, with a dialect in which nothing is switched on: standard SQL, names of
//! columns in any script. It works by recursion and, where a text is wrong, by trying again, so what it is given is
//! bounded first: the length of the text, the number of its words and signs, and how deep it may nest. Values count for
//! the length only, so a list of some hundred values is fine.

use sqlparser::{
    ast::Expr,
    dialect::Dialect,
    parser::{Parser, ParserError},
    tokenizer::{Token, TokenWithSpan, Tokenizer},
};

use crate::error::{Place, QueryError};

/// Bytes that the text of a predicate may have.
pub const MAX_BYTES: usize = 16 * 1024;
/// Words and signs of a text, values and commas left out. Each may make the tree one level deeper.
pub(crate) const MAX_WORDS: usize = 1_000;
/// How deep parentheses, calls, `NOT` and the like may nest.
pub(crate) const MAX_NESTING: usize = 16;

/// Standard SQL.
#[derive(Debug)]
struct Standard;

impl Dialect for Standard {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }
}

/// Parses a text that is one expression from beginning to end.
///
/// # Errors
/// [`QueryError::TooLong`], [`QueryError::TooComplex`], [`QueryError::Syntax`].
pub(crate) fn parse(text: &str) -> Result<Expr, QueryError> {
    if text.len() > MAX_BYTES {
        return Err(QueryError::TooLong {
            bytes: text.len(),
            most: MAX_BYTES,
        });
    }
    let tokens = Tokenizer::new(&Standard, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| QueryError::Syntax {
        place: Place {
            line: error.location.line,
            character: error.location.column,
        },
        detail: lower_case(&error.message),
    })?;
    let words = words(&tokens);
    if words > MAX_WORDS {
        return Err(QueryError::TooComplex {
            what: format!("{words} words and signs, more than {MAX_WORDS}"),
        });
    }
    let mut parser = Parser::new(&Standard)
        .with_recursion_limit(MAX_NESTING)
        .with_tokens_with_locations(tokens);
    let parsed = parser.parse_expr().map_err(refused)?;
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => Ok(parsed),
        token => Err(QueryError::Syntax {
            place: Place::of(rest.span),
            detail: format!("it goes on with `{token}` after its end"),
        }),
    }
}

/// How many words and signs there are, without values, commas and blanks. A sign that makes a number of a list
/// negative belongs to the value.
fn words(tokens: &[TokenWithSpan]) -> usize {
    let told = tokens.iter().map(|token| &token.token);
    let told = told.filter(|token| !matches!(token, Token::Whitespace(_)));
    let mut before = &Token::LParen;
    let mut count = 0;
    for token in told {
        let is_value = match token {
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Comma => true,
            Token::Plus | Token::Minus => matches!(before, Token::Comma | Token::LParen),
            _ => false,
        };
        count += usize::from(!is_value);
        before = token;
    }
    count
}

fn refused(error: ParserError) -> QueryError {
    let told = match error {
        ParserError::RecursionLimitExceeded => {
            return QueryError::TooComplex {
                what: format!("parts that nest more than {MAX_NESTING} deep"),
            };
        }
        ParserError::TokenizerError(told) | ParserError::ParserError(told) => told,
    };
    let (detail, place) = located(&told).unwrap_or((&told, Place::default()));
    QueryError::Syntax {
        place,
        detail: lower_case(detail),
    }
}

/// A message of the parser without the place at its end, and that place.
fn located(told: &str) -> Option<(&str, Place)> {
    let (detail, place) = told.rsplit_once(" at Line: ")?;
    let (line, character) = place.split_once(", Column: ")?;
    let place = Place {
        line: line.parse().ok()?,
        character: character.parse().ok()?,
    };
    Some((detail, place))
}

fn lower_case(message: &str) -> String {
    let mut letters = message.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}
