//! Each step of a life on catalogues in memory: what serves after it, what the log says, what is refused.

use boathouse_types::{DatasetName, IndexName};

use super::*;
use crate::plugins::catalogue::State;

const SCORING: PluginKind = PluginKind::Scoring;

fn plugin(text: &str) -> PluginRef {
    let (name, version) = text.split_once('@').expect("name@version");
    PluginRef {
        name: format!("team/{name}"),
        version: version.to_owned(),
    }
}

fn id(kind: PluginKind, name: &str) -> PluginId {
    PluginId::new(kind, "team", name).expect("name")
}

fn index(name: &str) -> Place {
    Place::Index(IndexName::new(name).expect("name"))
}

fn dataset(name: &str) -> Place {
    Place::Dataset(DatasetName::new(name).expect("name"))
}

fn edit(catalogue: &Catalogue, kind: PluginKind) -> Edit {
    Edit::new(catalogue.clone(), kind, "tests", Timestamp::from_millis(1))
}

/// A catalogue of checked versions, none of which serves.
fn stocked(kind: PluginKind, versions: &[&str]) -> Catalogue {
    let mut edit = edit(&Catalogue::default(), kind);
    for version in versions {
        let mut entry = Entry::new(kind, plugin(version), format!("digest of {version}"), 1);
        entry.checked_by = Some("tests".to_owned());
        entry.checks = Some("all passed".to_owned());
        edit.add(entry);
    }
    edit.finish().expect("a change")
}

fn activated(
    catalogue: &Catalogue,
    kind: PluginKind,
    version: &str,
    places: &[Place],
) -> Catalogue {
    let mut edit = edit(catalogue, kind);
    edit.activate(&plugin(version), places);
    edit.finish().expect("a change")
}

/// What serves, as `place: name@version`.
fn serving(catalogue: &Catalogue) -> Vec<String> {
    let mut shown: Vec<String> = catalogue
        .serving
        .iter()
        .map(|serving| format!("{}: {}", serving.place, serving.plugin))
        .collect();
    shown.sort();
    shown
}

fn news(catalogue: &Catalogue) -> Vec<String> {
    let shown =
        |event: &Event| format!("{} {}@{}", event.event.as_str(), event.name, event.version);
    catalogue.news.iter().map(shown).collect()
}

fn state(catalogue: &Catalogue, kind: PluginKind, version: &str) -> State {
    catalogue.state(catalogue.find(kind, &plugin(version)).expect("listed"))
}

#[test]
fn a_default_is_replaced_and_comes_back_version_by_version() {
    let start = stocked(SCORING, &["x@1.0.0", "x@2.0.0", "y@1.0.0"]);
    let first = activated(&start, SCORING, "x@1.0.0", &[Place::Host]);
    assert_eq!(news(&first), ["activated team/x@1.0.0"]);
    let second = activated(&first, SCORING, "x@2.0.0", &[Place::Host]);
    assert_eq!(
        news(&second),
        ["activated team/x@2.0.0", "retired team/x@1.0.0"]
    );
    assert_eq!(state(&second, SCORING, "x@1.0.0"), State::Retired);
    let third = activated(&second, SCORING, "y@1.0.0", &[Place::Host]);
    assert_eq!(serving(&third), ["the host: team/y@1.0.0"]);

    let mut back = edit(&third, SCORING);
    let moved = back.roll_back(&id(SCORING, "y")).expect("previous");
    assert_eq!(moved[0].to, Some(plugin("x@2.0.0")));
    let fourth = back.finish().expect("a change");
    assert_eq!(
        news(&fourth),
        ["rolled_back team/x@2.0.0", "retired team/y@1.0.0"]
    );
    let mut back = edit(&fourth, SCORING);
    back.roll_back(&id(SCORING, "x")).expect("previous");
    let fifth = back.finish().expect("a change");
    assert_eq!(serving(&fifth), ["the host: team/x@1.0.0"]);
    let refused = edit(&fifth, SCORING).roll_back(&id(SCORING, "x"));
    assert_eq!(refused.expect_err("nothing before").code, "no_previous");
    let refused = edit(&fifth, SCORING).roll_back(&id(SCORING, "y"));
    assert_eq!(refused.expect_err("serves nowhere").code, "no_previous");
}

