//! Figures of the host in the text format of OpenMetrics, which Prometheus reads.
//!
//! Nothing is counted here: each part of the host keeps its own counts, and a scrape takes a snapshot of
//! them ([`Figures`]) and writes it out. Names follow the conventions of Prometheus: one prefix, base units
//! (seconds, bytes) as the last word, `_total` on what only grows. Labels are kind, name and version of a
//! plugin and a closed set of causes, so their number does not depend on what is asked of the host; names
//! of datasets are no labels, and those of indexes only of live recall, which means nothing without.
//!
//! Figures of plugins count since the version was loaded; a restart begins at zero, as Prometheus expects.

mod agent;
mod buckets;
mod intake;
mod live;
mod models;
mod pii;

use std::{collections::BTreeMap, fmt, sync::Arc};

use boathouse_ingest::PiiCounts;
use boathouse_plugins::PluginStats;
use boathouse_types::PluginKind;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet, text},
    metrics::{MetricType, exemplar::Exemplar},
    registry::{Registry, Unit},
};

pub(crate) use buckets::{BucketFigures, MirrorFigures};
pub(crate) use live::LiveFigures;

use crate::{
    agent::AgentFigures,
    gc::Class,
    lineage::OutboxView,
    load::SearchFigures,
    models::ModelFigures,
    plugins::shadow::{LiveView, report::cause_name},
    watcher::WatchView,
};

/// The media type of [`encode`]'s text.
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that a scrape shows.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Tasks that run.
    pub(crate) tasks_running: u64,
    /// Indexes that serve.
    pub(crate) indexes: u64,
    /// Indexes that are stored and cannot be opened.
    pub(crate) indexes_broken: u64,
    /// Datasets; none when the primary bucket cannot be listed.
    pub(crate) datasets: Option<u64>,
    /// Objects and bytes of garbage collected, by class.
    pub(crate) collected: BTreeMap<Class, (u64, u64)>,
    /// Buckets.
    pub(crate) buckets: Vec<BucketFigures>,
    /// Versions of plugins that are loaded.
    pub(crate) plugins: Vec<PluginFigures>,
    /// What policies for personal data did.
    pub(crate) pii: Arc<PiiCounts>,
    /// Posting of lineage; none without an endpoint.
    pub(crate) lineage: Option<OutboxView>,
    /// Watched folders.
    pub(crate) watched: Vec<WatchView>,
    /// Rows by which each index is behind its dataset, as far as somebody has looked.
    pub(crate) behind: Vec<(String, u64)>,
    /// Objects of each index that serves which are gone or damaged, as far as somebody has looked.
    pub(crate) damaged: Vec<(String, u64)>,
    /// What clients search.
    pub(crate) searches: SearchFigures,
    /// What the agent did.
    pub(crate) agent: AgentFigures,
    /// Live recall, by index.
    pub(crate) live: Vec<LiveFigures>,
    /// The GPU slot and the model server.
    pub(crate) models: ModelFigures,
}

/// The figures of one version of a plugin.
#[derive(Debug)]
pub(crate) struct PluginFigures {
    pub(crate) kind: PluginKind,
    /// `team/name`.
    pub(crate) name: String,
    pub(crate) version: String,
    /// Where it stands, for example `active`.
    pub(crate) state: String,
    pub(crate) digest: String,
    pub(crate) suspended: bool,
    pub(crate) stats: PluginStats,
    /// Its live questions, while it is a shadow.
    pub(crate) live: Option<LiveView>,
}

/// Writes figures out.
///
/// # Errors
/// None in practice: the text is written to memory.
pub(crate) fn encode(figures: Figures) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("boathouse");
    registry.register_collector(Box::new(figures));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.host(&mut encoder)?;
        self.garbage(&mut encoder)?;
        buckets::encode(&self.buckets, &mut encoder)?;
        intake::encode(self.lineage.as_ref(), &self.watched, &mut encoder)?;
        intake::behind(&self.behind, &mut encoder)?;
        intake::damaged(&self.damaged, &mut encoder)?;
        pii::encode(&self.pii, &mut encoder)?;
        agent::encode(&self.searches, &self.agent, &mut encoder)?;
        live::encode(&self.live, &mut encoder)?;
        models::encode(&self.models, &mut encoder)?;
        self.plugin_calls(&mut encoder)?;
        self.plugin_states(&mut encoder)?;
        self.shadows(&mut encoder)
    }
}

