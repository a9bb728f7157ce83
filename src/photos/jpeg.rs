//! Whether a JPEG goes on to its end (ITU-T T.81, annex B). Pictures in a camera's metadata have ends of their own, and
//! cameras write things behind the end, so neither the last bytes nor just any end marker tells.

const END: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;

/// Whether the markers lead through at least one scan to the end of the image.
pub fn is_whole(bytes: &[u8]) -> bool {
    walk(bytes).unwrap_or(false)
}

fn walk(bytes: &[u8]) -> Option<bool> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    let mut scanned = false;
    loop {
        let (marker, after) = next_marker(rest)?;
        match marker {
            END => return Some(scanned),
            // Alone, without a length: restarts and the like.
            0x01 | 0xd0..=0xd8 => rest = after,
            _ => {
                let length = usize::from(u16::from_be_bytes([*after.first()?, *after.get(1)?]));
                rest = after.get(length.max(2)..)?;
                if marker == START_OF_SCAN {
                    scanned = true;
                    rest = after_scan(rest)?;
                }
            }
        }
    }
}

/// The next marker and what follows it. Fill bytes before it are allowed, and some programs write more than those.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let at = bytes
        .windows(2)
        .position(|pair| matches!(pair, [0xff, marker] if !matches!(marker, 0x00 | 0xff)))?;
    Some((*bytes.get(at + 1)?, bytes.get(at + 2..)?))
}

/// What follows the data of a scan: from the first marker that is neither a stuffed byte nor a restart.
fn after_scan(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes
        .windows(2)
        .position(|pair| matches!(pair, [0xff, marker] if !matches!(marker, 0x00 | 0xff | 0xd0..=0xd7)))?;
    bytes.get(end..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn jpeg() -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([(x * 6) as u8, (y * 8) as u8, 99]));
        image::codecs::jpeg::JpegEncoder::new(&mut bytes)
            .encode_image(&picture)
            .unwrap();
        bytes
    }

    #[test]
    fn an_end_elsewhere_is_no_end() {
        let whole = jpeg();
        assert!(is_whole(&whole));
        assert!(is_whole(
            &[whole.clone(), b"trailer of a camera".to_vec()].concat()
        ));
        // A small picture in the metadata, whole, in a picture that is not.
        let length = u16::try_from(whole.len() + 2).unwrap().to_be_bytes();
        let [start, rest] = [&whole[..2], &whole[2..]];
        let nested = [start, &[0xff, 0xe1], &length, &whole, rest].concat();
        assert!(is_whole(&nested));
        assert!(!is_whole(&nested[..nested.len() - 2]));
        assert!(!is_whole(&[0xff, 0xd8, 0xff, 0xd9]));
    }

    proptest! {
        #[test]
        fn no_beginning_is_whole(cut in any::<prop::sample::Index>()) {
            let whole = jpeg();
            prop_assert!(!is_whole(&whole[..cut.index(whole.len())]));
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            is_whole(&bytes);
            is_whole(&[&[0xff, 0xd8][..], &bytes].concat());
        }
    }
}
