//! What a cache promises: what was written comes back whole or not at all.

use std::{
    convert::Infallible,
    fs::{File, OpenOptions},
};

use super::*;

const BLOCK: usize = 1 << 20;

fn whole(bytes: Bytes) -> Result<Bytes, Infallible> {
    Ok(bytes)
}

fn cache() -> (tempfile::TempDir, FileCache) {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = FileCache::new(folder.path().join("cache"));
    (folder, cache)
}

fn put(cache: &FileCache, name: &str, content: &[u8]) -> bool {
    cache.put(name, |out| out.write_all(content))
}

/// Whether a file is there and sealed.
fn is_sound(path: &Path) -> bool {
    matches!(seal::open(path), Ok(Some(_)))
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

/// Overwrites a file, which is read-only, in its place.
fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("there");
    change(&mut bytes);
    fs::remove_file(path).expect("ours");
    fs::write(path, bytes).expect("writes");
}

#[test]
fn what_was_written_comes_back_at_any_length() {
    let (_folder, cache) = cache();
    let lengths = [0, 1, 4_095, BLOCK - 1, BLOCK, BLOCK + 1, 20 * BLOCK + 7];
    for length in lengths {
        let content = content(length);
        assert!(put(&cache, "a.rows", &content));
        let back = cache.get("a.rows", whole).expect("is there");
        assert!(back == content, "{length} bytes");
        assert_eq!(back.as_ptr().align_offset(4096), 0, "it begins on a page");
    }
    assert!(cache.get("b.rows", whole).is_none());
}

#[test]
fn content_that_is_written_in_pieces_is_the_same() {
    let (_folder, cache) = cache();
    let content = content(3 * BLOCK + 5);
    assert!(cache.put("a", |out| {
        content
            .chunks(77_777)
            .try_for_each(|piece| out.write_all(piece))
    }));
    assert!(cache.get("a", whole).expect("is there") == content);
}

#[test]
fn every_byte_of_a_file_counts() {
    let (_folder, cache) = cache();
    assert!(put(&cache, "a", &content(300)));
    let path = cache.folder.join("a");
    let sound = fs::read(&path).expect("written");
    for at in 0..sound.len() {
        for bit in [1_u8, 0x80] {
            damage(&path, |bytes| {
                bytes.clone_from(&sound);
                bytes[at] ^= bit;
            });
            assert!(cache.get("a", whole).is_none(), "byte {at}");
            assert!(!path.exists(), "a damaged file is deleted");
            fs::write(&path, &sound).expect("writes");
        }
    }
    assert!(cache.get("a", whole).is_some());
}

#[test]
fn files_cut_short_or_lengthened_are_refused() {
    let (_folder, cache) = cache();
    assert!(put(&cache, "a", &content(BLOCK + 100)));
    let path = cache.folder.join("a");
    let sound = fs::read(&path).expect("written");
    let cuts = (0..200)
        .chain([BLOCK - 1, BLOCK, BLOCK + 100])
        .chain(sound.len() - 40..sound.len());
    for end in cuts {
        damage(&path, |bytes| bytes.truncate(end));
        assert!(!is_sound(&path), "{end} bytes");
        fs::write(&path, &sound).expect("writes");
    }
    damage(&path, |bytes| bytes.push(0));
    assert!(!is_sound(&path));
}

#[test]
fn damage_in_a_block_of_any_thread_is_found() {
    let (_folder, cache) = cache();
    let blocks = 33;
    assert!(put(&cache, "a", &content(blocks * BLOCK)));
    let path = cache.folder.join("a");
    for block in [0, 1, 15, 16, 17, 31, 32] {
        let flip = |bytes: &mut Vec<u8>| bytes[block * BLOCK + 9] ^= 4;
        damage(&path, flip);
        let refused = seal::open(&path).expect_err("damaged").to_string();
        assert!(
            refused.contains(&format!("at byte {}", block * BLOCK)),
            "{refused}"
        );
        damage(&path, flip);
    }
    assert!(is_sound(&path));
}

#[test]
fn what_is_compared_is_the_file_that_is_mapped() {
    let (_folder, cache) = cache();
    let sound = content(20 * BLOCK);
    assert!(put(&cache, "a", &sound));
    let path = cache.folder.join("a");
    let opened = File::open(&path).expect("there");
    // The name stands for another file, or for none, when the blocks are compared.
    damage(&path, |bytes| bytes.fill(7));
    assert!(seal::content(&opened).expect("sound") == sound);
    fs::remove_file(&path).expect("ours");
    assert!(seal::content(&opened).expect("sound") == sound);
}

