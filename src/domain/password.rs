//! Passwords on their way to being hashed: never shown, wiped from memory when dropped.
//!
//! Length is the only rule (NIST SP 800-63B, 5.1.1.2): rules of composition make passwords worse.

use super::{invalid::Invalid, random};
use secrecy::{ExposeSecret, SecretString};

/// A password that somebody chose, or presents.
#[derive(Debug, Clone)]
pub struct Password(SecretString);

/// Letters and digits that cannot be taken for one another.
const READABLE: &[u8] = b"abcdefghijkmnpqrstuvwxyzACDEFGHJKLMNPQRTUVWXY34679";

impl Password {
    /// Fewest characters of a new password.
    pub const MIN: usize = 8;
    /// Most characters of a new password.
    pub const MAX: usize = 128;

    /// Reads a new password: 8 to 128 characters.
    pub fn parse(value: String) -> Result<Self, Invalid> {
        let password = Self::presented(value);
        match password.expose().chars().count() {
            0 => Err(Invalid::required()),
            1..Self::MIN => Err(Invalid::too_short(Self::MIN)),
            Self::MIN..=Self::MAX => Ok(password),
            _ => Err(Invalid::too_long(Self::MAX)),
        }
    }

    /// Takes what somebody presents to log in: nothing is checked, so that a refusal says nothing about it.
    pub fn presented(value: String) -> Self {
        Self(SecretString::from(value))
    }

    /// A new password that can be read out: 20 letters and digits, 112 bits.
    pub fn generate() -> Self {
        Self(SecretString::from(random::letters(20, READABLE)))
    }

    /// The password itself: for hashing, and for showing a generated one once.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters() {
        let code = |value: String| Password::parse(value).map(|_| ()).map_err(|refusal| refusal.code);
        assert_eq!(code(String::new()), Err("required"));
        assert_eq!(code("é".repeat(7)), Err("too_short"));
        assert_eq!(code("é".repeat(8)), Ok(()));
        assert_eq!(code("é".repeat(128)), Ok(()));
        assert_eq!(code("é".repeat(129)), Err("too_long"));
    }

    #[test]
    fn is_not_shown() {
        let password = Password::presented("correct horse".to_owned());
        assert!(!format!("{password:?}").contains("horse"));
        assert_eq!(password.expose(), "correct horse");
    }

    #[test]
    fn a_generated_one_is_accepted_and_new() {
        let (a, b) = (Password::generate(), Password::generate());
        assert_ne!(a.expose(), b.expose());
        assert!(Password::parse(a.expose().to_owned()).is_ok());
        assert_eq!(a.expose().len(), 20);
    }
}
