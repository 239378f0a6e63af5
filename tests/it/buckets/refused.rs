//! Buckets that are not taken, and those that are not given away.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{add, bucket, local};
use crate::support::{Host, check_problem, skip};

/// An address where nobody listens.
pub(super) fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    format!("http://{address}")
}

/// Sends a wish that must be refused with 422, and gives the detail.
async fn refused(host: &Host, wish: &Value, code: &str, words: &[&str]) -> String {
    let (status, problem) = host.post("/storage/buckets", wish).await;
    let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
    assert!(
        detail.len() < 1_500,
        "{} bytes: {detail:.300}",
        detail.len()
    );
    check_problem((status, problem), 422, code, words);
    detail
}

#[tokio::test]
async fn names_and_fields_that_are_none_are_named() {
    let host = Host::fresh();
    let root = Path::new("/nowhere");
    for name in [
        "a.b",
        "../a",
        "a/b",
        "A",
        "",
        "ünï",
        "-a",
        "a b",
        &"a".repeat(1 << 20),
    ] {
        refused(
            &host,
            &local(name, root),
            "bad_body",
            &["is not a bucket name"],
        )
        .await;
    }
    for (wish, word) in [
        (json!({"name": "x", "backend": "ftp"}), "ftp"),
        (json!({"name": "x"}), "backend"),
        (json!({"backend": "local", "root": "/a"}), "name"),
        (
            json!({"name": "x", "backend": "local", "root": "/a", "rot": 1}),
            "rot",
        ),
        (
            json!({"name": "x", "backend": "s3", "bucket": "b", "regoin": "eu"}),
            "regoin",
        ),
    ] {
        refused(&host, &wish, "bad_body", &[word]).await;
    }
    let literal = json!({
        "name": "x", "backend": "s3", "bucket": "b",
        "access_key_id": "env:ID", "secret_access_key": "hunter2"
    });
    let detail = refused(&host, &literal, "bad_body", &["env:NAME"]).await;
    assert!(!detail.contains("hunter2"), "{detail}");
    let memory = json!({"name": "x", "backend": "memory"});
    refused(&host, &memory, "bad_bucket", &["memory"]).await;
}

#[tokio::test]
async fn folders_that_cannot_be_a_bucket_are_refused_and_not_left_behind() {
    let (host, place) = (Host::fresh(), tempfile::tempdir().expect("folder"));
    let at = |name: &str| place.path().join(name);
    fs::write(at("file"), "").expect("written");
    add(&host, "taken", &at("taken")).await;
    let primary = host.data.join("primary");
    for (root, code, word) in [
        (PathBuf::from("relative"), "bad_bucket", "absolute"),
        (at("a/../b"), "bad_bucket", ".."),
        (
            PathBuf::from(format!("/{}", "x".repeat(1 << 20))),
            "bad_bucket",
            "longer",
        ),
        (at(&"x".repeat(300)), "bucket_unusable", "cannot be created"),
        (at("file"), "bucket_unusable", "is a file"),
        (at("file/below"), "bucket_unusable", "cannot be created"),
        (
            PathBuf::from("/proc/boathouse"),
            "bucket_unusable",
            "cannot be created",
        ),
        (host.data.clone(), "bad_bucket", "works in that folder"),
        (
            host.data.join("spool/x"),
            "bad_bucket",
            "works in that folder",
        ),
        (PathBuf::from("/"), "bad_bucket", "works in that folder"),
        (primary.clone(), "bucket_overlaps", "primary"),
        (primary.join("inside"), "bucket_overlaps", "primary"),
        (at("taken/inside"), "bucket_overlaps", "taken"),
        (place.path().to_owned(), "bucket_overlaps", "taken"),
    ] {
        refused(&host, &local("new", &root), code, &[word]).await;
    }
    assert_eq!(bucket(&host, "new").await, Value::Null);
    let mut left: Vec<_> = fs::read_dir(place.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["file", "taken"]);
    add(&host, "new", &at("good")).await;
}

#[tokio::test]
async fn what_lies_there_keeps_its_name() {
    let (host, place) = (Host::fresh(), tempfile::tempdir().expect("folder"));
    add(&host, "one", &place.path().join("one")).await;
    let copy = place.path().join("copy");
    fs::create_dir_all(copy.join("storage")).expect("made");
    let mark = "storage/bucket.json";
    fs::copy(place.path().join("one").join(mark), copy.join(mark)).expect("copied");
    let answer = host.post("/storage/buckets", &local("two", &copy)).await;
    check_problem(answer, 409, "bucket_of_another_name", &["`one`"]);
}

