//! Twins of one content, and everything that can be wrong with them.

use std::io::Write;

use super::*;

const TEXT: &[u8] = b"id,name\n1,Ada\n2,Bo\n";

fn packed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(bytes).unwrap();
            packer.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        Compression::Bzip2 => {
            let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            packer.write_all(bytes).unwrap();
            packer.finish().unwrap()
        }
        Compression::Lz4 => {
            let mut packer = lz4_flex::frame::FrameEncoder::new(Vec::new());
            packer.write_all(bytes).unwrap();
            packer.finish().unwrap()
        }
    }
}

fn stored(bytes: &[u8], said: Option<Compression>, most: u64) -> Result<Stored, IngestError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Stored::new(file, said, most, &Watch::default())
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let stored = stored(bytes, None, 1 << 20).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    let read = stored.open().unwrap().read_to_end(&mut all);
    read.map(|_| all)
        .map_err(|error| explain(error).to_string())
}

#[test]
fn all_twins_have_the_same_contents() {
    let long: Vec<u8> = (0..700_000_u32)
        .map(|at| (at.wrapping_mul(at) >> 7) as u8)
        .collect();
    for compression in Compression::ALL {
        for content in [TEXT, b"", &long] {
            let packed = packed(compression, content);
            assert_eq!(Compression::of(&packed), compression);
            assert_eq!(unpacked(&packed).as_deref(), Ok(content), "{compression:?}");
        }
        let two = [packed(compression, TEXT), packed(compression, &long)].concat();
        assert_eq!(
            unpacked(&two),
            Ok([TEXT, &long].concat()),
            "{compression:?}"
        );
    }
    assert_eq!(unpacked(TEXT).as_deref(), Ok(TEXT));
}

#[test]
fn a_file_for_random_access_is_unpacked() {
    let packed = packed(Compression::Zstd, TEXT);
    let stored = stored(&packed, Some(Compression::Zstd), 1 << 20).unwrap();
    let mut plain = stored.unpacked(None).unwrap();
    let mut all = Vec::new();
    plain.seek(SeekFrom::Start(0)).unwrap();
    plain.read_to_end(&mut all).unwrap();
    assert_eq!(all, TEXT);
    assert_eq!(stored.watch.progress.snapshot().bytes, packed.len() as u64);
}

#[test]
fn a_file_that_was_cut_off_is_told_from_a_whole_one() {
    for compression in Compression::ALL {
        let name = compression.name();
        let whole = packed(compression, TEXT);
        for length in 5..whole.len() {
            let message = unpacked(&whole[..length]).unwrap_err();
            let expected = format!("the file ends within its {name} data; copy");
            assert!(
                message.contains(&expected),
                "{length} bytes of {name}: {message}"
            );
        }
    }
}

#[test]
fn trailing_garbage_and_damage_are_named() {
    for compression in Compression::ALL {
        let name = compression.name();
        let whole = packed(compression, TEXT);
        let message = unpacked(&[&whole[..], b"garbage"].concat()).unwrap_err();
        let expected = format!(
            "byte {}: something follows the end of the {name} data; cut the file off here",
            whole.len()
        );
        assert!(message.starts_with(&expected), "{message}");
        let mut damaged = whole.clone();
        // The checksum, which is last, or for zstd without one the contents.
        let at = damaged.len()
            - if compression == Compression::Zstd {
                TEXT.len() + 3
            } else {
                3
            };
        damaged[at] ^= 0xFF;
        let message = unpacked(&damaged).unwrap_err();
        assert!(
            message.contains(&format!("the {name} data is damaged"))
                || message.contains(&format!("the file ends within its {name} data")),
            "{message}"
        );
    }
}

#[test]
fn a_small_file_cannot_fill_the_disk() {
    for compression in Compression::ALL {
        let bomb = packed(compression, &vec![0; 3 << 20]);
        assert!(bomb.len() < 64 << 10);
        let message = unpacked(&bomb).unwrap_err();
        let expected = "more than 1048576 bytes come out of this file; split it, or raise `ingest.max_decompressed_bytes`";
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn what_is_said_has_to_be_true() {
    let packed = packed(Compression::Gzip, TEXT);
    let error = stored(&packed, Some(Compression::Zstd), 1)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("the file is not compressed with zstd"),
        "{error}"
    );
    let plain = stored(&packed, Some(Compression::None), 1).unwrap();
    assert_eq!(plain.head(2).unwrap(), [0x1F, 0x8B]);
    assert_eq!(Compression::strip("a.CSV.GZ"), "a.CSV");
    assert_eq!(Compression::strip("gz"), "gz");
}
