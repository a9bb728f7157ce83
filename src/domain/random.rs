//! Randomness for secrets: the one place that asks the operating system for it.
//!
//! A system that cannot give random bytes cannot make a token or a key that is safe; the process stops there
//! rather than go on with less, and so these functions return no error.

use rand::{Rng, RngExt, rand_core::UnwrapErr, rngs::SysRng};

/// `N` random bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    UnwrapErr(SysRng).fill_bytes(&mut bytes);
    bytes
}

/// `count` letters, each drawn evenly from `alphabet` (ASCII).
pub fn letters(count: usize, alphabet: &[u8]) -> String {
    let mut rng = UnwrapErr(SysRng);
    (0..count)
        .filter_map(|_| alphabet.get(rng.random_range(0..alphabet.len())))
        .map(|&letter| char::from(letter))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_was_asked() {
        assert_ne!(bytes::<16>(), bytes::<16>());
        let text = letters(40, b"abc");
        assert_eq!(text.len(), 40);
        assert!(text.bytes().all(|letter| b"abc".contains(&letter)));
    }
}
