//! Melts the word lists under `data/` into the hash table that `lexicon.rs` searches.
//!
//! Open addressing with linear probing; an entry is a fingerprint of 21 bits above the flags of the lists
//! that a word stands on, and 0 is an empty slot. At most three in four slots are taken.

#[path = "src/lexicon/hash.rs"]
mod hash;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs, io};

use hash::{FLAG_BITS, Hash};

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
    let log2 = (flags.len() * 4 / 3).next_power_of_two().trailing_zeros();
    let mut table = vec![0_u32; 1 << log2];
    for (word, flags) in flags {
        insert(&mut table, log2, &word, flags);
    }
    let bytes: Vec<u8> = table.into_iter().flat_map(u32::to_le_bytes).collect();
    fs::write(out.join("lexicon.bin"), bytes)?;
    let slots =
        format!("/// Slots of the table, as a power of two.\nconst SLOTS_LOG2: u32 = {log2};\n");
    fs::write(out.join("lexicon.rs"), slots)
}

fn insert(table: &mut [u32], log2: u32, word: &str, flags: u32) {
    let mut hash = Hash::new();
    word.bytes().for_each(|byte| hash.push(byte));
    let (mut slot, fingerprint) = hash.place(log2);
    while table[slot] != 0 && table[slot] >> FLAG_BITS != fingerprint >> FLAG_BITS {
        slot = (slot + 1) % table.len();
    }
    table[slot] |= fingerprint | flags;
}

fn folder(variable: &str) -> io::Result<PathBuf> {
    let value = env::var_os(variable);
    value
        .map(PathBuf::from)
        .ok_or_else(|| io::Error::other(format!("cargo does not set {variable}")))
}