impl Figures {
    fn host(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        encoder
            .encode_descriptor("build", "Version of this program", None, MetricType::Info)?
            .encode_info(&version)?;
        let gauges = [
            ("tasks_running", "Tasks that run", Some(self.tasks_running)),
            ("indexes", "Vector indexes that serve", Some(self.indexes)),
            (
                "indexes_broken",
                "Vector indexes that are stored and cannot be opened",
                Some(self.indexes_broken),
            ),
            ("datasets", "Datasets", self.datasets),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                encoder
                    .encode_descriptor(name, help, None, MetricType::Gauge)?
                    .encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    fn garbage(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Objects collected that nobody referred to, by what they were";
        let mut objects =
            encoder.encode_descriptor("gc_objects", help, None, MetricType::Counter)?;
        for (class, (number, _)) in &self.collected {
            count(&mut objects, &[("class", class.as_str())], *number)?;
        }
        let help = "Size of the objects collected";
        let unit = Some(&Unit::Bytes);
        let mut bytes =
            encoder.encode_descriptor("gc_collected", help, unit, MetricType::Counter)?;
        for (class, (_, size)) in &self.collected {
            count(&mut bytes, &[("class", class.as_str())], *size)?;
        }
        Ok(())
    }

    fn plugin_calls(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Calls of a plugin, with those that were turned away";
        let mut calls =
            encoder.encode_descriptor("plugin_calls", help, None, MetricType::Counter)?;
        for plugin in &self.plugins {
            count(&mut calls, &plugin.labels(), plugin.stats.calls)?;
        }
        let help = "Calls of a plugin that gave no answer, by cause";
        let mut failures =
            encoder.encode_descriptor("plugin_call_failures", help, None, MetricType::Counter)?;
        for plugin in &self.plugins {
            for (cause, failed) in &plugin.stats.failures {
                let [kind, name, version] = plugin.labels();
                let labels = [kind, name, version, ("cause", cause_name(*cause))];
                count(&mut failures, &labels, *failed)?;
            }
        }
        let help = "Time that calls of a plugin ran: instance, guest and conversions";
        let mut took = encoder.encode_descriptor(
            "plugin_call_duration",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for plugin in &self.plugins {
            histogram(&mut took, plugin)?;
        }
        Ok(())
    }

    fn plugin_states(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Most linear memory that one call of a plugin has held";
        let mut peak = encoder.encode_descriptor(
            "plugin_memory_peak",
            help,
            Some(&Unit::Bytes),
            MetricType::Gauge,
        )?;
        for plugin in &self.plugins {
            gauge(&mut peak, &plugin.labels(), plugin.stats.peak_memory_bytes)?;
        }
        let help = "1 while a plugin is suspended and the bundled one answers in its place";
        let mut suspended =
            encoder.encode_descriptor("plugin_suspended", help, None, MetricType::Gauge)?;
        for plugin in &self.plugins {
            gauge(
                &mut suspended,
                &plugin.labels(),
                u64::from(plugin.suspended),
            )?;
        }
        let help = "State and digest of a version of a plugin";
        let mut info = encoder.encode_descriptor("plugin", help, None, MetricType::Info)?;
        for plugin in &self.plugins {
            let [kind, name, version] = plugin.labels();
            let (state, digest) = (
                ("state", plugin.state.as_str()),
                ("digest", plugin.digest.as_str()),
            );
            info.encode_info(&[kind, name, version, state, digest])?;
        }
        Ok(())
    }

    fn shadows(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Questions put to serving plugins that were put to a shadow too, by outcome";
        let mut questions = encoder.encode_descriptor(
            "plugin_shadow_questions",
            help,
            None,
            MetricType::Counter,
        )?;
        for plugin in &self.plugins {
            let Some(live) = &plugin.live else { continue };
            let outcomes = [
                ("equal", live.equal),
                ("different", live.different),
                ("failed", live.failures.values().sum()),
                ("dropped", live.dropped),
            ];
            for (outcome, number) in outcomes {
                let [kind, name, version] = plugin.labels();
                let labels = [kind, name, version, ("outcome", outcome)];
                count(&mut questions, &labels, number)?;
            }
        }
        Ok(())
    }
}

impl PluginFigures {
    fn labels(&self) -> [(&str, &str); 3] {
        [
            ("kind", self.kind.as_str()),
            ("plugin", &self.name),
            ("version", &self.version),
        ]
    }
}

fn count(
    family: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    value: u64,
) -> Result<(), fmt::Error> {
    let exemplar: Option<&Exemplar<NoLabelSet, u64>> = None;
    family
        .encode_family(labels)?
        .encode_counter(&value, exemplar)
}

fn gauge(
    family: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    value: u64,
) -> Result<(), fmt::Error> {
    family.encode_family(labels)?.encode_gauge(&value)
}

fn histogram(family: &mut MetricEncoder<'_>, plugin: &PluginFigures) -> Result<(), fmt::Error> {
    let latency = &plugin.stats.latency;
    let bounds = latency.bounds_us.iter().map(|us| *us as f64 / 1e6);
    let bounds = bounds.chain(std::iter::once(f64::INFINITY));
    let buckets: Vec<(f64, u64)> = bounds.zip(latency.counts.iter().copied()).collect();
    family
        .encode_family(&plugin.labels())?
        .encode_histogram::<NoLabelSet>(
            latency.sum_us as f64 / 1e6,
            latency.counts.iter().sum(),
            &buckets,
            None,
        )
}

#[cfg(test)]
mod tests {
    use boathouse_plugins::{Cause, Histogram};

    use super::*;

    fn figures() -> Figures {
        let stats = PluginStats {
            calls: 5,
            failures: [(Cause::BadAnswer, 2)].into(),
            peak_memory_bytes: 65_536,
            latency: Histogram {
                bounds_us: vec![1_000, 1_000_000],
                counts: vec![1, 2, 1],
                sum_us: 2_500_000,
            },
            ..PluginStats::default()
        };
        let plugin = PluginFigures {
            kind: PluginKind::Scoring,
            name: "acme/best".to_owned(),
            version: "1.0.0".to_owned(),
            state: "active".to_owned(),
            digest: "ab12".to_owned(),
            suspended: true,
            stats,
            live: Some(LiveView {
                dropped: 3,
                ..LiveView::default()
            }),
        };
        Figures {
            tasks_running: 1,
            datasets: Some(4),
            collected: [(Class::Rows, (3, 4_096))].into(),
            buckets: vec![BucketFigures::example()],
            behind: vec![("notes".to_owned(), 12)],
            damaged: vec![("notes".to_owned(), 2)],
            plugins: vec![plugin],
            ..Figures::default()
        }
    }

    #[track_caller]
    fn check_line(text: &str, line: &str) {
        assert!(
            text.lines().any(|found| found == line),
            "`{line}` is missing in:\n{text}"
        );
    }

    #[test]
    fn figures_are_written_with_their_labels_and_units() {
        let text = encode(figures()).expect("text");
        let labels = r#"kind="scoring",plugin="acme/best",version="1.0.0""#;
        for line in [
            "boathouse_tasks_running 1".to_owned(),
            "boathouse_datasets 4".to_owned(),
            r#"boathouse_gc_objects_total{class="rows"} 3"#.to_owned(),
            r#"boathouse_gc_collected_bytes_total{class="rows"} 4096"#.to_owned(),
            r#"boathouse_bucket_healthy{bucket="archive"} 0"#.to_owned(),
            r#"boathouse_index_behind_rows{index="notes"} 12"#.to_owned(),
            r#"boathouse_index_damaged_objects{index="notes"} 2"#.to_owned(),
            r#"boathouse_bucket_objects{bucket="archive"} 7"#.to_owned(),
            r#"boathouse_bucket_size_bytes{bucket="archive"} 4096"#.to_owned(),
            r#"boathouse_mirror_waiting_objects{bucket="archive"} 3"#.to_owned(),
            r#"boathouse_mirror_lag_seconds{bucket="archive"} 1.5"#.to_owned(),
            r#"boathouse_rescue_reads_total{bucket="archive"} 2"#.to_owned(),
            format!("boathouse_plugin_calls_total{{{labels}}} 5"),
            format!(r#"boathouse_plugin_call_failures_total{{{labels},cause="bad_answer"}} 2"#),
            format!("boathouse_plugin_call_duration_seconds_sum{{{labels}}} 2.5"),
            format!("boathouse_plugin_call_duration_seconds_count{{{labels}}} 4"),
            format!(r#"boathouse_plugin_call_duration_seconds_bucket{{le="0.001",{labels}}} 1"#),
            format!(r#"boathouse_plugin_call_duration_seconds_bucket{{le="1.0",{labels}}} 3"#),
            format!(r#"boathouse_plugin_call_duration_seconds_bucket{{le="+Inf",{labels}}} 4"#),
            format!("boathouse_plugin_memory_peak_bytes{{{labels}}} 65536"),
            format!("boathouse_plugin_suspended{{{labels}}} 1"),
            format!(r#"boathouse_plugin_info{{{labels},state="active",digest="ab12"}} 1"#),
            format!(r#"boathouse_plugin_shadow_questions_total{{{labels},outcome="dropped"}} 3"#),
            "# EOF".to_owned(),
        ] {
            check_line(&text, &line);
        }
    }

    /// The rules of <https://prometheus.io/docs/practices/naming/>, as far as a program can check them.
    #[test]
    fn names_follow_the_conventions() {
        let text = encode(figures()).expect("text");
        let mut families = 0;
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').expect("a name and a type");
            families += 1;
            assert!(name.starts_with("boathouse_"), "{name}: one prefix");
            let plain = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(
                name.chars().all(plain) && !name.contains("__"),
                "{name}: snake_case"
            );
            assert!(
                !name.ends_with("_total"),
                "{name}: the sample has it, not the family"
            );
            for unit in [
                "ms", "us", "millis", "micros", "kib", "mib", "kb", "mb", "percent",
            ] {
                assert!(
                    !name.split('_').any(|word| word == unit),
                    "{name}: base units only"
                );
            }
            if kind == "histogram" {
                assert!(
                    name.ends_with("_seconds") || name.ends_with("_bytes"),
                    "{name}: a unit"
                );
            }
            assert!(
                text.contains(&format!("# HELP {name} ")),
                "{name}: says what it is"
            );
        }
        assert_eq!(families, text.matches("# HELP ").count());
        assert!(families > 8, "{text}");
    }

    #[test]
    fn a_host_without_plugins_has_figures_too() {
        let text = encode(Figures::default()).expect("text");
        check_line(&text, "boathouse_indexes 0");
        assert!(
            !text.contains("boathouse_datasets"),
            "unknown is not zero: {text}"
        );
        assert!(text.ends_with("# EOF\n"));
    }
}
