//! From the parser's tree to an expression of DataFusion: what a predicate may consist of.
//!
//! Comparisons, `AND`, `OR`, `NOT`, `IN` with a list, `BETWEEN`, `LIKE` and `ILIKE`, `IS NULL` and its kin, arithmetic on
//! numbers, `CAST` and `TRY_CAST`, and the functions of `functions.rs`. Everything else is refused by name. Names are
//! resolved and kinds compared here, on the way up, so that errors can say where.
//!
//! Chains of `AND` and of `OR` become balanced trees; whatever else nests is bounded by [`MAX_DEPTH`], and with it every
//! recursion of the steps that follow.

mod values;

use arrow::datatypes::Schema;
use datafusion_common::{Column, DFSchema};
use datafusion_expr::{
    Expr, Operator,
    expr::{BinaryExpr, Cast, InList, Like, TryCast},
};
use sqlparser::ast::{
    BinaryOperator, CastKind, Expr as Sql, Function, Ident, UnaryOperator, ValueWithSpan,
};

use crate::{
    error::{Place, QueryError},
    functions,
    kind::{Kind, Part, alike, same_numbers},
    names,
};

/// How deep the tree of a predicate may be.
const MAX_DEPTH: usize = 48;

/// What names and types are looked up in.
pub(crate) struct Lowering<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) typed: &'a DFSchema,
}

impl Lowering<'_> {
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
                let expr = Expr::Negative(Box::new(part.expr));
                Part::new(expr, self.typed, part.place)
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
            let (left, right) = same_numbers(side(left)?, side(right)?);
            let place = right.place;
            Part::new(pair(left.expr, op, right.expr), self.typed, place)
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
        let (left, right) = alike(self.part(left, depth)?, self.part(right, depth)?)?;
        Ok(Part::condition(pair(left.expr, op, right.expr), left.place))
    }

    fn between(&self, of: &Sql, low: &Sql, high: &Sql, depth: usize) -> Result<Part, QueryError> {
        let from = self.comparison(of, Operator::GtEq, low, depth)?;
        let to = self.comparison(of, Operator::LtEq, high, depth)?;
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
            let mut item = self.part(sql, depth)?;
            if of.kind() == Kind::Text {
                item = item.expect(Kind::Text, "a list for a text")?;
            }
            alike(of.clone(), item).map(|(_, item)| item.expr)
        };
        let list: Result<Vec<Expr>, _> = list.iter().map(item).collect();
        let expr = Expr::InList(InList::new(Box::new(of.expr), list?, negated));
        Ok(Part::condition(expr, of.place))
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
                let part = self.part(expr, depth)?;
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
        let parts: Result<Vec<Part>, _> = arguments
            .into_iter()
            .map(|argument| self.part(argument, depth))
            .collect();
        functions::call(&name, place, parts?, self.typed)
    }
}

fn not(part: Part) -> Part {
    Part::condition(Expr::Not(Box::new(part.expr)), part.place)
}

fn pair(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
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
