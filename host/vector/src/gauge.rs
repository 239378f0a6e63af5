//! How far rows are from a query, asked for many rows at once: by their vectors, or by their codes where the set
//! has them.
//!
//! Which of the two it is is decided once a query, not once a distance. Distances by codes order rows nearly as
//! exact ones do; whoever hands them out as an answer looks at the exact ones first.

use crate::{
    codes::{CodedQuery, Codes},
    set::VectorSet,
};

/// A query that rows are compared with.
pub(crate) enum Gauge<'a> {
    /// By vectors: distances are exact.
    Exact {
        set: &'a VectorSet,
        query: &'a [f32],
    },
    /// By codes: distances are near.
    Coded {
        codes: &'a Codes,
        query: CodedQuery,
        products: Vec<i32>,
    },
}

impl<'a> Gauge<'a> {
    /// By codes where the set has them. The query is padded and in the form of the rows.
    pub(crate) fn quick(set: &'a VectorSet, query: &'a [f32]) -> Self {
        match set.codes() {
            Some(codes) => Self::Coded {
                codes,
                query: codes.query(query),
                products: Vec::new(),
            },
            None => Self::Exact { set, query },
        }
    }

    /// As [`Self::quick`], with a row as the query.
    pub(crate) fn of_row(set: &'a VectorSet, row: u32) -> Self {
        let mut gauge = match set.codes() {
            Some(codes) => Self::Coded {
                codes,
                query: CodedQuery::default(),
                products: Vec::new(),
            },
            None => Self::Exact {
                set,
                query: set.padded(row),
            },
        };
        gauge.aim(row);
        gauge
    }

    /// Takes another row as the query.
    pub(crate) fn aim(&mut self, row: u32) {
        match self {
            Self::Exact { set, query } => *query = set.padded(row),
            Self::Coded { codes, query, .. } => codes.aim(query, row),
        }
    }

    /// Appends the distance of each listed row.
    #[inline]
    pub(crate) fn distances(&mut self, list: &[u32], out: &mut Vec<f32>) {
        match self {
            Self::Exact { set, query } => set.distances_to(query, list, out),
            Self::Coded {
                codes,
                query,
                products,
            } => codes.distances(query, list, products, out),
        }
    }

    /// Distance of one row.
    pub(crate) fn distance(&mut self, row: u32) -> f32 {
        let mut out = Vec::with_capacity(1);
        self.distances(&[row], &mut out);
        out[0]
    }

    /// Brings what the distances of the listed rows need near the processor.
    #[inline]
    pub(crate) fn prefetch(&self, list: &[u32]) {
        match self {
            Self::Exact { set, .. } => list.iter().for_each(|&row| set.prefetch(row)),
            Self::Coded { codes, .. } => list.iter().for_each(|&row| codes.prefetch(row)),
        }
    }

    /// How far a difference of two distances may be off; 0 when they are exact.
    pub(crate) fn margin(&self) -> f32 {
        match self {
            Self::Exact { .. } => 0.0,
            Self::Coded { query, .. } => query.margin(),
        }
    }
}
