//! Files that are not in the body of a request: objects of a bucket, and files on this machine.
//!
//! What may be read is decided here, once. A caller who may touch some datasets only may not: nothing says whose
//! such a file is. Of a bucket everything may be read but what Boathouse itself keeps there, and nothing of
//! `rescue`; of the disk only what is below a folder of `ingest.folders`, with links followed, never the data
//! folder. Who is refused is not told whether there is such a file.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::http::StatusCode;
use boathouse_ingest::FileInput;
use boathouse_storage::Bucket;
use boathouse_types::BucketName;

use crate::{app::App, auth::Caller, gc::is_own_object, problem::Problem};

/// Most files that one ingest takes together: each is open until its end.
const MOST_FILES: usize = 256;

/// What a reference names: `bucket:{name}/{path}`, of which the last part may hold one `*`, or `file:{path}`.
pub(super) async fn find(app: &App, caller: &Caller, from: &str) -> Result<FileInput, Problem> {
    if caller.is_restricted() {
        return Err(refused(
            "this key may touch some datasets only and cannot read files that are on no dataset",
            "send the file in the body, or use a key without such bounds",
        ));
    }
    match from.split_once(':') {
        Some(("bucket", rest)) => in_bucket(app, rest).await,
        Some(("file", path)) => on_disk(app, Path::new(path)).await,
        _ => Err(Problem::unprocessable(
            "bad_origin",
            "`from` is neither `bucket:{name}/{path}` nor `file:{absolute path}`",
        )),
    }
}

async fn in_bucket(app: &App, rest: &str) -> Result<FileInput, Problem> {
    let bad = |detail: &str| Problem::unprocessable("bad_origin", detail);
    let Some((name, path)) = rest.split_once('/') else {
        return Err(bad(
            "`from` names a bucket without a path; write `bucket:{name}/{path}`",
        ));
    };
    let name = BucketName::new(name).map_err(|error| bad(&error.to_string()))?;
    if name == BucketName::rescue() {
        return Err(own());
    }
    // What is judged here must be what the store reads, and stores do not count a `/` at an end.
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(bad(
            "the path has a `/` at an end or a part that is empty, `.` or `..`; write it as the bucket lists it",
        ));
    }
    let bucket = app.bucket_table.get(&name)?;
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    if folder.contains('*') || file.matches('*').count() > 1 {
        return Err(bad("a `*` may stand once, in the last part of the path"));
    }
    let Some((start, end)) = file.split_once('*') else {
        return match is_own_object(path) {
            true => Err(own()),
            false => Ok(object(&bucket, path.to_owned())),
        };
    };
    let mut found = Vec::new();
    for listed in bucket.list(folder).await? {
        let file = match folder {
            "" => Some(listed.path.as_str()),
            folder => listed
                .path
                .strip_prefix(folder)
                .and_then(|rest| rest.strip_prefix('/')),
        };
        let fits = file.is_some_and(|file| {
            let middle = file
                .strip_prefix(start)
                .and_then(|rest| rest.strip_suffix(end));
            middle.is_some_and(|middle| !middle.contains('/')) && !file.contains('/')
        });
        if fits && !is_own_object(&listed.path) {
            found.push(object(&bucket, listed.path));
        }
    }
    match found.len() {
        0 => Err(Problem::unprocessable(
            "missing_file",
            format!("no object of bucket `{name}` fits `{path}`; check the path"),
        )),
        1..=MOST_FILES => Ok(FileInput::Several(found)),
        many => Err(bad(&format!(
            "{many} objects fit `{path}`, more than {MOST_FILES}; take them in several runs with mode `append`"
        ))),
    }
}

fn object(bucket: &Bucket, path: String) -> FileInput {
    FileInput::Object {
        bucket: bucket.clone(),
        path,
    }
}

async fn on_disk(app: &App, path: &Path) -> Result<FileInput, Problem> {
    let (path, folders) = (path.to_owned(), app.config.ingest.folders.clone());
    let data = app.config.server.data.clone();
    let opened = tokio::task::spawn_blocking(move || open(&path, &folders, &data));
    opened.await.map_err(|error| Problem::internal(&error))?
}

/// Opens a file below one of the folders.
fn open(path: &Path, folders: &[PathBuf], data: &Path) -> Result<FileInput, Problem> {
    let outside = || {
        refused(
            "the file is not below a folder that this host takes files from",
            "add its folder to `ingest.folders` of the configuration, or send the file in the body",
        )
    };
    let folders: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| folder.canonicalize().ok())
        .collect();
    let is_allowed = |path: &Path| {
        let is_data = data.canonicalize().is_ok_and(|data| path.starts_with(data));
        !is_data && folders.iter().any(|folder| path.starts_with(folder))
    };
    let Ok(real) = path.canonicalize() else {
        // Whoever may read the folder may know that the file is not there.
        let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
        return Err(match parent.is_some_and(|parent| is_allowed(&parent)) {
            true => missing(),
            false => outside(),
        });
    };
    if !path.is_absolute() || !is_allowed(&real) {
        return Err(outside());
    }
    // Before it is opened, as the other end of a pipe could keep that waiting.
    if !real.is_file() {
        return Err(Problem::unprocessable(
            "bad_origin",
            "this is a folder, a pipe or a device, no regular file; name a file, or send the contents in the body",
        ));
    }
    match File::open(&real) {
        Ok(file) => Ok(FileInput::File(Arc::new(file))),
        Err(error) => Err(Problem::unprocessable(
            "missing_file",
            format!(
                "the file cannot be read: {}; check its rights",
                error.kind()
            ),
        )),
    }
}

fn missing() -> Problem {
    Problem::unprocessable("missing_file", "there is no such file; check the path")
}

fn own() -> Problem {
    refused(
        "the object is one that Boathouse itself keeps",
        "read rows by `/datasets`",
    )
}

fn refused(problem: &str, cure: &str) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "origin_not_allowed",
        format!("{problem}; {cure}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &Path, folders: &[PathBuf], data: &Path, expected: Option<&str>) {
        let code = open(path, folders, data).err().map(|problem| problem.code);
        assert_eq!(code.as_deref(), expected, "{}", path.display());
    }

    #[test]
    fn only_files_below_a_folder_are_opened() {
        let base = tempfile::tempdir().expect("a folder");
        let [allowed, other, data] = ["in", "out", "in/data"].map(|name| base.path().join(name));
        for folder in [&allowed, &other, &data] {
            std::fs::create_dir_all(folder).expect("made");
            std::fs::write(folder.join("a.csv"), "a\n1\n").expect("written");
        }
        std::os::unix::fs::symlink(other.join("a.csv"), allowed.join("link.csv")).expect("linked");
        let folders = [allowed.clone(), base.path().join("missing")];
        let no = Some("origin_not_allowed");
        check(&allowed.join("a.csv"), &folders, &data, None);
        check(
            &allowed.join("b.csv"),
            &folders,
            &data,
            Some("missing_file"),
        );
        check(&allowed, &folders, &data, Some("bad_origin"));
        let socket = allowed.join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        check(&socket, &folders, &data, Some("bad_origin"));
        check(&other.join("a.csv"), &folders, &data, no);
        check(&other.join("b.csv"), &folders, &data, no);
        check(&allowed.join("link.csv"), &folders, &data, no);
        check(&allowed.join("../out/a.csv"), &folders, &data, no);
        check(&data.join("a.csv"), &folders, &data, no);
        check(&allowed.join("a.csv"), &[], &data, no);
    }
}
