//! Bytes to text: what a dump, a file or a column was written in, and text that was encoded twice.

use std::borrow::Cow;

pub use encoding_rs::{UTF_8, WINDOWS_1252};

/// What text is written in.
pub type Encoding = &'static encoding_rs::Encoding;

/// An encoding by one of its usual names (`utf-8`, `latin1`, `iso-8859-15`). Only those in which a quote or a backslash is
/// never a part of another character.
pub fn named(name: &str) -> Option<Encoding> {
    of_mysql(name).or_else(|| {
        encoding_rs::Encoding::for_label(name.as_bytes())
            .filter(|encoding| encoding.is_single_byte() || *encoding == UTF_8)
    })
}

/// An encoding by MySQL's name; its `latin1` is Windows' code page 1252.
pub fn of_mysql(name: &str) -> Option<Encoding> {
    Some(match name.to_ascii_lowercase().as_str() {
        "utf8" | "utf8mb3" | "utf8mb4" | "ascii" | "binary" => UTF_8,
        "latin1" => WINDOWS_1252,
        "latin2" => encoding_rs::ISO_8859_2,
        "cp1250" => encoding_rs::WINDOWS_1250,
        "cp1251" => encoding_rs::WINDOWS_1251,
        _ => return None,
    })
}

/// The text; `None` when the bytes are none in this encoding.
pub fn decode(bytes: &[u8], encoding: Encoding) -> Option<String> {
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .map(Cow::into_owned)
}

/// What the text was before its UTF-8 was taken for Latin-1 and encoded once more (`JoÃ£o`), if that is what happened to it.
pub fn before_second_encoding(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let (bytes, _, lossy) = WINDOWS_1252.encode(text);
    if lossy {
        return None;
    }
    String::from_utf8(bytes.into_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_known() {
        for (name, encoding) in [
            ("UTF8MB4", UTF_8),
            ("utf-8", UTF_8),
            ("latin1", WINDOWS_1252),
            ("ISO-8859-1", WINDOWS_1252),
        ] {
            assert_eq!(named(name), Some(encoding), "{name}");
        }
        // Their characters may end with the byte of a backslash.
        for name in ["gbk", "sjis", "utf-16", "klingon", ""] {
            assert_eq!(named(name), None, "{name}");
        }
    }

    #[test]
    fn bytes_are_text_or_they_are_not() {
        assert_eq!(decode(b"Jo\xe3o", WINDOWS_1252).as_deref(), Some("João"));
        assert_eq!(decode(b"Jo\xe3o", UTF_8), None);
        assert_eq!(decode("João 🚗".as_bytes(), UTF_8).as_deref(), Some("João 🚗"));
    }

    #[test]
    fn a_second_encoding_is_seen() {
        assert_eq!(before_second_encoding("JoÃ£o").as_deref(), Some("João"));
        assert_eq!(
            before_second_encoding("preÃ§o â€“ Ã\u{a0} vista").as_deref(),
            Some("preço – à vista")
        );
        for text in ["João", "Citroën", "abc", "R$ 10 à vista", "日本", "🚗"] {
            assert_eq!(before_second_encoding(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_second_encoding_can_be_undone(text in "[a-zA-Zà-ü –“”🚗]{1,40}") {
            let twice = decode(text.as_bytes(), WINDOWS_1252).unwrap();
            let expected = (!text.is_ascii()).then_some(text);
            prop_assert_eq!(before_second_encoding(&twice), expected);
        }
    }
}