#[test]
fn numbers_and_revisions_count_changes_and_a_repeated_request_is_none() {
    let start = stocked(SCORING, &["x@1.0.0"]);
    assert_eq!((start.revision(SCORING), start.last_event), (1, 2));
    let first = activated(&start, SCORING, "x@1.0.0", &[Place::Host]);
    assert_eq!((first.revision(SCORING), first.last_event), (2, 3));
    assert_eq!(first.news[0].seq, 3);
    assert_eq!(first.revision(PluginKind::Pii), 0);
    let mut again = edit(&first, SCORING);
    assert!(
        again
            .activate(&plugin("x@1.0.0"), &[Place::Host])
            .is_empty()
    );
    assert!(again.finish().is_none());
}

#[test]
fn an_override_ends_with_the_default_and_does_not_touch_other_places() {
    let start = stocked(SCORING, &["x@1.0.0", "y@1.0.0"]);
    let start = activated(&start, SCORING, "x@1.0.0", &[Place::Host]);
    let over = activated(&start, SCORING, "y@1.0.0", &[index("a"), index("b")]);
    assert_eq!(
        serving(&over),
        [
            "index `a`: team/y@1.0.0",
            "index `b`: team/y@1.0.0",
            "the host: team/x@1.0.0"
        ]
    );
    assert!(
        over.news[0]
            .detail
            .as_deref()
            .is_some_and(|text| text.contains("index `a`"))
    );
    let mut back = edit(&over, SCORING);
    let moved = back.roll_back(&id(SCORING, "y")).expect("the default");
    assert!(moved.iter().all(|moved| moved.to.is_none()));
    let back = back.finish().expect("a change");
    assert_eq!(serving(&back), ["the host: team/x@1.0.0"]);
    assert_eq!(news(&back), ["retired team/y@1.0.0"]);

    let mut left = edit(&over, SCORING);
    assert_eq!(left.deactivate(&id(SCORING, "y")).expect("left").len(), 2);
    assert_eq!(
        serving(&left.finish().expect("a change")),
        ["the host: team/x@1.0.0"]
    );
    let refused = edit(&over, SCORING).deactivate(&id(SCORING, "x"));
    assert_eq!(refused.expect_err("default").code, "is_default");
    let refused = edit(&start, SCORING).deactivate(&id(SCORING, "y"));
    assert_eq!(refused.expect_err("nowhere").code, "not_active");
}

#[test]
fn detectors_are_a_set_in_which_a_version_replaces_its_namesake_only() {
    let pii = PluginKind::Pii;
    let start = stocked(pii, &["a@1.0.0", "b@1.0.0", "b@2.0.0"]);
    let set = activated(&start, pii, "a@1.0.0", &[Place::Host]);
    let set = activated(&set, pii, "b@1.0.0", &[Place::Host]);
    let set = activated(&set, pii, "b@2.0.0", &[Place::Host]);
    assert_eq!(
        serving(&set),
        ["the host: team/a@1.0.0", "the host: team/b@2.0.0"]
    );
    let refused = edit(&set, pii).roll_back(&id(pii, "a"));
    assert_eq!(refused.expect_err("first of its name").code, "no_previous");
    let mut back = edit(&set, pii);
    back.roll_back(&id(pii, "b")).expect("previous");
    assert_eq!(
        serving(&back.finish().expect("a change")),
        ["the host: team/a@1.0.0", "the host: team/b@1.0.0"]
    );
    let one = activated(&set, pii, "b@1.0.0", &[dataset("people")]);
    let mut out = edit(&one, pii);
    out.deactivate(&id(pii, "b")).expect("left");
    assert_eq!(
        serving(&out.finish().expect("a change")),
        ["the host: team/a@1.0.0"]
    );
}

