//! Every rule of the contract, broken once.

use boathouse_types::ColumnSample;

use super::*;

fn verdicts(scores: &[f64], reasons: &[&str]) -> scoring::Verdicts {
    scoring::Verdicts {
        feasible: vec![true; scores.len()],
        front: vec![0; scores.len()],
        score: scores.to_vec(),
        reasons: reasons.iter().map(|&r| r.to_owned()).collect(),
        extra: Vec::new(),
    }
}

fn check_verdicts(said: scoring::Verdicts, asked: usize) -> Result<Vec<Verdict>, Flaw> {
    Untrusted::new(said).verdicts(asked, &Limits::default())
}

fn assert_flaw<T: std::fmt::Debug>(result: Result<T, Flaw>, expected: &str) {
    let Err(Flaw(text)) = result else {
        panic!("accepted: {result:?}");
    };
    assert!(text.contains(expected), "`{text}` lacks `{expected}`");
}

#[test]
fn verdicts_are_taken_one_per_trial() {
    let taken =
        check_verdicts(verdicts(&[1.0, f64::NEG_INFINITY], &["good", ""]), 2).expect("fine");
    assert_eq!(taken[0].reason.as_deref(), Some("good"));
    assert_eq!(taken[1].reason, None);
    assert_eq!(taken[1].score, f64::MIN);
    assert_eq!(check_verdicts(verdicts(&[], &[]), 0), Ok(Vec::new()));
}

#[test]
fn verdicts_of_another_length_are_refused() {
    assert_flaw(
        check_verdicts(verdicts(&[1.0], &[]), 2),
        "`feasible` has 1 entries for 2",
    );
    let mut uneven = verdicts(&[1.0, 2.0], &[]);
    uneven.front.pop();
    assert_flaw(check_verdicts(uneven, 2), "`front` has 1 entries");
    assert_flaw(
        check_verdicts(verdicts(&[1.0, 2.0], &["one"]), 2),
        "`reasons` has 1",
    );
}

#[test]
fn a_nan_score_refuses_the_whole_answer() {
    assert_flaw(
        check_verdicts(verdicts(&[1.0, f64::NAN], &[]), 2),
        "trial 1 is NaN",
    );
}

#[test]
fn texts_are_bounded_and_made_harmless() {
    let long = "x".repeat(1 << 20);
    assert_flaw(
        check_verdicts(verdicts(&[1.0], &[&long]), 1),
        "its reason has 1048576 bytes",
    );
    let taken = check_verdicts(verdicts(&[1.0], &["a\u{1b}[2J\nb"]), 1).expect("fine");
    assert_eq!(taken[0].reason.as_deref(), Some("a [2J b"));
}

fn knob() -> Knob {
    Knob {
        name: "m".to_owned(),
        min: 8,
        max: 16,
        step: 4,
    }
}

fn check_proposal(settings: &[u32]) -> Result<Proposal, Flaw> {
    let said = proposer::Proposal::Configuration(proposer::Configuration {
        settings: settings.to_vec(),
        reason: "why not".to_owned(),
    });
    Untrusted::new(said).proposal(&[knob()], &Limits::default())
}

#[test]
fn proposals_stay_within_bounds_and_on_the_step() {
    assert!(check_proposal(&[12]).is_ok());
    assert_flaw(
        check_proposal(&[20]),
        "m = 20, allowed are 8 to 16 in steps of 4",
    );
    assert_flaw(check_proposal(&[13]), "m = 13");
    assert_flaw(check_proposal(&[]), "0 values for 1 knobs");
    assert_flaw(check_proposal(&[8, 8]), "2 values for 1 knobs");
}

fn finding() -> pii::Finding {
    pii::Finding {
        column: 0,
        kind: "email".to_owned(),
        country: None,
        scope: pii::Scope::WholeColumn,
        confidence: 0.5,
        evidence: pii::Evidence {
            tested: 2,
            matched: 1,
            checksum_passed: 0,
            name_evidence: 1.0,
        },
        extra: Vec::new(),
    }
}

