//! What configurations say, and which are refused where.

use super::*;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("boathouse.toml");
    std::fs::write(&path, file).expect("written");
    let environment = environment
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    Config::load(Some(&path), &environment, &Overrides::default()).map_err(|e| e.to_string())
}

#[test]
fn unknown_keys_are_refused_with_file_line_and_key() {
    let error = load("[server]\nport = 1\n\nprot = 2\n", &[]).expect_err("unknown key");
    assert!(
        error.contains("boathouse.toml:4") && error.contains("prot"),
        "{error}"
    );
    let error = load("[sevrer]\n", &[]).expect_err("unknown section");
    assert!(
        error.contains("boathouse.toml:1") && error.contains("sevrer"),
        "{error}"
    );
    let error = load("", &[("BOATHOUSE__SERVER__PROT", "2")]).expect_err("unknown key");
    assert!(
        error.contains("BOATHOUSE__SERVER__PROT") && error.contains("prot"),
        "{error}"
    );
}

#[test]
fn flags_win_over_variables_over_file_over_default() {
    let config = load("[server]\nport = 1\n", &[]).expect("file");
    assert_eq!(config.server.port, 1);
    let config =
        load("[server]\nport = 1\n", &[("BOATHOUSE__SERVER__PORT", "2")]).expect("variable");
    assert_eq!(config.server.port, 2);
    let environment = Environment::from([("BOATHOUSE__SERVER__PORT".to_owned(), "2".to_owned())]);
    let flags = Overrides {
        port: Some(3),
        ..Overrides::default()
    };
    let config = Config::load(None, &environment, &flags).expect("flag");
    assert_eq!(config.server.port, 3);
}

#[test]
fn variables_may_name_a_whole_structure_together() {
    let variables = [
        ("BOATHOUSE__VECTORS__DEFAULT_CONFIG__M", "8"),
        ("BOATHOUSE__VECTORS__DEFAULT_CONFIG__EF_CONSTRUCTION", "40"),
        ("BOATHOUSE__VECTORS__DEFAULT_CONFIG__EF_SEARCH", "20"),
    ];
    assert_eq!(
        load("", &variables)
            .expect("together")
            .vectors
            .default_config
            .m,
        8
    );
    let error = load(
        "[vectors.default_config]\nm = 1\nef_construction = 40\nef_search = 20\n",
        &[],
    );
    assert!(error.expect_err("m").contains("vectors.default_config"));
}

#[test]
fn public_keys_of_teams_are_read_and_checked() {
    let key = "A".repeat(43) + "=";
    let team = |name: &str, key: &str| {
        load(
            &format!("[auth.teams.{name}]\npublic_key = \"{key}\"\n"),
            &[],
        )
    };
    let config = team("acme", &key).expect("a key");
    assert_eq!(config.auth.teams["acme"].public_key.to_string(), key);
    let error = team("acme", "AAAA").expect_err("too short");
    assert!(
        error.contains("boathouse.toml:2") && error.contains("ed25519"),
        "{error}"
    );
    let error = team("Acme", &key).expect_err("a capital");
    assert!(error.contains("Acme"), "{error}");
}

#[test]
fn versions_expire_by_rules_that_are_off_by_default() {
    let rule = |file: &str| load(file, &[]).expect(file).datasets.retention(24);
    assert!(rule("").keeps_all());
    let rule = rule("[datasets]\nkeep_versions = 5\nexpire_after_days = 2\n");
    let day = 24 * 60 * 60 * 1_000;
    assert_eq!(
        (rule.keep_versions, rule.keep_millis, rule.grace_millis),
        (Some(5), Some(2 * day), day)
    );
    let error = load("[storage.gc]\ncompact_files = 1\n", &[]).expect_err("too few");
    assert!(error.contains("storage.gc.compact_files"), "{error}");
}

#[test]
fn buckets_are_unique() {
    let error = load(
        "[[buckets]]\nname = \"primary\"\nbackend = \"memory\"\n",
        &[],
    )
    .expect_err("twice");
    assert!(error.contains("primary"), "{error}");
}

#[test]
fn a_bound_on_builds_is_there_by_default_and_is_not_nothing() {
    let most = |file: &str| load(file, &[]).map(|config| config.vectors.max_build_bytes);
    assert_eq!(most(""), Ok(16 << 30));
    assert_eq!(most("[vectors]\nmax_build_bytes = 5\n"), Ok(5));
    let error = most("[vectors]\nmax_build_bytes = 0\n").expect_err("nothing");
    assert!(error.contains("vectors.max_build_bytes"), "{error}");
}
