//! From the parser's tree to an expression of DataFusion: what a predicate may consist of.
//!
//! Comparisons, `AND`, `OR`, `NOT`, `IN` with a list, `BETWEEN`, `LIKE` and `ILIKE`, `IS NULL` and its kin, arithmetic on
//! numbers, `CAST` and `TRY_CAST`, and the functions of `functions.rs`. Everything else is refused by name. Names are
//! resolved and kinds compared here, on the way up, so that errors can say where.
//!
//! Chains of `AND` and of `OR` become balanced trees; whatever else nests is bounded by [`MAX_DEPTH`], and with it every
//! recursion of the steps that follow. What stands twice in the result doubles with each level, so the parts of the result
//! are counted as well, and there may be [`MAX_PARTS`].

mod values;

use std::{cell::Cell, iter};

use arrow::datatypes::Schema;
use datafusion_common::{Column, DFSchema, ScalarValue, tree_node::TreeNode as _};
use datafusion_expr::{
    Expr, Operator,
    expr::{BinaryExpr, Cast, InList, Like, TryCast},
};
use sqlparser::ast::{
    BinaryOperator, CastKind, Expr as Sql, Function, Ident, UnaryOperator, ValueWithSpan,
};

use crate::{
    common::Common,
    error::{Place, QueryError},
    functions,
    kind::{Kind, Part, unfit},
    names, numbers,
};

/// How deep the tree of a predicate may be.
const MAX_DEPTH: usize = 48;
/// Levels that a conversion and `coalesce` count for beyond their own. Of what is below them DataFusion asks twice whether
/// it may be null, so a nest of `n` is asked about `2^n` times.
const ASKED_TWICE: usize = 3;
/// Parts of the result. As many values as a text has room for are less than half of that.
const MAX_PARTS: usize = 20_000;
/// `%` and `_` of a pattern, escaped ones included. What a matcher has to keep in mind for each letter grows with them.
const MAX_WILDCARDS: usize = 32;

/// What names and types are looked up in, and how much has come of it.
pub(crate) struct Lowering<'a> {
    schema: &'a Schema,
    typed: &'a DFSchema,
    parts: Cell<usize>,
}

impl<'a> Lowering<'a> {
    /// Of a schema, which is given in two ways.
    pub(crate) fn new(schema: &'a Schema, typed: &'a DFSchema) -> Self {
        Self {
            schema,
            typed,
            parts: Cell::new(0),
        }
    }

    /// A condition as an expression, before coercion.
    ///
    /// # Errors
    /// [`QueryError::UnknownColumn`], [`QueryError::AmbiguousColumn`], [`QueryError::Unsupported`],
    /// [`QueryError::WrongType`], [`QueryError::TooComplex`].
    pub(crate) fn condition(&self, sql: &Sql) -> Result<Expr, QueryError> {
        Ok(self.truth(sql, 0, "a filter")?.expr)
    }

    fn truth(&self, sql: &Sql, depth: usize, whose: &str) -> Result<Part, QueryError> {
        self.part(sql, depth)?.expect(Kind::Truth, whose)
    }

    /// Any part. Its parts are one level deeper.
    pub(crate) fn part(&self, sql: &Sql, depth: usize) -> Result<Part, QueryError> {
        if depth > MAX_DEPTH {
            return Err(QueryError::TooComplex {
                what: format!("parts that nest more than {MAX_DEPTH} deep"),
            });
        }
        self.count(1)?;
        let below = depth + 1;
        match sql {
            Sql::Nested(inner) => self.part(inner, below),
            Sql::Identifier(name) => self.column(name),
            Sql::Value(value) => values::literal(value),
            Sql::TypedString(typed) => values::typed(typed),
            Sql::UnaryOp { op, expr } => self.unary(*op, expr, below),
            Sql::BinaryOp { left, op, right } => match op {
                BinaryOperator::And | BinaryOperator::Or => self.chain(sql, op, below),
                _ => self.binary(left, op, right, below),
            },
            Sql::IsDistinctFrom(left, right) => {
                self.comparison(left, Operator::IsDistinctFrom, right, below)
            }
            Sql::IsNotDistinctFrom(left, right) => {
                self.comparison(left, Operator::IsNotDistinctFrom, right, below)
            }
            Sql::Cast { .. } | Sql::Extract { .. } => self.converted(sql, below),
            Sql::Trim { expr, .. } => self.trimmed(sql, expr, below),
            Sql::Substring { .. } => self.substring(sql, below),
            Sql::Function(function) => self.call(function, below),
            _ => self.test(sql, below),
        }
    }

