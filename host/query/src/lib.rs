//! Questions in SQL about the rows of a dataset.
//!
//! A [`Predicate`] is a condition over the columns of a schema, as it stands behind `WHERE`: parsed, checked against the
//! types of the columns, and computed batch by batch with DataFusion's coercion and kernels. What a condition may consist
//! of is a short list (`lower.rs`); there are no subqueries, aggregates, windows, nor functions whose value depends on
//! anything but the row.
//!
//! Everything here is a synchronous computation on data that is there: nothing is read or written, no clock is asked and
//! nothing is random, so one predicate over the same rows gives the same answer at any time. Callers in asynchronous code
//! run it on blocking threads. Errors quote the text of the predicate and names of columns, never a value of a row.

mod calendar;
mod common;
mod compute;
mod error;
mod functions;
mod kind;
mod lower;
mod moments;
mod names;
mod numbers;
mod predicate;
mod syntax;
mod truth;

pub use error::{Place, QueryError};
pub use predicate::Predicate;
pub use syntax::MAX_BYTES;
