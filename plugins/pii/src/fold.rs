//! Words without case and diacritics, as headers and dictionaries spell them.
//!
//! Latin letters lose their marks (`é` is `e`, `ß` is `ss`), Greek ones their accents; other scripts
//! are lower-cased only. This is a spelling for comparison, not a transliteration.

/// Longest word that is compared, in bytes.
const LONGEST: usize = 48;

/// Gives the lower-case, unmarked characters of `c` to `push`.
pub(crate) fn fold_char(c: char, mut push: impl FnMut(char)) {
    if c.is_ascii() {
        return push(c.to_ascii_lowercase());
    }
    for lower in c.to_lowercase() {
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
            '\u{300}'..='\u{36f}' => continue,
            other => other,
        };
        push(plain);
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
        let encoded = c.encode_utf8(&mut encoded).as_bytes();
        let Some(room) = self.bytes.get_mut(self.length..self.length + encoded.len()) else {
            return false;
        };
        room.copy_from_slice(encoded);
        self.length += encoded.len();
        true
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
        assert!(Word::fold(&"x".repeat(49)).is_none());
    }
}