    /// Adds to the parts of the result.
    fn count(&self, more: usize) -> Result<(), QueryError> {
        let parts = self.parts.get().saturating_add(more);
        self.parts.set(parts);
        match parts {
            0..=MAX_PARTS => Ok(()),
            _ => Err(QueryError::TooComplex {
                what: format!(
                    "more than {MAX_PARTS} parts, with what `BETWEEN` and `coalesce` look at counted twice"
                ),
            }),
        }
    }

    /// What is lowered here stands twice in the result.
    fn twice<T>(&self, lowered: impl FnOnce() -> Result<T, QueryError>) -> Result<T, QueryError> {
        let before = self.parts.get();
        let lowered = lowered()?;
        self.count(self.parts.get() - before)?;
        Ok(lowered)
    }

    /// Conditions on one part, and what is refused.
    fn test(&self, sql: &Sql, depth: usize) -> Result<Part, QueryError> {
        let asked = |inner: &Sql, test: fn(Box<Expr>) -> Expr| {
            let part = self.part(inner, depth)?;
            Ok(Part::condition(test(Box::new(part.expr)), part.place))
        };
        let truth = |inner: &Sql, test: fn(Box<Expr>) -> Expr| {
            let part = self.truth(inner, depth, "IS TRUE and its like")?;
            Ok(Part::condition(test(Box::new(part.expr)), part.place))
        };
        match sql {
            Sql::IsNull(inner) => asked(inner, Expr::IsNull),
            Sql::IsNotNull(inner) => asked(inner, Expr::IsNotNull),
            Sql::IsTrue(inner) => truth(inner, Expr::IsTrue),
            Sql::IsNotTrue(inner) => truth(inner, Expr::IsNotTrue),
            Sql::IsFalse(inner) => truth(inner, Expr::IsFalse),
            Sql::IsNotFalse(inner) => truth(inner, Expr::IsNotFalse),
            Sql::IsUnknown(inner) => truth(inner, Expr::IsUnknown),
            Sql::IsNotUnknown(inner) => truth(inner, Expr::IsNotUnknown),
            Sql::InList {
                expr,
                list,
                negated,
            } => self.in_list(expr, list, *negated, depth),
            Sql::Between {
                expr,
                negated,
                low,
                high,
            } => {
                let within = self.between(expr, low, high, depth)?;
                Ok(if *negated { not(within) } else { within })
            }
            Sql::Like { .. } | Sql::ILike { .. } => self.like(sql, depth),
            _ => Err(refused(sql)),
        }
    }

    fn column(&self, name: &Ident) -> Result<Part, QueryError> {
        let field = self.schema.field(names::resolve(self.schema, name)?);
        let place = Place::of(name.span);
        if Kind::of(field.data_type()) == Kind::Other {
            return Err(QueryError::WrongType {
                detail: format!(
                    "column `{}` is {}, about which a filter can say nothing",
                    field.name(),
                    field.data_type()
                ),
                place,
                cure: "use a column of numbers, text, dates, times or true and false".to_owned(),
            });
        }
        Ok(Part {
            expr: Expr::Column(Column::new_unqualified(field.name())),
            data_type: field.data_type().clone(),
            place,
        })
    }

