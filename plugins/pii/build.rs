//! Melts the word lists under `data/` into the hash table that `lexicon.rs` searches.
//!
//! Buckets of four entries; what finds its bucket full goes into the next one. An entry is a fingerprint of
//! 21 bits above the flags of the lists that a word stands on, and 0 is an empty place. At most three in four
//! places are taken.

#[path = "src/lexicon/hash.rs"]
mod hash;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs, io};

use hash::{BUCKET, FLAG_BITS, Hash};

/// The lists with the flag that each sets, as `Known` in `lexicon.rs` names them.
const LISTS: [(&str, u32); 13] = [
    ("given_names", 1),
    ("us_given_names", 1),
    ("surnames", 1 << 1),
    ("us_surnames", 1 << 1),
    ("doubtful", 1 << 2),
    ("organisation", 1 << 3),
    ("particles", 1 << 4),
    ("titles", 1 << 5),
    ("cities", 1 << 6),
    ("words", 1 << 7),
    ("streets", 1 << 8),
    ("streets_fair", 1 << 9),
    ("header_words", 1 << 10),
];

/// Given and family names on one list, where traditions do not tell them apart.
const BOTH: (&str, u32) = ("more_names", 1 | 1 << 1);

fn main() -> io::Result<()> {
    let root = folder("CARGO_MANIFEST_DIR")?.join("data");
    let out = folder("OUT_DIR")?;
    let mut flags: BTreeMap<String, u32> = BTreeMap::new();
    for (list, flag) in LISTS.into_iter().chain([BOTH]) {
        let file = root.join(list).with_extension("txt");
        println!("cargo::rerun-if-changed={}", file.display());
        for word in fs::read_to_string(file)?.lines() {
            *flags.entry(word.to_owned()).or_default() |= flag;
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/lexicon/hash.rs");
    let mut table = vec![[0_u32; BUCKET]; flags.len().div_ceil(BUCKET) * 4 / 3];
    for (word, flags) in flags {
        insert(&mut table, &word, flags);
    }
    let entries = table.into_iter().flatten();
    let bytes: Vec<u8> = entries.flat_map(u32::to_le_bytes).collect();
    fs::write(out.join("lexicon.bin"), &bytes)?;
    let buckets = bytes.len() / BUCKET / 4;
    let buckets = format!("/// Buckets of the table.\nconst BUCKETS: usize = {buckets};\n");
    fs::write(out.join("lexicon.rs"), buckets)
}

fn insert(table: &mut [[u32; BUCKET]], word: &str, flags: u32) {
    let mut hash = Hash::new(word.len());
    for part in word.as_bytes().chunks(8) {
        let mut eight = [0; 8];
        eight[..part.len()].copy_from_slice(part);
        hash.push(u64::from_le_bytes(eight));
    }
    let (mut bucket, fingerprint) = hash.place(table.len());
    loop {
        let free =
            |entry: &&mut u32| **entry == 0 || **entry >> FLAG_BITS == fingerprint >> FLAG_BITS;
        if let Some(entry) = table[bucket].iter_mut().find(free) {
            *entry |= fingerprint | flags;
            return;
        }
        bucket = (bucket + 1) % table.len();
    }
}

fn folder(variable: &str) -> io::Result<PathBuf> {
    let value = env::var_os(variable);
    value
        .map(PathBuf::from)
        .ok_or_else(|| io::Error::other(format!("cargo does not set {variable}")))
}
