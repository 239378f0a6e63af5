//! What a trial measures, made: the one place in which this room asks whether it is a graph or a table.

use std::sync::Arc;

use boathouse_types::{Configuration, IndexConfig, TableConfig};
use tokio_util::sync::CancellationToken;

use super::Tuner;
use crate::{
    BuildOrigin, Built, Contender, IndexData, TableBuilds, TuningError, builds::build_id,
    contender::table_build_id,
};

/// A contender, and how it came to be.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) contender: Contender,
    pub(crate) build_id: String,
    pub(crate) origin: BuildOrigin,
    pub(crate) derived_from: Option<String>,
}

impl Made {
    /// A graph that is searched like this.
    pub(crate) fn of_graph(built: Built, config: &IndexConfig) -> Self {
        Self {
            contender: Contender::Graph {
                graph: built.graph,
                ef_search: config.ef_search,
            },
            build_id: built.build_id,
            origin: built.origin,
            derived_from: built.derived_from,
        }
    }

    /// Seconds spent building for this request.
    pub(crate) fn build_secs(&self) -> f64 {
        self.origin.secs()
    }
}

/// Identity of what is built for a configuration over one version of vectors: 16 hexadecimal digits.
#[must_use]
pub fn build_id_of(data_version: &str, config: &Configuration) -> String {
    match config {
        Configuration::Graph(config) => build_id(data_version, config),
        Configuration::Table(config) => table_build_id(data_version, config),
    }
}

impl Tuner {
    /// What a configuration is over some vectors, at hand or built. With `derive` a graph that is cut down from a larger
    /// one will do.
    pub(crate) async fn made(
        &self,
        data: &IndexData,
        config: &Configuration,
        derive: bool,
        cancel: &CancellationToken,
    ) -> Result<Made, TuningError> {
        match config {
            Configuration::Graph(config) => {
                let built = match derive {
                    true => self.builds.obtain_or_derive(data, config, cancel).await?,
                    false => self.builds.obtain(data, config, cancel).await?,
                };
                Ok(Made::of_graph(built, config))
            }
            Configuration::Table(config) => self.table(data, config, cancel).await,
        }
    }

    async fn table(
        &self,
        data: &IndexData,
        config: &TableConfig,
        cancel: &CancellationToken,
    ) -> Result<Made, TuningError> {
        crate::bounds::check_table(config, data.vectors.dimension())?;
        let built = self.tables()?.obtain(data, config, cancel).await?;
        Ok(Made {
            contender: Contender::Table {
                table: built.table,
                config: *config,
            },
            build_id: table_build_id(&data.data_version, config),
            origin: built.origin,
            derived_from: None,
        })
    }

    /// Whether a trial of this configuration would have to build.
    pub(crate) async fn must_build(
        &self,
        data: &IndexData,
        config: &Configuration,
        derive: bool,
    ) -> Result<bool, TuningError> {
        match config {
            Configuration::Graph(config) if derive => self.builds.must_build(data, config).await,
            Configuration::Graph(config) => Ok(!self.builds.has(data, config).await?),
            Configuration::Table(config) => Ok(!self.tables()?.has(data, config)),
        }
    }

    fn tables(&self) -> Result<&Arc<dyn TableBuilds>, TuningError> {
        let tables = self.options.tables.as_ref();
        tables.ok_or_else(|| {
            TuningError::InvalidInput("nobody builds tables on this host".to_owned())
        })
    }
}