    fn unary(&self, op: UnaryOperator, inner: &Sql, depth: usize) -> Result<Part, QueryError> {
        match (op, inner) {
            (UnaryOperator::Not, _) => Ok(not(self.truth(inner, depth, "NOT")?)),
            (UnaryOperator::Minus, Sql::Value(value)) => values::negative(value),
            (UnaryOperator::Minus, _) => {
                let part = self.part(inner, depth)?.expect(Kind::Number, "`-`")?;
                let zero = Part::value(ScalarValue::Int64(Some(0)), part.place);
                self.computed(zero, Operator::Minus, part)
            }
            (UnaryOperator::Plus, _) => self.part(inner, depth)?.expect(Kind::Number, "`+`"),
            _ => Err(QueryError::Unsupported {
                what: format!("the operator `{op}`"),
                place: Place::default(),
                cure: "use `NOT`, `-` or `+`".to_owned(),
            }),
        }
    }

    /// A chain of `AND` or of `OR`, which the parser makes as deep as it is long.
    fn chain(&self, sql: &Sql, op: &BinaryOperator, depth: usize) -> Result<Part, QueryError> {
        let (mut links, mut rest) = (Vec::new(), sql);
        while let Sql::BinaryOp {
            left,
            op: of,
            right,
        } = rest
            && of == op
        {
            links.push(right.as_ref());
            rest = left;
        }
        links.push(rest);
        let (op, whose) = match op {
            BinaryOperator::And => (Operator::And, "AND"),
            _ => (Operator::Or, "OR"),
        };
        let truths: Result<Vec<Part>, _> = links
            .into_iter()
            .rev()
            .map(|link| self.truth(link, depth, whose))
            .collect();
        let truths = truths?;
        let place = truths.first().map(|first| first.place).unwrap_or_default();
        let truths = truths.into_iter().map(|truth| truth.expr).collect();
        Ok(Part::condition(balanced(truths, op), place))
    }

    fn binary(
        &self,
        left: &Sql,
        op: &BinaryOperator,
        right: &Sql,
        depth: usize,
    ) -> Result<Part, QueryError> {
        let compared = |op| self.comparison(left, op, right, depth);
        let computed = |op| {
            let whose = format!("`{op}`");
            let side = |sql| self.part(sql, depth)?.expect(Kind::Number, &whose);
            self.computed(side(left)?, op, side(right)?)
        };
        match op {
            BinaryOperator::Eq => compared(Operator::Eq),
            BinaryOperator::NotEq => compared(Operator::NotEq),
            BinaryOperator::Lt => compared(Operator::Lt),
            BinaryOperator::LtEq => compared(Operator::LtEq),
            BinaryOperator::Gt => compared(Operator::Gt),
            BinaryOperator::GtEq => compared(Operator::GtEq),
            BinaryOperator::Plus => computed(Operator::Plus),
            BinaryOperator::Minus => computed(Operator::Minus),
            BinaryOperator::Multiply => computed(Operator::Multiply),
            BinaryOperator::Divide => computed(Operator::Divide),
            BinaryOperator::Modulo => computed(Operator::Modulo),
            other => Err(QueryError::Unsupported {
                what: format!("the operator `{other}`"),
                place: Place::default(),
                cure: "compare with `=`, `<>`, `<`, `<=`, `>`, `>=` or `LIKE`".to_owned(),
            }),
        }
    }

    fn comparison(
        &self,
        left: &Sql,
        op: Operator,
        right: &Sql,
        depth: usize,
    ) -> Result<Part, QueryError> {
        compared(self.part(left, depth)?, op, self.part(right, depth)?)
    }

    fn computed(&self, left: Part, op: Operator, right: Part) -> Result<Part, QueryError> {
        let (left, right) = numbers::operands(left, op, right);
        let place = right.place;
        Part::new(pair(left.expr, op, right.expr), self.typed, place)
    }

    fn between(&self, of: &Sql, low: &Sql, high: &Sql, depth: usize) -> Result<Part, QueryError> {
        let of = self.twice(|| self.part(of, depth))?;
        let from = compared(of.clone(), Operator::GtEq, self.part(low, depth)?)?;
        let to = compared(of, Operator::LtEq, self.part(high, depth)?)?;
        let both = pair(from.expr, Operator::And, to.expr);
        Ok(Part::condition(both, from.place))
    }

