//! Folders on a real disk: what is taken, what is left alone, and what never happens to a file.

use std::{
    fs,
    io::Write as _,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    time::Duration,
};

use boathouse_types::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    config::{AfterIngest, WatchConfig, check},
    file,
    listing::{Entry, list},
    steady::Steady,
};

fn written(folder: &Path, name: &str, text: &str) -> Entry {
    fs::write(folder.join(name), text).expect("written");
    let listing = list(folder).expect("listed");
    let mut files = listing.files.into_iter();
    files.find(|file| file.name == name).expect("a file")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("listed")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    names.sort();
    names
}

#[test]
fn files_are_taken_by_time_and_name_and_the_rest_is_left() {
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    let now = std::fs::metadata(at)
        .expect("folder")
        .modified()
        .expect("a time");
    for (name, age) in [("b.csv", 5), ("a.csv", 5), ("late.csv", 1)] {
        let file = fs::File::create(at.join(name)).expect("made");
        file.set_modified(now - Duration::from_secs(age))
            .expect("set");
    }
    for name in [".hidden", "x.part", "x.TMP", "y.crdownload"] {
        fs::write(at.join(name), "x").expect("written");
    }
    for name in ["done", "failed", "deep"] {
        fs::create_dir(at.join(name)).expect("made");
    }
    symlink("/etc/hostname", at.join("link.csv")).expect("linked");
    let _socket = UnixListener::bind(at.join("socket.csv")).expect("bound");
    let listing = list(at).expect("listed");
    let files: Vec<_> = listing.files.iter().map(Entry::shown).collect();
    assert_eq!(files, ["a.csv", "b.csv", "late.csv"]);
    assert_eq!(
        listing.unfinished,
        [".hidden", "x.TMP", "x.part", "y.crdownload"]
    );
    let mut strange: Vec<_> = listing
        .strange
        .iter()
        .map(|(name, why)| (name.to_str(), *why))
        .collect();
    strange.sort();
    let expected = [
        (Some("deep"), "it is a folder"),
        (Some("link.csv"), "it is a symbolic link"),
        (Some("socket.csv"), "it is no regular file"),
    ];
    assert_eq!(strange, expected);
}

#[test]
fn a_file_is_steady_once_it_has_not_changed_for_the_whole_wait() {
    let folder = tempfile::tempdir().expect("folder");
    let wait = Duration::from_secs(5);
    let mut steady = Steady::default();
    let start = Instant::now();
    let mut ready_after = |seconds: u64, file: &Entry| {
        let now = start + Duration::from_secs(seconds);
        let (ready, waiting) = steady.sort_out(vec![file.clone()], now, wait);
        assert_eq!(ready.len() + waiting.len(), 1);
        ready.len() == 1
    };
    let first = written(folder.path(), "a.csv", "id\n1\n");
    assert!(!ready_after(0, &first));
    assert!(!ready_after(4, &first));
    let grown = written(folder.path(), "a.csv", "id\n1\n2\n");
    assert!(!ready_after(5, &grown), "it has just changed");
    assert!(!ready_after(9, &grown));
    assert!(ready_after(10, &grown));
    assert!(ready_after(20, &grown));
}

#[test]
fn a_copy_is_what_was_listed_or_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    let copy =
        |entry: &Entry, stop: &CancellationToken| file::copy(entry, at, stop).expect("copied");
    let go = CancellationToken::new();
    let entry = written(at, "a.csv", "abc");
    let made = copy(&entry, &go).expect("a copy");
    assert_eq!(
        made.digest,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(made.file.metadata().expect("a file").len(), 3);
    let mut more = fs::OpenOptions::new()
        .append(true)
        .open(at.join("a.csv"))
        .expect("open");
    more.write_all(b"def").expect("written");
    assert!(copy(&entry, &go).is_none(), "it has grown");
    fs::remove_file(at.join("a.csv")).expect("removed");
    assert!(copy(&entry, &go).is_none(), "it is gone");
    let entry = written(at, "b.csv", "abc");
    let stopped = CancellationToken::new();
    stopped.cancel();
    assert!(copy(&entry, &stopped).is_none(), "the host stops");
    fs::remove_file(at.join("b.csv")).expect("removed");
    symlink("/etc/passwd", at.join("b.csv")).expect("linked");
    assert!(
        file::copy(&entry, at, &go).is_err(),
        "a link is not followed"
    );
    assert_eq!(names(at), ["b.csv"], "copies have no names");
}

