//! What a run of trials came to, in words: why it ended, what became of refused proposals, and what it recommends.

use serde_json::Value;

use crate::cli::output::{cell, counted};

/// How many trials a run has made, and why no more.
pub(super) fn how_it_ended(report: &Value) -> String {
    let trials = report["trials"].as_array().map_or(0, Vec::len);
    let trials = counted(Some(&trials.into()), "trial");
    let ended = &report["ended"];
    let why = match ended["why"].as_str().unwrap_or_default() {
        "trials" => "as many as were allowed".to_owned(),
        "time" => "then the time was over".to_owned(),
        "exhausted" => format!(
            "then nothing was left to try: {}",
            cell(ended.get("reason"))
        ),
        "proposer_failed" => "then three proposals in a row failed".to_owned(),
        "cancelled" => "then somebody cancelled the run".to_owned(),
        other => other.to_owned(),
    };
    match report["refused"].as_u64() {
        None | Some(0) => format!("{trials}, {why}"),
        Some(_) => {
            let refused = counted(report.get("refused"), "proposal");
            format!("{trials}, {why}; {refused} refused")
        }
    }
}

/// Why proposals were refused, and who went on where a proposer was suspended for that.
pub(super) fn refusals(report: &Value) -> Vec<String> {
    let last = report.get("last_refusal");
    // The failure that ends a run is told as that.
    let last = last.filter(|_| report["ended"]["why"] != "proposer_failed");
    let last = last.map(|why| format!("refused last: {}", cell(Some(why))));
    let suspended = report.get("suspended").filter(|plugin| plugin.is_object());
    let suspended = suspended.map(|plugin| {
        let (plugin, next) = (named(plugin), went_on(report, plugin));
        format!("{plugin} was suspended after three failures in a row; {next} went on")
    });
    last.into_iter().chain(suspended).collect()
}

/// Who proposed the last trial of a run after another proposer was suspended.
fn went_on(report: &Value, suspended: &Value) -> String {
    let trials = report["trials"].as_array();
    let mut proposers = trials.into_iter().flatten().rev();
    let next = proposers.find_map(|trial| trial.get("proposed_by").filter(|by| by.is_object()));
    match next.filter(|next| *next != suspended) {
        Some(next) => named(next),
        None => "the bundled proposer".to_owned(),
    }
}

fn named(plugin: &Value) -> String {
    let (name, version) = (plugin.get("name"), plugin.get("version"));
    format!("{} {}", cell(name), cell(version))
}

/// What a run recommends, with the trial named. A run without a trial speaks of earlier ones.
pub(super) fn recommended(report: &Value) -> String {
    let recommendation = &report["recommendation"];
    let reason = cell(recommendation.get("reason"));
    let what = match recommendation.pointer("/trial/id") {
        Some(trial) => format!("promote {}", cell(Some(trial))),
        None => "keep what serves".to_owned(),
    };
    match is_without_trials(report) {
        true => format!("by earlier trials: {what}: {reason}"),
        false => format!("{what}: {reason}"),
    }
}

/// Whether a run ended before it made a trial.
pub(super) fn is_without_trials(report: &Value) -> bool {
    report["trials"].as_array().is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_says_how_it_ended() {
        let ended = |trials: usize, ended: Value, refused: u64| {
            let trials = vec![json!({"id": "t0001"}); trials];
            how_it_ended(&json!({"trials": trials, "ended": ended, "refused": refused}))
        };
        let trials = json!({"why": "trials"});
        assert_eq!(ended(5, trials, 0), "5 trials, as many as were allowed");
        let exhausted = json!({"why": "exhausted", "reason": "the grid is done"});
        assert_eq!(
            ended(1, exhausted, 1),
            "1 trial, then nothing was left to try: the grid is done; 1 proposal refused"
        );
        let failed = json!({"why": "proposer_failed", "message": "no"});
        assert_eq!(
            ended(0, failed, 3),
            "0 trials, then three proposals in a row failed; 3 proposals refused"
        );
    }

    #[test]
    fn a_run_says_why_proposals_were_refused_and_who_went_on() {
        let plugin = |name: &str| json!({"name": name, "version": "1.0.0"});
        let by = |name: &str| json!({"id": "t", "proposed_by": plugin(name)});
        let mut report = json!({"trials": [{"id": "t"}, by("a/evil"), by("a/good")], "refused": 3,
            "ended": {"why": "trials"}, "last_refusal": "a/evil@1.0.0: it trapped", "suspended": plugin("a/evil")});
        let last = "refused last: a/evil@1.0.0: it trapped";
        let suspended = "a/evil 1.0.0 was suspended after three failures in a row; ";
        assert_eq!(
            refusals(&report),
            [last.to_owned(), format!("{suspended}a/good 1.0.0 went on")]
        );
        report["trials"] = json!([{"id": "t"}, by("a/evil")]);
        let bundled = format!("{suspended}the bundled proposer went on");
        assert_eq!(refusals(&report)[1], bundled);
        report["ended"] = json!({"why": "proposer_failed", "message": "a/good@1.0.0: no"});
        assert_eq!(refusals(&report), [bundled]);
        assert!(refusals(&json!({"trials": [], "refused": 0})).is_empty());
    }

    #[test]
    fn a_recommendation_names_its_trial() {
        let promote = json!({"action": "promote", "trial": {"id": "t0003"}, "reason": "it is"});
        let keep = json!({"action": "keep", "reason": "it is not"});
        let of = |trials: Value, recommendation: &Value| {
            recommended(&json!({"trials": trials, "recommendation": recommendation}))
        };
        let one = || json!([{"id": "t0003"}]);
        assert_eq!(of(one(), &promote), "promote t0003: it is");
        assert_eq!(of(one(), &keep), "keep what serves: it is not");
        assert_eq!(
            of(json!([]), &promote),
            "by earlier trials: promote t0003: it is"
        );
    }
}
