//! The platform's one secret: seals what must be kept and read again, and derives the passwords of database logins.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use sha2::Sha256;

use super::invalid::Invalid;
use super::random;

const NONCE: usize = 24;

/// 32 random bytes from the configuration (`platform.key`). Cheap to clone; `Debug` shows nothing.
#[derive(Clone)]
pub struct PlatformKey(Arc<Zeroizing<[u8; 32]>>);

impl PlatformKey {
    /// Reads a key as it is configured: 32 random bytes in base64. The refusal shows nothing of it.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        let refused = || Invalid::format("must be 32 random bytes in base64");
        let bytes = STANDARD
            .decode(value.trim())
            .map(Zeroizing::new)
            .map_err(|_| refused())?;
        let key: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| refused())?;
        // A key of one repeated byte is a placeholder that somebody forgot to replace.
        if key.iter().all(|byte| Some(byte) == key.first()) {
            return Err(refused());
        }
        Ok(Self::new(key))
    }

    /// Takes the bytes of a key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Arc::new(Zeroizing::new(*key)))
    }

    /// The password of a database login of this platform.
    pub fn login_password(&self, role: &str) -> SecretString {
        URL_SAFE_NO_PAD
            .encode(self.derive(&[b"login:", role.as_bytes()]).as_slice())
            .into()
    }

    /// Seals `plain` so that it opens only with the same `context` (whose it is, and what for).
    ///
    /// The result is `nonce ‖ ciphertext ‖ tag` of XChaCha20-Poly1305.
    #[must_use]
    pub fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let nonce = random::bytes::<NONCE>();
        let payload = Payload {
            msg: plain,
            aad: context.as_bytes(),
        };
        // The cipher refuses only messages of 256 GiB and more.
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .unwrap_or_default();
        [nonce.as_slice(), sealed.as_slice()].concat()
    }

    /// Opens what [`PlatformKey::seal`] made; `None` when it was altered or sealed for another context or key.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, message) = sealed.split_first_chunk::<NONCE>()?;
        let payload = Payload {
            msg: message,
            aad: context.as_bytes(),
        };
        self.cipher()
            .decrypt(&XNonce::from(*nonce), payload)
            .ok()
            .map(Zeroizing::new)
    }

    /// A fingerprint that only the holder of the key can compute: tells apart texts that hold a secret, which a plain
    /// hash would let be guessed.
    pub fn fingerprint(&self, purpose: &str, text: &[u8]) -> [u8; 32] {
        *self.derive(&[b"fingerprint:", purpose.as_bytes(), b":", text])
    }

    /// The key of one long message that is sealed piece by piece. `head` is what stands in front of it, in clear: random
    /// in part, so that no two messages have one key. It opens nothing behind another head.
    pub fn pieces(&self, head: &[u8]) -> PieceKey {
        PieceKey(XChaCha20Poly1305::new(&Key::from(
            *self.derive(&[b"pieces:", head]),
        )))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.derive(&[b"seal"])))
    }

    fn derive(&self, purpose: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        // HKDF refuses only outputs of more than 8160 bytes.
        let _ = Hkdf::<Sha256>::new(None, self.0.as_slice()).expand_multi_info(purpose, key.as_mut_slice());
        key
    }
}

/// Seals the pieces of one message, each in its place: XChaCha20-Poly1305 with the piece's number, and whether it is the
/// last, as nonce. So pieces cannot be altered, left out, added, swapped or taken from another message.
pub struct PieceKey(XChaCha20Poly1305);

impl PieceKey {
    /// Seals the piece of this number; the result is 16 bytes longer. No two pieces may have one number.
    #[must_use]
    pub fn seal(&self, number: u64, last: bool, plain: &[u8]) -> Vec<u8> {
        // The cipher refuses only messages of 256 GiB and more.
        self.0
            .encrypt(&Self::nonce(number, last), plain)
            .unwrap_or_default()
    }

    /// Opens what [`PieceKey::seal`] made of this piece; `None` when it is not that.
    pub fn open(&self, number: u64, last: bool, sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(&Self::nonce(number, last), sealed).ok()
    }

    fn nonce(number: u64, last: bool) -> XNonce {
        let mut nonce = [0; NONCE];
        let (flag, counter) = nonce.split_at_mut(NONCE - 8);
        if let Some(flag) = flag.first_mut() {
            *flag = last.into();
        }
        counter.copy_from_slice(&number.to_be_bytes());
        XNonce::from(nonce)
    }
}

impl fmt::Debug for PlatformKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatformKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn key(fill: u8) -> PlatformKey {
        PlatformKey::new(&[fill; 32])
    }

    #[test]
    fn opens_only_in_its_own_context_and_unaltered() {
        let sealed = key(1).seal("tenant a", b"secret");
        assert_eq!(
            key(1).open("tenant a", &sealed).as_deref().map(Vec::as_slice),
            Some(b"secret".as_slice())
        );
        assert!(key(1).open("tenant b", &sealed).is_none());
        assert!(key(2).open("tenant a", &sealed).is_none());
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            if let Some(byte) = altered.get_mut(index) {
                *byte ^= 1;
            }
            assert!(key(1).open("tenant a", &altered).is_none());
        }
        assert!(key(1).open("tenant a", b"short").is_none());
    }

    #[test]
    fn a_piece_opens_in_its_own_place_only() {
        let sealed = key(1).pieces(b"head").seal(3, false, b"piece");
        let open = |key: PlatformKey, head: &[u8], number, last| key.pieces(head).open(number, last, &sealed);
        assert_eq!(
            open(key(1), b"head", 3, false).as_deref(),
            Some(b"piece".as_slice())
        );
        assert!(open(key(1), b"head", 2, false).is_none());
        assert!(open(key(1), b"head", 3, true).is_none());
        assert!(open(key(1), b"other", 3, false).is_none());
        assert!(open(key(2), b"head", 3, false).is_none());
    }

    #[test]
    fn is_read_from_base64() {
        let text = "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=";
        let bytes = [0xde, 0xad, 0xbe, 0xef].repeat(8).try_into().unwrap();
        assert_eq!(
            PlatformKey::parse(&format!(" {text}\n")).unwrap().derive(&[b"a"]),
            PlatformKey::new(&bytes).derive(&[b"a"])
        );
        let placeholder = STANDARD.encode([7; 32]);
        for refused in ["", "c2hvcnQ=", &placeholder, &text.replace('+', "-"), &text[..40]] {
            assert_eq!(
                PlatformKey::parse(refused).unwrap_err().code,
                "invalid_format",
                "{refused}"
            );
        }
    }

    #[test]
    fn gives_each_login_its_own_password() {
        assert_ne!(
            key(1).login_password("a").expose_secret(),
            key(1).login_password("b").expose_secret()
        );
        assert_eq!(
            key(1).login_password("a").expose_secret(),
            key(1).login_password("a").expose_secret()
        );
    }
}