#[test]
fn a_file_that_was_taken_never_takes_the_place_of_another() {
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    for text in ["1", "2", "3"] {
        let entry = written(at, "a.b.csv", text);
        assert!(file::finish(&entry, AfterIngest::Move).expect("moved"));
    }
    assert_eq!(
        names(&at.join("done")),
        ["a.b-2.csv", "a.b-3.csv", "a.b.csv"]
    );
    assert_eq!(fs::read(at.join("done/a.b-3.csv")).expect("there"), b"3");
    let entry = written(at, "k.csv", "kept");
    assert!(!file::finish(&entry, AfterIngest::Keep).expect("kept"));
    assert!(at.join("k.csv").exists());
    assert!(file::finish(&entry, AfterIngest::Delete).expect("deleted"));
    assert_eq!(names(at), ["done"]);
}

#[test]
fn a_file_that_has_changed_since_it_was_taken_stays() {
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    for after in [AfterIngest::Move, AfterIngest::Delete] {
        let entry = written(at, "a.csv", "first");
        fs::write(at.join("a.csv"), "second, not taken yet").expect("written");
        assert!(file::finish(&entry, after).expect("left"));
        assert_eq!(names(at), ["a.csv"]);
    }
    let entry = written(at, "a.csv", "first");
    fs::write(at.join("a.csv"), "corrected meanwhile").expect("written");
    file::set_aside(&entry, "bad", Timestamp::from_millis(0)).expect("left");
    assert_eq!(names(at), ["a.csv"]);
}

#[test]
fn a_bad_file_lies_beside_its_reason() {
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    for why in ["line 2 is short", "again"] {
        let entry = written(at, "a.csv", "x");
        file::set_aside(&entry, why, Timestamp::from_millis(0)).expect("moved");
    }
    let failed = at.join("failed");
    let expected = ["a-2.csv", "a-2.csv.reason.txt", "a.csv", "a.csv.reason.txt"];
    assert_eq!(names(&failed), expected);
    let reason = fs::read_to_string(failed.join("a.csv.reason.txt")).expect("there");
    assert_eq!(reason, "1970-01-01T00:00:00.000Z: line 2 is short\n");
}

fn watched(folder: &Path) -> WatchConfig {
    let folder = toml::Value::from(folder.to_str().expect("a path"));
    toml::from_str(&format!("folder = {folder}\ndataset = \"d\"\n")).expect("a section")
}

#[test]
fn folders_that_cannot_be_watched_together_are_refused() {
    let world = tempfile::tempdir().expect("folder");
    let at = world.path().canonicalize().expect("a path");
    let data = at.join("data");
    fs::create_dir(&data).expect("made");
    symlink(&data, at.join("alias")).expect("linked");
    let told = |folders: &[&str]| {
        let watched: Vec<_> = folders.iter().map(|name| watched(&at.join(name))).collect();
        check(&watched, &data).err().unwrap_or_default()
    };
    assert_eq!(told(&["in", "other", "not/there/yet"]), "");
    for (folders, words) in [
        (&["in", "other/../in"][..], "watched twice"),
        (&["data/in"], "server.data"),
        (&["alias/in"], "server.data"),
        (&["in", "in/done"], "end up"),
        (&["in/failed", "in"], "end up"),
    ] {
        let told = told(folders);
        assert!(told.contains(words), "{folders:?}: {told}");
    }
    let mut hasty = watched(&at.join("in"));
    hasty.every_secs = 0;
    assert!(check(&[hasty], &data).is_err());
    let mut odd = watched(&at.join("in"));
    odd.options.schema = Some("n:int33".to_owned());
    let told = check(&[odd], &data).expect_err("no such type");
    assert!(
        told.contains("options of folder") && told.contains("int33"),
        "{told}"
    );
}

#[test]
fn options_are_those_of_an_upload() {
    let text = "folder = \"in\"\ndataset = \"d\"\n[options]\nschema = \"n:int32\"\nnull = \"NA\"\n";
    let watch: WatchConfig = toml::from_str(text).expect("a section");
    assert_eq!(watch.options.null.as_deref(), Some("NA"));
    let misspelt = text.replace("null", "nil");
    assert!(toml::from_str::<WatchConfig>(&misspelt).is_err());
}
