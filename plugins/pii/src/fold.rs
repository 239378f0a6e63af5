//! Words without case and diacritics, as headers and dictionaries spell them.
//!
//! Latin letters lose their marks (`é` is `e`, `ß` is `ss`), Greek ones their accents; other scripts
//! are lower-cased only. This is a spelling for comparison, not a transliteration.

/// Longest word that is compared, in bytes.
const LONGEST: usize = 56;

/// Gives the lower-case, unmarked characters of `c` to `push`.
pub(crate) fn fold_char(c: char, mut push: impl FnMut(char)) {
    if c.is_ascii() {
        return push(c.to_ascii_lowercase());
    }
    let small = match c {
        // What the tables of the standard library say, without a search.
        'À'..='Ö' | 'Ø'..='Þ' => char::from_u32(u32::from(c) + 0x20),
        'ß'..='ÿ' => Some(c),
        _ => None,
    };
    match small {
        Some(small) => unmark(small, &mut push),
        None => c.to_lowercase().for_each(|c| unmark(c, &mut push)),
    }
}

/// Gives a lower-case character without its marks.
fn unmark(lower: char, push: &mut impl FnMut(char)) {
    let plain = match lower {
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' | 'ạ' | 'ả' | 'ấ' | 'ầ' => 'a',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => 'c',
        'ď' | 'đ' | 'ð' => 'd',
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' | 'ẹ' | 'ế' | 'ề' | 'ễ' => 'e',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' | 'ị' => 'i',
        'ķ' => 'k',
        'ĺ' | 'ļ' | 'ľ' | 'ł' => 'l',
        'ñ' | 'ń' | 'ņ' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' | 'ơ' | 'ọ' | 'ộ' => 'o',
        'ŕ' | 'ŗ' | 'ř' => 'r',
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => 's',
        'ţ' | 'ť' | 'ț' => 't',
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' | 'ư' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        'ß' => {
            push('s');
            's'
        }
        'æ' => {
            push('a');
            'e'
        }
        'œ' => {
            push('o');
            'e'
        }
        'ά' => 'α',
        'έ' => 'ε',
        'ή' => 'η',
        'ί' | 'ϊ' => 'ι',
        'ό' => 'ο',
        'ύ' | 'ϋ' => 'υ',
        'ώ' => 'ω',
        'ё' => 'е',
        '\u{300}'..='\u{36f}' => return,
        other => other,
    };
    push(plain);
}

/// The last bytes of some endings: one look tells most words from words that end so.
pub(crate) struct LastBytes([bool; 256]);

impl LastBytes {
    pub(crate) const fn of(endings: &[&str]) -> Self {
        let mut table = [false; 256];
        let mut at = 0;
        while at < endings.len() {
            if let Some(last) = endings[at].as_bytes().last() {
                table[*last as usize] = true;
            }
            at += 1;
        }
        Self(table)
    }

    /// Whether a word may end so.
    pub(crate) fn have(&self, word: impl AsRef<[u8]>) -> bool {
        let last = word.as_ref().last();
        last.is_some_and(|last| self.0[usize::from(*last)])
    }
}

/// A folded word on the stack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Word {
    /// Folds a word; `None` when it is longer than any word that is compared.
    pub(crate) fn fold(text: &str) -> Option<Self> {
        let mut word = Self {
            bytes: [0; LONGEST],
            length: 0,
        };
        let mut fits = true;
        for c in text.chars() {
            fold_char(c, |folded| fits &= word.push(folded));
            if !fits {
                return None;
            }
        }
        Some(word)
    }

    /// The folded bytes, valid UTF-8.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, c: char) -> bool {
        let mut encoded = [0; 4];
        c.encode_utf8(&mut encoded).bytes().all(|byte| {
            let place = self.bytes.get_mut(self.length);
            self.length += 1;
            place.map(|place| *place = byte).is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_case_and_marks() {
        let check = |text: &str, expected: &str| {
            let word = Word::fold(text).expect("fits");
            assert_eq!(word.as_bytes(), expected.as_bytes(), "{text}");
        };
        check("Müller", "muller");
        check("STRASSE", "strasse");
        check("Straße", "strasse");
        check("Łukasz", "lukasz");
        check("İbrahim", "ibrahim");
        check("Œuvre", "oeuvre");
        check("Ιωάννης", "ιωαννης");
        check("Пётр", "петр");
        check("e\u{301}", "e");
        check("李明", "李明");
        check("", "");
        assert!(Word::fold(&"x".repeat(57)).is_none());
    }
}