fn check_findings(said: Vec<pii::Finding>) -> Result<Vec<Finding>, Flaw> {
    let table = TableSample {
        name: "t".to_owned(),
        columns: vec![ColumnSample {
            values: vec![("a".to_owned(), 1), ("b".to_owned(), 1)],
            ..ColumnSample::default()
        }],
    };
    Untrusted::new(said).findings(&TableShape::of(&table), &Limits::default())
}

#[test]
fn findings_are_taken() {
    let mut german = finding();
    german.country = Some("DE".to_owned());
    german.kind = "iban".to_owned();
    assert_eq!(
        check_findings(vec![finding(), german]).map(|f| f.len()),
        Ok(2)
    );
}

#[test]
fn findings_out_of_range_are_refused() {
    type Spoil = fn(&mut pii::Finding);
    let cases: [(Spoil, &str); 9] = [
        (|f| f.column = 1, "column 1 of a table with 1 columns"),
        (|f| f.column = u32::MAX, "of a table with 1 columns"),
        (|f| f.confidence = 1.1, "confidence of `email` is 1.1"),
        (|f| f.confidence = f64::NAN, "confidence of `email` is NaN"),
        (|f| f.evidence.name_evidence = -0.1, "name evidence"),
        (|f| f.evidence.matched = 3, "contradicts itself"),
        (|f| f.evidence.tested = 3, "contradicts itself"),
        (
            |f| f.kind = "jane@example.org".to_owned(),
            "not in snake_case",
        ),
        (|f| f.country = Some("de".to_owned()), "not an ISO"),
    ];
    for (spoil, expected) in cases {
        let mut said = finding();
        spoil(&mut said);
        assert_flaw(check_findings(vec![said]), expected);
    }
}

#[test]
fn the_same_finding_twice_is_refused() {
    assert_flaw(
        check_findings(vec![finding(), finding()]),
        "`email` twice in column 0",
    );
}

#[test]
fn too_many_findings_are_refused() {
    let limits = Limits {
        result_items: 1,
        ..Limits::default()
    };
    let shape = TableShape(vec![2]);
    let said = Untrusted::new(vec![finding(), finding()]);
    assert_flaw(said.findings(&shape, &limits), "2 findings, 1 are the most");
}

fn description(name: &str, version: &str) -> types::Description {
    types::Description {
        name: name.to_owned(),
        version: version.to_owned(),
        kind: types::PluginKind::Scoring,
        summary: "s".to_owned(),
        reads: vec!["recall".to_owned()],
        deterministic: true,
        extra: Vec::new(),
    }
}

#[test]
fn names_and_versions_follow_their_grammar() {
    let check = |name: &str, version: &str| {
        Untrusted::new(description(name, version)).describes(&Limits::default())
    };
    assert!(check("team-1/name", "1.2.3-rc.1+build").is_ok());
    for bad in [
        "name",
        "team/",
        "/name",
        "Team/name",
        "a/b/c",
        "-a/b",
        "a/b_c",
        "../x",
    ] {
        assert_flaw(check(bad, "1.0.0"), "is not `team/name`");
    }
    for bad in ["1", "1.0", "v1.0.0", "", "1.0.0 "] {
        assert_flaw(check("a/b", bad), "not a semantic version");
    }
    assert_flaw(
        check(&"a".repeat(10_000), "1.0.0"),
        "its name has 10000 bytes",
    );
}

#[test]
fn texts_of_a_description_are_bounded() {
    let check = |spoil: fn(&mut types::Description)| {
        let mut said = description("a/b", "1.0.0");
        spoil(&mut said);
        Untrusted::new(said).describes(&Limits::default())
    };
    assert_flaw(
        check(|said| said.reads = vec![String::new(); 65]),
        "65 inputs that it reads, 64 are the most",
    );
    assert_flaw(
        check(|said| said.reads = vec!["x".repeat(200)]),
        "its name of an input has 200 bytes",
    );
    assert_flaw(
        check(|said| said.summary = "x".repeat(10_000)),
        "its summary has 10000 bytes",
    );
}

#[test]
fn a_declared_error_is_cut_on_a_character() {
    let limits = Limits {
        text_bytes: 4,
        ..Limits::default()
    };
    let said = Untrusted::new(types::Error::Unsupported("abcé".to_owned()));
    assert_eq!(
        said.declined(&limits),
        (Declined::Unsupported, "abc".to_owned())
    );
}
