//! World `pii`: values arrive packed, and stay so until they are looked at.

use std::marker::PhantomData;

use super::{description, types};
use crate::pii::{Column, Finding, Scope, Table};
use crate::{Error, Pii};

pub mod bindings {
    //! Bindings of the world.
    wit_bindgen::generate!({
        path: "wit",
        world: "pii",
        pub_export_macro: true,
        default_bindings_module: "boathouse_sdk::wasm::pii::bindings",
        with: {
            "boathouse:plugin/types@1.1.0": crate::wasm::shared::boathouse::plugin::types,
            "boathouse:plugin/host@1.1.0": crate::wasm::shared::boathouse::plugin::host,
        },
    });
}

/// A [`Pii`] plugin behind the exports of its world.
pub struct Exports<T>(PhantomData<T>);

impl<T: Pii> bindings::Guest for Exports<T> {
    fn describe() -> types::Description {
        description(T::describe(), types::PluginKind::Pii)
    }

    fn detect(table: bindings::Table) -> Result<Vec<bindings::Finding>, types::Error> {
        let table = Table::try_from(table)?;
        let findings = T::detect(&table)?;
        Ok(findings.into_iter().map(Into::into).collect())
    }
}

impl TryFrom<bindings::Table> for Table {
    type Error = Error;

    fn try_from(given: bindings::Table) -> Result<Self, Error> {
        let columns = given.columns.into_iter().map(|column| {
            let mut own = Column::new(&column.name, &column.declared_type);
            own.rows = column.rows;
            own.nulls = column.nulls;
            own.extra = column.extra;
            own.with_packed(column.values, column.offsets, column.counts)
        });
        Ok(Self {
            name: given.name,
            columns: columns.collect::<Result<_, Error>>()?,
            extra: given.extra,
        })
    }
}

impl From<Finding> for bindings::Finding {
    fn from(own: Finding) -> Self {
        Self {
            column: own.column,
            kind: own.kind,
            country: own.country,
            scope: match own.scope {
                Scope::WholeColumn => bindings::Scope::WholeColumn,
                Scope::SomeValues => bindings::Scope::SomeValues,
            },
            confidence: own.confidence,
            evidence: bindings::Evidence {
                tested: own.evidence.tested,
                matched: own.evidence.matched,
                checksum_passed: own.evidence.checksum_passed,
                name_evidence: own.evidence.name_evidence,
            },
            extra: own.extra,
        }
    }
}