#[test]
fn a_newer_seal_and_another_file_are_refused_by_name() {
    let (_folder, cache) = cache();
    assert!(put(&cache, "a", b"content"));
    let path = cache.folder.join("a");
    damage(&path, |bytes| {
        let version = bytes.len() - 16;
        bytes[version] = 9;
    });
    let refused = seal::open(&path).expect_err("newer").to_string();
    assert!(refused.contains("version 9"), "{refused}");
    damage(&path, |bytes| *bytes = vec![7; 100]);
    let refused = seal::open(&path).expect_err("foreign").to_string();
    assert!(refused.contains("not sealed"), "{refused}");
}

#[test]
fn what_the_reader_refuses_is_deleted() {
    let (_folder, cache) = cache();
    assert!(put(&cache, "a", b"content"));
    let none: Option<()> = cache.get("a", |_| Err("of other vectors"));
    assert!(none.is_none() && !cache.folder.join("a").exists());
}

#[test]
fn what_is_mapped_stays_when_its_file_is_replaced_or_deleted() {
    let (_folder, cache) = cache();
    assert!(put(&cache, "a", &content(BLOCK)));
    let first = cache.get("a", whole).expect("is there");
    assert!(put(&cache, "a", b"another"));
    assert_eq!(cache.get("a", whole).expect("is there"), &b"another"[..]);
    cache.retain(|_| false);
    assert!(cache.get("a", whole).is_none());
    assert!(first == content(BLOCK));
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_one_of_before() {
    let (_folder, cache) = cache();
    assert!(put(&cache, "a", b"first"));
    let full = |out: &mut dyn Write| {
        out.write_all(&content(2 * BLOCK))?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    };
    assert!(!cache.put("a", full));
    assert_eq!(cache.get("a", whole).expect("is there"), &b"first"[..]);
    assert_eq!(cache.names(), ["a"], "nothing half written is left");
}

#[test]
fn names_that_lead_elsewhere_are_no_files() {
    let (folder, cache) = cache();
    let long = "x".repeat(129);
    for name in [
        "",
        ".",
        "..",
        "../a",
        "a/b",
        "/a",
        ".a",
        "a#1",
        "a b",
        long.as_str(),
    ] {
        assert!(!put(&cache, name, b"content"), "{name}");
        assert!(cache.get(name, whole).is_none(), "{name}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 0);
}

#[test]
fn what_a_killed_process_left_goes_at_the_next_start() {
    let (_folder, cache) = cache();
    let papers = IndexName::new("papers").expect("a name");
    let of_papers = cache.of_index(&papers);
    assert!(put(&of_papers, "whole", b"content"));
    // As far as a process gets that is killed while it writes.
    for cache in [&cache, &of_papers] {
        let half = cache.folder.join("whole#123");
        OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(half)
            .expect("makes");
    }
    of_papers.retain(|_| true);
    assert_eq!(of_papers.names().len(), 2, "somebody may be writing it now");
    let again = FileCache::new(cache.folder.clone());
    again.delete_unfinished();
    assert_eq!(again.of_index(&papers).names(), ["whole"]);
    assert!(again.names().is_empty());
}

#[test]
fn folders_of_indexes_that_are_gone_go() {
    let (_folder, cache) = cache();
    for name in ["papers", "letters"] {
        let name = IndexName::new(name).expect("a name");
        assert!(put(&cache.of_index(&name), "a", b"content"));
    }
    cache.retain_indexes(|name| name == "letters");
    assert_eq!(cache.folders(), ["letters"]);
}

#[test]
fn folders_that_nobody_has_written_to_for_long_go() {
    let (_folder, cache) = cache();
    let papers = cache.of_index(&IndexName::new("papers").expect("a name"));
    assert!(put(&papers, "a", b"content"));
    fs::create_dir_all(cache.folder.join("empty")).expect("makes");
    cache.retain_recent(Timestamp::from_millis(1_000_000_000_000), |_| false);
    assert_eq!(
        cache.folders(),
        ["papers"],
        "one without files is not recent"
    );
    // Files are as old as the system says, which is before the year 2200.
    let later = Timestamp::from_millis(7_300_000_000_000);
    cache.retain_recent(later, |name| name == "papers");
    assert_eq!(cache.folders(), ["papers"], "one that is kept stays");
    cache.retain_recent(later, |name| name == "letters");
    assert!(cache.folders().is_empty());
}
