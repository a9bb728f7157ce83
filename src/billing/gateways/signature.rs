//! HMAC-SHA256 in hexadecimal: how webhooks are signed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Length of a signature in hexadecimal.
const LENGTH: usize = 64;

/// Whether `signature` is that of the parts, one after the other. Takes the same time for each wrong one.
pub(crate) fn is_signed(secret: &str, parts: &[&[u8]], signature: &str) -> bool {
    let (Some(given), Ok(mut mac)) = (
        decode(signature),
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()),
    ) else {
        return false;
    };
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(&given).is_ok()
}

fn decode(hex: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16);
    if hex.len() != LENGTH {
        return None;
    }
    hex.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
            _ => None,
        })
        .collect()
}

/// The values of `name` in a header such as `t=1,v1=ab,v1=cd`.
pub(super) fn values<'a>(header: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    header
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .filter(move |(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 4231, test case 2.
    const SIGNED: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn only_the_right_signature_is_good() {
        let signed = |signature: &str| is_signed("Jefe", &[b"what do ya want ", b"for nothing?"], signature);
        assert!(signed(SIGNED));
        assert!(signed(&SIGNED.to_uppercase()));
        assert!(!signed(&SIGNED.replace('5', "6")));
        assert!(!signed(&SIGNED[..62]));
        assert!(!signed(&format!("{SIGNED}00")));
        assert!(!signed(&"zz".repeat(32)));
        assert!(!signed(&"é".repeat(32)));
        assert!(!signed(""));
        assert!(!is_signed("other", &[b"what do ya want for nothing?"], SIGNED));
    }

    #[test]
    fn a_header_is_read_pair_by_pair() {
        let header = "ts=1, v1=ab ,v1=cd,v0=ef,odd";
        assert_eq!(values(header, "v1").collect::<Vec<_>>(), ["ab", "cd"]);
        assert_eq!(values(header, "t").count(), 0);
    }
}