#[tokio::test]
async fn services_that_do_not_answer_are_refused_without_a_secret() {
    let (host, place) = (Host::fresh(), tempfile::tempdir().expect("folder"));
    let secret = place.path().join("secret");
    fs::write(&secret, "hunter2-hunter2\n").expect("written");
    let wish = |more: Value| {
        let mut wish = json!({
            "name": "far", "backend": "s3", "bucket": "b", "endpoint": closed(), "allow_http": true,
            "access_key_id": format!("file:{}", secret.display()),
            "secret_access_key": format!("file:{}", secret.display())
        });
        for (key, value) in more.as_object().expect("an object") {
            wish[key] = value.clone();
        }
        wish
    };
    for (more, word) in [
        (json!({}), "failed"),
        (json!({"allow_http": false}), "not encrypted"),
        (json!({"endpoint": "ftp://h"}), "https://"),
        (json!({"endpoint": "http://u:hunter2@h"}), "credentials"),
        (
            json!({"access_key_id": "env:BOATHOUSE_NOT_SET"}),
            "BOATHOUSE_NOT_SET",
        ),
        (json!({"secret_access_key": null}), "go together"),
        (json!({"bucket": ""}), "empty"),
        (json!({"prefix": "../x"}), ".."),
    ] {
        let detail = refused(&host, &wish(more), "bucket_unusable", &[word]).await;
        assert!(!detail.contains("hunter2"), "{detail}");
    }
    assert_eq!(bucket(&host, "far").await, Value::Null);
}

#[tokio::test]
async fn buckets_that_the_host_or_its_configuration_needs_stay() {
    let place = tempfile::tempdir().expect("folder");
    let host = Host::configured(&format!(
        "[[buckets]]\nname = \"fixed\"\nbackend = \"local\"\nroot = {:?}\n",
        place.path().join("fixed")
    ));
    for name in ["primary", "rescue"] {
        let answer = host.delete(&format!("/storage/buckets/{name}")).await;
        check_problem(answer, 403, "bucket_essential", &[name]);
    }
    let answer = host.delete("/storage/buckets/fixed").await;
    check_problem(answer, 409, "bucket_configured", &["configuration"]);
    let answer = host.delete("/storage/buckets/nowhere").await;
    check_problem(answer, 404, "unknown_bucket", &["nowhere"]);
    let answer = host.delete("/storage/buckets/No.Name").await;
    check_problem(answer, 422, "bad_name", &["No.Name"]);
    for name in ["primary", "fixed"] {
        let wish = local(name, &place.path().join("other"));
        let answer = host.post("/storage/buckets", &wish).await;
        check_problem(answer, 409, "bucket_exists", &[name]);
    }
    assert!(!place.path().join("other").exists());
}

/// A bucket on a disk that is full takes nothing, and what is there stays readable.
#[tokio::test]
async fn a_full_disk_is_an_error_and_no_loss() {
    let (host, place) = (Host::fresh(), tempfile::tempdir().expect("folder"));
    let Some(disk) = SmallDisk::mount(place.path()) else {
        return skip(
            "a_full_disk_is_an_error_and_no_loss",
            "no file system can be mounted here",
        );
    };
    let root = disk.0.join("bucket");
    add(&host, "small", &root).await;
    let parameters = "dataset=little&format=csv&bucket=small";
    let ended = host.upload(parameters, "id,text\n1,hello\n").await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    fs::write(disk.0.join("ballast"), vec![7; 4 << 20]).expect_err("the disk is small");
    let ended = host
        .upload("dataset=more&format=csv&bucket=small", "id\n2\n")
        .await;
    assert_eq!(ended["state"], "failed", "{ended}");
    assert_eq!(host.get("/datasets/more").await.0, 404);
    let rows = host.read("/datasets/little/rows").await;
    assert_eq!(rows["rows"], json!([{"id": 1, "text": "hello"}]));
    let full = host
        .post("/storage/buckets", &local("fuller", &disk.0.join("b2")))
        .await;
    assert_eq!(full.0, 422, "{full:?}");
    fs::remove_file(disk.0.join("ballast")).expect("removed");
    let path = "/storage/buckets";
    host.until(path, |list| {
        super::found(list, "small")["health"]["state"] == "healthy"
    })
    .await;
    let ended = host
        .upload("dataset=more&format=csv&bucket=small", "id\n2\n")
        .await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
}

/// A file system of 2 MiB in memory; taken away when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: &Path) -> Option<Self> {
        let point = place.join("disk");
        fs::create_dir(&point).expect("made");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(&point)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Self(point))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // By the time of the drop the host may still hold files in it.
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .output();
    }
}