#[test]
fn only_what_nobody_uses_is_deleted_and_no_history_leads_to_it() {
    let start = stocked(SCORING, &["x@1.0.0", "x@2.0.0", "x@3.0.0"]);
    let mut shadow = edit(&start, SCORING);
    shadow.begin_shadow(&plugin("x@1.0.0")).expect("a shadow");
    let shadow = shadow.finish().expect("a change");
    assert_eq!(state(&shadow, SCORING, "x@1.0.0"), State::Shadow);
    let refused = edit(&shadow, SCORING).delete(&plugin("x@1.0.0"));
    assert_eq!(refused.expect_err("shadow").code, "version_in_use");

    let first = activated(&shadow, SCORING, "x@1.0.0", &[Place::Host]);
    assert_eq!(
        news(&first),
        ["shadow_stopped team/x@1.0.0", "activated team/x@1.0.0"]
    );
    let refused = edit(&first, SCORING).delete(&plugin("x@1.0.0"));
    assert_eq!(refused.expect_err("active").code, "version_in_use");
    let refused = edit(&first, SCORING).begin_shadow(&plugin("x@1.0.0"));
    assert_eq!(refused.expect_err("active").code, "version_in_use");

    let second = activated(&first, SCORING, "x@2.0.0", &[Place::Host]);
    let third = activated(&second, SCORING, "x@3.0.0", &[Place::Host]);
    let mut gone = edit(&third, SCORING);
    gone.delete(&plugin("x@2.0.0")).expect("retired");
    let gone = gone.finish().expect("a change");
    let mut back = edit(&gone, SCORING);
    back.roll_back(&id(SCORING, "x")).expect("an older one");
    assert_eq!(
        serving(&back.finish().expect("a change")),
        ["the host: team/x@1.0.0"]
    );
}

#[test]
fn a_suspension_is_noted_once_and_lifted_by_activation() {
    let start = stocked(SCORING, &["x@1.0.0"]);
    let first = activated(&start, SCORING, "x@1.0.0", &[Place::Host]);
    let mut failing = edit(&first, SCORING);
    failing.suspend(&plugin("x@1.0.0"), "trap");
    let suspended = failing.finish().expect("a change");
    assert_eq!(news(&suspended), ["suspended team/x@1.0.0"]);
    assert_eq!(state(&suspended, SCORING, "x@1.0.0"), State::Active);
    let mut again = edit(&suspended, SCORING);
    again.suspend(&plugin("x@1.0.0"), "trap");
    assert!(again.finish().is_none());
    let mut lifted = edit(&suspended, SCORING);
    assert!(
        lifted
            .activate(&plugin("x@1.0.0"), &[Place::Host])
            .is_empty()
    );
    assert_eq!(
        news(&lifted.finish().expect("a change")),
        ["reinstated team/x@1.0.0"]
    );
}

#[test]
fn a_place_remembers_a_bounded_history_and_its_bottom() {
    let versions: Vec<String> = (0..60).map(|n| format!("x@1.0.{n}")).collect();
    let names: Vec<&str> = versions.iter().map(String::as_str).collect();
    let mut catalogue = stocked(SCORING, &names);
    for version in names {
        catalogue = activated(&catalogue, SCORING, version, &[index("a")]);
    }
    let before = &catalogue.serving[0].before;
    assert_eq!(before.len(), HISTORY);
    assert_eq!(
        (&before[0], &before[HISTORY - 1]),
        (&None, &Some(plugin("x@1.0.58")))
    );
}

#[test]
fn a_plugin_of_the_house_takes_over_from_itself_and_from_nobody_else() {
    let none = stocked(SCORING, &["x@1.0.0", "y@1.0.0"]);
    assert!(takes_over(&none, SCORING, "team/x"), "nothing ever served");
    let own = activated(&none, SCORING, "x@1.0.0", &[Place::Host]);
    assert!(takes_over(&own, SCORING, "team/x"));
    assert!(!takes_over(&own, SCORING, "team/y"), "somebody's choice");
    let pii = stocked(PluginKind::Pii, &["x@1.0.0"]);
    let pii = activated(&pii, PluginKind::Pii, "x@1.0.0", &[Place::Host]);
    let mut left = edit(&pii, PluginKind::Pii);
    left.deactivate(&id(PluginKind::Pii, "x")).expect("left");
    let left = left.finish().expect("a change");
    assert!(
        !takes_over(&left, PluginKind::Pii, "team/x"),
        "taken out on purpose"
    );
}
