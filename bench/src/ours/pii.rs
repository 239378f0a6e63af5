//! The bundled detector of personal data: as a component through the plugin host, and natively.
//!
//! Both get the same tables. A call of the component is all in: question, fresh instance, the guest's
//! work and the checks of its answer.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, Result, ensure};
use boathouse_bundle::PII;
use boathouse_pii::Detector;
use boathouse_plugins::{Compiling, Plugin, PluginHost, PluginHostConfig};
use boathouse_sdk::{
    Pii as _,
    pii::{Column, Table},
};
use boathouse_types::{ColumnSample, PluginKind, TableSample};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::Took;
use crate::process;

/// Columns of one table.
const COLUMNS: usize = 10;

/// What this side can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Read columns, one JSON object a line. Answered by [`Prepared`].
    Prepare { columns: PathBuf },
    /// Look at all tables so often. Answered by [`Took`].
    Run { passes: u32, native: bool },
}

/// What there is to look at, and what was found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    /// Sampled values in all.
    pub(crate) cells: u64,
    /// Findings in one pass of the component.
    pub(crate) component: usize,
    /// Findings in one native pass.
    pub(crate) native: usize,
}

#[derive(Debug, Deserialize)]
struct Line {
    name: String,
    #[serde(rename = "type")]
    declared_type: String,
    values: Vec<String>,
}

pub(super) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let host = PluginHost::new(PluginHostConfig::default(), Compiling::InProcess)?;
    let plugin = runtime.block_on(host.load(PluginKind::Pii, PII.bytes))?;
    let mut tables = (Vec::new(), Vec::new());
    process::serve(&super::name(), |ask| {
        Ok(match ask {
            Ask::Prepare { columns } => {
                tables = read(&columns)?;
                let cells = tables.0.iter().flat_map(|table| &table.columns);
                serde_json::to_value(Prepared {
                    cells: cells.map(|column| column.values.len() as u64).sum(),
                    component: component(&runtime, &plugin, &tables.0)?,
                    native: native(&tables.1)?,
                })?
            }
            Ask::Run {
                passes,
                native: is_native,
            } => {
                let start = Instant::now();
                for _ in 0..passes {
                    if is_native {
                        native(&tables.1)?;
                    } else {
                        component(&runtime, &plugin, &tables.0)?;
                    }
                }
                serde_json::to_value(Took {
                    seconds: start.elapsed().as_secs_f64(),
                })?
            }
        })
    })
}

fn component(runtime: &Runtime, plugin: &Plugin, tables: &[TableSample]) -> Result<usize> {
    runtime.block_on(async {
        let mut found = 0;
        for table in tables {
            found += plugin.detect(table).await?.len();
        }
        Ok(found)
    })
}

fn native(tables: &[Table]) -> Result<usize> {
    let mut found = 0;
    for table in tables {
        let findings = Detector::detect(table);
        found += findings
            .map_err(|error| anyhow::anyhow!("{error:?}"))?
            .len();
    }
    Ok(found)
}

/// The columns as the host has them and as a guest does.
fn read(path: &PathBuf) -> Result<(Vec<TableSample>, Vec<Table>)> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let lines: Vec<Line> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(!lines.is_empty(), "no columns");
    let tables = lines.chunks(COLUMNS);
    let host = tables.clone().map(|lines| TableSample {
        name: "bench".to_owned(),
        columns: lines.iter().map(sample).collect(),
    });
    let guest = tables.map(|lines| Table {
        name: "bench".to_owned(),
        columns: lines.iter().map(column).collect(),
        ..Table::default()
    });
    Ok((host.collect(), guest.collect()))
}

fn sample(line: &Line) -> ColumnSample {
    ColumnSample {
        name: line.name.clone(),
        declared_type: line.declared_type.clone(),
        rows: line.values.len() as u64,
        nulls: 0,
        values: line.values.iter().map(|value| (value.clone(), 1)).collect(),
    }
}

fn column(line: &Line) -> Column {
    let values = line.values.iter().map(|value| (value.as_str(), 1));
    Column::new(&line.name, &line.declared_type).with_values(values)
}
