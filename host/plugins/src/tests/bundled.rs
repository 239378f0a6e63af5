//! The bundled plugins, built by a real toolchain, on this host: they load, answer, and answer the
//! same to the bit on every instance and every host.

use boathouse_bundle::{ALL, Bundled, EPSILON_GREEDY, PARETO, PII, SURROGATE};
use boathouse_types::{ColumnSample, Objective, PluginKind, Proposal, TableSample};

use super::host_with;
use crate::{
    Plugin, PluginHost,
    testing::{context, journal},
};

fn kind(bundled: &Bundled) -> PluginKind {
    PluginKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == bundled.kind)
        .expect("a kind of the contract")
}

fn patient() -> PluginHost {
    host_with(|config| {
        for limits in [
            &mut config.limits.proposer,
            &mut config.limits.scoring,
            &mut config.limits.pii,
        ] {
            limits.deadline_ms = 30_000;
        }
    })
}

async fn load(host: &PluginHost, bundled: &Bundled) -> Plugin {
    host.load(kind(bundled), bundled.bytes)
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", bundled.name))
}

fn people() -> TableSample {
    let column = |name: &str, values: Vec<String>| ColumnSample {
        name: name.to_owned(),
        declared_type: "Utf8".to_owned(),
        rows: values.len() as u64,
        nulls: 0,
        values: values.into_iter().map(|value| (value, 1)).collect(),
    };
    TableSample {
        name: "people".to_owned(),
        columns: vec![
            column("id", (0..50).map(|i| format!("{i}")).collect()),
            column(
                "email",
                (0..50).map(|i| format!("user{i}@example.org")).collect(),
            ),
        ],
    }
}

#[tokio::test]
async fn each_loads_as_its_kind_and_as_no_other() {
    let host = patient();
    for bundled in ALL {
        let plugin = load(&host, &bundled).await;
        assert_eq!(plugin.identity().name, bundled.name);
        assert_eq!(plugin.kind(), kind(&bundled));
        for other in PluginKind::ALL.into_iter().filter(|k| *k != kind(&bundled)) {
            assert!(host.load(other, bundled.bytes).await.is_err());
        }
    }
}

#[tokio::test]
async fn scoring_is_bit_equal_across_instances_and_hosts() {
    let (first, second) = (patient(), patient());
    let trials = journal(60);
    let mut answers = Vec::new();
    for host in [&first, &first, &second] {
        let plugin = load(host, &PARETO).await;
        for _ in 0..2 {
            let verdicts = plugin.evaluate(&trials, &Objective::default()).await;
            let verdicts = verdicts.expect("answers");
            assert_eq!(verdicts.len(), trials.len());
            let bits: Vec<u64> = verdicts.iter().map(|v| v.score.to_bits()).collect();
            answers.push((bits, verdicts));
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn proposing_is_decided_by_context_and_seed() {
    let host = patient();
    for bundled in [EPSILON_GREEDY, SURROGATE] {
        let plugin = load(&host, &bundled).await;
        for seed in 0..8 {
            let context = context(journal(12), seed);
            let first = plugin.propose(&context).await.expect("proposes");
            assert_eq!(plugin.propose(&context).await, Ok(first.clone()));
            if let Proposal::Configuration { settings, .. } = first {
                assert_eq!(settings.len(), context.knobs.len());
            }
        }
        let empty = plugin.propose(&context(Vec::new(), 0)).await;
        assert!(empty.is_ok(), "{empty:?}");
    }
}

/// Under the limits of a host that says nothing else.
#[tokio::test]
async fn a_long_journal_is_no_trouble_for_the_surrogate() {
    let host = host_with(|config| config.limits.proposer.deadline_ms = 30_000);
    let plugin = load(&host, &SURROGATE).await;
    let mut trials = journal(1_000);
    for (ef_search, trial) in (10..).zip(&mut trials) {
        trial.config.graph_mut().expect("a graph").ef_search = ef_search;
    }
    let proposal = plugin.propose(&context(trials, 3)).await;
    assert!(proposal.is_ok(), "{proposal:?}");
}

#[tokio::test]
async fn detecting_finds_the_column_and_repeats_itself() {
    let host = patient();
    let plugin = load(&host, &PII).await;
    let found = plugin.detect(&people()).await.expect("answers");
    assert!(found.iter().any(|f| f.column == 1 && f.kind == "email"));
    assert_eq!(plugin.detect(&people()).await, Ok(found));
    let nothing = plugin.detect(&TableSample::default()).await;
    assert_eq!(nothing, Ok(Vec::new()));
}
