//! The window over a text, at the edges of its blocks.

use std::io::Write;

use super::*;
use crate::watch::Watch;

fn text(bytes: &[u8], said: Option<&str>) -> Text {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let stored = Stored::new(file, None, u64::MAX, &Watch::default()).unwrap();
    let said = said.and_then(|label| Encoding::for_label(label.as_bytes()));
    Text::new(stored, said).unwrap()
}

/// Everything, in steps of `step` bytes, and how it ended.
fn all(text: &Text, step: usize) -> (String, More) {
    let mut window = text.open().unwrap();
    let mut all = String::new();
    loop {
        let rest = window.rest();
        let end = rest.floor_char_boundary(step.min(rest.len()));
        all.push_str(&rest[..end]);
        window.take(end);
        if end == 0 {
            match window.more(1).unwrap() {
                More::Text => {}
                ended => return (all, ended),
            }
        }
    }
}

#[test]
fn characters_that_are_cut_by_a_block_stay_whole() {
    for prefix in 0..4 {
        let content = "x".repeat(prefix) + &"€".repeat(BLOCK / 2);
        assert_eq!(
            all(&text(content.as_bytes(), None), 1_000_000),
            (content.clone(), More::End)
        );
        let utf16: Vec<u8> = content.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let decoded = all(&text(&utf16, Some("utf-16le")), 7_777);
        assert_eq!(decoded, (content, More::End));
    }
}

#[test]
fn a_byte_order_mark_is_no_text_and_wins() {
    let marked = text(b"\xEF\xBB\xBFa", Some("windows-1252"));
    assert_eq!((marked.encoding(), marked.has_bom()), ("UTF-8", true));
    assert_eq!(all(&marked, 9).0, "a");
    let marked = text(b"\xFF\xFEa\0", None);
    assert_eq!(
        (marked.encoding(), all(&marked, 9).0.as_str()),
        ("UTF-16LE", "a")
    );
    assert_eq!(all(&text(b"", None), 9), (String::new(), More::End));
}

#[test]
fn text_up_to_the_first_bad_byte_can_be_read() {
    for bad in [&b"\xFF"[..], b"\xE2\x82", b"\xE2\x82x"] {
        let bytes = [&b"ab\ncd"[..], bad].concat();
        let text = text(&bytes, None);
        assert_eq!(
            all(&text, 2),
            ("ab\ncd".to_owned(), More::NotText),
            "{bad:?}"
        );
        let mut window = text.open().unwrap();
        window.more(1).unwrap();
        let error = window.not_text(1, None).to_string();
        assert!(
            error.starts_with("line 2, byte 5: the text is not valid UTF-8"),
            "{error}"
        );
    }
}

#[test]
fn a_record_without_an_end_is_refused() {
    let text = text(&vec![b'x'; MAX_RECORD + BLOCK * 2], None);
    let mut window = text.open().unwrap();
    let error = loop {
        match window.more(7) {
            Ok(More::Text) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.starts_with("line 7: the record that begins here is longer than 64 MiB"));
}
