//! What a file is, by its first bytes. What is not known here is bytes and nothing more: names and announced types prove nothing.

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaType {
    /// As in a `Content-Type`.
    pub name: &'static str,
    /// What names of such files end with.
    pub ending: &'static str,
}

/// Everything that is shown in a page; no page, no script and no drawing that may hold one is among it.
const KNOWN: [MediaType; 12] = [
    MediaType::of("image/jpeg", "jpg"),
    MediaType::of("image/png", "png"),
    MediaType::of("image/gif", "gif"),
    MediaType::of("image/webp", "webp"),
    MediaType::of("audio/ogg", "ogg"),
    MediaType::of("audio/mpeg", "mp3"),
    MediaType::of("audio/mp4", "m4a"),
    MediaType::of("audio/amr", "amr"),
    MediaType::of("audio/aac", "aac"),
    MediaType::of("video/mp4", "mp4"),
    MediaType::of("video/webm", "webm"),
    MediaType::of("application/pdf", "pdf"),
];

impl MediaType {
    /// Anything else: only for keeping.
    pub const BYTES: Self = Self::of("application/octet-stream", "bin");

    const fn of(name: &'static str, ending: &'static str) -> Self {
        Self { name, ending }
    }

    /// By the first bytes of a file.
    pub fn sniff(bytes: &[u8]) -> Self {
        let name = match bytes {
            [0xff, 0xd8, 0xff, ..] => "image/jpeg",
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
            [b'O', b'g', b'g', b'S', ..] => "audio/ogg",
            [b'I', b'D', b'3', ..] | [0xff, 0xfb | 0xf3 | 0xf2, ..] => "audio/mpeg",
            [0xff, 0xf1 | 0xf9, ..] => "audio/aac",
            [b'#', b'!', b'A', b'M', b'R', ..] => "audio/amr",
            [_, _, _, _, b'f', b't', b'y', b'p', b'M', b'4', b'A' | b'B', ..] => "audio/mp4",
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => "video/mp4",
            [0x1a, 0x45, 0xdf, 0xa3, ..] => "video/webm",
            [b'%', b'P', b'D', b'F', b'-', ..] => "application/pdf",
            _ => return Self::BYTES,
        };
        Self::named(name)
    }

    /// By its name; what is not known is bytes.
    pub fn named(name: &str) -> Self {
        let known = KNOWN.iter().find(|known| known.name == name);
        known.copied().unwrap_or(Self::BYTES)
    }

    /// Whether a browser may show it: it can do nothing there.
    pub fn is_shown(self) -> bool {
        self != Self::BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn first_bytes_tell() {
        for (bytes, name) in [
            (&b"\xff\xd8\xff\xe0JFIF"[..], "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n....", "image/png"),
            (b"GIF89a..", "image/gif"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
            (b"OggS\0\x02", "audio/ogg"),
            (b"ID3\x04", "audio/mpeg"),
            (b"\xff\xfb\x90", "audio/mpeg"),
            (b"\xff\xf1\x50", "audio/aac"),
            (b"#!AMR\n", "audio/amr"),
            (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
            (b"\0\0\0\x20ftypisom", "video/mp4"),
            (b"\x1a\x45\xdf\xa3\x9f", "video/webm"),
            (b"%PDF-1.7\n", "application/pdf"),
        ] {
            let found = MediaType::sniff(bytes);
            assert_eq!(found.name, name);
            assert!(found.is_shown());
            assert_eq!(MediaType::named(name), found);
        }
        for bytes in [
            &b""[..],
            b"<!DOCTYPE html><script>alert(1)</script>",
            b"<svg xmlns='http://www.w3.org/2000/svg'>",
            b"PK\x03\x04",
            b"MZ\x90",
            b"RIFF\x10\0\0\0WAVE",
            b" \xff\xd8\xff",
        ] {
            assert_eq!(MediaType::sniff(bytes), MediaType::BYTES);
        }
        assert!(!MediaType::named("text/html").is_shown());
    }

    proptest! {
        #[test]
        fn sniff_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(!MediaType::sniff(&bytes).ending.is_empty());
        }
    }
}
