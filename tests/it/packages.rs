//! Real input that nobody here wrote: the list of the packages installed on this machine.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Host, ids, quoted, skip};

/// The list as CSV, or none where the machine keeps no such list.
fn installed() -> Option<String> {
    let format = "${Package}\u{1f}${Version}\u{1f}${Maintainer}\u{1f}${Section}\u{1f}${Installed-Size}\u{1f}${Description}\u{1e}";
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", format])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut csv = "name,version,maintainer,section,size,description\n".to_owned();
    for record in text.split('\u{1e}').filter(|record| !record.is_empty()) {
        let fields: Vec<String> = record.split('\u{1f}').map(quoted).collect();
        csv += &fields.join(",");
        csv.push('\n');
    }
    (output.status.success() && csv.lines().count() > 50).then_some(csv)
}

#[tokio::test]
async fn the_package_list_of_this_machine_is_searchable() {
    let Some(csv) = installed() else {
        return skip(
            "the package list",
            "there is no dpkg-query with packages on this machine",
        );
    };
    let host = Host::fresh();
    let report = host.ingest("packages", csv).await;
    check_findings(&report);
    let body = json!({"name": "packages", "dataset": "packages", "text_column": "description"});
    let index = host.done("/vectors/indexes", &body).await;
    assert_eq!(
        index["vectors"]
            .as_u64()
            .map(|n| n + index["skipped_rows"].as_u64().unwrap_or(0)),
        report["rows"].as_u64()
    );
    let report = host
        .post("/vectors/autotune/packages", &json!({"max_trials": 3}))
        .await;
    assert_eq!(
        (report.0, report.1["trials"].as_array().map(Vec::len)),
        (200, Some(3)),
        "{}",
        report.1
    );
    // Packages that every Debian system has.
    for (query, expected) in [
        (
            "make a file smaller by compressing it",
            &[
                "gzip", "bzip2", "xz-utils", "zstd", "zip", "liblzma5", "zlib1g",
            ][..],
        ),
        (
            "shell that interprets command scripts",
            &["bash", "dash", "zsh", "mksh", "busybox"],
        ),
        (
            "time zones and daylight saving time",
            &["tzdata", "libc-bin", "tzdata-legacy"],
        ),
        (
            "put many files into one archive",
            &["tar", "cpio", "libarchive13"],
        ),
        (
            "install and remove software packages",
            &["apt", "dpkg", "aptitude", "apt-utils", "libapt-pkg6.0"],
        ),
    ] {
        check_neighbours(&host, query, expected).await;
    }
}

/// Emails and names stand in the maintainer's column, and in no other.
fn check_findings(report: &Value) {
    let findings = report["findings"].as_array().expect("findings");
    let mut kinds: Vec<_> = findings
        .iter()
        .filter(|finding| finding["column"] == "maintainer")
        .map(|finding| finding["kind"].as_str().expect("kind"))
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["email", "person_name"], "{report}");
    let harmless = ["name", "version", "section", "size"];
    let wrong: Vec<_> = findings
        .iter()
        .filter(|finding| harmless.iter().any(|name| finding["column"] == *name))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// One of the expected packages is among the first ten.
async fn check_neighbours(host: &Host, query: &str, expected: &[&str]) {
    let answer = host
        .search(
            "packages",
            &json!({"text": query, "k": 10, "with": ["name"]}),
        )
        .await;
    assert_eq!(ids(&answer).len(), 10);
    let hits = answer["hits"].as_array().expect("hits");
    let names: Vec<_> = hits
        .iter()
        .map(|hit| hit["columns"]["name"].as_str().expect("name"))
        .collect();
    assert!(
        names.iter().any(|name| expected.contains(name)),
        "{query}: {names:?}"
    );
}