    fn in_list(
        &self,
        of: &Sql,
        list: &[Sql],
        negated: bool,
        depth: usize,
    ) -> Result<Part, QueryError> {
        let of = self.part(of, depth)?;
        let item = |sql: &Sql| {
            let item = self.part(sql, depth)?;
            match of.kind() {
                Kind::Text => item.expect(Kind::Text, "a list for a text"),
                _ => Ok(item),
            }
        };
        let list: Vec<Part> = list.iter().map(item).collect::<Result<_, _>>()?;
        let all: Vec<&Part> = iter::once(&of).chain(&list).collect();
        let common = Common::of(&all)?;
        let place = of.place;
        let of = Box::new(common.apply(of)?.expr);
        let list = list
            .into_iter()
            .map(|item| common.apply(item).map(|item| item.expr))
            .collect::<Result<_, _>>()?;
        let expr = Expr::InList(InList::new(of, list, negated));
        Ok(Part::condition(expr, place))
    }

    fn like(&self, sql: &Sql, depth: usize) -> Result<Part, QueryError> {
        let (negated, any, expr, pattern, escape, any_case) = match sql {
            Sql::Like {
                negated,
                any,
                expr,
                pattern,
                escape_char,
            } => (*negated, *any, expr, pattern, escape_char, false),
            Sql::ILike {
                negated,
                any,
                expr,
                pattern,
                escape_char,
            } => (*negated, *any, expr, pattern, escape_char, true),
            _ => return Err(refused(sql)),
        };
        if any || escape.is_some() {
            return Err(QueryError::Unsupported {
                what: "LIKE with ANY or ESCAPE".to_owned(),
                place: escape.as_ref().map(place_of).unwrap_or_default(),
                cure: "`\\%` and `\\_` mean the characters themselves".to_owned(),
            });
        }
        let expr = self.part(expr, depth)?.expect(Kind::Text, "LIKE")?;
        let pattern = self.part(pattern, depth)?.expect(Kind::Text, "LIKE")?;
        bounded(&pattern)?;
        let place = expr.place;
        let (expr, pattern) = (Box::new(expr.expr), Box::new(pattern.expr));
        let like = Expr::Like(Like::new(negated, expr, pattern, None, any_case));
        Ok(Part::condition(like, place))
    }

    /// A conversion to another type, and a part of a date.
    fn converted(&self, sql: &Sql, depth: usize) -> Result<Part, QueryError> {
        match sql {
            Sql::Cast {
                kind,
                expr,
                data_type,
                array: false,
                format: None,
            } => {
                let part = self.part(expr, depth + ASKED_TWICE)?;
                let to = values::data_type(data_type)?;
                let inner = Box::new(part.expr);
                let expr = match kind {
                    CastKind::Cast | CastKind::DoubleColon => {
                        Expr::Cast(Cast::new(inner, to.clone()))
                    }
                    CastKind::TryCast | CastKind::SafeCast => {
                        Expr::TryCast(TryCast::new(inner, to.clone()))
                    }
                };
                Ok(Part {
                    expr,
                    data_type: to,
                    place: part.place,
                })
            }
            Sql::Extract { field, expr, .. } => {
                let of = self.part(expr, depth)?;
                let place = of.place;
                let field = values::text(&field.to_string().to_lowercase(), place);
                functions::call("date_part", place, vec![field, of], self.typed)
            }
            _ => Err(refused(sql)),
        }
    }

    fn trimmed(&self, sql: &Sql, inner: &Sql, depth: usize) -> Result<Part, QueryError> {
        let Sql::Trim {
            trim_where: None,
            trim_what: None,
            trim_characters: None,
            ..
        } = sql
        else {
            return Err(refused(sql));
        };
        let part = self.part(inner, depth)?;
        functions::call("btrim", part.place, vec![part], self.typed)
    }

