//! `boathouse plugin push --sign` at a host that asks a team for signatures: the team's key opens the door,
//! nothing else does, and a signature fits one component only.

use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{check_refused, files, path, text};
use crate::{
    guests::{MARKED_1, MARKED_2, replaced},
    support::{Host, check_problem, run},
};

const MARKED: &str = "/plugins/scoring/test/marked";

/// Makes a pair for signing and returns the public half.
fn pair(folder: &TempDir, file: &str) -> String {
    let made = run(&["key", "generate-signing", "--out", &path(folder, file)]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    text(&made.stdout).trim().to_owned()
}

/// A host whose team `test` has to sign, and the folder with the team's files; the host holds it too.
fn host_of_a_team() -> (Host, TempDir) {
    let folder = files(&[("one.wasm", MARKED_1), ("two.wasm", MARKED_2)]);
    let public = pair(&folder, "team.pem");
    pair(&folder, "stranger.pem");
    let config = format!("[auth.teams.test]\npublic_key = \"{public}\"\n");
    std::fs::write(folder.path().join("boathouse.toml"), config).expect("written");
    (Host::on(folder.path()), folder)
}

/// Versions of the plugin that the host knows.
async fn versions(host: &Host) -> Vec<Value> {
    let (_, plugin) = host.get(MARKED).await;
    let versions = plugin["versions"].as_array().into_iter().flatten();
    versions.map(|version| version["version"].clone()).collect()
}

#[tokio::test]
async fn a_push_that_is_signed_by_the_team_is_taken_and_no_other() {
    let (host, folder) = host_of_a_team();
    let one = path(&folder, "one.wasm");
    let push = |more: &[&str]| -> Output {
        run(&[&["--url", &host.url, "plugin", "push", &one], more].concat())
    };
    check_refused(
        &push(&[]),
        1,
        &["signature_missing", "team `test`", "boathouse key sign"],
    );
    let stranger = push(&["--sign", &path(&folder, "stranger.pem")]);
    check_refused(&stranger, 1, &["signature_wrong", "private half"]);
    let no_key = push(&["--sign", &path(&folder, "boathouse.toml")]);
    check_refused(&no_key, 1, &["boathouse.toml", "generate-signing"]);
    let nowhere = push(&["--sign", &path(&folder, "nowhere.pem")]);
    check_refused(&nowhere, 1, &["cannot read", "nowhere.pem"]);
    assert_eq!(versions(&host).await, [Value::Null; 0], "nothing is stored");

    for _ in ["new", "once more, which changes nothing"] {
        let signed = push(&["--sign", &path(&folder, "team.pem")]);
        assert!(signed.status.success(), "{}", text(&signed.stderr));
    }
    let view = host.read(MARKED).await;
    assert_eq!(view["versions"][0]["version"], "1.0.0", "{view}");
    assert_eq!(view["versions"][0]["signed"], true, "{view}");
}

#[tokio::test]
async fn a_component_that_was_tampered_with_has_no_signature() {
    let (host, folder) = host_of_a_team();
    let sign = |file: &str| -> String {
        let (file, key) = (path(&folder, file), path(&folder, "team.pem"));
        let signed = run(&["key", "sign", &file, "--key", &key]);
        assert!(signed.status.success(), "{}", text(&signed.stderr));
        text(&signed.stdout).trim().to_owned()
    };
    let (one, two) = (sign("one.wasm"), sign("two.wasm"));
    let upload = async |bytes: Vec<u8>, signature: &str| {
        let request = reqwest::Client::new()
            .post(format!("{}{MARKED}/versions", host.url))
            .header("x-boathouse-signature", signature)
            .body(bytes);
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.expect("json"))
    };
    // It would pass every check; only the signature tells that somebody changed it.
    let tampered = replaced(MARKED_1, "1.0.0", "1.0.1");
    let wrong = ["test", "exactly this file"];
    check_problem(upload(tampered, &one).await, 403, "signature_wrong", &wrong);
    check_problem(
        upload(MARKED_1.to_vec(), &two).await,
        403,
        "signature_wrong",
        &wrong,
    );
    assert_eq!(versions(&host).await, [Value::Null; 0], "nothing is stored");

    let (status, taken) = upload(MARKED_1.to_vec(), &one).await;
    assert_eq!(status, 201, "{taken}");
    assert_eq!(versions(&host).await, [json!("1.0.0")]);
}
