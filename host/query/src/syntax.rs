//! From text to the tree of an expression, within limits.
//!
//! The parser is sqlparser, which DataFusion uses, with a dialect in which nothing is switched on: standard SQL, names of
//! columns in any script. It works by recursion and, where a text is wrong, by trying again, so what it is given is
//! bounded first: the length of the text, the number of its words and signs, and how deep it may nest. Values count for
//! the length only, so a list of some hundred values is fine. The parser counts how deep it goes, but for what a few words
//! begin, and those are bounded by their number. How often it tries is counted here.

use std::cell::Cell;

use sqlparser::{
    ast::Expr,
    dialect::Dialect,
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Token, TokenWithSpan, Tokenizer},
};

use crate::error::{Place, QueryError};

/// Bytes that the text of a predicate may have.
pub const MAX_BYTES: usize = 16 * 1024;
/// Words and signs of a text, values and commas left out. Each may make the tree one level deeper.
pub(crate) const MAX_WORDS: usize = 1_000;
/// How deep parentheses, calls, `NOT` and operators may nest, all counted together.
pub(crate) const MAX_NESTING: usize = 16;
/// How deep parentheses and `NOT` alone nest in a text that is too deep with the operators inside. Where the parser
/// comes to its limit behind a `NOT`, it takes that for a name and complains about what follows.
const DEEP: usize = 13;

/// Words of whose nesting the parser keeps no count: it goes as deep as there are of them, and where a text is wrong it
/// tries them in several ways. Filters hold nothing of what they begin, but a column may be called so.
const UNCOUNTED: [Keyword; 3] = [Keyword::ARRAY, Keyword::INTERVAL, Keyword::TABLE];
/// How many of those there may be.
const MAX_UNCOUNTED: usize = 4;

/// How often the parser may begin with an operand. Where a word such as `CASE` does not begin what it should, it takes it
/// for a name and begins anew with all that follows, and so for each of several. As many values as a text has room for are
/// a fifth of that.
const MAX_BEGUN: usize = 40_000;

/// Standard SQL, with a count of what was begun.
#[derive(Debug, Default)]
struct Standard {
    begun: Cell<usize>,
}

impl Dialect for Standard {
    fn parse_prefix(&self, _: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        self.begun.set(self.begun.get() + 1);
        (self.begun.get() > MAX_BEGUN).then_some(Err(ParserError::RecursionLimitExceeded))
    }

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
/// [`QueryError::TooLong`], [`QueryError::TooComplex`], [`QueryError::Unsupported`], [`QueryError::Syntax`].
pub(crate) fn parse(text: &str) -> Result<Expr, QueryError> {
    if text.len() > MAX_BYTES {
        return Err(QueryError::TooLong {
            bytes: text.len(),
            most: MAX_BYTES,
        });
    }
    let dialect = Standard::default();
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location();
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
    let mut uncounted = tokens.iter().filter(|token| is_uncounted(&token.token));
    if let Some(token) = uncounted.nth(MAX_UNCOUNTED) {
        return Err(QueryError::Unsupported {
            what: format!("`{}` and its like so often", token.token),
            place: Place::of(token.span),
            cure: "put a column of that name in double quotes".to_owned(),
        });
    }
    let is_deep = nesting(&tokens) >= DEEP;
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(MAX_NESTING)
        .with_tokens_with_locations(tokens);
    let parsed = parser.parse_expr();
    if dialect.begun.get() > MAX_BEGUN {
        return Err(QueryError::TooComplex {
            what: "words that can be read in too many ways".to_owned(),
        });
    }
    let rest = parser.peek_token();
    if is_deep && (parsed.is_err() || rest.token != Token::EOF) {
        return Err(too_deep());
    }
    let parsed = parsed.map_err(refused)?;
    match rest.token {
        Token::EOF => Ok(parsed),
        token => Err(QueryError::Syntax {
            place: Place::of(rest.span),
            detail: format!("it goes on with `{token}` after its end"),
        }),
    }
}

fn is_uncounted(token: &Token) -> bool {
    match token {
        Token::Word(word) => UNCOUNTED.contains(&word.keyword),
        _ => false,
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

/// How deep parentheses and `NOT` nest.
fn nesting(tokens: &[TokenWithSpan]) -> usize {
    let (mut open, mut depth, mut negations, mut deepest) = (Vec::new(), 0, 0, 0);
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::Word(word) if word.keyword == Keyword::NOT => negations += 1,
            Token::LParen => {
                open.push(negations + 1);
                depth += negations + 1;
                negations = 0;
            }
            Token::RParen => {
                depth -= open.pop().unwrap_or(0);
                negations = 0;
            }
            _ => negations = 0,
        }
        deepest = deepest.max(depth + negations);
    }
    deepest
}

fn too_deep() -> QueryError {
    QueryError::TooComplex {
        what: format!("parts that nest more than {MAX_NESTING} deep, the operators inside counted"),
    }
}

fn refused(error: ParserError) -> QueryError {
    let told = match error {
        ParserError::RecursionLimitExceeded => return too_deep(),
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