    fn substring(&self, sql: &Sql, depth: usize) -> Result<Part, QueryError> {
        let Sql::Substring {
            expr,
            substring_from: Some(from),
            substring_for: length,
            ..
        } = sql
        else {
            return Err(refused(sql));
        };
        let mut parts = vec![self.part(expr, depth)?, self.part(from, depth)?];
        if let Some(length) = length {
            parts.push(self.part(length, depth)?);
        }
        functions::call("substr", parts[0].place, parts, self.typed)
    }

    fn call(&self, function: &Function, depth: usize) -> Result<Part, QueryError> {
        let (name, place) = functions::name(function)?;
        let arguments = functions::arguments(function, place)?;
        let lowered = |depth| -> Result<Vec<Part>, QueryError> {
            let arguments = arguments.into_iter();
            arguments
                .map(|argument| self.part(argument, depth))
                .collect()
        };
        let parts = match name == functions::COALESCE {
            true => self.twice(|| lowered(depth + ASKED_TWICE))?,
            false => lowered(depth)?,
        };
        functions::call(&name, place, parts, self.typed)
    }
}

fn compared(left: Part, op: Operator, right: Part) -> Result<Part, QueryError> {
    let common = Common::of(&[&left, &right])?;
    let (left, right) = (common.apply(left)?, common.apply(right)?);
    Ok(Part::condition(pair(left.expr, op, right.expr), left.place))
}

fn not(part: Part) -> Part {
    Part::condition(Expr::Not(Box::new(part.expr)), part.place)
}

fn pair(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// That a pattern can be matched in a time that does not grow with it. It may be computed from what is written out.
fn bounded(pattern: &Part) -> Result<(), QueryError> {
    let is_wild = |part: &Expr| match part {
        Expr::Literal(value, _) => {
            let text = value.try_as_str().flatten().unwrap_or_default();
            Ok(text.matches(['%', '_']).nth(MAX_WILDCARDS).is_some())
        }
        _ => Ok(false),
    };
    let is_wild = pattern.expr.exists(is_wild);
    match is_wild.map_err(|error| unfit(&error, pattern.place))? {
        false => Ok(()),
        true => Err(QueryError::TooComplex {
            what: format!("a pattern with more than {MAX_WILDCARDS} wildcards"),
        }),
    }
}

/// One tree of all, as flat as can be; there is at least one.
fn balanced(mut parts: Vec<Expr>, op: Operator) -> Expr {
    while parts.len() > 1 {
        let mut rest = parts.into_iter();
        parts = Vec::new();
        while let Some(left) = rest.next() {
            parts.push(match rest.next() {
                Some(right) => pair(left, op, right),
                None => left,
            });
        }
    }
    parts.pop().unwrap_or_default()
}

fn place_of(value: &ValueWithSpan) -> Place {
    Place::of(value.span)
}

fn refused(sql: &Sql) -> QueryError {
    let (what, cure) = match sql {
        Sql::Subquery(_) | Sql::Exists { .. } | Sql::InSubquery { .. } => {
            ("a subquery", "say it with the columns of this dataset")
        }
        Sql::CompoundIdentifier(_) | Sql::CompoundFieldAccess { .. } => (
            "a name with a dot or a bracket",
            "put a column whose name has a dot in double quotes",
        ),
        Sql::Case { .. } => ("CASE", "say it with `AND` and `OR`"),
        Sql::Interval(_) => ("an interval", "write the date out"),
        Sql::SimilarTo { .. } | Sql::RLike { .. } => ("a regular expression", "use `LIKE`"),
        _ => (
            "this part of SQL",
            "use comparisons, `AND`, `OR`, `NOT`, `IN`, `BETWEEN`, `LIKE` and `IS NULL`",
        ),
    };
    QueryError::Unsupported {
        what: what.to_owned(),
        place: Place::default(),
        cure: cure.to_owned(),
    }
}
